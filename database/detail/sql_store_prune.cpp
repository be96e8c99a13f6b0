// Retention. What goes: measurements that are old enough, of runs that have come to rest, and what
// only they needed. What stays, whatever its age:
//   - the best of every key, of every toolchain and machine, with all measurements of its
//   candidate;
//   - the fastest of every run, and whatever a run confirmed: the evidence that others lost to it;
//   - what a person marked: tagged `pinned` itself, by its run, candidate or workload, or with any
//     tag or note of its own;
//   - the program as it was written: what every gain of its run is against;
//   - a wrong result of a candidate that has a number: without it the candidate could win.
// At the end the bests are asked for again; were one of them another one, nothing is dropped.
#include "database/detail/sql_rows.h"
#include "database/detail/sql_store.h"

#include <set>

namespace temper::database::detail {

namespace {

constexpr const char* kDropRecords = R"(
  AND m.purpose <> 'confirm'
  AND m.origin <> 'untuned'
  AND m.run IN (SELECT run FROM run_progress WHERE state IN ('finished', 'failed'))
  AND m.candidate NOT IN (SELECT n FROM prune_kept)
  AND NOT (m.outcome = 'wrong_result' AND EXISTS (SELECT 1 FROM measurement b
    WHERE b.candidate = m.candidate AND b.outcome = 'ok'))
  AND m.id NOT IN (SELECT subject FROM tag)
  AND m.id NOT IN (SELECT subject FROM note)
)";

constexpr const char* kDropCandidates = R"(
  n IN (SELECT candidate FROM prune_dropped)
  AND NOT EXISTS (SELECT 1 FROM measurement m WHERE m.candidate = candidate.n)
  AND id NOT IN (SELECT subject FROM tag)
  AND id NOT IN (SELECT subject FROM note)
)";

// A number that was the last one would be given out again, and other processes remember texts by
// their numbers; they remember bases, too.
constexpr const char* kDropSkeletons = R"(
  base IS NOT NULL
  AND n < (SELECT max(n) FROM skeleton)
  AND NOT EXISTS (SELECT 1 FROM candidate c WHERE c.skeleton = skeleton.n)
)";

} // namespace

