/// Loops bound to threads, as a schedule leaves them, to the flat form that tile programs end in
/// (ir/tir/lower_simt.h): kernels with their threads' numbers, barriers, vectors.
///
///   for b in T.thread_binding(8, "blockIdx.x"):        with T.Kernel(8, threads=64) as b:
///     for t in T.thread_binding(64, "threadIdx.x"):      t = the thread's number
///       for k in range(4):                               for k in range(4):
///         for a in T.thread_binding(64, "threadIdx.x"):    T.sync_threads()
///           S[a] = A[k * 64 + a]                   ->      S[t] = A[k * 64 + t]
///         C[b, t] = C[b, t] + S[63 - t]                    T.sync_threads()
///                                                          C[b, t] = C[b, t] + S[63 - t]
///                                                          T.sync_threads()
///
/// **What bound loops mean**: the iterations of a loop run side by side, and all loops of a nest
/// that are bound to one thread axis are that one axis: the threads meet wherever one of them needs
/// what others wrote. Of a virtual thread ("vthread.x") each thread runs all iterations, in step.
/// Buffers of scope "local" belong to a thread (and virtual thread), "shared" ones to a block.
#pragma once

#include "ir/function.h"
#include "ir/support/result.h"
#include "ir/tir/stmt.h"

namespace temper::tir {

/// Annotation of a loop, and of a kernel: so many iterations of the loops below may be unrolled
/// together.
inline constexpr const char* kUnrollStep = "pragma_auto_unroll_max_step";

/// Annotations of a loop over blocks, both of them: its nest is a tile program, whose block has so
/// many warps side by side along the rows and the columns of its product (tile_nests). Nothing in
/// it is bound to threads.
inline constexpr const char* kTileWarpRows = "temper.tile_warp_rows";
inline constexpr const char* kTileWarpColumns = "temper.tile_warp_columns";
/// Annotations of the loop over the reduction of such a nest: its rounds are a pipeline of so many
/// stages, whose copies are made as ir/tir/pipeline.h says (0, 1 or 2).
inline constexpr const char* kTileStages = "temper.tile_stages";
inline constexpr const char* kTileTma = "temper.tile_tma";
/// Annotation of the outer loop of the product: 1, where shapes allow, by wgmma instead of mma.
inline constexpr const char* kTileWgmma = "temper.tile_wgmma";

/// The threads that such annotations ask for; 0: there are none.
inline int64_t tile_threads(const Annotations& annotations) {
  constexpr int64_t kWarp = 32;
  return kWarp * annotations.get_int(kTileWarpRows).value_or(0) *
         annotations.get_int(kTileWarpColumns).value_or(0);
}

/// Each nest of the function's body becomes a kernel, with a barrier on both sides of every step
/// that touches what several threads share (remove_barriers leaves those that order something).
/// What no thread axis numbers is done by the first thread. Memory that the nest allocates in
/// "global" is a thread's or a block's own. kUnsupported, naming loop or buffer: a nest without
/// threads, extents that do not fit together, a barrier where not all threads come by.
Result<PrimFunc> launch_kernels(const PrimFunc& function);

/// Loops over virtual threads go inward, around what differs between them; local memory that
/// differs is there once for each.
PrimFunc lower_virtual_threads(const PrimFunc& function);

/// Rows of buffers as T.sblock_attr's "buffer_dim_align" asks for (ir/pass/lowering.h), by longer
/// shapes: what lies between rows is never touched.
PrimFunc pad_rows(const PrimFunc& function);

/// Copies of 4, 8 or 16 bytes from global memory into allocations with kAsyncCopies
/// (ir/pass/pipeline_loops.h) become asynchronous; others stay as they are.
PrimFunc copy_asynchronously(const PrimFunc& function);

/// In kernels of tile_threads(), nests of loops become tile operators, and these the code of
/// threads (ir/tir/lower_simt.h); other kernels stay as they are. kUnsupported says which nest is
/// none.
Result<PrimFunc> tile_nests(const PrimFunc& function, int architecture);

/// Vectorized loops become vectors of 4, 8 or 16 bytes, element by element where memory is not read
/// or written side by side; loops that pragmas ask to unroll are marked so.
PrimFunc vectorize_accesses(const PrimFunc& function);

} // namespace temper::tir
