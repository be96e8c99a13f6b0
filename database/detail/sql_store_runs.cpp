#include "database/detail/sql_rows.h"
#include "database/detail/sql_store.h"

#include <bit>

namespace temper::database::detail {

// ---- Runs

Run SqlStore::read_run(Query& query) {
  Run row;
  row.id = query.text();
  row.workload = query.text();
  row.target = query.text();
  row.environment = query.text();
  row.toolchain = query.text();
  row.space = query.text();
  row.strategy = query.text();
  row.seed = query.word();
  row.budget_trials = query.integer();
  row.budget_seconds = query.real();
  row.parent_run = query.text();
  row.parent_record = query.text();
  row.command_line = query.text();
  row.options_json = query.text();
  row.started_at = query.integer();
  row.state = word_or(parse_run_state(query.text()), RunState::kFailed);
  row.requested = word_or(parse_requested_state(query.text()), RequestedState::kNone);
  row.stopped_because = query.text();
  row.ended_at = query.integer();
  row.random_state = query.word();
  row.trials = query.integer();
  row.seconds = query.real();
  row.funnel_json = query.text();
  row.strategy_state_json = query.text();
  row.owner.host = query.text();
  row.owner.domain = query.text();
  row.owner.pid = query.integer();
  row.owner.start_ticks = query.integer();
  row.heartbeat_at = query.integer();
  row.updated_at = query.integer();

  if (row.state == RunState::kRunning) {
    const System::Liveness liveness = system_.liveness(row.owner);
    const bool silent = system_.now_ns() - row.heartbeat_at > kHeartbeatTimeoutNs;
    if (liveness == System::Liveness::kGone || (liveness == System::Liveness::kUnseen && silent)) {
      row.state = RunState::kInterrupted;
      row.stopped_because = "its process is gone";
    }
  }
  return row;
}

Result<Id> SqlStore::create_run(const Run& given) {
  Run row = given;
  if (row.started_at == 0)
    row.started_at = system_.now_ns();
  row.owner = system_.this_process();
  if (row.id.empty())
    row.id = id_of(row);
  row.owner = {};
  row.state = RunState::kCreated;
  row.updated_at = row.started_at;
  return import_run(row);
}

Result<Id> SqlStore::import_run(const Run& row) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(
      Query(db_,
            "INSERT INTO run (id, workload, target, environment, toolchain, space, strategy, seed, "
            "budget_trials, budget_seconds, parent_run, parent_record, command_line, options, "
            "started_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
            "ON CONFLICT (id) DO NOTHING",
            row.id, row.workload, row.target, row.environment, row.toolchain, row.space,
            row.strategy, row.seed, row.budget_trials, row.budget_seconds, row.parent_run,
            row.parent_record, valid_text(row.command_line), valid_text(row.options_json),
            row.started_at)
          .run());
  TEMPER_TRY_VOID(put_progress(row));
  TEMPER_TRY_VOID(transaction.commit());
  return row.id;
}

Result<void> SqlStore::put_progress(const Run& row) {
  // An older copy of a run never takes progress back, and no copy takes a run from a living owner
  // in this database.
  Query stored(db_, "SELECT claim FROM run_progress WHERE run = $1", row.id);
  if (stored.next()) {
    const bool claimed = stored.integer() != 0;
    TEMPER_TRY(seen, run(row.id));
    if (seen.updated_at >= row.updated_at || (claimed && seen.state == RunState::kRunning))
      return {};
  }
  TEMPER_TRY_VOID(stored.finish());
  // The budget is part of what changes: a colleague may have prolonged the run.
  TEMPER_TRY_VOID(Query(db_, "UPDATE run SET budget_trials = $1, budget_seconds = $2 WHERE id = $3",
                        row.budget_trials, row.budget_seconds, row.id)
                      .run());
  return Query(db_,
               "INSERT INTO run_progress (run, state, requested, stopped_because, ended_at, "
               "random_state, trials, seconds, funnel, strategy_state, claim, owner_host, "
               "owner_domain, owner_pid, owner_start, heartbeat_at, updated_at) "
               "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $12, $13, $14, $15, $16) "
               "ON CONFLICT (run) DO UPDATE SET state = excluded.state, "
               "requested = excluded.requested, stopped_because = excluded.stopped_because, "
               "ended_at = excluded.ended_at, random_state = excluded.random_state, "
               "trials = excluded.trials, seconds = excluded.seconds, funnel = excluded.funnel, "
               "strategy_state = excluded.strategy_state, claim = 0, "
               "owner_host = excluded.owner_host, owner_domain = excluded.owner_domain, "
               "owner_pid = excluded.owner_pid, owner_start = excluded.owner_start, "
               "heartbeat_at = excluded.heartbeat_at, updated_at = excluded.updated_at",
               row.id, to_string(row.state), to_string(row.requested),
               valid_text(row.stopped_because), row.ended_at, row.random_state, row.trials,
               row.seconds, valid_text(row.funnel_json), valid_text(row.strategy_state_json),
               valid_text(row.owner.host), valid_text(row.owner.domain), row.owner.pid,
               row.owner.start_ticks, row.heartbeat_at, row.updated_at)
      .run();
}

