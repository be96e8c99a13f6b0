// What each rule makes of the blocks it is for, and that it leaves others alone.
#include "ir/script/parser.h"
#include "tests/tuner/scene.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace temper::tuner {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using testing::must;
using ::testing::Not;
using testing::workload;

using MakeRule = std::unique_ptr<Rule> (*)(const MachineHints&);

/// The sketches that one rule alone makes.
std::vector<std::string> sketches(MakeRule make, const ir::IRModule& module,
                                  const MachineHints& machine = {}) {
  SketchOptions options;
  options.machine = machine;
  options.rules.push_back(make(machine));
  return must(make_sketch_space(module, std::move(options)))->sketch_texts();
}
std::unique_ptr<Rule> auto_inline(const MachineHints&) { return make_auto_inline_rule(); }
std::unique_ptr<Rule> random_compute_location(const MachineHints&) {
  return make_random_compute_location_rule();
}

ir::IRModule module_of(const std::string& name, const std::map<std::string, std::string>& shape) {
  return workload(name, shape).module;
}
ir::IRModule matmul() { return module_of("matmul", {{"M", "16"}, {"N", "16"}, {"K", "16"}}); }
ir::IRModule softmax() { return module_of("softmax", {{"M", "8"}, {"N", "64"}}); }

/// B[i] = `producer`; C[i] = B[i] * 2
ir::IRModule chain(const std::string& producer) {
  return must(script::parse_module(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((64,), "float32"), C: T.Buffer((64,), "float32")):
    B = T.sblock_alloc_buffer((64,), "float32")
    for i in range(64):
        with T.sblock("B"):
            vi = T.axis.remap("S", [i])
            B[vi] = )" + producer + R"(
    for i in range(64):
        with T.sblock("C"):
            vi = T.axis.remap("S", [i])
            C[vi] = B[vi] * T.float32(2)
)"));
}

int count_of(const std::string& text, const std::string& word) {
  int count = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
    ++count;
  return count;
}

TEST(AutoInline, InlinesWhatIsCheapToRepeat) {
  const auto texts = sketches(auto_inline, chain("A[vi] + T.float32(1)"));
  ASSERT_EQ(texts.size(), 1U);
  EXPECT_EQ(count_of(texts[0], "compute_inline"), 1);
}

TEST(AutoInline, LeavesMathFunctionsAndBranchesWhereTheyAre) {
  for (const char* producer : {"T.exp(A[vi])", "T.if_then_else(vi < 32, A[vi], T.float32(0))"})
    EXPECT_THAT(sketches(auto_inline, chain(producer)).at(0), Not(HasSubstr("compute_inline")))
        << producer;
}

TEST(AutoInline, InlinesAPermutationThatReadsRowsAsRows) {
  const auto texts =
      sketches(auto_inline, module_of("attention_scores",
                                      {{"B", "1"}, {"L", "16"}, {"HEADS", "2"}, {"D", "8"}}));
  ASSERT_EQ(texts.size(), 1U);
  // The queries' heads move outwards; the keys are transposed, and stay a block of their own.
  EXPECT_EQ(count_of(texts[0], "compute_inline"), 1);
  EXPECT_THAT(texts[0], HasSubstr("sch.compute_inline(block=b1)"));
  EXPECT_THAT(sketches(auto_inline, module_of("transpose", {{"M", "16"}, {"N", "16"}})).at(0),
              Not(HasSubstr("compute_inline")));
}

TEST(AutoInline, NeverInlinesAnOutputOrAReduction) {
  EXPECT_THAT(sketches(auto_inline, matmul()).at(0), Not(HasSubstr("compute_inline")));
}

TEST(MultiLevelTiling, TilesAProductWithAndWithoutACache) {
  const auto texts = sketches(make_multi_level_tiling_rule, matmul());
  ASSERT_EQ(texts.size(), 3U);
  std::vector<int> caches;
  for (const std::string& text : texts) {
    EXPECT_EQ(count_of(text, "sample_perfect_tile"), 3);
    EXPECT_EQ(count_of(text, "n=4"), 2) << "spatial axes in four";
    EXPECT_EQ(count_of(text, "n=2"), 1) << "the reduce axis in two";
    caches.push_back(count_of(text, "cache_write"));
  }
  std::sort(caches.begin(), caches.end());
  EXPECT_EQ(caches, (std::vector<int>{0, 1, 1}));
}

