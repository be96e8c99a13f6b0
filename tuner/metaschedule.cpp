#include "tuner/metaschedule.h"

#include "ir/s_tir/schedule.h"
#include "ir/s_tir/trace_json.h"
#include "ir/s_tir/tvm_graph.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/support/base64.h"
#include "ir/support/hash.h"
#include "ir/support/statistics.h"
#include "ir/support/text.h"
#include "ir/walk.h"
#include "tuner/record_mapping.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

namespace temper::tuner {
namespace {

namespace fs = std::filesystem;

/// MetaSchedule writes this many seconds for a candidate that failed.
constexpr double kFailedSeconds = 1e9;
/// Rows that are committed together.
constexpr int64_t kBatch = 500;

/// A name for Python from a folder's.
std::string identifier_of(const std::string& folder) {
  std::string name = fs::absolute(folder).lexically_normal().string();
  while (!name.empty() && name.back() == '/')
    name.pop_back();
  name = fs::path(name).filename().string();
  for (char& c : name)
    c = std::isalnum(static_cast<unsigned char>(c)) != 0
            ? static_cast<char>(std::tolower(static_cast<unsigned char>(c)))
            : '_';
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0)
    name = "workload_" + name;
  return name;
}

Result<ir::IRModule> decode_workload(const Json& line) {
  if (!line.is_array() || line.size() != 2 || !line[1].is_string())
    return Error(ErrorCode::kCorrupt, "a workload is [\"hash\", \"base64\"]");
  TEMPER_TRY(bytes, decode_base64(line[1].get_ref<const std::string&>()));
  uint64_t length = 0; // little-endian, as this machine
  if (bytes.size() < sizeof length)
    return Error(ErrorCode::kCorrupt, "the workload's program is cut off");
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > bytes.size() - sizeof length)
    return Error(ErrorCode::kCorrupt, "the workload's program is cut off");
  TEMPER_TRY(graph, parse_json(std::string_view(bytes).substr(sizeof length, length)));
  return s_tir::module_from_tvm(graph);
}

/// Arithmetic in a value, without that of indices and conditions.
double operations(const ir::Expr& value) {
  double count = 0;
  ir::walk(value, [&](const ir::NodeRef& node) {
    if (const auto* select = node.as<ir::Select>()) {
      count += operations(select->true_value) + operations(select->false_value);
      return false;
    }
    if (const auto* call = node.as<ir::Call>(); call != nullptr && call->op == "if_then_else") {
      count += operations(call->args[1]) + operations(call->args[2]);
      return false;
    }
    for (const ir::Kind kind : {ir::Add::kKind, ir::Sub::kKind, ir::Mul::kKind, ir::Div::kKind,
                                ir::Min::kKind, ir::Max::kKind})
      count += node->kind() == kind ? 1 : 0;
    return node->kind() != ir::BufferLoad::kKind;
  });
  return count;
}

/// What MetaSchedule counts of a program: the arithmetic in what is stored, as often as it is made;
/// starts of sums and calls of functions are none. 0 per iteration of a loop of symbolic extent.
double operations(const ir::Stmt& stmt) {
  return s_tir::visit(
      stmt,
      [](const tir::SeqStmt& sequence) {
        double count = 0;
        for (const ir::Stmt& child : sequence.statements)
          count += operations(child);
        return count;
      },
      [](const tir::For& loop) {
        return static_cast<double>(ir::as_int(loop.extent).value_or(0)) * operations(loop.body);
      },
      [](const s_tir::SBlockRealize& realize) { return operations(realize.block->body); },
      [](const tir::BufferStore& store) { return operations(store.value); },
      [](const tir::IfThenElse& branch) { return operations(branch.then_case); },
      [](const ir::StmtNode&) { return 0.0; });
}

/// A workload file whose one function gives the program.
std::string workload_text(const std::string& name, const ir::PrimFunc& function,
                          const std::string& folder) {
  std::string text = fmt::format("\"\"\"Read from MetaSchedule's database {}.\"\"\"\n"
                                 "from tvm.script import tirx as T\n\n\ndef {}():\n",
                                 fs::path(folder).filename().string(), name);
  for (const std::string& line : split_text(
           script::to_text(function, {.header = false, .marks = {}, .lines = nullptr}), '\n'))
    text += line.empty() ? "\n" : "    " + line + "\n";
  while (text.ends_with("\n\n"))
    text.pop_back();
  text += "\n    return main\n";
  if (const double count = operations(function->body); count > 0)
    text += fmt::format("\n\n{}_workload = dict(flops=\"{:.0f}\")\n", name, count);
  return text;
}

