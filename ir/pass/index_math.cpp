#include "ir/pass/index_math.h"

#include "ir/walk.h"

#include <numeric>

namespace temper::ir {

bool hides(const LinearForm& form, const VarNode* var) {
  for (const LinearTerm& term : form.terms)
    if (term.expr->kind() != VarNode::kKind && mentions(term.expr, var))
      return true;
  return false;
}

bool depends_on(const LinearForm& form, const VarNode* var) {
  return coefficient(form, var) != 0 || hides(form, var);
}

int64_t coefficient(const LinearForm& form, const VarNode* var) {
  for (const LinearTerm& term : form.terms)
    if (term.expr.get() == var)
      return term.coefficient;
  return 0;
}

int64_t divisor(const LinearForm& form) {
  int64_t result = std::abs(form.constant);
  for (const LinearTerm& term : form.terms)
    result = std::gcd(result, term.coefficient);
  return result;
}

bool same_terms(const LinearForm& a, const LinearForm& b) {
  if (a.overflow || b.overflow || a.terms.size() != b.terms.size())
    return false;
  for (const LinearTerm& term : a.terms)
    if (b.coefficient_of(term.expr) != term.coefficient)
      return false;
  return true;
}

int64_t index_divisor(const Expr& index) {
  if (const auto* ramp = index.as<Ramp>())
    return index_divisor(ramp->base);
  return is_index_type(index->dtype) ? divisor(linear_form(index)) : 1;
}

} // namespace temper::ir
