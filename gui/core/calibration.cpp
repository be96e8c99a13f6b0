#include "gui/core/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace temper::gui {

namespace {
constexpr size_t kFewestInBin = 5;
constexpr size_t kMostBins = 10;

/// By linear interpolation, of sorted numbers.
double quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}
} // namespace

Calibration calibrationOf(std::span<const double> scores, std::span<const double> ns,
                          std::span<const uint8_t> only) {
  Calibration result;
  double fastest = std::numeric_limits<double>::infinity();
  std::vector<size_t> order;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (ns[i] > 0)
      fastest = std::min(fastest, ns[i]);
    if (!std::isnan(scores[i]) && (only.empty() || only[i] != 0))
      order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  result.predictions = static_cast<int64_t>(order.size());
  const auto speedOf = [&](size_t i) { return ns[i] > 0 ? fastest / ns[i] : 0.0; };
  for (const size_t i : order) {
    result.failed += ns[i] > 0 ? 0 : 1;
    result.bias += (scores[i] - speedOf(i)) / static_cast<double>(order.size());
  }
  const size_t bins = std::min(kMostBins, order.size() / kFewestInBin);
  if (bins < 2 || std::isinf(fastest))
    return result;
  for (size_t number = 0; number < bins; ++number) {
    const size_t from = number * order.size() / bins, to = (number + 1) * order.size() / bins;
    CalibrationBin bin;
    bin.count = static_cast<int64_t>(to - from);
    bin.lowScore = scores[order[from]];
    bin.highScore = scores[order[to - 1]];
    std::vector<double> speeds;
    for (size_t i = from; i < to; ++i) {
      speeds.push_back(speedOf(order[i]));
      bin.predicted += scores[order[i]] / static_cast<double>(bin.count);
      bin.measured += speeds.back() / static_cast<double>(bin.count);
      bin.failed += ns[order[i]] > 0 ? 0 : 1;
    }
    std::sort(speeds.begin(), speeds.end());
    bin.lowQuarter = quantile(speeds, 0.25);
    bin.highQuarter = quantile(speeds, 0.75);
    result.error += std::abs(bin.predicted - bin.measured) / static_cast<double>(bins);
    result.bins.push_back(bin);
  }
  return result;
}

} // namespace temper::gui
