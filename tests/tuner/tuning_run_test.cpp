#include "tuner/tuning_run.h"

#include "ir/s_tir/trace_json.h"
#include "ir/support/json.h"
#include "tests/tuner/scene.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace temper::tuner {
namespace {

using engine::FakeMeasurer;
using engine::MeasureRequest;
using engine::Outcome;
using ::testing::HasSubstr;
using testing::must;
using testing::Scene;
using testing::time_of;

double fastest(const Scene& scene) {
  double best = 1e300;
  for (const MeasureRequest& request : scene.measurer->requests)
    best = std::min(best, time_of(request));
  return best;
}

TEST(TuningRun, TheFastestIsTheBestAndItsCodeIsKept) {
  Scene scene;
  const TuneResult result = must(scene.run());
  EXPECT_EQ(result.trials, 40);
  EXPECT_EQ(result.stopped_because, "40 trials");
  EXPECT_DOUBLE_EQ(result.best_ns, fastest(scene));
  EXPECT_GT(result.untuned_ns, 0) << "the program as it is written is among the trials";
  const auto record = must(scene.store->measurement(result.best_record));
  EXPECT_EQ(record.outcome, database::Outcome::kOk);
  EXPECT_DOUBLE_EQ(record.median_ns, result.best_ns);
  EXPECT_EQ(must(scene.store->artifact_of(result.best_record)).code_hash, record.code_hash);
  const auto best = must(scene.store->best({}));
  ASSERT_EQ(best.size(), 1U);
  EXPECT_DOUBLE_EQ(best[0].median_ns, result.best_ns);
  EXPECT_EQ(must(scene.store->run(scene.run_id)).state, database::RunState::kFinished);
}

TEST(TuningRun, WhoIsFarBehindIsNoFinalist) {
  Scene scene;
  std::vector<double> times;
  scene.use(FakeMeasurer([&](const MeasureRequest& request) {
    if (request.workload == 1) // one of them is the fastest, and one has a chance against it
      times.push_back(times.empty() ? 1e5 : times.size() == 1 ? 1.02e5 : 2e5);
    return FakeMeasurer::took(request.workload == 1 ? times.back() : 1e5);
  }));
  must(scene.run());
  EXPECT_EQ(times.size(), 40U);
  const auto confirmed = scene.rows(database::Purpose::kConfirm);
  ASSERT_EQ(confirmed.size(), 3U);
  EXPECT_EQ(confirmed.back().origin, "untuned") << "for how many times as fast the best is";
}

/// The last contender of a comparison leaves early, in a moment when everything was twice as fast.
class LeavingMeasurer : public FakeMeasurer {
public:
  LeavingMeasurer()
      : FakeMeasurer(
            [](const MeasureRequest& request) { return took(1e5 + time_of(request) / 100); }) {}
  Result<engine::Comparison> compare(const engine::CompareRequest& request) override {
    EXPECT_TRUE(request.race);
    TEMPER_TRY(comparison, FakeMeasurer::compare(request));
    engine::Measurement& last = comparison.contenders.back().measurement;
    last.samples_ns.resize(2);
    last.median_ns /= 2;
    return std::move(comparison);
  }
};

TEST(TuningRun, AFinalistThatLeftIsNotRankedByOtherRounds) {
  Scene scene;
  scene.options.finalists = 3;
  scene.use(LeavingMeasurer());
  const TuneResult result = must(scene.run());
  EXPECT_GE(result.best_ns, 1e5);
  EXPECT_EQ(scene.rows(database::Purpose::kConfirm).size(), 3U);
  const auto searched = scene.rows();
  EXPECT_EQ(searched.size(), 41U) << "what it measured is kept";
  EXPECT_EQ(searched.back().samples_ns.size(), 2U);
  EXPECT_DOUBLE_EQ(must(scene.store->best({})).at(0).median_ns, result.best_ns);
}

TEST(TuningRun, TheFinalistsAreMeasuredOnFreshInputs) {
  Scene scene;
  scene.options.finalists = 3;
  scene.use(FakeMeasurer([](const MeasureRequest& request) {
    return FakeMeasurer::took(1e5 + time_of(request) / 100);
  }));
  must(scene.run());
  ASSERT_EQ(scene.measurer->workloads.size(), 2U);
  EXPECT_NE(scene.measurer->workloads[0].input_sets[0].seed,
            scene.measurer->workloads[1].input_sets[0].seed);
  EXPECT_EQ(scene.rows(database::Purpose::kConfirm).size(), 4U) << "and the untuned program";
}

TEST(TuningRun, TheDeviceKnowsWhatNoKernelCanBeat) {
  Scene scene("matmul", {{"M", "512"}, {"N", "512"}, {"K", "512"}});
  // 8 lanes of the target, 8 operations per lane and cycle, 8 cycles per nanosecond.
  const double floor_ns = 2.0 * 512 * 512 * 512 / (8 * 8 * 8);
  EXPECT_DOUBLE_EQ(workload_spec(scene.task, nullptr, 1).floor_ns, floor_ns);
  scene.task.threads = 4;
  EXPECT_DOUBLE_EQ(workload_spec(scene.task, nullptr, 1).floor_ns, floor_ns / 4);
  // Twice the lanes, and units that multiply whole matrices.
  scene.task.signature[0].dtype = DataType::bfloat16();
  EXPECT_DOUBLE_EQ(workload_spec(scene.task, nullptr, 1).floor_ns, floor_ns / 4 / 2 / 8);
  scene.task.flops = 0;
  EXPECT_EQ(workload_spec(scene.task, nullptr, 1).floor_ns, 0);
}

TEST(TuningRun, AFalseDescriptionOfTheMachineOnlyChangesTheOrder) {
  const auto run_with = [](const MachineRates& rates) {
    Scene scene;
    scene.row.strategy = "auto";
    scene.options.rates = rates;
    scene.options.stop.trials = 30;
    const TuneResult result = must(scene.run());
    EXPECT_EQ(result.trials, 30);
    EXPECT_DOUBLE_EQ(result.best_ns, fastest(scene));
    for (const database::Measurement& row : scene.rows())
      EXPECT_EQ(row.outcome, database::Outcome::kOk);
    return scene.measured();
  };
  MachineRates tiny; // one cache of one line, a register, a second a cycle
  tiny.cycle_ns = 1e9;
  tiny.vector_registers = 1;
  tiny.levels = {{64, 1e9}};
  MachineRates endless; // everything fits, nothing costs anything
  endless.cycle_ns = 1e-9;
  endless.levels = {{int64_t{1} << 60, 0}};
  MachineRates none; // no caches at all
  none.levels.clear();
  EXPECT_NE(run_with(tiny), run_with({}));
  run_with(endless);
  run_with(none);
}

TEST(TuningRun, NothingIsMeasuredTwice) {
  Scene scene;
  must(scene.run());
  const std::vector<uint64_t> all = scene.measured();
  EXPECT_EQ(std::set<uint64_t>(all.begin(), all.end()).size(), all.size());
  std::set<database::Id> candidates;
  for (const database::Measurement& row : scene.rows())
    EXPECT_TRUE(candidates.insert(row.candidate).second) << row.candidate;
}

TEST(TuningRun, EqualCodeIsOneTrial) {
  Scene scene;
  scene.compilers = engine::FakeCompilePool([](std::string_view) -> Result<std::string> {
    codegen::Artifact artifact;
    artifact.code = "the same";
    artifact.code_hash = 5;
    return codegen::serialize_artifact(artifact);
  });
  scene.options.stop.seconds = 0.2; // the trials will not be reached
  const TuneResult result = must(scene.run());
  EXPECT_EQ(scene.measurer->requests.size(), 1U);
  EXPECT_EQ(result.trials, 1);
  EXPECT_GT(result.funnel.ran.refused.at("same_code"), 0);
}

TEST(TuningRun, SeveralOfEqualCodeInABatchAreOneTrialForEachCode) {
  for (const bool beside : {false, true}) {
    Scene scene;
    scene.compilers = engine::FakeCompilePool([](std::string_view bytes) -> Result<std::string> {
      codegen::Artifact artifact =
          must(codegen::deserialize_artifact(must(testing::compile_to_text(bytes))));
      artifact.code_hash %= 3;
      artifact.code = std::to_string(artifact.code_hash);
      return codegen::serialize_artifact(artifact);
    });
    scene.compilers.workers = 2;
    scene.options.compile_beside = beside;
    scene.options.stop.seconds = 0.2; // the trials will not be reached
    const TuneResult result = must(scene.run());
    std::set<std::string> codes;
    for (const engine::MeasureRequest& request : scene.measurer->requests)
      EXPECT_TRUE(codes.insert(request.artifact->code).second) << request.artifact->code;
    EXPECT_EQ(codes.size(), 3U);
    EXPECT_EQ(result.trials, 3);
    EXPECT_GE(result.funnel.ran.refused.at("same_code"),
              static_cast<int64_t>(scene.options.batch) - 3);
  }
}

// Some kernels compile for seconds each, a batch of them for much longer than a short run may last.
TEST(TuningRun, WhatIsNotCompiledWhenTimeIsUpIsLeft) {
  for (const bool beside : {false, true}) {
    SCOPED_TRACE(beside);
    Scene scene;
    double now = 0;
    scene.compilers = engine::FakeCompilePool(
        [&](std::string_view bytes) {
          now += 1;
          return testing::compile_to_text(bytes);
        },
        1);
    scene.compilers.workers = 2;
    scene.options.compile_beside = beside;
    scene.options.stop.seconds = 5.5;
    scene.run_id = must(scene.store->create_run(scene.row));
    const auto claim = must(scene.store->claim_run(scene.run_id));
    const Devices devices{scene.store.get(), scene.measurer.get(), &scene.compilers, "cpu:fake/1",
                          [&] { return now; }};
    const TuneResult result =
        must(tune(scene.task, *scene.space, must(scene.store->run(scene.run_id)), claim, devices,
                  scene.options, scene.hooks));
    // What was compiled is timed, and so is the program as it is written.
    EXPECT_GE(result.trials, 2);
    EXPECT_LT(result.trials, static_cast<int64_t>(scene.options.batch) / 2);
    EXPECT_GT(result.untuned_ns, 0);
    EXPECT_FALSE(result.best_record.empty());
    EXPECT_EQ(result.stopped_because, "6 seconds");
    EXPECT_EQ(result.funnel.ran.count, result.trials);
  }
}

TEST(TuningRun, AnUntunedProgramWhoseCodeIsKnownLeavesItsTrialToTheSearch) {
  Scene scene;
  codegen::Artifact same;
  same.code = "the same";
  same.code_hash = 5;
  // The first candidate comes out as the program as it is written does.
  const std::string untuned = s_tir::trace_to_json_text(scene.space->untuned()->trace);
  int compiled = 0; // the reference first
  scene.compilers = engine::FakeCompilePool([&](std::string_view request) -> Result<std::string> {
    const bool is_untuned = must(decode_compile_request(request)).trace_json == untuned;
    return ++compiled == 2 || is_untuned ? codegen::serialize_artifact(same)
                                         : testing::compile_to_text(request);
  });
  scene.options.stop.trials = 4;
  const TuneResult result = must(scene.run());
  EXPECT_EQ(result.trials, 4);
  EXPECT_EQ(result.stopped_because, "4 trials");
  EXPECT_EQ(result.funnel.ran.refused.at("same_code"), 1);
  EXPECT_GT(result.untuned_ns, 0) << "it is known all the same";
  EXPECT_GE(result.funnel.legal.count, result.funnel.compiled.count);
}

TEST(TuningRun, TheUntunedProgramIsTimedAndNotGivenUpAsHopeless) {
  Scene scene;
  const TuneResult result = must(scene.run());
  const std::string untuned = s_tir::trace_to_json_text(scene.space->untuned()->trace);
  int times = 0;
  for (const engine::MeasureRequest& request : scene.measurer->requests)
    if (request.artifact->code == untuned) {
      ++times;
      EXPECT_EQ(request.best_ns, 0);
    }
  EXPECT_EQ(times, 1);
  EXPECT_GT(result.untuned_ns, 0);
}

TEST(TuningRun, ATimeOfTheUntunedProgramThatWasGivenUpIsNoTime) {
  Scene scene;
  const std::string untuned = s_tir::trace_to_json_text(scene.space->untuned()->trace);
  scene.use(engine::FakeMeasurer([&](const engine::MeasureRequest& request) {
    engine::Measurement measurement = engine::FakeMeasurer::took(testing::time_of(request));
    if (request.artifact->code == untuned)
      measurement.outcome = engine::Outcome::kCensored;
    return measurement;
  }));
  EXPECT_EQ(must(scene.run()).untuned_ns, 0);
}

bool is_untuned(const Scene& scene, const MeasureRequest& request) {
  return request.artifact->code == s_tir::trace_to_json_text(scene.space->untuned()->trace);
}

TEST(TuningRun, HowManyTimesAsFastAsUntunedIsSaidOfTurnsWithTheBest) {
  Scene scene;
  // What the machine was in the search it is not in the finals.
  scene.use(FakeMeasurer([&](const MeasureRequest& request) {
    const double ns = is_untuned(scene, request) ? 9e5 : 1e5 + time_of(request);
    return FakeMeasurer::took(request.workload == 1 ? ns : 2 * ns);
  }));
  const TuneResult result = must(scene.run());
  EXPECT_DOUBLE_EQ(result.untuned_ns, 2 * 9e5);
  EXPECT_FALSE(result.best_is_untuned);
  EXPECT_EQ(result.trials, 40);
  EXPECT_EQ(scene.rows().size(), 40U) << "that is no trial";
  EXPECT_DOUBLE_EQ(scene.rows(database::Purpose::kConfirm).back().median_ns, 2 * 9e5);
  EXPECT_DOUBLE_EQ(must(scene.store->best({})).at(0).median_ns, result.best_ns);
}

TEST(TuningRun, TheUntunedProgramWinsTheFinalsWhereNothingIsFaster) {
  Scene scene;
  scene.use(FakeMeasurer([&](const MeasureRequest& request) {
    if (!is_untuned(scene, request))
      return FakeMeasurer::took(1e5 + time_of(request) / 100);
    return FakeMeasurer::took(request.workload == 1 ? 1.3e5 : 0.9e5);
  }));
  const TuneResult result = must(scene.run());
  EXPECT_TRUE(result.best_is_untuned);
  EXPECT_DOUBLE_EQ(result.best_ns, 0.9e5);
  EXPECT_DOUBLE_EQ(result.untuned_ns, result.best_ns);
  EXPECT_DOUBLE_EQ(must(scene.store->best({})).at(0).median_ns, 0.9e5);
}

TEST(TuningRun, FinalsInWhichSomethingElseUsedTheMachineConfirmNothing) {
  Scene scene;
  scene.use(FakeMeasurer([&](const MeasureRequest& request) {
    const double ns = is_untuned(scene, request) ? 9e5 : 1e5 + time_of(request) / 100;
    return FakeMeasurer::took(request.workload == 1 ? ns : 100 * ns);
  }));
  const TuneResult result = must(scene.run());
  EXPECT_NEAR(result.finals_slower, 100, 1);
  EXPECT_LT(result.best_ns, 9e5);
  EXPECT_FALSE(result.best_is_untuned);
  EXPECT_DOUBLE_EQ(result.untuned_ns, 9e5);
  const auto confirmed = scene.rows(database::Purpose::kConfirm);
  EXPECT_FALSE(confirmed.empty()) << "what it measured is kept";
  for (const auto& row : confirmed)
    EXPECT_EQ(row.outcome, database::Outcome::kDisturbed);
  EXPECT_DOUBLE_EQ(must(scene.store->best({})).at(0).median_ns, result.best_ns);
}

TEST(TuningRun, ARatioToTheUntunedProgramThatBothTimesContradictIsNotSaid) {
  Scene scene;
  scene.use(FakeMeasurer([&](const MeasureRequest& request) {
    if (is_untuned(scene, request))
      return FakeMeasurer::took(request.workload == 1 ? 9e5 : 0.5e5);
    return FakeMeasurer::took(1e5 + time_of(request) / 100);
  }));
  const TuneResult result = must(scene.run());
  EXPECT_DOUBLE_EQ(result.untuned_ns, 9e5);
  EXPECT_FALSE(result.best_is_untuned);
  EXPECT_EQ(result.finals_slower, 0);
}

TEST(TuningRun, AnUntunedProgramThatTakesTooLongForTurnsKeepsTheTimeOfTheSearch) {
  Scene scene;
  scene.use(FakeMeasurer([&](const MeasureRequest& request) {
    EXPECT_FALSE(is_untuned(scene, request) && request.workload == 2);
    return FakeMeasurer::took(is_untuned(scene, request) ? 1e10 : time_of(request));
  }));
  const TuneResult result = must(scene.run());
  EXPECT_DOUBLE_EQ(result.untuned_ns, 1e10);
}

TEST(TuningRun, AnUntunedProgramThatIsWrongOnFreshInputsIsHeldAgainstNothing) {
  Scene scene;
  scene.use(FakeMeasurer([&](const MeasureRequest& request) {
    if (is_untuned(scene, request) && request.workload == 2)
      return FakeMeasurer::failed(Outcome::kWrongResult, "C[9] is 1, expected 2");
    return FakeMeasurer::took(is_untuned(scene, request) ? 9e5 : time_of(request));
  }));
  const TuneResult result = must(scene.run());
  EXPECT_DOUBLE_EQ(result.untuned_ns, 9e5);
  EXPECT_EQ(scene.rows(database::Purpose::kConfirm).back().outcome, database::Outcome::kWrongResult)
      << "that is kept";
}

TEST(TuningRun, TheTrialsAskedForAreSpentAndNotOneMore) {
  for (const int64_t trials : {1, 2, 16, 17, 33}) {
    Scene scene;
    scene.options.stop.trials = trials;
    EXPECT_EQ(must(scene.run()).trials, trials);
    EXPECT_EQ(static_cast<int64_t>(scene.rows().size()), trials);
  }
}

TEST(TuningRun, TheSameSeedMeasuresTheSameCandidates) {
  Scene first;
  Scene second;
  Scene other;
  other.row.seed = 2;
  for (Scene* scene : {&first, &second, &other}) {
    scene->row.strategy = "evolutionary";
    scene->options.stop.trials = 24; // a batch before there is a model, and one after
  }
  must(first.run());
  must(second.run());
  must(other.run());
  EXPECT_EQ(first.measured(), second.measured());
  EXPECT_NE(first.measured(), other.measured());
}

TEST(TuningRun, EveryFailureIsARowWithItsText) {
  Scene scene;
  int compiled = 0;
  scene.compilers = engine::FakeCompilePool([&](std::string_view request) -> Result<std::string> {
    if (++compiled % 5 == 0)
      return Error(ErrorCode::kFailed, "no register is left");
    return testing::compile_to_text(request);
  });
  int measured = 0;
  scene.use(FakeMeasurer([&](const MeasureRequest& request) {
    switch (++measured % 8) {
    case 1:
      return FakeMeasurer::failed(Outcome::kWrongResult, "C[3] is 4, expected 5");
    case 2:
      return FakeMeasurer::failed(Outcome::kCrashed, "SIGSEGV");
    case 3:
      return FakeMeasurer::failed(Outcome::kTimedOut, "still running after 5 s");
    default:
      return FakeMeasurer::took(time_of(request));
    }
  }));
  scene.options.finalists = 0;
  const TuneResult result = must(scene.run());
  const auto outcomes = scene.outcomes();
  int rows = 0;
  for (const auto& [outcome, count] : outcomes)
    rows += count;
  EXPECT_EQ(rows, result.trials);
  for (const database::Outcome outcome :
       {database::Outcome::kOk, database::Outcome::kWrongResult, database::Outcome::kCrashed,
        database::Outcome::kTimedOut, database::Outcome::kCompileFailed})
    EXPECT_GT(outcomes.count(outcome), 0U) << database::to_string(outcome);
  EXPECT_EQ(result.funnel.compiled.refused.at("compile_failed"),
            outcomes.at(database::Outcome::kCompileFailed));
  EXPECT_EQ(result.funnel.correct.refused.at("wrong_result"),
            outcomes.at(database::Outcome::kWrongResult));
  EXPECT_EQ(result.funnel.ran.refused.at("crashed"), outcomes.at(database::Outcome::kCrashed));
  EXPECT_EQ(result.funnel.timed.count, outcomes.at(database::Outcome::kOk));
  EXPECT_EQ(result.funnel.compiled.first_error, "no register is left");
  EXPECT_EQ(result.funnel.correct.first_error, "C[3] is 4, expected 5");
  for (const database::Measurement& row : scene.rows())
    EXPECT_EQ(row.error.empty(), row.outcome == database::Outcome::kOk);
  const auto best = must(scene.store->measurement(result.best_record));
  EXPECT_EQ(best.outcome, database::Outcome::kOk);
}

TEST(TuningRun, WhenEveryCandidateFailsTheFunnelSaysWhy) {
  for (const bool compiles : {false, true}) {
    Scene scene;
    scene.options.stop.trials = 20;
    if (!compiles) {
      scene.compilers = engine::FakeCompilePool([](std::string_view bytes) -> Result<std::string> {
        if (must(decode_compile_request(bytes)).kind == CompileKind::kReference)
          return testing::compile_to_text(bytes);
        return Error(ErrorCode::kFailed, "no register is left");
      });
    }
    scene.use(FakeMeasurer([](const MeasureRequest&) {
      return FakeMeasurer::failed(Outcome::kWrongResult, "C[0] is 1, expected 2");
    }));
    const TuneResult result = must(scene.run());
    EXPECT_EQ(result.best_record, "");
    EXPECT_EQ(result.best_ns, 0);
    EXPECT_EQ(result.trials, 20);
    EXPECT_EQ(compiles ? result.funnel.correct.first_error : result.funnel.compiled.first_error,
              compiles ? "C[0] is 1, expected 2" : "no register is left");
    EXPECT_EQ(scene.rows().size(), 20U);
    EXPECT_TRUE(must(scene.store->best({})).empty());
    EXPECT_EQ(must(scene.store->run(scene.run_id)).state, database::RunState::kFinished);
  }
}

TEST(TuningRun, AReferenceThatDoesNotCompileEndsTheRunWithItsName) {
  Scene scene;
  scene.compilers = engine::FakeCompilePool([](std::string_view) -> Result<std::string> {
    return Error(ErrorCode::kFailed, "no such operator");
  });
  const auto result = scene.run();
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message,
              HasSubstr("the reference of 'matmul' does not compile: no such operator"));
  EXPECT_EQ(must(scene.store->run(scene.run_id)).state, database::RunState::kFailed);
}

