// A real server: what only that can do wrong. The store's behaviour on it is tried by all the other
// tests, which tests/database/CMakeLists.txt runs a second time beside a server.
#include "database/dump.h"
#include "tests/database/fixture.h"

#include <gmock/gmock.h>
#include <sstream>
#include <sys/wait.h>

namespace temper::database {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

struct Postgres : ::testing::Test {
  void SetUp() override {
    const char* given = std::getenv("TEMPER_TEST_POSTGRES");
    if (!given)
      GTEST_SKIP() << "no server: run by tests/database/postgres.sh";
    url = given;
    static int count = 0;
    schema = "server_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
  }
  static int server(const std::string& verb) {
    return std::system((std::getenv("TEMPER_TEST_POSTGRES_SERVER") + (" " + verb)).c_str());
  }
  std::string as_user(const std::string& user) const {
    std::string changed = url;
    return changed.replace(changed.find("temper@"), 7, user + "@");
  }
  std::string url;
  std::string schema;
};

std::string dump_of(Store& store) {
  std::ostringstream out;
  must(dump(store, out));
  const std::string text = out.str();
  return text.substr(text.find('\n') + 1); // without the time
}

void import_text(Store& store, const std::string& text) {
  std::istringstream in("{\"schema\":\"temper.dump/1\"}\n" + text);
  const ImportSummary summary = must(import_dump(store, in, "t.jsonl"));
  EXPECT_THAT(summary.problems, ::testing::IsEmpty());
}

TEST_F(Postgres, TakesACopyOfASqliteFileAndGivesItBackWhole) {
  FakeSystem system;
  Folder folder;
  auto file = must(open_sqlite_store({.path = folder / "a.db", .system = &system}));
  Scene scene(*file);
  for (int i = 0; i < 1500; ++i) { // more than a cursor's fetch
    Measurement row =
        scene.measurement(100.0 / 3 + i, i % 7 == 0 ? Outcome::kCrashed : Outcome::kOk);
    row.error = i % 7 == 0 ? "signal \xe2\x82\xac \"11\" \\ \t" : "";
    row.code_hash = ~0ULL - static_cast<uint64_t>(i);
    row.samples_ns = {0.1f, 1e30f, static_cast<float>(i)};
    row.facts_json = "{\"a\": 1}";
    scene.record(Scene::trace(i), row);
  }
  const Id best = must(file->best({})).at(0).id;
  must(file->add(Artifact{.candidate = must(file->measurement(best)).candidate,
                          .toolchain = scene.toolchain,
                          .target = "cpu:test",
                          .code = std::string("\0\x7f\xff", 3),
                          .json = "{}"}));
  must(file->add(Model{.run = scene.run, .kind = "xgboost", .blob = std::string("\x80\0", 2)}));
  must(file->add(Note{.subject = best, .text = "a note", .author = "me"}));
  must(file->add(Tag{.subject = scene.run, .tag = "kept"}));
  must(file->release_run(scene.claim, RunState::kPaused, "asked to"));
  const std::string text = dump_of(*file);

  auto server = must(open_postgres_store({.url = url, .schema = schema, .system = &system}));
  import_text(*server, text);
  EXPECT_EQ(dump_of(*server), text);
  EXPECT_EQ(must(server->row_counts()), must(file->row_counts()));
  EXPECT_EQ(must(server->best({})).at(0).id, best);
  auto back = must(open_sqlite_store({.path = folder / "b.db", .system = &system}));
  import_text(*back, dump_of(*server));
  EXPECT_EQ(dump_of(*back), text);
}

TEST_F(Postgres, FindsAgainWhatWasRecorded) {
  Id run;
  {
    auto store = must(open_postgres_store({.url = url, .schema = schema}));
    Scene scene(*store);
    scene.record(Scene::trace(1), scene.measurement(100));
    run = scene.run;
  }
  auto store = must(open_postgres_store({.url = url, .schema = schema}));
  EXPECT_EQ(must(store->best({.run = run})).size(), 1u);
  EXPECT_EQ(must(store->run(run)).trials, 1);
}

TEST_F(Postgres, WaitsForAServerThatWentAwayAndRecordsEveryOutcomeOnce) {
  int waited = 0;
  auto store = must(open_postgres_store({.url = url, .schema = schema, .on_wait = [&](const auto&) {
                                           ++waited;
                                           ASSERT_EQ(server("start"), 0);
                                         }}));
  Scene scene(*store);
  for (int i = 0; i < 12; ++i) {
    if (i % 4 == 3) {
      ASSERT_EQ(server("stop"), 0);
    }
    Measurement row = scene.measurement(100 + i);
    row.sequence = -1;
    scene.record(Scene::trace(i), row);
  }
  EXPECT_EQ(waited, 3);
  EXPECT_EQ(must(store->list_records({.run = scene.run})).size(), 12u);
  // In a transaction of many rows, too: all of it once.
  ASSERT_EQ(server("stop"), 0);
  must(store->transaction([&]() -> Result<void> {
    for (int i = 0; i < 3; ++i)
      TEMPER_TRY_VOID(store->add(Tag{.subject = scene.run, .tag = "t" + std::to_string(i)}));
    return {};
  }));
  EXPECT_EQ(must(store->tags(scene.run)).size(), 3u);
}

TEST_F(Postgres, SaysThatTheServerDoesNotComeBack) {
  auto store = must(open_postgres_store({.url = url, .schema = schema, .patience_ms = 1}));
  Scene scene(*store);
  ASSERT_EQ(server("stop"), 0);
  const auto result = store->add(Tag{.subject = scene.run, .tag = "t"});
  ASSERT_EQ(server("start"), 0);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kEnvironment);
  EXPECT_THAT(result.error().message,
              AllOf(HasSubstr("no PostgreSQL server answers"), HasSubstr("resume when it is back"),
                    Not(HasSubstr("\n"))));
}

