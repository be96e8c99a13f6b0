// Before -> after of each primitive that this folder's loops and getters are made of, and each of
// its refusals. Programs are text; names do not matter in comparisons.
#include "ir/s_tir/schedule.h"
#include "ir/s_tir/tiling.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/script/schedule_errors.h"
#include "ir/structural.h"
#include "ir/support/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>

namespace temper::s_tir {
namespace {

using ::testing::HasSubstr;

IRModule parse(const std::string& text) {
  auto module = script::parse_module(text);
  EXPECT_TRUE(module) << module.error().to_string();
  return *module;
}

void expect_program(const Schedule& schedule, const std::string& text) {
  std::string where;
  EXPECT_TRUE(structural_equal(schedule.module(), parse(text), &where))
      << where << "\n"
      << script::to_text(schedule.module());
}

/// One axis of 128 elements; `extent` of the loop and the axis may be changed.
std::string copy_1d(int extent = 128) {
  const std::string n = std::to_string(extent);
  return "@T.prim_func(s_tir=True)\n"
         "def main(A: T.Buffer((" +
         n + ",), \"float32\"), B: T.Buffer((" + n +
         ",), \"float32\")):\n"
         "    for i in range(" +
         n +
         "):\n"
         "        with T.sblock(\"B\"):\n"
         "            vi = T.axis.spatial(" +
         n +
         ", i)\n"
         "            B[vi] = A[vi] + T.float32(1)\n";
}

constexpr const char* kMatmul = R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 8), "float32"), B: T.Buffer((8, 32), "float32"), C: T.Buffer((16, 32), "float32")):
    for i, j, k in T.grid(16, 32, 8):
        with T.sblock("C"):
            vi, vj, vk = T.axis.remap("SSR", [i, j, k])
            with T.init():
                C[vi, vj] = T.float32(0)
            C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
)";

/// B and C in one nest; C reads B at `offset` beside its own place.
std::string pair_of_blocks(const std::string& offset) {
  return R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 16), "float32"), C: T.Buffer((16, 16), "float32")):
    B = T.sblock_alloc_buffer((16, 16))
    for i, j in T.grid(16, 16):
        with T.sblock("B"):
            vi, vj = T.axis.remap("SS", [i, j])
            B[vi, vj] = A[vi, vj] * T.float32(2)
        with T.sblock("C"):
            vi, vj = T.axis.remap("SS", [i, j])
            C[vi, vj] = B[vi, )" +
         offset + R"(] + T.float32(1)
)";
}

struct Scheduled {
  Schedule sch;
  BlockRv block;
  std::vector<LoopRv> loops;
};
Scheduled schedule(const std::string& text, const std::string& block) {
  Schedule sch(parse(text), 1);
  const auto found = sch.get_sblock(block);
  EXPECT_TRUE(found) << found.error().to_string();
  auto loops = *sch.get_loops(*found);
  return {std::move(sch), *found, std::move(loops)};
}

template <typename T> std::string refusal(const Result<T>& result) {
  EXPECT_FALSE(result);
  return result ? "" : result.error().message;
}

// Split ------------------------------------------------------------------------------------------

TEST(Split, IntoTwo) {
  auto [sch, block, loops] = schedule(copy_1d(), "B");
  ASSERT_TRUE(sch.split(loops[0], {8, 16}));
  expect_program(sch, R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((128,), "float32"), B: T.Buffer((128,), "float32")):
    for i_0, i_1 in T.grid(8, 16):
        with T.sblock("B"):
            vi = T.axis.spatial(128, i_0 * 16 + i_1)
            B[vi] = A[vi] + T.float32(1)
)");
}

TEST(Split, InfersOneFactorAndKeepsUnitLoops) {
  auto [sch, block, loops] = schedule(copy_1d(), "B");
  ASSERT_TRUE(sch.split(loops[0], {std::nullopt, 1, 64}));
  expect_program(sch, R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((128,), "float32"), B: T.Buffer((128,), "float32")):
    for i_0, i_1, i_2 in T.grid(2, 1, 64):
        with T.sblock("B"):
            vi = T.axis.spatial(128, i_0 * 64 + i_1 * 64 + i_2)
            B[vi] = A[vi] + T.float32(1)
)");
}

