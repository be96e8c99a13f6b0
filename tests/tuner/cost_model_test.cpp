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
