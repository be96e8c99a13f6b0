#include "engine/compile_pool.h"

#include "ir/support/sanitizers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <map>

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace temper::engine {
namespace {

using ::testing::HasSubstr;

CompilePoolOptions options(int workers = 1) {
  CompilePoolOptions result;
  result.program = TEMPER_TEST_COMPILE_WORKER;
  result.workers = workers;
  result.nice = 0;
  result.memory_limit_bytes = int64_t{512} << 20;
  result.environment["TEMPER_TEST_WORKER"] = "set by the pool";
  return result;
}

std::unique_ptr<CompilePool> pool_of(CompilePoolOptions with) {
  auto pool = CompilePool::start(std::move(with));
  EXPECT_TRUE(pool) << pool.error().message;
  return std::move(*pool);
}

std::map<Ticket, CompileFinished> all(CompilePool& pool) {
  std::map<Ticket, CompileFinished> done;
  while (pool.pending() > 0)
    for (CompileFinished& one : pool.poll(-1))
      done.emplace(one.ticket, one);
  return done;
}

CompileFinished one(CompilePool& pool, std::string request, int deadline_ms = 0) {
  const Ticket ticket = pool.submit(std::move(request), deadline_ms);
  return all(pool).at(ticket);
}

TEST(CompilePool, AnswersEveryRequest) {
  auto pool = pool_of(options(2));
  std::map<Ticket, std::string> expected;
  for (int i = 0; i < 50; ++i)
    expected[pool->submit(std::to_string(i))] = "compiled " + std::to_string(i);
  const auto done = all(*pool);
  ASSERT_EQ(done.size(), 50U);
  for (const auto& [ticket, response] : expected) {
    EXPECT_EQ(done.at(ticket).outcome, Outcome::kOk);
    EXPECT_EQ(done.at(ticket).response, response);
  }
}

TEST(CompilePool, CarriesBytesOfAnySize) {
  auto pool = pool_of(options());
  EXPECT_EQ(one(*pool, "big").response.size(), size_t{20} << 20);
  std::string request(5 << 20, 'r'); // not a sum: GCC 12 sees an overflow in it
  request += '\0';
  request += "end";
  EXPECT_EQ(one(*pool, request).response, "compiled " + request);
}

TEST(CompilePool, AnErrorOfTheHandlerIsItsSentence) {
  auto pool = pool_of(options());
  EXPECT_EQ(one(*pool, "refuse").outcome, Outcome::kCompileFailed);
  EXPECT_EQ(one(*pool, "refuse").error, "the kernel needs 9 registers more");
  EXPECT_THAT(one(*pool, "throw").error, HasSubstr("no such intrinsic"));
}

TEST(CompilePool, AWorkerThatAbortsLosesOnlyItsRequest) {
  auto pool = pool_of(options());
  const Ticket before = pool->submit("before");
  const Ticket bad = pool->submit("abort");
  const Ticket after = pool->submit("after");
  auto done = all(*pool);
  EXPECT_EQ(done[before].outcome, Outcome::kOk);
  EXPECT_EQ(done[bad].outcome, Outcome::kCompileFailed);
  EXPECT_THAT(done[bad].error, HasSubstr("SIGABRT"));
  EXPECT_THAT(done[bad].error, HasSubstr("cannot select"));
  EXPECT_THAT(done[bad].stderr_tail, HasSubstr("noise before"));
  EXPECT_EQ(done[after].response, "compiled after");
}

TEST(CompilePool, AWorkerThatExitsLosesOnlyItsRequest) {
  auto pool = pool_of(options());
  const Ticket bad = pool->submit("exit");
  const Ticket after = pool->submit("after");
  auto done = all(*pool);
  EXPECT_THAT(done[bad].error, HasSubstr("exit status 7"));
  EXPECT_EQ(done[after].outcome, Outcome::kOk);
}

TEST(CompilePool, ACompilerThatNeverEndsIsStoppedAtItsDeadline) {
  auto pool = pool_of(options());
  const Ticket bad = pool->submit("hang", 50);
  const Ticket after = pool->submit("after");
  auto done = all(*pool);
  EXPECT_EQ(done[bad].outcome, Outcome::kCompileFailed);
  EXPECT_THAT(done[bad].error, HasSubstr("deadline of 0.05 s without computing anything"));
  EXPECT_EQ(done[after].outcome, Outcome::kOk) << "and did not pay for the wait";
}

TEST(CompilePool, TheDeadlineIsOfProcessorTime) {
  auto pool = pool_of(options());
  EXPECT_THAT(one(*pool, "compute for ever", 100).error,
              HasSubstr("deadline of 0.1 s and was stopped"));
  // A second and a half by the clock, little of it at work.
  EXPECT_EQ(one(*pool, "wait for the processor", 1000).outcome, Outcome::kOk);
}

TEST(CompilePool, MemoryIsLimited) {
  if (kSanitized)
    GTEST_SKIP() << "a sanitized worker's address space cannot be limited";
  auto pool = pool_of(options());
  EXPECT_THAT(one(*pool, "memory").error, HasSubstr("out of memory"));
  EXPECT_THAT(one(*pool, "memory unchecked").error, HasSubstr("SIGSEGV"));
  EXPECT_EQ(one(*pool, "after").outcome, Outcome::kOk);
}

TEST(CompilePool, SurvivesTheKillingOfAWorker) {
  auto pool = pool_of(options());
  const Ticket first = pool->submit("hang");
  const Ticket second = pool->submit("second");
  for (int i = 0; i < kCompileAttempts; ++i) {
    pool->poll(100);
    ::kill(pool->worker_pids()[0], SIGKILL);
  }
  auto done = all(*pool);
  EXPECT_THAT(done[first].error, HasSubstr("SIGKILL"));
  EXPECT_EQ(done[second].outcome, Outcome::kOk);
}

TEST(CompilePool, ARequestWhoseWorkerIsKilledFromOutsideIsCompiledAgain) {
  auto pool = pool_of(options());
  const Ticket ticket = pool->submit("nap");
  for (int i = 1; i < kCompileAttempts; ++i) {
    pool->poll(50);
    ::kill(pool->worker_pids()[0], SIGKILL);
  }
  auto done = all(*pool);
  EXPECT_EQ(done[ticket].outcome, Outcome::kOk) << done[ticket].error;
}

TEST(CompilePool, WorksUnderLimitsThatAreLowerThanItsOwn) {
  const pid_t child = ::fork(); // a hard limit cannot be raised again
  if (child == 0) {
    const rlimit low{rlim_t{64} << 20, rlim_t{64} << 20};
    ::setrlimit(RLIMIT_FSIZE, &low);
    auto pool = CompilePool::start(options());
    ::_exit(pool && one(**pool, "x").outcome == Outcome::kOk ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(CompilePool, AWorkerKilledWhileIdleIsReplaced) {
  auto pool = pool_of(options());
  ::kill(pool->worker_pids()[0], SIGKILL);
  ::poll(nullptr, 0, 20);
  pool->poll(0);
  EXPECT_EQ(one(*pool, "after").outcome, Outcome::kOk);
}

TEST(CompilePool, WarningsComeWithTheirRequestOnly) {
  auto pool = pool_of(options());
  EXPECT_THAT(one(*pool, "warn").stderr_tail, HasSubstr("not vectorised"));
  EXPECT_EQ(one(*pool, "quiet").stderr_tail, "");
}

TEST(CompilePool, CancelledRequestsNeverComeBack) {
  auto pool = pool_of(options());
  const Ticket running = pool->submit("hang", 100);
  const Ticket queued = pool->submit("queued");
  const Ticket kept = pool->submit("kept");
  pool->cancel(running);
  pool->cancel(queued);
  EXPECT_EQ(pool->pending(), 1U);
  const auto done = all(*pool);
  EXPECT_EQ(done.size(), 1U);
  EXPECT_TRUE(done.contains(kept));
}

TEST(CompilePool, PassesTheEnvironment) {
  auto pool = pool_of(options());
  EXPECT_EQ(one(*pool, "environment").response, "set by the pool");
}

TEST(CompilePool, AMissingProgramIsNamed) {
  CompilePoolOptions with = options();
  with.program = "/nonexistent/compiler";
  const auto pool = CompilePool::start(with);
  ASSERT_FALSE(pool);
  EXPECT_THAT(pool.error().message, HasSubstr("/nonexistent/compiler"));
}

TEST(CompilePool, TheEventDescriptorTellsWhenToPoll) {
  auto pool = pool_of(options());
  pool->submit("x");
  pollfd ready{pool->event_fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&ready, 1, 30'000), 1);
  EXPECT_EQ(pool->poll(0).size(), 1U);
}

TEST(CompilePool, WorkersDieWithTheirParent) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    auto pool = CompilePool::start(options());
    const int pid = (*pool)->worker_pids()[0];
    (*pool)->submit("hang");
    (*pool)->poll(10);
    (void)!::write(pipe_ends[1], &pid, sizeof pid);
    ::raise(SIGKILL);
  }
  ::close(pipe_ends[1]);
  int worker = 0;
  ASSERT_EQ(::read(pipe_ends[0], &worker, sizeof worker), ssize_t{sizeof worker});
  ::waitpid(parent, nullptr, 0);
  // Gone, or at most a zombie that nobody here may reap.
  bool gone = false;
  for (int i = 0; i < 500 && !gone; ++i) {
    char state = 'Z';
    if (FILE* file = std::fopen(("/proc/" + std::to_string(worker) + "/stat").c_str(), "r")) {
      if (std::fscanf(file, "%*d %*s %c", &state) != 1)
        state = 'Z';
      std::fclose(file);
    }
    gone = state == 'Z' || state == 'X';
    if (!gone)
      ::poll(nullptr, 0, 10);
  }
  EXPECT_TRUE(gone);
}

} // namespace
} // namespace temper::engine
