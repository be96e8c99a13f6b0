// The best and the other queries; selections.
#include "tests/database/fixture.h"

#include <cmath>
#include <gmock/gmock.h>

namespace temper::database {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Best, IsTheFastestCorrectCandidate) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(300));
  const Recorded fast = scene.record(Scene::trace(2), scene.measurement(100));
  scene.record(Scene::trace(3), scene.measurement(200));
  Measurement wrong = scene.measurement(1, Outcome::kWrongResult);
  wrong.median_ns = 1; // timed all the same
  scene.record(Scene::trace(4), wrong);
  Measurement censored = scene.measurement(2, Outcome::kCensored);
  censored.median_ns = 2;
  scene.record(Scene::trace(5), censored);
  const auto rows = must(store->best({}));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].id, fast.measurement);
  EXPECT_EQ(rows[0].candidate, fast.candidate);
  EXPECT_EQ(rows[0].workload_name, "matmul");
  EXPECT_EQ(rows[0].median_ns, 100);
  EXPECT_EQ(rows[0].flops, 2.0 * 512 * 512);
  EXPECT_FALSE(rows[0].stale);
  EXPECT_FALSE(rows[0].unchecked);
}

TEST(Best, IsNothingWhereNothingWasCorrect) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(0, Outcome::kCrashed));
  EXPECT_TRUE(must(store->best({})).empty());
}

TEST(Best, TrustsAConfirmationMoreThanALuckyMeasurement) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(90)); // lucky
  scene.record(Scene::trace(2), scene.measurement(100));
  Measurement confirmed = scene.measurement(110);
  confirmed.purpose = Purpose::kConfirm;
  scene.record(Scene::trace(1), confirmed);
  EXPECT_EQ(must(store->best({})).at(0).median_ns, 110);
  confirmed.median_ns = 95;
  const Recorded again = scene.record(Scene::trace(1), confirmed);
  const auto rows = must(store->best({}));
  EXPECT_EQ(rows.at(0).median_ns, 95) << "of confirmations as long the fastest";
  EXPECT_EQ(rows.at(0).id, again.measurement);
}

TEST(Best, HasTheNumberOfItsLongConfirmationsNotOfAThinRerun) {
  auto store = memory_store();
  Scene scene(*store);
  const auto confirm = [&](double ns, size_t samples) {
    Measurement row = scene.measurement(ns);
    row.purpose = Purpose::kConfirm;
    row.samples_ns.assign(samples, static_cast<float>(ns));
    return scene.record(Scene::trace(1), row).measurement;
  };
  const Id well_sampled = confirm(100, 30);
  confirm(130, 3); // on a busy day
  EXPECT_EQ(must(store->best({})).at(0).id, well_sampled);
  confirm(90, 3); // lucky
  EXPECT_EQ(must(store->best({})).at(0).id, well_sampled);
  confirm(110, 40);
  EXPECT_EQ(must(store->best({})).at(0).id, well_sampled) << "about as many samples, and faster";
  const Id longest = confirm(120, 61);
  EXPECT_EQ(must(store->best({})).at(0).median_ns, 110) << longest;
}

TEST(Best, IsNoneThatItsRunPassedOver) {
  auto store = memory_store();
  Scene scene(*store);
  // 1 and 2 are the fastest of the search, and confirmed; 3 was next, and its number is luckier
  // than theirs are now.
  for (int i = 1; i <= 3; ++i)
    scene.record(Scene::trace(i), scene.measurement(100 + i));
  Measurement confirmed = scene.measurement(105);
  confirmed.purpose = Purpose::kConfirm;
  scene.record(Scene::trace(1), confirmed);
  confirmed.median_ns = 106;
  scene.record(Scene::trace(2), confirmed);
  EXPECT_EQ(must(store->best({})).at(0).median_ns, 105);
  // What comes after the confirmation counts: a prolonged run that was interrupted.
  scene.record(Scene::trace(4), scene.measurement(104));
  EXPECT_EQ(must(store->best({})).at(0).median_ns, 104);
  // And so does another run, which may have been interrupted before it confirmed anything.
  scene.start_run();
  scene.record(Scene::trace(5), scene.measurement(90));
  EXPECT_EQ(must(store->best({})).at(0).median_ns, 90);
}

