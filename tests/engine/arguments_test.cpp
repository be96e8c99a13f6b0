#include "engine/arguments.h"

#include "ir/support/hash.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace temper::engine {
namespace {

template <typename T>
std::vector<T> filled(std::string_view distribution, size_t count, DataType type,
                      uint64_t seed = 5) {
  std::vector<T> values(count);
  fill(std::as_writable_bytes(std::span(values)), type, *parse_distribution(distribution), seed);
  return values;
}

TEST(Arguments, NormalHasMeanZeroAndVarianceOne) {
  const auto values = filled<float>("normal", 100'000, DataType::float32());
  double sum = 0;
  double squares = 0;
  for (float value : values) {
    sum += value;
    squares += double{value} * value;
  }
  EXPECT_NEAR(sum / 1e5, 0, 0.02);
  EXPECT_NEAR(squares / 1e5, 1, 0.02);
}

TEST(Arguments, TheSameSeedGivesTheSameBytesOnEveryHost) {
  const auto values = filled<float>("normal", 1000, DataType::float32());
  const std::string_view bytes(reinterpret_cast<const char*>(values.data()), 4000);
  EXPECT_EQ(hash_to_hex(hash_bytes(bytes)), "550e178f8fae91fe");
  EXPECT_NE(filled<float>("normal", 10, DataType::float32(), 6),
            filled<float>("normal", 10, DataType::float32(), 5));
}

TEST(Arguments, IntegerRangesIncludeBothEndsInEveryType) {
  for (double value : filled<double>("int(-2, 3)", 1000, DataType::float64()))
    EXPECT_TRUE(value >= -2 && value <= 3 && value == std::floor(value));
  const auto values = filled<int32_t>("int(0, 9)", 1000, DataType::int32());
  EXPECT_EQ(*std::min_element(values.begin(), values.end()), 0);
  EXPECT_EQ(*std::max_element(values.begin(), values.end()), 9);
}

TEST(Arguments, BooleansAreZeroOrOne) {
  const auto values = filled<uint8_t>("normal", 1000, DataType::boolean());
  EXPECT_LE(*std::max_element(values.begin(), values.end()), 1);
  EXPECT_EQ(*std::max_element(values.begin(), values.end()), 1);
}

TEST(Arguments, UnsignedIntegersAreNotNegative) {
  for (uint8_t value : filled<uint8_t>("normal", 1000, DataType::uint(8)))
    EXPECT_LE(value, 4);
}

TEST(Arguments, UniformStaysInItsRange) {
  for (float value : filled<float>("uniform(-3, -1)", 1000, DataType::float32()))
    EXPECT_TRUE(value >= -3 && value <= -1);
}

TEST(Arguments, ConstantsFillEveryElement) {
  for (float value : filled<float>("constant(2.5)", 100, DataType::float32()))
    EXPECT_EQ(value, 2.5F);
  for (int8_t value : filled<int8_t>("ones", 100, DataType::integer(8)))
    EXPECT_EQ(value, 1);
}

TEST(Arguments, WrongDistributionsAreExplained) {
  for (const char* text :
       {"gauss", "int(1)", "int(5, 1)", "uniform(1, x)", "int(0, 9", "int(.5,2)"}) {
    const auto result = parse_distribution(text);
    ASSERT_FALSE(result) << text;
    EXPECT_NE(result.error().message.find("there are normal"), std::string::npos);
  }
}

TEST(Half, EveryValueSurvivesTheWayToFloatAndBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = half_to_float(half);
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value))));
    else
      EXPECT_EQ(float_to_half(value), half);
  }
}

TEST(Half, RoundsToNearestEven) {
  EXPECT_EQ(float_to_half(1.0F + 0x1.0p-11F), float_to_half(1.0F));
  EXPECT_EQ(half_to_float(float_to_half(1.0F + 0x1.8p-10F)), 1.0F + 0x1.0p-9F);
  EXPECT_EQ(half_to_float(float_to_half(65519.0F)), 65504.0F);
  EXPECT_TRUE(std::isinf(half_to_float(float_to_half(65520.0F))));
  EXPECT_EQ(half_to_float(float_to_half(0x1.0p-25F)), 0.0F);
  EXPECT_EQ(half_to_float(float_to_half(0x1.8p-25F)), 0x1.0p-24F);
}

TEST(BFloat16, EveryValueSurvivesTheWayToFloatAndBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = bfloat16_to_float(static_cast<uint16_t>(bits));
    if (!std::isnan(value))
      EXPECT_EQ(float_to_bfloat16(value), bits);
    else
      EXPECT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(value))));
  }
}

TEST(Convert, WideningIsExactAndIntegersKeepAllBits) {
  const std::vector<int64_t> from = {std::numeric_limits<int64_t>::max(), -5};
  std::vector<int64_t> same(2);
  convert(std::as_writable_bytes(std::span(same)), DataType::int64(),
          std::as_bytes(std::span(from)), DataType::int64());
  EXPECT_EQ(same, from);
  const std::vector<float> narrow = {0.1F, -3.0F};
  std::vector<double> wide(2);
  convert(std::as_writable_bytes(std::span(wide)), DataType::float64(),
          std::as_bytes(std::span(narrow)), DataType::float32());
  EXPECT_EQ(wide[0], double{0.1F});
}

TEST(Convert, DoublesSaturateInIntegers) {
  std::byte bytes[8];
  write_element(bytes, DataType::int32(), 1e20);
  EXPECT_EQ(read_element(bytes, DataType::int32()), 2147483647.0);
  write_element(bytes, DataType::uint(8), -1);
  EXPECT_EQ(read_element(bytes, DataType::uint(8)), 0);
}

} // namespace
} // namespace temper::engine
