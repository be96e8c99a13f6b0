#include "engine/local_measurer.h"

#include "engine/timing/sittings.h"
#include "ir/support/sanitizers.h"
#include "ir/support/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <thread>

#include <dirent.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace temper::engine {
namespace {

using codegen::ArgumentSpec;
using codegen::Artifact;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

std::vector<ArgumentSpec> vectors(DataType type, std::vector<int64_t> shape = {1000}) {
  return {{"A", type, shape, true, false},
          {"B", type, shape, true, false},
          {"C", type, shape, true, true}};
}

std::shared_ptr<Artifact>
artifact(const std::string& entry,
         std::vector<ArgumentSpec> signature = vectors(DataType::float32()),
         const char* module = TEMPER_TEST_CANDIDATES) {
  auto result = std::make_shared<Artifact>();
  result->code = *read_file(module);
  result->entry = entry;
  result->signature = std::move(signature);
  return result;
}

WorkloadSpec addition() {
  WorkloadSpec spec;
  spec.name = "add";
  spec.signature = vectors(DataType::float32());
  spec.input_sets = default_input_sets(11, {});
  spec.reference = artifact("reference", vectors(DataType::float64()));
  return spec;
}

LocalMeasurerOptions options() {
  LocalMeasurerOptions result;
  result.lock_path.clear(); // the tests of other folders need not wait for these
  return result;
}

std::unique_ptr<LocalMeasurer> started(LocalMeasurerOptions with = options()) {
  auto measurer = LocalMeasurer::start(std::move(with));
  EXPECT_TRUE(measurer) << measurer.error().message;
  return std::move(*measurer);
}

std::map<Ticket, Measurement> all(Measurer& measurer) {
  std::map<Ticket, Measurement> done;
  while (measurer.pending() > 0)
    for (FinishedMeasurement& one : measurer.poll(-1))
      done.emplace(one.ticket, std::move(one.measurement));
  return done;
}

MeasureRequest quick(WorkloadId workload, std::shared_ptr<const Artifact> what) {
  MeasureRequest request;
  request.workload = workload;
  request.artifact = std::move(what);
  request.rule.max_seconds = 0.02;
  request.timeout_ms = 5000;
  return request;
}

/// One measurer with the addition workload for all tests of what candidates do.
class Candidates : public ::testing::Test {
protected:
  static void SetUpTestSuite() {
    measurer_ = started().release();
    Result<WorkloadId> workload = measurer_->add_workload(addition());
    ASSERT_TRUE(workload) << workload.error().message;
    workload_ = *workload;
  }
  static void TearDownTestSuite() {
    delete measurer_;
    measurer_ = nullptr;
  }

  static Measurement measure(MeasureRequest request) {
    const Ticket ticket = measurer_->submit(std::move(request));
    return all(*measurer_).at(ticket);
  }
  static Measurement measure(const std::string& entry) {
    return measure(quick(workload_, artifact(entry)));
  }
  /// Whatever the last one did, the next is measured as if nothing had happened.
  void TearDown() override {
    const Measurement after = measure("correct");
    EXPECT_TRUE(is_correct(after.outcome)) << after.error;
    EXPECT_EQ(measurer_->restarts(), 0) << "the runner itself must have survived";
  }

