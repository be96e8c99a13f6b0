#include "ir/tir/layout_inference.h"

#include "ir/support/random.h"
#include "ir/tir/bank_conflicts.h"

#include <gtest/gtest.h>

#include <set>

namespace temper::tir {
namespace {

LayoutBuffer fragment(const char* name, std::vector<int64_t> shape, int bits = 32) {
  return {name, std::move(shape), bits, true, std::nullopt, {}};
}
LayoutBuffer shared(const char* name, std::vector<int64_t> shape, int bits = 16) {
  return {name, std::move(shape), bits, false, std::nullopt, {}};
}
LayoutUse gemm(uint32_t line, int a, int b, int c, GemmPolicy policy = GemmPolicy::kSquare,
               bool transpose_b = false) {
  LayoutUse use;
  use.op = "T.gemm";
  use.where = {0, line, 9};
  use.is_gemm = true;
  use.a = a;
  use.b = b;
  use.c = c;
  use.policy = policy;
  use.transpose_b = transpose_b;
  return use;
}
LayoutUse loop(const char* op, uint32_t line, int rank, std::vector<LayoutOperand> operands) {
  LayoutUse use;
  use.op = op;
  use.where = {0, line, 9};
  use.loop_rank = rank;
  use.operands = std::move(operands);
  return use;
}

/// FlashAttention's inner part: scores = Q K^T; row maxima; scores as the next product's A.
LayoutProblem attention(GemmPolicy policy) {
  LayoutProblem problem;
  problem.threads = 128;
  problem.buffers = {shared("Q_shared", {64, 64}),          shared("K_shared", {64, 64}),
                     fragment("scores", {64, 64}),          fragment("scores_max", {64}),
                     fragment("scores_cast", {64, 64}, 16), shared("V_shared", {64, 64}),
                     fragment("output", {64, 64}),          shared("other", {64, 64})};
  problem.uses = {gemm(10, 0, 1, 2, policy, true),
                  loop("T.reduce_max", 11, 2, {{2, {0, 1}}, {3, {0}}}),
                  loop("T.Parallel", 12, 2, {{2, {0, 1}}, {3, {0}}}),
                  loop("T.copy", 14, 2, {{2, {0, 1}}, {4, {0, 1}}}),
                  loop("T.Parallel", 15, 2, {{6, {0, 1}}, {3, {0}}}),
                  gemm(16, 4, 5, 6, policy)};
  return problem;
}

std::set<int64_t> threads_of(const LayoutMap& map, int64_t element) {
  std::set<int64_t> threads;
  std::vector<int64_t> place(map.axes().size());
  const int axis = map.find(kThreadAxis);
  for (int64_t r = 0; r < map.replication(); ++r) {
    map.place(element, place, r);
    threads.insert(axis < 0 ? 0 : place[static_cast<size_t>(axis)]);
  }
  return threads;
}

TEST(LayoutInference, attention_keeps_rows_in_their_threads_and_feeds_the_second_product) {
  const LayoutProblem problem = attention(GemmPolicy::kFullRow);
  auto layouts = infer_layouts(problem);
  ASSERT_TRUE(layouts.has_value()) << layouts.error().message;
  const auto& all = *layouts;
  EXPECT_EQ(all[2].layout, flatten_threads(*mma_accumulator(64, 64, {4, 1})));
  EXPECT_EQ(all[2].reason, "C of T.gemm, line 10");
  // The cast scores are where the second product wants its A, without a move.
  EXPECT_TRUE(equivalent(all[4].layout, all[2].layout));
  EXPECT_TRUE(equivalent(all[4].layout, flatten_threads(*mma_operand_a(64, 64, {4, 1}))));
  EXPECT_EQ(all[3].reason, "follows from T.reduce_max, line 11");
  // Every thread that holds scores of a row holds the row's maximum.
  const LayoutMap scores(all[2].layout), maxima(all[3].layout);
  for (int64_t i = 0; i < 64; ++i)
    for (int64_t j = 0; j < 64; ++j)
      for (const int64_t thread : threads_of(scores, i * 64 + j))
        ASSERT_TRUE(threads_of(maxima, i).contains(thread));
  // Operands in shared memory: no conflicts for ldmatrix.
  const std::pair<int64_t, int64_t> corners[] = {{0, 0}, {8, 0}, {0, 8}, {8, 8}};
  for (const int operand : {0, 1, 5}) {
    auto report = ldmatrix_conflicts(all[static_cast<size_t>(operand)].layout, corners);
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->extra(), 0);
  }
  EXPECT_EQ(all[7].layout, row_major({64, 64})); // nobody multiplies it
  EXPECT_NE(to_text(problem, all).find("scores_max: T.Fragment((64,)"), std::string::npos);
}

TEST(LayoutInference, wgmma_accumulators_feed_the_second_product_too) {
  LayoutProblem problem = attention(GemmPolicy::kFullRow);
  problem.wgmma = true;
  auto layouts = infer_layouts(problem);
  ASSERT_TRUE(layouts.has_value()) << layouts.error().message;
  EXPECT_TRUE(equivalent((*layouts)[2].layout, flatten_threads(*wgmma_accumulator(64))));
  EXPECT_TRUE(equivalent((*layouts)[4].layout, (*layouts)[2].layout));
}

TEST(LayoutInference, a_conflict_names_both_operators_and_lines) {
  // Two by two warps: the accumulator of the first product is not the A of the second.
  auto layouts = infer_layouts(attention(GemmPolicy::kSquare));
  ASSERT_FALSE(layouts.has_value());
  const std::string& message = layouts.error().message;
  for (const char* part : {"line 14", "T.copy needs scores", "T.gemm, line 1", "shared memory"})
    EXPECT_NE(message.find(part), std::string::npos) << part << " in " << message;
}

TEST(LayoutInference, annotations_win_and_are_checked) {
  LayoutProblem problem = attention(GemmPolicy::kFullRow);
  problem.buffers[0].fixed = row_major({64, 64});
  problem.buffers[0].fixed_where = {0, 5, 9};
  auto layouts = infer_layouts(problem);
  ASSERT_TRUE(layouts.has_value()) << layouts.error().message;
  EXPECT_EQ((*layouts)[0].layout, row_major({64, 64}));
  EXPECT_EQ((*layouts)[0].reason, "annotated, line 5");
  const auto why = [&](int buffer, const Layout& layout) {
    LayoutProblem changed = attention(GemmPolicy::kFullRow);
    changed.buffers[static_cast<size_t>(buffer)].fixed = layout;
    changed.buffers[static_cast<size_t>(buffer)].fixed_where = {0, 5, 9};
    auto result = infer_layouts(changed);
    return result ? std::string("accepted") : result.error().message;
  };
  EXPECT_NE(why(0, row_major({64, 32}))
                .find("line 5, column 9: the layout of Q_shared is for the "
                      "shape (64, 32)"),
            std::string::npos);
  EXPECT_NE(why(0, *mma_accumulator(64, 64, {4, 1})).find("shared memory"), std::string::npos);
  EXPECT_NE(why(2, *mma_accumulator(64, 64, {2, 1})).find("64 threads, the block has 128"),
            std::string::npos);
  const std::string wrong = why(2, *mma_accumulator(64, 64, {2, 2}));
  EXPECT_NE(wrong.find("T.gemm needs scores"), std::string::npos) << wrong;
  EXPECT_NE(wrong.find("annotated, line 5"), std::string::npos) << wrong;
}

TEST(LayoutInference, warps_are_as_square_as_the_policy_allows) {
  const auto grid = [](int64_t m, int64_t n, int64_t warps, GemmPolicy policy) {
    const auto result = warp_grid(m, n, warps, policy);
    return result ? std::pair(result->rows, result->columns) : std::pair<int64_t, int64_t>(0, 0);
  };
  EXPECT_EQ(grid(128, 128, 4, GemmPolicy::kSquare), std::pair(int64_t{2}, int64_t{2}));
  EXPECT_EQ(grid(128, 128, 8, GemmPolicy::kFullRow), std::pair(int64_t{8}, int64_t{1}));
  EXPECT_EQ(grid(128, 128, 8, GemmPolicy::kFullColumn), std::pair(int64_t{1}, int64_t{8}));
  EXPECT_EQ(grid(16, 128, 4, GemmPolicy::kFullRow), std::pair(int64_t{1}, int64_t{4}));
  EXPECT_EQ(grid(16, 8, 4, GemmPolicy::kSquare), std::pair(int64_t{0}, int64_t{0}));
}

TEST(LayoutInference, default_fragments_use_all_threads_and_hold_every_element) {
  Random random(9);
  for (int round = 0; round < 60; ++round) {
    std::vector<int64_t> shape;
    const int64_t choices[] = {1, 3, 8, 16, 20, 32, 64, 7};
    for (int64_t d = random.between(1, 2); d > 0; --d)
      shape.push_back(choices[random.below(8)]);
    const int64_t threads = 32 * random.between(1, 4);
    const int bits = random.below(2) == 0 ? 16 : 32;
    auto layout = default_fragment(shape, threads, bits);
    ASSERT_TRUE(layout.has_value()) << layout.error().message;
    ASSERT_EQ(layout->span(kThreadAxis), threads) << to_text(*layout);
    ASSERT_TRUE(is_bijective(*layout)) << to_text(*layout);
  }
  EXPECT_EQ(to_text(*default_fragment({64, 64}, 128, 16)),
            R"(T.Fragment((64, 64), [(4, 8), (16, 8, "thread"), (8, 1, "thread"), (8, 1)]))");
}

TEST(LayoutInference, broadcast_operands_follow_the_loops_they_stand_in) {
  LayoutProblem problem;
  problem.threads = 64;
  problem.buffers = {fragment("x", {32, 64}), fragment("row", {32}), fragment("column", {64}),
                     fragment("turned", {64, 32})};
  problem.uses = {loop("T.Parallel", 7, 2, {{0, {0, 1}}, {1, {0}}, {2, {1}}, {3, {1, 0}}})};
  auto layouts = infer_layouts(problem);
  ASSERT_TRUE(layouts.has_value()) << layouts.error().message;
  const LayoutMap x((*layouts)[0].layout), row((*layouts)[1].layout), column((*layouts)[2].layout),
      turned((*layouts)[3].layout);
  for (int64_t i = 0; i < 32; ++i)
    for (int64_t j = 0; j < 64; ++j)
      for (const int64_t thread : threads_of(x, i * 64 + j)) {
        ASSERT_TRUE(threads_of(row, i).contains(thread));
        ASSERT_TRUE(threads_of(column, j).contains(thread));
        ASSERT_TRUE(threads_of(turned, j * 32 + i).contains(thread));
      }
}

} // namespace
} // namespace temper::tir