struct Target {
  std::string text; ///< as ours: "cpu:znver5"
  std::string class_name;
  int threads = 1;
};
Result<Target> target_of(const Json& json) {
  if (!json.is_object())
    return Error(ErrorCode::kCorrupt, "the target is no object");
  const std::string kind = text_at(json, "kind");
  if (kind.empty())
    return Error(ErrorCode::kCorrupt, "the target has no kind");
  Target target;
  const std::string processor =
      kind == "llvm" ? text_at(json, "mcpu") : text_at(json, kind == "cuda" ? "arch" : "mcpu");
  const char* device = kind == "llvm" ? "cpu" : kind.c_str();
  target.text = processor.empty() ? std::string(device) : fmt::format("{}:{}", device, processor);
  if (const auto cores = json.find("num-cores");
      cores != json.end() && cores->is_number_integer() && cores->get<int64_t>() > 0 &&
      cores->get<int64_t>() < 100'000)
    target.threads = static_cast<int>(cores->get<int64_t>());
  target.class_name = fmt::format("metaschedule {}/{}", target.text, target.threads);
  return target;
}

class Importer {
public:
  Importer(Workbench& bench, database::Store& store, std::string folder, std::string out)
      : bench_(bench), store_(store), folder_(std::move(folder)), out_(std::move(out)) {}

  Result<MetaScheduleImport> run() {
    TEMPER_TRY_VOID(read_workloads());
    TEMPER_TRY_VOID(read_records());
    for (const auto& known : workloads_)
      if (known.usable)
        result_.workloads.push_back(known.shown);
    return std::move(result_);
  }

private:
  struct Known {
    bool usable = false;
    ir::IRModule module;
    MetaScheduleImport::Workload shown;
    std::map<std::string, database::Id> runs; ///< by target
    std::map<database::Id, int64_t> sequence;
  };

  void problem(const char* file, int64_t line, const Error& error) {
    ++result_.broken;
    if (result_.problems.size() < kMostProblems)
      result_.problems.push_back(fmt::format("{}:{}: {}", file, line, error.message));
  }

  Result<void> read_workloads() {
    std::ifstream in(fs::path(folder_) / kMetaScheduleWorkloads, std::ios::binary);
    if (!in)
      return Error(ErrorCode::kNotFound,
                   fmt::format("'{}' has no {}", folder_, kMetaScheduleWorkloads));
    std::string line;
    std::vector<std::pair<int64_t, ir::IRModule>> programs;
    for (int64_t number = 1; std::getline(in, line); ++number) {
      if (trim(line).empty())
        continue;
      auto json = parse_json(line);
      auto module = json ? decode_workload(*json) : Result<ir::IRModule>(json.error());
      if (!module)
        problem(kMetaScheduleWorkloads, number, module.error());
      programs.emplace_back(number, module ? *module : ir::IRModule());
    }
    for (size_t i = 0; i < programs.size(); ++i) {
      Known known;
      if (programs[i].second) {
        auto made = add_workload(programs[i].second,
                                 programs.size() > 1 ? fmt::format("_{}", i) : std::string());
        if (made)
          known = std::move(*made);
        else if (made.error().code == ErrorCode::kEnvironment)
          return std::move(made).error();
        else
          problem(kMetaScheduleWorkloads, programs[i].first, made.error());
      }
      workloads_.push_back(std::move(known));
    }
    return {};
  }

  Result<Known> add_workload(const ir::IRModule& module, const std::string& suffix) {
    const auto function = module->functions.front().function.as_ref<ir::PrimFuncNode>();
    if (module->functions.size() != 1 || !function || function->name != "main")
      return Error(ErrorCode::kUnsupported, "only workloads of one function, \"main\", are read");
    const std::string name = identifier_of(folder_) + suffix;
    const std::string file = (fs::path(out_) / (name + ".py")).lexically_normal().string();
    const std::string text = workload_text(name, function, folder_);
    if (const auto there = read_file(file); there && *there != text)
      return Error(ErrorCode::kEnvironment,
                   fmt::format("'{}' is there and is something else: name another folder with "
                               "--out",
                               file));
    std::error_code failed;
    fs::create_directories(fs::path(out_), failed); // else writing says why
    if (auto written = write_file(file, text); !written)
      return Error(ErrorCode::kEnvironment, written.error().message);
    Known known;
    known.shown.file = file;
    known.shown.name = file + ":" + name;
    TEMPER_TRY(task, bench_.task(WorkloadArguments{known.shown.name, {}, false}));
    std::string where;
    if (!ir::structural_equal(task.module, module, &where))
      return Error(ErrorCode::kUnsupported,
                   "the workload's text does not read back as the same program: " + where);
    TEMPER_TRY(id, store_.add(workload_row(task)));
    known.module = task.module;
    known.shown.id = id;
    known.usable = true;
    return known;
  }

  Result<void> read_records() {
    const fs::path path = fs::path(folder_) / kMetaScheduleRecords;
    std::ifstream in(path, std::ios::binary);
    if (!in)
      return Error(ErrorCode::kNotFound,
                   fmt::format("'{}' has no {}", folder_, kMetaScheduleRecords));
    std::error_code failed;
    const auto changed = fs::last_write_time(path, failed);
    when_ = failed ? 1
                   : std::chrono::duration_cast<std::chrono::nanoseconds>(
                         std::chrono::file_clock::to_sys(changed).time_since_epoch())
                         .count();
    struct Line {
      int64_t number;
      std::string text;
    };
    std::vector<Line> batch;
    std::string line;
    int64_t number = 0;
    bool more = true;
    while (more) {
      batch.clear();
      while (static_cast<int64_t>(batch.size()) < kBatch && (more = bool(std::getline(in, line)))) {
        ++number;
        if (!trim(line).empty())
          batch.push_back({number, line});
      }
      const MetaScheduleImport before = result_;
      const std::vector<Known> workloads = workloads_;
      TEMPER_TRY_VOID(store_.transaction([&]() -> Result<void> {
        result_ = before; // a server may make us try again
        workloads_ = workloads;
        for (const Line& item : batch) {
          ++result_.lines;
          TEMPER_TRY_VOID(read_record(item.text, item.number));
        }
        return {};
      }));
    }
    return {};
  }

  /// Errors are the store's; what is wrong with the line is a problem.
  Result<void> read_record(const std::string& line, int64_t number) {
    const auto broken = [&](const Error& error) -> Result<void> {
      problem(kMetaScheduleRecords, number, error);
      return {};
    };
    const auto corrupt = [&](const char* what) { return broken(Error(ErrorCode::kCorrupt, what)); };
    const auto json = parse_json(line);
    if (!json)
      return broken(json.error());
    if (!json->is_array() || json->size() != 2 || !(*json)[0].is_number_integer() ||
        !(*json)[1].is_array() || (*json)[1].size() != 4)
      return corrupt("a record is [workload, [trace, seconds, target, arguments]]");
    const auto index = (*json)[0].get<int64_t>();
    if (index < 0 || index >= static_cast<int64_t>(workloads_.size()))
      return corrupt("the record is of a workload that the other file has not");
    Known& known = workloads_[static_cast<size_t>(index)];
    if (!known.usable)
      return corrupt("the record is of a workload that could not be read");
    const Json& record = (*json)[1];
    const auto trace = s_tir::trace_from_json(record[0]);
    if (!trace)
      return broken(trace.error());
    s_tir::Schedule schedule(known.module);
    schedule.set_render_errors(false);
    if (const auto applied = schedule.apply(*trace, {.sample_missing = false}); !applied)
      return broken(Result<void>(applied).error());
    std::vector<double> seconds;
    if (!record[1].is_array())
      return corrupt("the times are no list");
    for (const Json& value : record[1]) {
      if (!value.is_number() || !(value.get<double>() > 0))
        return corrupt("a time is no positive number");
      seconds.push_back(value.get<double>());
    }
    if (seconds.empty())
      return corrupt("the record has no times");
    const auto target = target_of(record[2]);
    if (!target)
      return broken(target.error());

    TEMPER_TRY(run, run_of(known, record[2], *target));
    database::Candidate candidate;
    candidate.workload = known.shown.id;
    candidate.kind = "trace";
    candidate.program = s_tir::trace_to_json_text(schedule.trace());
    candidate.origin = "metaschedule";
    TEMPER_TRY(candidate_id, store_.add(candidate));
    database::Measurement row;
    row.run = run;
    row.candidate = candidate_id;
    row.sequence = known.sequence[run]++;
    row.purpose = database::Purpose::kSearch;
    row.threads = target->threads;
    row.environment = environment_[target->class_name];
    row.toolchain = toolchain_[target->class_name];
    row.unchecked = true; // MetaSchedule does not look at results
    row.origin = "metaschedule";
    row.inputs = "its own";
    row.measured_at = when_;
    std::vector<double> samples_ns;
    for (const double value : seconds)
      samples_ns.push_back(value * 1e9);
    const double median_ns = median(samples_ns);
    if (*std::max_element(seconds.begin(), seconds.end()) >= kFailedSeconds) {
      row.outcome = database::Outcome::kCrashed;
      row.stage = "run";
      row.error = "MetaSchedule could not build or time it, and does not store why";
      ++known.shown.failed;
    } else {
      row.stage = "time";
      row.median_ns = median_ns;
      row.samples_ns.assign(samples_ns.begin(), samples_ns.end());
    }
    row.id = database::id_of(row);
    const bool is_new = !store_.measurement(row.id).has_value();
    TEMPER_TRY(id, store_.import_measurement(row));
    ++known.shown.records;
    ++result_.records;
    result_.added += is_new ? 1 : 0;
    if (row.outcome == database::Outcome::kOk &&
        (known.shown.best.empty() || median_ns < known.shown.best_ns)) {
      known.shown.best = id;
      known.shown.best_ns = median_ns;
    }
    return {};
  }

  /// One run per workload and target; the machine and the compiler are what the target says.
  Result<database::Id> run_of(Known& known, const Json& json, const Target& target) {
    const std::string key = json.dump();
    if (const auto found = known.runs.find(key); found != known.runs.end())
      return found->second;
    database::Environment environment;
    environment.class_name = target.class_name;
    environment.json = Json{{"program", "TVM MetaSchedule"}, {"target", json}}.dump();
    environment.fingerprint = hash_bytes(environment.json);
    TEMPER_TRY(environment_id, store_.add(environment));
    TEMPER_TRY(toolchain, store_.add(database::Toolchain{
                              {}, Json{{"program", "TVM MetaSchedule"}, {"target", json}}.dump()}));
    environment_[target.class_name] = environment_id;
    toolchain_[target.class_name] = toolchain;
    database::Run run;
    run.workload = known.shown.id;
    run.target = target.text;
    run.environment = environment_id;
    run.toolchain = toolchain;
    run.strategy = "metaschedule";
    run.started_at = run.ended_at = run.updated_at = when_;
    run.state = database::RunState::kFinished;
    run.stopped_because = "read from MetaSchedule's database";
    run.options_json =
        Json{{"target", json}, {"folder", fs::path(folder_).filename().string()}}.dump();
    run.seed = hash_bytes(key);
    run.id = database::id_of(run);
    TEMPER_TRY(id, store_.import_run(run));
    known.runs.emplace(key, id);
    return id;
  }

  Workbench& bench_;
  database::Store& store_;
  std::string folder_;
  std::string out_;
  MetaScheduleImport result_;
  std::vector<Known> workloads_;
  std::map<std::string, database::Id> environment_; ///< by class
  std::map<std::string, database::Id> toolchain_;
  int64_t when_ = 1;
};

} // namespace

bool is_metaschedule_folder(const std::string& folder) {
  std::error_code failed;
  return fs::is_regular_file(fs::path(folder) / kMetaScheduleWorkloads, failed) &&
         fs::is_regular_file(fs::path(folder) / kMetaScheduleRecords, failed);
}

Result<MetaScheduleImport> import_metaschedule(Workbench& bench, const std::string& folder,
                                               const std::string& out) {
  TEMPER_TRY(store, bench.store());
  return Importer(bench, *store, folder, out).run();
}

} // namespace temper::tuner