TEST(Best, CountsMeasurementsWhereNoConfirmationWentWell) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(100));
  Measurement disturbed = scene.measurement(0, Outcome::kDisturbed);
  disturbed.purpose = Purpose::kConfirm;
  scene.record(Scene::trace(1), disturbed);
  EXPECT_EQ(must(store->best({})).at(0).median_ns, 100);
}

TEST(Best, IsNeverACandidateThatWasFoundWrongLater) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(90));
  scene.record(Scene::trace(2), scene.measurement(100));
  // On fresh inputs, and in another regime: the code is the same.
  Measurement wrong = scene.measurement(0, Outcome::kWrongResult);
  wrong.regime = TimingRegime::kCold;
  scene.record(Scene::trace(1), wrong);
  EXPECT_EQ(must(store->best({})).at(0).median_ns, 100);
}

TEST(Best, IsOnePerKey) {
  auto store = memory_store();
  Scene scene(*store);
  Measurement row = scene.measurement(100);
  scene.record(Scene::trace(1), row);
  row.regime = TimingRegime::kCold;
  scene.record(Scene::trace(1), row);
  row.regime = TimingRegime::kHot;
  row.inputs = "int(0, M)";
  scene.record(Scene::trace(1), row);
  row.inputs = "normal";
  row.threads = 4;
  scene.record(Scene::trace(1), row);
  row.threads = 1;
  const Id first_environment = row.environment;
  row.environment = must(store->add(Environment{.fingerprint = 12, .class_name = "cpu:other/64"}));
  scene.record(Scene::trace(1), row);
  row.environment = first_environment;
  row.toolchain = must(store->add(Toolchain{.json = "{\"llvm\":\"20\"}"}));
  scene.record(Scene::trace(1), row);
  row.toolchain = scene.toolchain;
  scene.start_run("cpu:generic");
  scene.record(Scene::trace(1), row);
  EXPECT_EQ(must(store->best({})).size(), 7u);
  EXPECT_EQ(must(store->best({.regime = TimingRegime::kCold})).size(), 1u);
  EXPECT_EQ(must(store->best({.inputs = "int(0, M)"})).size(), 1u);
  EXPECT_EQ(must(store->best({.threads = 4})).size(), 1u);
  EXPECT_EQ(must(store->best({.environment_class = "cpu:other/64"})).size(), 1u);
  EXPECT_EQ(must(store->best({.target = "cpu:generic"})).size(), 1u);
  EXPECT_EQ(must(store->best({.run = scene.run})).size(), 1u);
  EXPECT_EQ(must(store->best({.limit = 3})).size(), 3u);
  EXPECT_EQ(must(store->best({.offset = 5})).size(), 2u);

  // Two environments of one class share a best: microcode does not matter.
  row.environment = must(store->add(Environment{.fingerprint = 13, .class_name = "cpu:other/64"}));
  scene.record(Scene::trace(2), row);
  EXPECT_EQ(must(store->best({.target = "cpu:generic"})).size(), 2u);
}

TEST(Best, LeavesOutWhatAnotherToolchainMade) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(100));
  const Id today = must(store->add(Toolchain{.json = "{\"llvm\":\"20\"}"}));
  EXPECT_TRUE(must(store->best({.current_toolchains = {today}})).empty());
  const auto rows = must(store->best({.current_toolchains = {today}, .include_stale = true}));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_TRUE(rows[0].stale);
  const auto listed = must(store->list_records({.current_toolchains = {today}}));
  ASSERT_EQ(listed.size(), 1u) << "lists show it, marked";
  EXPECT_TRUE(listed[0].stale);
}

TEST(Best, MarksWhatWasNotChecked) {
  auto store = memory_store();
  Scene scene(*store);
  Measurement row = scene.measurement(100);
  row.unchecked = true;
  scene.record(Scene::trace(1), row);
  EXPECT_TRUE(must(store->best({})).at(0).unchecked);
}

TEST(Best, FollowsTheBinding) {
  auto store = memory_store();
  Scene small(*store, a_workload("matmul", 512));
  small.record(Scene::trace(1), small.measurement(100));
  Scene large(*store, a_workload("matmul", 1024));
  large.record(Scene::trace(1), large.measurement(800));
  EXPECT_EQ(must(store->best({.workload_name = "matmul"})).size(), 2u);
  const auto rows = must(store->best({.workload_name = "matmul", .binding = {{"M", "1024"}}}));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].median_ns, 800);
  EXPECT_TRUE(must(store->best({.binding = {{"M", "1"}}})).empty());
  EXPECT_TRUE(must(store->best({.binding = {{"Q", "512"}}})).empty());
}

