#include "ir/arith/region.h"

#include "tests/arith/evaluate.h"

#include <gtest/gtest.h>

namespace temper::ir {
namespace {

using testing::evaluate;
using testing::text_of;

Expr imm(int64_t value) { return make_int(DataType::int32(), value); }
Range range(int64_t min, int64_t extent) { return {imm(min), imm(extent)}; }

class Relax : public ::testing::Test {
protected:
  Relax() {
    analyzer.bind(i0, {0, 7});
    analyzer.bind(n, {1, IntInterval::kHighest});
  }
  void expect(const Expr& index, std::vector<VarRange> inner, const Expr& min, int64_t extent) {
    const auto box = relax(index, inner, analyzer);
    ASSERT_TRUE(box) << text_of(index);
    EXPECT_TRUE(analyzer.can_prove_equal(box->min, min))
        << text_of(index) << " starts at " << text_of(box->min);
    EXPECT_EQ(as_int(box->extent), extent) << text_of(index) << ": " << text_of(box->extent);
  }

  Var i0 = make_var("i0");
  Var i1 = make_var("i1");
  Var r = make_var("r");
  Var n = make_var("n");
  Analyzer analyzer;
};

TEST_F(Relax, SplitIndices) {
  expect(i0 * 16 + i1, {{i1, range(0, 16)}}, i0 * 16, 16);
  expect(i0 * 16 + i1 + 3, {{i1, range(0, 16)}}, i0 * 16 + 3, 16);
  expect(i0 * 16 + i1, {{i1, range(0, 16)}, {i0, range(0, 8)}}, imm(0), 128);
  expect(i0, {{i1, range(0, 16)}}, i0, 1);
}

TEST_F(Relax, StridedAndPaddedConvolution) {
  expect(i1 * 2 + r - 1, {{i1, range(0, 8)}, {r, range(0, 3)}}, imm(-1), 17);
  expect((i0 * 4 + i1) * 2 + r - 1, {{i1, range(0, 4)}, {r, range(0, 3)}}, i0 * 8 - 1, 9);
  expect(imm(5) - i1, {{i1, range(0, 4)}}, imm(2), 4);
}

TEST_F(Relax, FloorDivisionAndRemainder) {
  expect(floordiv(i0 * 16 + i1, 4), {{i1, range(0, 16)}}, i0 * 4, 4);
  expect(floordiv(i0 * 3 + i1, 2), {{i1, range(0, 3)}}, floordiv(i0 * 3, 2), 2);
  expect(floordiv(i0 * 3 + i1, 4), {{i1, range(0, 3)}}, floordiv(i0 * 3, 4), 2);
  expect(floormod(i0 * 16 + i1, 32), {{i1, range(0, 16)}}, floormod(i0, 2) * 16, 16);
  expect(floormod(i0 * 3 + i1, 8), {{i1, range(0, 4)}}, imm(0), 8);
  expect(floormod(i1, 8), {{i1, range(0, 5)}}, imm(0), 5);
}

TEST_F(Relax, MinimaAndConditionals) {
  expect(make_binary<Min>(i0 * 16 + i1, imm(99)), {{i1, range(0, 16)}},
         make_binary<Min>(i0 * 16, imm(99)), 16);
  expect(if_then_else(less(i1, imm(4)), i1, i1 + 8), {{i1, range(0, 16)}}, imm(0), 24);
}

TEST_F(Relax, InnerRangesMayDependOnEachOther) {
  // for i1 in [0, 4): for r in [i1, i1 + 3)
  expect(r, {{i1, range(0, 4)}, {r, {i1, imm(3)}}}, imm(0), 6);
  // A tile cut off at the end: for i1 in [0, min(16, 100 - i0 * 16)).
  const Expr extent = make_binary<Min>(imm(16), imm(100) - i0 * 16);
  expect(i0 * 16 + i1, {{i1, {imm(0), extent}}}, i0 * 16, 16);
}

TEST_F(Relax, SymbolicExtents) {
  const auto box =
      relax(i1 * n + r, std::vector<VarRange>{{i1, range(0, 4)}, {r, {imm(0), n}}}, analyzer);
  ASSERT_TRUE(box);
  EXPECT_TRUE(analyzer.can_prove_equal(box->min, imm(0)));
  EXPECT_TRUE(analyzer.can_prove_equal(box->extent, n * 4)) << text_of(box->extent);
}

TEST_F(Relax, MemoryCannotBeBounded) {
  const Buffer indices = make_buffer("indices", DataType::int32(), {imm(64)});
  EXPECT_FALSE(
      relax(make_load(indices, {i1}), std::vector<VarRange>{{i1, range(0, 16)}}, analyzer));
  const Buffer a = make_buffer("A", DataType::float32(), {imm(10)});
  const BufferRegion whole = relax(BufferRegion{a, {{make_load(indices, {i1}), imm(1)}}},
                                   std::vector<VarRange>{{i1, range(0, 16)}}, analyzer);
  EXPECT_EQ(as_int(whole.region[0].extent), 10);
}

TEST_F(Relax, UnionAndIntersection) {
  const Range both = unite({i0 * 4, imm(4)}, {i0 * 4 + 2, imm(4)}, analyzer);
  EXPECT_TRUE(same_expr(both.min, i0 * 4));
  EXPECT_EQ(as_int(both.extent), 6);
  const Range apart = unite({i0, imm(1)}, {n, imm(1)}, analyzer);
  EXPECT_TRUE(apart.min.is<Min>());
  const Range inside = intersect({i0 * 4 - 1, imm(6)}, imm(100), analyzer);
  EXPECT_EQ(text_of(inside.min), "(((i0 * 4) - 1) max 0)");
  EXPECT_EQ(constant_extent(inside, analyzer), 6);
  EXPECT_TRUE(covers({i0 * 4 - 1, imm(6)}, {i0 * 4, imm(4)}, analyzer));
  EXPECT_FALSE(covers({i0 * 4, imm(4)}, {i0 * 4 - 1, imm(4)}, analyzer));
}

/// The box holds every index reached, and is exact for sums of loops.
TEST_F(Relax, RandomIndicesAgreeWithEnumeration) {
  Random random(21);
  for (int round = 0; round < 2000; ++round) {
    Analyzer local;
    const Var outer = make_var("o");
    const int64_t outer_extent = random.between(1, 6);
    local.bind(outer, IntInterval::range(0, outer_extent));
    const std::vector<VarRange> inner = {{i1, range(0, random.between(1, 6))},
                                         {r, range(random.between(-2, 2), random.between(1, 4))}};
    testing::Generator generator(random, {outer, i1, r});
    const bool affine = round % 2 == 0;
    const Expr index = affine ? outer * random.between(0, 9) + i1 * random.between(-9, 9) +
                                    r * random.between(0, 9)
                              : generator.integer(static_cast<int>(random.between(1, 3)));
    const auto box = relax(index, inner, local);
    ASSERT_TRUE(box) << text_of(index);
    for (int64_t o = 0; o < outer_extent; ++o) {
      int64_t low = IntInterval::kHighest;
      int64_t high = IntInterval::kLowest;
      testing::Values values = {{outer.get(), o}};
      for (int64_t a = 0; a < *as_int(inner[0].range.extent); ++a)
        for (int64_t b = 0; b < *as_int(inner[1].range.extent); ++b) {
          values[i1.get()] = a;
          values[r.get()] = *as_int(inner[1].range.min) + b;
          const int64_t value = *evaluate(index, values);
          low = std::min(low, value);
          high = std::max(high, value);
        }
      const int64_t first = *evaluate(box->min, values);
      const int64_t extent = *evaluate(box->extent, values);
      ASSERT_LE(first, low) << text_of(index) << " starts at " << text_of(box->min);
      ASSERT_GE(first + extent, high + 1)
          << text_of(index) << " starts at " << text_of(box->min) << ", " << text_of(box->extent);
      if (affine) {
        ASSERT_EQ(first, low) << text_of(index);
        ASSERT_EQ(extent, high - low + 1) << text_of(index);
      }
    }
  }
}

} // namespace
} // namespace temper::ir
