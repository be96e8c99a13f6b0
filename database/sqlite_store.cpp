#include "database/sqlite_store.h"

#include "database/detail/migrations.h"
#include "database/detail/sqlite.h"
#include "database/detail/text_codec.h"
#include "ir/support/hash.h"
#include "ir/support/json.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <set>
#include <sqlite3.h>
#include <thread>
#include <unistd.h>

namespace temper::database {

using detail::Blob;
using detail::Connection;
using detail::Null;
using detail::Query;
using detail::Transaction;
using detail::valid_text;

namespace {

// ---- Columns and their readers. Each list and its reader name the same columns in the same order.

constexpr const char* kWorkloadColumns =
    "w.id, w.name, w.layer, w.function, w.structural_hash, w.binding, w.parameters, w.flops, "
    "w.bytes, w.unchecked, w.source_path, w.created_at";

Workload read_workload(Query& query, bool with_program) {
  Workload row;
  row.id = query.text();
  row.name = query.text();
  row.layer = query.text();
  row.function = query.text();
  row.structural_hash = query.word();
  row.binding_json = query.text();
  row.parameters_json = query.text();
  row.flops = query.real();
  row.bytes = query.real();
  row.unchecked = query.boolean();
  row.source_path = query.text();
  row.created_at = query.integer();
  if (with_program)
    row.program = query.text();
  return row;
}

Space read_space(Query& query) {
  Space row;
  row.id = query.text();
  row.workload = query.text();
  row.maker = query.text();
  row.hash = query.word();
  row.json = query.text();
  return row;
}

Environment read_environment(Query& query) {
  Environment row;
  row.id = query.text();
  row.fingerprint = query.word();
  row.class_name = query.text();
  row.host = query.text();
  row.json = query.text();
  return row;
}

Toolchain read_toolchain(Query& query) {
  Toolchain row;
  row.id = query.text();
  row.json = query.text();
  return row;
}

constexpr const char* kRunColumns =
    "r.id, r.workload, r.target, r.environment, r.toolchain, r.space, r.strategy, r.seed, "
    "r.budget_trials, r.budget_seconds, r.parent_run, r.parent_record, r.command_line, r.options, "
    "r.started_at, p.state, p.requested, p.stopped_because, p.ended_at, p.random_state, p.trials, "
    "p.seconds, p.funnel, p.strategy_state, p.owner_host, p.owner_domain, p.owner_pid, "
    "p.owner_start, p.heartbeat_at, p.updated_at";
constexpr const char* kRunTables = " FROM run r JOIN run_progress p ON p.run = r.id ";

constexpr const char* kCandidateColumns =
    "c.id, c.workload, c.kind, c.parent, c.origin, c.skeleton, c.decisions";

constexpr const char* kMeasurementColumns =
    "m.id, m.run, c.id, m.sequence, m.outcome, m.purpose, m.stage, m.median_ns, m.low_ns, "
    "m.high_ns, m.gaps_dropped, s.regime, s.inputs, s.threads, m.compile_ms, m.measure_ms, "
    "m.error, "
    "m.worst, m.environment, s.toolchain, m.code_hash, m.origin, m.predicted_score, "
    "m.anchor_drift, m.unchecked, m.facts, m.counters, m.measured_at, s.workload, s.target, "
    "s.environment_class, m.samples";
constexpr const char* kMeasurementTables =
    " FROM measurement m JOIN series s ON s.n = m.series JOIN candidate c ON c.n = m.candidate ";

/// Stored words come from our own to_string; anything else means that the file is damaged.
template <typename Enum> Enum word_or(Result<Enum> parsed, Enum other) {
  return parsed ? *parsed : other;
}

Measurement read_measurement(Query& query) {
  Measurement row;
  row.id = query.text();
  row.run = query.text();
  row.candidate = query.text();
  row.sequence = query.integer();
  row.outcome = word_or(parse_outcome(query.text()), Outcome::kRejected);
  row.purpose = word_or(parse_purpose(query.text()), Purpose::kSearch);
  row.stage = query.text();
  row.median_ns = query.real();
  row.low_ns = query.real();
  row.high_ns = query.real();
  row.gaps_dropped = query.integer();
  row.regime = word_or(parse_timing_regime(query.text()), TimingRegime::kHot);
  row.inputs = query.text();
  row.threads = static_cast<int>(query.integer());
  row.compile_ms = query.real();
  row.measure_ms = query.real();
  row.error = query.text();
  row.worst_json = query.text();
  row.environment = query.text();
  row.toolchain = query.text();
  row.code_hash = query.word();
  row.origin = query.text();
  row.predicted_score = query.real();
  row.anchor_drift = query.real();
  row.unchecked = query.boolean();
  row.facts_json = query.text();
  row.counters_json = query.text();
  row.measured_at = query.integer();
  row.workload = query.text();
  row.target = query.text();
  row.environment_class = query.text();
  const std::string bytes = query.blob();
  row.samples_ns.resize(bytes.size() / sizeof(float));
  std::memcpy(row.samples_ns.data(), bytes.data(), row.samples_ns.size() * sizeof(float));
  return row;
}

constexpr const char* kRowColumns =
    "m.id, m.run, c.id, s.workload, w.name, w.binding, s.target, s.threads, s.environment_class, "
    "s.toolchain, s.regime, s.inputs, m.outcome, m.purpose, m.median_ns, m.low_ns, m.high_ns, "
    "w.flops, m.sequence, m.measured_at, m.unchecked";
constexpr const char* kRowTables =
    " FROM measurement m JOIN series s ON s.n = m.series JOIN candidate c ON c.n = m.candidate "
    "JOIN workload w ON w.id = s.workload ";

RecordRow read_row(Query& query, const std::vector<Id>& current_toolchains) {
  RecordRow row;
  row.id = query.text();
  row.run = query.text();
  row.candidate = query.text();
  row.workload = query.text();
  row.workload_name = query.text();
  row.binding_json = query.text();
  row.target = query.text();
  row.threads = static_cast<int>(query.integer());
  row.environment_class = query.text();
  row.toolchain = query.text();
  row.regime = word_or(parse_timing_regime(query.text()), TimingRegime::kHot);
  row.inputs = query.text();
  row.outcome = word_or(parse_outcome(query.text()), Outcome::kRejected);
  row.purpose = word_or(parse_purpose(query.text()), Purpose::kSearch);
  row.median_ns = query.real();
  row.low_ns = query.real();
  row.high_ns = query.real();
  row.flops = query.real();
  row.sequence = query.integer();
  row.measured_at = query.integer();
  row.unchecked = query.boolean();
  row.stale = !current_toolchains.empty() &&
              std::ranges::find(current_toolchains, row.toolchain) == current_toolchains.end();
  return row;
}

constexpr const char* kArtifactColumns =
    "id, candidate, toolchain, target, code_hash, created_at, json, object, code";

Artifact read_artifact(Query& query) {
  Artifact row;
  row.id = query.text();
  row.candidate = query.text();
  row.toolchain = query.text();
  row.target = query.text();
  row.code_hash = query.word();
  row.created_at = query.integer();
  row.json = query.text();
  row.object = query.blob();
  row.code = query.blob();
  return row;
}

constexpr const char* kModelColumns = "id, run, kind, trials_seen, features, created_at, blob";

Model read_model(Query& query) {
  Model row;
  row.id = query.text();
  row.run = query.text();
  row.kind = query.text();
  row.trials_seen = query.integer();
  row.features = query.text();
  row.created_at = query.integer();
  row.blob = query.blob();
  return row;
}

constexpr const char* kQualityColumns =
    "run, batch, trials_seen, rank_correlation, top_recall, top_k, json, measured_at";

ModelQuality read_quality(Query& query) {
  ModelQuality row;
  row.run = query.text();
  row.batch = query.integer();
  row.trials_seen = query.integer();
  row.rank_correlation = query.real();
  row.top_recall = query.real();
  row.top_k = query.integer();
  row.json = query.text();
  row.measured_at = query.integer();
  return row;
}

Event read_event(Query& query) {
  Event row;
  row.run = query.text();
  row.sequence = query.integer();
  row.kind = query.text();
  row.json = query.text();
  row.happened_at = query.integer();
  return row;
}

Note read_note(Query& query) {
  Note row;
  row.id = query.text();
  row.subject = query.text();
  row.text = query.text();
  row.author = query.text();
  row.created_at = query.integer();
  return row;
}

Tag read_tag(Query& query) {
  Tag row;
  row.subject = query.text();
  row.tag = query.text();
  row.created_at = query.integer();
  return row;
}

std::string table_of(Kind kind) {
  return kind == Kind::kMeasurement ? "measurement" : to_string(kind);
}

std::string sql(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (std::string_view part : parts)
    text += part;
  return text;
}

/// What of a filter concerns the key of `best`, for one row of `series`.
bool matches(const std::map<std::string, std::string>& binding, const std::string& binding_json) {
  if (binding.empty())
    return true;
  const Result<Json> parsed = parse_json(binding_json);
  if (!parsed || !parsed->is_object())
    return false;
  for (const auto& [name, value] : binding) {
    const auto found = parsed->find(name);
    if (found == parsed->end())
      return false;
    if ((found->is_string() ? found->get<std::string>() : found->dump()) != value)
      return false;
  }
  return true;
}

class SqliteStore final : public Store {
public:
  explicit SqliteStore(System& system) : system_(system) {}

