// Software pipelines and double buffers: text before and after, refusals, and random ones, run by
// the interpreter at every step of lowering.
#include "ir/pass/pipeline_loops.h"

#include "tests/pass/equivalence.h"
#include "tests/support/random_schedule.h"

#include <gmock/gmock.h>

namespace temper::ir::testing {
namespace {

using ::testing::HasSubstr;

PrimFunc pipelined(const PrimFunc& function) {
  const auto made = pipeline_loops(s_tir::lower_blocks(function));
  EXPECT_TRUE(made) << (made ? "" : made.error().message);
  if (!made)
    return function;
  EXPECT_TRUE(verify(*made)) << script::to_text(*made);
  const auto before = run(function);
  const auto after = run(*made);
  EXPECT_TRUE(before && after && same(*before, *after)) << script::to_text(*made);
  return *made;
}

std::string refusal(const std::string& text) {
  const auto made = pipeline_loops(s_tir::lower_blocks(parse(text)));
  return made ? "" : made.error().message;
}

/// Copy, scale, add: B and D belong to an iteration of k.
std::string three_stages(const std::string& annotations) {
  return R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 4), "float32"), C: T.Buffer((8, 4), "float32")):
    B = T.sblock_alloc_buffer((8, 4))
    D = T.sblock_alloc_buffer((8, 4))
    for k in T.serial(8, annotations={)" +
         annotations + R"(}):
        for j in range(4):
            with T.sblock("B"):
                vk, vj = T.axis.remap("SS", [k, j])
                B[vk, vj] = A[vk, vj]
        for j in range(4):
            with T.sblock("D"):
                vk, vj = T.axis.remap("SS", [k, j])
                D[vk, vj] = B[vk, vj] * T.float32(2)
        for j in range(4):
            with T.sblock("C"):
                vk, vj = T.axis.remap("SS", [k, j])
                C[vk, vj] = D[vk, vj] + B[vk, vj]
)";
}

TEST(PipelineLoops, TakesALoopApart) {
  expect_text(
      pipelined(parse(three_stages(
          R"("software_pipeline_stage": [0, 0, 1], "software_pipeline_order": [0, 1, 2])"))),
      R"(
@T.prim_func
def main(A: T.Buffer((8, 4), "float32"), C: T.Buffer((8, 4), "float32")):
    B = T.alloc_buffer((2, 8, 4))
    D = T.alloc_buffer((2, 8, 4))
    for j in range(4):
        B[0, 0, j] = A[0, j]
    for j in range(4):
        D[0, 0, j] = B[0, 0, j] * T.float32(2)
    for k in range(1, 8):
        for j in range(4):
            B[k % 2, k, j] = A[k, j]
        for j in range(4):
            D[k % 2, k, j] = B[k % 2, k, j] * T.float32(2)
        for j in range(4):
            C[k - 1, j] = D[(k - 1) % 2, k - 1, j] + B[(k - 1) % 2, k - 1, j]
    for j in range(4):
        C[7, j] = D[1, 7, j] + B[1, 7, j]
)");
}

TEST(PipelineLoops, NeedsOneVersionLessWhereUsesComeBeforeTheNextFilling) {
  const std::string text = script::to_text(pipelined(parse(three_stages(
      R"("software_pipeline_stage": [0, 1, 1], "software_pipeline_order": [2, 0, 1])"))));
  EXPECT_THAT(text, HasSubstr("B = T.alloc_buffer((8, 4))"));
  EXPECT_THAT(text, HasSubstr("D = T.alloc_buffer((8, 4))"));
  const std::string more = script::to_text(pipelined(parse(
      three_stages(R"("software_pipeline_stage": [0, 2, 3], "software_pipeline_order": [0, 1, 2], )"
                   R"("software_pipeline_async_stages": [0])"))));
  EXPECT_THAT(more, HasSubstr("B = T.alloc_buffer((4, 8, 4))"));
  EXPECT_THAT(more, HasSubstr("D = T.alloc_buffer((2, 8, 4))"));
  EXPECT_EQ(more.find("software_pipeline"), std::string::npos) << more;
}

