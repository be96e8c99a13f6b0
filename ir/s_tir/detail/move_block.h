/// What compute_at and reverse_compute_at share: a block leaves its loops and is computed below
/// another loop, as much of it as that loop's iteration needs (compute_at: for its consumers) or
/// makes possible (reverse_compute_at: by its producers).
#pragma once

#include "ir/s_tir/primitive.h"

namespace temper::s_tir {

enum class MoveDirection : uint8_t {
  kToConsumers, ///< compute_at
  kToProducers, ///< reverse_compute_at
};

/// Arguments: inputs block, loop; attrs preserve_unit_loops, index (-1: as late as possible, -2: as
/// early as possible, else the position among the statements below the loop).
Result<Applied> move_block(const Context& context, const Arguments& arguments,
                           MoveDirection direction);
std::vector<Arguments> enumerate_moves(const Context& context, const Value& handle,
                                       MoveDirection direction);

} // namespace temper::s_tir
