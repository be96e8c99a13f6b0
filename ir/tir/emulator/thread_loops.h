/// GPU programs as loops: flat tir with threads becomes plain tir that computes the same, for a
/// CPU's code generator. Fast, and blind to what a GPU leaves to chance; that is the interpreter's
/// part (emulate.h).
///
///   for bx in T.thread_binding(4, "blockIdx.x"):      for bx in range(4):
///     S = T.alloc_shared((128,))                        for tx in range(128):
///     for tx in T.thread_binding(128, "threadIdx.x"):     x_of[tx] = A[bx * 128 + tx]
///       x = A[bx * 128 + tx]                              S[tx] = x_of[tx]
///       S[tx] = x                                  ->   for tx in range(128):
///       T.sync_threads()                                  B[bx * 128 + tx] = S[127 - tx] +
///       x_of[tx] B[bx * 128 + tx] = S[127 - tx] + x
///
/// Loops over the threads are split at barriers and at what a warp does together; what lives across
/// a split becomes an array over the threads. Loops and conditions around a barrier go outward and
/// must be the same for all threads. Shuffles, ldmatrix and mma are done for all 32 lanes at once,
/// on registers as the hardware's fragments have them, wgmma for all 128. Asynchronous operations
/// are done at issue, so a wait for an mbarrier is a barrier of the block.
#pragma once

#include "ir/function.h"
#include "ir/support/result.h"
#include "ir/tir/stmt.h"

namespace temper::tir {

/// The whole function. kUnsupported, with the line, for programs that only the interpreter can run:
/// warps in roles (barriers under conditions that differ between threads, barriers of a
/// part of the block).
Result<PrimFunc> thread_loops(const PrimFunc& function);

} // namespace temper::tir
