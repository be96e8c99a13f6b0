#include "tuner/why_faster.h"

#include "ir/s_tir/packs.h"
#include "ir/s_tir/schedule.h"
#include "ir/s_tir/trace_json.h"
#include "ir/support/parallel.h"
#include "ir/support/text.h"
#include "tuner/explain.h"
#include "tuner/hand_tuning.h"
#include "tuner/limits.h"
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

class Asking {
public:
  Asking(Workbench& bench, const database::RecordRow& a, const database::RecordRow& b)
      : bench_(bench), rows_{a, b} {}

  Result<WhyFaster> answer() {
    refuse();
    if (!why_.refused.empty())
      return why_;
    why_.ratio = rows_[1].median_ns / rows_[0].median_ns;
    TEMPER_TRY(store, bench_.store());
    store_ = store;
    for (size_t side : {0u, 1u}) {
      TEMPER_TRY(candidate, store_->candidate(rows_[side].candidate));
      candidates_[side] = std::move(candidate);
      TEMPER_TRY(measurement, store_->measurement(rows_[side].id));
      measurements_[side] = std::move(measurement);
    }
    note(compare_decisions(), "what they decided");
    note(make_changes(), "each change by itself");
    note(ask_model(), "what a model makes of it");
    compare_code();
    compare_counters();
    return why_;
  }

private:
  void note(Result<void> done, const char* what) {
    if (!done)
      why_.unknown.push_back(fmt::format("{}: {}", what, done.error().message));
  }

  void refuse() {
    const database::RecordRow &a = rows_[0], &b = rows_[1];
    if (a.workload != b.workload)
      why_.refused = "they compute different things";
    else if (a.environment_class != b.environment_class)
      why_.refused = fmt::format("they were measured on different machines ({}; {})",
                                 a.environment_class, b.environment_class);
    else if (a.regime != b.regime)
      why_.refused = "one was timed with hot caches, the other with cold ones";
    else if (a.threads != b.threads)
      why_.refused = fmt::format("one has {} threads, the other {}", a.threads, b.threads);
    else if (a.inputs != b.inputs)
      why_.refused = "their inputs differ";
    else if (!(a.median_ns > 0) || !(b.median_ns > 0))
      why_.refused = "one of them has no time";
    else if (a.candidate == b.candidate)
      why_.refused = "they are the same candidate, measured twice";
  }

  Result<void> compare_decisions() {
    for (size_t side : {0u, 1u}) {
      TEMPER_TRY(trace, s_tir::trace_from_json_text(candidates_[side].program));
      traces_[side] = std::move(trace);
    }
    const s_tir::Trace designs[2] = {traces_[0].without_postproc(), traces_[1].without_postproc()};
    why_.other_steps = designs[0].skeleton_hash() != designs[1].skeleton_hash();
    if (why_.other_steps)
      return {};
    const auto a = HandTuning::decisions(designs[0]), b = HandTuning::decisions(designs[1]);
    const std::vector<s_tir::DecisionPoint> points = s_tir::decision_points(designs[0]);
    for (size_t i = 0; i < a.size() && i < b.size() && i < points.size(); ++i)
      if (a[i].value != b[i].value) {
        changed_.push_back(points[i].instruction);
        why_.decisions.push_back({join(a[i].names, ", "), a[i].step, a[i].value, b[i].value});
      }
    return {};
  }

  /// The kernel that both are of.
  Result<Task> task() {
    TEMPER_TRY(workload, store_->workload(rows_[0].workload));
    bench_.retarget(rows_[0].target.substr(0, rows_[0].target.find(' ')), rows_[0].threads);
    return bench_.task(workload);
  }

