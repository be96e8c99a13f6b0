/// Software pipelines for GPUs: copies of later iterations under way while this one computes.
///
///   for k in T.Pipelined(n, num_stages=3):          A_shared: 3 stages
///     T.copy(A[k * 32], A_shared)                   for s in range(2):
///     T.gemm(A_shared, ...)                  ->       T.copy(A[s * 32], A_shared[s]);
///                                                     T.ptx_commit_group()
///                                                   for k in range(n):
///                                                     T.ptx_wait_group(1)
///                                                     if k + 2 < n:
///                                                       T.copy(A[(k + 2) * 32], A_shared[(k + 2)
///                                                       % 3])
///                                                     T.ptx_commit_group()
///                                                     T.gemm(A_shared[k % 3], ...)
///
/// A buffer in shared memory gets stages when one copy from global memory fills all of it at the
/// top of the loop's body and nothing outside of the loop uses it. The copies are annotated, so
/// that they may be asynchronous (ir/tir/cuda/copy_async.cpp); they may also be ordinary ones.
///
/// With tma=1 as an annotation of the loop, copies are the tensor memory accelerator's
/// (ir/tir/cuda/copy_tma.cpp), and one mbarrier a stage takes the place of groups:
///
///   full: 3 mbarriers, prepared by one thread
///   for s in range(2):
///     T.copy(A[s * 32], A_shared[s]) at full[s]
///   for k in range(n):
///     T.mbarrier_wait_parity(full[k % 3], k // 3 % 2)
///     T.sync_threads()                                     # the stage that comes next was read
///     if k + 2 < n:
///       T.copy(A[(k + 2) * 32], A_shared[(k + 2) % 3]) at full[(k + 2) % 3]
///     T.gemm(A_shared[k % 3], ...)
///
/// Phases are counted from the kernel's start, so such a loop stands in no other loop.
///
/// With tma=2 a warpgroup is added to the block, one warp of which makes the copies, and has few
/// registers; the others do all else. Nobody meets at barriers of the block in the loop, which may
/// stand in others (a persistent kernel's loop over tiles):
///
///   full, empty: 3 mbarriers each
///   if tx < 256:                                             # threads of the program
///     T.setmaxnreg(240, 1)
///     for k in range(n):                                     # round: k, since the kernel began
///       T.mbarrier_wait_parity(full[round % 3], round // 3 % 2)
///       T.gemm(A_shared[round % 3], ...)
///       T.mbarrier_arrive(empty[round % 3])                  # one thread of each warp
///   else:
///     T.setmaxnreg(24, 0)
///     if tx < 256 + 32:
///       for k in range(n):
///         T.mbarrier_wait_parity(empty[round % 3], 1 - round // 3 % 2)
///         T.copy(A[k * 32], A_shared[round % 3]) at full[round % 3]
///
/// Where a product says that w others may be under way behind it (wg_wait=w), an iteration's stage
/// is free w iterations later. Without a warp for the copies each product is waited for: the copies
/// that an iteration asks for go where the one before has read.
///
/// Of a kernel with clusters (ir/tir/cluster.h) blocks that copy the same tile bring a slice of its
/// rows each, to all of them; a stage is free when all of them have read it, so consumers arrive at
/// the barriers of all:
///
///         T.mbarrier_arrive(empty[round % 3])
///         T.mbarrier_arrive_cluster(empty[round % 3], 1 - bx % 2)
///   ...
///         T.mbarrier_arrive_expect_tx(full[stage], bytes of the tile)
///         T.tma_load_multicast(A_shared[stage, bx % 2 * 32, 0], A[row + bx % 2 * 32, k],
///         full[stage],
///                              3, 32, 64)
///   T.cluster_sync()                                           # as the kernel begins and ends
#pragma once

#include "ir/support/result.h"
#include "ir/tir/tile.h"

namespace temper::tir {

/// Annotation of a pipelined loop, from T.Pipelined(num_stages=).
inline constexpr const char* kStages = "num_stages";

/// Value of the annotation "tma" (ir/tir/dispatch.h): by a warp of its own.
inline constexpr int64_t kOwnWarp = 2;

/// Every T.Pipelined of two or more stages, on which that can be done; others stay as they are.
/// kUnsupported, with the line, for a loop with tma=1 or 2 that cannot have it.
/// `trades`: warpgroups may give registers to each other.
Result<PrimFunc> expand_pipelines(const PrimFunc& function, bool trades = true);

} // namespace temper::tir
