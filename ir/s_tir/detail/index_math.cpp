#include "ir/s_tir/detail/index_math.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace temper::s_tir {
namespace {

constexpr int64_t kInf = Bound::kPlusInfinity;

int64_t clamp(__int128 value) {
  if (value >= kInf)
    return kInf;
  if (value <= -kInf)
    return -kInf;
  return static_cast<int64_t>(value);
}
int64_t times(int64_t a, int64_t b) {
  if (a == 0 || b == 0)
    return 0;
  if (a >= kInf || a <= -kInf || b >= kInf || b <= -kInf)
    return (a > 0) == (b > 0) ? kInf : -kInf;
  return clamp(static_cast<__int128>(a) * b);
}
int64_t plus(int64_t a, int64_t b) {
  if (a >= kInf || b >= kInf)
    return kInf;
  if (a <= -kInf || b <= -kInf)
    return -kInf;
  return clamp(static_cast<__int128>(a) + b);
}
int64_t divide_end(int64_t a, int64_t divisor) {
  return a >= kInf || a <= -kInf ? a : floor_div(a, divisor);
}
Bound scale_bound(Bound bound, int64_t factor) {
  const int64_t lo = times(bound.lo, factor);
  const int64_t hi = times(bound.hi, factor);
  return factor >= 0 ? Bound{lo, hi} : Bound{hi, lo};
}
Bound add_bounds(Bound a, Bound b) {
  return {a.lo <= -kInf || b.lo <= -kInf ? -kInf : plus(a.lo, b.lo),
          a.hi >= kInf || b.hi >= kInf ? kInf : plus(a.hi, b.hi)};
}

/// The bound of a value in a type that may be too narrow for it: it then wraps, to any value there.
Bound within(Bound bound, DataType dtype) {
  const IntInterval all = values_of(dtype);
  const Bound type{std::max(all.low, -kInf), std::min(all.high, kInf)};
  return bound.lo >= type.lo && bound.hi <= type.hi ? bound : type;
}

bool is_var(const Expr& expr) { return expr->kind() == VarNode::kKind; }

/// A floordiv or floormod by a positive constant: its operand and divisor.
struct Division {
  const Expr* operand = nullptr;
  int64_t divisor = 0;
};
template <typename T> Division division(const Expr& expr) {
  const auto* node = expr.as<T>();
  if (node == nullptr)
    return {};
  const auto* divisor = node->b.template as<IntImm>();
  if (divisor == nullptr || divisor->value <= 0)
    return {};
  return {&node->a, divisor->value};
}

bool mentions_any(const Expr& expr, std::span<const VarNode* const> vars) {
  if (is_var(expr))
    return std::find(vars.begin(), vars.end(), expr.as<VarNode>()) != vars.end();
  return std::any_of(vars.begin(), vars.end(),
                     [&](const VarNode* var) { return mentions(expr, var); });
}

} // namespace

const VarNode* Linear::variable_plus_offset() const {
  return terms.size() == 1 && terms[0].factor == 1 ? terms[0].atom.as<VarNode>() : nullptr;
}

const IndexMath::Fact* IndexMath::find(const VarNode* var) const {
  // Later facts win: a fact may be restated while it is in force.
  for (size_t i = facts_.size(); i-- > 0;)
    if (facts_[i].var.get() == var)
      return &facts_[i];
  return nullptr;
}

void IndexMath::set_range(const Var& var, Bound bound) {
  Fact& fact = facts_.emplace_back();
  fact.var = var;
  fact.bound = bound;
}

void IndexMath::set_loop(const For& loop) {
  const Linear first = linear(loop.min);
  const Linear last = offset(sum(first, linear(loop.extent)), -1);
  Fact fact;
  fact.var = loop.loop_var;
  fact.bound = {bound(first).lo, bound(last).hi};
  if (!last.is_constant()) {
    fact.last = last;
    fact.has_last = true;
  }
  facts_.push_back(std::move(fact));
}

