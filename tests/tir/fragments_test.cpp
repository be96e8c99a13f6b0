// The tables of fragments.h against formulas written down independently, as the PTX ISA gives them:
// by lane and register, with the case distinctions of its figures' captions.
#include "ir/tir/fragments.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace temper::tir {
namespace {

/// (row, column) of register i of a lane.
using Formula = std::function<std::pair<int, int>(int lane, int i)>;

void expect_formula(const std::string& name, int rows, int columns, int registers,
                    const Formula& formula) {
  SCOPED_TRACE(name);
  auto layout = hardware_fragment(name);
  ASSERT_TRUE(layout.has_value()) << layout.error().message;
  ASSERT_EQ(layout->shape, (std::vector<int64_t>{rows, columns}));
  EXPECT_TRUE(is_bijective(*layout));
  EXPECT_EQ(layout->span(kLaneAxis), 32);
  EXPECT_EQ(layout->span(kMemoryAxis), registers);
  const LayoutMap map(*layout);
  const auto lane_at = static_cast<size_t>(map.find(kLaneAxis));
  std::vector<int64_t> place(map.axes().size());
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < registers; ++i) {
      const auto [row, column] = formula(lane, i);
      ASSERT_GE(row, 0);
      ASSERT_LT(row, rows);
      map.place(int64_t{row} * columns + column, place);
      ASSERT_EQ(place[lane_at], lane) << "element " << row << ", " << column;
      ASSERT_EQ(place.back(), i) << "element " << row << ", " << column;
    }
}

int group(int lane) { return lane >> 2; }
int in_group(int lane) { return lane % 4; }

std::pair<int, int> accumulator(int lane, int i) {
  return {i < 2 ? group(lane) : group(lane) + 8, in_group(lane) * 2 + (i & 1)};
}

TEST(Fragments, m16n8k16_for_16_bits_is_as_documented) {
  expect_formula("mma.m16n8k16.A", 16, 16, 8, [](int lane, int i) {
    const int row = (i >= 0 && i < 2) || (i >= 4 && i < 6) ? group(lane) : group(lane) + 8;
    const int column = i < 4 ? in_group(lane) * 2 + (i & 1) : in_group(lane) * 2 + (i & 1) + 8;
    return std::pair(row, column);
  });
  expect_formula("mma.m16n8k16.B", 16, 8, 4, [](int lane, int i) {
    const int row = i < 2 ? in_group(lane) * 2 + (i & 1) : in_group(lane) * 2 + (i & 1) + 8;
    return std::pair(row, group(lane));
  });
  expect_formula("mma.m16n8k16.C", 16, 8, 4, accumulator);
}

TEST(Fragments, m16n8k8_for_16_bits_is_as_documented) {
  expect_formula("mma.m16n8k8.A", 16, 8, 4, [](int lane, int i) {
    return std::pair(i < 2 ? group(lane) : group(lane) + 8, in_group(lane) * 2 + (i & 1));
  });
  expect_formula("mma.m16n8k8.B", 8, 8, 2,
                 [](int lane, int i) { return std::pair(in_group(lane) * 2 + i, group(lane)); });
  expect_formula("mma.m16n8k8.C", 16, 8, 4, accumulator);
}

TEST(Fragments, tf32_is_as_documented) {
  expect_formula("mma.m16n8k4.tf32.A", 16, 4, 2, [](int lane, int i) {
    return std::pair(i == 0 ? group(lane) : group(lane) + 8, in_group(lane));
  });
  expect_formula("mma.m16n8k4.tf32.B", 4, 8, 1,
                 [](int lane, int) { return std::pair(in_group(lane), group(lane)); });
  expect_formula("mma.m16n8k8.tf32.A", 16, 8, 4, [](int lane, int i) {
    return std::pair(i == 0 || i == 2 ? group(lane) : group(lane) + 8,
                     i == 0 || i == 1 ? in_group(lane) : in_group(lane) + 4);
  });
  expect_formula("mma.m16n8k8.tf32.B", 8, 8, 2, [](int lane, int i) {
    return std::pair(i == 0 ? in_group(lane) : in_group(lane) + 4, group(lane));
  });
  expect_formula("mma.m16n8k8.tf32.C", 16, 8, 4, accumulator);
  expect_formula("mma.m16n8k4.tf32.C", 16, 8, 4, accumulator);
}

