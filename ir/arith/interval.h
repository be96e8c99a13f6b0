/// Integer intervals with infinite ends, and the bounds of index expressions over bounded
/// variables:
///
///   bounds_of(i * 16 + j, {i: [0, 8), j: [0, 16)})   ->   [0, 127]
///
/// Bounds are sound, not always tight: terms are bounded one by one.
#pragma once

#include "ir/expr.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

namespace temper::ir {

/// [low, high], both included. kLowest and kHighest stand for minus and plus infinity.
struct IntInterval {
  static constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
  static constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();

  int64_t low = kLowest;
  int64_t high = kHighest;

  static constexpr IntInterval everything() { return {}; }
  static constexpr IntInterval point(int64_t value) { return {value, value}; }
  /// [min, min + extent); an empty loop counts as one that runs once, since nothing in its body is
  /// ever asked of a value.
  static constexpr IntInterval range(int64_t min, int64_t extent) {
    return {min, min + std::max<int64_t>(extent, 1) - 1};
  }

  constexpr bool is_point() const { return low == high && is_bounded(); }
  constexpr bool has_low() const { return low != kLowest; }
  constexpr bool has_high() const { return high != kHighest; }
  constexpr bool is_bounded() const { return has_low() && has_high(); }
  constexpr bool contains(int64_t value) const { return low <= value && value <= high; }
  constexpr bool contains(const IntInterval& other) const {
    return low <= other.low && other.high <= high;
  }
  constexpr bool operator==(const IntInterval&) const = default;
};

IntInterval operator+(IntInterval a, IntInterval b);
IntInterval operator-(IntInterval a, IntInterval b);
IntInterval operator*(IntInterval a, IntInterval b);
IntInterval scale(IntInterval a, int64_t factor);
/// Everything when `b` may be zero.
IntInterval floor_div(IntInterval a, IntInterval b);
IntInterval floor_mod(IntInterval a, IntInterval b);
IntInterval min(IntInterval a, IntInterval b);
IntInterval max(IntInterval a, IntInterval b);
/// The smallest interval that holds both.
IntInterval hull(IntInterval a, IntInterval b);
/// What both say; when they exclude each other (dead code), `a`.
IntInterval meet(IntInterval a, IntInterval b);
/// The values that fit the type; everything for 64 bits and for floating types.
IntInterval values_of(DataType dtype);

/// Known bounds of variables, a stack: what is bound last counts. A few dozen entries, searched
/// from the end, cost less than any map.
class VarBounds {
public:
  void bind(const Var& var, IntInterval interval) { entries_.push_back({var, interval}); }
  /// Null when nothing is known.
  const IntInterval* find(const VarNode* var) const {
    for (size_t i = entries_.size(); i-- > 0;)
      if (entries_[i].var.get() == var)
        return &entries_[i].interval;
    return nullptr;
  }
  size_t size() const { return entries_.size(); }
  /// Forgets what was bound since size() was `count`.
  void truncate(size_t count) { entries_.erase(entries_.begin() + count, entries_.end()); }

private:
  struct Entry {
    Var var;
    IntInterval interval;
  };
  std::vector<Entry> entries_;
};

/// Bounds of an integer or bool expression (per lane, for a vector). Index arithmetic (int32,
/// int64) does not overflow; other types that may wrap have their type's bounds.
IntInterval bounds_of(const Expr& expr, const VarBounds& vars);

} // namespace temper::ir
