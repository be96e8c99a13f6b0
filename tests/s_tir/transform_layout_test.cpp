// transform_layout: packed caches compute the same, and maps that would lose elements are refused.

#include "tests/s_tir/checked_schedule.h"
#include "tests/s_tir/programs.h"

#include <gmock/gmock.h>

namespace temper::s_tir {
namespace {

using namespace programs;
using ::testing::HasSubstr;

constexpr const char* kPanels = "lambda k, j, n: (j // n, k, j % n)";

/// The message of a refused use; empty when it was not.
std::string refusal(const Result<void>& result) {
  return result ? "" : Result<void>(result).error().message;
}

TEST(TransformLayout, PacksAnOperandIntoPanels) {
  Checked sch(matmul(8, 16, 8));
  const BlockRv packed = sch.get(sch->cache_read(sch.block("C"), 1, "global"));
  sch.done(sch->transform_layout(packed, 0, "write", kPanels, {4}));
  sch.expect("transform_layout_panels", 2);
}

TEST(TransformLayout, PadsWhatAPanelDoesNotDivide) {
  Checked sch(matmul(5, 11, 7));
  const BlockRv packed = sch.get(sch->cache_read(sch.block("C"), 1, "global"));
  sch.done(sch->transform_layout(packed, 0, "write", kPanels, {4}));
  sch.expect("transform_layout_padded", 2);
}

TEST(TransformLayout, OfAReadBufferIsTheSameAsOfItsWriter) {
  Checked write(matmul(8, 16, 8));
  const BlockRv packed = write.get(write->cache_read(write.block("C"), 1, "global"));
  write.done(write->transform_layout(packed, 0, "write", kPanels, {4}));
  Checked read(matmul(8, 16, 8));
  read.get(read->cache_read(read.block("C"), 1, "global"));
  read.done(read->transform_layout(read.block("C"), 1, "read", kPanels, {4}));
  EXPECT_TRUE(structural_equal(write->module(), read->module()));
}

TEST(TransformLayout, OfAPackedTileBelowTheLoopThatUsesIt) {
  Checked sch(matmul(8, 16, 8));
  const BlockRv block = sch.block("C");
  const auto loops = sch.loops(block);
  const auto j = sch.get(sch->split(loops[1], {std::nullopt, 4}));
  sch.done(sch->reorder({j[0], loops[0], loops[2], j[1]}));
  const BlockRv packed = sch.get(sch->cache_read(block, 1, "global"));
  sch.done(sch->compute_at(packed, j[0]));
  sch.done(sch->transform_layout(packed, 0, "write", kPanels, {4}));
  sch.expect("transform_layout_tile", 2);
}

TEST(TransformLayout, TakesASampledWidthAndReplays) {
  Checked sch(matmul(8, 16, 8));
  const BlockRv packed = sch.get(sch->cache_read(sch.block("C"), 1, "global"));
  const ExprRv width = sch.get(sch->sample_categorical({2, 8}, {0.5, 0.5}, 1));
  sch.done(sch->transform_layout(packed, 0, "write", kPanels, {width}));
  Schedule replayed(matmul(8, 16, 8));
  const auto done = replayed.apply(sch->trace());
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_TRUE(structural_equal(sch->module(), replayed.module()));
  EXPECT_THAT(sch->trace().to_python(),
              HasSubstr("index_map=\"lambda k, j, n: (j // n, k, j % n)\", parameters=[v"));
}

TEST(TransformLayout, RefusesWhatIsSeenOutside) {
  Schedule sch(matmul(8, 16, 8), 0);
  EXPECT_THAT(
      refusal(sch.transform_layout(*sch.get_sblock("C"), 0, "write", "lambda i, j: (j, i)")),
      HasSubstr("the layout of a parameter is seen outside"));
  EXPECT_THAT(refusal(sch.transform_layout(*sch.get_sblock("C"), 5, "read", "lambda i, j: (j, i)")),
              HasSubstr("there is none with index 5"));
}

TEST(TransformLayout, RefusesMapsThatLoseElementsOrAreNoMaps) {
  Schedule sch(matmul(8, 16, 8), 0);
  const BlockRv packed = *sch.cache_read(*sch.get_sblock("C"), 1, "global");
  const auto refused = [&](const char* map) {
    return refusal(sch.transform_layout(packed, 0, "write", map));
  };
  EXPECT_THAT(refused("lambda k, j: (k, j // 4)"), HasSubstr("a place of its own"));
  EXPECT_THAT(refused("lambda k, j: (k, j % 4)"), HasSubstr("a place of its own"));
  EXPECT_THAT(refused("lambda k, j: (k,)"), HasSubstr("a place of its own"));
  EXPECT_THAT(refused("lambda k, j: (k + j, j)"), HasSubstr("a place of its own"));
  EXPECT_THAT(refused("lambda k, j: (k + 1, j)"), HasSubstr("does not run from 0"));
  EXPECT_THAT(refused("lambda k: (k,)"), HasSubstr("has 1 inputs; the buffer has 2 dimensions"));
  EXPECT_THAT(refused("lambda k, j: (k, x)"), HasSubstr("column 18: 'x' is not among the inputs"));
  EXPECT_THAT(refused("lambda k, j: (k, j // 0)"), HasSubstr("positive number"));
  EXPECT_THAT(refused("k, j -> k"), HasSubstr("starts with 'lambda'"));
  EXPECT_THAT(refused("lambda k, j: (k, j) x"), HasSubstr("should end here"));
  EXPECT_EQ(refused("lambda k, j: (j, k)"), "");
}

} // namespace
} // namespace temper::s_tir
