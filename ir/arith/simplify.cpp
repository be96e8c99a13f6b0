// The entry points and what is common to all types. Rules by type lie in rules_*.cpp: index
// arithmetic (linear forms, division), comparisons and conditions, vectors, and the few exact folds
// of wrapping integers and floats.
#include "ir/arith/simplify.h"

#include "ir/arith/rules.h"
#include "ir/walk.h"

namespace temper::ir {

void Analyzer::bind(const Var& var, IntInterval interval) { vars_.bind(var, interval); }

void Analyzer::bind(const Var& var, const Range& range) {
  const auto min = as_int(range.min);
  const auto extent = as_int(range.extent);
  if (min && extent) {
    vars_.bind(var, IntInterval::range(*min, *extent));
    return;
  }
  LinearForm first = linear(range.min);
  LinearForm last = linear(range.extent);
  last.add(first);
  last.add_constant(-1);
  vars_.bind(var, {bounds(first).low, bounds(last).high});
  // var - min >= 0 and min + extent - 1 - var >= 0.
  if (!first.is_constant() && !first.overflow) {
    LinearForm fact;
    fact.dtype = var->dtype;
    fact.add_term(var, 1);
    fact.add(first, -1);
    facts_.push_back(std::move(fact));
  }
  if (!last.is_constant() && !last.overflow) {
    last.add_term(var, -1);
    facts_.push_back(std::move(last));
  }
}

void Analyzer::rewind(Mark mark) {
  vars_.truncate(mark.vars);
  facts_.erase(facts_.begin() + static_cast<std::ptrdiff_t>(mark.facts), facts_.end());
}

Expr Analyzer::simplify(const Expr& expr) {
  // One step reaches the canonical form nearly always; a rule that opens the way for another one
  // takes a second. The last step confirms.
  constexpr int kMaxSteps = 6;
  Expr current = expr;
  for (int i = 0; i < kMaxSteps; ++i) {
    Expr next = step(current);
    if (next == current)
      break;
    current = std::move(next);
  }
  return current != expr && same_expr(current, expr) ? expr : current;
}

bool Analyzer::simplify(std::vector<Expr>& exprs) {
  bool changed = false;
  for (Expr& expr : exprs) {
    Expr simple = simplify(expr);
    if (simple != expr) {
      expr = std::move(simple);
      changed = true;
    }
  }
  return changed;
}

Expr Analyzer::step(const Expr& expr) {
  switch (static_cast<ExprKind>(expr->kind())) {
  case ExprKind::kVarNode:
  case ExprKind::kIntImm:
  case ExprKind::kFloatImm:
  case ExprKind::kStringImm:
    return expr;
  default:
    break;
  }
  // A tree deeper than this is left alone rather than overflowing the stack.
  constexpr int kMaxDepth = 400;
  if (depth_ >= kMaxDepth)
    return expr;
  ++depth_;
  Expr result;
  const DataType dtype = expr->dtype;
  if (!dtype.is_scalar())
    result = step_vector(expr);
  else if (is_index_type(dtype))
    result = step_index(expr);
  else if (dtype.is_bool())
    result = step_bool(expr);
  else if (dtype.is_floating())
    result = step_float(expr);
  else if (dtype.is_integral())
    result = step_narrow(expr);
  else
    result = step_common(expr);
  --depth_;
  return result;
}

namespace {

/// The cast of a constant as it would be computed; null where the result is not plain.
Expr fold_cast(DataType to, const Expr& value) {
  if (const auto* imm = value.as<IntImm>()) {
    if (to.is_integral() || to.is_bool())
      return make_int(to, imm->value);
    if (imm->dtype.is_uint() && imm->dtype.bits == 64)
      return nullptr;
    if (to == DataType::float32())
      return make_float(to, static_cast<float>(imm->value));
    if (to == DataType::float64())
      return make_float(to, static_cast<double>(imm->value));
    return nullptr;
  }
  const auto* imm = value.as<FloatImm>();
  if (imm == nullptr)
    return nullptr;
  if (to == DataType::float64() || (to == DataType::float32() && imm->dtype != DataType::float64()))
    return make_float(to, imm->value);
  if (to == DataType::float32())
    return make_float(to, static_cast<float>(imm->value));
  if (is_index_type(to) && imm->value > -0x1p31 && imm->value < 0x1p31)
    return make_int(to, static_cast<int64_t>(imm->value));
  return nullptr;
}

} // namespace

Expr Analyzer::step_common(const Expr& expr) {
  switch (static_cast<ExprKind>(expr->kind())) {
  case ExprKind::kCast: {
    const auto& cast = static_cast<const Cast&>(*expr);
    const Expr value = step(cast.value);
    if (value->dtype == cast.dtype)
      return value;
    if (Expr folded = fold_cast(cast.dtype, value))
      return folded;
    // Widening and back again.
    if (const auto* inner = value.as<Cast>();
        inner != nullptr && inner->value->dtype == cast.dtype && inner->dtype.is_int() &&
        cast.dtype.is_int() && inner->dtype.bits >= cast.dtype.bits)
      return inner->value;
    if (const auto* broadcast = value.as<Broadcast>())
      return make_broadcast(step(make_cast(cast.dtype.element(), broadcast->value)),
                            cast.dtype.lanes);
    if (const auto* ramp = value.as<Ramp>();
        ramp != nullptr && is_index_type(cast.dtype.element()) && is_index_type(ramp->base->dtype))
      return make_ramp(step(make_cast(cast.dtype.element(), ramp->base)),
                       step(make_cast(cast.dtype.element(), ramp->stride)), ramp->lanes());
    return value == cast.value ? expr : make_cast(cast.dtype, value);
  }
  case ExprKind::kSelect: {
    const auto& select = static_cast<const Select&>(*expr);
    const Expr condition = step(select.condition);
    if (const auto known = rules::constant_of(condition))
      return step(*known != 0 ? select.true_value : select.false_value);
    // Both sides are evaluated whatever the condition is, so it teaches nothing about them.
    const Expr a = step(select.true_value);
    const Expr b = step(select.false_value);
    if (same_expr(a, b))
      return a;
    if (condition == select.condition && a == select.true_value && b == select.false_value)
      return expr;
    return make_select(condition, a, b);
  }
  case ExprKind::kCall: {
    const auto& call = static_cast<const Call&>(*expr);
    if (call.op == "if_then_else") {
      const Expr condition = step(call.args[0]);
      if (const auto known = rules::constant_of(condition))
        return step(call.args[*known != 0 ? 1 : 2]);
      Expr a;
      Expr b;
      {
        Scope scope(*this);
        assume(condition);
        a = step(call.args[1]);
      }
      {
        Scope scope(*this);
        assume(make_not(condition));
        b = step(call.args[2]);
      }
      if (same_expr(a, b))
        return a;
      if (condition == call.args[0] && a == call.args[1] && b == call.args[2])
        return expr;
      return make_call(call.dtype, call.op, {condition, a, b});
    }
    std::vector<Expr> args;
    if (!rules::step_list(call.args, args, [&](const Expr& arg) { return step(arg); }))
      return call.op == "likely" && rules::constant_of(call.args[0]) ? call.args[0] : expr;
    if (call.op == "likely" && rules::constant_of(args[0]))
      return args[0];
    return copy_node(call, [&](Call& node) { node.args = std::move(args); });
  }
  case ExprKind::kBufferLoad: {
    const auto& load = static_cast<const BufferLoad&>(*expr);
    Expr predicate = load.predicate ? step(load.predicate) : nullptr;
    if (predicate && rules::constant_of(predicate) == 1)
      predicate = nullptr;
    std::vector<Expr> indices;
    const bool changed =
        rules::step_list(load.indices, indices, [&](const Expr& index) { return step(index); });
    if (!changed && predicate == load.predicate)
      return expr;
    // A vector of equal indices stays a vector access: the type of the load hangs on it.
    return copy_node(load, [&](BufferLoad& node) {
      if (changed)
        node.indices = std::move(indices);
      node.predicate = std::move(predicate);
    });
  }
  case ExprKind::kLet: {
    const auto& let = static_cast<const Let&>(*expr);
    const Expr value = step(let.value);
    if (value.is<IntImm>() || value.is<FloatImm>() || value.is<VarNode>())
      return step(substitute(let.body, {{let.var, value}}));
    Scope scope(*this);
    if (is_index_type(value->dtype) || value->dtype.is_bool())
      bind(let.var, bounds_of(value, vars_));
    const Expr body = step(let.body);
    if (!mentions(body, let.var))
      return body;
    return value == let.value && body == let.body ? expr : make_let(let.var, value, body);
  }
  default:
    return step_children(expr);
  }
}

Expr Analyzer::step_children(const Expr& expr) {
  return cast_ref<ExprNode>(
      expr->info().map_children(expr.get(), [&](const NodeRef& child, Role role) -> NodeRef {
        return role == Role::kChild && ExprNode::accepts(child->kind())
                   ? NodeRef(step(cast_ref<ExprNode>(child)))
                   : child;
      }));
}

bool Analyzer::can_prove(const Expr& condition) { return is_int(simplify(condition), 1); }

bool Analyzer::can_prove_equal(const Expr& a, const Expr& b) {
  if (same_expr(a, b))
    return true;
  if (a->dtype != b->dtype)
    return false;
  if (!is_index_type(a->dtype))
    return same_expr(simplify(a), simplify(b));
  const auto difference = constant_difference(a, b);
  return difference && *difference == 0;
}

bool Analyzer::can_prove_less(const Expr& a, const Expr& b) {
  if (!is_index_type(a->dtype) || a->dtype != b->dtype)
    return a->dtype == b->dtype && can_prove(make_binary<LT>(a, b));
  LinearForm difference = linear(b);
  accumulate(difference, a, -1);
  difference.add_constant(-1);
  return is_non_negative(difference);
}

bool Analyzer::can_prove_less_equal(const Expr& a, const Expr& b) {
  if (!is_index_type(a->dtype) || a->dtype != b->dtype)
    return a->dtype == b->dtype && can_prove(make_binary<LE>(a, b));
  LinearForm difference = linear(b);
  accumulate(difference, a, -1);
  return is_non_negative(difference);
}

std::optional<int64_t> Analyzer::constant_difference(const Expr& a, const Expr& b) {
  if (!is_index_type(a->dtype) || a->dtype != b->dtype)
    return std::nullopt;
  LinearForm difference = linear(a);
  accumulate(difference, b, -1);
  if (difference.is_constant())
    return difference.constant;
  const IntInterval interval = bounds(difference);
  return interval.is_point() ? std::optional(interval.low) : std::nullopt;
}

IntInterval Analyzer::bounds(const Expr& expr) {
  if (!is_index_type(expr->dtype))
    return bounds_of(expr, vars_);
  return meet(bounds(linear(expr)), bounds_of(expr, vars_));
}

Expr simplify(const Expr& expr) { return Analyzer().simplify(expr); }

} // namespace temper::ir