TEST(TuningRun, AFinalistThatIsWrongOnFreshInputsIsNotTheBest) {
  Scene scene;
  must(scene.run());
  std::vector<double> times;
  for (const MeasureRequest& request : scene.measurer->requests)
    times.push_back(time_of(request));
  std::sort(times.begin(), times.end());

  // The same search, in which the fastest is right by luck on the first inputs.
  Scene again;
  again.use(FakeMeasurer([&](const MeasureRequest& request) {
    if (request.workload == 2 && time_of(request) == times[0])
      return FakeMeasurer::failed(Outcome::kWrongResult, "C[9] is 1, expected 2");
    return FakeMeasurer::took(time_of(request));
  }));
  const TuneResult result = must(again.run());
  EXPECT_DOUBLE_EQ(result.best_ns, times[1]);
  EXPECT_DOUBLE_EQ(must(again.store->best({})).at(0).median_ns, times[1]);
}

TEST(TuningRun, WhenAllFinalistsAreWrongOnFreshInputsTheNextOnesAreTried) {
  Scene scene;
  scene.options.finalists = 2;
  std::set<double> wrong;
  scene.use(FakeMeasurer([&](const MeasureRequest& request) {
    if (request.workload == 2 && wrong.size() < 2 && wrong.insert(time_of(request)).second)
      return FakeMeasurer::failed(Outcome::kWrongResult, "C[9] is 1, expected 2");
    return FakeMeasurer::took(time_of(request));
  }));
  const TuneResult result = must(scene.run());
  ASSERT_EQ(wrong.size(), 2U);
  EXPECT_GT(result.best_ns, *wrong.rbegin());
  EXPECT_EQ(must(scene.store->measurement(result.best_record)).purpose,
            database::Purpose::kConfirm);
  EXPECT_EQ(scene.measurer->workloads.size(), 2U) << "the reference runs once for all of them";
}

