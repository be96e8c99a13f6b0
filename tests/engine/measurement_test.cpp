#include "engine/believed.h"
#include "engine/measurement.h"
#include "engine/measurer.h"
#include "tests/support/fake_measurer.h"

#include <gtest/gtest.h>

namespace temper::engine {
namespace {

TEST(Outcome, EveryWordParsesBack) {
  for (int i = 0; i < kOutcomeCount; ++i) {
    const auto outcome = static_cast<Outcome>(i);
    EXPECT_EQ(parse_outcome(to_string(outcome)), outcome);
  }
  EXPECT_FALSE(parse_outcome("fine"));
}

TEST(Outcome, WhatIsBelievedIsRightAndNotTooFast) {
  EXPECT_TRUE(is_believed(Outcome::kOk));
  EXPECT_TRUE(is_believed(Outcome::kCensored));
  EXPECT_TRUE(is_correct(Outcome::kUnbelievable));
  EXPECT_FALSE(is_believed(Outcome::kUnbelievable));
  EXPECT_FALSE(is_believed(Outcome::kWrongResult));
}

TEST(DeviceState, DriftIsTheLargestChangeOfAnAnchor) {
  const DeviceState before{100, 1000, 0, 0};
  EXPECT_NEAR(DeviceState::drift(before, {101, 1050, 0, 0}), 0.05, 1e-12);
  EXPECT_NEAR(DeviceState::drift(before, {97, 1000, 0, 0}), 0.03, 1e-12);
  EXPECT_EQ(DeviceState::drift({}, before), 0);
}

TEST(DeviceState, HasDriftedWhenItIsMoreThanIsUsual) {
  const DeviceState before{100, 1000, 0, 0, 0.001};
  EXPECT_FALSE(DeviceState::drifted(before, {101.9, 1000, 0, 0, 0.001}));
  EXPECT_TRUE(DeviceState::drifted(before, {103, 1000, 0, 0, 0.001}));
  EXPECT_FALSE(DeviceState::drifted(before, {103, 1000, 0, 0, 0.02}));
  EXPECT_TRUE(DeviceState::drifted(before, {108, 1000, 0, 0, 0.02}));
}

TEST(InputSets, TheExactSetKeepsIndexRanges) {
  const auto sets = default_input_sets(7, {{"A", "normal"}, {"index", "int(0, 9)"}});
  ASSERT_EQ(sets.size(), 2U);
  EXPECT_EQ(sets[1].default_distribution, "small_int");
  EXPECT_EQ(sets[1].distributions.at("A"), "small_int") << "an output that is named is read";
  EXPECT_EQ(sets[1].distributions.at("index"), "int(0, 9)");
  EXPECT_NE(sets[0].seed, sets[1].seed);
}

TEST(FakeMeasurer, ReturnsResultsLateButInOrder) {
  FakeMeasurer fake([](const MeasureRequest& r) { return FakeMeasurer::took(r.best_ns); }, 1);
  const Ticket first = fake.submit({.best_ns = 10});
  const Ticket second = fake.submit({.best_ns = 20});
  EXPECT_EQ(fake.pending(), 2U);
  std::vector<FinishedMeasurement> all;
  while (fake.pending() > 0)
    for (FinishedMeasurement& done : fake.poll(0))
      all.push_back(std::move(done));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].ticket, first);
  EXPECT_EQ(all[1].ticket, second);
  EXPECT_EQ(all[1].measurement.median_ns, 20);
}

} // namespace
} // namespace temper::engine