TEST_F(Postgres, NeedsTheRightPasswordAndNeverShowsIt) {
  const auto refusal = [&](const std::string& user) {
    const auto store = open_postgres_store({.url = as_user(user), .schema = schema});
    return store ? std::string("accepted") : store.error().message;
  };
  EXPECT_THAT(refusal("locked:guess"),
              AllOf(HasSubstr("refuses user and password"), HasSubstr("PGPASSWORD"),
                    Not(HasSubstr("guess")), Not(HasSubstr("\n"))));
  EXPECT_THAT(refusal("locked"), HasSubstr("asks for a password"));
  EXPECT_THAT(refusal("locked:right"), Not(HasSubstr("password"))); // only its rights are missing
  EXPECT_THAT(refusal("nobody"), HasSubstr("lets this user not in"));
}

TEST_F(Postgres, SaysWhatIsWrongWithAnAddress) {
  const auto error = [](const std::string& address) {
    const auto store = open_postgres_store({.url = address});
    return store ? "accepted" : store.error().message;
  };
  EXPECT_THAT(error("postgresql://127.0.0.1:1/x"), HasSubstr("no PostgreSQL server answers"));
  EXPECT_THAT(error("postgresql://temper@[bad/x"), HasSubstr("no address of a PostgreSQL server"));
  const std::string no_host = error("postgresql://ada:s3cret");
  EXPECT_THAT(no_host, HasSubstr("no address of a PostgreSQL server"));
  EXPECT_THAT(no_host, Not(HasSubstr("s3cret"))) << "it reads as a port";
  std::string other = url;
  other.replace(other.rfind("/postgres"), 9, "/nothere");
  EXPECT_THAT(error(other), HasSubstr("has no database"));
}

TEST_F(Postgres, RefusesASchemaFromANewerVersion) {
  must(open_postgres_store({.url = url, .schema = schema}));
  ASSERT_EQ(std::system(("psql -q '" + url + "' -c 'UPDATE " + schema +
                         ".temper_schema SET version = 1000'")
                            .c_str()),
            0);
  const auto store = open_postgres_store({.url = url, .schema = schema});
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().message, HasSubstr("newer version of temper"));
}

TEST_F(Postgres, IsWrittenByProcessesTogether) {
  constexpr int kWriters = 3;
  constexpr int kTrials = 20;
  std::vector<pid_t> children;
  for (int writer = 0; writer < kWriters; ++writer) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = open_postgres_store({.url = url, .schema = schema});
      if (!store) {
        std::fputs(store.error().to_string().c_str(), stderr);
        ::_exit(1);
      }
      Scene scene(**store);
      for (int i = 0; i < kTrials; ++i)
        scene.record(Scene::trace(i), scene.measurement(100 + i));
      ::_exit(0);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  auto store = must(open_postgres_store({.url = url, .schema = schema}));
  const auto counts = must(store->row_counts());
  EXPECT_EQ(counts.at("measurement"), kWriters * kTrials);
  EXPECT_EQ(counts.at("candidate"), kTrials);
  EXPECT_EQ(counts.at("run"), kWriters);
}

} // namespace
} // namespace temper::database
