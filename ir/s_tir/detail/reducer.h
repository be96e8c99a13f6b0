/// Recognises commutative reductions by their init and update: sum, product, minimum, maximum.
#pragma once

#include "ir/s_tir/block.h"

#include <optional>

namespace temper::s_tir {

enum class ReducerKind : uint8_t { kSum, kProduct, kMin, kMax };

/// out[indices] = combine(out[indices], value), which starts from the identity.
struct Reducer {
  ReducerKind kind;
  const BufferStore* init;
  const BufferStore* update;
  Expr value;
  bool output_first; ///< the output is the left operand
};
/// Nothing when the block is no such reduction; `why` then gets the reason, as the end of
/// "block C ...".
std::optional<Reducer> recognise_reducer(const SBlock& block, const char** why = nullptr);

/// combine(a, b) of the reducer.
Expr combine(ReducerKind kind, const Expr& a, const Expr& b);
/// The element that changes nothing: 0, 1, the type's largest or smallest value.
bool is_identity(ReducerKind kind, const Expr& value);

} // namespace temper::s_tir
