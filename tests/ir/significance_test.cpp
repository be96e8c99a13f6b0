// Ratios of samples that were taken apart, and many of them at once.
#include "ir/support/random.h"
#include "ir/support/significance.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

namespace temper {
namespace {

using Samples = std::vector<double>;

/// Times as a machine gives them: a long tail upwards.
Samples times(Random& random, size_t count, double scale) {
  Samples samples;
  for (size_t i = 0; i < count; ++i)
    samples.push_back(scale * (1 + 0.05 * std::exp(random.normal())));
  return samples;
}

TEST(RankSum, IsExactForFewSamples) {
  // The share of the 20, 252 and 70 orders that are at least as uneven.
  EXPECT_NEAR(rank_sum_p_value(Samples{1, 2, 3}, Samples{4, 5, 6}), 2.0 / 20, 1e-12);
  EXPECT_NEAR(rank_sum_p_value(Samples{1, 2, 3, 4, 5}, Samples{6, 7, 8, 9, 10}), 2.0 / 252, 1e-12);
  EXPECT_NEAR(rank_sum_p_value(Samples{1, 3, 5, 7}, Samples{2, 4, 6, 8}), 48.0 / 70, 1e-12);
  EXPECT_NEAR(rank_sum_p_value(Samples{9}, Samples{1, 2, 3}), 2.0 / 4, 1e-12);
}

TEST(RankSum, DoesNotDependOnTheOrderOfSidesOrSamples) {
  Random random(3);
  const Samples a = times(random, 12, 1);
  Samples b = times(random, 15, 1.02);
  const double p = rank_sum_p_value(a, b);
  EXPECT_NEAR(rank_sum_p_value(b, a), p, 1e-12);
  std::swap(b.front(), b.back());
  EXPECT_NEAR(rank_sum_p_value(a, b), p, 1e-12);
}

TEST(RankSum, TiesAndManySamplesAreApproximated) {
  // By hand: ranks 1, 3, 3, 5.5 of the first, U = 2.5, variance 16/12 (9 - 30/56).
  const double z = (8 - 2.5 - 0.5) / std::sqrt(16.0 / 12 * (9 - 30.0 / 56));
  EXPECT_NEAR(rank_sum_p_value(Samples{1, 2, 2, 3}, Samples{2, 3, 4, 5}),
              std::erfc(z / std::sqrt(2.0)), 1e-12);
  EXPECT_EQ(rank_sum_p_value(Samples(10, 2.0), Samples(10, 2.0)), 1);
  EXPECT_EQ(rank_sum_p_value({}, Samples{1}), 1);
  // Where both ways are possible they nearly agree.
  Random random(5);
  const Samples a = times(random, 20, 1);
  const Samples b = times(random, 20, 1.03);
  Samples one_more = b;
  one_more.push_back(1.06); // 41 samples: no longer exact
  EXPECT_NEAR(rank_sum_p_value(a, b), rank_sum_p_value(a, one_more), 0.05);
}

TEST(Holm, IsAsPublished) {
  const Samples adjusted = holm_adjusted(Samples{0.01, 0.04, 0.03, 0.005});
  const Samples expected{0.03, 0.06, 0.06, 0.02};
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(adjusted[i], expected[i], 1e-12) << i;
  EXPECT_EQ(holm_adjusted(Samples{0.7, 0.9})[0], 1) << "never above one";
  EXPECT_TRUE(holm_adjusted({}).empty());
}

TEST(Holm, KernelsThatAreEqualAreSeldomCalledDifferent) {
  Random random(1);
  constexpr int kComparisons = 300;
  int plain = 0;
  int corrected = 0;
  for (int i = 0; i < kComparisons; ++i) {
    Samples p_values;
    for (int kernel = 0; kernel < 20; ++kernel)
      p_values.push_back(rank_sum_p_value(times(random, 25, 1), times(random, 25, 1)));
    const auto different = [](const Samples& values) {
      return std::any_of(values.begin(), values.end(), [](double p) { return p <= 0.05; });
    };
    plain += different(p_values);
    corrected += different(holm_adjusted(p_values));
  }
  EXPECT_GT(plain, kComparisons / 3) << "without a correction a false alarm is the rule";
  EXPECT_LT(corrected, kComparisons / 11);
  EXPECT_GT(corrected, 0) << "the test has power to fail";
}

TEST(RatioInterval, HoldsTheTruthAsOftenAsItSays) {
  Random random(2);
  constexpr int kRuns = 300;
  int held = 0;
  for (int run = 0; run < kRuns; ++run) {
    const Samples a = times(random, 25, 1.1);
    const Samples b = times(random, 31, 1.0);
    const Interval interval =
        ratio_interval(log_ratio_draws(a, b, static_cast<uint64_t>(run), 400));
    held += interval.low <= 1.1 && 1.1 <= interval.high;
  }
  EXPECT_GT(held, kRuns * 91 / 100);
  EXPECT_LT(held, kRuns) << "an interval that always holds it is too wide";
}

TEST(RatioInterval, ManySamplesAreThinnedWithoutMovingIt) {
  Random random(4);
  const Samples a = times(random, 4000, 1.25);
  const Samples b = times(random, 3000, 1.0);
  const Samples draws = log_ratio_draws(a, b, 1);
  EXPECT_NEAR(std::exp(median(draws)), median(a) / median(b), 0.005);
}

TEST(RatioInterval, OfNothingIsUnknown) {
  EXPECT_TRUE(log_ratio_draws({}, Samples{1}, 1).empty());
  EXPECT_TRUE(log_ratio_draws(Samples{0}, Samples{1}, 1).empty());
  EXPECT_TRUE(std::isnan(ratio_interval({}).low));
  const Interval one = ratio_interval(log_ratio_draws(Samples{3}, Samples{2}, 1));
  EXPECT_DOUBLE_EQ(one.low, 1.5);
  EXPECT_DOUBLE_EQ(one.high, 1.5);
}

TEST(GeometricMean, IsTheRootOfTheProduct) {
  EXPECT_NEAR(geometric_mean(Samples{1, 4}), 2, 1e-12);
  EXPECT_TRUE(std::isnan(geometric_mean({})));
}

} // namespace
} // namespace temper
