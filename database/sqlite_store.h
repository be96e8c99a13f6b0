/// The store in one SQLite file, or in memory for tests.
#pragma once

#include "database/store.h"
#include "database/system.h"

#include <filesystem>
#include <memory>

namespace temper::database {

/// The number of the newest migration; a file with a higher one is refused.
int current_schema_version();

struct SqliteOptions {
  std::filesystem::path path = ":memory:"; ///< `:memory:` is a database of its own, in memory
  bool read_only = false;       ///< for viewers: never creates, never migrates, never writes
  bool create_folders = false;  ///< also make the folders above the file
  int64_t max_bytes = 0;        ///< refuse to grow beyond, as a full disk would; 0: no limit
  int busy_timeout_ms = 10'000; ///< how long to wait for another process's transaction
  System* system = nullptr;     ///< the machine; null: the real one. Must outlive the store
};

/// Opens the file, makes it when it is not there, and brings its schema up to date. Errors, each a
/// sentence of its own: made by a newer temper; of another program; not writable; disk full;
/// damaged; on a network file system.
Result<std::unique_ptr<Store>> open_sqlite_store(const SqliteOptions& options);

/// $TEMPER_DB, else $XDG_DATA_HOME/temper/temper.db, else ~/.local/share/temper/temper.db.
Result<std::filesystem::path> default_database_path();

} // namespace temper::database
