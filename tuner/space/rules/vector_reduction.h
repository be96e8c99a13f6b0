/// Steps that several rules share: vector-wide reductions and elementwise loops.
#pragma once

#include "tuner/space/rule.h"

namespace temper::tuner {

/// Loop annotation: the order of this reduce loop is free (an rfactor made it), so its lanes may be
/// summed as a tree. Lowering turns such a loop into one horizontal vector operation.
inline constexpr const char* kReduceLanes = "temper.reduce_lanes";

/// Splits the (fused) reduce loops of `block` by a sampled number of lanes, factors the lanes out
/// with rfactor and vectorises them: the block that was made sums vectors, `block` sums the lanes
/// at the end. Both are marked kScheduled. The partial block's handle is returned.
Result<s_tir::BlockRv> vectorize_reduction(s_tir::Schedule& schedule, s_tir::BlockRv block,
                                           const MachineHints& machine);

/// Splits the innermost loop by a sampled number of lanes and vectorises them; marks kScheduled.
Result<void> vectorize_elementwise(s_tir::Schedule& schedule, s_tir::BlockRv block,
                                   const MachineHints& machine);

/// Lanes to choose from for elements of `bytes`: one to eight registers wide, at most `extent`.
std::vector<int64_t> lane_choices(const MachineHints& machine, int bytes, int64_t extent);

} // namespace temper::tuner
