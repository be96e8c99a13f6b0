/// SQL for the store, whichever database is behind it: connections with cached statements, queries
/// that bind and read in order, transactions, and errors in sentences. sqlite.h and postgres.h are
/// the two back ends.
///
///   Query query(connection, "SELECT name, flops FROM workload WHERE id = $1", id);
///   while (query.next()) use(query.text(), query.real());
///   TEMPER_TRY_VOID(query.finish());
///
/// Statements are written in what both databases understand; their parameters are $1, $2, ….
#pragma once

#include "ir/support/result.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace temper::database::detail {

/// Bytes to bind, as opposed to text. A default-constructed view is NULL.
struct Blob {
  std::string_view bytes;
};

struct Null {};

enum class Access : uint8_t { kWrite, kRead };

/// One prepared statement of a back end; used again once it is reset. Parameters and columns count
/// from 0.
class Statement {
public:
  virtual ~Statement() = default;

  virtual void bind_integer(int parameter, int64_t value) = 0;
  virtual void bind_real(int parameter, double value) = 0;
  virtual void bind_text(int parameter, std::string_view text) = 0;
  virtual void bind_blob(int parameter, std::string_view bytes) = 0;
  virtual void bind_null(int parameter) = 0;
  virtual int parameter_count() const = 0;

  enum class Step : uint8_t { kRow, kDone, kFailed };
  /// Runs it on the first call, and goes to the next row.
  virtual Step step() = 0;
  /// To the state before the first step, without parameters.
  virtual void reset() = 0;
  /// Before the first step: the rows are many, and shall not all be fetched at once.
  virtual void expect_many() {}

  // Of the current row. NULL is 0, NaN or empty.
  virtual int64_t integer(int column) = 0;
  virtual double real(int column) = 0;
  virtual std::string text(int column) = 0;
  virtual std::string blob(int column) = 0;
  virtual bool is_null(int column) const = 0;
};

/// What a database says of its schema.
struct SchemaHeader {
  bool fresh = false;   ///< there is nothing in it yet
  bool foreign = false; ///< another program's tables are in it
  int64_t version = 0;  ///< the last migration that was applied
};

class Connection {
public:
  Connection() = default;
  virtual ~Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// One or more statements without results.
  virtual Result<void> execute(const std::string& sql) = 0;
  /// The first column of the first row; kNotFound without a row.
  Result<int64_t> integer(const std::string& sql);

  /// Nests: only the outermost begin and commit reach the database. rollback ends all levels.
  /// kWrite waits for other writers; kRead sees one state of the database to the end.
  Result<void> begin(Access access = Access::kWrite);
  Result<void> commit();
  void rollback();
  bool in_transaction() const { return depth_ > 0; }

  virtual Result<SchemaHeader> schema_header() = 0;
  virtual Result<void> set_schema_version(int64_t version) = 0;
  /// Runs a migration's text, which is written for SQLite.
  virtual Result<void> apply_migration(const std::string& sql) { return execute(sql); }

  /// Reads everything and says what is broken, one sentence.
  virtual Result<void> check() = 0;
  /// Gives the room of deleted rows back, where that does not happen by itself.
  virtual Result<void> compact() = 0;
  /// Of the whole database.
  virtual Result<int64_t> size_bytes() = 0;

  /// Rows that the last statement changed.
  virtual int64_t changes() const = 0;
  /// Counts rollbacks, so that caches of row numbers know when they are wrong.
  int64_t rollbacks() const { return rollbacks_; }
  /// The connection itself broke; another one may do what this one could not.
  virtual bool is_lost() const { return false; }

  /// What went wrong last, as a sentence with advice.
  virtual Error last_error() = 0;
  /// For messages: the path, or the server.
  const std::string& name() const { return name_; }

protected:
  friend class Query;
  struct Cached {
    std::unique_ptr<Statement> statement;
    bool busy = false;
  };
  /// Null: see last_error.
  Cached* prepare(std::string_view sql);
  /// Before the database goes away, which the statements refer to.
  void drop_statements() { cache_.clear(); }
  /// After a break: there is no transaction any more, and row numbers may be other ones.
  void forget_transaction() {
    depth_ = 0;
    ++rollbacks_;
  }

  virtual std::unique_ptr<Statement> make_statement(std::string_view sql) = 0;
  virtual Result<void> begin_outermost(Access access) = 0;
  virtual Result<void> commit_outermost() = 0;
  virtual void rollback_outermost() = 0;

  std::string name_;

private:
  int depth_ = 0;
  int64_t rollbacks_ = 0;
  std::map<std::string, std::vector<std::unique_ptr<Cached>>, std::less<>> cache_;
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
  /// Before the first next(), where the rows are those of a whole table.
  Query& many();
  const Connection& connection() const { return connection_; }

  int64_t integer() { return statement().integer(column_++); }
  uint64_t word() { return static_cast<uint64_t>(integer()); }
  double real(); ///< NULL is NaN
  std::string text() { return statement().text(column_++); }
  std::string blob() { return statement().blob(column_++); }
  bool boolean() { return integer() != 0; }
  bool is_null() const { return statement().is_null(column_); }
  void skip() { ++column_; }

private:
  Statement& statement() const { return *cached_->statement; }

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
