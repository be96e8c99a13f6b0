// Rows in, rows out: identity, runs and their claims, trials, the small tables.
#include "tests/database/fixture.h"

#include <gmock/gmock.h>

namespace temper::database {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Store, KeepsEveryFieldOfAMeasurement) {
  auto store = memory_store();
  Scene scene(*store);
  Measurement row = scene.measurement(1234.5);
  row.purpose = Purpose::kConfirm;
  row.gaps_dropped = 3;
  row.regime = TimingRegime::kCold;
  row.inputs = "int(0, M)";
  row.threads = 8;
  row.compile_ms = 12.25;
  row.measure_ms = 99.5;
  row.error = "line 1\nline 2";
  row.worst_json = "{\"index\":[1,2]}";
  row.log = "the compiler wrote:\nwarning: 'x'\n";
  row.timing_json = "{\"calls_per_sample\":4}";
  row.code_hash = 0xfedcba9876543210ULL;
  row.origin = "mutate:tile";
  row.predicted_score = 0.75;
  row.anchor_drift = 0.011;
  row.unchecked = true;
  row.facts_json = "{\"code_bytes\":512}";
  row.counters_json = "{\"cycles\":1000}";
  row.measured_at = 1'700'000'000'000'000'123;
  const Recorded recorded = scene.record(Scene::trace(1), row);

  const Measurement seen = must(store->measurement(recorded.measurement));
  EXPECT_EQ(seen.run, scene.run);
  EXPECT_EQ(seen.candidate, recorded.candidate);
  EXPECT_EQ(seen.sequence, 0);
  EXPECT_EQ(seen.outcome, Outcome::kOk);
  EXPECT_EQ(seen.purpose, Purpose::kConfirm);
  EXPECT_EQ(seen.stage, "time");
  EXPECT_EQ(seen.median_ns, 1234.5);
  EXPECT_EQ(seen.low_ns, row.low_ns);
  EXPECT_EQ(seen.high_ns, row.high_ns);
  EXPECT_EQ(seen.samples_ns, row.samples_ns);
  EXPECT_EQ(seen.gaps_dropped, 3);
  EXPECT_EQ(seen.regime, TimingRegime::kCold);
  EXPECT_EQ(seen.inputs, "int(0, M)");
  EXPECT_EQ(seen.threads, 8);
  EXPECT_EQ(seen.compile_ms, 12.25);
  EXPECT_EQ(seen.measure_ms, 99.5);
  EXPECT_EQ(seen.error, row.error);
  EXPECT_EQ(seen.worst_json, row.worst_json);
  EXPECT_EQ(seen.log, row.log);
  EXPECT_EQ(seen.timing_json, row.timing_json);
  EXPECT_EQ(seen.environment, scene.environment);
  EXPECT_EQ(seen.toolchain, scene.toolchain);
  EXPECT_EQ(seen.code_hash, row.code_hash);
  EXPECT_EQ(seen.origin, "mutate:tile");
  EXPECT_EQ(seen.predicted_score, 0.75);
  EXPECT_EQ(seen.anchor_drift, 0.011);
  EXPECT_TRUE(seen.unchecked);
  EXPECT_EQ(seen.facts_json, row.facts_json);
  EXPECT_EQ(seen.counters_json, row.counters_json);
  EXPECT_EQ(seen.measured_at, row.measured_at);
  EXPECT_EQ(seen.workload, scene.workload);
  EXPECT_EQ(seen.target, "cpu:test");
  EXPECT_EQ(seen.environment_class, "cpu:test/2");
}

TEST(Store, AMeasurementMayHaveNoSamples) {
  auto store = memory_store();
  Scene scene(*store);
  Measurement row = scene.measurement(1);
  row.outcome = Outcome::kCrashed;
  row.samples_ns.clear();
  const Recorded recorded = scene.record(Scene::trace(1), row);
  EXPECT_TRUE(must(store->measurement(recorded.measurement)).samples_ns.empty());
}

