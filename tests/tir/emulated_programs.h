/// What tests of programs of threads share: scripts and changes to them, exact inputs, and the
/// error that the emulator finds under every timing.
#pragma once

#include "ir/script/parser.h"
#include "ir/support/half.h"
#include "ir/support/random.h"
#include "ir/tir/emulator/emulate.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace temper::tir {

/// Line 1 is the first line of `text`, which starts with a line break: @T.prim_func is line 2.
inline PrimFunc parsed(const std::string& text) {
  auto function = script::parse_prim_func(text, "kernel.py");
  EXPECT_TRUE(function.has_value()) << (function ? "" : function.error().to_string());
  return function ? *function : nullptr;
}

/// The first `from`, which must be there, replaced.
inline std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

inline void expect_found(const std::string& error, std::initializer_list<const char*> parts) {
  for (const char* part : parts)
    EXPECT_NE(error.find(part), std::string::npos) << "no \"" << part << "\" in: " << error;
}

/// What the emulator finds in the program: something under every timing and order; the text of the
/// last.
inline std::string error_of(const PrimFunc& function,
                            const std::vector<InterpretArgument>& arguments) {
  if (!function)
    return "did not parse";
  std::string text = "none";
  for (const AsyncTiming timing : {AsyncTiming::kEarly, AsyncTiming::kLate, AsyncTiming::kRandom})
    for (const ParallelOrder order :
         {ParallelOrder::kForward, ParallelOrder::kReverse, ParallelOrder::kRandom}) {
      EmulateOptions options;
      options.timing = timing;
      options.order = order;
      options.seed = 5;
      auto result = emulate(function, arguments, options);
      if (result) {
        ADD_FAILURE() << "nothing found with timing " << static_cast<int>(timing) << " and order "
                      << static_cast<int>(order);
        return "none";
      }
      text = result.error().message;
    }
  return text;
}
inline std::string error_of(const std::string& text,
                            const std::vector<InterpretArgument>& arguments) {
  return error_of(parsed(text), arguments);
}

/// Multiples of 1 / `denominator` from -`limit` on: sums of products are exact.
inline std::vector<float> numbers(size_t count, uint64_t seed = 1, int limit = 4,
                                  int denominator = 1) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values)
    value = static_cast<float>(random.between(-limit, limit)) / static_cast<float>(denominator);
  return values;
}

/// The same numbers as float16.
struct Halves {
  std::vector<uint16_t> bits;
  std::vector<float> values;
  explicit Halves(size_t count, uint64_t seed) : values(numbers(count, seed)) {
    for (const float value : values)
      bits.push_back(float_to_float16(value));
  }
  ArrayView view() {
    return {DataType::floating(16), bits.data(), static_cast<int64_t>(bits.size())};
  }
};

} // namespace temper::tir
