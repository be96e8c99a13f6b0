#include "engine/arguments.h"

#include "ir/support/hash.h"
#include "ir/support/number.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace temper::engine {
namespace {

constexpr std::string_view kWords =
    "normal, uniform, uniform(low, high), int(low, high), small_int, zeros, ones, constant(value)";

uint64_t word_at(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

double uniform_of(uint64_t word) { return static_cast<double>(word >> 11) * 0x1.0p-53; }

// Four 16-bit uniforms from one word. The sum of the fields has mean 4 * 32767.5 and variance
// 4 * (65536^2 - 1) / 12; integer arithmetic and one multiplication, so exact everywhere.
double normal_of(uint64_t word) {
  const auto sum = static_cast<int64_t>((word & 0xffff) + ((word >> 16) & 0xffff) +
                                        ((word >> 32) & 0xffff) + (word >> 48));
  constexpr double kScale = 1.0 / 37837.22747; // sqrt(4 * (65536^2 - 1) / 12)
  return (static_cast<double>(sum) - 131070.0) * kScale;
}

int64_t integer_of(uint64_t word, int64_t low, int64_t high) {
  const auto count = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;
  if (count == 0) // the whole range of 64 bits
    return static_cast<int64_t>(word);
  return static_cast<int64_t>(
      static_cast<uint64_t>(low) +
      static_cast<uint64_t>((static_cast<unsigned __int128>(word) * count) >> 64));
}

std::optional<double> parse_bound(std::string_view text) {
  text = trim(text);
  if (text.starts_with('+'))
    text.remove_prefix(1);
  return parse_number<double>(text);
}

Error bad_distribution(std::string_view text, std::string_view why) {
  return Error(ErrorCode::kInvalidArgument,
               fmt::format("\"{}\" is no distribution: {}; there are {}", text, why, kWords));
}

template <typename T> T load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}
template <typename T> void store(std::byte* bytes, T value) {
  std::memcpy(bytes, &value, sizeof value);
}

template <typename T> T saturated(double value) {
  if (std::isnan(value))
    return 0;
  // 2^63 and 2^64 are doubles, max() of the 64-bit types is not.
  if (value >= std::ldexp(1.0, std::numeric_limits<T>::digits))
    return std::numeric_limits<T>::max();
  if (value < static_cast<double>(std::numeric_limits<T>::min()))
    return std::numeric_limits<T>::min();
  return static_cast<T>(value);
}

/// Calls `body` with a null pointer of the C++ type that stores this data type; 16-bit floats are
/// not among them.
template <typename Body> void with_storage(DataType type, const Body& body) {
  switch (type.code) {
  case TypeCode::kInt:
    switch (type.bits) {
    case 8:
      return body(static_cast<int8_t*>(nullptr));
    case 16:
      return body(static_cast<int16_t*>(nullptr));
    case 32:
      return body(static_cast<int32_t*>(nullptr));
    case 64:
      return body(static_cast<int64_t*>(nullptr));
    default:
      break;
    }
    break;
  case TypeCode::kUInt:
    switch (type.bits) {
    case 8:
      return body(static_cast<uint8_t*>(nullptr));
    case 16:
      return body(static_cast<uint16_t*>(nullptr));
    case 32:
      return body(static_cast<uint32_t*>(nullptr));
    case 64:
      return body(static_cast<uint64_t*>(nullptr));
    default:
      break;
    }
    break;
  case TypeCode::kFloat:
    if (type.bits == 32)
      return body(static_cast<float*>(nullptr));
    if (type.bits == 64)
      return body(static_cast<double*>(nullptr));
    break;
  case TypeCode::kBool:
    return body(static_cast<uint8_t*>(nullptr));
  case TypeCode::kHandle:
    return body(static_cast<uint64_t*>(nullptr));
  case TypeCode::kBFloat:
    break;
  }
  TEMPER_UNREACHABLE("a data type that no buffer can have: " + to_string(type));
}

bool is_half(DataType type) {
  return type.is_floating() && type.bits == 16 && type.code == TypeCode::kFloat;
}
bool is_bfloat(DataType type) { return type.code == TypeCode::kBFloat; }

/// fill for one storage type: `value(i)` is a double or an int64_t.
template <typename Value>
void fill_with(std::span<std::byte> bytes, DataType type, const Value& value) {
  const size_t size = static_cast<size_t>(type.element_bytes());
  const size_t count = bytes.size() / size;
  if (is_half(type)) {
    for (size_t i = 0; i < count; ++i)
      store(&bytes[2 * i], float_to_half(static_cast<float>(value(i))));
  } else if (is_bfloat(type)) {
    for (size_t i = 0; i < count; ++i)
      store(&bytes[2 * i], float_to_bfloat16(static_cast<float>(value(i))));
  } else {
    with_storage(type, [&](auto* storage) {
      using T = std::remove_pointer_t<decltype(storage)>;
      for (size_t i = 0; i < count; ++i) {
        const auto element = value(i);
        if constexpr (std::is_integral_v<T> && std::is_floating_point_v<decltype(element)>)
          store(&bytes[size * i], saturated<T>(element));
        else
          store(&bytes[size * i], static_cast<T>(element));
      }
    });
  }
}

} // namespace