TEST(Store, GivesBackIdentityRowsAsTheyWere) {
  auto store = memory_store();
  Scene scene(*store);
  const Workload workload = must(store->workload(scene.workload));
  EXPECT_EQ(workload.name, "matmul");
  EXPECT_EQ(workload.layer, "s-tir");
  EXPECT_EQ(workload.structural_hash, hash_bytes("matmul"));
  EXPECT_EQ(workload.binding_json, "{\"M\":512,\"N\":512}") << "keys are sorted";
  EXPECT_EQ(workload.flops, 2.0 * 512 * 512);
  EXPECT_EQ(workload.program, a_workload().program);
  EXPECT_GT(workload.created_at, 0);

  const Id space = must(store->add(
      Space{.workload = scene.workload, .maker = "s-tir", .hash = ~0ULL, .json = "{\"rules\":3}"}));
  EXPECT_EQ(must(store->space(space)).hash, ~0ULL);
  EXPECT_EQ(must(store->space(space)).json, "{\"rules\":3}");
  EXPECT_EQ(must(store->environment(scene.environment)).class_name, "cpu:test/2");
  EXPECT_EQ(must(store->toolchain(scene.toolchain)).json, "{\"llvm\":\"19.1.7\",\"codegen\":1}");
}

TEST(Store, AddingARowAgainGivesTheSameIdAndNoSecondRow) {
  auto store = memory_store();
  Scene scene(*store);
  EXPECT_EQ(must(store->add(a_workload())), scene.workload);
  const Candidate candidate{.workload = scene.workload, .kind = "trace", .program = "[[1],[2]]"};
  const Id first = must(store->add(candidate));
  EXPECT_EQ(must(store->add(candidate)), first);
  const auto counts = must(store->row_counts());
  EXPECT_EQ(counts.at("workload"), 1);
  EXPECT_EQ(counts.at("candidate"), 1);
}

TEST(Store, KeepsTheRecordsOfAProgramThatIsRenamed) {
  auto store = memory_store();
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(100));
  EXPECT_EQ(must(store->add(a_workload("my_matmul", 512, hash_bytes("matmul")))), scene.workload);
  EXPECT_EQ(must(store->best({.workload_name = "my_matmul"})).size(), 1u);
  EXPECT_EQ(must(store->best({.workload_name = "matmul"})).size(), 1u);
  EXPECT_EQ(must(store->list_workloads("my_matmul")).size(), 1u);
}

TEST(Store, ListsOtherVersionsOfAnEditedWorkload) {
  auto store = memory_store();
  Scene scene(*store);
  const Id edited = must(store->add(a_workload("matmul", 512, 1000)));
  must(store->add(a_workload("matmul", 1024, 2000)));
  const auto versions = must(store->other_versions(edited));
  ASSERT_EQ(versions.size(), 1u);
  EXPECT_EQ(versions[0].id, scene.workload);
}

TEST(Store, RefusesAMeasurementOfAnUnknownEnvironmentAndWritesNothing) {
  auto store = memory_store();
  Scene scene(*store);
  Measurement row = scene.measurement(10);
  row.environment = "e0000000000000000";
  scene.progress.trials = 5;
  const auto result = store->record(scene.claim, {{.program = "{}"}, row}, scene.progress);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(result.error().message, HasSubstr("e0000000000000000"));
  EXPECT_EQ(must(store->row_counts()).at("candidate"), 0) << "the candidate went back too";
  EXPECT_EQ(must(store->run(scene.run)).trials, 0) << "and the progress";
  scene.record(Scene::trace(1), scene.measurement(10));
  EXPECT_EQ(must(store->row_counts()).at("measurement"), 1) << "the store goes on working";
}

TEST(Store, RefusesACandidateOfAnotherWorkload) {
  auto store = memory_store();
  Scene scene(*store);
  const Id other = must(store->add(a_workload("softmax")));
  const auto result = store->record(
      scene.claim, {{.workload = other, .program = "{}"}, scene.measurement(10)}, scene.progress);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr(other));
}

TEST(Store, MakesBrokenTextOfCompilersValid) {
  auto store = memory_store();
  Scene scene(*store);
  Measurement row = scene.measurement(0, Outcome::kCompileFailed);
  row.error = std::string("bad \xff byte, cut \xe2\x82, nul \0 end, fine \xe2\x82\xac", 39);
  const Recorded recorded = scene.record("{}", row);
  EXPECT_EQ(must(store->measurement(recorded.measurement)).error,
            "bad ? byte, cut ??, nul ? end, fine \xe2\x82\xac");
}

