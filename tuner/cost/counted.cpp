#include "tuner/cost/counted.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace temper::tuner {

std::vector<double> feature_sums(const FeatureMatrix& features) {
  std::vector<double> sums(kFeatureCount, 0.0);
  for (int row = 0; row < features.rows; ++row)
    for (size_t i = 0; i < sums.size(); ++i)
      sums[i] += static_cast<double>(features.row(row)[i]);
  return sums;
}

void CountedNeighbours::add(const FeatureMatrix& features, const Counted& counted) {
  if (features.rows == 0 || std::none_of(counted.begin(), counted.end(),
                                         [](float value) { return std::isfinite(value); }))
    return;
  std::vector<double> place = feature_sums(features);
  if (const auto known = std::find(places_.begin(), places_.end(), place);
      known != places_.end()) { // counted again: what is new counts
    Counted& before = counted_[static_cast<size_t>(known - places_.begin())];
    for (size_t c = 0; c < kCountedCount; ++c)
      if (std::isfinite(counted[c]))
        before[c] = counted[c];
    return;
  }
  places_.push_back(std::move(place));
  counted_.push_back(counted);
  scale_.assign(kFeatureCount, 0.0);
  const auto count = static_cast<double>(places_.size());
  for (size_t i = 0; i < scale_.size(); ++i) {
    double mean = 0, squares = 0;
    for (const std::vector<double>& place : places_)
      mean += place[i] / count;
    for (const std::vector<double>& place : places_)
      squares += (place[i] - mean) * (place[i] - mean) / count;
    if (squares > 1e-12)
      scale_[i] = 1 / std::sqrt(squares);
  }
}

std::array<float, kNeighbourFeatures> CountedNeighbours::of(const FeatureMatrix& features) const {
  constexpr size_t kNearest = 4;
  constexpr double kItself = 1e-6;
  std::array<float, kNeighbourFeatures> result;
  result.fill(std::numeric_limits<float>::quiet_NaN());
  if (!is_known())
    return result;
  const std::vector<double> place = feature_sums(features);
  std::vector<std::pair<double, size_t>> others; // by distance
  for (size_t at = 0; at < places_.size(); ++at) {
    double squares = 0;
    for (size_t i = 0; i < place.size(); ++i) {
      const double apart = (place[i] - places_[at][i]) * scale_[i];
      squares += apart * apart;
    }
    if (squares > kItself)
      others.emplace_back(std::sqrt(squares), at);
  }
  std::sort(others.begin(), others.end());
  for (size_t c = 0; c < kCountedCount; ++c) {
    double sum = 0, weights = 0;
    size_t taken = 0;
    for (const auto& [distance, at] : others) {
      if (!std::isfinite(counted_[at][c]))
        continue; // counted with another set
      sum += static_cast<double>(counted_[at][c]) / distance;
      weights += 1 / distance;
      if (++taken == kNearest)
        break;
    }
    if (taken > 0)
      result[c] = static_cast<float>(sum / weights);
  }
  if (!others.empty())
    result[kCountedCount] = static_cast<float>(others.front().first);
  return result;
}

} // namespace temper::tuner