TEST(Fragments, int8_and_float8_are_as_documented) {
  expect_formula("mma.m16n8k16.i8.A", 16, 16, 8, [](int lane, int i) {
    return std::pair(i < 4 ? group(lane) : group(lane) + 8, in_group(lane) * 4 + (i & 3));
  });
  expect_formula("mma.m16n8k16.i8.B", 16, 8, 4, [](int lane, int i) {
    return std::pair(in_group(lane) * 4 + (i & 3), group(lane));
  });
  expect_formula("mma.m16n8k32.i8.A", 16, 32, 16, [](int lane, int i) {
    const bool upper = (i >= 0 && i < 4) || (i >= 8 && i < 12);
    return std::pair(upper ? group(lane) : group(lane) + 8,
                     i < 8 ? in_group(lane) * 4 + (i & 3) : in_group(lane) * 4 + (i & 3) + 16);
  });
  expect_formula("mma.m16n8k32.i8.B", 32, 8, 8, [](int lane, int i) {
    return std::pair(i < 4 ? in_group(lane) * 4 + (i & 3) : in_group(lane) * 4 + (i & 3) + 16,
                     group(lane));
  });
  expect_formula("mma.m16n8k16.i8.C", 16, 8, 4, accumulator);
  expect_formula("mma.m16n8k32.i8.C", 16, 8, 4, accumulator);
}

TEST(Fragments, int4_and_float64_are_as_documented) {
  expect_formula("mma.m16n8k64.i4.A", 16, 64, 32, [](int lane, int i) {
    const bool upper = (i >= 0 && i < 8) || (i >= 16 && i < 24);
    return std::pair(upper ? group(lane) : group(lane) + 8,
                     i < 16 ? in_group(lane) * 8 + (i & 7) : in_group(lane) * 8 + (i & 7) + 32);
  });
  expect_formula("mma.m16n8k64.i4.B", 64, 8, 16, [](int lane, int i) {
    return std::pair(i < 8 ? in_group(lane) * 8 + (i & 7) : in_group(lane) * 8 + (i & 7) + 32,
                     group(lane));
  });
  expect_formula("mma.m8n8k4.f64.A", 8, 4, 1,
                 [](int lane, int) { return std::pair(group(lane), in_group(lane)); });
  expect_formula("mma.m8n8k4.f64.B", 4, 8, 1,
                 [](int lane, int) { return std::pair(in_group(lane), group(lane)); });
  expect_formula("mma.m8n8k4.f64.C", 8, 8, 2,
                 [](int lane, int i) { return std::pair(group(lane), in_group(lane) * 2 + i); });
}

TEST(Fragments, ldmatrix_gives_each_lane_two_elements_of_a_row_or_of_a_column) {
  for (const int count : {1, 2, 4})
    for (const bool transposed : {false, true}) {
      auto layout =
          hardware_fragment("ldmatrix.x" + std::to_string(count) + (transposed ? ".trans" : ""));
      ASSERT_TRUE(layout.has_value());
      ASSERT_TRUE(is_bijective(*layout));
      const LayoutMap map(*layout);
      std::vector<int64_t> place(map.axes().size());
      for (int matrix = 0; matrix < count; ++matrix)
        for (int lane = 0; lane < 32; ++lane)
          for (int half = 0; half < 2; ++half) {
            int row = lane / 4;
            int column = 2 * (lane % 4) + half;
            if (transposed)
              std::swap(row, column);
            map.place((matrix * 8 + row) * 8 + column, place);
            ASSERT_EQ(place[static_cast<size_t>(map.find(kLaneAxis))], lane);
            ASSERT_EQ(place.back(), 2 * matrix + half);
          }
      // Lane 8 * matrix + row gives the row's address.
      const LayoutMap addresses(ldmatrix_addresses(count));
      std::vector<int64_t> from(addresses.axes().size());
      for (int64_t i = 0; i < 8 * count; ++i) {
        addresses.place(i, from);
        EXPECT_EQ(from[static_cast<size_t>(addresses.find(kLaneAxis))], i);
      }
    }
}

