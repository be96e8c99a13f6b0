#include "database/detail/migrations.h"

namespace temper::database::detail {

Result<void> migrate(Connection& connection, std::span<const Migration> history, bool may_write) {
  const int64_t newest = history.empty() ? 0 : history.back().number;
  const auto check = [&](const SchemaHeader& header) -> Result<void> {
    if (header.foreign)
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
                   header.fresh
                       ? "'" + connection.name() + "' is empty: nothing was recorded in it yet"
                       : "the database '" + connection.name() +
                             "' was made by an older version of temper; open it once for writing, "
                             "as with `temper list`, and it is brought up to date");
    return {};
  };

  {
    // In one snapshot: another process may be making the file, and half of what it does must not be
    // taken for the work of another program.
    Transaction look(connection, Access::kRead);
    TEMPER_TRY_VOID(look.status());
    TEMPER_TRY(seen, connection.schema_header());
    TEMPER_TRY_VOID(look.commit());
    TEMPER_TRY_VOID(check(seen));
    if (seen.version == newest)
      return {};
  }

  Transaction transaction(connection);
  TEMPER_TRY_VOID(transaction.status());
  // Another process may have migrated between the look and the lock.
  TEMPER_TRY(header, connection.schema_header());
  TEMPER_TRY_VOID(check(header));
  for (const Migration& migration : history) {
    if (migration.number <= header.version)
      continue;
    if (auto done = connection.apply_migration(migration.sql); !done)
      return std::move(done).error().code == ErrorCode::kFailed
                 ? Error(ErrorCode::kFailed, std::string("migration ") + migration.name +
                                                 " does not apply: " + done.error().message)
                 : done.error();
  }
  TEMPER_TRY_VOID(connection.set_schema_version(newest));
  return transaction.commit();
}

} // namespace temper::database::detail
