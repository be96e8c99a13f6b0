#include "ir/s_tir/trace.h"

#include "ir/s_tir/trace_json.h"
#include "ir/support/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace temper::s_tir {
namespace {

using testing::HasSubstr;

std::vector<std::string> recorded(const std::string& name) {
  const char* folder = std::getenv("TEMPER_TEST_TRACES");
  const auto text =
      read_file(std::string(folder != nullptr ? folder : TEMPER_SOURCE_DIR "/tests/s_tir/data") +
                "/metaschedule_" + name + ".jsonl");
  EXPECT_TRUE(text) << text.error().to_string();
  std::vector<std::string> lines = split_text(*text, '\n');
  std::erase_if(lines, [](const std::string& line) { return line.empty(); });
  return lines;
}

Trace parsed(std::string_view text) {
  auto trace = trace_from_json_text(text);
  EXPECT_TRUE(trace) << trace.error().to_string();
  return *trace;
}

Error refused(std::string_view text) {
  auto trace = trace_from_json_text(text);
  EXPECT_FALSE(trace);
  return trace ? Error() : trace.error();
}

TEST(TraceJson, ReadsAndWritesMetaSchedulesRecordsByteForByte) {
  for (const char* name : {"gmm", "cbr"})
    for (const std::string& line : recorded(name))
      EXPECT_EQ(trace_to_json_text(parsed(line)), line);
}

TEST(TraceJson, StringsAndListsAmongInputs) {
  const char* text =
      R"([[["GetSBlock",[],["C","main"],["b0"]],["Annotate",["b0","\"SSRSRS\""],["key"],[]],)"
      R"(["Annotate",["b0",[1,"\"x\"",0.10000000000000000555]],["list"],[]]],[]])";
  EXPECT_EQ(trace_to_json_text(parsed(text)), text);
}

TEST(TraceJson, AnUnknownInstructionSuggestsTheNearestName) {
  const Error error = refused(R"([[["GetSBlocks",[],["C","main"],["b0"]]],[]])");
  EXPECT_THAT(error.message, HasSubstr("did you mean \"GetSBlock\"?"));
  EXPECT_THAT(error.to_string(), HasSubstr("instruction 0 of the trace"));
}

TEST(TraceJson, WrongArityIsNamed) {
  EXPECT_THAT(
      refused(R"([[["GetSBlock",[],["C","main"],["b0"]],["GetLoops",[],[],[]]],[]])").message,
      HasSubstr("get_loops: takes 1 inputs, not 0"));
  EXPECT_THAT(refused(R"([[["GetSBlock",[],["C","main"],[]]],[]])").message,
              HasSubstr("GetSBlock has 1 outputs, not 0"));
}

TEST(TraceJson, AnUnknownRandomVariableIsNamed) {
  EXPECT_THAT(refused(R"([[["GetLoops",["b7"],[],["l1"]]],[]])").message,
              HasSubstr("no earlier instruction makes b7"));
}

TEST(TraceJson, ADecisionThatNothingTakesIsRefused) {
  const char* start = R"([[["GetSBlock",[],["C","main"],["b0"]]],)";
  EXPECT_THAT(refused(std::string(start) + "[[0,1]]]").message, HasSubstr("which takes none"));
  EXPECT_THAT(refused(std::string(start) + "[[4,1]]]").message, HasSubstr("instruction 4, of 1"));
}

TEST(TraceJson, ADecisionOfAnotherShapeIsRefused) {
  const char* start = R"([[["GetSBlock",[],["C","main"],["b0"]],["GetLoops",["b0"],[],["l1"]],)"
                      R"(["SamplePerfectTile",["l1"],[2,16],["v2","v3"]]],)";
  EXPECT_THAT(refused(std::string(start) + "[[2,4]]]").message,
              HasSubstr("the decision must be a list of integers"));
  EXPECT_THAT(refused(std::string(start) + R"([[2,["4",4]]]])").message,
              HasSubstr("the decision must be a list of integers"));
}

