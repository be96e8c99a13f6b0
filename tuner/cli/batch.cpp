/// temper batch.
#include "tuner/cli/command.h"
#include "tuner/cli/output.h"

#include "ir/support/target_text.h"
#include "ir/support/text.h"
#include "tuner/batch.h"
#include "tuner/batch_file.h"
#include "tuner/cli/batch_html.h"
#include "tuner/record_mapping.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <random>
#include <set>
#include <unistd.h>

namespace temper::cli {
namespace {

namespace fs = std::filesystem;
using tuner::BatchOutcome;
using tuner::BatchVerdict;
using tuner::Workbench;

struct BatchCommand {
  CommonOptions common;
  std::string file;
  std::string html;
  std::string log;
  int64_t trials = 0;
  double seconds = 0;
  uint64_t seed = 0;
  bool has_seed = false;
  bool dry_run = false;
  bool again = false;
  std::string command_line;
};

/// An error's sentence; what follows is an excerpt of a file, which was shown when it happened.
std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

/// A path, or the name of a file in one of the workload folders' `batches`.
Result<fs::path> find_batch(const Workbench& bench, const std::string& name) {
  std::error_code failed;
  if (fs::is_directory(name, failed))
    return Error(ErrorCode::kInvalidArgument,
                 "'" + name + "' is a folder; name a batch file in it");
  if (fs::exists(name, failed))
    return fs::path(name);
  std::vector<std::string> known;
  if (name.find('/') == std::string::npos && !name.ends_with(".toml"))
    for (const std::string& folder : bench.workload_folders()) {
      const fs::path path = fs::path(folder) / "batches" / (name + ".toml");
      if (fs::exists(path, failed))
        return path;
      for (const auto& entry : fs::directory_iterator(fs::path(folder) / "batches", failed))
        if (entry.path().extension() == ".toml")
          known.push_back(entry.path().stem().string());
    }
  std::sort(known.begin(), known.end());
  const std::string nearest = nearest_name(name, known);
  return Error(ErrorCode::kNotFound,
               "there is no batch file '" + name + "'" +
                   (nearest.empty()
                        ? (known.empty() ? std::string() : "; temper brings " + join(known, ", "))
                        : "; did you mean '" + nearest + "'?"));
}

/// One shape of an entry. An entry whose shapes cannot be told is one item that says so.
struct Kernel {
  const tuner::BatchEntry* entry = nullptr;
  tuner::WorkloadArguments arguments;
  std::string title;
  std::optional<Error> error;
};

std::vector<Kernel> kernels_of(Workbench& bench, const tuner::BatchFile& file) {
  std::vector<Kernel> kernels;
  for (const tuner::BatchEntry& entry : file.entries) {
    auto shapes = cli::kernels_of(bench, entry.workload, entry.shapes);
    if (!shapes)
      kernels.push_back({&entry, {entry.workload, {}, false}, entry.workload, shapes.error()});
    else
      for (tuner::WorkloadArguments& shape : *shapes) {
        std::string title = title_of(bench, shape);
        kernels.push_back({&entry, std::move(shape), std::move(title), {}});
      }
  }
  return kernels;
}

/// What a workload and its shape are as rows: the same for two kernels that are one.
database::Id workload_id(const tuner::Task& task) {
  database::Workload workload = tuner::workload_row(task);
  if (auto binding = database::canonical_binding(workload.binding_json))
    workload.binding_json = std::move(*binding); // as the store has it
  return database::id_of(workload);
}

/// Its task, for a target that runs here.
Result<tuner::Task> task_of(Workbench& bench, const Kernel& kernel) {
  if (kernel.error)
    return *kernel.error;
  bench.retarget(kernel.entry->target, kernel.entry->threads);
  TEMPER_TRY(task, bench.task(kernel.arguments));
  TEMPER_TRY_VOID(bench.check_host(task));
  return task;
}

Result<std::unique_ptr<tuner::BatchKernel>> open_kernel(Workbench& bench, const Kernel& kernel) {
  TEMPER_TRY(task, task_of(bench, kernel));
  auto opened = std::make_unique<tuner::BatchKernel>();
  TEMPER_TRY(space, tuner::space_of(task));
  opened->space = std::move(space);
  opened->options = bench.tune_options(task);
  TEMPER_TRY(row, bench.new_run(task));
  opened->row = std::move(row);
  opened->task = std::move(task);
  return opened;
}

/// What is to be tuned, in the file's order. Kernels that are the same are one item, and leave
/// `kernels`: the two lists have the same length and order.
std::vector<tuner::BatchItem> items_of(Workbench& bench, std::vector<Kernel>& kernels) {
  std::vector<tuner::BatchItem> items;
  for (const Kernel& kernel : kernels) {
    const tuner::BatchEntry& entry = *kernel.entry;
    tuner::BatchItem item{
        kernel.title, entry.weight, entry.trials, entry.seconds, entry.tags, {}, {}};
    if (const auto task = task_of(bench, kernel)) // else its error is its outcome
      item.kernel = workload_id(*task) + " " + task->target.to_string();
    items.push_back(std::move(item));
  }
  std::set<size_t> gone;
  for (const auto& [stays, goes] : tuner::merge_equal(items)) {
    const int line = kernels[stays].entry->line;
    const int other = kernels[goes].entry->line;
    std::fprintf(stderr, "temper: %s the same kernel (%s): it is tuned once, with both weights\n",
                 line == other
                     ? fmt::format("the task of line {} has twice", line).c_str()
                     : fmt::format("the tasks of lines {} and {} have", line, other).c_str(),
                 kernels[stays].title.c_str());
    gone.insert(goes);
  }
  std::vector<Kernel> kept;
  for (size_t i = 0; i < kernels.size(); ++i)
    if (!gone.contains(i))
      kept.push_back(std::move(kernels[i]));
  kernels = std::move(kept);
  for (size_t i = 0; i < items.size(); ++i)
    items[i].open = [&bench, &kernel = kernels[i]] { return open_kernel(bench, kernel); };
  return items;
}

// ---- The plan

/// Seconds a trial took here, over the finished runs of a workload, or of all of them.
class TrialTimes {
public:
  TrialTimes(database::Store& store, const std::string& environment) {
    const auto runs = store.list_runs({});
    if (!runs)
      return;
    for (const database::Run& run : *runs) {
      const auto row = store.environment(run.environment);
      if (run.trials == 0 || run.seconds <= 0 || !row || row->class_name != environment)
        continue;
      for (Sum* sum : {&by_workload_[run.workload], &all_}) {
        sum->seconds += run.seconds;
        sum->trials += run.trials;
        ++sum->runs;
      }
    }
  }
  double seconds(const database::Id& workload) const {
    if (const auto found = by_workload_.find(workload); found != by_workload_.end())
      return found->second.mean();
    constexpr double kRuleOfThumb = 0.25; // kernels of a millisecond, two compile processes
    return all_.trials > 0 ? all_.mean() : kRuleOfThumb;
  }
  std::string source() const {
    return all_.trials > 0 ? "from " + format_count(all_.runs, "earlier run")
                           : std::string("a rule of thumb: nothing was tuned here yet");
  }

private:
  struct Sum {
    double seconds = 0;
    int64_t trials = 0;
    int64_t runs = 0;
    double mean() const { return seconds / static_cast<double>(trials); }
  };
  std::map<database::Id, Sum> by_workload_;
  Sum all_;
};

/// "500 trials, at most 60 s".
std::string budget_text(int64_t trials, double seconds) {
  std::string text = trials > 0 ? format_count(trials, "trial") : "";
  if (seconds > 0)
    text += (text.empty() ? "" : ", at most ") + format_seconds(seconds);
  return text.empty() ? "until it converges" : text;
}

int print_plan(Workbench& bench, const std::vector<Kernel>& kernels,
               const std::vector<tuner::BatchItem>& items, const BatchCommand& options,
               const tuner::BatchOptions& batch) {
  auto store = bench.store();
  if (!store)
    return report(store.error());
  auto environment = bench.environment();
  if (!environment)
    return report(environment.error());
  const TrialTimes times(**store, environment->class_name);
  Table table({{"task", false, true},
               {"target"},
               {"threads", true},
               {"weight", true},
               {"budget"},
               {"known", true},
               {"state", false, true}});
  Json list = Json::array();
  double seconds = 0;
  double spent = 0;
  int64_t trials = 0;
  int failed = 0;
  int open_ended = 0;
  for (size_t i = 0; i < kernels.size(); ++i) {
    const Kernel& kernel = kernels[i];
    const tuner::BatchEntry& entry = *kernel.entry; // target and threads; what may be merged:
    const tuner::BatchItem& item = items[i];
    std::string state = "new";
    double known_ns = 0;
    double estimate = 0;
    std::string title = kernel.title;
    const Result<void> planned = [&]() -> Result<void> {
      TEMPER_TRY(task, task_of(bench, kernel));
      title = task.title();
      TEMPER_TRY(toolchain, bench.toolchain());
      database::Run row;
      row.workload = workload_id(task);
      row.target = task.target.to_string();
      row.environment = database::id_of(*environment);
      row.toolchain = toolchain.id;
      TEMPER_TRY(filter, bench.comparable());
      filter.workloads = {row.workload};
      filter.target = row.target;
      TEMPER_TRY(best, (*store)->best(filter));
      if (!best.empty())
        known_ns = best.front().median_ns;
      TEMPER_TRY(runs, tuner::batch_runs(**store, batch.name, batch.cache, row));
      int64_t done_trials = 0;
      double done_seconds = 0;
      if (!runs.empty() && !options.again) {
        const database::Run& run = runs.front();
        const std::string id = short_id(**store, run.id);
        state = run.state == database::RunState::kFinished  ? "finished: " + id
                : run.state == database::RunState::kRunning ? "at work: " + id
                                                            : "goes on: " + id;
        done_trials = run.trials;
        done_seconds = run.seconds;
        spent += run.seconds;
      }
      if (state.starts_with("finished"))
        return {};
      constexpr double kConverges = 1000; // trials, as `tune` does without a budget
      const double left = item.trials > 0    ? static_cast<double>(item.trials - done_trials)
                          : item.seconds > 0 ? 1e18
                                             : kConverges - static_cast<double>(done_trials);
      open_ended += item.trials == 0 && item.seconds == 0 ? 1 : 0;
      estimate = std::max(left, 0.0) * times.seconds(row.workload);
      if (item.seconds > 0)
        estimate = std::min(estimate, std::max(item.seconds - done_seconds, 0.0));
      return {};
    }();
    if (!planned) {
      state = "fails: " + first_line(planned.error().message);
      ++failed;
    }
    seconds += estimate;
    trials += item.trials;
    table.add({title, short_target(entry.target), thread_cell(entry.target, entry.threads),
               fmt::format("{:g}", item.weight), budget_text(item.trials, item.seconds),
               format_time(known_ns), state});
    list.push_back(Json{{"task", title},
                        {"target", entry.target},
                        {"threads", entry.threads},
                        {"weight", item.weight},
                        {"trials", item.trials},
                        {"seconds", item.seconds},
                        {"tags", item.tags},
                        {"known_ns", known(known_ns)},
                        {"state", planned ? state.substr(0, state.find(':')) : "fails"},
                        {"error", planned ? Json(nullptr) : Json(planned.error().message)},
                        {"estimated_seconds", estimate}});
  }
  bool shared = false;
  if (batch.seconds > 0 && seconds > batch.seconds - spent) {
    seconds = std::max(batch.seconds - spent, 0.0);
    shared = true;
  }
  if (batch.trials > 0)
    seconds = std::min(seconds, static_cast<double>(batch.trials) * times.seconds({}));
  if (options.common.json) {
    print_json("batch", Json{{"batch", batch.name},
                             {"dry_run", true},
                             {"tasks", std::move(list)},
                             {"estimated_seconds", seconds},
                             {"estimated_from", times.source()},
                             {"objective", batch.objective == tuner::BatchObjective::kTotalTime
                                               ? "weighted total time"
                                               : "mean speedup"}});
  } else {
    table.print();
    fmt::print("{}: {}, {}{}\n", batch.name,
               format_count(static_cast<int64_t>(kernels.size()), "kernel"),
               seconds > 0 ? fmt::format("{}about {}", open_ended > 0 && !shared ? "at most " : "",
                                         format_seconds(seconds))
                           : "nothing to do",
               shared ? ", shared by expected gain" : "");
    fmt::print("a trial takes about {:.2f} s ({})\n", times.seconds({}), times.source());
    if (failed > 0)
      fmt::print("{} of them cannot be tuned here\n", failed);
  }
  return failed > 0 ? kFailedWork : kDone;
}

// ---- The work

/// "[3/13] conv2d N=1 ...: 120 trials, best 1.2 ms, 12 min of 1 h".
std::string progress_text(const tuner::BatchProgress& progress, double budget_seconds) {
  std::string text = fmt::format("[{}/{}] {}: ", progress.finished, progress.items, progress.title);
  if (progress.tune.phase == "reference")
    return text + "computing the reference";
  text += format_count(progress.tune.trials, "trial");
  if (progress.tune.phase == "confirm")
    return text + ", confirming the best";
  if (progress.tune.best_ns > 0) {
    text += ", best " + format_time(progress.tune.best_ns);
    if (progress.flops > 0)
      text +=
          " (" + format_rate(progress.flops, progress.tune.best_ns, progress.binding_json) + ")";
  }
  text += ", " + format_seconds(progress.seconds);
  if (budget_seconds > 0)
    text += " of " + format_seconds(budget_seconds);
  return text;
}

double speedup(const BatchOutcome& outcome) {
  return outcome.best_ns > 0 && outcome.baseline_ns() > 0 ? outcome.baseline_ns() / outcome.best_ns
                                                          : 0;
}

/// Lines under the table.
std::vector<std::string> summary(const tuner::BatchResult& result,
                                 tuner::BatchObjective objective) {
  int64_t counts[5] = {};
  double log_sum = 0;
  int64_t ratios = 0;
  double before = 0;
  double after = 0;
  for (const BatchOutcome& outcome : result.outcomes) {
    ++counts[static_cast<size_t>(outcome.verdict)];
    if (const double ratio = speedup(outcome); ratio > 0) {
      log_sum += std::log(ratio);
      ++ratios;
      before += outcome.weight * outcome.baseline_ns();
      after += outcome.weight * outcome.best_ns;
    }
  }
  std::vector<std::string> parts;
  for (const BatchVerdict verdict : {BatchVerdict::kWon, BatchVerdict::kSame, BatchVerdict::kFailed,
                                     BatchVerdict::kUnfinished, BatchVerdict::kElsewhere})
    if (const int64_t count = counts[static_cast<size_t>(verdict)]; count > 0)
      parts.push_back(fmt::format("{} {}", count, to_string(verdict)));
  std::vector<std::string> lines{
      fmt::format("{} of {}, {} in {}", join(parts, ", "),
                  format_count(static_cast<int64_t>(result.outcomes.size()), "kernel"),
                  format_count(result.trials, "trial"), format_seconds(result.seconds))};
  if (ratios > 0)
    lines.push_back(
        objective == tuner::BatchObjective::kTotalTime
            ? fmt::format("sum of weight x time: {} before, {} now, {:.2f} times as fast",
                          format_time(before), format_time(after), before / after)
            : fmt::format("{:.2f} times as fast (geometric mean)",
                          std::exp(log_sum / static_cast<double>(ratios))));
  if (result.counts.seconds > 0 && result.counts.rounds > 0)
    lines.push_back(fmt::format("scheduling took {:.2f} % of it",
                                100 * result.counts.overhead_seconds() / result.counts.seconds));
  return lines;
}

Json outcome_json(const BatchOutcome& outcome) {
  return Json{
      {"task", outcome.title},
      {"result", to_string(outcome.verdict)},
      {"reason", outcome.reason},
      {"run", outcome.run},
      {"record", outcome.record},
      {"before_ns", known(outcome.before_ns)},
      {"untuned_ns", known(outcome.untuned_ns)},
      {"median_ns", known(outcome.best_ns)},
      {"interval_ns", {number(outcome.best_interval.low), number(outcome.best_interval.high)}},
      {"ratio", known(speedup(outcome))},
      {"gflops", known(gflops(outcome.flops, outcome.best_ns))},
      {"weight", outcome.weight},
      {"trials", outcome.trials},
      {"seconds", outcome.seconds},
      {"earlier", outcome.earlier}};
}

void print_outcomes(database::Store& store, const tuner::BatchResult& result) {
  Table table({{"task", false, true},
               {"result"},
               {"before", true},
               {"now", true},
               {"faster", true},
               {"rate", true},
               {"trials", true},
               {"spent", true},
               {"record"}});
  for (const BatchOutcome& outcome : result.outcomes) {
    const double ratio = speedup(outcome);
    table.add({outcome.title, to_string(outcome.verdict), format_time(outcome.baseline_ns()),
               format_time(outcome.best_ns), ratio > 0 ? fmt::format("{:.2f}x", ratio) : "-",
               format_rate(outcome.flops, outcome.best_ns, outcome.binding_json),
               std::to_string(outcome.trials), format_seconds(outcome.seconds),
               short_id(store, outcome.record)});
  }
  table.print();
  for (const BatchOutcome& outcome : result.outcomes)
    if (outcome.best_ns <= 0) // why a search that found something ended, --json and --html say
      print_wrapped(outcome.title + " " + to_string(outcome.verdict) + ": " +
                    first_line(outcome.reason));
}

/// One JSON line for each committed outcome, so that others can follow.
class OutcomeLog {
public:
  ~OutcomeLog() {
    if (file_ != nullptr)
      std::fclose(file_);
  }
  Result<void> open(const std::string& path) {
    file_ = std::fopen(path.c_str(), "a");
    if (file_ == nullptr)
      return Error(ErrorCode::kEnvironment, "cannot write '" + path + "'");
    return {};
  }
  void add(const std::string& task, const database::Id& record,
           const engine::Measurement& measurement) {
    if (file_ == nullptr)
      return;
    const std::string line = Json{{"record", record},
                                  {"task", task},
                                  {"outcome", engine::to_string(measurement.outcome)},
                                  {"median_ns", number(measurement.median_ns)}}
                                 .dump(-1, ' ', false, Json::error_handler_t::replace) +
                             "\n";
    std::fwrite(line.data(), 1, line.size(), file_); // whole lines, even when we are killed
    std::fflush(file_);
  }

private:
  std::FILE* file_ = nullptr;
};

int finish_batch(Workbench& bench, const BatchCommand& options, const tuner::BatchOptions& batch,
                 const tuner::BatchResult& result, const std::string& command) {
  auto store = bench.store();
  if (!store)
    return report(store.error());
  const std::vector<std::string> lines = summary(result, batch.objective);
  if (options.common.json) {
    Json tasks = Json::array();
    for (const BatchOutcome& outcome : result.outcomes)
      tasks.push_back(outcome_json(outcome));
    print_json("batch",
               Json{{"batch", batch.name},
                    {"tasks", std::move(tasks)},
                    {"trials", result.trials},
                    {"seconds", result.seconds},
                    {"interrupted", result.interrupted},
                    {"scheduler",
                     {{"rounds", result.counts.rounds},
                      {"decisions", result.counts.decisions},
                      {"rebuilt", result.counts.rebuilt},
                      {"seconds", result.counts.overhead_seconds()},
                      {"share", result.counts.seconds > 0
                                    ? result.counts.overhead_seconds() / result.counts.seconds
                                    : 0}}}});
  } else {
    print_outcomes(**store, result);
    for (const std::string& line : lines)
      print_wrapped(line);
    std::fflush(stdout);
  }
  if (!options.html.empty()) {
    auto page = batch_html(bench, batch.name, result, lines);
    if (!page)
      return report(page.error());
    if (auto written = write_file(options.html, *page); !written)
      return report(written.error());
    std::fprintf(stderr, "temper: wrote %s\n", options.html.c_str());
  }
  bool failed = false;
  bool unfinished = false;
  for (const BatchOutcome& outcome : result.outcomes) {
    failed |= outcome.verdict == BatchVerdict::kFailed;
    unfinished |= outcome.verdict == BatchVerdict::kUnfinished;
  }
  if (result.interrupted) {
    std::fprintf(stderr, "temper: interrupted; go on with: %s\n", command.c_str());
    return kInterrupted;
  }
  if (result.error) {
    report(*result.error);
    if (unfinished)
      std::fprintf(stderr, "temper: what is done is kept; go on with: %s\n", command.c_str());
    return kFailedWork;
  }
  return failed ? kFailedWork : kDone;
}

int run_batch_command(BatchCommand& options) {
  tuner::BatchOptions batch;
  // What is live stays on the device, and a finalists' fresh inputs beside it: a reference that has
  // to be computed again at each turn is time lost.
  options.common.workbench.workloads_kept = batch.live + 1;
  Workbench bench(options.dry_run ? viewing(options.common) : options.common.workbench);
  auto path = find_batch(bench, options.file);
  if (!path)
    return report(path.error());
  auto text = read_file(*path);
  if (!text)
    return report(text.error());
  auto file = tuner::parse_batch_file(*text, *path);
  if (!file)
    return report(file.error());
  std::vector<Kernel> kernels = kernels_of(bench, *file);
  const std::vector<tuner::BatchItem> items = items_of(bench, kernels);

  batch.name = file->name;
  batch.objective =
      file->weighted ? tuner::BatchObjective::kTotalTime : tuner::BatchObjective::kMeanSpeedup;
  batch.trials = options.trials > 0 ? options.trials : file->trials;
  batch.seconds = options.seconds > 0 ? options.seconds : file->seconds;
  batch.again = options.again;
  batch.cache = engine::to_string(options.common.workbench.regime);
  batch.seed = options.has_seed ? options.seed : std::random_device()();
  const std::string& command = options.command_line;
  batch.command_line = command;
  batch.live_bytes =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 4;
  if (options.dry_run)
    return print_plan(bench, kernels, items, options, batch);

  auto store = bench.store();
  if (!store)
    return report(store.error());
  // A server is started again, a file does not come back by itself.
  if ((*store)->name().find("://") != std::string::npos)
    batch.store_patience_seconds = 180;
  OutcomeLog log;
  if (!options.log.empty())
    if (auto opened = log.open(options.log); !opened)
      return report(opened.error());
  install_interrupt_handler("interrupted; go on with: " + command);
  postpone_interrupts(true);
  auto devices = bench.devices();
  if (!devices)
    return report(devices.error());
  LiveLine line;
  tuner::BatchHooks hooks;
  hooks.interrupted = [] { return interrupted(); };
  hooks.progress = [&](const tuner::BatchProgress& progress) {
    // As in tune: computing references and confirming the best block for long, and end by ending.
    postpone_interrupts(progress.tune.phase == "search");
    if (line.is_due(progress.seconds))
      line.show(progress_text(progress, batch.seconds));
  };
  hooks.finished = [&](const BatchOutcome& outcome) {
    postpone_interrupts(true);
    line.finish();
    if (outcome.earlier)
      return;
    const double ratio = speedup(outcome);
    std::fprintf(stderr, "%s: %s%s%s\n", outcome.title.c_str(), to_string(outcome.verdict),
                 outcome.best_ns > 0 ? (", " + format_time(outcome.best_ns)).c_str() : "",
                 outcome.best_ns > 0 && ratio > 0
                     ? fmt::format(", {:.2f} times as fast", ratio).c_str()
                     : (outcome.best_ns > 0 ? "" : (": " + outcome.reason).c_str()));
  };
  hooks.recorded = [&](const tuner::BatchItem& item, const database::Id& record,
                       const engine::Measurement& measurement) {
    log.add(item.title, record, measurement);
  };
  const tuner::BatchResult result = tuner::run_batch(items, *devices, batch, hooks);
  line.finish();
  return finish_batch(bench, options, batch, result, command);
}

} // namespace

void add_batch(Program& program) {
  auto options = std::make_shared<BatchCommand>();
  CLI::App* command = program.app.add_subcommand(
      "batch", "tune all kernels of a file, sharing the time; run again, it goes on");
  command->add_option("file", options->file, "FILE.toml, or the name of one that comes with temper")
      ->required();
  command->add_flag("--dry-run", options->dry_run, "print the plan and the estimated time");
  command
      ->add_option("--seconds", options->seconds, "for the whole batch, over all its continuations")
      ->check(positive());
  command->add_option("--trials", options->trials, "for the whole batch")->check(count());
  const CLI::Option* seed = add_seed_option(*command, options->seed);
  command->add_flag("--again", options->again, "start anew, what is finished too");
  command->add_option("--html", options->html, "write the last table as a page of its own");
  command->add_option("--log", options->log, "append one JSON line for each outcome");
  add_common_options(*command, options->common, false);
  add_jobs_option(*command, options->common);
  add_cache_option(*command, options->common);
  add_examples(*command,
               {"temper batch night.toml --dry-run", "temper batch night.toml --html night.html",
                "temper batch resnet50 --seconds 28800"});
  command->callback([&program, options, seed] {
    options->has_seed = seed->count() > 0;
    options->command_line = program.command_line;
    program.action = [options] { return run_batch_command(*options); };
  });
}

} // namespace temper::cli