TEST(Best, AgreesWithAPlainScan) {
  // The walk along the index stops early; this compares it with the definition.
  FakeSystem system;
  auto store = memory_store(&system);
  Scene scene(*store);
  uint64_t state = 1;
  const auto draw = [&](uint64_t bound) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state >> 33) % bound;
  };
  for (int round = 0; round < 40; ++round) {
    scene.start_run("cpu:" + std::to_string(round));
    struct Number {
      double ns = std::numeric_limits<double>::infinity();
      bool confirmed = false, wrong = false;
      uint64_t at = 0; ///< of the latest
    };
    std::map<uint64_t, Number> numbers;
    uint64_t last_confirmation = 0;
    const uint64_t count = 1 + draw(30);
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t candidate = draw(8);
      const double ns = 1 + static_cast<double>(draw(50));
      Measurement row = scene.measurement(ns);
      row.purpose = draw(3) == 0 ? Purpose::kConfirm : Purpose::kSearch;
      if (draw(12) == 0)
        row.outcome = Outcome::kWrongResult;
      scene.record(Scene::trace(static_cast<int>(candidate)), row);
      Number& number = numbers[candidate];
      if (row.outcome == Outcome::kWrongResult)
        number.wrong = true;
      else if (row.purpose == Purpose::kConfirm || !number.confirmed) {
        // All have as many samples: of confirmations the fastest counts.
        number.ns = number.confirmed ? std::min(number.ns, ns) : ns;
        number.confirmed = row.purpose == Purpose::kConfirm;
        number.at = i;
      }
      if (row.outcome == Outcome::kOk && row.purpose == Purpose::kConfirm)
        last_confirmation = i;
    }
    double expected = std::numeric_limits<double>::infinity();
    for (const auto& [candidate, number] : numbers)
      if (!number.wrong && (number.confirmed || number.at >= last_confirmation))
        expected = std::min(expected, number.ns);
    const auto rows = must(store->best({.run = scene.run}));
    if (std::isinf(expected))
      EXPECT_TRUE(rows.empty());
    else
      EXPECT_EQ(rows.at(0).median_ns, expected) << "round " << round;
  }
}

TEST(Lists, ShowTheNewestFirstAndPageThroughThem) {
  FakeSystem system;
  auto store = memory_store(&system);
  Scene scene(*store);
  for (int i = 0; i < 10; ++i)
    scene.record(Scene::trace(i), scene.measurement(100 + i));
  const auto page = must(store->list_records({.limit = 3, .offset = 2}));
  ASSERT_EQ(page.size(), 3u);
  EXPECT_EQ(page[0].sequence, 7);
  EXPECT_EQ(page[2].sequence, 5);
  const auto fastest = must(store->list_records({.order = Order::kFastest, .limit = 2}));
  EXPECT_EQ(fastest.at(0).median_ns, 100);
  EXPECT_EQ(must(store->list_records({.offset = 8})).size(), 2u);
}

TEST(Lists, FilterByOutcomeRunTagAndTime) {
  FakeSystem system;
  auto store = memory_store(&system);
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(100));
  const Recorded crashed = scene.record(Scene::trace(2), scene.measurement(0, Outcome::kCrashed));
  scene.start_run();
  const Recorded other = scene.record(Scene::trace(3), scene.measurement(50));
  EXPECT_EQ(must(store->list_records({.outcomes = {Outcome::kCrashed}})).at(0).id,
            crashed.measurement);
  EXPECT_EQ(must(store->list_records({.outcomes = {Outcome::kCrashed, Outcome::kOk}})).size(), 3u);
  EXPECT_EQ(must(store->list_records({.run = scene.run})).at(0).id, other.measurement);
  EXPECT_EQ(must(store->list_records({.candidate = crashed.candidate})).size(), 1u);
  EXPECT_TRUE(must(store->list_records({.workload_name = "softmax"})).empty());
  EXPECT_EQ(must(store->list_records({.since = system.now + 1})).size(), 0u);
  for (const Id& subject : {other.measurement, other.candidate, scene.run, scene.workload}) {
    const std::string tag = "tag " + subject;
    must(store->add(Tag{.subject = subject, .tag = tag}));
    EXPECT_EQ(must(store->list_records({.tag = tag})).size(), subject == scene.workload ? 3u : 1u);
  }
}