void IndexMath::set_axes(const SBlock& block) {
  for (const IterVar& axis : block.iter_vars) {
    const Linear first = linear(axis.domain.min);
    const Linear last = offset(sum(first, linear(axis.domain.extent)), -1);
    Fact fact;
    fact.var = axis.var;
    fact.bound = {bound(first).lo, bound(last).hi};
    if (!last.is_constant()) {
      fact.last = last;
      fact.has_last = true;
    }
    facts_.push_back(std::move(fact));
  }
}

void IndexMath::define(const Var& var, Linear value) {
  Fact& fact = facts_.emplace_back();
  fact.var = var;
  fact.value = std::move(value);
  fact.defined = true;
}

void IndexMath::define_axes(const SBlockRealize& realize) {
  for (size_t i = 0; i < realize.iter_values.size(); ++i)
    define(realize.block->iter_vars[i].var, linear(realize.iter_values[i]));
}

void IndexMath::add_term(Linear& into, const Expr& atom, int64_t factor) {
  if (factor == 0)
    return;
  for (size_t i = 0; i < into.terms.size(); ++i) {
    Linear::Term& term = into.terms[i];
    if (term.atom == atom || (!is_var(atom) && same_expr(term.atom, atom))) {
      term.factor += factor;
      if (term.factor == 0)
        into.terms.erase(into.terms.begin() + static_cast<ptrdiff_t>(i));
      return;
    }
  }
  // x // c * (c * k) + x % c * k is x * k.
  const Division quotient = division<FloorDiv>(atom);
  const Division remainder = division<FloorMod>(atom);
  if (quotient.divisor != 0 || remainder.divisor != 0) {
    for (size_t i = 0; i < into.terms.size(); ++i) {
      const Linear::Term& term = into.terms[i];
      const Division other =
          quotient.divisor != 0 ? division<FloorMod>(term.atom) : division<FloorDiv>(term.atom);
      const Division& mine = quotient.divisor != 0 ? quotient : remainder;
      if (other.divisor != mine.divisor || other.operand == nullptr ||
          !same_expr(*other.operand, *mine.operand))
        continue;
      const int64_t of_quotient = quotient.divisor != 0 ? factor : term.factor;
      const int64_t of_remainder = quotient.divisor != 0 ? term.factor : factor;
      if (of_quotient != of_remainder * mine.divisor)
        continue;
      const Expr operand = *mine.operand;
      into.terms.erase(into.terms.begin() + static_cast<ptrdiff_t>(i));
      accumulate(operand, of_remainder, into);
      return;
    }
  }
  into.terms.push_back({atom, factor});
}

void IndexMath::add_form(Linear& into, const Linear& form, int64_t factor) {
  into.constant += form.constant * factor;
  for (const Linear::Term& term : form.terms)
    add_term(into, term.atom, term.factor * factor);
}

void IndexMath::add_opaque(Linear& into, const Expr& expr, int64_t factor) {
  VarMap values;
  for (const Fact& fact : facts_)
    if (fact.defined)
      values[fact.var] = this->expr(fact.value, fact.var->dtype);
  add_term(into, substitute(expr, values), factor);
}

