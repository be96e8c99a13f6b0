#include "ir/arith/iter_map.h"

#include "tests/arith/evaluate.h"

#include <gtest/gtest.h>

#include <set>

namespace temper::ir {
namespace {

using testing::evaluate;
using testing::text_of;

Expr imm(int64_t value) { return make_int(DataType::int32(), value); }

class IterMapTest : public ::testing::Test {
protected:
  Var loop(const char* name, int64_t extent, int64_t min = 0) {
    loops.push_back({make_var(name), {imm(min), imm(extent)}});
    return loops.back().var;
  }
  Result<IterMap> detect(std::vector<Expr> list, Expr predicate = nullptr) {
    bindings = std::move(list);
    return detect_iter_map(bindings, loops, predicate, analyzer);
  }
  /// Runs the loops: is every combination of values reached, how often at most?
  void enumerate(const Expr& predicate, size_t& distinct, size_t& runs) {
    std::set<std::vector<int64_t>> seen;
    runs = 0;
    testing::Values values;
    const auto run = [&](auto&& self, size_t depth) -> void {
      if (depth == loops.size()) {
        if (predicate && *evaluate(predicate, values) == 0)
          return;
        std::vector<int64_t> point;
        for (const Expr& binding : bindings)
          point.push_back(*evaluate(binding, values));
        seen.insert(point);
        ++runs;
        return;
      }
      const int64_t min = *as_int(loops[depth].range.min);
      for (int64_t i = 0; i < *as_int(loops[depth].range.extent); ++i) {
        values[loops[depth].var.get()] = min + i;
        self(self, depth + 1);
      }
    };
    run(run, 0);
    distinct = seen.size();
  }
  /// A found map must be what running the loops shows.
  void check(const IterMap& map, const Expr& predicate = nullptr) {
    size_t distinct = 0;
    size_t runs = 0;
    enumerate(predicate, distinct, runs);
    size_t points = 1;
    for (const IterSum& sum : map.sums)
      points *= static_cast<size_t>(sum.extent());
    EXPECT_EQ(points, distinct) << "not all points are reached";
    EXPECT_EQ(map.bijective, runs == distinct);
    if (map.bijective) {
      std::vector<Expr> outputs;
      for (size_t i = 0; i < bindings.size(); ++i)
        outputs.push_back(make_var("o" + std::to_string(i)));
      const std::vector<Expr> back = inverse(map, loops, outputs, analyzer);
      testing::Values values;
      const auto run = [&](auto&& self, size_t depth) -> void {
        if (depth == loops.size()) {
          if (predicate && *evaluate(predicate, values) == 0)
            return;
          testing::Values results = values;
          for (size_t i = 0; i < bindings.size(); ++i)
            results[outputs[i].as<VarNode>()] = *evaluate(bindings[i], values);
          for (size_t i = 0; i < loops.size(); ++i)
            ASSERT_EQ(evaluate(back[i], results), values[loops[i].var.get()]) << text_of(back[i]);
          return;
        }
        const int64_t min = *as_int(loops[depth].range.min);
        for (int64_t i = 0; i < *as_int(loops[depth].range.extent); ++i) {
          values[loops[depth].var.get()] = min + i;
          self(self, depth + 1);
        }
      };
      run(run, 0);
    }
  }