TEST(Split, DropsUnitLoopsFromBindingsWhenAsked) {
  auto [sch, block, loops] = schedule(copy_1d(), "B");
  ASSERT_TRUE(sch.split(loops[0], {2, 1, 64}, /*preserve_unit_iters=*/false));
  expect_program(sch, R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((128,), "float32"), B: T.Buffer((128,), "float32")):
    for i_0, i_1, i_2 in T.grid(2, 1, 64):
        with T.sblock("B"):
            vi = T.axis.spatial(128, i_0 * 64 + i_2)
            B[vi] = A[vi] + T.float32(1)
)");
}

TEST(Split, GuardsTheBlockWhenFactorsDoNotDivide) {
  auto [sch, block, loops] = schedule(copy_1d(100), "B");
  ASSERT_TRUE(sch.split(loops[0], {std::nullopt, 16}));
  expect_program(sch, R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((100,), "float32"), B: T.Buffer((100,), "float32")):
    for i_0, i_1 in T.grid(7, 16):
        with T.sblock("B"):
            vi = T.axis.spatial(100, i_0 * 16 + i_1)
            T.where(i_0 * 16 + i_1 < 100)
            B[vi] = A[vi] + T.float32(1)
)");
}

TEST(Split, SplittingTwiceKeepsBothGuards) {
  auto [sch, block, loops] = schedule(copy_1d(100), "B");
  const auto outer = *sch.split(loops[0], {std::nullopt, 16});
  ASSERT_TRUE(sch.split(outer[1], {std::nullopt, 5}));
  expect_program(sch, R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((100,), "float32"), B: T.Buffer((100,), "float32")):
    for i_0, i_1_0, i_1_1 in T.grid(7, 4, 5):
        with T.sblock("B"):
            vi = T.axis.spatial(100, i_0 * 16 + i_1_0 * 5 + i_1_1)
            T.where(i_0 * 16 + i_1_0 * 5 + i_1_1 < 100 and i_1_0 * 5 + i_1_1 < 16)
            B[vi] = A[vi] + T.float32(1)
)");
}

TEST(Split, PredicationCanBePromisedAway) {
  auto [sch, block, loops] = schedule(copy_1d(100), "B");
  ASSERT_TRUE(sch.split(loops[0], {std::nullopt, 16}, true, /*disable_predication=*/true));
  EXPECT_EQ(script::to_text(sch.module()).find("T.where"), std::string::npos);
}

TEST(Split, SymbolicExtentsNeedAFactorToInfer) {
  auto [sch, block, loops] = schedule(R"(
n = TypeVar("n")

@T.prim_func(s_tir=True)
def main(A: T.Buffer((n,), "float32"), B: T.Buffer((n,), "float32")):
    for i in range(n):
        with T.sblock("B"):
            vi = T.axis.spatial(n, i)
            B[vi] = A[vi] + T.float32(1)
)",
                                      "B");
  EXPECT_THAT(refusal(sch.split(loops[0], {4, 16})), HasSubstr("has a symbolic extent"));
  ASSERT_TRUE(sch.split(loops[0], {std::nullopt, 16}));
  expect_program(sch, R"(
n = TypeVar("n")

@T.prim_func(s_tir=True)
def main(A: T.Buffer((n,), "float32"), B: T.Buffer((n,), "float32")):
    for i_0, i_1 in T.grid((n + T.int64(15)) // T.int64(16), T.int64(16)):
        with T.sblock("B"):
            vi = T.axis.spatial(n, i_0 * T.int64(16) + i_1)
            T.where(i_0 * T.int64(16) + i_1 < n)
            B[vi] = A[vi] + T.float32(1)
)");
}

TEST(Split, RefusesWhatIsNotALegalSplit) {
  auto [sch, block, loops] = schedule(copy_1d(), "B");
  EXPECT_THAT(refusal(sch.split(loops[0], {std::nullopt, std::nullopt})),
              HasSubstr("only one factor may be None"));
  EXPECT_THAT(refusal(sch.split(loops[0], {4, 16})), HasSubstr("64, does not cover loop i"));
  EXPECT_THAT(refusal(sch.split(loops[0], {-1, 16})), HasSubstr("factor 0 is -1"));
  EXPECT_THAT(refusal(sch.split(loops[0], {65536, 65536})), HasSubstr("beyond"));
  EXPECT_THAT(refusal(sch.split(loops[0], {})), HasSubstr("at least 2 inputs"));
  ASSERT_TRUE(sch.annotate(loops[0], "key", 1));
  EXPECT_THAT(refusal(sch.split(loops[0], {8, 16})), HasSubstr("annotation \"key\""));
  EXPECT_EQ(sch.trace().size(), 3U) << "refused calls leave no trace";
}

