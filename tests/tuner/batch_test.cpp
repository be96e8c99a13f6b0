#include "tuner/batch.h"

#include "tests/tuner/batch_scene.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace temper::tuner {
namespace {

using testing::BatchScene;
using ::testing::HasSubstr;
using testing::Killed;
using testing::must;

TEST(Batch, TunesEveryItemToItsBudget) {
  BatchScene scene;
  const BatchResult result = scene.run();
  EXPECT_FALSE(result.error);
  ASSERT_EQ(result.outcomes.size(), 3U);
  for (const BatchOutcome& outcome : result.outcomes) {
    EXPECT_EQ(outcome.verdict, BatchVerdict::kWon) << outcome.reason;
    EXPECT_EQ(outcome.trials, 40);
    EXPECT_EQ(outcome.reason, "40 trials");
    EXPECT_GT(outcome.untuned_ns, outcome.best_ns);
    EXPECT_EQ(must(scene.store->measurement(outcome.record)).purpose, database::Purpose::kConfirm);
    EXPECT_EQ(must(scene.store->run(outcome.run)).state, database::RunState::kFinished);
    EXPECT_EQ(must(scene.store->tags(outcome.run)).front().tag, "night");
  }
  EXPECT_EQ(result.trials, 120);
  EXPECT_EQ(scene.device.held, 0) << "what is finished leaves the device";
}

TEST(Batch, AKernelThatIsThereTwiceIsOneItem) {
  BatchScene scene(2);
  scene.add(0); // the first again
  for (size_t i = 0; i < 3; ++i)
    scene.items[i].kernel = i == 1 ? "other" : "first";
  scene.items[0].tags = {"a", "b"};
  scene.items[2].tags = {"b", "c"};
  scene.items[2].weight = 3;
  scene.items[2].trials = 50;
  EXPECT_EQ(merge_equal(scene.items), (std::vector<std::pair<size_t, size_t>>{{0, 2}}));
  ASSERT_EQ(scene.items.size(), 2U);
  const BatchResult result = scene.run();
  for (const BatchOutcome& outcome : result.outcomes)
    EXPECT_EQ(outcome.verdict, BatchVerdict::kWon) << outcome.reason;
  EXPECT_EQ(result.outcomes[0].weight, 4);
  EXPECT_EQ(result.outcomes[0].trials, 50);
  std::set<std::string> tags;
  for (const database::Tag& tag : must(scene.store->tags(result.outcomes[0].run)))
    tags.insert(tag.tag);
  EXPECT_EQ(tags, (std::set<std::string>{"a", "b", "c", "night"}));
}

TEST(Batch, OfMergedBudgetsTheLargerCounts) {
  const auto merged = [](BatchItem one, BatchItem other) {
    std::vector<BatchItem> items{{.title = "one", .kernel = "k"},
                                 {.title = "other", .kernel = "k"}};
    items[0].trials = one.trials;
    items[0].seconds = one.seconds;
    items[1].trials = other.trials;
    items[1].seconds = other.seconds;
    merge_equal(items);
    EXPECT_EQ(items.size(), 1U);
    return std::pair(items[0].trials, items[0].seconds);
  };
  EXPECT_EQ(merged({.trials = 5, .seconds = 9}, {.trials = 7, .seconds = 3}), std::pair(7L, 9.0));
  EXPECT_EQ(merged({.trials = 5}, {}), std::pair(0L, 0.0)) << "without a bound";
  EXPECT_EQ(merged({.trials = 5}, {.trials = 2, .seconds = 3}), std::pair(5L, 0.0));
  EXPECT_EQ(merged({.trials = 5}, {.seconds = 3}), std::pair(5L, 3.0)) << "whichever is first";
  std::vector<BatchItem> unknown(2); // which could not be opened
  EXPECT_TRUE(merge_equal(unknown).empty());
}

TEST(Batch, RunAgainTellsTheSameWithoutWork) {
  BatchScene scene;
  const BatchResult first = scene.run();
  const size_t reported = scene.reported.size();
  const BatchResult second = scene.run();
  EXPECT_EQ(second.counts.rounds, 0);
  EXPECT_EQ(scene.reported.size(), reported);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(second.outcomes[i].earlier);
    EXPECT_EQ(second.outcomes[i].verdict, first.outcomes[i].verdict);
    EXPECT_EQ(second.outcomes[i].record, first.outcomes[i].record);
    EXPECT_EQ(second.outcomes[i].trials, first.outcomes[i].trials);
    EXPECT_DOUBLE_EQ(second.outcomes[i].untuned_ns, first.outcomes[i].untuned_ns);
  }
}

