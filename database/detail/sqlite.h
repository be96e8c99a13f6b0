/// A thin layer over the sqlite3 C API: connections with cached statements, queries that bind and
/// read in order, transactions, and errors in sentences. Nothing else includes sqlite3.h.
///
///   Query query(connection, "SELECT name, flops FROM workload WHERE id = $1", id);
///   while (query.next()) use(query.text(), query.real());
///   TEMPER_TRY_VOID(query.finish());
#pragma once

#include "ir/support/result.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace temper::database::detail {

/// Bytes to bind, as opposed to text. A default-constructed view is NULL.
struct Blob {
  std::string_view bytes;
};

struct Null {};

enum class Access : uint8_t { kWrite, kRead };

class Connection {
public:
  Connection() = default;
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// `flags` are sqlite3_open_v2's; `path` may be a URI when they say so. `name` is for messages.
  Result<void> open(const std::string& path, int flags, const std::string& name,
                    int busy_timeout_ms);
  /// One or more statements without results.
  Result<void> execute(const std::string& sql);
  /// The first column of the first row; kNotFound without a row.
  Result<int64_t> integer(const std::string& sql);

  /// Nests: only the outermost begin and commit reach the database. rollback ends all levels.
  /// kWrite waits for other writers; kRead sees one state of the file to the end.
  Result<void> begin(Access access = Access::kWrite);
  Result<void> commit();
  void rollback();
  bool in_transaction() const { return depth_ > 0; }

  /// Reads everything and says what is broken, one sentence.
  Result<void> check();

  int64_t changes() const;
  int64_t last_insert_rowid() const;
  /// Counts rollbacks, so that caches of row numbers know when they are wrong.
  int64_t rollbacks() const { return rollbacks_; }

  /// What went wrong last, as a sentence with advice.
  Error last_error();
  /// The same for a result code of sqlite3.
  Error error_of(int code, const std::string& detail);
  const std::string& name() const { return name_; }

private:
  friend class Query;
  struct Cached {
    sqlite3_stmt* statement = nullptr;
    bool busy = false;
  };
  Cached* prepare(std::string_view sql);
  void close();

  sqlite3* db_ = nullptr;
  std::string name_;
  int busy_timeout_ms_ = 0;
  int depth_ = 0;
  int64_t rollbacks_ = 0;
  std::map<std::string, std::vector<Cached*>, std::less<>> cache_;
};

/// One execution of a statement. Columns are read in order.
class Query {
public:
  template <typename... Values>
  Query(Connection& connection, std::string_view sql, const Values&... values)
      : connection_(connection), cached_(connection.prepare(sql)) {
    if (!cached_)
      error_ = connection_.last_error();
    (bind(values), ...);
  }
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  Query& bind(int64_t value);
  Query& bind(int value) { return bind(static_cast<int64_t>(value)); }
  Query& bind(uint64_t value) { return bind(static_cast<int64_t>(value)); }
  Query& bind(bool value) { return bind(static_cast<int64_t>(value)); }
  Query& bind(double value); ///< NaN is NULL
  Query& bind(std::string_view text);
  Query& bind(const std::string& text) { return bind(std::string_view(text)); }
  Query& bind(const char* text) { return bind(std::string_view(text)); }
  Query& bind(Blob blob);
  Query& bind(Null);

  /// True when there is a row; its columns are then read from the first one on.
  bool next();
  /// To be called after the last next(): the error, if there was one.
  Result<void> finish();
  /// For statements without rows: next() and finish().
  Result<void> run();
  const Connection& connection() const { return connection_; }

  int64_t integer();
  uint64_t word() { return static_cast<uint64_t>(integer()); }
  double real(); ///< NULL is NaN
  std::string text();
  std::string blob();
  bool boolean() { return integer() != 0; }
  bool is_null() const;
  void skip() { ++column_; }

private:
  Connection& connection_;
  Connection::Cached* cached_;
  std::optional<Error> error_;
  int parameter_ = 0;
  int column_ = 0;
};

/// Begins on construction (see `status`), rolls back unless committed.
class Transaction {
public:
  explicit Transaction(Connection& connection, Access access = Access::kWrite)
      : connection_(connection), status_(connection.begin(access)) {}
  ~Transaction() {
    if (!done_ && status_)
      connection_.rollback();
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  const Result<void>& status() const { return status_; }
  Result<void> commit() {
    done_ = true;
    return connection_.commit();
  }

private:
  Connection& connection_;
  Result<void> status_;
  bool done_ = false;
};

/// The text with every byte that is not part of valid UTF-8, and every NUL, replaced by `?`.
/// Compilers' and kernels' messages may hold anything; JSON and PostgreSQL accept only UTF-8.
std::string valid_text(std::string_view text);

} // namespace temper::database::detail
