/// Questions that lowering asks of linear index forms (ir/arith/linear.h).
#pragma once

#include "ir/arith/simplify.h"
#include "ir/tir/stmt.h"

namespace temper::ir {

/// The range of a loop's variable, for the scope at hand.
inline void bind_loop(Analyzer& analyzer, const tir::For& loop) {
  analyzer.bind(loop.loop_var, Range{loop.min, loop.extent});
}

/// True when the variable occurs inside a term that is not the variable itself.
bool hides(const LinearForm& form, const VarNode* var);
/// True when the form depends on the variable at all.
bool depends_on(const LinearForm& form, const VarNode* var);
/// The coefficient of a variable as a term by itself; 0 when it is none.
int64_t coefficient(const LinearForm& form, const VarNode* var);
/// Greatest common divisor of all coefficients and the constant; 0 for the constant 0.
int64_t divisor(const LinearForm& form);
/// True when both have the same terms with the same coefficients, whatever their constants.
bool same_terms(const LinearForm& a, const LinearForm& b);

/// Largest known divisor of an index (or of a Ramp's base): what alignment follows from. 0 for the
/// constant 0, which everything divides.
int64_t index_divisor(const Expr& index);

} // namespace temper::ir
