#include "tuner/replay/score.h"

#include "ir/support/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace temper::tuner {
namespace {

constexpr double kCutoff = 0.95;
constexpr size_t kMinBudget = 20;
constexpr size_t kMaxBudget = 1000;

} // namespace

std::vector<double> random_baseline(std::vector<double> times, double goal, size_t at_least) {
  // With sorted times, E[min] = t[0] + the sum over i of (t[i] - t[i-1]) * P(no draw is among the i
  // fastest). The n-th draw multiplies that probability by (N - i - (n - 1)) / (N - (n - 1)).
  std::sort(times.begin(), times.end());
  const size_t size = times.size();
  std::vector<double> none_yet(size, 1.0);
  std::vector<double> baseline;
  size_t live = size; // from here on none_yet is zero
  bool reached = false;
  for (size_t drawn = 0; drawn < size; ++drawn) {
    double rest = 0;
    for (size_t i = 1; i < live; ++i) {
      const double left = static_cast<double>(size) - static_cast<double>(i + drawn);
      none_yet[i] *= std::max(left, 0.0) / static_cast<double>(size - drawn);
      rest += (times[i] - times[i - 1]) * none_yet[i];
    }
    while (live > 1 && none_yet[live - 1] == 0)
      --live;
    baseline.push_back(times[0] + rest);
    reached = reached || baseline.back() <= goal;
    if (reached && baseline.size() >= at_least)
      break;
  }
  return baseline;
}

Result<ScoredSpace> scored_space(const MeasuredTable& table) {
  std::vector<double> valid;
  for (double time : table.times_ms)
    if (std::isfinite(time))
      valid.push_back(time);
  if (valid.empty())
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("'{}' cannot be scored: no configuration is valid", table.name));
  ScoredSpace space;
  std::tie(space.best_ms, space.worst_ms) = [&] {
    const auto [low, high] = std::minmax_element(valid.begin(), valid.end());
    return std::pair(*low, *high);
  }();
  space.median_ms = median(valid);
  if (space.best_ms >= space.median_ms)
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("'{}' cannot be scored: its median time is its best", table.name));
  std::vector<double> times = table.times_ms;
  for (double& time : times)
    time = std::isfinite(time) ? time : space.worst_ms;
  const double goal = space.median_ms - kCutoff * (space.median_ms - space.best_ms);
  space.baseline = random_baseline(std::move(times), goal, kMaxBudget);
  const auto first = std::find_if(space.baseline.begin(), space.baseline.end(),
                                  [&](double expected) { return expected <= goal; });
  space.cutoff = static_cast<size_t>(first - space.baseline.begin()) + 1;
  space.budget =
      std::min({std::max(space.cutoff, kMinBudget), kMaxBudget, table.times_ms.size() - 1});
  return space;
}

RunScore score_run(const ScoredSpace& space, std::span<const double> times_ms) {
  RunScore run;
  run.reached.fill(std::numeric_limits<double>::infinity());
  double best = space.worst_ms;
  for (size_t n = 0; n < space.budget; ++n) {
    if (n < times_ms.size() && std::isfinite(times_ms[n]))
      best = std::min(best, times_ms[n]);
    run.score += (space.baseline[n] - best) / (space.baseline[n] - space.best_ms);
    for (size_t t = 0; t < kScoreTargets.size(); ++t)
      if (best <= space.best_ms * (1 + kScoreTargets[t]))
        run.reached[t] = std::min(run.reached[t], static_cast<double>(n + 1));
  }
  run.score /= static_cast<double>(space.budget);
  return run;
}

ScoreSummary summarise_scores(std::span<const RunScore> runs) {
  ScoreSummary summary;
  summary.runs = runs.size();
  if (runs.empty())
    return summary;
  const auto count = static_cast<double>(runs.size());
  for (const RunScore& run : runs)
    summary.mean += run.score / count;
  double squares = 0;
  for (const RunScore& run : runs)
    squares += (run.score - summary.mean) * (run.score - summary.mean);
  summary.half_width = std::numeric_limits<double>::quiet_NaN();
  if (const double freedom = count - 1; freedom >= 4) {
    // Student's t by its Cornish-Fisher expansion.
    const double z = 1.959964;
    const double z3 = z * z * z;
    const double t = z + (z3 + z) / (4 * freedom) +
                     (5 * z3 * z * z + 16 * z3 + 3 * z) / (96 * freedom * freedom);
    summary.half_width = t * std::sqrt(squares / freedom / count);
  }
  for (size_t t = 0; t < kScoreTargets.size(); ++t) {
    std::vector<double> reached;
    for (const RunScore& run : runs)
      reached.push_back(run.reached[t]);
    std::sort(reached.begin(), reached.end());
    summary.reached[t] = reached[(reached.size() - 1) / 2];
  }
  return summary;
}

} // namespace temper::tuner
