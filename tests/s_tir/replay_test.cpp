#include "ir/s_tir/schedule.h"

#include "ir/s_tir/trace_json.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/support/text.h"
#include "tests/s_tir/build_program.h"
#include "tests/support/run_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace temper::s_tir {
namespace {

using ::testing::HasSubstr;

std::vector<Trace> recorded(const std::string& name) {
  const char* folder = std::getenv("TEMPER_TEST_TRACES");
  const auto text =
      read_file(std::string(folder != nullptr ? folder : TEMPER_SOURCE_DIR "/tests/s_tir/data") +
                "/metaschedule_" + name + ".jsonl");
  EXPECT_TRUE(text) << text.error().to_string();
  std::vector<Trace> traces;
  for (const std::string& line : split_text(*text, '\n')) {
    if (line.empty())
      continue;
    auto trace = trace_from_json_text(line);
    EXPECT_TRUE(trace) << trace.error().to_string();
    if (trace)
      traces.push_back(*std::move(trace));
  }
  return traces;
}

TEST(Replay, MetaSchedulesMatmulTraces) {
  const IRModule module = testing::matmul(1024, 1024, 1024);
  for (const Trace& trace : recorded("gmm")) {
    const auto schedule = replay(trace, module);
    ASSERT_TRUE(schedule) << schedule.error().to_string() << "\n" << trace.to_python();
    EXPECT_TRUE(schedule->trace() == trace);
  }
}

TEST(Replay, MetaSchedulesConvolutionTraces) {
  const IRModule module = testing::conv_bias_relu(56, 64);
  for (const Trace& trace : recorded("cbr")) {
    const auto schedule = replay(trace, module);
    ASSERT_TRUE(schedule) << schedule.error().to_string() << "\n" << trace.to_python();
    EXPECT_TRUE(schedule->trace() == trace);
  }
}

/// The trace's decisions fitted to `module`, and the program's values before and after.
void expect_same_values(const Trace& trace, const IRModule& module) {
  const auto schedule = replay(trace, module, 1, {.sample_missing = false, .adapt = true});
  ASSERT_TRUE(schedule) << schedule.error().to_string() << "\n" << trace.to_python();
  const size_t outputs = first_output(module);
  const RunResult wanted = run_on_integers(module, outputs, 1);
  ASSERT_EQ(wanted.error, "");
  ASSERT_EQ(difference(wanted, run_on_integers(schedule->module(), outputs, 1), 1e-4), "")
      << schedule->trace().to_python() << script::to_text(schedule->module());
  // What was adapted is now the program's own trace.
  const auto again = replay(schedule->trace(), module);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(structural_equal(again->module(), schedule->module()));
}

TEST(Replay, AdaptedMatmulTracesComputeTheSame) {
  for (const Trace& trace : recorded("gmm")) {
    expect_same_values(trace, testing::matmul(12, 10, 6));
    expect_same_values(trace, testing::matmul(16, 16, 16));
    expect_same_values(trace.without_postproc(), testing::matmul(7, 9, 5));
  }
}

TEST(Replay, AdaptedConvolutionTracesComputeTheSame) {
  for (const Trace& trace : recorded("cbr"))
    expect_same_values(trace.without_postproc(), testing::conv_bias_relu(6, 4));
}

TEST(Replay, DroppedDecisionsAreSampledAnewFromTheSeed) {
  const IRModule module = testing::matmul(64, 64, 64);
  const Trace design = recorded("gmm")[0].without_postproc().without_decisions();
  const auto first = replay(design, module, 5);
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_TRUE(replay(design, module, 5)->trace() == first->trace());
  EXPECT_FALSE(replay(design, module, 6)->trace() == first->trace());
  const auto refused = replay(design, module, 5, {.sample_missing = false});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("the decision is missing"));
}

TEST(Replay, AnotherShapeNeedsAdapting) {
  const Trace trace = recorded("gmm")[0];
  const IRModule module = testing::matmul(1000, 1000, 1000);
  const auto refused = replay(trace, module);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("must be the loop's extent, 1000, and is 1024"));
  EXPECT_THAT(refused.error().to_string(), HasSubstr("of the trace"));
  const auto adapted = replay(trace, module, 1, {.adapt = true});
  ASSERT_TRUE(adapted) << adapted.error().to_string();
  EXPECT_EQ(adapted->trace().skeleton_hash(), trace.skeleton_hash());
}

