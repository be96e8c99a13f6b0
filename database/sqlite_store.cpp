#include "database/sqlite_store.h"

#include "database/detail/migrations.h"
#include "database/detail/sql_store.h"
#include "database/detail/sqlite.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sqlite3.h>
#include <thread>
#include <unistd.h>

namespace temper::database {

using detail::Query;
using detail::SqliteConnection;

namespace {

Result<void> open(SqliteConnection& db, System& system, const SqliteOptions& options) {
  namespace fs = std::filesystem;
  const bool in_memory = options.path == ":memory:";
  const std::string path = options.path.string();
  int flags = options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  std::string opened = path;

  if (!in_memory) {
    std::error_code ignored;
    const fs::path folder = options.path.has_parent_path() ? options.path.parent_path() : ".";
    if (options.create_folders && !options.read_only) {
      std::error_code error;
      fs::create_directories(folder, error);
      if (error)
        return Error(ErrorCode::kEnvironment, "cannot make the folder '" + folder.string() +
                                                  "' for the database: " + error.message());
    }
    if (!fs::is_directory(folder, ignored))
      return Error(ErrorCode::kNotFound,
                   "there is no folder '" + folder.string() + "' for the database '" + path + "'");
    const bool exists = fs::exists(options.path, ignored);
    if (exists && fs::is_directory(options.path, ignored))
      return Error(ErrorCode::kInvalidArgument,
                   "'" + path + "' is a folder; name a file in it with --db");
    if (!exists && options.read_only)
      return Error(ErrorCode::kNotFound, "there is no database '" + path + "' yet");

    const std::string shared = unsafe_filesystem(system.filesystem(exists ? options.path : folder));
    if (!shared.empty())
      return Error(ErrorCode::kUnsupported,
                   "the database '" + path + "' would lie on a network file system (" + shared +
                       "), where two machines can destroy it; put it on a local disk with --db "
                       "PATH or TEMPER_DB, or use --db postgresql://… for a team");

    // Asked, not tried: to open and close the file here would drop the locks of every connection
    // that this process has to it (POSIX locks belong to the process), and the next writer
    // elsewhere would destroy it.
    if (exists && ::faccessat(AT_FDCWD, path.c_str(), options.read_only ? R_OK : R_OK | W_OK,
                              AT_EACCESS) != 0)
      return Error(ErrorCode::kEnvironment,
                   std::string("cannot ") + (options.read_only ? "read" : "write to") +
                       " the database '" + path + "': " + std::strerror(errno));
    const uintmax_t size = exists ? fs::file_size(options.path, ignored) : 0;
    constexpr uintmax_t kSmallestPage = 512;
    if (exists && size > 0 && size < kSmallestPage) // SQLite would take it for an empty one
      return Error(ErrorCode::kInvalidArgument,
                   "'" + path + "' is not a database; name another file with --db");
    if (exists && options.read_only && size == 0)
      return Error(ErrorCode::kUnsupported,
                   "'" + path + "' is empty: nothing was recorded in it yet");
    if (!options.read_only && ::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
      return Error(ErrorCode::kEnvironment, "cannot write to the folder '" + folder.string() +
                                                "' of the database: " + std::strerror(errno));
    if (options.read_only && !fs::exists(path + "-wal", ignored) &&
        ::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
      // Nobody has it open, and the shared memory file that readers need cannot be made.
      opened = "file:";
      for (const char c : path)
        opened += c == '%' ? "%25" : c == '?' ? "%3f" : c == '#' ? "%23" : std::string(1, c);
      opened += "?immutable=1";
      flags |= SQLITE_OPEN_URI;
    }
  }

  TEMPER_TRY_VOID(db.open(opened, flags, path, options.busy_timeout_ms));
  if (options.max_bytes > 0) {
    TEMPER_TRY(page_size, db.integer("PRAGMA page_size"));
    TEMPER_TRY_VOID(
        db.execute("PRAGMA max_page_count = " +
                   std::to_string(std::max<int64_t>(1, options.max_bytes / page_size))));
  }
  TEMPER_TRY_VOID(db.execute("PRAGMA foreign_keys = ON"));
  // 16 MiB of pages: ids are random, so the tops of the indices should stay in memory.
  TEMPER_TRY_VOID(db.execute("PRAGMA cache_size = -16384"));
  TEMPER_TRY_VOID(detail::migrate(db, detail::migrations(), !options.read_only));
  if (!in_memory && !options.read_only) {
    // After the check of whose file it is: this changes the file. The switch needs the file for
    // itself for a moment and does not wait by itself, so two processes at the start collide.
    for (int attempt = 0;; ++attempt) {
      Query query(db, "PRAGMA journal_mode = WAL");
      const bool done = query.next() && query.text() == "wal";
      const Result<void> status = query.finish();
      if (done)
        break;
      if (attempt * 5 >= options.busy_timeout_ms)
        return status ? Error(ErrorCode::kUnsupported,
                              "the file system of '" + path +
                                  "' cannot hold a database that several processes use; put it on "
                                  "a local disk with --db PATH")
                      : status.error();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    // NORMAL: a commit is safe against kill -9 at once, and against power loss after the next
    // checkpoint. FULL costs a disk flush, 3 ms and more, for each trial.
    TEMPER_TRY_VOID(db.execute("PRAGMA synchronous = NORMAL"));
  }
  return {};
}

} // namespace

int current_schema_version() { return detail::migrations().back().number; }

Result<std::unique_ptr<Store>> open_sqlite_store(const SqliteOptions& options) {
  System& system = options.system ? *options.system : System::real();
  auto connection = std::make_unique<SqliteConnection>();
  TEMPER_TRY_VOID(open(*connection, system, options));
  return std::unique_ptr<Store>(std::make_unique<detail::SqlStore>(std::move(connection), system));
}

Result<std::filesystem::path> default_database_path() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value ? value : "";
  };
  if (const std::string path = variable("TEMPER_DB"); !path.empty())
    return std::filesystem::path(path);
  // The specification says to ignore a relative path here.
  if (const std::string data = variable("XDG_DATA_HOME"); data.starts_with('/'))
    return std::filesystem::path(data) / "temper" / "temper.db";
  if (const std::string home = variable("HOME"); !home.empty())
    return std::filesystem::path(home) / ".local" / "share" / "temper" / "temper.db";
  return Error(ErrorCode::kEnvironment,
               "neither TEMPER_DB nor HOME is set; say where the database is with --db PATH");
}

} // namespace temper::database
