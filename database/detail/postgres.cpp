#include "database/detail/postgres.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

namespace temper::database::detail {

namespace {

// Types of results, by their numbers in PostgreSQL's catalogue, where they are fixed.
constexpr Oid kBool = 16;
constexpr Oid kInt8 = 20;
constexpr Oid kInt2 = 21;
constexpr Oid kInt4 = 23;
constexpr Oid kFloat4 = 700;
constexpr Oid kFloat8 = 701;

/// The lock is of the whole database: who holds it writes. Its number is "tmpr".
constexpr const char* kBeginWriting = "BEGIN; SELECT pg_advisory_xact_lock(1953329266)";

std::string first_line(const char* message) {
  std::string text = message ? message : "";
  text = text.substr(0, text.find('\n'));
  return text;
}

template <typename Word> Word big_endian(const char* bytes) {
  Word word = 0;
  for (size_t i = 0; i < sizeof(Word); ++i)
    word = static_cast<Word>(word << 8 | static_cast<unsigned char>(bytes[i]));
  return word;
}

bool is_good(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

} // namespace

/// Parameters go as text, which the server reads as whatever type it needs; bytes, and all results,
/// are binary.
class PostgresStatement final : public Statement {
public:
  PostgresStatement(PostgresConnection& connection, std::string_view sql)
      : connection_(connection), sql_(sql) {
    for (size_t i = 0; i + 1 < sql_.size(); ++i)
      if (sql_[i] == '$') {
        int number = 0;
        std::from_chars(sql_.data() + i + 1, sql_.data() + sql_.size(), number);
        parameters_ = std::max(parameters_, number);
      }
    reset();
  }
  ~PostgresStatement() override { PQclear(result_); }

  void bind_integer(int parameter, int64_t value) override {
    set(parameter, std::to_string(value), false);
  }
  void bind_real(int parameter, double value) override {
    char text[40];
    set(parameter, {text, std::to_chars(text, text + sizeof(text), value).ptr}, false);
  }
  void bind_text(int parameter, std::string_view text) override {
    set(parameter, std::string(text), false);
  }
  void bind_blob(int parameter, std::string_view bytes) override {
    set(parameter, std::string(bytes), true);
  }
  void bind_null(int) override {}
  int parameter_count() const override { return parameters_; }

  Step step() override {
    if (!started_) {
      started_ = true;
      if (!start())
        return Step::kFailed;
    } else {
      ++row_;
    }
    if (row_ < PQntuples(result_))
      return Step::kRow;
    if (cursor_.empty())
      return Step::kDone;
    if (!fetch())
      return Step::kFailed;
    return PQntuples(result_) > 0 ? Step::kRow : Step::kDone;
  }

  void reset() override {
    PQclear(result_);
    result_ = nullptr;
    // A transaction that failed has closed it, and one that ended.
    if (!cursor_.empty() && PQtransactionStatus(connection_.connection_) == PQTRANS_INTRANS)
      PQclear(PQexec(connection_.connection_, ("CLOSE " + cursor_).c_str()));
    cursor_.clear();
    started_ = many_ = false;
    row_ = 0;
    values_.assign(static_cast<size_t>(parameters_), {});
  }
  void expect_many() override { many_ = true; }

  int64_t integer(int column) override {
    if (is_null(column))
      return 0;
    const char* bytes = PQgetvalue(result_, row_, column);
    switch (PQftype(result_, column)) {
    case kBool:
      return bytes[0] != 0;
    case kInt2:
      return static_cast<int16_t>(big_endian<uint16_t>(bytes));
    case kInt4:
      return static_cast<int32_t>(big_endian<uint32_t>(bytes));
    case kInt8:
      return static_cast<int64_t>(big_endian<uint64_t>(bytes));
    default:
      TEMPER_CHECK(false, "an integer is read from a column of integers");
      return 0;
    }
  }
  double real(int column) override {
    if (is_null(column))
      return std::numeric_limits<double>::quiet_NaN();
    const char* bytes = PQgetvalue(result_, row_, column);
    switch (PQftype(result_, column)) {
    case kFloat8:
      return std::bit_cast<double>(big_endian<uint64_t>(bytes));
    case kFloat4:
      return static_cast<double>(std::bit_cast<float>(big_endian<uint32_t>(bytes)));
    default:
      return static_cast<double>(integer(column));
    }
  }
  std::string text(int column) override {
    if (is_null(column))
      return {};
    return {PQgetvalue(result_, row_, column),
            static_cast<size_t>(PQgetlength(result_, row_, column))};
  }
  std::string blob(int column) override { return text(column); }
  bool is_null(int column) const override { return PQgetisnull(result_, row_, column) != 0; }

private:
  struct Value {
    std::string bytes;
    bool given = false;
    bool binary = false;
  };