Error SqlStore::lost_claim(const RunClaim& claim) {
  return {ErrorCode::kInterrupted,
          "run " + claim.run + " was taken over by another process; this one stops recording"};
}

Result<RunClaim> SqlStore::claim_run(const Id& id, bool reopen) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY(seen, run(id));
  if (seen.state == RunState::kRunning)
    return Error(ErrorCode::kInvalidArgument,
                 "run " + id + " is being worked on by process " + std::to_string(seen.owner.pid) +
                     " on " + seen.owner.host + "; wait for it, or ask it to stop");
  if (!reopen && seen.state == RunState::kFinished)
    return Error(ErrorCode::kInvalidArgument,
                 "run " + id + " has finished" +
                     (seen.stopped_because.empty() ? "" : " (" + seen.stopped_because + ")") +
                     "; prolong it with `temper resume RUN --trials +N`");
  RunClaim claim{id, 0};
  while (claim.token == 0)
    claim.token = static_cast<int64_t>(system_.random_word() >> 1);
  const ProcessIdentity owner = system_.this_process();
  const int64_t now = system_.now_ns();
  TEMPER_TRY_VOID(Query(db_,
                        "UPDATE run_progress SET state = 'running', requested = 'none', "
                        "stopped_because = '', ended_at = 0, claim = $1, owner_host = $2, "
                        "owner_domain = $3, owner_pid = $4, owner_start = $5, heartbeat_at = $6, "
                        "updated_at = $7 WHERE run = $8",
                        claim.token, owner.host, owner.domain, owner.pid, owner.start_ticks, now,
                        now, id)
                      .run());
  TEMPER_TRY_VOID(transaction.commit());
  return claim;
}

Result<RequestedState> SqlStore::heartbeat(const RunClaim& claim) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(Query(db_,
                        "UPDATE run_progress SET heartbeat_at = $1 WHERE run = $2 AND claim = $3",
                        system_.now_ns(), claim.run, claim.token)
                      .run());
  if (db_.changes() == 0)
    return lost_claim(claim);
  TEMPER_TRY(word, one("run", claim.run,
                       Query(db_, "SELECT requested FROM run_progress WHERE run = $1", claim.run),
                       read_text));
  TEMPER_TRY_VOID(transaction.commit());
  return parse_requested_state(word);
}

Result<void> SqlStore::write_progress(const RunClaim& claim, const RunProgress& progress) {
  const int64_t now = system_.now_ns();
  TEMPER_TRY_VOID(Query(db_,
                        "UPDATE run_progress SET random_state = $1, trials = $2, seconds = $3, "
                        "funnel = $4, strategy_state = $5, heartbeat_at = $6, updated_at = $7 "
                        "WHERE run = $8 AND claim = $9",
                        progress.random_state, progress.trials, progress.seconds,
                        valid_text(progress.funnel_json), valid_text(progress.strategy_state_json),
                        now, now, claim.run, claim.token)
                      .run());
  if (db_.changes() == 0)
    return lost_claim(claim);
  return {};
}