// Fuse -------------------------------------------------------------------------------------------

TEST(Fuse, MakesQuotientsAndRemainders) {
  auto [sch, block, loops] = schedule(kMatmul, "C");
  ASSERT_TRUE(sch.fuse(loops));
  expect_program(sch, R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 8), "float32"), B: T.Buffer((8, 32), "float32"), C: T.Buffer((16, 32), "float32")):
    for f in range(4096):
        with T.sblock("C"):
            vi = T.axis.spatial(16, f // 256)
            vj = T.axis.spatial(32, f % 256 // 8)
            vk = T.axis.reduce(8, f % 8)
            with T.init():
                C[vi, vj] = T.float32(0)
            C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
)");
}

TEST(Fuse, UndoesASplit) {
  auto [sch, block, loops] = schedule(copy_1d(), "B");
  const auto parts = *sch.split(loops[0], {4, 8, 4});
  ASSERT_TRUE(sch.fuse({parts[0], parts[1], parts[2]}));
  expect_program(sch, copy_1d());
}

TEST(Fuse, RefusesLoopsThatDoNotFollowEachOther) {
  auto [sch, block, loops] = schedule(kMatmul, "C");
  EXPECT_THAT(refusal(sch.fuse({loops[0], loops[2]})),
              HasSubstr("must be the only thing in the body"));
  EXPECT_THAT(refusal(sch.fuse({loops[1], loops[0]})),
              HasSubstr("must be the only thing in the body"));
}

TEST(Fuse, RefusesExtentsThatDependOnTheNest) {
  auto [sch, block, loops] = schedule(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 8), "float32")):
    for i in range(8):
        for j in range(i + 1):
            with T.sblock("A"):
                vi, vj = T.axis.remap("SS", [i, j])
                A[vi, vj] = T.float32(1)
)",
                                      "A");
  EXPECT_THAT(refusal(sch.fuse(loops)), HasSubstr("the extent of loop j depends on loop i"));
}

// Reorder ----------------------------------------------------------------------------------------

TEST(Reorder, MovesNamedLoopsOnly) {
  auto [sch, block, loops] = schedule(kMatmul, "C");
  ASSERT_TRUE(sch.reorder({loops[2], loops[0]}));
  expect_program(sch, R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 8), "float32"), B: T.Buffer((8, 32), "float32"), C: T.Buffer((16, 32), "float32")):
    for k, j, i in T.grid(8, 32, 16):
        with T.sblock("C"):
            vi, vj, vk = T.axis.remap("SSR", [i, j, k])
            with T.init():
                C[vi, vj] = T.float32(0)
            C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
)");
}

TEST(Reorder, TheSameOrderChangesNothing) {
  auto [sch, block, loops] = schedule(kMatmul, "C");
  const IRModule before = sch.module();
  ASSERT_TRUE(sch.reorder(loops));
  EXPECT_EQ(sch.module(), before);
}

TEST(Reorder, KindsAndAnnotationsMoveWithTheLoop) {
  auto [sch, block, loops] = schedule(kMatmul, "C");
  ASSERT_TRUE(sch.vectorize(loops[1]));
  ASSERT_TRUE(sch.annotate(loops[0], "key", 1));
  ASSERT_TRUE(sch.reorder({loops[1], loops[0]}));
  EXPECT_EQ((*sch.get_loop(loops[1]))->kind, ForKind::kVectorized);
  EXPECT_EQ((*sch.get_loop(loops[0]))->annotations.get_int("key"), 1);
}