Result<Distribution> parse_distribution(std::string_view text) {
  using Kind = Distribution::Kind;
  const std::string_view word = trim(text.substr(0, text.find('(')));
  std::vector<double> numbers;
  if (const size_t open = text.find('('); open != std::string_view::npos) {
    const size_t close = text.rfind(')');
    if (close == std::string_view::npos || !trim(text.substr(close + 1)).empty() || close < open)
      return bad_distribution(text, "the parenthesis is not closed");
    for (const std::string& part : split_text(text.substr(open + 1, close - open - 1), ',')) {
      const std::optional<double> number = parse_bound(part);
      if (!number)
        return bad_distribution(text, fmt::format("\"{}\" is no number", trim(part)));
      numbers.push_back(*number);
    }
  }
  const auto takes = [&](size_t count) { return numbers.size() == count; };
  if (word == "normal" && takes(0))
    return Distribution{Kind::kNormal, 0, 1};
  if (word == "uniform" && takes(0))
    return Distribution{Kind::kUniform, 0, 1};
  if (word == "small_int" && takes(0))
    return Distribution{Kind::kSmallInteger, -4, 4};
  if (word == "zeros" && takes(0))
    return Distribution{Kind::kConstant, 0, 0};
  if (word == "ones" && takes(0))
    return Distribution{Kind::kConstant, 1, 1};
  if (word == "constant" && takes(1))
    return Distribution{Kind::kConstant, numbers[0], numbers[0]};
  if ((word == "int" || word == "uniform") && takes(2)) {
    if (!(numbers[0] <= numbers[1]))
      return bad_distribution(text, "its low end is above its high end");
    if (word == "uniform")
      return Distribution{Kind::kUniform, numbers[0], numbers[1]};
    if (std::abs(numbers[0]) > 0x1.0p53 || std::abs(numbers[1]) > 0x1.0p53 ||
        numbers[0] != std::floor(numbers[0]) || numbers[1] != std::floor(numbers[1]))
      return bad_distribution(text, "its ends are not integers");
    return Distribution{Kind::kInteger, numbers[0], numbers[1]};
  }
  return bad_distribution(text, "unknown word or wrong number of values");
}