  Result<void> open(const SqliteOptions& options);
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

private:
  /// One row of the result of a query by id, or kNotFound.
  template <typename Read, typename... Values>
  auto one(const char* what, const Id& id, const std::string& text, Read read,
           const Values&... values) -> Result<decltype(read(std::declval<Query&>()))>;
  /// All rows.
  template <typename Read, typename... Values>
  auto all(const std::string& text, Read read, const Values&... values)
      -> Result<std::vector<decltype(read(std::declval<Query&>()))>>;
  /// Each row, to a visitor.
  template <typename Visit, typename Read, typename... Values>
  Result<void> each(const std::string& text, Read read, const Visit& visit,
                    const Values&... values);

  Run read_run(Query& query);
  /// May fail: a skeleton that does not decode.
  Result<Candidate> read_candidate(Query& query);
  Result<const std::string*> skeleton_text(int64_t number);
  Result<int64_t> put_skeleton(const Id& workload, std::string_view text);
  Result<int64_t> put_candidate(const Candidate& candidate);
  Result<int64_t> series_of(const Measurement& measurement, const Id& workload,
                            const std::string& target);
  Result<Id> put_measurement(Measurement measurement, int64_t candidate, const Id& workload,
                             const std::string& target);
  Result<void> write_progress(const RunClaim& claim, const RunProgress& progress);
  Result<std::string> class_of(const Id& environment);
  struct SeriesRow {
    int64_t number = 0;
    Id toolchain;
    std::string target;
  };
  /// The series that a filter allows, and whether that is all of them.
  Result<std::vector<SeriesRow>> series_of(const RecordFilter& filter, bool skip_stale,
                                           bool& everything);
  void drop_stale_caches();
  static Error lost_claim(const RunClaim& claim);

  Connection db_;
  System& system_;

