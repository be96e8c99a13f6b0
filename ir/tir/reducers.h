/// Sums that several iterations of T.Parallel add to, T.alloc_reducer. Programs hold no reducers:
/// what an iteration adds becomes an element of a tile, which an operator then reduces.
///
///   for i, j in T.Parallel(64, 32):              part: fragment (64, 32)
///     s[i] += A[i, j] * x[j]            ->       for i, j in T.Parallel(64, 32):
///                                                  part[i, j] = A[i, j] * x[j]
///                                                T.reduce_sum(part, s, dim=1, clear=False)
#pragma once

#include "ir/support/function_ref.h"
#include "ir/tir/stmt.h"

#include <string>
#include <unordered_map>

namespace temper::tir {

/// By buffer: "sum", "max" or "min".
using Reducers = std::unordered_map<const BufferNode*, std::string>;

/// The statement without reducers that several iterations add to. `report` is told what is done to
/// one that cannot be, with the place.
Stmt resolve_reducers(const Stmt& stmt, const Reducers& reducers,
                      FunctionRef<void(const Span&, std::string)> report);

} // namespace temper::tir
