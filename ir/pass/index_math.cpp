#include "ir/pass/index_math.h"

#include "ir/structural.h"
#include "ir/walk.h"

#include <algorithm>
#include <numeric>

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

bool same_atom(const Expr& a, const Expr& b) {
  if (a == b)
    return true;
  if (a->kind() != b->kind() || a->kind() == VarNode::kKind)
    return false;
  return structural_equal(a, b);
}

bool has_load(const Expr& expr) {
  bool found = false;
  walk(expr, [&](const NodeRef& node) {
    found |= node->kind() == BufferLoad::kKind;
    return !found;
  });
  return found;
}

constexpr int64_t kLow = IndexRange::unknown_low();
constexpr int64_t kHigh = IndexRange::unknown_high();

/// Sums and products saturate to "unknown": an end that overflows says nothing.
IndexRange add(IndexRange a, IndexRange b) {
  IndexRange result;
  if (a.low == kLow || b.low == kLow || __builtin_add_overflow(a.low, b.low, &result.low))
    result.low = kLow;
  if (a.high == kHigh || b.high == kHigh || __builtin_add_overflow(a.high, b.high, &result.high))
    result.high = kHigh;
  return result;
}

IndexRange scale(IndexRange a, int64_t factor) {
  if (factor == 0)
    return {0, 0};
  IndexRange result;
  const bool negative = factor < 0;
  const int64_t low = negative ? a.high : a.low;
  const int64_t high = negative ? a.low : a.high;
  if ((negative ? low == kHigh : low == kLow) ||
      __builtin_mul_overflow(low, factor, &result.low))
    result.low = kLow;
  if ((negative ? high == kLow : high == kHigh) ||
      __builtin_mul_overflow(high, factor, &result.high))
    result.high = kHigh;
  return result;
}

IndexRange type_range(DataType dtype) {
  if (dtype.is_bool())
    return {0, 1};
  if (!dtype.is_integral() || dtype.bits >= 64)
    return {dtype.is_uint() ? 0 : kLow, kHigh};
  if (dtype.is_uint())
    return {0, (int64_t{1} << dtype.bits) - 1};
  return {-(int64_t{1} << (dtype.bits - 1)), (int64_t{1} << (dtype.bits - 1)) - 1};
}

} // namespace

int64_t LinearIndex::coefficient(const VarNode* var) const {
  for (const Term& term : terms)
    if (term.atom.get() == var)
      return term.coefficient;
  return 0;
}

bool LinearIndex::hides(const VarNode* var) const {
  for (const Term& term : terms)
    if (term.atom->kind() != VarNode::kKind &&
        uses_var(term.atom, [&](const VarNode& node) { return &node == var; }))
      return true;
  return false;
}

int64_t LinearIndex::divisor() const {
  int64_t result = std::abs(constant);
  for (const Term& term : terms)
    result = std::gcd(result, term.coefficient);
  return result;
}

void LinearIndex::add_term(const Expr& atom, int64_t coefficient) {
  if (coefficient == 0)
    return;
  for (size_t i = 0; i < terms.size(); ++i) {
    if (!same_atom(terms[i].atom, atom))
      continue;
    terms[i].coefficient += coefficient;
    if (terms[i].coefficient == 0)
      terms.erase(terms.begin() + static_cast<std::ptrdiff_t>(i));
    return;
  }
  // x - x % c ... : (x // c) * (k * c) + (x % c) * k is k * x.
  const bool is_div = atom->kind() == FloorDiv::kKind;
  if (is_div || atom->kind() == FloorMod::kKind) {
    const Expr& value = is_div ? atom.as<FloorDiv>()->a : atom.as<FloorMod>()->a;
    const auto divisor = as_int(is_div ? atom.as<FloorDiv>()->b : atom.as<FloorMod>()->b);
    for (size_t i = 0; divisor && i < terms.size(); ++i) {
      const Term& term = terms[i];
      if (term.atom->kind() != (is_div ? FloorMod::kKind : FloorDiv::kKind))
        continue;
      const Expr& other = is_div ? term.atom.as<FloorMod>()->a : term.atom.as<FloorDiv>()->a;
      const auto other_divisor = as_int(is_div ? term.atom.as<FloorMod>()->b : term.atom.as<FloorDiv>()->b);
      const int64_t whole = is_div ? coefficient : term.coefficient;
      const int64_t rest = is_div ? term.coefficient : coefficient;
      if (!other_divisor || *other_divisor != *divisor || whole != rest * *divisor ||
          !same_atom(value, other))
        continue;
      terms.erase(terms.begin() + static_cast<std::ptrdiff_t>(i));
      // `value` is itself a linear form; its parts are atoms of their own.
      IndexMath math;
      add(math.linear(value), rest);
      return;
    }
  }
  terms.push_back({atom, coefficient});
}

