// Hand-written spaces: def schedule(sch) of a workload file, as a trace with its decisions open.
#include "ir/script/schedule_language.h"

#include "ir/script/schedule_errors.h"
#include "ir/script/workload_file.h"
#include "tests/s_tir/programs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace temper::script {
namespace {

using s_tir::Trace;
using ::testing::HasSubstr;

const char* const kHead = "from tvm.script import tirx as T\n\n";

Result<std::vector<Trace>> templates(const std::string& text, int64_t extent = 32) {
  return schedule_templates(kHead + text, "mine.py", "matmul",
                            s_tir::programs::matmul(extent, extent, extent));
}

std::string error_of(const std::string& text) {
  const auto made = templates(text);
  return made ? "" : made.error().to_string();
}

TEST(HandWrittenSpace, IsATraceWithOpenDecisions) {
  const auto made = templates(R"(
def tile(sch, loop, most):
    return sch.split(loop, sch.sample_perfect_tile(loop, n=2, max_innermost_factor=most))

def schedule(sch):
    block = sch.get_sblock("C")
    i, j, k = sch.get_loops(block)
    i0, i1 = tile(sch, i, 8)
    j0, j1 = tile(sch, j, 16)
    sch.reorder(i0, j0, k, i1, j1)
    sch.vectorize(j1)
    steps = [0, 16, 64]
    step = sch.sample_categorical(candidates=steps, probs=[1.0 / len(steps)] * 3)
    sch.annotate(i0, "pragma_auto_unroll_max_step", step)
    sch.parallel(i0)
)");
  ASSERT_TRUE(made) << made.error().to_string();
  ASSERT_EQ(made->size(), 1U);
  EXPECT_EQ((*made)[0].without_decisions().to_python(),
            R"(b0 = sch.get_sblock(name="C", func_name="main")
l1, l2, l3 = sch.get_loops(block=b0)
v4, v5 = sch.sample_perfect_tile(loop=l1, n=2, max_innermost_factor=8)
l6, l7 = sch.split(loop=l1, factors=[v4, v5], preserve_unit_iters=True, disable_predication=False)
v8, v9 = sch.sample_perfect_tile(loop=l2, n=2, max_innermost_factor=16)
l10, l11 = sch.split(loop=l2, factors=[v8, v9], preserve_unit_iters=True, disable_predication=False)
sch.reorder(l6, l10, l3, l7, l11)
sch.vectorize(loop=l11)
v12 = sch.sample_categorical(candidates=[0, 16, 64], probs=[0.3333333333333333, 0.3333333333333333, 0.3333333333333333])
sch.annotate(block_or_loop=l6, ann_key="pragma_auto_unroll_max_step", ann_val=v12)
sch.parallel(loop=l6)
)");
}

TEST(HandWrittenSpace, ASoftwarePipelineThatCannotBeIsRefusedWhereItIsAskedFor) {
  const auto with = [](const std::string& stages) {
    return error_of(R"(
def schedule(sch):
    block = sch.get_sblock("C")
    i, j, k = sch.get_loops(block)
    k0, k1 = sch.split(k, [None, 8])
    sch.reorder(i, k0, j, k1)
    sch.compute_at(sch.cache_read(block, 0, "global"), k0)
    sch.decompose_reduction(block, k0)
    sch.annotate(k0, "software_pipeline_stage", )" +
                    stages + R"()
    sch.annotate(k0, "software_pipeline_order", [0, 1])
    sch.unroll(k1)
)");
  };
  EXPECT_EQ(with("[0, 1]"), "");
  const std::string count = with("[0, 1, 2]");
  EXPECT_THAT(count,
              HasSubstr("mine.py:12:5: loop k_0 has 2 statements, and its software pipeline 3 "
                        "stages and 2 places in the order"));
  EXPECT_THAT(count,
              HasSubstr("\n        sch.annotate(k0, \"software_pipeline_order\", [0, 1])\n"));
  EXPECT_THAT(with("[1, 0]"), HasSubstr("would run statement 1 before statement 0, which writes "
                                        "A_global first"));
}

TEST(HandWrittenSpace, MayLookAtTheProgramAndReturnSeveralSchedules) {
  const std::string text = R"(
def schedule(sch):
    block = sch.get_block("C", func_name=None)
    loops = sch.get_loops(block)
    if sch.get(loops[0]).extent < 32:
        backwards = [loops[2], loops[1], loops[0]]
        sch.reorder(*backwards)
    other = sch.copy()
    other.unroll(loops[2])
    assert sch.get(block).name_hint == "C"
    return [sch, other]
)";
  const auto large = templates(text);
  ASSERT_TRUE(large) << large.error().to_string();
  ASSERT_EQ(large->size(), 2U);
  EXPECT_THAT((*large)[0].to_python(), ::testing::Not(HasSubstr("reorder")));
  EXPECT_THAT((*large)[0].to_python(), ::testing::Not(HasSubstr("unroll")));
  EXPECT_THAT((*large)[1].to_python(), HasSubstr("sch.unroll(loop=l3)"));
  const auto small = templates(text, 16);
  ASSERT_TRUE(small) << small.error().to_string();
  EXPECT_THAT((*small)[0].to_python(), HasSubstr("sch.reorder(l3, l2, l1)"));
}