  void set(int parameter, std::string bytes, bool binary) {
    if (parameter < parameters_) // else Query sees that their number is wrong
      values_[static_cast<size_t>(parameter)] = {std::move(bytes), true, binary};
  }

  /// Takes the result, when it is a good one.
  bool take(PGresult* result) {
    PQclear(result_);
    result_ = nullptr;
    row_ = 0;
    if (!is_good(result)) {
      connection_.fail(result);
      return false;
    }
    result_ = result;
    return true;
  }

  bool start() {
    pg_conn* link = connection_.connection_;
    std::vector<const char*> texts;
    std::vector<int> lengths;
    std::vector<int> formats;
    for (const Value& value : values_) {
      texts.push_back(value.given ? value.bytes.c_str() : nullptr);
      lengths.push_back(static_cast<int>(value.bytes.size()));
      formats.push_back(value.binary ? 1 : 0);
    }
    // A cursor lives in a transaction; outside of one, all rows come at once.
    if (many_ && connection_.in_transaction()) {
      cursor_ = "c" + std::to_string(++connection_.names_);
      if (!take(PQexecParams(link, ("DECLARE " + cursor_ + " NO SCROLL CURSOR FOR " + sql_).c_str(),
                             parameters_, nullptr, texts.data(), lengths.data(), formats.data(),
                             1))) {
        cursor_.clear();
        return false;
      }
      return fetch();
    }
    if (generation_ != connection_.generation_) {
      name_ = "s" + std::to_string(++connection_.names_);
      if (!take(PQprepare(link, name_.c_str(), sql_.c_str(), 0, nullptr)))
        return false;
      generation_ = connection_.generation_;
    }
    if (!take(PQexecPrepared(link, name_.c_str(), parameters_, texts.data(), lengths.data(),
                             formats.data(), 1)))
      return false;
    const char* changed = PQcmdTuples(result_);
    connection_.changes_ = 0;
    std::from_chars(changed, changed + std::strlen(changed), connection_.changes_);
    return true;
  }

  bool fetch() {
    return take(PQexecParams(connection_.connection_, ("FETCH 1000 FROM " + cursor_).c_str(), 0,
                             nullptr, nullptr, nullptr, nullptr, 1));
  }

