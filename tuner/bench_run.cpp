#include "tuner/bench_run.h"

#include "engine/believed.h"
#include "engine/subprocess.h"
#include "ir/s_tir/trace_json.h"
#include "ir/support/text.h"
#include "tuner/google_benchmark.h"
#include "tuner/record_mapping.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

namespace temper::tuner {
namespace {

namespace fs = std::filesystem;

/// A contender and what its rows are.
struct Side {
  engine::Contender contender;
  database::Workload workload; ///< id empty: the task's own
  database::Candidate candidate;
  database::Toolchain toolchain; ///< of a library; its JSON is empty for code of ours
};

class KernelBench {
public:
  KernelBench(Workbench& bench, const BenchEntry& entry, const BenchOptions& options)
      : bench_(bench), entry_(entry), options_(options) {}

  Result<std::vector<BenchTable>> run(const WorkloadArguments& arguments) {
    bench_.retarget(entry_.target, entry_.threads);
    TEMPER_TRY(store, bench_.store());
    store_ = store;
    TEMPER_TRY(task, bench_.task(arguments));
    task_ = std::move(task);
    TEMPER_TRY(workload, store_->add(workload_row(task_)));
    workload_ = workload;
    table_.title = task_.title();
    table_.flops = task_.flops;
    table_.binding_json = task_.binding_json;
    table_.threads = task_.threads;
    TEMPER_TRY_VOID(collect());
    if (sides_.empty())
      return Error(ErrorCode::kNotFound,
                   task_.title() + ": there is nothing to measure" +
                       (table_.missing.empty() ? "; name functions, tune it, or set untuned = true"
                                               : ": " + join(table_.missing, "; ")));
    std::vector<engine::Contender> contenders;
    for (const Side& side : sides_)
      contenders.push_back(side.contender);
    TEMPER_TRY(comparison, bench_.compare(task_, std::move(contenders), entry_.seconds));
    const bool baseline_ran = ran(comparison.contenders.front());
    for (size_t i = 0; i < sides_.size(); ++i) {
      const engine::ComparedContender& side = comparison.contenders[i];
      BenchRow& row = table_.rows.emplace_back();
      row.name = side.name;
      row.outcome = engine::to_string(side.measurement.outcome);
      row.error = side.measurement.error;
      row.settings = sides_[i].contender.artifact->environment;
      if (ran(side)) {
        row.median_ns = side.measurement.median_ns;
        row.samples_ns.assign(side.measurement.samples_ns.begin(),
                              side.measurement.samples_ns.end());
        row.ratio = baseline_ran ? side.ratio : 0;
        row.interval = side.ratio_interval;
      }
      TEMPER_TRY(record, keep(sides_[i], side.measurement));
      row.record = record;
    }
    return std::vector<BenchTable>{std::move(table_)};
  }

private:
  static bool ran(const engine::ComparedContender& side) {
    return engine::is_believed(side.measurement.outcome) && side.measurement.median_ns > 0;
  }

  Result<void> collect() {
    if (entry_.baseline)
      add(*entry_.baseline);
    if (entry_.tuned)
      TEMPER_TRY_VOID(add_tuned());
    if (entry_.untuned)
      TEMPER_TRY_VOID(add_untuned());
    const auto functions = entry_.functions ? *entry_.functions : baseline_functions(task_);
    for (const ExternalFunction& function : functions)
      add(function);
    return {};
  }

  void add(const ExternalFunction& function) {
    auto peer = external_peer(function, task_);
    if (!peer) {
      table_.missing.push_back(peer.error().message);
      return;
    }
    const std::string name =
        function.function.empty() ? function.name() + ":" + peer->artifact->entry : function.name();
    if (std::ranges::any_of(sides_, [&](const Side& side) { return side.contender.name == name; }))
      return; // the baseline is among the functions too
    auto toolchain = library_toolchain(*peer);
    if (!toolchain) {
      table_.missing.push_back(toolchain.error().message);
      return;
    }
    Side side;
    side.contender = {name, peer->artifact, peer->extra_scalars, task_.threads, true};
    side.workload = function_row(name, *peer, task_, workload_);
    side.candidate.kind = kFunctionLayer;
    side.candidate.program = side.workload.program;
    side.candidate.origin = "bench";
    side.toolchain = std::move(*toolchain);
    sides_.push_back(std::move(side));
  }

  Result<void> add_tuned() {
    TEMPER_TRY(filter, bench_.comparable());
    filter.workloads = {workload_};
    filter.target = task_.target.to_string();
    filter.threads = task_.threads;
    filter.order = database::Order::kFastest;
    TEMPER_TRY(best, store_->best(filter));
    if (best.empty())
      return {};
    TEMPER_TRY(code, bench_.code_of(task_, best.front()));
    TEMPER_TRY(candidate, store_->candidate(best.front().candidate));
    sides_.push_back({{"tuned", code, {}, task_.threads, true}, {}, std::move(candidate), {}});
    return {};
  }

  Result<void> add_untuned() {
    TEMPER_TRY(code, bench_.compile(task_, ""));
    database::Candidate candidate;
    candidate.kind = "trace";
    candidate.program = s_tir::trace_to_json_text(s_tir::Trace());
    candidate.origin = "untuned";
    sides_.push_back({{"untuned", code, {}, task_.threads, true}, {}, std::move(candidate), {}});
    return {};
  }

