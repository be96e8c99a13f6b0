/// From s-tir scheduled for a GPU to tir with bound loops (ir/tir/bound_threads.h).
#pragma once

#include "ir/function.h"
#include "ir/s_tir/block.h"
#include "ir/support/result.h"

namespace temper::s_tir {

/// Reductions over loops that are bound to threadIdx: each thread reduces its part into a local
/// variable, then the threads join theirs, by shuffles within a warp and shared memory beyond it,
/// and all of them have the result. kUnsupported says of a block why its threads cannot join.
///
///   for k_0 in range(4):                                 for k_1 in T.thread_binding(32, ..):
///     for k_1 in T.thread_binding(32, "threadIdx.x"):      part[0] = 0
///       with T.sblock("B"):                         ->     for k_0 in range(4):
///         with T.init(): B[vi] = 0                           part[0] = part[0] + A[..]
///         B[vi] = B[vi] + A[vi, vk]                        part[0] = part[0] + shfl_xor(part[0],
///         1)
///                                                          ...
///                                                          B[i] = part[0]
Result<PrimFunc> lower_thread_reductions(const PrimFunc& function);

/// All of it: what s_tir/lower.h does for CPUs, with reductions over threads and the tensor
/// intrinsics of GPUs of the architecture (80 for sm_80), whose entries need "sm_80" or less.
/// kUnsupported also says which tensorized block needs something else.
Result<PrimFunc> lower_blocks_for_gpu(const PrimFunc& function, int architecture);

} // namespace temper::s_tir