TEST(Batch, AnewIsHeldAgainstWhatWasKnown) {
  BatchScene scene(1);
  const BatchResult first = scene.run();
  scene.options.again = true;
  const BatchResult second = scene.run();
  EXPECT_DOUBLE_EQ(second.outcomes[0].before_ns, first.outcomes[0].best_ns);
  EXPECT_NE(second.outcomes[0].run, first.outcomes[0].run);
  if (second.outcomes[0].best_ns >= first.outcomes[0].best_ns) {
    EXPECT_EQ(second.outcomes[0].verdict, BatchVerdict::kSame);
  }
  scene.options.again = false;
  EXPECT_EQ(scene.run().outcomes[0].run, second.outcomes[0].run) << "the newest generation counts";
}

TEST(Batch, AnItemThatCannotBeOpenedStopsNoOther) {
  BatchScene scene;
  scene.items[1].open = []() -> Result<std::unique_ptr<BatchKernel>> {
    return Error(ErrorCode::kUnsupported, "no such machine");
  };
  const BatchResult result = scene.run();
  EXPECT_FALSE(result.error);
  EXPECT_EQ(result.outcomes[1].verdict, BatchVerdict::kFailed);
  EXPECT_EQ(result.outcomes[1].reason, "no such machine");
  EXPECT_EQ(result.outcomes[0].verdict, BatchVerdict::kWon);
  EXPECT_EQ(result.outcomes[2].verdict, BatchVerdict::kWon);
}

TEST(Batch, ABudgetOfTimeIsSharedAndKept) {
  BatchScene scene;
  for (BatchItem& item : scene.items)
    item.trials = 0;
  scene.options.seconds = 2000;
  const BatchResult result = scene.run();
  EXPECT_GT(result.seconds, 0.9 * 2000);
  EXPECT_LT(result.seconds, 1.1 * 2000);
  for (const BatchOutcome& outcome : result.outcomes) {
    EXPECT_EQ(outcome.verdict, BatchVerdict::kWon) << outcome.reason;
    EXPECT_GT(outcome.trials, 16);
    EXPECT_EQ(must(scene.store->measurement(outcome.record)).purpose, database::Purpose::kConfirm);
  }
  const BatchResult again = scene.run();
  EXPECT_EQ(again.counts.rounds, 0) << "it is spent";
  scene.options.seconds = 3000;
  const BatchResult more = scene.run();
  EXPECT_GT(more.seconds, 0.9 * 3000);
  EXPECT_EQ(scene.runs().size(), 3U) << "the runs went on";
}

TEST(Batch, ABudgetOfTrialsIsSharedAndKept) {
  BatchScene scene;
  for (BatchItem& item : scene.items)
    item.trials = 0;
  for (const int64_t trials : {10, 50, 100}) {
    scene.options.trials = trials;
    const BatchResult result = scene.run();
    EXPECT_LE(result.trials, trials);
    EXPECT_GE(result.trials, trials - 3);
    for (const BatchOutcome& outcome : result.outcomes)
      EXPECT_GT(outcome.trials, 1) << "each has its turn";
  }
}

TEST(Batch, TimeGoesWhereTheWeightIs) {
  BatchScene scene(2);
  for (BatchItem& item : scene.items)
    item.trials = 0;
  scene.items[1].weight = 1000;
  scene.options.objective = BatchObjective::kTotalTime;
  scene.options.seconds = 800; // none converges in that
  const BatchResult result = scene.run();
  EXPECT_GT(result.outcomes[1].seconds, 3 * result.outcomes[0].seconds);
}

TEST(Batch, RunsThatArePutAsideLoseNothing) {
  BatchScene all(4);
  all.run();
  BatchScene one(4);
  one.options.live = 1;
  one.options.turn = 1; // changes often
  const BatchResult result = one.run();
  EXPECT_GT(result.counts.rebuilt, 0);
  EXPECT_LE(one.most_held, 2) << "fresh inputs of finalists beside the run's own";
  for (const BatchOutcome& outcome : result.outcomes) {
    EXPECT_EQ(outcome.verdict, BatchVerdict::kWon);
    EXPECT_EQ(outcome.trials, 40);
  }
  EXPECT_EQ(one.runs().size(), 4U);
  std::set<std::pair<database::Id, database::Id>> measured;
  must(one.store->each_measurement([&](const database::Measurement& row) {
    if (row.purpose == database::Purpose::kSearch) {
      EXPECT_TRUE(measured.emplace(row.run, row.candidate).second);
    }
    return true;
  }));
  EXPECT_EQ(measured.size(), 160U);
}