  /// A with each of the changes alone, for somebody who wants to go on from there.
  Result<void> make_changes() {
    if (changed_.empty())
      return {};
    TEMPER_TRY(task, this->task());
    const bool tile = is_knob_program(task.module);
    std::unique_ptr<Space> space;
    if (tile) {
      TEMPER_TRY(made, space_of(task));
      space = std::move(made);
    }
    for (size_t i = 0; i < changed_.size(); ++i) {
      const s_tir::Trace other =
          traces_[0].with_decision(changed_[i], traces_[1][changed_[i]].decision);
      if (tile) {
        if (const auto made = space->apply(other, "hand"))
          why_.decisions[i].trace = (*made)->trace.to_python();
        continue;
      }
      s_tir::ReplayOptions options;
      options.adapt = true; // later tiles are of loops that have another extent now
      s_tir::Schedule schedule(task.module, 0);
      schedule.set_render_errors(false);
      if (schedule.apply(other, options))
        why_.decisions[i].trace = schedule.trace().to_python();
    }
    return {};
  }

  Result<void> ask_model() {
    TEMPER_TRY(task, this->task());
    std::unique_ptr<Space> space; // makes features of tile programs
    if (is_knob_program(task.module)) {
      TEMPER_TRY(made, space_of(task));
      space = std::move(made);
    }

    // All that was measured alike; one of several measurements of a candidate.
    std::map<database::Id, database::MeasuredProgram> measured;
    TEMPER_TRY_VOID(
        store_->measured_programs(rows_[0].workload, [&](const database::MeasuredProgram& program) {
          if (program.environment_class == rows_[0].environment_class &&
              program.threads == rows_[0].threads && program.regime == rows_[0].regime &&
              program.median_ns > 0)
            measured[program.candidate] = program;
          return true;
        }));
    for (size_t side : {0u, 1u}) {
      database::MeasuredProgram& own = measured[rows_[side].candidate];
      own.program = candidates_[side].program;
      own.median_ns = rows_[side].median_ns;
    }
    std::vector<const database::MeasuredProgram*> programs;
    for (const auto& [candidate, program] : measured)
      programs.push_back(&program);
    // Every n-th of many; ids are random.
    if (programs.size() > kMostSamples)
      programs.resize(kMostSamples);
    for (size_t side : {0u, 1u})
      if (const auto* own = &measured[rows_[side].candidate];
          std::find(programs.begin(), programs.end(), own) == programs.end())
        programs.push_back(own);

    std::vector<CostSample> samples(programs.size());
    // A space belongs to one thread.
    parallel_for(programs.size(), space ? programs.size() + 1 : 1, [&](size_t at) {
      if (auto features = features_of(task, space.get(), programs[at]->program))
        samples[at] = {std::move(*features), programs[at]->median_ns * 1e-9};
    });
    const FeatureMatrix* own[2] = {};
    for (size_t i = 0; i < samples.size(); ++i)
      for (size_t side : {0u, 1u})
        if (programs[i] == &measured[rows_[side].candidate])
          own[side] = &samples[i].features;
    if (own[0]->rows == 0 || own[1]->rows == 0)
      return Error(ErrorCode::kFailed, "their programs cannot be made again");
    const FeatureMatrix features[2] = {*own[0], *own[1]};
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
    why_.learnt_from = static_cast<int>(samples.size());
    std::vector<const FeatureMatrix*> all;
    std::vector<double> seconds;
    for (const CostSample& sample : samples) {
      all.push_back(&sample.features);
      seconds.push_back(sample.seconds);
    }
    why_.rank_correlation = model_quality(model->predict(all), seconds).rank_correlation;
    const FeatureMatrix* both[2] = {&features[0], &features[1]};
    const std::vector<double> scores = model->predict(both);
    why_.score_a = scores[0];
    why_.score_b = scores[1];
    add_terms(features, model->contributions(both), space != nullptr);
    rank_decisions(task, *model);
    return {};
  }

