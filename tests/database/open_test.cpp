// Opening: each way in which a file can be unusable gets a sentence of its own.
#include "database/detail/migrations.h"
#include "database/detail/sqlite.h"
#include "tests/database/fixture.h"

#include <fstream>
#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <thread>

namespace temper::database {
namespace {

using ::testing::HasSubstr;

/// Runs SQL on a file as any other program would.
void sql(const std::filesystem::path& path, const std::string& text) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  char* message = nullptr;
  ASSERT_EQ(sqlite3_exec(db, text.c_str(), nullptr, nullptr, &message), SQLITE_OK) << message;
  sqlite3_close(db);
}

Error error_of_opening(const SqliteOptions& options) {
  auto store = open_sqlite_store(options);
  if (store) {
    ADD_FAILURE() << "it opens";
    return {};
  }
  return store.error();
}

void write(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

/// Runs as a user without rights when the tests run as root; root may write anywhere.
class AsNobody {
public:
  AsNobody() : root_(::geteuid() == 0) {
    if (root_) {
      EXPECT_EQ(::seteuid(65534), 0);
    }
  }
  ~AsNobody() {
    if (root_) {
      EXPECT_EQ(::seteuid(0), 0);
    }
  }

private:
  bool root_;
};

TEST(Open, MakesANewFileInTheOneFormat) {
  Folder folder;
  { Scene scene(*must(open_sqlite_store({.path = folder / "t.db"}))); }
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((folder / "t.db").c_str(), &db), SQLITE_OK);
  const auto pragma = [&](const char* text) {
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(db, text, -1, &statement, nullptr), SQLITE_OK);
    EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW);
    const std::string value = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return value;
  };
  EXPECT_EQ(pragma("PRAGMA application_id"), std::to_string(0x746d7072));
  EXPECT_EQ(pragma("PRAGMA user_version"), std::to_string(current_schema_version()));
  EXPECT_EQ(pragma("PRAGMA journal_mode"), "wal");
  sqlite3_close(db);
}

TEST(Open, FindsAgainWhatWasRecorded) {
  Folder folder;
  Id id;
  {
    auto store = must(open_sqlite_store({.path = folder / "t.db"}));
    Scene scene(*store);
    id = scene.record(Scene::trace(1), scene.measurement(10)).measurement;
  }
  auto store = must(open_sqlite_store({.path = folder / "t.db"}));
  EXPECT_EQ(must(store->measurement(id)).median_ns, 10);
}

TEST(Open, TakesAnEmptyFile) {
  Folder folder;
  write(folder / "t.db", "");
  ASSERT_OK(open_sqlite_store({.path = folder / "t.db"}));
}

TEST(Open, RefusesADatabaseFromANewerVersion) {
  Folder folder;
  ASSERT_OK(open_sqlite_store({.path = folder / "t.db"}));
  sql(folder / "t.db", "PRAGMA user_version = 999");
  for (const bool read_only : {false, true}) {
    const Error error = error_of_opening({.path = folder / "t.db", .read_only = read_only});
    EXPECT_EQ(error.code, ErrorCode::kCorrupt);
    EXPECT_THAT(error.message, HasSubstr("newer version of temper (schema 999"));
  }
}

TEST(Open, RefusesAFileThatIsNoDatabase) {
  Folder folder;
  write(folder / "notes.txt", "these are my notes, and they are longer than a header");
  write(folder / "short", "x");
  for (const char* name : {"notes.txt", "short"}) {
    const Error error = error_of_opening({.path = folder / name});
    EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.message, HasSubstr("is not a database"));
  }
  EXPECT_EQ(std::filesystem::file_size(folder / "short"), 1u) << "and leaves it as it is";
}