TEST(TuningRun, WithoutARightFinalistThereIsNoBest) {
  Scene scene;
  scene.use(FakeMeasurer([](const MeasureRequest& request) {
    return request.workload == 1 ? FakeMeasurer::took(time_of(request))
                                 : FakeMeasurer::failed(Outcome::kWrongResult, "wrong");
  }));
  const TuneResult result = must(scene.run());
  EXPECT_EQ(result.best_record, "");
  EXPECT_EQ(result.best_ns, 0);
}

TEST(TuningRun, AnInterruptKeepsTheRowsAndResumeGoesOn) {
  Scene scene;
  scene.options.stop.trials = 64;
  int64_t trials = 0;
  scene.hooks.progress = [&](const TuneProgress& progress) { trials = progress.trials; };
  scene.hooks.interrupted = [&] { return trials >= 25; };
  const TuneResult cut = must(scene.run());
  EXPECT_TRUE(cut.interrupted);
  EXPECT_EQ(cut.stopped_because, "interrupted");
  EXPECT_EQ(static_cast<int64_t>(scene.rows().size()), cut.trials);
  EXPECT_LT(cut.trials, 64);
  const auto row = must(scene.store->run(scene.run_id));
  EXPECT_EQ(row.state, database::RunState::kInterrupted);
  EXPECT_EQ(row.trials, cut.trials);
  EXPECT_NE(row.random_state, 0U);
  EXPECT_NE(row.random_state, Random(row.seed).state()) << "it goes on where it was cut";
  EXPECT_GT(cut.best_ns, 0);

  scene.hooks = {};
  const TuneResult whole = must(scene.go_on());
  EXPECT_FALSE(whole.interrupted);
  EXPECT_EQ(whole.trials, 64) << "trials count over the whole run";
  EXPECT_EQ(scene.rows().size(), 64U);
  // Only what was under way when the run was cut, and has no row, may be tried again.
  std::set<database::Id> candidates;
  for (const database::Measurement& measured : scene.rows())
    EXPECT_TRUE(candidates.insert(measured.candidate).second)
        << "what is known is not measured again: " << measured.candidate;
  EXPECT_DOUBLE_EQ(whole.best_ns, fastest(scene));
  EXPECT_GE(whole.funnel.timed.count, cut.funnel.timed.count) << "the funnel counts on";
}