void IndexMath::accumulate(const Expr& expr, int64_t factor, Linear& into) {
  switch (static_cast<ExprKind>(expr->kind())) {
  case ExprKind::kIntImm:
    into.constant += factor * expr.as<IntImm>()->value;
    return;
  case ExprKind::kVarNode: {
    const Fact* fact = find(expr.as<VarNode>());
    if (fact != nullptr && fact->defined) {
      const Linear value = fact->value; // facts_ may grow below
      add_form(into, value, factor);
    } else if (fact != nullptr && fact->bound.lo == fact->bound.hi) {
      into.constant += factor * fact->bound.lo;
    } else {
      add_term(into, expr, factor);
    }
    return;
  }
  case ExprKind::kAdd:
    accumulate(expr.as<Add>()->a, factor, into);
    accumulate(expr.as<Add>()->b, factor, into);
    return;
  case ExprKind::kSub:
    accumulate(expr.as<Sub>()->a, factor, into);
    accumulate(expr.as<Sub>()->b, -factor, into);
    return;
  case ExprKind::kMul: {
    const auto* node = expr.as<Mul>();
    if (const auto* imm = node->b.as<IntImm>())
      return accumulate(node->a, factor * imm->value, into);
    if (const auto* imm = node->a.as<IntImm>())
      return accumulate(node->b, factor * imm->value, into);
    const Linear a = linear(node->a);
    const Linear b = linear(node->b);
    if (b.is_constant())
      return add_form(into, a, factor * b.constant);
    if (a.is_constant())
      return add_form(into, b, factor * a.constant);
    return add_term(into, this->expr(a, expr->dtype) * this->expr(b, expr->dtype), factor);
  }
  case ExprKind::kFloorDiv:
  case ExprKind::kDiv:
  case ExprKind::kFloorMod:
  case ExprKind::kMod: {
    // The four structs have the same two operands; read them by kind.
    const bool quotient = expr.is<FloorDiv>() || expr.is<Div>();
    const bool towards_zero = expr.is<Div>() || expr.is<Mod>();
    const Expr& a = expr.is<FloorDiv>()   ? expr.as<FloorDiv>()->a
                    : expr.is<Div>()      ? expr.as<Div>()->a
                    : expr.is<FloorMod>() ? expr.as<FloorMod>()->a
                                          : expr.as<Mod>()->a;
    const Expr& b = expr.is<FloorDiv>()   ? expr.as<FloorDiv>()->b
                    : expr.is<Div>()      ? expr.as<Div>()->b
                    : expr.is<FloorMod>() ? expr.as<FloorMod>()->b
                                          : expr.as<Mod>()->b;
    if (!expr->dtype.is_integral() || !expr->dtype.is_scalar())
      return add_opaque(into, expr, factor);
    const Linear operand = linear(a);
    const Linear divisor = linear(b);
    if (!divisor.is_constant() || divisor.constant <= 0 || (towards_zero && bound(operand).lo < 0))
      return add_opaque(into, expr, factor);
    return add_form(into,
                    quotient ? floor_divide(operand, divisor.constant)
                             : floor_modulo(operand, divisor.constant),
                    factor);
  }
  case ExprKind::kMin:
    return add_form(into, minimum(linear(expr.as<Min>()->a), linear(expr.as<Min>()->b)), factor);
  case ExprKind::kMax:
    return add_form(into, maximum(linear(expr.as<Max>()->a), linear(expr.as<Max>()->b)), factor);
  default:
    return add_opaque(into, expr, factor);
  }
}

Linear IndexMath::linear(const Expr& expr) {
  Linear form;
  if (expr->dtype.is_integral() && expr->dtype.is_scalar())
    accumulate(expr, 1, form);
  else
    add_opaque(form, expr, 1);
  return form;
}

Linear IndexMath::sum(const Linear& a, const Linear& b, int64_t factor_of_b) {
  Linear result = a;
  add_form(result, b, factor_of_b);
  return result;
}

Linear IndexMath::scaled(Linear a, int64_t factor) {
  if (factor == 0)
    return {};
  a.constant *= factor;
  for (Linear::Term& term : a.terms)
    term.factor *= factor;
  return a;
}

namespace {

DataType index_type(const Linear& form) {
  return form.terms.empty() ? DataType::int32() : form.terms[0].atom->dtype;
}

/// x and r with form = divisor * x + r: all that the divisor divides is in x.
std::pair<Linear, Linear> divided(const Linear& form, int64_t divisor) {
  Linear multiple;
  Linear remainder;
  multiple.constant = floor_div(form.constant, divisor);
  remainder.constant = floor_mod(form.constant, divisor);
  for (const Linear::Term& term : form.terms) {
    if (term.factor % divisor == 0)
      multiple.terms.push_back({term.atom, term.factor / divisor});
    else
      remainder.terms.push_back(term);
  }
  return {std::move(multiple), std::move(remainder)};
}

} // namespace