TEST(Open, RefusesADatabaseOfAnotherProgram) {
  Folder folder;
  sql(folder / "none.db", "CREATE TABLE bookmarks (url TEXT)");
  sql(folder / "other.db", "PRAGMA application_id = 1234; CREATE TABLE tiles (x INTEGER)");
  sql(folder / "version.db", "PRAGMA user_version = 1");
  for (const char* name : {"none.db", "other.db", "version.db"}) {
    const Error error = error_of_opening({.path = folder / name});
    EXPECT_EQ(error.code, ErrorCode::kInvalidArgument) << name;
    EXPECT_THAT(error.message, HasSubstr("of another program")) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "none.db-wal")) << "and leaves it as it is";
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((folder / "none.db").c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, "SELECT url FROM bookmarks; PRAGMA journal_mode = DELETE", nullptr,
                         nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
}

TEST(Open, RefusesAFileOrFolderThatCannotBeWritten) {
  Folder folder;
  ASSERT_OK(open_sqlite_store({.path = folder / "t.db"}));
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(folder / "t.db", std::filesystem::perms(0444));
  std::filesystem::create_directory(folder / "sub");
  std::filesystem::permissions(folder / "sub", std::filesystem::perms(0555));
  AsNobody nobody;
  const Error file = error_of_opening({.path = folder / "t.db"});
  EXPECT_EQ(file.code, ErrorCode::kEnvironment);
  EXPECT_THAT(file.message, HasSubstr("cannot write to the database"));
  EXPECT_THAT(file.message, HasSubstr("Permission denied"));
  const Error fresh = error_of_opening({.path = folder / "sub/t.db"});
  EXPECT_EQ(fresh.code, ErrorCode::kEnvironment);
  EXPECT_THAT(fresh.message, HasSubstr("cannot write to the folder"));
  const Error made = error_of_opening({.path = folder / "sub/a/b/t.db", .create_folders = true});
  EXPECT_EQ(made.code, ErrorCode::kEnvironment);
  EXPECT_THAT(made.message, HasSubstr("cannot make the folder"));
}

TEST(Open, RefusesAFolderAndAPathWithoutOne) {
  Folder folder;
  EXPECT_THAT(error_of_opening({.path = folder.path()}).message, HasSubstr("is a folder"));
  const Error error = error_of_opening({.path = folder / "no/such/t.db"});
  EXPECT_EQ(error.code, ErrorCode::kNotFound);
  EXPECT_THAT(error.message, HasSubstr("there is no folder"));
  ASSERT_OK(open_sqlite_store({.path = folder / "no/such/t.db", .create_folders = true}));
}

TEST(Open, RefusesANetworkFileSystemAndNamesTheRemedy) {
  Folder folder;
  FakeSystem system;
  const std::pair<FilesystemInfo, const char*> cases[] = {
      {{0x6969, "nfs4"}, "NFS"},
      {{0xff534d42, "cifs"}, "SMB"},
      {{0x65735546, "fuse.sshfs"}, "fuse.sshfs"},
      {{0x01021997, "9p"}, "9P"},
      {{0x0bd00bd0, "lustre"}, "Lustre"},
  };
  for (const auto& [info, name] : cases) {
    system.info = info;
    const Error error = error_of_opening({.path = folder / "t.db", .system = &system});
    EXPECT_EQ(error.code, ErrorCode::kUnsupported);
    EXPECT_THAT(error.message, HasSubstr("network file system (" + std::string(name) + ")"));
    EXPECT_THAT(error.message, HasSubstr("--db PATH"));
    EXPECT_THAT(error.message, HasSubstr("postgresql://"));
    EXPECT_FALSE(std::filesystem::exists(folder / "t.db"));
  }
  for (const FilesystemInfo& local :
       {FilesystemInfo{0xef53, "ext4"}, FilesystemInfo{}, FilesystemInfo{0x65735546, "fuseblk"},
        FilesystemInfo{0x65735546, "fuse.fuse-overlayfs"}}) {
    system.info = local;
    ASSERT_OK(open_sqlite_store({.path = folder / "t.db", .system = &system}));
  }
}

