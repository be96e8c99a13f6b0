#include "database/detail/migrations.h"

namespace temper::database::detail {

namespace {

struct Header {
  int64_t application_id = 0;
  int64_t version = 0;
  int64_t objects = 0; ///< tables, indices, views
};

Result<Header> read_header(Connection& connection) {
  Header header;
  TEMPER_TRY(id, connection.integer("PRAGMA application_id"));
  TEMPER_TRY(version, connection.integer("PRAGMA user_version"));
  TEMPER_TRY(objects, connection.integer("SELECT count(*) FROM sqlite_master"));
  return Header{id, version, objects};
}

} // namespace

Result<void> migrate(Connection& connection, std::span<const Migration> history, bool may_write) {
  const int64_t newest = history.empty() ? 0 : history.back().number;
  const auto check = [&](const Header& header) -> Result<void> {
    const bool fresh = header.application_id == 0 && header.version == 0 && header.objects == 0;
    if (!fresh && header.application_id != kApplicationId)
      return Error(ErrorCode::kInvalidArgument,
                   "'" + connection.name() +
                       "' is a database of another program, not temper's; name another file with "
                       "--db");
    if (header.version > newest)
      return Error(ErrorCode::kCorrupt, "the database '" + connection.name() +
                                            "' was made by a newer version of temper (schema " +
                                            std::to_string(header.version) + ", this one knows " +
                                            std::to_string(newest) +
                                            "); use that version, or another file with --db");
    if (header.version < newest && !may_write)
      return Error(ErrorCode::kUnsupported,
                   fresh
                       ? "'" + connection.name() + "' is empty: nothing was recorded in it yet"
                       : "the database '" + connection.name() +
                             "' was made by an older version of temper; open it once for writing, "
                             "as with `temper list`, and it is brought up to date");
    return {};
  };

  TEMPER_TRY(seen, read_header(connection));
  TEMPER_TRY_VOID(check(seen));
  if (seen.version == newest)
    return {};

  Transaction transaction(connection);
  TEMPER_TRY_VOID(transaction.status());
  // Another process may have migrated between the look and the lock.
  TEMPER_TRY(header, read_header(connection));
  TEMPER_TRY_VOID(check(header));
  for (const Migration& migration : history) {
    if (migration.number <= header.version)
      continue;
    if (auto done = connection.execute(migration.sql); !done)
      return std::move(done).error().code == ErrorCode::kFailed
                 ? Error(ErrorCode::kFailed, std::string("migration ") + migration.name +
                                                 " does not apply: " + done.error().message)
                 : done.error();
  }
  TEMPER_TRY_VOID(connection.execute("PRAGMA application_id = " + std::to_string(kApplicationId)));
  TEMPER_TRY_VOID(connection.execute("PRAGMA user_version = " + std::to_string(newest)));
  return transaction.commit();
}

} // namespace temper::database::detail
