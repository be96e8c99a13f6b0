/// The store's SQL on PostgreSQL by libpq. With postgres_store.cpp the only place that knows it.
#pragma once

#include "database/detail/sql.h"
#include "database/postgres_store.h"

#include <functional>
#include <string>

struct pg_conn;
struct pg_result;

namespace temper::database::detail {

class PostgresConnection final : public Connection {
public:
  PostgresConnection() = default;
  ~PostgresConnection() override;

  Result<void> open(const PostgresOptions& options);
  /// After a break: connects again, for as long as the options' patience lasts.
  Result<void> reconnect();

  Result<void> execute(const std::string& sql) override;
  Result<SchemaHeader> schema_header() override;
  Result<void> set_schema_version(int64_t version) override;
  Result<void> apply_migration(const std::string& sql) override;
  Result<void> check() override;
  Result<void> compact() override;
  Result<int64_t> size_bytes() override;
  int64_t changes() const override { return changes_; }
  bool is_lost() const override;
  Error last_error() override;

private:
  friend class PostgresStatement;
  std::unique_ptr<Statement> make_statement(std::string_view sql) override;
  Result<void> begin_outermost(Access access) override;
  Result<void> commit_outermost() override;
  void rollback_outermost() override;
  Result<void> connect();
  Error connection_error();
  /// Keeps what went wrong for last_error; frees the result.
  void fail(pg_result* result);

  pg_conn* connection_ = nullptr;
  PostgresOptions options_;
  int64_t generation_ = 0; ///< counts connections: statements are prepared in each
  int64_t names_ = 0;      ///< of statements and cursors
  int64_t changes_ = 0;
  bool may_come_back_ = true; ///< whether waiting can help after the last connection error
  Error error_{ErrorCode::kFailed, "nothing failed"};
};

} // namespace temper::database::detail
