// What prune drops, and what it never does.
#include "database/dump.h"
#include "ir/support/random.h"
#include "tests/database/fixture.h"

#include <gmock/gmock.h>
#include <set>
#include <sstream>

namespace temper::database {
namespace {

constexpr int64_t kForever = INT64_MAX;

std::set<Id> records_of(Store& store) {
  std::set<Id> ids;
  for (const RecordRow& row : must(store.list_records({})))
    ids.insert(row.id);
  return ids;
}

PruneSummary prune_all(Store& store, bool dry_run = false) {
  return must(store.prune({.before = kForever, .filter = {}, .dry_run = dry_run}));
}

int64_t dropped(const PruneSummary& summary, const std::string& kind = "measurement") {
  const auto found = summary.rows.find(kind);
  return found == summary.rows.end() ? 0 : found->second;
}

TEST(Prune, KeepsTheBestAndDropsTheRest) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(300));
  const Recorded best = scene.record(Scene::trace(2), scene.measurement(100));
  scene.record(Scene::trace(3), scene.measurement(0, Outcome::kCrashed));
  must(store->release_run(scene.claim, RunState::kFinished, "done"));
  const PruneSummary summary = prune_all(*store);
  EXPECT_EQ(records_of(*store), std::set<Id>{best.measurement});
  EXPECT_EQ(summary.considered, 3);
  EXPECT_EQ(dropped(summary), 2);
  EXPECT_EQ(dropped(summary, "candidate"), 2);
  EXPECT_EQ(summary.records.at("matmul").at("ok"), 1);
  EXPECT_EQ(summary.records.at("matmul").at("crashed"), 1);
  EXPECT_EQ(must(store->candidate(best.candidate)).program, Scene::trace(2));
  must(store->check_integrity());
  // Pruning again finds nothing more, and recording goes on.
  EXPECT_TRUE(prune_all(*store).rows.empty());
  scene.start_run();
  scene.record(Scene::trace(3), scene.measurement(90));
  EXPECT_EQ(must(store->best({})).at(0).median_ns, 90);
}

TEST(Prune, SaysWithoutDoing) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(300));
  scene.record(Scene::trace(2), scene.measurement(100));
  must(store->release_run(scene.claim, RunState::kFinished, "done"));
  const std::set<Id> before = records_of(*store);
  EXPECT_EQ(dropped(prune_all(*store, true)), 1);
  EXPECT_EQ(records_of(*store), before);
  EXPECT_EQ(dropped(prune_all(*store)), 1) << "it said what it would do";
}

TEST(Prune, LeavesARunThatCanGoOn) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(300));
  scene.record(Scene::trace(2), scene.measurement(100));
  EXPECT_TRUE(prune_all(*store).rows.empty());
  must(store->release_run(scene.claim, RunState::kPaused, "asked to"));
  EXPECT_TRUE(prune_all(*store).rows.empty());
}

TEST(Prune, LeavesWhatIsYoung) {
  FakeSystem system;
  auto store = memory_store(&system);
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(300));
  const int64_t between = system.now_ns();
  const Recorded young = scene.record(Scene::trace(2), scene.measurement(400));
  const Recorded best = scene.record(Scene::trace(3), scene.measurement(100));
  must(store->release_run(scene.claim, RunState::kFinished, "done"));
  must(store->prune({.before = between, .filter = {}, .dry_run = false}));
  EXPECT_EQ(records_of(*store), (std::set<Id>{young.measurement, best.measurement}));
}

TEST(Prune, DropsOnlyWhatTheQueryNames) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(0, Outcome::kCrashed));
  scene.record(Scene::trace(2), scene.measurement(200));
  scene.record(Scene::trace(3), scene.measurement(100));
  must(store->release_run(scene.claim, RunState::kFinished, "done"));
  RecordFilter filter;
  filter.query = must(parse_query("outcome = crashed", 1));
  const PruneSummary summary = must(store->prune({.before = kForever, .filter = filter}));
  EXPECT_EQ(dropped(summary), 1);
  EXPECT_EQ(records_of(*store).size(), 2u);
}

TEST(Prune, NeverDropsWhatAPersonMarked) {
  // A record, its run, its candidate and its workload, pinned; and a record with a note or a tag.
  for (const int what : {0, 1, 2, 3, 4, 5}) {
    auto store = memory_store();
    Scene scene(*store);
    const Recorded slow = scene.record(Scene::trace(1), scene.measurement(300));
    scene.record(Scene::trace(2), scene.measurement(100));
    must(store->release_run(scene.claim, RunState::kFinished, "done"));
    if (what < 4)
      must(store->add(Tag{.subject = what == 0   ? slow.measurement
                                     : what == 1 ? scene.run
                                     : what == 2 ? slow.candidate
                                                 : scene.workload,
                          .tag = kPinnedTag}));
    else if (what == 4)
      must(store->add(Note{.subject = slow.measurement, .text = "look at this"}));
    else
      must(store->add(Tag{.subject = slow.measurement, .tag = "odd"}));
    EXPECT_EQ(dropped(prune_all(*store)), 0) << what;
    EXPECT_EQ(records_of(*store).size(), 2u) << what;
  }
}

