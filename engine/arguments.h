/// Inputs of a kernel from a seed: the same bytes on every host, because no library function with
/// rounding of its own (log, cos) takes part.
///
/// Distributions, as a workload file names them:
///   "normal"          near-normal, mean 0, variance 1 (sum of four uniforms; |x| < 3.5);
///                     for integer types small integers
///   "uniform"         [0, 1); "uniform(low, high)" another range
///   "int(low, high)"  integers, both ends included, in any type
///   "small_int"       integers in [-4, 4] (of 16-bit floats [-2, 2], unsigned from 0): sums of
///                     products of these are exact in float32 up to a million terms
///   "zeros", "ones", "constant(value)"
#pragma once

#include "ir/dtype.h"
#include "ir/support/result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace temper::engine {

struct Distribution {
  enum class Kind : uint8_t { kNormal, kUniform, kInteger, kSmallInteger, kConstant };
  Kind kind = Kind::kNormal;
  double low = 0;
  double high = 1; ///< excluded for kUniform, included for kInteger

  bool operator==(const Distribution&) const = default;
};

/// The error lists the words there are.
Result<Distribution> parse_distribution(std::string_view text);

/// Fills `bytes` (a whole number of elements of `type`). Each element depends on its index and the
/// seed alone.
void fill(std::span<std::byte> bytes, DataType type, const Distribution& distribution,
          uint64_t seed);

/// The seed of one argument of an input set: arguments differ, whatever their order of filling.
uint64_t argument_seed(uint64_t set_seed, int argument_index);

float half_to_float(uint16_t bits);
uint16_t float_to_half(float value); ///< rounds to nearest even
float bfloat16_to_float(uint16_t bits);
uint16_t float_to_bfloat16(float value); ///< rounds to nearest even

/// One element as a double (64-bit integers beyond 2^53 lose their last bits).
double read_element(const std::byte* bytes, DataType type);
/// Stores a double, rounded to the type; integers saturate.
void write_element(std::byte* bytes, DataType type, double value);
/// Copies elements into another type; exact when the target is wider.
void convert(std::span<std::byte> to, DataType to_type, std::span<const std::byte> from,
             DataType from_type);

} // namespace temper::engine
