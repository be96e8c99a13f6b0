// Many random kills: every outcome that was reported is in the database, once, whoever dies when.
#include "ir/support/random.h"
#include "tests/database/fixture.h"

#include <csignal>
#include <fcntl.h>
#include <set>
#include <sys/wait.h>

namespace temper::database {
namespace {

/// What a worker tells over its pipe after each commit.
struct Report {
  char run[kFullIdLength + 1];
  int64_t number; ///< of the outcome in its run
};

/// Takes up an interrupted run or begins one, and records until it is killed. The run's random
/// state counts its outcomes: a worker that goes on begins with the number after the last one.
[[noreturn]] void work(const std::filesystem::path& path, int pipe) {
  auto store = must(open_sqlite_store({.path = path, .busy_timeout_ms = 60'000}));
  Scene scene(*store); // begins a run of its own
  RunClaim claim = scene.claim;
  RunProgress progress;
  for (const auto& row : must(store->resumable_runs(scene.workload)))
    if (auto taken = store->claim_run(row.id)) {
      const auto now = must(store->run(row.id)); // as it is after the claim
      must(store->release_run(claim, RunState::kFinished, "not needed"));
      claim = *taken;
      progress.random_state = now.random_state;
      progress.trials = now.trials;
      break;
    }
  while (true) {
    Report report = {};
    claim.run.copy(report.run, kFullIdLength);
    report.number = static_cast<int64_t>(progress.random_state);
    ++progress.random_state;
    ++progress.trials;
    Measurement row = scene.measurement(static_cast<double>(report.number + 1));
    row.samples_ns.assign(100, 1.0f);
    must(store->record(
        claim, {{.kind = "trace", .program = Scene::trace(static_cast<int>(report.number))}, row},
        progress));
    if (::write(pipe, &report, sizeof report) != sizeof report)
      ::_exit(1);
  }
}

TEST(Kills, LoseNoOutcomeThatWasReportedAndDoubleNone) {
  Folder folder;
  const std::filesystem::path path = folder / "t.db";
  Random random(7);
  std::set<std::pair<Id, int64_t>> reported;
  constexpr int kKills = 200;
  constexpr int kAtOnce = 2;
  struct Worker {
    pid_t pid;
    int pipe;
  };
  std::vector<Worker> workers;
  const auto drain = [&](int pipe) {
    Report report;
    while (::read(pipe, &report, sizeof report) == sizeof report)
      reported.insert({Id(report.run, kFullIdLength), report.number});
    ::close(pipe);
  };
  for (int kill = 0; kill < kKills; ++kill) {
    while (workers.size() < kAtOnce) {
      int ends[2];
      ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
      // The first ones meet no file at all and die while they make it.
      const pid_t child = ::fork();
      if (child == 0)
        work(path, ends[1]);
      ::close(ends[1]);
      workers.push_back({child, ends[0]});
    }
    ::usleep(static_cast<useconds_t>(random.below(kill < 20 ? 8'000 : 40'000)));
    const auto victim = static_cast<size_t>(random.below(kAtOnce));
    ASSERT_EQ(::kill(workers[victim].pid, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(workers[victim].pid, &status, 0), workers[victim].pid);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "it died by itself";
    drain(workers[victim].pipe);
    workers.erase(workers.begin() + static_cast<ptrdiff_t>(victim));
  }
  for (const Worker& worker : workers) {
    ::kill(worker.pid, SIGKILL);
    ::waitpid(worker.pid, nullptr, 0);
    drain(worker.pipe);
  }

  auto store = must(open_sqlite_store({.path = path}));
  must(store->check_integrity());
  std::set<std::pair<Id, int64_t>> stored;
  size_t rows = 0;
  for (const auto& run : must(store->list_runs({}))) {
    EXPECT_NE(run.state, RunState::kRunning);
    int64_t next = 0;
    must(store->measurements(run.id, [&](const Measurement& row) {
      EXPECT_EQ(row.sequence, next) << "in order, without a gap";
      EXPECT_EQ(row.median_ns, static_cast<double>(next + 1)) << "the stream went on where it was";
      stored.insert({run.id, next++});
      ++rows;
      return true;
    }));
    EXPECT_EQ(run.trials, next);
    EXPECT_EQ(run.random_state, static_cast<uint64_t>(next));
  }
  EXPECT_EQ(stored.size(), rows);
  EXPECT_GT(reported.size(), 200u);
  for (const auto& one : reported)
    EXPECT_TRUE(stored.contains(one)) << one.first << " " << one.second;
  // Between the commit and the report a worker may die, once each.
  EXPECT_LE(stored.size(), reported.size() + kKills + kAtOnce);
}

} // namespace
} // namespace temper::database