TEST(TuningRun, AnotherProcessMayAskItToStop) {
  Scene scene;
  scene.options.stop.trials = 1000;
  scene.hooks.progress = [&](const TuneProgress& progress) {
    if (progress.trials == 20)
      must(scene.store->request(scene.run_id, database::RequestedState::kStop));
  };
  const TuneResult result = must(scene.run());
  EXPECT_TRUE(result.interrupted);
  EXPECT_LT(result.trials, 40);
  EXPECT_EQ(static_cast<int64_t>(scene.rows().size()), result.trials);
}

TEST(TuningRun, ANewRunStartsFromWhatOthersFound) {
  Scene scene;
  const TuneResult first = must(scene.run());
  const size_t before = scene.measurer->requests.size();
  scene.options.stop.trials = 8;
  const TuneResult second = must(scene.run());
  EXPECT_LE(second.best_ns, first.best_ns);
  std::set<uint64_t> known;
  for (size_t i = 0; i < before; ++i)
    known.insert(scene.measurer->requests[i].artifact->code_hash);
  for (size_t i = before; i < scene.measurer->requests.size(); ++i)
    EXPECT_TRUE(known.insert(scene.measurer->requests[i].artifact->code_hash).second);

  scene.options.fresh = true;
  const size_t then = scene.measurer->requests.size();
  const TuneResult fresh = must(scene.run());
  EXPECT_GT(fresh.untuned_ns, 0);
  EXPECT_EQ(scene.measurer->requests.size() - then, 8U);
}

