/// Linear forms of index expressions, sum(coefficient * term) + constant. A term is a variable or
/// whatever is not linear (a floor division, a load, a product of variables):
///
///   (i * 16 + j) * 4 - 3        ->   64 * i + 4 * j - 3
///   x // 4 * 8 + min(x, y)      ->   8 * (x // 4) + 1 * min(x, y)
///
/// The order of the terms is that of the text, so what is rebuilt looks as it was written.
#pragma once

#include "ir/arith/interval.h"
#include "ir/support/small_vector.h"

namespace temper::ir {

/// int32 and int64 scalars: arithmetic on them does not overflow (ir/tir/stmt.h), so that it may be
/// regrouped freely. Other integers wrap.
inline bool is_index_type(DataType dtype) {
  return dtype.is_int() && dtype.bits >= 32 && dtype.is_scalar();
}

/// Same structure, over the same variables and buffers (no renaming). Fast: no allocation.
bool same_expr(const Expr& a, const Expr& b);

struct LinearTerm {
  Expr expr;
  int64_t coefficient = 0;
};

struct LinearForm {
  DataType dtype = DataType::int32();
  SmallVector<LinearTerm, 6> terms; ///< coefficients are not 0, terms differ pairwise
  int64_t constant = 0;
  /// A coefficient did not fit 64 bits: the form says nothing.
  bool overflow = false;

  bool is_constant() const { return terms.empty() && !overflow; }
  /// The only term, when the form is exactly 1 * term + 0.
  const Expr* as_term() const {
    return terms.size() == 1 && terms[0].coefficient == 1 && constant == 0 ? &terms[0].expr
                                                                           : nullptr;
  }
  /// The coefficient of a term; 0 when it does not occur.
  int64_t coefficient_of(const Expr& term) const;
  /// Adds coefficient * term, merging equal terms. No other rule is applied.
  void add_term(const Expr& term, int64_t coefficient);
  void add_constant(int64_t value, int64_t factor = 1);
  /// this += other * factor.
  void add(const LinearForm& other, int64_t factor = 1);
};

/// The form of an index expression (is_index_type) as it stands: sums, differences and products
/// with constants are opened, everything else is a term. Nothing else is simplified
/// (Analyzer::linear does).
LinearForm linear_form(const Expr& expr);

/// The form as an expression: positive terms first, then negative ones, the constant last.
Expr to_expr(const LinearForm& form);

/// to_expr(form) would be structurally equal to `expr`; without building it.
bool is_written_as(const LinearForm& form, const Expr& expr);

/// Bounds of the form, term by term.
IntInterval bounds_of(const LinearForm& form, const VarBounds& vars);

} // namespace temper::ir
