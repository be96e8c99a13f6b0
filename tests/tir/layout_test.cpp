// Layouts are checked as maps, element by element: what the algebra returns is compared with the
// function it claims to be.
#include "ir/tir/layout.h"

#include "ir/json_graph.h"
#include "ir/structural.h"
#include "tests/tir/random_layout.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace temper::tir {
namespace {

using testing::random_bijection;

/// Independent of LayoutMap: by the definition at the head of layout.h. All places of an element.
using Place = std::map<std::string, int64_t>;
std::set<Place> places_of(const Layout& layout, int64_t number) {
  const auto swizzled = [](const XorSwizzle& s, int64_t x) {
    int64_t result = x;
    for (int64_t bit = 0; bit < s.bits; ++bit)
      if ((x >> (s.base + s.shift + bit)) % 2 == 1)
        result ^= int64_t{1} << (s.base + bit);
    return result;
  };
  int64_t rest = swizzled(layout.input_swizzle, number);
  Place base;
  for (const std::string& axis : layout.axes())
    base[axis] = 0;
  for (const LayoutOffset& offset : layout.offsets)
    base[offset.axis] += offset.value;
  for (auto digit = layout.digits.rbegin(); digit != layout.digits.rend(); ++digit) {
    base[digit->axis] += (rest % digit->extent) * digit->stride;
    rest /= digit->extent;
  }
  std::vector<Place> places{base};
  for (const LayoutDigit& digit : layout.replicas) {
    std::vector<Place> more;
    for (const Place& place : places)
      for (int64_t i = 0; i < digit.extent; ++i) {
        more.push_back(place);
        more.back()[digit.axis] += i * digit.stride;
      }
    places = std::move(more);
  }
  for (Place& place : places)
    place[kMemoryAxis] = swizzled(layout.swizzle, place[kMemoryAxis]);
  return {places.begin(), places.end()};
}

void expect_same_map(const Layout& a, const Layout& b) {
  ASSERT_EQ(a.shape, b.shape);
  for (int64_t i = 0; i < a.size(); ++i)
    ASSERT_EQ(places_of(a, i), places_of(b, i)) << to_text(a) << " and " << to_text(b);
}

Layout parsed(const std::string& text) {
  auto layout = parse_layout(text);
  EXPECT_TRUE(layout.has_value()) << (layout ? "" : layout.error().message);
  return layout ? *layout : Layout{};
}

TEST(Layout, a_place_is_what_the_digits_add_up_to) {
  const Layout layout = parsed(R"(T.Fragment((4, 6), [(2, 5, "warp"), (2, 1), (6, 3, "lane")]))");
  const LayoutMap map(layout);
  ASSERT_EQ(map.axes(), (std::vector<std::string>{"warp", "lane", "m"}));
  std::vector<int64_t> place(3);
  map.place(3 * 6 + 4, place); // row 3 = warp digit 1, register 1; column 4
  EXPECT_EQ(place, (std::vector<int64_t>{5, 12, 1}));
  EXPECT_EQ(layout.span("warp"), 6);
  EXPECT_EQ(layout.span("lane"), 16);
  EXPECT_EQ(layout.span("m"), 2);
  EXPECT_TRUE(is_injective(layout));
  EXPECT_FALSE(is_bijective(layout));
}

TEST(Layout, evaluation_agrees_with_the_definition_on_random_layouts) {
  Random random(7);
  for (int round = 0; round < 120; ++round) {
    const Layout layout = random_bijection(random, round % 2 == 0, round % 3 == 0, round % 5 == 0);
    ASSERT_TRUE(verify_layout(layout).has_value());
    const LayoutMap map(layout);
    std::vector<int64_t> values(map.axes().size());
    for (int64_t i = 0; i < layout.size(); ++i) {
      std::set<Place> places;
      for (int64_t r = 0; r < map.replication(); ++r) {
        map.place(i, values, r);
        Place place;
        for (size_t a = 0; a < values.size(); ++a)
          place[map.axes()[a]] = values[a];
        places.insert(std::move(place));
      }
      ASSERT_EQ(places, places_of(layout, i));
      if (map.replication() == 1) {
        ASSERT_EQ(map.offset(i), values.back());
      }
    }
  }
}

TEST(Layout, random_bijections_take_every_place_once) {
  Random random(11);
  for (int round = 0; round < 100; ++round) {
    const Layout layout = random_bijection(random, round % 2 == 0, round % 3 == 0, round % 4 == 0);
    std::set<Place> taken;
    int64_t places = 1;
    for (const std::string& axis : layout.axes())
      places *= layout.span(axis);
    for (int64_t i = 0; i < layout.size(); ++i)
      for (const Place& place : places_of(layout, i)) {
        ASSERT_TRUE(taken.insert(place).second) << to_text(layout);
        for (const auto& [axis, value] : place)
          ASSERT_LT(value, layout.span(axis)) << to_text(layout);
      }
    ASSERT_EQ(static_cast<int64_t>(taken.size()), places);
    EXPECT_TRUE(is_bijective(layout)) << to_text(layout);
  }
}

TEST(Layout, injectivity_is_that_of_the_map) {
  Random random(13);
  int injective = 0;
  for (int round = 0; round < 500; ++round) {
    Layout layout;
    const int64_t digits = random.between(1, 4);
    int64_t extent = 1;
    for (int64_t i = 0; i < digits; ++i) {
      layout.digits.push_back(
          {random.between(1, 4), random.below(9), random.below(3) == 0 ? kLaneAxis : kMemoryAxis});
      extent *= layout.digits.back().extent;
    }
    layout.shape = {extent};
    std::set<Place> taken;
    bool unique = true;
    for (int64_t i = 0; i < extent; ++i)
      for (const Place& place : places_of(layout, i))
        unique &= taken.insert(place).second;
    ASSERT_EQ(is_injective(layout), unique) << to_text(layout);
    injective += unique;
  }
  EXPECT_GT(injective, 50);
  EXPECT_LT(injective, 450);
}

TEST(Layout, canonical_is_the_same_map_and_has_no_digits_to_merge) {
  Random random(17);
  for (int round = 0; round < 120; ++round) {
    Layout layout = random_bijection(random, round % 2 == 0, round % 3 == 0, round % 5 == 0);
    // Cut a digit, which canonical() must put together again.
    const Layout whole = canonical(layout);
    const auto at = static_cast<size_t>(random.below(static_cast<int64_t>(layout.digits.size())));
    LayoutDigit& digit = layout.digits[at];
    if (digit.extent % 2 == 0) {
      const LayoutDigit inner{2, digit.stride, digit.axis};
      digit = {digit.extent / 2, 2 * digit.stride, digit.axis};
      layout.digits.insert(layout.digits.begin() + static_cast<std::ptrdiff_t>(at) + 1, inner);
    }
    layout.digits.insert(layout.digits.begin(), {1, 77, kWarpAxis});
    ASSERT_TRUE(verify_layout(layout).has_value());
    ASSERT_EQ(canonical(layout), whole);
    EXPECT_TRUE(equivalent(layout, whole));
    Layout without = layout;
    without.digits.erase(without.digits.begin());
    expect_same_map(without, whole);
  }
}

TEST(Layout, equivalent_tells_different_maps_apart) {
  EXPECT_FALSE(equivalent(row_major({4, 8}), column_major({4, 8})));
  EXPECT_FALSE(equivalent(row_major({4, 8}), row_major({8, 4})));
  Layout swizzled = row_major({8, 8});
  swizzled.swizzle = {3, 0, 3};
  EXPECT_FALSE(equivalent(row_major({8, 8}), swizzled));
  // A swizzle whose source bits are always zero does nothing.
  Layout idle = row_major({8, 8});
  idle.swizzle = {3, 0, 6};
  EXPECT_TRUE(equivalent(row_major({8, 8}), idle));
}

TEST(Layout, an_inverse_undoes_its_layout_and_is_undone_by_it) {
  Random random(19);
  for (int round = 0; round < 150; ++round) {
    const Layout layout = random_bijection(random, round % 2 == 0, round % 3 == 0, round % 4 == 0);
    auto back = inverse(layout);
    if (!back) {
      // Only where a swizzle's source bits reach beyond one thread's memory.
      ASSERT_FALSE(layout.swizzle.empty()) << back.error().message;
      ASSERT_NE(layout.span(kMemoryAxis) % layout.swizzle.period(), 0);
      continue;
    }
    const std::vector<std::string> axes = layout.axes();
    ASSERT_EQ(back->shape.size(), axes.size());
    const LayoutMap back_map(*back);
    for (int64_t i = 0; i < layout.size(); ++i)
      for (const Place& place : places_of(layout, i)) {
        std::vector<int64_t> coordinate;
        for (const std::string& axis : axes)
          coordinate.push_back(place.at(axis));
        ASSERT_EQ(back_map.offset(number_of(back->shape, coordinate)), i)
            << to_text(layout) << " against " << to_text(*back);
      }
    if (axes.size() == 1) {
      auto again = inverse(*back);
      ASSERT_TRUE(again.has_value());
      Layout flat = *reshape(layout, {layout.size()});
      EXPECT_TRUE(equivalent(*again, flat)) << to_text(*again) << " against " << to_text(flat);
      auto identity = compose(*back, layout);
      ASSERT_TRUE(identity.has_value()) << identity.error().message;
      EXPECT_TRUE(equivalent(*identity, row_major(layout.shape))) << to_text(*identity);
    }
  }
}

TEST(Layout, what_has_no_inverse_says_why) {
  const auto why = [](const std::string& text) {
    auto result = inverse(parsed(text));
    return result ? "it has" : result.error().message;
  };
  EXPECT_NE(why("T.Layout((4, 8), [(4, 9), (8, 1)])").find("stride of 9 follows 8"),
            std::string::npos);
  EXPECT_NE(why("T.Layout((4, 8), [(4, 0), (8, 1)])").find("same place"), std::string::npos);
  EXPECT_NE(why("T.Layout((8,), [(8, 1)], offsets=[(4,)])").find("below 4"), std::string::npos);
}

TEST(Layout, composition_is_composition_of_functions) {
  Random random(23);
  int found = 0;
  for (int round = 0; round < 600; ++round) {
    const bool swizzles = round % 3 == 0;
    const Layout outer = random_bijection(random, round % 2 == 0, round % 5 == 0, swizzles);
    // An inner layout that reaches into outer: part of a bijection of the same kind.
    Layout inner = random_bijection(random, round % 4 == 0, false, swizzles && round % 2 == 0);
    if (inner.span(kMemoryAxis) > outer.size())
      continue;
    auto result = compose(outer, inner);
    if (!result)
      continue;
    ++found;
    for (int64_t i = 0; i < inner.size(); ++i) {
      std::set<Place> expected;
      for (const Place& middle : places_of(inner, i))
        for (Place place : places_of(outer, middle.at(kMemoryAxis))) {
          for (const auto& [axis, value] : middle)
            if (axis != kMemoryAxis)
              place[axis] += value;
          expected.insert(std::move(place));
        }
      std::set<Place> actual;
      for (Place place : places_of(*result, i)) {
        for (const Place& other : expected)
          for (const auto& [axis, value] : other)
            place.emplace(axis, 0);
        actual.insert(std::move(place));
      }
      ASSERT_EQ(actual, expected) << to_text(outer) << " after " << to_text(inner) << " is not "
                                  << to_text(*result);
    }
  }
  EXPECT_GT(found, 150); // most pairs do compose
}

TEST(Layout, composition_with_an_inner_layout_that_fits_never_fails) {
  // Inner digits along outer's: always a layout.
  const Layout outer =
      parsed(R"(T.Fragment((16, 8), [(2, 2), (8, 4, "lane"), (4, 1, "lane"), (2, 1)]))");
  const auto row = compose(outer, parsed("T.Layout((8,), [(8, 1)], offsets=[(72,)])")); // row 9
  ASSERT_TRUE(row.has_value()) << row.error().message;
  EXPECT_EQ(to_text(*row),
            R"(T.Fragment((8,), [(4, 1, "lane"), (2, 1)], offsets=[(4, "lane"), (2,)]))");
  const auto transposed = compose(outer, parsed("T.Layout((8, 16), [(8, 1), (16, 8)])"));
  ASSERT_TRUE(transposed.has_value());
  EXPECT_EQ(*transposed, *permute(outer, {1, 0}));
  // 3 x 5 out of 16 x 8: rows fall on the digits of 8 rows only in part.
  EXPECT_FALSE(compose(outer, parsed("T.Layout((3, 5), [(3, 24), (5, 3)])")).has_value());
}

TEST(Layout, tiles_lie_side_by_side) {
  Random random(29);
  int tiled = 0;
  for (int round = 0; round < 500; ++round) {
    const Layout atom = random_bijection(random, round % 2 == 0, round % 3 == 0, round % 4 == 0);
    Layout outer = random_bijection(random, round % 2 == 0, round % 7 == 0, false);
    if (outer.rank() != atom.rank() || outer.size() * atom.size() > 4096)
      continue;
    auto result = tile(atom, outer);
    if (!result) {
      EXPECT_FALSE(atom.swizzle.empty()) << result.error().message;
      continue;
    }
    ++tiled;
    for (int64_t i = 0; i < result->size(); ++i) {
      const std::vector<int64_t> at = coordinate_of(result->shape, i);
      std::vector<int64_t> in_outer, in_atom;
      for (size_t d = 0; d < at.size(); ++d) {
        in_outer.push_back(at[d] / atom.shape[d]);
        in_atom.push_back(at[d] % atom.shape[d]);
      }
      std::set<Place> expected;
      for (const Place& o : places_of(outer, number_of(outer.shape, in_outer)))
        for (Place a : places_of(atom, number_of(atom.shape, in_atom))) {
          for (const auto& [axis, value] : o)
            a[axis] += value * atom.span(axis);
          for (const std::string& axis : result->axes())
            a.emplace(axis, 0);
          expected.insert(std::move(a));
        }
      std::set<Place> actual;
      for (Place place : places_of(*result, i)) {
        for (const Place& other : expected)
          for (const auto& [axis, value] : other)
            place.emplace(axis, 0);
        actual.insert(std::move(place));
      }
      ASSERT_EQ(actual, expected) << to_text(atom) << " by " << to_text(outer);
    }
  }
  EXPECT_GT(tiled, 30);
}

TEST(Layout, a_swizzled_atom_smaller_than_its_period_is_not_tiled) {
  const Layout atom = parsed("T.Layout((4, 8), [(4, 8), (8, 1)], swizzle=(2, 0, 3))");
  EXPECT_TRUE(tile(atom, row_major({2, 2})).has_value());
  const Layout small = parsed("T.Layout((2, 8), [(2, 8), (8, 1)], swizzle=(2, 0, 3))");
  auto result = tile(small, row_major({2, 2}));
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().message.find("runs of 32"), std::string::npos) << result.error().message;
}