TEST(TuningRun, ASmallSpaceIsExhausted) {
  Scene scene("elementwise", {{"M", "2"}, {"N", "2"}});
  scene.options.stop.trials = 5000;
  const TuneResult result = must(scene.run());
  EXPECT_EQ(result.stopped_because, "the space is exhausted");
  EXPECT_GT(result.trials, 0);
  EXPECT_LT(result.trials, 200);
  EXPECT_GT(result.best_ns, 0);
}

/// Says every so often that the machine's speed has changed.
class DriftingMeasurer : public FakeMeasurer {
public:
  /// One of `far` takes ten times as long as the others, which differ by 10 % at most.
  explicit DriftingMeasurer(uint64_t far)
      : FakeMeasurer([far](const MeasureRequest& request) {
          const uint64_t hash = request.artifact->code_hash;
          return took((hash % far == 0 ? 1e5 : 1e4) + static_cast<double>(hash % 1000));
        }) {}
  Result<engine::DeviceState> device_state(int) override {
    const bool slow = looks++ % 2 == 1;
    return engine::DeviceState{slow ? 1.2e5 : 1e5, 1e6, 0, 0};
  }
  int looks = 0;
};

TEST(TuningRun, ABatchInWhichTheMachineDriftedIsMeasuredOnceMore) {
  Scene scene;
  scene.options.stop.trials = 10;
  scene.use(DriftingMeasurer(UINT64_MAX));
  const TuneResult result = must(scene.run());
  EXPECT_EQ(result.trials, 10) << "a repeated measurement is no trial of its own";
  EXPECT_EQ(scene.measurer->requests.size(), 20U);
  std::map<std::string, int> kinds;
  for (const database::Event& event : must(scene.store->events(scene.run_id)))
    ++kinds[event.kind];
  EXPECT_GT(kinds["batch_repeated"], 0);
  EXPECT_EQ(kinds["batch_disturbed"], kinds["batch_repeated"]) << "it drifted both times";
  EXPECT_EQ(kinds["confirmation_repeated"], 1);
  EXPECT_EQ(kinds["confirmation_disturbed"], 1);
}

