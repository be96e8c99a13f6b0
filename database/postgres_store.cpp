#include "database/postgres_store.h"

#include "database/detail/migrations.h"
#include "database/detail/postgres.h"
#include "database/detail/sql_store.h"

namespace temper::database {

namespace {

/// Every call again when the connection broke, once there is a new one. Within a transaction of the
/// caller's only the whole of it can be done again; a walk that has shown rows cannot.
class PatientStore final : public Store {
public:
  PatientStore(std::unique_ptr<detail::PostgresConnection> connection, System& system)
      : connection_(*connection),
        inner_(std::make_unique<detail::SqlStore>(std::move(connection), system)), system_(system) {
  }

  std::string name() const override { return inner_->name(); }

  Result<Id> create_run(const Run& given) override {
    // The moment is part of the id: done again, it is the same run.
    Run row = given;
    if (row.started_at == 0)
      row.started_at = system_.now_ns();
    return again([&] { return inner_->create_run(row); });
  }

  Result<Recorded> record(const RunClaim& claim, const Trial& given,
                          const RunProgress& progress) override {
    Trial trial = given;
    if (trial.measurement.measured_at == 0)
      trial.measurement.measured_at = system_.now_ns();
    bool first = true;
    return again([&]() -> Result<Recorded> {
      // The server may have committed and gone away before it could say so.
      if (!std::exchange(first, false)) {
        TEMPER_TRY(found, recorded_before(claim, trial));
        if (found)
          return *found;
      }
      return inner_->record(claim, trial, progress);
    });
  }

  Result<void> transaction(const std::function<Result<void>()>& body) override {
    return again([&] {
      ++depth_;
      Result<void> result = inner_->transaction(body);
      --depth_;
      return result;
    });
  }
  Result<void> snapshot(const std::function<Result<void>()>& body) override {
    ++depth_;
    Result<void> result = inner_->snapshot(body);
    --depth_;
    return result;
  }

