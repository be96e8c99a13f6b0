/// The store on a PostgreSQL server, for a team: the same schema by the same migrations.
///
/// One process writes at a time, as in SQLite: a transaction that writes holds one advisory lock of
/// the database. A server that goes away is waited for, and what was under way is done again; an
/// outcome is in the database once all the same. Without libpq (TEMPER_POSTGRES off) opening says
/// so.
#pragma once

#include "database/location.h"
#include "database/store.h"
#include "database/system.h"

#include <functional>
#include <memory>
#include <string>

namespace temper::database {

struct PostgresOptions {
  std::string url;    ///< postgresql://[user[:password]@]host[:port]/database[?option=value…]
  std::string schema; ///< the tables lie in this schema, made when it is not there; empty: default
  bool read_only = false;
  int patience_ms = 300'000;    ///< how long a server that went away is waited for
  int lock_timeout_ms = 60'000; ///< how long to wait for another process's transaction
  /// Told once each time the server went away.
  std::function<void(const std::string&)> on_wait;
  System* system = nullptr; ///< the machine; null: the real one. Must outlive the store
};

/// Connects, and brings the schema up to date. Errors, each a sentence without the password: no
/// server there; the password is missing or wrong; no such database; made by a newer temper.
Result<std::unique_ptr<Store>> open_postgres_store(const PostgresOptions& options);

} // namespace temper::database
