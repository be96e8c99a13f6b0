// Integers that wrap (everything but int32 and int64) and floats: only folds that give the same
// bits.
//   x + 0, x - 0, x * 1, x // 1         integers
//   x * 1.0, x / 1.0, x - 0.0, x + -0.0   floats (x + 0.0 is not: -0.0 + 0.0 is 0.0)
#include "ir/arith/rules.h"
#include "ir/arith/simplify.h"

#include <cmath>

namespace temper::ir {
namespace {

/// The operation on constants of a wrapping type; nothing where it is an error.
template <typename T> std::optional<int64_t> fold_integer(DataType dtype, int64_t x, int64_t y) {
  const auto a = static_cast<uint64_t>(x);
  const auto b = static_cast<uint64_t>(y);
  const auto wrapped = [&](uint64_t value) {
    return std::optional(wrap_integer(dtype, static_cast<int64_t>(value)));
  };
  if constexpr (std::is_same_v<T, Add>)
    return wrapped(a + b);
  else if constexpr (std::is_same_v<T, Sub>)
    return wrapped(a - b);
  else if constexpr (std::is_same_v<T, Mul>)
    return wrapped(a * b);
  if (dtype.is_uint() && dtype.bits == 64)
    return std::nullopt;
  if constexpr (std::is_same_v<T, Min>)
    return std::min(x, y);
  else if constexpr (std::is_same_v<T, Max>)
    return std::max(x, y);
  if (y == 0 || y == -1)
    return std::nullopt;
  if constexpr (std::is_same_v<T, Div>)
    return x / y;
  else if constexpr (std::is_same_v<T, Mod>)
    return x % y;
  else if constexpr (std::is_same_v<T, FloorDiv>)
    return floor_div(x, y);
  else if constexpr (std::is_same_v<T, FloorMod>)
    return floor_mod(x, y);
  return std::nullopt;
}

} // namespace

Expr Analyzer::step_narrow(const Expr& expr) {
  return rules::with_binary(
      expr,
      [&]<typename T>(const T& e) -> Expr {
        const Expr a = step(e.a);
        const Expr b = step(e.b);
        const auto x = as_int(a);
        const auto y = as_int(b);
        if (x && y)
          if (const auto folded = fold_integer<T>(expr->dtype, *x, *y))
            return make_int(expr->dtype, *folded);
        if constexpr (std::is_same_v<T, Add>) {
          if (x == 0)
            return b;
          if (y == 0)
            return a;
        } else if constexpr (std::is_same_v<T, Sub>) {
          if (y == 0)
            return a;
          if (same_expr(a, b))
            return make_int(expr->dtype, 0);
        } else if constexpr (std::is_same_v<T, Mul>) {
          if (x == 1 || y == 0)
            return b;
          if (y == 1 || x == 0)
            return a;
        } else if constexpr (std::is_same_v<T, Div> || std::is_same_v<T, FloorDiv>) {
          if (y == 1)
            return a;
        } else if constexpr (std::is_same_v<T, Min> || std::is_same_v<T, Max>) {
          if (same_expr(a, b))
            return a;
          if (!(expr->dtype.is_uint() && expr->dtype.bits == 64)) {
            const IntInterval left = bounds_of(a, vars_);
            const IntInterval right = bounds_of(b, vars_);
            if (left.high <= right.low)
              return std::is_same_v<T, Min> ? a : b;
            if (right.high <= left.low)
              return std::is_same_v<T, Min> ? b : a;
          }
        }
        return a == e.a && b == e.b ? expr : make_binary<T>(a, b);
      },
      [&]() -> Expr { return step_common(expr); });
}

Expr Analyzer::step_float(const Expr& expr) {
  const DataType dtype = expr->dtype;
  return rules::with_binary(
      expr,
      [&]<typename T>(const T& e) -> Expr {
        const Expr a = step(e.a);
        const Expr b = step(e.b);
        const auto* x = a.template as<FloatImm>();
        const auto* y = b.template as<FloatImm>();
        const auto is_zero = [](const FloatImm* imm, bool negative) {
          return imm != nullptr && imm->value == 0 && std::signbit(imm->value) == negative;
        };
        if (x != nullptr && y != nullptr && dtype.bits >= 32) {
          // One operation on two float32 carried out in float64 and rounded is the float32 one.
          double value = std::nan("");
          if constexpr (std::is_same_v<T, Add>)
            value = x->value + y->value;
          else if constexpr (std::is_same_v<T, Sub>)
            value = x->value - y->value;
          else if constexpr (std::is_same_v<T, Mul>)
            value = x->value * y->value;
          else if constexpr (std::is_same_v<T, Div>)
            value = x->value / y->value;
          else if constexpr (std::is_same_v<T, Min>)
            value = x->value < y->value ? x->value : y->value;
          else if constexpr (std::is_same_v<T, Max>)
            value = x->value > y->value ? x->value : y->value;
          if (dtype.bits == 32)
            value = static_cast<float>(value);
          if (std::isfinite(value))
            return make_float(dtype, value);
        }
        if constexpr (std::is_same_v<T, Add>) {
          if (is_zero(x, true))
            return b;
          if (is_zero(y, true))
            return a;
        } else if constexpr (std::is_same_v<T, Sub>) {
          if (is_zero(y, false))
            return a;
        } else if constexpr (std::is_same_v<T, Mul>) {
          if (x != nullptr && x->value == 1)
            return b;
          if (y != nullptr && y->value == 1)
            return a;
        } else if constexpr (std::is_same_v<T, Div>) {
          if (y != nullptr && y->value == 1)
            return a;
        } else if constexpr (std::is_same_v<T, Min> || std::is_same_v<T, Max>) {
          if (same_expr(a, b))
            return a;
        }
        return a == e.a && b == e.b ? expr : make_binary<T>(a, b);
      },
      [&]() -> Expr { return step_common(expr); });
}

} // namespace temper::ir