TEST(Prune, KeepsTheEvidenceAgainstALuckyMeasurement) {
  auto store = memory_store();
  Scene scene(*store);
  // 3 was lucky once and is pinned; the run confirmed 1, which is slower than that luck.
  const Recorded lucky = scene.record(Scene::trace(3), scene.measurement(50));
  scene.record(Scene::trace(1), scene.measurement(100));
  Measurement confirmed = scene.measurement(105);
  confirmed.purpose = Purpose::kConfirm;
  const Recorded best = scene.record(Scene::trace(1), confirmed);
  must(store->release_run(scene.claim, RunState::kFinished, "done"));
  must(store->add(Tag{.subject = lucky.measurement, .tag = kPinnedTag}));
  prune_all(*store);
  EXPECT_EQ(must(store->best({})).at(0).id, best.measurement);
}

TEST(Prune, KeepsTheProgramAsItWasWritten) {
  auto store = memory_store();
  Scene scene(*store);
  Measurement untuned = scene.measurement(9000);
  untuned.origin = "untuned";
  const Recorded first = scene.record(Scene::trace(1), untuned);
  scene.record(Scene::trace(2), scene.measurement(300));
  const Recorded best = scene.record(Scene::trace(3), scene.measurement(100));
  must(store->release_run(scene.claim, RunState::kFinished, "done"));
  EXPECT_EQ(dropped(prune_all(*store)), 1);
  EXPECT_EQ(records_of(*store), (std::set<Id>{first.measurement, best.measurement}));
}

TEST(Prune, KeepsTheProofThatACandidateIsWrong) {
  auto store = memory_store();
  Scene scene(*store);
  const Recorded fast = scene.record(Scene::trace(1), scene.measurement(50));
  scene.record(Scene::trace(2), scene.measurement(100));
  scene.record(Scene::trace(1), scene.measurement(0, Outcome::kWrongResult));
  must(store->release_run(scene.claim, RunState::kFinished, "done"));
  must(store->add(Tag{.subject = fast.measurement, .tag = kPinnedTag}));
  prune_all(*store);
  EXPECT_EQ(must(store->best({})).at(0).median_ns, 100);
}

TEST(Prune, OfRandomHistoriesNeverChangesABest) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    Random random(seed);
    FakeSystem system;
    auto store = memory_store(&system);
    std::vector<Id> runs;
    std::map<Id, std::string> programs;
    for (int r = 0; r < 4; ++r) {
      Scene scene(*store, a_workload("k" + std::to_string(random.below(2))));
      runs.push_back(scene.run);
      for (int i = 0; i < 20; ++i) {
        const auto what = random.below(8);
        Measurement row = scene.measurement(100 + static_cast<double>(random.below(40)),
                                            what == 0   ? Outcome::kWrongResult
                                            : what == 1 ? Outcome::kCrashed
                                            : what == 2 ? Outcome::kCensored
                                                        : Outcome::kOk);
        if (random.below(5) == 0)
          row.purpose = Purpose::kConfirm;
        const std::string program = Scene::trace(static_cast<int>(random.below(10)));
        const Recorded recorded = scene.record(program, row);
        programs[recorded.candidate] = program;
        if (random.below(10) == 0)
          must(store->add(Tag{.subject = recorded.measurement, .tag = kPinnedTag}));
      }
      if (random.below(4) != 0)
        must(store->release_run(scene.claim, RunState::kFinished, "done"));
    }
    RecordFilter all;
    all.include_stale = true;
    std::vector<std::vector<RecordRow>> before{must(store->best(all))};
    for (const Id& run : runs) {
      all.run = run;
      before.push_back(must(store->best(all)));
    }
    const int64_t total = static_cast<int64_t>(records_of(*store).size());
    const int64_t cut = random.below(2) == 0 ? kForever : system.now;
    const PruneSummary summary = must(store->prune({.before = cut, .filter = {}}));
    EXPECT_EQ(static_cast<int64_t>(records_of(*store).size()), total - dropped(summary));
    all.run.clear();
    std::vector<std::vector<RecordRow>> after{must(store->best(all))};
    for (const Id& run : runs) {
      all.run = run;
      after.push_back(must(store->best(all)));
    }
    for (size_t i = 0; i < before.size(); ++i) {
      ASSERT_EQ(before[i].size(), after[i].size()) << "seed " << seed;
      for (size_t k = 0; k < before[i].size(); ++k)
        if (i == 0)
          EXPECT_EQ(before[i][k].id, after[i][k].id) << "seed " << seed;
        else // the number of a run's best; the record may be an older one of the same candidate
          EXPECT_EQ(before[i][k].candidate, after[i][k].candidate) << "seed " << seed;
    }
    for (const RecordRow& row : must(store->list_records({})))
      EXPECT_EQ(must(store->candidate(row.candidate)).program, programs.at(row.candidate));
    must(store->check_integrity());
    // What is left is a whole database: it can be dumped and read.
    std::ostringstream out;
    must(dump(*store, out));
    auto other = memory_store(&system);
    std::istringstream in(out.str());
    EXPECT_EQ(must(import_dump(*other, in, "t")).problem_count, 0);
  }
}

TEST(Prune, MakesTheFileSmaller) {
  Folder folder;
  auto store = must(open_sqlite_store({.path = folder / "t.db"}));
  Scene scene(*store);
  for (int i = 0; i < 2000; ++i) {
    Measurement row = scene.measurement(100 + i);
    row.samples_ns.assign(50, 1.0f);
    scene.record(Scene::trace(i), row);
  }
  must(store->release_run(scene.claim, RunState::kFinished, "done"));
  const PruneSummary summary = prune_all(*store);
  EXPECT_EQ(dropped(summary), 1999);
  EXPECT_LT(summary.bytes_after, summary.bytes_before / 2);
}

} // namespace
} // namespace temper::database
