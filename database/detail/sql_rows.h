/// What the queries of the store share: lists of columns with the readers of their rows, and calls
/// that read one row, all, or each.
///
///   one("space", id, Query(db_, "SELECT … FROM space WHERE id = $1", id), read_space)
#pragma once

#include "database/detail/sql.h"
#include "database/query.h"
#include "database/records.h"

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace temper::database::detail {

/// The pieces of a statement in one text.
std::string sql(std::initializer_list<std::string_view> parts);
/// The table that holds the rows of a kind.
std::string table_of(Kind kind);

// ---- Columns. Each list and its reader name the same columns in the same order.

inline constexpr const char* kWorkloadColumns =
    "w.id, w.name, w.layer, w.function, w.structural_hash, w.binding, w.parameters, w.flops, "
    "w.bytes, w.unchecked, w.source_path, w.created_at";
inline constexpr const char* kRunColumns =
    "r.id, r.workload, r.target, r.environment, r.toolchain, r.space, r.strategy, r.seed, "
    "r.budget_trials, r.budget_seconds, r.parent_run, r.parent_record, r.command_line, r.options, "
    "r.started_at, p.state, p.requested, p.stopped_because, p.ended_at, p.random_state, p.trials, "
    "p.seconds, p.funnel, p.strategy_state, p.owner_host, p.owner_domain, p.owner_pid, "
    "p.owner_start, p.heartbeat_at, p.updated_at";
inline constexpr const char* kRunTables = " FROM run r JOIN run_progress p ON p.run = r.id ";
inline constexpr const char* kCandidateColumns =
    "c.id, c.workload, c.kind, c.parent, c.origin, c.skeleton, c.decisions";
inline constexpr const char* kMeasurementColumns =
    "m.id, m.run, c.id, m.sequence, m.outcome, m.purpose, m.stage, m.median_ns, m.low_ns, "
    "m.high_ns, m.gaps_dropped, s.regime, s.inputs, s.threads, m.compile_ms, m.measure_ms, "
    "m.error, m.worst, m.timing, m.environment, s.toolchain, m.code_hash, m.origin, "
    "m.predicted_score, "
    "m.anchor_drift, m.unchecked, m.facts, m.counters, m.measured_at, s.workload, s.target, "
    "s.environment_class, m.log, m.samples";
inline constexpr const char* kMeasurementTables =
    " FROM measurement m JOIN series s ON s.n = m.series JOIN candidate c ON c.n = m.candidate ";
inline constexpr const char* kRowColumns =
    "m.id, m.run, c.id, s.workload, w.name, w.binding, s.target, s.threads, s.environment_class, "
    "s.toolchain, s.regime, s.inputs, m.outcome, m.purpose, m.median_ns, m.low_ns, m.high_ns, "
    "w.flops, m.sequence, m.measured_at, m.unchecked";
inline constexpr const char* kRowTables =
    " FROM measurement m JOIN series s ON s.n = m.series JOIN candidate c ON c.n = m.candidate "
    "JOIN workload w ON w.id = s.workload ";
/// The same where `m` is named already.
inline constexpr const char* kRowJoins =
    "JOIN series s ON s.n = m.series JOIN candidate c ON c.n = m.candidate "
    "JOIN workload w ON w.id = s.workload ";
inline constexpr const char* kArtifactColumns =
    "id, candidate, toolchain, target, code_hash, created_at, json, object, code";
inline constexpr const char* kModelColumns =
    "id, run, kind, trials_seen, features, created_at, blob";
inline constexpr const char* kQualityColumns =
    "run, batch, trials_seen, rank_correlation, top_recall, top_k, json, measured_at";

Workload read_workload(Query& query, bool with_program);
Space read_space(Query& query);
Environment read_environment(Query& query);
Toolchain read_toolchain(Query& query);
Measurement read_measurement(Query& query);
RecordRow read_row(Query& query, const std::vector<Id>& current_toolchains);
Artifact read_artifact(Query& query);
Model read_model(Query& query);
ModelQuality read_quality(Query& query);
Event read_event(Query& query);
Note read_note(Query& query);
Tag read_tag(Query& query);

inline std::string read_text(Query& query) { return query.text(); }
inline int64_t read_integer(Query& query) { return query.integer(); }

/// Stored words come from our own to_string; what another program wrote there reads as `other`.
template <typename Enum> Enum word_or(Result<Enum> parsed, Enum other) {
  return parsed ? *parsed : other;
}

// ---- Reading

template <typename Read> using RowOf = std::invoke_result_t<Read, Query&>;

/// The first row; kNotFound, with `what` and `id`, when there is none.
template <typename Read>
Result<RowOf<Read>> one(const char* what, const Id& id, Query&& query, Read read) {
  if (query.next())
    return read(query);
  TEMPER_TRY_VOID(query.finish());
  return Error(ErrorCode::kNotFound, "there is no " + std::string(what) + " " + id +
                                         " in the database '" + query.connection().name() + "'");
}

template <typename Read> Result<std::vector<RowOf<Read>>> all(Query&& query, Read read) {
  std::vector<RowOf<Read>> rows;
  while (query.next())
    rows.push_back(read(query));
  TEMPER_TRY_VOID(query.finish());
  return rows;
}

/// Each row to a visitor, until that returns false.
template <typename Visit, typename Read>
Result<void> each(Query&& query, const Visit& visit, Read read) {
  query.many();
  while (query.next())
    if (!visit(read(query)))
      return {};
  return query.finish();
}

} // namespace temper::database::detail