std::optional<std::pair<Linear, Linear>> IndexMath::parts_by(const Linear& form, int64_t g) {
  auto [multiple, remainder] = divided(form, g);
  const Bound small = bound(remainder);
  if (small.lo < 0 || small.hi >= g)
    return std::nullopt;
  return std::pair{std::move(multiple), std::move(remainder)};
}

Linear IndexMath::floor_divide(const Linear& a, int64_t divisor) {
  if (divisor == 1)
    return a;
  auto [quotient, rest] = divided(a, divisor);
  const Bound range = bound(rest);
  if (range.bounded() && floor_div(range.lo, divisor) == floor_div(range.hi, divisor)) {
    quotient.constant += floor_div(range.lo, divisor);
    return quotient;
  }
  // (g * x + r) // (g * d) is x // d when 0 <= r < g.
  for (const Linear::Term& candidate : rest.terms) {
    const int64_t g = std::gcd(std::abs(candidate.factor), divisor);
    if (const auto parts = g > 1 ? parts_by(rest, g) : std::nullopt)
      return sum(quotient, floor_divide(parts->first, divisor / g));
  }
  // (x // c) // d is x // (c * d).
  if (rest.terms.size() == 1 && rest.terms[0].factor == 1 && rest.constant == 0)
    if (const Division inner = division<FloorDiv>(rest.terms[0].atom); inner.divisor != 0)
      return sum(quotient, floor_divide(linear(*inner.operand), inner.divisor * divisor));
  const DataType dtype = index_type(rest);
  add_term(quotient, make_binary<FloorDiv>(expr(rest, dtype), make_int(dtype, divisor)), 1);
  return quotient;
}

Linear IndexMath::count(const LinearInterval& range) {
  Linear form = offset(difference(range.hi, range.lo), 1);
  // (x + c) // d - x // d is (x % d + c) // d, of which more is known.
  for (const Linear::Term& up : form.terms) {
    const Division high = up.factor == 1 ? division<FloorDiv>(up.atom) : Division{};
    if (high.divisor == 0)
      continue;
    for (const Linear::Term& down : form.terms) {
      const Division low = down.factor == -1 ? division<FloorDiv>(down.atom) : Division{};
      if (low.divisor != high.divisor)
        continue;
      const Linear x = linear(*low.operand);
      const Linear c = difference(linear(*high.operand), x);
      if (!c.is_constant())
        continue;
      const Linear merged =
          floor_divide(offset(floor_modulo(x, low.divisor), c.constant), low.divisor);
      const Linear pair = difference({{up}, 0}, {{{down.atom, 1}}, 0});
      return sum(difference(form, pair), merged);
    }
  }
  return form;
}

Linear IndexMath::floor_modulo(const Linear& a, int64_t divisor) {
  if (divisor == 1)
    return {};
  const Linear rest = divided(a, divisor).second;
  const Bound range = bound(rest);
  if (range.bounded() && floor_div(range.lo, divisor) == floor_div(range.hi, divisor))
    return offset(rest, -divisor * floor_div(range.lo, divisor));
  // (g * x + r) % (g * d) is x % d * g + r when 0 <= r < g.
  for (const Linear::Term& candidate : rest.terms) {
    const int64_t g = std::gcd(std::abs(candidate.factor), divisor);
    if (const auto parts = g > 1 ? parts_by(rest, g) : std::nullopt)
      return sum(scaled(floor_modulo(parts->first, divisor / g), g), parts->second);
  }
  if (rest.terms.size() == 1 && rest.terms[0].factor == 1 && rest.constant == 0)
    if (const Division inner = division<FloorMod>(rest.terms[0].atom);
        inner.divisor != 0 && inner.divisor % divisor == 0)
      return floor_modulo(linear(*inner.operand), divisor);
  const DataType dtype = index_type(rest);
  Linear result;
  add_term(result, make_binary<FloorMod>(expr(rest, dtype), make_int(dtype, divisor)), 1);
  return result;
}

