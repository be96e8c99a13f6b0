#include "tuner/replay/replay.h"

#include <cmath>
#include <limits>

namespace temper::tuner {

Result<std::vector<size_t>> replay_run(const MeasuredTable& table, std::string_view strategy_name,
                                       uint64_t seed, size_t evaluations) {
  TEMPER_TRY(strategy, make_configuration_strategy(strategy_name, table.space));
  Random random(seed);
  std::vector<ConfigurationTrial> trials;
  std::vector<size_t> rows;
  while (rows.size() < evaluations) {
    const std::optional<size_t> row = strategy->propose(trials, random);
    if (!row)
      break;
    rows.push_back(*row);
    const double time_ms = table.times_ms[*row];
    trials.push_back(
        {*row, std::isfinite(time_ms) ? time_ms * 1e-3 : std::numeric_limits<double>::infinity()});
  }
  return rows;
}

std::vector<double> times_of(const MeasuredTable& table, const std::vector<size_t>& rows) {
  std::vector<double> times;
  for (size_t row : rows)
    times.push_back(table.times_ms[row]);
  return times;
}

} // namespace temper::tuner