TEST(Store, GivesProgramsBackByteForByte) {
  auto store = memory_store();
  Scene scene(*store);
  std::vector<std::string> programs = {
      "",
      "{}",
      "{\"block\":64}",
      "[[],[]]",
      "[[1],[2]]",
      "[[\"a]\\\"[\",1],[[3,[4]]]]",
      "[ [1], [2] ]",
      "[[1],2]",
      "[[1]",
      "[[1],[2],[3]]",
      std::string(5000, 'x'),
      std::string(300, 'y') + "[[1],[2]]",
  };
  std::string big = "[[";
  for (int i = 0; i < 60; ++i)
    big +=
        "[\"Split\",[\"l" + std::to_string(i) + "\"],[1,0],[\"l" + std::to_string(i + 1) + "\"]],";
  big += "[]],[[1,[2,3]]]]";
  programs.push_back(big);
  std::vector<Id> ids;
  for (const std::string& program : programs)
    ids.push_back(must(
        store->add(Candidate{.workload = scene.workload, .kind = "trace", .program = program})));
  for (size_t i = 0; i < programs.size(); ++i)
    EXPECT_EQ(must(store->candidate(ids[i])).program, programs[i]);
}

TEST(Store, KeepsWhereACandidateFirstCameFrom) {
  auto store = memory_store();
  Scene scene(*store);
  const Id parent = must(store->add(Candidate{.workload = scene.workload, .program = "{\"a\":1}"}));
  const Id child = must(store->add(Candidate{
      .workload = scene.workload, .program = "{\"a\":2}", .parent = parent, .origin = "edit"}));
  must(store->add(Candidate{
      .workload = scene.workload, .program = "{\"a\":2}", .parent = "", .origin = "sample"}));
  EXPECT_EQ(must(store->candidate(child)).parent, parent);
  EXPECT_EQ(must(store->candidate(child)).origin, "edit");
}

TEST(Store, NumbersTheMeasurementsOfARun) {
  auto store = memory_store();
  Scene scene(*store);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(
        must(store->measurement(scene.record(Scene::trace(i), scene.measurement(10)).measurement))
            .sequence,
        i);
}

TEST(Store, KeepsTheBytesOfABest) {
  auto store = memory_store();
  Scene scene(*store);
  const Recorded recorded = scene.record(Scene::trace(1), scene.measurement(10));
  const auto none = store->artifact_of(recorded.measurement);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);

  Artifact artifact{.candidate = recorded.candidate,
                    .toolchain = scene.toolchain,
                    .target = "cpu:test",
                    .code_hash = 5};
  artifact.code = std::string("\x7f"
                              "ELF\0\1\2",
                              7);
  artifact.object = std::string(100'000, '\0');
  artifact.json = "{\"entry\":\"main\"}";
  const Id id = must(store->add(artifact));
  // The same candidate for another machine is another artifact.
  Artifact other = artifact;
  other.target = "cpu:other";
  EXPECT_NE(must(store->add(other)), id);

  const Artifact seen = must(store->artifact_of(recorded.measurement));
  EXPECT_EQ(seen.id, id);
  EXPECT_EQ(seen.code, artifact.code);
  EXPECT_EQ(seen.object, artifact.object);
  EXPECT_EQ(seen.json, artifact.json);
}

TEST(Store, KeepsWhatARunLeavesBesideItsMeasurements) {
  auto store = memory_store();
  Scene scene(*store);
  must(store->add(ModelQuality{.run = scene.run,
                               .batch = 1,
                               .trials_seen = 64,
                               .rank_correlation = 0.8,
                               .top_recall = 0.5,
                               .top_k = 8}));
  must(store->add(ModelQuality{.run = scene.run, .batch = 0, .trials_seen = 0}));
  const auto quality = must(store->model_quality(scene.run));
  ASSERT_EQ(quality.size(), 2u);
  EXPECT_TRUE(std::isnan(quality[0].rank_correlation));
  EXPECT_EQ(quality[1].rank_correlation, 0.8);

  must(store->add(Model{.run = scene.run, .kind = "xgboost", .trials_seen = 64, .blob = "one"}));
  must(store->add(Model{.run = scene.run, .kind = "xgboost", .trials_seen = 128, .blob = "two"}));
  EXPECT_EQ(must(store->latest_model(scene.run)).blob, "two");

  must(store->add(Event{.run = scene.run, .kind = "paused"}));
  must(store->add(Event{.run = scene.run, .kind = "went on", .json = "{\"after_s\":3}"}));
  const auto events = must(store->events(scene.run));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, "paused");
  EXPECT_EQ(events[1].sequence, 1);

  must(store->add(Note{.subject = scene.run, .text = "with turbo off", .author = "me"}));
  EXPECT_EQ(must(store->notes(scene.run)).at(0).text, "with turbo off");
  must(store->add(Tag{.subject = scene.run, .tag = "baseline"}));
  must(store->add(Tag{.subject = scene.run, .tag = "baseline"}));
  EXPECT_EQ(must(store->tags(scene.run)).size(), 1u);
  must(store->remove(Tag{.subject = scene.run, .tag = "baseline"}));
  EXPECT_TRUE(must(store->tags(scene.run)).empty());
}