TEST(HandWrittenSpace, OfOneWorkloadGoesBeforeThatOfTheFile) {
  const auto made = templates(R"(
def schedule(sch):
    sch.get_sblock("no such")

def matmul_schedule(sch):
    sch.get_loops(sch.get_sblock("C"))
)");
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_EQ(made->size(), 1U);
  const auto none = templates("def other_schedule(sch):\n    pass\n");
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
}

TEST(HandWrittenSpace, TakesMapsAsLambdas) {
  const auto made = templates(R"(
def schedule(sch):
    block = sch.get_sblock("C")
    width = 4
    cache = sch.cache_write(block, 0, "global")
    sch.transform_layout(block, buffer=("write", 0), index_map=lambda i, j: (i, j // width, j % width))
    sch.annotate_buffer_access(block, 1, "read", lambda i, j, k: [(0, 32), (j, j + 1)])
)");
  ASSERT_TRUE(made) << made.error().to_string();
  EXPECT_THAT((*made)[0].to_python(), HasSubstr("lambda i, j: (i, j // 4, j % 4)"));
  EXPECT_THAT((*made)[0].to_python(), HasSubstr("lambda i, j, k: [(0, 32), (j, j + 1)]"));
}

TEST(HandWrittenSpace, TriesOtherSamplesWhereSomeAreRefused) {
  // Four times less than eight does not cover the loop, and split refuses.
  const auto made = templates(R"(
def schedule(sch):
    i, j, k = sch.get_loops(sch.get_sblock("C"))
    inner = sch.sample_categorical([1, 2, 4, 8], [0.25, 0.25, 0.25, 0.25])
    sch.split(i, factors=[4, inner])
)");
  ASSERT_TRUE(made) << made.error().to_string();
}

TEST(HandWrittenSpace, SaysWhereItIsRefused) {
  render_schedule_errors();
  const std::string refused = error_of(R"(
def schedule(sch):
    i, j, k = sch.get_loops(sch.get_sblock("C"))
    sch.parallel(k)
)");
  EXPECT_THAT(refused, HasSubstr("mine.py:6:5: parallel: "));
  EXPECT_THAT(refused, HasSubstr("with T.sblock(\"C\")"));
  EXPECT_THAT(error_of(R"(
def schedule(sch):
    i, j, k = sch.get_loops(sch.get_sblock("C"))
    v = sch.sample_perfect_tile(i, n=2)
    if sch.get(v[0]) > 4:
        sch.parallel(i)
)"),
              HasSubstr("what is sampled is decided anew for each candidate"));
  EXPECT_THAT(error_of("def schedule(sch):\n    sch.spit(1)\n"),
              HasSubstr("there is no primitive 'spit' (did you mean 'split'?)"));
  EXPECT_THAT(error_of("def schedule(sch):\n    sch.split(loop=1)\n"),
              HasSubstr("\"factors\" is missing"));
  EXPECT_THAT(error_of("def schedule(sch):\n    sch.vectorize(dict(a=1))\n"),
              HasSubstr("a primitive takes blocks, loops, sampled values, numbers, text"));
  EXPECT_THAT(error_of("def schedule(sch):\n    sch.enter_postproc()\n"),
              HasSubstr("leave enter_postproc() out"));
  EXPECT_THAT(error_of("def schedule(sch):\n    return 5\n"),
              HasSubstr("returns nothing, a schedule or a list of schedules"));
  EXPECT_THAT(error_of(R"(
def schedule(sch):
    i, j, k = sch.get_loops(sch.get_sblock("C"))
    sch.split(i, [None, 4])
    sch.get(i)
)"),
              HasSubstr("l1 is gone: split replaced or removed it"));
  EXPECT_THAT(error_of(R"(
def schedule(sch):
    i, j, k = sch.get_loops(sch.get_sblock("C"))
    i.extent
)"),
              HasSubstr("sch.get() gives a loop with its extent"));
  EXPECT_THAT(error_of("def again(sch):\n    again(sch)\n\ndef schedule(sch):\n    again(sch)\n"),
              HasSubstr("is a recursion endless?"));
}

} // namespace
} // namespace temper::script
