/// Integer index arithmetic for schedule primitives: every index is brought into the form
///
///   c0 + c1 * atom1 + c2 * atom2 + ...
///
/// where an atom is a variable, or a floordiv, floormod, min or max of such sums. What it adds to
/// ir/arith's Analyzer is what blocks need: axes stand for their bindings without being
/// substituted, and forms are relaxed over some of the loops while the others stand still. It is
/// fast: a search applies primitives thousands of times a second, so that nothing here allocates
/// more than a few short vectors.
#pragma once

#include "ir/arith/linear.h" // same_expr
#include "ir/s_tir/block.h"
#include "ir/walk.h"

#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace temper::s_tir {

/// Closed interval; an unknown end is kMinusInfinity or kPlusInfinity, at which arithmetic
/// saturates.
struct Bound {
  static constexpr int64_t kPlusInfinity = std::numeric_limits<int64_t>::max() / 4;
  static constexpr int64_t kMinusInfinity = -kPlusInfinity;
  int64_t lo = kMinusInfinity;
  int64_t hi = kPlusInfinity;
  bool bounded() const { return lo > kMinusInfinity && hi < kPlusInfinity; }
  bool operator==(const Bound&) const = default;
};

struct Linear {
  struct Term {
    Expr atom;
    int64_t factor;
  };
  std::vector<Term> terms; ///< in order of appearance; no atom twice, no factor 0
  int64_t constant = 0;

  bool is_constant() const { return terms.empty(); }
  bool is_constant(int64_t value) const { return terms.empty() && constant == value; }
  /// The variable v when the form is v + offset.
  const VarNode* variable_plus_offset() const;
  /// The same, with offset 0.
  const VarNode* variable() const { return constant == 0 ? variable_plus_offset() : nullptr; }
};

/// Both ends included.
struct LinearInterval {
  Linear lo;
  Linear hi;
};

/// Knows the ranges of loop variables, and what the axes of blocks are bound to.
class IndexMath {
public:
  void set_range(const Var& var, Bound bound);
  /// The loop's variable ranges over its extent, also when that is symbolic.
  void set_loop(const For& loop);
  /// Axes range over their domains.
  void set_axes(const SBlock& block);
  /// From now on `var` stands for `value`.
  void define(const Var& var, Linear value);
  void define(const Var& var, const Expr& value) { define(var, linear(value)); }
  /// Every axis of the block stands for its binding. A binding that is a single value of a domain
  /// of one element becomes that value.
  void define_axes(const SBlockRealize& realize);
  /// Forgets what was said since size() returned `size`.
  size_t size() const { return facts_.size(); }
  void truncate(size_t size) { facts_.resize(size); }

  Linear linear(const Expr& expr);
  Linear sum(const Linear& a, const Linear& b, int64_t factor_of_b = 1);
  Linear difference(const Linear& a, const Linear& b) { return sum(a, b, -1); }
  Linear offset(Linear a, int64_t constant) {
    a.constant += constant;
    return a;
  }
  /// How many integers there are from `range.lo` to `range.hi`.
  Linear count(const LinearInterval& range);
  Linear scaled(Linear a, int64_t factor);
  Linear floor_divide(const Linear& a, int64_t divisor);
  Linear floor_modulo(const Linear& a, int64_t divisor);
  /// min or max of the two: one of them when it is known which.
  Linear minimum(const Linear& a, const Linear& b);
  Linear maximum(const Linear& a, const Linear& b);

  /// The form that a comparison (<, <=, >, >=) says is not negative; nothing for any other
  /// condition.
  std::optional<Linear> slack(const Expr& condition);

  Bound bound(const Linear& form);
  Bound bound(const Expr& expr) { return bound(linear(expr)); }
  /// a <= b for all values in the ranges.
  bool proves_less_equal(const Linear& a, const Linear& b) {
    return bound(difference(b, a)).lo >= 0;
  }
  bool proves_equal(const Linear& a, const Linear& b) { return difference(a, b).is_constant(0); }

  /// The smallest and largest value while the variables `inner` run over their ranges and the
  /// others stand still. Nothing when the form is not bounded by anything known.
  std::optional<LinearInterval> relax(const Linear& form, std::span<const VarNode* const> inner);

  Expr expr(const Linear& form, DataType dtype);
  Expr simplify(const Expr& expr) { return this->expr(linear(expr), expr->dtype); }

private:
  struct Fact {
    Var var;
    Bound bound;
    Linear value; ///< when `defined`
    Linear last;  ///< symbolic largest value, when bound.hi is not known
    bool defined = false;
    bool has_last = false;
  };
  const Fact* find(const VarNode* var) const;
  /// x and r with form = g * x + r and 0 <= r < g, when that is known of the terms that g divides.
  std::optional<std::pair<Linear, Linear>> parts_by(const Linear& form, int64_t g);
  void accumulate(const Expr& expr, int64_t factor, Linear& into);
  void add_form(Linear& into, const Linear& form, int64_t factor);
  void add_term(Linear& into, const Expr& atom, int64_t factor);
  void add_opaque(Linear& into, const Expr& expr, int64_t factor);
  Bound atom_bound(const Expr& atom);
  Linear extremum(const Linear& a, const Linear& b, bool least);

  std::vector<Fact> facts_;
};

/// How a binding is made: value = sum over pieces of (source // divisor % extent) * scale + offset.
struct IndexPiece {
  const VarNode* source;
  int64_t divisor;
  int64_t extent;
  int64_t scale;
};
/// Pieces of a sum of variables and of their quotients and remainders, by ascending scale; nothing
/// when it is made of anything else. Variables of extent 1 do not appear. Ranges start at 0.
std::optional<std::vector<IndexPiece>> split_into_pieces(IndexMath& math, const Linear& form);

/// The largest value of their sum.
int64_t reach_of(std::span<const IndexPiece> pieces);
/// A loop of symbolic extent that stands in a form by itself: loop * factor + the rest of it.
struct OpenTerm {
  const VarNode* variable = nullptr; ///< null: there is none
  int64_t factor = 0;
};
/// Takes the first one out of the form.
OpenTerm take_open_term(IndexMath& math, Linear& form);

/// True when the forms, together, take every combination of values in the box [0, extent) exactly
/// once while the variables run over their ranges (`injective` false: at least once). Forms may
/// reach beyond `extents[i]` where `clipped[i]`: a predicate then leaves those out.
bool covers_box(IndexMath& math, std::span<const Linear> forms, std::span<const int64_t> extents,
                std::span<const bool> clipped, std::span<const VarNode* const> variables,
                bool injective);

} // namespace temper::s_tir
