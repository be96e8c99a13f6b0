/// Post-processing: the mechanical rest of a schedule, after all decisions are made. Its steps are
/// recorded in the trace after EnterPostproc, so that a stored trace is the whole program.
#pragma once

#include "tuner/space/rule.h"

namespace temper::tuner {

/// What the root block's annotations ask for (MetaSchedule's keys): loops to run in parallel, to
/// vectorise, to unroll. Then splits initialisation from update of every reduction. An error says
/// which step refused; the candidate is then not legal.
Result<void> postprocess(s_tir::Schedule& schedule, const MachineHints& machine);

/// Where a block still has its init, that becomes a block of its own in front of the first loop of
/// the reduction.
Result<void> decompose_reduction(s_tir::Schedule& schedule, s_tir::BlockRv block);

} // namespace temper::tuner
