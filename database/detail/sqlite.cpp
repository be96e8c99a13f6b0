#include "database/detail/sqlite.h"

#include "database/detail/migrations.h"

#include <sqlite3.h>

namespace temper::database::detail {

namespace {

class SqliteStatement final : public Statement {
public:
  explicit SqliteStatement(sqlite3_stmt* statement) : statement_(statement) {}
  ~SqliteStatement() override { sqlite3_finalize(statement_); }

  void bind_integer(int parameter, int64_t value) override {
    sqlite3_bind_int64(statement_, parameter + 1, value);
  }
  void bind_real(int parameter, double value) override {
    sqlite3_bind_double(statement_, parameter + 1, value);
  }
  void bind_text(int parameter, std::string_view text) override {
    // Copied: the caller's text may be a temporary. An empty view must not become NULL.
    sqlite3_bind_text64(statement_, parameter + 1, text.empty() ? "" : text.data(), text.size(),
                        SQLITE_TRANSIENT, SQLITE_UTF8);
  }
  void bind_blob(int parameter, std::string_view bytes) override {
    sqlite3_bind_blob64(statement_, parameter + 1, bytes.empty() ? "" : bytes.data(), bytes.size(),
                        SQLITE_TRANSIENT);
  }
  void bind_null(int parameter) override { sqlite3_bind_null(statement_, parameter + 1); }
  int parameter_count() const override { return sqlite3_bind_parameter_count(statement_); }

  Step step() override {
    const int code = sqlite3_step(statement_);
    return code == SQLITE_ROW ? Step::kRow : code == SQLITE_DONE ? Step::kDone : Step::kFailed;
  }
  void reset() override {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }

