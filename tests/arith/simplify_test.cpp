#include "ir/arith/simplify.h"

#include "ir/buffer.h"
#include "ir/op.h"
#include "ir/structural.h"
#include "tests/arith/evaluate.h"

#include <gtest/gtest.h>

namespace temper::ir {
namespace {

using testing::evaluate;
using testing::text_of;

Expr imm(int64_t value) { return make_int(DataType::int32(), value); }

class Simplify : public ::testing::Test {
protected:
  Simplify() {
    analyzer.bind(x, {0, 63});
    analyzer.bind(y, {0, 15});
    analyzer.bind(z, {0, 3});
  }
  void expect(const Expr& expr, const Expr& expected) {
    const Expr simple = analyzer.simplify(expr);
    EXPECT_TRUE(same_expr(simple, expected))
        << text_of(expr) << " became " << text_of(simple) << ", not " << text_of(expected);
    EXPECT_EQ(analyzer.simplify(simple), simple) << "not idempotent: " << text_of(simple);
  }

  Var x = make_var("x");
  Var y = make_var("y");
  Var z = make_var("z");
  Var n = make_var("n"); // unbounded
  Analyzer analyzer;
};

TEST_F(Simplify, SplitIndicesComeApart) {
  expect(floordiv(x * 16 + y, 16), x);
  expect(floormod(x * 16 + y, 16), y);
  expect(floordiv(x * 16 + y + 16, 16), x + 1);
  expect(floordiv(x * 8 + z, 16), floordiv(x, 2));
  expect(floormod(x * 8 + z, 16), floormod(x, 2) * 8 + z);
  expect(floordiv(n * 12 + y, 4), n * 3 + floordiv(y, 4));
  expect(floordiv(floordiv(n, 4), 8), floordiv(n, 32));
  expect(floordiv(floormod(n, 32), 8), floordiv(floormod(n, 32), 8));
  expect(floormod(floordiv(n, 8), 4), floordiv(floormod(n, 32), 8));
  expect(floordiv(x, 64), imm(0));
  expect(floormod(x, 64), x);
}

TEST_F(Simplify, WhatMemoryHoldsMayBeTheLargestNumber) {
  const Buffer memory = make_buffer("A", DataType::int32(), {imm(64)});
  const Expr any = make_load(memory, {x});
  expect(floordiv(any - 5, 4), floordiv(any - 5, 4)); // any + 3 may leave the type
  expect(floormod(any - 5, 3), floormod(any - 5, 3));
  expect(floordiv(any + 9, 4), floordiv(any + 1, 4) + 2);
  expect(floordiv(n - 5, 4), floordiv(n + 3, 4) - 2);
}

TEST_F(Simplify, SplitPiecesFuseAgain) {
  expect(floordiv(n, 16) * 16 + floormod(n, 16), n);
  expect(floormod(n, 16) + floordiv(n, 16) * 16, n);
  expect(n - floordiv(n, 4) * 4, floormod(n, 4));
  expect(n - floormod(n, 4), floordiv(n, 4) * 4);
  expect(floordiv(n, 32) * 32 + floormod(floordiv(n, 4), 8) * 4 + floormod(n, 4), n);
  expect(floordiv(n + y, 8) * 8 + floormod(n + y, 8), n + y);
  expect((floordiv(n, 16) * 16 + floormod(n, 16)) * 3, n * 3);
}

TEST_F(Simplify, LinearFormsAreCanonical) {
  expect(make_binary<Add>(make_binary<Add>(n, imm(3)), make_binary<Sub>(y, imm(5))),
         make_binary<Sub>(make_binary<Add>(n, y), imm(2)));
  expect(make_binary<Sub>(make_binary<Add>(n, y), n), y);
  expect(make_binary<Mul>(make_binary<Add>(n, imm(1)), imm(4)), n * 4 + 4);
  expect(make_binary<Sub>(imm(3), n), make_binary<Sub>(imm(3), n));
  expect(make_binary<Mul>(n, imm(0)), imm(0));
}

TEST_F(Simplify, ComparisonsAreDecidedByBounds) {
  expect(make_binary<LT>(x, imm(64)), make_bool(true));
  expect(make_binary<GE>(x, imm(64)), make_bool(false));
  expect(make_binary<LT>(n * 16 + y, imm(128)), make_binary<LT>(n, imm(8)));
  expect(make_binary<LE>(n + 1, n), make_bool(false));
  expect(make_binary<EQ>(n * 2, n * 2 + 1), make_bool(false));
  expect(make_binary<EQ>(n * 4, imm(6)), make_bool(false));
  expect(make_binary<GT>(n, y), make_binary<LT>(y, n));
}

TEST_F(Simplify, FormsKnowHowTheyAreWritten) {
  const auto same = [&](const Expr& expr) {
    const LinearForm form = linear_form(expr);
    EXPECT_EQ(is_written_as(form, expr), same_expr(to_expr(form), expr)) << text_of(expr);
    return is_written_as(form, expr);
  };
  EXPECT_TRUE(same(n * 4 + y - 3));
  EXPECT_TRUE(same(make_binary<Sub>(imm(3), n)));
  EXPECT_TRUE(same(make_binary<Mul>(n, imm(-2))));
  EXPECT_TRUE(same(make_binary<Sub>(make_binary<Sub>(n, y), imm(1))));
  EXPECT_TRUE(same(imm(-4)));
  EXPECT_FALSE(same(make_binary<Add>(imm(3), n)));
  EXPECT_FALSE(same(make_binary<Add>(n, make_binary<Add>(y, z))));
  EXPECT_FALSE(same(make_binary<Mul>(imm(2), n)));
  EXPECT_FALSE(same(make_binary<Add>(n, imm(-1))));
}

TEST_F(Simplify, ConditionsHelpWhatTheyGuard) {
  const Expr guard = make_binary<LT>(n * 16 + x, imm(100));
  expect(make_binary<And>(guard, make_binary<LT>(n * 16 + x, imm(101))), guard);
  const Expr in_range = make_binary<LT>(n, imm(8));
  expect(if_then_else(in_range, make_binary<Min>(n, imm(7)), imm(0)),
         if_then_else(in_range, n, imm(0)));
  // A select evaluates both sides: the condition says nothing about them.
  expect(make_select(in_range, make_binary<Min>(n, imm(7)), imm(0)),
         make_select(in_range, make_binary<Min>(n, imm(7)), imm(0)));
}

TEST_F(Simplify, MinAndMax) {
  expect(make_binary<Min>(x, imm(64)), x);
  expect(make_binary<Max>(n + 3, n + 5), n + 5);
  expect(make_binary<Min>(make_binary<Min>(n, imm(5)), imm(3)), make_binary<Min>(n, imm(3)));
  expect(make_binary<Min>(imm(3), n), make_binary<Min>(n, imm(3)));
}

TEST_F(Simplify, TruncatingDivisionFloorsAboveZero) {
  expect(make_binary<Div>(x, imm(4)), floordiv(x, 4));
  expect(make_binary<Mod>(x, imm(4)), floormod(x, 4));
  expect(make_binary<Div>(n, imm(4)), make_binary<Div>(n, imm(4)));
  expect(make_binary<Div>(imm(-7), imm(2)), imm(-3));
  expect(make_binary<FloorDiv>(imm(-7), imm(2)), imm(-4));
}

TEST_F(Simplify, SymbolicRangesAreFacts) {
  const Var i = make_var("i");
  analyzer.bind(n, {1, IntInterval::kHighest});
  analyzer.bind(i, Range{imm(0), n});
  EXPECT_TRUE(analyzer.can_prove_less(i, n));
  EXPECT_TRUE(analyzer.can_prove(make_binary<GE>(i, imm(0))));
  EXPECT_FALSE(analyzer.can_prove_less(i + 1, n));
}

TEST_F(Simplify, FloatsFoldOnlyExactly) {
  const Var f = make_var("f", DataType::float32());
  const auto imm_f = [](double value) { return make_float(DataType::float32(), value); };
  expect(make_binary<Mul>(f, imm_f(1)), f);
  expect(make_binary<Add>(f, imm_f(0)), make_binary<Add>(f, imm_f(0)));
  expect(make_binary<Add>(f, imm_f(-0.0)), f);
  expect(make_binary<Sub>(f, imm_f(0)), f);
  expect(make_binary<Mul>(f, imm_f(0)), make_binary<Mul>(f, imm_f(0)));
  expect(make_binary<Add>(imm_f(0.1), imm_f(0.2)), imm_f(0.1F + 0.2F));
}

TEST_F(Simplify, NarrowIntegersWrap) {
  const DataType i8 = DataType::integer(8);
  const Var c = make_var("c", i8);
  expect(make_binary<Add>(make_int(i8, 127), make_int(i8, 1)), make_int(i8, -128));
  const Expr sum = make_binary<Sub>(make_binary<Add>(c, make_int(i8, 100)), make_int(i8, 100));
  expect(sum, sum);
  expect(make_binary<LT>(make_binary<Add>(c, make_int(i8, 1)), c),
         make_binary<LT>(make_binary<Add>(c, make_int(i8, 1)), c));
}

TEST_F(Simplify, VectorsStayRamps) {
  const Expr lanes = make_ramp(x * 16, imm(1), 8);
  const auto all = [](const Expr& value) { return make_broadcast(value, 8); };
  expect(make_binary<Add>(lanes, all(y)), make_ramp(x * 16 + y, imm(1), 8));
  expect(make_binary<Mul>(lanes, all(imm(4))), make_ramp(x * 64, imm(4), 8));
  expect(make_binary<FloorDiv>(lanes, all(imm(8))), all(x * 2));
  expect(make_binary<FloorMod>(lanes, all(imm(32))), make_ramp(floormod(x, 2) * 16, imm(1), 8));
  expect(make_binary<FloorDiv>(make_ramp(n, imm(8), 8), all(imm(4))),
         make_ramp(floordiv(n, 4), imm(2), 8));
  expect(make_binary<Add>(all(n), all(imm(1))), all(n + 1));
  expect(make_binary<LT>(lanes, all(imm(2000))), all(make_bool(true)));
  expect(make_binary<LT>(lanes, all(imm(1015))), make_binary<LT>(lanes, all(imm(1015))));
}

TEST_F(Simplify, LoadsAreSimplifiedInside) {
  const Buffer a = make_buffer("A", DataType::float32(), {imm(64)});
  expect(make_load(a, {floordiv(x * 16 + y, 16)}), make_load(a, {x}));
}

TEST_F(Simplify, PaddedExtentsAreBounded) {
  // ceil(n / 4) * 4 - n lies in [0, 3].
  const IntInterval padding = analyzer.bounds(floordiv(n + 3, 4) * 4 - n);
  EXPECT_EQ(padding, (IntInterval{0, 3}));
  // Two floor divisions whose numerators differ by 5 differ by 1 or 2.
  EXPECT_EQ(analyzer.bounds(floordiv(n + 5 + y * 0, 4) - floordiv(n, 4)), (IntInterval{1, 2}));
}

TEST_F(Simplify, AssumptionsEndWithTheirScope) {
  {
    Analyzer::Scope scope(analyzer);
    analyzer.assume(make_binary<LT>(n, imm(4)));
    EXPECT_TRUE(analyzer.can_prove_less(n, imm(4)));
  }
  EXPECT_FALSE(analyzer.can_prove_less(n, imm(4)));
}

/// Thousands of random expressions: the value stays, simplifying twice changes nothing, and an
/// expression that does not change is the same node.
void fuzz(DataType dtype, uint64_t seed, int count) {
  Random random(seed);
  int changed = 0;
  for (int round = 0; round < count; ++round) {
    std::vector<Var> vars;
    std::vector<std::pair<int64_t, int64_t>> ranges;
    Analyzer analyzer;
    for (const char* name : {"a", "b", "c", "d"}) {
      static constexpr int64_t kExtents[] = {1, 2, 3, 4, 7, 8, 16, 32, 100};
      const int64_t low = random.below(3) == 0 ? random.between(-20, 20) : 0;
      const int64_t extent = kExtents[random.below(9)];
      vars.push_back(make_var(name, dtype));
      ranges.emplace_back(low, low + extent - 1);
      analyzer.bind(vars.back(), IntInterval::range(low, extent));
    }
    testing::Generator generator(random, vars);
    const bool is_condition = random.below(3) == 0;
    const int depth = static_cast<int>(random.between(1, 5));
    const Expr expr = is_condition ? generator.boolean(depth) : generator.integer(depth);
    const Expr simple = analyzer.simplify(expr);
    changed += simple != expr ? 1 : 0;
    ASSERT_EQ(simple->dtype, expr->dtype);
    ASSERT_TRUE(simple == expr || !same_expr(simple, expr)) << text_of(expr);
    ASSERT_EQ(analyzer.simplify(simple), simple)
        << "not idempotent: " << text_of(expr) << "\n  " << text_of(simple) << "\n  "
        << text_of(analyzer.simplify(simple));
    const IntInterval interval =
        is_index_type(dtype) ? analyzer.bounds(expr) : bounds_of(expr, analyzer.vars());
    for (int sample = 0; sample < 40; ++sample) {
      testing::Values values;
      for (size_t i = 0; i < vars.size(); ++i)
        values[vars[i].get()] = sample == 0   ? ranges[i].first
                                : sample == 1 ? ranges[i].second
                                              : random.between(ranges[i].first, ranges[i].second);
      const auto before = evaluate(expr, values);
      const auto after = evaluate(simple, values);
      if (!before)
        continue;
      ASSERT_EQ(before, after) << text_of(expr) << "\n  " << text_of(simple)
                               << "\n  a=" << values[vars[0].get()]
                               << " b=" << values[vars[1].get()] << " c=" << values[vars[2].get()]
                               << " d=" << values[vars[3].get()];
      ASSERT_TRUE(interval.contains(*before))
          << text_of(expr) << " = " << *before << " lies outside [" << interval.low << ", "
          << interval.high << "]";
    }
  }
  EXPECT_GT(changed, count / 3);
}

TEST(SimplifyFuzz, Int32KeepsItsValue) { fuzz(DataType::int32(), 1, 4000); }
TEST(SimplifyFuzz, Int64KeepsItsValue) { fuzz(DataType::int64(), 2, 2000); }
TEST(SimplifyFuzz, Int8KeepsItsWrappedValue) { fuzz(DataType::integer(8), 3, 1500); }
TEST(SimplifyFuzz, UnsignedKeepsItsWrappedValue) {
  Random random(4);
  const DataType u8 = DataType::uint(8);
  const std::vector<Var> vars = {make_var("a", u8), make_var("b", u8)};
  testing::Generator generator(random, vars);
  for (int round = 0; round < 1500; ++round) {
    const Expr expr = generator.integer(4);
    Analyzer analyzer;
    const Expr simple = analyzer.simplify(expr);
    ASSERT_EQ(analyzer.simplify(simple), simple) << text_of(expr);
    for (int sample = 0; sample < 20; ++sample) {
      const testing::Values values = {{vars[0].get(), random.below(256)},
                                      {vars[1].get(), random.below(256)}};
      if (const auto before = evaluate(expr, values)) {
        ASSERT_EQ(before, evaluate(simple, values)) << text_of(expr) << "\n  " << text_of(simple);
      }
    }
  }
}

TEST(SimplifyFuzz, VectorsKeepTheirValues) {
  Random random(5);
  constexpr int kLanes = 8;
  for (int round = 0; round < 2000; ++round) {
    Analyzer analyzer;
    const Var a = make_var("a");
    const Var b = make_var("b");
    analyzer.bind(a, {0, 15});
    analyzer.bind(b, {0, 7});
    testing::Generator generator(random, {a, b});
    const auto vector = [&] {
      return random.below(2) == 0
                 ? make_broadcast(generator.integer(2), kLanes)
                 : make_ramp(generator.integer(2), imm(random.between(-2, 16)), kLanes);
    };
    const Expr divisor = make_broadcast(imm(int64_t{1} << random.below(6)), kLanes);
    Expr expr = vector();
    for (int64_t i = random.between(1, 4); i > 0; --i) {
      switch (random.below(8)) {
      case 0:
        expr = make_binary<Add>(expr, vector());
        break;
      case 1:
        expr = make_binary<Sub>(expr, vector());
        break;
      case 2:
        expr = make_binary<Mul>(expr, divisor);
        break;
      case 3:
        expr = make_binary<FloorDiv>(expr, divisor);
        break;
      case 4:
        expr = make_binary<FloorMod>(expr, divisor);
        break;
      case 5:
        expr = make_binary<Min>(expr, vector());
        break;
      case 6:
        expr = make_select(make_binary<LT>(expr, vector()), expr, vector());
        break;
      default:
        expr = make_binary<Max>(expr, vector());
        break;
      }
    }
    const Expr simple = analyzer.simplify(expr);
    ASSERT_EQ(simple->dtype, expr->dtype);
    ASSERT_EQ(analyzer.simplify(simple), simple) << text_of(expr) << "\n  " << text_of(simple);
    for (int sample = 0; sample < 10; ++sample) {
      const testing::Values values = {{a.get(), random.below(16)}, {b.get(), random.below(8)}};
      for (int lane = 0; lane < kLanes; ++lane) {
        if (const auto before = evaluate(expr, values, lane)) {
          ASSERT_EQ(before, evaluate(simple, values, lane))
              << text_of(expr) << "\n  " << text_of(simple) << "\n  lane " << lane;
        }
      }
    }
  }
}

} // namespace
} // namespace temper::ir
