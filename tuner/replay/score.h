/// How well searches do on a measured table, by evaluations. With B(n) the expected best of n
/// random evaluations without replacement (exact, from order statistics) and F(n) the best a run
/// found in its first n, P(n) = (B(n) - F(n)) / (B(n) - best): 0 is random search, 1 the optimum
/// from the first evaluation on. A run's score is the mean of P(n) for n = 1 .. budget. Failed
/// configurations count as evaluations; until the first valid one F is the slowest valid time, in
/// the baseline as well. (The methodology of the Autotuning Association, with evaluations in place
/// of time.) Pure functions on numbers.
#pragma once

#include "ir/support/result.h"
#include "tuner/replay/measured_table.h"

#include <array>
#include <span>
#include <vector>

namespace temper::tuner {

/// What scores of one table need.
struct ScoredSpace {
  double best_ms = 0;
  double median_ms = 0; ///< of the valid times
  double worst_ms = 0;
  /// The first n at which the baseline has come 95 % of the way from the median to the best.
  size_t cutoff = 0;
  /// Evaluations of a run that count: the cut-off, but 20 to 1,000, and less than the space.
  size_t budget = 0;
  std::vector<double> baseline; ///< B(1), B(2), ...: at least up to the budget
};

/// B(1) .. B(N) for N times, all finite; after `goal` was reached, not beyond B(at_least).
std::vector<double> random_baseline(std::vector<double> times, double goal = -1,
                                    size_t at_least = SIZE_MAX);

/// An error when nothing can be scored: no valid time, or the median is no slower than the best.
Result<ScoredSpace> scored_space(const MeasuredTable& table);

/// "Within this fraction of the best."
inline constexpr std::array<double, 3> kScoreTargets{0.10, 0.05, 0.01};

struct RunScore {
  double score = 0;
  /// Evaluations until within each of kScoreTargets; infinite when not within the budget.
  std::array<double, 3> reached{};
};

/// `times_ms` of a run's distinct evaluations in order, NaN where failed; what is beyond the budget
/// is ignored, and a run that ends early keeps its best to the end.
RunScore score_run(const ScoredSpace& space, std::span<const double> times_ms);

struct ScoreSummary {
  size_t runs = 0;
  double mean = 0;
  double half_width = 0; ///< of the 95 % Student interval of the mean; NaN below 5 runs
  /// Medians of RunScore::reached, the lower middle of an even count.
  std::array<double, 3> reached{};
};

ScoreSummary summarise_scores(std::span<const RunScore> runs);

} // namespace temper::tuner
