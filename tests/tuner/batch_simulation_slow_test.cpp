/// A batch of a day's length on a machine that is not there, with everything that happens in a day:
/// the process is killed, helpers are killed, the disk fills up, the calendar jumps.
#include "tests/tuner/batch_scene.h"

#include <gtest/gtest.h>

#include <malloc.h>
#include <set>
#include <unordered_map>

namespace temper::tuner {
namespace {

using testing::BatchScene;
using testing::Killed;
using testing::must;

constexpr double kHour = 3600;

struct Day {
  int kills = 0;
  int lost = 0;
  int full_disks = 0;
  int jumps = 0;
  int calls = 0;
  std::vector<size_t> memory; ///< bytes in use, every half hour
  BatchResult last;
};

/// Runs the batch again and again until it is done, as a person (or cron) would.
Day live_through(BatchScene& scene, uint64_t seed) {
  Day day;
  Random random(seed);
  const auto chance = [&](double probability) { return random.uniform() < probability; };
  double sampled = 0;
  scene.world.fate = [&] {
    if (scene.world.seconds >= sampled) {
      sampled = scene.world.seconds + kHour / 2;
      day.memory.push_back(mallinfo2().uordblks);
    }
    if (chance(0.001)) { // the calendar is set, by up to a day, either way
      ++day.jumps;
      scene.world.jump_ns += static_cast<int64_t>((random.uniform() - 0.5) * 2 * 24 * kHour * 1e9);
    }
    if (chance(0.002)) {
      ++day.lost;
      scene.device.lose = true;
    }
    if (chance(0.002)) {
      ++day.kills;
      throw Killed();
    }
  };
  constexpr int kMostCalls = 1000;
  while (++day.calls < kMostCalls) {
    scene.open_store(chance(0.3) ? 50'000 : 0);
    scene.device.held = 0; // its runner went with the process
    try {
      day.last = scene.run();
    } catch (const Killed&) {
      continue;
    }
    if (day.last.error) {
      ++day.full_disks;
      continue;
    }
    bool finished = true;
    for (const BatchOutcome& outcome : day.last.outcomes)
      finished &= outcome.verdict == BatchVerdict::kWon || outcome.verdict == BatchVerdict::kSame;
    if (finished)
      break;
  }
  return day;
}

TEST(Simulation, ADayWithKillsFullDisksAndJumpingClocksLosesNothing) {
  constexpr size_t kItems = 60;
  BatchScene scene(kItems);
  scene.use_file();
  for (BatchItem& item : scene.items)
    item.trials = 0;
  scene.options.seconds = 24 * kHour;
  scene.options.live = 4;
  scene.device.trial_seconds = 20;
  scene.reported.reserve(100'000);
  { // fills what is filled once in a process
    BatchScene first(2);
    first.run();
  }
  const size_t before = mallinfo2().uordblks;
  const Day day = live_through(scene, 11);

  EXPECT_GE(scene.world.seconds, 0.95 * 24 * kHour);
  EXPECT_GT(day.kills, 5);
  EXPECT_GT(day.lost, 3);
  EXPECT_GT(day.full_disks, 0);
  EXPECT_GT(day.jumps, 1);
  ASSERT_EQ(day.last.outcomes.size(), kItems);
  EXPECT_FALSE(day.last.error);
  for (const BatchOutcome& outcome : day.last.outcomes) {
    EXPECT_NE(outcome.verdict, BatchVerdict::kFailed) << outcome.reason;
    EXPECT_NE(outcome.verdict, BatchVerdict::kUnfinished) << outcome.reason;
  }

  // Every outcome that was reported is there, once; nothing was measured twice.
  scene.open_store();
  std::unordered_map<database::Id, int> stored;
  std::set<std::pair<database::Id, database::Id>> measured;
  std::unordered_map<database::Id, int64_t> trials;
  must(scene.store->each_measurement([&](const database::Measurement& row) {
    ++stored[row.id];
    if (row.purpose == database::Purpose::kSearch) {
      EXPECT_TRUE(measured.emplace(row.run, row.candidate).second);
      ++trials[row.run];
    }
    return true;
  }));
  for (const database::Id& record : scene.reported)
    EXPECT_EQ(stored[record], 1) << record;
  const auto runs = scene.runs();
  EXPECT_EQ(runs.size(), kItems) << "one run each, however often its process was killed";
  for (const database::Run& run : runs) {
    EXPECT_EQ(run.state, database::RunState::kFinished) << run.stopped_because;
    EXPECT_EQ(run.trials, trials[run.id]);
  }
  must(scene.store->check_integrity());

  // Four runs are in memory, whatever the batch's length: what is in use at any moment is what
  // their own histories take, and afterwards nothing is left of it.
  EXPECT_LE(scene.most_held, 5);
  ASSERT_GT(day.memory.size(), 20U);
  int64_t longest = 0;
  for (const auto& [run, count] : trials)
    longest = std::max(longest, count);
  const size_t most = *std::max_element(day.memory.begin(), day.memory.end());
  constexpr size_t kBytesOfTrial = 40'000; // its candidate: module, trace, features
  EXPECT_LE(most, day.memory.front() + 5 * static_cast<size_t>(longest) * kBytesOfTrial);
  stored.clear();
  measured.clear();
  scene.store.reset();
  const size_t after = mallinfo2().uordblks;
  EXPECT_LE(after, before + 2'000'000) << scene.reported.size() << " trials";
  RecordProperty("trials", static_cast<int>(scene.reported.size()));
  RecordProperty("calls", day.calls);
  RecordProperty("most_bytes", std::to_string(most));
  RecordProperty("before_bytes", std::to_string(before));
  RecordProperty("after_bytes", std::to_string(after));
}

TEST(Simulation, OfTheSameSeedIsTheSameDay) {
  const auto live = [] {
    BatchScene scene(5);
    scene.use_file();
    for (BatchItem& item : scene.items)
      item.trials = 30;
    const Day day = live_through(scene, 3);
    std::vector<double> best;
    for (const BatchOutcome& outcome : day.last.outcomes)
      best.push_back(outcome.best_ns);
    return std::pair(best, day.calls);
  };
  EXPECT_EQ(live(), live());
}

} // namespace
} // namespace temper::tuner
