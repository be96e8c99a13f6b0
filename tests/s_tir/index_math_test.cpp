#include "ir/s_tir/detail/index_math.h"

#include "tests/arith/evaluate.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

namespace temper::s_tir {
namespace {

using ir::testing::evaluate;
using ir::testing::text_of;
using ir::testing::Values;

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

TEST(IndexMath, CountsWhatLiesBetweenQuotients) {
  const Var x = make_var("x");
  IndexMath math;
  math.set_range(x, {0, 40});
  for (const int64_t offset : {0, 3})
    for (const int64_t length : {1, 5, 8, 19}) {
      const Expr first = x * 5 + make_int(DataType::int32(), offset);
      const LinearInterval range{
          math.linear(floordiv(first, 8)),
          math.linear(floordiv(first + make_int(DataType::int32(), length - 1), 8))};
      const Linear count = math.count(range);
      const Expr text = math.expr(count, DataType::int32());
      for (int64_t value = 0; value <= 40; ++value) {
        const int64_t low = value * 5 + offset;
        EXPECT_EQ(*evaluate(text, {{x.get(), value}}), (low + length - 1) / 8 - low / 8 + 1)
            << text_of(text);
      }
      EXPECT_LE(math.bound(count).hi, (length + 6) / 8 + 1) << text_of(text);
    }
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

/// Loops i, j, k, n with random ranges, in `math`, and random expressions over them.
class RandomIndices {
public:
  explicit RandomIndices(uint64_t seed) : random_(seed) {
    for (const char* name : {"i", "j", "k", "n"}) {
      static constexpr int64_t kExtents[] = {1, 2, 3, 4, 6, 8, 16, 31, 64};
      const int64_t low = random_.below(4) == 0 ? random_.between(-20, 20) : 0;
      vars_.push_back(make_var(name));
      ranges_.push_back({low, low + kExtents[random_.below(9)] - 1});
    }
  }
  void declare(IndexMath& math) const {
    for (size_t i = 0; i < vars_.size(); ++i)
      math.set_range(vars_[i], ranges_[i]);
  }
  const std::vector<Var>& vars() const { return vars_; }
  Random& random() { return random_; }
  Expr integer() {
    return ir::testing::Generator(random_, vars_).integer(static_cast<int>(random_.between(1, 5)));
  }
  /// Some iteration: the ends of the ranges are likely.
  Values iteration() {
    Values values;
    for (size_t i = 0; i < vars_.size(); ++i) {
      const int64_t at = random_.below(8);
      values[vars_[i].get()] = at == 0   ? ranges_[i].lo
                               : at == 1 ? ranges_[i].hi
                                         : random_.between(ranges_[i].lo, ranges_[i].hi);
    }
    return values;
  }
  std::string describe(const Values& values) const {
    std::string text;
    for (size_t i = 0; i < vars_.size(); ++i)
      text += fmt::format("{} = {} of [{}, {}] ", vars_[i]->name, values.at(vars_[i].get()),
                          ranges_[i].lo, ranges_[i].hi);
    return text;
  }

private:
  Random random_;
  std::vector<Var> vars_;
  std::vector<Bound> ranges_;
};

constexpr uint64_t kExpressions = 4000;
constexpr int kIterations = 24;

TEST(IndexMath, KeepsTheValueOfAnyExpressionAndBoundsIt) {
  for (uint64_t seed = 1; seed <= kExpressions; ++seed) {
    RandomIndices indices(seed);
    IndexMath math;
    indices.declare(math);
    const Expr expr = indices.integer();
    const Linear form = math.linear(expr);
    const Expr again = math.expr(form, expr->dtype);
    const Bound bound = math.bound(form);
    for (int i = 0; i < kIterations; ++i) {
      const Values values = indices.iteration();
      const auto value = evaluate(expr, values);
      ASSERT_TRUE(value);
      ASSERT_EQ(evaluate(again, values), value)
          << "seed " << seed << ": " << text_of(expr) << " became " << text_of(again) << ", "
          << indices.describe(values);
      ASSERT_TRUE(bound.lo <= *value && *value <= bound.hi)
          << "seed " << seed << ": " << text_of(expr) << " is " << *value << ", outside ["
          << bound.lo << ", " << bound.hi << "], " << indices.describe(values);
    }
  }
}

TEST(IndexMath, RelaxedFormsHoldEveryIterationOfTheInnerLoops) {
  int relaxed = 0;
  for (uint64_t seed = 1; seed <= kExpressions; ++seed) {
    RandomIndices indices(seed);
    IndexMath math;
    indices.declare(math);
    std::vector<const VarNode*> inner;
    for (const Var& var : indices.vars())
      if (indices.random().below(2) == 0)
        inner.push_back(var.get());
    const Expr expr = indices.integer();
    const auto range = math.relax(math.linear(expr), inner);
    if (!range)
      continue;
    ++relaxed;
    const Expr lo = math.expr(range->lo, expr->dtype);
    const Expr hi = math.expr(range->hi, expr->dtype);
    for (const VarNode* var : inner)
      ASSERT_FALSE(mentions(lo, var) || mentions(hi, var))
          << "seed " << seed << ": " << text_of(expr) << " from " << text_of(lo) << " to "
          << text_of(hi);
    for (int i = 0; i < kIterations; ++i) {
      const Values values = indices.iteration();
      const int64_t value = *evaluate(expr, values);
      ASSERT_TRUE(*evaluate(lo, values) <= value && value <= *evaluate(hi, values))
          << "seed " << seed << ": " << text_of(expr) << " is " << value << ", outside "
          << text_of(lo) << " to " << text_of(hi) << ", " << indices.describe(values);
    }
  }
  EXPECT_GT(relaxed, static_cast<int>(kExpressions) / 2);
}

TEST(IndexMath, AComparisonHoldsWhereItsSlackIsNotNegative) {
  for (uint64_t seed = 1; seed <= kExpressions; ++seed) {
    RandomIndices indices(seed);
    IndexMath math;
    indices.declare(math);
    const Expr a = indices.integer(), b = indices.integer();
    const Expr condition = seed % 4 == 0   ? make_binary<LT>(a, b)
                           : seed % 4 == 1 ? make_binary<LE>(a, b)
                           : seed % 4 == 2 ? make_binary<GT>(a, b)
                                           : make_binary<GE>(a, b);
    const auto slack = math.slack(condition);
    ASSERT_TRUE(slack);
    const Expr form = math.expr(*slack, a->dtype);
    for (int i = 0; i < kIterations; ++i) {
      const Values values = indices.iteration();
      ASSERT_EQ(*evaluate(form, values) >= 0, *evaluate(condition, values) != 0)
          << "seed " << seed << ": " << text_of(condition) << " became 0 <= " << text_of(form)
          << ", " << indices.describe(values);
    }
  }
}

// Axes stand for their bindings: what is said of an axis holds of the binding's value.
TEST(IndexMath, AxesStandForTheirBindings) {
  for (uint64_t seed = 1; seed <= kExpressions; ++seed) {
    RandomIndices indices(seed);
    IndexMath math;
    indices.declare(math);
    const std::vector<Var> axes = {make_var("vi"), make_var("vj")};
    const std::vector<Expr> bindings = {indices.integer(), indices.integer()};
    for (size_t i = 0; i < axes.size(); ++i)
      math.define(axes[i], bindings[i]);
    ir::testing::Generator generator(indices.random(), axes);
    const Expr expr = generator.integer(3);
    const Expr over_loops = math.simplify(expr);
    const Bound bound = math.bound(expr);
    for (const Var& axis : axes)
      ASSERT_FALSE(mentions(over_loops, axis.get())) << "seed " << seed;
    for (int i = 0; i < kIterations; ++i) {
      Values values = indices.iteration();
      for (size_t a = 0; a < axes.size(); ++a)
        values[axes[a].get()] = *evaluate(bindings[a], values);
      const int64_t value = *evaluate(expr, values);
      ASSERT_EQ(evaluate(over_loops, values), value)
          << "seed " << seed << ": " << text_of(expr) << " where vi = " << text_of(bindings[0])
          << ", vj = " << text_of(bindings[1]) << " became " << text_of(over_loops) << ", "
          << indices.describe(values);
      ASSERT_TRUE(bound.lo <= value && value <= bound.hi) << "seed " << seed;
    }
  }
}

// Two dimensions out of pieces of three loops, as splits and fuses leave them, some at a wrong
// scale: what is said to cover a box is counted out.
TEST(IndexMath, WhatCoversABoxReachesEachOfItsPoints) {
  int covering = 0;
  int once = 0;
  for (uint64_t seed = 1; seed <= kExpressions; ++seed) {
    Random random(seed);
    IndexMath math;
    std::vector<Var> vars;
    std::vector<int64_t> counts;
    std::vector<const VarNode*> variables;
    for (const char* name : {"f", "g", "h"}) {
      static constexpr int64_t kExtents[] = {1, 2, 3, 4, 6, 8, 12};
      counts.push_back(kExtents[random.below(7)]);
      vars.push_back(make_var(name));
      variables.push_back(vars.back().get());
      math.set_range(vars.back(), {0, counts.back() - 1});
    }
    std::vector<Expr> indices;
    std::vector<int64_t> extents;
    for (int d = 0; d < 2; ++d) {
      Expr index = make_int(DataType::int32(), 0);
      int64_t scale = 1;
      for (int64_t pieces = random.between(1, 3); pieces > 0; --pieces) {
        const auto v = static_cast<size_t>(random.below(3));
        const int64_t divisor = int64_t{1} << random.below(3);
        const int64_t modulus = random.between(2, 6);
        const bool remainder = random.below(2) == 0;
        const Expr quotient = floordiv(vars[v], divisor);
        index = index + (remainder ? floormod(quotient, modulus) : quotient) * scale;
        const int64_t extent = (counts[v] + divisor - 1) / divisor;
        scale *= remainder ? std::min(extent, modulus) : extent;
        scale += random.below(16) == 0 ? 1 : 0;
      }
      indices.push_back(index);
      extents.push_back(std::max<int64_t>(1, scale - (random.below(8) == 0 ? 1 : 0)));
    }
    const Linear forms[] = {math.linear(indices[0]), math.linear(indices[1])};
    const bool clipped[] = {random.below(4) == 0, random.below(4) == 0};
    const bool covers = covers_box(math, forms, extents, clipped, variables, /*injective=*/false);
    const bool injective = covers_box(math, forms, extents, clipped, variables, true);
    ASSERT_TRUE(covers || !injective) << "seed " << seed;
    if (!covers)
      continue;
    ++covering;
    once += injective ? 1 : 0;
    std::map<std::pair<int64_t, int64_t>, int> reached;
    for (int64_t at = 0; at < counts[0] * counts[1] * counts[2]; ++at) {
      const Values values = {{variables[0], at % counts[0]},
                             {variables[1], at / counts[0] % counts[1]},
                             {variables[2], at / counts[0] / counts[1]}};
      ++reached[{*evaluate(indices[0], values), *evaluate(indices[1], values)}];
    }
    for (int64_t x = 0; x < extents[0]; ++x)
      for (int64_t y = 0; y < extents[1]; ++y)
        ASSERT_TRUE(injective ? reached[std::pair(x, y)] == 1 : reached[std::pair(x, y)] > 0)
            << "seed " << seed << ": [" << text_of(indices[0]) << ", " << text_of(indices[1])
            << "], " << x << ", " << y << ", loops of " << counts[0] << ", " << counts[1] << ", "
            << counts[2];
  }
  EXPECT_GT(covering, 400);
  EXPECT_GT(once, 20);
}

} // namespace
} // namespace temper::s_tir
