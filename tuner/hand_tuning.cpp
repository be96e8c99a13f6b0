#include "tuner/hand_tuning.h"

#include "codegen/llvm/compile.h"
#include "codegen/lower.h"
#include "ir/s_tir/trace_json.h"
#include "ir/script/printer.h"
#include "ir/support/quantities.h"
#include "ir/support/text.h"
#include "tuner/compile_protocol.h"
#include "tuner/record_mapping.h"

#include <array>
#include <chrono>

namespace temper::tuner {

std::optional<ProgramLevel> parse_level(std::string_view word) {
  static constexpr std::array<std::string_view, 4> kWords{"script", "tir", "llvm", "asm"};
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
                   row.regime == database::TimingRegime::kCold ? engine::Regime::kCold
                                                               : engine::Regime::kHot};
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
  bench_.retarget(subject.target, subject.threads);
  TEMPER_TRY(task, bench_.task(workload));
  task.regime = subject.regime;
  return &tasks_.insert_or_assign(subject, std::move(task)).first->second;
}

Result<s_tir::Schedule> HandTuning::replay(const HandSubject& subject, const std::string& text) {
  TEMPER_TRY(task, this->task(subject));
  TEMPER_TRY(trace, trim(text).starts_with("[") ? s_tir::trace_from_json_text(text)
                                                : s_tir::Trace::from_python(text));
  return s_tir::replay(trace, task->module);
}

Result<ir::PrimFunc> HandTuning::lowered(const Task& task, const s_tir::Schedule& schedule) {
  TEMPER_TRY(options, lower_options_for(task.target, task.threads <= 1));
  TEMPER_TRY(module, codegen::lower_for_cpu(schedule.module(), options));
  return module->functions.front().function.as_ref<ir::PrimFuncNode>();
}

Result<std::string> HandTuning::text(const HandSubject& subject, const s_tir::Schedule& schedule,
                                     ProgramLevel level) {
  if (level == ProgramLevel::kScript)
    return script::to_text(schedule.module());
  TEMPER_TRY(task, this->task(subject));
  TEMPER_TRY(function, lowered(*task, schedule));
  if (level == ProgramLevel::kLlvm)
    return codegen::emit_llvm_ir_text(function, task->target);
  if (level == ProgramLevel::kAssembly)
    return codegen::emit_assembly_text(function, task->target);
  return script::to_text(function);
}

Result<double> HandTuning::estimate_ns(const HandSubject& subject,
                                       const s_tir::Schedule& schedule) {
  TEMPER_TRY(task, this->task(subject));
  TEMPER_TRY(function, lowered(*task, schedule));
  return estimate_time(function, bench_.rates(*task), task->threads).total_ns;
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
  TEMPER_TRY_VOID(bench_.check_host(*task));
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