TEST(TuningRun, WhatIsFarBehindIsNotMeasuredOnceMore) {
  Scene scene;
  scene.options.stop.trials = 33;
  scene.use(DriftingMeasurer(3));
  must(scene.run());
  std::map<uint64_t, int> times;
  for (const MeasureRequest& request : scene.measurer->requests)
    ++times[request.artifact->code_hash];
  ASSERT_EQ(times.size(), 33U);
  int once = 0;
  for (const auto& [hash, count] : times) {
    EXPECT_EQ(count, hash % 3 == 0 ? 1 : 2);
    once += count == 1 ? 1 : 0;
  }
  EXPECT_GT(once, 0);
  EXPECT_EQ(scene.rows().size(), scene.measurer->requests.size()) << "nothing measured is lost";
}

TEST(TuningRun, TheDeviceIsToldHowNoisySamplesAreHere) {
  Scene scene;
  scene.use(FakeMeasurer([](const MeasureRequest& request) {
    engine::Measurement measurement = FakeMeasurer::took(time_of(request));
    measurement.samples_ns.assign(10, measurement.median_ns);
    measurement.samples_ns[9] *= 1.5;
    measurement.samples_ns[8] *= 1.2;
    return measurement;
  }));
  must(scene.run());
  const double first = scene.measurer->requests.front().rule.noise;
  EXPECT_EQ(first, engine::StopRule().noise) << "nobody knows yet";
  EXPECT_GT(scene.measurer->requests.back().rule.noise, 2 * first);
  for (const MeasureRequest& request : scene.measurer->requests)
    EXPECT_GT(request.rule.trailing_samples, 0);
}

