#include "tuner/hand_tuning.h"

#include "codegen/gpu/backends.h"
#include "codegen/llvm/compile.h"
#include "codegen/lower.h"
#include "codegen/lower_gpu.h"
#include "ir/s_tir/trace_json.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/support/parallel.h"
#include "ir/support/quantities.h"
#include "ir/support/text.h"
#include "tuner/compile_protocol.h"
#include "tuner/record_mapping.h"
#include "tuner/space/knob_space.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>

namespace temper::tuner {

std::optional<ProgramLevel> parse_level(std::string_view word) {
  static constexpr std::array<std::string_view, 6> kWords{"script", "tir",  "llvm",
                                                          "asm",    "cuda", "ptx"};
  for (size_t i = 0; i < kWords.size(); ++i)
    if (kWords[i] == word)
      return static_cast<ProgramLevel>(i);
  return std::nullopt;
}

Result<HandStart> HandTuning::open_record(const std::string& record) {
  TEMPER_TRY(store, bench_.store());
  TEMPER_TRY(id, database::resolve_id(*store, record, database::Kind::kMeasurement));
  TEMPER_TRY(row, store->record_row(id));
  TEMPER_TRY(candidate, store->candidate(row.candidate));
  TEMPER_TRY(trace, s_tir::trace_from_json_text(candidate.program));
  HandStart start;
  start.subject = {row.workload, row.target.substr(0, row.target.find(' ')), row.threads,
                   from_row(row.regime)};
  TEMPER_TRY(known, task(start.subject));
  start.title = known->title();
  start.trace = trace.to_python();
  start.candidate = row.candidate;
  start.record = id;
  start.outcome = database::to_string(row.outcome);
  if (row.median_ns > 0) {
    start.median_ns = row.median_ns;
    start.interval_ns = {row.low_ns, row.high_ns};
  }
  return start;
}

Result<HandStart> HandTuning::open_workload(const WorkloadArguments& arguments) {
  TEMPER_TRY(store, bench_.store());
  TEMPER_TRY(task, bench_.task(arguments));
  TEMPER_TRY(id, store->add(workload_row(task)));
  HandStart start;
  start.subject = {id, bench_.options().target, task.threads, task.regime};
  start.title = task.title();
  tasks_.insert_or_assign(start.subject, std::move(task));
  return start;
}

Result<const Task*> HandTuning::task(const HandSubject& subject) {
  if (const auto known = tasks_.find(subject); known != tasks_.end())
    return &known->second;
  TEMPER_TRY(store, bench_.store());
  TEMPER_TRY(workload, store->workload(subject.workload));
  TEMPER_TRY(target, ir::parse_target(subject.target));
  bench_.retarget(subject.target, subject.threads);
  // A GPU that is not here: what is to be computed is the same for a processor.
  const bool is_away = !target.is_cpu() && !bench_.target();
  if (is_away) {
    TEMPER_TRY_VOID(codegen::gpu_limits(target));
    bench_.retarget("native", subject.threads);
  }
  TEMPER_TRY(task, bench_.task(workload));
  if (is_away)
    task.target = std::move(target);
  task.regime = subject.regime;
  return &tasks_.insert_or_assign(subject, std::move(task)).first->second;
}

Result<s_tir::Schedule> HandTuning::replay(const HandSubject& subject, const std::string& text) {
  TEMPER_TRY(task, this->task(subject));
  if (replayed_ && replayed_->text == text && !(replayed_->subject < subject) &&
      !(subject < replayed_->subject))
    return replayed_->schedule;
  TEMPER_TRY(trace, trim(text).starts_with("[") ? s_tir::trace_from_json_text(text)
                                                : s_tir::Trace::from_python(text));
  TEMPER_TRY(schedule, s_tir::replay(trace, task->module));
  replayed_ = Replayed{subject, text, schedule};
  return schedule;
}

Result<bool> HandTuning::has_knobs(const HandSubject& subject) {
  TEMPER_TRY(task, this->task(subject));
  return is_knob_program(task->module);
}

Result<const Space*> HandTuning::space(const HandSubject& subject) {
  auto known = spaces_.find(subject);
  if (known == spaces_.end()) {
    TEMPER_TRY(task, this->task(subject));
    TEMPER_TRY(made, space_of(*task));
    known = spaces_.emplace(subject, std::move(made)).first;
  }
  return known->second.get();
}

Result<CandidateRef> HandTuning::tile_candidate(const HandSubject& subject,
                                                const std::string& text) {
  TEMPER_TRY(trace, trim(text).starts_with("[") ? s_tir::trace_from_json_text(text)
                                                : s_tir::Trace::from_python(text));
  TEMPER_TRY(space, this->space(subject));
  if (!trace.empty())
    return space->apply(trace, "hand");
  // As it is written a program has no decisions to show: those of its defaults, which are what is
  // chosen for knobs that a trace does not set.
  Random random(1);
  constexpr int kTries = 32;
  for (int i = 0; i < kTries; ++i)
    if (const auto some = space->sample(random); some && !(*some)->trace.empty())
      if (auto defaults =
              space->apply((*some)->trace.prefix(1).with_decision(0, int64_t{0}), "hand"))
        return defaults;
  return space->untuned();
}

Result<ir::PrimFunc> HandTuning::lowered(const Task& task, const ir::IRModule& program) {
  if (!task.target.is_cpu())
    return Error(ErrorCode::kUnsupported, "the model of the machine knows processors only");
  TEMPER_TRY(options, lower_options_for(task.target, task.threads <= 1));
  TEMPER_TRY(module, codegen::lower_for_cpu(program, options));
  return module->functions.front().function.as_ref<ir::PrimFuncNode>();
}

Result<std::string> HandTuning::text(const HandSubject& subject, const s_tir::Schedule& schedule,
                                     ProgramLevel level) {
  return text(subject, schedule.module(), level);
}

Result<std::string> HandTuning::text(const HandSubject& subject, const ir::IRModule& program,
                                     ProgramLevel level) {
  if (level == ProgramLevel::kScript)
    return script::to_text(program);
  TEMPER_TRY(task, this->task(subject));
  const bool of_gpu = level == ProgramLevel::kCuda || level == ProgramLevel::kPtx;
  if (level != ProgramLevel::kTir && of_gpu == task->target.is_cpu())
    return Error(ErrorCode::kInvalidArgument,
                 of_gpu ? "code for a CPU has the levels script, tir, llvm and asm"
                        : "code for a GPU has the levels script, tir, cuda and ptx");
  if (!task->target.is_cpu()) {
    TEMPER_TRY(module, codegen::lower_for_gpu(program, task->target));
    if (level == ProgramLevel::kTir)
      return script::to_text(module);
    if (level == ProgramLevel::kCuda) {
      TEMPER_TRY(source, codegen::gpu_source(module, task->target));
      return std::move(source.text);
    }
    TEMPER_TRY(artifact, codegen::compile_gpu(module, task->target));
    return std::move(artifact.object);
  }
  TEMPER_TRY(function, lowered(*task, program));
  if (level == ProgramLevel::kLlvm)
    return codegen::emit_llvm_ir_text(function, task->target);
  if (level == ProgramLevel::kAssembly)
    return codegen::emit_assembly_text(function, task->target);
  return script::to_text(function);
}

Result<double> HandTuning::estimate_ns(const HandSubject& subject,
                                       const s_tir::Schedule& schedule) {
  TEMPER_TRY(estimates, estimates_ns(subject, {&schedule}));
  if (estimates.front() > 0)
    return estimates.front();
  return estimate_ns(subject, schedule.module()); // the reason
}

Result<double> HandTuning::estimate_ns(const HandSubject& subject, const ir::IRModule& program) {
  TEMPER_TRY(task, this->task(subject));
  TEMPER_TRY(function, lowered(*task, program));
  return estimate_time(function, bench_.rates(*task), task->threads).total_ns;
}

Result<std::vector<double>>
HandTuning::estimates_ns(const HandSubject& subject,
                         const std::vector<const s_tir::Schedule*>& schedules) {
  TEMPER_TRY(task, this->task(subject));
  constexpr size_t kMostRemembered = 20'000;
  if (estimates_.size() > kMostRemembered)
    estimates_.clear();
  std::vector<double> result(schedules.size(), 0);
  std::vector<uint64_t> hashes(schedules.size());
  std::vector<size_t> open; ///< to be estimated
  for (size_t i = 0; i < schedules.size(); ++i) {
    hashes[i] = ir::structural_hash(schedules[i]->module());
    if (const auto known = estimates_.find({subject, hashes[i]}); known != estimates_.end())
      result[i] = known->second;
    else
      open.push_back(i);
  }
  if (open.empty())
    return result;
  const MachineRates rates = bench_.rates(*task);
  constexpr size_t kGrain = 4;
  parallel_for(open.size(), kGrain, [&](size_t at) {
    if (const auto function = lowered(*task, schedules[open[at]]->module()))
      result[open[at]] = estimate_time(*function, rates, task->threads).total_ns;
  });
  for (const size_t i : open)
    estimates_[{subject, hashes[i]}] = result[i];
  return result;
}

namespace {

bool is_knob(const s_tir::Instruction& instruction) {
  return instruction.primitive->name == "SampleKnob";
}

/// A choice of a knob, as the program spells it.
std::string choice_text(const s_tir::Value& choice) {
  if (const int64_t* number = choice.as_int())
    return std::to_string(*number);
  if (const double* real = choice.as_double())
    return fmt::format("{}", *real);
  const std::string* text = choice.as_string();
  return text ? *text : "?";
}

std::string value_text(const s_tir::Instruction& instruction, const s_tir::DecisionPoint& point) {
  if (is_knob(instruction)) {
    const s_tir::Value::List* choices = instruction.attrs[1].as_list();
    const int64_t* chosen = instruction.decision.as_int();
    return choices && chosen && *chosen >= 0 && static_cast<size_t>(*chosen) < choices->size()
               ? choice_text((*choices)[static_cast<size_t>(*chosen)])
               : "?";
  }
  if (const int64_t* number = instruction.decision.as_int())
    return point.kind == s_tir::DecisionPoint::Kind::kCategorical && *number >= 0 &&
                   static_cast<size_t>(*number) < point.candidates.size()
               ? std::to_string(point.candidates[static_cast<size_t>(*number)])
               : std::to_string(*number);
  std::vector<std::string> factors;
  if (const s_tir::Value::List* list = instruction.decision.as_list())
    for (const s_tir::Value& factor : *list)
      factors.push_back(factor.as_int() ? std::to_string(*factor.as_int()) : "?");
  return "[" + join(factors, ", ") + "]";
}

/// "split(l6)": the first step that takes one of the values.
std::string user_of(const s_tir::Trace& trace, size_t decision) {
  const std::vector<s_tir::Rv>& values = trace[decision].outputs;
  for (size_t i = decision + 1; i < trace.size(); ++i) {
    const s_tir::Instruction& step = trace[i];
    for (const s_tir::Operand& input : step.inputs) {
      const s_tir::Rv* used = input.as_rv();
      if (!used || std::find(values.begin(), values.end(), *used) == values.end())
        continue;
      const s_tir::Rv* subject = step.inputs.front().as_rv();
      std::string name(step.primitive->name);
      name.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(name.front())));
      return name + (subject && subject != used ? "(" + subject->name() + ")" : std::string());
    }
  }
  return std::string(trace[decision].primitive->name);
}

} // namespace

