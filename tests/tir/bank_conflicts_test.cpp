#include "ir/tir/bank_conflicts.h"
#include "ir/tir/fragments.h"

#include "ir/support/random.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace temper::tir {
namespace {

std::vector<int64_t> lanes(const std::function<int64_t(int64_t)>& address) {
  std::vector<int64_t> list;
  for (int64_t lane = 0; lane < 32; ++lane)
    list.push_back(address(lane));
  return list;
}

TEST(BankConflicts, neighbours_and_broadcasts_have_none) {
  EXPECT_EQ(bank_conflicts(lanes([](int64_t l) { return 4 * l; }), 4)->wavefronts, 1);
  EXPECT_EQ(bank_conflicts(lanes([](int64_t) { return 64; }), 4)->wavefronts, 1);
  EXPECT_EQ(bank_conflicts(lanes([](int64_t l) { return 2 * l; }), 2)->wavefronts, 1);
  EXPECT_EQ(bank_conflicts(lanes([](int64_t l) { return 4 * ((5 * l) % 32); }), 4)->wavefronts, 1);
}

TEST(BankConflicts, strides_of_powers_of_two_collide) {
  for (const int64_t stride : {1, 2, 4, 8, 16, 32, 3, 33}) {
    auto report = bank_conflicts(lanes([&](int64_t l) { return 4 * stride * l; }), 4);
    ASSERT_TRUE(report.has_value());
    const int64_t ways = stride % 2 == 1 ? 1 : stride;
    EXPECT_EQ(report->wavefronts, ways) << stride;
    EXPECT_EQ(report->ideal, 1);
    if (ways > 1) {
      ASSERT_EQ(report->collisions.size(), 1u);
      EXPECT_EQ(static_cast<int64_t>(report->collisions[0].lanes.size()), ways);
      EXPECT_EQ(report->collisions[0].lanes[0], 0);
      EXPECT_EQ(report->collisions[0].lanes[1], 32 / ways);
    } else {
      EXPECT_TRUE(report->collisions.empty());
    }
  }
}

TEST(BankConflicts, wide_accesses_go_in_passes) {
  auto wide = bank_conflicts(lanes([](int64_t l) { return 16 * l; }), 16);
  EXPECT_EQ(wide->wavefronts, 4);
  EXPECT_EQ(wide->ideal, 4);
  // A column of a 128-byte row-major tile: each quarter's eight lanes fall on the same four banks.
  auto column = bank_conflicts(lanes([](int64_t l) { return 128 * l; }), 16);
  EXPECT_EQ(column->wavefronts, 32);
  EXPECT_EQ(column->collisions.size(), 4u);
  EXPECT_EQ(bank_conflicts(lanes([](int64_t l) { return 8 * l; }), 8)->wavefronts, 2);
}

TEST(BankConflicts, inactive_lanes_do_not_count) {
  auto report = bank_conflicts(lanes([](int64_t l) { return l < 2 ? 128 * l : kInactiveLane; }), 4);
  EXPECT_EQ(report->wavefronts, 2);
  EXPECT_EQ(bank_conflicts(lanes([](int64_t) { return kInactiveLane; }), 4)->wavefronts, 0);
  EXPECT_FALSE(bank_conflicts(lanes([](int64_t l) { return l; }), 4).has_value());
  EXPECT_FALSE(bank_conflicts(lanes([](int64_t l) { return 3 * l; }), 3).has_value());
}

TEST(BankConflicts, random_requests_agree_with_counting_by_hand) {
  Random random(3);
  for (int round = 0; round < 300; ++round) {
    const int64_t bytes = int64_t{1} << random.below(5);
    std::vector<int64_t> addresses =
        lanes([&](int64_t) { return bytes * random.below(512 / bytes); });
    auto report = bank_conflicts(addresses, bytes);
    ASSERT_TRUE(report.has_value());
    const int64_t at_once = bytes == 16 ? 8 : bytes == 8 ? 16 : 32;
    int64_t wavefronts = 0;
    for (int64_t begin = 0; begin < 32; begin += at_once) {
      int64_t most = 0;
      for (int64_t bank = 0; bank < 32; ++bank) {
        std::set<int64_t> words;
        for (int64_t lane = begin; lane < begin + at_once; ++lane)
          for (int64_t byte = 0; byte < bytes; ++byte) {
            const int64_t word = (addresses[static_cast<size_t>(lane)] + byte) / 4;
            if (word % 32 == bank)
              words.insert(word);
          }
        most = std::max<int64_t>(most, static_cast<int64_t>(words.size()));
      }
      wavefronts += most;
    }
    ASSERT_EQ(report->wavefronts, wavefronts);
    ASSERT_EQ(report->ideal, 32 / at_once);
  }
}

TEST(BankConflicts, swizzles_take_them_away_from_ldmatrix) {
  const std::pair<int64_t, int64_t> corners[] = {{0, 0}, {8, 0}, {0, 8}, {8, 8}};
  auto plain = ldmatrix_conflicts(row_major({16, 64}), corners);
  ASSERT_TRUE(plain.has_value()) << plain.error().message;
  EXPECT_EQ(plain->ideal, 4);
  EXPECT_EQ(plain->wavefronts, 32); // eight rows on the same banks
  for (const int bytes : {32, 64, 128}) {
    auto layout = swizzled_tile(16, 64, 16, bytes);
    ASSERT_TRUE(layout.has_value());
    auto swizzled = ldmatrix_conflicts(*layout, corners);
    ASSERT_TRUE(swizzled.has_value()) << swizzled.error().message;
    EXPECT_EQ(swizzled->wavefronts, 4) << bytes;
  }
  // Rows of 80 bytes (eight elements of padding): the classic alternative.
  EXPECT_EQ(ldmatrix_conflicts(strided({16, 32}, {40, 1}), corners)->wavefronts, 4);
  // Rows that are not 16 bytes side by side are refused.
  auto narrow = row_major({16, 16});
  narrow.swizzle = {2, 2, 4};
  EXPECT_FALSE(ldmatrix_conflicts(narrow, corners).has_value());
}

TEST(BankConflicts, a_copy_of_a_fragment_is_counted_warp_by_warp) {
  // 16 x 64 float16, rows dealt to lanes eight elements at a time: no conflicts by rows.
  auto copy =
      parse_layout(R"(T.Fragment((16, 64), [(4, 8), (4, 8, "lane"), (8, 1, "lane"), (8, 1)]))");
  ASSERT_TRUE(copy.has_value());
  auto rows = transfer_conflicts(*copy, row_major({16, 64}), 16);
  ASSERT_TRUE(rows.has_value()) << rows.error().message;
  EXPECT_EQ(rows->vector_elements, 8);
  EXPECT_EQ(rows->requests, 4);
  EXPECT_EQ(rows->wavefronts, rows->ideal);
  // Lanes down a column, 128 bytes apart: every lane waits for every other one of its pass.
  auto down = parse_layout(R"(T.Fragment((32, 64), [(32, 1, "lane"), (64, 1)]))");
  auto columns = transfer_conflicts(*down, row_major({32, 64}), 16);
  ASSERT_TRUE(columns.has_value());
  EXPECT_DOUBLE_EQ(columns->ways(), 8);
  EXPECT_EQ(columns->worst.collisions.at(0).lanes, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  auto swizzled = transfer_conflicts(*down, *swizzled_tile(32, 64, 16, 128), 16);
  ASSERT_TRUE(swizzled.has_value());
  EXPECT_DOUBLE_EQ(swizzled->ways(), 1);
  // mma's accumulator stored as float32 pairs into rows of 128 bytes: every group of lanes hits the
  // same eight banks.
  auto c = hardware_fragment("mma.m16n8k16.C");
  auto store = transfer_conflicts(*c, strided({16, 8}, {32, 1}), 32);
  ASSERT_TRUE(store.has_value());
  EXPECT_EQ(store->vector_elements, 2);
  EXPECT_DOUBLE_EQ(store->ways(), 4);
}

} // namespace
} // namespace temper::tir
