/// Predicts which candidates are worth measuring. Scores are relative within a workload: larger is
/// faster. Learns from measured medians after every batch; never sees a candidate's name.
#pragma once

#include "tuner/cost/counted.h"
#include "tuner/cost/features.h"

#include "ir/support/result.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace temper::tuner {

/// One measured candidate. `seconds` <= 0 or not finite: it failed.
struct CostSample {
  FeatureMatrix features;
  double seconds = 0;
  std::optional<Counted> counted{}; ///< what hardware counters say of it
};

/// How well a model ranked candidates it had not seen.
struct ModelQuality {
  int candidates = 0;
  double rank_correlation = 0; ///< Spearman, of score against speed
  double top_recall = 0;       ///< of the best quarter, the share among the best-scored quarter
};

class CostModel {
public:
  virtual ~CostModel() = default;
  virtual const char* name() const = 0;
  /// Adds measured candidates and trains.
  virtual void update(std::span<const CostSample> samples) = 0;
  /// One score per candidate.
  virtual std::vector<double> predict(std::span<const FeatureMatrix* const> candidates) = 0;
  /// What each feature adds to each candidate's score (Shapley values, summed over the statements):
  /// kFeatureCount numbers, and kNeighbourFeatures more where counters are among what it learnt
  /// from (tuner/cost/counted.h); their sum differs from the score by the same for all candidates
  /// of as many statements. Empty where the model cannot say.
  virtual std::vector<std::vector<double>>
  contributions(std::span<const FeatureMatrix* const> candidates) {
    (void)candidates;
    return {};
  }
  /// False until the model has learnt from something; callers then choose at random.
  virtual bool is_trained() const = 0;
  virtual std::string save() const { return {}; }
};

/// Ranks by chance: the baseline that every model must beat.
std::unique_ptr<CostModel> make_random_model(uint64_t seed);

struct XgboostOptions {
  int max_depth = 6;
  double learning_rate = 0.2;
  int rounds = 60; ///< boosting rounds of a full training
  uint64_t seed = 43;
};
/// Gradient-boosted trees (XGBoost, histogram method, one thread) over per-store features with
/// Ansor's pack-sum objective: a candidate's score is the sum over its statements, the label is
/// best / seconds in [0, 1], and good candidates weigh more. Retrained after every batch.
Result<std::unique_ptr<CostModel>> make_xgboost_model(const XgboostOptions& options = {});

/// `scores` against measured seconds (failures count as slowest).
ModelQuality model_quality(std::span<const double> scores, std::span<const double> seconds);

} // namespace temper::tuner