  int64_t integer(int column) override { return sqlite3_column_int64(statement_, column); }
  double real(int column) override { return sqlite3_column_double(statement_, column); }
  std::string text(int column) override {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    const int bytes = sqlite3_column_bytes(statement_, column);
    return text ? std::string(text, static_cast<size_t>(bytes)) : std::string();
  }
  std::string blob(int column) override {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    const int size = sqlite3_column_bytes(statement_, column);
    return bytes ? std::string(bytes, static_cast<size_t>(size)) : std::string();
  }
  bool is_null(int column) const override {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
  }

private:
  sqlite3_stmt* statement_;
};

} // namespace

SqliteConnection::~SqliteConnection() { close(); }

void SqliteConnection::close() {
  drop_statements();
  sqlite3_close(db_);
  db_ = nullptr;
}

Result<void> SqliteConnection::open(const std::string& path, int flags, const std::string& name,
                                    int busy_timeout_ms) {
  close();
  name_ = name;
  busy_timeout_ms_ = busy_timeout_ms;
  const int code = sqlite3_open_v2(path.c_str(), &db_, flags, nullptr);
  if (code != SQLITE_OK) {
    Error error = error_of(db_ ? sqlite3_extended_errcode(db_) : code,
                           db_ ? sqlite3_errmsg(db_) : sqlite3_errstr(code));
    close();
    return error;
  }
  sqlite3_extended_result_codes(db_, 1);
  sqlite3_busy_timeout(db_, busy_timeout_ms);
  return {};
}

Error SqliteConnection::last_error() {
  if (!db_)
    return Error(ErrorCode::kEnvironment, "the database '" + name_ + "' is not open");
  return error_of(sqlite3_extended_errcode(db_), sqlite3_errmsg(db_));
}

Error SqliteConnection::error_of(int code, const std::string& detail) {
  const std::string file = "'" + name_ + "'";
  switch (code & 0xff) {
  case SQLITE_FULL:
    return {ErrorCode::kEnvironment,
            "the disk (or its quota) is full: nothing more can be written to the database " + file +
                "; what was recorded before is safe, make room and resume"};
  case SQLITE_NOTADB:
    return {ErrorCode::kInvalidArgument, file + " is not a database; name another file with --db"};
  case SQLITE_CORRUPT:
    return {ErrorCode::kCorrupt,
            "the database " + file + " is damaged (" + detail +
                "); save what can be read with `sqlite3 FILE .recover`, or import your last dump "
                "into a new one"};
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return {ErrorCode::kEnvironment,
            "another process has kept the database " + file + " locked for more than " +
                std::to_string(busy_timeout_ms_ / 1000) + " s; try again when it is done"};
  case SQLITE_READONLY:
    return {ErrorCode::kEnvironment, "cannot write to the database " + file +
                                         ": it, or the folder it lies in, is read-only"};
  case SQLITE_PERM:
  case SQLITE_AUTH:
    return {ErrorCode::kEnvironment, "no permission to use the database " + file};
  case SQLITE_CANTOPEN:
    return {ErrorCode::kEnvironment, "cannot open the database " + file + ": " + detail};
  case SQLITE_IOERR:
    return {ErrorCode::kEnvironment,
            "reading or writing the database " + file + " failed: " + detail};
  case SQLITE_NOMEM:
    return {ErrorCode::kEnvironment, "out of memory while using the database " + file};
  case SQLITE_INTERRUPT:
    return {ErrorCode::kInterrupted, "the query on the database " + file + " was interrupted"};
  case SQLITE_CONSTRAINT:
    if (code == SQLITE_CONSTRAINT_FOREIGNKEY)
      return {ErrorCode::kNotFound,
              "the row names another row that is not in the database " + file};
    return {ErrorCode::kInvalidArgument,
            "the row does not fit the database " + file + ": " + detail};
  default:
    return {ErrorCode::kFailed, "the database " + file + " reports: " + detail};
  }
}

Result<void> SqliteConnection::execute(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return last_error();
  return {};
}

Result<void> SqliteConnection::begin_outermost(Access access) {
  // IMMEDIATE takes the write lock now, with the busy timeout. A transaction that begins by
  // reading and then wants to write fails at once when another writer came between.
  return Query(*this, access == Access::kRead ? "BEGIN" : "BEGIN IMMEDIATE").run();
}

Result<void> SqliteConnection::commit_outermost() { return Query(*this, "COMMIT").run(); }

void SqliteConnection::rollback_outermost() {
  // A full disk may have rolled back by itself.
  if (!sqlite3_get_autocommit(db_))
    sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Result<SchemaHeader> SqliteConnection::schema_header() {
  TEMPER_TRY(id, integer("PRAGMA application_id"));
  TEMPER_TRY(version, integer("PRAGMA user_version"));
  TEMPER_TRY(objects, integer("SELECT count(*) FROM sqlite_master"));
  const bool fresh = id == 0 && version == 0 && objects == 0;
  return SchemaHeader{fresh, !fresh && id != kApplicationId, version};
}

Result<void> SqliteConnection::set_schema_version(int64_t version) {
  TEMPER_TRY_VOID(execute("PRAGMA application_id = " + std::to_string(kApplicationId)));
  return execute("PRAGMA user_version = " + std::to_string(version));
}

Result<void> SqliteConnection::check() {
  Query query(*this, "PRAGMA integrity_check(1)");
  if (query.next())
    if (const std::string verdict = query.text(); verdict != "ok")
      return error_of(SQLITE_CORRUPT, verdict);
  TEMPER_TRY_VOID(query.finish());
  Query keys(*this, "PRAGMA foreign_key_check");
  if (keys.next())
    return error_of(SQLITE_CORRUPT, "a row of " + keys.text() + " names one that is missing");
  return keys.finish();
}

Result<void> SqliteConnection::compact() {
  TEMPER_TRY_VOID(execute("VACUUM"));
  // The log has the whole file now; empty it where nobody reads it.
  return execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

Result<int64_t> SqliteConnection::size_bytes() {
  TEMPER_TRY(pages, integer("PRAGMA page_count"));
  TEMPER_TRY(page_size, integer("PRAGMA page_size"));
  return pages * page_size;
}

int64_t SqliteConnection::changes() const { return sqlite3_changes64(db_); }

std::unique_ptr<Statement> SqliteConnection::make_statement(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                         &statement, nullptr) != SQLITE_OK)
    return nullptr;
  return std::make_unique<SqliteStatement>(statement);
}

} // namespace temper::database::detail
