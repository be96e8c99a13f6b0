#include "engine/timing/sittings.h"

#include "ir/support/check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace temper::engine {
namespace {

constexpr double kLevel = 0.97;
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// Quantile of the normal distribution for 0.5 <= q < 1 (Abramowitz and Stegun 26.2.23, absolute
/// error below 4.5e-4).
double normal_quantile(double q) {
  const double t = std::sqrt(-2 * std::log(1 - q));
  return t - (2.515517 + 0.802853 * t + 0.010328 * t * t) /
                 (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t);
}

} // namespace

double student_quantile(double q, double freedom) {
  if (freedom < 1.5)
    return std::tan(std::acos(-1.0) * (q - 0.5));
  if (freedom < 2.5) {
    const double a = 2 * q - 1;
    return a * std::sqrt(2 / (1 - a * a));
  }
  // Cornish and Fisher's expansion around the normal quantile.
  const double z = normal_quantile(q);
  const double z2 = z * z;
  const double n = freedom;
  return z * (1 + (z2 + 1) / (4 * n) + ((5 * z2 + 16) * z2 + 3) / (96 * n * n) +
              (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * n * n * n));
}

size_t contender_at(size_t count, size_t round, size_t turn) {
  const bool mirrored = count % 2 == 1 && (round / count) % 2 == 1;
  const size_t at = mirrored ? count - 1 - turn : turn;
  // 0, n-1, 1, n-2, 2, ...: each difference between neighbours once (odd counts: with the mirror).
  const size_t zigzag = at % 2 == 0 ? at / 2 : count - 1 - at / 2;
  return (zigzag + round) % count;
}

double race_share(double most, size_t fewest, size_t done, double spent, double starting) {
  constexpr double kLeastShare = 1.0 / 3;
  const double share = most / static_cast<double>(fewest);
  const double left = (most - spent) / static_cast<double>(fewest - done);
  return std::clamp(left - starting, kLeastShare * share, share);
}

std::vector<bool> cannot_win(std::span<const std::vector<double>> medians) {
  size_t sittings = 0;
  for (const std::vector<double>& own : medians)
    sittings = std::max(sittings, own.size());
  std::vector<bool> out(medians.size(), false);
  if (sittings == 0)
    return out;
  const auto mean = [](const std::vector<double>& own) {
    return std::accumulate(own.begin(), own.end(), 0.0) / static_cast<double>(own.size());
  };
  const std::vector<double>* best = nullptr;
  for (const std::vector<double>& own : medians)
    if (own.size() == sittings && (best == nullptr || mean(own) < mean(*best)))
      best = &own;
  for (size_t i = 0; i < medians.size(); ++i) {
    if (medians[i].size() != sittings || &medians[i] == best)
      continue;
    std::vector<double> ratios;
    for (size_t s = 0; s < sittings; ++s)
      ratios.push_back(medians[i][s] / (*best)[s]);
    // Four spreads of one sitting leave one verdict in tens of thousands to chance; from a few
    // sittings on these say themselves how much they differ.
    constexpr double kSpreads = 4;
    const double margin = kSpreads * kSittingSpread / std::sqrt(static_cast<double>(sittings));
    out[i] = mean(ratios) > 1 + margin || (pool_sittings(ratios).interval.low > 1);
  }
  return out;
}

PooledRatio pool_sittings(std::span<const double> medians) {
  TEMPER_CHECK(!medians.empty(), "there is no ratio without a sitting");
  PooledRatio pooled;
  pooled.ratio = median(medians);
  if (medians.size() < kFewestForInterval) {
    pooled.interval = {kUnknown, kUnknown};
    return pooled;
  }
  const auto count = static_cast<double>(medians.size());
  double mean = 0;
  for (const double one : medians)
    mean += std::log(one) / count;
  double squares = 0;
  for (const double one : medians)
    squares += (std::log(one) - mean) * (std::log(one) - mean);
  const double half =
      student_quantile((1 + kLevel) / 2, count - 1) * std::sqrt(squares / (count - 1) / count);
  // Where few sittings lie far off, the median may be outside of the interval of the mean.
  pooled.interval = {std::min(std::exp(mean - half), pooled.ratio),
                     std::max(std::exp(mean + half), pooled.ratio)};
  return pooled;
}

} // namespace temper::engine