TEST(Layout, permuting_and_reshaping_keep_elements_where_they_are) {
  Random random(31);
  for (int round = 0; round < 100; ++round) {
    const Layout layout = random_bijection(random, true, round % 3 == 0, round % 4 == 0);
    std::vector<int> order(layout.shape.size());
    for (size_t d = 0; d < order.size(); ++d)
      order[d] = static_cast<int>((d + static_cast<size_t>(round)) % order.size());
    auto permuted = permute(layout, order);
    ASSERT_TRUE(permuted.has_value());
    for (int64_t i = 0; i < layout.size(); ++i) {
      const std::vector<int64_t> at = coordinate_of(permuted->shape, i);
      std::vector<int64_t> old(at.size());
      for (size_t d = 0; d < at.size(); ++d)
        old[static_cast<size_t>(order[d])] = at[d];
      ASSERT_EQ(places_of(*permuted, i), places_of(layout, number_of(layout.shape, old)));
    }
    auto flat = reshape(layout, {layout.size()});
    ASSERT_TRUE(flat.has_value());
    for (int64_t i = 0; i < layout.size(); ++i)
      ASSERT_EQ(places_of(*flat, i), places_of(layout, i));
    auto back = reshape(*flat, layout.shape);
    ASSERT_TRUE(back.has_value()) << back.error().message;
    EXPECT_EQ(*back, canonical(layout));
  }
  EXPECT_FALSE(
      reshape(parsed(R"(T.Fragment((6,), [(2, 1, "lane"), (3, 1)]))"), {3, 2}).has_value());
}

