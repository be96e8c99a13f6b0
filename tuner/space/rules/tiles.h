/// What the rules of multi-level tiling share.
#pragma once

#include "tuner/space/rule.h"

#include <string_view>

namespace temper::tuner {

/// Some read of the block does not move with some spatial axis: its elements are used again.
bool has_reuse(const BlockFacts& facts);

/// A trivially bound block whose reduction is worth tiling, and that no rule has treated.
bool is_tileable(const BlockFacts& facts);

/// Splits each loop of the block into as many as its kind (S, R) has places in `structure`, by
/// sampled factors, and orders them so; the block is annotated with the structure. Returns the
/// loops at each place.
Result<std::vector<std::vector<s_tir::LoopRv>>>
tile_loops(s_tir::Schedule& schedule, s_tir::BlockRv block, const BlockFacts& facts,
           std::string_view structure, int64_t max_innermost_factor);

} // namespace temper::tuner
