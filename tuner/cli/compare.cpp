/// temper compare, rerun: stored kernels measured again, side by side or alone.
#include "tuner/cli/command.h"
#include "tuner/cli/compare_stored.h"
#include "tuner/cli/output.h"

#include "engine/believed.h"
#include "engine/cuda/timer.h"
#include "engine/gpu_conditions.h"
#include "engine/local_measurer.h"
#include "engine/peers.h"
#include "ir/support/number.h"
#include "ir/support/text.h"
#include "ir/tir/gpu_architecture.h"
#include "tuner/external_function.h"
#include "tuner/gpu_counters.h"
#include "tuner/packed_ahead.h"
#include "tuner/record_mapping.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

namespace temper::cli {
namespace {

using database::RecordRow;
using tuner::Task;
using tuner::Workbench;
using ArtifactRef = std::shared_ptr<const codegen::Artifact>;

Result<std::vector<RecordRow>> select(Workbench& bench, const database::Selection& selection) {
  TEMPER_TRY(store, bench.store());
  TEMPER_TRY(filter, bench.comparable());
  return database::resolve_selection(*store, selection, filter);
}

struct CompareOptions {
  CommonOptions common;
  std::vector<std::string> words;
  double seconds = 5;
  bool peers = false;
  std::vector<std::string> libraries; ///< NAME=FILE[:FUNCTION[(SHAPE,...)]]
  bool stored = false;
  CompareStoredOptions stored_options; ///< what only --stored has
};

/// A function of somebody's shared library, as --library names it.
struct NamedFunction {
  std::string name;
  std::string file;
  std::string function = "main"; ///< as TVM calls it
  /// Of its arguments, where they are not those of the kernel.
  std::vector<std::vector<int64_t>> shapes;
};

/// "1x56x56x64,64" as the shapes of two arguments; nothing when it is not that.
std::optional<std::vector<std::vector<int64_t>>> parse_shapes(std::string_view text) {
  std::vector<std::vector<int64_t>> shapes;
  for (const std::string& shape : split_text(text, ',')) {
    std::vector<int64_t>& dims = shapes.emplace_back();
    for (const std::string& dim : split_text(shape, 'x')) {
      dims.push_back(parse_number<int64_t>(dim).value_or(0));
      if (dims.back() < 1)
        return std::nullopt;
    }
  }
  return shapes;
}

Result<NamedFunction> parse_library(const std::string& text) {
  NamedFunction named;
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    return Error(ErrorCode::kInvalidArgument,
                 "--library takes NAME=FILE or NAME=FILE:FUNCTION, not '" + text + "'");
  named.name = text.substr(0, equals);
  named.file = text.substr(equals + 1);
  if (const size_t open = named.file.find('('); open != std::string::npos) {
    auto shapes =
        named.file.back() == ')'
            ? parse_shapes(
                  std::string_view(named.file).substr(open + 1, named.file.size() - open - 2))
            : std::nullopt;
    if (!shapes)
      return Error(ErrorCode::kInvalidArgument,
                   "the shapes behind a function in --library are written as "
                   "NAME=FILE:FUNCTION(1x56x56x64,64), not '" +
                       named.file.substr(open) + "'");
    named.shapes = std::move(*shapes);
    named.file.resize(open);
  }
  if (const size_t colon = named.file.rfind(':'); colon != std::string::npos) {
    named.function = named.file.substr(colon + 1);
    named.file.resize(colon);
  }
  return named;
}

struct Row {
  std::string workload;
  std::string a;
  std::string b;
  double a_ns = 0;
  double b_ns = 0;
  double ratio = 0;
  Interval interval;
  std::string verdict;
};

/// Code for a GPU runs there, whatever the others do; the error says why it cannot.
Result<void> follow_gpu(Workbench& bench, const RecordRow& row) {
  const auto target = ir::parse_target(row.target);
  if (!target || target->is_cpu())
    return {};
  const auto not_here = [&](ErrorCode code, const std::string& why) {
    return Error(code, "record " + row.id.substr(0, database::kShortIdLength) + " is of code for " +
                           row.target + ", which is not timed here: " + why);
  };
  if (tir::is_amd(target->arch))
    return not_here(ErrorCode::kEnvironment, tir::kNothingRunsAmd);
  if (const auto gpu = engine::gpu_info(bench.options().gpu.value_or(0)); !gpu)
    return not_here(gpu.error().code, gpu.error().message);
  bench.retarget(row.target, row.threads);
  return {};
}

/// Said after a title.
const char* caches(const Task& task) {
  return task.regime == engine::Regime::kCold ? ", cold caches" : "";
}

/// The regime to time a record in: the one that was asked for, else as it was found.
engine::Regime regime_for(const RecordRow& row, std::optional<engine::Regime> asked) {
  return asked.value_or(tuner::from_row(row.regime));
}

/// What --cache says, once the command line is read; nothing where it was not given.
std::optional<engine::Regime> asked_regime(const CLI::App& command, const CommonOptions& options) {
  return command.count("--cache") > 0 ? std::optional(options.workbench.regime) : std::nullopt;
}

/// b against a, measured now in interleaved rounds; in the regime that both were found in, unless
/// one was asked for.
Result<Row> compare_pair(Workbench& bench, const RecordRow& a, const RecordRow& b,
                         double max_seconds, std::optional<engine::Regime> asked) {
  TEMPER_TRY(store, bench.store());
  TEMPER_TRY(workload, store->workload(a.workload));
  TEMPER_TRY_VOID(follow_gpu(bench, a));
  TEMPER_TRY(task, bench.task(workload));
  task.threads = std::max(a.threads, b.threads);
  if (a.regime == b.regime)
    task.regime = regime_for(a, asked);
  TEMPER_TRY(first, bench.code_of(task, a));
  TEMPER_TRY(second, bench.code_of(task, b));
  TEMPER_TRY(
      comparison,
      bench.compare(task, {{a.id, first, {}, a.threads, true}, {b.id, second, {}, b.threads, true}},
                    max_seconds));
  const engine::ComparedContender& left = comparison.contenders[0];
  const engine::ComparedContender& right = comparison.contenders[1];
  for (const engine::ComparedContender* side : {&left, &right})
    if (side->measurement.outcome == engine::Outcome::kUnbelievable)
      return Error(ErrorCode::kFailed,
                   "record " + side->name + " has no time to compare: " + side->measurement.error);
    else if (!engine::is_correct(side->measurement.outcome))
      return Error(ErrorCode::kFailed, "record " + side->name + " does not run any more (" +
                                           engine::to_string(side->measurement.outcome) +
                                           "): " + side->measurement.error);
  Row row;
  row.workload = task.title();
  row.a = short_id(*store, a.id);
  row.b = short_id(*store, b.id);
  row.a_ns = left.measurement.median_ns;
  row.b_ns = right.measurement.median_ns;
  row.ratio = right.ratio;
  row.interval = right.ratio_interval;
  row.verdict = engine::to_string(engine::verdict_of(right));
  return row;
}

/// What is set in the environment of each contender, by name.
using Settings = std::map<std::string, std::map<std::string, std::string>>;

/// One record beside the library routines that its workload's file names.
Result<engine::Comparison> compare_with_peers(Workbench& bench, const Task& task,
                                              const RecordRow& row, double max_seconds,
                                              const std::vector<NamedFunction>& libraries,
                                              Settings& settings, std::string& tuned_as) {
  TEMPER_TRY(tuned, bench.code_of(task, row));
  if (const std::string packed = tuner::short_text(tuner::packed_ahead(*tuned)); !packed.empty())
    tuned_as = packed;
  std::vector<engine::Contender> contenders = {{"tuned", tuned, {}, row.threads, true}};
  for (const tuner::ExternalFunction& function : tuner::baseline_functions(task)) {
    auto peer = tuner::external_peer(function, task);
    if (!peer) {
      std::fprintf(stderr, "temper: not compared with %s: %s\n", function.library.c_str(),
                   peer.error().message.c_str());
      continue;
    }
    contenders.push_back({peer->name, peer->artifact, peer->extra_scalars, row.threads, true});
  }
  // In turns with the kernel, as the peak that was measured once is of a machine at its best.
  if (const auto kind = bench.bounding_arithmetic(task); kind && row.threads == 1)
    if (auto peak = engine::peak_peer(*kind, task.flops, task.signature))
      contenders.push_back({peak->name, peak->artifact, {}, 1, false});
  for (const NamedFunction& named : libraries) {
    TEMPER_TRY(peer, engine::ffi_peer(named.name, named.file, named.function, task.signature,
                                      named.shapes));
    contenders.push_back({peer.name, peer.artifact, {}, 1, true});
  }
  for (const engine::Contender& contender : contenders)
    settings[contender.name] = contender.artifact->environment;
  return bench.compare(task, std::move(contenders), max_seconds);
}

int run_compare_peers(CompareOptions& options, const database::Selection& selection) {
  std::vector<NamedFunction> libraries;
  for (const std::string& text : options.libraries) {
    auto named = parse_library(text);
    if (!named)
      return report(named.error());
    libraries.push_back(std::move(*named));
  }
  Workbench bench(options.common.workbench);
  auto rows = select(bench, selection);
  if (!rows)
    return report(rows.error());
  auto store = bench.store();
  if (!store)
    return report(store.error());
  install_interrupt_handler();
  Json list = Json::array();
  Table table({{"workload", false, true},
               {"what", false, true},
               {"time", true},
               {"rate", true},
               {"time/tuned", true},
               {"95 %", false, true}});
  bool slower = false;
  for (const RecordRow& row : *rows) {
    auto workload = (*store)->workload(row.workload);
    if (!workload)
      return report(workload.error());
    if (const auto follows = follow_gpu(bench, row); !follows)
      return report(follows.error());
    auto task = bench.task(*workload);
    if (!task)
      return report(task.error());
    if (task->baselines.empty() && libraries.empty())
      return report(Error(ErrorCode::kInvalidArgument,
                          task->workload + " names no library routine to compare with; its file "
                                           "may, as baseline={\"openblas\": \"sgemm(M, N, K)\"}"));
    task->threads = row.threads;
    task->regime = regime_for(row, options.stored_options.regime);
    Settings settings;
    std::string tuned_as; // "B packed ahead"
    auto comparison =
        compare_with_peers(bench, *task, row, options.seconds, libraries, settings, tuned_as);
    if (!comparison)
      return report(comparison.error());
    Json contenders = Json::array();
    for (const engine::ComparedContender& side : comparison->contenders) {
      const bool right = engine::is_believed(side.measurement.outcome);
      const double ns = right ? side.measurement.median_ns : 0;
      const bool tuned = &side == &comparison->contenders.front();
      table.add({tuned ? task->title() + caches(*task) : "",
                 tuned && !tuned_as.empty() ? side.name + " (" + tuned_as + ")" : side.name,
                 right ? format_time(ns) : engine::to_string(side.measurement.outcome),
                 format_rate(task->flops, ns, task->binding_json),
                 right ? fmt::format("{:.2f}", side.ratio) : "-",
                 right ? format_ratio_interval(side.ratio_interval, 2) : side.measurement.error});
      contenders.push_back(Json{
          {"name", side.name},
          {"outcome", engine::to_string(side.measurement.outcome)},
          {"median_ns", number(ns)},
          {"gflops", known(gflops(task->flops, ns))},
          {"ratio", number(side.ratio)},
          {"ratio_interval", {number(side.ratio_interval.low), number(side.ratio_interval.high)}},
          {"settings", settings[side.name]},
          {"error", side.measurement.error}});
      // A peer that computes something else, or dies of it, is no peer.
      slower |= side.measurement.outcome == engine::Outcome::kWrongResult ||
                side.measurement.outcome == engine::Outcome::kCrashed ||
                (right && side.name != engine::kPeakName && side.ratio_interval.high < 1);
    }
    list.push_back(Json{{"record", row.id},
                        {"workload", task->workload},
                        {"tuned", tuned_as.empty() ? Json(nullptr) : Json(tuned_as)},
                        {"binding", binding_object(task->binding_json)},
                        {"cache", engine::to_string(task->regime)},
                        {"rounds", comparison->rounds},
                        {"contenders", std::move(contenders)}});
  }
  if (options.common.json) {
    print_json("compare", Json{{"peers", std::move(list)}});
  } else {
    table.print();
    print_wrapped(kRatiosOfPairs);
  }
  return slower ? kAnswerIsNo : kDone;
}

int run_compare(CompareOptions& options) {
  auto selections = database::parse_selections(options.words);
  if (!selections)
    return report(selections.error());
  if (options.stored && (options.peers || !options.libraries.empty()))
    return report(Error(ErrorCode::kInvalidArgument,
                        "--stored measures nothing; leave it out to compare with libraries"));
  if (options.peers || !options.libraries.empty()) {
    if (selections->size() != 1)
      return report(
          Error(ErrorCode::kInvalidArgument, "--peers and --library take one selection, this is " +
                                                 std::to_string(selections->size())));
    return run_compare_peers(options, selections->front());
  }
  if (selections->size() != 2)
    return report(
        Error(ErrorCode::kInvalidArgument,
              "compare takes two selections, as 'temper compare m3f9c2 m81ab0'; this is " +
                  std::to_string(selections->size())));
  if (options.stored) {
    options.stored_options.common = options.common;
    return run_compare_stored(options.stored_options, (*selections)[0], (*selections)[1]);
  }
  Workbench bench(options.common.workbench);
  std::vector<RecordRow> sides[2];
  for (size_t i = 0; i < 2; ++i) {
    auto rows = select(bench, (*selections)[i]);
    if (!rows && rows.error().code == ErrorCode::kNotFound)
      return report(std::move(rows).error().with_note(
          "--stored compares what is stored, of other machines and toolchains too"));
    if (!rows)
      return report(rows.error());
    sides[i] = std::move(*rows);
  }
  install_interrupt_handler();

  std::vector<Row> rows;
  for (const RecordRow& a : sides[0]) {
    for (const RecordRow& b : sides[1]) {
      if (a.workload != b.workload)
        continue;
      auto row = compare_pair(bench, a, b, options.seconds, options.stored_options.regime);
      if (!row)
        return report(row.error());
      rows.push_back(std::move(*row));
    }
  }
  if (rows.empty())
    return report(Error(ErrorCode::kInvalidArgument,
                        "the two selections have no workload (with the same shapes) in common"));
  bool slower = false;
  Json list = Json::array();
  Table table({{"workload", false, true},
               {"a"},
               {"time", true},
               {"b"},
               {"time", true},
               {"b/a", true},
               {"95 %"},
               {"b is"}});
  for (const Row& row : rows) {
    slower |= row.verdict == "slower";
    table.add({row.workload, row.a, format_time(row.a_ns), row.b, format_time(row.b_ns),
               fmt::format("{:.3f}", row.ratio), format_ratio_interval(row.interval, 3),
               row.verdict});
    list.push_back(Json{{"workload", row.workload},
                        {"a", {{"record", row.a}, {"median_ns", number(row.a_ns)}}},
                        {"b", {{"record", row.b}, {"median_ns", number(row.b_ns)}}},
                        {"ratio", number(row.ratio)},
                        {"ratio_interval", {number(row.interval.low), number(row.interval.high)}},
                        {"verdict", row.verdict}});
  }
  if (options.common.json) {
    Json fields{{"pairs", list}};
    if (list.size() == 1)
      fields.update(list[0]);
    print_json("compare", fields);
  } else {
    table.print();
    print_wrapped(kRatiosOfPairs);
  }
  return slower ? kAnswerIsNo : kDone;
}

// ---- rerun

struct RerunOptions {
  CommonOptions common;
  std::optional<engine::Regime> regime; ///< of --cache, where it was given
  std::vector<std::string> words;
  std::string keep;
  std::string counters; ///< sets, with commas; empty: none
};

/// A GPU's counters of the candidate, too; the record's own measurement otherwise.
Result<engine::Measurement> measure_with_counters(Workbench& bench, const Task& task,
                                                  const ArtifactRef& artifact,
                                                  const std::vector<std::string>& sets) {
  if (task.target.is_cpu())
    return Error(ErrorCode::kInvalidArgument,
                 "--counters counts on a GPU, and that record is of code for a processor");
  TEMPER_TRY_VOID(engine::metrics_of_sets(sets));
  TEMPER_TRY(prepared, bench.prepare(task, 1));
  TEMPER_TRY(measurer, bench.measurer());
  auto* local = dynamic_cast<engine::LocalMeasurer*>(measurer);
  TEMPER_CHECK(local != nullptr, "a workbench measures on this machine");
  local->set_gpu_metric_sets(sets);
  engine::MeasureRequest request;
  request.workload = prepared;
  request.artifact = artifact;
  request.regime = task.regime;
  request.check = task.reference != nullptr;
  request.counters = true;
  const engine::Ticket ticket = measurer->submit(std::move(request));
  Result<engine::Measurement> measured =
      Error(ErrorCode::kEnvironment, "the measuring device lost a measurement");
  while (measurer->pending() > 0)
    for (engine::FinishedMeasurement& done : measurer->poll(500))
      if (done.ticket == ticket)
        measured = std::move(done.measurement);
  measurer->remove_workload(prepared);
  return measured;
}

/// The measurement with its counters, as a record in a run of its own: what the cost model learns
/// from, and `show` shows.
Result<database::Id> keep_counted(Workbench& bench, const Task& task, const RecordRow& row,
                                  const database::Candidate& candidate,
                                  const engine::Measurement& measured,
                                  const codegen::Artifact& artifact, const std::string& command) {
  TEMPER_TRY(store, bench.store());
  TEMPER_TRY(run, bench.new_run(task));
  run.strategy = "rerun";
  run.parent_record = row.id;
  run.command_line = command;
  TEMPER_TRY(
      recorded,
      database::record_alone(
          *store, run, {candidate, tuner::measurement_row(measured, task, &artifact)}, "1 trial",
          [](const database::Id&, const database::Recorded&) -> Result<void> { return {}; }));
  return recorded.measurement;
}

Result<void> keep_files(const std::string& folder, const Task& task,
                        const database::Candidate& candidate, const ArtifactRef& artifact,
                        const std::string& command) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed)
    return Error(ErrorCode::kEnvironment,
                 "cannot make the folder '" + folder + "': " + failed.message());
  const std::filesystem::path path(folder);
  TEMPER_TRY_VOID(write_file(path / "workload.py", task.module_text));
  TEMPER_TRY_VOID(write_file(path / "trace.json", candidate.program + "\n"));
  TEMPER_TRY_VOID(write_file(path / "kernel.so", artifact->code));
  TEMPER_TRY_VOID(write_file(path / "kernel.o", artifact->object));
  return write_file(path / "command.txt", command + "\n");
}