  /// The measurement in a run of its own.
  Result<database::Id> keep(const Side& side, const engine::Measurement& measured) {
    const bool ours = side.toolchain.json.empty();
    TEMPER_TRY(run, bench_.new_run(task_));
    if (!ours) {
      TEMPER_TRY(workload, store_->add(side.workload));
      TEMPER_TRY(toolchain, store_->add(side.toolchain));
      run.workload = workload;
      run.toolchain = toolchain;
    }
    run.strategy = "bench";
    run.command_line = options_.command_line;
    database::Trial trial{
        side.candidate,
        measurement_row(measured, task_, ours ? side.contender.artifact.get() : nullptr)};
    trial.candidate.workload = run.workload;
    TEMPER_TRY(recorded,
               database::record_alone(*store_, run, std::move(trial), "1 trial",
                                      [&](const database::Id& id, const database::Recorded&) {
                                        return store_->add(database::Tag{id, options_.name, 0});
                                      }));
    return recorded.measurement;
  }

  Workbench& bench_;
  const BenchEntry& entry_;
  const BenchOptions& options_;
  database::Store* store_ = nullptr;
  Task task_;
  database::Id workload_;
  std::vector<Side> sides_;
  BenchTable table_;
};

/// Where a program is, as a shell would find it.
Result<std::string> find_program(const std::string& name) {
  if (name.find('/') != std::string::npos)
    return name;
  const char* const paths = std::getenv("PATH");
  for (const std::string& folder : split_text(paths != nullptr ? paths : "", ':'))
    if (const fs::path path = fs::path(folder) / name; ::access(path.c_str(), X_OK) == 0)
      return path.string();
  return Error(ErrorCode::kNotFound, "there is no program '" + name + "' on the PATH");
}

/// A file that goes away with the object.
class TemporaryFile {
public:
  TemporaryFile() {
    path_ = (fs::temp_directory_path() / "temper-XXXXXX").string();
    if (const int descriptor = ::mkstemp(path_.data()); descriptor >= 0)
      ::close(descriptor);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

private:
  std::string path_;
};

} // namespace

Result<std::vector<BenchTable>> bench_kernel(Workbench& bench, const BenchEntry& entry,
                                             const WorkloadArguments& arguments,
                                             const BenchOptions& options) {
  return KernelBench(bench, entry, options).run(arguments);
}

Result<std::vector<BenchTable>> bench_command(Workbench& bench, const BenchEntry& entry,
                                              const BenchOptions& options) {
  TEMPER_TRY(store, bench.store());
  TEMPER_TRY(environment, bench.environment());
  const TemporaryFile out;
  engine::SubprocessOptions process;
  TEMPER_TRY(program, find_program(entry.command.front()));
  process.program = program;
  process.arguments.assign(entry.command.begin() + 1, entry.command.end());
  process.arguments.push_back("--benchmark_out=" + out.path());
  process.arguments.push_back("--benchmark_out_format=json");
  const TemporaryFile screen;
  engine::FileDescriptor output(::open(screen.path().c_str(), O_WRONLY | O_CLOEXEC));
  process.standard_error = output.get();
  TEMPER_TRY(child, engine::Subprocess::spawn(process));
  const auto status = child.wait(static_cast<int>(std::min(entry.timeout * 1000, 2e9)));
  if (!status) {
    child.kill();
    return Error(ErrorCode::kFailed,
                 fmt::format("it took longer than {:g} s and was ended; 'timeout' allows more",
                             entry.timeout));
  }
  if (status->signaled || status->code != 0) {
    const std::string said = read_file(screen.path()).value_or("");
    return Error(ErrorCode::kFailed,
                 "it " + engine::describe_exit(*status) +
                     (said.empty() ? "" : ": " + std::string(trim(said)).substr(0, 300)));
  }
  TEMPER_TRY(text, read_file(out.path()));
  if (trim(text).empty())
    return Error(ErrorCode::kFailed, "it wrote no results: is it a program of Google Benchmark, "
                                     "and does its filter leave any?");
  TEMPER_TRY(file, parse_google_benchmark(text, entry.command.front()));
  const std::string name = fs::path(program).filename().string();
  TEMPER_TRY(records, add_google_benchmark(*store, file, environment, name));
  std::vector<BenchTable> tables;
  for (size_t i = 0; i < file.results.size(); ++i) {
    const BenchmarkResult& result = file.results[i];
    BenchTable table{.title = name,
                     .flops = result.flops,
                     .binding_json = {},
                     .threads = result.threads,
                     .rows = {},
                     .missing = {}};
    BenchRow& row = table.rows.emplace_back();
    row.name = result.name;
    row.record = records[i];
    row.outcome = result.samples_ns.empty() ? "crashed" : "ok";
    row.error = result.error;
    row.samples_ns = result.samples_ns;
    if (!result.samples_ns.empty())
      row.median_ns = median(result.samples_ns);
    TEMPER_TRY(measurement, store->measurement(records[i]));
    TEMPER_TRY_VOID(store->add(database::Tag{measurement.run, options.name, 0}));
    tables.push_back(std::move(table));
  }
  return tables;
}

} // namespace temper::tuner