Linear IndexMath::extremum(const Linear& a, const Linear& b, bool least) {
  const Bound range = bound(difference(b, a));
  if (range.lo >= 0)
    return least ? a : b;
  if (range.hi <= 0)
    return least ? b : a;
  const DataType dtype = a.terms.empty() ? index_type(b) : index_type(a);
  const Expr x = expr(a, dtype);
  const Expr y = expr(b, dtype);
  Linear result;
  add_term(result, least ? make_binary<Min>(x, y) : make_binary<Max>(x, y), 1);
  return result;
}
Linear IndexMath::minimum(const Linear& a, const Linear& b) { return extremum(a, b, true); }
Linear IndexMath::maximum(const Linear& a, const Linear& b) { return extremum(a, b, false); }

Bound IndexMath::atom_bound(const Expr& atom) {
  switch (static_cast<ExprKind>(atom->kind())) {
  case ExprKind::kVarNode: {
    const Fact* fact = find(atom.as<VarNode>());
    if (fact == nullptr)
      return {};
    if (fact->defined) {
      const Linear value = fact->value;
      return bound(value);
    }
    return fact->bound;
  }
  case ExprKind::kFloorDiv:
    if (const Division node = division<FloorDiv>(atom); node.divisor != 0) {
      const Bound operand = bound(*node.operand);
      return {divide_end(operand.lo, node.divisor), divide_end(operand.hi, node.divisor)};
    }
    return {};
  case ExprKind::kFloorMod:
    if (const Division node = division<FloorMod>(atom); node.divisor != 0) {
      const Bound operand = bound(*node.operand);
      if (operand.lo >= 0 && operand.hi < node.divisor)
        return operand;
      return {0, node.divisor - 1};
    }
    return {};
  case ExprKind::kMin: {
    const Bound a = bound(atom.as<Min>()->a);
    const Bound b = bound(atom.as<Min>()->b);
    return {std::min(a.lo, b.lo), std::min(a.hi, b.hi)};
  }
  case ExprKind::kMax: {
    const Bound a = bound(atom.as<Max>()->a);
    const Bound b = bound(atom.as<Max>()->b);
    return {std::max(a.lo, b.lo), std::max(a.hi, b.hi)};
  }
  case ExprKind::kMul: {
    const Bound a = bound(atom.as<Mul>()->a);
    const Bound b = bound(atom.as<Mul>()->b);
    const int64_t ends[] = {times(a.lo, b.lo), times(a.lo, b.hi), times(a.hi, b.lo),
                            times(a.hi, b.hi)};
    return {*std::min_element(ends, ends + 4), *std::max_element(ends, ends + 4)};
  }
  case ExprKind::kSelect: {
    const Bound a = bound(atom.as<Select>()->true_value);
    const Bound b = bound(atom.as<Select>()->false_value);
    return {std::min(a.lo, b.lo), std::max(a.hi, b.hi)};
  }
  case ExprKind::kCast:
    if (const Expr& value = atom.as<Cast>()->value;
        atom->dtype.is_int() && value->dtype.is_integral())
      return within(within(bound(value), value->dtype), atom->dtype);
    return {};
  case ExprKind::kCall:
    if (atom.as<Call>()->op == "if_then_else") {
      const Bound a = bound(atom.as<Call>()->args[1]);
      const Bound b = bound(atom.as<Call>()->args[2]);
      return {std::min(a.lo, b.lo), std::max(a.hi, b.hi)};
    }
    return {};
  default:
    return {};
  }
}

std::optional<Linear> IndexMath::slack(const Expr& condition) {
  if (const auto* node = condition.as<LT>())
    return offset(difference(linear(node->b), linear(node->a)), -1);
  if (const auto* node = condition.as<LE>())
    return difference(linear(node->b), linear(node->a));
  if (const auto* node = condition.as<GT>())
    return offset(difference(linear(node->a), linear(node->b)), -1);
  if (const auto* node = condition.as<GE>())
    return difference(linear(node->a), linear(node->b));
  return std::nullopt;
}