TEST(Reorder, RefusesLoopsOfDifferentNests) {
  auto [sch, block, loops] = schedule(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8,), "float32"), B: T.Buffer((8,), "float32")):
    for i in range(8):
        with T.sblock("A"):
            vi = T.axis.spatial(8, i)
            A[vi] = T.float32(1)
    for j in range(8):
        with T.sblock("B"):
            vj = T.axis.spatial(8, j)
            B[vj] = T.float32(1)
)",
                                      "A");
  const auto other = *sch.get_loops(*sch.get_sblock("B"));
  EXPECT_THAT(refusal(sch.reorder({loops[0], other[0]})), HasSubstr("not in one chain of loops"));
  EXPECT_THAT(refusal(sch.reorder({loops[0], loops[0]})), HasSubstr("named twice"));
}

TEST(Reorder, RefusesBoundsThatWouldBeInside) {
  auto [sch, block, loops] = schedule(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 8), "float32")):
    for i in range(8):
        for j in range(i + 1):
            with T.sblock("A"):
                vi, vj = T.axis.remap("SS", [i, j])
                A[vi, vj] = T.float32(1)
)",
                                      "A");
  EXPECT_THAT(refusal(sch.reorder({loops[1], loops[0]})),
              HasSubstr("the bounds of loop j depend on loop i"));
}

TEST(Reorder, RefusesAxesWhoseOrderMatters) {
  auto [sch, block, loops] = schedule(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 8), "float32")):
    for i, j in T.grid(8, 8):
        with T.sblock("A"):
            vi = T.axis.spatial(8, i)
            vj = T.axis.scan(8, j)
            A[vi, vj] = T.float32(1)
)",
                                      "A");
  EXPECT_THAT(refusal(sch.reorder({loops[1], loops[0]})),
              HasSubstr("neither spatial nor reduction"));
}

TEST(Reorder, RefusesToReverseAReductionThatIsNotCommutative) {
  const std::string text = R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((4, 8, 8), "float32"), B: T.Buffer((4,), "float32")):
    for i, j, k in T.grid(4, 8, 8):
        with T.sblock("B"):
            vi, vj, vk = T.axis.remap("SRR", [i, j, k])
            with T.init():
                B[vi] = T.float32(0)
            B[vi] = B[vi] * T.float32(0.5) + A[vi, vj, vk]
)";
  auto [sch, block, loops] = schedule(text, "B");
  EXPECT_THAT(refusal(sch.reorder({loops[2], loops[1]})), HasSubstr("its order must be kept"));
  EXPECT_TRUE(sch.reorder({loops[1], loops[2], loops[0]})) << "the reduction's own order is kept";
}

TEST(Reorder, RefusesDependencesBetweenIterations) {
  auto [sch, block, loops] = schedule(pair_of_blocks("vj"), "C");
  EXPECT_TRUE(sch.reorder({loops[1], loops[0]}));
  auto [other, other_block, other_loops] = schedule(pair_of_blocks("(vj + 1) % 16"), "C");
  EXPECT_THAT(refusal(other.reorder({other_loops[1], other_loops[0]})),
              HasSubstr("reads what block \"B\" writes in another iteration"));
}

TEST(Reorder, RefusesOverlappingReductions) {
  // Two iterations of i write C[1]: with k outside, the second init would wipe out a sum.
  auto [sch, block, loops] = schedule(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((3, 8), "float32"), C: T.Buffer((3,), "float32")):
    for i, x, k in T.grid(2, 2, 8):
        with T.sblock("C"):
            vi = T.axis.spatial(3, i + x)
            vk = T.axis.reduce(8, k)
            with T.init():
                C[vi] = T.float32(0)
            C[vi] = C[vi] + A[vi, vk]
)",
                                      "C");
  EXPECT_THAT(refusal(sch.reorder({loops[2], loops[0]})), HasSubstr("more than once"));
}

// Loop kinds -------------------------------------------------------------------------------------

TEST(LoopKinds, AreSet) {
  auto [sch, block, loops] = schedule(kMatmul, "C");
  ASSERT_TRUE(sch.parallel(loops[0]));
  ASSERT_TRUE(sch.vectorize(loops[1]));
  ASSERT_TRUE(sch.unroll(loops[2]));
  expect_program(sch, R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 8), "float32"), B: T.Buffer((8, 32), "float32"), C: T.Buffer((16, 32), "float32")):
    for i in T.parallel(16):
        for j in T.vectorized(32):
            for k in T.unroll(8):
                with T.sblock("C"):
                    vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                    with T.init():
                        C[vi, vj] = T.float32(0)
                    C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
)");
}