TEST(PipelineLoops, MoreStagesThanIterationsAreOnlyPrologueAndEpilogue) {
  const std::string text = script::to_text(pipelined(parse(three_stages(
      R"("software_pipeline_stage": [0, 9, 12], "software_pipeline_order": [0, 1, 2])"))));
  EXPECT_EQ(text.find("for k"), std::string::npos) << text;
}

/// The sum's init becomes a statement of its own, and the block around it holds the sequence.
TEST(PipelineLoops, TheListsFollowWhatBlocksBecome) {
  const PrimFunc function = parse(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((6, 4, 5), "float32"), C: T.Buffer((6, 4), "float32")):
    for k in T.serial(6, annotations={"software_pipeline_stage": [0, 1, 2], "software_pipeline_order": [2, 0, 1]}):
        with T.sblock("outer"):
            vo = T.axis.spatial(6, k)
            B = T.sblock_alloc_buffer((4, 5))
            S = T.sblock_alloc_buffer((4,))
            for i, j in T.grid(4, 5):
                with T.sblock("B"):
                    vi, vj = T.axis.remap("SS", [i, j])
                    B[vi, vj] = A[vo, vi, vj]
            for i, j in T.grid(4, 5):
                with T.sblock("S"):
                    vi, vj = T.axis.remap("SR", [i, j])
                    with T.init():
                        S[vi] = T.float32(0)
                    S[vi] = S[vi] + B[vi, vj]
            for i in range(4):
                with T.sblock("C"):
                    vi = T.axis.spatial(4, i)
                    C[vo, vi] = S[vi]
)");
  const std::string text = script::to_text(pipelined(function));
  EXPECT_THAT(text, HasSubstr("for k in range(2, 6)"));
  EXPECT_THAT(text, HasSubstr("B = T.alloc_buffer((4, 5))"));
  EXPECT_THAT(text, HasSubstr("S = T.alloc_buffer((2, 4))"));
}

/// Of m iterations, as few as may come.
TEST(PipelineLoops, SymbolicExtentsAreAskedForAtRunTime) {
  const PrimFunc function = parse(R"(
@T.prim_func
def main(A: T.Buffer((6, 4), "float32"), C: T.Buffer((6, 4), "float32"), n: T.Buffer((1,), "int32")):
    for m in range(7):
        for k in T.serial(m, annotations={"software_pipeline_stage": [0, 2], "software_pipeline_order": [0, 1]}):
            B = T.alloc_buffer((4,))
            for j in range(4):
                B[j] = A[k, j]
            for j in range(4):
                C[k, j] = B[j] + T.float32(1)
        n[0] = m
)");
  const std::string text = script::to_text(pipelined(function));
  EXPECT_THAT(text, HasSubstr("B = T.alloc_buffer((3, 4))"));
  EXPECT_THAT(text, HasSubstr("if 1 < m:"));
}

TEST(PipelineLoops, ADoubleBufferIsFilledAStageAhead) {
  const PrimFunc function = parse(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 4), "float32"), C: T.Buffer((8, 4), "float32")):
    B = T.sblock_alloc_buffer((8, 4))
    for k in range(8):
        for j in range(4):
            with T.sblock("B"):
                vk, vj = T.axis.remap("SS", [k, j])
                T.sblock_attr({"double_buffer_scope": 0})
                B[vk, vj] = A[vk, vj]
        for j in range(4):
            with T.sblock("C"):
                vk, vj = T.axis.remap("SS", [k, j])
                C[vk, vj] = B[vk, vj] + T.float32(1)
)");
  const std::string text = script::to_text(pipelined(function));
  EXPECT_THAT(text, HasSubstr("B = T.alloc_buffer((2, 8, 4)"));
  EXPECT_THAT(text, HasSubstr("for k in range(1, 8)"));
}