TEST(Batch, SchedulingCostsLessThanAHundredth) {
  // More runs than there is room for, so that they are built again and again.
  BatchScene scene(6);
  for (BatchItem& item : scene.items)
    item.trials = 0;
  scene.options.live = 2;
  scene.options.seconds = 8'000;
  scene.device.trial_seconds = 15;
  const BatchResult result = scene.run();
  EXPECT_GT(result.counts.rebuilt, 0);
  EXPECT_LT(result.counts.overhead_seconds(), 0.01 * result.counts.seconds);
  EXPECT_LE(result.counts.decisions, result.counts.rounds + 6 + 1) << "one a round at most";
}

TEST(Batch, InterruptedItGoesOnWhereItWas) {
  BatchScene scene;
  int64_t stop_after = 50;
  scene.hooks.interrupted = [&] {
    return static_cast<int64_t>(scene.reported.size()) >= stop_after;
  };
  const BatchResult cut = scene.run();
  EXPECT_TRUE(cut.interrupted);
  EXPECT_LT(cut.trials, 60);
  for (const database::Run& run : scene.runs())
    EXPECT_EQ(run.state, database::RunState::kInterrupted);
  stop_after = 1'000'000;
  const BatchResult rest = scene.run();
  EXPECT_EQ(rest.trials, 120);
  EXPECT_EQ(scene.runs().size(), 3U);
}

TEST(Batch, KilledItGoesOnWhereItWas) {
  BatchScene scene;
  scene.use_file();
  int fatal = 100;
  scene.world.fate = [&] {
    if (--fatal == 0)
      throw Killed();
  };
  EXPECT_THROW(scene.run(), Killed);
  const size_t reported = scene.reported.size();
  EXPECT_GT(reported, 0U);
  scene.open_store();
  const BatchResult rest = scene.run();
  EXPECT_EQ(rest.trials, 120);
  EXPECT_EQ(scene.runs().size(), 3U);
  for (const database::Id& record : scene.reported)
    EXPECT_TRUE(scene.store->measurement(record)) << record;
}

TEST(Batch, KilledOftenItForgetsNoItem) {
  BatchScene scene(6);
  scene.use_file();
  int until_killed = 0;
  scene.world.fate = [&] {
    if (--until_killed == 0)
      throw Killed();
  };
  for (int life = 0; life < 8; ++life) { // each as long as a round or two
    until_killed = 60;
    scene.open_store();
    EXPECT_THROW(scene.run(), Killed);
  }
  EXPECT_EQ(scene.runs().size(), 6U);
}

TEST(Batch, WhatAnotherProcessHasIsLeftToIt) {
  BatchScene scene;
  scene.use_file();
  int fatal = 100;
  scene.world.fate = [&] {
    if (--fatal == 0)
      throw Killed();
  };
  EXPECT_THROW(scene.run(), Killed);
  const int64_t first = scene.world.process;
  scene.open_store();
  scene.world.other = first; // not dead after all
  const BatchResult second = scene.run();
  for (const BatchOutcome& outcome : second.outcomes) {
    EXPECT_EQ(outcome.verdict, BatchVerdict::kElsewhere);
    EXPECT_THAT(outcome.reason, HasSubstr("is at work on it"));
  }
  EXPECT_EQ(scene.runs().size(), 3U);
}

TEST(Batch, WhatAnotherProcessLeftIsTakenOverAtTheEnd) {
  BatchScene scene;
  scene.use_file();
  scene.items[0].trials = 200;
  int fatal = 100;
  scene.world.fate = [&] {
    if (--fatal == 0)
      throw Killed();
  };
  const std::vector<BatchItem> all = scene.items;
  scene.items = {all[0]}; // the other process has the first only
  EXPECT_THROW(scene.run(), Killed);
  scene.items = all;
  const int64_t other = scene.world.process;
  scene.open_store();
  scene.world.other = other;
  std::vector<std::string> told;
  scene.hooks.finished = [&](const BatchOutcome& outcome) {
    told.push_back(outcome.title + ": " + to_string(outcome.verdict));
    if (told.size() == 3) // the others are done by then
      scene.world.other = 0;
  };
  const BatchResult result = scene.run();
  for (const BatchOutcome& outcome : result.outcomes)
    EXPECT_EQ(outcome.verdict, BatchVerdict::kWon) << outcome.title << ": " << outcome.reason;
  EXPECT_EQ(result.outcomes[0].trials, 200);
  EXPECT_EQ(scene.runs().size(), 3U) << "its run went on";
  ASSERT_EQ(told.size(), 4U);
  EXPECT_THAT(told[2], HasSubstr("elsewhere"));
  EXPECT_THAT(told[3], HasSubstr("won"));
  EXPECT_EQ(scene.device.held, 0);
}

