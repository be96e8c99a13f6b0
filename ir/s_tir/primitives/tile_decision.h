/// What the two primitives that sample perfect tilings share: the extent of the loop, and a
/// decision that is a list of factors.
#pragma once

#include "ir/s_tir/primitives/common.h"

#include <limits>

namespace temper::s_tir {

/// Factors are found by trial division.
constexpr int64_t kMostTiledIterations = std::numeric_limits<int32_t>::max();

/// In decisions: the outermost factor of a symbolic extent, which is inferred, as in [-1, 1].
constexpr int64_t kOpenFactor = -1;

/// The iterations of the loop that `handle` names; nothing where its extent is symbolic.
/// Errors: no loop, or one whose extent is not positive or beyond kMostTiledIterations.
Result<std::optional<int64_t>> tiled_extent(const Context& context, const Value& handle);

/// The decision as a tiling. Errors: not a list of `parts` positive integers whose product is
/// `extent`.
Result<std::vector<int64_t>> read_tiling(const Value& decision, int64_t parts, int64_t extent);

/// A decision of another loop as `parts` factors, to start from: 1 for what is no integer; nothing
/// where it is no list of that length.
std::optional<std::vector<int64_t>> foreign_tiling(const Value& decision, int64_t parts);

/// Both the outputs and the decision are the factors; an open one is None among the outputs.
Applied applied_tiling(const Context& context, const std::vector<int64_t>& factors);

} // namespace temper::s_tir