  std::vector<VarRange> loops;
  std::vector<Expr> bindings;
  Analyzer analyzer;
};

TEST_F(IterMapTest, SplitLoopsAreBijective) {
  const Var i0 = loop("i0", 4);
  const Var i1 = loop("i1", 8);
  const Var j = loop("j", 3);
  const auto map = detect({i0 * 8 + i1, j});
  ASSERT_TRUE(map);
  EXPECT_TRUE(map->bijective);
  check(*map);
}

TEST_F(IterMapTest, FusedLoopsAreBijective) {
  const Var f = loop("f", 24);
  const auto map = detect({floordiv(f, 8), floormod(f, 8)});
  ASSERT_TRUE(map);
  EXPECT_TRUE(map->bijective);
  check(*map);
}

TEST_F(IterMapTest, FuseThenSplitAcrossFactors) {
  const Var i = loop("i", 4);
  const Var j = loop("j", 6);
  const auto map = detect({floordiv(i * 6 + j, 8), floormod(i * 6 + j, 8)});
  ASSERT_TRUE(map);
  EXPECT_TRUE(map->bijective);
  check(*map);
}

TEST_F(IterMapTest, PredicateCutsASplit) {
  const Var i0 = loop("i0", 4);
  const Var i1 = loop("i1", 4);
  const Expr predicate = less(i0 * 4 + i1, imm(13));
  const auto map = detect({i0 * 4 + i1}, predicate);
  ASSERT_TRUE(map);
  EXPECT_TRUE(map->bijective);
  EXPECT_EQ(map->sums[0].extent(), 13);
  check(*map, predicate);
}

TEST_F(IterMapTest, PredicatesOfASplitOfASplit) {
  const Var i0 = loop("i0", 7);
  const Var i1 = loop("i1", 4);
  const Var i2 = loop("i2", 4);
  const Expr inner = i1 * 4 + i2;
  const Expr predicate = logical_and(less(i0 * 15 + inner, imm(100)), less(inner, imm(15)));
  const auto map = detect({i0 * 15 + inner}, predicate);
  ASSERT_TRUE(map) << map.error().to_string();
  EXPECT_EQ(map->sums[0].extent(), 100);
  check(*map, predicate);
}

TEST_F(IterMapTest, UnusedLoopsRepeatTheBlock) {
  const Var i = loop("i", 4);
  loop("j", 3);
  const auto map = detect({i});
  ASSERT_TRUE(map);
  EXPECT_FALSE(map->bijective);
  check(*map);
}

TEST_F(IterMapTest, LoopsOfOneIterationDoNotCount) {
  const Var i = loop("i", 1);
  const Var j = loop("j", 8);
  const auto map = detect({i * 8 + j});
  ASSERT_TRUE(map);
  EXPECT_TRUE(map->bijective);
  check(*map);
}

TEST_F(IterMapTest, LoopsMayStartAnywhere) {
  const Var i = loop("i", 4, 2);
  const Var j = loop("j", 8, 1);
  const auto map = detect({i * 8 + j});
  ASSERT_TRUE(map);
  EXPECT_TRUE(map->bijective);
  check(*map);
}

TEST_F(IterMapTest, OverlapIsRejected) {
  const Var i = loop("i", 4);
  const Var j = loop("j", 3);
  EXPECT_FALSE(detect({i + j}));
  EXPECT_FALSE(detect({i, i}));
  EXPECT_FALSE(detect({i * 2 + j}));
  EXPECT_FALSE(detect({i * 4 + j})); // gap
  EXPECT_FALSE(detect({imm(3) - i}));
  EXPECT_FALSE(detect({make_binary<Mul>(i, i)}));
  EXPECT_FALSE(detect({floordiv(i * 3 + j, 5)}));
}

TEST_F(IterMapTest, UnrelatedPredicateIsRejected) {
  const Var i = loop("i", 4);
  const Var j = loop("j", 4);
  EXPECT_FALSE(detect({i, j}, less(i + j, imm(5))));
  EXPECT_FALSE(detect({i, j}, less(i * 4 + j, imm(5))));
}

TEST_F(IterMapTest, RandomSplitsAndFusionsAgreeWithRunningThem) {
  Random random(11);
  int found = 0;
  for (int round = 0; round < 300; ++round) {
    loops.clear();
    // Axes are split, fused and split again, as a schedule does; some expressions are then broken.
    std::vector<Expr> axes;
    const int64_t axis_count = random.between(1, 2);
    for (int64_t a = 0; a < axis_count; ++a) {
      Expr value = imm(0);
      int64_t extent = 1;
      for (int64_t part = random.between(1, 3); part > 0; --part) {
        const int64_t factor = random.between(1, 4);
        value = value * factor + loop("i", factor);
        extent *= factor;
      }
      if (random.below(2) == 0 && extent > 1) {
        static constexpr int64_t kFactors[] = {2, 3, 4, 6};
        const int64_t factor = kFactors[random.below(4)];
        axes.push_back(floordiv(value, factor));
        axes.push_back(floormod(value, factor));
      } else {
        axes.push_back(value);
      }
    }
    if (random.below(4) == 0)
      axes[0] = axes[0] + axes.back();
    if (random.below(4) == 0)
      axes.pop_back();
    if (const auto map = detect(axes)) {
      ++found;
      check(*map);
    }
    if (::testing::Test::HasFailure())
      break;
  }
  EXPECT_GT(found, 100);
}

} // namespace
} // namespace temper::ir
