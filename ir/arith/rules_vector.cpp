// Vectors: Ramp and Broadcast absorb the arithmetic around them, so that an access stays visibly
// contiguous.
//   Ramp(b, s) + Broadcast(c)       ->  Ramp(b + c, s)
//   Ramp(b, s) * Broadcast(c)       ->  Ramp(b * c, s * c)
//   Broadcast(a) op Broadcast(b)    ->  Broadcast(a op b)
//   Ramp(b, s) // Broadcast(c)      ->  Broadcast(b // c)     when all lanes lie in one block of c
//                                       Ramp(b // c, s / c)   when c divides s
//   Ramp(b, s) % Broadcast(c)       ->  Ramp(b % c, s), Broadcast(b % c) likewise
#include "ir/arith/rules.h"
#include "ir/arith/simplify.h"

#include <cmath>

namespace temper::ir {
namespace {

/// A vector whose lane l is base + stride * l.
struct Lanes {
  Expr base;
  Expr stride; ///< null = 0: a broadcast
  explicit operator bool() const { return static_cast<bool>(base); }
};

Lanes lanes_of(const Expr& expr) {
  if (const auto* ramp = expr.as<Ramp>())
    return {ramp->base, ramp->stride};
  if (const auto* broadcast = expr.as<Broadcast>())
    return {broadcast->value, nullptr};
  return {};
}

Expr make_lanes(const Expr& base, const Expr& stride, int count) {
  return !stride || is_int(stride, 0) ? make_broadcast(base, count)
                                      : make_ramp(base, stride, count);
}

/// Broadcast of the constant 1, or 1.0.
bool is_one(const Expr& expr) {
  const auto number = as_number(expr);
  return number && *number == 1;
}

} // namespace

Expr Analyzer::step_vector(const Expr& expr) {
  const int count = expr->dtype.lanes;
  if (const auto* broadcast = expr.as<Broadcast>()) {
    const Expr value = step(broadcast->value);
    return value == broadcast->value ? expr : make_broadcast(value, count);
  }
  if (const auto* ramp = expr.as<Ramp>()) {
    const Expr base = step(ramp->base);
    const Expr stride = step(ramp->stride);
    if (is_int(stride, 0))
      return make_broadcast(base, count);
    return base == ramp->base && stride == ramp->stride ? expr : make_ramp(base, stride, count);
  }
  if (const auto* inverted = expr.as<Not>()) {
    const Expr a = step(inverted->a);
    if (const auto* broadcast = a.as<Broadcast>())
      return make_broadcast(step(make_not(broadcast->value)), count);
    return a == inverted->a ? expr : make_not(a);
  }
  return rules::with_binary(
      expr,
      [&]<typename T>(const T& e) -> Expr {
        const Expr a = step(e.a);
        const Expr b = step(e.b);
        const auto unchanged = [&] { return a == e.a && b == e.b ? expr : make_binary<T>(a, b); };
        const Lanes x = lanes_of(a);
        const Lanes y = lanes_of(b);
        if (x && y && !x.stride && !y.stride && x.base->dtype == y.base->dtype)
          return make_broadcast(step(make_binary<T>(x.base, y.base)), count);
        if constexpr (std::is_same_v<T, And> || std::is_same_v<T, Or>) {
          constexpr int64_t kNeutral = std::is_same_v<T, And> ? 1 : 0;
          const auto known_a = rules::constant_of(a);
          const auto known_b = rules::constant_of(b);
          if (known_a)
            return *known_a == kNeutral ? b : a;
          if (known_b)
            return *known_b == kNeutral ? a : b;
          return same_expr(a, b) ? a : unchanged();
        }
        if constexpr (std::is_same_v<T, Mul>) {
          if (is_one(a))
            return b;
          if (is_one(b))
            return a;
        }
        if constexpr (std::is_same_v<T, Div>) {
          if (is_one(b))
            return a;
        }
        if (a->dtype.is_floating() || !is_index_type(a->dtype.element()))
          return unchanged();
        const DataType element = a->dtype.element();
        const Expr zero = make_int(element, 0);
        if constexpr (std::is_same_v<T, Add> || std::is_same_v<T, Sub>) {
          if (x && y) {
            const Expr& s = x.stride ? x.stride : zero;
            const Expr& t = y.stride ? y.stride : zero;
            return make_lanes(step(make_binary<T>(x.base, y.base)), step(make_binary<T>(s, t)),
                              count);
          }
          if (rules::constant_of(b) == 0)
            return a;
          if (std::is_same_v<T, Add> && rules::constant_of(a) == 0)
            return b;
        } else if constexpr (std::is_same_v<T, Mul>) {
          if (x && y && (!x.stride || !y.stride)) {
            const Lanes& ramp = x.stride ? x : y;
            const Lanes& factor = x.stride ? y : x;
            return make_lanes(step(make_binary<Mul>(ramp.base, factor.base)),
                              step(make_binary<Mul>(ramp.stride, factor.base)), count);
          }
          if (rules::constant_of(a) == 0)
            return a;
          if (rules::constant_of(b) == 0)
            return b;
        } else if constexpr (std::is_same_v<T, FloorDiv> || std::is_same_v<T, FloorMod>) {
          constexpr bool kIsDiv = std::is_same_v<T, FloorDiv>;
          const auto c = rules::constant_of(b);
          if (c == 1)
            return kIsDiv ? a : make_broadcast(zero, count);
          if (c && *c > 0 && x && x.stride && x.stride.template is<IntImm>()) {
            const int64_t stride = x.stride.template as<IntImm>()->value;
            const Expr quotient = kIsDiv ? step(floordiv(x.base, *c)) : nullptr;
            const Expr rest = step(floormod(x.base, *c));
            if (stride % *c == 0)
              return kIsDiv ? make_lanes(quotient, make_int(element, stride / *c), count)
                            : make_broadcast(rest, count);
            // All lanes in the block of the first.
            const IntInterval first = bounds(rest);
            const IntInterval reach = first + scale(IntInterval{0, int64_t{count} - 1}, stride);
            if (reach.low >= 0 && reach.high < *c)
              return kIsDiv ? make_broadcast(quotient, count) : make_ramp(rest, x.stride, count);
          }
        } else if constexpr (std::is_same_v<T, Min> || std::is_same_v<T, Max>) {
          if (same_expr(a, b))
            return a;
        }
        // Comparisons and min/max of lanes that all decide alike.
        if constexpr (!std::is_same_v<T, FloorDiv> && !std::is_same_v<T, FloorMod> &&
                      !std::is_same_v<T, Add> && !std::is_same_v<T, Sub> &&
                      !std::is_same_v<T, Mul> && !std::is_same_v<T, Div> &&
                      !std::is_same_v<T, Mod>) {
          if (x && y) {
            // difference = a - b, lane by lane: [low, high] as forms.
            LinearForm low = linear(x.base);
            accumulate(low, y.base, -1);
            const auto s = x.stride ? as_int(x.stride) : std::optional<int64_t>(0);
            const auto t = y.stride ? as_int(y.stride) : std::optional<int64_t>(0);
            if (s && t && !low.overflow) {
              LinearForm high = low;
              (*s >= *t ? high : low).add_constant((*s - *t) * (count - 1));
              LinearForm less;
              less.dtype = element;
              less.add(high, -1); // b - a at least
              const bool b_not_less = is_non_negative(less);
              const bool a_not_less = is_non_negative(low);
              less.add_constant(-1);
              const bool a_less = is_non_negative(less);
              LinearForm more = low;
              more.add_constant(-1);
              const bool b_less = is_non_negative(more);
              const auto all = [&](bool value) { return make_broadcast(make_bool(value), count); };
              if constexpr (std::is_same_v<T, Min> || std::is_same_v<T, Max>) {
                if (b_not_less)
                  return std::is_same_v<T, Min> ? a : b;
                if (a_not_less)
                  return std::is_same_v<T, Min> ? b : a;
              } else if constexpr (std::is_same_v<T, LT>) {
                if (a_less || a_not_less)
                  return all(a_less);
              } else if constexpr (std::is_same_v<T, LE>) {
                if (b_not_less || b_less)
                  return all(b_not_less);
              } else if constexpr (std::is_same_v<T, GT>) {
                if (b_less || b_not_less)
                  return all(b_less);
              } else if constexpr (std::is_same_v<T, GE>) {
                if (a_not_less || a_less)
                  return all(a_not_less);
              } else if constexpr (std::is_same_v<T, EQ> || std::is_same_v<T, NE>) {
                if (a_less || b_less)
                  return all(std::is_same_v<T, NE>);
              }
            }
          }
        }
        return unchanged();
      },
      [&]() -> Expr {
        if (const auto* shuffle = expr.as<Shuffle>()) {
          std::vector<Expr> vectors;
          return rules::step_list(shuffle->vectors, vectors,
                                  [&](const Expr& vector) { return step(vector); })
                     ? make_shuffle(std::move(vectors), shuffle->indices)
                     : expr;
        }
        return step_common(expr);
      });
}

} // namespace temper::ir
