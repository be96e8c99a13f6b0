#include "engine/runner/gpu_trial.h"

#include "codegen/artifact_json.h"
#include "engine/gpu_conditions.h"
#include "engine/protocol.h"
#include "engine/runner/verdict.h"
#include "engine/timing/clock.h"
#include "engine/timing/sittings.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace temper::engine {
namespace {

// A driver that was idle starts the GPU first, which takes seconds on a host with many.
constexpr int kStartTimeoutMs = 60'000;
constexpr int kLoadTimeoutMs = 30'000;
constexpr int kCountTimeoutMs = 60'000;
// Beyond the stop rule's own cap: filling arguments, warming up, reading results.
constexpr int kTimingGraceMs = 5'000;

SessionPlan plan_of(const PreparedWorkload* workload, int device, bool counting) {
  SessionPlan plan;
  plan.device = device;
  plan.counting = counting;
  if (workload == nullptr)
    return plan;
  plan.signature = workload->spec.signature;
  for (const PreparedSet& set : workload->sets) {
    HostSet host;
    for (const GuardedBuffer& buffer : set.arguments.buffers)
      host.arguments.push_back(buffer.bytes());
    plan.sets.push_back(std::move(host));
  }
  for (const UnforkedMemory& initial : workload->sets.front().initial)
    plan.starts_filled.push_back(!initial.empty());
  return plan;
}

Measurement disturbed(Measurement m, const char* stage, std::string sentence) {
  m.outcome = Outcome::kDisturbed;
  m.stage = stage;
  m.error = std::move(sentence);
  return m;
}

Measurement unbelievable(Measurement m, std::string doubt) {
  m = disturbed(std::move(m), "time", std::move(doubt));
  m.outcome = Outcome::kUnbelievable;
  return m;
}

/// Conditions of a measurement from those of its parts.
void keep_answer_conditions(const Json& answer, Measurement& m) {
  for (const auto& [name, value] : answer.at("conditions").items())
    m.counters[name] = value.get<double>();
  if (const auto conditions = conditions_of(m))
    m.clock_ghz = conditions->sm_clock_mhz * 1e-3;
}

} // namespace

void GpuTrials::forget(WorkloadId id) {
  for (Process* process : {&timing_, &counting_})
    if (process->workload == id)
      *process = {};
}

Result<GpuChild*> GpuTrials::process_for(WorkloadId id, const PreparedWorkload* workload,
                                         bool counting, const Child::Interruption& interruption) {
  Process& process = counting ? counting_ : timing_;
  if (process.child && (workload == nullptr || process.workload == id))
    return process.child.get();
  // First the old one lets go of its memory.
  process = {};
  const SessionPlan plan = plan_of(workload, settings_.device, counting);
  TEMPER_TRY(child, GpuChild::start(plan));
  const GpuChild::Answer first = child->await(kStartTimeoutMs, interruption);
  switch (first.wait) {
  case Child::Wait::kCancelled:
    return Error(ErrorCode::kInterrupted, "the trial was cancelled");
  case Child::Wait::kTimedOut:
    return Error(ErrorCode::kEnvironment,
                 fmt::format("the GPU gives no context within {} s: it hangs, or another process "
                             "keeps it busy (nvidia-smi shows which)",
                             kStartTimeoutMs / 1000));
  case Child::Wait::kDied:
    return Error(ErrorCode::kEnvironment,
                 "the driver of the GPU brings its process down (it " + first.death + ")");
  case Child::Wait::kDone:
    break;
  }
  if (first.json.contains("error"))
    return Error(ErrorCode::kEnvironment, first.json.at("error").get<std::string>());
  process.child = std::move(child);
  process.ready = first.json;
  process.workload = id;
  process.counting = counting;
  return process.child.get();
}

