#include "tuner/limits.h"

#include "ir/s_tir/legal_steps.h"
#include "ir/support/quantities.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

namespace temper::tuner {
namespace {

/// What an estimate must promise to be proposed: below lies what the model cannot tell apart.
constexpr double kWorthTrying = 0.97;
constexpr size_t kMostProposals = 3;
/// Somebody waits: beyond so many estimates no further decision is asked.
constexpr size_t kMostEstimates = 600;
constexpr double kShown = 0.005; ///< of the time; less is no bar

class Asking {
public:
  Asking(Workbench& bench, HandTuning& hand, const database::RecordRow& row)
      : bench_(bench), hand_(hand), row_(row) {}

  Result<Limits> answer() {
    TEMPER_TRY(told, explain(bench_, row_));
    told_ = std::move(told);
    if (!told_.foreign.empty()) {
      limits_.unknown.push_back(told_.foreign);
      return std::move(limits_);
    }
    limits_.sentences = told_.limits();
    limits_.unknown = told_.unknown;
    limits_.machine = machine_bars(told_);
    add_loop();
    if (const auto asked = ask_alternatives(); !asked)
      limits_.unknown.push_back("what could be tried: " + asked.error().message);
    look_at_loop();
    look_at_traffic();
    look_at_alternatives();
    look_at_neighbours();
    std::ranges::stable_sort(limits_.findings, {}, [](const Finding& finding) {
      return finding.gain > 0 ? finding.gain : 1.0;
    });
    return std::move(limits_);
  }

private:
  void add_loop() {
    const CodeLoop* loop = hottest(told_.loops);
    if (!loop || !told_.here)
      return;
    const std::vector<LoopBound> bounds = loop_bounds(*loop, told_.rates);
    if (bounds.empty() || !(bounds.front().cycles > 0))
      return;
    for (const LoopBound& bound : bounds)
      if (bound.cycles > 0)
        limits_.loop.push_back({bound.what, bound.cycles / bounds.front().cycles,
                                fmt::format("{:.3g} cycles a time through", bound.cycles), true});
  }

  /// Every other value of each decision, and vectors for the innermost loops, by the model.
  Result<void> ask_alternatives() {
    TEMPER_TRY(start, hand_.open_record(row_.id));
    TEMPER_TRY(tile, hand_.has_knobs(start.subject));
    s_tir::Trace trace;
    double now = 0;
    if (tile) {
      TEMPER_TRY(candidate, hand_.tile_candidate(start.subject, start.trace));
      trace = candidate->trace;
      TEMPER_TRY(estimate, hand_.estimate_ns(start.subject, candidate->module));
      now = estimate;
    } else {
      TEMPER_TRY(schedule, hand_.replay(start.subject, start.trace));
      trace = schedule.trace();
      TEMPER_TRY(estimate, hand_.estimate_ns(start.subject, schedule));
      now = estimate;
      TEMPER_TRY_VOID(ask_vectors(start.subject, schedule, now));
    }
    if (!(now > 0))
      return {};
    const std::vector<HandTuning::Decision> decisions = HandTuning::decisions(trace);
    size_t asked = 0;
    for (size_t i = 0; i < decisions.size() && asked < kMostEstimates; ++i) {
      if (!decisions[i].can_sweep)
        continue;
      const auto values = hand_.sweep(start.subject, trace, i);
      if (!values)
        continue; // a tile of one factor
      asked += values->size();
      for (const HandTuning::Alternative& value : *values)
        if (!value.current && !value.trace.empty() && value.estimate_ns > 0)
          proposals_.push_back({join(decisions[i].names, ", ") + " = " + value.value, value.trace,
                                value.estimate_ns / now});
    }
    std::ranges::stable_sort(proposals_, {}, &Proposal::ratio);
    return {};
  }

  Result<void> ask_vectors(const HandSubject& subject, const s_tir::Schedule& schedule,
                           double now) {
    const CodeLoop* loop = hottest(told_.loops);
    if (!loop || loop->vector_bits >= told_.machine_vector_bits)
      return {};
    const std::vector<s_tir::Place> places = s_tir::places_of(schedule.module());
    for (size_t i = 0; i < places.size(); ++i) {
      const bool innermost = !places[i].is_block && i + 1 < places.size() &&
                             places[i + 1].is_block && places[i + 1].depth > places[i].depth;
      if (!innermost)
        continue;
      const s_tir::Steps steps = s_tir::legal_steps(schedule, places[i].handle);
      for (const s_tir::LegalStep& step : steps.legal) {
        if (step.primitive->name != "Vectorize")
          continue;
        TEMPER_TRY(estimates, hand_.estimates_ns(subject, {&step.after}));
        if (estimates.front() > 0 && now > 0)
          vectors_.push_back({"vectorize(" + places[i].name + ")", step.after.trace().to_python(),
                              estimates.front() / now});
      }
    }
    std::ranges::stable_sort(vectors_, {}, &Proposal::ratio);
    return {};
  }

  const Proposal* best() const {
    return !proposals_.empty() && proposals_.front().ratio < kWorthTrying ? &proposals_.front()
                                                                          : nullptr;
  }

  void add(std::string what, std::string evidence, std::string threshold,
           const Proposal* proposal) {
    Finding finding{std::move(what), std::move(evidence), std::move(threshold), 0, {}, {}};
    if (proposal) {
      finding.proposal = *proposal;
      finding.gain = proposal->ratio;
    }
    limits_.findings.push_back(std::move(finding));
  }