void LinearIndex::add(const LinearIndex& other, int64_t factor) {
  constant += other.constant * factor;
  for (const Term& term : other.terms)
    add_term(term.atom, term.coefficient * factor);
}

bool same_terms(const LinearIndex& a, const LinearIndex& b) {
  if (a.terms.size() != b.terms.size())
    return false;
  for (const LinearIndex::Term& term : a.terms) {
    const auto found =
        std::find_if(b.terms.begin(), b.terms.end(), [&](const LinearIndex::Term& other) {
          return other.coefficient == term.coefficient && same_atom(other.atom, term.atom);
        });
    if (found == b.terms.end())
      return false;
  }
  return true;
}

void IndexMath::bind_loop(const For& loop) {
  const IndexRange min = range(loop.min);
  const IndexRange extent = range(loop.extent);
  IndexRange last = add(add(min, extent), {-1, -1});
  bind(loop.loop_var, min.low, last.high);
}

IndexRange IndexMath::range_of(const VarNode* var) const {
  const auto found = ranges_.find(var);
  return found == ranges_.end() ? type_range(var->dtype) : found->second;
}

IndexRange IndexMath::range(const LinearIndex& form) {
  IndexRange result{form.constant, form.constant};
  for (const LinearIndex::Term& term : form.terms)
    result = add(result, scale(range_of_atom(term.atom), term.coefficient));
  return result;
}

IndexRange IndexMath::range(const Expr& expr) {
  if (const auto value = as_int(expr))
    return {*value, *value};
  return range(linear(expr));
}

IndexRange IndexMath::range_of_atom(const Expr& atom) {
  switch (static_cast<ExprKind>(atom->kind())) {
  case ExprKind::kVarNode:
    return range_of(atom.as<VarNode>());
  case ExprKind::kFloorDiv: {
    const auto divisor = as_int(atom.as<FloorDiv>()->b);
    if (!divisor || *divisor <= 0)
      break;
    IndexRange inner = range(atom.as<FloorDiv>()->a);
    if (inner.low != kLow)
      inner.low = floor_div(inner.low, *divisor);
    if (inner.high != kHigh)
      inner.high = floor_div(inner.high, *divisor);
    return inner;
  }
  case ExprKind::kFloorMod: {
    const auto divisor = as_int(atom.as<FloorMod>()->b);
    if (!divisor || *divisor <= 0)
      break;
    const IndexRange inner = range(atom.as<FloorMod>()->a);
    return inner.within(0, *divisor - 1) ? inner : IndexRange{0, *divisor - 1};
  }
  case ExprKind::kMin: {
    const IndexRange a = range(atom.as<Min>()->a);
    const IndexRange b = range(atom.as<Min>()->b);
    return {std::min(a.low, b.low), std::min(a.high, b.high)};
  }
  case ExprKind::kMax: {
    const IndexRange a = range(atom.as<Max>()->a);
    const IndexRange b = range(atom.as<Max>()->b);
    return {std::max(a.low, b.low), std::max(a.high, b.high)};
  }
  case ExprKind::kSelect: {
    const IndexRange a = range(atom.as<Select>()->true_value);
    const IndexRange b = range(atom.as<Select>()->false_value);
    return {std::min(a.low, b.low), std::max(a.high, b.high)};
  }
  default:
    break;
  }
  return type_range(atom->dtype);
}

LinearIndex IndexMath::linear(const Expr& expr) { return linear_node(expr); }

