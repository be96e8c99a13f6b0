/// The store's SQL on SQLite. With sqlite_store.cpp the only place that knows sqlite3.h.
#pragma once

#include "database/detail/sql.h"

struct sqlite3;

namespace temper::database::detail {

class SqliteConnection final : public Connection {
public:
  SqliteConnection() = default;
  ~SqliteConnection() override;

  /// `flags` are sqlite3_open_v2's; `path` may be a URI when they say so. `name` is for messages.
  Result<void> open(const std::string& path, int flags, const std::string& name,
                    int busy_timeout_ms);

  Result<void> execute(const std::string& sql) override;
  Result<SchemaHeader> schema_header() override;
  Result<void> set_schema_version(int64_t version) override;
  Result<void> check() override;
  Result<void> compact() override;
  Result<int64_t> size_bytes() override;
  int64_t changes() const override;
  Error last_error() override;

private:
  std::unique_ptr<Statement> make_statement(std::string_view sql) override;
  Result<void> begin_outermost(Access access) override;
  Result<void> commit_outermost() override;
  void rollback_outermost() override;
  /// The sentence for a result code of sqlite3.
  Error error_of(int code, const std::string& detail);
  void close();

  sqlite3* db_ = nullptr;
  int busy_timeout_ms_ = 0;
};

} // namespace temper::database::detail
