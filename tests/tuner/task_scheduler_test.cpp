#include "tuner/search/task_scheduler.h"

#include <gtest/gtest.h>

#include <cmath>

namespace temper::tuner {
namespace {

TEST(TaskScheduler, EveryTaskHasARoundBeforeOneHasTwo) {
  TaskScheduler scheduler(BatchObjective::kTotalTime);
  for (int i = 0; i < 3; ++i)
    scheduler.add(1, 0);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(scheduler.next(), i);
    scheduler.observe(i, 1, 100);
  }
}

TEST(TaskScheduler, OfEqualTasksTheHeavierComesFirst) {
  TaskScheduler scheduler(BatchObjective::kTotalTime);
  scheduler.add(1, 0);
  scheduler.add(5, 0);
  scheduler.observe(0, 1, 100);
  scheduler.observe(1, 1, 100);
  EXPECT_EQ(scheduler.next(), 1U);
  scheduler.observe(1, 6, 100); // six times the time for five times the weight
  EXPECT_EQ(scheduler.next(), 0U);
}

TEST(TaskScheduler, WithoutCallCountsALongKernelIsNotMoreThanAShortOne) {
  for (const auto objective : {BatchObjective::kTotalTime, BatchObjective::kMeanSpeedup}) {
    TaskScheduler scheduler(objective);
    scheduler.add(1, 0);
    scheduler.add(1, 0);
    scheduler.observe(0, 1, 10);
    scheduler.observe(1, 2, 10'000);
    EXPECT_EQ(scheduler.next(), objective == BatchObjective::kTotalTime ? 1U : 0U);
  }
}

TEST(TaskScheduler, WhatStillGainsGoesBeforeWhatHasStopped) {
  TaskScheduler scheduler(BatchObjective::kMeanSpeedup);
  scheduler.add(1, 0);
  scheduler.add(1, 0);
  for (int round = 1; round <= 4; ++round) {
    scheduler.observe(0, round, 100);
    scheduler.observe(1, round, 200 - 25 * round);
  }
  EXPECT_EQ(scheduler.next(), 1U);
}

TEST(TaskScheduler, AtItsBoundAKernelHasNothingToHopeFor) {
  TaskScheduler scheduler(BatchObjective::kMeanSpeedup);
  scheduler.add(1, 99);
  scheduler.add(1, 10);
  scheduler.observe(0, 1, 100);
  scheduler.observe(1, 30, 100);
  EXPECT_EQ(scheduler.next(), 1U);
}

TEST(TaskScheduler, ABoundThatIsRefutedCountsForNothing) {
  TaskScheduler scheduler(BatchObjective::kMeanSpeedup);
  scheduler.add(1, 200);
  scheduler.observe(0, 1, 100);
  EXPECT_DOUBLE_EQ(scheduler.gradient(0), 0.8);
}

TEST(TaskScheduler, WithoutAValidCandidateHopeFadesButDoesNotEnd) {
  TaskScheduler scheduler(BatchObjective::kMeanSpeedup);
  scheduler.add(1, 0); // never valid
  scheduler.add(1, 0);
  scheduler.observe(0, 1, 0);
  scheduler.observe(1, 1, 100);
  double spent[2] = {1, 1};
  int rounds[2] = {1, 1};
  for (int i = 0; i < 200; ++i) {
    const size_t task = scheduler.next().value();
    ++rounds[task];
    scheduler.observe(task, spent[task] += 1, task == 0 ? 0 : 100);
  }
  EXPECT_GT(rounds[0], 5);
  EXPECT_GE(rounds[1], rounds[0]);
}

TEST(TaskScheduler, FinishedTasksGetNothing) {
  TaskScheduler scheduler(BatchObjective::kTotalTime);
  scheduler.add(1, 0);
  scheduler.add(100, 0);
  scheduler.observe(0, 1, 100);
  scheduler.observe(1, 1, 100);
  scheduler.finish(1);
  EXPECT_EQ(scheduler.next(), 0U);
  scheduler.finish(0);
  EXPECT_EQ(scheduler.next(), std::nullopt);
}

/// Tasks whose best falls as a + b / t: the sum of the weighted bests under the scheduler, and with
/// the same time in turns.
double total_after(int rounds, bool in_turns) {
  struct Curve {
    double weight, floor, gain;
  };
  const Curve curves[] = {{10, 100, 900}, {1, 100, 10}, {1, 5, 5}, {3, 400, 400}};
  TaskScheduler scheduler(BatchObjective::kTotalTime);
  double spent[4] = {};
  const auto best = [&](size_t i) { return curves[i].floor + curves[i].gain / (1 + spent[i]); };
  for (const Curve& curve : curves)
    scheduler.add(curve.weight, 0);
  for (int round = 0; round < rounds; ++round) {
    const size_t task = in_turns ? static_cast<size_t>(round % 4) : scheduler.next().value();
    spent[task] += 1;
    scheduler.observe(task, spent[task], best(task));
  }
  double total = 0;
  for (size_t i = 0; i < 4; ++i)
    total += curves[i].weight * best(i);
  return total;
}

TEST(TaskScheduler, SpendsTimeBetterThanTurns) {
  for (const int rounds : {12, 40, 100})
    EXPECT_LT(total_after(rounds, false), total_after(rounds, true)) << rounds;
}

TEST(TaskScheduler, ADecisionCostsOneGradientATask) {
  TaskScheduler scheduler(BatchObjective::kTotalTime);
  constexpr size_t kTasks = 200;
  for (size_t i = 0; i < kTasks; ++i) {
    scheduler.add(1, 0);
    scheduler.observe(i, 1, 100);
  }
  const int64_t decisions = scheduler.decisions();
  for (int i = 0; i < 100; ++i)
    scheduler.observe(scheduler.next().value(), i + 2, 100);
  EXPECT_EQ(scheduler.decisions() - decisions, 100);
  EXPECT_LE(scheduler.gradients(), 100 * static_cast<int64_t>(kTasks));
}

} // namespace
} // namespace temper::tuner
