/// Small helpers that the rule files of the simplifier share. Private to ir/arith.
#pragma once

#include "ir/arith/linear.h"

namespace temper::ir::rules {

/// The value of an integer or bool constant, or of a broadcast of one.
inline std::optional<int64_t> constant_of(const Expr& expr) {
  if (const auto* broadcast = expr.as<Broadcast>())
    return as_int(broadcast->value);
  return as_int(expr);
}

/// Applies `step` to each; fills `result` and returns true only when one changed.
template <typename Step>
bool step_list(const std::vector<Expr>& exprs, std::vector<Expr>& result, Step&& step) {
  bool changed = false;
  for (size_t i = 0; i < exprs.size(); ++i) {
    Expr simple = step(exprs[i]);
    if (!changed && simple != exprs[i]) {
      changed = true;
      result.assign(exprs.begin(), exprs.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (changed)
      result.push_back(std::move(simple));
  }
  return changed;
}

/// Calls `function.template operator()<T>(node)` with the binary operation's struct; returns the
/// result of `otherwise()` for any other node.
template <typename F, typename G>
auto with_binary(const Expr& expr, F&& function, G&& otherwise) -> decltype(otherwise()) {
  switch (static_cast<ExprKind>(expr->kind())) {
#define TEMPER_CASE(name)                                                                          \
  case ExprKind::k##name:                                                                          \
    return function.template operator()<name>(static_cast<const name&>(*expr));
    TEMPER_CASE(Add)
    TEMPER_CASE(Sub)
    TEMPER_CASE(Mul)
    TEMPER_CASE(Div)
    TEMPER_CASE(Mod)
    TEMPER_CASE(FloorDiv)
    TEMPER_CASE(FloorMod)
    TEMPER_CASE(Min)
    TEMPER_CASE(Max)
    TEMPER_CASE(EQ)
    TEMPER_CASE(NE)
    TEMPER_CASE(LT)
    TEMPER_CASE(LE)
    TEMPER_CASE(GT)
    TEMPER_CASE(GE)
    TEMPER_CASE(And)
    TEMPER_CASE(Or)
#undef TEMPER_CASE
  default:
    return otherwise();
  }
}

} // namespace temper::ir::rules
