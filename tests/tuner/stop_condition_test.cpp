#include "tuner/search/stop_condition.h"

#include <gtest/gtest.h>

namespace temper::tuner {
namespace {

TEST(StopCondition, AnExplicitNumberOfTrialsIsSpentInFull) {
  StopCondition stop;
  stop.trials = 50;
  EXPECT_EQ(stop.reached({.trials = 49, .seconds = 1e6, .trials_since_gain = 49}), "");
  EXPECT_NE(stop.reached({.trials = 50}), "");
}

TEST(StopCondition, AnExplicitNumberOfTrialsStopsEarlyOnlyWhenTheSpaceIsExhausted) {
  StopCondition stop;
  stop.trials = 5000;
  EXPECT_EQ(stop.reached({.trials = 4000, .trials_since_gain = 3999}), "");
  EXPECT_EQ(stop.reached({.trials = 4000, .space_exhausted = true}), "the space is exhausted");
}

TEST(StopCondition, WithoutLimitsItStopsWhenNothingGetsBetter) {
  const StopCondition stop;
  EXPECT_EQ(stop.reached({.trials = 300, .trials_since_gain = 199}), "");
  EXPECT_NE(stop.reached({.trials = 300, .trials_since_gain = 200}).find("converged"),
            std::string::npos);
  EXPECT_EQ(stop.reached({.trials = 1000, .trials_since_gain = 10}), "1000 trials");
}

TEST(StopCondition, SecondsEndARunOfAnyLength) {
  StopCondition stop;
  stop.seconds = 10;
  EXPECT_EQ(stop.reached({.trials = 5000, .seconds = 9.9}), "");
  EXPECT_NE(stop.reached({.trials = 3, .seconds = 10}), "");
}

TEST(StopCondition, AnInterruptComesFirst) {
  StopCondition stop;
  stop.trials = 1;
  EXPECT_EQ(stop.reached({.trials = 1, .interrupted = true}), "interrupted");
}

TEST(StopCondition, NothingIsLeftToGainAtTheMachinesBound) {
  const StopCondition stop;
  EXPECT_EQ(stop.reached({.trials = 10, .best_ns = 110, .bound_ns = 100}), "");
  EXPECT_EQ(stop.reached({.trials = 10, .best_ns = 102, .bound_ns = 100}),
            "the best is within 3 % of what this machine can do");
  EXPECT_EQ(stop.reached({.trials = 10, .best_ns = 102, .bound_ns = 0}), ""); // not known
  EXPECT_EQ(stop.reached({.trials = 10, .best_ns = 0, .bound_ns = 100}), ""); // nothing valid yet
  StopCondition asked;
  asked.trials = 50; // as many as were asked for
  EXPECT_EQ(asked.reached({.trials = 10, .best_ns = 100, .bound_ns = 100}), "");
}

TEST(StopCondition, ABoundThatAKernelHasBeatenStopsNothing) {
  const StopCondition stop;
  EXPECT_NE(stop.reached({.trials = 10, .best_ns = 98, .bound_ns = 100}), ""); // noise
  EXPECT_EQ(stop.reached({.trials = 10, .best_ns = 90, .bound_ns = 100}), "");
  EXPECT_EQ(stop.reached({.trials = 10, .best_ns = 1, .bound_ns = 100}), "");
}

} // namespace
} // namespace temper::tuner
