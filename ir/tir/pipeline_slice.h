/// What a warp that makes a loop's copies, and nothing else, has to run of the kernel around it.
/// Private to ir/tir.
///
///   start = 0                              start = 0
///   for b in range(by):                    for b in range(by):
///     start = start + 64                     start = start + 64
///   T.clear(C)                      ->
///   for k in T.Pipelined(n):               for k in T.Pipelined(n):
///     T.copy(A[start, k * 64], S)            T.copy(A[start, k * 64], S)
///     T.gemm(S, ...)
#pragma once

#include "ir/support/result.h"
#include "ir/tir/tile.h"

#include <unordered_set>
#include <vector>

namespace temper::tir {

/// The statements of the kernel that decide how often `loop` runs and where its `copies` read, and
/// those around them: definitions, writes of a thread's scalars, conditions and loops. The error
/// says what another warp alone would know.
Result<std::unordered_set<const Node*>>
slice_for_copies(const KernelLaunch& kernel, const For& loop, const std::vector<Stmt>& copies);

} // namespace temper::tir
