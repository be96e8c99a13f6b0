// Comparisons and conditions. A comparison of index expressions is brought into the form
// "difference >= 0" (or "== 0"), decided by bounds and known conditions, freed of common factors
// and written back with positive terms on both sides:
//   i * 16 + j < 128    ->   i < 8                when 0 <= j < 16
//   x + 1 > y           ->   y <= x
// In `a and b`, b is simplified knowing a (it is only evaluated then); in `a or b`, knowing not a.
#include "ir/arith/rules.h"
#include "ir/arith/simplify.h"

#include <numeric>

namespace temper::ir {
namespace {

LinearForm negated(const LinearForm& form) {
  LinearForm result;
  result.dtype = form.dtype;
  result.add(form, -1);
  return result;
}

/// The terms of one sign as a sum with positive coefficients, plus a constant.
Expr side(const LinearForm& form, bool positive, int64_t constant) {
  LinearForm half;
  half.dtype = form.dtype;
  for (const LinearTerm& term : form.terms)
    if ((term.coefficient > 0) == positive)
      half.terms.push_back({term.expr, positive ? term.coefficient : -term.coefficient});
  half.constant = constant;
  return to_expr(half);
}

/// difference >= 0 as a comparison.
Expr write_order(const LinearForm& form) {
  bool any_positive = false;
  bool any_negative = false;
  for (const LinearTerm& term : form.terms)
    (term.coefficient > 0 ? any_positive : any_negative) = true;
  const int64_t k = form.constant;
  if (!any_negative)
    return make_binary<LE>(make_int(form.dtype, -k), side(form, true, 0));
  if (!any_positive)
    return make_binary<LT>(side(form, false, 0), make_int(form.dtype, k + 1));
  if (k == 0)
    return make_binary<LE>(side(form, false, 0), side(form, true, 0));
  if (k == -1)
    return make_binary<LT>(side(form, false, 0), side(form, true, 0));
  if (k > 0)
    return make_binary<LT>(side(form, false, 0), side(form, true, k + 1));
  return make_binary<LT>(side(form, false, -k - 1), side(form, true, 0));
}

/// difference == 0 (or != 0), the first term on the left.
Expr write_equality(const LinearForm& form, bool is_equal) {
  const LinearForm positive = form.terms[0].coefficient < 0 ? negated(form) : form;
  bool any_negative = false;
  for (const LinearTerm& term : positive.terms)
    any_negative |= term.coefficient < 0;
  const int64_t k = positive.constant;
  const Expr left = side(positive, true, any_negative && k > 0 ? k : 0);
  const Expr right = side(positive, false, any_negative && k > 0 ? 0 : -k);
  return is_equal ? make_binary<EQ>(left, right) : make_binary<NE>(left, right);
}

/// The comparison that holds exactly when this one does not; null when it is none.
Expr opposite(const Expr& expr) {
  switch (static_cast<ExprKind>(expr->kind())) {
  case ExprKind::kEQ:
    return make_binary<NE>(static_cast<const EQ&>(*expr).a, static_cast<const EQ&>(*expr).b);
  case ExprKind::kNE:
    return make_binary<EQ>(static_cast<const NE&>(*expr).a, static_cast<const NE&>(*expr).b);
  default:
    break;
  }
  // With NaN neither a < b nor a >= b holds.
  return rules::with_binary(
      expr,
      [&]<typename T>(const T& e) -> Expr {
        if (e.a->dtype.is_floating())
          return nullptr;
        if constexpr (std::is_same_v<T, LT>)
          return make_binary<LE>(e.b, e.a);
        else if constexpr (std::is_same_v<T, LE>)
          return make_binary<LT>(e.b, e.a);
        else if constexpr (std::is_same_v<T, GT>)
          return make_binary<LE>(e.a, e.b);
        else if constexpr (std::is_same_v<T, GE>)
          return make_binary<LT>(e.a, e.b);
        else
          return nullptr;
      },
      [&]() -> Expr { return nullptr; });
}

template <typename T> bool compare_values(const T&, double a, double b) {
  if constexpr (std::is_same_v<T, EQ>)
    return a == b;
  else if constexpr (std::is_same_v<T, NE>)
    return a != b;
  else if constexpr (std::is_same_v<T, LT>)
    return a < b;
  else if constexpr (std::is_same_v<T, LE>)
    return a <= b;
  else if constexpr (std::is_same_v<T, GT>)
    return a > b;
  else
    return a >= b;
}

template <typename T>
constexpr bool kIsComparison =
    std::is_same_v<T, EQ> || std::is_same_v<T, NE> || std::is_same_v<T, LT> ||
    std::is_same_v<T, LE> || std::is_same_v<T, GT> || std::is_same_v<T, GE>;

} // namespace

Expr Analyzer::compare(const Expr& expr, LinearForm difference, bool is_order) {
  const auto finish = [&](Expr result) { return same_expr(result, expr) ? expr : result; };
  if (is_order) {
    if (is_non_negative(difference))
      return make_bool(true);
    LinearForm below = negated(difference);
    below.add_constant(-1);
    if (is_non_negative(below))
      return make_bool(false);
    // g * x + y >= 0 with y in one block of g: x + block >= 0.
    while (true) {
      Partition parts = partition(difference, 0);
      if (parts.factor == 0)
        break;
      difference = std::move(parts.high);
    }
    return finish(write_order(difference));
  }
  const bool is_equal = expr.is<EQ>();
  if (difference.is_constant())
    return make_bool((difference.constant == 0) == is_equal);
  LinearForm above = difference;
  above.add_constant(-1);
  LinearForm below = negated(difference);
  below.add_constant(-1);
  if (is_non_negative(above) || is_non_negative(below))
    return make_bool(!is_equal);
  int64_t common = 0;
  for (const LinearTerm& term : difference.terms)
    common = std::gcd(common, term.coefficient);
  if (difference.constant % common != 0)
    return make_bool(!is_equal);
  for (LinearTerm& term : difference.terms)
    term.coefficient /= common;
  difference.constant /= common;
  if (is_non_negative(difference) && is_non_negative(negated(difference)))
    return make_bool(is_equal);
  return finish(write_equality(difference, is_equal));
}

Expr Analyzer::step_bool(const Expr& expr) {
  const auto order = [&](const Expr& low, const Expr& high, int64_t strict) -> Expr {
    LinearForm difference = linear(high);
    accumulate(difference, low, -1);
    difference.add_constant(-strict);
    if (difference.overflow)
      return expr;
    return compare(expr, std::move(difference), true);
  };
  switch (static_cast<ExprKind>(expr->kind())) {
  case ExprKind::kAnd: {
    const auto& e = static_cast<const And&>(*expr);
    const Expr a = step(e.a);
    if (const auto known = as_int(a))
      return *known != 0 ? step(e.b) : a;
    Expr b;
    {
      Scope scope(*this);
      assume(a);
      b = step(e.b);
    }
    if (is_int(b, 0))
      return b;
    if (is_int(b, 1) || same_expr(a, b))
      return a;
    return a == e.a && b == e.b ? expr : make_binary<And>(a, b);
  }
  case ExprKind::kOr: {
    const auto& e = static_cast<const Or&>(*expr);
    const Expr a = step(e.a);
    if (const auto known = as_int(a))
      return *known != 0 ? a : step(e.b);
    Expr b;
    {
      Scope scope(*this);
      assume(make_not(a));
      b = step(e.b);
    }
    if (is_int(b, 1))
      return b;
    if (is_int(b, 0) || same_expr(a, b))
      return a;
    return a == e.a && b == e.b ? expr : make_binary<Or>(a, b);
  }
  case ExprKind::kNot: {
    const auto& e = static_cast<const Not&>(*expr);
    const Expr a = step(e.a);
    if (const auto known = as_int(a))
      return make_bool(*known == 0);
    if (const auto* inner = a.as<Not>())
      return inner->a;
    if (Expr other = opposite(a))
      return step(other);
    return a == e.a ? expr : make_not(a);
  }
  case ExprKind::kLT:
    if (const auto& e = static_cast<const LT&>(*expr); is_index_type(e.a->dtype))
      return order(e.a, e.b, 1);
    break;
  case ExprKind::kLE:
    if (const auto& e = static_cast<const LE&>(*expr); is_index_type(e.a->dtype))
      return order(e.a, e.b, 0);
    break;
  case ExprKind::kGT:
    if (const auto& e = static_cast<const GT&>(*expr); is_index_type(e.a->dtype))
      return order(e.b, e.a, 1);
    break;
  case ExprKind::kGE:
    if (const auto& e = static_cast<const GE&>(*expr); is_index_type(e.a->dtype))
      return order(e.b, e.a, 0);
    break;
  case ExprKind::kEQ:
  case ExprKind::kNE: {
    const Expr& a =
        expr.is<EQ>() ? static_cast<const EQ&>(*expr).a : static_cast<const NE&>(*expr).a;
    const Expr& b =
        expr.is<EQ>() ? static_cast<const EQ&>(*expr).b : static_cast<const NE&>(*expr).b;
    if (!is_index_type(a->dtype))
      break;
    LinearForm difference = linear(a);
    accumulate(difference, b, -1);
    if (difference.overflow)
      return expr;
    return compare(expr, std::move(difference), false);
  }
  default:
    break;
  }
  // Comparisons of other types: constants, equal operands, and bounds of integers.
  return rules::with_binary(
      expr,
      [&]<typename T>(const T& e) -> Expr {
        if constexpr (!kIsComparison<T>) {
          return step_common(expr);
        } else {
          const Expr a = step(e.a);
          const Expr b = step(e.b);
          const DataType dtype = a->dtype;
          if (dtype.is_floating()) {
            const auto* x = a.template as<FloatImm>();
            const auto* y = b.template as<FloatImm>();
            if (x != nullptr && y != nullptr)
              return make_bool(compare_values(e, x->value, y->value));
          } else if ((dtype.is_integral() || dtype.is_bool()) &&
                     !(dtype.is_uint() && dtype.bits == 64)) {
            const IntInterval x = bounds_of(a, vars_);
            const IntInterval y = bounds_of(b, vars_);
            const bool same = same_expr(a, b);
            const bool is_less = x.high < y.low;
            const bool is_more = y.high < x.low;
            if constexpr (std::is_same_v<T, EQ> || std::is_same_v<T, NE>) {
              constexpr bool kEqual = std::is_same_v<T, EQ>;
              if (same || (x.is_point() && x == y))
                return make_bool(kEqual);
              if (is_less || is_more)
                return make_bool(!kEqual);
            } else if constexpr (std::is_same_v<T, LT> || std::is_same_v<T, GT>) {
              constexpr bool kLess = std::is_same_v<T, LT>;
              if (same || (kLess ? x.low >= y.high : x.high <= y.low))
                return make_bool(false);
              if (kLess ? is_less : is_more)
                return make_bool(true);
            } else {
              constexpr bool kLess = std::is_same_v<T, LE>;
              if (same || (kLess ? x.high <= y.low : x.low >= y.high))
                return make_bool(true);
              if (kLess ? is_more : is_less)
                return make_bool(false);
            }
          }
          return a == e.a && b == e.b ? expr : make_binary<T>(a, b);
        }
      },
      [&]() -> Expr { return step_common(expr); });
}

void Analyzer::assume(const Expr& condition) {
  const auto add = [&](const Expr& low, const Expr& high, int64_t strict) {
    if (!is_index_type(low->dtype))
      return;
    LinearForm fact = linear(high);
    accumulate(fact, low, -1);
    fact.add_constant(-strict);
    if (fact.overflow || fact.is_constant())
      return;
    // c * x + k >= 0 narrows x itself.
    if (fact.terms.size() == 1 && fact.terms[0].expr.is<VarNode>()) {
      const Var var = fact.terms[0].expr.as_ref<VarNode>();
      const int64_t c = fact.terms[0].coefficient;
      const IntInterval* known = vars_.find(var.get());
      IntInterval narrowed = known != nullptr ? *known : IntInterval::everything();
      if (c > 0)
        narrowed = meet(narrowed, {-floor_div(fact.constant, c), IntInterval::kHighest});
      else
        narrowed = meet(narrowed, {IntInterval::kLowest, floor_div(fact.constant, -c)});
      vars_.bind(var, narrowed);
      return;
    }
    facts_.push_back(std::move(fact));
  };
  const auto add_binary = [&](const Expr& comparison) {
    rules::with_binary(
        comparison,
        [&]<typename T>(const T& e) {
          if constexpr (std::is_same_v<T, LT>)
            add(e.a, e.b, 1);
          else if constexpr (std::is_same_v<T, LE>)
            add(e.a, e.b, 0);
          else if constexpr (std::is_same_v<T, GT>)
            add(e.b, e.a, 1);
          else if constexpr (std::is_same_v<T, GE>)
            add(e.b, e.a, 0);
          else if constexpr (std::is_same_v<T, EQ>) {
            add(e.a, e.b, 0);
            add(e.b, e.a, 0);
          } else if constexpr (std::is_same_v<T, And>) {
            assume(e.a);
            assume(e.b);
          }
        },
        [] {});
  };
  if (!condition->dtype.is_scalar())
    return;
  if (const auto* inverted = condition.as<Not>()) {
    if (const auto* either = inverted->a.as<Or>()) {
      assume(make_not(either->a));
      assume(make_not(either->b));
    } else if (const auto* twice = inverted->a.as<Not>()) {
      assume(twice->a);
    } else if (Expr other = opposite(inverted->a)) {
      add_binary(other);
    }
    return;
  }
  if (const auto* call = condition.as<Call>(); call != nullptr && call->op == "likely") {
    assume(call->args[0]);
    return;
  }
  add_binary(condition);
}

} // namespace temper::ir
