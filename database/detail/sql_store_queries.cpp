#include "database/candidate_number.h"
#include "database/detail/sql_rows.h"
#include "database/detail/sql_store.h"
#include "ir/support/json.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <tuple>

namespace temper::database::detail {

namespace {

/// What of a filter concerns the key of `best`, for one row of `series`.
bool matches(const std::map<std::string, std::string>& binding, const std::string& binding_json) {
  if (binding.empty())
    return true;
  const Result<Json> parsed = parse_json(binding_json);
  if (!parsed || !parsed->is_object())
    return false;
  for (const auto& [name, value] : binding) {
    const auto found = parsed->find(name);
    if (found == parsed->end()) {
      if (name == "constant" && value == "none") // what a plain workload leaves out
        continue;
      return false;
    }
    if ((found->is_string() ? found->get<std::string>() : found->dump()) != value)
      return false;
  }
  return true;
}

} // namespace

Result<std::vector<SqlStore::SeriesRow>> SqlStore::series_of(const RecordFilter& filter,
                                                             bool skip_stale, bool& everything) {
  std::vector<SeriesRow> rows;
  std::set<Id> named;
  if (!filter.workload_name.empty()) {
    TEMPER_TRY(ids, all(Query(db_, "SELECT workload FROM workload_name WHERE name = $1",
                              filter.workload_name),
                        read_text));
    named.insert(ids.begin(), ids.end());
  }
  // What is asked of single measurements decides first which series are worth walking.
  std::optional<std::set<int64_t>> numbers;
  const auto restrict = [&](const char* text, const std::string& value) -> Result<void> {
    TEMPER_TRY(found, all(Query(db_, text, value), read_integer));
    std::set<int64_t> both;
    for (const int64_t number : found)
      if (!numbers || numbers->contains(number))
        both.insert(number);
    numbers = std::move(both);
    return {};
  };
  if (!filter.record.empty())
    TEMPER_TRY_VOID(restrict("SELECT series FROM measurement WHERE id = $1", filter.record));
  if (!filter.run.empty())
    TEMPER_TRY_VOID(restrict("SELECT DISTINCT series FROM measurement WHERE run = $1", filter.run));
  if (!filter.candidate.empty())
    TEMPER_TRY_VOID(restrict("SELECT DISTINCT series FROM measurement WHERE candidate = "
                             "(SELECT n FROM candidate WHERE id = $1)",
                             filter.candidate));
  if (!filter.tag.empty())
    TEMPER_TRY_VOID(restrict(
        "SELECT series FROM measurement WHERE id IN (SELECT subject FROM tag WHERE tag = $1) "
        "UNION SELECT series FROM measurement WHERE run IN "
        "(SELECT subject FROM tag WHERE tag = $1) "
        "UNION SELECT series FROM measurement WHERE candidate IN (SELECT n FROM candidate "
        "WHERE id IN (SELECT subject FROM tag WHERE tag = $1)) "
        "UNION SELECT n FROM series WHERE workload IN (SELECT subject FROM tag WHERE tag = $1)",
        filter.tag));
  std::map<Id, std::vector<std::string>> names;
  std::map<Id, std::string> toolchains;
  const auto is_asked = [&](QueryField field) {
    return filter.query && mentions(*filter.query, field);
  };
  if (is_asked(QueryField::kWorkload)) {
    Query query(db_, "SELECT workload, name FROM workload_name");
    while (query.next()) {
      const Id workload = query.text();
      names[workload].push_back(query.text());
    }
    TEMPER_TRY_VOID(query.finish());
  }
  if (is_asked(QueryField::kToolchain))
    TEMPER_TRY_VOID(each_toolchain([&](const Toolchain& row) {
      toolchains[row.id] = row.json;
      return true;
    }));
  std::map<Id, std::string> programs;
  if (is_asked(QueryField::kScript)) {
    Query query(db_, "SELECT id, program FROM workload");
    while (query.next()) {
      const Id workload = query.text();
      programs[workload] = query.text();
    }
    TEMPER_TRY_VOID(query.finish());
  }
  const std::vector<const QueryCondition*> of_traces =
      filter.query ? conditions_on(*filter.query, QueryField::kTrace)
                   : std::vector<const QueryCondition*>();
  std::map<Id, std::map<const QueryCondition*, std::string>> skeletons;
  if (!of_traces.empty()) {
    TEMPER_TRY(workloads, all(Query(db_, "SELECT DISTINCT workload FROM series"), read_text));
    for (const Id& workload : workloads)
      if (filter.workloads.empty() ||
          std::ranges::find(filter.workloads, workload) != filter.workloads.end())
        for (const QueryCondition* condition : of_traces) {
          TEMPER_TRY(numbers_of, skeletons_with(workload, condition->value.text));
          skeletons[workload][condition] = std::move(numbers_of);
        }
  }
  everything = true;
  Query query(db_, "SELECT s.n, s.workload, s.target, s.threads, s.environment_class, s.toolchain, "
                   "s.regime, s.inputs, w.binding, w.layer, w.flops FROM series s JOIN workload w "
                   "ON w.id = s.workload ORDER BY s.n");
  while (query.next()) {
    SeriesRow row;
    row.number = query.integer();
    const Id workload = query.text();
    row.target = query.text();
    const int64_t threads = query.integer();
    const std::string environment_class = query.text();
    row.toolchain = query.text();
    const std::string regime = query.text();
    const std::string inputs = query.text();
    const std::string binding = query.text();
    const auto holds = [](const auto& list, const auto& value) {
      return std::ranges::find(list, value) != list.end();
    };
    const bool wanted =
        (!numbers || numbers->contains(row.number)) &&
        (filter.workloads.empty() || holds(filter.workloads, workload)) &&
        (filter.workload_name.empty() || named.contains(workload)) &&
        (filter.target.empty() || filter.target == row.target) &&
        (filter.threads == 0 || filter.threads == threads) &&
        (filter.environment_class.empty() || filter.environment_class == environment_class) &&
        (!filter.regime || to_string(*filter.regime) == regime) &&
        (filter.inputs.empty() || filter.inputs == inputs) &&
        (!skip_stale || filter.current_toolchains.empty() ||
         holds(filter.current_toolchains, row.toolchain)) &&
        matches(filter.binding, binding);
    if (wanted && filter.query) {
      SeriesFacts facts;
      facts.names = names[workload];
      facts.layer = query.text();
      facts.binding = parse_json(binding).value_or(Json());
      facts.flops = query.real();
      facts.target = row.target;
      facts.threads = threads;
      facts.environment_class = environment_class;
      facts.toolchain = row.toolchain;
      facts.toolchain_json = toolchains[row.toolchain];
      facts.stale =
          !filter.current_toolchains.empty() && !holds(filter.current_toolchains, row.toolchain);
      facts.regime = regime;
      facts.inputs = inputs;
      facts.program = programs[workload];
      facts.skeletons = skeletons[workload];
      row.condition = reduce(*filter.query, facts);
    }
    if (wanted && row.condition.form != SqlCondition::Form::kNever)
      rows.push_back(std::move(row));
    else
      everything = false;
  }
  TEMPER_TRY_VOID(query.finish());
  return rows;
}

Result<std::string> SqlStore::skeletons_with(const Id& workload, const std::string& pattern) {
  TEMPER_TRY(numbers,
             all(Query(db_, "SELECT n FROM skeleton WHERE workload = $1", workload), read_integer));
  const std::string wanted = searchable_trace(pattern);
  std::string found;
  for (const int64_t number : numbers) {
    TEMPER_TRY(text, skeleton_text(number));
    if (matches_pattern(searchable_trace(*text), wanted))
      found += (found.empty() ? "" : ",") + std::to_string(number);
  }
  // No row has NULL for its number: an empty list that both databases read.
  return found.empty() ? std::string("NULL") : found;
}

namespace {

/// Conditions on single measurements: SQL on `m` that begins with AND, with marks.
struct Conditions {
  std::string text;
  std::vector<std::string> values;

