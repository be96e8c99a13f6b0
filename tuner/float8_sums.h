/// How exact sums of float8 products can be asked to be on a GPU (ir/tir/promote_sums.h).
#pragma once

#include "ir/function.h"
#include "ir/target.h"

#include <optional>

namespace temper::tuner {

/// Relative error allowed by default where the function multiplies float8 and the target's tensor
/// cores sum such products in few bits; nothing elsewhere. `length`: terms of the longest sum.
///
/// Each instruction cuts off up to a unit of the last bit that is kept. With terms of either sign
/// that stays below the 2 % at 4096 terms that were published, which this allows 1.7 times; it
/// grows with the number of instructions, until what they summed is added in float32.
std::optional<double> float8_tolerance(const ir::PrimFunc& function, int64_t length,
                                       const ir::Target& target);

} // namespace temper::tuner