  /// `space` makes those of tile programs; null: the program is scheduled by blocks and loops.
  static Result<FeatureMatrix> features_of(const Task& task, const Space* space,
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

  void add_terms(const FeatureMatrix (&features)[2],
                 const std::vector<std::vector<double>>& contributions, bool knobs) {
    if (contributions.size() != 2)
      return;
    const std::vector<std::string> names =
        knobs ? knob_feature_names(traces_[0].empty() ? traces_[1] : traces_[0]) : feature_names();
    std::map<std::string, ModelTerm> terms;
    for (size_t i = 0; i < kFeatureCount; ++i) {
      const double change = contributions[1][i] - contributions[0][i];
      if (std::abs(change) < 1e-6)
        continue;
      const char* const group = knobs ? knob_feature_group(i) : group_of(i);
      ModelTerm& term = terms[group];
      term.what = group;
      term.change += change;
      ModelTerm::Feature feature{names[i], change, 0, 0};
      for (size_t side : {0u, 1u})
        for (int row = 0; row < features[side].rows; ++row)
          (side == 0 ? feature.a : feature.b) += static_cast<double>(features[side].row(row)[i]);
      term.features.push_back(std::move(feature));
    }
    for (auto& [what, term] : terms) {
      std::ranges::sort(term.features, std::greater<>(),
                        [](const auto& feature) { return std::abs(feature.change); });
      constexpr size_t kMost = 4;
      term.features.resize(std::min(term.features.size(), kMost));
      why_.terms.push_back(std::move(term));
    }
    std::ranges::sort(why_.terms, std::greater<>(),
                      [](const ModelTerm& term) { return std::abs(term.change); });
  }

  /// Each change by itself, on A.
  void rank_decisions(const Task& task, CostModel& model) {
    const auto space = space_of(task);
    if (!space || changed_.empty())
      return;
    const s_tir::Trace a = traces_[0].without_postproc(), b = traces_[1].without_postproc();
    const auto base = (*space)->apply(a, "A");
    if (!base)
      return;
    const FeatureMatrix* features = &(*base)->features;
    const double before = model.predict(std::span(&features, 1)).front();
    for (size_t i = 0; i < changed_.size(); ++i) {
      const auto other = (*space)->apply(a.with_decision(changed_[i], b[changed_[i]].decision), "");
      if (!other)
        continue;
      features = &(*other)->features;
      why_.decisions[i].score_change = model.predict(std::span(&features, 1)).front() - before;
    }
    std::ranges::stable_sort(why_.decisions, std::greater<>(), [](const ChangedDecision& changed) {
      return std::isnan(changed.score_change) ? -1 : std::abs(changed.score_change);
    });
  }

  void compare_code() {
    Explanation told[2];
    for (size_t side : {0u, 1u}) {
      auto explained = explain(bench_, rows_[side]);
      if (!explained || !explained->foreign.empty()) {
        why_.unknown.push_back(
            fmt::format("the code of {}: {}", side == 0 ? "A" : "B",
                        explained ? explained->foreign : explained.error().message));
        return;
      }
      told[side] = std::move(*explained);
    }
    const auto add = [&](const std::string& what, double a, double b, const char* unit = "") {
      if (std::isnan(a) != std::isnan(b) || a < b || a > b)
        why_.code.push_back({what, a, b, unit});
    };
    add_machine(told[0], told[1]);
    const CodeLoop* loops[2] = {hottest(told[0].loops), hottest(told[1].loops)};
    if (loops[0] && loops[1]) {
      const auto of = [&](auto member) {
        return std::pair(static_cast<double>(loops[0]->*member),
                         static_cast<double>(loops[1]->*member));
      };
      // Loops that are unrolled otherwise: by what one multiply-add costs.
      const auto per = [&](auto member) {
        const auto [a, b] = of(member);
        const auto share = [](double value, const CodeLoop& loop) {
          const double work = static_cast<double>(loop.multiply_adds + loop.arithmetic);
          return work > 0 ? value / work : kNoNumber;
        };
        return std::pair(share(a, *loops[0]), share(b, *loops[1]));
      };
      const auto put = [&](const char* what, std::pair<double, double> both,
                           const char* unit = "") { add(what, both.first, both.second, unit); };
      put("width of the hot loop's vectors", of(&CodeLoop::vector_bits), "bit");
      put("vector operations in the hot loop",
          {static_cast<double>(loops[0]->multiply_adds + loops[0]->arithmetic),
           static_cast<double>(loops[1]->multiply_adds + loops[1]->arithmetic)});
      put("instructions for each vector operation", per(&CodeLoop::instructions));
      put("loads for each vector operation", per(&CodeLoop::loads));
      put("stores for each vector operation", per(&CodeLoop::stores));
      put("accesses to the stack in the hot loop (spills)", of(&CodeLoop::stack));
      put("vector registers in the hot loop", of(&CodeLoop::vector_registers));
      put("separate sums in the hot loop", of(&CodeLoop::sums));
      put("longest chain of sums", of(&CodeLoop::longest_sum));
      for (size_t side : {0u, 1u})
        if (const auto bounds = loop_bounds(*loops[side], told[side].rates); !bounds.empty())
          (side == 0 ? why_.limit_a : why_.limit_b) = bounds.front().what;
    }
    for (const auto& [name, what, unit] : {std::tuple{"code_bytes", "size of the code", "byte"},
                                           std::tuple{"spills", "spills in all", ""}})
      add(what, fact(0, name), fact(1, name), unit);
    std::ranges::stable_sort(why_.code, std::greater<>(), [](const CodeFact& fact) {
      if (std::isnan(fact.a) || std::isnan(fact.b))
        return 0.0;
      constexpr double kOne = 1; // so that 0 against 3 is no infinity
      return std::abs(std::log((std::abs(fact.b) + kOne) / (std::abs(fact.a) + kOne)));
    });
  }

  /// What both take of the machine, where it is known of both or one.
  void add_machine(const Explanation& a, const Explanation& b) {
    const std::vector<LimitBar> bars[2] = {machine_bars(a), machine_bars(b)};
    for (size_t side : {0u, 1u})
      for (const LimitBar& bar : bars[side]) {
        const std::string what = bar.estimated ? "estimated: " + bar.what : bar.what;
        auto fact = std::ranges::find(why_.machine, what, &CodeFact::what);
        if (fact == why_.machine.end())
          fact = why_.machine.insert(why_.machine.end(), {what, kNoNumber, kNoNumber, "%"});
        (side == 0 ? fact->a : fact->b) = 100 * bar.share;
      }
  }

  double fact(size_t side, const char* name) const {
    const auto json = parse_json(measurements_[side].facts_json);
    return json && json->is_object() && json->contains(name) && (*json)[name].is_number()
               ? (*json)[name].get<double>()
               : kNoNumber;
  }

  void compare_counters() {
    const auto a = parse_json(measurements_[0].counters_json);
    const auto b = parse_json(measurements_[1].counters_json);
    if (!a || !b || !a->is_object() || !b->is_object())
      return;
    for (const auto& [name, value] : a->items())
      if (value.is_number() && b->contains(name) && (*b)[name].is_number() && value != (*b)[name])
        why_.counters.push_back({name, value.get<double>(), (*b)[name].get<double>(), ""});
    std::ranges::stable_sort(why_.counters, std::greater<>(), [](const CodeFact& counter) {
      return std::abs(std::log((std::abs(counter.b) + 1) / (std::abs(counter.a) + 1)));
    });
  }

  Workbench& bench_;
  database::RecordRow rows_[2];
  database::Store* store_ = nullptr;
  database::Candidate candidates_[2];
  database::Measurement measurements_[2];
  s_tir::Trace traces_[2];
  std::vector<size_t>
      changed_; ///< instructions, in the order of why_.decisions before it is ranked
  WhyFaster why_;
};

} // namespace

Result<WhyFaster> why_faster(Workbench& bench, const database::RecordRow& a,
                             const database::RecordRow& b) {
  return Asking(bench, a, b).answer();
}

} // namespace temper::tuner