LinearIndex IndexMath::linear_node(const Expr& expr) {
  LinearIndex result;
  switch (static_cast<ExprKind>(expr->kind())) {
  case ExprKind::kIntImm:
    result.constant = expr.as<IntImm>()->value;
    return result;
  case ExprKind::kVarNode: {
    const IndexRange known = range_of(expr.as<VarNode>());
    if (known.low == known.high)
      result.constant = known.low;
    else
      result.terms.push_back({expr, 1});
    return result;
  }
  case ExprKind::kAdd:
    result = linear_node(expr.as<Add>()->a);
    result.add(linear_node(expr.as<Add>()->b));
    return result;
  case ExprKind::kSub:
    result = linear_node(expr.as<Sub>()->a);
    result.add(linear_node(expr.as<Sub>()->b), -1);
    return result;
  case ExprKind::kMul: {
    const LinearIndex a = linear_node(expr.as<Mul>()->a);
    const LinearIndex b = linear_node(expr.as<Mul>()->b);
    if (b.is_constant())
      result.add(a, b.constant);
    else if (a.is_constant())
      result.add(b, a.constant);
    else
      result.add_term(to_expr(a, expr->dtype) * to_expr(b, expr->dtype), 1);
    return result;
  }
  case ExprKind::kFloorDiv: {
    const LinearIndex a = linear_node(expr.as<FloorDiv>()->a);
    const LinearIndex b = linear_node(expr.as<FloorDiv>()->b);
    if (b.is_constant() && b.constant > 0)
      return linear_div(a, b.constant, expr->dtype);
    result.add_term(make_binary<FloorDiv>(to_expr(a, expr->dtype), to_expr(b, expr->dtype)), 1);
    return result;
  }
  case ExprKind::kFloorMod: {
    const LinearIndex a = linear_node(expr.as<FloorMod>()->a);
    const LinearIndex b = linear_node(expr.as<FloorMod>()->b);
    if (b.is_constant() && b.constant > 0)
      return linear_mod(a, b.constant, expr->dtype);
    result.add_term(make_binary<FloorMod>(to_expr(a, expr->dtype), to_expr(b, expr->dtype)), 1);
    return result;
  }
  case ExprKind::kDiv:
  case ExprKind::kMod: {
    // Towards zero: the same as the floor where nothing is negative.
    const bool is_div = expr->kind() == Div::kKind;
    const LinearIndex a = linear_node(is_div ? expr.as<Div>()->a : expr.as<Mod>()->a);
    const LinearIndex b = linear_node(is_div ? expr.as<Div>()->b : expr.as<Mod>()->b);
    if (b.is_constant() && b.constant > 0 && range(a).low >= 0)
      return is_div ? linear_div(a, b.constant, expr->dtype) : linear_mod(a, b.constant, expr->dtype);
    const Expr x = to_expr(a, expr->dtype);
    const Expr y = to_expr(b, expr->dtype);
    result.add_term(is_div ? make_binary<Div>(x, y) : make_binary<Mod>(x, y), 1);
    return result;
  }
  case ExprKind::kMin:
  case ExprKind::kMax: {
    const bool is_min = expr->kind() == Min::kKind;
    const LinearIndex a = linear_node(is_min ? expr.as<Min>()->a : expr.as<Max>()->a);
    const LinearIndex b = linear_node(is_min ? expr.as<Min>()->b : expr.as<Max>()->b);
    LinearIndex difference = a;
    difference.add(b, -1);
    const IndexRange known = range(difference);
    if (known.high <= 0)
      return is_min ? a : b;
    if (known.low >= 0)
      return is_min ? b : a;
    const Expr x = to_expr(a, expr->dtype);
    const Expr y = to_expr(b, expr->dtype);
    result.add_term(is_min ? make_binary<Min>(x, y) : make_binary<Max>(x, y), 1);
    return result;
  }
  case ExprKind::kCast: {
    const Cast& cast = *expr.as<Cast>();
    const DataType from = cast.value->dtype;
    // A cast that keeps every value of its operand changes nothing in an index.
    if (expr->dtype.is_integral() && from.is_integral() && from.is_scalar()) {
      const LinearIndex inner = linear_node(cast.value);
      const IndexRange known = range(inner);
      const IndexRange fits = type_range(expr->dtype);
      if (inner.is_constant() ||
          (from.bits <= expr->dtype.bits && from.is_uint() == expr->dtype.is_uint()) ||
          known.within(fits.low, fits.high)) {
        for (const LinearIndex::Term& term : inner.terms)
          result.add_term(term.atom->dtype == expr->dtype ? term.atom
                                                          : make_cast(expr->dtype, term.atom),
                          term.coefficient);
        result.constant = inner.constant;
        return result;
      }
    }
    result.terms.push_back({expr, 1});
    return result;
  }
  case ExprKind::kBufferLoad: {
    const BufferLoad& load = *expr.as<BufferLoad>();
    std::vector<Expr> indices;
    bool changed = false;
    for (const Expr& index : load.indices) {
      indices.push_back(simplify_index(index));
      changed |= indices.back() != index;
    }
    result.terms.push_back({changed ? make_load(load.buffer, std::move(indices), load.predicate)
                                    : expr,
                            1});
    return result;
  }
  case ExprKind::kCall:
  case ExprKind::kSelect: {
    const Expr simpler = cast_ref<ExprNode>(expr->info().map_children(
        expr.get(), [&](const NodeRef& child, Role) -> NodeRef {
          return simplify(cast_ref<ExprNode>(child));
        }));
    result.terms.push_back({simpler, 1});
    return result;
  }
  default:
    result.terms.push_back({expr, 1});
    return result;
  }
}