TEST(LoopKinds, ReductionsAreNeitherParallelNorVectors) {
  auto [sch, block, loops] = schedule(kMatmul, "C");
  EXPECT_THAT(refusal(sch.parallel(loops[2])), HasSubstr("is a reduction loop of block \"C\""));
  EXPECT_THAT(refusal(sch.vectorize(loops[2])), HasSubstr("is a reduction loop of block \"C\""));
  const LoopRv fused = *sch.fuse({loops[1], loops[2]});
  EXPECT_THAT(refusal(sch.parallel(fused)), HasSubstr("reduction loop"));
}

TEST(LoopKinds, IterationsMustNotDependOnEachOther) {
  auto [sch, block, loops] = schedule(pair_of_blocks("vj"), "C");
  EXPECT_TRUE(sch.parallel(loops[1]));
  auto [other, other_block, other_loops] = schedule(pair_of_blocks("(vj + 1) % 16"), "C");
  EXPECT_THAT(refusal(other.parallel(other_loops[1])), HasSubstr("depend on each other"));
}

TEST(LoopKinds, AStencilInPlaceIsNotParallel) {
  auto [sch, block, loops] = schedule(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((9,), "float32")):
    for i in range(8):
        with T.sblock("A"):
            vi = T.axis.spatial(8, i)
            A[vi + 1] = A[vi] + T.float32(1)
)",
                                      "A");
  EXPECT_THAT(refusal(sch.parallel(loops[0])), HasSubstr("reads other elements of A"));
}

TEST(LoopKinds, RepeatedReductionsIntoOneElementAreNotParallel) {
  auto [sch, block, loops] = schedule(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8,), "float32"), B: T.Buffer((1,), "float32")):
    for i, k in T.grid(4, 8):
        with T.sblock("B"):
            vi = T.axis.spatial(1, 0)
            vk = T.axis.reduce(8, k)
            with T.init():
                B[vi] = T.float32(0)
            B[vi] = B[vi] + A[vk]
)",
                                      "B");
  EXPECT_THAT(refusal(sch.parallel(loops[0])), HasSubstr("repeats the reduction"));
}

// Annotations ------------------------------------------------------------------------------------

TEST(Annotate, WritesReplacesAndRemoves) {
  auto [sch, block, loops] = schedule(copy_1d(), "B");
  ASSERT_TRUE(sch.annotate(block, "text", "SSRSRS"));
  ASSERT_TRUE(sch.annotate(block, "list", Operand::List{1, 2.5, "x"}));
  ASSERT_TRUE(sch.annotate(loops[0], "pragma_auto_unroll_max_step", 16));
  ASSERT_TRUE(sch.annotate(loops[0], "pragma_auto_unroll_max_step", 64));
  EXPECT_EQ((*sch.get_block(block))->annotations.get_string("text"), "SSRSRS");
  EXPECT_EQ((*sch.get_loop(loops[0]))->annotations.get_int("pragma_auto_unroll_max_step"), 64);
  ASSERT_TRUE(sch.unannotate(block, "text"));
  ASSERT_TRUE(sch.unannotate(block, "list"));
  ASSERT_TRUE(sch.unannotate(loops[0], "pragma_auto_unroll_max_step"));
  expect_program(sch, copy_1d());
  EXPECT_THAT(refusal(sch.unannotate(block, "text")), HasSubstr("no annotation \"text\""));
}

TEST(Annotate, EveryKindOfValueIsPrintedAndParsedBack) {
  auto [sch, block, loops] = schedule(copy_1d(), "B");
  ASSERT_TRUE(sch.annotate(block, "list", Operand::List{1, 0.5, "x", Operand::List{2}}));
  ASSERT_TRUE(sch.annotate(block, "real", 0.1));
  ASSERT_TRUE(sch.annotate(block, "large", int64_t{1} << 40));
  ASSERT_TRUE(sch.annotate(loops[0], "text", "a \"quoted\" one"));
  expect_program(sch, script::to_text(sch.module()));
}