Bound IndexMath::bound(const Linear& form) {
  Bound total{form.constant, form.constant};
  const size_t count = form.terms.size();
  // r + min(a, b) is min(r + a, r + b): what a and b have in common with the rest is seen.
  for (size_t i = 0; i < count; ++i) {
    const auto* least = form.terms[i].atom.as<Min>();
    const auto* most = form.terms[i].atom.as<Max>();
    if ((least == nullptr && most == nullptr) || count == 1)
      continue;
    const int64_t factor = form.terms[i].factor;
    Linear rest = form;
    rest.terms.erase(rest.terms.begin() + static_cast<ptrdiff_t>(i));
    const Bound a = bound(sum(rest, linear(least != nullptr ? least->a : most->a), factor));
    const Bound b = bound(sum(rest, linear(least != nullptr ? least->b : most->b), factor));
    if ((least != nullptr) == (factor > 0))
      return {std::min(a.lo, b.lo), std::min(a.hi, b.hi)};
    return {std::max(a.lo, b.lo), std::max(a.hi, b.hi)};
  }
  uint64_t done = 0;
  for (size_t i = 0; i < count; ++i) {
    if (i < 64 && ((done >> i) & 1) != 0)
      continue;
    const Linear::Term& term = form.terms[i];
    // (x + d) // c - x // c is between d // c and its ceiling, whatever x is.
    if (const Division mine = division<FloorDiv>(term.atom); mine.divisor != 0) {
      bool paired = false;
      for (size_t j = i + 1; j < count && j < 64 && !paired; ++j) {
        const Division other = division<FloorDiv>(form.terms[j].atom);
        if (((done >> j) & 1) != 0 || other.divisor != mine.divisor ||
            form.terms[j].factor != -term.factor)
          continue;
        const Linear distance = difference(linear(*mine.operand), linear(*other.operand));
        if (!distance.is_constant())
          continue;
        const int64_t d = distance.constant;
        total = add_bounds(
            total,
            scale_bound({floor_div(d, mine.divisor), -floor_div(-d, mine.divisor)}, term.factor));
        done |= uint64_t{1} << j;
        paired = true;
      }
      if (paired)
        continue;
    }
    total = add_bounds(total, scale_bound(atom_bound(term.atom), term.factor));
  }
  // Of symbolic extents rounded up to tiles: c * (x // c) is x - x % c, whatever x is.
  for (size_t i = 0; i < count && !total.bounded(); ++i) {
    const Linear::Term& term = form.terms[i];
    const Division node = division<FloorDiv>(term.atom);
    if (node.divisor == 0 || term.factor % node.divisor != 0)
      continue;
    const int64_t factor = term.factor / node.divisor;
    const Linear operand = linear(*node.operand);
    Linear other = form;
    other.terms.erase(other.terms.begin() + static_cast<ptrdiff_t>(i));
    other = sum(sum(other, operand, factor), floor_modulo(operand, node.divisor), -factor);
    const Bound seen = bound(other);
    return {std::max(total.lo, seen.lo), std::min(total.hi, seen.hi)};
  }
  return total;
}

