/// The store in SQL, on any Connection. Its parts: sql_store.cpp (rows in and out), _runs.cpp
/// (runs, claims, trials), _queries.cpp (best, lists, curves).
#pragma once

#include "database/detail/query_sql.h"
#include "database/detail/sql.h"
#include "database/store.h"
#include "database/system.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace temper::database::detail {

class SqlStore final : public Store {
public:
  /// The connection is open, and its schema up to date.
  SqlStore(std::unique_ptr<Connection> connection, System& system)
      : connection_(std::move(connection)), db_(*connection_), system_(system) {}

  std::string name() const override { return db_.name(); }

  Result<Id> add(const Workload& workload) override;
  Result<Id> add(const Space& space) override;
  Result<Id> add(const Environment& environment) override;
  Result<Id> add(const Toolchain& toolchain) override;
  Result<Id> add(const Candidate& candidate) override;
  Result<Id> add(const Artifact& artifact) override;
  Result<Id> add(const Model& model) override;
  Result<Id> add(const Note& note) override;
  Result<void> add(const Tag& tag) override;
  Result<void> remove(const Tag& tag) override;
  Result<void> remove(const Note& note) override;
  Result<void> add(const ModelQuality& quality) override;
  Result<void> add(const Event& event) override;

  Result<Id> create_run(const Run& run) override;
  Result<RunClaim> claim_run(const Id& run, bool reopen) override;
  Result<RequestedState> heartbeat(const RunClaim& claim) override;
  Result<Recorded> record(const RunClaim& claim, const Trial& trial,
                          const RunProgress& progress) override;
  Result<void> update_run(const RunClaim& claim, const RunProgress& progress) override;
  Result<void> release_run(const RunClaim& claim, RunState state,
                           const std::string& stopped_because) override;
  Result<void> request(const Id& run, RequestedState requested) override;
  Result<void> set_budget(const Id& run, int64_t trials, double seconds) override;

  Result<Workload> workload(const Id& id) override;
  Result<Space> space(const Id& id) override;
  Result<Environment> environment(const Id& id) override;
  Result<Toolchain> toolchain(const Id& id) override;
  Result<Run> run(const Id& id) override;
  Result<Candidate> candidate(const Id& id) override;
  Result<Measurement> measurement(const Id& id) override;
  Result<Artifact> artifact(const Id& id) override;
  Result<Model> model(const Id& id) override;
  Result<Artifact> artifact_of(const Id& measurement) override;
  Result<Model> latest_model(const Id& run) override;

  Result<std::vector<RecordRow>> best(const RecordFilter& filter) override;
  Result<RecordRow> record_row(const Id& id, const std::vector<Id>& current_toolchains) override;
  Result<std::vector<RecordRow>> list_records(const RecordFilter& filter) override;
  Result<std::vector<Id>> list_record_ids(const RecordFilter& filter) override;
  Result<std::vector<WorkloadRow>> list_workloads(const std::string& name) override;
  Result<std::vector<Run>> list_runs(const RunFilter& filter) override;
  Result<std::vector<Run>> resumable_runs(const Id& workload) override;
  Result<std::vector<Workload>> other_versions(const Id& workload) override;
  Result<std::vector<ConvergencePoint>> convergence(const Id& run) override;
  Result<std::vector<FailureGroup>> failures(const Id& run) override;
  Result<void> measured_programs(const Id& workload,
                                 const Visitor<MeasuredProgram>& visit) override;
  Result<void> measurements(const Id& run, const Visitor<Measurement>& visit) override;
  Result<std::vector<ModelQuality>> model_quality(const Id& run) override;
  Result<std::vector<Event>> events(const Id& run) override;
  Result<std::vector<Note>> notes(const Id& subject) override;
  Result<std::vector<Tag>> tags(const Id& subject) override;

  Result<std::vector<Id>> ids_with_prefix(std::string_view prefix, size_t limit) override;
  Result<std::string> short_id(const Id& id) override;

  Result<void> each_workload(const Visitor<Workload>& visit) override;
  Result<void> each_space(const Visitor<Space>& visit) override;
  Result<void> each_environment(const Visitor<Environment>& visit) override;
  Result<void> each_toolchain(const Visitor<Toolchain>& visit) override;
  Result<void> each_run(const Visitor<Run>& visit) override;
  Result<void> each_candidate(const Visitor<Candidate>& visit) override;
  Result<void> each_measurement(const Visitor<Measurement>& visit) override;
  Result<void> each_artifact(const Visitor<Artifact>& visit) override;
  Result<void> each_model(const Visitor<Model>& visit) override;
  Result<void> each_model_quality(const Visitor<ModelQuality>& visit) override;
  Result<void> each_event(const Visitor<Event>& visit) override;
  Result<void> each_note(const Visitor<Note>& visit) override;
  Result<void> each_tag(const Visitor<Tag>& visit) override;
  Result<Id> import_run(const Run& run) override;
  Result<Id> import_measurement(const Measurement& measurement) override;
  Result<void> transaction(const std::function<Result<void>()>& body) override;
  Result<void> snapshot(const std::function<Result<void>()>& body) override;
  Result<std::map<std::string, int64_t>> row_counts() override;
  Result<void> check_integrity() override;
  Result<PruneSummary> prune(const PruneOptions& options) override;

private:
  Run read_run(Query& query);
  /// May fail: a skeleton that does not decode.
  Result<Candidate> read_candidate(Query& query);
  Result<const std::string*> skeleton_text(int64_t number);
  /// Numbers of the workload's skeletons in which the pattern is found, as "1,5,9".
  Result<std::string> skeletons_with(const Id& workload, const std::string& pattern);
  Result<int64_t> put_skeleton(const Id& workload, std::string_view text);
  Result<int64_t> put_candidate(const Candidate& candidate);
  Result<int64_t> series_of(const Measurement& measurement, const Id& workload,
                            const std::string& target);
  Result<Id> put_measurement(Measurement measurement, int64_t candidate, const Id& workload,
                             const std::string& target);
  Result<void> put_progress(const Run& run);
  Result<void> write_progress(const RunClaim& claim, const RunProgress& progress);
  Result<std::string> class_of(const Id& environment);
  struct SeriesRow {
    int64_t number = 0;
    Id toolchain;
    std::string target;
    SqlCondition condition; ///< what the filter's query asks of its rows
  };
  /// The series that a filter allows, and whether that is all of them.
  Result<std::vector<SeriesRow>> series_of(const RecordFilter& filter, bool skip_stale,
                                           bool& everything);
  /// Everything that a filter asks of rows of `m`, in one condition.
  Result<SqlCondition> record_conditions(const RecordFilter& filter);
  void drop_stale_caches();
  static Error lost_claim(const RunClaim& claim);

  std::unique_ptr<Connection> connection_;
  Connection& db_;
  System& system_;

  // Row numbers by content. Dropped after a rollback, which may have taken the rows back.
  struct Caches {
    std::map<std::string, int64_t> series;
    std::map<Id, std::string> environment_class;
    std::map<Id, std::pair<Id, std::string>> run_key;                 // workload, target
    std::map<Id, std::vector<std::pair<int64_t, std::string>>> bases; // of a workload
  };
  Caches caches_;
  int64_t caches_rollbacks_ = 0;
  std::map<int64_t, std::string> skeleton_texts_; // decoded
  size_t skeleton_bytes_ = 0;
};

} // namespace temper::database::detail