TEST(Annotate, TakesSampledValues) {
  auto [sch, block, loops] = schedule(copy_1d(), "B");
  const ExprRv steps = *sch.sample_categorical({0, 16, 64}, {0.2, 0.3, 0.5}, 2);
  ASSERT_TRUE(sch.annotate(block, "steps", steps));
  EXPECT_EQ((*sch.get_block(block))->annotations.get_int("steps"), 64);
}

// Getters ----------------------------------------------------------------------------------------

TEST(Getters, FollowTheDataflow) {
  Schedule sch(parse(pair_of_blocks("vj")));
  const BlockRv b = *sch.get_sblock("B");
  const BlockRv c = *sch.get_sblock("C");
  const BlockRv root = *sch.get_sblock("root");
  auto value = [&](Rv rv) { return *sch.get(rv); };
  ASSERT_EQ(sch.get_producers(c)->size(), 1U);
  EXPECT_EQ(value(sch.get_producers(c)->at(0)), value(b));
  EXPECT_EQ(value(sch.get_consumers(b)->at(0)), value(c));
  EXPECT_TRUE(sch.get_consumers(c)->empty());
  EXPECT_EQ(sch.get_child_blocks(root)->size(), 2U);
  EXPECT_EQ(sch.get_child_blocks(sch.get_loops(c)->at(0))->size(), 2U);
  ASSERT_EQ(sch.get_output_blocks(root)->size(), 1U);
  EXPECT_EQ(value(sch.get_output_blocks(root)->at(0)), value(c));
  EXPECT_THAT(refusal(sch.get_producers(root)), HasSubstr("root block"));
}

TEST(Getters, ABlockIsLookedUpByAUniqueName) {
  Schedule sch(parse(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8,), "float32"), B: T.Buffer((8,), "float32")):
    for i in range(8):
        with T.sblock("X"):
            vi = T.axis.spatial(8, i)
            A[vi] = T.float32(1)
    for j in range(8):
        with T.sblock("X"):
            vj = T.axis.spatial(8, j)
            B[vj] = T.float32(1)
)"));
  EXPECT_THAT(refusal(sch.get_sblock("X")), HasSubstr("2 blocks named \"X\""));
  EXPECT_THAT(refusal(sch.get_sblock("X", "other")), HasSubstr("no function \"other\""));
  // An editor names what it is pointed at, whatever the names are.
  const auto blocks = *sch.get_child_blocks(*sch.get_sblock("root"));
  const auto name = sch.name_of(*sch.get(blocks[1]));
  ASSERT_TRUE(name);
  EXPECT_EQ(*name, blocks[1]);
}

// Sampling ---------------------------------------------------------------------------------------

TEST(SamplePerfectTile, IsExactBoundedAndDeterministic) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    auto tile = [&](uint64_t s) {
      Random random(s);
      return sample_tiling(96, 4, 8, random);
    };
    const std::vector<int64_t> factors = tile(seed);
    EXPECT_EQ(std::accumulate(factors.begin(), factors.end(), int64_t{1}, std::multiplies<>()), 96);
    EXPECT_LE(factors.back(), 8);
    EXPECT_EQ(factors, tile(seed));
  }
}

TEST(SamplePerfectTile, AllTilingsAreEquallyLikely) {
  const auto all = all_tilings(24, 3, 4, 1000);
  EXPECT_EQ(static_cast<int64_t>(all.size()), count_tilings(24, 3, 4));
  std::map<std::vector<int64_t>, int> counts;
  Random random(3);
  constexpr int kPerTiling = 400;
  for (size_t i = 0; i < all.size() * kPerTiling; ++i)
    ++counts[sample_tiling(24, 3, 4, random)];
  ASSERT_EQ(counts.size(), all.size());
  // 400 expected, standard deviation 20: five of those either way.
  for (const auto& [tiling, count] : counts)
    EXPECT_NEAR(count, kPerTiling, 100);
}

