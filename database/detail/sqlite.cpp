#include "database/detail/sqlite.h"

#include <sqlite3.h>

#include <algorithm>
#include <optional>

namespace temper::database::detail {

namespace {
constexpr size_t kCacheLimit = 200; // distinct statements; the store itself has about 100
}

Connection::~Connection() { close(); }

void Connection::close() {
  for (auto& [sql, statements] : cache_)
    for (Cached* cached : statements) {
      sqlite3_finalize(cached->statement);
      delete cached;
    }
  cache_.clear();
  sqlite3_close(db_);
  db_ = nullptr;
}

Result<void> Connection::open(const std::string& path, int flags, const std::string& name,
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

Error Connection::last_error() {
  if (!db_)
    return Error(ErrorCode::kEnvironment, "the database '" + name_ + "' is not open");
  return error_of(sqlite3_extended_errcode(db_), sqlite3_errmsg(db_));
}

Error Connection::error_of(int code, const std::string& detail) {
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

Result<void> Connection::execute(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return last_error();
  return {};
}

Result<int64_t> Connection::integer(const std::string& sql) {
  Query query(*this, sql);
  if (!query.next()) {
    TEMPER_TRY_VOID(query.finish());
    return Error(ErrorCode::kNotFound, "no row for: " + sql);
  }
  return query.integer();
}

Result<void> Connection::begin(Access access) {
  if (depth_ == 0)
    // IMMEDIATE takes the write lock now, with the busy timeout. A transaction that begins by
    // reading and then wants to write fails at once when another writer came between.
    TEMPER_TRY_VOID(Query(*this, access == Access::kRead ? "BEGIN" : "BEGIN IMMEDIATE").run());
  ++depth_;
  return {};
}

Result<void> Connection::commit() {
  // A nested transaction that failed has rolled back everything.
  if (depth_ == 0)
    return Error(ErrorCode::kFailed, "the transaction was rolled back by a failed part of it");
  if (--depth_ > 0)
    return {};
  Result<void> result = Query(*this, "COMMIT").run();
  if (!result) {
    depth_ = 1;
    rollback();
  }
  return result;
}

void Connection::rollback() {
  if (depth_ == 0)
    return;
  depth_ = 0;
  ++rollbacks_;
  // A full disk may have rolled back by itself.
  if (!sqlite3_get_autocommit(db_))
    sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
}

Result<void> Connection::check() {
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

int64_t Connection::changes() const { return sqlite3_changes64(db_); }
int64_t Connection::last_insert_rowid() const { return sqlite3_last_insert_rowid(db_); }

Connection::Cached* Connection::prepare(std::string_view sql) {
  auto found = cache_.find(sql);
  if (found == cache_.end())
    found = cache_.emplace(std::string(sql), std::vector<Cached*>()).first;
  // A visitor may run the same statement while it is being walked: then it gets one of its own.
  for (Cached* cached : found->second)
    if (!cached->busy) {
      cached->busy = true;
      return cached;
    }
  // Filters make statements of their own; the cache must not grow with every one a viewer asks.
  if (cache_.size() > kCacheLimit)
    std::erase_if(cache_, [&](auto& entry) {
      if (&entry.second == &found->second ||
          std::ranges::any_of(entry.second, [](const Cached* cached) { return cached->busy; }))
        return false;
      for (Cached* cached : entry.second) {
        sqlite3_finalize(cached->statement);
        delete cached;
      }
      return true;
    });
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                         &statement, nullptr) != SQLITE_OK)
    return nullptr;
  found->second.push_back(new Cached{statement, true});
  return found->second.back();
}

Query::~Query() {
  if (!cached_)
    return;
  sqlite3_reset(cached_->statement);
  sqlite3_clear_bindings(cached_->statement);
  cached_->busy = false;
}

Query& Query::bind(int64_t value) {
  if (cached_)
    sqlite3_bind_int64(cached_->statement, ++parameter_, value);
  return *this;
}

Query& Query::bind(double value) {
  if (std::isnan(value))
    return bind(Null{});
  if (cached_)
    sqlite3_bind_double(cached_->statement, ++parameter_, value);
  return *this;
}

Query& Query::bind(std::string_view text) {
  if (!cached_)
    return *this;
  // Copied: the caller's text may be a temporary. An empty view must not become NULL.
  sqlite3_bind_text64(cached_->statement, ++parameter_, text.empty() ? "" : text.data(),
                      text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

Query& Query::bind(Blob blob) {
  if (!blob.bytes.data())
    return bind(Null{});
  if (cached_)
    sqlite3_bind_blob64(cached_->statement, ++parameter_,
                        blob.bytes.empty() ? "" : blob.bytes.data(), blob.bytes.size(),
                        SQLITE_TRANSIENT);
  return *this;
}

Query& Query::bind(Null) {
  if (cached_)
    sqlite3_bind_null(cached_->statement, ++parameter_);
  return *this;
}

bool Query::next() {
  if (error_ || !cached_)
    return false;
  column_ = 0;
  TEMPER_CHECK(parameter_ == sqlite3_bind_parameter_count(cached_->statement),
               "a statement gets a value for each of its parameters");
  const int code = sqlite3_step(cached_->statement);
  if (code == SQLITE_ROW)
    return true;
  if (code != SQLITE_DONE)
    error_ = connection_.last_error();
  return false;
}

Result<void> Query::finish() {
  if (error_)
    return *error_;
  return {};
}

Result<void> Query::run() {
  while (next()) {
  }
  return finish();
}

int64_t Query::integer() { return sqlite3_column_int64(cached_->statement, column_++); }

double Query::real() {
  if (is_null()) {
    ++column_;
    return std::numeric_limits<double>::quiet_NaN();
  }
  return sqlite3_column_double(cached_->statement, column_++);
}

std::string Query::text() {
  const auto* text =
      reinterpret_cast<const char*>(sqlite3_column_text(cached_->statement, column_));
  const int bytes = sqlite3_column_bytes(cached_->statement, column_++);
  return text ? std::string(text, static_cast<size_t>(bytes)) : std::string();
}

std::string Query::blob() {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(cached_->statement, column_));
  const int size = sqlite3_column_bytes(cached_->statement, column_++);
  return bytes ? std::string(bytes, static_cast<size_t>(size)) : std::string();
}

bool Query::is_null() const {
  return sqlite3_column_type(cached_->statement, column_) == SQLITE_NULL;
}

std::string valid_text(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = byte < 0x80   ? 1
                          : byte < 0xc2 ? 0
                          : byte < 0xe0 ? 2
                          : byte < 0xf0 ? 3
                          : byte < 0xf5 ? 4
                                        : 0;
    bool valid = length > 0 && byte != 0 && i + length <= text.size();
    for (size_t k = 1; valid && k < length; ++k) {
      const auto more = static_cast<unsigned char>(text[i + k]);
      valid = (more & 0xc0) == 0x80;
      // Over-long forms, surrogates, and beyond U+10FFFF.
      if (k == 1 && ((byte == 0xe0 && more < 0xa0) || (byte == 0xed && more > 0x9f) ||
                     (byte == 0xf0 && more < 0x90) || (byte == 0xf4 && more > 0x8f)))
        valid = false;
    }
    if (valid)
      result.append(text.substr(i, length));
    else
      result += '?';
    i += valid ? length : 1;
  }
  return result;
}

} // namespace temper::database::detail