  void add(const SqlCondition& condition) {
    if (condition.form != SqlCondition::Form::kSql)
      return;
    text += " AND " + condition.text;
    values.insert(values.end(), condition.values.begin(), condition.values.end());
  }
  void add(std::string sql, std::string value) {
    add(SqlCondition{SqlCondition::Form::kSql, std::move(sql), {std::move(value)}});
  }
  void bind(Query& query) const {
    for (const std::string& value : values)
      query.bind(value);
  }
};

constexpr char kMark[] = {SqlCondition::kMark, 0};

Conditions conditions_of(const RecordFilter& filter) {
  Conditions conditions;
  if (!filter.record.empty())
    conditions.add(std::string("m.id = ") + kMark, filter.record);
  if (!filter.run.empty())
    conditions.add(std::string("m.run = ") + kMark, filter.run);
  if (!filter.candidate.empty())
    conditions.add(std::string("m.candidate = (SELECT n FROM candidate WHERE id = ") + kMark + ")",
                   filter.candidate);
  if (!filter.tag.empty())
    conditions.add(
        about_row(std::string("SELECT subject FROM tag WHERE tag = ") + kMark, filter.tag));
  if (filter.since > 0)
    conditions.text += " AND m.measured_at >= " + std::to_string(filter.since);
  return conditions;
}

} // namespace

Result<std::vector<RecordRow>> SqlStore::best(const RecordFilter& filter) {
  bool everything = false;
  TEMPER_TRY(series, series_of(filter, !filter.include_stale, everything));
  const Conditions common = conditions_of(filter);
  // A candidate's number is as candidate_number.h says. Without a confirmation it has lost where
  // its run has confirmed others since: they were faster by the same kind of number, which is lucky
  // as often as not. The number is never below the fastest of its measurements, so walking those
  // upwards may stop at the first that is not faster than the best number found. The `+ 0` keep the
  // database from looking a candidate's few measurements up in an index of the whole series.
  const auto walk_of = [](const Conditions& conditions) {
    return "SELECT m.candidate, m.median_ns FROM measurement m WHERE m.series = $1 "
           "AND m.outcome = 'ok' AND m.median_ns IS NOT NULL" +
           numbered(conditions.text, 2) + " ORDER BY m.median_ns, m.n";
  };
  const auto number_of = [](const Conditions& conditions) {
    return "SELECT m.n, m.median_ns, m.purpose = 'confirm', COALESCE(length(m.samples), 0), "
           "m.purpose <> 'confirm' AND EXISTS (SELECT 1 FROM measurement c WHERE c.run = m.run AND "
           "c.sequence > m.sequence AND c.series + 0 = m.series AND c.purpose = 'confirm' AND "
           "c.outcome = 'ok') FROM measurement m WHERE m.candidate = $1 AND m.series + 0 = $2 AND "
           "m.outcome || '' = 'ok' AND m.median_ns IS NOT NULL" +
           numbered(conditions.text, 3) + " ORDER BY m.measured_at, m.n";
  };
  std::vector<RecordRow> rows;
  for (const SeriesRow& one_series : series) {
    int64_t best_row = 0;
    double best_ns = std::numeric_limits<double>::infinity();
    std::set<int64_t> seen;
    Conditions conditions = common;
    conditions.add(one_series.condition);
    const std::string number_text = number_of(conditions);
    Query query(db_, walk_of(conditions), one_series.number);
    conditions.bind(query);
    while (query.next()) {
      const int64_t candidate = query.integer();
      if (query.real() >= best_ns)
        break;
      if (!seen.insert(candidate).second)
        continue;
      Query wrong(
          db_,
          "SELECT 1 FROM measurement m JOIN series s ON s.n = m.series WHERE m.candidate = "
          "$1 AND m.outcome || '' = 'wrong_result' AND s.toolchain = $2 AND s.target = $3 LIMIT 1",
          candidate, one_series.toolchain, one_series.target);
      if (wrong.next())
        continue;
      TEMPER_TRY_VOID(wrong.finish());
      Query number(db_, number_text, candidate, one_series.number);
      conditions.bind(number);
      std::vector<CandidateTime> times;
      std::vector<std::pair<int64_t, bool>> found; // its row, and whether it has lost
      while (number.next()) {
        const int64_t row = number.integer();
        CandidateTime& time = times.emplace_back();
        time.median_ns = number.real();
        time.confirmed = number.integer() != 0;
        time.samples = number.integer();
        found.emplace_back(row, number.integer() != 0);
      }
      TEMPER_TRY_VOID(number.finish());
      if (times.empty())
        continue;
      const size_t deciding = number_among(times);
      if (const auto [row, lost] = found[deciding]; times[deciding].median_ns < best_ns && !lost) {
        best_ns = times[deciding].median_ns;
        best_row = row;
      }
    }
    TEMPER_TRY_VOID(query.finish());
    if (best_row == 0)
      continue;
    TEMPER_TRY(
        row, one("record", std::to_string(best_row),
                 Query(db_, sql({"SELECT ", kRowColumns, kRowTables, "WHERE m.n = $1"}), best_row),
                 [&](Query& found) { return read_row(found, filter.current_toolchains); }));
    rows.push_back(std::move(row));
  }
  std::ranges::stable_sort(rows, [&](const RecordRow& a, const RecordRow& b) {
    if (filter.order == Order::kFastest && a.median_ns != b.median_ns)
      return a.median_ns < b.median_ns;
    return std::tie(a.workload_name, a.binding_json, a.median_ns) <
           std::tie(b.workload_name, b.binding_json, b.median_ns);
  });
  if (filter.offset > 0)
    rows.erase(rows.begin(),
               rows.begin() + std::min<int64_t>(filter.offset, static_cast<int64_t>(rows.size())));
  if (filter.limit > 0 && static_cast<int64_t>(rows.size()) > filter.limit)
    rows.resize(static_cast<size_t>(filter.limit));
  return rows;
}

Result<RecordRow> SqlStore::record_row(const Id& id, const std::vector<Id>& current_toolchains) {
  return one("record", id,
             Query(db_, sql({"SELECT ", kRowColumns, kRowTables, "WHERE m.id = $1"}), id),
             [&](Query& query) { return read_row(query, current_toolchains); });
}

Result<SqlCondition> SqlStore::record_conditions(const RecordFilter& filter) {
  bool everything = false;
  TEMPER_TRY(series, series_of(filter, false, everything));
  if (series.empty())
    return SqlCondition{SqlCondition::Form::kNever, {}, {}};
  Conditions conditions = conditions_of(filter);
  // Most series leave the same of a query: a few groups.
  std::vector<std::pair<SqlCondition, std::string>> groups;
  for (const SeriesRow& one : series) {
    const std::string number = std::to_string(one.number);
    const auto found =
        std::ranges::find(groups, one.condition, &std::pair<SqlCondition, std::string>::first);
    if (found == groups.end())
      groups.emplace_back(one.condition, number);
    else
      found->second += "," + number;
  }
  if (groups.size() == 1) {
    conditions.add(groups[0].first);
    if (!everything)
      conditions.text += " AND m.series IN (" + groups[0].second + ")";
  } else {
    SqlCondition any{SqlCondition::Form::kSql, "(", {}};
    for (const auto& [condition, numbers] : groups) {
      any.text +=
          (any.text.size() > 1 ? " OR " : "") + std::string("(m.series IN (") + numbers + ")";
      if (condition.form == SqlCondition::Form::kSql)
        any.text += " AND " + condition.text;
      any.text += ")";
      any.values.insert(any.values.end(), condition.values.begin(), condition.values.end());
    }
    any.text += ")";
    conditions.add(any);
  }
  if (!filter.outcomes.empty()) {
    conditions.text += " AND m.outcome IN (";
    for (size_t i = 0; i < filter.outcomes.size(); ++i)
      conditions.text += sql({i > 0 ? ",'" : "'", to_string(filter.outcomes[i]), "'"});
    conditions.text += ")";
  }
  if (conditions.text.empty())
    return SqlCondition{};
  constexpr size_t kAnd = 5; // " AND "
  return SqlCondition{SqlCondition::Form::kSql, conditions.text.substr(kAnd), conditions.values};
}

namespace {
constexpr int64_t kNewestLookedAt = 10'000;
} // namespace

Result<std::vector<RecordRow>> SqlStore::list_records(const RecordFilter& filter) {
  TEMPER_TRY(conditions, record_conditions(filter));
  if (conditions.form == SqlCondition::Form::kNever)
    return std::vector<RecordRow>();
  const std::string where =
      conditions.text.empty() ? std::string() : " AND " + numbered(conditions.text, 1);
  const std::string order = filter.order == Order::kFastest
                                ? " ORDER BY m.median_ns IS NULL, m.median_ns, m.n"
                                : " ORDER BY m.measured_at DESC, m.n DESC";
  const auto read = [&](const std::string& text) -> Result<std::vector<RecordRow>> {
    Query query(db_, text);
    query.many();
    for (const std::string& value : conditions.values)
      query.bind(value);
    std::vector<RecordRow> rows;
    while (query.next())
      rows.push_back(read_row(query, filter.current_toolchains));
    TEMPER_TRY_VOID(query.finish());
    return rows;
  };
  if (filter.limit <= 0 && filter.offset <= 0)
    return read(sql({"SELECT ", kRowColumns, kRowTables, "WHERE 1 = 1", where, order}));
  // The page is chosen by short index entries; only its rows are read.
  const auto page = [&](const std::string& measurements) {
    return read(sql({"SELECT ", kRowColumns, " FROM (SELECT m.n AS chosen FROM ", measurements,
                     " m WHERE 1 = 1", where, order, " LIMIT ",
                     std::to_string(filter.limit > 0 ? filter.limit : INT64_MAX), " OFFSET ",
                     std::to_string(filter.offset),
                     ") page JOIN measurement m ON m.n = page.chosen ", kRowJoins, order}));
  };
  // What many rows fit is among the newest: looking there takes 8 ms, finding and sorting all that
  // fit a tenth of a second at a million. Of what few fit, all of them are found by an index.
  if (filter.query && filter.limit > 0 && filter.order != Order::kFastest) {
    TEMPER_TRY(newest, page("(SELECT * FROM measurement ORDER BY measured_at DESC, n DESC LIMIT " +
                            std::to_string(kNewestLookedAt) + ")"));
    if (static_cast<int64_t>(newest.size()) == filter.limit)
      return std::move(newest);
  }
  return page("measurement");
}

Result<std::vector<Id>> SqlStore::list_record_ids(const RecordFilter& filter) {
  TEMPER_TRY(conditions, record_conditions(filter));
  if (conditions.form == SqlCondition::Form::kNever)
    return std::vector<Id>();
  Query query(db_, "SELECT m.id FROM measurement m" +
                       (conditions.text.empty() ? std::string()
                                                : " WHERE " + numbered(conditions.text, 1)));
  query.many();
  for (const std::string& value : conditions.values)
    query.bind(value);
  std::vector<Id> ids;
  while (query.next())
    ids.push_back(query.text());
  TEMPER_TRY_VOID(query.finish());
  return ids;
}

Result<std::vector<WorkloadRow>> SqlStore::list_workloads(const std::string& name) {
  const std::string text = sql(
      {"SELECT ", kWorkloadColumns,
       ", (SELECT count(*) FROM measurement m JOIN series s ON s.n = m.series "
       "WHERE s.workload = w.id), coalesce((SELECT max(p.updated_at) FROM run r JOIN run_progress "
       "p "
       "ON p.run = r.id WHERE r.workload = w.id), w.created_at) FROM workload w ",
       name.empty() ? "" : "WHERE w.id IN (SELECT workload FROM workload_name WHERE name = $1) ",
       "ORDER BY w.name, w.binding, w.created_at DESC"});
  const auto read = [](Query& query) {
    WorkloadRow row;
    row.workload = read_workload(query, false);
    row.records = query.integer();
    row.last_active_at = query.integer();
    return row;
  };
  return name.empty() ? all(Query(db_, text), read) : all(Query(db_, text, name), read);
}

Result<std::vector<Run>> SqlStore::list_runs(const RunFilter& filter) {
  std::string where = "WHERE 1 = 1";
  std::vector<std::string> values;
  if (!filter.workload.empty()) {
    values.push_back(filter.workload);
    where += " AND r.workload = $" + std::to_string(values.size());
  }
  if (!filter.workload_name.empty()) {
    values.push_back(filter.workload_name);
    where += " AND r.workload IN (SELECT workload FROM workload_name WHERE name = $" +
             std::to_string(values.size()) + ")";
  }
  Query query(
      db_, sql({"SELECT ", kRunColumns, kRunTables, where, " ORDER BY r.started_at DESC, r.id"}));
  for (const std::string& value : values)
    query.bind(value);
  std::vector<Run> rows;
  while (query.next()) {
    Run row = read_run(query);
    // Interrupted is not what is stored but what is seen: filtered here.
    if (filter.state && row.state != *filter.state)
      continue;
    rows.push_back(std::move(row));
    if (filter.limit > 0 && static_cast<int64_t>(rows.size()) >= filter.limit)
      return rows;
  }
  TEMPER_TRY_VOID(query.finish());
  return rows;
}

Result<std::vector<Run>> SqlStore::resumable_runs(const Id& workload) {
  TEMPER_TRY(rows, list_runs({.workload = workload}));
  std::erase_if(rows, [](const Run& row) {
    return row.state != RunState::kInterrupted && row.state != RunState::kPaused;
  });
  return std::move(rows);
}

Result<std::vector<Workload>> SqlStore::other_versions(const Id& workload) {
  return all(Query(db_,
                   sql({"SELECT ", kWorkloadColumns,
                        " FROM workload w JOIN workload o ON o.id = $1 WHERE w.id <> o.id AND "
                        "w.binding = o.binding AND EXISTS (SELECT 1 FROM workload_name a JOIN "
                        "workload_name b ON a.name = b.name WHERE a.workload = w.id AND "
                        "b.workload = o.id) ORDER BY w.created_at DESC"}),
                   workload),
             [](Query& query) { return read_workload(query, false); });
}

Result<std::vector<ConvergencePoint>> SqlStore::convergence(const Id& run) {
  double best = kUnknown;
  return all(Query(db_,
                   "SELECT id, sequence, outcome, median_ns, measured_at FROM measurement "
                   "WHERE run = $1 ORDER BY sequence, n",
                   run),
             [&](Query& query) {
               ConvergencePoint point;
               point.record = query.text();
               point.sequence = query.integer();
               point.outcome = word_or(parse_outcome(query.text()), Outcome::kRejected);
               point.median_ns = query.real();
               point.measured_at = query.integer();
               if (point.outcome == Outcome::kOk && !(point.median_ns >= best))
                 best = point.median_ns;
               point.best_ns = best;
               return point;
             });
}

Result<std::vector<FailureGroup>> SqlStore::failures(const Id& run) {
  TEMPER_TRY(groups,
             all(Query(db_,
                       "SELECT outcome, stage, count(*), min(n) FROM measurement WHERE run = $1 "
                       "AND outcome NOT IN ('ok', 'censored') GROUP BY outcome, stage "
                       "ORDER BY count(*) DESC, min(n)",
                       run),
                 [](Query& query) {
                   FailureGroup group;
                   group.outcome = word_or(parse_outcome(query.text()), Outcome::kRejected);
                   group.stage = query.text();
                   group.count = query.integer();
                   return std::pair(std::move(group), query.integer());
                 }));
  std::vector<FailureGroup> rows;
  for (auto& [group, first] : groups) {
    TEMPER_TRY(record, one("record", std::to_string(first),
                           Query(db_, "SELECT id, error FROM measurement WHERE n = $1", first),
                           [](Query& query) {
                             const std::string id = query.text();
                             return std::pair(id, query.text());
                           }));
    group.first_record = record.first;
    group.first_error = record.second;
    rows.push_back(std::move(group));
  }
  return rows;
}

Result<void> SqlStore::measured_programs(const Id& workload,
                                         const Visitor<MeasuredProgram>& visit) {
  Query query(db_,
              sql({"SELECT m.id, m.outcome, m.median_ns, m.predicted_score, s.target, s.threads, "
                   "s.environment_class, s.toolchain, s.regime, s.inputs, m.purpose, m.counters, ",
                   kCandidateColumns, kMeasurementTables, "WHERE s.workload = $1 ORDER BY m.n"}),
              workload);
  while (query.next()) {
    MeasuredProgram row;
    row.record = query.text();
    row.outcome = word_or(parse_outcome(query.text()), Outcome::kRejected);
    row.median_ns = query.real();
    row.predicted_score = query.real();
    row.target = query.text();
    row.threads = static_cast<int>(query.integer());
    row.environment_class = query.text();
    row.toolchain = query.text();
    row.regime = word_or(parse_timing_regime(query.text()), TimingRegime::kHot);
    row.inputs = query.text();
    row.purpose = word_or(parse_purpose(query.text()), Purpose::kSearch);
    row.counters_json = query.text();
    TEMPER_TRY(candidate, read_candidate(query));
    row.candidate = std::move(candidate.id);
    row.program = std::move(candidate.program);
    if (!visit(row))
      return {};
  }
  return query.finish();
}

Result<void> SqlStore::measurements(const Id& run, const Visitor<Measurement>& visit) {
  return each(Query(db_,
                    sql({"SELECT ", kMeasurementColumns, kMeasurementTables,
                         "WHERE m.run = $1 ORDER BY m.sequence, m.n"}),
                    run),
              visit, read_measurement);
}

Result<std::vector<ModelQuality>> SqlStore::model_quality(const Id& run) {
  return all(
      Query(db_,
            sql({"SELECT ", kQualityColumns, " FROM model_quality WHERE run = $1 ORDER BY batch"}),
            run),
      read_quality);
}
Result<std::vector<Event>> SqlStore::events(const Id& run) {
  return all(Query(db_,
                   "SELECT run, sequence, kind, json, happened_at FROM event WHERE run = $1 "
                   "ORDER BY sequence",
                   run),
             read_event);
}
Result<std::vector<Note>> SqlStore::notes(const Id& subject) {
  return all(Query(db_,
                   "SELECT id, subject, text, author, created_at FROM note WHERE subject = $1 "
                   "ORDER BY created_at, id",
                   subject),
             read_note);
}
Result<std::vector<Tag>> SqlStore::tags(const Id& subject) {
  return all(Query(db_, "SELECT subject, tag, created_at FROM tag WHERE subject = $1 ORDER BY tag",
                   subject),
             read_tag);
}

} // namespace temper::database::detail