TEST(Fragments, ldmatrix_x4_loads_exactly_an_operand_a_and_x2_transposed_an_operand_b) {
  // A 16 x 16 as four matrices: rows 0-7 and 8-15 of the left half, then of the right one.
  auto x4 = hardware_fragment("ldmatrix.x4");
  auto a = hardware_fragment("mma.m16n8k16.A");
  // (matrix, row, column) -> (row half, row, column half, column): matrix = 2 * column half + row
  // half.
  auto parts = reshape(*x4, {2, 2, 8, 8});
  ASSERT_TRUE(parts.has_value());
  auto joined = reshape(*permute(*parts, {1, 2, 0, 3}), {16, 16});
  ASSERT_TRUE(joined.has_value());
  EXPECT_TRUE(equivalent(*joined, *a)) << to_text(*joined) << " against " << to_text(*a);
  // B 16 x 8 out of rows of k, transposed: two matrices below each other.
  auto x2 = hardware_fragment("ldmatrix.x2.trans");
  auto b = hardware_fragment("mma.m16n8k16.B");
  auto below = reshape(*x2, {16, 8});
  ASSERT_TRUE(below.has_value());
  EXPECT_TRUE(equivalent(*below, *b)) << to_text(*below) << " against " << to_text(*b);
}

TEST(Fragments, wgmma_accumulators_are_as_documented_for_every_n) {
  for (int n = 8; n <= 256; n += 8) {
    auto layout = wgmma_accumulator(n);
    ASSERT_TRUE(layout.has_value());
    ASSERT_TRUE(is_bijective(*layout));
    ASSERT_EQ(*layout, *hardware_fragment("wgmma.m64n" + std::to_string(n) + ".D"));
    const LayoutMap map(flatten_threads(*layout));
    std::vector<int64_t> place(map.axes().size());
    for (int thread = 0; thread < 128; ++thread)
      for (int i = 0; i < n / 2; ++i) {
        const int warp = thread / 32;
        const int lane = thread % 32;
        const int row = 16 * warp + lane / 4 + (i % 4 >= 2 ? 8 : 0);
        const int column = 8 * (i / 4) + 2 * (lane % 4) + i % 2;
        map.place(int64_t{row} * n + column, place);
        ASSERT_EQ(place[0], thread);
        ASSERT_EQ(place[1], i);
      }
  }
  EXPECT_FALSE(wgmma_accumulator(260).has_value());
  EXPECT_FALSE(wgmma_accumulator(20).has_value());
}

TEST(Fragments, wgmmas_a_in_registers_is_four_warps_of_mmas_a) {
  for (const auto& [wgmma, mma] : {std::pair("wgmma.k16.A", "mma.m16n8k16.A"),
                                   std::pair("wgmma.k8.tf32.A", "mma.m16n8k8.tf32.A"),
                                   std::pair("wgmma.k32.i8.A", "mma.m16n8k32.i8.A")}) {
    auto warps = make_layout({4, 1}, {{4, 1, kWarpAxis}});
    auto expected = tile(*hardware_fragment(mma), *warps);
    ASSERT_TRUE(expected.has_value());
    EXPECT_TRUE(equivalent(*expected, *hardware_fragment(wgmma)));
  }
}

TEST(Fragments, an_accumulator_feeds_the_next_product_where_the_registers_agree) {
  // Attention's P: wgmma's accumulator 64 x 16 and its A operand of k = 16 are the same layout.
  auto d = wgmma_accumulator(16);
  auto a = hardware_fragment("wgmma.k16.A");
  EXPECT_TRUE(equivalent(*d, *a));
}

