/// What `--db` and TEMPER_DB may be: a file, or the address of a PostgreSQL server.
#pragma once

#include "ir/support/result.h"

#include <string_view>

namespace temper::database {

/// True for postgresql:// and postgres://, which is then no file's name.
bool is_postgres_url(std::string_view location);

/// Refuses what is meant to be a server but is written otherwise, before a file of that name is
/// made: libpq's `host=... user=...`, and addresses of other databases. The error shows the
/// spelling to use and nothing of the location, which may hold a password.
Result<void> check_location(std::string_view location);

} // namespace temper::database