std::vector<HandTuning::Decision> HandTuning::decisions(const s_tir::Trace& trace) {
  std::vector<Decision> result;
  for (const s_tir::DecisionPoint& point : s_tir::decision_points(trace)) {
    Decision decision;
    for (const s_tir::Rv& value : trace[point.instruction].outputs)
      decision.names.push_back(value.name());
    const s_tir::Instruction& made = trace[point.instruction];
    if (is_knob(made)) {
      const std::string* name = made.attrs[0].as_string();
      decision.names = {name ? *name : "?"};
      decision.step = "knob";
      decision.value = value_text(made, point);
      decision.can_sweep = true;
      result.push_back(std::move(decision));
      continue;
    }
    decision.step = user_of(trace, point.instruction);
    decision.value = value_text(trace[point.instruction], point);
    decision.can_sweep = point.kind != s_tir::DecisionPoint::Kind::kComputeLocation;
    result.push_back(std::move(decision));
  }
  return result;
}

Result<std::vector<HandTuning::Knob>> HandTuning::knobs(const HandSubject& subject,
                                                        const Candidate& candidate) {
  std::vector<Knob> result;
  const std::vector<Decision> decisions = HandTuning::decisions(candidate.trace);
  for (size_t i = 0; i < decisions.size(); ++i) {
    TEMPER_TRY(choices, sweep(subject, candidate.trace, i));
    result.push_back({decisions[i].names.front(), std::move(choices)});
  }
  return result;
}

