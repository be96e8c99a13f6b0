#include "ir/s_tir/schedule.h"

#include "ir/structural.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace temper::s_tir {
namespace {

using testing::HasSubstr;

Expr imm(int64_t value) { return make_int(DataType::int32(), value); }

/// C[i, j] += A[i, k] * B[k, j] in block "C" under a root block.
IRModule matmul(int64_t n) {
  const auto f32 = DataType::float32();
  const Buffer a = make_buffer("A", f32, {imm(n), imm(n)});
  const Buffer b = make_buffer("B", f32, {imm(n), imm(n)});
  const Buffer c = make_buffer("C", f32, {imm(n), imm(n)});
  const Var i = make_var("i"), j = make_var("j"), k = make_var("k");
  const Var vi = make_var("vi"), vj = make_var("vj"), vk = make_var("vk");
  const Block block = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = "C";
    const Range range{imm(0), imm(n)};
    node.iter_vars = {{range, vi, IterType::kSpatial},
                      {range, vj, IterType::kSpatial},
                      {range, vk, IterType::kReduce}};
    node.reads = {{a, {{vi, imm(1)}, {vk, imm(1)}}}, {b, {{vk, imm(1)}, {vj, imm(1)}}}};
    node.writes = {{c, {{vi, imm(1)}, {vj, imm(1)}}}};
    node.init = make_store(c, {vi, vj}, make_float(f32, 0));
    node.body = make_store(
        c, {vi, vj}, make_load(c, {vi, vj}) + make_load(a, {vi, vk}) * make_load(b, {vk, vj}));
  });
  Stmt body = make_realize({i, j, k}, make_bool(true), block);
  for (const Var& var : {k, j, i})
    body = make_for(var, imm(0), imm(n), ForKind::kSerial, body);
  const Block root = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = "root";
    node.body = body;
  });
  return make_module(make_node<PrimFuncNode>([&](PrimFuncNode& node) {
    node.name = "main";
    node.params = {{a, nullptr}, {b, nullptr}, {c, nullptr}};
    node.s_tir = true;
    node.body = make_realize({}, make_bool(true), root);
  }));
}

TEST(Schedule, GettersNumberRandomVariablesOverAllKinds) {
  Schedule sch(matmul(16));
  const auto block = sch.get_sblock("C");
  ASSERT_TRUE(block) << block.error().to_string();
  const auto loops = sch.get_loops(*block);
  ASSERT_TRUE(loops);
  ASSERT_EQ(loops->size(), 3U);
  EXPECT_EQ(block->name(), "b0");
  EXPECT_EQ(loops->at(2).name(), "l3");
  EXPECT_EQ(sch.trace().size(), 2U);
  EXPECT_EQ((*sch.get_loop(loops->at(1)))->loop_var->name, "j");
}

TEST(Schedule, AnUnknownBlockNamesTheOnesThatAreThere) {
  Schedule sch(matmul(16));
  const auto block = sch.get_sblock("D");
  ASSERT_FALSE(block);
  EXPECT_THAT(block.error().message, HasSubstr("get_sblock"));
  EXPECT_THAT(block.error().message, HasSubstr("root, C"));
  EXPECT_TRUE(sch.trace().empty());
}

TEST(Schedule, UnknownPrimitiveSuggestsTheNearest) {
  Schedule sch(matmul(16));
  const auto result = sch.call("get_lops", {});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("did you mean \"get_loops\"?"));
}

TEST(Schedule, WrongKindOfArgumentIsNamed) {
  Schedule sch(matmul(16));
  const auto result = sch.call("GetLoops", {3});
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("\"block\" must be a block"));
}

TEST(Schedule, ReplayGivesTheSameTrace) {
  const IRModule module = matmul(16);
  Schedule sch(module);
  ASSERT_TRUE(sch.get_loops(*sch.get_sblock("C")));
  const auto again = replay(sch.trace(), module);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(again->trace() == sch.trace());
}

TEST(Schedule, TilesAMatmulAndReplaysItEqually) {
  const IRModule module = matmul(64);
  Schedule sch(module, 7);
  const BlockRv block = *sch.get_sblock("C");
  const auto loops = *sch.get_loops(block);
  const auto ti = *sch.sample_perfect_tile(loops[0], 2, 16);
  const auto tj = *sch.sample_perfect_tile(loops[1], 2, 16);
  const auto i = sch.split(loops[0], {ti[0], ti[1]});
  ASSERT_TRUE(i) << i.error().to_string();
  const auto j = *sch.split(loops[1], {tj[0], tj[1]});
  const auto reordered = sch.reorder({(*i)[0], j[0], loops[2], (*i)[1], j[1]});
  ASSERT_TRUE(reordered) << reordered.error().to_string();
  const auto fused = sch.fuse({(*i)[0], j[0]});
  ASSERT_TRUE(fused) << fused.error().to_string();
  const auto parallel = sch.parallel(*fused);
  ASSERT_TRUE(parallel) << parallel.error().to_string();
  ASSERT_TRUE(sch.vectorize(j[1]));
  EXPECT_FALSE(sch.vectorize(loops[2])); // a reduction
  EXPECT_FALSE(sch.get_loop(loops[0]));  // gone
  EXPECT_THAT(sch.get_loop(loops[0]).error().message, HasSubstr("l1 is gone: split"));

  const auto again = replay(sch.trace(), module);
  ASSERT_TRUE(again) << again.error().to_string();
  std::string difference;
  EXPECT_TRUE(structural_equal(again->module(), sch.module(), &difference)) << difference;
  EXPECT_TRUE(again->trace() == sch.trace());
}

} // namespace
} // namespace temper::s_tir