GpuTrials::Step GpuTrials::order(GpuChild& child, const Json& request, int file, int timeout_ms,
                                 const char* stage, const Child::Interruption& interruption,
                                 Measurement& m, Json& answer) {
  const auto give_up = [&](Outcome outcome, std::string sentence) {
    if (std::string tail(trim(child.log_tail())); !tail.empty())
      m.log = "the GPU's process wrote:\n" + tail;
    m.outcome = outcome;
    m.stage = stage;
    m.error = std::move(sentence);
    (timing_.child.get() == &child ? timing_ : counting_) = {};
    return Step::kFailed;
  };
  GpuChild::Answer got = child.ask(request, file, timeout_ms, interruption);
  switch (got.wait) {
  case Child::Wait::kCancelled:
    (timing_.child.get() == &child ? timing_ : counting_) = {};
    return Step::kCancelled;
  case Child::Wait::kTimedOut:
    return give_up(Outcome::kTimedOut,
                   fmt::format("was still running on the GPU after {:.3g} s and was stopped",
                               timeout_ms / 1000.0));
  case Child::Wait::kDied:
    return give_up(Outcome::kCrashed, "crashed: the process with the GPU's context " + got.death);
  case Child::Wait::kDone:
    break;
  }
  answer = std::move(got.json);
  if (answer.contains("error"))
    return give_up(Outcome::kDisturbed, answer.at("error").get<std::string>());
  if (!answer.contains("fault"))
    return Step::kGoOn;
  const Json& fault = answer.at("fault");
  const Outcome outcome =
      parse_outcome(fault.at("outcome").get<std::string>()).value_or(Outcome::kCrashed);
  if (fault.at("context_is_dead").get<bool>())
    return give_up(outcome, fault.at("sentence").get<std::string>());
  m.outcome = outcome;
  m.stage = stage;
  m.error = fault.at("sentence").get<std::string>();
  return Step::kFailed;
}

GpuTrials::Step GpuTrials::load(GpuChild& child, const TrialRequest& request, int number,
                                const Child::Interruption& interruption, Measurement& m) {
  Json answer;
  return order(child,
               {{"order", "load"},
                {"number", number},
                {"artifact", codegen::artifact_to_json(*request.artifact)}},
               request.code_file, kLoadTimeoutMs, "load", interruption, m, answer);
}

GpuTrials::Step GpuTrials::check_sets(GpuChild& child, PreparedWorkload& workload,
                                      const TrialRequest& request, int number,
                                      const Child::Interruption& interruption, Measurement& m) {
  Json answer;
  const bool compared = request.check && workload.has_reference;
  const size_t sets = request.check ? workload.sets.size() : 1;
  bool refreshed = false;
  for (size_t set = 0; set < sets;) {
    if (const Step step = order(child, {{"order", "check"}, {"number", number}, {"set", set}}, -1,
                                request.timeout_ms, "check", interruption, m, answer);
        step != Step::kGoOn)
      return step;
    if (const auto worst = compared ? check_outputs(workload, set) : std::nullopt) {
      // An earlier kernel may have written where inputs are kept: once more, with fresh ones.
      if (!refreshed) {
        refreshed = true;
        if (const Step step = order(child, {{"order", "refresh"}}, -1, kLoadTimeoutMs, "check",
                                    interruption, m, answer);
            step != Step::kGoOn)
          return step;
        continue;
      }
      m.worst = worst;
      m.outcome = Outcome::kWrongResult;
      m.stage = "check";
      m.error = describe_worst(workload, *worst, "");
      return Step::kFailed;
    }
    ++set;
  }
  return Step::kGoOn;
}

GpuTrials::Step GpuTrials::start_and_check(WorkloadId id, PreparedWorkload& workload,
                                           const TrialRequest& request, int number,
                                           const Child::Interruption& interruption,
                                           Measurement& m) {
  if (std::string mismatch = signature_mismatch(workload, request); !mismatch.empty()) {
    m.outcome = Outcome::kRejected;
    m.stage = "load";
    m.error = "the kernel " + mismatch;
    return Step::kFailed;
  }
  const Result<GpuChild*> child = process_for(id, &workload, false, interruption);
  if (!child) {
    if (child.error().code == ErrorCode::kInterrupted)
      return Step::kCancelled;
    m = disturbed(std::move(m), "load", child.error().message);
    return Step::kFailed;
  }
  if (const Step step = load(**child, request, number, interruption, m); step != Step::kGoOn)
    return step;
  return check_sets(**child, workload, request, number, interruption, m);
}