  static LocalMeasurer* measurer_;
  static WorkloadId workload_;
};
LocalMeasurer* Candidates::measurer_ = nullptr;
WorkloadId Candidates::workload_ = 0;

#define EXPECT_FAILURE(measurement, expected, where, words)                                        \
  do {                                                                                             \
    const Measurement m = (measurement);                                                           \
    EXPECT_EQ(m.outcome, expected) << to_string(m.outcome) << ": " << m.error;                     \
    EXPECT_EQ(m.stage, where) << m.error;                                                          \
    EXPECT_THAT(m.error, words);                                                                   \
  } while (false)

TEST_F(Candidates, ACorrectKernelIsTimed) {
  const Measurement m = measure("correct");
  ASSERT_TRUE(is_correct(m.outcome)) << m.error;
  if (m.outcome != Outcome::kOk)
    GTEST_SKIP() << "the machine is too busy: " << m.error;
  EXPECT_EQ(m.error, "");
  EXPECT_EQ(m.stage, "");
  EXPECT_FALSE(m.worst);
  EXPECT_GT(m.median_ns, 10);
  EXPECT_LT(m.median_ns, 1e6);
  EXPECT_GE(m.samples_ns.size(), 3U);
  EXPECT_GT(m.calls_per_sample, 1);
  EXPECT_LE(m.interval.low, m.median_ns);
  EXPECT_GE(m.interval.high, m.median_ns);
  EXPECT_GT(m.measure_ms, 0);
  EXPECT_EQ(m.log, "");
#if defined(__x86_64__)
  EXPECT_GT(m.clock_ghz, 0.2);
  EXPECT_LT(m.clock_ghz, 8);
#endif
}

TEST_F(Candidates, WhatAKernelWritesIsKept) {
  EXPECT_EQ(measure("talks").log, "the kernel wrote:\ntile is ragged");
  EXPECT_EQ(measure("aborts").log, "the kernel wrote:\nassertion failed: tile divides the loop");
}

/// B is packed ahead, by a function of the same code.
std::shared_ptr<Artifact> with_packed_b(const std::string& entry, const std::string& pack) {
  auto result = artifact(entry);
  result->packs = {{1, pack, {"B_packed", DataType::float32(), {1001}, true, false}, ""}};
  return result;
}

TEST_F(Candidates, APackedOperandIsMadeFromThePlainOne) {
  const Measurement m = measure(quick(workload_, with_packed_b("adds_packed", "packs")));
  EXPECT_TRUE(is_correct(m.outcome)) << m.error;
  MeasureRequest cold = quick(workload_, with_packed_b("adds_packed", "packs"));
  cold.regime = Regime::kCold;
  const Measurement flushed = measure(cold);
  EXPECT_TRUE(is_correct(flushed.outcome)) << flushed.error;
}

TEST_F(Candidates, WhatIsPackedWronglyIsWrong) {
  EXPECT_FAILURE(measure(quick(workload_, with_packed_b("adds_packed", "packs_too_little"))),
                 Outcome::kWrongResult, "check",
                 AllOf(HasSubstr("wrong result: C[999]"), HasSubstr("1 of 1000 elements")));
  EXPECT_FAILURE(measure(quick(workload_, with_packed_b("adds_packed", "correct"))),
                 Outcome::kCrashed, "pack", HasSubstr("crashed"));
  EXPECT_FAILURE(measure(quick(workload_, with_packed_b("adds_packed", "packs_too_much"))),
                 Outcome::kCrashed, "pack", HasSubstr("crashed"));
  EXPECT_FAILURE(measure(quick(workload_, with_packed_b("adds_packed", "packs_badly"))),
                 Outcome::kCrashed, "pack", HasSubstr("returned 5 instead of 0"));
  EXPECT_FAILURE(measure(quick(workload_, with_packed_b("adds_packed", "no_such_pack"))),
                 Outcome::kCompileFailed, "load", HasSubstr("no_such_pack"));
}

TEST_F(Candidates, PackedOperandsCannotBeWritten) {
  EXPECT_FAILURE(measure(quick(workload_, with_packed_b("writes_packed", "packs"))),
                 Outcome::kCrashed, "check", HasSubstr("crashed: wrote"));
}

TEST_F(Candidates, AnOutputCannotBePackedAhead) {
  auto bad = with_packed_b("adds_packed", "packs");
  bad->packs[0].argument = 2;
  EXPECT_FAILURE(measure(quick(workload_, bad)), Outcome::kRejected, "load",
                 HasSubstr("packs argument C, which is an output"));
}

TEST_F(Candidates, PackedOperandsAreComparedInTurns) {
  CompareRequest request;
  request.workload = workload_;
  request.rounds = 3;
  request.contenders = {{"plain", artifact("correct"), {}, 1, true},
                        {"packed", with_packed_b("adds_packed", "packs"), {}, 1, true}};
  const auto compared = measurer_->compare(request);
  ASSERT_TRUE(compared) << compared.error().message;
  for (const ComparedContender& side : compared->contenders)
    EXPECT_TRUE(is_correct(side.measurement.outcome)) << side.name << side.measurement.error;
}

TEST_F(Candidates, DividingByZeroIsACrash) {
  EXPECT_FAILURE(measure("divides_by_zero"), Outcome::kCrashed, "check",
                 HasSubstr("divided an integer by zero (SIGFPE)"));
}

TEST_F(Candidates, AnEndlessLoopIsStopped) {
  MeasureRequest request = quick(workload_, artifact("loops_for_ever"));
  request.timeout_ms = 100;
  EXPECT_FAILURE(measure(request), Outcome::kTimedOut, "check",
                 AllOf(HasSubstr("0.1 s"), HasSubstr("inside the kernel")));
}

TEST_F(Candidates, AnEndlessLoopAmongTheTimedCallsIsStopped) {
  MeasureRequest request = quick(workload_, artifact("loops_later"));
  request.timeout_ms = 100;
  EXPECT_FAILURE(measure(request), Outcome::kTimedOut, "time", HasSubstr("was stopped"));
}

TEST_F(Candidates, WhatTakesLongerThanItsTimeIsNotWarmedUpAfterItsChecks) {
  MeasureRequest request = quick(workload_, artifact("loops_at_the_fourth_call"));
  request.rule.max_seconds = 0; // two checks, and the one sample that there must be
  request.rule.sample_ns = 1;   // of one call
  request.timeout_ms = 500;
  const Measurement m = measure(request);
  EXPECT_TRUE(is_correct(m.outcome)) << m.error;
  EXPECT_EQ(m.samples_ns.size(), 1U);
}

TEST_F(Candidates, TheDeadlineStartsWithExecution) {
  MeasureRequest hang = quick(workload_, artifact("loops_for_ever"));
  hang.timeout_ms = 300;
  MeasureRequest behind = quick(workload_, artifact("correct"));
  behind.timeout_ms = 250; // less than it waits
  const Ticket first = measurer_->submit(hang);
  const Ticket second = measurer_->submit(behind);
  auto done = all(*measurer_);
  EXPECT_EQ(done[first].outcome, Outcome::kTimedOut);
  EXPECT_TRUE(is_correct(done[second].outcome)) << done[second].error;
}

TEST_F(Candidates, WritingPastTheEndFaultsAtTheGuard) {
  EXPECT_FAILURE(measure("writes_past_the_end"), Outcome::kCrashed, "check",
                 AllOf(HasSubstr("wrote out of bounds"), HasSubstr("past the end of argument C"),
                       HasSubstr("SIGSEGV")));
}

TEST_F(Candidates, WritingASingleElementPastTheEndIsSeen) {
  EXPECT_FAILURE(measure("writes_one_past_the_end"), Outcome::kCrashed, "check",
                 AllOf(HasSubstr("out of bounds"), HasSubstr("past the end of argument C")));
}

TEST_F(Candidates, WritingBeforeTheStartIsSeen) {
  EXPECT_FAILURE(measure("writes_before_the_start"), Outcome::kCrashed, "check",
                 AllOf(HasSubstr("out of bounds"), HasSubstr("before the start of argument C")));
}

TEST_F(Candidates, ReadingFarPastTheEndFaults) {
  EXPECT_FAILURE(measure("reads_far_past_the_end"), Outcome::kCrashed, "check",
                 HasSubstr("read out of bounds"));
}

TEST_F(Candidates, InputsCannotBeWritten) {
  EXPECT_FAILURE(measure("writes_its_input"), Outcome::kCrashed, "check",
                 HasSubstr("wrote to its input B (at element 7)"));
}

TEST_F(Candidates, InputsCannotBeMadeWritable) {
  EXPECT_FAILURE(measure("unprotects_its_input"), Outcome::kCrashed, "check",
                 HasSubstr("returned 9"));
}

TEST_F(Candidates, PointersThatLeadNowhereAreDescribed) {
  EXPECT_FAILURE(measure("null_pointer"), Outcome::kCrashed, "check", HasSubstr("null pointer"));
  EXPECT_FAILURE(measure("wild_pointer"), Outcome::kCrashed, "check",
                 HasSubstr("far from any argument"));
}

TEST_F(Candidates, AStackOverflowIsReported) {
  EXPECT_FAILURE(measure("overflows_its_stack"), Outcome::kCrashed, "check",
                 HasSubstr("overflowed its stack"));
}

TEST_F(Candidates, AnIllegalInstructionIsACrash) {
  EXPECT_FAILURE(measure("illegal_instruction"), Outcome::kCrashed, "check", HasSubstr("SIGILL"));
}

TEST_F(Candidates, AllocatingWithoutEndHitsTheMemoryLimit) {
  if (kSanitized)
    GTEST_SKIP() << "a sanitizer's allocator tells nobody what it refused";
  for (const char* entry : {"allocates_without_end", "maps_without_end"}) {
    MeasureRequest request = quick(workload_, artifact(entry));
    request.memory_limit_bytes = int64_t{256} << 20;
    EXPECT_FAILURE(measure(request), Outcome::kOutOfMemory, "check",
                   HasSubstr("limit of 256.0 MiB"));
  }
}

TEST_F(Candidates, AllocatingTooMuchAtOnceIsOutOfMemoryToo) {
  if (kSanitized)
    GTEST_SKIP() << "a sanitizer's allocator tells nobody what it refused";
  EXPECT_FAILURE(measure("allocates_too_much_at_once"), Outcome::kOutOfMemory, "check",
                 HasSubstr("32768.0 GiB more"));
}

TEST_F(Candidates, NanIsAWrongResult) {
  const Measurement m = measure("returns_nan");
  EXPECT_EQ(m.outcome, Outcome::kWrongResult) << m.error;
  ASSERT_TRUE(m.worst);
  EXPECT_EQ(m.worst->argument, "C");
  EXPECT_EQ(m.worst->index, 500);
  EXPECT_TRUE(std::isnan(m.worst->got));
  EXPECT_THAT(m.error, HasSubstr("C[500] is nan"));
}

TEST_F(Candidates, OneWrongElementIsFound) {
  const Measurement m = measure("one_wrong_element");
  EXPECT_EQ(m.outcome, Outcome::kWrongResult) << m.error;
  ASSERT_TRUE(m.worst);
  EXPECT_EQ(m.worst->index, 123);
  EXPECT_EQ(m.worst->wrong_count, 1);
  EXPECT_NEAR(m.worst->got - m.worst->expected, 0.01, 1e-6);
  EXPECT_TRUE(m.samples_ns.empty()) << "what is wrong is not timed";
}

TEST_F(Candidates, ReadingATemporaryThatNobodyWroteIsFoundAlthoughFreshMemoryIsZero) {
  if (kSanitized)
    GTEST_SKIP() << "a sanitizer brings its own malloc";
  const Measurement m = measure("reads_fresh_memory");
  EXPECT_EQ(m.outcome, Outcome::kWrongResult) << m.error;
}

TEST_F(Candidates, AnElementThatIsNeverWrittenIsFound) {
  const Measurement m = measure("forgets_the_last_element");
  EXPECT_EQ(m.outcome, Outcome::kWrongResult) << m.error;
  ASSERT_TRUE(m.worst);
  EXPECT_EQ(m.worst->index, 999);
}

TEST_F(Candidates, LeavingTheProcessIsACrash) {
  EXPECT_FAILURE(measure("calls_exit"), Outcome::kCrashed, "check",
                 HasSubstr("exit status 3 instead of returning"));
  EXPECT_FAILURE(measure("calls_exit_zero"), Outcome::kCrashed, "check",
                 HasSubstr("exit status 0 instead of returning"));
}

TEST_F(Candidates, KillingTheRunnerIsForbidden) {
  EXPECT_FAILURE(measure("kills_its_parent"), Outcome::kCrashed, "check", HasSubstr("kill()"));
}

TEST_F(Candidates, KillingItselfIsACrash) {
  EXPECT_FAILURE(measure("kills_itself"), Outcome::kCrashed, "check", HasSubstr("SIGKILL"));
}

TEST_F(Candidates, StartingProcessesIsForbidden) {
  EXPECT_FAILURE(measure("leaves_a_child"), Outcome::kCrashed, "check", HasSubstr("fork()"));
}

TEST_F(Candidates, DeletingFilesIsForbidden) {
  EXPECT_FAILURE(measure("deletes_files"), Outcome::kCrashed, "check", HasSubstr("unlink()"));
}

TEST_F(Candidates, ClosingAllDescriptorsIsACrash) {
  EXPECT_FAILURE(measure("closes_all_descriptors"), Outcome::kCrashed, "check",
                 HasSubstr("file descriptors"));
}

TEST_F(Candidates, MegabytesOfOutputGoNowhere) {
  EXPECT_TRUE(is_correct(measure("writes_megabytes_to_stdout").outcome));
}

TEST_F(Candidates, AnAbortCarriesItsLastWords) {
  EXPECT_FAILURE(measure("aborts"), Outcome::kCrashed, "check",
                 AllOf(HasSubstr("SIGABRT"), HasSubstr("tile divides the loop")));
}

TEST_F(Candidates, BytesThatAreNoTextDoNoHarm) {
  EXPECT_FAILURE(measure("aborts_with_garbage"), Outcome::kCrashed, "check",
                 HasSubstr("??? gar?bage \u00e9?[31m"));
}

TEST_F(Candidates, BeingRightOnlyTheFirstTimesIsAWrongResult) {
  EXPECT_FAILURE(measure("right_the_first_time"), Outcome::kWrongResult, "recheck",
                 HasSubstr("after repeated calls"));
}

TEST_F(Candidates, DoingNothingAfterTheFirstCallIsAWrongResult) {
  EXPECT_FAILURE(measure("works_only_once"), Outcome::kWrongResult, "recheck",
                 HasSubstr("1000 of 1000"));
}

// A millisecond where there is poison, next to nothing where its results are: what repeated calls
// take is no time of the kernel.
TEST_F(Candidates, LookingForItsResultsIsUnbelievable) {
  const Measurement m = measure("looks_at_its_output");
  EXPECT_EQ(m.outcome, Outcome::kUnbelievable) << m.error;
  EXPECT_THAT(m.error, HasSubstr("hold the right results already"));
  for (const Regime regime : {Regime::kHot, Regime::kCold}) {
    CompareRequest request;
    request.workload = workload_;
    request.regime = regime;
    request.rounds = 4;
    request.contenders = {{"a", artifact("correct"), {}, 0, true},
                          {"b", artifact("looks_at_its_output"), {}, 0, true}};
    const Result<Comparison> comparison = measurer_->compare(request);
    ASSERT_TRUE(comparison) << comparison.error().message;
    EXPECT_TRUE(is_correct(comparison->contenders[0].measurement.outcome));
    EXPECT_EQ(comparison->contenders[0].measurement.outcome, Outcome::kOk)
        << to_string(regime) << comparison->contenders[0].measurement.error;
    EXPECT_EQ(comparison->contenders[1].measurement.outcome, Outcome::kUnbelievable);
  }
}

// Arguments of 2 MiB and more are timed in memory of the child's own, where the same calls follow
// each other on the same addresses: only poison in between tells.
TEST_F(Candidates, KnowingThatItWasCalledBeforeIsAWrongResult) {
  WorkloadSpec spec = addition();
  spec.signature = vectors(DataType::float32(), {1 << 20});
  spec.reference = artifact("reference_of_a_million", vectors(DataType::float64(), {1 << 20}));
  const Result<WorkloadId> workload = measurer_->add_workload(spec);
  ASSERT_TRUE(workload) << workload.error().message;
  EXPECT_FAILURE(measure(quick(*workload, artifact("remembers_its_output", spec.signature))),
                 Outcome::kWrongResult, "recheck", HasSubstr("after repeated calls"));
  measurer_->remove_workload(*workload);
}

TEST_F(Candidates, EveryInputSetIsChecked) {
  const Measurement m = measure("right_on_the_first_set");
  EXPECT_EQ(m.outcome, Outcome::kWrongResult) << m.error;
  ASSERT_TRUE(m.worst);
  EXPECT_EQ(m.worst->input_set, 1);
}

TEST_F(Candidates, ANonZeroReturnIsACrash) {
  EXPECT_FAILURE(measure("returns_nonzero"), Outcome::kCrashed, "check",
                 HasSubstr("returned 17 instead of 0"));
  EXPECT_FAILURE(measure("returns_nonzero_later"), Outcome::kCrashed, "time",
                 HasSubstr("returned 5"));
}

TEST_F(Candidates, ACrashInAThreadIsReported) {
  EXPECT_FAILURE(measure("crashes_in_a_thread"), Outcome::kCrashed, "check", HasSubstr("SIGFPE"));
}

TEST_F(Candidates, ScribblingOverAllSharedMemoryDeceivesNobody) {
  const Measurement m = measure("scribbles_everywhere");
  EXPECT_THAT(m.outcome, AnyOf(Outcome::kCrashed, Outcome::kWrongResult, Outcome::kTimedOut))
      << m.error;
}

TEST_F(Candidates, TimesThatDoNotAddUpAreNotBelieved) {
  MeasureRequest request = quick(workload_, artifact("lies_about_its_time"));
  request.rule.max_seconds = 1;
  request.rule.half_width = 0;
  request.rule.max_samples = 3000;
  const Measurement m = measure(request);
  EXPECT_NE(m.outcome, Outcome::kOk) << m.median_ns;
  EXPECT_THAT(m.error, HasSubstr("times add up to"));
}

// What could not be timed is right all the same: what it printed is shown, as one call wrote it,
// and not once for each input set and each timed call.
TEST_F(Candidates, WhatHasNoTimePrintsAsOneCallDoes) {
  for (const char* entry : {"prints_and_lies_about_its_time", "prints_and_looks_at_its_output"}) {
    MeasureRequest request = quick(workload_, artifact(entry));
    request.rule.max_seconds = 1;
    request.rule.half_width = 0;
    request.rule.max_samples = 300;
    const Measurement m = measure(request);
    ASSERT_TRUE(is_correct(m.outcome)) << entry << ": " << m.error;
    ASSERT_NE(m.outcome, Outcome::kOk) << entry;
    EXPECT_EQ(m.log, "the kernel wrote:\na line of the kernel") << entry;
  }
}

TEST_F(Candidates, CodeThatDoesNotLoadIsACompileFailure) {
  auto broken = artifact("correct");
  broken->code.resize(1000);
  EXPECT_FAILURE(measure(quick(workload_, broken)), Outcome::kCompileFailed, "load",
                 HasSubstr("could not be loaded"));
  EXPECT_FAILURE(measure("no_such_entry"), Outcome::kCompileFailed, "load",
                 HasSubstr("no_such_entry"));
}

TEST_F(Candidates, ADifferentSignatureIsRejected) {
  EXPECT_FAILURE(measure(quick(workload_, artifact("correct", vectors(DataType::float64())))),
                 Outcome::kRejected, "load", HasSubstr("float64"));
}

TEST_F(Candidates, AHopelessKernelIsCensored) {
  MeasureRequest request = quick(workload_, artifact("slow"));
  request.best_ns = 2e6;
  const Measurement m = measure(request);
  EXPECT_EQ(m.outcome, Outcome::kCensored) << m.error;
  EXPECT_LE(m.samples_ns.size(), 2U);
  EXPECT_GT(m.median_ns, 15e6);
}

TEST_F(Candidates, AFarTooSlowKernelIsNotEvenWarmedUp) {
  MeasureRequest request = quick(workload_, artifact("slow"));
  request.best_ns = 10e3;
  const Measurement m = measure(request);
  EXPECT_EQ(m.outcome, Outcome::kCensored) << m.error;
  EXPECT_EQ(m.samples_ns.size(), 1U) << "the checked calls were enough";
  EXPECT_GT(m.median_ns, 15e6);
}

TEST_F(Candidates, TheDeadlineFollowsTheBest) {
  MeasureRequest request = quick(workload_, artifact("loops_for_ever"));
  request.timeout_ms = 600'000;
  request.best_ns = 1e3;
  EXPECT_EQ(measure(request).outcome, Outcome::kTimedOut) << "after a second, not ten minutes";
}

TEST_F(Candidates, ColdIsMeasuredCallByCall) {
  MeasureRequest request = quick(workload_, artifact("correct"));
  request.regime = Regime::kCold;
  const Measurement cold = measure(request);
  ASSERT_TRUE(is_correct(cold.outcome)) << cold.error;
  EXPECT_EQ(cold.regime, Regime::kCold);
  EXPECT_EQ(cold.calls_per_sample, 1);
}

TEST_F(Candidates, TooFastToBeTrueIsUnbelievable) {
  WorkloadSpec spec = addition();
  spec.floor_ns = 1e9;
  const WorkloadId workload = *measurer_->add_workload(spec);
  const Measurement m = measure(quick(workload, artifact("correct")));
  EXPECT_EQ(m.outcome, Outcome::kUnbelievable);
  EXPECT_THAT(m.error, HasSubstr("at the least"));
  CompareRequest request; // in turns as well: that is how a run confirms its best
  request.workload = workload;
  request.rounds = 4;
  request.contenders = {{"a", artifact("correct"), {}, 0, true}};
  const Result<Comparison> comparison = measurer_->compare(request);
  ASSERT_TRUE(comparison) << comparison.error().message;
  EXPECT_EQ(comparison->contenders[0].measurement.outcome, Outcome::kUnbelievable);
  EXPECT_THAT(comparison->contenders[0].measurement.error, HasSubstr("at the least"));
  measurer_->remove_workload(workload);
}

TEST_F(Candidates, AComparisonThatMustBeSureHasSeveralSittings) {
  const WorkloadId workload = *measurer_->add_workload(addition());
  CompareRequest request;
  request.workload = workload;
  request.rounds = 4;
  request.sample_ns = 1e4;
  request.half_width = 100; // whatever the machine does: the fewest will do
  request.contenders = {{"a", artifact("correct"), {}, 0, true},
                        {"b", artifact("correct"), {}, 0, true},
                        {"wrong", artifact("one_wrong_element"), {}, 0, true}};
  const Result<Comparison> comparison = measurer_->compare(request);
  ASSERT_TRUE(comparison) << comparison.error().message;
  EXPECT_GE(comparison->rounds, 4 * kFewestSittings);
  const auto& [a, b, wrong] =
      std::tie(comparison->contenders[0], comparison->contenders[1], comparison->contenders[2]);
  EXPECT_EQ(a.measurement.outcome, Outcome::kOk) << a.measurement.error;
  EXPECT_EQ(b.measurement.outcome, Outcome::kOk) << b.measurement.error;
  EXPECT_GE(b.measurement.samples_ns.size(), 3 * size_t{kFewestSittings});
  EXPECT_LT(b.ratio_interval.low, b.ratio);
  EXPECT_LT(b.ratio, b.ratio_interval.high);
  EXPECT_EQ(wrong.measurement.outcome, Outcome::kWrongResult);
  measurer_->remove_workload(workload);
}

TEST_F(Candidates, WithoutAReferenceNothingIsChecked) {
  WorkloadSpec spec = addition();
  spec.reference = nullptr;
  const WorkloadId workload = *measurer_->add_workload(spec);
  EXPECT_EQ(measure(quick(workload, artifact("one_wrong_element"))).outcome, Outcome::kOk);
  EXPECT_EQ(measure(quick(workload, artifact("writes_its_input"))).outcome, Outcome::kCrashed);
  measurer_->remove_workload(workload);
}

TEST_F(Candidates, CountersComeWhereTheMachineHasThem) {
  MeasureRequest request = quick(workload_, artifact("correct"));
  request.counters = true;
  const Measurement m = measure(request);
  ASSERT_TRUE(is_correct(m.outcome)) << m.error;
  if (m.counters.empty())
    GTEST_SKIP() << "perf events are not available here";
  if (m.counters.contains("instructions")) {
    EXPECT_GT(m.counters.at("instructions"), 100);
  }
}

TEST_F(Candidates, OutputsThatAreReadStartFromTheirValues) {
  WorkloadSpec spec;
  spec.name = "accumulate";
  const auto signature = [](DataType type) {
    return std::vector<ArgumentSpec>{{"A", type, {1000}, true, false},
                                     {"factor", type, {}, false, false},
                                     {"C", type, {1000}, true, true}};
  };
  spec.signature = signature(DataType::float32());
  spec.input_sets = default_input_sets(3, {{"C", "uniform"}, {"factor", "constant(2.5)"}});
  spec.reference = artifact("accumulates_wide", signature(DataType::float64()));
  const Result<WorkloadId> workload = measurer_->add_workload(spec);
  ASSERT_TRUE(workload) << workload.error().message;
  MeasureRequest request = quick(*workload, artifact("accumulates", spec.signature));
  const Ticket ticket = measurer_->submit(request);
  const Measurement m = all(*measurer_).at(ticket);
  // Timed calls go on accumulating; what is checked after them is one more call from the start.
  EXPECT_TRUE(is_correct(m.outcome)) << m.error;
  EXPECT_FAILURE(measure(quick(*workload, artifact("accumulates_wrongly_later", spec.signature))),
                 Outcome::kWrongResult, "recheck", HasSubstr("after repeated calls"));
  measurer_->remove_workload(*workload);
}

TEST_F(Candidates, LargeArgumentsAreTimedInMemoryOfTheirOwn) {
  WorkloadSpec spec;
  spec.name = "double";
  spec.signature = {{"A", DataType::float32(), {1024, 1024}, true, false},
                    {"C", DataType::float32(), {1024, 1024}, true, true}};
  spec.input_sets = default_input_sets(3, {});
  spec.reference = artifact("large", spec.signature);
  const Result<WorkloadId> workload = measurer_->add_workload(spec);
  ASSERT_TRUE(workload) << workload.error().message;
  EXPECT_EQ(measure(quick(*workload, artifact("large", spec.signature))).outcome, Outcome::kOk);
  EXPECT_FAILURE(
      measure(quick(*workload, artifact("large_writes_input_when_timed", spec.signature))),
      Outcome::kCrashed, "time", HasSubstr("wrote to its input A (at element 3)"));
  measurer_->remove_workload(*workload);
}

TEST_F(Candidates, ManyAreMeasuredInTheOrderOfSubmission) {
  std::vector<Ticket> tickets;
  for (int i = 0; i < 12; ++i)
    tickets.push_back(
        measurer_->submit(quick(workload_, artifact(i % 3 == 0 ? "aborts" : "correct"))));
  EXPECT_EQ(measurer_->pending(), 12U);
  std::vector<Ticket> order;
  while (measurer_->pending() > 0)
    for (const FinishedMeasurement& done : measurer_->poll(-1)) {
      order.push_back(done.ticket);
      const bool bad = (order.size() - 1) % 3 == 0;
      EXPECT_EQ(is_correct(done.measurement.outcome), !bad) << done.measurement.error;
    }
  EXPECT_EQ(order, tickets);
}

TEST_F(Candidates, CancelledTrialsNeverComeBack) {
  const Ticket hang = measurer_->submit(quick(workload_, artifact("loops_for_ever")));
  const Ticket kept = measurer_->submit(quick(workload_, artifact("correct")));
  const Ticket queued = measurer_->submit(quick(workload_, artifact("correct")));
  EXPECT_TRUE(measurer_->poll(50).empty());
  measurer_->cancel(hang);
  measurer_->cancel(queued);
  const auto done = all(*measurer_);
  EXPECT_EQ(done.size(), 1U);
  EXPECT_TRUE(is_correct(done.at(kept).outcome));
}

TEST_F(Candidates, TheEventDescriptorTellsWhenToPoll) {
  measurer_->submit(quick(workload_, artifact("correct")));
  std::vector<FinishedMeasurement> done;
  while (done.empty()) {
    pollfd ready{measurer_->event_fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 30'000), 1);
    done = measurer_->poll(0);
  }
  EXPECT_TRUE(is_correct(done.front().measurement.outcome));
}

TEST_F(Candidates, AComparisonTakesTurnsAndTellsFastFromSlow) {
  CompareRequest request;
  request.workload = workload_;
  request.rounds = 6;
  request.contenders = {{"fast", artifact("fast"), {}, 0, true},
                        {"slow", artifact("slow"), {}, 0, true},
                        {"wrong", artifact("one_wrong_element"), {}, 0, true},
                        {"wrong later", artifact("right_the_first_time"), {}, 0, true},
                        {"fast again", artifact("fast"), {}, 0, true}};
  const Result<Comparison> comparison = measurer_->compare(request);
  ASSERT_TRUE(comparison) << comparison.error().message;
  ASSERT_EQ(comparison->contenders.size(), 5U);
  EXPECT_GE(comparison->rounds, 6);
  const ComparedContender& slow = comparison->contenders[1];
  EXPECT_TRUE(is_correct(slow.measurement.outcome)) << slow.measurement.error;
  if (slow.measurement.outcome == Outcome::kOk) { // 20 ms against 2 ms, asleep
    EXPECT_GT(slow.ratio, 1.5);
  }
  EXPECT_EQ(slow.measurement.samples_ns.size(),
            comparison->contenders[0].measurement.samples_ns.size());
  EXPECT_EQ(comparison->contenders[2].measurement.outcome, Outcome::kWrongResult);
  EXPECT_EQ(comparison->contenders[3].measurement.outcome, Outcome::kWrongResult);
  EXPECT_EQ(comparison->contenders[3].measurement.stage, "recheck");
  EXPECT_TRUE(is_correct(comparison->contenders[4].measurement.outcome));
}

TEST_F(Candidates, InARaceWhoCannotWinLeavesAndKeepsItsSamples) {
  CompareRequest request;
  request.workload = workload_;
  request.rounds = 3;
  request.half_width = 1e-6; // never: until the time is up
  request.sittings = 3;
  request.race = true;
  request.max_seconds = 2;
  request.contenders = {{"fast", artifact("fast"), {}, 0, true},
                        {"slow", artifact("slow"), {}, 0, true}, // ten times as long, asleep
                        {"wrong", artifact("one_wrong_element"), {}, 0, true},
                        {"fast again", artifact("fast"), {}, 0, true}};
  const Result<Comparison> comparison = measurer_->compare(request);
  ASSERT_TRUE(comparison) << comparison.error().message;
  ASSERT_EQ(comparison->contenders.size(), 4U);
  const auto samples = [&](size_t i) {
    return comparison->contenders[i].measurement.samples_ns.size();
  };
  EXPECT_GE(samples(1), 3U);
  EXPECT_LT(samples(1), samples(0)) << "it stayed for every sitting";
  EXPECT_EQ(comparison->contenders[2].measurement.outcome, Outcome::kWrongResult);
  EXPECT_TRUE(is_correct(comparison->contenders[3].measurement.outcome));

  // The first is what the others are compared with: it stays, and the race is over when it lost.
  std::swap(request.contenders[0], request.contenders[1]);
  request.contenders.resize(2);
  const Result<Comparison> lost = measurer_->compare(request);
  ASSERT_TRUE(lost) << lost.error().message;
  EXPECT_LT(lost->contenders[1].ratio, 0.7);
  EXPECT_LE(lost->rounds, 3 * request.rounds) << "one sitting decides";
}

/// How often a kernel is called where one of its arguments has so many floats.
class CountedCalls {
public:
  CountedCalls(LocalMeasurer& measurer, int64_t floats) : measurer_(measurer) {
    spec_.name = "calls";
    spec_.signature = {{"A", DataType::float32(), {floats}, true, false},
                       {"C", DataType::float32(), {16}, true, true}};
    spec_.input_sets.resize(1);
    // An output that is read: what follows the timed calls is one more, not pairs of calls.
    spec_.input_sets[0].distributions["C"] = "normal";
    workload_ = *measurer.add_workload(spec_);
    kernel_ = artifact("notes_its_calls", spec_.signature);
    kernel_->environment["TEMPER_TEST_CALLS"] = file_;
    std::remove(file_.c_str());
  }
  ~CountedCalls() {
    std::remove(file_.c_str());
    measurer_.remove_workload(workload_);
  }

  /// Of a trial, without the checked one before and after: those that are no sample.
  int64_t before_samples(Regime regime) {
    MeasureRequest request = quick(workload_, kernel_);
    request.regime = regime;
    request.rule.sample_ns = 1;
    const Ticket ticket = measurer_.submit(std::move(request));
    const Measurement m = all(measurer_).at(ticket);
    EXPECT_TRUE(is_correct(m.outcome)) << m.error;
    EXPECT_EQ(m.calls_per_sample, 1);
    return calls() - 2 - static_cast<int64_t>(m.samples_ns.size()) - m.gaps_dropped;
  }
  /// Of a turn of one call, before it.
  int64_t before_turn(Regime regime) {
    const auto calls_of = [&](int rounds) {
      CompareRequest request;
      request.workload = workload_;
      request.regime = regime;
      request.rounds = rounds;
      request.sample_ns = 1;
      request.contenders = {{"a", kernel_, {}, 0, true}};
      const Result<Comparison> comparison = measurer_.compare(request);
      EXPECT_TRUE(comparison) << comparison.error().message;
      EXPECT_EQ(comparison->contenders[0].measurement.calls_per_sample, 1);
      return std::pair(calls(), comparison->rounds);
    };
    const auto [few, few_rounds] = calls_of(3);
    const auto [many, many_rounds] = calls_of(30); // with gaps, up to 9 are made of 3
    EXPECT_EQ((many - few) % (many_rounds - few_rounds), 0);
    return (many - few) / (many_rounds - few_rounds) - 1;
  }

private:
  /// Since the last time that somebody asked.
  int64_t calls() {
    const Result<std::string> noted = read_file(file_);
    EXPECT_TRUE(noted);
    std::remove(file_.c_str());
    return static_cast<int64_t>(noted->size());
  }

  LocalMeasurer& measurer_;
  WorkloadSpec spec_;
  WorkloadId workload_ = 0;
  std::shared_ptr<Artifact> kernel_;
  std::string file_ = ::testing::TempDir() + "/temper-calls-" + std::to_string(::getpid());
};

TEST_F(Candidates, ATurnFindsDataBeyondTheCachesWhereATrialDoes) {
  CountedCalls large(*measurer_, 1 << 22);
  EXPECT_EQ(large.before_turn(Regime::kHot), 5);
  EXPECT_EQ(large.before_samples(Regime::kHot), 5);
}

TEST_F(Candidates, OneCallWarmsUpWhatIsSmallOrCold) {
  CountedCalls large(*measurer_, 1 << 22);
  EXPECT_EQ(large.before_turn(Regime::kCold), 1);
  EXPECT_EQ(large.before_samples(Regime::kCold), 1);
  CountedCalls small(*measurer_, 16);
  EXPECT_EQ(small.before_turn(Regime::kHot), 1);
  EXPECT_EQ(small.before_samples(Regime::kHot), 1);
}

TEST_F(Candidates, AComparisonKeepsItsContendersOnOneProcessor) {
  CompareRequest request;
  request.workload = workload_;
  request.rounds = 4;
  request.contenders = {{"a", artifact("on_one_processor"), {}, 0, true},
                        {"b", artifact("on_one_processor"), {}, 0, true}};
  const Result<Comparison> comparison = measurer_->compare(request);
  ASSERT_TRUE(comparison) << comparison.error().message;
  for (const ComparedContender& contender : comparison->contenders)
    EXPECT_TRUE(is_correct(contender.measurement.outcome)) << contender.measurement.error;
}

TEST_F(Candidates, PeersGetTheirSizesAndTheirEnvironment) {
  auto peer = std::make_shared<Artifact>();
  peer->kind = codegen::ArtifactKind::kLibrary;
  peer->library_path = TEMPER_TEST_CANDIDATES;
  peer->entry = "peer";
  peer->environment["TEMPER_TEST_PEER"] = "best";
  peer->signature = vectors(DataType::float32());
  peer->signature.push_back({"n", DataType::int64(), {}, false, false});
  CompareRequest request;
  request.workload = workload_;
  request.rounds = 4;
  request.contenders = {{"own", artifact("correct"), {}, 0, true},
                        {"peer", peer, {1000}, 0, true},
                        {"peer with a wrong size", peer, {999}, 0, true}};
  const Result<Comparison> comparison = measurer_->compare(request);
  ASSERT_TRUE(comparison) << comparison.error().message;
  EXPECT_TRUE(is_correct(comparison->contenders[1].measurement.outcome))
      << comparison->contenders[1].measurement.error;
  EXPECT_THAT(comparison->contenders[2].measurement.error, HasSubstr("returned 3"));
}

TEST_F(Candidates, OpenMpGetsItsThreads) {
  auto parallel = artifact("parallel_add", vectors(DataType::float32()), TEMPER_TEST_PARALLEL);
  parallel->launch.threads = 2;
  const Measurement m = measure(quick(workload_, parallel));
  EXPECT_TRUE(is_correct(m.outcome)) << m.error;
  EXPECT_EQ(m.threads, 2);
  EXPECT_GT(m.side_by_side, 0);
  EXPECT_LE(m.side_by_side, 1);
}

TEST_F(Candidates, TheDevicesStateIsMeasured) {
  const Result<DeviceState> state = measurer_->device_state(2);
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_GT(state->anchor_compute_ns, 1000);
  EXPECT_GT(state->anchor_memory_ns, 1000);
  EXPECT_GT(state->side_by_side, 0);
  const Result<NoiseSample> noise = measurer_->noise(5);
  ASSERT_TRUE(noise);
  EXPECT_EQ(noise->a_ns.size(), 5U);
  EXPECT_EQ(noise->b_ns.size(), 5U);
}

TEST_F(Candidates, AReferenceThatFailsIsAnError) {
  WorkloadSpec spec = addition();
  spec.reference = artifact("divides_by_zero");
  const Result<WorkloadId> workload = measurer_->add_workload(spec);
  ASSERT_FALSE(workload);
  EXPECT_THAT(workload.error().message,
              AllOf(HasSubstr("reference of add"), HasSubstr("divided an integer by zero")));
}

TEST_F(Candidates, AReferenceWithoutNumbersIsAnError) {
  WorkloadSpec spec = addition();
  spec.reference = artifact("no_number", vectors(DataType::float64()));
  const Result<WorkloadId> workload = measurer_->add_workload(spec);
  ASSERT_FALSE(workload);
  EXPECT_THAT(workload.error().message, HasSubstr("every element of C is NaN or infinite"));
}

TEST_F(Candidates, AWrongDistributionIsAnError) {
  WorkloadSpec spec = addition();
  spec.input_sets[0].distributions["A"] = "gauss";
  EXPECT_THAT(measurer_->add_workload(spec).error().message, HasSubstr("gauss"));
  spec.input_sets[0].distributions = {{"Z", "normal"}};
  EXPECT_THAT(measurer_->add_workload(spec).error().message, HasSubstr("no argument Z"));
}

TEST_F(Candidates, MoreWorkloadsThanAreKeptAreMadeAgain) {
  std::vector<WorkloadId> workloads;
  for (uint64_t seed = 0; seed < 7; ++seed) {
    WorkloadSpec spec = addition();
    spec.input_sets = default_input_sets(seed, {});
    workloads.push_back(*measurer_->add_workload(spec));
  }
  for (WorkloadId workload : workloads)
    EXPECT_EQ(measure(quick(workload, artifact("correct"))).outcome, Outcome::kOk);
  for (WorkloadId workload : workloads)
    measurer_->remove_workload(workload);
  EXPECT_EQ(measure(quick(workloads[0], artifact("correct"))).outcome, Outcome::kRejected);
}

// ---- the runner itself

TEST(LocalMeasurer, SurvivesTheKillingOfItsRunner) {
  auto measurer = started();
  const WorkloadId workload = *measurer->add_workload(addition());
  MeasureRequest slow = quick(workload, artifact("slow"));
  slow.rule.max_seconds = 0.3;
  const Ticket first = measurer->submit(slow);
  const Ticket second = measurer->submit(quick(workload, artifact("correct")));
  measurer->poll(50);
  ::kill(measurer->runner_pid(), SIGKILL);
  auto done = all(*measurer);
  EXPECT_TRUE(is_correct(done[first].outcome)) << done[first].error << " (second chance)";
  EXPECT_TRUE(is_correct(done[second].outcome)) << done[second].error;
  EXPECT_EQ(measurer->restarts(), 1);
}

/// Kills, `times` times, a process that a file of the kernel's children names, as soon as there is
/// one.
std::thread killer_of_children(int parent, int times) {
  return std::thread([parent, times] {
    const std::string children =
        "/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children";
    for (int killed = 0, last = 0; killed < times;) {
      const int child = std::atoi(read_file(children).value_or("0").c_str());
      if (child > 0 && child != last && ::kill(child, SIGKILL) == 0) {
        last = child;
        ++killed;
      }
      ::poll(nullptr, 0, 1);
    }
  });
}

TEST(LocalMeasurer, AKernelThatSomebodyKillsIsTriedAgain) {
  auto measurer = started();
  const WorkloadId workload = *measurer->add_workload(addition());
  std::thread killer = killer_of_children(measurer->runner_pid(), 2);
  const Ticket ticket = measurer->submit(quick(workload, artifact("slow")));
  const Measurement m = all(*measurer).at(ticket);
  killer.join();
  EXPECT_TRUE(is_correct(m.outcome)) << m.error;
  EXPECT_EQ(measurer->restarts(), 0);
}

TEST(LocalMeasurer, AComparisonOfWhichSomebodyKillsAContenderIsTriedAgain) {
  auto measurer = started();
  CompareRequest request;
  request.workload = *measurer->add_workload(addition());
  request.max_seconds = 0.1;
  for (const char* name : {"slow", "correct"})
    request.contenders.push_back({name, artifact(name), {}, 1, true});
  std::thread killer = killer_of_children(measurer->runner_pid(), 2);
  const auto comparison = measurer->compare(request);
  killer.join();
  ASSERT_TRUE(comparison) << comparison.error().message;
  for (const ComparedContender& compared : comparison->contenders)
    EXPECT_TRUE(is_correct(compared.measurement.outcome)) << compared.measurement.error;
}

TEST(LocalMeasurer, AKernelThatIsKilledEachTimeIsACrash) {
  auto measurer = started();
  const WorkloadId workload = *measurer->add_workload(addition());
  std::thread killer = killer_of_children(measurer->runner_pid(), 3);
  const Ticket ticket = measurer->submit(quick(workload, artifact("slow")));
  const Measurement m = all(*measurer).at(ticket);
  killer.join();
  EXPECT_EQ(m.outcome, Outcome::kCrashed);
  EXPECT_THAT(m.error, HasSubstr("killed from outside"));
}

TEST(LocalMeasurer, AReferenceThatSomebodyKillsIsTriedAgain) {
  auto measurer = started();
  WorkloadSpec spec = addition();
  spec.reference = artifact("slow");
  std::thread killer = killer_of_children(measurer->runner_pid(), 2);
  const auto workload = measurer->add_workload(spec);
  killer.join();
  ASSERT_TRUE(workload) << workload.error().message;
  const Ticket ticket = measurer->submit(quick(*workload, artifact("correct")));
  EXPECT_TRUE(is_correct(all(*measurer).at(ticket).outcome));
}

TEST(LocalMeasurer, ARunnerKilledWhileItIsAskedIsAskedAgain) {
  auto measurer = started();
  WorkloadSpec spec = addition();
  spec.reference = artifact("slow");
  const int runner = measurer->runner_pid();
  std::thread killer([runner] {
    ::poll(nullptr, 0, 10);
    ::kill(runner, SIGKILL);
  });
  const auto workload = measurer->add_workload(spec);
  killer.join();
  ASSERT_TRUE(workload) << workload.error().message;
  // And where its end is seen first when the request is sent.
  ::kill(measurer->runner_pid(), SIGKILL);
  CompareRequest request;
  request.workload = *workload;
  request.max_seconds = 0.1;
  request.contenders.push_back({"one", artifact("correct"), {}, 1, true});
  const auto comparison = measurer->compare(request);
  ASSERT_TRUE(comparison) << comparison.error().message;
  EXPECT_TRUE(is_correct(comparison->contenders[0].measurement.outcome));
  ::kill(measurer->runner_pid(), SIGKILL);
  EXPECT_TRUE(measurer->device_state(1));
  EXPECT_LE(measurer->restarts(), 3);
}

TEST(LocalMeasurer, ARunnerKilledWhileIdleIsReplaced) {
  auto measurer = started();
  const WorkloadId workload = *measurer->add_workload(addition());
  ::kill(measurer->runner_pid(), SIGKILL);
  ::poll(nullptr, 0, 20);
  const Ticket ticket = measurer->submit(quick(workload, artifact("correct")));
  EXPECT_TRUE(is_correct(all(*measurer).at(ticket).outcome));
}

TEST(LocalMeasurer, AKernelThatKillsTheRunnerTwiceIsACrash) {
  LocalMeasurerOptions unfiltered = options();
  unfiltered.filter_system_calls = false;
  auto measurer = started(unfiltered);
  const WorkloadId workload = *measurer->add_workload(addition());
  const Ticket bad = measurer->submit(quick(workload, artifact("kills_its_parent")));
  const Ticket good = measurer->submit(quick(workload, artifact("correct")));
  auto done = all(*measurer);
  EXPECT_EQ(done[bad].outcome, Outcome::kCrashed);
  EXPECT_EQ(done[bad].stage, "runner");
  EXPECT_THAT(done[bad].error, AllOf(HasSubstr("SIGKILL"), HasSubstr("twice")));
  EXPECT_TRUE(is_correct(done[good].outcome)) << done[good].error;
  EXPECT_EQ(measurer->restarts(), 2);
}

/// State letter and parent of a process; 'X' when there is none.
std::pair<char, int> state_of(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string number;
  std::string command;
  char state = 'X';
  int parent = 0;
  if (!(file >> number >> command >> state >> parent))
    return {'X', 0};
  return {state, parent};
}

std::vector<int> children_of(int parent) {
  std::vector<int> children;
  if (DIR* directory = ::opendir("/proc")) {
    while (const dirent* entry = ::readdir(directory))
      if (const int pid = std::atoi(entry->d_name); pid > 0 && state_of(pid).second == parent)
        children.push_back(pid);
    ::closedir(directory);
  }
  return children;
}

TEST(LocalMeasurer, ProcessesThatAKernelLeavesBehindAreEnded) {
  LocalMeasurerOptions unfiltered = options();
  unfiltered.filter_system_calls = false;
  auto measurer = started(unfiltered);
  const WorkloadId workload = *measurer->add_workload(addition());
  const Ticket ticket = measurer->submit(quick(workload, artifact("leaves_a_child")));
  EXPECT_TRUE(is_correct(all(*measurer).at(ticket).outcome)) << "with its results it did no harm";
  // The next answer comes after the runner has swept.
  measurer->submit(quick(workload, artifact("returns_nonzero")));
  all(*measurer);
  EXPECT_THAT(children_of(measurer->runner_pid()), ::testing::IsEmpty());
}

TEST(LocalMeasurer, NothingSurvivesAKilledParent) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    auto measurer = started();
    const WorkloadId workload = *measurer->add_workload(addition());
    measurer->submit(quick(workload, artifact("loops_for_ever")));
    std::vector<int> trials;
    while (trials.empty()) {
      measurer->poll(20);
      trials = children_of(measurer->runner_pid());
    }
    const int pids[2] = {measurer->runner_pid(), trials.front()};
    (void)!::write(ends[1], pids, sizeof pids);
    ::raise(SIGKILL);
  }
  ::close(ends[1]);
  int pids[2] = {};
  ASSERT_EQ(::read(ends[0], pids, sizeof pids), ssize_t{sizeof pids});
  ::waitpid(parent, nullptr, 0);
  for (int pid : pids) {
    char state = '?';
    for (int i = 0; i < 500 && state != 'X' && state != 'Z'; ++i) {
      state = state_of(pid).first;
      ::poll(nullptr, 0, 10);
    }
    EXPECT_TRUE(state == 'X' || state == 'Z') << state;
  }
}

TEST(LocalMeasurer, AMissingRunnerIsNamed) {
  LocalMeasurerOptions wrong = options();
  wrong.runner_path = "/nonexistent/temper-runner";
  const auto measurer = LocalMeasurer::start(wrong);
  ASSERT_FALSE(measurer);
  EXPECT_THAT(measurer.error().message, HasSubstr("/nonexistent/temper-runner"));
}

} // namespace
} // namespace temper::engine