LinearIndex IndexMath::linear_div(const LinearIndex& value, int64_t divisor, DataType dtype) {
  if (divisor == 1)
    return value;
  // value = divisor * whole + rest, where rest has the terms that the divisor does not divide.
  LinearIndex whole;
  LinearIndex rest;
  whole.constant = floor_div(value.constant, divisor);
  rest.constant = floor_mod(value.constant, divisor);
  for (const LinearIndex::Term& term : value.terms) {
    if (term.coefficient % divisor == 0)
      whole.terms.push_back({term.atom, term.coefficient / divisor});
    else
      rest.terms.push_back(term);
  }
  if (rest.terms.empty())
    return whole; // 0 <= rest.constant < divisor
  const IndexRange known = range(rest);
  if (known.bounded() && floor_div(known.low, divisor) == floor_div(known.high, divisor)) {
    whole.constant += floor_div(known.low, divisor);
    return whole;
  }
  // rest = d * high + low with d dividing the divisor and 0 <= low < d: the low part does not matter.
  std::vector<int64_t> factors;
  for (const LinearIndex::Term& term : rest.terms)
    if (const int64_t factor = std::gcd(term.coefficient, divisor); factor > 1)
      factors.push_back(factor);
  std::sort(factors.rbegin(), factors.rend());
  for (const int64_t factor : factors) {
    LinearIndex high;
    LinearIndex low;
    high.constant = floor_div(rest.constant, factor);
    low.constant = floor_mod(rest.constant, factor);
    for (const LinearIndex::Term& term : rest.terms) {
      if (term.coefficient % factor == 0)
        high.terms.push_back({term.atom, term.coefficient / factor});
      else
        low.terms.push_back(term);
    }
    if (!range(low).within(0, factor - 1))
      continue;
    whole.add(linear_div(high, divisor / factor, dtype));
    return whole;
  }
  // (x // a) // b = x // (a * b)
  if (rest.terms.size() == 1 && rest.terms[0].coefficient == 1 && rest.constant == 0)
    if (const auto* inner = rest.terms[0].atom.as<FloorDiv>())
      if (const auto inner_divisor = as_int(inner->b); inner_divisor && *inner_divisor > 0) {
        whole.add_term(floordiv(inner->a, *inner_divisor * divisor), 1);
        return whole;
      }
  whole.add_term(make_binary<FloorDiv>(to_expr(rest, dtype), make_const_int(dtype, divisor)), 1);
  return whole;
}

