#include "ir/s_tir/analysis.h"

#include "ir/s_tir/detail/index_math.h"
#include "tests/s_tir/programs.h"

#include "ir/structural.h"

#include <gtest/gtest.h>

namespace temper::s_tir {
namespace {

using namespace programs;

Block root_of(const IRModule& module) {
  return module->find_prim_func("main")->body.as<SBlockRealize>()->block;
}

TEST(Analysis, AMatmulIsAReductionBlock) {
  const IRModule module = matmul(4, 8, 16);
  const Block root = root_of(module);
  const Scope scope = analyze_scope(*root);
  ASSERT_EQ(scope.children.size(), 1U);
  EXPECT_EQ(block_kind(scope, 0), BlockKind::kReduction);
  EXPECT_STREQ(why_not_complete(scope, 0), "has an axis that is not spatial");
  EXPECT_TRUE(has_trivial_writes(scope.children[0].block()));
  EXPECT_TRUE(scope.is_output(scope.children[0].block().writes[0].buffer));
}

TEST(Analysis, SoftmaxHasItsProducersAndConsumers) {
  const IRModule module = softmax(4, 8);
  const Block root = root_of(module);
  const Scope scope = analyze_scope(*root);
  ASSERT_EQ(scope.children.size(), 4U);
  EXPECT_EQ(scope.producers(1), std::vector<int>{0});
  EXPECT_EQ(scope.producers(3), (std::vector<int>{1, 2}));
  EXPECT_EQ(scope.consumers(1), (std::vector<int>{2, 3}));
  EXPECT_EQ(block_kind(scope, 0), BlockKind::kReduction);
  EXPECT_EQ(block_kind(scope, 1), BlockKind::kComplete);
  EXPECT_EQ(why_not_stage_pipeline(scope), "");
}

TEST(Analysis, AccessesAreWhatTheBlocksDeclare) {
  for (const IRModule& module : {matmul(4, 8, 16), matmul_bias_relu(4, 8, 16), chain(4, 8),
                                 conv2d(2, 3, 5, 5), softmax(4, 8)}) {
    const Block root = root_of(module);
    for (const ChildBlock& child : analyze_scope(*root).children) {
      const Accesses accesses = detect_accesses(child.block());
      const Block same = copy_node(child.block(), [&](SBlock& node) {
        node.reads = accesses.reads;
        node.writes = accesses.writes;
      });
      std::string difference;
      EXPECT_TRUE(structural_equal(same, Block(&child.block()), &difference))
          << child.block().name << ": " << difference;
    }
  }
}

TEST(Analysis, AccessesOfANestAreRelaxedOverItsLoops) {
  const IRModule module = conv2d(2, 3, 5, 5);
  const Block root = root_of(module);
  const Accesses accesses = detect_accesses(*root);
  // X is read at [-1, 6) by the padding's guarded loads: declared so by the block.
  ASSERT_EQ(accesses.reads.size(), 2U);
  EXPECT_EQ(accesses.reads[0].buffer->name, "X");
  EXPECT_TRUE(is_int(accesses.reads[0].region[1].min, -1));
  EXPECT_TRUE(is_int(accesses.reads[0].region[1].extent, 7));
  EXPECT_EQ(accesses.writes.size(), 1U);
}

TEST(Analysis, LoopsKnowWhatTheyAreToABlock) {
  const IRModule module = matmul(4, 8, 16);
  const Block root = root_of(module);
  const Scope scope = analyze_scope(*root);
  const ChildBlock& child = scope.children[0];
  EXPECT_TRUE(loop_use(*child.realize, child.loops[0]->loop_var).data_parallel());
  EXPECT_TRUE(loop_use(*child.realize, child.loops[2]->loop_var).reduce);
  EXPECT_TRUE(is_affine_binding(*child.realize, child.loops));
}

TEST(IndexMath, KnowsTheAlgebraOfSplitsAndFuses) {
  IndexMath math;
  const Var f = make_var("f"), o = make_var("o"), i = make_var("i");
  math.set_range(f, {0, 63});
  math.set_range(o, {0, 7});
  math.set_range(i, {0, 3});
  auto text_equal = [&](const Expr& a, const Expr& b) {
    return same_expr(math.simplify(a), math.simplify(b));
  };
  EXPECT_TRUE(text_equal(floordiv(f, 8) * 8 + floormod(f, 8), f));
  EXPECT_TRUE(text_equal(floordiv(o * 4 + i, 4), o));
  EXPECT_TRUE(text_equal(floormod(o * 4 + i, 4), i));
  EXPECT_TRUE(text_equal(floordiv(o * 4 + i, 8), floordiv(o, 2)));
  EXPECT_TRUE(text_equal(floordiv(o * 4 + i, 8) * 8 + floormod(o * 4 + i, 8), o * 4 + i));
  EXPECT_EQ(math.bound(o * 4 + i - 1), (Bound{-1, 30}));
  const VarNode* inner[] = {i.get()};
  const auto range = math.relax(math.linear(floordiv(o * 4 + i, 8)), inner);
  ASSERT_TRUE(range);
  EXPECT_TRUE(math.proves_equal(range->lo, range->hi));
}

TEST(IndexMath, ACastToATypeThatIsTooNarrowWraps) {
  IndexMath math;
  const Var i = make_var("i");
  math.set_range(i, {0, 299});
  const Expr wraps = make_cast(DataType::int32(), make_cast(DataType::integer(8), i));
  EXPECT_EQ(math.bound(wraps), (Bound{-128, 127}));
  EXPECT_EQ(math.bound(make_cast(DataType::integer(16), i)), (Bound{0, 299}));
}

TEST(IndexMath, BindingsOfAFusedLoopCoverTheirBox) {
  IndexMath math;
  const Var f = make_var("f"), i = make_var("i");
  math.set_range(f, {0, 31});
  math.set_range(i, {0, 3});
  const VarNode* variables[] = {f.get(), i.get()};
  const Linear forms[] = {math.linear(floordiv(f, 8)), math.linear(floormod(f, 8) * 4 + i)};
  const int64_t extents[] = {4, 32};
  const bool clipped[] = {false, false};
  EXPECT_TRUE(covers_box(math, forms, extents, clipped, variables, true));
  const int64_t larger[] = {4, 33};
  EXPECT_FALSE(covers_box(math, forms, larger, clipped, variables, true));
  const Linear overlapping[] = {math.linear(floordiv(f, 8)), math.linear(f)};
  const int64_t boxes[] = {4, 32};
  EXPECT_FALSE(covers_box(math, overlapping, boxes, clipped, variables, false));
}

} // namespace
} // namespace temper::s_tir
