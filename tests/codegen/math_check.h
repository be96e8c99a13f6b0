/// Compares a compiled math function with libm in a wider type, over chosen floats.
#pragma once

#include "tests/codegen/build.h"

#include <bit>
#include <cmath>
#include <cstdint>

namespace temper::codegen::testing {

/// B[0:n] = op(A[0:n]) in vectors of `lanes`, or by a scalar loop that LLVM may not vectorise.
inline PrimFunc apply(const std::string& op, DataType type, int64_t n, int lanes) {
  const Buffer a = flat("A", type, n), b = flat("B", type, n);
  const Var i = index_var("i");
  const Expr place = lanes == 1 ? Expr(i) : ramp(Expr(i) * lanes, lanes);
  const Stmt store = make_store(b, {place}, call_op(op, {make_load(a, {place})}));
  return function_of({{a, nullptr}, {b, nullptr}}, serial(i, n / lanes, store));
}

struct MathCase {
  const char* op;
  long double (*exact)(long double);
  double max_ulp; ///< stated in codegen/llvm/README.md
};

inline const std::vector<MathCase>& math_cases() {
  using L = long double;
  static const std::vector<MathCase> cases = {
      {"exp", [](L x) { return std::exp(x); }, 1.25},
      {"exp2", [](L x) { return std::exp2(x); }, 1.1},
      {"exp10", [](L x) { return std::pow(L{10}, x); }, 1.6},
      {"log", [](L x) { return std::log(x); }, 1.1},
      {"log2", [](L x) { return std::log2(x); }, 1.6},
      {"log10", [](L x) { return std::log10(x); }, 1.6},
      {"log1p", [](L x) { return std::log1p(x); }, 2.1},
      {"tanh", [](L x) { return std::tanh(x); }, 2.75},
      {"sigmoid",
       [](L x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }, 2.6},
      {"erf", [](L x) { return std::erf(x); }, 1.8},
      {"sqrt", [](L x) { return std::sqrt(x); }, 0.51},
      {"rsqrt", [](L x) { return 1 / std::sqrt(x); }, 1.5},
  };
  return cases;
}

/// Distance from the exact value in units of the last place of the float nearest to it; infinite
/// when one of the two is NaN or infinite and the other is not.
inline double ulp_error(float value, long double exact) {
  const auto nearest = static_cast<float>(exact);
  if (std::isnan(nearest))
    return std::isnan(value) ? 0 : INFINITY;
  if (value == nearest)
    return std::isinf(nearest)
               ? 0
               : static_cast<double>(
                     std::fabs(static_cast<long double>(value) - exact) /
                     std::ldexp(1.0L, std::max(std::ilogb(exact == 0 ? 1.0L : exact), -126) - 23));
  if (std::isnan(value))
    return INFINITY;
  if (std::isinf(nearest) || std::isinf(value)) {
    // One step beyond the largest float is a rounding, more is not.
    const float other = std::isinf(nearest) ? value : nearest;
    return std::fabs(other) == 0x1.fffffep127f ? 1 : INFINITY;
  }
  const int exponent = std::max(exact == 0 ? -126 : std::ilogb(exact), -126);
  return static_cast<double>(std::fabs(static_cast<long double>(value) - exact) /
                             std::ldexp(1.0L, exponent - 23));
}

/// The worst error over the bit patterns first, first + step, ...
struct MathWorst {
  double ulp = 0;
  float at = 0;
  float value = 0;
};
inline MathWorst measure(const MathCase& test, const Loaded& kernel, int64_t chunk, uint64_t first,
                         uint64_t step) {
  MathWorst worst;
  std::vector<float> in(chunk), out(chunk);
  for (uint64_t pattern = first; pattern < (uint64_t{1} << 32);) {
    int64_t filled = 0;
    for (; filled < chunk && pattern < (uint64_t{1} << 32); pattern += step)
      in[filled++] = std::bit_cast<float>(static_cast<uint32_t>(pattern));
    for (int64_t rest = filled; rest < chunk; ++rest)
      in[rest] = 1;
    EXPECT_EQ(kernel(in.data(), out.data()), 0);
    for (int64_t i = 0; i < filled; ++i) {
      const double error = ulp_error(out[i], test.exact(in[i]));
      if (!(error <= worst.ulp))
        worst = {error, in[i], out[i]};
    }
  }
  return worst;
}

} // namespace temper::codegen::testing