TEST(Store, GoesBackWholeWhenATransactionFails) {
  auto store = memory_store();
  Scene scene(*store);
  const auto result = store->transaction([&]() -> Result<void> {
    TEMPER_TRY(id, store->add(a_workload("softmax")));
    EXPECT_FALSE(id.empty());
    return Error(ErrorCode::kFailed, "changed my mind");
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "changed my mind");
  EXPECT_EQ(must(store->row_counts()).at("workload"), 1);
}

TEST(Store, DoesNotTrustRowNumbersThatARollbackTookBack) {
  auto store = memory_store();
  Scene scene(*store);
  const std::string program = "[[" + std::string(400, '1') + "],[2]]";
  (void)store->transaction([&]() -> Result<void> {
    // Makes a skeleton and a series, and remembers their numbers.
    scene.record(program, scene.measurement(10));
    return Error(ErrorCode::kFailed, "no");
  });
  const Recorded recorded = scene.record(program, scene.measurement(20));
  EXPECT_EQ(must(store->candidate(recorded.candidate)).program, program);
  EXPECT_EQ(must(store->best({})).at(0).median_ns, 20);
  must(store->check_integrity());
}

TEST(Store, SaysWhichRowIsMissing) {
  auto store = memory_store();
  const auto missing = store->measurement("m0123456789abcdef");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("no record m0123456789abcdef"));
}

TEST(Words, AreReadBackAsTheyAreWritten) {
  for (int i = 0; i < kOutcomeCount; ++i)
    EXPECT_EQ(must(parse_outcome(to_string(static_cast<Outcome>(i)))), static_cast<Outcome>(i));
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(must(parse_run_state(to_string(static_cast<RunState>(i)))), static_cast<RunState>(i));
  const auto wrong = parse_outcome("fine");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("'fine' is no outcome"));
  EXPECT_THAT(wrong.error().message, HasSubstr("wrong_result"));
}

// ---- Runs

TEST(Runs, GiveBackEveryField) {
  FakeSystem system;
  auto store = memory_store(&system);
  Scene scene(*store);
  database::Run row;
  row.workload = scene.workload;
  row.target = "cpu:znver4";
  row.environment = scene.environment;
  row.toolchain = scene.toolchain;
  row.strategy = "random";
  row.seed = ~0ULL;
  row.budget_trials = 100;
  row.budget_seconds = 1.5;
  row.parent_run = scene.run;
  row.parent_record = "m0123456789abcdef";
  row.command_line = "temper tune x";
  row.options_json = "{\"jobs\":2}";
  const Id id = must(store->create_run(row));
  EXPECT_EQ(must(store->run(id)).state, RunState::kCreated);
  const RunClaim claim = must(store->claim_run(id));
  must(store->update_run(claim, {.random_state = 0x8000000000000001ULL,
                                 .trials = 3,
                                 .seconds = 0.5,
                                 .funnel_json = "{\"proposed\":9}",
                                 .strategy_state_json = "[1]"}));
  const database::Run seen = must(store->run(id));
  EXPECT_EQ(seen.target, "cpu:znver4");
  EXPECT_EQ(seen.seed, ~0ULL);
  EXPECT_EQ(seen.budget_seconds, 1.5);
  EXPECT_EQ(seen.parent_run, scene.run);
  EXPECT_EQ(seen.parent_record, row.parent_record);
  EXPECT_EQ(seen.options_json, row.options_json);
  EXPECT_EQ(seen.state, RunState::kRunning);
  EXPECT_EQ(seen.random_state, 0x8000000000000001ULL);
  EXPECT_EQ(seen.trials, 3);
  EXPECT_EQ(seen.funnel_json, "{\"proposed\":9}");
  EXPECT_EQ(seen.strategy_state_json, "[1]");
  EXPECT_EQ(seen.owner.pid, 100);
  EXPECT_EQ(seen.owner.host, "here");

  must(store->release_run(claim, RunState::kFinished, "100 trials"));
  EXPECT_EQ(must(store->run(id)).state, RunState::kFinished);
  EXPECT_EQ(must(store->run(id)).stopped_because, "100 trials");
  EXPECT_GT(must(store->run(id)).ended_at, 0);
}

