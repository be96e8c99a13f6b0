/// Runs a strategy on a measured table: what it proposes is answered with the stored time, so that
/// searches are compared on any machine, without the device, in seconds.
#pragma once

#include "tuner/replay/score.h"
#include "tuner/search/configuration_strategy.h"

#include <string>
#include <vector>

namespace temper::tuner {

/// One run from one seed: the rows in the order of evaluation, at most `evaluations`. Runs share
/// nothing: the strategy is made for the run, and sees only the table's rows and the times it asked
/// for.
Result<std::vector<size_t>> replay_run(const MeasuredTable& table, std::string_view strategy,
                                       uint64_t seed, size_t evaluations);

/// The times of `rows`, for score_run.
std::vector<double> times_of(const MeasuredTable& table, const std::vector<size_t>& rows);

} // namespace temper::tuner
