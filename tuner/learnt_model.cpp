#include "tuner/learnt_model.h"

#include "codegen/lower_gpu.h"
#include "ir/s_tir/packs.h"
#include "ir/s_tir/schedule.h"
#include "ir/s_tir/trace_json.h"
#include "ir/support/parallel.h"
#include "tuner/gpu_counters.h"
#include "tuner/space/knob_space.h"
#include "tuner/space/space.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace temper::tuner {
namespace {

/// More teach the model little, and somebody waits.
constexpr size_t kMostSamples = 1200;

/// The groups of features.h, in words.
const char* group_of(size_t feature) {
  constexpr size_t kBuffers = 57;
  constexpr size_t kCurve = kBuffers + 18 * kBuffersPerStore;
  if (feature < 16)
    return "arithmetic";
  if (feature < 27)
    return "vectorised loops";
  if (feature < 38)
    return "unrolled loops";
  if (feature < 49)
    return "parallel loops";
  if (feature < kBuffers)
    return "threads of a GPU";
  if (feature < kCurve) {
    const size_t of_buffer = (feature - kBuffers) % 18;
    return of_buffer < 3    ? "reads and writes"
           : of_buffer < 7  ? "data touched"
           : of_buffer < 13 ? "reuse of data"
           : of_buffer < 17 ? "data moved for each reuse"
                            : "strides";
  }
  if (feature < kCurve + kCurvePoints)
    return "operations per byte";
  if (feature < kCurve + kCurvePoints + 4)
    return "size of what is written";
  return "number and length of loops";
}

/// `space` makes those of tile programs; null: the program is scheduled by blocks and loops.
Result<FeatureMatrix> features_of(const Task& task, const Space* space,
                                  const std::string& program) {
  TEMPER_TRY(trace, s_tir::trace_from_json_text(program));
  if (space) {
    if (trace.empty())
      return space->untuned()->features;
    TEMPER_TRY(candidate, space->apply(trace, ""));
    return candidate->features;
  }
  s_tir::Schedule schedule(task.module, 0);
  schedule.set_render_errors(false);
  TEMPER_TRY_VOID(schedule.apply(trace, {}));
  TEMPER_TRY(kernel, s_tir::split_packs(schedule.module()));
  const auto function = kernel->functions.front().function.as_ref<ir::PrimFuncNode>();
  if (!function)
    return Error(ErrorCode::kUnsupported, "it is no prim_func");
  return extract_features(function);
}

/// Of a model's features that come behind those of programs.
constexpr const char* kNeighbours = "counters of its neighbours";

} // namespace