  Result<Id> add(const Workload& workload) override {
    return again([&] { return inner_->add(workload); });
  }
  Result<Id> add(const Space& space) override {
    return again([&] { return inner_->add(space); });
  }
  Result<Id> add(const Environment& environment) override {
    return again([&] { return inner_->add(environment); });
  }
  Result<Id> add(const Toolchain& toolchain) override {
    return again([&] { return inner_->add(toolchain); });
  }
  Result<Id> add(const Candidate& candidate) override {
    return again([&] { return inner_->add(candidate); });
  }
  Result<Id> add(const Artifact& artifact) override {
    return again([&] { return inner_->add(artifact); });
  }
  Result<Id> add(const Model& model) override {
    return again([&] { return inner_->add(model); });
  }
  Result<Id> add(const Note& note) override {
    return again([&] { return inner_->add(note); });
  }
  Result<void> add(const Tag& tag) override {
    return again([&] { return inner_->add(tag); });
  }
  Result<void> remove(const Tag& tag) override {
    return again([&] { return inner_->remove(tag); });
  }
  Result<void> remove(const Note& note) override {
    return again([&] { return inner_->remove(note); });
  }
  Result<void> add(const ModelQuality& quality) override {
    return again([&] { return inner_->add(quality); });
  }
  Result<void> add(const Event& event) override {
    return again([&] { return inner_->add(event); });
  }
  Result<RunClaim> claim_run(const Id& run, bool reopen) override {
    return again([&] { return inner_->claim_run(run, reopen); });
  }
  Result<RequestedState> heartbeat(const RunClaim& claim) override {
    return again([&] { return inner_->heartbeat(claim); });
  }
  Result<void> update_run(const RunClaim& claim, const RunProgress& progress) override {
    return again([&] { return inner_->update_run(claim, progress); });
  }
  Result<void> release_run(const RunClaim& claim, RunState state,
                           const std::string& stopped_because) override {
    return again([&] { return inner_->release_run(claim, state, stopped_because); });
  }
  Result<void> request(const Id& run, RequestedState requested) override {
    return again([&] { return inner_->request(run, requested); });
  }
  Result<void> set_budget(const Id& run, int64_t trials, double seconds) override {
    return again([&] { return inner_->set_budget(run, trials, seconds); });
  }
  Result<Workload> workload(const Id& id) override {
    return again([&] { return inner_->workload(id); });
  }
  Result<Space> space(const Id& id) override {
    return again([&] { return inner_->space(id); });
  }
  Result<Environment> environment(const Id& id) override {
    return again([&] { return inner_->environment(id); });
  }
  Result<Toolchain> toolchain(const Id& id) override {
    return again([&] { return inner_->toolchain(id); });
  }
  Result<Run> run(const Id& id) override {
    return again([&] { return inner_->run(id); });
  }
  Result<Candidate> candidate(const Id& id) override {
    return again([&] { return inner_->candidate(id); });
  }
  Result<Measurement> measurement(const Id& id) override {
    return again([&] { return inner_->measurement(id); });
  }
  Result<Artifact> artifact(const Id& id) override {
    return again([&] { return inner_->artifact(id); });
  }
  Result<Model> model(const Id& id) override {
    return again([&] { return inner_->model(id); });
  }
  Result<Artifact> artifact_of(const Id& measurement) override {
    return again([&] { return inner_->artifact_of(measurement); });
  }
  Result<Model> latest_model(const Id& run) override {
    return again([&] { return inner_->latest_model(run); });
  }
  Result<std::vector<RecordRow>> best(const RecordFilter& filter) override {
    return again([&] { return inner_->best(filter); });
  }
  Result<RecordRow> record_row(const Id& id, const std::vector<Id>& current_toolchains) override {
    return again([&] { return inner_->record_row(id, current_toolchains); });
  }
  Result<std::vector<RecordRow>> list_records(const RecordFilter& filter) override {
    return again([&] { return inner_->list_records(filter); });
  }
  Result<std::vector<Id>> list_record_ids(const RecordFilter& filter) override {
    return again([&] { return inner_->list_record_ids(filter); });
  }
  Result<std::vector<WorkloadRow>> list_workloads(const std::string& name) override {
    return again([&] { return inner_->list_workloads(name); });
  }
  Result<std::vector<Run>> list_runs(const RunFilter& filter) override {
    return again([&] { return inner_->list_runs(filter); });
  }
  Result<std::vector<Run>> resumable_runs(const Id& workload) override {
    return again([&] { return inner_->resumable_runs(workload); });
  }
  Result<std::vector<Workload>> other_versions(const Id& workload) override {
    return again([&] { return inner_->other_versions(workload); });
  }
  Result<std::vector<ConvergencePoint>> convergence(const Id& run) override {
    return again([&] { return inner_->convergence(run); });
  }
  Result<std::vector<FailureGroup>> failures(const Id& run) override {
    return again([&] { return inner_->failures(run); });
  }
  Result<void> measured_programs(const Id& workload,
                                 const Visitor<MeasuredProgram>& visit) override {
    return inner_->measured_programs(workload, visit);
  }
  Result<void> measurements(const Id& run, const Visitor<Measurement>& visit) override {
    return inner_->measurements(run, visit);
  }
  Result<std::vector<ModelQuality>> model_quality(const Id& run) override {
    return again([&] { return inner_->model_quality(run); });
  }
  Result<std::vector<Event>> events(const Id& run) override {
    return again([&] { return inner_->events(run); });
  }
  Result<std::vector<Note>> notes(const Id& subject) override {
    return again([&] { return inner_->notes(subject); });
  }
  Result<std::vector<Tag>> tags(const Id& subject) override {
    return again([&] { return inner_->tags(subject); });
  }
  Result<std::vector<Id>> ids_with_prefix(std::string_view prefix, size_t limit) override {
    return again([&] { return inner_->ids_with_prefix(prefix, limit); });
  }
  Result<std::string> short_id(const Id& id) override {
    return again([&] { return inner_->short_id(id); });
  }
  Result<void> each_workload(const Visitor<Workload>& visit) override {
    return inner_->each_workload(visit);
  }
  Result<void> each_space(const Visitor<Space>& visit) override {
    return inner_->each_space(visit);
  }
  Result<void> each_environment(const Visitor<Environment>& visit) override {
    return inner_->each_environment(visit);
  }
  Result<void> each_toolchain(const Visitor<Toolchain>& visit) override {
    return inner_->each_toolchain(visit);
  }
  Result<void> each_run(const Visitor<Run>& visit) override { return inner_->each_run(visit); }
  Result<void> each_candidate(const Visitor<Candidate>& visit) override {
    return inner_->each_candidate(visit);
  }
  Result<void> each_measurement(const Visitor<Measurement>& visit) override {
    return inner_->each_measurement(visit);
  }
  Result<void> each_artifact(const Visitor<Artifact>& visit) override {
    return inner_->each_artifact(visit);
  }
  Result<void> each_model(const Visitor<Model>& visit) override {
    return inner_->each_model(visit);
  }
  Result<void> each_model_quality(const Visitor<ModelQuality>& visit) override {
    return inner_->each_model_quality(visit);
  }
  Result<void> each_event(const Visitor<Event>& visit) override {
    return inner_->each_event(visit);
  }
  Result<void> each_note(const Visitor<Note>& visit) override { return inner_->each_note(visit); }
  Result<void> each_tag(const Visitor<Tag>& visit) override { return inner_->each_tag(visit); }
  Result<Id> import_run(const Run& run) override {
    return again([&] { return inner_->import_run(run); });
  }
  Result<Id> import_measurement(const Measurement& measurement) override {
    return again([&] { return inner_->import_measurement(measurement); });
  }
  Result<std::map<std::string, int64_t>> row_counts() override {
    return again([&] { return inner_->row_counts(); });
  }
  Result<PruneSummary> prune(const PruneOptions& options) override {
    return again([&] { return inner_->prune(options); });
  }
  Result<void> check_integrity() override {
    return again([&] { return inner_->check_integrity(); });
  }

private:
  template <typename Call> auto again(const Call& call) -> decltype(call()) {
    auto result = call();
    // A server that comes and goes: each time is waited for.
    while (!result && depth_ == 0 && connection_.is_lost()) {
      if (Result<void> connected = connection_.reconnect(); !connected)
        return std::move(connected).error();
      result = call();
    }
    return result;
  }

