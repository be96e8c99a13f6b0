// Stored selections side by side: what pairs, what counts as different, what is said of the rest.
#include "tuner/stored_comparison.h"

#include "tests/support/shelf.h"

#include <cmath>
#include <gmock/gmock.h>

namespace temper::tuner {
namespace {

using database::RecordRow;
using ::testing::ElementsAre;
using testing::Place;

struct Shelf : testing::Shelf {
  StoredComparison compare(const std::vector<RecordRow>& a, const std::vector<RecordRow>& b,
                           const StoredComparisonOptions& options = {}) {
    return testing::must(compare_stored(*store, a, b, options));
  }
};

TEST(StoredComparison, SaysWhatIsFasterSlowerAndSame) {
  Shelf shelf;
  const Place old = shelf.place("attic", "LLVM 18");
  const Place today = shelf.place("attic", "LLVM 19");
  std::vector<RecordRow> a;
  std::vector<RecordRow> b;
  for (const double factor : {0.8, 1.0, 1.25, 1.01}) {
    const int size = static_cast<int>(1000 * factor);
    a.push_back(shelf.add(old, {.size = size}));
    b.push_back(shelf.add(today, {.size = size, .ns = 1e6 * factor}));
  }
  const StoredComparison comparison = shelf.compare(a, b);
  ASSERT_EQ(comparison.pairs.size(), 4u);
  const std::vector<StoredVerdict> expected{StoredVerdict::kFaster, StoredVerdict::kSame,
                                            StoredVerdict::kSlower, StoredVerdict::kSame};
  for (size_t i = 0; i < expected.size(); ++i) {
    const StoredPair& pair = comparison.pairs[i];
    EXPECT_EQ(pair.verdict, expected[i]) << pair.title << " " << pair.ratio;
    EXPECT_LE(pair.interval.low, pair.ratio);
    EXPECT_GE(pair.interval.high, pair.ratio);
    EXPECT_GE(pair.p_adjusted, pair.p);
  }
  EXPECT_EQ(comparison.pairs[0].title, "matmul N=800 K=64") << "as the workload declares them";
  EXPECT_EQ(comparison.pairs[0].a.compiler, "LLVM 18");
  EXPECT_EQ(comparison.pairs[0].b.compiler, "LLVM 19");
  EXPECT_EQ(comparison.pairs[0].b.host, "attic");
  EXPECT_LE(comparison.pairs[3].p_adjusted, 0.05) << "one per cent is seen, and yet too little";
  EXPECT_EQ(comparison.tests, 4);
  EXPECT_NEAR(comparison.ratio, std::pow(1.01, 0.25), 1e-9);
  EXPECT_LT(comparison.interval.low, comparison.ratio);
  EXPECT_GT(comparison.interval.high, comparison.ratio);
  EXPECT_LT(comparison.sampled_interval.low, comparison.interval.low)
      << "which kernels they are is chance as well";
  EXPECT_GT(comparison.sampled_interval.high, comparison.interval.high);
}

TEST(StoredComparison, IsTheSameEachTime) {
  Shelf shelf;
  const Place place = shelf.place("attic", "LLVM 19");
  const std::vector<RecordRow> a{shelf.add(place, {})};
  const std::vector<RecordRow> b{shelf.add(place, {.ns = 1.01e6})};
  const StoredComparison once = shelf.compare(a, b);
  const StoredComparison again = shelf.compare(a, b);
  EXPECT_EQ(once.pairs[0].interval.low, again.pairs[0].interval.low);
  EXPECT_EQ(once.interval.high, again.interval.high);
}

TEST(StoredComparison, NamesWhatTheOtherSideLacks) {
  Shelf shelf;
  const Place place = shelf.place("attic", "LLVM 19");
  const std::vector<RecordRow> a{
      shelf.add(place, {.size = 1}), shelf.add(place, {.size = 2}), shelf.add(place, {.size = 3}),
      shelf.add(place, {.name = "softmax", .size = 4}),
      shelf.add(place, {.size = 5, .regime = database::TimingRegime::kCold})};
  const std::vector<RecordRow> b{
      shelf.add(place, {.size = 1}), shelf.add(place, {.size = 2, .threads = 4}),
      shelf.add(place, {.size = 3, .program = 2}), shelf.add(place, {.size = 5})};
  const StoredComparison comparison = shelf.compare(a, b);
  EXPECT_EQ(comparison.pairs.size(), 1u);
  std::vector<std::string> reasons;
  for (const StoredUnpaired& one : comparison.only_a)
    reasons.push_back(one.title + " " + one.reason);
  EXPECT_THAT(reasons,
              ElementsAre("matmul N=2 K=64 there with 4 threads",
                          "matmul N=3 K=64 there with another program",
                          "softmax N=4 K=64 not there", "matmul N=5 K=64 there with hot caches"));
  EXPECT_EQ(comparison.only_b.size(), 3u);
}

TEST(StoredComparison, MachinesWithOtherTargetsPairUpWhereThatLeavesNoChoice) {
  Shelf shelf;
  const Place one = shelf.place("attic", "LLVM 19", "cpu:haswell");
  const Place other = shelf.place("cellar", "LLVM 19", "cpu:znver4");
  const std::vector<RecordRow> a{shelf.add(one, {.size = 1}), shelf.add(one, {.size = 2})};
  const std::vector<RecordRow> b{
      shelf.add(other, {.size = 1}), shelf.add(other, {.size = 2}),
      shelf.add(shelf.place("cellar", "LLVM 19", "cpu:znver3"), {.size = 2})};
  const StoredComparison comparison = shelf.compare(a, b);
  ASSERT_EQ(comparison.pairs.size(), 1u);
  EXPECT_EQ(comparison.pairs[0].a.row.target, "cpu:haswell");
  EXPECT_EQ(comparison.pairs[0].b.host, "cellar");
  ASSERT_EQ(comparison.only_a.size(), 1u);
  EXPECT_EQ(comparison.only_a[0].reason, "there for several targets");
  EXPECT_EQ(comparison.only_b.size(), 2u);
}

TEST(StoredComparison, OfSeveralRecordsOfAKernelThoseOfOneMachineAreMeant) {
  Shelf shelf;
  const Place attic = shelf.place("attic", "LLVM 19");
  const Place cellar = shelf.place("cellar", "LLVM 19");
  const std::vector<RecordRow> a{shelf.add(attic, {})};
  const std::vector<RecordRow> b{shelf.add(attic, {.ns = 2e6}), shelf.add(cellar, {.ns = 3e6})};
  const StoredComparison comparison = shelf.compare(a, b);
  ASSERT_EQ(comparison.pairs.size(), 1u);
  EXPECT_EQ(comparison.pairs[0].b.row.id, b[0].id) << "newer is not nearer";
  EXPECT_EQ(comparison.passed_over, 1);
}

TEST(StoredComparison, EqualCodeSaysHowMuchIsChance) {
  Shelf shelf;
  const Place old = shelf.place("attic", "LLVM 18");
  const Place today = shelf.place("attic", "LLVM 19");
  const Place elsewhere = shelf.place("cellar", "LLVM 19");
  const std::vector<RecordRow> a{shelf.add(old, {.size = 1, .code = 7}),
                                 shelf.add(old, {.size = 2, .code = 8}),
                                 shelf.add(old, {.size = 3, .code = 9})};
  const std::vector<RecordRow> b{shelf.add(today, {.size = 1, .ns = 0.99e6, .code = 7}),
                                 shelf.add(today, {.size = 2, .ns = 1.2e6, .code = 80}),
                                 shelf.add(elsewhere, {.size = 3, .ns = 2e6, .code = 9})};
  const StoredComparison comparison = shelf.compare(a, b);
  EXPECT_EQ(comparison.equal_code, 1) << "another machine is another matter";
  EXPECT_NEAR(comparison.equal_code_difference, 1 / 0.99 - 1, 1e-9);
}

TEST(StoredComparison, ACopyOfAResultIsNoSecondMeasurement) {
  Shelf shelf;
  const Place old = shelf.place("attic", "LLVM 18");
  const Place today = shelf.place("attic", "LLVM 19");
  const std::vector<RecordRow> a{shelf.add(old, {.size = 1, .code = 7}),
                                 shelf.add(old, {.size = 2, .code = 8})};
  const std::vector<RecordRow> b{shelf.copy(today, a[0]),
                                 shelf.add(today, {.size = 2, .ns = 0.99e6, .code = 8})};
  const StoredComparison comparison = shelf.compare(a, b);
  ASSERT_EQ(comparison.pairs.size(), 2u);
  const StoredPair& copied = comparison.pairs[0];
  EXPECT_NE(copied.a.row.id, copied.b.row.id);
  EXPECT_TRUE(copied.same_measurement);
  EXPECT_FALSE(copied.same_record);
  EXPECT_FALSE(copied.tested);
  EXPECT_FALSE(copied.same_code);
  EXPECT_EQ(copied.verdict, StoredVerdict::kSame);
  EXPECT_EQ(copied.interval.low, 1);
  EXPECT_FALSE(comparison.pairs[1].same_measurement);
  EXPECT_EQ(comparison.tests, 1);
  EXPECT_EQ(comparison.equal_code, 1) << "only the other kernel was measured twice";
}

TEST(StoredComparison, AnIntervalWithOneInItIsNoDifference) {
  // Two modes on each side: the ranks differ clearly, the medians might lie in either mode.
  const auto modes = [](double low, int lows, double high, int highs) {
    std::vector<float> samples;
    for (int i = 0; i < lows + highs; ++i)
      samples.push_back(static_cast<float>((i < lows ? low : high) * 1e6 + i));
    return samples;
  };
  Shelf shelf;
  const Place place = shelf.place("attic", "LLVM 19");
  for (const bool b_is_faster : {true, false}) {
    const int size = b_is_faster ? 1 : 2;
    const RecordRow slow = shelf.add(place, {.size = size, .samples_ns = modes(1, 15, 1.15, 10)});
    const RecordRow fast =
        shelf.add(place, {.size = size, .ns = 0.965e6, .samples_ns = modes(0.965, 14, 1.02, 11)});
    const StoredComparison comparison =
        b_is_faster ? shelf.compare({slow}, {fast}) : shelf.compare({fast}, {slow});
    const StoredPair& pair = comparison.pairs[0];
    EXPECT_LE(pair.p_adjusted, 0.05);
    EXPECT_LT(pair.interval.low, 1);
    EXPECT_GT(pair.interval.high, 1);
    EXPECT_EQ(pair.verdict, StoredVerdict::kUndecided) << pair.ratio;
  }
}

TEST(StoredComparison, ARecordAgainstItselfIsTheSame) {
  Shelf shelf;
  const RecordRow row = shelf.add(shelf.place("attic", "LLVM 19"), {.code = 3});
  const StoredComparison comparison = shelf.compare({row}, {row});
  EXPECT_TRUE(comparison.pairs[0].same_record);
  EXPECT_EQ(comparison.pairs[0].ratio, 1);
  EXPECT_EQ(comparison.pairs[0].verdict, StoredVerdict::kSame);
  EXPECT_EQ(comparison.tests, 0);
  EXPECT_EQ(comparison.equal_code, 0);
}

TEST(StoredComparison, FewSamplesDecideNothing) {
  Shelf shelf;
  const Place place = shelf.place("attic", "LLVM 19");
  const StoredComparison comparison = shelf.compare({shelf.add(place, {.samples = 2})},
                                                    {shelf.add(place, {.ns = 3e6, .samples = 25})});
  EXPECT_EQ(comparison.pairs[0].ratio, 3);
  EXPECT_TRUE(std::isnan(comparison.pairs[0].interval.low));
  EXPECT_EQ(comparison.pairs[0].verdict, StoredVerdict::kUndecided);
  EXPECT_EQ(comparison.tests, 0);
  EXPECT_NEAR(comparison.ratio, 3, 1e-9) << "the mean is known all the same";
  EXPECT_TRUE(std::isnan(comparison.interval.low));
}

} // namespace
} // namespace temper::tuner