Result<LearntModel> LearntModel::learn(database::Store& store, const Task& task,
                                       std::span<const database::RecordRow> rows) {
  LearntModel learnt;
  learnt.knobs_ = is_knob_program(task.module);
  std::unique_ptr<Space> space; // makes features of tile programs
  if (learnt.knobs_) {
    TEMPER_TRY(made, space_of(task));
    space = std::move(made);
  }

  // All that was measured alike; one of several measurements of a candidate.
  std::map<database::Id, database::MeasuredProgram> measured;
  const database::RecordRow& first = rows.front();
  TEMPER_TRY_VOID(
      store.measured_programs(first.workload, [&](const database::MeasuredProgram& program) {
        if (program.environment_class == first.environment_class &&
            program.threads == first.threads && program.regime == first.regime &&
            program.median_ns > 0) {
          // Of several the latest, with the latest counters.
          database::MeasuredProgram& known = measured[program.candidate];
          std::string counters = std::move(known.counters_json);
          known = program;
          if (counters_of(known.counters_json).empty())
            known.counters_json = std::move(counters);
        }
        return true;
      }));
  s_tir::Trace trace; // of any of the rows
  for (const database::RecordRow& row : rows) {
    TEMPER_TRY(candidate, store.candidate(row.candidate));
    database::MeasuredProgram& own = measured[row.candidate];
    own.program = candidate.program;
    own.median_ns = row.median_ns;
    if (trace.empty()) {
      TEMPER_TRY(parsed, s_tir::trace_from_json_text(candidate.program));
      trace = std::move(parsed);
    }
  }
  std::vector<const database::MeasuredProgram*> programs;
  for (const auto& [candidate, program] : measured)
    programs.push_back(&program);
  // Every n-th of many; ids are random.
  if (programs.size() > kMostSamples)
    programs.resize(kMostSamples);
  for (const database::RecordRow& row : rows)
    if (const auto* own = &measured[row.candidate];
        std::find(programs.begin(), programs.end(), own) == programs.end())
      programs.push_back(own);

  std::vector<CostSample> samples(programs.size());
  const auto gpu = codegen::gpu_limits(task.target);
  // A space belongs to one thread.
  parallel_for(programs.size(), space ? programs.size() + 1 : 1, [&](size_t at) {
    if (auto features = features_of(task, space.get(), programs[at]->program))
      samples[at] = {std::move(*features), programs[at]->median_ns * 1e-9,
                     gpu ? counted_of(counters_of(programs[at]->counters_json), gpu->architecture)
                         : std::nullopt};
  });
  std::vector<FeatureMatrix> own;
  for (const database::RecordRow& row : rows) {
    const auto at = std::ranges::find(programs, &measured[row.candidate]) - programs.begin();
    own.push_back(samples[static_cast<size_t>(at)].features);
    if (own.back().rows == 0)
      return Error(ErrorCode::kFailed, rows.size() == 1 ? "its program cannot be made again"
                                                        : "their programs cannot be made again");
  }
  std::erase_if(samples, [](const CostSample& sample) { return sample.features.rows == 0; });
  constexpr size_t kFewest = 12;
  if (samples.size() < kFewest)
    return Error(ErrorCode::kUnsupported,
                 fmt::format("only {} candidates were measured alike, too few to learn from",
                             samples.size()));
  TEMPER_TRY(model, make_xgboost_model());
  model->update(samples);
  if (!model->is_trained())
    return Error(ErrorCode::kFailed, "it could not be trained");
  learnt.model_ = std::move(model);
  learnt.learnt_from_ = static_cast<int>(samples.size());
  learnt.names_ = learnt.knobs_ ? knob_feature_names(trace) : feature_names();
  std::vector<const FeatureMatrix*> all;
  for (const CostSample& sample : samples) {
    all.push_back(&sample.features);
    learnt.seconds_.push_back(sample.seconds);
  }
  learnt.best_seconds_ = *std::ranges::min_element(learnt.seconds_);
  learnt.scores_ = learnt.model_->predict(all);
  learnt.rank_correlation_ = model_quality(learnt.scores_, learnt.seconds_).rank_correlation;

  const auto see = [&](std::span<const FeatureMatrix* const> candidates) {
    Seen mean;
    mean.features.assign(kFeatureCount, 0.0);
    mean.contributions.assign(kFeatureCount + kNeighbourFeatures, 0.0);
    const double part = 1 / static_cast<double>(candidates.size());
    for (const double score : learnt.model_->predict(candidates))
      mean.score += part * score;
    const auto contributions = learnt.model_->contributions(candidates);
    for (size_t at = 0; at < candidates.size(); ++at) {
      const std::vector<double> sums = feature_sums(*candidates[at]);
      for (size_t i = 0; i < sums.size(); ++i)
        mean.features[i] += part * sums[i];
      if (at < contributions.size())
        for (size_t i = 0; i < contributions[at].size(); ++i)
          mean.contributions[i] += part * contributions[at][i];
    }
    return mean;
  };
  for (const FeatureMatrix& features : own) {
    const FeatureMatrix* one = &features;
    learnt.asked_.push_back(see(std::span(&one, 1)));
  }
  learnt.average_ = see(all);
  return learnt;
}

int LearntModel::scored_above(double score) const {
  return static_cast<int>(
      std::ranges::count_if(scores_, [&](double other) { return other > score; }));
}

int LearntModel::faster_than(double seconds) const {
  return static_cast<int>(
      std::ranges::count_if(seconds_, [&](double other) { return other < seconds; }));
}