TEST(MultiLevelTiling, LeavesBlocksWithoutReuseAlone) {
  for (const ir::IRModule& module :
       {chain("A[vi]"), module_of("reduction:full_sum", {{"N", "256"}})}) {
    const auto texts = sketches(make_multi_level_tiling_rule, module);
    ASSERT_EQ(texts.size(), 1U);
    EXPECT_THAT(texts[0], Not(HasSubstr("sample_perfect_tile")));
  }
}

TEST(AddRFactor, SplitsALongReductionOfFewOutputs) {
  const auto texts =
      sketches(make_add_rfactor_rule, module_of("reduction:full_sum", {{"N", "4096"}}));
  ASSERT_EQ(texts.size(), 3U) << "as it was, and the factor outside or inside";
  int factored = 0;
  for (const std::string& text : texts)
    factored += count_of(text, "sch.rfactor(");
  EXPECT_EQ(factored, 2);
}

TEST(AddRFactor, KeepsTheOrderOfTheSumWhereOutputsAreWorkEnough) {
  EXPECT_EQ(
      sketches(make_add_rfactor_rule, module_of("reduction:row_sum", {{"M", "64"}, {"N", "4096"}}))
          .size(),
      1U);
  EXPECT_EQ(sketches(make_add_rfactor_rule,
                     module_of("reduction:row_sum", {{"M", "64"}, {"N", "4096"}}), {.threads = 8})
                .size(),
            3U)
      << "64 rows are too few for 8 threads";
}

TEST(VectorReduction, SumsVectorsOfSeveralRows) {
  const auto texts =
      sketches(make_vector_reduction_rule, module_of("gemv", {{"M", "32"}, {"N", "256"}}));
  ASSERT_EQ(texts.size(), 2U) << "and as it was";
  EXPECT_THAT(texts[0], HasSubstr("sch.rfactor("));
  EXPECT_THAT(texts[0], HasSubstr("sch.vectorize("));
  EXPECT_THAT(texts[0], HasSubstr("temper.reduce_lanes"));
  EXPECT_THAT(texts[1], Not(HasSubstr("sch.rfactor(")));
}

TEST(VectorReduction, TheLanesAreTheInnermostLoopAndAVector) {
  SketchOptions options;
  options.rules.push_back(make_vector_reduction_rule({}));
  const auto space =
      must(make_sketch_space(module_of("gemv", {{"M", "32"}, {"N", "256"}}), std::move(options)));
  const s_tir::Trace trace = must(s_tir::Trace::from_python(space->sketch_texts()[0]));
  const CandidateRef candidate = must(space->apply(trace, "test"));
  // Rows run inside the steps, so that a step's part of x is loaded once for all of them.
  EXPECT_THAT(script::to_text(candidate->module),
              ContainsRegex("for ax2, ax1 in T.grid\\(.*\n"
                            " *for ax0 in T.vectorized\\(.*\n"
                            " *with T.sblock\\(\"y_rf_update\"\\)"));
}

TEST(VectorReduction, LanesOfSeveralReducedAxesAreOfTheContiguousOne) {
  const auto texts = sketches(make_vector_reduction_rule,
                              module_of("frobenius_norm", {{"B", "2"}, {"M", "5"}, {"N", "64"}}),
                              {.vector_bits = 512});
  ASSERT_EQ(texts.size(), 2U);
  EXPECT_THAT(texts[0], Not(HasSubstr("sch.fuse("))) << "what is fused cannot be moved";
  EXPECT_THAT(texts[0], HasSubstr("candidates=[16, 32, 64]"));
  EXPECT_THAT(texts[0], HasSubstr("sch.compute_at("));
  EXPECT_THAT(texts[0], HasSubstr("sch.vectorize("));
}

TEST(VectorReduction, LeavesProductsAlone) {
  EXPECT_EQ(sketches(make_vector_reduction_rule, matmul()).size(), 1U);
}

TEST(VectorReduction, LanesAreWholeRegistersThatFit) {
  const std::string lanes256 =
      sketches(make_vector_reduction_rule, module_of("gemv", {{"M", "32"}, {"N", "256"}}),
               {.vector_bits = 256})[0];
  EXPECT_THAT(lanes256, HasSubstr("candidates=[8, 16, 32, 64]"));
  const auto lanes512 = [](const char* n) {
    return sketches(make_vector_reduction_rule, module_of("gemv", {{"M", "32"}, {"N", n}}),
                    {.vector_bits = 512})[0];
  };
  EXPECT_THAT(lanes512("64"), HasSubstr("candidates=[16, 32, 64]"));
  EXPECT_THAT(lanes512("48"), HasSubstr("candidates=[16]")) << "what divides the row";
  // Nothing does: the last vector is cut, and rows cannot go below the tile.
  EXPECT_THAT(lanes512("40"), HasSubstr("candidates=[16, 32]"));
  EXPECT_THAT(lanes512("40"), Not(HasSubstr("sch.compute_at(")));
  EXPECT_THAT(lanes512("40"), HasSubstr("sch.vectorize("));
}

