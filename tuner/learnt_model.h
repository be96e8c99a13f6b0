/// A cost model that has learnt from all that was measured of a kernel, asked what it makes of some
/// of its candidates: scores, and what each group of features adds to them (XGBoost's Shapley
/// values). What `temper session` answers to "model", and a part of "why". Runs nothing.
///
///   TEMPER_TRY(model, LearntModel::learn(store, task, rows));
///   for (const ModelTerm& term : model.terms(model.average(), model.asked(0))) ...
#pragma once

#include "database/query.h"
#include "database/store.h"
#include "ir/support/json.h"
#include "tuner/cost/cost_model.h"
#include "tuner/workbench.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace temper::tuner {

/// What a group of features adds to one score over another.
struct ModelTerm {
  std::string what; ///< "data touched"
  double change = 0;
  /// The features that change most in it, as the model knows them: "B1.unique_lines", with what
  /// they are in A and B (sums over the statements of log2(x + 1)).
  struct Feature {
    std::string name;
    double change = 0;
    double a = 0;
    double b = 0;
  };
  std::vector<Feature> features;
};

class LearntModel {
public:
  /// From every candidate that was measured as the first of `rows` was: same workload, machine,
  /// threads and caches; those of `rows` are among them. kUnsupported: too few, or none of that
  /// kind.
  static Result<LearntModel> learn(database::Store& store, const Task& task,
                                   std::span<const database::RecordRow> rows);

  /// One candidate, or the mean of many.
  struct Seen {
    double score = 0;
    std::vector<double> features; ///< kFeatureCount, summed over the statements
    /// Likewise, and of what counters say of neighbours (tuner/cost/counted.h) at the end, 0 where
    /// there are none; their sum differs from the score by a constant.
    std::vector<double> contributions;
  };
  const Seen& asked(size_t row) const { return asked_[row]; }
  const Seen& average() const { return average_; } ///< of all that it learnt from
  int learnt_from() const { return learnt_from_; }
  double rank_correlation() const { return rank_correlation_; } ///< with all that it has seen
  double best_seconds() const { return best_seconds_; }
  /// Of those that it learnt from: how many it scores above, and how many are faster than that.
  int scored_above(double score) const;
  int faster_than(double seconds) const;

  /// What speaks for B over A, the largest change first.
  std::vector<ModelTerm> terms(const Seen& a, const Seen& b) const;
  CostModel& model() const { return *model_; }

private:
  std::unique_ptr<CostModel> model_;
  std::vector<Seen> asked_;
  Seen average_;
  std::vector<double> scores_, seconds_; ///< of all that it learnt from
  std::vector<std::string> names_;       ///< of the features
  bool knobs_ = false;                   ///< they are a tile program's
  int learnt_from_ = 0;
  double rank_correlation_ = 0;
  double best_seconds_ = 0;
};

/// What the model makes of one record.
struct ModelOpinion {
  int learnt_from = 0;
  double rank_correlation = 0;
  double score = 0;
  double speed = 0;             ///< what was measured, as the model counts: 1 is the fastest
  double average_score = 0;     ///< of all that it learnt from
  int place_by_score = 1;       ///< 1: nothing has a higher one
  int place_by_time = 1;        ///< 1: nothing is faster
  std::vector<ModelTerm> terms; ///< what it adds to the average one's score
};
/// The error says why there is none: without a time, too few alike, a program of another kind.
Result<ModelOpinion> model_opinion(Workbench& bench, const database::RecordRow& row);

Json to_json(const std::vector<ModelTerm>& terms);
Json to_json(const ModelOpinion& opinion);

} // namespace temper::tuner