TEST(Batch, WhatAnotherProcessFinishedMeanwhileIsTold) {
  BatchScene scene;
  scene.use_file();
  const std::vector<BatchItem> all = scene.items;
  scene.items = {all[0]};
  const BatchResult theirs = scene.run();
  // As it looks while the other process is at work.
  const database::Id run = theirs.outcomes[0].run;
  database::RunClaim claim = must(scene.store->claim_run(run, true));
  const int64_t other = scene.world.process;
  scene.items = all;
  scene.open_store();
  scene.world.other = other;
  int told = 0;
  scene.hooks.finished = [&](const BatchOutcome&) {
    if (++told == 3)
      must(scene.store->release_run(claim, database::RunState::kFinished, "40 trials"));
  };
  const BatchResult result = scene.run();
  EXPECT_EQ(result.outcomes[0].verdict, BatchVerdict::kWon) << result.outcomes[0].reason;
  EXPECT_TRUE(result.outcomes[0].earlier);
  EXPECT_EQ(result.outcomes[0].record, theirs.outcomes[0].record);
}

TEST(Batch, ADeviceThatLosesARequestCostsNothing) {
  BatchScene scene;
  int measured = 0;
  scene.world.fate = [&] { scene.device.lose = ++measured == 30 || measured == 90; };
  const BatchResult result = scene.run();
  for (const BatchOutcome& outcome : result.outcomes) {
    EXPECT_EQ(outcome.verdict, BatchVerdict::kWon) << outcome.reason;
    EXPECT_EQ(outcome.trials, 40);
  }
}

TEST(Batch, AnItemWhoseDeviceFailsEachTimeStopsNoOther) {
  BatchScene scene;
  scene.items[1].open = [open = scene.items[1].open, &scene] {
    auto kernel = open();
    (*kernel)->task.reference_text = "no program"; // what the compile process dies of
    return kernel;
  };
  scene.compilers = engine::FakeCompilePool(
      [&](std::string_view request) -> Result<std::string> {
        const auto decoded = must(decode_compile_request(request));
        scene.compilers.lose_from_now_on = decoded.module_text == "no program";
        return testing::compile_to_text(request);
      },
      1);
  const BatchResult result = scene.run();
  EXPECT_FALSE(result.error);
  EXPECT_EQ(result.outcomes[1].verdict, BatchVerdict::kFailed);
  EXPECT_THAT(result.outcomes[1].reason, HasSubstr("lost"));
  EXPECT_EQ(result.outcomes[0].verdict, BatchVerdict::kWon);
  EXPECT_EQ(result.outcomes[2].verdict, BatchVerdict::kWon);
  EXPECT_EQ(must(scene.store->run(result.outcomes[1].run)).state, database::RunState::kInterrupted)
      << "a later batch tries it again";
}

TEST(Batch, OnAFullDiskItEndsInOneSentenceAndGoesOnAfterwards) {
  BatchScene scene;
  scene.use_file();
  scene.open_store();
  scene.options.trials = 20;
  scene.run();
  scene.options.trials = 0;
  scene.open_store(20'000);
  const BatchResult full = scene.run();
  ASSERT_TRUE(full.error);
  EXPECT_EQ(full.error->code, ErrorCode::kEnvironment);
  const size_t reported = scene.reported.size();
  EXPECT_LT(reported, 120U);
  scene.open_store();
  const BatchResult rest = scene.run();
  EXPECT_FALSE(rest.error);
  EXPECT_EQ(rest.trials, 120);
  EXPECT_EQ(scene.runs().size(), 3U);
}

TEST(Batch, ARunThatIsAskedToStopStopsAlone) {
  BatchScene scene;
  bool asked = false;
  scene.hooks.progress = [&](const BatchProgress& progress) {
    if (asked || scene.reported.size() < 60)
      return;
    asked = true;
    for (const database::Run& run : scene.runs())
      if (run.trials == progress.tune.trials && run.state == database::RunState::kRunning) {
        must(scene.store->request(run.id, database::RequestedState::kStop));
        break;
      }
  };
  const BatchResult result = scene.run();
  EXPECT_FALSE(result.interrupted);
  int stopped = 0;
  for (const BatchOutcome& outcome : result.outcomes)
    stopped += outcome.verdict == BatchVerdict::kUnfinished ? 1 : 0;
  EXPECT_EQ(stopped, 1);
}

} // namespace
} // namespace temper::tuner
