#include "engine/timing/stop_rule.h"

#include "engine/timing/cold.h"
#include "engine/timing/hot.h"
#include "engine/timing/repeated_calls.h"
#include "ir/support/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace temper::engine {
namespace {

std::vector<double> noisy(int count, double center, double spread, uint64_t seed = 3) {
  Random random(seed);
  std::vector<double> samples;
  for (int i = 0; i < count; ++i)
    samples.push_back(center * (1 + spread * (random.uniform() - 0.5)));
  return samples;
}

// Others are divided by it.
TEST(Timing, WhatTheClockDoesNotSeeStillTookTime) {
  const auto nothing = [] { return true; };
  EXPECT_EQ(time_hot(nothing, 4, 1e12), 0.25);
  EXPECT_EQ(time_cold(nothing, {}, 1e12), 1.0);
}

TEST(StopRule, BatchesShortKernelsToTheSampleLength) {
  StopRule rule;
  EXPECT_EQ(calls_per_sample(rule, 100), 500);
  EXPECT_EQ(calls_per_sample(rule, 49'999), 2);
  EXPECT_EQ(calls_per_sample(rule, 50'000), 1);
  EXPECT_EQ(calls_per_sample(rule, 5e9), 1);
  EXPECT_EQ(calls_per_sample(rule, 0), 1);
}

TEST(StopRule, OneSlowCallIsNoVerdictWhereAGapCouldExplainIt) {
  StopRule rule;
  EXPECT_FALSE(is_hopeless(rule, 8e6, 1, 1e5)) << "8 ms against 0.1 ms may be a lost core";
  EXPECT_TRUE(is_hopeless(rule, 8e6, 3, 1e5));
  EXPECT_TRUE(is_hopeless(rule, 500e6, 1, 100e6)) << "no gap is 300 ms long";
}

TEST(StopRule, NothingIsHopelessWithoutABest) {
  StopRule rule;
  EXPECT_FALSE(is_hopeless(rule, 1e12, 100, 0));
  rule.hopeless_factor = 0;
  EXPECT_FALSE(is_hopeless(rule, 1e12, 100, 1));
}

TEST(StopRule, StopsAtOnceWhenHopeless) {
  StopRule rule;
  const std::vector<double> samples = {2500, 2600};
  EXPECT_EQ(decide(rule, samples, 20, 1000, 1e5), Decision::kHopeless);
}

TEST(StopRule, GoesOnUntilThereAreEnoughSamples) {
  StopRule rule;
  EXPECT_EQ(decide(rule, noisy(3, 1000, 0.001), 50, 1000, 1e5), Decision::kContinue);
  EXPECT_EQ(decide(rule, noisy(7, 1000, 0.001), 50, 1000, 1e5), Decision::kPrecise);
}

TEST(StopRule, StopsWhenTheIntervalExcludesTheBest) {
  StopRule rule;
  EXPECT_EQ(decide(rule, noisy(9, 1300, 0.1), 50, 1000, 1e5), Decision::kBeaten);
}

TEST(StopRule, TheSlowerTheFewerSamplesAreEnough) {
  const StopRule rule;
  EXPECT_EQ(decide(rule, noisy(2, 1300, 0.05), 50, 1000, 3e6), Decision::kBeaten);
  EXPECT_EQ(decide(rule, noisy(1, 1300, 0.05), 50, 1000, 3e6), Decision::kContinue)
      << "one sample is no verdict";
  EXPECT_EQ(decide(rule, noisy(2, 1300, 0.05), 50, 1000, 1e5), Decision::kContinue)
      << "nor is a tenth of a millisecond";
  EXPECT_EQ(decide(rule, std::vector<double>{1300, 1040}, 50, 1000, 3e6), Decision::kContinue)
      << "a gap and a little are no verdict";
  EXPECT_EQ(decide(rule, noisy(3, 1045, 0.01), 50, 1000, 3e6), Decision::kBeaten);
  EXPECT_EQ(decide(rule, noisy(2, 1300, 0.05), 50, 0, 3e6), Decision::kContinue);
  StopRule loud = rule;
  loud.noise = 0.2;
  EXPECT_EQ(decide(loud, noisy(2, 1300, 0.05), 50, 1000, 3e6), Decision::kContinue);
}

TEST(StopRule, AKernelAsFastAsTheBestIsSeldomCalledSlower) {
  // Samples as this rule takes them to be: half of them up to 3 % shorter, the others longer by an
  // exponential tail.
  const StopRule rule;
  Random random(11);
  int convicted = 0;
  constexpr int kKernels = 4000;
  for (int kernel = 0; kernel < kKernels; ++kernel) {
    std::vector<double> samples;
    bool beaten = false;
    while (samples.size() < 6 && !beaten) {
      const double away = -rule.noise * std::log(1 - random.uniform());
      samples.push_back(1000 * (random.uniform() < 0.5 ? 1 + away : 1 - 0.03 * random.uniform()));
      beaten = is_beaten(rule, *std::min_element(samples.begin(), samples.end()),
                         static_cast<int>(samples.size()), 1000);
    }
    convicted += beaten ? 1 : 0;
  }
  EXPECT_GT(convicted, 0);
  EXPECT_LT(convicted, kKernels / 40) << "five looks, at most half a percent each";
}

TEST(StopRule, InARaceWhatTrailsTheBestIsNotTimedFurther) {
  StopRule rule;
  const std::vector<double> trailing{990, 1005, 1008, 1010, 1050};
  const std::vector<double> leading{980, 985, 990, 1010, 1050};
  EXPECT_EQ(decide(rule, trailing, 50, 1000, 3e6), Decision::kContinue);
  rule.trailing_samples = 5;
  EXPECT_EQ(decide(rule, trailing, 50, 1000, 3e6), Decision::kBeaten);
  EXPECT_EQ(decide(rule, leading, 50, 1000, 3e6), Decision::kContinue);
  EXPECT_EQ(decide(rule, {trailing.data(), 4}, 50, 900, 1e5), Decision::kContinue);
  EXPECT_EQ(decide(rule, trailing, 50, 0, 3e6), Decision::kContinue) << "there is no best yet";
}

TEST(NoiseScale, IsThatOfTheTailAndLeavesLostCoresOut) {
  Random random(5);
  std::vector<double> excesses;
  EXPECT_FALSE(noise_scale(excesses));
  for (int i = 0; i < 2000; ++i)
    excesses.push_back(random.uniform() < 0.5 ? -0.01 * random.uniform()
                                              : -0.04 * std::log(1 - random.uniform()));
  ASSERT_TRUE(noise_scale(excesses));
  EXPECT_NEAR(*noise_scale(excesses), 0.04, 0.006);
  for (size_t i = 0; i < 60; ++i)
    excesses[i] = 5; // a core that was away for milliseconds
  EXPECT_NEAR(*noise_scale(excesses), 0.04, 0.012);
  EXPECT_GT(*noise_scale(std::vector<double>(60, 0.0)), 0) << "no machine is without noise";
}

TEST(StopRule, ANewBestIsMeasuredUntilPrecise) {
  StopRule rule;
  EXPECT_EQ(decide(rule, noisy(9, 700, 0.3), 80, 1000, 1e5), Decision::kContinue);
  EXPECT_EQ(decide(rule, noisy(200, 700, 0.03), 80, 1000, 1e5), Decision::kPrecise);
}

TEST(StopRule, TimeAndSamplesAreCapped) {
  StopRule rule;
  EXPECT_EQ(decide(rule, noisy(2, 4e8, 0.5), 1, 0, 1e9), Decision::kContinue) << "two are too few";
  EXPECT_EQ(decide(rule, noisy(3, 4e8, 0.5), 1, 0, 1e9), Decision::kOutOfTime);
  EXPECT_EQ(decide(rule, noisy(1, 4e9, 0.5), 1, 0, 8e9), Decision::kOutOfTime);
  EXPECT_EQ(decide(rule, noisy(300, 1000, 1.5), 50, 0, 1e6), Decision::kOutOfTime);
}

TEST(Summarize, DropsAndCountsGapsInShortSamples) {
  std::vector<double> samples = noisy(20, 60'000, 0.01);
  samples[4] += 5e6;
  samples[11] += 9e6;
  const Summary summary = summarize(samples, 1);
  EXPECT_EQ(summary.gaps_dropped, 2);
  EXPECT_EQ(summary.kept.size(), 18U);
  EXPECT_FALSE(summary.flagged);
  EXPECT_NEAR(summary.value_ns, 60'000, 600);
}

TEST(Summarize, AGapIsAsLongInABatchAsInASingleCall) {
  std::vector<double> samples = noisy(20, 100, 0.01); // 500 calls of 100 ns each
  samples[4] += 5e6 / 500;
  EXPECT_EQ(summarize(samples, 500).gaps_dropped, 1);
}

TEST(Summarize, KeepsAKernelsOwnTwoModes) {
  std::vector<double> samples = noisy(20, 60'000, 0.01);
  for (size_t i = 0; i < samples.size(); i += 2)
    samples[i] *= 2; // far too little for a preemption
  EXPECT_EQ(summarize(samples, 1).gaps_dropped, 0);
}

TEST(Summarize, FlagsUnevenLongSamplesAndTakesTheirLowerQuartile) {
  std::vector<double> samples = noisy(12, 50e6, 0.004);
  for (size_t i = 0; i < samples.size(); i += 3)
    samples[i] += 8e6;
  const Summary summary = summarize(samples, 1);
  EXPECT_TRUE(summary.flagged);
  EXPECT_EQ(summary.gaps_dropped, 0);
  EXPECT_EQ(summary.kept.size(), samples.size());
  EXPECT_NEAR(summary.value_ns, 50e6, 0.2e6);
  EXPECT_LE(summary.interval.low, summary.value_ns);
}

TEST(Summarize, LeavesEvenLongSamplesAlone) {
  const Summary summary = summarize(noisy(12, 50e6, 0.004), 1);
  EXPECT_FALSE(summary.flagged);
  EXPECT_NEAR(summary.value_ns, 50e6, 0.2e6);
}

TEST(Summarize, SamplesThatWereSwitchedOutGoWhereOthersAreLeft) {
  std::vector<double> samples = noisy(12, 20e6, 0.002);
  std::vector<uint8_t> switched(12, 0);
  for (size_t i : {2U, 5U, 6U}) {
    samples[i] += 4e6;
    switched[i] = 1;
  }
  switched[9] = 1; // and came back at once
  const Summary summary = summarize(samples, 1, 0.95, switched);
  EXPECT_EQ(summary.gaps_dropped, 3);
  EXPECT_FALSE(summary.flagged);
  EXPECT_NEAR(summary.value_ns, 20e6, 0.04e6);
}

TEST(Summarize, WhenNearlyAllWereSwitchedOutTheLowerQuartileStands) {
  std::vector<double> samples = noisy(12, 2e6, 0.002);
  for (size_t i = 0; i < 8; ++i)
    samples[i] += 0.1e6 * static_cast<double>(i);
  std::vector<uint8_t> switched(12, 1);
  switched[11] = 0;
  const Summary summary = summarize(samples, 1, 0.95, switched);
  EXPECT_EQ(summary.gaps_dropped, 0);
  EXPECT_TRUE(summary.flagged);
  EXPECT_NEAR(summary.value_ns, 2e6, 0.02e6);
}

TEST(Summarize, IsEmptyForNoSamples) {
  EXPECT_EQ(summarize({}, 1).value_ns, 0);
  EXPECT_TRUE(summarize({}, 1).kept.empty());
}

using Times = std::vector<double>;

TEST(RepeatedCalls, AreHeldAgainstTheFastestFreshOne) {
  Times fresh(kMostPairs, 2000);
  Times repeated(kMostPairs, 1000);
  EXPECT_TRUE(is_faster_on_results(fresh, repeated));
  repeated[3] = repeated[7] = 9000;
  EXPECT_TRUE(is_faster_on_results(fresh, repeated)) << "two that were disturbed";
  repeated[5] = 2100;
  EXPECT_FALSE(is_faster_on_results(fresh, repeated));
  repeated[5] = 1000;
  fresh[4] = 1010;
  EXPECT_FALSE(is_faster_on_results(fresh, repeated)) << "one fresh call that is as fast acquits";
  EXPECT_FALSE(is_faster_on_results(Times(kMostPairs, 75), Times(kMostPairs, 30)))
      << "within what the clock sees";
  EXPECT_FALSE(is_faster_on_results(Times(kMostPairs, 110e3), Times(kMostPairs, 100e3)));
  EXPECT_FALSE(is_faster_on_results(Times{2000, 2000}, Times{1000, 1000})) << "too few";
  EXPECT_TRUE(may_be_faster_on_results(Times{2000, 2000}, Times{1000, 1000}));
  EXPECT_FALSE(may_be_faster_on_results(Times{}, Times{}));
}

TEST(RepeatedCalls, GoOnWhileTheySpeakAgainstAKernel) {
  EXPECT_TRUE(wants_another_pair(Times{}, Times{}));
  EXPECT_TRUE(wants_another_pair(Times{1000, 1000}, Times{1000, 1000}));
  EXPECT_FALSE(wants_another_pair(Times{1000, 1000, 1000}, Times{1000, 1000, 1000}));
  EXPECT_FALSE(wants_another_pair(Times{20e6}, Times{20e6})) << "no core lost hides in that";
  EXPECT_TRUE(wants_another_pair(Times{40e6}, Times{20e6}));
  EXPECT_TRUE(wants_another_pair(Times{9e3, 9e3, 9e3, 9e3}, Times{1e3, 1e3, 1e3, 1e3}));
  EXPECT_FALSE(wants_another_pair(Times(kMostPairs, 9e3), Times(kMostPairs, 1e3)));
}

} // namespace
} // namespace temper::engine