int run_rerun(RerunOptions& options) {
  Workbench bench(options.common.workbench);
  auto store = bench.store();
  if (!store)
    return report(store.error());
  auto rows = any_records(bench, options.words);
  if (!rows)
    return report(rows.error());
  const RecordRow& row = rows->front();
  auto workload = (*store)->workload(row.workload);
  if (!workload)
    return report(workload.error());
  if (const auto follows = follow_gpu(bench, row); !follows)
    return report(follows.error());
  auto task = bench.task(*workload);
  if (!task)
    return report(task.error());
  task->threads = row.threads;
  task->regime = regime_for(row, options.regime);
  auto candidate = (*store)->candidate(row.candidate);
  if (!candidate)
    return report(candidate.error());
  auto artifact = bench.compile(*task, candidate->program);
  if (!artifact)
    return report(artifact.error());
  if (!options.keep.empty())
    if (auto kept = keep_files(options.keep, *task, *candidate, *artifact,
                               "temper rerun " + join(options.words, " "));
        !kept)
      return report(kept.error());
  install_interrupt_handler();
  auto measured =
      options.counters.empty()
          ? bench.measure(*task, *artifact)
          : measure_with_counters(bench, *task, *artifact, split_text(options.counters, ','));
  if (!measured)
    return report(measured.error());
  const auto counters = engine::plain_counters(*measured);
  const auto conditions = engine::conditions_of(*measured);
  const bool right = engine::is_correct(measured->outcome);
  const auto gpu = codegen::gpu_limits(task->target);
  database::Id kept;
  if (right && !counters.empty()) {
    auto recorded = keep_counted(bench, *task, row, *candidate, *measured, **artifact,
                                 "temper rerun " + join(options.words, " ") + " --counters " +
                                     options.counters);
    if (!recorded)
      return report(recorded.error());
    kept = *recorded;
  }
  const std::vector<std::string> limits =
      gpu ? tuner::counter_limits(counters, gpu->architecture) : std::vector<std::string>();
  if (options.common.json) {
    print_json("rerun", Json{{"record", row.id},
                             {"cache", engine::to_string(task->regime)},
                             {"outcome", engine::to_string(measured->outcome)},
                             {"median_ns", number(measured->median_ns)},
                             {"stored_ns", number(row.median_ns)},
                             {"error", measured->error},
                             {"gpu", conditions ? engine::to_json(*conditions) : Json()},
                             {"counters", counters},
                             {"kept", kept.empty() ? Json(nullptr) : Json(kept)},
                             {"limits", limits},
                             {"log", measured->log}});
  } else {
    fmt::print("{} {}{}: {}", short_id(**store, row.id), task->title(), caches(*task),
               engine::to_string(measured->outcome));
    const auto here = bench.environment();
    if (right)
      fmt::print(", {}{} now, {} stored{}", format_time(measured->median_ns),
                 row.flops > 0 ? fmt::format(" ({})", format_rate(row.flops, measured->median_ns,
                                                                  row.binding_json))
                               : "",
                 format_time(row.median_ns),
                 here && here->class_name != row.environment_class
                     ? " on another machine, " + row.environment_class
                     : "");
    else
      fmt::print(": {}", measured->error);
    fmt::print("\n");
    if (conditions)
      fmt::print("  {}\n", engine::describe(*conditions));
    for (const auto& [name, value] : counters)
      fmt::print("  {:<96} {:.6g}\n", name, value);
    for (const std::string& sentence : limits)
      fmt::print("  - {}\n", sentence);
    if (!kept.empty())
      fmt::print("kept as {}\n", short_id(**store, kept));
    if (!options.counters.empty() && counters.empty() && !measured->log.empty())
      fmt::print("  {}\n", measured->log);
    if (!options.keep.empty())
      fmt::print("program, trace, code and command are in {}\n", options.keep);
  }
  return right ? kDone : kAnswerIsNo;
}

} // namespace

