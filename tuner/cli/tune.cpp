/// temper check, tune, resume, stop.
#include "tuner/cli/command.h"
#include "tuner/cli/emulated.h"
#include "tuner/cli/output.h"

#include "engine/machine.h"
#include "ir/s_tir/trace_json.h"
#include "ir/support/target_text.h"
#include "ir/support/text.h"
#include "tuner/emulation.h"
#include "tuner/packed_ahead.h"
#include "tuner/record_mapping.h"
#include "tuner/search/stop_condition.h"
#include "tuner/space/from_space.h"
#include "tuner/tuning_run.h"
#include "tuner/version.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

namespace temper::cli {
namespace {

using tuner::Task;
using tuner::Workbench;

/// Threads beyond the processors take turns, which no kernel gains by.
void remark_on_threads(const Task& task) {
  if (!task.target.is_cpu() || task.threads <= 1)
    return; // what the machine has need not be read
  if (const int processors = engine::read_machine().processors; task.threads > processors)
    fmt::print(stderr, "temper: {} threads take turns on the {} that may be used here\n",
               task.threads, format_count(processors, "processor"));
}

// ---- check

struct CheckOptions {
  CommonOptions common;
  std::string device;
  std::vector<std::string> words;
  bool quick = false;
  bool unchecked = false;
};

/// Builds and runs one task as it is written, compared with its reference on random inputs.
Result<engine::Measurement> check_task(Workbench& bench, const Task& task, double limit_seconds) {
  const SlowNotice notice(fmt::format("{}: still at it; kernel and reference are given up after "
                                      "{} each (--seconds)",
                                      task.title(), format_seconds(limit_seconds)));
  TEMPER_TRY(artifact, bench.compile(task, ""));
  return bench.measure(task, artifact);
}

std::string worst_sentence(const engine::WorstElement& worst) {
  return fmt::format("{}[{}] is {:.9g}, expected {:.9g} within {:.3g}; {} element{} wrong",
                     worst.argument, worst.index, worst.got, worst.expected, worst.tolerance,
                     worst.wrong_count, worst.wrong_count == 1 ? " is" : "s are");
}

int run_check(CheckOptions& options) {
  const auto place = place_of(options.common, options.device);
  if (!place)
    return report(place.error());
  if (place->emulated)
    return check_emulated({.common = options.common,
                           .words = options.words,
                           .unchecked = options.unchecked,
                           .quick = options.quick});
  auto arguments = parse_workload_words(options.words);
  if (!arguments)
    return report(arguments.error());
  arguments->unchecked = options.unchecked;
  Workbench bench(options.common.workbench);
  const auto shapes = shapes_to_check(bench, *arguments, options.quick);
  if (!shapes)
    return report(shapes.error());
  install_interrupt_handler();
  bool wrong = false;
  Json results = Json::array();
  for (const tuner::WorkloadArguments& shape : *shapes) {
    auto task = bench.task(shape);
    if (!task)
      return report(task.error());
    remark_on_threads(*task);
    const auto measured = check_task(bench, *task, options.common.workbench.limit_seconds);
    // What machine code does not notice: an access beyond a buffer may read what suits. Where it
    // ends the process instead, this knows the line.
    const tuner::MeaningCheck meaning = tuner::check_meaning(*task);
    const bool no_number = !measured || (measured->worst && std::isnan(measured->worst->expected));
    const std::string no_reference = reference_fault(*task, no_number);
    if (!measured)
      return report(!no_reference.empty()
                        ? Error(ErrorCode::kFailed, no_reference)
                        : in_source(meaning.found.empty()
                                        ? measured.error()
                                        : Error(ErrorCode::kFailed, meaning.found),
                                    *task));
    const bool right =
        engine::is_correct(measured->outcome) && meaning.found.empty() && no_reference.empty();
    wrong |= !right;
    const engine::Outcome outcome = engine::is_correct(measured->outcome) && !right
                                        ? engine::Outcome::kWrongResult
                                        : measured->outcome;
    if (options.common.json) {
      Json item{{"workload", task->workload},
                {"binding", binding_object(task->binding_json)},
                {"outcome", engine::to_string(outcome)},
                {"checked", static_cast<bool>(task->reference)},
                {"accesses_checked", meaning.looked},
                {"median_ns", number(measured->median_ns)}};
      if (measured->worst)
        item["worst"] = worst_sentence(*measured->worst);
      if (!meaning.found.empty())
        item["error"] = meaning.found;
      else if (!no_reference.empty())
        item["error"] = no_reference;
      else if (!measured->error.empty())
        item["error"] = measured->error;
      if (!measured->log.empty())
        item["printed"] = measured->log;
      results.push_back(std::move(item));
      continue;
    }
    if (right) {
      const char* verdict = task->reference ? "right" : "runs (unchecked: it has no reference)";
      if (measured->outcome == engine::Outcome::kDisturbed ||
          measured->outcome == engine::Outcome::kUnbelievable)
        fmt::print("{}: {}, but its time is not to be believed: {}\n", task->title(), verdict,
                   measured->error);
      else
        fmt::print(
            "{}: {}, {} untuned{}\n", task->title(), verdict, format_time(measured->median_ns),
            task->flops > 0
                ? " (" + format_rate(task->flops, measured->median_ns, task->binding_json) + ")"
                : std::string());
      if (!meaning.looked)
        fmt::print("  whether it stays inside of its buffers was not looked at: it could not be "
                   "proven, and this is too large to run element by element; check a smaller "
                   "shape\n");
    } else {
      const std::string sentence = !no_reference.empty()    ? no_reference
                                   : measured->worst        ? worst_sentence(*measured->worst)
                                   : !meaning.found.empty() ? meaning.found
                                                            : measured->error;
      fmt::print("{}: {}: {}\n", task->title(), engine::to_string(outcome),
                 no_reference.empty()
                     ? in_source(Error(ErrorCode::kFailed, sentence), *task).message
                     : sentence);
      if (measured->worst && !meaning.found.empty())
        fmt::print("  {}\n", in_source(Error(ErrorCode::kFailed, meaning.found), *task).message);
    }
    if (!measured->log.empty())
      fmt::print("{}\n", measured->log);
  }
  if (options.common.json)
    print_json("check", Json{{"ok", !wrong}, {"results", std::move(results)}});
  return wrong ? kAnswerIsNo : kDone;
}

// ---- tune and resume

struct TuneCommandOptions {
  CommonOptions common;
  std::string device;
  std::vector<std::string> words;
  int64_t trials = 0;
  double seconds = 0;
  int64_t interpret = 0;   ///< with a device
  bool no_compile = false; ///< the same
  bool no_check = false;   ///< the same
  uint64_t seed = 0;
  bool has_seed = false;
  std::string strategy = "auto";
  bool fresh = false;
  bool unchecked = false;
  std::string from; ///< a record
  std::vector<std::string> locks;
  std::string command_line;
};

void print_funnel(const tuner::Funnel& funnel) {
  fmt::print("proposed {} > legal {} > compiled {} > ran {} > correct {} > timed {}\n",
             funnel.proposed.count, funnel.legal.count, funnel.compiled.count, funnel.ran.count,
             funnel.correct.count, funnel.timed.count);
  const std::pair<const char*, const tuner::FunnelStage*> stages[] = {{"compile", &funnel.compiled},
                                                                      {"run", &funnel.ran},
                                                                      {"check", &funnel.correct},
                                                                      {"time", &funnel.timed}};
  for (const auto& [name, stage] : stages)
    if (!stage->first_error.empty())
      fmt::print("first failure ({}): {}\n", name, stage->first_error);
}

Json phases_json(const tuner::PhaseSeconds& phases) {
  return {{"prepare", phases.prepare},
          {"propose", phases.propose},
          {"compile", phases.compile},
          {"measure", phases.measure},
          {"confirm", phases.confirm}};
}

/// Of the best record; nothing when there is none.
Result<std::vector<tuner::PackedAhead>> packed_by_best(database::Store& store, const Task& task,
                                                       const tuner::TuneResult& result) {
  if (result.best_record.empty())
    return std::vector<tuner::PackedAhead>();
  TEMPER_TRY(record, store.measurement(result.best_record));
  TEMPER_TRY(candidate, store.candidate(record.candidate));
  return tuner::packed_ahead(task.module, candidate.program);
}

/// "1.7"; what is ten times and more is known less well (TuneResult::untuned_ns): "851".
std::string times_text(double ratio) {
  return ratio < 10 ? fmt::format("{:.1f}", ratio) : fmt::format("{:.0f}", ratio);
}

int finish(Workbench& bench, const Task& task, const tuner::TuneResult& result, bool json) {
  auto store = bench.store();
  if (!store)
    return report(store.error());
  const auto packed = packed_by_best(**store, task, result);
  if (!packed)
    return report(packed.error());
  const std::string run = short_id(**store, result.run);
  const std::string record = short_id(**store, result.best_record);
  if (json) {
    Json best = nullptr;
    if (!result.best_record.empty())
      best = Json{
          {"record", result.best_record},
          {"median_ns", number(result.best_ns)},
          {"interval_ns", {number(result.best_interval.low), number(result.best_interval.high)}},
          {"gflops", known(gflops(task.flops, result.best_ns))},
          {"packed_ahead", tuner::to_json(*packed)}};
    print_json("tune",
               Json{{"run", result.run},
                    {"workload", task.workload},
                    {"binding", binding_object(task.binding_json)},
                    {"target", task.target.to_string()},
                    {"threads", task.threads},
                    {"trials", result.trials},
                    {"transferred", result.transferred},
                    {"seconds", result.seconds},
                    {"phases", phases_json(result.phases)},
                    {"untuned_ns", known(result.untuned_ns)},
                    {"best", std::move(best)},
                    {"bound_ns", number(bench.bound_ns(task))},
                    {"unchecked", !task.reference},
                    {"funnel", parse_json(tuner::funnel_to_json(result.funnel)).value_or(Json())},
                    {"stopped_because", result.stopped_because}});
  } else {
    fmt::print("{} on {}\n", task.title(),
               target_and_threads(short_target(task.target.to_string()), task.threads));
    if (!result.best_record.empty()) {
      fmt::print("best {}  {}", record, format_time(result.best_ns));
      if (task.flops > 0)
        fmt::print("  {}", format_rate(task.flops, result.best_ns, task.binding_json));
      const double bound = bench.bound_ns(task);
      if (bound > 0 && !tuner::StopCondition::refuted(bound, result.best_ns))
        fmt::print("  {:.0f} % of what {}", std::min(100 * bound / result.best_ns, 100.0),
                   task.flops > 0 ? "this machine can do"
                                  : "memory allows (flops= in the workload says the rest)");
      if (result.untuned_ns > 0)
        fmt::print("  ({} times as fast as untuned)",
                   times_text(result.untuned_ns / result.best_ns));
      fmt::print("{}\n", task.reference ? "" : "  unchecked");
      if (task.share_besides_padding < 0.97)
        fmt::print(
            "{:.3g} % of its operations multiply padding, which a kernel may leave out: what "
            "this machine can do is said of the others\n",
            100 * (1 - task.share_besides_padding));
      if (result.finals_slower > 0)
        fmt::print(
            "not confirmed: something else used this machine when the best were measured again "
            "({:.0f} times as long as in the search); temper rerun {} measures it when that is "
            "over\n",
            result.finals_slower, record);
      if (result.best_is_untuned && result.trials > 1)
        fmt::print("that is the program as it is written: no schedule that is right was faster\n");
      for (const tuner::PackedAhead& operand : *packed)
        fmt::print("{}\n", operand.text());
      if (packed->empty() && !task.constants().empty())
        fmt::print("{} constant, but not packed: read as it is\n",
                   join(task.constants(), ", ") + (task.constants().size() == 1 ? " is" : " are"));
      if (bound > 0 && tuner::StopCondition::refuted(bound, result.best_ns))
        fmt::print("that is less than the {} that temper thought this machine takes at the least: "
                   "either `flops` counts too many or not all arguments are used, or the machine "
                   "was slow when it was measured (temper doctor measures it again)\n",
                   format_time(bound));
    }
    fmt::print("run {}: {} in {}{}, stopped: {}\n", run, format_count(result.trials, "trial"),
               format_seconds(result.seconds),
               result.transferred > 0 ? fmt::format(" from {} of other shapes", result.transferred)
                                      : "",
               result.stopped_because);
    print_funnel(result.funnel);
    if (result.interrupted)
      fmt::print("go on with: temper resume {}{}\n", run, given_database());
    else if (!result.best_record.empty())
      fmt::print("see it with: temper show {0}{1}\nexport it with: temper export --name kernels "
                 "--out out {0}{1}\n",
                 record, given_database());
  }
  if (result.interrupted)
    return kInterrupted;
  if (result.best_record.empty()) {
    std::fflush(stdout); // "above", in a log of both as well
    std::fprintf(
        stderr, "%s",
        result.trials > 0
            ? "temper: no candidate was valid; the first failures are above\n"
            : "temper: no candidate was left to try: earlier runs have had them all, and none "
              "was valid (--fresh tries them again)\n");
    return kFailedWork;
  }
  return kDone;
}

/// Claims a run, works on it to its end and reports it. `prolonged`: its budget is a new one.
int execute(Workbench& bench, const Task& task, const tuner::Space& space, const database::Run& run,
            const tuner::TuneOptions& options, bool json, bool prolonged) {
  auto devices = bench.devices();
  if (!devices)
    return report(devices.error());
  // Before the claim, so that whoever sees a run at work may interrupt it and is told how it goes
  // on.
  install_interrupt_handler("interrupted; go on with: temper resume " +
                            short_id(*devices->store, run.id) + given_database());
  auto claim = devices->store->claim_run(run.id, prolonged);
  if (!claim)
    return report(claim.error());
  if (prolonged)
    if (auto set = devices->store->set_budget(run.id, run.budget_trials, run.budget_seconds); !set)
      return report(set.error());
  ProgressLine line(task.flops, task.binding_json, options.stop.trials, options.stop.seconds);
  tuner::TuneHooks hooks;
  hooks.progress = [&](const tuner::TuneProgress& progress) {
    // Computing references and confirming the best block for long, and end by ending: a run whose
    // process is gone reads as interrupted.
    postpone_interrupts(progress.phase == "search");
    line.update(progress);
  };
  hooks.interrupted = [] { return interrupted(); };
  const auto result = tuner::tune(task, space, run, *claim, *devices, options, hooks);
  line.finish();
  if (!result)
    return report(result.error());
  return finish(bench, task, *result, json);
}

/// The space of a run: all of the workload's, or what can be reached from a record (`from`, empty
/// for none; its id is given back in it) with some decisions locked.
Result<std::unique_ptr<tuner::Space>> space_for(database::Store& store, const Task& task,
                                                std::string& from,
                                                const std::vector<std::string>& locks) {
  TEMPER_TRY(whole, tuner::space_of(task));
  if (from.empty()) {
    if (!locks.empty())
      return Error(ErrorCode::kInvalidArgument,
                   "--lock keeps decisions of a record: name it with --from RECORD");
    return whole;
  }
  TEMPER_TRY(id, database::resolve_id(store, from, database::Kind::kMeasurement));
  TEMPER_TRY(record, store.measurement(id));
  TEMPER_TRY(candidate, store.candidate(record.candidate));
  const std::string name = short_id(store, id);
  TEMPER_TRY(workload, store.add(tuner::workload_row(task)));
  if (candidate.workload != workload)
    return Error(ErrorCode::kInvalidArgument,
                 "record " + name +
                     " is of another workload, or of an earlier version of it, than " +
                     task.title());
  TEMPER_TRY(trace, s_tir::trace_from_json_text(candidate.program));
  from = id;
  return tuner::make_space_from(std::move(whole), trace, locks, name);
}

int run_tune(TuneCommandOptions& options) {
  const auto place = place_of(options.common, options.device);
  if (!place)
    return report(place.error());
  const bool emulated = place->emulated;
  if (!emulated && (options.interpret > 0 || options.no_compile || options.no_check))
    return report(Error(ErrorCode::kInvalidArgument,
                        "--interpret, --no-compile and --no-check are for emulated GPUs (--device "
                        "emulated): leave them out"));
  if (options.interpret > 0 && options.no_check)
    return report(Error(ErrorCode::kInvalidArgument,
                        "--interpret checks programs and --no-check does not: give one of them"));
  if (emulated) {
    if (!options.from.empty() || !options.locks.empty() || options.fresh)
      return report(Error(ErrorCode::kInvalidArgument,
                          "an emulated GPU measures nothing, so it starts from no record: leave "
                          "--from, --lock and --fresh out"));
    return tune_emulated({.common = options.common,
                          .words = options.words,
                          .unchecked = options.unchecked,
                          .trials = options.trials,
                          .seconds = options.seconds,
                          .interpret = options.interpret,
                          .compile = !options.no_compile,
                          .check = !options.no_check,
                          .seed = options.has_seed ? options.seed : 1,
                          .why = place->why,
                          .command_line = options.command_line});
  }
  auto arguments = parse_workload_words(options.words);
  if (!arguments)
    return report(arguments.error());
  arguments->unchecked = options.unchecked;
  if (auto strategy = tuner::make_strategy(options.strategy); !strategy)
    return report(strategy.error());
  Workbench bench(options.common.workbench);
  auto task = bench.task(*arguments);
  if (!task)
    return report(task.error());
  remark_on_threads(*task);
  auto store = bench.store();
  if (!store)
    return report(store.error());
  if (!options.has_seed)
    options.seed = std::random_device()() >> 1;
  // What cannot start leaves no run behind.
  auto space = space_for(**store, *task, options.from, options.locks);
  if (!space)
    return report(space.error());
  if (auto devices = bench.devices(); !devices)
    return report(devices.error());
  tuner::TuneOptions tune = bench.tune_options(*task); // may measure the machine
  tune.stop.trials = options.trials;
  tune.stop.seconds = options.seconds;
  tune.fresh = options.fresh;

  auto row = bench.new_run(*task);
  if (!row)
    return report(row.error());
  row->strategy = options.strategy;
  row->seed = options.seed;
  row->budget_trials = options.trials;
  row->budget_seconds = options.seconds;
  row->command_line = options.command_line;
  row->parent_record = options.from;
  row->options_json = Json{{"fresh", options.fresh},
                           {"cache", engine::to_string(options.common.workbench.regime)},
                           {"lock", options.locks},
                           {"temper", tuner::version_text()}}
                          .dump();
  auto id = (*store)->create_run(*row);
  if (!id)
    return report(id.error());
  auto run = (*store)->run(*id);
  if (!run)
    return report(run.error());
  std::fprintf(stderr, "space: %s\n", (*space)->describe().c_str());
  return execute(bench, *task, **space, *run, tune, options.common.json, false);
}

struct ResumeOptions {
  CommonOptions common;
  std::string run;
  std::string trials; ///< "+200" or "500"
  double seconds = 0;
};

int run_resume(ResumeOptions& options) {
  tuner::WorkbenchOptions settings = options.common.workbench;
  Workbench probe(settings);
  auto store = probe.store();
  if (!store)
    return report(store.error());

  database::Run run;
  if (options.run.empty()) {
    auto runs = (*store)->resumable_runs();
    if (!runs)
      return report(runs.error());
    if (runs->empty())
      return report(Error(ErrorCode::kNotFound,
                          "there is no interrupted run; temper list runs shows all of them"));
    run = runs->front();
  } else {
    auto id = database::resolve_id(**store, options.run, database::Kind::kRun);
    if (!id)
      return report(id.error());
    auto row = (*store)->run(*id);
    if (!row)
      return report(row.error());
    run = *row;
  }
  if (!options.trials.empty()) {
    const bool more = options.trials[0] == '+';
    int64_t count = 0;
    try {
      size_t used = 0;
      count = std::stoll(more ? options.trials.substr(1) : options.trials, &used);
      if (used != options.trials.size() - (more ? 1 : 0) || count <= 0 || count > kMostTrials)
        throw std::invalid_argument("");
    } catch (const std::exception&) {
      return report(Error(ErrorCode::kInvalidArgument,
                          "--trials takes a positive number, or +N for N more, not '" +
                              options.trials + "'"));
    }
    run.budget_trials = more ? run.trials + count : count;
    if (run.budget_trials <= run.trials)
      return report(Error(ErrorCode::kInvalidArgument,
                          fmt::format("run {} has {} trials already; give --trials more than that, "
                                      "or +N for N more",
                                      short_id(**store, run.id), run.trials)));
  }
  if (options.seconds > 0)
    run.budget_seconds = run.seconds + options.seconds;
  const bool prolonged = !options.trials.empty() || options.seconds > 0;

  auto workload = (*store)->workload(run.workload);
  if (!workload)
    return report(workload.error());
  auto target = ir::parse_target(run.target);
  if (!target)
    return report(target.error());
  settings.target = run.target;
  const Json kept = parse_json(run.options_json).value_or(Json::object());
  if (auto regime = engine::parse_regime(kept.value("cache", "hot")))
    settings.regime = *regime;
  if (target->threads > 0)
    settings.threads = target->threads;
  Workbench bench(settings);
  // What a run measured is compared within it, so all of it is made by one build on one machine.
  auto toolchain = bench.toolchain();
  if (!toolchain)
    return report(toolchain.error());
  auto here = bench.environment();
  if (!here)
    return report(here.error());
  const auto there = (*store)->environment(run.environment);
  const bool elsewhere = there && there->class_name != here->class_name;
  if (toolchain->id != run.toolchain || elsewhere) {
    std::fprintf(stderr,
                 "temper: run %s was made %s, so it cannot go on here; start a new one with: "
                 "temper tune %s\n",
                 short_id(**store, run.id).c_str(),
                 elsewhere ? ("on another machine or setting (" + there->class_name + ")").c_str()
                           : "by another version of the code generator",
                 title_of(*workload).c_str());
    return kAnswerIsNo;
  }
  auto task = bench.task(*workload);
  if (!task)
    return report(task.error());
  tuner::TuneOptions tune = bench.tune_options(*task);
  tune.stop.trials = run.budget_trials;
  tune.stop.seconds = run.budget_seconds;
  tune.fresh = kept.value("fresh", false);
  std::string from = run.parent_record;
  auto space = space_for(**store, *task, from, kept.value("lock", std::vector<std::string>()));
  if (!space)
    return report(space.error());
  return execute(bench, *task, **space, run, tune, options.common.json, prolonged);
}

// ---- stop

struct StopOptions {
  CommonOptions common;
  std::string run;
  bool pause = false;
};

/// The run that is meant: the one that was named, else the only one at work.
Result<database::Id> run_to_stop(database::Store& store, const std::string& named) {
  if (!named.empty())
    return database::resolve_id(store, named, database::Kind::kRun);
  TEMPER_TRY(runs, store.list_runs({.state = database::RunState::kRunning}));
  if (runs.empty())
    return Error(ErrorCode::kNotFound, "no run is at work; temper list runs shows all of them");
  if (runs.size() > 1) {
    std::string ids;
    for (const database::Run& run : runs)
      ids += (ids.empty() ? "" : ", ") + short_id(store, run.id);
    return Error(ErrorCode::kInvalidArgument, "several runs are at work, name one of them: " + ids);
  }
  return runs.front().id;
}

int run_stop(StopOptions& options) {
  Workbench bench(options.common.workbench);
  auto store = bench.store();
  if (!store)
    return report(store.error());
  auto run = run_to_stop(**store, options.run);
  if (!run)
    return report(run.error());
  const database::RequestedState asked =
      options.pause ? database::RequestedState::kPause : database::RequestedState::kStop;
  if (auto done = (*store)->request(*run, asked); !done)
    return report(done.error());
  const std::string id = short_id(**store, *run);
  if (options.common.json)
    print_json("stop", Json{{"run", *run}, {"requested", database::to_string(asked)}});
  else
    fmt::print("run {} was asked to {}: it ends after what it is measuring; go on with: "
               "temper resume {}{}\n",
               id, database::to_string(asked), id, given_database());
  return kDone;
}

} // namespace

static void add_stop(Program& program) {
  auto options = std::make_shared<StopOptions>();
  CLI::App* command = program.app.add_subcommand(
      "stop", "ask a run that is at work to end (the only one by default); what it recorded stays");
  command->add_option("run", options->run, "id of a run");
  command->add_flag("--pause", options->pause, "put it aside: it is called paused until resumed");
  add_common_options(*command, options->common, false);
  add_examples(*command, {"temper stop", "temper stop r81ab0 --pause"});
  command->callback(
      [&program, options] { program.action = [options] { return run_stop(*options); }; });
}

void add_check(Program& program) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* command = program.app.add_subcommand(
      "check", "build a workload as written, run it, compare it with its reference");
  command->add_option("workload", options->words, "WORKLOAD [NAME=VALUE...]")->required();
  command->add_flag("--quick", options->quick, "only the first shape");
  command->add_flag("--unchecked", options->unchecked, "allow a workload without a reference");
  command
      ->add_option("--seconds", options->common.workbench.limit_seconds,
                   "longest time for the kernel, and for its reference (default: 600)")
      ->check(positive());
  add_device_option(*command, options->device);
  add_common_options(*command, options->common, true);
  add_examples(*command, {"temper check scale.py M=512 N=512", "temper check softmax --quick",
                          "temper check matmul_tile --target cuda:sm_90a --device emulated"});
  command->callback(
      [&program, options] { program.action = [options] { return run_check(*options); }; });
}