TEST(System, SeesTheFileSystemAndTheProcessesOfThisMachine) {
  System& system = System::real();
  const FilesystemInfo proc = system.filesystem("/proc");
  EXPECT_EQ(proc.magic, 0x9fa0u);
  EXPECT_EQ(proc.type, "proc");
  const ProcessIdentity self = system.this_process();
  EXPECT_EQ(system.liveness(self), System::Liveness::kAlive);
  ProcessIdentity earlier = self; // a process that had this number before
  --earlier.start_ticks;
  EXPECT_EQ(system.liveness(earlier), System::Liveness::kGone);
  ProcessIdentity elsewhere = self;
  elsewhere.domain = "another machine";
  EXPECT_EQ(system.liveness(elsewhere), System::Liveness::kUnseen);
}

TEST(Open, SaysThatAFileIsDamaged) {
  Folder folder;
  {
    auto store = must(open_sqlite_store({.path = folder / "t.db"}));
    Scene scene(*store);
    for (int i = 0; i < 1000; ++i)
      scene.record(Scene::trace(i), scene.measurement(i));
  }
  std::string content;
  {
    std::ifstream in(folder / "t.db", std::ios::binary);
    content.assign(std::istreambuf_iterator<char>(in), {});
  }
  ASSERT_GT(content.size(), 20u * 4096);

  std::string schema = content;
  std::fill(schema.begin() + 100, schema.begin() + 4096, '\x5a');
  write(folder / "schema.db", schema);
  const Error error = error_of_opening({.path = folder / "schema.db"});
  EXPECT_EQ(error.code, ErrorCode::kCorrupt);
  EXPECT_THAT(error.message, HasSubstr("is damaged"));
  EXPECT_THAT(error.message, HasSubstr(".recover"));

  std::string pages = content;
  // The schema, at the front, stays whole: the file opens, and the damage shows when it is read.
  for (size_t at = pages.size() / 2 / 4096 * 4096; at + 4096 <= pages.size(); at += 4096)
    std::fill(pages.begin() + static_cast<ptrdiff_t>(at),
              pages.begin() + static_cast<ptrdiff_t>(at) + 64, '\xff');
  write(folder / "pages.db", pages);
  auto store = open_sqlite_store({.path = folder / "pages.db"});
  ASSERT_OK(store);
  const auto check = (*store)->check_integrity();
  ASSERT_FALSE(check);
  EXPECT_EQ(check.error().code, ErrorCode::kCorrupt);
  const auto list = (*store)->list_records({});
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(list.error().message, HasSubstr("is damaged"));
}

/// Records until the store refuses; gives the error and how many were taken.
std::pair<Error, int> fill(Scene& scene) {
  for (int i = 0; i < 100'000; ++i) {
    Measurement row = scene.measurement(100);
    row.samples_ns.assign(200, 1.0f);
    scene.progress.trials = i + 1;
    const auto result = scene.store.record(
        scene.claim, {{.kind = "trace", .program = Scene::trace(i)}, row}, scene.progress);
    if (!result)
      return {result.error(), i};
  }
  ADD_FAILURE() << "it never gets full";
  return {};
}