Result<void> SqlStore::update_run(const RunClaim& claim, const RunProgress& progress) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(write_progress(claim, progress));
  return transaction.commit();
}

Result<std::string> SqlStore::class_of(const Id& environment) {
  drop_stale_caches();
  if (const auto found = caches_.environment_class.find(environment);
      found != caches_.environment_class.end())
    return found->second;
  TEMPER_TRY(name, one("environment", environment,
                       Query(db_, "SELECT class_name FROM environment WHERE id = $1", environment),
                       read_text));
  return caches_.environment_class[environment] = name;
}

Result<int64_t> SqlStore::series_of(const Measurement& row, const Id& workload,
                                    const std::string& target) {
  TEMPER_TRY(class_name, class_of(row.environment));
  std::string key;
  for (const std::string_view part :
       {std::string_view(workload), std::string_view(target), std::string_view(class_name),
        std::string_view(row.toolchain), std::string_view(to_string(row.regime)),
        std::string_view(row.inputs)})
    key += std::string(part) + '\n';
  key += std::to_string(row.threads);
  if (const auto found = caches_.series.find(key); found != caches_.series.end())
    return found->second;
  TEMPER_TRY_VOID(Query(db_,
                        "INSERT INTO series (workload, target, threads, environment_class, "
                        "toolchain, regime, inputs) VALUES ($1, $2, $3, $4, $5, $6, $7) "
                        "ON CONFLICT DO NOTHING",
                        workload, target, row.threads, class_name, row.toolchain,
                        to_string(row.regime), row.inputs)
                      .run());
  TEMPER_TRY(number,
             one("series", workload,
                 Query(db_,
                       "SELECT n FROM series WHERE workload = $1 AND target = $2 AND threads = $3 "
                       "AND environment_class = $4 AND toolchain = $5 AND regime = $6 AND "
                       "inputs = $7",
                       workload, target, row.threads, class_name, row.toolchain,
                       to_string(row.regime), row.inputs),
                 read_integer));
  return caches_.series[key] = number;
}

Result<Id> SqlStore::put_measurement(Measurement row, int64_t candidate, const Id& workload,
                                     const std::string& target) {
  row.inputs = valid_text(row.inputs);
  if (row.measured_at == 0)
    row.measured_at = system_.now_ns();
  if (row.sequence < 0) {
    Query query(db_, "SELECT coalesce(max(sequence) + 1, 0) FROM measurement WHERE run = $1",
                row.run);
    if (query.next())
      row.sequence = query.integer();
    TEMPER_TRY_VOID(query.finish());
  }
  if (row.id.empty())
    row.id = id_of(row);
  TEMPER_TRY(series, series_of(row, workload, target));
  static_assert(std::endian::native == std::endian::little, "samples are stored as they lie");
  const std::string_view samples(reinterpret_cast<const char*>(row.samples_ns.data()),
                                 row.samples_ns.size() * sizeof(float));
  TEMPER_TRY_VOID(
      Query(db_,
            "INSERT INTO measurement (id, series, run, candidate, sequence, outcome, purpose, "
            "median_ns, low_ns, high_ns, unchecked, measured_at, environment, stage, gaps_dropped, "
            "compile_ms, measure_ms, code_hash, origin, predicted_score, anchor_drift, error, "
            "worst, timing, facts, counters, log, samples) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, "
            "$9, "
            "$10, "
            "$11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, "
            "$28) "
            "ON CONFLICT (id) DO NOTHING",
            row.id, series, row.run, candidate, row.sequence, to_string(row.outcome),
            to_string(row.purpose), row.median_ns, row.low_ns, row.high_ns, row.unchecked,
            row.measured_at, row.environment, valid_text(row.stage), row.gaps_dropped,
            row.compile_ms, row.measure_ms, row.code_hash, valid_text(row.origin),
            row.predicted_score, row.anchor_drift, valid_text(row.error),
            valid_text(row.worst_json), valid_text(row.timing_json), valid_text(row.facts_json),
            valid_text(row.counters_json), valid_text(row.log),
            Blob{samples.empty() ? std::string_view() : samples})
          .run());
  return row.id;
}