TEST(Layout, a_reduction_leaves_its_threads_as_replicas) {
  // mma's accumulator summed over columns: the four lanes of a group all hold the row's sum.
  const Layout c =
      parsed(R"(T.Fragment((16, 8), [(2, 2), (8, 4, "lane"), (4, 1, "lane"), (2, 1)]))");
  auto rows = reduced(c, 1);
  ASSERT_TRUE(rows.has_value());
  EXPECT_EQ(to_text(*rows),
            R"(T.Fragment((16,), [(2, 1), (8, 4, "lane")], replicas=[(4, 1, "lane")]))");
  auto columns = reduced(c, 0);
  ASSERT_TRUE(columns.has_value());
  EXPECT_EQ(to_text(*columns),
            R"(T.Fragment((8,), [(4, 1, "lane"), (2, 1)], replicas=[(8, 4, "lane")]))");
  // Each thread that holds an element of a row holds the row's result.
  for (int64_t i = 0; i < c.size(); ++i)
    for (const Place& place : places_of(c, i)) {
      bool found = false;
      for (const Place& result : places_of(*rows, i / 8))
        found |= result.at("lane") == place.at("lane");
      ASSERT_TRUE(found);
    }
}

TEST(Layout, threads_flatten_and_split_again) {
  Random random(37);
  for (int round = 0; round < 100; ++round) {
    Layout layout = random_bijection(random, true, round % 3 == 0, false);
    if (layout.span(kLaneAxis) > 32)
      continue;
    const Layout flat = flatten_threads(layout);
    EXPECT_FALSE(flat.has_axis(kLaneAxis));
    for (int64_t i = 0; i < layout.size(); ++i) {
      std::set<std::pair<int64_t, int64_t>> expected, actual;
      for (Place place : places_of(layout, i))
        expected.emplace(32 * place[kWarpAxis] + place[kLaneAxis], place[kMemoryAxis]);
      for (Place place : places_of(flat, i))
        actual.emplace(place[kThreadAxis], place[kMemoryAxis]);
      ASSERT_EQ(actual, expected);
    }
    auto split = split_threads(flat);
    ASSERT_TRUE(split.has_value()) << split.error().message << to_text(flat);
    EXPECT_TRUE(equivalent(*split, layout)) << to_text(*split) << " was " << to_text(layout);
  }
  // 128 threads in a row: four warps.
  auto split = split_threads(parsed(R"(T.Fragment((256,), [(128, 1, "thread"), (2, 1)]))"));
  ASSERT_TRUE(split.has_value());
  EXPECT_EQ(to_text(*split), R"(T.Fragment((256,), [(4, 1, "warp"), (32, 1, "lane"), (2, 1)]))");
}

