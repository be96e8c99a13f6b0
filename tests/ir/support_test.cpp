#include "ir/dtype.h"
#include "ir/support/hash.h"
#include "ir/support/json.h"
#include "ir/support/quantities.h"
#include "ir/support/random.h"
#include "ir/support/result.h"
#include "ir/support/statistics.h"
#include "ir/support/target_text.h"
#include "ir/support/text.h"

#include <gtest/gtest.h>

#include <vector>

namespace temper {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0)
    return Error(ErrorCode::kInvalidArgument, "odd");
  return value / 2;
}

Result<int> quarter(int value) {
  TEMPER_TRY(once, half(value));
  return half(once);
}

TEST(Result, TryPassesTheErrorOn) {
  EXPECT_EQ(*quarter(8), 2);
  const Result<int> failed = quarter(6);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "odd");
}

Result<const char*> checked_or_not(bool check, int value) {
  if (check)
    TEMPER_TRY_VOID(half(value));
  else
    return "not checked";
  return "checked";
}

TEST(Result, TryLeavesTheElseToTheIfAroundIt) {
  EXPECT_STREQ(*checked_or_not(false, 3), "not checked");
  EXPECT_STREQ(*checked_or_not(true, 4), "checked");
  EXPECT_FALSE(checked_or_not(true, 3).has_value());
}

TEST(Random, StateContinuesTheStream) {
  Random first(7);
  first();
  Random second = Random::from_state(first.state());
  EXPECT_EQ(first(), second());
}

TEST(Random, BelowStaysInRangeAndReachesAll) {
  Random random(1);
  std::vector<int> seen(5);
  for (int i = 0; i < 1000; ++i)
    ++seen[static_cast<size_t>(random.below(5))];
  for (int count : seen)
    EXPECT_GT(count, 100);
}

TEST(Statistics, MedianAndInterval) {
  const std::vector<double> samples{5, 1, 4, 2, 3};
  EXPECT_EQ(median(samples), 3);
  const Interval interval = median_interval(samples, 0.5);
  EXPECT_LE(interval.low, 3);
  EXPECT_GE(interval.high, 3);
}

TEST(Statistics, RankCorrelationKnowsOrder) {
  const std::vector<double> a{1, 2, 3, 4};
  const std::vector<double> b{10, 20, 30, 40};
  const std::vector<double> c{4, 3, 2, 1};
  EXPECT_DOUBLE_EQ(rank_correlation(a, b), 1);
  EXPECT_DOUBLE_EQ(rank_correlation(a, c), -1);
}

TEST(DataType, NamesRoundTrip) {
  for (const char* name : {"bool", "int8", "int64", "uint32", "float16", "bfloat16", "float32",
                           "float64", "float32x8", "boolx4", "handle"}) {
    const auto type = parse_data_type(name);
    ASSERT_TRUE(type) << name;
    EXPECT_EQ(to_string(*type), name);
  }
  EXPECT_FALSE(parse_data_type("float33"));
  EXPECT_FALSE(parse_data_type("float32x0"));
  EXPECT_FALSE(parse_data_type("integer"));
}

TEST(Text, NearestNameIsOffered) {
  const std::vector<std::string> names{"matmul", "softmax"};
  EXPECT_EQ(nearest_name("matmull", names), "matmul");
  EXPECT_EQ(nearest_name("zzz", names), "");
}

TEST(Text, WordsAreWrapped) {
  EXPECT_EQ(wrap_words("one two three", 7), "one two\nthree");
  EXPECT_EQ(wrap_words("one two three", 8), "one two\nthree");
  EXPECT_EQ(wrap_words("a\nlongerthanfive b c d", 5), "a\nlongerthanfive\nb c d");
  EXPECT_EQ(wrap_words("", 5), "");
}

TEST(Json, ErrorNamesLineAndColumn) {
  const auto parsed = parse_json("{\n  \"a\": ,\n}");
  ASSERT_FALSE(parsed);
  EXPECT_NE(parsed.error().message.find("line 2"), std::string::npos) << parsed.error().message;
}

TEST(Quantities, RatesOfIntegersAreNotOfFloatingPoint) {
  const double flops = 2e6, ns = 1e4;
  EXPECT_EQ(format_rate(flops, ns, R"({"M":8,"dtype":"bfloat16"})"), "200.0 GFLOP/s");
  EXPECT_EQ(format_rate(flops, ns, R"({"M":8,"dtype":"int8"})"), "200.0 GOP/s");
  EXPECT_EQ(format_rate(flops, ns, R"({"b_dtype":"int8","dtype":"uint8"})"), "200.0 GOP/s");
  // A packed operand's type is not what is computed with; nor is every parameter a type.
  EXPECT_EQ(format_rate(flops, ns, R"({"dtype":"float32","format":"int4"})"), "200.0 GFLOP/s");
  EXPECT_EQ(format_rate(flops, ns, R"({"dtype":8})"), "200.0 GFLOP/s");
  for (const char* none : {"", "[1]", "{"})
    EXPECT_EQ(format_rate(flops, ns, none), "200.0 GFLOP/s");
  EXPECT_EQ(format_rate(flops, 0, "{}"), "-");
}

TEST(TargetText, ThreadsAreThoseOfACpu) {
  EXPECT_EQ(target_and_threads("cpu:znver4", 1), "cpu:znver4, 1 thread");
  EXPECT_EQ(target_and_threads("native", 2), "native, 2 threads");
  for (const char* gpu : {"cuda:sm_90a", "cuda:sm_80,nvptx", "hip:gfx942"}) {
    EXPECT_EQ(target_and_threads(gpu, 1), gpu);
    EXPECT_EQ(thread_text(gpu, 1), "");
    EXPECT_EQ(thread_cell(gpu, 1), "");
  }
  EXPECT_EQ(thread_cell("cpu:znver4", 12), "12");
}

} // namespace
} // namespace temper