void add_compare(Program& program) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* command = program.app.add_subcommand(
      "compare", "which of two is faster: measured in turns, or --stored, as recorded");
  command->add_option("selections", options->words, "SELECTION SELECTION")->required();
  command->add_option("--seconds", options->seconds, "at most, for a pair (default 5)")
      ->check(positive());
  command->add_flag(
      "--peers", options->peers,
      "compare one selection with the library routines that its workload names and, where "
      "arithmetic bounds it, with the processor's peak");
  command
      ->add_option("--library", options->libraries,
                   "NAME=FILE[:FUNCTION[(SHAPE,...)]]: also with a function of a shared library "
                   "in tvm-ffi's ABI, as TVM and temper export make them (default: main); "
                   "shapes, as 1x56x56x64, where it counts dimensions otherwise than the kernel; "
                   "once for each library")
      ->expected(1)
      ->take_all();
  command->add_flag("--stored", options->stored,
                    "run nothing: the times in the database, of any machines and toolchains, "
                    "paired by kernel, with intervals, a correction for many comparisons and a "
                    "geometric mean");
  command
      ->add_option("--tolerance", options->stored_options.tolerance,
                   "with --stored, smaller differences count as none (default 0.02); faster or "
                   "slower takes an interval without 1 and a small p-value as well")
      ->check(CLI::Range(0.0, 1000.0));
  add_common_options(*command, options->common, true);
  add_examples(*command, {"temper compare m3f9c2 m81ab0", "temper compare run:r11a2b run:r81ab0",
                          "temper compare matmul M=512 --peers",
                          "temper compare m3f9c2 --library theirs=out/libkernels.so:matmul",
                          "temper compare --stored tag:monday tag:tuesday --json",
                          "temper compare --stored 'query:host = attic' 'query:host = cellar'",
                          "temper compare --stored 'query:toolchain ~ \"LLVM 18\"' matmul"});
  command->callback([&program, options, command] {
    options->stored_options.regime = asked_regime(*command, options->common);
    program.action = [options] { return run_compare(*options); };
  });
}

void add_rerun(Program& program) {
  auto options = std::make_shared<RerunOptions>();
  CLI::App* command =
      program.app.add_subcommand("rerun", "compile and measure a stored candidate again");
  command->add_option("selection", options->words, "record id or other SELECTION")->required();
  command->add_option("--keep", options->keep,
                      "leave program, trace, code and the command in this folder");
  command->add_option("--counters", options->counters,
                      "of code for a GPU: read these sets of counters, too, as lite,stall (a wrong "
                      "name is answered with all there are)");
  add_common_options(*command, options->common, true);
  add_examples(*command, {"temper rerun m3f9c2", "temper rerun m3f9c2 --keep out",
                          "temper rerun m3f9c2 --counters lite,stall"});
  command->callback([&program, options, command] {
    options->regime = asked_regime(*command, options->common);
    program.action = [options] { return run_rerun(*options); };
  });
}

} // namespace temper::cli