  Result<std::optional<Recorded>> recorded_before(const RunClaim& claim, const Trial& trial) {
    TEMPER_TRY(run, inner_->run(claim.run));
    Candidate candidate = trial.candidate;
    candidate.workload = run.workload;
    candidate.program = detail::valid_text(candidate.program);
    RecordFilter filter;
    filter.run = claim.run;
    filter.candidate = candidate.id.empty() ? id_of(candidate) : candidate.id;
    TEMPER_TRY(rows, inner_->list_records(filter));
    for (const RecordRow& row : rows)
      if (row.measured_at == trial.measurement.measured_at)
        return std::optional(Recorded{row.id, row.candidate, run.requested});
    return std::optional<Recorded>();
  }

  detail::PostgresConnection& connection_;
  std::unique_ptr<detail::SqlStore> inner_;
  System& system_;
  int depth_ = 0; ///< of the caller's transactions
};

} // namespace

Result<std::unique_ptr<Store>> open_postgres_store(const PostgresOptions& options) {
  System& system = options.system ? *options.system : System::real();
  auto connection = std::make_unique<detail::PostgresConnection>();
  TEMPER_TRY_VOID(connection->open(options));
  TEMPER_TRY_VOID(detail::migrate(*connection, detail::migrations(), !options.read_only));
  return std::unique_ptr<Store>(std::make_unique<PatientStore>(std::move(connection), system));
}

} // namespace temper::database
