#include "tuner/why_faster.h"

#include "ir/s_tir/schedule.h"
#include "ir/s_tir/trace_json.h"
#include "ir/support/text.h"
#include "tuner/explain.h"
#include "tuner/hand_tuning.h"
#include "tuner/limits.h"
#include "tuner/space/knob_space.h"
#include "tuner/space/space.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace temper::tuner {
namespace {

class Asking {
public:
  Asking(Workbench& bench, const database::RecordRow& a, const database::RecordRow& b)
      : bench_(bench), rows_{a, b} {}

  Result<WhyFaster> answer() {
    refuse();
    if (!why_.refused.empty())
      return why_;
    why_.ratio = rows_[1].median_ns / rows_[0].median_ns;
    why_.ratio_low = rows_[1].low_ns / rows_[0].high_ns;
    why_.ratio_high = rows_[1].high_ns / rows_[0].low_ns;
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
    TEMPER_TRY(model, LearntModel::learn(*store_, task, rows_));
    why_.learnt_from = model.learnt_from();
    why_.rank_correlation = model.rank_correlation();
    why_.score_a = model.asked(0).score;
    why_.score_b = model.asked(1).score;
    why_.terms = model.terms(model.asked(0), model.asked(1));
    rank_decisions(task, model.model());
    return {};
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