TEST(TraceJson, BrokenTextIsAnErrorOrAnotherTraceButNeverACrash) {
  const std::vector<std::string> lines = recorded("gmm");
  Random random(11);
  int read = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text = lines[static_cast<size_t>(round) % lines.size()];
    const std::string pieces[] = {"[", "]", ",", "\"", "b0", "l1", "-1", "null", "1e9", "None", ""};
    for (int64_t edits = random.between(1, 3); edits > 0; --edits)
      text.replace(static_cast<size_t>(random.below(static_cast<int64_t>(text.size()))),
                   static_cast<size_t>(random.below(4)),
                   pieces[static_cast<size_t>(random.below(std::size(pieces)))]);
    const auto trace = trace_from_json_text(text);
    if (!trace)
      continue;
    ++read;
    decision_points(*trace);
    EXPECT_TRUE(parsed(trace_to_json_text(*trace)) == *trace);
  }
  EXPECT_GT(read, 100) << "the edits should not all break the text";
}

TEST(TraceJson, DeepListsAreRefused) {
  const std::string deep(100000, '[');
  EXPECT_FALSE(trace_from_json_text(R"([[["Annotate",["b0",)" + deep));
  EXPECT_FALSE(Trace::from_python("sch.annotate(block_or_loop=" + deep));
}

TEST(TraceJson, ForeignNumbersAreReadAndMadeConsecutive) {
  const Trace trace = parsed(R"([[["GetSBlock",[],["C","main"],["b5"]],)"
                             R"(["GetLoops",["b5"],[],["l9","l3"]],["Unroll",["l3"],[],[]]],[]])");
  EXPECT_EQ(trace[2].inputs[0].as_rv()->name(), "l2");
}

TEST(TraceJson, SkeletonAndDecisionsAreStoredApart) {
  const std::vector<std::string> lines = recorded("gmm");
  for (const std::string& line : lines) {
    const Trace trace = parsed(line);
    const Trace skeleton = parsed(skeleton_to_json(trace));
    EXPECT_EQ(skeleton.skeleton_hash(), trace.skeleton_hash());
    EXPECT_NE(skeleton.hash(), trace.hash());
    const auto again = with_decisions_text(skeleton, decisions_to_json(trace));
    ASSERT_TRUE(again);
    EXPECT_TRUE(*again == trace);
    EXPECT_EQ(again->hash(), trace.hash());
  }
}

TEST(TracePython, RoundTrips) {
  for (const char* name : {"gmm", "cbr"})
    for (const std::string& line : recorded(name)) {
      const Trace trace = parsed(line);
      const auto again = Trace::from_python(trace.to_python());
      ASSERT_TRUE(again) << again.error().to_string();
      EXPECT_TRUE(*again == trace) << trace.to_python() << "\n" << again->to_python();
    }
}

TEST(TracePython, IsWhatTvmPrints) {
  const char* text = R"(b0 = sch.get_sblock(name="C", func_name="main")
b1 = sch.get_sblock(name="root", func_name="main")
sch.annotate(block_or_loop=b0, ann_key="meta_schedule.tiling_structure", ann_val="SSRSRS")
l2, l3, l4 = sch.get_loops(block=b0)
v5, v6, v7, v8 = sch.sample_perfect_tile(loop=l2, n=4, max_innermost_factor=64, decision=[32, 1, 2, 2])
l9, l10, l11, l12 = sch.split(loop=l2, factors=[v5, v6, v7, v8], preserve_unit_iters=True, disable_predication=False)
sch.reorder(l9, l10, l3, l11, l12)
b13 = sch.cache_write(block=b0, write_buffer_index=0, storage_scope="global")
sch.reverse_compute_at(block=b13, loop=l9, preserve_unit_loops=True, index=-1)
sch.annotate(block_or_loop=b1, ann_key="meta_schedule.parallel", ann_val=256)
v14 = sch.sample_categorical(candidates=[0, 16, 64, 512], probs=[0.25, 0.25, 0.25, 0.25], decision=0)
sch.annotate(block_or_loop=b1, ann_key="meta_schedule.unroll_explicit", ann_val=v14)
sch.enter_postproc()
b15, b16 = sch.get_child_blocks(b1)
b17, = sch.get_consumers(block=b15)
l18 = sch.fuse(l9, l10, preserve_unit_iters=True)
l19, l20 = sch.split(loop=l18, factors=[None, 4], preserve_unit_iters=True, disable_predication=False)
)";
  const auto trace = Trace::from_python(text);
  ASSERT_TRUE(trace) << trace.error().to_string();
  EXPECT_EQ(trace->to_python(), text);
}