  void look_at_loop() {
    const CodeLoop* loop = hottest(told_.loops);
    if (!loop)
      return;
    if (loop->vector_bits < told_.machine_vector_bits)
      add(loop->vector_bits > 0 ? "The hot loop uses only a part of the vectors"
                                : "The hot loop uses no vectors",
          loop->vector_bits > 0 ? fmt::format("{} bits", loop->vector_bits) : "scalars",
          fmt::format("{} bits", told_.machine_vector_bits),
          !vectors_.empty() ? &vectors_.front() : best());
    if (loop->stack > 0 && told_.facts.is_object() && told_.facts.value("spills", int64_t{0}) > 0)
      add("The hot loop spills registers to the stack: its register tile is too large",
          format_count(loop->stack, "access") + " a time through", "none", best());
    if (!told_.here || !told_.loop_explains())
      return;
    const std::vector<LoopBound> bounds = loop_bounds(*loop, told_.rates);
    const double needed = told_.rates.add_latency * told_.rates.multiply_adds_per_cycle;
    if (!bounds.empty() && bounds.front().what == "chain of sums" && loop->sums < needed)
      add("The hot loop waits for its own sums",
          format_count(loop->sums, "register") + " summed into",
          fmt::format("{:g}, to keep the multiply-add units busy", needed), best());
    const auto cycles = [&](std::string_view what) {
      const auto found = std::ranges::find(bounds, what, &LoopBound::what);
      return found == bounds.end() ? 0.0 : found->cycles;
    };
    const double arithmetic = cycles("multiply-add units");
    if (arithmetic > 0 && !bounds.empty() &&
        (bounds.front().what == "load ports" || bounds.front().what == "front end"))
      add(fmt::format("The hot loop is bound by the {}, not by its arithmetic",
                      bounds.front().what),
          fmt::format("{:.3g} cycles a time through", bounds.front().cycles),
          fmt::format("{:.3g}, of the multiply-add units", arithmetic), best());
  }

  void look_at_traffic() {
    if (!told_.estimate)
      return;
    const KernelEstimate& estimate = *told_.estimate;
    for (size_t i = 0; i < estimate.traffic_ns.size(); ++i)
      if (estimate.traffic_ns[i] > estimate.port_ns &&
          estimate.traffic_ns[i] >= *std::ranges::max_element(estimate.traffic_ns)) {
        add(fmt::format("Moving what L{} does not hold takes longer than computing, by the model",
                        i + 1),
            format_time(estimate.traffic_ns[i]), format_time(estimate.port_ns) + ", the ports",
            best());
        break;
      }
  }

  void look_at_alternatives() {
    for (size_t i = 0; i < std::min(proposals_.size(), kMostProposals); ++i)
      if (proposals_[i].ratio < kWorthTrying)
        add(fmt::format("The model of the machine prefers {}", proposals_[i].label),
            fmt::format("its estimate is {:.2f} of this one's", proposals_[i].ratio), {},
            &proposals_[i]);
  }

  void look_at_neighbours() {
    if (told_.neighbours.empty() || !(told_.neighbours.front().ratio < 1))
      return;
    const Neighbour& nearest = told_.neighbours.front();
    Finding finding;
    finding.what = fmt::format("A candidate that differs in {} alone was faster in the search",
                               nearest.decision);
    finding.evidence = nearest.here;
    finding.threshold = nearest.there;
    finding.gain = nearest.ratio;
    finding.record = nearest.record;
    limits_.findings.push_back(std::move(finding));
  }

  Workbench& bench_;
  HandTuning& hand_;
  const database::RecordRow& row_;
  Explanation told_;
  std::vector<Proposal> proposals_; ///< best estimate first
  std::vector<Proposal> vectors_;
  Limits limits_;
};

} // namespace

std::vector<LimitBar> machine_bars(const Explanation& told) {
  std::vector<LimitBar> bars;
  const database::RecordRow& row = told.context.row;
  const double ns = row.median_ns;
  if (!(ns > 0))
    return bars;
  const auto add = [&](std::string what, double limit_ns, std::string evidence, bool estimated) {
    if (limit_ns / ns > kShown)
      bars.push_back({std::move(what), limit_ns / ns, std::move(evidence), estimated});
  };
  if (told.compute_ns > 0)
    add("multiply-add units", told.compute_ns,
        fmt::format("{} of {}", format_rate(row.flops, ns, row.binding_json),
                    format_rate(row.flops, told.compute_ns, row.binding_json)),
        false);
  if (told.memory_ns > 0)
    add("arguments once from " + told.level, told.memory_ns,
        fmt::format("{:.3g} of {:.3g} GB/s", told.bytes / ns, told.bytes / told.memory_ns), false);
  if (told.estimate) {
    add("ports of the core", told.estimate->port_ns, format_time(told.estimate->port_ns), true);
    for (size_t i = 0; i < told.estimate->traffic_ns.size(); ++i)
      add(fmt::format("traffic beyond L{}", i + 1), told.estimate->traffic_ns[i],
          format_time(told.estimate->traffic_ns[i]), true);
  }
  return bars;
}

Result<Limits> limits_of(Workbench& bench, HandTuning& hand, const database::RecordRow& row) {
  return Asking(bench, hand, row).answer();
}

} // namespace temper::tuner