TEST(PipelineLoops, ADoubleBufferThatCannotRunAheadStaysAsItIs) {
  // What fills B reads what the iteration before has written.
  const PrimFunc function = parse(R"(
@T.prim_func(s_tir=True)
def main(C: T.Buffer((9, 4), "float32")):
    A = T.sblock_alloc_buffer((9, 4))
    B = T.sblock_alloc_buffer((8, 4))
    for k, j in T.grid(9, 4):
        with T.sblock("A"):
            vk, vj = T.axis.remap("SS", [k, j])
            A[vk, vj] = T.float32(3)
    for k in range(8):
        for j in range(4):
            with T.sblock("B"):
                vk, vj = T.axis.remap("SS", [k, j])
                T.sblock_attr({"double_buffer_scope": 0})
                B[vk, vj] = A[vk, vj]
        for j in range(4):
            with T.sblock("C"):
                vk, vj = T.axis.remap("SS", [k, j])
                A[vk + 1, vj] = B[vk, vj] + T.float32(1)
    for k, j in T.grid(9, 4):
        with T.sblock("D"):
            vk, vj = T.axis.remap("SS", [k, j])
            C[vk, vj] = A[vk, vj]
)");
  EXPECT_THAT(script::to_text(pipelined(function)), HasSubstr("for k in range(8)"));
}

TEST(PipelineLoops, SaysWhatIsWrong) {
  EXPECT_THAT(refusal(three_stages(
                  R"("software_pipeline_stage": [0, 1], "software_pipeline_order": [0, 1])")),
              HasSubstr("loop k has 3 statements, and its software pipeline 2 stages"));
  EXPECT_THAT(refusal(three_stages(R"("software_pipeline_stage": [0, 1, 1])")),
              HasSubstr("takes two lists of numbers"));
  EXPECT_THAT(refusal(three_stages(
                  R"("software_pipeline_stage": [0, 1, 1], "software_pipeline_order": [0, 1, 1])")),
              HasSubstr("the same place in the order"));
  EXPECT_THAT(
      refusal(three_stages(
          R"("software_pipeline_stage": [0, -1, 1], "software_pipeline_order": [0, 1, 2])")),
      HasSubstr("not between 0 and 64"));
  EXPECT_THAT(refusal(three_stages(
                  R"("software_pipeline_stage": [1, 0, 1], "software_pipeline_order": [0, 1, 2])")),
              HasSubstr("would run statement 1 before statement 0, which writes B first"));
  EXPECT_THAT(refusal(three_stages(
                  R"("software_pipeline_stage": [0, 0, 0], "software_pipeline_order": [1, 0, 2])")),
              HasSubstr("would run statement 1 before statement 0"));
  EXPECT_THAT(
      refusal(R"(
@T.prim_func
def main(A: T.Buffer((9,), "float32"), C: T.Buffer((9,), "float32")):
    for k in T.serial(8, annotations={"software_pipeline_stage": [0, 1], "software_pipeline_order": [0, 1]}):
        C[k] = A[k]
        A[k + 1] = C[k] * T.float32(2)
)"),
      HasSubstr("would let statement 0, 1 iterations ahead, meet what statement 1 does with "
                "A, which is not allocated in the loop"));
  EXPECT_THAT(refusal(R"(
@T.prim_func
def main(A: T.Buffer((8,), "float32"), C: T.Buffer((8,), "float32")):
    for k in T.parallel(8, annotations={"software_pipeline_stage": [0, 0], "software_pipeline_order": [0, 1]}):
        A[k] = T.float32(1)
        C[k] = T.float32(2)
)"),
              HasSubstr("is not serial"));
}