TEST(Runs, OfALivingProcessCannotBeClaimed) {
  FakeSystem system;
  auto store = memory_store(&system);
  Scene scene(*store);
  system.self.pid = 200;
  const auto second = store->claim_run(scene.run);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("process 100 on here"));
}

TEST(Runs, OfADeadProcessAreInterruptedAndCanBeClaimed) {
  FakeSystem system;
  auto store = memory_store(&system);
  Scene scene(*store);
  scene.record(Scene::trace(1), scene.measurement(10));
  system.gone[100] = true;
  system.self.pid = 200;
  EXPECT_EQ(must(store->run(scene.run)).state, RunState::kInterrupted);
  ASSERT_EQ(must(store->resumable_runs(scene.workload)).size(), 1u);
  ASSERT_EQ(must(store->list_runs({.state = RunState::kInterrupted})).size(), 1u);
  ASSERT_EQ(must(store->list_runs({.state = RunState::kRunning})).size(), 0u);
  const RunClaim claim = must(store->claim_run(scene.run));
  const database::Run seen = must(store->run(scene.run));
  EXPECT_EQ(seen.state, RunState::kRunning);
  EXPECT_EQ(seen.owner.pid, 200);
  EXPECT_EQ(seen.random_state, 17u) << "goes on with the same random stream";

  // The first owner was only stopped for a while: it must not write any more.
  const auto late = store->record(scene.claim, {{.program = Scene::trace(2)}, scene.measurement(5)},
                                  scene.progress);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kInterrupted);
  EXPECT_FALSE(store->heartbeat(scene.claim));
  EXPECT_FALSE(store->release_run(scene.claim, RunState::kFinished, ""));
  EXPECT_EQ(must(store->row_counts()).at("measurement"), 1);
  ASSERT_OK(store->heartbeat(claim));
}

TEST(Runs, OfAnotherMachineAreInterruptedWhenTheyAreSilent) {
  FakeSystem system;
  auto store = memory_store(&system);
  Scene scene(*store);
  system.self = {"there", "there boot", 300, 1};
  EXPECT_EQ(must(store->run(scene.run)).state, RunState::kRunning);
  system.now += kHeartbeatTimeoutNs / 2;
  EXPECT_EQ(must(store->run(scene.run)).state, RunState::kRunning);
  must(store->heartbeat(scene.claim)); // as its owner would
  system.now += kHeartbeatTimeoutNs * 3 / 4;
  EXPECT_EQ(must(store->run(scene.run)).state, RunState::kRunning);
  EXPECT_FALSE(store->claim_run(scene.run));
  system.now += kHeartbeatTimeoutNs;
  EXPECT_EQ(must(store->run(scene.run)).state, RunState::kInterrupted);
  ASSERT_OK(store->claim_run(scene.run));
}

TEST(Runs, OnThisMachineLiveHoweverLongTheyAreSilent) {
  FakeSystem system;
  auto store = memory_store(&system);
  Scene scene(*store);
  system.now += 100 * kHeartbeatTimeoutNs; // the laptop slept
  EXPECT_EQ(must(store->run(scene.run)).state, RunState::kRunning);
}

TEST(Runs, SeeWhatIsRequestedWithTheNextOutcome) {
  FakeSystem system;
  auto store = memory_store(&system);
  Scene scene(*store);
  EXPECT_EQ(scene.record(Scene::trace(1), scene.measurement(1)).requested, RequestedState::kNone);
  must(store->request(scene.run, RequestedState::kPause));
  EXPECT_EQ(scene.record(Scene::trace(2), scene.measurement(1)).requested, RequestedState::kPause);
  EXPECT_EQ(must(store->heartbeat(scene.claim)), RequestedState::kPause);
  must(store->release_run(scene.claim, RunState::kPaused, "asked to pause"));
  ASSERT_EQ(must(store->resumable_runs()).size(), 1u);
  const RunClaim again = must(store->claim_run(scene.run));
  EXPECT_EQ(must(store->heartbeat(again)), RequestedState::kNone) << "going on ends the request";
}

TEST(Runs, ThatDoNotRunCannotBeAskedToStop) {
  auto store = memory_store();
  Scene scene(*store);
  must(store->release_run(scene.claim, RunState::kFinished, "done"));
  const auto result = store->request(scene.run, RequestedState::kStop);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("it is finished"));
}