void add_tune(Program& program) {
  auto options = std::make_shared<TuneCommandOptions>();
  CLI::App* command =
      program.app.add_subcommand("tune", "search for the fastest version of a workload");
  command->add_option("workload", options->words, "WORKLOAD [NAME=VALUE...]")->required();
  command->add_option("--trials", options->trials, "candidates to measure")->check(count());
  command->add_option("--seconds", options->seconds, "time to spend")->check(positive());
  const CLI::Option* seed = add_seed_option(*command, options->seed);
  command->add_option("--strategy", options->strategy, "auto (default), evolutionary or random");
  command->add_flag("--fresh", options->fresh, "do not start from what is known");
  command->add_option("--from", options->from,
                      "search around this record: its steps with other decisions");
  command
      ->add_option("--lock", options->locks,
                   "keep a decision of that record, as its trace calls it: v5, or the loop l7")
      ->expected(1)
      ->take_all();
  command
      ->add_option("--interpret", options->interpret,
                   "with --device emulated: run so many of the right programs warp by warp too, "
                   "for races and the like")
      ->check(count());
  command->add_flag("--no-compile", options->no_compile,
                    "for a GPU: no machine code, so spills go unseen");
  command->add_flag("--no-check", options->no_check,
                    "for a GPU that is not there: compiled and pruned, and not run on the CPU");
  command->add_flag("--unchecked", options->unchecked,
                    "allow a workload without a reference; every view says so");
  add_device_option(*command, options->device);
  add_common_options(*command, options->common, true);
  add_examples(*command, {"temper tune matmul M=512 N=512 K=512 --trials 200",
                          "temper tune scale.py M=512 N=512 --seconds 60",
                          "temper tune softmax --threads 2 --json",
                          "temper tune gemm_fp16 M=96 N=80 K=72 --target cuda:sm_90a"});
  command->callback([&program, options, seed] {
    options->has_seed = seed->count() > 0;
    options->command_line = program.command_line;
    program.action = [options] { return run_tune(*options); };
  });
}

void add_resume(Program& program) {
  auto options = std::make_shared<ResumeOptions>();
  CLI::App* command =
      program.app.add_subcommand("resume", "go on with an interrupted run (the latest by default)");
  command->add_option("run", options->run, "id of a run");
  command->add_option("--trials", options->trials, "a new budget for the whole run, or +N more");
  command->add_option("--seconds", options->seconds, "seconds to add")->check(positive());
  add_common_options(*command, options->common, false);
  add_jobs_option(*command, options->common);
  add_examples(*command, {"temper resume", "temper resume r81ab0 --trials +200"});
  command->callback(
      [&program, options] { program.action = [options] { return run_resume(*options); }; });
  add_stop(program);
}

} // namespace temper::cli