TEST(TracePython, ErrorsNameTheLine) {
  const auto trace =
      Trace::from_python("b0 = sch.get_sblock(name=\"C\")\nl1 = sch.splitt(loop=b0)\n");
  ASSERT_FALSE(trace);
  EXPECT_THAT(trace.error().to_string(), HasSubstr("did you mean \"split\"?"));
  EXPECT_THAT(trace.error().to_string(), HasSubstr("line 2"));
  EXPECT_THAT(Trace::from_python("b0 = sch.get_sblock(nam=\"C\")").error().message,
              HasSubstr("has no parameter \"nam\""));
  EXPECT_FALSE(Trace::from_python("b0 = sch.get_sblock(name=\"C"));
  EXPECT_FALSE(Trace::from_python("sch.reorder(l1, l2)"));
  EXPECT_FALSE(Trace::from_python("b0 ="));
}

TEST(TracePython, BrokenTextIsAnErrorOrAnotherTraceButNeverACrash) {
  std::string whole = parsed(recorded("cbr")[0]).to_python();
  Random random(12);
  for (int round = 0; round < 1000; ++round) {
    std::string text = whole;
    const std::string pieces[] = {"[",   "]",    ",", "\"", "=",  "b0",
                                  "sch", "None", "(", ")",  "\n", ""};
    text.replace(static_cast<size_t>(random.below(static_cast<int64_t>(text.size()))),
                 static_cast<size_t>(random.below(6)),
                 pieces[static_cast<size_t>(random.below(std::size(pieces)))]);
    if (const auto trace = Trace::from_python(text)) {
      const auto again = Trace::from_python(trace->to_python());
      ASSERT_TRUE(again) << again.error().to_string();
      EXPECT_TRUE(*again == *trace);
    }
  }
}

TEST(Trace, SimplifyRemovesWhatNobodyUses) {
  const Trace trace = *Trace::from_python(R"(b0 = sch.get_sblock(name="C", func_name="main")
b1 = sch.get_sblock(name="root", func_name="main")
l2, l3 = sch.get_loops(block=b0)
l4, l5 = sch.get_loops(block=b0)
sch.unroll(loop=l5)
)");
  EXPECT_EQ(trace.simplified().to_python(), R"(b0 = sch.get_sblock(name="C", func_name="main")
l1, l2 = sch.get_loops(block=b0)
sch.unroll(loop=l2)
)");
}

TEST(Trace, DecisionsAndTheirDomains) {
  const Trace trace = parsed(recorded("cbr")[0]).without_postproc();
  const auto points = decision_points(trace);
  ASSERT_GE(points.size(), 8U);
  EXPECT_EQ(points[1].extent, 56);
  EXPECT_EQ(points[1].parts, 4);
  EXPECT_EQ(points[1].max_innermost_factor, 64);
  EXPECT_EQ(decision_points(trace.without_decisions()).size(), 0U);
  EXPECT_EQ(trace.without_decisions().skeleton_hash(), trace.skeleton_hash());
}

} // namespace
} // namespace temper::s_tir