void fill(std::span<std::byte> bytes, DataType type, const Distribution& distribution,
          uint64_t seed) {
  using Kind = Distribution::Kind;
  const bool is_float = type.is_floating();
  Distribution drawn = distribution;
  if (!is_float && (drawn.kind == Kind::kNormal || drawn.kind == Kind::kSmallInteger ||
                    (drawn.kind == Kind::kUniform && drawn == Distribution{Kind::kUniform, 0, 1})))
    drawn = {Kind::kInteger, type.is_int() ? -4.0 : 0.0, 4};
  if (type.is_bool())
    drawn = drawn.kind == Kind::kConstant
                ? Distribution{Kind::kConstant, drawn.low != 0 ? 1.0 : 0.0, 0}
                : Distribution{Kind::kInteger, 0, 1};
  if (drawn.kind == Kind::kSmallInteger)
    drawn =
        type.bits == 16 ? Distribution{Kind::kInteger, -2, 2} : Distribution{Kind::kInteger, -4, 4};
  switch (drawn.kind) {
  case Kind::kNormal:
    return fill_with(bytes, type, [&](size_t i) { return normal_of(word_at(seed, i)); });
  case Kind::kUniform:
    return fill_with(bytes, type, [&](size_t i) {
      return drawn.low + uniform_of(word_at(seed, i)) * (drawn.high - drawn.low);
    });
  case Kind::kInteger:
  case Kind::kSmallInteger: {
    const auto low = static_cast<int64_t>(drawn.low);
    const auto high = static_cast<int64_t>(drawn.high);
    return fill_with(bytes, type,
                     [&](size_t i) { return integer_of(word_at(seed, i), low, high); });
  }
  case Kind::kConstant:
    return fill_with(bytes, type, [&](size_t) { return drawn.low; });
  }
}

uint64_t argument_seed(uint64_t set_seed, int argument_index) {
  return hash_combine(set_seed, static_cast<uint64_t>(argument_index));
}

float half_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1f;
  const uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1.0p-24F;
    return sign ? -magnitude : magnitude;
  }
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7f800000U | (mantissa << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) // NaN stays NaN, quiet
    return static_cast<uint16_t>(sign | 0x7e00 | ((magnitude >> 13) & 0x3ff));
  if (magnitude >= 0x47800000) // 65536 and more
    return static_cast<uint16_t>(sign | 0x7c00);
  if (magnitude < 0x38800000) { // below 2^-14: subnormal; adding 0.5 rounds at the right bit
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000));
  }
  const uint32_t odd = (magnitude >> 13) & 1;
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000 + 0xfff + odd) >> 13));
}

float bfloat16_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t float_to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

double read_element(const std::byte* bytes, DataType type) {
  if (is_half(type))
    return half_to_float(load<uint16_t>(bytes));
  if (is_bfloat(type))
    return bfloat16_to_float(load<uint16_t>(bytes));
  double value = 0;
  with_storage(type, [&](auto* storage) {
    value = static_cast<double>(load<std::remove_pointer_t<decltype(storage)>>(bytes));
  });
  return value;
}

void write_element(std::byte* bytes, DataType type, double value) {
  const size_t size = static_cast<size_t>(type.element_bytes());
  fill_with({bytes, size}, type, [&](size_t) { return value; });
}

void convert(std::span<std::byte> to, DataType to_type, std::span<const std::byte> from,
             DataType from_type) {
  if (to_type.element() == from_type.element()) {
    std::memcpy(to.data(), from.data(), std::min(to.size(), from.size()));
    return;
  }
  const size_t size = static_cast<size_t>(from_type.element_bytes());
  if (to_type.is_floating()) {
    fill_with(to, to_type, [&](size_t i) { return read_element(&from[i * size], from_type); });
  } else { // through 64-bit integers, which a double could not carry
    fill_with(to, to_type, [&](size_t i) -> int64_t {
      int64_t value = 0;
      if (from_type.is_floating())
        return static_cast<int64_t>(read_element(&from[i * size], from_type));
      with_storage(from_type, [&](auto* storage) {
        value =
            static_cast<int64_t>(load<std::remove_pointer_t<decltype(storage)>>(&from[i * size]));
      });
      return value;
    });
  }
}

} // namespace temper::engine
