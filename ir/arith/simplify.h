/// The simplifier and prover of index arithmetic. An Analyzer knows bounds of variables and
/// conditions that hold, and brings expressions into a canonical form:
///
///   Analyzer analyzer;
///   analyzer.bind(i, {0, 7});
///   analyzer.bind(j, {0, 15});
///   analyzer.simplify((i * 16 + j) // 16)     ->   i
///   analyzer.simplify((i * 16 + j) % 16)      ->   j
///   analyzer.can_prove(i * 16 + j < 128)      ->   true
///
/// What it promises: the value is the same wherever the bounds and conditions hold and the original
/// has a value; simplify(simplify(e)) is simplify(e); an expression that does not change is
/// returned as the same node. int32 and int64 do not overflow (the IR's meaning), so sums of them
/// are regrouped; other integers wrap and floats round, and are only folded where that is exact.
///
/// Canonical form of an index expression: a linear form over variables and terms
/// (x % upper) // lower; a comparison has positive terms on both sides and no common factor.
///
/// Cost: about a microsecond for an index expression of a schedule; bind() is a push on a stack.
#pragma once

#include "ir/arith/linear.h"

namespace temper::ir {

class Analyzer {
public:
  Analyzer() = default;

  /// `var` lies in the interval, for as long as the scope lasts.
  void bind(const Var& var, IntInterval interval);
  /// `var` lies in [min, min + extent); symbolic ends are kept as conditions.
  void bind(const Var& var, const Range& range);
  /// The condition holds from now on (an `if` around, a predicate). Conjunctions are taken apart;
  /// what the prover cannot use is ignored.
  void assume(const Expr& condition);

  /// What was known at mark() is what is known after rewind() to it.
  struct Mark {
    size_t vars = 0;
    size_t facts = 0;
  };
  Mark mark() const { return {vars_.size(), facts_.size()}; }
  void rewind(Mark mark);
  /// RAII: forgets at its end what was learned during its life.
  class Scope {
  public:
    explicit Scope(Analyzer& analyzer) : analyzer_(analyzer), mark_(analyzer.mark()) {}
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() { analyzer_.rewind(mark_); }

  private:
    Analyzer& analyzer_;
    Mark mark_;
  };

  Expr simplify(const Expr& expr);
  /// simplify() of every expression below a statement or block is the pass's work; this does one
  /// list (indices, iter_values). True when something changed.
  bool simplify(std::vector<Expr>& exprs);

  /// True when the condition certainly holds; false means "cannot tell".
  bool can_prove(const Expr& condition);
  bool can_prove_equal(const Expr& a, const Expr& b);
  bool can_prove_less(const Expr& a, const Expr& b);
  bool can_prove_less_equal(const Expr& a, const Expr& b);
  /// a - b when it is a constant whatever the variables are.
  std::optional<int64_t> constant_difference(const Expr& a, const Expr& b);

  /// Bounds of an index expression, after simplification (so that i - i % 4 is not taken apart).
  IntInterval bounds(const Expr& expr);
  const VarBounds& vars() const { return vars_; }

  /// The canonical linear form of an index expression (is_index_type).
  LinearForm linear(const Expr& expr);
  /// Bounds of a canonical form, tighter than term by term: x // c against y // c, minima against
  /// their operands.
  IntInterval bounds(const LinearForm& form) const;
  /// form >= 0 for certain, by bounds or by one of the conditions.
  bool is_non_negative(const LinearForm& form) const;

private:
  Expr step(const Expr& expr);
  Expr step_index(const Expr& expr);
  Expr step_vector(const Expr& expr);
  Expr step_narrow(const Expr& expr);
  Expr step_float(const Expr& expr);
  Expr step_bool(const Expr& expr);
  Expr step_common(const Expr& expr);
  Expr step_children(const Expr& expr);
  Expr compare(const Expr& expr, LinearForm difference, bool is_order);
  IntInterval bounds_within(const LinearForm& form, int depth) const;

  /// form += factor * expr, simplified.
  void accumulate(LinearForm& form, const Expr& expr, int64_t factor);
  /// The same for an expression that is already canonical.
  void accumulate_canonical(LinearForm& form, const Expr& expr, int64_t factor);
  void add_split_aware(LinearForm& form, const Expr& term, int64_t coefficient);
  bool merge_split(LinearForm& form, const Expr& term, int64_t coefficient);
  /// out += factor * floor(form / divisor), divisor > 0; and the remainder.
  void divide(LinearForm& out, LinearForm form, int64_t divisor, int64_t factor);
  void modulo(LinearForm& out, LinearForm form, int64_t divisor, int64_t factor);
  /// Splits `form` into multiples of a divisor's factor and a rest that stays in one block of it.
  struct Partition {
    int64_t factor = 0; ///< 0: there is none
    LinearForm high;    ///< multiples, divided by `factor`, plus the block of the rest
    LinearForm low;     ///< in [0, factor)
  };
  Partition partition(const LinearForm& form, int64_t divisor) const;

  VarBounds vars_;
  std::vector<LinearForm> facts_; ///< each is >= 0
  int depth_ = 0;
};

/// One-off: simplify under the given bounds only.
Expr simplify(const Expr& expr);

} // namespace temper::ir