std::optional<LinearInterval> IndexMath::relax(const Linear& form,
                                               std::span<const VarNode* const> inner) {
  LinearInterval result;
  result.lo.constant = form.constant;
  result.hi.constant = form.constant;
  for (const Linear::Term& term : form.terms) {
    if (!mentions_any(term.atom, inner)) {
      add_term(result.lo, term.atom, term.factor);
      add_term(result.hi, term.atom, term.factor);
      continue;
    }
    LinearInterval range;
    bool known = false;
    if (const auto* var = term.atom.as<VarNode>()) {
      if (const Fact* fact = find(var); fact != nullptr && fact->bound.lo > -kInf) {
        range.lo.constant = fact->bound.lo;
        if (fact->has_last) {
          const Linear last = fact->last;
          auto relaxed = relax(last, inner);
          if (relaxed) {
            range.hi = relaxed->hi;
            known = true;
          }
        } else if (fact->bound.hi < kInf) {
          range.hi.constant = fact->bound.hi;
          known = true;
        }
      }
    } else if (const Division node = division<FloorDiv>(term.atom); node.divisor != 0) {
      if (auto operand = relax(linear(*node.operand), inner)) {
        range = {floor_divide(operand->lo, node.divisor), floor_divide(operand->hi, node.divisor)};
        known = true;
      }
    } else if (const Division node = division<FloorMod>(term.atom); node.divisor != 0) {
      range.hi.constant = node.divisor - 1;
      known = true;
      if (auto operand = relax(linear(*node.operand), inner)) {
        const Linear first = floor_divide(operand->lo, node.divisor);
        if (proves_equal(first, floor_divide(operand->hi, node.divisor)))
          range = {sum(operand->lo, first, -node.divisor), sum(operand->hi, first, -node.divisor)};
      }
    } else if (const auto* least = term.atom.as<Min>()) {
      auto a = relax(linear(least->a), inner);
      auto b = relax(linear(least->b), inner);
      if (a && b) {
        range = {minimum(a->lo, b->lo), minimum(a->hi, b->hi)};
        known = true;
      }
    } else if (const auto* most = term.atom.as<Max>()) {
      auto a = relax(linear(most->a), inner);
      auto b = relax(linear(most->b), inner);
      if (a && b) {
        range = {maximum(a->lo, b->lo), maximum(a->hi, b->hi)};
        known = true;
      }
    }
    if (!known) {
      const Bound constant = atom_bound(term.atom);
      if (!constant.bounded())
        return std::nullopt;
      range.lo.constant = constant.lo;
      range.hi.constant = constant.hi;
    }
    add_form(result.lo, term.factor >= 0 ? range.lo : range.hi, term.factor);
    add_form(result.hi, term.factor >= 0 ? range.hi : range.lo, term.factor);
  }
  return result;
}

Expr IndexMath::expr(const Linear& form, DataType dtype) {
  Expr result;
  auto operand = [&](const Linear::Term& term, int64_t factor) {
    const Expr atom = term.atom->dtype == dtype ? term.atom : make_cast(dtype, term.atom);
    return factor == 1 ? atom : make_binary<Mul>(atom, make_int(dtype, factor));
  };
  // A positive term leads, so that i - j is not spelled j * -1 + i.
  const auto first = std::find_if(form.terms.begin(), form.terms.end(),
                                  [](const Linear::Term& term) { return term.factor > 0; });
  if (first != form.terms.end())
    result = operand(*first, first->factor);
  else
    result = form.terms.empty() ? nullptr : make_int(dtype, form.constant);
  if (!result)
    return make_int(dtype, form.constant);
  for (auto term = form.terms.begin(); term != form.terms.end(); ++term) {
    if (term == first)
      continue;
    result = term->factor > 0 ? make_binary<Add>(result, operand(*term, term->factor))
                              : make_binary<Sub>(result, operand(*term, -term->factor));
  }
  if (first == form.terms.end() || form.constant == 0)
    return result;
  return form.constant > 0 ? make_binary<Add>(result, make_int(dtype, form.constant))
                           : make_binary<Sub>(result, make_int(dtype, -form.constant));
}