GpuTrials::Step GpuTrials::recheck(GpuChild& child, PreparedWorkload& workload,
                                   const TrialRequest& request, int number,
                                   const Child::Interruption& interruption, Measurement& m,
                                   std::string& doubt) {
  if (!request.check || !workload.has_reference)
    return Step::kGoOn;
  Json answer;
  // Timed calls went on from each other's results: one more, from the start, is comparable.
  const bool from_start = reads_outputs(workload);
  if (const Step step =
          order(child,
                {{"order", from_start ? "check" : "repeat"},
                 {"number", number},
                 {"set", 0},
                 {"regime", to_string(request.regime)}},
                -1, pairs_timeout_ms(request.timeout_ms), "recheck", interruption, m, answer);
      step != Step::kGoOn)
    return step;
  if (const auto worst = check_outputs(workload, 0)) {
    m.worst = worst;
    m.outcome = Outcome::kWrongResult;
    m.stage = "recheck";
    m.error = describe_worst(workload, *worst, kAfterRepeatedCalls);
    return Step::kFailed;
  }
  if (!from_start)
    doubt = faster_on_results(answer.at("fresh_ns").get<std::vector<double>>(),
                              answer.at("repeated_ns").get<std::vector<double>>());
  return Step::kGoOn;
}

void GpuTrials::count(WorkloadId id, PreparedWorkload& workload, const TrialRequest& request,
                      const Child::Interruption& interruption, Measurement& m) {
  constexpr int kNumber = 0;
  Measurement other;
  const auto without = [&](const std::string& why) { m.log += (m.log.empty() ? "" : "\n") + why; };
  const Result<GpuChild*> child = process_for(id, &workload, true, interruption);
  if (!child)
    return without(child.error().message);
  Json answer;
  if (load(**child, request, kNumber, interruption, other) != Step::kGoOn ||
      order(**child,
            {{"order", "count"},
             {"number", kNumber},
             {"regime", to_string(request.regime)},
             {"sets", request.metric_sets}},
            -1, kCountTimeoutMs, "count", interruption, other, answer) != Step::kGoOn)
    return without(other.error);
  for (const auto& [name, value] : answer.at("counters").items())
    m.counters[name] = value.get<double>();
}

std::optional<Measurement> GpuTrials::run_trial(WorkloadId id, PreparedWorkload& workload,
                                                const TrialRequest& asked,
                                                const Child::Interruption& interruption) {
  constexpr int kNumber = 0;
  const double begin = now_ns();
  TrialRequest request = asked;
  if (request.best_ns > 0)
    request.timeout_ms = static_cast<int>(
        std::min<double>(request.timeout_ms, 1000 + kTimeoutPerBest * request.best_ns / 1e6));
  Measurement m;
  m.regime = request.regime;
  m.threads = 1;
  const auto finish = [&] {
    m.measure_ms = (now_ns() - begin) / 1e6;
    return std::optional(std::move(m));
  };
  if (const Step step = start_and_check(id, workload, request, kNumber, interruption, m);
      step != Step::kGoOn)
    return step == Step::kCancelled ? std::nullopt : finish();
  GpuChild& child = *timing_.child;
  Json answer;
  if (const Step step = order(child,
                              {{"order", "time"},
                               {"number", kNumber},
                               {"regime", to_string(request.regime)},
                               {"rule", to_json(request.rule)},
                               {"best_ns", request.best_ns}},
                              -1,
                              request.timeout_ms + kTimingGraceMs +
                                  static_cast<int>(request.rule.max_seconds * 2000),
                              "time", interruption, m, answer);
      step != Step::kGoOn)
    return step == Step::kCancelled ? std::nullopt : finish();
  keep_answer_conditions(answer, m);
  if (const auto why = answer.at("disturbed").get<std::string>(); !why.empty()) {
    m = disturbed(std::move(m), "time", why);
    return finish();
  }
  const bool hopeless = answer.at("hopeless").get<bool>();
  std::string doubt;
  if (!hopeless)
    if (const Step step = recheck(child, workload, request, kNumber, interruption, m, doubt);
        step != Step::kGoOn)
      return step == Step::kCancelled ? std::nullopt : finish();

  const auto samples = answer.at("samples_ns").get<std::vector<double>>();
  m.calls_per_sample = answer.at("calls_per_sample").get<int64_t>();
  Summary summary = summarize(samples, m.calls_per_sample, request.rule.level);
  m.gaps_dropped = summary.gaps_dropped + answer.at("slow_dropped").get<int>();
  m.flagged = summary.flagged;
  m.median_ns = summary.value_ns;
  m.interval = summary.interval;
  m.outcome = hopeless ? Outcome::kCensored : Outcome::kOk;
  if (samples.empty())
    m = disturbed(std::move(m), "time", "the clock of the GPU was never steady: no sample is left");
  else if (std::string fast = too_fast(workload.spec, m.median_ns); !fast.empty())
    m = unbelievable(std::move(m), std::move(fast));
  else if (!doubt.empty())
    m = unbelievable(std::move(m), std::move(doubt));
  m.samples_ns = std::move(summary.kept);
  if (request.counters && m.outcome == Outcome::kOk)
    count(id, workload, request, interruption, m);
  return finish();
}

