#include "ir/s_tir/analysis.h"

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

} // namespace
} // namespace temper::s_tir