  PostgresConnection& connection_;
  const std::string sql_;
  int parameters_ = 0;
  std::vector<Value> values_;
  PGresult* result_ = nullptr;
  int row_ = 0;
  bool started_ = false;
  bool many_ = false;
  std::string cursor_;
  std::string name_;
  int64_t generation_ = 0;
};

PostgresConnection::~PostgresConnection() {
  drop_statements();
  PQfinish(connection_);
}

Result<void> PostgresConnection::open(const PostgresOptions& options) {
  options_ = options;
  // What libpq says of a broken address repeats it, and a password may be in it.
  PQconninfoOption* parts = PQconninfoParse(options.url.c_str(), nullptr);
  bool sound = parts != nullptr;
  // user:password without a host reads as a host with such a port, which would be told.
  for (const PQconninfoOption* part = parts; part != nullptr && part->keyword != nullptr; ++part)
    if (std::string_view(part->keyword) == "port" && part->val != nullptr)
      sound &=
          std::string_view(part->val).find_first_not_of("0123456789,") == std::string_view::npos;
  PQconninfoFree(parts);
  if (!sound)
    return Error(ErrorCode::kInvalidArgument, "--db is no address of a PostgreSQL server; write as "
                                              "postgresql://user@host:5432/database");
  return connect();
}

Result<void> PostgresConnection::connect() {
  PQfinish(connection_);
  forget_transaction();
  // What the URL says comes last and wins. A server whose machine died answers nothing: without
  // these a write would hang for many minutes.
  const char* keywords[] = {"connect_timeout",
                            "keepalives_idle",
                            "keepalives_interval",
                            "keepalives_count",
                            "tcp_user_timeout",
                            "fallback_application_name",
                            "dbname",
                            nullptr};
  const char* values[] = {"10", "10", "5", "3", "30000", "temper", options_.url.c_str(), nullptr};
  connection_ = PQconnectdbParams(keywords, values, 1);
  ++generation_;
  const auto part = [](const char* text) { return std::string(text ? text : ""); };
  name_ = "postgresql://" + part(PQuser(connection_)) + "@" + part(PQhost(connection_)) + ":" +
          part(PQport(connection_)) + "/" + part(PQdb(connection_));
  if (PQstatus(connection_) != CONNECTION_OK)
    return connection_error();
  PQsetNoticeProcessor(
      connection_, [](void*, const char*) {}, nullptr);
  if (PQsetClientEncoding(connection_, "UTF8") != 0)
    return last_error();
  TEMPER_TRY_VOID(execute("SET lock_timeout = " + std::to_string(options_.lock_timeout_ms)));
  if (options_.read_only)
    TEMPER_TRY_VOID(execute("SET default_transaction_read_only = on"));
  if (!options_.schema.empty()) {
    if (!options_.read_only) {
      // IF NOT EXISTS alone fails where two connections make it at the same time.
      TEMPER_TRY(there,
                 integer(fmt::format("SELECT count(*) FROM pg_namespace WHERE nspname = '{}'",
                                     options_.schema)));
      if (there == 0) {
        const Result<void> made = execute(fmt::format(
            "{}; CREATE SCHEMA IF NOT EXISTS \"{}\"; COMMIT", kBeginWriting, options_.schema));
        if (!made) {
          rollback_outermost();
          return made.error();
        }
      }
    }
    TEMPER_TRY_VOID(execute("SET search_path TO \"" + options_.schema + "\""));
  }
  return {};
}

Error PostgresConnection::connection_error() {
  const std::string message = first_line(PQerrorMessage(connection_));
  const auto says = [&](const char* words) { return message.find(words) != std::string::npos; };
  may_come_back_ = false;
  if (PQconnectionNeedsPassword(connection_) != 0)
    return {ErrorCode::kEnvironment, "the server of " + name_ +
                                         " asks for a password; give it in PGPASSWORD or "
                                         "~/.pgpass"};
  if (says("does not exist") && says("database"))
    return {ErrorCode::kNotFound, "the server has no database for " + name_ +
                                      "; make one with `createdb`, or name another in --db"};
  if (PQconnectionUsedPassword(connection_) != 0 || says("password authentication failed"))
    return {ErrorCode::kEnvironment, "the server of " + name_ +
                                         " refuses user and password; see PGPASSWORD and "
                                         "~/.pgpass"};
  if (says("pg_hba.conf") || (says("role") && says("does not exist")))
    return {ErrorCode::kEnvironment,
            "the server of " + name_ + " lets this user not in: " + message};
  may_come_back_ = true;
  return {ErrorCode::kEnvironment, "no PostgreSQL server answers for " + name_ + ": " + message};
}

Result<void> PostgresConnection::reconnect() {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(options_.patience_ms);
  if (options_.on_wait)
    options_.on_wait("the server of " + name_ + " has gone away; waiting for it");
  for (auto pause = std::chrono::milliseconds(50);;) {
    const Result<void> connected = connect();
    if (connected || !may_come_back_)
      return connected;
    if (Clock::now() >= deadline)
      return Error(ErrorCode::kEnvironment,
                   connected.error().message + "; what was recorded before is safe, resume when it "
                                               "is back");
    std::this_thread::sleep_for(std::min<Clock::duration>(pause, deadline - Clock::now()));
    pause = std::min(pause * 2, std::chrono::milliseconds(2000));
  }
}

bool PostgresConnection::is_lost() const { return PQstatus(connection_) == CONNECTION_BAD; }

void PostgresConnection::fail(pg_result* result) {
  const char* state_text = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const std::string state = state_text ? state_text : "";
  const std::string message = first_line(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
  const std::string where = "the database " + name_;
  if (is_lost())
    error_ = {ErrorCode::kEnvironment, "the connection to " + where + " broke"};
  else if (state == "53100")
    error_ = {ErrorCode::kEnvironment, "the disk of " + where +
                                           " is full; what was recorded before is safe, make room "
                                           "and resume"};
  else if (state == "23503")
    error_ = {ErrorCode::kNotFound, "the row names another row that is not in " + where};
  else if (state.starts_with("23"))
    error_ = {ErrorCode::kInvalidArgument, "the row does not fit " + where + ": " + message};
  else if (state == "55P03")
    error_ = {ErrorCode::kEnvironment, "another process has kept " + where +
                                           " locked for more than " +
                                           std::to_string(options_.lock_timeout_ms / 1000) +
                                           " s; try again when it is done"};
  else if (state == "42501" || state == "25006")
    error_ = {ErrorCode::kEnvironment, "cannot write to " + where + ": " + message};
  else if (state == "57014")
    error_ = {ErrorCode::kInterrupted, "the query on " + where + " was interrupted"};
  else if (state.starts_with("40") || state.starts_with("53") || state.starts_with("57") ||
           state.starts_with("58"))
    error_ = {ErrorCode::kEnvironment, where + " reports: " + message};
  else if (state.starts_with("22"))
    error_ = {ErrorCode::kInvalidArgument, "the row does not fit " + where + ": " + message};
  else
    error_ = {ErrorCode::kFailed, where + " reports: " + message};
  PQclear(result);
}

Error PostgresConnection::last_error() { return error_; }

Result<void> PostgresConnection::execute(const std::string& sql) {
  PGresult* result = PQexec(connection_, sql.c_str());
  if (!is_good(result)) {
    fail(result);
    return error_;
  }
  PQclear(result);
  return {};
}

std::unique_ptr<Statement> PostgresConnection::make_statement(std::string_view sql) {
  return std::make_unique<PostgresStatement>(*this, sql);
}

Result<void> PostgresConnection::begin_outermost(Access access) {
  if (access == Access::kRead)
    return execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  Result<void> begun = execute(kBeginWriting);
  if (!begun)
    rollback_outermost();
  return begun;
}

Result<void> PostgresConnection::commit_outermost() {
  PGresult* result = PQexec(connection_, "COMMIT");
  if (!is_good(result)) {
    fail(result);
    return error_;
  }
  // COMMIT of a transaction in which something failed says ROLLBACK, and that is no error to it.
  const bool done = std::string_view(PQcmdStatus(result)) == "COMMIT";
  PQclear(result);
  if (!done)
    return Error(ErrorCode::kFailed, "the transaction was rolled back by a failed part of it");
  return {};
}

void PostgresConnection::rollback_outermost() {
  if (PQtransactionStatus(connection_) != PQTRANS_IDLE)
    PQclear(PQexec(connection_, "ROLLBACK"));
}

Result<SchemaHeader> PostgresConnection::schema_header() {
  const auto has_table = [this](std::string_view name) {
    return integer(fmt::format("SELECT count(*) FROM information_schema.tables WHERE table_schema "
                               "= current_schema() AND table_name = '{}'",
                               name));
  };
  TEMPER_TRY(ours, has_table("temper_schema"));
  if (ours == 0) {
    // Other tables of a team's database are no matter, but for one that we would have to make.
    TEMPER_TRY(theirs, has_table("measurement"));
    return SchemaHeader{theirs == 0, theirs != 0, 0};
  }
  TEMPER_TRY(version, integer("SELECT version FROM temper_schema"));
  return SchemaHeader{version == 0, false, version};
}

Result<void> PostgresConnection::set_schema_version(int64_t version) {
  TEMPER_TRY_VOID(execute("CREATE TABLE IF NOT EXISTS temper_schema (version BIGINT NOT NULL)"));
  TEMPER_TRY_VOID(execute("DELETE FROM temper_schema"));
  return execute("INSERT INTO temper_schema VALUES (" + std::to_string(version) + ")");
}

Result<void> PostgresConnection::apply_migration(const std::string& sql) {
  // Migrations name SQLite's types. Texts sort by their bytes, as there: ids are looked for by
  // their beginning.
  static constexpr std::pair<std::string_view, std::string_view> kWords[] = {
      {"INTEGER PRIMARY KEY", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"},
      {"INTEGER", "BIGINT"},
      {"REAL", "DOUBLE PRECISION"},
      {"BLOB", "BYTEA"},
      {"TEXT", "TEXT COLLATE \"C\""}};
  std::string text;
  for (size_t i = 0; i < sql.size();) {
    if (sql.compare(i, 2, "--") == 0) {
      i = std::min(sql.find('\n', i), sql.size());
      continue;
    }
    const std::string_view rest = std::string_view(sql).substr(i);
    const auto* const word = std::ranges::find_if(
        kWords, [&](const auto& known) { return rest.starts_with(known.first); });
    if (word != std::end(kWords)) {
      text += word->second;
      i += word->first.size();
    } else {
      text += sql[i++];
    }
  }
  return execute(text);
}

Result<void> PostgresConnection::check() {
  // The server keeps its own files and references in order; that it answers is what we can ask.
  return execute("SELECT count(*) FROM measurement");
}

Result<void> PostgresConnection::compact() {
  return execute("VACUUM ANALYZE measurement, candidate, skeleton, artifact, model");
}

Result<int64_t> PostgresConnection::size_bytes() {
  return integer("SELECT pg_database_size(current_database())");
}

} // namespace temper::database::detail
