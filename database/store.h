/// Everything a run did, kept for ever: the abstract store. SQLite in one file is
/// `sqlite_store.h`; on a PostgreSQL server, `postgres_store.h`.
///
///   TEMPER_TRY(store, open_sqlite_store({.path = default_database_path()}));
///   TEMPER_TRY(workload, store->add(Workload{...}));
///   TEMPER_TRY(run, store->create_run(Run{.workload = workload, ...}));
///   TEMPER_TRY(claim, store->claim_run(run));
///   while (...) {
///     TEMPER_TRY(recorded, store->record(claim, {candidate, measurement}, progress));
///     if (recorded.requested == RequestedState::kStop) break;
///   }
///   TEMPER_TRY_VOID(store->release_run(claim, RunState::kFinished, "1000 trials"));
///
/// Nothing is overwritten but a run's own progress. `add` of a row that is there already changes
/// nothing and gives the same id. Each call is one transaction that is committed when it returns;
/// several processes may use one database. A Store belongs to one thread and is not carried over
/// fork(): every thread and process opens its own.
#pragma once

#include "database/query.h"
#include "database/records.h"
#include "ir/support/result.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace temper::database {

/// What is committed when an outcome arrives.
struct Trial {
  Candidate candidate;
  Measurement measurement; ///< `run` and `candidate` are filled in
};

struct Recorded {
  Id measurement;
  Id candidate;
  RequestedState requested = RequestedState::kNone;
};

/// A run whose owner has been silent for longer counts as interrupted, unless its process is on
/// this machine and can be seen to be alive. Owners call `heartbeat` every 20 s or so; `record`
/// counts as one.
inline constexpr int64_t kHeartbeatTimeoutNs = 90'000'000'000;

/// Rows with this tag, or of a run, candidate or workload with it, are never pruned.
inline constexpr const char* kPinnedTag = "pinned";

struct PruneOptions {
  int64_t before = 0;  ///< measurements older than this
  RecordFilter filter; ///< and only these
  bool dry_run = false;
};

struct PruneSummary {
  int64_t considered = 0; ///< measurements that are old enough and fit the filter
  std::map<std::string, std::map<std::string, int64_t>> records; ///< dropped: workload, outcome
  std::map<std::string, int64_t> rows;                           ///< dropped, per kind of row
  int64_t bytes_before = 0;
  int64_t bytes_after = 0;
};

/// Called for each row; returning false ends the walk without an error.
template <typename Row> using Visitor = std::function<bool(const Row&)>;

class Store {
public:
  virtual ~Store() = default;

  /// For messages: the path, or ":memory:".
  virtual std::string name() const = 0;

  // ---- Adding. Fills in a missing id and time; text that is not UTF-8 is made so.
  virtual Result<Id> add(const Workload& workload) = 0;
  virtual Result<Id> add(const Space& space) = 0;
  virtual Result<Id> add(const Environment& environment) = 0;
  virtual Result<Id> add(const Toolchain& toolchain) = 0;
  virtual Result<Id> add(const Candidate& candidate) = 0;
  virtual Result<Id> add(const Artifact& artifact) = 0;
  virtual Result<Id> add(const Model& model) = 0;
  virtual Result<Id> add(const Note& note) = 0;
  virtual Result<void> add(const Tag& tag) = 0;
  virtual Result<void> remove(const Tag& tag) = 0;
  /// Takes back a note that somebody wrote by mistake.
  virtual Result<void> remove(const Note& note) = 0;
  virtual Result<void> add(const ModelQuality& quality) = 0;
  virtual Result<void> add(const Event& event) = 0;

  // ---- Runs
  /// A new run in state kCreated that nobody has claimed.
  virtual Result<Id> create_run(const Run& run) = 0;
  /// Takes the run for this process: state kRunning, request kNone. Refuses a run that another
  /// living process has, and one that is finished unless `reopen`. A run that failed, as on a full
  /// disk, may be taken up again.
  virtual Result<RunClaim> claim_run(const Id& run, bool reopen = false) = 0;
  /// Says that the owner lives; gives what was requested. Fails when the claim was lost.
  virtual Result<RequestedState> heartbeat(const RunClaim& claim) = 0;
  /// Candidate, measurement and the run's progress in one transaction. Fails when the claim was
  /// lost, and then writes nothing.
  virtual Result<Recorded> record(const RunClaim& claim, const Trial& trial,
                                  const RunProgress& progress) = 0;
  /// Progress without an outcome, as after a batch in which all were rejected.
  virtual Result<void> update_run(const RunClaim& claim, const RunProgress& progress) = 0;
  /// Gives the run back in its last state: finished, paused, interrupted or failed.
  virtual Result<void> release_run(const RunClaim& claim, RunState state,
                                   const std::string& stopped_because) = 0;
  /// Asks whoever runs it to pause or stop.
  virtual Result<void> request(const Id& run, RequestedState requested) = 0;
  /// New budgets for the whole run, as for `resume RUN --trials +200`.
  virtual Result<void> set_budget(const Id& run, int64_t trials, double seconds) = 0;

  // ---- Rows by id; kNotFound when there is none
  virtual Result<Workload> workload(const Id& id) = 0;
  virtual Result<Space> space(const Id& id) = 0;
  virtual Result<Environment> environment(const Id& id) = 0;
  virtual Result<Toolchain> toolchain(const Id& id) = 0;
  virtual Result<Run> run(const Id& id) = 0;
  virtual Result<Candidate> candidate(const Id& id) = 0;
  virtual Result<Measurement> measurement(const Id& id) = 0;
  virtual Result<Artifact> artifact(const Id& id) = 0;
  virtual Result<Model> model(const Id& id) = 0;
  /// The kept bytes of a record's candidate under its toolchain and target.
  virtual Result<Artifact> artifact_of(const Id& measurement) = 0;
  /// The newest model of a run.
  virtual Result<Model> latest_model(const Id& run) = 0;

