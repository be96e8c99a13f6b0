#include "ir/module.h"
#include "ir/op.h"
#include "ir/s_tir/block.h"
#include "ir/structural.h"
#include "ir/target.h"
#include "ir/tir/stmt.h"
#include "ir/walk.h"

#include <gtest/gtest.h>

namespace temper::tir {
namespace {

Expr imm(int64_t value) { return make_int(DataType::int32(), value); }

/// for i in range(n): B[i] = A[i] + 1
PrimFunc increment(int64_t n, const char* index = "i") {
  const Buffer a = make_buffer("A", DataType::float32(), {imm(n)});
  const Buffer b = make_buffer("B", DataType::float32(), {imm(n)});
  const Var i = make_var(index);
  const Stmt store = make_store(b, {i}, make_load(a, {i}) + make_float(DataType::float32(), 1));
  return make_node<PrimFuncNode>([&](PrimFuncNode& node) {
    node.name = "main";
    node.params = {{a, nullptr}, {b, nullptr}};
    node.body = make_for(i, imm(0), imm(n), ForKind::kSerial, store);
  });
}

TEST(Structural, EqualUpToNames) {
  EXPECT_TRUE(structural_equal(increment(8), increment(8, "other")));
  EXPECT_EQ(structural_hash(increment(8)), structural_hash(increment(8, "other")));
}

TEST(Structural, DifferenceIsNamedByItsPath) {
  std::string difference;
  EXPECT_FALSE(structural_equal(increment(8), increment(9), &difference));
  EXPECT_NE(difference.find("8 against 9"), std::string::npos) << difference;
  EXPECT_NE(structural_hash(increment(8)), structural_hash(increment(9)));
}

TEST(Structural, SwappedParametersAreAnotherProgram) {
  const PrimFunc function = increment(8);
  const PrimFunc swapped =
      copy_node(*function, [](PrimFuncNode& node) { std::swap(node.params[0], node.params[1]); });
  EXPECT_FALSE(structural_equal(function, swapped));
  EXPECT_NE(structural_hash(function), structural_hash(swapped));
}

TEST(Walk, UnchangedIsTheSameNode) {
  const PrimFunc function = increment(8);
  const NodeRef same = rewrite_post(function->body, [](const NodeRef& node) { return node; });
  EXPECT_EQ(same.get(), function->body.get());
}

TEST(Walk, SubstituteReplacesUses) {
  const Var x = make_var("x");
  const Var y = make_var("y");
  const Expr sum = x + y * 2;
  const Expr replaced = substitute(sum, {{x, imm(3)}});
  EXPECT_TRUE(structural_equal(replaced, imm(3) + y * 2));
  EXPECT_EQ(substitute(sum, {{make_var("z"), imm(3)}}), sum);
}

TEST(Walk, FreshDefinitionsAreEqualButNotTheSame) {
  const PrimFunc function = increment(8);
  const Stmt copy = with_fresh_definitions(function->body);
  EXPECT_NE(copy, function->body);
  EXPECT_TRUE(structural_equal(copy, function->body));
  EXPECT_NE(copy.as<For>()->loop_var, function->body.as<For>()->loop_var);
}

TEST(Seq, NestedSequencesAreFlattened) {
  const Stmt one = make_evaluate(imm(1));
  const Stmt seq = make_seq({make_seq({one, make_evaluate(imm(2))}), make_evaluate(imm(3))});
  EXPECT_EQ(seq.as<SeqStmt>()->statements.size(), 3U);
  EXPECT_EQ(make_seq({one}), one);
}

TEST(Expr, FoldingKeepsTypesAndWraps) {
  const Expr big = make_int(DataType::integer(8), 127);
  EXPECT_EQ(as_int(big + 1), -128);
  EXPECT_EQ(as_int(floordiv(imm(-3), 2)), -2);
  EXPECT_EQ(as_int(floormod(imm(-3), 2)), 1);
  const Var x = make_var("x");
  EXPECT_EQ(x + 0, x);
  EXPECT_EQ(x * 1, x);
}

TEST(Annotations, StaySortedByKey) {
  Annotations annotations;
  annotations = annotations.with("b", imm(1)).with("a", imm(2)).with("b", imm(3));
  ASSERT_EQ(annotations.entries.size(), 2U);
  EXPECT_EQ(annotations.entries[0].key, "a");
  EXPECT_EQ(annotations.get_int("b"), 3);
}

TEST(Target, TextRoundTrips) {
  for (const char* text : {"native", "cpu:znver4", "cpu:x86-64-v4,+avx512bf16", "cuda:sm_90a",
                           "cpu:znver4 threads=2"}) {
    const auto target = parse_target(text);
    ASSERT_TRUE(target) << text;
    EXPECT_EQ(target->to_string(), text);
  }
  EXPECT_FALSE(parse_target("gpu"));
  EXPECT_FALSE(parse_target("native threads=0"));
}

} // namespace
} // namespace temper::tir
