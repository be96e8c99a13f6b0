/// A part of a space: what can be reached from one candidate by changing its decisions, all but
/// those that are locked. So that a search goes on from a schedule that somebody made or found.
#pragma once

#include "tuner/space/space.h"

#include <memory>
#include <string>
#include <vector>

namespace temper::tuner {

/// `from`: the trace of the candidate, of the same workload as `whole`. `locks`: names of sampled
/// values as the trace calls them ("v5", or "l7" for the loop whose extent a value is); an error
/// names those that there are. `record` is for messages. Each candidate is post-processed anew;
/// steps that somebody took after post-processing are taken again after that, and a candidate that
/// does not allow them is not legal.
Result<std::unique_ptr<Space>> make_space_from(std::unique_ptr<Space> whole,
                                               const s_tir::Trace& from,
                                               const std::vector<std::string>& locks,
                                               const std::string& record);

/// The decisions of a trace as people name them: "v5", "v11, v12".
std::vector<std::string> decision_names(const s_tir::Trace& trace);

} // namespace temper::tuner
