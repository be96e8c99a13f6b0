#include "tuner/saved_table.h"

#include "ir/support/json.h"
#include "ir/support/text.h"

#include <fmt/format.h>

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
    return "runtime";
  }
  return "runtime";
}

struct Row {
  size_t sketch = 0;
  std::vector<Json> decisions;
  std::optional<double> time_ms;
  const char* invalidity = "correct";
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

} // namespace

Result<SavedTable> table_of_run(database::Store& store, const database::Id& id, bool partial) {
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
        measurement.outcome != Outcome::kDisturbed && seen.insert(measurement.candidate).second)
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
    row.invalidity = invalidity(measurement.outcome);
    if (std::string_view(row.invalidity) == "correct" && std::isfinite(measurement.median_ns))
      row.time_ms = measurement.median_ns * 1e-6;
    decisions = std::max(decisions, row.decisions.size());
    rows.push_back(std::move(row));
  }
  if (rows.empty())
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("run {} measured nothing that a table could hold", name));

  SavedTable table;
  std::set<std::string> configurations;
  std::string results;
  for (const Row& row : rows) {
    // Written by hand: the order of the parameters is the order of their columns.
    std::string configuration = fmt::format("\"sketch\": {}", row.sketch);
    for (size_t i = 0; i < decisions; ++i)
      configuration += fmt::format(", \"d{}\": {}", i,
                                   i < row.decisions.size() ? row.decisions[i].dump() : "\"-\"");
    if (!configurations.insert(configuration).second)
      continue;
    const bool timed = row.time_ms.has_value();
    results +=
        fmt::format("{}{{\"configuration\": {{{}}}, \"invalidity\": \"{}\", \"measurements\": "
                    "[{{\"name\": \"time\", \"value\": {}, \"unit\": \"ms\"}}]}}",
                    results.empty() ? "" : ",\n", configuration, timed ? "correct" : row.invalidity,
                    timed ? Json(*row.time_ms).dump() : "null");
    ++table.configurations;
    table.failed += timed ? 0 : 1;
  }
  const Json about{{"workload", workload.name},
                   {"binding", parse_json(workload.binding_json).value_or(Json::object())},
                   {"target", run.target},
                   {"run", run.id},
                   {"complete", !partial}};
  table.text =
      fmt::format("{{\"schema_version\": \"1.0.0\", \"metadata\": {},\n\"results\": [\n{}\n]}}\n",
                  about.dump(), results);
  return table;
}

} // namespace temper::tuner
