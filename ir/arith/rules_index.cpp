// Index arithmetic (int32 and int64 scalars): everything goes through linear forms.
//
// With q = floor division and r = remainder, for constants c > 0:
//   (c*x + y) // c              ->  x + y // c
//   (g*x + y) // (g*c)          ->  x // c                     when 0 <= y < g
//   (g*x + y) % (g*c)           ->  (x % c) * g + y            when 0 <= y < g
//   y // c, y % c               ->  m, y - m*c                 when m*c <= y < (m+1)*c
//   (x // l + k) // c           ->  (x + k*l) // (l*c)
//   (x // l + k) % c            ->  ((x + k*l) % (l*c)) // l
//   (a*(x % u) + y) % c         ->  (a*x + y) % c              when c divides a*u
// and, for pieces (x % u) // l of one x, in sums:
//   (x % u) // l * (l/k) + (x % l) // k   ->  (x % u) // k     split and fused again
//   (x % u) // k - (x % u) // l * (l/k)   ->  (x % l) // k
//   (x % u) // k - (x % l) // k           ->  (x % u) // l * (l/k)
#include "ir/arith/rules.h"
#include "ir/arith/simplify.h"
#include "ir/walk.h"

#include <numeric>

namespace temper::ir {
namespace {

/// (base % upper) // lower; upper 0 = none.
struct Split {
  const Expr* base;
  int64_t lower = 1;
  int64_t upper = 0;
};

Split split_of(const Expr& expr) {
  Split split{&expr, 1, 0};
  if (const auto* div = split.base->as<FloorDiv>()) {
    const auto c = as_int(div->b);
    if (!c || *c <= 0)
      return split;
    split.lower = *c;
    split.base = &div->a;
  }
  if (const auto* mod = split.base->as<FloorMod>()) {
    const auto c = as_int(mod->b);
    if (!c || *c <= 0)
      return split;
    split.upper = *c;
    split.base = &mod->a;
  }
  return split;
}

bool divides(int64_t a, int64_t b) { return b % a == 0; }

/// `upper` 0 is divided by everything.
bool nests(int64_t lower, int64_t upper) { return upper == 0 || divides(lower, upper); }

} // namespace

LinearForm Analyzer::linear(const Expr& expr) {
  LinearForm form;
  form.dtype = expr->dtype;
  accumulate(form, expr, 1);
  return form;
}

Expr Analyzer::step_index(const Expr& expr) {
  switch (static_cast<ExprKind>(expr->kind())) {
  case ExprKind::kAdd:
  case ExprKind::kSub:
  case ExprKind::kMul:
  case ExprKind::kDiv:
  case ExprKind::kMod:
  case ExprKind::kFloorDiv:
  case ExprKind::kFloorMod:
  case ExprKind::kMin:
  case ExprKind::kMax: {
    const LinearForm form = linear(expr);
    return form.overflow || is_written_as(form, expr) ? expr : to_expr(form);
  }
  default: {
    Expr result = step_common(expr);
    return result != expr && same_expr(result, expr) ? expr : result;
  }
  }
}

void Analyzer::accumulate(LinearForm& form, const Expr& expr, int64_t factor) {
  const auto divide_or_mod = [&](const Expr& a, const Expr& b, bool is_div, bool truncates,
                                 auto rebuild) {
    LinearForm numerator = linear(a);
    LinearForm denominator = linear(b);
    if (numerator.overflow || denominator.overflow) {
      form.add_term(expr, factor);
      return;
    }
    const bool constant = denominator.is_constant();
    const int64_t c = denominator.constant;
    // Above zero truncation is flooring.
    const bool floors = !truncates || (constant && c > 0 && is_non_negative(numerator)) ||
                        (constant && numerator.is_constant() && numerator.constant >= 0 && c > 0);
    if (constant && c > 0 && floors) {
      if (is_div)
        divide(form, std::move(numerator), c, factor);
      else
        modulo(form, std::move(numerator), c, factor);
      return;
    }
    // Negative divisors: constants only.
    if (constant && c < -1 && numerator.is_constant()) {
      const int64_t n = numerator.constant;
      form.add_constant(truncates ? (is_div ? n / c : n % c)
                                  : (is_div ? floor_div(n, c) : floor_mod(n, c)),
                        factor);
      return;
    }
    if (constant && truncates && c > 0 && numerator.is_constant()) {
      form.add_constant(is_div ? numerator.constant / c : numerator.constant % c, factor);
      return;
    }
    const Expr x = to_expr(numerator);
    const Expr y = to_expr(denominator);
    form.add_term(same_expr(x, a) && same_expr(y, b) ? expr : rebuild(x, y), factor);
  };

  switch (static_cast<ExprKind>(expr->kind())) {
  case ExprKind::kIntImm:
    form.add_constant(static_cast<const IntImm&>(*expr).value, factor);
    return;
  case ExprKind::kVarNode:
    add_split_aware(form, expr, factor);
    return;
  case ExprKind::kAdd:
    accumulate(form, static_cast<const Add&>(*expr).a, factor);
    accumulate(form, static_cast<const Add&>(*expr).b, factor);
    return;
  case ExprKind::kSub:
    accumulate(form, static_cast<const Sub&>(*expr).a, factor);
    if (factor == IntInterval::kLowest)
      form.overflow = true;
    else
      accumulate(form, static_cast<const Sub&>(*expr).b, -factor);
    return;
  case ExprKind::kMul: {
    const auto& product = static_cast<const Mul&>(*expr);
    int64_t scaled = 0;
    const auto x = as_int(product.a);
    const auto y = as_int(product.b);
    if (x || y) {
      form.overflow |= __builtin_mul_overflow(factor, y ? *y : *x, &scaled);
      if (scaled != 0)
        accumulate(form, y ? product.a : product.b, scaled);
      return;
    }
    LinearForm a = linear(product.a);
    LinearForm b = linear(product.b);
    if (a.overflow || b.overflow) {
      form.add_term(expr, factor);
      return;
    }
    if (a.is_constant() || b.is_constant()) {
      const LinearForm& sum = b.is_constant() ? a : b;
      form.overflow |=
          __builtin_mul_overflow(factor, b.is_constant() ? b.constant : a.constant, &scaled);
      for (const LinearTerm& term : sum.terms) {
        int64_t coefficient = 0;
        form.overflow |= __builtin_mul_overflow(term.coefficient, scaled, &coefficient);
        add_split_aware(form, term.expr, coefficient);
      }
      form.add_constant(sum.constant, scaled);
      return;
    }
    const Expr u = to_expr(a);
    const Expr v = to_expr(b);
    form.add_term(
        same_expr(u, product.a) && same_expr(v, product.b) ? expr : make_binary<Mul>(u, v), factor);
    return;
  }
  case ExprKind::kFloorDiv: {
    const auto& e = static_cast<const FloorDiv&>(*expr);
    divide_or_mod(e.a, e.b, true, false,
                  [](const Expr& a, const Expr& b) { return make_binary<FloorDiv>(a, b); });
    return;
  }
  case ExprKind::kFloorMod: {
    const auto& e = static_cast<const FloorMod&>(*expr);
    divide_or_mod(e.a, e.b, false, false,
                  [](const Expr& a, const Expr& b) { return make_binary<FloorMod>(a, b); });
    return;
  }
  case ExprKind::kDiv: {
    const auto& e = static_cast<const Div&>(*expr);
    divide_or_mod(e.a, e.b, true, true,
                  [](const Expr& a, const Expr& b) { return make_binary<Div>(a, b); });
    return;
  }
  case ExprKind::kMod: {
    const auto& e = static_cast<const Mod&>(*expr);
    divide_or_mod(e.a, e.b, false, true,
                  [](const Expr& a, const Expr& b) { return make_binary<Mod>(a, b); });
    return;
  }
  case ExprKind::kMin:
  case ExprKind::kMax: {
    const bool is_min = expr.is<Min>();
    const Expr& left = is_min ? static_cast<const Min&>(*expr).a : static_cast<const Max&>(*expr).a;
    const Expr& right =
        is_min ? static_cast<const Min&>(*expr).b : static_cast<const Max&>(*expr).b;
    LinearForm a = linear(left);
    LinearForm b = linear(right);
    if (a.overflow || b.overflow) {
      form.add_term(expr, factor);
      return;
    }
    LinearForm difference = b;
    difference.add(a, -1);
    const bool b_is_more = is_non_negative(difference);
    LinearForm opposite = a;
    opposite.add(b, -1);
    if (b_is_more || is_non_negative(opposite)) {
      const LinearForm& taken = b_is_more == is_min ? a : b;
      for (const LinearTerm& term : taken.terms) {
        int64_t coefficient = 0;
        form.overflow |= __builtin_mul_overflow(term.coefficient, factor, &coefficient);
        add_split_aware(form, term.expr, coefficient);
      }
      form.add_constant(taken.constant, factor);
      return;
    }
    if (a.is_constant())
      std::swap(a, b);
    const auto build = [&](const Expr& x, const Expr& y) {
      return is_min ? make_binary<Min>(x, y) : make_binary<Max>(x, y);
    };
    Expr x = to_expr(a);
    Expr y = to_expr(b);
    // min(min(x, 5), 3) -> min(x, 3).
    if (b.is_constant() && x->kind() == expr->kind()) {
      const Expr& inner_left =
          is_min ? static_cast<const Min&>(*x).a : static_cast<const Max&>(*x).a;
      const Expr& inner_right =
          is_min ? static_cast<const Min&>(*x).b : static_cast<const Max&>(*x).b;
      if (const auto c = as_int(inner_right)) {
        y = make_int(form.dtype, is_min ? std::min(*c, b.constant) : std::max(*c, b.constant));
        x = inner_left;
      }
    }
    form.add_term(same_expr(x, left) && same_expr(y, right) ? expr : build(x, y), factor);
    return;
  }
  default:
    accumulate_canonical(form, step_common(expr), factor);
    return;
  }
}

void Analyzer::accumulate_canonical(LinearForm& form, const Expr& expr, int64_t factor) {
  const LinearForm opened = linear_form(expr);
  form.overflow |= opened.overflow;
  for (const LinearTerm& term : opened.terms) {
    int64_t coefficient = 0;
    form.overflow |= __builtin_mul_overflow(term.coefficient, factor, &coefficient);
    add_split_aware(form, term.expr, coefficient);
  }
  form.add_constant(opened.constant, factor);
}

void Analyzer::add_split_aware(LinearForm& form, const Expr& term, int64_t coefficient) {
  if (coefficient == 0)
    return;
  if (form.terms.empty() || !merge_split(form, term, coefficient))
    form.add_term(term, coefficient);
}

bool Analyzer::merge_split(LinearForm& form, const Expr& term, int64_t coefficient) {
  const Split mine = split_of(term);
  const bool is_piece = mine.lower != 1 || mine.upper != 0;
  for (size_t i = 0; i < form.terms.size(); ++i) {
    const Split other = split_of(form.terms[i].expr);
    if (!is_piece && other.lower == 1 && other.upper == 0)
      continue;
    if (!same_expr(*mine.base, *other.base))
      continue;
    if (mine.lower == other.lower && mine.upper == other.upper)
      return false; // The same piece: coefficients add up.
    // Tries the rules at the head of this file with (x: a) and (y: b) in either order.
    int64_t lower = 0;
    int64_t upper = 0;
    int64_t factor = 0;
    const auto match = [&](const Split& x, int64_t a, const Split& y, int64_t b) {
      int64_t left = 0;
      int64_t right = 0;
      // y = (_ % l) // k below x = (_ % u) // l.
      if (y.upper == x.lower && x.lower > y.lower && divides(y.lower, x.lower) &&
          nests(x.lower, x.upper) && !__builtin_mul_overflow(a, y.lower, &left) &&
          !__builtin_mul_overflow(b, x.lower, &right) && left == right) {
        lower = y.lower;
        upper = x.upper;
        factor = b;
        return true;
      }
      // y = (_ % u) // k minus x = (_ % u) // l.
      if (y.upper == x.upper && x.lower > y.lower && divides(y.lower, x.lower) &&
          nests(x.lower, x.upper) && !__builtin_mul_overflow(a, y.lower, &left) &&
          !__builtin_mul_overflow(-b, x.lower, &right) && left == right) {
        lower = y.lower;
        upper = x.lower;
        factor = b;
        return true;
      }
      // y = (_ % u) // k minus x = (_ % l) // k.
      if (x.upper != 0 && x.lower == y.lower && x.upper != y.upper && a == -b &&
          nests(x.upper, y.upper) && x.upper > x.lower && divides(x.lower, x.upper)) {
        lower = x.upper;
        upper = y.upper;
        return !__builtin_mul_overflow(b, x.upper / x.lower, &factor);
      }
      return false;
    };
    const int64_t its = form.terms[i].coefficient;
    if (coefficient == IntInterval::kLowest || its == IntInterval::kLowest ||
        (!match(mine, coefficient, other, its) && !match(other, its, mine, coefficient)))
      continue;
    LinearForm base = linear_form(*mine.base);
    form.terms.erase(i);
    if (upper != 0) {
      LinearForm rest;
      rest.dtype = base.dtype;
      modulo(rest, std::move(base), upper, 1);
      base = std::move(rest);
    }
    divide(form, std::move(base), lower, factor);
    return true;
  }
  return false;
}

Analyzer::Partition Analyzer::partition(const LinearForm& form, int64_t divisor) const {
  Partition result;
  SmallVector<IntInterval, 6> intervals;
  SmallVector<int64_t, 6> candidates;
  int64_t common = divisor;
  const auto add_candidate = [&](int64_t g) {
    if (g <= 1 || (divisor != 0 && g >= divisor))
      return;
    size_t place = 0;
    while (place < candidates.size() && candidates[place] > g)
      ++place;
    if (place < candidates.size() && candidates[place] == g)
      return;
    candidates.push_back(g);
    for (size_t i = candidates.size() - 1; i > place; --i)
      std::swap(candidates[i], candidates[i - 1]);
  };
  for (const LinearTerm& term : form.terms) {
    if (term.coefficient == IntInterval::kLowest)
      return result;
    intervals.push_back(bounds_of(term.expr, vars_));
    common = std::gcd(common, term.coefficient);
    add_candidate(std::gcd(term.coefficient, divisor));
  }
  add_candidate(common);
  for (const int64_t g : candidates) {
    IntInterval low = IntInterval::point(form.constant);
    for (size_t i = 0; i < form.terms.size(); ++i)
      if (!divides(g, form.terms[i].coefficient))
        low = low + scale(intervals[i], form.terms[i].coefficient);
    if (!low.is_bounded() || floor_div(low.low, g) != floor_div(low.high, g))
      continue;
    const int64_t block = floor_div(low.low, g);
    result.factor = g;
    result.high.dtype = result.low.dtype = form.dtype;
    for (const LinearTerm& term : form.terms) {
      if (divides(g, term.coefficient))
        result.high.terms.push_back({term.expr, term.coefficient / g});
      else
        result.low.terms.push_back(term);
    }
    result.high.constant = block;
    result.low.constant = form.constant - block * g;
    return result;
  }
  return result;
}

namespace {

/// Whether `form` has a term that comes from memory: it may be any number of its type, so that what
/// is added to it for a rule's sake may leave the type. Loops and dimensions end far from there.
bool comes_from_memory(const LinearForm& form) {
  return std::any_of(form.terms.begin(), form.terms.end(), [](const LinearTerm& term) {
    bool found = false;
    walk(term.expr, [&](const NodeRef& node) {
      found |= node.is<BufferLoad>();
      return !found;
    });
    return found;
  });
}

} // namespace

void Analyzer::divide(LinearForm& out, LinearForm form, int64_t divisor, int64_t factor) {
  if (form.overflow) {
    out.overflow = true;
    return;
  }
  const auto add_out = [&](const Expr& term, int64_t coefficient) {
    int64_t product = 0;
    out.overflow |= __builtin_mul_overflow(coefficient, factor, &product);
    add_split_aware(out, term, product);
  };
  LinearForm rest;
  rest.dtype = form.dtype;
  for (LinearTerm& term : form.terms) {
    if (divides(divisor, term.coefficient))
      add_out(term.expr, term.coefficient / divisor);
    else
      rest.terms.push_back(std::move(term));
  }
  const int64_t quotient = floor_div(form.constant, divisor);
  if (quotient < 0 && comes_from_memory(rest)) {
    rest.constant = form.constant;
    add_out(make_binary<FloorDiv>(to_expr(rest), make_int(form.dtype, divisor)), 1);
    return;
  }
  out.add_constant(quotient, factor);
  rest.constant = form.constant - quotient * divisor;
  if (rest.is_constant())
    return;
  const IntInterval interval = bounds_of(rest, vars_);
  if (interval.is_bounded() &&
      floor_div(interval.low, divisor) == floor_div(interval.high, divisor)) {
    out.add_constant(floor_div(interval.low, divisor), factor);
    return;
  }
  if (Partition parts = partition(rest, divisor); parts.factor != 0) {
    divide(out, std::move(parts.high), divisor / parts.factor, factor);
    return;
  }
  if (rest.terms.size() == 1 && rest.terms[0].coefficient == 1) {
    const Split split = split_of(rest.terms[0].expr);
    int64_t product = 0;
    if (split.lower != 1 && !__builtin_mul_overflow(split.lower, divisor, &product)) {
      LinearForm inner = linear_form(static_cast<const FloorDiv&>(*rest.terms[0].expr).a);
      inner.add_constant(rest.constant, split.lower);
      divide(out, std::move(inner), product, factor);
      return;
    }
  }
  const Expr numerator = to_expr(rest);
  add_out(make_binary<FloorDiv>(numerator, make_int(form.dtype, divisor)), 1);
}

void Analyzer::modulo(LinearForm& out, LinearForm form, int64_t divisor, int64_t factor) {
  if (form.overflow) {
    out.overflow = true;
    return;
  }
  const auto add_out = [&](const LinearForm& other, int64_t scale) {
    for (const LinearTerm& term : other.terms) {
      int64_t product = 0;
      out.overflow |= __builtin_mul_overflow(term.coefficient, scale, &product);
      add_split_aware(out, term.expr, product);
    }
    out.add_constant(other.constant, scale);
  };
  LinearForm rest;
  rest.dtype = form.dtype;
  for (LinearTerm& term : form.terms)
    if (!divides(divisor, term.coefficient))
      rest.terms.push_back(std::move(term));
  rest.constant = floor_mod(form.constant, divisor);
  if (rest.is_constant()) {
    out.add_constant(rest.constant, factor);
    return;
  }
  if (rest.constant > form.constant && comes_from_memory(rest)) {
    rest.constant = form.constant;
    LinearForm whole;
    whole.dtype = form.dtype;
    whole.terms.push_back({make_binary<FloorMod>(to_expr(rest), make_int(form.dtype, divisor)), 1});
    add_out(whole, factor);
    return;
  }
  const auto within_block = [&](LinearForm& candidate) {
    const IntInterval interval = bounds_of(candidate, vars_);
    if (!interval.is_bounded() ||
        floor_div(interval.low, divisor) != floor_div(interval.high, divisor))
      return false;
    candidate.add_constant(-floor_div(interval.low, divisor), divisor);
    add_out(candidate, factor);
    return true;
  };
  if (within_block(rest))
    return;
  // The same remainder with coefficients in [0, divisor): worth it only when it ends here.
  LinearForm reduced = rest;
  bool is_reduced = false;
  for (LinearTerm& term : reduced.terms) {
    const int64_t coefficient = floor_mod(term.coefficient, divisor);
    is_reduced |= coefficient != term.coefficient;
    term.coefficient = coefficient;
  }
  if (is_reduced && within_block(reduced))
    return;
  // (a * (x % u) + y) % c.
  for (const LinearTerm& term : rest.terms) {
    const Split split = split_of(term.expr);
    int64_t period = 0;
    if (split.upper == 0 || split.lower != 1 ||
        __builtin_mul_overflow(term.coefficient, split.upper, &period) || !divides(divisor, period))
      continue;
    LinearForm wider;
    wider.dtype = rest.dtype;
    for (const LinearTerm& other : rest.terms)
      if (&other == &term)
        accumulate_canonical(wider, *split.base, term.coefficient);
      else
        add_split_aware(wider, other.expr, other.coefficient);
    wider.add_constant(rest.constant);
    modulo(out, std::move(wider), divisor, factor);
    return;
  }
  if (Partition parts = partition(rest, divisor); parts.factor != 0) {
    int64_t product = 0;
    out.overflow |= __builtin_mul_overflow(factor, parts.factor, &product);
    modulo(out, std::move(parts.high), divisor / parts.factor, product);
    add_out(parts.low, factor);
    return;
  }
  if (rest.terms.size() == 1 && rest.terms[0].coefficient == 1) {
    const Split split = split_of(rest.terms[0].expr);
    int64_t product = 0;
    if (split.lower != 1 && !__builtin_mul_overflow(split.lower, divisor, &product)) {
      LinearForm inner = linear_form(static_cast<const FloorDiv&>(*rest.terms[0].expr).a);
      inner.add_constant(rest.constant, split.lower);
      LinearForm remainder;
      remainder.dtype = rest.dtype;
      modulo(remainder, std::move(inner), product, 1);
      divide(out, std::move(remainder), split.lower, factor);
      return;
    }
  }
  const Expr numerator = to_expr(rest);
  add_split_aware(out, make_binary<FloorMod>(numerator, make_int(form.dtype, divisor)), factor);
}

namespace {

/// Operands of a minimum or maximum.
struct MinMax {
  const Expr* a = nullptr;
  const Expr* b = nullptr;
  bool is_min = false;
  explicit operator bool() const { return a != nullptr; }
};

MinMax min_max_of(const Expr& expr) {
  if (const auto* e = expr.as<Min>())
    return {&e->a, &e->b, true};
  if (const auto* e = expr.as<Max>())
    return {&e->a, &e->b, false};
  return {};
}

LinearForm without(const LinearForm& form, size_t i) {
  LinearForm rest = form;
  rest.terms.erase(i);
  return rest;
}

LinearForm difference_of(const Expr& a, const Expr& b) {
  LinearForm difference = linear_form(a);
  difference.add(linear_form(b), -1);
  return difference;
}

} // namespace

IntInterval Analyzer::bounds(const LinearForm& form) const { return bounds_within(form, 3); }

IntInterval Analyzer::bounds_within(const LinearForm& form, int depth) const {
  IntInterval best = bounds_of(form, vars_);
  if (form.overflow || form.terms.size() < 2 || depth == 0)
    return best;
  for (size_t i = 0; i < form.terms.size(); ++i) {
    const Expr& term = form.terms[i].expr;
    const int64_t k = form.terms[i].coefficient;
    if (const MinMax mine = min_max_of(term)) {
      // min(a, b) is at most either, max at least.
      for (const Expr* operand : {mine.a, mine.b}) {
        LinearForm other = without(form, i);
        other.add(linear_form(*operand), k);
        const IntInterval interval = bounds_within(other, depth - 1);
        if (mine.is_min == (k > 0))
          best.high = std::max(best.low, std::min(best.high, interval.high));
        else
          best.low = std::min(best.high, std::max(best.low, interval.low));
      }
      // min(a, b) - min(c, d) lies between a - c and b - d.
      for (size_t j = i + 1; j < form.terms.size(); ++j) {
        const MinMax other = min_max_of(form.terms[j].expr);
        if (!other || other.is_min != mine.is_min || form.terms[j].coefficient != -k)
          continue;
        const LinearForm rest = without(without(form, j), i);
        for (const bool crossed : {false, true}) {
          const IntInterval between =
              hull(bounds_within(difference_of(*mine.a, crossed ? *other.b : *other.a), depth - 1),
                   bounds_within(difference_of(*mine.b, crossed ? *other.a : *other.b), depth - 1));
          best = meet(best, bounds_of(rest, vars_) + scale(between, k));
        }
      }
      continue;
    }
    const auto* div = term.as<FloorDiv>();
    const auto c = div != nullptr ? as_int(div->b) : std::nullopt;
    if (!c || *c <= 0)
      continue;
    // k * (x // c) = k/c * (x - x % c): helps when x cancels with the other terms.
    if (divides(*c, k)) {
      LinearForm other = without(form, i);
      other.add(linear_form(div->a), k / *c);
      best = meet(best, bounds_of(other, vars_) - scale(IntInterval{0, *c - 1}, k / *c));
    }
    // k * (x // c) - k * (y // c) with x - y = d lies in k * [floor(d / c), ceil(d / c)].
    for (size_t j = i + 1; j < form.terms.size(); ++j) {
      const auto* other = form.terms[j].expr.as<FloorDiv>();
      if (other == nullptr || form.terms[j].coefficient != -k || !same_expr(div->b, other->b))
        continue;
      const IntInterval d = bounds_within(difference_of(div->a, other->a), depth - 1);
      if (!d.is_bounded())
        continue;
      const IntInterval quotient{floor_div(d.low, *c), -floor_div(-d.high, *c)};
      best = meet(best, bounds_of(without(without(form, j), i), vars_) + scale(quotient, k));
    }
  }
  return best;
}

bool Analyzer::is_non_negative(const LinearForm& form) const {
  if (form.overflow)
    return false;
  if (form.is_constant())
    return form.constant >= 0;
  if (bounds(form).low >= 0)
    return true;
  for (const LinearForm& fact : facts_) {
    bool related = false;
    for (const LinearTerm& term : fact.terms)
      related |= form.coefficient_of(term.expr) != 0;
    if (!related)
      continue;
    LinearForm rest = form;
    rest.add(fact, -1);
    if (!rest.overflow && bounds_of(rest, vars_).low >= 0)
      return true;
  }
  return false;
}

} // namespace temper::ir
