#include "engine/timing/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace temper::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Trace, ACallTakesFromItsFirstKernelToItsLast) {
  const std::vector<KernelRecord> records = {{100, 150, 7, "first"},
                                             {160, 200, 7, "second"},
                                             {300, 340, 8, "first"},
                                             {345, 390, 8, "second"},
                                             {500, 900, 3, "another"}};
  const auto times = call_times(records, 7, 2, {"first", "second"}, 0);
  ASSERT_TRUE(times) << times.error().message;
  EXPECT_THAT(*times, ElementsAre(100, 90));
}

TEST(Trace, RecordsMayComeInAnyOrder) {
  const std::vector<KernelRecord> records = {{160, 200, 1, "second"}, {100, 150, 1, "first"}};
  const auto times = call_times(records, 1, 1, {"first", "second"}, 0);
  ASSERT_TRUE(times) << times.error().message;
  EXPECT_THAT(*times, ElementsAre(100));
}

void expect_broken(const std::vector<KernelRecord>& records, const char* words,
                   size_t dropped = 0) {
  const auto times = call_times(records, 1, 2, {"k"}, dropped);
  ASSERT_FALSE(times);
  EXPECT_THAT(times.error().message, HasSubstr(words));
}

TEST(Trace, WhatIsNotWholeIsAnErrorAndNoTime) {
  expect_broken({}, "2 of 2 calls have no record");
  expect_broken({{10, 20, 1, "k"}}, "1 of 2 calls have no record");
  expect_broken({{10, 20, 1, "k"}, {30, 40, 0, "k"}}, "1 of 2 calls have no record");
  expect_broken({{0, 0, 1, "k"}, {30, 40, 2, "k"}}, "begins at 0 and ends at 0");
  expect_broken({{20, 10, 1, "k"}, {30, 40, 2, "k"}}, "begins at 20 and ends at 10");
  expect_broken({{10, 20, 1, "k"}, {21, 25, 1, "k"}, {30, 40, 2, "k"}}, "2 kernels");
  expect_broken({{10, 20, 1, "k"}, {30, 40, 2, "other"}}, "ran the kernel other");
  expect_broken({{10, 20, 1, "k"}, {30, 40, 2, "k"}}, "3 records were lost", 3);
}

} // namespace
} // namespace temper::engine
