#include "ir/arith/interval.h"

namespace temper::ir {
namespace {

constexpr int64_t kLowest = IntInterval::kLowest;
constexpr int64_t kHighest = IntInterval::kHighest;

bool is_infinite(int64_t value) { return value == kLowest || value == kHighest; }

/// a + b; `otherwise` when either is infinite or the sum does not fit.
int64_t add_or(int64_t a, int64_t b, int64_t otherwise) {
  int64_t sum = 0;
  return is_infinite(a) || is_infinite(b) || __builtin_add_overflow(a, b, &sum) ? otherwise : sum;
}

/// The product of two ends, saturated; 0 times infinity is 0.
int64_t multiply(int64_t a, int64_t b) {
  if (a == 0 || b == 0)
    return 0;
  int64_t product = 0;
  if (is_infinite(a) || is_infinite(b) || __builtin_mul_overflow(a, b, &product))
    return (a < 0) != (b < 0) ? kLowest : kHighest;
  return product;
}

/// floor(a / b) for b > 0, either possibly infinite.
int64_t divide(int64_t a, int64_t b) {
  if (is_infinite(a))
    return a;
  if (b == kHighest)
    return a < 0 ? -1 : 0;
  return floor_div(a, b);
}

IntInterval negate(IntInterval a) {
  return {a.has_high() ? -a.high : kLowest, a.has_low() ? -a.low : kHighest};
}

} // namespace

IntInterval operator+(IntInterval a, IntInterval b) {
  return {add_or(a.low, b.low, kLowest), add_or(a.high, b.high, kHighest)};
}

IntInterval operator-(IntInterval a, IntInterval b) { return a + negate(b); }

IntInterval operator*(IntInterval a, IntInterval b) {
  const int64_t ends[] = {multiply(a.low, b.low), multiply(a.low, b.high), multiply(a.high, b.low),
                          multiply(a.high, b.high)};
  return {*std::min_element(ends, ends + 4), *std::max_element(ends, ends + 4)};
}

IntInterval scale(IntInterval a, int64_t factor) {
  if (factor == 1)
    return a;
  const int64_t x = multiply(a.low, factor);
  const int64_t y = multiply(a.high, factor);
  return factor >= 0 ? IntInterval{x, y} : IntInterval{y, x};
}

IntInterval floor_div(IntInterval a, IntInterval b) {
  if (b.contains(0))
    return IntInterval::everything();
  if (b.high < 0)
    return floor_div(negate(a), negate(b));
  const int64_t ends[] = {divide(a.low, b.low), divide(a.low, b.high), divide(a.high, b.low),
                          divide(a.high, b.high)};
  return {*std::min_element(ends, ends + 4), *std::max_element(ends, ends + 4)};
}

IntInterval floor_mod(IntInterval a, IntInterval b) {
  if (b.low <= 0)
    return b.high < 0 ? IntInterval{add_or(b.low, 1, kLowest), 0} : IntInterval::everything();
  if (b.is_point() && a.is_bounded() && floor_div(a.low, b.low) == floor_div(a.high, b.low))
    return {floor_mod(a.low, b.low), floor_mod(a.high, b.low)};
  if (a.low >= 0 && a.high < b.low)
    return a;
  return {0, a.low >= 0 ? std::min(a.high, add_or(b.high, -1, kHighest))
                        : add_or(b.high, -1, kHighest)};
}

IntInterval min(IntInterval a, IntInterval b) {
  return {std::min(a.low, b.low), std::min(a.high, b.high)};
}

IntInterval max(IntInterval a, IntInterval b) {
  return {std::max(a.low, b.low), std::max(a.high, b.high)};
}

IntInterval hull(IntInterval a, IntInterval b) {
  return {std::min(a.low, b.low), std::max(a.high, b.high)};
}

IntInterval meet(IntInterval a, IntInterval b) {
  const IntInterval both{std::max(a.low, b.low), std::min(a.high, b.high)};
  return both.low <= both.high ? both : a;
}

IntInterval values_of(DataType dtype) {
  if (dtype.is_bool())
    return {0, 1};
  if (!dtype.is_integral())
    return IntInterval::everything();
  if (dtype.bits >= 64) // A uint64 is kept by its bits: its sign says nothing.
    return IntInterval::everything();
  if (dtype.is_uint())
    return {0, (int64_t{1} << dtype.bits) - 1};
  return {-(int64_t{1} << (dtype.bits - 1)), (int64_t{1} << (dtype.bits - 1)) - 1};
}

namespace {

/// int32 and int64: arithmetic on them is index arithmetic, which does not overflow.
bool is_index_type(DataType dtype) { return dtype.is_int() && dtype.bits >= 32; }

/// A result outside the type's values means that it wrapped (or, for index types, cannot be).
IntInterval fit(IntInterval interval, DataType dtype) {
  if (is_index_type(dtype) || values_of(dtype).contains(interval))
    return interval;
  return values_of(dtype);
}

} // namespace

IntInterval bounds_of(const Expr& expr, const VarBounds& vars) {
  const auto of = [&](const Expr& e) { return bounds_of(e, vars); };
  const DataType dtype = expr->dtype;
  // What is not known of an index is open ended: the type's own limits would only get in the way of
  // cancelling.
  const IntInterval unknown = is_index_type(dtype) ? IntInterval::everything() : values_of(dtype);
  if (dtype.is_floating() || dtype.is_handle())
    return IntInterval::everything();
  const auto bits_unsigned = dtype.is_uint() && dtype.bits >= 64;
  switch (static_cast<ExprKind>(expr->kind())) {
  case ExprKind::kIntImm:
    return IntInterval::point(static_cast<const IntImm&>(*expr).value);
  case ExprKind::kVarNode: {
    const IntInterval* known = vars.find(static_cast<const VarNode*>(expr.get()));
    return known != nullptr ? *known : unknown;
  }
  case ExprKind::kAdd: {
    const auto& e = static_cast<const Add&>(*expr);
    return bits_unsigned ? unknown : fit(of(e.a) + of(e.b), dtype);
  }
  case ExprKind::kSub: {
    const auto& e = static_cast<const Sub&>(*expr);
    return bits_unsigned ? unknown : fit(of(e.a) - of(e.b), dtype);
  }
  case ExprKind::kMul: {
    const auto& e = static_cast<const Mul&>(*expr);
    return bits_unsigned ? unknown : fit(of(e.a) * of(e.b), dtype);
  }
  case ExprKind::kFloorDiv: {
    const auto& e = static_cast<const FloorDiv&>(*expr);
    return bits_unsigned ? unknown : fit(floor_div(of(e.a), of(e.b)), dtype);
  }
  case ExprKind::kFloorMod: {
    const auto& e = static_cast<const FloorMod&>(*expr);
    return bits_unsigned ? unknown : fit(floor_mod(of(e.a), of(e.b)), dtype);
  }
  case ExprKind::kDiv: {
    const auto& e = static_cast<const Div&>(*expr);
    const IntInterval a = of(e.a);
    const IntInterval b = of(e.b);
    // Rounding towards zero is flooring above zero; below, the quotient is the mirrored one.
    if (bits_unsigned || b.low <= 0)
      return unknown;
    if (a.low >= 0)
      return floor_div(a, b);
    const IntInterval below = negate(floor_div(negate({a.low, 0}), b));
    return a.high <= 0 ? below : hull(below, floor_div(IntInterval{0, a.high}, b));
  }
  case ExprKind::kMod: {
    const auto& e = static_cast<const Mod&>(*expr);
    const IntInterval a = of(e.a);
    const IntInterval b = of(e.b);
    if (bits_unsigned || b.low <= 0)
      return unknown;
    if (a.low >= 0)
      return floor_mod(a, b);
    const int64_t most = add_or(b.high, -1, kHighest);
    return {std::max(a.low, most == kHighest ? kLowest : -most),
            a.high <= 0 ? 0 : std::min(a.high, most)};
  }
  case ExprKind::kMin: {
    const auto& e = static_cast<const Min&>(*expr);
    return bits_unsigned ? unknown : min(of(e.a), of(e.b));
  }
  case ExprKind::kMax: {
    const auto& e = static_cast<const Max&>(*expr);
    return bits_unsigned ? unknown : max(of(e.a), of(e.b));
  }
  case ExprKind::kSelect: {
    const auto& e = static_cast<const Select&>(*expr);
    return hull(of(e.true_value), of(e.false_value));
  }
  case ExprKind::kCall: {
    const auto& e = static_cast<const Call&>(*expr);
    if (e.op == "if_then_else")
      return hull(of(e.args[1]), of(e.args[2]));
    if (e.op == "likely")
      return of(e.args[0]);
    return unknown;
  }
  case ExprKind::kCast: {
    const auto& e = static_cast<const Cast&>(*expr);
    if (dtype.is_bool() || e.value->dtype.is_floating() || bits_unsigned ||
        (e.value->dtype.is_uint() && e.value->dtype.bits >= 64))
      return unknown;
    const IntInterval value = of(e.value);
    return values_of(dtype).contains(value) ? value : unknown;
  }
  case ExprKind::kBroadcast:
    return of(static_cast<const Broadcast&>(*expr).value);
  case ExprKind::kRamp: {
    const auto& e = static_cast<const Ramp&>(*expr);
    const IntInterval base = of(e.base);
    return bits_unsigned ? unknown
                         : fit(base + of(e.stride) * IntInterval{0, int64_t{e.lanes()} - 1}, dtype);
  }
  case ExprKind::kShuffle: {
    const auto& e = static_cast<const Shuffle&>(*expr);
    IntInterval all = of(e.vectors[0]);
    for (const Expr& vector : e.vectors)
      all = hull(all, of(vector));
    return all;
  }
  default:
    return unknown;
  }
}

} // namespace temper::ir
