#include "tuner/cost/cost_model.h"

#include "ir/support/random.h"
#include "ir/support/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace temper::tuner {
namespace {

class RandomModel final : public CostModel {
public:
  explicit RandomModel(uint64_t seed) : random_(seed) {}
  const char* name() const override { return "random"; }
  void update(std::span<const CostSample>) override {}
  std::vector<double> predict(std::span<const FeatureMatrix* const> candidates) override {
    std::vector<double> scores(candidates.size());
    for (double& score : scores)
      score = random_.uniform();
    return scores;
  }
  bool is_trained() const override { return false; }

private:
  Random random_;
};

/// Indices of the `count` largest values.
std::vector<size_t> largest(std::span<const double> values, size_t count) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return values[a] > values[b]; });
  order.resize(count);
  return order;
}

} // namespace

std::unique_ptr<CostModel> make_random_model(uint64_t seed) {
  return std::make_unique<RandomModel>(seed);
}

ModelQuality model_quality(std::span<const double> scores, std::span<const double> seconds) {
  TEMPER_CHECK(scores.size() == seconds.size(), "one score per measurement");
  ModelQuality quality;
  quality.candidates = static_cast<int>(scores.size());
  if (scores.size() < 2)
    return quality;
  std::vector<double> speeds;
  for (double value : seconds)
    speeds.push_back(std::isfinite(value) && value > 0 ? 1 / value : 0);
  quality.rank_correlation = rank_correlation(scores, speeds);
  const size_t quarter = std::max<size_t>(1, scores.size() / 4);
  const std::vector<size_t> chosen = largest(scores, quarter);
  const std::vector<size_t> best = largest(speeds, quarter);
  size_t hits = 0;
  for (size_t index : best)
    hits += static_cast<size_t>(std::count(chosen.begin(), chosen.end(), index));
  quality.top_recall = static_cast<double>(hits) / static_cast<double>(quarter);
  return quality;
}

} // namespace temper::tuner