Result<std::vector<HandTuning::Alternative>>
HandTuning::sweep(const HandSubject& subject, const s_tir::Trace& trace, size_t number) {
  using Kind = s_tir::DecisionPoint::Kind;
  TEMPER_TRY(task, this->task(subject));
  const bool tile = is_knob_program(task->module);
  const std::vector<s_tir::DecisionPoint> points = s_tir::decision_points(trace);
  if (number >= points.size())
    return Error(ErrorCode::kInvalidArgument,
                 "the trace has " + format_count(static_cast<int64_t>(points.size()), "decision") +
                     ", counted from 0");
  const s_tir::DecisionPoint& point = points[number];
  if (point.kind == Kind::kComputeLocation)
    return Error(ErrorCode::kUnsupported,
                 "where a block may be computed depends on the steps before; choose a place for it "
                 "among the next steps instead");
  const s_tir::Value now = trace[point.instruction].decision;
  std::vector<s_tir::Value> values;
  if (point.kind == Kind::kCategorical) {
    for (size_t i = 0; i < point.candidates.size(); ++i)
      values.emplace_back(static_cast<int64_t>(i));
  } else {
    std::vector<int64_t> factors;
    if (const s_tir::Value::List* list = now.as_list())
      for (const s_tir::Value& factor : *list)
        factors.push_back(factor.as_int() ? *factor.as_int() : 1);
    if (factors.size() < 2)
      return Error(ErrorCode::kUnsupported, "this tile has one factor only");
    const int64_t shared = factors.front() * factors.back();
    for (int64_t inner = 1; inner <= std::min(shared, point.max_innermost_factor); ++inner) {
      if (shared % inner != 0)
        continue;
      s_tir::Value::List list;
      factors.front() = shared / inner;
      factors.back() = inner;
      for (const int64_t factor : factors)
        list.emplace_back(factor);
      values.emplace_back(std::move(list));
    }
  }
  std::vector<Alternative> result;
  std::vector<s_tir::Schedule> schedules;
  std::vector<size_t> of;
  for (const s_tir::Value& value : values) {
    Alternative alternative;
    const s_tir::Trace other = trace.with_decision(point.instruction, value);
    alternative.value = value_text(other[point.instruction], point);
    alternative.current = value == now;
    if (tile) {
      // What it opens or closes for other knobs follows.
      TEMPER_TRY(space, this->space(subject));
      if (const auto made = space->apply(other, "hand"); !made) {
        alternative.reason = made.error().message;
      } else {
        alternative.trace = (*made)->trace.to_python();
        const uint64_t hash = (*made)->program_hash;
        auto known = estimates_.find({subject, hash});
        if (known == estimates_.end())
          known = estimates_
                      .emplace(std::pair(subject, hash),
                               estimate_ns(subject, (*made)->module).value_or(0))
                      .first;
        alternative.estimate_ns = known->second;
      }
      result.push_back(std::move(alternative));
      continue;
    }
    // Later tiles are of loops that have another extent now: they are adapted to it.
    s_tir::ReplayOptions options;
    options.adapt = true;
    s_tir::Schedule schedule(task->module, 0);
    schedule.set_render_errors(false);
    if (const auto applied = schedule.apply(other, options); applied) {
      alternative.trace = schedule.trace().to_python();
      of.push_back(result.size());
      schedules.push_back(std::move(schedule));
    } else {
      alternative.reason = applied.error().message;
    }
    result.push_back(std::move(alternative));
  }
  std::vector<const s_tir::Schedule*> pointers;
  for (const s_tir::Schedule& schedule : schedules)
    pointers.push_back(&schedule);
  TEMPER_TRY(estimates, estimates_ns(subject, pointers));
  for (size_t i = 0; i < of.size(); ++i)
    result[of[i]].estimate_ns = estimates[i];
  return result;
}