std::optional<TurnsResult> GpuTrials::run_turns(WorkloadId id, PreparedWorkload& workload,
                                                const TurnsRequest& request,
                                                const Child::Interruption& interruption) {
  const size_t count = request.contenders.size();
  TurnsResult result;
  result.measurements.resize(count);
  std::vector<int64_t> calls(count, 0); ///< of a turn; 0: it was not loaded yet
  std::vector<std::vector<double>> samples(count);
  std::vector<bool> alive(count, true);
  const auto number_of = [](size_t index) { return static_cast<int>(index); };
  // All of them are in one context; a fault of one takes it down, and the others move to another.
  const auto revive = [&]() -> Step {
    bool lost = !timing_.child;
    while (std::exchange(lost, false))
      for (size_t i = 0; i < count && !lost; ++i) {
        if (!alive[i] || calls[i] == 0)
          continue;
        Measurement& m = result.measurements[i];
        const Result<GpuChild*> child = process_for(id, &workload, false, interruption);
        if (!child && child.error().code == ErrorCode::kInterrupted)
          return Step::kCancelled;
        if (!child)
          m = disturbed(std::move(m), "load", child.error().message);
        const Step step = child
                              ? load(**child, request.contenders[i], number_of(i), interruption, m)
                              : Step::kFailed;
        if (step == Step::kCancelled)
          return step;
        alive[i] = step == Step::kGoOn;
        lost = child && !timing_.child; // it took the others along: once more, without it
      }
    return Step::kGoOn;
  };

  for (size_t i = 0; i < count; ++i) {
    const TrialRequest& trial = request.contenders[i];
    Measurement& m = result.measurements[i];
    m.regime = trial.regime;
    const double begin = now_ns();
    if (revive() == Step::kCancelled)
      return std::nullopt;
    Step step = start_and_check(id, workload, trial, number_of(i), interruption, m);
    Json answer;
    if (step == Step::kGoOn)
      step = order(*timing_.child,
                   {{"order", "calibrate"},
                    {"number", number_of(i)},
                    {"regime", to_string(trial.regime)},
                    {"sample_ns", request.sample_ns}},
                   -1, trial.timeout_ms + kTimingGraceMs, "time", interruption, m, answer);
    if (step == Step::kCancelled)
      return std::nullopt;
    if (step == Step::kGoOn) {
      if (const auto why = answer.at("disturbed").get<std::string>(); !why.empty()) {
        m = disturbed(std::move(m), "time", why);
        step = Step::kFailed;
      } else {
        calls[i] = answer.at("calls_per_sample").get<int64_t>();
      }
    }
    alive[i] = step == Step::kGoOn;
    m.measure_ms = (now_ns() - begin) / 1e6;
  }

  const double begin = now_ns();
  for (int round = 0; round < request.rounds; ++round) {
    if (round >= 3 && now_ns() - begin > request.max_seconds * 1e9)
      break;
    std::vector<double> taken(count, 0);
    for (size_t turn = 0; turn < count; ++turn) {
      const size_t i = contender_at(count, static_cast<size_t>(request.first_round + round), turn);
      if (!alive[i])
        continue;
      if (revive() == Step::kCancelled)
        return std::nullopt;
      if (!alive[i])
        continue;
      const TrialRequest& trial = request.contenders[i];
      Measurement& m = result.measurements[i];
      Json answer;
      const Step step =
          order(*timing_.child,
                {{"order", "turn"},
                 {"number", number_of(i)},
                 {"regime", to_string(trial.regime)},
                 {"calls", calls[i]}},
                -1, trial.timeout_ms + kTimingGraceMs, "time", interruption, m, answer);
      if (step == Step::kCancelled)
        return std::nullopt;
      alive[i] = step == Step::kGoOn;
      if (!alive[i])
        continue;
      keep_answer_conditions(answer, m);
      const auto ns = answer.at("samples_ns").get<std::vector<double>>();
      if (ns.empty()) {
        m = disturbed(std::move(m), "time", answer.at("disturbed").get<std::string>());
        alive[i] = false;
        continue;
      }
      taken[i] = ns.front();
    }
    for (size_t i = 0; i < count; ++i)
      samples[i].push_back(taken[i]);
    ++result.rounds;
  }

  for (size_t i = 0; i < count; ++i) {
    Measurement& m = result.measurements[i];
    if (alive[i] && revive() == Step::kCancelled)
      return std::nullopt;
    if (!alive[i])
      continue;
    // A check from the start: what the last turn left is another contender's by now.
    const Step step =
        check_sets(*timing_.child, workload, request.contenders[i], number_of(i), interruption, m);
    if (step == Step::kCancelled)
      return std::nullopt;
    std::string doubt;
    const Step again = step != Step::kGoOn || reads_outputs(workload)
                           ? step
                           : recheck(*timing_.child, workload, request.contenders[i], number_of(i),
                                     interruption, m, doubt);
    if (again == Step::kCancelled)
      return std::nullopt;
    if (again != Step::kGoOn) {
      m.stage = "recheck";
      continue;
    }
    const Summary summary = summarize(samples[i], calls[i]);
    m.outcome = Outcome::kOk;
    m.samples_ns = samples[i]; // all of them: they pair up with the others'
    m.calls_per_sample = calls[i];
    m.flagged = summary.flagged;
    m.median_ns = summary.value_ns;
    m.interval = summary.interval;
    if (std::string fast = too_fast(workload.spec, m.median_ns); !fast.empty())
      m = unbelievable(std::move(m), std::move(fast));
    else if (!doubt.empty())
      m = unbelievable(std::move(m), std::move(doubt));
  }
  // What was loaded under these numbers is nobody's any more.
  Measurement ignored;
  Json answer;
  for (size_t i = 0; i < count && timing_.child; ++i)
    (void)order(*timing_.child, {{"order", "unload"}, {"number", number_of(i)}}, -1, kLoadTimeoutMs,
                "runner", interruption, ignored, answer);
  return result;
}

Result<Json> GpuTrials::device_state(const Child::Interruption& interruption) {
  TEMPER_TRY(child, process_for(0, nullptr, false, interruption));
  Measurement m;
  Json answer;
  if (order(*child, {{"order", "anchors"}}, -1, kLoadTimeoutMs, "runner", interruption, m,
            answer) != Step::kGoOn)
    return Error(ErrorCode::kEnvironment, m.error);
  return answer;
}

Result<Json> GpuTrials::describe(const Child::Interruption& interruption) {
  TEMPER_TRY(child, process_for(0, nullptr, false, interruption));
  (void)child;
  Json description = timing_.ready;
  const auto counting = process_for(0, nullptr, true, interruption);
  description["why_no_counters"] = counting ? "" : counting.error().message;
  return description;
}

} // namespace temper::engine