TEST(Layout, vector_widths_are_runs_in_memory) {
  Random random(41);
  int wide = 0;
  for (int round = 0; round < 120; ++round) {
    const Layout layout = random_bijection(random, round % 2 == 0, false, round % 3 == 0);
    const int64_t width = vector_width(layout);
    wide += width > 1;
    for (int64_t i = 0; i < layout.size(); ++i) {
      Place place = *places_of(layout, i - i % width).begin();
      ASSERT_EQ(place[kMemoryAxis] % width, 0);
      place[kMemoryAxis] += i % width;
      ASSERT_EQ(place, *places_of(layout, i).begin()) << to_text(layout) << " width " << width;
    }
  }
  EXPECT_GT(wide, 8);
  EXPECT_EQ(vector_width(row_major({16, 24})), 24);
  EXPECT_EQ(vector_width(strided({16, 24}, {28, 1})), 4);
  EXPECT_EQ(vector_width(parsed("T.Layout((8, 64), [(8, 64), (64, 1)], swizzle=(3, 3, 3))")), 8);
}

TEST(Layout, a_map_is_recognised_as_the_layout_it_comes_from) {
  Random random(43);
  for (int round = 0; round < 100; ++round) {
    const Layout layout = random_bijection(random, round % 2 == 0, false, round % 2 == 1);
    const std::vector<std::string> axes = layout.axes();
    auto found = layout_of_map(
        layout.shape, axes, [&](std::span<const int64_t> at, std::span<int64_t> values) {
          const Place place = *places_of(layout, number_of(layout.shape, at)).begin();
          for (size_t a = 0; a < axes.size(); ++a)
            values[a] = place.at(axes[a]);
        });
    ASSERT_TRUE(found.has_value()) << to_text(layout) << ": " << found.error().message;
    expect_same_map(*found, layout);
    ASSERT_LE(found->digits.size(), canonical(layout).digits.size());
  }
  // (i * j) is none.
  auto none = layout_of_map(
      {4, 4}, {kMemoryAxis},
      [](std::span<const int64_t> at, std::span<int64_t> values) { values[0] = at[0] * at[1]; });
  EXPECT_FALSE(none.has_value());
}

