/// Steps that several rules share: even choices, vector-wide reductions and elementwise loops,
/// consumers that follow a tile.
#pragma once

#include "tuner/space/rule.h"

namespace temper::tuner {

/// Splits the (fused) reduce loops of `block` by a sampled number of lanes, factors the lanes out
/// with rfactor and vectorises them: the block that was made sums vectors, `block` sums the lanes
/// at the end. Both are marked kScheduled. The partial block's handle is returned.
Result<s_tir::BlockRv> vectorize_reduction(s_tir::Schedule& schedule, s_tir::BlockRv block,
                                           const MachineHints& machine);

/// Splits the innermost loop by a sampled number of lanes and vectorises them; marks kScheduled.
Result<void> vectorize_elementwise(s_tir::Schedule& schedule, s_tir::BlockRv block,
                                   const MachineHints& machine);

/// A sampled choice, each as likely as the others.
Result<s_tir::ExprRv> sample_evenly(s_tir::Schedule& schedule, const std::vector<int64_t>& choices);

/// The only consumer of a block, when it computes element by element and so can take the block's
/// tiles while they are in cache: asked for before the block is tiled, moved under `tile` after it.
Result<std::optional<s_tir::BlockRv>> only_elementwise_consumer(s_tir::Schedule& schedule,
                                                                s_tir::BlockRv block);
Result<void> move_under_tile(s_tir::Schedule& schedule, s_tir::BlockRv consumer,
                             s_tir::LoopRv tile);

/// Decomposes the reduction at `loop`: its start becomes a block of its own, whose innermost loop is
/// vectorised.
Result<void> init_in_vectors(s_tir::Schedule& schedule, s_tir::BlockRv block, s_tir::LoopRv loop);

/// Elements of `bytes` in a vector register; 1 at the least.
int64_t vector_lanes(const MachineHints& machine, int bytes);
/// Lanes to choose from for elements of `bytes`: one to eight registers wide, at most `extent`.
std::vector<int64_t> lane_choices(const MachineHints& machine, int bytes, int64_t extent);

} // namespace temper::tuner