TEST(Lists, CountTheRecordsOfWorkloads) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(100));
  scene.record(Scene::trace(2), scene.measurement(0, Outcome::kCrashed));
  must(store->add(a_workload("softmax")));
  const auto rows = must(store->list_workloads());
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].workload.name, "matmul");
  EXPECT_EQ(rows[0].records, 2);
  EXPECT_EQ(rows[1].records, 0);
}

TEST(Convergence, IsTheBestSoFarPerTrial) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(0, Outcome::kCrashed));
  scene.record(Scene::trace(2), scene.measurement(100));
  scene.record(Scene::trace(3), scene.measurement(150));
  scene.record(Scene::trace(4), scene.measurement(50));
  const auto points = must(store->convergence(scene.run));
  ASSERT_EQ(points.size(), 4u);
  EXPECT_TRUE(std::isnan(points[0].best_ns));
  EXPECT_EQ(points[1].best_ns, 100);
  EXPECT_EQ(points[2].best_ns, 100);
  EXPECT_EQ(points[2].median_ns, 150);
  EXPECT_EQ(points[3].best_ns, 50);
}

TEST(Failures, AreGroupedWithTheFirstErrorOfEach) {
  auto store = memory_store();
  Scene scene(*store);
  const auto fail = [&](Outcome outcome, const std::string& error) {
    Measurement row = scene.measurement(0, outcome);
    row.stage = "run";
    row.error = error;
    return scene.record(Scene::trace(static_cast<int>(scene.progress.trials)), row);
  };
  scene.record(Scene::trace(100), scene.measurement(10));
  const Recorded first = fail(Outcome::kCrashed, "signal 11");
  fail(Outcome::kTimedOut, "after 10 s");
  fail(Outcome::kCrashed, "signal 8");
  const auto groups = must(store->failures(scene.run));
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].outcome, Outcome::kCrashed);
  EXPECT_EQ(groups[0].count, 2);
  EXPECT_EQ(groups[0].first_error, "signal 11");
  EXPECT_EQ(groups[0].first_record, first.measurement);
  EXPECT_EQ(groups[1].first_error, "after 10 s");
}

TEST(MeasuredPrograms, AreStreamedOldestFirstWithTheirPrograms) {
  auto store = memory_store();
  Scene scene(*store);
  Scene other(*store, a_workload("softmax"));
  other.record(Scene::trace(9), other.measurement(1));
  for (int i = 0; i < 5; ++i)
    scene.record(Scene::trace(i), scene.measurement(i, i == 3 ? Outcome::kCrashed : Outcome::kOk));
  std::vector<std::string> programs;
  ASSERT_OK(store->measured_programs(scene.workload, [&](const MeasuredProgram& row) {
    programs.push_back(row.program);
    EXPECT_EQ(row.outcome, programs.size() == 4 ? Outcome::kCrashed : Outcome::kOk);
    // A visitor may use the store, also for the same question.
    EXPECT_EQ(must(store->candidate(row.candidate)).program, row.program);
    return true;
  }));
  EXPECT_THAT(programs, ElementsAre(Scene::trace(0), Scene::trace(1), Scene::trace(2),
                                    Scene::trace(3), Scene::trace(4)));
  int seen = 0;
  ASSERT_OK(
      store->measured_programs(scene.workload, [&](const MeasuredProgram&) { return ++seen < 2; }));
  EXPECT_EQ(seen, 2) << "returning false ends the walk";
}

// ---- Selections

std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> result;
  std::string word;
  for (const char c : text + " ")
    if (c == ' ') {
      if (!word.empty())
        result.push_back(word);
      word.clear();
    } else {
      word += c;
    }
  return result;
}