/// Two processors, which run `together` as fast as that beside each other.
class TwoProcessors : public FakeMeasurer {
public:
  explicit TwoProcessors(double together)
      : FakeMeasurer([](const MeasureRequest& request) { return took(time_of(request)); }, 2),
        together_(together) {}
  Result<engine::DeviceState> device_state(int threads) override {
    return engine::DeviceState{1e5, 1e6, threads > 1 ? together_ : 0, 0};
  }

private:
  double together_;
};

TEST(TuningRun, CandidatesAreCompiledBesideOthersWhereThatIsHarmless) {
  struct Case {
    bool harmless;
    double together;
    bool beside;
  };
  std::vector<uint64_t> measured;
  for (const Case& tried :
       {Case{false, 1.0, false}, Case{true, 0.5, false}, Case{true, 0.97, true}}) {
    Scene scene;
    scene.compilers.workers = 2;
    scene.options.compile_beside = tried.harmless;
    scene.use(TwoProcessors(tried.together));
    std::optional<int> asked; // of the compilers, when the first candidate was measured
    scene.hooks.recorded = [&](const auto&, const auto&) {
      asked = asked.value_or(scene.compilers.submitted);
    };
    const TuneResult result = must(scene.run());
    EXPECT_EQ(result.trials, 40);
    const auto batch = static_cast<int>(scene.options.batch);
    EXPECT_EQ(asked < batch, tried.beside) << *asked << " with the reference";
    // What is measured, and in which order, does not depend on it.
    if (measured.empty())
      measured = scene.measured();
    EXPECT_EQ(scene.measured(), measured);
    std::vector<std::string> decisions;
    for (const database::Event& event : must(scene.store->events(scene.run_id)))
      if (event.kind == "company")
        decisions.push_back(event.json);
    ASSERT_EQ(decisions.size(), tried.harmless ? 1U : 0U);
    if (tried.harmless) {
      EXPECT_EQ(must(parse_json(decisions[0]))["compile_beside"], tried.beside);
    }
  }
}

TEST(TuningRun, AllProcessorsCompileAgainWhereNothingIsLeftToTime) {
  for (const bool beside : {false, true}) {
    Scene scene;
    scene.options.stop.trials = static_cast<int64_t>(scene.options.batch); // a single batch
    scene.options.compile_beside = beside;
    scene.use(TwoProcessors(0.97));
    int recorded = 0;
    scene.hooks.recorded = [&](const auto&, const auto&) { ++recorded; };
    int together = 0; ///< compiled with another one, when some had been timed
    // Each takes many polls, so that the device, which takes a few, waits for them.
    scene.compilers = engine::FakeCompilePool(
        [&](std::string_view request) {
          together += recorded > 0 && scene.compilers.pending() == 1;
          return testing::compile_to_text(request);
        },
        50);
    scene.compilers.workers = 2;
    EXPECT_EQ(must(scene.run()).trials, scene.options.stop.trials);
    EXPECT_EQ(together > 0, beside);
  }
}