TEST(FullDisk, LosesNothingThatWasRecorded) {
  Folder folder;
  Id run;
  int recorded = 0;
  {
    auto store = must(open_sqlite_store({.path = folder / "t.db", .max_bytes = 400'000}));
    Scene scene(*store);
    run = scene.run;
    const auto [error, count] = fill(scene);
    recorded = count;
    EXPECT_GT(count, 20);
    EXPECT_EQ(error.code, ErrorCode::kEnvironment);
    EXPECT_THAT(error.message, HasSubstr("full"));
    EXPECT_THAT(error.message, HasSubstr("what was recorded before is safe"));
    EXPECT_EQ(must(store->row_counts()).at("measurement"), count);
    EXPECT_EQ(must(store->run(run)).trials, count) << "progress and outcomes agree";
    must(store->check_integrity());
  }
  // With room again, it goes on where it stopped.
  auto store = must(open_sqlite_store({.path = folder / "t.db"}));
  EXPECT_EQ(must(store->row_counts()).at("measurement"), recorded);
}

TEST(FullDisk, IsTheSameOnARealOne) {
  Folder folder;
  if (::mount("none", folder.path().c_str(), "tmpfs", 0, "size=2m") != 0)
    GTEST_SKIP() << "may not mount a small file system here";
  struct Unmount {
    const std::filesystem::path& path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } unmount{folder.path()};
  auto store = must(open_sqlite_store({.path = folder / "t.db"}));
  Scene scene(*store);
  const auto [error, count] = fill(scene);
  EXPECT_EQ(error.code, ErrorCode::kEnvironment);
  EXPECT_THAT(error.message, HasSubstr("full"));
  EXPECT_EQ(must(store->row_counts()).at("measurement"), count);
  must(store->check_integrity());
}

// ---- Viewers

TEST(ReadOnly, SeesWhatAWriterRecordsMeanwhile) {
  Folder folder;
  auto writer = must(open_sqlite_store({.path = folder / "t.db"}));
  Scene scene(*writer);
  auto viewer = must(open_sqlite_store({.path = folder / "t.db", .read_only = true}));
  EXPECT_TRUE(must(viewer->list_records({})).empty());
  scene.record(Scene::trace(1), scene.measurement(10));
  EXPECT_EQ(must(viewer->list_records({})).size(), 1u);
  const auto refused = viewer->add(a_workload("softmax"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("read-only"));
}

TEST(ReadOnly, NeedsAFileThatIsThere) {
  Folder folder;
  EXPECT_EQ(error_of_opening({.path = folder / "t.db", .read_only = true}).code,
            ErrorCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(folder / "t.db"));
  write(folder / "t.db", "");
  EXPECT_THAT(error_of_opening({.path = folder / "t.db", .read_only = true}).message,
              HasSubstr("nothing was recorded"));
}

TEST(ReadOnly, WorksInAFolderThatCannotBeWritten) {
  Folder folder;
  { Scene scene(*must(open_sqlite_store({.path = folder / "t # 100%?.db"}))); }
  std::filesystem::permissions(folder / "t # 100%?.db", std::filesystem::perms(0444));
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
  {
    AsNobody nobody;
    auto store = must(open_sqlite_store({.path = folder / "t # 100%?.db", .read_only = true}));
    EXPECT_EQ(must(store->list_workloads()).size(), 1u);
  }
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
}

TEST(Snapshot, DoesNotSeeWhatOthersWriteMeanwhile) {
  Folder folder;
  auto writer = must(open_sqlite_store({.path = folder / "t.db"}));
  Scene scene(*writer);
  scene.record(Scene::trace(1), scene.measurement(10));
  auto reader = must(open_sqlite_store({.path = folder / "t.db"}));
  ASSERT_OK(reader->snapshot([&]() -> Result<void> {
    EXPECT_EQ(must(reader->row_counts()).at("measurement"), 1);
    scene.record(Scene::trace(2), scene.measurement(10));
    EXPECT_EQ(must(reader->row_counts()).at("measurement"), 1);
    return {};
  }));
  EXPECT_EQ(must(reader->row_counts()).at("measurement"), 2);
}

TEST(Busy, IsSaidWhenAnotherProcessKeepsTheLock) {
  Folder folder;
  auto store = must(open_sqlite_store({.path = folder / "t.db", .busy_timeout_ms = 20}));
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((folder / "t.db").c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const auto refused = store->add(a_workload());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kEnvironment);
  EXPECT_THAT(refused.error().message, HasSubstr("another process"));
  EXPECT_TRUE(must(store->list_workloads()).empty()) << "reading goes on";
  sqlite3_close(db);
  ASSERT_OK(store->add(a_workload()));
}

TEST(DefaultPath, FollowsTheEnvironment) {
  struct Variable {
    explicit Variable(const char* name) : name(name) {
      if (const char* old = std::getenv(name))
        value = old;
    }
    ~Variable() { value ? ::setenv(name, value->c_str(), 1) : ::unsetenv(name); }
    const char* name;
    std::optional<std::string> value;
  } db("TEMPER_DB"), data("XDG_DATA_HOME"), home("HOME");
  ::unsetenv("TEMPER_DB");
  ::unsetenv("XDG_DATA_HOME");
  ::setenv("HOME", "/home/me", 1);
  EXPECT_EQ(must(default_database_path()), "/home/me/.local/share/temper/temper.db");
  ::setenv("XDG_DATA_HOME", "/data", 1);
  EXPECT_EQ(must(default_database_path()), "/data/temper/temper.db");
  ::setenv("TEMPER_DB", "here.db", 1);
  EXPECT_EQ(must(default_database_path()), "here.db");
  ::unsetenv("TEMPER_DB");
  ::unsetenv("XDG_DATA_HOME");
  ::unsetenv("HOME");
  EXPECT_FALSE(default_database_path());
}

// ---- Migrations

TEST(Migrations, AreAppliedInOrderAndOnce) {
  const detail::Migration history[] = {{1, "0001_a.sql", "CREATE TABLE a (x INTEGER);"},
                                       {2, "0002_b.sql", "ALTER TABLE a ADD COLUMN y INTEGER;"},
                                       {3, "0003_c.sql", "INSERT INTO a (x, y) VALUES (1, 2);"}};
  Folder folder;
  const std::string path = folder / "t.db";
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  detail::SqliteConnection first;
  must(first.open(path, flags, path, 1000));
  must(detail::migrate(first, std::span(history).first(1), true));
  EXPECT_EQ(must(first.integer("PRAGMA user_version")), 1);
  must(detail::migrate(first, history, true));
  must(detail::migrate(first, history, true));
  EXPECT_EQ(must(first.integer("SELECT sum(y) FROM a")), 2);
  EXPECT_EQ(must(first.integer("PRAGMA user_version")), 3);
}

TEST(Migrations, LeaveTheFileAsItWasWhenOneFails) {
  const detail::Migration history[] = {{1, "0001_a.sql", "CREATE TABLE a (x INTEGER);"},
                                       {2, "0002_b.sql", "CREATE TABLE b (x INTEGER); NONSENSE;"}};
  Folder folder;
  const std::string path = folder / "t.db";
  detail::SqliteConnection connection;
  must(connection.open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, path, 1000));
  must(detail::migrate(connection, std::span(history).first(1), true));
  const auto result = detail::migrate(connection, history, true);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("0002_b.sql"));
  EXPECT_EQ(must(connection.integer("PRAGMA user_version")), 1);
  EXPECT_EQ(must(connection.integer("SELECT count(*) FROM sqlite_master")), 1);
}

TEST(Migrations, AreNotMadeByAViewer) {
  const detail::Migration history[] = {{1, "0001_a.sql", "CREATE TABLE a (x INTEGER);"},
                                       {2, "0002_b.sql", "CREATE TABLE b (x INTEGER);"}};
  Folder folder;
  const std::string path = folder / "t.db";
  detail::SqliteConnection connection;
  must(connection.open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, path, 1000));
  must(detail::migrate(connection, std::span(history).first(1), true));
  const auto result = detail::migrate(connection, history, false);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("older version of temper"));
}

TEST(Migrations, OfAReleaseAreNeverEdited) {
  // Databases out there were made by these very bytes. A change of the schema is a new file;
  // migration 1 may still change until the first release.
  const auto history = detail::migrations();
  for (size_t i = 0; i < history.size(); ++i)
    EXPECT_EQ(history[i].number, static_cast<int>(i) + 1);
  EXPECT_EQ(history.back().number, current_schema_version());
}

} // namespace
} // namespace temper::database