TEST(Runs, ThatAreFinishedGoOnOnlyWhenProlonged) {
  auto store = memory_store();
  Scene scene(*store);
  must(store->release_run(scene.claim, RunState::kFinished, "1000 trials"));
  const auto refused = store->claim_run(scene.run);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("finished (1000 trials)"));
  EXPECT_THAT(refused.error().message, HasSubstr("--trials +N"));
  must(store->set_budget(scene.run, 1200, 0));
  ASSERT_OK(store->claim_run(scene.run, true));
  EXPECT_EQ(must(store->run(scene.run)).budget_trials, 1200);
}

TEST(Runs, ThatFailedCanBeTakenUpAgain) {
  auto store = memory_store();
  Scene scene(*store);
  must(store->release_run(scene.claim, RunState::kFailed, "the disk was full"));
  EXPECT_TRUE(must(store->resumable_runs()).empty()) << "but only when they are named";
  ASSERT_OK(store->claim_run(scene.run));
}

TEST(Runs, AreListedNewestFirst) {
  FakeSystem system;
  auto store = memory_store(&system);
  Scene scene(*store);
  const Id first = scene.run;
  scene.start_run();
  const auto runs = must(store->list_runs({.workload_name = "matmul"}));
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].id, scene.run);
  EXPECT_EQ(runs[1].id, first);
  EXPECT_EQ(must(store->list_runs({.limit = 1})).size(), 1u);
  EXPECT_TRUE(must(store->list_runs({.workload_name = "softmax"})).empty());
}

// ---- Ids

TEST(Ids, AreShownAsShortAsIsUnique) {
  auto store = memory_store();
  Scene scene(*store);
  for (const char* id : {"m3f9c2000000000a1", "m3f9c2000000000b1", "m3f9d0000000000c1"}) {
    Measurement row = scene.measurement(10);
    row.id = id;
    scene.record(Scene::trace(id[16]), row);
  }
  EXPECT_EQ(must(store->short_id("m3f9c2000000000a1")), "m3f9c2000000000a");
  EXPECT_EQ(must(store->short_id("m3f9d0000000000c1")), "m3f9d0") << "never below 6";
}

TEST(Ids, AreFoundByAUniquePrefix) {
  auto store = memory_store();
  Scene scene(*store);
  const Recorded recorded = scene.record(Scene::trace(1), scene.measurement(10));
  EXPECT_EQ(must(resolve_id(*store, recorded.measurement.substr(0, 6))), recorded.measurement);
  EXPECT_EQ(must(resolve_id(*store, recorded.measurement)), recorded.measurement);
  EXPECT_EQ(must(resolve_id(*store, scene.run.substr(0, 8), Kind::kRun)), scene.run);
  const auto wrong_kind = resolve_id(*store, recorded.measurement, Kind::kRun);
  ASSERT_FALSE(wrong_kind);
  EXPECT_THAT(wrong_kind.error().message, HasSubstr("id of a record"));
  EXPECT_THAT(wrong_kind.error().message, HasSubstr("begins with r"));
}

TEST(Ids, ThatAreAmbiguousAreListed) {
  auto store = memory_store();
  Scene scene(*store);
  for (const char* id : {"m3f9c2000000000a1", "m3f9c2000000000b1"}) {
    Measurement row = scene.measurement(10);
    row.id = id;
    scene.record(Scene::trace(id[15]), row);
  }
  const auto result = resolve_id(*store, "m3f9c2");
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("m3f9c2000000000a"));
  EXPECT_THAT(result.error().message, HasSubstr("m3f9c2000000000b"));
}

TEST(Ids, ThatAreTooShortOrUnknownAreRefused) {
  auto store = memory_store();
  for (const char* text : {"m3f9c", "x3f9c2", "m3f9cg", "", "m3f9c2000000000a10"}) {
    const auto result = resolve_id(*store, text);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidArgument) << text;
  }
  const auto unknown = resolve_id(*store, "m3f9c2");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
}

TEST(Ids, DependOnContentOnly) {
  // Written down: a change of these would orphan every database there is.
  EXPECT_EQ(id_of(a_workload("matmul", 512, 1)), id_of(a_workload("another name", 512, 1)));
  EXPECT_NE(id_of(a_workload("matmul", 512, 1)), id_of(a_workload("matmul", 513, 1)));
  EXPECT_EQ(id_of(Toolchain{.json = "{\"llvm\":\"19.1.7\"}"}), "tda242a3e16002ba9");
  EXPECT_EQ(id_of(Candidate{.workload = "w0123456789abcdef", .program = "[[1],[2]]"}),
            "c9b0a1992fb6aa7aa");
}

} // namespace
} // namespace temper::database