TEST(SamplePerfectTile, DecisionsAreChecked) {
  auto [sch, block, loops] = schedule(copy_1d(), "B");
  EXPECT_THAT(refusal(sch.sample_perfect_tile(loops[0], 2, 16, {10, 10})),
              HasSubstr("must be the loop's extent, 128, and is 100"));
  EXPECT_THAT(refusal(sch.sample_perfect_tile(loops[0], 2, 16, {4, 32})), HasSubstr("at most 16"));
  EXPECT_THAT(refusal(sch.sample_perfect_tile(loops[0], 3, 16, {8, 16})),
              HasSubstr("a list of 3 integers"));
  const auto tile = sch.sample_perfect_tile(loops[0], 2, 16, {8, 16});
  ASSERT_TRUE(tile);
  EXPECT_EQ(*sch.get(tile->at(1)), Value(16));
}

TEST(SampleCategorical, DecisionsAreIndices) {
  Schedule sch(parse(copy_1d()));
  EXPECT_EQ(*sch.get(*sch.sample_categorical({0, 16, 64}, {0.2, 0.3, 0.5}, 1)), Value(16));
  EXPECT_THAT(refusal(sch.sample_categorical({0, 16}, {0.5, 0.5}, 2)),
              HasSubstr("decision 2 is out of range"));
  EXPECT_THAT(refusal(sch.sample_categorical({0, 16}, {1.0})), HasSubstr("as many probabilities"));
}

TEST(SampleComputeLocation, OffersInlineRootAndTheConsumersLoops) {
  const std::string text = R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 16), "float32"), C: T.Buffer((16, 16), "float32")):
    B = T.sblock_alloc_buffer((16, 16))
    for i, j in T.grid(16, 16):
        with T.sblock("B"):
            vi, vj = T.axis.remap("SS", [i, j])
            B[vi, vj] = A[vi, vj] * T.float32(2)
    for i, j in T.grid(16, 16):
        with T.sblock("C"):
            vi, vj = T.axis.remap("SS", [i, j])
            C[vi, vj] = B[vi, vj] + T.float32(1)
)";
  auto [sch, block, loops] = schedule(text, "B");
  const Primitive* primitive = find_primitive("SampleComputeLocation");
  std::vector<int64_t> decisions;
  for (const Arguments& use : primitive->enumerate(sch.context(), *sch.get(block)))
    decisions.push_back(*use.decision.as_int());
  EXPECT_THAT(decisions, ::testing::ElementsAre(-2, -1, 0, 1));
  const LoopRv location = *sch.sample_compute_location(block, 0);
  EXPECT_EQ((*sch.get_loop(location))->loop_var->name, "i");
  ASSERT_TRUE(sch.compute_at(block, location));
  EXPECT_THAT(refusal(sch.sample_compute_location(*sch.get_sblock("C"), 0)),
              HasSubstr("out of range"));
}

// Handles and errors -----------------------------------------------------------------------------

TEST(Handles, ThoseThatAreGoneSayWhoRemovedThem) {
  auto [sch, block, loops] = schedule(copy_1d(), "B");
  ASSERT_TRUE(sch.split(loops[0], {8, 16}));
  EXPECT_EQ(refusal(sch.parallel(loops[0])),
            "parallel: l1 is gone: split replaced or removed it (instruction 2)");
}

TEST(Handles, AnotherSchedulesRandomVariableIsNotKnown) {
  Schedule sch(parse(copy_1d()));
  EXPECT_THAT(refusal(sch.get_loops(BlockRv(Rv{RvKind::kBlock, 7}))),
              HasSubstr("there is no b7 in this schedule"));
}

TEST(Errors, ShowTheProgramWithThePlaceMarked) {
  script::render_schedule_errors();
  auto [sch, block, loops] = schedule(kMatmul, "C");
  const auto refused = sch.parallel(loops[2]);
  ASSERT_FALSE(refused);
  ASSERT_EQ(refused.error().notes.size(), 1U);
  EXPECT_THAT(refused.error().notes[0], HasSubstr("# <--"));
  sch.set_render_errors(false);
  EXPECT_TRUE(sch.parallel(loops[2]).error().notes.empty());
}

TEST(Copies, AreIndependent) {
  auto [sch, block, loops] = schedule(copy_1d(), "B");
  Schedule copy = sch;
  ASSERT_TRUE(copy.split(loops[0], {8, 16}));
  EXPECT_TRUE(sch.get_loop(loops[0]));
  EXPECT_FALSE(copy.get_loop(loops[0]));
  EXPECT_EQ(sch.trace().size(), 2U);
}

} // namespace
} // namespace temper::s_tir
