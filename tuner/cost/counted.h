/// What hardware counters say of measured candidates, made a feature of all candidates. Counters
/// are there only of what was run and counted, and after its time is known; a model that learnt
/// from a candidate's own counters would learn what it never has when it is asked. So a candidate's
/// are those of the counted ones nearest to it, itself and its twins left out, whether it was
/// measured or not: training and asking see the same quantity. Where nothing is counted there is
/// nothing (NaN), which trees have a branch for.
///
///   block_M=128 stages=3   counted: tensor cores busy 71 %
///   block_M=128 stages=4   not counted: 68 %, of the four nearest, 0.4 away
#pragma once

#include "tuner/cost/features.h"

#include <array>
#include <span>
#include <string>
#include <vector>

namespace temper::tuner {

/// Shares of what the device gives (0 to 1), but for the last.
inline constexpr std::array kCountedNames = {
    "tensor cores busy", "memory busy", "issue slots used", "warps resident",
    "bank conflicts",    "L2 hits",     "cycles waited"};
inline constexpr size_t kCountedCount = kCountedNames.size();
/// Of one candidate, NaN where it was not counted.
using Counted = std::array<float, kCountedCount>;

/// kCountedNames of the neighbours, then how far the nearest is.
inline constexpr size_t kNeighbourFeatures = kCountedCount + 1;

class CountedNeighbours {
public:
  /// Fewer counted candidates say nothing of others.
  static constexpr size_t kFewest = 4;

  void add(const FeatureMatrix& features, const Counted& counted);
  bool is_known() const { return counted_.size() >= kFewest; }
  /// Means over the nearest four, weighted by nearness (distances of features, each in units of its
  /// spread among those counted).
  std::array<float, kNeighbourFeatures> of(const FeatureMatrix& features) const;

private:
  std::vector<std::vector<double>> places_; ///< kFeatureCount each: sums over the statements
  std::vector<Counted> counted_;
  std::vector<double> scale_; ///< 1 / spread; 0 of what is the same for all
};

/// Sums over the statements, kFeatureCount.
std::vector<double> feature_sums(const FeatureMatrix& features);

} // namespace temper::tuner
