#include "ir/arith/linear.h"

#include "ir/buffer.h"

namespace temper::ir {
namespace {

bool same_list(const std::vector<Expr>& a, const std::vector<Expr>& b) {
  if (a.size() != b.size())
    return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!same_expr(a[i], b[i]))
      return false;
  return true;
}

template <typename T> bool same_binary(const Expr& a, const Expr& b) {
  const auto& x = static_cast<const T&>(*a);
  const auto& y = static_cast<const T&>(*b);
  return same_expr(x.a, y.a) && same_expr(x.b, y.b);
}

} // namespace

bool same_expr(const Expr& a, const Expr& b) {
  if (a.get() == b.get())
    return true;
  if (!a || !b || a->kind() != b->kind() || a->dtype != b->dtype)
    return false;
  switch (static_cast<ExprKind>(a->kind())) {
  case ExprKind::kVarNode:
    return false;
  case ExprKind::kIntImm:
    return static_cast<const IntImm&>(*a).value == static_cast<const IntImm&>(*b).value;
  case ExprKind::kFloatImm: {
    const double x = static_cast<const FloatImm&>(*a).value;
    const double y = static_cast<const FloatImm&>(*b).value;
    return __builtin_memcmp(&x, &y, sizeof x) == 0; // -0.0 differs from 0.0, NaN equals itself
  }
  case ExprKind::kStringImm:
    return static_cast<const StringImm&>(*a).value == static_cast<const StringImm&>(*b).value;
  case ExprKind::kListImm:
    return same_list(static_cast<const ListImm&>(*a).values,
                     static_cast<const ListImm&>(*b).values);
  case ExprKind::kCast:
    return same_expr(static_cast<const Cast&>(*a).value, static_cast<const Cast&>(*b).value);
#define TEMPER_SAME(name)                                                                          \
  case ExprKind::k##name:                                                                          \
    return same_binary<name>(a, b);
    TEMPER_SAME(Add)
    TEMPER_SAME(Sub)
    TEMPER_SAME(Mul)
    TEMPER_SAME(Div)
    TEMPER_SAME(Mod)
    TEMPER_SAME(FloorDiv)
    TEMPER_SAME(FloorMod)
    TEMPER_SAME(Min)
    TEMPER_SAME(Max)
    TEMPER_SAME(EQ)
    TEMPER_SAME(NE)
    TEMPER_SAME(LT)
    TEMPER_SAME(LE)
    TEMPER_SAME(GT)
    TEMPER_SAME(GE)
    TEMPER_SAME(And)
    TEMPER_SAME(Or)
#undef TEMPER_SAME
  case ExprKind::kNot:
    return same_expr(static_cast<const Not&>(*a).a, static_cast<const Not&>(*b).a);
  case ExprKind::kSelect: {
    const auto& x = static_cast<const Select&>(*a);
    const auto& y = static_cast<const Select&>(*b);
    return same_expr(x.condition, y.condition) && same_expr(x.true_value, y.true_value) &&
           same_expr(x.false_value, y.false_value);
  }
  case ExprKind::kBufferLoad: {
    const auto& x = static_cast<const BufferLoad&>(*a);
    const auto& y = static_cast<const BufferLoad&>(*b);
    return x.buffer == y.buffer && same_list(x.indices, y.indices) &&
           same_expr(x.predicate, y.predicate);
  }
  case ExprKind::kRamp: {
    const auto& x = static_cast<const Ramp&>(*a);
    const auto& y = static_cast<const Ramp&>(*b);
    return same_expr(x.base, y.base) && same_expr(x.stride, y.stride);
  }
  case ExprKind::kBroadcast:
    return same_expr(static_cast<const Broadcast&>(*a).value,
                     static_cast<const Broadcast&>(*b).value);
  case ExprKind::kShuffle: {
    const auto& x = static_cast<const Shuffle&>(*a);
    const auto& y = static_cast<const Shuffle&>(*b);
    return same_list(x.vectors, y.vectors) && same_list(x.indices, y.indices);
  }
  case ExprKind::kLet: {
    const auto& x = static_cast<const Let&>(*a);
    const auto& y = static_cast<const Let&>(*b);
    return x.var == y.var && same_expr(x.value, y.value) && same_expr(x.body, y.body);
  }
  case ExprKind::kCall: {
    const auto& x = static_cast<const Call&>(*a);
    const auto& y = static_cast<const Call&>(*b);
    return x.op == y.op && same_list(x.args, y.args);
  }
  case ExprKind::kEnd:
    break;
  }
  return false;
}

int64_t LinearForm::coefficient_of(const Expr& term) const {
  for (const LinearTerm& mine : terms)
    if (same_expr(mine.expr, term))
      return mine.coefficient;
  return 0;
}

void LinearForm::add_term(const Expr& term, int64_t coefficient) {
  if (coefficient == 0)
    return;
  for (size_t i = 0; i < terms.size(); ++i) {
    if (!same_expr(terms[i].expr, term))
      continue;
    overflow |= __builtin_add_overflow(terms[i].coefficient, coefficient, &terms[i].coefficient);
    if (terms[i].coefficient == 0)
      terms.erase(i);
    return;
  }
  terms.push_back({term, coefficient});
}

void LinearForm::add_constant(int64_t value, int64_t factor) {
  int64_t product = 0;
  overflow |= __builtin_mul_overflow(value, factor, &product);
  overflow |= __builtin_add_overflow(constant, product, &constant);
}