Result<Recorded> SqlStore::record(const RunClaim& claim, const Trial& trial,
                                  const RunProgress& progress) {
  drop_stale_caches();
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(write_progress(claim, progress));

  auto key = caches_.run_key.find(claim.run);
  if (key == caches_.run_key.end()) {
    TEMPER_TRY(row, run(claim.run));
    key = caches_.run_key.emplace(claim.run, std::pair(row.workload, row.target)).first;
  }
  const Id workload = key->second.first;
  const std::string target = key->second.second;

  Candidate candidate = trial.candidate;
  if (candidate.workload.empty())
    candidate.workload = workload;
  if (candidate.workload != workload)
    return Error(ErrorCode::kInvalidArgument, "run " + claim.run + " tunes workload " + workload +
                                                  ", and this candidate is of " +
                                                  candidate.workload);
  candidate.program = valid_text(candidate.program);
  if (candidate.id.empty())
    candidate.id = id_of(candidate);
  TEMPER_TRY(number, put_candidate(candidate));

  Measurement measurement = trial.measurement;
  measurement.run = claim.run;
  measurement.candidate = candidate.id;
  TEMPER_TRY(id, put_measurement(std::move(measurement), number, workload, target));
  TEMPER_TRY(word, one("run", claim.run,
                       Query(db_, "SELECT requested FROM run_progress WHERE run = $1", claim.run),
                       read_text));
  TEMPER_TRY(requested, parse_requested_state(word));
  TEMPER_TRY_VOID(transaction.commit());
  return Recorded{id, candidate.id, requested};
}

Result<Id> SqlStore::import_measurement(const Measurement& row) {
  drop_stale_caches();
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY(candidate,
             one("candidate", row.candidate,
                 Query(db_, "SELECT n, workload FROM candidate WHERE id = $1", row.candidate),
                 [](Query& query) {
                   const int64_t number = query.integer();
                   return std::pair(number, query.text());
                 }));
  TEMPER_TRY(target, one("run", row.run,
                         Query(db_, "SELECT target FROM run WHERE id = $1", row.run), read_text));
  TEMPER_TRY(id, put_measurement(row, candidate.first, candidate.second, target));
  TEMPER_TRY_VOID(transaction.commit());
  return id;
}

Result<void> SqlStore::release_run(const RunClaim& claim, RunState state,
                                   const std::string& stopped_because) {
  TEMPER_CHECK(state != RunState::kRunning && state != RunState::kCreated,
               "a run is released in a state of rest");
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  const int64_t now = system_.now_ns();
  TEMPER_TRY_VOID(Query(db_,
                        "UPDATE run_progress SET state = $1, stopped_because = $2, claim = 0, "
                        "requested = 'none', ended_at = $3, heartbeat_at = $4, updated_at = $5 "
                        "WHERE run = $6 AND claim = $7",
                        to_string(state), valid_text(stopped_because), now, now, now, claim.run,
                        claim.token)
                      .run());
  if (db_.changes() == 0)
    return lost_claim(claim);
  return transaction.commit();
}

Result<void> SqlStore::request(const Id& id, RequestedState requested) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY(seen, run(id));
  if (seen.state != RunState::kRunning)
    return Error(ErrorCode::kInvalidArgument,
                 "run " + id + " is not running, it is " + to_string(seen.state));
  TEMPER_TRY_VOID(
      Query(db_, "UPDATE run_progress SET requested = $1 WHERE run = $2", to_string(requested), id)
          .run());
  return transaction.commit();
}

Result<void> SqlStore::set_budget(const Id& id, int64_t trials, double seconds) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(Query(db_, "UPDATE run SET budget_trials = $1, budget_seconds = $2 WHERE id = $3",
                        trials, seconds, id)
                      .run());
  if (db_.changes() == 0)
    return Error(ErrorCode::kNotFound,
                 "there is no run " + id + " in the database '" + name() + "'");
  TEMPER_TRY_VOID(
      Query(db_, "UPDATE run_progress SET updated_at = $1 WHERE run = $2", system_.now_ns(), id)
          .run());
  return transaction.commit();
}

} // namespace temper::database::detail