TEST(Fragments, blocks_are_shared_by_warps_with_copies_of_the_operands) {
  for (const int bits : {16, 32, 8}) {
    const int64_t k = 2 * mma_shape(bits)->k;
    auto c = mma_accumulator(64, 32, {2, 2}, bits);
    auto a = mma_operand_a(64, k, {2, 2}, bits);
    auto b = mma_operand_b(k, 32, {2, 2}, bits);
    ASSERT_TRUE(c && a && b);
    EXPECT_TRUE(is_bijective(*c));
    EXPECT_TRUE(is_bijective(*a));
    EXPECT_TRUE(is_bijective(*b));
    EXPECT_EQ(c->replication(), 1);
    EXPECT_EQ(a->replication(), 2);
    EXPECT_EQ(b->replication(), 2);
    // Every warp that holds an accumulator holds its row of A and its column of B.
    const LayoutMap cm(*c), am(*a), bm(*b);
    const auto warps_of = [](const LayoutMap& map, int64_t element) {
      std::set<int64_t> warps;
      std::vector<int64_t> place(map.axes().size());
      for (int64_t r = 0; r < map.replication(); ++r) {
        map.place(element, place, r);
        warps.insert(place[static_cast<size_t>(map.find(kWarpAxis))]);
      }
      return warps;
    };
    for (int64_t i = 0; i < 64; ++i)
      for (int64_t j = 0; j < 32; ++j)
        for (const int64_t warp : warps_of(cm, i * 32 + j))
          for (int64_t p = 0; p < k; ++p) {
            ASSERT_TRUE(warps_of(am, i * k + p).contains(warp));
            ASSERT_TRUE(warps_of(bm, p * 32 + j).contains(warp));
          }
  }
  auto refused = mma_accumulator(48, 32, {2, 2}, 16);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("steps of 32 x 16"), std::string::npos);
}

TEST(Fragments, a_name_that_is_not_there_gets_the_nearest_one) {
  auto result = hardware_fragment("mma.m16n8k16.D");
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().message.find("mma.m16n8k16."), std::string::npos);
}

TEST(SwizzledTiles, chunks_of_16_bytes_move_by_the_row_as_tma_writes_them) {
  // Written down by bytes: chunk index ^= (row of 128 bytes) modulo 8, 4 or 2.
  for (const int bits : {8, 16, 32})
    for (const int bytes : {32, 64, 128}) {
      const int64_t inner = 8 * bytes / bits;
      const int64_t rows = 16, columns = 2 * inner;
      auto layout = swizzled_tile(rows, columns, bits, bytes);
      ASSERT_TRUE(layout.has_value()) << layout.error().message;
      EXPECT_TRUE(is_bijective(*layout));
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < columns; ++c) {
          const int64_t box = c / inner;
          const int64_t plain = box * rows * bytes + r * bytes + c % inner * bits / 8;
          const int64_t chunk = plain / 16 % (bytes / 16);
          const int64_t line = plain / 128;
          const int64_t expected = plain - 16 * chunk + 16 * (chunk ^ (line % (bytes / 16)));
          const int64_t at[] = {r, c};
          ASSERT_EQ(offset_of(*layout, at) * bits / 8, expected)
              << bits << " bits, " << bytes << " bytes, " << r << ", " << c;
        }
    }
}

TEST(SwizzledTiles, the_widest_mode_follows_the_rows_length) {
  EXPECT_EQ(widest_swizzle(64, 16), 128);
  EXPECT_EQ(widest_swizzle(32, 16), 64);
  EXPECT_EQ(widest_swizzle(16, 16), 32);
  EXPECT_EQ(widest_swizzle(24, 16), 0);
  EXPECT_EQ(widest_swizzle(128, 8), 128);
  EXPECT_FALSE(swizzled_tile(16, 40, 16, 128).has_value());
  EXPECT_FALSE(swizzled_tile(3, 128, 16, 128).has_value());
  EXPECT_FALSE(tma_swizzle(48, 16).has_value());
}

} // namespace
} // namespace temper::tir
