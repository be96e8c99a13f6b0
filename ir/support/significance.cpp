#include "ir/support/significance.h"

#include "ir/support/random.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace temper {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> sorted_and_thinned(std::span<const double> samples) {
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  if (sorted.size() <= kMostResampled)
    return sorted;
  std::vector<double> thin(kMostResampled);
  for (size_t i = 0; i < thin.size(); ++i) // the middles of equal parts
    thin[i] = sorted[(2 * i + 1) * sorted.size() / (2 * thin.size())];
  return thin;
}

/// Median of as many draws with replacement. `sorted` is, so that a draw is counted by its rank
/// instead of being sorted again.
double resampled_median(const std::vector<double>& sorted, Random& random,
                        std::vector<int>& counts) {
  const auto size = static_cast<int>(sorted.size());
  counts.assign(sorted.size(), 0);
  for (int i = 0; i < size; ++i)
    ++counts[static_cast<size_t>(random.below(size))];
  const auto ranked = [&](int rank) { // from 0
    int seen = 0;
    for (size_t i = 0; i < counts.size(); ++i)
      if ((seen += counts[i]) > rank)
        return sorted[i];
    return sorted.back();
  };
  return size % 2 == 1 ? ranked(size / 2) : 0.5 * (ranked(size / 2 - 1) + ranked(size / 2));
}

/// P(U <= u) of the rank sum statistic without ties: the share of the orders of m and n samples in
/// which at most u pairs are inverted.
double exact_tail(int m, int n, int u) {
  // ways[i][v]: orders of i samples of one side among the j of the other so far with v inversions,
  // by ways(i, j, v) = ways(i - 1, j, v - j) + ways(i, j - 1, v).
  const auto width = static_cast<size_t>(m * n + 1);
  std::vector<std::vector<double>> ways(static_cast<size_t>(m + 1), std::vector<double>(width, 0));
  for (auto& row : ways)
    row[0] = 1; // j = 0
  for (int j = 1; j <= n; ++j)
    for (int i = 1; i <= m; ++i)
      for (int v = i * j; v >= 0; --v) {
        const auto at = static_cast<size_t>(v);
        ways[static_cast<size_t>(i)][at] +=
            v >= j ? ways[static_cast<size_t>(i - 1)][at - static_cast<size_t>(j)] : 0;
      }
  const std::vector<double>& last = ways[static_cast<size_t>(m)];
  const double all = std::accumulate(last.begin(), last.end(), 0.0);
  return std::accumulate(last.begin(), last.begin() + std::min(u, m * n) + 1, 0.0) / all;
}

} // namespace

std::vector<double> log_ratio_draws(std::span<const double> a, std::span<const double> b,
                                    uint64_t seed, int draws) {
  const std::vector<double> first = sorted_and_thinned(a);
  const std::vector<double> second = sorted_and_thinned(b);
  std::vector<double> logs;
  if (first.empty() || second.empty() || !(first[0] > 0) || !(second[0] > 0))
    return logs;
  Random random(seed);
  std::vector<int> counts;
  logs.reserve(static_cast<size_t>(draws));
  for (int i = 0; i < draws; ++i) {
    const double above = resampled_median(first, random, counts);
    logs.push_back(std::log(above / resampled_median(second, random, counts)));
  }
  return logs;
}

Interval ratio_interval(std::span<const double> draws, double level) {
  if (draws.empty())
    return {kNan, kNan};
  return {std::exp(quantile(draws, (1 - level) / 2)), std::exp(quantile(draws, (1 + level) / 2))};
}

double rank_sum_p_value(std::span<const double> a, std::span<const double> b) {
  if (a.empty() || b.empty())
    return 1;
  struct Sample {
    double value;
    bool first;
  };
  std::vector<Sample> samples;
  for (const double value : a)
    samples.push_back({value, true});
  for (const double value : b)
    samples.push_back({value, false});
  std::sort(samples.begin(), samples.end(),
            [](const Sample& x, const Sample& y) { return x.value < y.value; });
  const auto m = static_cast<double>(a.size());
  const auto n = static_cast<double>(b.size());
  double rank_sum = 0; // of a, with mean ranks for ties
  double ties = 0;     // sum of t^3 - t
  for (size_t begin = 0; begin < samples.size();) {
    size_t end = begin + 1;
    while (end < samples.size() && samples[end].value == samples[begin].value)
      ++end;
    const double mean_rank = 0.5 * static_cast<double>(begin + 1 + end);
    for (size_t i = begin; i < end; ++i)
      rank_sum += samples[i].first ? mean_rank : 0;
    const auto size = static_cast<double>(end - begin);
    ties += size * size * size - size;
    begin = end;
  }
  const double u = rank_sum - m * (m + 1) / 2;
  const double smaller = std::min(u, m * n - u);
  constexpr size_t kExact = 40; // samples of both sides
  if (ties == 0 && samples.size() <= kExact)
    return std::min(1.0, 2 * exact_tail(static_cast<int>(m), static_cast<int>(n),
                                        static_cast<int>(std::lround(smaller))));
  const double all = m + n;
  const double variance = m * n / 12 * (all + 1 - ties / (all * (all - 1)));
  if (!(variance > 0)) // every sample is the same
    return 1;
  const double z = std::max(0.0, m * n / 2 - smaller - 0.5) / std::sqrt(variance);
  return std::erfc(z / std::sqrt(2.0));
}

std::vector<double> holm_adjusted(std::span<const double> p_values) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t x, size_t y) { return p_values[x] < p_values[y]; });
  std::vector<double> adjusted(p_values.size());
  double largest = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const double scaled = p_values[order[i]] * static_cast<double>(order.size() - i);
    largest = std::max(largest, std::min(1.0, scaled));
    adjusted[order[i]] = largest;
  }
  return adjusted;
}

double geometric_mean(std::span<const double> values) {
  if (values.empty())
    return kNan;
  double sum = 0;
  for (const double value : values)
    sum += std::log(value);
  return std::exp(sum / static_cast<double>(values.size()));
}

} // namespace temper
