#include "engine/compare.h"

#include "engine/arguments.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace temper::engine {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <typename T, typename W>
std::optional<WorstElement> compared(const std::vector<T>& got, DataType type,
                                     const std::vector<W>& want, DataType want_type,
                                     double relative) {
  const auto bytes = std::as_bytes(std::span(want));
  return compare(std::as_bytes(std::span(got)), type,
                 {bytes, want_type, reference_scale(bytes, want_type)}, relative);
}

std::optional<WorstElement> floats(const std::vector<float>& got, const std::vector<double>& want,
                                   double relative = 1e-5) {
  return compared(got, DataType::float32(), want, DataType::float64(), relative);
}

TEST(Compare, EqualIsRight) { EXPECT_FALSE(floats({1, 2, 3}, {1, 2, 3})); }

TEST(Compare, FindsTheWorstElementAndCountsTheWrongOnes) {
  std::vector<float> got(10'000, 1.0F);
  const std::vector<double> want(10'000, 1.0);
  got[77] = 1.1F;
  got[5000] = 3.0F;
  got[9999] = 1.2F;
  const auto worst = floats(got, want);
  ASSERT_TRUE(worst);
  EXPECT_EQ(worst->index, 5000);
  EXPECT_EQ(worst->got, 3.0);
  EXPECT_EQ(worst->expected, 1.0);
  EXPECT_EQ(worst->wrong_count, 3);
  EXPECT_NEAR(worst->tolerance, 1e-5, 1e-9);
}

TEST(Compare, CancelledSumsAreHeldAgainstTheScaleOfTheOutput) {
  EXPECT_FALSE(floats({100, -100, 1e-4F}, {100, -100, 0}));
  EXPECT_TRUE(floats({100, -100, 1e-2F}, {100, -100, 0}));
}

TEST(Compare, NanIsWrongUnlessTheReferenceHasIt) {
  const auto worst = floats({1, kNan, 3}, {1, 2, 3});
  ASSERT_TRUE(worst);
  EXPECT_EQ(worst->index, 1);
  EXPECT_TRUE(std::isnan(worst->got));
  EXPECT_FALSE(floats({1, kNan, 3}, {1, double{kNan}, 3}));
  EXPECT_TRUE(floats({1, 2, 3}, {1, double{kNan}, 3}));
}

TEST(Compare, NanIsWorseThanAnyError) {
  const auto worst = floats({9e9F, kNan}, {1, 1});
  ASSERT_TRUE(worst);
  EXPECT_EQ(worst->index, 1);
  EXPECT_EQ(worst->wrong_count, 2);
}

TEST(Compare, InfinitiesMustAgreeInSign) {
  EXPECT_FALSE(floats({kInfinity, 1}, {double{kInfinity}, 1}));
  EXPECT_TRUE(floats({-kInfinity, 1}, {double{kInfinity}, 1}));
  EXPECT_TRUE(floats({kInfinity, 1}, {5, 1}));
}

TEST(Compare, AReferenceBeyondTheTypesRangeMayRoundToInfinity) {
  const std::vector<uint16_t> got = {float_to_half(kInfinity), float_to_half(2)};
  EXPECT_FALSE(compared(got, DataType::floating(16), std::vector<double>{70'000, 2},
                        DataType::float64(), 1e-3));
  EXPECT_TRUE(compared(got, DataType::floating(16), std::vector<double>{60'000, 2},
                       DataType::float64(), 1e-3));
}

TEST(Compare, IntegersMustBeEqual) {
  const auto ints = [](std::vector<int32_t> got, std::vector<int32_t> want) {
    return compared(got, DataType::int32(), want, DataType::int32(), 0);
  };
  EXPECT_FALSE(ints({1, 2}, {1, 2}));
  const auto worst = ints({1, 3}, {1, 2});
  ASSERT_TRUE(worst);
  EXPECT_EQ(worst->index, 1);
}

TEST(Compare, HalfAndBfloatAreWidened) {
  std::vector<uint16_t> half;
  std::vector<uint16_t> bfloat;
  std::vector<double> want;
  for (int i = 0; i < 5000; ++i) {
    want.push_back(i / 7.0);
    half.push_back(float_to_half(static_cast<float>(i / 7.0)));
    bfloat.push_back(float_to_bfloat16(static_cast<float>(i / 7.0)));
  }
  EXPECT_FALSE(compared(half, DataType::floating(16), want, DataType::float64(), 1e-3));
  EXPECT_FALSE(compared(bfloat, DataType::bfloat16(), want, DataType::float64(), 8e-3));
  half[4321] = float_to_half(1.0F);
  const auto worst = compared(half, DataType::floating(16), want, DataType::float64(), 1e-3);
  ASSERT_TRUE(worst);
  EXPECT_EQ(worst->index, 4321);
}

TEST(Compare, ThePoisonPatternIsNeverRight) {
  std::vector<float> got(64);
  std::fill_n(reinterpret_cast<unsigned char*>(got.data()), 256, 0xff);
  const auto worst = floats(got, std::vector<double>(64, 0.0));
  ASSERT_TRUE(worst);
  EXPECT_EQ(worst->wrong_count, 64);
}

TEST(Tolerance, GrowsWithLengthAndShrinksWithPrecision) {
  EXPECT_GT(default_tolerance(DataType::float32(), 4096),
            default_tolerance(DataType::float32(), 1));
  EXPECT_LT(default_tolerance(DataType::float64(), 4096),
            default_tolerance(DataType::float32(), 1));
  EXPECT_GT(default_tolerance(DataType::bfloat16(), 1),
            default_tolerance(DataType::floating(16), 1));
  EXPECT_EQ(default_tolerance(DataType::int32(), 4096), 0);
}

TEST(Tolerance, AskedForIsMetAsFarAsTheTypeCan) {
  EXPECT_EQ(tolerance_of(1e-5, DataType::float32(), 100), 1e-5);
  EXPECT_EQ(tolerance_of(0, DataType::float32(), 100), default_tolerance(DataType::float32(), 100));
  // 1.0009765625 is one step of float16 above 1: a result between the two is rounded to either.
  EXPECT_GT(tolerance_of(1e-5, DataType::floating(16), 1), 0x1.0p-11);
  EXPECT_LT(tolerance_of(1e-5, DataType::floating(16), 1), 0x1.0p-7);
  EXPECT_EQ(tolerance_of(0.5, DataType::bfloat16(), 1), 0.5);
}

TEST(Tolerance, OfOneOutputIsItsOwnAndInSteps) {
  const std::map<std::string, double> own = {{"Q", 1}, {"S", 1e-3}, {"E", 0}};
  const auto of = [&](const std::string& output, DataType type) {
    return tolerance_of(1e-5, own, output, type, 1);
  };
  EXPECT_EQ(of("Q", DataType::integer(8)), 1);
  EXPECT_EQ(of("R", DataType::integer(8)), 0) << "integers that nobody named are exact";
  EXPECT_EQ(of("S", DataType::float32()), 1e-3);
  EXPECT_EQ(of("R", DataType::float32()), 1e-5);
  EXPECT_EQ(of("E", DataType::float32()), 0);

  const std::vector<int8_t> want = {-128, -3, 0, 5, 127};
  const std::vector<int8_t> ties = {-127, -3, -1, 6, 127};
  EXPECT_TRUE(compared(ties, DataType::integer(8), want, DataType::integer(8), 0));
  EXPECT_FALSE(compared(ties, DataType::integer(8), want, DataType::integer(8), 1));
  const std::vector<int8_t> wrapped = {127, -3, 0, 5, -128};
  const auto worst = compared(wrapped, DataType::integer(8), want, DataType::integer(8), 1);
  ASSERT_TRUE(worst);
  EXPECT_EQ(worst->wrong_count, 2);
  EXPECT_EQ(worst->tolerance, 1);
}

TEST(Tolerance, ASingleFloatSumOf4096TermsPassesAndAMissingTermDoesNot) {
  const size_t length = 4096;
  std::vector<float> got;
  std::vector<double> want;
  std::vector<float> a(length);
  std::vector<float> b(length);
  for (uint64_t row = 0; row < 200; ++row) {
    fill(std::as_writable_bytes(std::span(a)), DataType::float32(), {}, 2 * row);
    fill(std::as_writable_bytes(std::span(b)), DataType::float32(), {}, 2 * row + 1);
    float single = 0;
    double exact = 0;
    for (size_t k = 0; k < length; ++k) {
      single += a[k] * b[k];
      exact += double{a[k]} * b[k];
    }
    got.push_back(single);
    want.push_back(exact);
  }
  const double tolerance = default_tolerance(DataType::float32(), 4096);
  EXPECT_FALSE(floats(got, want, tolerance));
  got[17] -= 0.5F; // half a typical product
  EXPECT_TRUE(floats(got, want, tolerance));
}

TEST(Tolerance, SumsKeptInFloat16PassAndABlockOfTermsThatIsMissingDoesNot) {
  const auto in_half = [](double value) { // eleven digits
    int exponent = 0;
    std::frexp(value, &exponent);
    return std::ldexp(std::nearbyint(std::ldexp(value, 11 - exponent)), exponent - 11);
  };
  for (const size_t length : {size_t{72}, size_t{520}}) {
    std::vector<float> got;
    std::vector<double> want;
    std::vector<float> a(length);
    std::vector<float> b(length);
    for (uint64_t row = 0; row < 4000; ++row) {
      fill(std::as_writable_bytes(std::span(a)), DataType::float32(), {}, 2 * row);
      fill(std::as_writable_bytes(std::span(b)), DataType::float32(), {}, 2 * row + 1);
      double half = 0;
      double exact = 0;
      for (size_t k = 0; k < length; ++k) {
        const double term = in_half(a[k]) * in_half(b[k]);
        half = in_half(half + term);
        exact += term;
      }
      got.push_back(static_cast<float>(half));
      want.push_back(exact);
    }
    const DataType type = DataType::floating(16);
    EXPECT_FALSE(floats(got, want, narrow_sum_tolerance(type, static_cast<int64_t>(length))));
    // As sums in float32 they would be wrong.
    EXPECT_TRUE(floats(got, want, default_tolerance(type, static_cast<int64_t>(length))));
    // What a block of 16 terms adds, left out in one element.
    got[17] += 4;
    EXPECT_TRUE(floats(got, want, narrow_sum_tolerance(type, static_cast<int64_t>(length))));
  }
}

} // namespace
} // namespace temper::engine