  // ---- Queries
  /// The best record per key, fastest workload name first; see query.h. Only outcome ok, and no
  /// candidate that any of its measurements of that key found wrong.
  virtual Result<std::vector<RecordRow>> best(const RecordFilter& filter) = 0;
  /// One record as a line of a list.
  virtual Result<RecordRow> record_row(const Id& id,
                                       const std::vector<Id>& current_toolchains = {}) = 0;
  virtual Result<std::vector<RecordRow>> list_records(const RecordFilter& filter) = 0;
  /// The ids of the same records, in no order, whatever limit and offset say: of a million, a
  /// twentieth of the memory and of the time.
  virtual Result<std::vector<Id>> list_record_ids(const RecordFilter& filter) = 0;
  virtual Result<std::vector<WorkloadRow>> list_workloads(const std::string& name = {}) = 0;
  /// Newest first.
  virtual Result<std::vector<Run>> list_runs(const RunFilter& filter) = 0;
  /// Runs of a workload (any when empty) that can be resumed, newest first.
  virtual Result<std::vector<Run>> resumable_runs(const Id& workload = {}) = 0;
  /// Other versions of the workload: same name and binding, another program.
  virtual Result<std::vector<Workload>> other_versions(const Id& workload) = 0;
  virtual Result<std::vector<ConvergencePoint>> convergence(const Id& run) = 0;
  /// Failures of a run, most frequent first.
  virtual Result<std::vector<FailureGroup>> failures(const Id& run) = 0;
  /// Every measured candidate of a workload, oldest first; for cost models and deduplication.
  virtual Result<void> measured_programs(const Id& workload,
                                         const Visitor<MeasuredProgram>& visit) = 0;
  /// All measurements of a run in order, with samples.
  virtual Result<void> measurements(const Id& run, const Visitor<Measurement>& visit) = 0;
  virtual Result<std::vector<ModelQuality>> model_quality(const Id& run) = 0;
  virtual Result<std::vector<Event>> events(const Id& run) = 0;
  virtual Result<std::vector<Note>> notes(const Id& subject) = 0;
  virtual Result<std::vector<Tag>> tags(const Id& subject) = 0;

  // ---- Ids
  /// Ids that begin with the prefix, sorted, at most `limit`.
  virtual Result<std::vector<Id>> ids_with_prefix(std::string_view prefix, size_t limit) = 0;
  /// The shortest unique prefix of an id, at least kShortIdLength characters.
  virtual Result<std::string> short_id(const Id& id) = 0;

  // ---- For dump and import
  virtual Result<void> each_workload(const Visitor<Workload>& visit) = 0;
  virtual Result<void> each_space(const Visitor<Space>& visit) = 0;
  virtual Result<void> each_environment(const Visitor<Environment>& visit) = 0;
  virtual Result<void> each_toolchain(const Visitor<Toolchain>& visit) = 0;
  virtual Result<void> each_run(const Visitor<Run>& visit) = 0;
  virtual Result<void> each_candidate(const Visitor<Candidate>& visit) = 0;
  virtual Result<void> each_measurement(const Visitor<Measurement>& visit) = 0;
  virtual Result<void> each_artifact(const Visitor<Artifact>& visit) = 0;
  virtual Result<void> each_model(const Visitor<Model>& visit) = 0;
  virtual Result<void> each_model_quality(const Visitor<ModelQuality>& visit) = 0;
  virtual Result<void> each_event(const Visitor<Event>& visit) = 0;
  virtual Result<void> each_note(const Visitor<Note>& visit) = 0;
  virtual Result<void> each_tag(const Visitor<Tag>& visit) = 0;
  /// A run from elsewhere, with its progress; of two versions the later one stays.
  virtual Result<Id> import_run(const Run& run) = 0;
  /// A measurement whose run, candidate, environment and toolchain are there.
  virtual Result<Id> import_measurement(const Measurement& measurement) = 0;
  /// Runs `body` in one transaction: all of it is kept, or, when it fails, nothing. On a server
  /// whose connection broke, `body` is run again: it changes nothing but the store, or begins by
  /// undoing what it changed.
  virtual Result<void> transaction(const std::function<Result<void>()>& body) = 0;

  /// Runs `body`, which only reads, on one state of the database, whatever others write meanwhile.
  virtual Result<void> snapshot(const std::function<Result<void>()>& body) = 0;
  /// Rows per kind, by the kinds' names in a dump.
  virtual Result<std::map<std::string, int64_t>> row_counts() = 0;

  /// Drops old measurements and what only they needed; never the best of a key or of a
  /// run, a confirmation, what is pinned, tagged or noted, or anything of a run that can go on.
  virtual Result<PruneSummary> prune(const PruneOptions& options) = 0;

  /// Reads the whole file and says what is broken; for `temper doctor`.
  virtual Result<void> check_integrity() = 0;
};

/// The only trial of a run, which is finished with it, in one transaction: the run gets an id and
/// a budget of one, the measurement the run's environment, toolchain and strategy (as its origin)
/// and the purpose kConfirm. `also` writes what belongs to it, knowing the run's id.
Result<Recorded>
record_alone(Store& store, Run run, Trial trial, const std::string& stopped_because,
             const std::function<Result<void>(const Id& run, const Recorded& recorded)>& also);

} // namespace temper::database
