/// Index arithmetic for lowering: integer expressions as linear forms over atoms, with the ranges of
/// loop variables known. Lowering asks for thousands of them per candidate, so this is the small, fast
/// engine for indices (no rewriting rules, no symbolic ranges); ir/arith simplifies in general.
///
///   (i * 64 + j) // 16  with j in [0, 16)   =   4 * i
///   (f // 64) * 64 + f % 64                 =   f
///
/// Indices do not overflow (the IR's meaning says so), so a form may be computed in int64 whatever
/// the type of the expression.
#pragma once

#include "ir/tir/stmt.h"

#include <limits>
#include <unordered_map>

namespace temper::ir {

/// Both ends included; the limits of int64 stand for "unknown".
struct IndexRange {
  int64_t low = std::numeric_limits<int64_t>::min();
  int64_t high = std::numeric_limits<int64_t>::max();

  bool bounded() const { return low != unknown_low() && high != unknown_high(); }
  bool within(int64_t a, int64_t b) const { return low >= a && high <= b; }
  static constexpr int64_t unknown_low() { return std::numeric_limits<int64_t>::min(); }
  static constexpr int64_t unknown_high() { return std::numeric_limits<int64_t>::max(); }
};

/// constant + sum of coefficient * atom. An atom is a variable or an expression that is not linear.
struct LinearIndex {
  struct Term {
    Expr atom;
    int64_t coefficient;
  };
  std::vector<Term> terms; ///< no two atoms equal, no coefficient 0; in order of appearance
  int64_t constant = 0;

  bool is_constant() const { return terms.empty(); }
  /// The coefficient of a variable (0 when it is no term by itself).
  int64_t coefficient(const VarNode* var) const;
  /// True when the variable occurs inside an atom that is not the variable itself.
  bool hides(const VarNode* var) const;
  bool uses(const VarNode* var) const { return coefficient(var) != 0 || hides(var); }
  /// Greatest common divisor of all coefficients and the constant; 0 for the constant 0.
  int64_t divisor() const;

  void add(const LinearIndex& other, int64_t factor = 1);
  void add_term(const Expr& atom, int64_t coefficient);
};

/// True when both are the same form (terms in any order).
bool same_terms(const LinearIndex& a, const LinearIndex& b);
inline bool operator==(const LinearIndex& a, const LinearIndex& b) {
  return a.constant == b.constant && same_terms(a, b);
}

class IndexMath {
public:
  /// Declares the range of a variable, both ends included. The last word counts.
  void bind(const Var& var, int64_t low, int64_t high) { ranges_[var.get()] = {low, high}; }
  void bind(const Var& var, IndexRange range) { ranges_[var.get()] = range; }
  /// The range of a loop's variable, as far as its bounds are known.
  void bind_loop(const tir::For& loop);
  IndexRange range_of(const VarNode* var) const;
  void forget(const Var& var) { ranges_.erase(var.get()); }

  LinearIndex linear(const Expr& expr);
  /// The form as an expression: terms with larger coefficients first.
  static Expr to_expr(const LinearIndex& form, DataType dtype);

  /// A simpler equal expression. Integer expressions go through their linear form; conditions become
  /// constants where the ranges decide them; other expressions have their parts simplified. Values
  /// computed from integer data (loads) keep their wrapping arithmetic.
  Expr simplify(const Expr& expr);
  /// An index: integer arithmetic that cannot overflow, loads inside included.
  Expr simplify_index(const Expr& expr);

  IndexRange range(const LinearIndex& form);
  IndexRange range(const Expr& expr);

  /// What a condition is, where that is known.
  std::optional<bool> decide(const Expr& condition);

private:
  LinearIndex linear_div(const LinearIndex& value, int64_t divisor, DataType dtype);
  LinearIndex linear_mod(const LinearIndex& value, int64_t divisor, DataType dtype);
  LinearIndex linear_node(const Expr& expr);
  IndexRange range_of_atom(const Expr& atom);

  std::unordered_map<const VarNode*, IndexRange> ranges_;
};

/// Largest known divisor of an index (or of a Ramp's base): what alignment follows from. 0 for the
/// constant 0, which everything divides.
int64_t index_divisor(const Expr& index);

} // namespace temper::ir