LinearIndex IndexMath::linear_mod(const LinearIndex& value, int64_t divisor, DataType dtype) {
  LinearIndex rest;
  if (divisor == 1)
    return rest;
  rest.constant = floor_mod(value.constant, divisor);
  for (const LinearIndex::Term& term : value.terms)
    if (term.coefficient % divisor != 0)
      rest.terms.push_back(term);
  if (rest.terms.empty())
    return rest;
  const IndexRange known = range(rest);
  if (known.bounded() && floor_div(known.low, divisor) == floor_div(known.high, divisor)) {
    rest.constant -= floor_div(known.low, divisor) * divisor;
    return rest;
  }
  std::vector<int64_t> factors;
  for (const LinearIndex::Term& term : rest.terms)
    if (const int64_t factor = std::gcd(term.coefficient, divisor); factor > 1)
      factors.push_back(factor);
  std::sort(factors.rbegin(), factors.rend());
  for (const int64_t factor : factors) {
    LinearIndex high;
    LinearIndex low;
    high.constant = floor_div(rest.constant, factor);
    low.constant = floor_mod(rest.constant, factor);
    for (const LinearIndex::Term& term : rest.terms) {
      if (term.coefficient % factor == 0)
        high.terms.push_back({term.atom, term.coefficient / factor});
      else
        low.terms.push_back(term);
    }
    if (!range(low).within(0, factor - 1))
      continue;
    low.add(linear_mod(high, divisor / factor, dtype), factor);
    return low;
  }
  LinearIndex result;
  result.add_term(make_binary<FloorMod>(to_expr(rest, dtype), make_const_int(dtype, divisor)), 1);
  return result;
}

Expr IndexMath::to_expr(const LinearIndex& form, DataType dtype) {
  if (form.terms.empty())
    return make_const_int(dtype, form.constant);
  const auto product = [&](const LinearIndex::Term& term, int64_t coefficient) {
    const Expr atom = term.atom->dtype == dtype ? term.atom : make_cast(dtype, term.atom);
    return coefficient == 1 ? atom : make_binary<Mul>(atom, make_const_int(dtype, coefficient));
  };
  std::vector<const LinearIndex::Term*> order;
  order.reserve(form.terms.size());
  for (const LinearIndex::Term& term : form.terms)
    order.push_back(&term);
  // Larger strides first, negative terms last (a - b, not -1 * b + a).
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return a->coefficient > b->coefficient;
  });
  Expr result;
  for (const auto* term : order) {
    if (result && term->coefficient < 0)
      result = make_binary<Sub>(result, product(*term, -term->coefficient));
    else
      result = result ? make_binary<Add>(result, product(*term, term->coefficient))
                      : product(*term, term->coefficient);
  }
  if (form.constant > 0)
    result = make_binary<Add>(result, make_const_int(dtype, form.constant));
  else if (form.constant < 0)
    result = make_binary<Sub>(result, make_const_int(dtype, -form.constant));
  return result;
}

Expr IndexMath::simplify_index(const Expr& expr) {
  if (expr->kind() == IntImm::kKind)
    return expr;
  if (const auto* var = expr.as<VarNode>()) {
    const IndexRange known = range_of(var);
    return known.low == known.high ? make_const_int(expr->dtype, known.low) : expr;
  }
  if (!expr->dtype.is_integral() || !expr->dtype.is_scalar())
    return simplify(expr);
  const Expr result = to_expr(linear(expr), expr->dtype);
  return structural_equal(result, expr) ? expr : result;
}

std::optional<bool> IndexMath::decide(const Expr& condition) {
  switch (static_cast<ExprKind>(condition->kind())) {
  case ExprKind::kIntImm:
    return condition.as<IntImm>()->value != 0;
  case ExprKind::kAnd: {
    const auto a = decide(condition.as<And>()->a);
    const auto b = decide(condition.as<And>()->b);
    if ((a && !*a) || (b && !*b))
      return false;
    return a && b ? std::optional(true) : std::nullopt;
  }
  case ExprKind::kOr: {
    const auto a = decide(condition.as<Or>()->a);
    const auto b = decide(condition.as<Or>()->b);
    if ((a && *a) || (b && *b))
      return true;
    return a && b ? std::optional(false) : std::nullopt;
  }
  case ExprKind::kNot: {
    const auto a = decide(condition.as<Not>()->a);
    return a ? std::optional(!*a) : std::nullopt;
  }
  default:
    break;
  }
  const auto compare = [&](const Expr& a, const Expr& b) -> std::optional<IndexRange> {
    if (!a->dtype.is_integral() || !a->dtype.is_scalar() || has_load(a) || has_load(b))
      return std::nullopt;
    LinearIndex difference = linear(a);
    difference.add(linear(b), -1);
    return range(difference);
  };
  const auto known = visit(
      condition, [&](const LT& node) { return compare(node.a, node.b); },
      [&](const LE& node) { return compare(node.a, node.b); },
      [&](const GT& node) { return compare(node.a, node.b); },
      [&](const GE& node) { return compare(node.a, node.b); },
      [&](const EQ& node) { return compare(node.a, node.b); },
      [&](const NE& node) { return compare(node.a, node.b); },
      [&](const ExprNode&) -> std::optional<IndexRange> { return std::nullopt; });
  if (!known)
    return std::nullopt;
  // The difference a - b lies in [low, high].
  const auto pick = [](bool yes, bool no) -> std::optional<bool> {
    if (yes)
      return true;
    if (no)
      return false;
    return std::nullopt;
  };
  switch (static_cast<ExprKind>(condition->kind())) {
  case ExprKind::kLT:
    return pick(known->high < 0, known->low >= 0);
  case ExprKind::kLE:
    return pick(known->high <= 0, known->low > 0);
  case ExprKind::kGT:
    return pick(known->low > 0, known->high <= 0);
  case ExprKind::kGE:
    return pick(known->low >= 0, known->high < 0);
  case ExprKind::kEQ:
    return pick(known->low == 0 && known->high == 0, known->low > 0 || known->high < 0);
  case ExprKind::kNE:
    return pick(known->low > 0 || known->high < 0, known->low == 0 && known->high == 0);
  default:
    return std::nullopt;
  }
}

