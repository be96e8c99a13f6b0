#include "engine/timing/warm_up.h"

#include <gtest/gtest.h>

namespace temper::engine {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kOwn = 2 * kMiB;

int64_t settled(int64_t mebibytes, double call_ns) {
  return calls_until_settled(mebibytes * kMiB, kOwn, call_ns);
}

TEST(WarmUp, AStreamBeyondTheOwnCacheNeedsSeveralCalls) {
  EXPECT_EQ(settled(8, 280e3), 5);
  EXPECT_EQ(settled(8, 850e3), 4) << "a product of one row, 4 bits a weight";
  EXPECT_EQ(settled(32, 1.1e6), 5);
  EXPECT_EQ(settled(1, 7e3), 2) << "that fits";
  EXPECT_EQ(calls_until_settled(kMiB, 0, 7e3), 5) << "where nobody says that it does";
}

TEST(WarmUp, OneCallDoesWhereTheDataDoesNotMatter) {
  EXPECT_EQ(settled(1, 20e6), 1);
  EXPECT_EQ(settled(48, 170e6), 1) << "a product of matrices of 2048";
  EXPECT_EQ(calls_until_settled(0, kOwn, 100), 1);
}

TEST(WarmUp, TheLongerACallComputesOnItsDataTheFewerItTakes) {
  int64_t before = 100;
  for (double call_ns = 1e5; call_ns < 1e9; call_ns *= 1.5) {
    const int64_t calls = settled(16, call_ns);
    EXPECT_LE(calls, before) << call_ns;
    EXPECT_GE(calls, 1);
    before = calls;
  }
  EXPECT_EQ(before, 1);
}

TEST(WarmUp, ItIsBounded) {
  for (const int64_t mebibytes : {3, 64, 300, 5000})
    for (double call_ns = 1; call_ns < 1e10; call_ns *= 10) {
      const int64_t calls = settled(mebibytes, call_ns);
      EXPECT_LE(calls, 5);
      EXPECT_TRUE(calls <= 2 || static_cast<double>(calls) * call_ns <= 20e6)
          << mebibytes << " MiB, " << call_ns << " ns: " << calls;
    }
  EXPECT_EQ(settled(300, 18e6), 2) << "long, and of memory all the same";
}

TEST(WarmUp, ATurnIsNeverWarmedUpForLessThanHalfItsSample) {
  EXPECT_EQ(warm_up_calls(1, 1), 1);
  EXPECT_EQ(warm_up_calls(2, 4), 4);
  EXPECT_EQ(warm_up_calls(300, 2), 150);
}

} // namespace
} // namespace temper::engine