std::optional<std::vector<IndexPiece>> split_into_pieces(IndexMath& math, const Linear& form) {
  std::vector<IndexPiece> pieces;
  pieces.reserve(form.terms.size());
  for (const Linear::Term& term : form.terms) {
    IndexPiece piece{nullptr, 1, 0, term.factor};
    if (term.factor <= 0)
      return std::nullopt;
    // From the outside in: at most one remainder and one quotient, in either order.
    Expr atom = term.atom;
    while (!is_var(atom)) {
      if (const Division node = division<FloorDiv>(atom); node.divisor != 0) {
        piece.divisor *= node.divisor;
        atom = Expr(*node.operand);
      } else if (const Division node = division<FloorMod>(atom); node.divisor != 0) {
        // value = (x % m) // d, d collected so far; a remainder outside the quotient was seen
        // first.
        if (node.divisor % piece.divisor != 0)
          return std::nullopt;
        const int64_t extent = node.divisor / piece.divisor;
        piece.extent = piece.extent == 0 ? extent : std::min(piece.extent, extent);
        atom = Expr(*node.operand);
      } else {
        return std::nullopt;
      }
      if (atom->kind() != VarNode::kKind && !atom.is<FloorDiv>() && !atom.is<FloorMod>())
        return std::nullopt;
    }
    // (x // d) % m: the remainder was met before the quotient, and counts in units of d already.
    const Bound range = math.bound(atom);
    if (range.lo != 0 || !range.bounded())
      return std::nullopt;
    const int64_t count = range.hi + 1;
    if (count % piece.divisor != 0 && count > piece.divisor)
      return std::nullopt;
    const int64_t all = (count + piece.divisor - 1) / piece.divisor;
    if (piece.extent == 0 || piece.extent > all)
      piece.extent = all;
    else if (all % piece.extent != 0)
      return std::nullopt;
    piece.source = atom.as<VarNode>();
    if (piece.extent != 1)
      pieces.push_back(piece);
  }
  std::sort(pieces.begin(), pieces.end(),
            [](const IndexPiece& a, const IndexPiece& b) { return a.scale < b.scale; });
  return pieces;
}

int64_t reach_of(std::span<const IndexPiece> pieces) {
  int64_t reach = 0;
  for (const IndexPiece& piece : pieces)
    reach += (piece.extent - 1) * piece.scale;
  return reach;
}

OpenTerm take_open_term(IndexMath& math, Linear& form) {
  for (auto term = form.terms.begin(); term != form.terms.end(); ++term) {
    const auto* variable = term->atom.as<VarNode>();
    if (variable == nullptr || term->factor < 1)
      continue;
    const Bound range = math.bound(term->atom);
    if (range.lo != 0 || range.bounded())
      continue;
    const OpenTerm open{variable, term->factor};
    form.terms.erase(term);
    return open;
  }
  return {};
}

bool covers_box(IndexMath& math, std::span<const Linear> forms, std::span<const int64_t> extents,
                std::span<const bool> clipped, std::span<const VarNode* const> variables,
                bool injective) {
  std::vector<IndexPiece> all;
  for (size_t i = 0; i < forms.size(); ++i) {
    if (forms[i].constant != 0)
      return false;
    const auto pieces = split_into_pieces(math, forms[i]);
    if (!pieces)
      return false;
    int64_t scale = 1;
    for (const IndexPiece& piece : *pieces) {
      if (piece.scale != scale)
        return false;
      scale *= piece.extent;
      all.push_back(piece);
    }
    if (scale != extents[i] && !(clipped[i] && scale > extents[i]))
      return false;
  }
  // Each variable's pieces must be different parts of it; all of it, for injective.
  for (const VarNode* variable : variables) {
    std::vector<std::pair<int64_t, int64_t>> parts;
    for (const IndexPiece& piece : all)
      if (piece.source == variable)
        parts.emplace_back(piece.divisor, piece.extent);
    std::sort(parts.begin(), parts.end());
    int64_t next = 1;
    for (const auto& [divisor, extent] : parts) {
      if (divisor < next || (injective && divisor != next))
        return false;
      next = divisor * extent;
    }
    if (injective) {
      const Bound range = math.bound(Expr(variable));
      if (range.lo != 0 || !range.bounded() || next < range.hi + 1)
        return false;
    }
  }
  // A variable that is not among `variables` is fixed: it cannot help to cover.
  return std::all_of(all.begin(), all.end(), [&](const IndexPiece& piece) {
    return std::find(variables.begin(), variables.end(), piece.source) != variables.end();
  });
}

} // namespace temper::s_tir
