// Several processes on one file, and processes that die in the middle. Children are forked before
// any store is open: SQLite's connections must not cross a fork.
#include "database/dump.h"
#include "tests/database/fixture.h"

#include <csignal>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sstream>
#include <sys/wait.h>

namespace temper::database {
namespace {

using ::testing::HasSubstr;

/// A child that runs `body` and ends with its result; never returns into the test.
template <typename Body> pid_t start(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGPIPE, SIG_IGN);
    ::_exit(body());
  }
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

struct Pipe {
  Pipe() { EXPECT_EQ(::pipe(ends), 0); }
  ~Pipe() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  template <typename T> void put(const T& value) const {
    EXPECT_EQ(::write(ends[1], &value, sizeof value), static_cast<ssize_t>(sizeof value));
  }
  template <typename T> bool get(T& value) const {
    return ::read(ends[0], &value, sizeof value) == static_cast<ssize_t>(sizeof value);
  }
  int ends[2];
};

TEST(Processes, ImportOneDumpTogether) {
  Folder folder;
  std::string text;
  {
    auto store = must(open_sqlite_store({.path = folder / "a.db"}));
    Scene scene(*store);
    for (int i = 0; i < 300; ++i)
      scene.record(Scene::trace(i), scene.measurement(100 + i));
    std::ostringstream out;
    must(dump(*store, out));
    text = out.str();
  }
  std::vector<pid_t> children;
  for (int reader = 0; reader < 3; ++reader)
    children.push_back(start([&] {
      auto store = open_sqlite_store({.path = folder / "b.db", .busy_timeout_ms = 60'000});
      std::istringstream in(text);
      return store && import_dump(**store, in, "t.jsonl") ? 0 : 1;
    }));
  for (const pid_t child : children)
    EXPECT_EQ(wait_for(child), 0);
  auto store = must(open_sqlite_store({.path = folder / "b.db"}));
  std::ostringstream out;
  must(dump(*store, out));
  EXPECT_EQ(out.str().substr(out.str().find('\n')), text.substr(text.find('\n')));
}

TEST(Processes, WriteOneFileTogether) {
  Folder folder;
  constexpr int kWriters = 4;
  constexpr int kTrials = 50;
  std::vector<pid_t> children;
  // All at once, and on a file that none of them has made yet.
  for (int writer = 0; writer < kWriters; ++writer)
    children.push_back(start([&] {
      auto store = open_sqlite_store({.path = folder / "t.db", .busy_timeout_ms = 60'000});
      if (!store) {
        std::fputs(store.error().to_string().c_str(), stderr);
        return 1;
      }
      Scene scene(**store);
      for (int i = 0; i < kTrials; ++i)
        scene.record(Scene::trace(i), scene.measurement(i + 1));
      must((*store)->release_run(scene.claim, RunState::kFinished, "done"));
      return 0;
    }));
  for (const pid_t child : children)
    EXPECT_EQ(wait_for(child), 0);
  auto store = must(open_sqlite_store({.path = folder / "t.db"}));
  const auto counts = must(store->row_counts());
  EXPECT_EQ(counts.at("run"), kWriters);
  EXPECT_EQ(counts.at("measurement"), kWriters * kTrials);
  EXPECT_EQ(counts.at("candidate"), kTrials) << "the same programs are the same candidates";
  EXPECT_EQ(counts.at("workload"), 1);
  for (const auto& run : must(store->list_runs({}))) {
    EXPECT_EQ(run.trials, kTrials);
    const auto points = must(store->convergence(run.id));
    for (size_t i = 0; i < points.size(); ++i)
      EXPECT_EQ(points[i].sequence, static_cast<int64_t>(i));
  }
  EXPECT_EQ(must(store->best({})).at(0).median_ns, 1);
  must(store->check_integrity());
}

TEST(Processes, KilledInTheMiddleLoseNothingThatWasCommitted) {
  Folder folder;
  for (int round = 0; round < 8; ++round) {
    const std::filesystem::path path = folder / ("t" + std::to_string(round) + ".db");
    Pipe pipe;
    const pid_t child = start([&] {
      auto store = must(open_sqlite_store({.path = path}));
      Scene scene(*store);
      for (int i = 0;; ++i) {
        const Recorded recorded = scene.record(Scene::trace(i), scene.measurement(i + 1));
        pipe.put(i);
        if (recorded.requested != RequestedState::kNone)
          return 1;
      }
      return 0;
    });
    // It writes on while this reads: the kill hits it anywhere.
    int last = -1;
    for (int reported = 0; reported < 20 + 7 * round && pipe.get(last);)
      ++reported;
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    const int status = wait_for(child);
    ASSERT_TRUE(WIFSIGNALED(status));
    // What it reported between the last read and the kill counts too.
    ::close(pipe.ends[1]);
    pipe.ends[1] = ::open("/dev/null", O_RDONLY);
    for (int more = 0; pipe.get(more);)
      last = more;

    auto store = must(open_sqlite_store({.path = path}));
    must(store->check_integrity());
    const auto runs = must(store->list_runs({}));
    ASSERT_EQ(runs.size(), 1u);
    EXPECT_EQ(runs[0].state, RunState::kInterrupted);
    const auto points = must(store->convergence(runs[0].id));
    EXPECT_GE(static_cast<int>(points.size()), last + 1);
    EXPECT_LE(static_cast<int>(points.size()), last + 2) << "at most the one on its way";
    EXPECT_EQ(runs[0].trials, static_cast<int64_t>(points.size()))
        << "progress and outcomes agree at any moment";
    EXPECT_EQ(runs[0].random_state, 17 * points.size());
    for (size_t i = 0; i < points.size(); ++i)
      EXPECT_EQ(
          must(store->candidate(must(store->measurement(points[i].record)).candidate)).program,
          Scene::trace(static_cast<int>(i)));
    // Another process goes on with it.
    ASSERT_OK(store->claim_run(runs[0].id));
  }
}

TEST(Processes, ClaimARunOnce) {
  Folder folder;
  Id run;
  {
    const pid_t child = start([&] {
      auto store = must(open_sqlite_store({.path = folder / "t.db"}));
      Scene scene(*store);
      scene.record(Scene::trace(1), scene.measurement(1));
      return 0; // without releasing it
    });
    ASSERT_EQ(wait_for(child), 0);
    auto store = must(open_sqlite_store({.path = folder / "t.db", .read_only = true}));
    run = must(store->resumable_runs()).at(0).id;
  }
  constexpr int kClaimants = 6;
  Pipe ready, go, done, end;
  std::vector<pid_t> children;
  for (int i = 0; i < kClaimants; ++i)
    children.push_back(start([&] {
      auto store = must(open_sqlite_store({.path = folder / "t.db", .busy_timeout_ms = 60'000}));
      char word = 1;
      ready.put(word);
      if (!go.get(word))
        return 2;
      const auto claim = store->claim_run(run);
      const char won = claim ? 1 : 0;
      done.put(won);
      if (!end.get(word)) // the winner lives on until all have tried
        return 2;
      return 0;
    }));
  char word = 0;
  for (int i = 0; i < kClaimants; ++i)
    ASSERT_TRUE(ready.get(word));
  for (int i = 0; i < kClaimants; ++i)
    go.put(word);
  int winners = 0;
  for (int i = 0; i < kClaimants; ++i) {
    ASSERT_TRUE(done.get(word));
    winners += word;
  }
  EXPECT_EQ(winners, 1);
  for (int i = 0; i < kClaimants; ++i)
    end.put(word);
  for (const pid_t child : children)
    EXPECT_EQ(wait_for(child), 0);
}

TEST(Processes, SeeTheLocksOfOneThatOpensTheFileTwice) {
  Folder folder;
  const std::filesystem::path path = folder / "t.db";
  auto store = must(open_sqlite_store({.path = path}));
  Scene scene(*store);
  // Whether somebody else may have the whole file to himself.
  const auto is_free = [&] {
    return wait_for(start([&] {
             const int file = ::open(path.c_str(), O_RDWR);
             struct flock lock = {};
             lock.l_type = F_WRLCK;
             lock.l_whence = SEEK_SET;
             if (file < 0 || ::fcntl(file, F_GETLK, &lock) != 0)
               return 2;
             return lock.l_type == F_UNLCK ? 1 : 0;
           })) != 0;
  };
  ASSERT_FALSE(is_free());
  ASSERT_OK(open_sqlite_store({.path = path}));
  ASSERT_OK(open_sqlite_store({.path = path, .read_only = true}));
  EXPECT_FALSE(is_free()) << "opening it again dropped the lock of the first";
  // What that would look like, so that this test is known to see it.
  ::close(::open(path.c_str(), O_RDONLY));
  EXPECT_TRUE(is_free());
}

TEST(Processes, ThatAreZombiesAreGone) {
  Pipe pipe;
  const pid_t child = start([&] {
    pipe.put(System::real().this_process().start_ticks);
    return 0;
  });
  ProcessIdentity identity = System::real().this_process();
  identity.pid = child;
  ASSERT_TRUE(pipe.get(identity.start_ticks));
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(System::real().liveness(identity), System::Liveness::kGone);
  wait_for(child);
  EXPECT_EQ(System::real().liveness(identity), System::Liveness::kGone);
}

} // namespace
} // namespace temper::database
