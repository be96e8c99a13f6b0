#include "tuner/google_benchmark.h"

#include "ir/support/hash.h"
#include "ir/support/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>

namespace temper::tuner {
namespace {

/// The factor to nanoseconds; 0 for a unit that is none.
double ns_of(const std::string& unit) {
  return unit == "ns" ? 1 : unit == "us" ? 1e3 : unit == "ms" ? 1e6 : unit == "s" ? 1e9 : 0;
}

/// One number has no spread, and two tell little of it.
constexpr size_t kFewestForAnInterval = 3;

double number_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

/// Nanoseconds since 1970 of "2026-11-21T23:05:06+01:00"; 0 when it is no such time.
int64_t moment_of(std::string date) {
  if (const size_t colon = date.rfind(':'); colon != std::string::npos && colon > 19)
    date.erase(colon, 1); // strptime before glibc 2.35 wants +0100
  std::tm time{};
  const char* const end = ::strptime(date.c_str(), "%Y-%m-%dT%H:%M:%S%z", &time);
  if (end == nullptr)
    return 0;
  const int64_t offset = time.tm_gmtoff;
  return (static_cast<int64_t>(::timegm(&time)) - offset) * 1'000'000'000;
}

} // namespace

database::Environment environment_of(const BenchmarkFile& file) {
  // Load and date are of the moment; the others are the machine.
  Json machine = Json::object();
  for (const char* key : {"host_name", "num_cpus", "mhz_per_cpu", "cpu_scaling_enabled", "caches"})
    if (file.context.contains(key))
      machine[key] = file.context[key];
  database::Environment environment;
  environment.host = text_at(file.context, "host_name");
  environment.class_name =
      fmt::format("cpu:{}/{:g}", environment.host.empty() ? "unknown" : environment.host,
                  number_of(file.context, "num_cpus"));
  environment.json = machine.dump();
  environment.fingerprint = hash_bytes(environment.json);
  return environment;
}

Result<BenchmarkFile> parse_google_benchmark(std::string_view text, const std::string& name) {
  const auto refuse = [&](const std::string& what) {
    return Error(ErrorCode::kCorrupt, "'" + name + "' " + what);
  };
  const auto json = parse_json(text);
  if (!json)
    return refuse("is no JSON: " + json.error().message);
  if (!json->is_object() || !json->contains("benchmarks") || !(*json)["benchmarks"].is_array())
    return refuse("is no output of Google Benchmark: it has no list \"benchmarks\"");
  BenchmarkFile file;
  file.context = json->value("context", Json::object());
  std::vector<BenchmarkResult> aggregates; // medians, for programs that report nothing else
  const auto result_of = [](std::vector<BenchmarkResult>& list,
                            const std::string& key) -> BenchmarkResult& {
    const auto found = std::ranges::find(list, key, &BenchmarkResult::name);
    if (found != list.end())
      return *found;
    list.emplace_back().name = key;
    return list.back();
  };
  for (const Json& row : (*json)["benchmarks"]) {
    if (!row.is_object())
      return refuse("has a benchmark that is no object");
    std::string key = text_at(row, "run_name");
    if (key.empty())
      key = text_at(row, "name");
    if (key.empty())
      return refuse("has a benchmark without a name");
    const std::string aggregate = text_at(row, "aggregate_name");
    const bool repetition = text_at(row, "run_type") != "aggregate" && aggregate.empty();
    if (!repetition && aggregate != "median")
      continue;
    BenchmarkResult& result = result_of(repetition ? file.results : aggregates, key);
    if (const int threads = static_cast<int>(number_of(row, "threads")); threads > 0)
      result.threads = threads;
    if (row.value("error_occurred", false)) {
      result.error = text_at(row, "error_message");
      if (result.error.empty())
        result.error = "the benchmark reported an error";
      continue;
    }
    std::string unit = text_at(row, "time_unit");
    const double factor = ns_of(unit.empty() ? "ns" : unit);
    const double time = number_of(row, "real_time") * factor;
    if (!(time > 0))
      return refuse("has no real_time of '" + key + "' in ns, us, ms or s");
    result.samples_ns.push_back(time);
    if (const double cpu = number_of(row, "cpu_time") * factor; cpu > 0)
      result.cpu_ns.push_back(cpu);
    if (const double count = number_of(row, "iterations"); count >= 1)
      result.iterations.push_back(static_cast<int64_t>(count));
    // Counters are per second as a rule (kIsRate): what an iteration does follows from its time.
    if (const double rate = std::max(number_of(row, "FLOPS"), number_of(row, "flops")); rate > 0)
      result.flops = rate * time * 1e-9;
  }
  for (BenchmarkResult& median : aggregates)
    if (std::ranges::find(file.results, median.name, &BenchmarkResult::name) == file.results.end())
      file.results.push_back(std::move(median));
  return file;
}

std::string google_benchmark_text(const BenchmarkFile& file) {
  Json rows = Json::array();
  for (const BenchmarkResult& result : file.results) {
    const auto row = [&](const char* type, double ns, double cpu_ns) {
      Json one{{"name", result.name},       {"run_name", result.name},
               {"run_type", type},          {"repetitions", result.samples_ns.size()},
               {"threads", result.threads}, {"iterations", 1},
               {"real_time", ns},           {"cpu_time", cpu_ns},
               {"time_unit", "ns"}};
      if (result.flops > 0 && ns > 0)
        one["FLOPS"] = result.flops / ns * 1e9;
      return one;
    };
    if (result.samples_ns.empty()) {
      Json failed{{"name", result.name},     {"run_name", result.name},
                  {"run_type", "iteration"}, {"repetitions", 1},
                  {"repetition_index", 0},   {"threads", result.threads},
                  {"error_occurred", true},  {"error_message", result.error}};
      rows.push_back(std::move(failed));
      continue;
    }
    const size_t repetitions = result.samples_ns.size();
    const std::vector<double>& cpu_ns =
        result.cpu_ns.size() == repetitions ? result.cpu_ns : result.samples_ns;
    for (size_t i = 0; i < repetitions; ++i) {
      Json one = row("iteration", result.samples_ns[i], cpu_ns[i]);
      if (result.iterations.size() == repetitions)
        one["iterations"] = result.iterations[i];
      one["repetition_index"] = i;
      rows.push_back(std::move(one));
    }
    Json median = row("aggregate", temper::median(result.samples_ns), temper::median(cpu_ns));
    median["name"] = result.name + "_median";
    median["aggregate_name"] = "median";
    median["aggregate_unit"] = "time";
    rows.push_back(std::move(median));
  }
  return Json{{"context", file.context}, {"benchmarks", std::move(rows)}}.dump(
             2, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

Result<std::vector<database::Id>> add_google_benchmark(database::Store& store,
                                                       const BenchmarkFile& file,
                                                       const database::Environment& environment,
                                                       const std::string& program) {
  std::vector<database::Id> records;
  const int64_t when = moment_of(text_at(file.context, "date"));
  if (when == 0)
    return Error(ErrorCode::kCorrupt,
                 "the results of " + program +
                     " have no date in their context, by which they are told apart");
  const auto add = [&]() -> Result<void> {
    records.clear();
    TEMPER_TRY(environment_id, store.add(environment));
    // What made the code is not known; the program and its own words stand for it.
    TEMPER_TRY(toolchain, store.add(database::Toolchain{
                              {},
                              Json{{"program", program},
                                   {"build", text_at(file.context, "library_build_type")},
                                   {"library_version", text_at(file.context, "library_version")}}
                                  .dump()}));
    for (const BenchmarkResult& result : file.results) {
      database::Workload workload;
      workload.name = program + ":" + result.name;
      workload.layer = kBenchmarkLayer;
      workload.function = result.name;
      workload.program = Json{{"program", program}, {"benchmark", result.name}}.dump();
      workload.structural_hash = hash_bytes(workload.program);
      workload.unchecked = true;
      if (result.flops > 0)
        workload.flops = result.flops;
      workload.created_at = when;
      TEMPER_TRY(workload_id, store.add(workload));
      TEMPER_TRY(candidate, store.add(database::Candidate{.id = {},
                                                          .workload = workload_id,
                                                          .kind = kBenchmarkLayer,
                                                          .program = workload.program,
                                                          .parent = {},
                                                          .origin = "google benchmark"}));
      database::Run run;
      run.workload = workload_id;
      run.target = "native";
      run.environment = environment_id;
      run.toolchain = toolchain;
      run.strategy = "bench";
      run.started_at = run.ended_at = run.updated_at = when;
      run.state = database::RunState::kFinished;
      run.stopped_because = "measured by " + program;
      run.trials = 1;
      run.options_json = Json{{"context", file.context}}.dump();
      run.seed = workload.structural_hash; // benchmarks of one file started together
      run.id = database::id_of(run);
      TEMPER_TRY(run_id, store.import_run(run));
      database::Measurement row;
      row.run = run_id;
      row.candidate = candidate;
      row.sequence = 0;
      row.purpose = database::Purpose::kConfirm;
      row.threads = result.threads;
      row.environment = environment_id;
      row.toolchain = toolchain;
      row.unchecked = true;
      row.origin = "google benchmark";
      row.inputs = "its own";
      row.measured_at = when;
      row.samples_ns.assign(result.samples_ns.begin(), result.samples_ns.end());
      if (result.samples_ns.empty()) {
        row.outcome = database::Outcome::kCrashed;
        row.stage = "run";
        row.error = result.error;
      } else {
        row.stage = "time";
        row.median_ns = median(result.samples_ns);
        if (result.samples_ns.size() >= kFewestForAnInterval) {
          const Interval interval = median_interval(result.samples_ns);
          row.low_ns = interval.low;
          row.high_ns = interval.high;
        }
      }
      TEMPER_TRY(record, store.import_measurement(row));
      records.push_back(record);
    }
    return {};
  };
  TEMPER_TRY_VOID(store.transaction(add));
  return records;
}

} // namespace temper::tuner