std::vector<ModelTerm> LearntModel::terms(const Seen& a, const Seen& b) const {
  std::map<std::string, ModelTerm> groups;
  for (size_t i = 0; i < kFeatureCount; ++i) {
    const double change = b.contributions[i] - a.contributions[i];
    if (std::abs(change) < 1e-6)
      continue;
    const char* const group = knobs_ ? knob_feature_group(i) : group_of(i);
    ModelTerm& term = groups[group];
    term.what = group;
    term.change += change;
    term.features.push_back({names_[i], change, a.features[i], b.features[i]});
  }
  ModelTerm neighbours{kNeighbours, 0, {}};
  for (size_t i = kFeatureCount; i < b.contributions.size(); ++i)
    neighbours.change += b.contributions[i] - a.contributions[i];
  if (std::abs(neighbours.change) >= 1e-6)
    groups[kNeighbours] = std::move(neighbours);
  std::vector<ModelTerm> terms;
  for (auto& [what, term] : groups) {
    std::ranges::sort(term.features, std::greater<>(),
                      [](const auto& feature) { return std::abs(feature.change); });
    constexpr size_t kMost = 4;
    term.features.resize(std::min(term.features.size(), kMost));
    terms.push_back(std::move(term));
  }
  std::ranges::sort(terms, std::greater<>(),
                    [](const ModelTerm& term) { return std::abs(term.change); });
  return terms;
}

Result<ModelOpinion> model_opinion(Workbench& bench, const database::RecordRow& row) {
  if (!(row.median_ns > 0))
    return Error(ErrorCode::kUnsupported, "it has no time to be held against a score");
  TEMPER_TRY(store, bench.store());
  TEMPER_TRY(workload, store->workload(row.workload));
  bench.retarget(row.target.substr(0, row.target.find(' ')), row.threads);
  TEMPER_TRY(task, bench.task(workload));
  TEMPER_TRY(model, LearntModel::learn(*store, task, std::span(&row, 1)));
  ModelOpinion opinion;
  opinion.learnt_from = model.learnt_from();
  opinion.rank_correlation = model.rank_correlation();
  opinion.score = model.asked(0).score;
  opinion.speed = model.best_seconds() / (row.median_ns * 1e-9);
  opinion.average_score = model.average().score;
  opinion.place_by_score = 1 + model.scored_above(opinion.score);
  opinion.place_by_time = 1 + model.faster_than(row.median_ns * 1e-9);
  opinion.terms = model.terms(model.average(), model.asked(0));
  // What the model gives to every statement is no feature's.
  double rest = opinion.score - opinion.average_score;
  for (const ModelTerm& term : opinion.terms)
    rest -= term.change;
  constexpr double kNothing = 1e-4;
  if (std::abs(rest) > kNothing)
    opinion.terms.insert(std::ranges::find_if(opinion.terms,
                                              [&](const ModelTerm& term) {
                                                return std::abs(term.change) < std::abs(rest);
                                              }),
                         ModelTerm{"number of statements", rest, {}});
  return opinion;
}

Json to_json(const std::vector<ModelTerm>& terms) {
  Json list = Json::array();
  for (const ModelTerm& term : terms) {
    Json features = Json::array();
    for (const ModelTerm::Feature& feature : term.features)
      features.push_back(Json{
          {"name", feature.name}, {"change", feature.change}, {"a", feature.a}, {"b", feature.b}});
    list.push_back(
        Json{{"what", term.what}, {"change", term.change}, {"features", std::move(features)}});
  }
  return list;
}

Json to_json(const ModelOpinion& opinion) {
  return Json{{"learnt_from", opinion.learnt_from},
              {"rank_correlation", opinion.rank_correlation},
              {"score", opinion.score},
              {"speed", opinion.speed},
              {"average_score", opinion.average_score},
              {"place_by_score", opinion.place_by_score},
              {"place_by_time", opinion.place_by_time},
              {"terms", to_json(opinion.terms)}};
}

} // namespace temper::tuner