void LinearForm::add(const LinearForm& other, int64_t factor) {
  overflow |= other.overflow;
  for (const LinearTerm& term : other.terms) {
    int64_t product = 0;
    overflow |= __builtin_mul_overflow(term.coefficient, factor, &product);
    add_term(term.expr, product);
  }
  add_constant(other.constant, factor);
}

namespace {

void open(LinearForm& form, const Expr& expr, int64_t factor) {
  switch (static_cast<ExprKind>(expr->kind())) {
  case ExprKind::kIntImm:
    form.add_constant(static_cast<const IntImm&>(*expr).value, factor);
    return;
  case ExprKind::kAdd:
    open(form, static_cast<const Add&>(*expr).a, factor);
    open(form, static_cast<const Add&>(*expr).b, factor);
    return;
  case ExprKind::kSub: {
    open(form, static_cast<const Sub&>(*expr).a, factor);
    int64_t negated = 0;
    form.overflow |= __builtin_sub_overflow(int64_t{0}, factor, &negated);
    open(form, static_cast<const Sub&>(*expr).b, negated);
    return;
  }
  case ExprKind::kMul: {
    const auto& product = static_cast<const Mul&>(*expr);
    const auto x = as_int(product.a);
    const auto y = as_int(product.b);
    if (x || y) {
      int64_t scaled = 0;
      form.overflow |= __builtin_mul_overflow(factor, x ? *x : *y, &scaled);
      if (scaled != 0)
        open(form, x ? product.b : product.a, scaled);
      return;
    }
    break;
  }
  default:
    break;
  }
  form.add_term(expr, factor);
}

} // namespace

LinearForm linear_form(const Expr& expr) {
  LinearForm form;
  form.dtype = expr->dtype;
  open(form, expr, 1);
  return form;
}

Expr to_expr(const LinearForm& form) {
  TEMPER_CHECK(!form.overflow, "a form that overflowed has no expression");
  const auto scaled = [&](const Expr& term, int64_t coefficient) {
    return coefficient == 1 ? term : make_binary<Mul>(term, make_int(form.dtype, coefficient));
  };
  Expr sum;
  for (const LinearTerm& term : form.terms) {
    if (term.coefficient < 0)
      continue;
    Expr value = scaled(term.expr, term.coefficient);
    sum = sum ? make_binary<Add>(std::move(sum), std::move(value)) : std::move(value);
  }
  // 3 - x rather than x * -1 + 3.
  bool constant_done = form.constant == 0;
  if (!sum && form.constant > 0) {
    sum = make_int(form.dtype, form.constant);
    constant_done = true;
  }
  for (const LinearTerm& term : form.terms) {
    if (term.coefficient > 0)
      continue;
    sum = sum ? make_binary<Sub>(std::move(sum), scaled(term.expr, -term.coefficient))
              : scaled(term.expr, term.coefficient);
  }
  if (!sum)
    return make_int(form.dtype, form.constant);
  if (constant_done)
    return sum;
  return form.constant > 0 ? make_binary<Add>(std::move(sum), make_int(form.dtype, form.constant))
                           : make_binary<Sub>(std::move(sum), make_int(form.dtype, -form.constant));
}

namespace {

/// What stands at one place of the written sum: a term with its coefficient, or the constant
/// (null).
struct Item {
  const Expr* term;
  int64_t value; ///< never negative, but for the first item
  bool subtracted;
};

bool matches(const Item& item, const Expr& expr) {
  if (item.term == nullptr)
    return is_int(expr, item.value);
  if (item.value == 1)
    return same_expr(*item.term, expr);
  const auto* product = expr.as<Mul>();
  return product != nullptr && is_int(product->b, item.value) && same_expr(*item.term, product->a);
}

} // namespace

bool is_written_as(const LinearForm& form, const Expr& expr) {
  if (form.overflow)
    return false;
  // The same order as in to_expr.
  SmallVector<Item, 8> items;
  for (const LinearTerm& term : form.terms)
    if (term.coefficient > 0)
      items.push_back({&term.expr, term.coefficient, false});
  bool constant_done = form.constant == 0;
  if (items.empty() && form.constant > 0) {
    items.push_back({nullptr, form.constant, false});
    constant_done = true;
  }
  for (const LinearTerm& term : form.terms)
    if (term.coefficient < 0)
      items.push_back({&term.expr, items.empty() ? term.coefficient : -term.coefficient, true});
  if (items.empty())
    return is_int(expr, form.constant);
  if (!constant_done)
    items.push_back(
        {nullptr, form.constant > 0 ? form.constant : -form.constant, form.constant < 0});
  const Expr* rest = &expr;
  for (size_t i = items.size(); i-- > 1;) {
    const Expr* right = nullptr;
    if (const auto* sum = rest->as<Add>(); sum != nullptr && !items[i].subtracted) {
      right = &sum->b;
      rest = &sum->a;
    } else if (const auto* difference = rest->as<Sub>();
               difference != nullptr && items[i].subtracted) {
      right = &difference->b;
      rest = &difference->a;
    }
    if (right == nullptr || !matches(items[i], *right))
      return false;
  }
  return matches(items[0], *rest);
}

IntInterval bounds_of(const LinearForm& form, const VarBounds& vars) {
  if (form.overflow)
    return IntInterval::everything();
  IntInterval sum = IntInterval::point(form.constant);
  for (const LinearTerm& term : form.terms)
    sum = sum + scale(bounds_of(term.expr, vars), term.coefficient);
  return sum;
}

} // namespace temper::ir