TEST(Replay, OnTopOfAScheduleNumbersOn) {
  const IRModule module = testing::matmul(16, 16, 16);
  Schedule schedule(module);
  ASSERT_TRUE(schedule.get_sblock("root"));
  const Trace trace = *Trace::from_python(
      "b0 = sch.get_sblock(name=\"C\")\nl1, l2, l3 = sch.get_loops(block=b0)\nsch.parallel(l1)\n");
  ASSERT_TRUE(schedule.apply(trace));
  EXPECT_EQ(schedule.trace()[3].inputs[0].as_rv()->name(), "l2");
}

TEST(Replay, AScheduleCanReplayItsOwnTrace) {
  Schedule schedule(testing::row_sum(4, 8));
  ASSERT_TRUE(schedule.get_loops(*schedule.get_sblock("B")));
  ASSERT_TRUE(schedule.apply(schedule.trace()));
  EXPECT_EQ(schedule.trace().size(), 4U);
}

/// What a schedule is, to be compared before and after a call that fails.
struct State {
  IRModule module;
  std::string trace;
  uint64_t random;
  std::vector<Value> handles;

  explicit State(Schedule& schedule)
      : module(schedule.module()), trace(schedule.trace().to_python()),
        random(schedule.random().state()) {
    for (uint32_t i = 0;; ++i) {
      const auto value = schedule.get({RvKind::kLoop, i});
      if (!value && value.error().code == ErrorCode::kInvalidArgument)
        break; // there is no such random variable
      handles.push_back(value ? *value : Value());
    }
  }
  bool operator==(const State&) const = default;
};

TEST(Replay, ATraceThatFailsMidwayLeavesTheScheduleAsItWas) {
  Schedule schedule(testing::matmul(16, 16, 16), /*seed=*/3);
  const auto c = schedule.get_sblock("C");
  const auto loops = schedule.get_loops(*c);
  ASSERT_TRUE(schedule.split((*loops)[0], {4, 4}));
  const State before(schedule);
  ASSERT_EQ(before.handles.size(), 6U);
  // Samples, splits and annotates before a reduction loop is to run in parallel.
  const Trace trace = *Trace::from_python(R"(b0 = sch.get_sblock(name="C")
l1, l2, l3, l4 = sch.get_loops(block=b0)
v5, v6 = sch.sample_perfect_tile(loop=l3, n=2, max_innermost_factor=8)
l7, l8 = sch.split(loop=l3, factors=[v5, v6])
l9 = sch.fuse(l1, l2)
sch.parallel(loop=l9)
sch.parallel(loop=l4)
)");
  const auto refused = schedule.apply(trace);
  ASSERT_FALSE(refused);
  EXPECT_THAT(Result<void>(refused).error().to_string(), HasSubstr("instruction 6 of the trace"));
  EXPECT_TRUE(State(schedule) == before) << schedule.trace().to_python();
  // It goes on as if nothing had been tried.
  ASSERT_TRUE(schedule.apply(trace.prefix(6)));
  EXPECT_EQ(schedule.trace().size(), 9U);
}

TEST(Replay, ATraceOfAnotherProgramLeavesAFreshScheduleFresh) {
  Schedule schedule(testing::row_sum(4, 8));
  const State before(schedule);
  const Trace trace = *Trace::from_python("b0 = sch.get_sblock(name=\"B\")\n"
                                          "l1, l2, l3 = sch.get_loops(block=b0)\n");
  const auto refused = schedule.apply(trace);
  ASSERT_FALSE(refused);
  EXPECT_THAT(Result<void>(refused).error().message,
              HasSubstr("it gives 2 results here, the trace has 3"));
  EXPECT_TRUE(State(schedule) == before) << schedule.trace().to_python();
}

TEST(Schedule, ACallByHandlesThatFailsLeavesNoGettersBehind) {
  Schedule schedule(testing::matmul(16, 16, 16));
  Schedule other = schedule;
  const auto loops = other.get_loops(*other.get_sblock("C"));
  const Value k = *other.get((*loops)[2]);
  const State before(schedule);
  ASSERT_FALSE(schedule.call(*find_primitive("Parallel"), Arguments{.inputs = {k}}));
  EXPECT_TRUE(State(schedule) == before) << schedule.trace().to_python();
}

} // namespace
} // namespace temper::s_tir