Result<PruneSummary> SqlStore::prune(const PruneOptions& options) {
  PruneSummary summary;
  TEMPER_TRY(before, db_.size_bytes());
  summary.bytes_before = summary.bytes_after = before;
  {
    Transaction transaction(db_);
    TEMPER_TRY_VOID(transaction.status());
    RecordFilter everything;
    everything.include_stale = true;
    TEMPER_TRY(bests, best(everything));

    for (const char* text :
         {"CREATE TEMPORARY TABLE IF NOT EXISTS prune_kept (n BIGINT PRIMARY KEY)",
          "CREATE TEMPORARY TABLE IF NOT EXISTS prune_dropped (n BIGINT PRIMARY "
          "KEY, candidate BIGINT NOT NULL)",
          "DELETE FROM prune_kept", "DELETE FROM prune_dropped"})
      TEMPER_TRY_VOID(db_.execute(text));
    // A run's best by its own rules: what compare run:A run:B shows years later.
    std::vector<RecordRow> kept = bests;
    TEMPER_TRY(runs, all(Query(db_, "SELECT id FROM run"), read_text));
    for (const Id& run : runs) {
      everything.run = run;
      TEMPER_TRY(rows, best(everything));
      kept.insert(kept.end(), rows.begin(), rows.end());
    }
    everything.run.clear();
    for (const RecordRow& row : kept)
      TEMPER_TRY_VOID(Query(db_,
                            "INSERT INTO prune_kept SELECT n FROM candidate WHERE id = $1 "
                            "ON CONFLICT DO NOTHING",
                            row.candidate)
                          .run());

    RecordFilter filter = options.filter;
    filter.include_stale = true;
    TEMPER_TRY(where, record_conditions(filter));
    if (where.form == SqlCondition::Form::kNever)
      return summary;
    const std::string old_enough =
        "m.measured_at < " + std::to_string(options.before) +
        (where.form == SqlCondition::Form::kSql ? " AND " + where.text : std::string());
    const auto bound = [&](const std::string& text) {
      return std::make_unique<Query>(db_, numbered(text, 1));
    };
    const auto bind = [&](Query& query) {
      for (const std::string& value : where.values)
        query.bind(value);
    };
    {
      const auto query = bound("SELECT count(*) FROM measurement m WHERE " + old_enough);
      bind(*query);
      if (query->next())
        summary.considered = query->integer();
      TEMPER_TRY_VOID(query->finish());
    }
    {
      SqlCondition pinned = about_row("SELECT subject FROM tag WHERE tag = \x01", kPinnedTag);
      const auto query = bound("INSERT INTO prune_dropped SELECT m.n, m.candidate FROM measurement "
                               "m WHERE " +
                               old_enough + kDropRecords + " AND NOT " + pinned.text);
      bind(*query);
      for (const std::string& value : pinned.values)
        query->bind(value);
      TEMPER_TRY_VOID(query->run());
    }
    Query groups(db_, "SELECT w.name, m.outcome, count(*) FROM prune_dropped d JOIN measurement m "
                      "ON m.n = d.n JOIN series s ON s.n = m.series JOIN workload w ON "
                      "w.id = s.workload GROUP BY w.name, m.outcome ORDER BY w.name, m.outcome");
    while (groups.next()) {
      const std::string name = groups.text();
      const std::string outcome = groups.text();
      summary.records[name][outcome] = groups.integer();
    }
    TEMPER_TRY_VOID(groups.finish());

    const auto drop = [&](const char* kind, const std::string& text) -> Result<void> {
      TEMPER_TRY_VOID(Query(db_, text).run());
      if (db_.changes() > 0)
        summary.rows[kind] += db_.changes();
      return {};
    };
    TEMPER_TRY_VOID(
        drop("measurement", "DELETE FROM measurement WHERE n IN (SELECT n FROM prune_dropped)"));
    // The machine code of candidates that are about to go.
    TEMPER_TRY_VOID(drop(
        "artifact", sql({"DELETE FROM artifact WHERE candidate IN (SELECT id FROM candidate WHERE ",
                         kDropCandidates, ") AND created_at < ", std::to_string(options.before),
                         " AND id NOT IN (SELECT subject FROM tag) AND id NOT IN (SELECT subject "
                         "FROM note)"})));
    TEMPER_TRY_VOID(drop("candidate", sql({"DELETE FROM candidate WHERE ", kDropCandidates,
                                           " AND id NOT IN (SELECT candidate FROM artifact)"})));
    TEMPER_TRY_VOID(drop("skeleton", sql({"DELETE FROM skeleton WHERE ", kDropSkeletons})));
    // Of models only the newest of a workload is of use; those of runs that others may still be at
    // are not touched. A restriction to some records says nothing about models.
    if (where.form == SqlCondition::Form::kAlways)
      TEMPER_TRY_VOID(drop(
          "model",
          "DELETE FROM model WHERE created_at < " + std::to_string(options.before) +
              " AND run IN (SELECT run FROM run_progress WHERE state IN ('finished', 'failed')) "
              "AND "
              "EXISTS (SELECT 1 FROM model o JOIN run a ON a.id = o.run JOIN run b ON b.id = "
              "model.run WHERE a.workload = b.workload AND o.created_at > model.created_at) AND id "
              "NOT IN (SELECT subject FROM tag) AND id NOT IN (SELECT subject FROM note) AND run "
              "NOT IN (SELECT subject FROM tag WHERE tag = '" +
              std::string(kPinnedTag) + "')"));
    TEMPER_TRY(after, best(everything));
    const auto ids = [](const std::vector<RecordRow>& rows) {
      std::set<Id> found;
      for (const RecordRow& row : rows)
        found.insert(row.id);
      return found;
    };
    if (ids(bests) != ids(after))
      return Error(ErrorCode::kFailed,
                   "pruning would change what is best, which is a fault of temper; nothing was "
                   "dropped from the database '" +
                       name() + "'");
    caches_ = {};
    skeleton_texts_.clear();
    skeleton_bytes_ = 0;
    if (options.dry_run)
      return summary; // the transaction rolls back
    TEMPER_TRY_VOID(transaction.commit());
  }
  TEMPER_TRY_VOID(db_.compact());
  TEMPER_TRY(left, db_.size_bytes());
  summary.bytes_after = left;
  return summary;
}

} // namespace temper::database::detail