TEST(RowStreaming, RowsRunThroughPastSumsThatStayInCache) {
  const auto texts =
      sketches(make_row_streaming_rule,
               module_of("matmul", {{"M", "1"}, {"N", "256"}, {"K", "64"}}), {.vector_bits = 512});
  ASSERT_EQ(texts.size(), 2U) << "and as it was";
  EXPECT_THAT(texts[0], HasSubstr("candidates=[16, 32, 64]")) << "vectors";
  EXPECT_THAT(texts[0], HasSubstr("candidates=[2, 4, 8, 1]")) << "rows at a time";
  EXPECT_THAT(texts[0], HasSubstr("ann_key=\"temper.prefetch\""));
  EXPECT_THAT(texts[0], HasSubstr("sch.decompose_reduction("));
  EXPECT_THAT(texts[1], Not(HasSubstr("sch.split(")));
}

TEST(RowStreaming, EachThreadHasItsOwnSums) {
  const std::string text = sketches(make_row_streaming_rule,
                                    module_of("matmul", {{"M", "1"}, {"N", "4096"}, {"K", "64"}}),
                                    {.threads = 4, .vector_bits = 512})[0];
  EXPECT_THAT(text, HasSubstr("candidates=[1024, 256]"));
}

TEST(RowStreaming, LeavesWhatIsUsedAgainOrLiesAcrossAlone) {
  EXPECT_EQ(sketches(make_row_streaming_rule, matmul()).size(), 1U);
  EXPECT_EQ(
      sketches(make_row_streaming_rule, module_of("gemv", {{"M", "32"}, {"N", "256"}})).size(), 1U);
}

TEST(RowFusion, ComputesAllBlocksInsideTheRowLoop) {
  const auto texts = sketches(make_row_fusion_rule, softmax());
  ASSERT_EQ(texts.size(), 2U) << "the unfused form stays";
  EXPECT_THAT(texts[0], Not(HasSubstr("compute_at")));
  EXPECT_EQ(count_of(texts[1], "sch.compute_at("), 3);
  EXPECT_EQ(count_of(texts[1], "sch.rfactor("), 2) << "largest and total";
}

TEST(RowFusion, LeavesProgramsWithoutCommonRowsAlone) {
  EXPECT_EQ(sketches(make_row_fusion_rule, matmul()).size(), 1U);
  EXPECT_EQ(sketches(make_row_fusion_rule, chain("T.exp(A[vi])")).size(), 1U)
      << "nothing is reduced";
}

TEST(SpatialTiling, CutsLanesOffAnElementwiseLoop) {
  const auto texts = sketches(make_spatial_tiling_rule, chain("A[vi]"));
  ASSERT_EQ(texts.size(), 1U);
  EXPECT_EQ(count_of(texts[0], "sch.vectorize("), 1) << "the last block; a consumer places B";
  EXPECT_THAT(texts[0], HasSubstr("temper.scheduled"));
}

TEST(SpatialTiling, TilesBothAxesOfATranspose) {
  const auto texts =
      sketches(make_spatial_tiling_rule, module_of("transpose", {{"M", "32"}, {"N", "32"}}));
  ASSERT_EQ(texts.size(), 1U);
  EXPECT_EQ(count_of(texts[0], "sample_perfect_tile"), 2);
  EXPECT_THAT(texts[0], HasSubstr("sch.reorder("));
}

TEST(RandomComputeLocation, LeavesThePlaceOfAProducerOpen) {
  const auto texts = sketches(random_compute_location, chain("T.exp(A[vi])"));
  ASSERT_EQ(texts.size(), 1U);
  EXPECT_EQ(count_of(texts[0], "sample_compute_location"), 1) << "of B; C is the output";
  EXPECT_THAT(sketches(random_compute_location, matmul()).at(0),
              Not(HasSubstr("sample_compute_location")));
}