/// Parameters that move with the loop may be a stage apart.
TEST(PipelineLoops, ParametersMayBeStagesApart) {
  expect_text(pipelined(parse(R"(
@T.prim_func
def main(A: T.Buffer((16,), "float32"), C: T.Buffer((16,), "float32"), D: T.Buffer((16,), "float32")):
    for k in T.serial(4, annotations={"software_pipeline_stage": [0, 1], "software_pipeline_order": [1, 0]}):
        for i in range(4):
            C[k * 4 + i] = A[k * 4 + i]
        for i in range(4):
            D[k * 4 + i] = C[k * 4 + i] * T.float32(2)
)")),
              R"(
@T.prim_func
def main(A: T.Buffer((16,), "float32"), C: T.Buffer((16,), "float32"), D: T.Buffer((16,), "float32")):
    for i in range(4):
        C[T.Mul(0, 4) + i] = A[T.Mul(0, 4) + i]
    for k in range(1, 4):
        for i in range(4):
            D[(k - 1) * 4 + i] = C[(k - 1) * 4 + i] * T.float32(2)
        for i in range(4):
            C[k * 4 + i] = A[k * 4 + i]
    for i in range(4):
        D[T.Mul(3, 4) + i] = C[T.Mul(3, 4) + i] * T.float32(2)
)");
}

/// Loops with several statements get stages and orders by chance, some of which cannot be.
Stmt with_random_pipelines(const Stmt& stmt, Random& random, int& made) {
  return cast_ref<StmtNode>(rewrite_post(stmt, [&](const NodeRef& node) -> NodeRef {
    const auto* loop = node.as<tir::For>();
    const auto* seq = loop != nullptr ? loop->body.as<tir::SeqStmt>() : nullptr;
    if (seq == nullptr || loop->kind != tir::ForKind::kSerial || random.below(3) == 0)
      return node;
    const auto count = static_cast<int64_t>(
        std::count_if(seq->statements.begin(), seq->statements.end(),
                      [](const Stmt& child) { return !child.is<tir::AllocBuffer>(); }));
    if (count < 2)
      return node;
    std::vector<Expr> stages;
    std::vector<Expr> order;
    int64_t stage = 0;
    for (int64_t i = 0; i < count; ++i) {
      stage += random.below(2);
      stages.push_back(make_int(DataType::int32(), random.below(8) == 0 ? 0 : stage));
      order.push_back(make_int(DataType::int32(), i));
    }
    for (int64_t i = count - 1; i > 0; --i) // sometimes in another order
      if (random.below(3) == 0)
        std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(random.below(i + 1))]);
    ++made;
    return copy_node(*loop, [&](tir::For& copy) {
      copy.annotations = copy.annotations.with(kPipelineStage, make_list(stages))
                             .with(kPipelineOrder, make_list(order));
    });
  }));
}

TEST(PipelineLoops, RandomPipelinesOfRandomSchedulesComputeTheSame) {
  const PrimFunc programs[] = {parse(three_stages("")), parse(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((9, 8), "float32"), B: T.Buffer((8, 12), "float32"), D: T.Buffer((9, 12), "float32")):
    C = T.sblock_alloc_buffer((9, 12))
    for i, j, k in T.grid(9, 12, 8):
        with T.sblock("C"):
            vi, vj, vk = T.axis.remap("SSR", [i, j, k])
            with T.init():
                C[vi, vj] = T.float32(0)
            C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
    for i, j in T.grid(9, 12):
        with T.sblock("D"):
            vi, vj = T.axis.remap("SS", [i, j])
            D[vi, vj] = T.max(C[vi, vj], T.float32(0))
)")};
  int asked = 0;
  int legal = 0;
  for (const PrimFunc& program : programs)
    for (uint64_t seed = 1; seed <= 60; ++seed) {
      const auto expected = run(program);
      ASSERT_TRUE(expected);
      Random random(seed);
      s_tir::Schedule schedule(make_module(program), seed);
      for (int step = 0; step < 10; ++step)
        ASSERT_TRUE(s_tir::testing::random_step(schedule, random, s_tir::testing::mostly_moves));
      const PrimFunc lowered = s_tir::lower_blocks(schedule.module()->find_prim_func("main"));
      int here = 0;
      const PrimFunc annotated = copy_node(*lowered, [&](PrimFuncNode& node) {
        node.body = with_random_pipelines(lowered->body, random, here);
      });
      if (here == 0)
        continue;
      ++asked;
      const auto made = pipeline_loops(annotated);
      if (!made) {
        EXPECT_EQ(made.error().code, ErrorCode::kIllegal);
        continue;
      }
      ++legal;
      const auto good = verify(*made);
      ASSERT_TRUE(good) << good.error().to_string();
      const auto result = run(*made, 1, ParallelOrder::kReverse);
      ASSERT_TRUE(result && same(*expected, *result))
          << "seed " << seed << "\n"
          << script::to_text(annotated) << script::to_text(*made);
      if (legal % 4 == 0)
        lower_step_by_step(*made);
    }
  EXPECT_GT(legal, 15);
  EXPECT_GT(asked, legal);
}

} // namespace
} // namespace temper::ir::testing