  // Row numbers by content. Dropped after a rollback, which may have taken the rows back.
  struct Caches {
    std::map<std::string, int64_t> series;
    std::map<Id, std::string> environment_class;
    std::map<Id, std::pair<Id, std::string>> run_key; // workload, target
    std::map<std::pair<Id, uint64_t>, int64_t> skeleton;
    std::map<Id, std::pair<int64_t, std::string>> base; // of a workload
  };
  Caches caches_;
  int64_t caches_rollbacks_ = 0;
  std::map<int64_t, std::string> skeleton_texts_; // decoded
  size_t skeleton_bytes_ = 0;
};

template <typename Read, typename... Values>
auto SqliteStore::one(const char* what, const Id& id, const std::string& text, Read read,
                      const Values&... values) -> Result<decltype(read(std::declval<Query&>()))> {
  Query query(db_, text, values...);
  if (query.next())
    return read(query);
  TEMPER_TRY_VOID(query.finish());
  return Error(ErrorCode::kNotFound,
               "there is no " + std::string(what) + " " + id + " in the database '" + name() + "'");
}

template <typename Read, typename... Values>
auto SqliteStore::all(const std::string& text, Read read, const Values&... values)
    -> Result<std::vector<decltype(read(std::declval<Query&>()))>> {
  std::vector<decltype(read(std::declval<Query&>()))> rows;
  Query query(db_, text, values...);
  while (query.next())
    rows.push_back(read(query));
  TEMPER_TRY_VOID(query.finish());
  return rows;
}

template <typename Visit, typename Read, typename... Values>
Result<void> SqliteStore::each(const std::string& text, Read read, const Visit& visit,
                               const Values&... values) {
  Query query(db_, text, values...);
  while (query.next())
    if (!visit(read(query)))
      return {};
  return query.finish();
}

// ---- Opening

Result<void> SqliteStore::open(const SqliteOptions& options) {
  namespace fs = std::filesystem;
  const bool in_memory = options.path == ":memory:";
  const std::string path = options.path.string();
  int flags = options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  std::string opened = path;

  if (!in_memory) {
    std::error_code ignored;
    const fs::path folder = options.path.has_parent_path() ? options.path.parent_path() : ".";
    if (options.create_folders && !options.read_only) {
      std::error_code error;
      fs::create_directories(folder, error);
      if (error)
        return Error(ErrorCode::kEnvironment, "cannot make the folder '" + folder.string() +
                                                  "' for the database: " + error.message());
    }
    if (!fs::is_directory(folder, ignored))
      return Error(ErrorCode::kNotFound,
                   "there is no folder '" + folder.string() + "' for the database '" + path + "'");
    const bool exists = fs::exists(options.path, ignored);
    if (exists && fs::is_directory(options.path, ignored))
      return Error(ErrorCode::kInvalidArgument,
                   "'" + path + "' is a folder; name a file in it with --db");
    if (!exists && options.read_only)
      return Error(ErrorCode::kNotFound, "there is no database '" + path + "' yet");

    const std::string shared =
        unsafe_filesystem(system_.filesystem(exists ? options.path : folder));
    if (!shared.empty())
      return Error(ErrorCode::kUnsupported,
                   "the database '" + path + "' would lie on a network file system (" + shared +
                       "), where two machines can destroy it; put it on a local disk with --db "
                       "PATH or TEMPER_DB, or use --db postgresql://… for a team");

    if (exists) {
      // SQLite would open nearly anything and complain at the first query.
      const int fd = ::open(path.c_str(), (options.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
      if (fd < 0)
        return Error(ErrorCode::kEnvironment,
                     std::string("cannot ") + (options.read_only ? "read" : "write to") +
                         " the database '" + path + "': " + std::strerror(errno));
      char magic[16] = {};
      const ssize_t count = ::pread(fd, magic, sizeof magic, 0);
      ::close(fd);
      if (count != 0 && (count < 16 || std::memcmp(magic, "SQLite format 3", 16) != 0))
        return Error(ErrorCode::kInvalidArgument,
                     "'" + path + "' is not a database; name another file with --db");
      if (count == 0 && options.read_only)
        return Error(ErrorCode::kUnsupported,
                     "'" + path + "' is empty: nothing was recorded in it yet");
    }
    if (!options.read_only && ::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
      return Error(ErrorCode::kEnvironment, "cannot write to the folder '" + folder.string() +
                                                "' of the database: " + std::strerror(errno));
    if (options.read_only && !fs::exists(path + "-wal", ignored) &&
        ::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
      // Nobody has it open, and the shared memory file that readers need cannot be made.
      opened = "file:";
      for (const char c : path)
        opened += c == '%' ? "%25" : c == '?' ? "%3f" : c == '#' ? "%23" : std::string(1, c);
      opened += "?immutable=1";
      flags |= SQLITE_OPEN_URI;
    }
  }

  TEMPER_TRY_VOID(db_.open(opened, flags, path, options.busy_timeout_ms));
  if (options.max_bytes > 0) {
    TEMPER_TRY(page_size, db_.integer("PRAGMA page_size"));
    TEMPER_TRY_VOID(
        db_.execute("PRAGMA max_page_count = " +
                    std::to_string(std::max<int64_t>(1, options.max_bytes / page_size))));
  }
  TEMPER_TRY_VOID(db_.execute("PRAGMA foreign_keys = ON"));
  // 16 MiB of pages: ids are random, so the tops of the indices should stay in memory.
  TEMPER_TRY_VOID(db_.execute("PRAGMA cache_size = -16384"));
  TEMPER_TRY_VOID(detail::migrate(db_, detail::migrations(), !options.read_only));
  if (!in_memory && !options.read_only) {
    // After the check of whose file it is: this changes the file. The switch needs the file for
    // itself for a moment and does not wait by itself, so two processes at the start collide.
    for (int attempt = 0;; ++attempt) {
      Query query(db_, "PRAGMA journal_mode = WAL");
      const bool done = query.next() && query.text() == "wal";
      const Result<void> status = query.finish();
      if (done)
        break;
      if (attempt * 5 >= options.busy_timeout_ms)
        return status ? Error(ErrorCode::kUnsupported,
                              "the file system of '" + path +
                                  "' cannot hold a database that several processes use; put it on "
                                  "a local disk with --db PATH")
                      : status.error();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    // NORMAL: a commit is safe against kill -9 at once, and against power loss after the next
    // checkpoint. FULL costs a disk flush, 3 ms and more, for each trial.
    TEMPER_TRY_VOID(db_.execute("PRAGMA synchronous = NORMAL"));
  }
  return {};
}

// ---- Adding

void SqliteStore::drop_stale_caches() {
  if (caches_rollbacks_ == db_.rollbacks())
    return;
  caches_ = {};
  skeleton_texts_.clear();
  skeleton_bytes_ = 0;
  caches_rollbacks_ = db_.rollbacks();
}

Result<Id> SqliteStore::add(const Workload& given) {
  Workload row = given;
  TEMPER_TRY(binding, canonical_binding(row.binding_json));
  row.binding_json = binding;
  if (row.id.empty())
    row.id = id_of(row);
  if (row.created_at == 0)
    row.created_at = system_.now_ns();
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(
      Query(db_,
            "INSERT INTO workload (id, name, layer, function, structural_hash, binding, "
            "parameters, flops, bytes, unchecked, source_path, created_at, program) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) "
            "ON CONFLICT (id) DO NOTHING",
            row.id, valid_text(row.name), row.layer, valid_text(row.function), row.structural_hash,
            row.binding_json, row.parameters_json, row.flops, row.bytes, row.unchecked,
            valid_text(row.source_path), row.created_at, valid_text(row.program))
          .run());
  TEMPER_TRY_VOID(
      Query(db_,
            "INSERT INTO workload_name (name, workload) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            valid_text(row.name), row.id)
          .run());
  TEMPER_TRY_VOID(transaction.commit());
  return row.id;
}

Result<Id> SqliteStore::add(const Space& space) {
  const Id id = space.id.empty() ? id_of(space) : space.id;
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(Query(db_,
                        "INSERT INTO space (id, workload, maker, hash, json) "
                        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING",
                        id, space.workload, space.maker, space.hash, valid_text(space.json))
                      .run());
  TEMPER_TRY_VOID(transaction.commit());
  return id;
}

Result<Id> SqliteStore::add(const Environment& environment) {
  const Id id = environment.id.empty() ? id_of(environment) : environment.id;
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(Query(db_,
                        "INSERT INTO environment (id, fingerprint, class_name, host, json) "
                        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING",
                        id, environment.fingerprint, environment.class_name,
                        valid_text(environment.host), valid_text(environment.json))
                      .run());
  TEMPER_TRY_VOID(transaction.commit());
  return id;
}

Result<Id> SqliteStore::add(const Toolchain& toolchain) {
  const Id id = toolchain.id.empty() ? id_of(toolchain) : toolchain.id;
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(
      Query(db_, "INSERT INTO toolchain (id, json) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING", id,
            valid_text(toolchain.json))
          .run());
  TEMPER_TRY_VOID(transaction.commit());
  return id;
}

Result<Id> SqliteStore::add(const Candidate& given) {
  Candidate row = given;
  row.program = valid_text(row.program);
  if (row.id.empty())
    row.id = id_of(row);
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(put_candidate(row));
  TEMPER_TRY_VOID(transaction.commit());
  return row.id;
}

Result<int64_t> SqliteStore::put_candidate(const Candidate& row) {
  {
    Query query(db_, "SELECT n FROM candidate WHERE id = $1", row.id);
    if (query.next())
      return query.integer();
    TEMPER_TRY_VOID(query.finish());
  }
  const detail::ProgramParts parts = detail::split_program(row.program);
  // A short program of knobs costs less in the row than a skeleton of its own.
  constexpr size_t kInline = 256;
  const bool is_inline = parts.decisions.empty() && parts.skeleton.size() <= kInline;
  int64_t skeleton = 0;
  if (!is_inline) {
    TEMPER_TRY(number, put_skeleton(row.workload, parts.skeleton));
    skeleton = number;
  }
  Query query(db_,
              "INSERT INTO candidate (id, workload, kind, parent, origin, skeleton, decisions) "
              "VALUES ($1, $2, $3, $4, $5, $6, $7)",
              row.id, row.workload, row.kind, row.parent, valid_text(row.origin));
  if (is_inline)
    query.bind(Null{}).bind(parts.skeleton);
  else
    query.bind(skeleton).bind(parts.decisions);
  TEMPER_TRY_VOID(query.run());
  return db_.last_insert_rowid();
}

Result<int64_t> SqliteStore::put_skeleton(const Id& workload, std::string_view text) {
  drop_stale_caches();
  const uint64_t hash = hash_bytes(text);
  if (const auto found = caches_.skeleton.find({workload, hash}); found != caches_.skeleton.end())
    return found->second;
  {
    Query query(db_, "SELECT n FROM skeleton WHERE workload = $1 AND hash = $2", workload, hash);
    if (query.next())
      return caches_.skeleton[{workload, hash}] = query.integer();
    TEMPER_TRY_VOID(query.finish());
  }
  auto base = caches_.base.find(workload);
  if (base == caches_.base.end()) {
    Query query(db_, "SELECT min(n) FROM skeleton WHERE workload = $1 AND base IS NULL", workload);
    if (query.next() && !query.is_null()) {
      const int64_t number = query.integer();
      TEMPER_TRY(base_text, skeleton_text(number));
      base = caches_.base.emplace(workload, std::pair(number, *base_text)).first;
    }
    TEMPER_TRY_VOID(query.finish());
  }
  const bool has_base = base != caches_.base.end();
  const std::string encoded = detail::encode_text(text, has_base ? base->second.second : "");
  Query query(db_, "INSERT INTO skeleton (workload, hash, base, encoded) VALUES ($1, $2, $3, $4)",
              workload, hash);
  if (has_base)
    query.bind(base->second.first);
  else
    query.bind(Null{});
  query.bind(Blob{encoded});
  TEMPER_TRY_VOID(query.run());
  const int64_t number = db_.last_insert_rowid();
  if (!has_base)
    caches_.base[workload] = {number, std::string(text)};
  return caches_.skeleton[{workload, hash}] = number;
}

Result<const std::string*> SqliteStore::skeleton_text(int64_t number) {
  drop_stale_caches();
  if (const auto found = skeleton_texts_.find(number); found != skeleton_texts_.end())
    return &found->second;
  Query query(db_, "SELECT base, encoded FROM skeleton WHERE n = $1", number);
  if (!query.next()) {
    TEMPER_TRY_VOID(query.finish());
    return Error(ErrorCode::kCorrupt, "a candidate's program is missing in '" + name() + "'");
  }
  std::string base;
  if (query.is_null()) {
    query.skip();
  } else {
    // Depth is one: a base has no base.
    TEMPER_TRY(text, skeleton_text(query.integer()));
    base = *text;
  }
  TEMPER_TRY(text, detail::decode_text(query.blob(), base));
  constexpr size_t kLimit = 16 << 20;
  if (skeleton_bytes_ > kLimit) {
    skeleton_texts_.clear();
    skeleton_bytes_ = 0;
  }
  skeleton_bytes_ += text.size();
  return &(skeleton_texts_[number] = std::move(text));
}

Result<Id> SqliteStore::add(const Artifact& given) {
  Artifact row = given;
  if (row.id.empty())
    row.id = id_of(row);
  if (row.created_at == 0)
    row.created_at = system_.now_ns();
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(Query(db_,
                        "INSERT INTO artifact (id, candidate, toolchain, target, code_hash, "
                        "created_at, json, object, code) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, "
                        "$9) ON CONFLICT (id) DO NOTHING",
                        row.id, row.candidate, row.toolchain, row.target, row.code_hash,
                        row.created_at, valid_text(row.json), Blob{row.object}, Blob{row.code})
                      .run());
  TEMPER_TRY_VOID(transaction.commit());
  return row.id;
}

Result<Id> SqliteStore::add(const Model& given) {
  Model row = given;
  if (row.id.empty())
    row.id = id_of(row);
  if (row.created_at == 0)
    row.created_at = system_.now_ns();
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(
      Query(db_,
            "INSERT INTO model (id, run, kind, trials_seen, features, created_at, blob) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
            row.id, row.run, row.kind, row.trials_seen, row.features, row.created_at,
            Blob{row.blob})
          .run());
  TEMPER_TRY_VOID(transaction.commit());
  return row.id;
}

Result<Id> SqliteStore::add(const Note& given) {
  Note row = given;
  if (row.created_at == 0)
    row.created_at = system_.now_ns();
  row.text = valid_text(row.text);
  if (row.id.empty())
    row.id = id_of(row);
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(Query(db_,
                        "INSERT INTO note (id, subject, text, author, created_at) "
                        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING",
                        row.id, row.subject, row.text, valid_text(row.author), row.created_at)
                      .run());
  TEMPER_TRY_VOID(transaction.commit());
  return row.id;
}

Result<void> SqliteStore::add(const Tag& tag) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(Query(db_,
                        "INSERT INTO tag (subject, tag, created_at) VALUES ($1, $2, $3) "
                        "ON CONFLICT DO NOTHING",
                        tag.subject, valid_text(tag.tag),
                        tag.created_at == 0 ? system_.now_ns() : tag.created_at)
                      .run());
  return transaction.commit();
}

Result<void> SqliteStore::remove(const Tag& tag) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(
      Query(db_, "DELETE FROM tag WHERE subject = $1 AND tag = $2", tag.subject, tag.tag).run());
  return transaction.commit();
}

Result<void> SqliteStore::add(const ModelQuality& row) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(Query(db_,
                        "INSERT INTO model_quality (run, batch, trials_seen, rank_correlation, "
                        "top_recall, top_k, json, measured_at) "
                        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
                        row.run, row.batch, row.trials_seen, row.rank_correlation, row.top_recall,
                        row.top_k, valid_text(row.json),
                        row.measured_at == 0 ? system_.now_ns() : row.measured_at)
                      .run());
  return transaction.commit();
}

Result<void> SqliteStore::add(const Event& event) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  int64_t sequence = event.sequence;
  if (sequence < 0) {
    Query query(db_, "SELECT coalesce(max(sequence) + 1, 0) FROM event WHERE run = $1", event.run);
    if (query.next())
      sequence = query.integer();
    TEMPER_TRY_VOID(query.finish());
  }
  TEMPER_TRY_VOID(Query(db_,
                        "INSERT INTO event (run, sequence, kind, json, happened_at) "
                        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                        event.run, sequence, event.kind, valid_text(event.json),
                        event.happened_at == 0 ? system_.now_ns() : event.happened_at)
                      .run());
  return transaction.commit();
}

// ---- Runs

Run SqliteStore::read_run(Query& query) {
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

Result<Id> SqliteStore::create_run(const Run& given) {
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

Result<Id> SqliteStore::import_run(const Run& row) {
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
  // An older copy of a run never takes progress back, and a copy never takes a run from its owner.
  TEMPER_TRY_VOID(
      Query(db_,
            "INSERT INTO run_progress (run, state, requested, stopped_because, ended_at, "
            "random_state, trials, seconds, funnel, strategy_state, claim, owner_host, "
            "owner_domain, owner_pid, owner_start, heartbeat_at, updated_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $12, $13, $14, $15, $16) "
            "ON CONFLICT (run) DO UPDATE SET state = excluded.state, "
            "requested = excluded.requested, stopped_because = excluded.stopped_because, "
            "ended_at = excluded.ended_at, random_state = excluded.random_state, "
            "trials = excluded.trials, seconds = excluded.seconds, funnel = excluded.funnel, "
            "strategy_state = excluded.strategy_state, owner_host = excluded.owner_host, "
            "owner_domain = excluded.owner_domain, owner_pid = excluded.owner_pid, "
            "owner_start = excluded.owner_start, heartbeat_at = excluded.heartbeat_at, "
            "updated_at = excluded.updated_at "
            "WHERE excluded.updated_at > run_progress.updated_at AND run_progress.claim = 0",
            row.id, to_string(row.state), to_string(row.requested), valid_text(row.stopped_because),
            row.ended_at, row.random_state, row.trials, row.seconds, valid_text(row.funnel_json),
            valid_text(row.strategy_state_json), valid_text(row.owner.host),
            valid_text(row.owner.domain), row.owner.pid, row.owner.start_ticks, row.heartbeat_at,
            row.updated_at)
          .run());
  TEMPER_TRY_VOID(transaction.commit());
  return row.id;
}

Error SqliteStore::lost_claim(const RunClaim& claim) {
  return {ErrorCode::kInterrupted,
          "run " + claim.run + " was taken over by another process; this one stops recording"};
}

Result<RunClaim> SqliteStore::claim_run(const Id& id, bool reopen) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY(seen, run(id));
  if (seen.state == RunState::kRunning)
    return Error(ErrorCode::kInvalidArgument,
                 "run " + id + " is being worked on by process " + std::to_string(seen.owner.pid) +
                     " on " + seen.owner.host + "; wait for it, or ask it to stop");
  if (!reopen && (seen.state == RunState::kFinished || seen.state == RunState::kFailed))
    return Error(ErrorCode::kInvalidArgument,
                 "run " + id + " has " + (seen.state == RunState::kFailed ? "failed" : "finished") +
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

Result<RequestedState> SqliteStore::heartbeat(const RunClaim& claim) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(Query(db_,
                        "UPDATE run_progress SET heartbeat_at = $1 WHERE run = $2 AND claim = $3",
                        system_.now_ns(), claim.run, claim.token)
                      .run());
  if (db_.changes() == 0)
    return lost_claim(claim);
  TEMPER_TRY(word, one(
                       "run", claim.run, "SELECT requested FROM run_progress WHERE run = $1",
                       [](Query& query) { return query.text(); }, claim.run));
  TEMPER_TRY_VOID(transaction.commit());
  return parse_requested_state(word);
}

Result<void> SqliteStore::write_progress(const RunClaim& claim, const RunProgress& progress) {
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

Result<void> SqliteStore::update_run(const RunClaim& claim, const RunProgress& progress) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(write_progress(claim, progress));
  return transaction.commit();
}

Result<std::string> SqliteStore::class_of(const Id& environment) {
  drop_stale_caches();
  if (const auto found = caches_.environment_class.find(environment);
      found != caches_.environment_class.end())
    return found->second;
  TEMPER_TRY(name,
             one(
                 "environment", environment, "SELECT class_name FROM environment WHERE id = $1",
                 [](Query& query) { return query.text(); }, environment));
  return caches_.environment_class[environment] = name;
}

Result<int64_t> SqliteStore::series_of(const Measurement& row, const Id& workload,
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
             one(
                 "series", workload,
                 "SELECT n FROM series WHERE workload = $1 AND target = $2 AND threads = $3 "
                 "AND environment_class = $4 AND toolchain = $5 AND regime = $6 AND "
                 "inputs = $7",
                 [](Query& query) { return query.integer(); }, workload, target, row.threads,
                 class_name, row.toolchain, to_string(row.regime), row.inputs));
  return caches_.series[key] = number;
}

Result<Id> SqliteStore::put_measurement(Measurement row, int64_t candidate, const Id& workload,
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
            "worst, facts, counters, samples) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
            "$11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26) "
            "ON CONFLICT (id) DO NOTHING",
            row.id, series, row.run, candidate, row.sequence, to_string(row.outcome),
            to_string(row.purpose), row.median_ns, row.low_ns, row.high_ns, row.unchecked,
            row.measured_at, row.environment, valid_text(row.stage), row.gaps_dropped,
            row.compile_ms, row.measure_ms, row.code_hash, valid_text(row.origin),
            row.predicted_score, row.anchor_drift, valid_text(row.error),
            valid_text(row.worst_json), valid_text(row.facts_json), valid_text(row.counters_json),
            Blob{samples.empty() ? std::string_view() : samples})
          .run());
  return row.id;
}

Result<Recorded> SqliteStore::record(const RunClaim& claim, const Trial& trial,
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
  TEMPER_TRY(word, one(
                       "run", claim.run, "SELECT requested FROM run_progress WHERE run = $1",
                       [](Query& query) { return query.text(); }, claim.run));
  TEMPER_TRY(requested, parse_requested_state(word));
  TEMPER_TRY_VOID(transaction.commit());
  return Recorded{id, candidate.id, requested};
}

Result<Id> SqliteStore::import_measurement(const Measurement& row) {
  drop_stale_caches();
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY(candidate,
             one(
                 "candidate", row.candidate, "SELECT n, workload FROM candidate WHERE id = $1",
                 [](Query& query) {
                   const int64_t number = query.integer();
                   return std::pair(number, query.text());
                 },
                 row.candidate));
  TEMPER_TRY(target, one(
                         "run", row.run, "SELECT target FROM run WHERE id = $1",
                         [](Query& query) { return query.text(); }, row.run));
  TEMPER_TRY(id, put_measurement(row, candidate.first, candidate.second, target));
  TEMPER_TRY_VOID(transaction.commit());
  return id;
}

Result<void> SqliteStore::release_run(const RunClaim& claim, RunState state,
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

Result<void> SqliteStore::request(const Id& id, RequestedState requested) {
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

Result<void> SqliteStore::set_budget(const Id& id, int64_t trials, double seconds) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(Query(db_, "UPDATE run SET budget_trials = $1, budget_seconds = $2 WHERE id = $3",
                        trials, seconds, id)
                      .run());
  if (db_.changes() == 0)
    return Error(ErrorCode::kNotFound,
                 "there is no run " + id + " in the database '" + name() + "'");
  return transaction.commit();
}

// ---- Rows by id

Result<Workload> SqliteStore::workload(const Id& id) {
  return one(
      "workload", id,
      sql({"SELECT ", kWorkloadColumns, ", w.program FROM workload w WHERE w.id = $1"}),
      [](Query& query) { return read_workload(query, true); }, id);
}
Result<Space> SqliteStore::space(const Id& id) {
  return one("space", id, "SELECT id, workload, maker, hash, json FROM space WHERE id = $1",
             read_space, id);
}
Result<Environment> SqliteStore::environment(const Id& id) {
  return one("environment", id,
             "SELECT id, fingerprint, class_name, host, json FROM environment WHERE id = $1",
             read_environment, id);
}
Result<Toolchain> SqliteStore::toolchain(const Id& id) {
  return one("toolchain", id, "SELECT id, json FROM toolchain WHERE id = $1", read_toolchain, id);
}
Result<Run> SqliteStore::run(const Id& id) {
  return one(
      "run", id, sql({"SELECT ", kRunColumns, kRunTables, "WHERE r.id = $1"}),
      [this](Query& query) { return read_run(query); }, id);
}
Result<Measurement> SqliteStore::measurement(const Id& id) {
  return one("record", id,
             sql({"SELECT ", kMeasurementColumns, kMeasurementTables, "WHERE m.id = $1"}),
             read_measurement, id);
}
Result<Artifact> SqliteStore::artifact(const Id& id) {
  return one("artifact", id, sql({"SELECT ", kArtifactColumns, " FROM artifact WHERE id = $1"}),
             read_artifact, id);
}
Result<Model> SqliteStore::model(const Id& id) {
  return one("model", id, sql({"SELECT ", kModelColumns, " FROM model WHERE id = $1"}), read_model,
             id);
}

Result<Candidate> SqliteStore::read_candidate(Query& query) {
  Candidate row;
  row.id = query.text();
  row.workload = query.text();
  row.kind = query.text();
  row.parent = query.text();
  row.origin = query.text();
  if (query.is_null()) {
    query.skip();
    row.program = query.text();
    return row;
  }
  TEMPER_TRY(skeleton, skeleton_text(query.integer()));
  row.program = detail::join_program(*skeleton, query.text());
  return row;
}

Result<Candidate> SqliteStore::candidate(const Id& id) {
  TEMPER_TRY(row, one(
                      "candidate", id,
                      sql({"SELECT ", kCandidateColumns, " FROM candidate c WHERE c.id = $1"}),
                      [this](Query& query) { return read_candidate(query); }, id));
  return std::move(row);
}

Result<Artifact> SqliteStore::artifact_of(const Id& measurement_id) {
  TEMPER_TRY(row, measurement(measurement_id));
  Query query(db_,
              sql({"SELECT ", kArtifactColumns,
                   " FROM artifact WHERE candidate = $1 AND toolchain = $2 AND target = $3 "
                   "ORDER BY code_hash = $4 DESC, created_at DESC LIMIT 1"}),
              row.candidate, row.toolchain, row.target, row.code_hash);
  if (query.next())
    return read_artifact(query);
  TEMPER_TRY_VOID(query.finish());
  return Error(ErrorCode::kNotFound, "the machine code of record " + measurement_id +
                                         " was not kept; build it again with `temper rerun`");
}

Result<Model> SqliteStore::latest_model(const Id& run) {
  return one("model of run", run,
             sql({"SELECT ", kModelColumns,
                  " FROM model WHERE run = $1 ORDER BY created_at DESC, trials_seen DESC LIMIT 1"}),
             read_model, run);
}

// ---- Queries

Result<std::vector<SqliteStore::SeriesRow>>
SqliteStore::series_of(const RecordFilter& filter, bool skip_stale, bool& everything) {
  std::vector<SeriesRow> rows;
  std::set<Id> named;
  if (!filter.workload_name.empty()) {
    TEMPER_TRY(ids, all(
                        "SELECT workload FROM workload_name WHERE name = $1",
                        [](Query& query) { return query.text(); }, filter.workload_name));
    named.insert(ids.begin(), ids.end());
  }
  everything = true;
  Query query(db_, "SELECT s.n, s.workload, s.target, s.threads, s.environment_class, s.toolchain, "
                   "s.regime, s.inputs, w.binding FROM series s JOIN workload w "
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
    const auto holds = [](const auto& list, const auto& value) {
      return std::ranges::find(list, value) != list.end();
    };
    const bool wanted =
        (filter.workloads.empty() || holds(filter.workloads, workload)) &&
        (filter.workload_name.empty() || named.contains(workload)) &&
        (filter.target.empty() || filter.target == row.target) &&
        (filter.threads == 0 || filter.threads == threads) &&
        (filter.environment_class.empty() || filter.environment_class == environment_class) &&
        (!filter.regime || to_string(*filter.regime) == regime) &&
        (filter.inputs.empty() || filter.inputs == inputs) &&
        (!skip_stale || filter.current_toolchains.empty() ||
         holds(filter.current_toolchains, row.toolchain)) &&
        matches(filter.binding, query.text());
    if (wanted)
      rows.push_back(std::move(row));
    else
      everything = false;
  }
  TEMPER_TRY_VOID(query.finish());
  return rows;
}

namespace {

/// Conditions on single measurements, as SQL on `m`, and their values in order.
struct Conditions {
  std::string text;
  std::vector<std::string> texts;

  void bind(Query& query) const {
    for (const std::string& value : texts)
      query.bind(value);
  }
};

/// `first` is the number of the first parameter that is free.
Conditions conditions_of(const RecordFilter& filter, int first) {
  Conditions conditions;
  const auto add = [&](std::string_view before, const std::string& value, std::string_view after) {
    conditions.text += " AND " + std::string(before) + "$" +
                       std::to_string(first + static_cast<int>(conditions.texts.size())) +
                       std::string(after);
    conditions.texts.push_back(value);
  };
  if (!filter.run.empty())
    add("m.run = ", filter.run, "");
  if (!filter.candidate.empty())
    add("m.candidate = (SELECT n FROM candidate WHERE id = ", filter.candidate, ")");
  if (!filter.tag.empty())
    add("EXISTS (SELECT 1 FROM tag t WHERE t.tag = ", filter.tag,
        " AND (t.subject = m.id OR t.subject = m.run OR t.subject = (SELECT id FROM candidate "
        "WHERE n = m.candidate) OR t.subject = (SELECT workload FROM series WHERE n = m.series)))");
  if (filter.since > 0)
    conditions.text += " AND m.measured_at >= " + std::to_string(filter.since);
  return conditions;
}

} // namespace

Result<std::vector<RecordRow>> SqliteStore::best(const RecordFilter& filter) {
  bool everything = false;
  TEMPER_TRY(series, series_of(filter, !filter.include_stale, everything));
  const Conditions conditions = conditions_of(filter, 2);
  const Conditions inner = conditions_of(filter, 3);
  // A candidate's number is its latest confirmation, else its latest measurement. It is never below
  // the fastest of its measurements, so walking those upwards may stop at the first that is not
  // faster than the best number found.
  const std::string walk = "SELECT m.candidate, m.median_ns FROM measurement m WHERE m.series = $1 "
                           "AND m.outcome = 'ok' AND m.median_ns IS NOT NULL" +
                           conditions.text + " ORDER BY m.median_ns, m.n";
  const std::string number_of =
      "SELECT m.n, m.median_ns FROM measurement m WHERE m.candidate = $1 AND m.series = $2 "
      "AND m.outcome = 'ok' AND m.median_ns IS NOT NULL" +
      inner.text + " ORDER BY m.purpose = 'confirm' DESC, m.measured_at DESC, m.n DESC LIMIT 1";
  std::vector<RecordRow> rows;
  for (const SeriesRow& one_series : series) {
    int64_t best_row = 0;
    double best_ns = std::numeric_limits<double>::infinity();
    std::set<int64_t> seen;
    Query query(db_, walk, one_series.number);
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
          "$1 AND m.outcome = 'wrong_result' AND s.toolchain = $2 AND s.target = $3 LIMIT 1",
          candidate, one_series.toolchain, one_series.target);
      if (wrong.next())
        continue;
      TEMPER_TRY_VOID(wrong.finish());
      Query number(db_, number_of, candidate, one_series.number);
      inner.bind(number);
      if (number.next()) {
        const int64_t row = number.integer();
        const double ns = number.real();
        if (ns < best_ns) {
          best_ns = ns;
          best_row = row;
        }
      }
      TEMPER_TRY_VOID(number.finish());
    }
    TEMPER_TRY_VOID(query.finish());
    if (best_row == 0)
      continue;
    TEMPER_TRY(row, one(
                        "record", std::to_string(best_row),
                        sql({"SELECT ", kRowColumns, kRowTables, "WHERE m.n = $1"}),
                        [&](Query& found) { return read_row(found, filter.current_toolchains); },
                        best_row));
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

Result<RecordRow> SqliteStore::record_row(const Id& id, const std::vector<Id>& current_toolchains) {
  return one(
      "record", id, sql({"SELECT ", kRowColumns, kRowTables, "WHERE m.id = $1"}),
      [&](Query& query) { return read_row(query, current_toolchains); }, id);
}

Result<std::vector<RecordRow>> SqliteStore::list_records(const RecordFilter& filter) {
  bool everything = false;
  TEMPER_TRY(series, series_of(filter, false, everything));
  if (series.empty())
    return std::vector<RecordRow>();
  const Conditions conditions = conditions_of(filter, 1);
  std::string where = conditions.text;
  if (!everything) {
    where += " AND m.series IN (";
    for (size_t i = 0; i < series.size(); ++i)
      where += (i > 0 ? "," : "") + std::to_string(series[i].number);
    where += ")";
  }
  if (!filter.outcomes.empty()) {
    where += " AND m.outcome IN (";
    for (size_t i = 0; i < filter.outcomes.size(); ++i)
      where += sql({i > 0 ? ",'" : "'", to_string(filter.outcomes[i]), "'"});
    where += ")";
  }
  std::string text = sql({"SELECT ", kRowColumns, kRowTables, "WHERE 1 = 1", where, " ORDER BY ",
                          filter.order == Order::kFastest ? "m.median_ns IS NULL, m.median_ns, m.n"
                                                          : "m.measured_at DESC, m.n DESC"});
  if (filter.limit > 0 || filter.offset > 0)
    text += " LIMIT " + std::to_string(filter.limit > 0 ? filter.limit : INT64_MAX) + " OFFSET " +
            std::to_string(filter.offset);
  std::vector<RecordRow> rows;
  Query query(db_, text);
  conditions.bind(query);
  while (query.next())
    rows.push_back(read_row(query, filter.current_toolchains));
  TEMPER_TRY_VOID(query.finish());
  return rows;
}

Result<std::vector<WorkloadRow>> SqliteStore::list_workloads(const std::string& name) {
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
  return name.empty() ? all(text, read) : all(text, read, name);
}

Result<std::vector<Run>> SqliteStore::list_runs(const RunFilter& filter) {
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

Result<std::vector<Run>> SqliteStore::resumable_runs(const Id& workload) {
  TEMPER_TRY(rows, list_runs({.workload = workload}));
  std::erase_if(rows, [](const Run& row) {
    return row.state != RunState::kInterrupted && row.state != RunState::kPaused;
  });
  return std::move(rows);
}

Result<std::vector<Workload>> SqliteStore::other_versions(const Id& workload) {
  return all(
      sql({"SELECT ", kWorkloadColumns,
           " FROM workload w JOIN workload o ON o.id = $1 WHERE w.id <> o.id AND "
           "w.binding = o.binding AND EXISTS (SELECT 1 FROM workload_name a JOIN "
           "workload_name b ON a.name = b.name WHERE a.workload = w.id AND "
           "b.workload = o.id) ORDER BY w.created_at DESC"}),
      [](Query& query) { return read_workload(query, false); }, workload);
}

Result<std::vector<ConvergencePoint>> SqliteStore::convergence(const Id& run) {
  double best = kUnknown;
  return all(
      "SELECT id, sequence, outcome, median_ns, measured_at FROM measurement "
      "WHERE run = $1 ORDER BY sequence, n",
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
      },
      run);
}

Result<std::vector<FailureGroup>> SqliteStore::failures(const Id& run) {
  TEMPER_TRY(groups, all(
                         "SELECT outcome, stage, count(*), min(n) FROM measurement WHERE run = $1 "
                         "AND outcome NOT IN ('ok', 'censored') GROUP BY outcome, stage "
                         "ORDER BY count(*) DESC, min(n)",
                         [](Query& query) {
                           FailureGroup group;
                           group.outcome = word_or(parse_outcome(query.text()), Outcome::kRejected);
                           group.stage = query.text();
                           group.count = query.integer();
                           return std::pair(std::move(group), query.integer());
                         },
                         run));
  std::vector<FailureGroup> rows;
  for (auto& [group, first] : groups) {
    TEMPER_TRY(record, one(
                           "record", std::to_string(first),
                           "SELECT id, error FROM measurement WHERE n = $1",
                           [](Query& query) {
                             const std::string id = query.text();
                             return std::pair(id, query.text());
                           },
                           first));
    group.first_record = record.first;
    group.first_error = record.second;
    rows.push_back(std::move(group));
  }
  return rows;
}

Result<void> SqliteStore::measured_programs(const Id& workload,
                                            const Visitor<MeasuredProgram>& visit) {
  Query query(db_,
              sql({"SELECT m.id, m.outcome, m.median_ns, s.target, s.threads, s.environment_class, "
                   "s.toolchain, s.regime, ",
                   kCandidateColumns, kMeasurementTables, "WHERE s.workload = $1 ORDER BY m.n"}),
              workload);
  while (query.next()) {
    MeasuredProgram row;
    row.record = query.text();
    row.outcome = word_or(parse_outcome(query.text()), Outcome::kRejected);
    row.median_ns = query.real();
    row.target = query.text();
    row.threads = static_cast<int>(query.integer());
    row.environment_class = query.text();
    row.toolchain = query.text();
    row.regime = word_or(parse_timing_regime(query.text()), TimingRegime::kHot);
    TEMPER_TRY(candidate, read_candidate(query));
    row.candidate = std::move(candidate.id);
    row.program = std::move(candidate.program);
    if (!visit(row))
      return {};
  }
  return query.finish();
}

Result<void> SqliteStore::measurements(const Id& run, const Visitor<Measurement>& visit) {
  return each(sql({"SELECT ", kMeasurementColumns, kMeasurementTables,
                   "WHERE m.run = $1 ORDER BY m.sequence, m.n"}),
              read_measurement, visit, run);
}

Result<std::vector<ModelQuality>> SqliteStore::model_quality(const Id& run) {
  return all(sql({"SELECT ", kQualityColumns, " FROM model_quality WHERE run = $1 ORDER BY batch"}),
             read_quality, run);
}
Result<std::vector<Event>> SqliteStore::events(const Id& run) {
  return all("SELECT run, sequence, kind, json, happened_at FROM event WHERE run = $1 "
             "ORDER BY sequence",
             read_event, run);
}
Result<std::vector<Note>> SqliteStore::notes(const Id& subject) {
  return all("SELECT id, subject, text, author, created_at FROM note WHERE subject = $1 "
             "ORDER BY created_at, id",
             read_note, subject);
}
Result<std::vector<Tag>> SqliteStore::tags(const Id& subject) {
  return all("SELECT subject, tag, created_at FROM tag WHERE subject = $1 ORDER BY tag", read_tag,
             subject);
}

// ---- Ids

Result<std::vector<Id>> SqliteStore::ids_with_prefix(std::string_view prefix, size_t limit) {
  if (prefix.empty())
    return std::vector<Id>();
  const auto kind = static_cast<Kind>(prefix[0]);
  if (!looks_like_id(std::string(1, prefix[0]) + "00000"))
    return std::vector<Id>();
  // 'g' follows every hexadecimal digit: an index range, where LIKE would scan.
  return all(
      sql({"SELECT id FROM ", table_of(kind), " WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3"}),
      [](Query& query) { return query.text(); }, prefix, std::string(prefix) + "g",
      static_cast<int64_t>(limit));
}

Result<std::string> SqliteStore::short_id(const Id& id) {
  if (!looks_like_id(id))
    return Error(ErrorCode::kInvalidArgument, "'" + id + "' is no id");
  const std::string table = table_of(static_cast<Kind>(id[0]));
  size_t length = kShortIdLength;
  for (const std::string& text : {sql({"SELECT max(id) FROM ", table, " WHERE id < $1"}),
                                  sql({"SELECT min(id) FROM ", table, " WHERE id > $1"})}) {
    Query query(db_, text, id);
    if (query.next()) {
      const std::string neighbour = query.text();
      const auto [mine, theirs] = std::ranges::mismatch(id, neighbour);
      length = std::max(length, static_cast<size_t>(mine - id.begin()) + 1);
    }
    TEMPER_TRY_VOID(query.finish());
  }
  return id.substr(0, length);
}

// ---- For dump and import. By id or row number, so that two dumps of one database are equal.

Result<void> SqliteStore::each_workload(const Visitor<Workload>& visit) {
  TEMPER_TRY_VOID(each(
      sql({"SELECT ", kWorkloadColumns, ", w.program FROM workload w ORDER BY w.created_at, w.id"}),
      [](Query& query) { return read_workload(query, true); }, visit));
  // Further names of a program are rows of their own in a dump: the same workload, renamed.
  return each(
      sql({"SELECT ", kWorkloadColumns,
           ", w.program, n.name FROM workload_name n JOIN workload w ON w.id = n.workload "
           "WHERE n.name <> w.name ORDER BY n.name, w.id"}),
      [](Query& query) {
        Workload row = read_workload(query, true);
        row.name = query.text();
        return row;
      },
      visit);
}
Result<void> SqliteStore::each_space(const Visitor<Space>& visit) {
  return each("SELECT id, workload, maker, hash, json FROM space ORDER BY id", read_space, visit);
}
Result<void> SqliteStore::each_environment(const Visitor<Environment>& visit) {
  return each("SELECT id, fingerprint, class_name, host, json FROM environment ORDER BY id",
              read_environment, visit);
}
Result<void> SqliteStore::each_toolchain(const Visitor<Toolchain>& visit) {
  return each("SELECT id, json FROM toolchain ORDER BY id", read_toolchain, visit);
}
Result<void> SqliteStore::each_run(const Visitor<Run>& visit) {
  return each(
      sql({"SELECT ", kRunColumns, kRunTables, "ORDER BY r.started_at, r.id"}),
      [this](Query& query) { return read_run(query); }, visit);
}
Result<void> SqliteStore::each_candidate(const Visitor<Candidate>& visit) {
  Query query(db_, sql({"SELECT ", kCandidateColumns, " FROM candidate c ORDER BY c.n"}));
  while (query.next()) {
    TEMPER_TRY(row, read_candidate(query));
    if (!visit(row))
      return {};
  }
  return query.finish();
}
Result<void> SqliteStore::each_measurement(const Visitor<Measurement>& visit) {
  return each(sql({"SELECT ", kMeasurementColumns, kMeasurementTables, "ORDER BY m.n"}),
              read_measurement, visit);
}
Result<void> SqliteStore::each_artifact(const Visitor<Artifact>& visit) {
  return each(sql({"SELECT ", kArtifactColumns, " FROM artifact ORDER BY id"}), read_artifact,
              visit);
}
Result<void> SqliteStore::each_model(const Visitor<Model>& visit) {
  return each(sql({"SELECT ", kModelColumns, " FROM model ORDER BY id"}), read_model, visit);
}
Result<void> SqliteStore::each_model_quality(const Visitor<ModelQuality>& visit) {
  return each(sql({"SELECT ", kQualityColumns, " FROM model_quality ORDER BY run, batch"}),
              read_quality, visit);
}
Result<void> SqliteStore::each_event(const Visitor<Event>& visit) {
  return each("SELECT run, sequence, kind, json, happened_at FROM event ORDER BY run, sequence",
              read_event, visit);
}
Result<void> SqliteStore::each_note(const Visitor<Note>& visit) {
  return each("SELECT id, subject, text, author, created_at FROM note ORDER BY id", read_note,
              visit);
}
Result<void> SqliteStore::each_tag(const Visitor<Tag>& visit) {
  return each("SELECT subject, tag, created_at FROM tag ORDER BY subject, tag", read_tag, visit);
}

Result<void> SqliteStore::transaction(const std::function<Result<void>()>& body) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(body());
  return transaction.commit();
}

Result<void> SqliteStore::snapshot(const std::function<Result<void>()>& body) {
  Transaction transaction(db_, detail::Access::kRead);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(body());
  return transaction.commit();
}

Result<std::map<std::string, int64_t>> SqliteStore::row_counts() {
  std::map<std::string, int64_t> counts;
  for (const char* table :
       {"workload", "space", "environment", "toolchain", "run", "candidate", "measurement",
        "artifact", "model", "model_quality", "event", "note", "tag"}) {
    TEMPER_TRY(count, db_.integer(sql({"SELECT count(*) FROM ", table})));
    counts[table] = count;
  }
  return counts;
}

Result<void> SqliteStore::check_integrity() {
  Query query(db_, "PRAGMA integrity_check(1)");
  if (query.next())
    if (const std::string verdict = query.text(); verdict != "ok")
      return db_.error_of(SQLITE_CORRUPT, verdict);
  TEMPER_TRY_VOID(query.finish());
  Query keys(db_, "PRAGMA foreign_key_check");
  if (keys.next())
    return db_.error_of(SQLITE_CORRUPT, "a row of " + keys.text() + " names one that is missing");
  return keys.finish();
}

} // namespace

int current_schema_version() { return detail::migrations().back().number; }

Result<std::unique_ptr<Store>> open_sqlite_store(const SqliteOptions& options) {
  auto store = std::make_unique<SqliteStore>(options.system ? *options.system : System::real());
  TEMPER_TRY_VOID(store->open(options));
  return std::unique_ptr<Store>(std::move(store));
}

Result<std::filesystem::path> default_database_path() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value ? value : "";
  };
  if (const std::string path = variable("TEMPER_DB"); !path.empty())
    return std::filesystem::path(path);
  // The specification says to ignore a relative path here.
  if (const std::string data = variable("XDG_DATA_HOME"); data.starts_with('/'))
    return std::filesystem::path(data) / "temper" / "temper.db";
  if (const std::string home = variable("HOME"); !home.empty())
    return std::filesystem::path(home) / ".local" / "share" / "temper" / "temper.db";
  return Error(ErrorCode::kEnvironment,
               "neither TEMPER_DB nor HOME is set; say where the database is with --db PATH");
}

} // namespace temper::database
