#include "tuner/saved_table.h"

#include "ir/support/json.h"
#include "ir/support/quantities.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

namespace temper::tuner {
namespace {

using database::Measurement;
using database::Outcome;

/// Why a configuration has no time, in T4's words where it has one.
const char* invalidity(Outcome outcome) {
  switch (outcome) {
  case Outcome::kOk:
  case Outcome::kCensored:
    return "correct";
  case Outcome::kCompileFailed:
    return "compile";
  case Outcome::kTimedOut:
    return "timeout";
  case Outcome::kWrongResult:
    return "correctness";
  case Outcome::kRejected:
  case Outcome::kDeviceLimit:
    return "constraints";
  case Outcome::kCrashed:
  case Outcome::kOutOfMemory:
  case Outcome::kDisturbed:
  case Outcome::kChecked:
  case Outcome::kNotChecked:
  case Outcome::kUnbelievable:
    return "runtime";
  }
  return "runtime";
}

/// The same in the words of Kernel Tuner's caches.
std::string_view failure_in_cache(std::string_view invalidity) {
  return invalidity == "compile"       ? "CompilationFailedConfig"
         : invalidity == "constraints" ? "InvalidConfig"
                                       : "RuntimeFailedConfig";
}

struct Row {
  size_t sketch = 0;
  std::vector<Json> decisions;
  std::vector<Json> values; ///< of all parameters: sketch, then the decisions of the widest row
  std::optional<double> time_ms;
  const char* invalidity = "correct";
  const Measurement* measurement = nullptr;
};

Json decision_value(const Json& value) {
  if (!value.is_array())
    return value.is_number() ? value : Json(value.dump());
  std::vector<std::string> factors;
  for (const Json& factor : value)
    factors.push_back(factor.dump());
  return join(factors, "x");
}

/// Splits a trace `[[instructions], [[index, decision], ...]]`.
Result<Row> row_of(const database::Candidate& candidate, std::map<std::string, size_t>& sketches) {
  TEMPER_TRY(program, parse_json(candidate.program));
  try {
    Row row;
    row.sketch = sketches.try_emplace(program.at(0).dump(), sketches.size()).first->second;
    for (const Json& decision : program.at(1))
      row.decisions.push_back(decision_value(decision.at(1)));
    return row;
  } catch (const Json::exception& wrong) {
    return Error(ErrorCode::kCorrupt,
                 fmt::format("candidate {} is no trace: {}", candidate.id, wrong.what()));
  }
}

/// "\"sketch\": 0, \"d0\": \"4x16\"".
std::string configuration_text(const std::vector<std::string>& parameters, const Row& row) {
  std::vector<std::string> items;
  for (size_t i = 0; i < parameters.size(); ++i)
    items.push_back(fmt::format("\"{}\": {}", parameters[i], row.values[i].dump()));
  return join(items, ", ");
}

std::string t4_text(const Json& about, const std::vector<std::string>& parameters,
                    const std::vector<Row>& rows) {
  std::vector<std::string> lines;
  for (const Row& row : rows)
    lines.push_back(fmt::format(
        "{{\"configuration\": {{{}}}, \"invalidity\": \"{}\", \"measurements\": [{{\"name\": "
        "\"time\", \"value\": {}, \"unit\": \"ms\"}}]}}",
        configuration_text(parameters, row), row.time_ms ? "correct" : row.invalidity,
        row.time_ms ? Json(*row.time_ms).dump() : "null"));
  return fmt::format(
      "{{\"schema_version\": \"1.0.0\", \"metadata\": {},\n\"results\": [\n{}\n]}}\n", about.dump(),
      join(lines, ",\n"));
}

/// Kernel Tuner, kernel_tuner/schema/cache/1.1.0. Times are in milliseconds.
std::string cache_text(const Json& about, const std::vector<std::string>& parameters,
                       const std::vector<Row>& rows) {
  Json values = Json::object(); // of each parameter, in the order of their appearance
  for (size_t i = 0; i < parameters.size(); ++i) {
    std::set<Json> seen;
    Json list = Json::array();
    for (const Row& row : rows)
      if (seen.insert(row.values[i]).second)
        list.push_back(row.values[i]);
    values[parameters[i]] = std::move(list);
  }
  std::vector<std::string> lines;
  for (const Row& row : rows) {
    std::vector<std::string> key;
    for (const Json& value : row.values)
      key.push_back(value.is_string() ? value.get<std::string>() : value.dump());
    const auto known = [](double value) { return std::isfinite(value) ? value : 0.0; };
    Json entry{{"time", row.time_ms ? Json(*row.time_ms)
                                    : Json(std::string(failure_in_cache(row.invalidity)))}};
    Json times = Json::array();
    for (const float sample : row.measurement->samples_ns)
      times.push_back(static_cast<double>(sample) * 1e-6);
    entry["times"] = std::move(times);
    entry["compile_time"] = known(row.measurement->compile_ms);
    entry["verification_time"] = 0;
    entry["benchmark_time"] = known(row.measurement->measure_ms);
    entry["strategy_time"] = 0;
    entry["framework_time"] = 0;
    entry["timestamp"] = format_utc(row.measurement->measured_at, ' ');
    const std::string rest = entry.dump();
    lines.push_back(fmt::format("\"{}\": {{{}, {}", join(key, ","),
                                configuration_text(parameters, row), rest.substr(1)));
  }
  std::vector<int64_t> sizes;
  for (const auto& [name, value] : about.at("binding").items())
    if (value.is_number_integer())
      sizes.push_back(value.get<int64_t>());
  const Json head{{"schema_version", "1.1.0"},
                  {"device_name", about.at("target")},
                  {"kernel_name", about.at("workload")},
                  {"problem_size", sizes},
                  {"tune_params_keys", parameters},
                  {"tune_params", values},
                  {"objective", "time"}};
  const std::string text = head.dump();
  return fmt::format("{},\n\"cache\": {{\n{}\n}}\n}}\n", text.substr(0, text.size() - 1),
                     join(lines, ",\n"));
}

} // namespace

Result<SavedTable> table_of_run(database::Store& store, const database::Id& id, bool partial,
                                TableFormat format) {
  TEMPER_TRY(run, store.run(id));
  const std::string name = store.short_id(id).value_or(id);
  if (!partial && run.stopped_because != "the space is exhausted")
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("run {} did not measure its whole space ({}), so its table would lack "
                             "configurations; --partial saves what there is",
                             name,
                             run.stopped_because.empty() ? "it is not finished"
                                                         : "it stopped: " + run.stopped_because));
  TEMPER_TRY(workload, store.workload(run.workload));
  std::vector<Measurement> measurements;
  std::set<database::Id> seen;
  TEMPER_TRY_VOID(store.measurements(id, [&](const Measurement& measurement) {
    // What is measured again at the end is in the table already, and what the machine disturbed
    // says nothing about the configuration.
    if (measurement.purpose == database::Purpose::kSearch &&
        measurement.outcome != Outcome::kDisturbed &&
        measurement.outcome != Outcome::kUnbelievable && seen.insert(measurement.candidate).second)
      measurements.push_back(measurement);
    return true;
  }));
  std::map<std::string, size_t> sketches;
  std::vector<Row> rows;
  size_t decisions = 0;
  for (const Measurement& measurement : measurements) {
    TEMPER_TRY(candidate, store.candidate(measurement.candidate));
    if (candidate.kind != "trace")
      continue;
    TEMPER_TRY(row, row_of(candidate, sketches));
    row.measurement = &measurement;
    row.invalidity = invalidity(measurement.outcome);
    if (std::string_view(row.invalidity) == "correct" && std::isfinite(measurement.median_ns))
      row.time_ms = measurement.median_ns * 1e-6;
    decisions = std::max(decisions, row.decisions.size());
    rows.push_back(std::move(row));
  }
  if (rows.empty())
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("run {} measured nothing that a table could hold", name));

  // Written as text: the order of the parameters is the order of their columns.
  std::vector<std::string> parameters{"sketch"};
  for (size_t i = 0; i < decisions; ++i)
    parameters.push_back(fmt::format("d{}", i));
  std::set<std::vector<Json>> configurations;
  std::erase_if(rows, [&](Row& row) {
    row.values.emplace_back(row.sketch);
    row.values.insert(row.values.end(), row.decisions.begin(), row.decisions.end());
    row.values.resize(parameters.size(), Json("-"));
    return !configurations.insert(row.values).second;
  });
  SavedTable table;
  table.configurations = rows.size();
  table.failed =
      static_cast<size_t>(std::ranges::count_if(rows, [](const Row& row) { return !row.time_ms; }));
  const Json about{{"workload", workload.name},
                   {"binding", parse_json(workload.binding_json).value_or(Json::object())},
                   {"target", run.target},
                   {"run", run.id},
                   {"complete", !partial}};
  table.text = format == TableFormat::kT4 ? t4_text(about, parameters, rows)
                                          : cache_text(about, parameters, rows);
  return table;
}

} // namespace temper::tuner