TEST(Layout, text_json_and_expressions_give_the_same_layout_back) {
  Random random(47);
  for (int round = 0; round < 120; ++round) {
    Layout layout = random_bijection(random, round % 2 == 0, round % 3 == 0, round % 4 == 0);
    if (round % 5 == 0)
      layout.offsets = {{3, kMemoryAxis}, {2, kWarpAxis}};
    if (round % 7 == 0 && round % 4 != 0)
      if (auto back = inverse(layout))
        layout = *back;
    auto again = parse_layout(to_text(layout));
    ASSERT_TRUE(again.has_value()) << to_text(layout) << ": " << again.error().message;
    ASSERT_EQ(*again, layout);
    const Expr expr = to_expr(layout);
    auto from_expr = layout_of(expr);
    ASSERT_TRUE(from_expr.has_value());
    ASSERT_EQ(*from_expr, layout);
    EXPECT_TRUE(structural_equal(expr, to_expr(*again)));
    EXPECT_EQ(structural_hash(expr), structural_hash(to_expr(*again)));
    Layout other = layout;
    other.digits.back().stride += 1;
    EXPECT_FALSE(structural_equal(expr, to_expr(other)));
    EXPECT_NE(structural_hash(expr), structural_hash(to_expr(other)));
  }
}

TEST(Layout, bad_text_and_bad_layouts_are_refused_with_a_sentence) {
  const auto why = [](const std::string& text) {
    auto result = parse_layout(text);
    return result ? "accepted " + to_text(*result) : result.error().message;
  };
  EXPECT_NE(why("T.Layout((4, 4), [(4, 1)])").find("dimension 1 multiply to 1"), std::string::npos)
      << why("T.Layout((4, 4), [(4, 1)])");
  EXPECT_NE(why("T.Layout((4,), [(2, 1), (2, 2), (2, 4)])").find("1 digits more"),
            std::string::npos);
  EXPECT_NE(why("T.Layout((4,), [(4, -1)])").find("stride of at least 0"), std::string::npos);
  EXPECT_NE(why("T.Layout((64,), [(64, 1)], swizzle=(3, 0, 2))").find("overlap"),
            std::string::npos);
  EXPECT_NE(why("T.Layout((4,), [(4,)])").find("digits of a layout are a list"), std::string::npos);
  EXPECT_NE(why("T.Layout((4,), [(4, 1)], colour=(1,))").find("no argument colour"),
            std::string::npos);
  EXPECT_NE(why("T.Layout((4,), [(4, 1)").find("column"), std::string::npos);
  EXPECT_NE(why("T.Buffer((4,))").find("expected T.Layout"), std::string::npos);
  EXPECT_EQ(to_text(parsed("Layout((2, 3))")), "T.Layout((2, 3), [(2, 3), (3, 1)])");
}

} // namespace
} // namespace temper::tir
