#include "tuner/cost/cost_model.h"

#include "ir/support/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace temper::tuner {
namespace {

/// Candidates of two statements; the time is a sum over them that depends on two of the features.
CostSample synthetic(Random& random) {
  CostSample sample;
  sample.features.rows = 2;
  sample.features.values.resize(2 * kFeatureCount);
  for (float& value : sample.features.values)
    value = static_cast<float>(random.uniform() * 8);
  for (int row = 0; row < 2; ++row) {
    const double a = sample.features.row(row)[3];
    const double b = sample.features.row(row)[100];
    sample.seconds += 1e-3 * (1 + a * a + 2 * std::abs(b - 4));
  }
  return sample;
}

std::vector<CostSample> many(int count, uint64_t seed) {
  Random random(seed);
  std::vector<CostSample> samples;
  for (int i = 0; i < count; ++i)
    samples.push_back(synthetic(random));
  return samples;
}

ModelQuality quality_on(CostModel& model, const std::vector<CostSample>& samples) {
  std::vector<const FeatureMatrix*> features;
  std::vector<double> seconds;
  for (const CostSample& sample : samples) {
    features.push_back(&sample.features);
    seconds.push_back(sample.seconds);
  }
  return model_quality(model.predict(features), seconds);
}

TEST(XgboostModel, RanksCandidatesItHasNotSeen) {
  auto model = make_xgboost_model();
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_FALSE((*model)->is_trained());
  (*model)->update(many(200, 1));
  EXPECT_TRUE((*model)->is_trained());
  const ModelQuality quality = quality_on(**model, many(100, 2));
  EXPECT_GT(quality.rank_correlation, 0.6);
  EXPECT_GT(quality.top_recall, 0.4);
}

TEST(XgboostModel, IsTheSameForTheSameData) {
  std::vector<double> scores[2];
  for (std::vector<double>& result : scores) {
    auto model = make_xgboost_model();
    (*model)->update(many(64, 3));
    const std::vector<CostSample> probe = many(8, 4);
    std::vector<const FeatureMatrix*> features;
    for (const CostSample& sample : probe)
      features.push_back(&sample.features);
    result = (*model)->predict(features);
  }
  EXPECT_EQ(scores[0], scores[1]);
}

TEST(XgboostModel, ContributionsSumUpToWhatScoresDifferBy) {
  auto model = make_xgboost_model();
  const std::vector<CostSample> probe = many(2, 5);
  const FeatureMatrix* both[2] = {&probe[0].features, &probe[1].features};
  EXPECT_TRUE((*model)->contributions(both).empty());
  (*model)->update(many(200, 1));
  const auto parts = (*model)->contributions(both);
  ASSERT_EQ(parts.size(), 2U);
  ASSERT_EQ(parts[0].size(), static_cast<size_t>(kFeatureCount));
  double difference = 0, largest = 0, decisive = 0;
  for (size_t i = 0; i < parts[0].size(); ++i) {
    const double change = parts[1][i] - parts[0][i];
    difference += change;
    largest = std::max(largest, std::abs(change));
    if (i == 3 || i == 100)
      decisive = std::max(decisive, std::abs(change));
  }
  const std::vector<double> scores = (*model)->predict(both);
  EXPECT_NEAR(difference, scores[1] - scores[0], 1e-4);
  EXPECT_EQ(largest, decisive); // one of the two that the time hangs on
}

/// One statement whose first feature is `at`.
FeatureMatrix at_place(float at) {
  FeatureMatrix features;
  features.rows = 1;
  features.values.resize(kFeatureCount);
  features.values[0] = at;
  return features;
}

Counted busy(float share) {
  Counted counted;
  counted.fill(std::numeric_limits<float>::quiet_NaN());
  counted[0] = share;
  return counted;
}

TEST(CountedNeighbours, ACandidateHasThoseOfTheNearestOthers) {
  CountedNeighbours neighbours;
  for (const float at : {0.0F, 1.0F, 2.0F})
    neighbours.add(at_place(at), busy(at / 10));
  EXPECT_FALSE(neighbours.is_known()) << "three say nothing";
  EXPECT_TRUE(std::isnan(neighbours.of(at_place(1))[0]));
  for (const float at : {3.0F, 100.0F, 101.0F, 102.0F, 103.0F})
    neighbours.add(at_place(at), busy(at / 10));
  neighbours.add(at_place(3), busy(0.3F)); // again: still one
  ASSERT_TRUE(neighbours.is_known());
  const auto between = neighbours.of(at_place(1.5F));
  // 1 and 2 are half a step away, 0 and 3 one and a half.
  EXPECT_NEAR(between[0], (2 * 0.1 + 2 * 0.2 + 0.0 / 1.5 + 0.3 / 1.5) / (4 + 2 / 1.5), 1e-6);
  EXPECT_TRUE(std::isnan(between[1])) << "nobody counted it";
  EXPECT_GT(between[kCountedCount], 0);
  EXPECT_LT(between[kCountedCount], neighbours.of(at_place(50))[kCountedCount]);
  // Its own are not among them: they would not be there when it matters.
  const auto own = neighbours.of(at_place(0));
  EXPECT_GT(own[0], 0.1F);
}

/// Candidates whose time hangs on how busy something is, which their features tell in a way that is
/// hard to learn from few: by a wave.
std::vector<CostSample> waves(int count, uint64_t seed, bool counted) {
  Random random(seed);
  std::vector<CostSample> samples;
  for (int i = 0; i < count; ++i) {
    const double at = random.uniform() * 20;
    const auto share = static_cast<float>(0.5 + 0.4 * std::sin(at));
    CostSample sample{at_place(static_cast<float>(at)), 1e-3 / static_cast<double>(share), {}};
    if (counted)
      sample.counted = busy(share);
    samples.push_back(std::move(sample));
  }
  return samples;
}

TEST(XgboostModel, CountersOfOthersAreFeatures) {
  auto with = make_xgboost_model();
  auto without = make_xgboost_model();
  // Many were counted in other runs, few were timed in this one.
  (*without)->update(waves(12, 2, false));
  std::vector<CostSample> known = waves(60, 1, true);
  for (CostSample& sample : known)
    sample.seconds = std::numeric_limits<double>::infinity();
  (*with)->update(known);
  EXPECT_FALSE((*with)->is_trained());
  (*with)->update(waves(12, 2, false));
  const std::vector<CostSample> unseen = waves(80, 3, false);
  EXPECT_GT(quality_on(**with, unseen).rank_correlation,
            quality_on(**without, unseen).rank_correlation + 0.1);
  // What they add to a score is said, behind the features of programs.
  const FeatureMatrix* both[2] = {&unseen[0].features, &unseen[1].features};
  const auto parts = (*with)->contributions(both);
  ASSERT_EQ(parts.size(), 2U);
  ASSERT_EQ(parts[0].size(), kFeatureCount + kNeighbourFeatures);
  double difference = 0;
  for (size_t i = 0; i < parts[0].size(); ++i)
    difference += parts[1][i] - parts[0][i];
  const std::vector<double> scores = (*with)->predict(both);
  EXPECT_NEAR(difference, scores[1] - scores[0], 1e-4);
}

TEST(XgboostModel, FailuresAloneTeachNothingButDoNotHurt) {
  auto model = make_xgboost_model();
  std::vector<CostSample> failed = many(8, 5);
  for (CostSample& sample : failed)
    sample.seconds = std::numeric_limits<double>::infinity();
  (*model)->update(failed);
  EXPECT_FALSE((*model)->is_trained());
  (*model)->update(many(32, 6));
  EXPECT_TRUE((*model)->is_trained());
}

TEST(ModelQuality, PerfectAndReversedRankings) {
  const std::vector<double> seconds{1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<double> right{8, 7, 6, 5, 4, 3, 2, 1};
  const std::vector<double> wrong{1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_DOUBLE_EQ(model_quality(right, seconds).rank_correlation, 1);
  EXPECT_DOUBLE_EQ(model_quality(right, seconds).top_recall, 1);
  EXPECT_DOUBLE_EQ(model_quality(wrong, seconds).rank_correlation, -1);
  EXPECT_DOUBLE_EQ(model_quality(wrong, seconds).top_recall, 0);
}

} // namespace
} // namespace temper::tuner