Result<engine::Measurement>
HandTuning::measured(const HandSubject& subject, const Task& task,
                     std::shared_ptr<const codegen::Artifact> artifact) {
  auto prepared = prepared_.find(subject);
  if (prepared == prepared_.end()) {
    // Once for all trials of the subject: computing what is right takes longer than a kernel.
    TEMPER_TRY(workload, bench_.prepare(task, 1));
    prepared = prepared_.emplace(subject, workload).first;
  }
  constexpr int kTimeoutMs = 60'000; // of what somebody wrote by hand and waits for
  return bench_.measure_on(prepared->second, task, std::move(artifact), kTimeoutMs);
}

Result<HandTrial> HandTuning::measure(const HandSubject& subject, const s_tir::Trace& trace,
                                      const database::Id& parent) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  TEMPER_TRY(store, bench_.store());
  TEMPER_TRY(task, this->task(subject));
  if (auto here = bench_.check_host(*task); !here)
    return task->target.is_cpu()
               ? std::move(here).error()
               : Error(ErrorCode::kUnsupported,
                       fmt::format("{}; temper tune --target {} checks candidates without it",
                                   here.error().message, subject.target));
  bench_.retarget(subject.target, subject.threads);
  const std::string program = s_tir::trace_to_json_text(trace);

  HandTrial trial;
  const auto compiled = bench_.compile(*task, program);
  const double compile_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  if (compiled) {
    TEMPER_TRY(measurement, measured(subject, *task, *compiled));
    trial.measurement = std::move(measurement);
  } else {
    trial.measurement.outcome = engine::Outcome::kCompileFailed;
    trial.measurement.stage = "compile";
    trial.measurement.error = compiled.error().to_string();
    trial.measurement.threads = task->threads;
    trial.measurement.regime = task->regime;
  }
  trial.measurement.compile_ms = compile_ms;

  HandRun& run = runs_[subject];
  if (run.row.id.empty()) {
    TEMPER_TRY(row, bench_.new_run(*task));
    row.workload = subject.workload;
    row.strategy = "hand";
    row.command_line = "temper session";
    TEMPER_TRY(id, store->create_run(row));
    run.row = std::move(row);
    run.row.id = id;
  }
  ++run.trials;
  run.seconds += std::chrono::duration<double>(Clock::now() - start).count();

  database::Trial row;
  row.candidate.workload = subject.workload;
  row.candidate.kind = "trace";
  row.candidate.program = program;
  row.candidate.parent = parent;
  row.candidate.origin = "hand";
  row.measurement = measurement_row(trial.measurement, *task, compiled ? compiled->get() : nullptr);
  row.measurement.sequence = -1;
  row.measurement.environment = run.row.environment;
  row.measurement.toolchain = run.row.toolchain;
  row.measurement.origin = "hand";
  database::RunProgress progress;
  progress.trials = run.trials;
  progress.seconds = run.seconds;
  // Between two measurements nobody has the run: a session that is killed leaves none open.
  TEMPER_TRY_VOID(store->transaction([&]() -> Result<void> {
    TEMPER_TRY(claim, store->claim_run(run.row.id, /*reopen=*/true));
    TEMPER_TRY(recorded, store->record(claim, row, progress));
    trial.record = recorded.measurement;
    trial.candidate = recorded.candidate;
    if (compiled) {
      TEMPER_TRY(kept, store->add(artifact_row(**compiled, recorded.candidate, run.row.toolchain)));
      (void)kept;
    }
    return store->release_run(claim, database::RunState::kFinished, "measured by hand");
  }));
  return trial;
}

} // namespace temper::tuner
