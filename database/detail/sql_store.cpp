#include "database/detail/sql_store.h"
#include "database/detail/sql_rows.h"
#include "database/detail/text_codec.h"
#include "ir/support/hash.h"

#include <algorithm>

namespace temper::database::detail {

namespace {
/// Of an INSERT … RETURNING n.
Result<int64_t> new_number(Query& query) {
  if (query.next()) {
    const int64_t number = query.integer();
    TEMPER_TRY_VOID(query.run());
    return number;
  }
  TEMPER_TRY_VOID(query.finish());
  return Error(ErrorCode::kFailed, "a new row got no number");
}
} // namespace

// ---- Adding

void SqlStore::drop_stale_caches() {
  if (caches_rollbacks_ == db_.rollbacks())
    return;
  caches_ = {};
  skeleton_texts_.clear();
  skeleton_bytes_ = 0;
  caches_rollbacks_ = db_.rollbacks();
}

Result<Id> SqlStore::add(const Workload& given) {
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

Result<Id> SqlStore::add(const Space& space) {
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

Result<Id> SqlStore::add(const Environment& environment) {
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

Result<Id> SqlStore::add(const Toolchain& toolchain) {
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

Result<Id> SqlStore::add(const Candidate& given) {
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

Result<int64_t> SqlStore::put_candidate(const Candidate& row) {
  {
    Query query(db_, "SELECT n FROM candidate WHERE id = $1", row.id);
    if (query.next())
      return query.integer();
    TEMPER_TRY_VOID(query.finish());
  }
  const ProgramParts parts = split_program(row.program);
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
              "VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING n",
              row.id, row.workload, row.kind, row.parent, valid_text(row.origin));
  if (is_inline)
    query.bind(Null{}).bind(parts.skeleton);
  else
    query.bind(skeleton).bind(parts.decisions);
  return new_number(query);
}

Result<int64_t> SqlStore::put_skeleton(const Id& workload, std::string_view text) {
  drop_stale_caches();
  const uint64_t hash = hash_bytes(text);
  { // asked each time: another process may have pruned it
    Query query(db_, "SELECT n FROM skeleton WHERE workload = $1 AND hash = $2", workload, hash);
    if (query.next())
      return query.integer();
    TEMPER_TRY_VOID(query.finish());
  }
  // A workload has a few kinds of sketches, and the untuned program, an empty trace, is often the
  // first of all: what none of the bases helps becomes one itself.
  constexpr size_t kMostBases = 8;
  auto bases = caches_.bases.find(workload);
  if (bases == caches_.bases.end()) {
    std::vector<std::pair<int64_t, std::string>> found;
    TEMPER_TRY(
        numbers,
        all(Query(db_,
                  "SELECT n FROM skeleton WHERE workload = $1 AND base IS NULL ORDER BY n LIMIT $2",
                  workload, static_cast<int64_t>(kMostBases)),
            read_integer));
    for (const int64_t number : numbers) {
      TEMPER_TRY(base_text, skeleton_text(number));
      found.emplace_back(number, *base_text);
    }
    bases = caches_.bases.emplace(workload, std::move(found)).first;
  }
  std::string encoded = encode_text(text, "");
  const size_t alone = encoded.size();
  int64_t base = 0;
  for (const auto& [number, base_text] : bases->second) {
    std::string against = encode_text(text, base_text);
    if (against.size() < encoded.size()) {
      encoded = std::move(against);
      base = number;
    }
  }
  const bool is_base =
      base == 0 || (encoded.size() * 2 > alone && bases->second.size() < kMostBases);
  if (is_base && base != 0)
    encoded = encode_text(text, "");
  Query query(db_,
              "INSERT INTO skeleton (workload, hash, base, encoded) VALUES ($1, $2, $3, $4) "
              "RETURNING n",
              workload, hash);
  if (is_base)
    query.bind(Null{});
  else
    query.bind(base);
  query.bind(Blob{encoded});
  TEMPER_TRY(number, new_number(query));
  if (is_base && bases->second.size() < kMostBases)
    bases->second.emplace_back(number, std::string(text));
  return number;
}

Result<const std::string*> SqlStore::skeleton_text(int64_t number) {
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
  TEMPER_TRY(text, decode_text(query.blob(), base));
  constexpr size_t kLimit = 16 << 20;
  if (skeleton_bytes_ > kLimit) {
    skeleton_texts_.clear();
    skeleton_bytes_ = 0;
  }
  skeleton_bytes_ += text.size();
  return &(skeleton_texts_[number] = std::move(text));
}

Result<Id> SqlStore::add(const Artifact& given) {
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

Result<Id> SqlStore::add(const Model& given) {
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

Result<Id> SqlStore::add(const Note& given) {
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

Result<void> SqlStore::add(const Tag& tag) {
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

Result<void> SqlStore::remove(const Tag& tag) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(
      Query(db_, "DELETE FROM tag WHERE subject = $1 AND tag = $2", tag.subject, tag.tag).run());
  return transaction.commit();
}

Result<void> SqlStore::remove(const Note& note) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(Query(db_, "DELETE FROM note WHERE id = $1", note.id).run());
  return transaction.commit();
}

Result<void> SqlStore::add(const ModelQuality& row) {
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

Result<void> SqlStore::add(const Event& event) {
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

// ---- Rows by id

Result<Workload> SqlStore::workload(const Id& id) {
  return one(
      "workload", id,
      Query(db_, sql({"SELECT ", kWorkloadColumns, ", w.program FROM workload w WHERE w.id = $1"}),
            id),
      [](Query& query) { return read_workload(query, true); });
}
Result<Space> SqlStore::space(const Id& id) {
  return one("space", id,
             Query(db_, "SELECT id, workload, maker, hash, json FROM space WHERE id = $1", id),
             read_space);
}
Result<Environment> SqlStore::environment(const Id& id) {
  return one("environment", id,
             Query(db_,
                   "SELECT id, fingerprint, class_name, host, json FROM environment WHERE id = $1",
                   id),
             read_environment);
}
Result<Toolchain> SqlStore::toolchain(const Id& id) {
  return one("toolchain", id, Query(db_, "SELECT id, json FROM toolchain WHERE id = $1", id),
             read_toolchain);
}
Result<Run> SqlStore::run(const Id& id) {
  return one("run", id,
             Query(db_, sql({"SELECT ", kRunColumns, kRunTables, "WHERE r.id = $1"}), id),
             [this](Query& query) { return read_run(query); });
}
Result<Measurement> SqlStore::measurement(const Id& id) {
  return one(
      "record", id,
      Query(db_, sql({"SELECT ", kMeasurementColumns, kMeasurementTables, "WHERE m.id = $1"}), id),
      read_measurement);
}
Result<Artifact> SqlStore::artifact(const Id& id) {
  return one("artifact", id,
             Query(db_, sql({"SELECT ", kArtifactColumns, " FROM artifact WHERE id = $1"}), id),
             read_artifact);
}
Result<Model> SqlStore::model(const Id& id) {
  return one("model", id,
             Query(db_, sql({"SELECT ", kModelColumns, " FROM model WHERE id = $1"}), id),
             read_model);
}

Result<Candidate> SqlStore::read_candidate(Query& query) {
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
  row.program = join_program(*skeleton, query.text());
  return row;
}

Result<Candidate> SqlStore::candidate(const Id& id) {
  TEMPER_TRY(
      row,
      one("candidate", id,
          Query(db_, sql({"SELECT ", kCandidateColumns, " FROM candidate c WHERE c.id = $1"}), id),
          [this](Query& query) { return read_candidate(query); }));
  return std::move(row);
}

Result<Artifact> SqlStore::artifact_of(const Id& measurement_id) {
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

Result<Model> SqlStore::latest_model(const Id& run) {
  return one(
      "model of run", run,
      Query(db_,
            sql({"SELECT ", kModelColumns,
                 " FROM model WHERE run = $1 ORDER BY created_at DESC, trials_seen DESC LIMIT 1"}),
            run),
      read_model);
}

// ---- Ids

Result<std::vector<Id>> SqlStore::ids_with_prefix(std::string_view prefix, size_t limit) {
  if (prefix.empty())
    return std::vector<Id>();
  const auto kind = static_cast<Kind>(prefix[0]);
  if (!looks_like_id(std::string(1, prefix[0]) + "00000"))
    return std::vector<Id>();
  // 'g' follows every hexadecimal digit: an index range, where LIKE would scan.
  return all(Query(db_,
                   sql({"SELECT id FROM ", table_of(kind),
                        " WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3"}),
                   prefix, std::string(prefix) + "g", static_cast<int64_t>(limit)),
             read_text);
}

Result<std::string> SqlStore::short_id(const Id& id) {
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

Result<void> SqlStore::each_workload(const Visitor<Workload>& visit) {
  TEMPER_TRY_VOID(each(Query(db_, sql({"SELECT ", kWorkloadColumns,
                                       ", w.program FROM workload w ORDER BY w.created_at, w.id"})),
                       visit, [](Query& query) { return read_workload(query, true); }));
  // Further names of a program are rows of their own in a dump: the same workload, renamed.
  return each(
      Query(db_,
            sql({"SELECT ", kWorkloadColumns,
                 ", w.program, n.name FROM workload_name n JOIN workload w ON w.id = n.workload "
                 "WHERE n.name <> w.name ORDER BY n.name, w.id"})),
      visit, [](Query& query) {
        Workload row = read_workload(query, true);
        row.name = query.text();
        return row;
      });
}
Result<void> SqlStore::each_space(const Visitor<Space>& visit) {
  return each(Query(db_, "SELECT id, workload, maker, hash, json FROM space ORDER BY id"), visit,
              read_space);
}
Result<void> SqlStore::each_environment(const Visitor<Environment>& visit) {
  return each(
      Query(db_, "SELECT id, fingerprint, class_name, host, json FROM environment ORDER BY id"),
      visit, read_environment);
}
Result<void> SqlStore::each_toolchain(const Visitor<Toolchain>& visit) {
  return each(Query(db_, "SELECT id, json FROM toolchain ORDER BY id"), visit, read_toolchain);
}
Result<void> SqlStore::each_run(const Visitor<Run>& visit) {
  return each(Query(db_, sql({"SELECT ", kRunColumns, kRunTables, "ORDER BY r.started_at, r.id"})),
              visit, [this](Query& query) { return read_run(query); });
}
Result<void> SqlStore::each_candidate(const Visitor<Candidate>& visit) {
  Query query(db_, sql({"SELECT ", kCandidateColumns, " FROM candidate c ORDER BY c.n"}));
  query.many();
  while (query.next()) {
    TEMPER_TRY(row, read_candidate(query));
    if (!visit(row))
      return {};
  }
  return query.finish();
}
Result<void> SqlStore::each_measurement(const Visitor<Measurement>& visit) {
  return each(Query(db_, sql({"SELECT ", kMeasurementColumns, kMeasurementTables, "ORDER BY m.n"})),
              visit, read_measurement);
}
Result<void> SqlStore::each_artifact(const Visitor<Artifact>& visit) {
  return each(Query(db_, sql({"SELECT ", kArtifactColumns, " FROM artifact ORDER BY id"})), visit,
              read_artifact);
}
Result<void> SqlStore::each_model(const Visitor<Model>& visit) {
  return each(Query(db_, sql({"SELECT ", kModelColumns, " FROM model ORDER BY id"})), visit,
              read_model);
}
Result<void> SqlStore::each_model_quality(const Visitor<ModelQuality>& visit) {
  return each(
      Query(db_, sql({"SELECT ", kQualityColumns, " FROM model_quality ORDER BY run, batch"})),
      visit, read_quality);
}
Result<void> SqlStore::each_event(const Visitor<Event>& visit) {
  return each(
      Query(db_, "SELECT run, sequence, kind, json, happened_at FROM event ORDER BY run, sequence"),
      visit, read_event);
}
Result<void> SqlStore::each_note(const Visitor<Note>& visit) {
  return each(Query(db_, "SELECT id, subject, text, author, created_at FROM note ORDER BY id"),
              visit, read_note);
}
Result<void> SqlStore::each_tag(const Visitor<Tag>& visit) {
  return each(Query(db_, "SELECT subject, tag, created_at FROM tag ORDER BY subject, tag"), visit,
              read_tag);
}

Result<void> SqlStore::transaction(const std::function<Result<void>()>& body) {
  Transaction transaction(db_);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(body());
  return transaction.commit();
}

Result<void> SqlStore::snapshot(const std::function<Result<void>()>& body) {
  Transaction transaction(db_, Access::kRead);
  TEMPER_TRY_VOID(transaction.status());
  TEMPER_TRY_VOID(body());
  return transaction.commit();
}

Result<std::map<std::string, int64_t>> SqlStore::row_counts() {
  std::map<std::string, int64_t> counts;
  for (const char* table :
       {"workload", "space", "environment", "toolchain", "run", "candidate", "measurement",
        "artifact", "model", "model_quality", "event", "note", "tag"}) {
    TEMPER_TRY(count, db_.integer(sql({"SELECT count(*) FROM ", table})));
    counts[table] = count;
  }
  return counts;
}

Result<void> SqlStore::check_integrity() { return db_.check(); }

} // namespace temper::database::detail