Expr IndexMath::simplify(const Expr& expr) {
  switch (static_cast<ExprKind>(expr->kind())) {
  case ExprKind::kIntImm:
  case ExprKind::kFloatImm:
  case ExprKind::kStringImm:
    return expr;
  case ExprKind::kVarNode:
    return expr->dtype.is_integral() && expr->dtype.is_scalar() ? simplify_index(expr) : expr;
  case ExprKind::kBufferLoad: {
    const BufferLoad& load = *expr.as<BufferLoad>();
    std::vector<Expr> indices;
    indices.reserve(load.indices.size());
    bool changed = false;
    for (const Expr& index : load.indices) {
      indices.push_back(simplify_index(index));
      changed |= indices.back() != index;
    }
    Expr predicate = load.predicate ? simplify(load.predicate) : nullptr;
    changed |= predicate != load.predicate;
    return changed ? make_load(load.buffer, std::move(indices), std::move(predicate)) : expr;
  }
  case ExprKind::kAnd: {
    const And& node = *expr.as<And>();
    const Expr a = simplify(node.a);
    const Expr b = simplify(node.b);
    const Expr result = logical_and(a, b);
    return a == node.a && b == node.b && result->kind() == And::kKind ? expr : result;
  }
  case ExprKind::kOr: {
    const Or& node = *expr.as<Or>();
    const Expr a = simplify(node.a);
    const Expr b = simplify(node.b);
    const Expr result = logical_or(a, b);
    return a == node.a && b == node.b && result->kind() == Or::kKind ? expr : result;
  }
  default:
    break;
  }
  if (expr->dtype == DataType::boolean()) {
    if (const auto value = decide(expr))
      return make_bool(*value);
  }
  if (expr->dtype.is_integral() && expr->dtype.is_scalar() && !has_load(expr))
    return simplify_index(expr);
  if (const auto* call = expr.as<Call>(); call != nullptr && call->op == "if_then_else") {
    const Expr condition = simplify(call->args[0]);
    if (const auto value = as_int(condition))
      return simplify(call->args[*value != 0 ? 1 : 2]);
  }
  if (const auto* select = expr.as<Select>()) {
    const Expr condition = simplify(select->condition);
    if (const auto value = as_int(condition))
      return simplify(*value != 0 ? select->true_value : select->false_value);
  }
  if (const auto* ramp = expr.as<Ramp>()) {
    const Expr base = simplify_index(ramp->base);
    const Expr stride = simplify_index(ramp->stride);
    return base == ramp->base && stride == ramp->stride ? expr
                                                        : make_ramp(base, stride, ramp->lanes());
  }
  return cast_ref<ExprNode>(
      expr->info().map_children(expr.get(), [&](const NodeRef& child, Role role) -> NodeRef {
        if (role == Role::kDefine || child->kind() >= static_cast<Kind>(ExprKind::kEnd))
          return child;
        return simplify(cast_ref<ExprNode>(child));
      }));
}

int64_t index_divisor(const Expr& index) {
  if (const auto* ramp = index.as<Ramp>())
    return index_divisor(ramp->base);
  IndexMath math;
  return math.linear(index).divisor();
}

} // namespace temper::ir