TEST(TuningRun, WhatIsDrawnWhileOthersAreTimedIsTheSame) {
  std::vector<uint64_t> measured;
  for (const bool beside : {false, true}) {
    Scene scene;
    scene.row.strategy = "evolutionary";
    scene.options.stop.trials = 60;
    scene.compilers.workers = 2;
    scene.options.compile_beside = beside;
    scene.use(TwoProcessors(0.97));
    must(scene.run());
    if (measured.empty())
      measured = scene.measured();
    EXPECT_EQ(scene.measured(), measured);
  }
}

TEST(TuningRun, TheUntunedProgramIsTimedAheadOfItsBatchWhereSomethingIsKnown) {
  for (const int64_t trials : {10, 40}) {
    Scene scene;
    scene.options.stop.trials = trials;
    must(scene.run());
    const std::string untuned = s_tir::trace_to_json_text(scene.space->untuned()->trace);
    const auto& requests = scene.measurer->requests;
    const auto at = std::find_if(requests.begin(), requests.end(), [&](const auto& request) {
      return request.artifact->code == untuned;
    });
    EXPECT_EQ(at - requests.begin(), trials == 10 ? 9 : 32);
  }
}

/// Fails for good after some trials.
class DyingMeasurer : public FakeMeasurer {
public:
  explicit DyingMeasurer(int trials)
      : FakeMeasurer([](const MeasureRequest& request) { return took(time_of(request)); }),
        left(trials) {}
  std::vector<engine::FinishedMeasurement> poll(int timeout_ms) override {
    auto done = FakeMeasurer::poll(timeout_ms);
    left -= static_cast<int>(done.size());
    if (left > 0)
      return done;
    return {}; // lost: nothing is pending, and nothing comes any more
  }
  Result<engine::DeviceState> device_state(int threads) override {
    if (left <= 0)
      return Error(ErrorCode::kEnvironment, "the measuring program cannot be started");
    return FakeMeasurer::device_state(threads);
  }
  int left;
};

TEST(TuningRun, ADeviceThatDiesInterruptsTheRunAndKeepsItsRows) {
  for (const int after : {20, 23}) { // between batches, and within one
    Scene scene;
    scene.use(DyingMeasurer(after));
    const auto result = scene.run();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kEnvironment);
    EXPECT_THAT(result.error().message, HasSubstr("measuring"));
    const auto row = must(scene.store->run(scene.run_id));
    EXPECT_EQ(row.state, database::RunState::kInterrupted) << "it can be resumed";
    EXPECT_EQ(row.stopped_because, result.error().message);
    const size_t kept = scene.rows().size();
    EXPECT_GT(kept, 10U);
    EXPECT_EQ(row.trials, static_cast<int64_t>(kept));

    scene.use(FakeMeasurer(
        [](const MeasureRequest& request) { return FakeMeasurer::took(time_of(request)); }));
    const TuneResult resumed = must(scene.go_on());
    EXPECT_EQ(resumed.trials, 40);
    EXPECT_EQ(scene.rows().size(), 40U);
  }
}

TEST(TuningRun, CompilersThatLoseARequestInterruptTheRun) {
  Scene scene;
  scene.hooks.progress = [&](const TuneProgress& progress) {
    if (progress.trials >= 20)
      scene.compilers.lose_from_now_on = true;
  };
  const auto result = scene.run();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kEnvironment);
  EXPECT_THAT(result.error().message, HasSubstr("compile"));
  EXPECT_EQ(must(scene.store->run(scene.run_id)).state, database::RunState::kInterrupted);
  EXPECT_GE(scene.rows().size(), 20U);
}

TEST(TuningRun, TheModelsQualityIsRecordedForEveryBatchItPredicted) {
  Scene scene;
  scene.row.strategy = "evolutionary";
  scene.options.stop.trials = 48;
  must(scene.run());
  const auto rows = must(scene.store->model_quality(scene.run_id));
  ASSERT_GE(rows.size(), 2U);
  for (const database::ModelQuality& row : rows) {
    EXPECT_GE(row.rank_correlation, -1);
    EXPECT_LE(row.rank_correlation, 1);
    EXPECT_GT(row.trials_seen, 0);
  }
}

TEST(TuningRun, TheFunnelIsStoredWithTheRun) {
  Scene scene;
  const TuneResult result = must(scene.run());
  const auto row = must(scene.store->run(scene.run_id));
  EXPECT_EQ(row.funnel_json, funnel_to_json(result.funnel));
  const Json json = must(parse_json(row.funnel_json));
  EXPECT_GE(json["proposed"]["count"].get<int64_t>(), json["legal"]["count"].get<int64_t>());
  EXPECT_GE(json["legal"]["count"].get<int64_t>(), 39);
  EXPECT_EQ(json["compiled"]["count"], 40);
  EXPECT_EQ(json["timed"]["count"], 40);
}

} // namespace
} // namespace temper::tuner
