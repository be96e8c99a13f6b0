/// The schema's history, embedded at build time from `database/migrations/NNNN_name.sql`.
#pragma once

#include "database/detail/sql.h"

#include <span>

namespace temper::database::detail {

struct Migration {
  int number; ///< 1, 2, … ; the file's user_version once it is applied
  const char* name;
  const char* sql;
};

std::span<const Migration> migrations();

/// "tmpr": what SQLite's header says of our files.
inline constexpr int64_t kApplicationId = 0x746d7072;

/// Applies, in one transaction, what the file does not have yet. Fails, in one sentence, on a file
/// that another program or a newer version made, and, unless `may_write`, on an older one.
Result<void> migrate(Connection& connection, std::span<const Migration> history, bool may_write);

} // namespace temper::database::detail
