#include "ir/support/statistics.h"

#include "ir/support/check.h"
#include "ir/support/random.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace temper {
namespace {

double sorted_quantile(std::span<const double> sorted, double q) {
  if (sorted.empty())
    return std::numeric_limits<double>::quiet_NaN();
  const double position = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  const double part = position - static_cast<double>(below);
  return sorted[below] + (sorted[above] - sorted[below]) * part;
}

std::vector<double> sorted_copy(std::span<const double> samples) {
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

std::vector<double> mean_ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t x, size_t y) { return values[x] < values[y]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]])
      ++last;
    for (size_t i = first; i <= last; ++i)
      ranks[order[i]] = 0.5 * static_cast<double>(first + last);
    first = last + 1;
  }
  return ranks;
}

} // namespace

double quantile(std::span<const double> samples, double q) {
  return sorted_quantile(sorted_copy(samples), q);
}

double median_absolute_deviation(std::span<const double> samples) {
  const double middle = median(samples);
  std::vector<double> deviations;
  deviations.reserve(samples.size());
  for (double sample : samples)
    deviations.push_back(std::abs(sample - middle));
  return median(deviations);
}

Interval median_interval(std::span<const double> samples, double level) {
  if (samples.empty())
    return {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
  const std::vector<double> sorted = sorted_copy(samples);
  const auto n = static_cast<int>(sorted.size());
  // The largest k with P(Binomial(n, 1/2) < k) <= (1 - level) / 2: order statistics k and n-1-k.
  double term = std::pow(0.5, n);
  double tail = 0;
  int k = 0;
  while (k < n / 2 && tail + term <= (1 - level) / 2) {
    tail += term;
    term *= static_cast<double>(n - k) / (k + 1);
    ++k;
  }
  const int low = std::max(0, k - 1);
  return {sorted[static_cast<size_t>(low)], sorted[static_cast<size_t>(n - 1 - low)]};
}

Interval paired_ratio_interval(std::span<const double> a, std::span<const double> b, double level,
                               uint64_t seed, int resamples) {
  TEMPER_CHECK(a.size() == b.size(), "pairs have two sides");
  std::vector<double> ratios;
  for (size_t i = 0; i < a.size(); ++i)
    ratios.push_back(a[i] / b[i]);
  Random random(seed);
  std::vector<double> medians;
  std::vector<double> draw(ratios.size());
  for (int round = 0; round < resamples && !ratios.empty(); ++round) {
    for (double& value : draw)
      value = ratios[static_cast<size_t>(random.below(static_cast<int64_t>(ratios.size())))];
    medians.push_back(median(draw));
  }
  return {quantile(medians, (1 - level) / 2), quantile(medians, (1 + level) / 2)};
}

double rank_correlation(std::span<const double> a, std::span<const double> b) {
  TEMPER_CHECK(a.size() == b.size(), "pairs have two sides");
  const std::vector<double> x = mean_ranks(a);
  const std::vector<double> y = mean_ranks(b);
  const double mean = 0.5 * (static_cast<double>(x.size()) - 1);
  double xy = 0;
  double xx = 0;
  double yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

} // namespace temper