TEST(SketchSpace, RefusesWhatItCannotSchedule) {
  const auto refusal = [](const std::string& text) {
    const auto space = make_sketch_space(must(script::parse_module(text)), {});
    return space ? "made" : space.error().message;
  };
  EXPECT_THAT(refusal(R"(
@T.prim_func
def main(A: T.Buffer((4,), "float32")):
    for i in range(4):
        A[i] = T.float32(0)
)"),
              HasSubstr("needs an s-tir function"));
  EXPECT_THAT(refusal(R"(
@T.prim_func(s_tir=True)
def main(a: T.handle):
    n = T.int32()
    A = T.match_buffer(a, (n,), "float32")
    for i in range(n):
        with T.sblock("A"):
            vi = T.axis.remap("S", [i])
            A[vi] = T.float32(0)
)"),
              HasSubstr("symbolic"));
}

TEST(SketchSpace, AProgramOfAnotherShapeIsAdapted) {
  const auto large = testing::space_of(matmul());
  const auto small = testing::space_of(module_of("matmul", {{"M", "12"}, {"N", "8"}, {"K", "10"}}));
  Random random(4);
  int adapted = 0;
  for (int i = 0; i < 20; ++i)
    adapted += small->apply(must(large->sample(random))->trace, "database").has_value() ? 1 : 0;
  EXPECT_GT(adapted, 10);
}

TEST(SketchSpace, ItsHashFollowsProgramAndRules) {
  const uint64_t hash = testing::space_of(matmul())->hash();
  EXPECT_EQ(hash, testing::space_of(matmul())->hash());
  EXPECT_NE(hash, testing::space_of(softmax())->hash());
  EXPECT_NE(hash, testing::space_of(matmul(), {.threads = 2})->hash());
}

// ---- Post-processing

struct Texts {
  std::vector<std::string> programs;
  std::vector<std::string> traces;
};
Texts candidates_of(const ir::IRModule& module, const MachineHints& machine, int count = 24) {
  const auto space = testing::space_of(module, machine);
  Random random(8);
  Texts texts;
  for (int i = 0; i < count; ++i) {
    const CandidateRef candidate = must(space->sample(random));
    texts.programs.push_back(script::to_text(candidate->module));
    texts.traces.push_back(candidate->trace.to_python());
  }
  return texts;
}

TEST(Postprocess, IsTheEndOfEveryTrace) {
  for (const std::string& trace : candidates_of(matmul(), {}).traces)
    EXPECT_EQ(count_of(trace, "sch.enter_postproc()"), 1);
}

TEST(Postprocess, LeavesNoInitAndNoRequestBehind) {
  for (const std::string& program : candidates_of(matmul(), {}).programs) {
    EXPECT_THAT(program, Not(HasSubstr("T.init()")));
    EXPECT_THAT(program, Not(HasSubstr("meta_schedule.parallel")));
    EXPECT_THAT(program, Not(HasSubstr("meta_schedule.vectorize")));
    EXPECT_THAT(program, Not(HasSubstr("meta_schedule.unroll")));
  }
}

TEST(Postprocess, RunsLoopsInParallelOnlyForKernelsWithThreads) {
  for (const std::string& program : candidates_of(matmul(), {.threads = 1}).programs)
    EXPECT_THAT(program, Not(HasSubstr("T.parallel(")));
  int parallel = 0;
  for (const std::string& program : candidates_of(matmul(), {.threads = 4}).programs)
    parallel += count_of(program, "T.parallel(") > 0 ? 1 : 0;
  EXPECT_GT(parallel, 12);
}

TEST(Postprocess, UnrollsWhatTheDecisionSays) {
  SketchOptions options;
  options.rules.push_back(make_multi_level_tiling_rule({}));
  options.unroll_steps = {64};
  const auto always = must(make_sketch_space(matmul(), std::move(options)));
  SketchOptions none;
  none.rules.push_back(make_multi_level_tiling_rule({}));
  none.unroll_steps = {0};
  const auto never = must(make_sketch_space(matmul(), std::move(none)));
  Random random(6);
  for (int i = 0; i < 8; ++i) {
    EXPECT_THAT(script::to_text(must(always->sample(random))->module),
                HasSubstr("\"pragma_auto_unroll_max_step\": 64"));
    EXPECT_THAT(script::to_text(must(never->sample(random))->module),
                Not(HasSubstr("pragma_auto_unroll")));
  }
}

TEST(Postprocess, VectorisesTheInnermostLoopOfAnElementwiseBlock) {
  SketchOptions options; // no rule touches the block: post-processing is alone with it
  options.rules.push_back(make_multi_level_tiling_rule({}));
  const auto space = must(make_sketch_space(chain("T.exp(A[vi])"), std::move(options)));
  Random random(2);
  EXPECT_EQ(count_of(script::to_text(must(space->sample(random))->module), "T.vectorized("), 2);
}

} // namespace
} // namespace temper::tuner