TEST(Selections, AreParsed) {
  const Selection record = must(parse_selection(words("m3f9c2")));
  EXPECT_EQ(record.form, Selection::Form::kId);
  const Selection workload = must(parse_selection(words("matmul M=512 dtype=float32")));
  EXPECT_EQ(workload.form, Selection::Form::kWorkload);
  EXPECT_EQ(workload.text, "matmul");
  EXPECT_EQ(workload.binding.at("dtype"), "float32");
  EXPECT_EQ(workload.to_string(), "matmul M=512 dtype=float32");
  EXPECT_EQ(must(parse_selection(words("scale.py:scale M=1"))).text, "scale.py:scale");
  EXPECT_EQ(must(parse_selection(words("run:r81ab0"))).form, Selection::Form::kRun);
  EXPECT_EQ(must(parse_selection(words("tag:night"))).text, "night");
  EXPECT_EQ(must(parse_selections(words("matmul M=1 N=2 m3f9c2 tag:x softmax"))).size(), 4u);
}

TEST(Selections, ThatMakeNoSenseAreRefusedInASentence) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "a selection is missing"},
      {"M=512", "name the workload before it"},
      {"run:", "names nothing"},
      {"run:matmul", "no id of a run"},
      {"run:m3f9c2", "no id of a run"},
      {"tag:x M=1", "only a workload has parameters"},
      {"matmul M=", "has no value"},
      {"matmul M=1 M=2", "given twice"},
      {"query:\"ok\"", "column 2: there is no field"},
  };
  for (const auto& [text, sentence] : cases) {
    const auto result = parse_selection(words(text));
    ASSERT_FALSE(result) << text;
    EXPECT_THAT(result.error().message, HasSubstr(sentence)) << text;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument) << text;
  }
}

TEST(Selections, GiveTheBestRecords) {
  auto store = memory_store();
  Scene scene(*store);
  const Recorded slow = scene.record(Scene::trace(1), scene.measurement(300));
  const Recorded fast = scene.record(Scene::trace(2), scene.measurement(100));
  must(store->add(Tag{.subject = slow.measurement, .tag = "kept"}));
  const auto select = [&](const std::string& text, const RecordFilter& defaults = {}) {
    return resolve_selection(*store, must(parse_selection(words(text))), defaults);
  };
  EXPECT_EQ(must(select("matmul")).at(0).id, fast.measurement);
  EXPECT_EQ(must(select("matmul M=512 N=512")).at(0).id, fast.measurement);
  EXPECT_EQ(must(select(slow.measurement.substr(0, 7))).at(0).id, slow.measurement);
  EXPECT_EQ(must(select(slow.candidate)).at(0).id, slow.measurement);
  EXPECT_EQ(must(select(scene.workload)).at(0).id, fast.measurement);
  EXPECT_EQ(must(select("run:" + scene.run)).at(0).id, fast.measurement);
  EXPECT_EQ(must(select(scene.run)).at(0).id, fast.measurement);
  EXPECT_EQ(must(select("tag:kept")).at(0).id, slow.measurement);
}

TEST(Selections, ThatFindNothingSayWhatThereIs) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(100));
  const auto message = [&](const std::string& text, const RecordFilter& defaults) {
    const auto result = resolve_selection(*store, must(parse_selection(words(text))), defaults);
    EXPECT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
    return result.error().message;
  };
  EXPECT_THAT(message("matmull", {}), HasSubstr("did you mean 'matmul'?"));
  EXPECT_THAT(message("softmax", {}),
              HasSubstr("'softmax' is neither the start of a record's id nor"));
  EXPECT_THAT(message("matmul M=3", {}), HasSubstr("temper list records matmul"));
  EXPECT_THAT(message("matmul", {.environment_class = "cpu:mine/4"}), HasSubstr("cpu:test/2"));
  EXPECT_THAT(message("matmul", {.current_toolchains = {"t0"}}), HasSubstr("older toolchain"));
  EXPECT_THAT(message("matmul", {.regime = TimingRegime::kCold}), HasSubstr("hot cache"));
  EXPECT_THAT(message("tag:none", {}), HasSubstr("tag:none"));
  Scene failed(*store, a_workload("softmax"));
  failed.record(Scene::trace(1), failed.measurement(0, Outcome::kCrashed));
  EXPECT_THAT(message("softmax", {}), HasSubstr("no candidate of softmax was correct"));
}

TEST(Selections, MayNameAWorkloadThatLooksLikeAnId) {
  auto store = memory_store();
  Scene scene(*store, a_workload("added0"));
  scene.record(Scene::trace(1), scene.measurement(100));
  EXPECT_EQ(must(resolve_selection(*store, must(parse_selection(words("added0"))), {})).size(), 1u);
}

} // namespace
} // namespace temper::database
