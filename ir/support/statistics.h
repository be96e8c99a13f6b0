/// Order statistics and intervals of measured samples. No clock here: tested on plain numbers.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

namespace temper {

/// The q-quantile, 0 <= q <= 1, by linear interpolation; NaN when empty. Does not need order.
double quantile(std::span<const double> samples, double q);
inline double median(std::span<const double> samples) { return quantile(samples, 0.5); }
/// Median absolute deviation from the median.
double median_absolute_deviation(std::span<const double> samples);

struct Interval {
  double low = 0;
  double high = 0;
};

/// Confidence interval of the median from order statistics (binomial; no distribution assumed).
/// With too few samples for the level it is [min, max].
Interval median_interval(std::span<const double> samples, double level = 0.95);

/// Percentile bootstrap interval of median(a[i] / b[i]) over pairs; a and b have equal sizes.
Interval paired_ratio_interval(std::span<const double> a, std::span<const double> b,
                               double level = 0.95, uint64_t seed = 1, int resamples = 1000);

/// Spearman rank correlation with mean ranks for ties; 0 when either side is constant.
double rank_correlation(std::span<const double> a, std::span<const double> b);

} // namespace temper
