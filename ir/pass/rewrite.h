/// Small helpers that lowering passes share: rebuilding a statement from its parts.
#pragma once

#include "ir/function.h"
#include "ir/support/result.h"
#include "ir/tir/stmt.h"
#include "ir/walk.h"

namespace temper::ir {

/// `node` with each statement and each expression directly below it mapped (buffers and definitions
/// are kept); the same node when nothing changed. A null from `on_stmt` is an empty statement.
template <typename T, typename S, typename E>
Ref<T> map_parts(const Ref<T>& node, S&& on_stmt, E&& on_expr) {
  return cast_ref<T>(
      node->info().map_children(node.get(), [&](const NodeRef& child, Role role) -> NodeRef {
        if (role == Role::kDefine)
          return child;
        if (ExprNode::accepts(child->kind()))
          return on_expr(cast_ref<ExprNode>(child));
        if (StmtNode::accepts(child->kind())) {
          const Stmt mapped = on_stmt(cast_ref<StmtNode>(child));
          return mapped ? NodeRef(mapped) : NodeRef(tir::make_seq({}));
        }
        return child;
      }));
}

/// `body` with what `make` makes in place of each outermost statement for which `which` holds; its
/// first error, if it has one.
inline Result<Stmt> replace_where(const Stmt& body, FunctionRef<bool(const Stmt&)> which,
                                  FunctionRef<Result<Stmt>(const Stmt&)> make) {
  Result<void> status;
  Stmt result = cast_ref<StmtNode>(rewrite_pre(body, [&](const NodeRef& node) -> NodeRef {
    if (!StmtNode::accepts(node->kind()) || !which(cast_ref<StmtNode>(node)))
      return nullptr;
    auto made = make(cast_ref<StmtNode>(node));
    if (made)
      return *made;
    if (status)
      status = std::move(made).error();
    return node;
  }));
  TEMPER_TRY_VOID(status);
  return result;
}

/// An empty sequence: nothing to do.
inline bool is_nothing(const Stmt& stmt) {
  if (!stmt)
    return true;
  const auto* seq = stmt.as<tir::SeqStmt>();
  return seq != nullptr && seq->statements.empty();
}

/// `stmt` rebuilt with SeqStmt's rules restored (flat, never of one statement), empty loops and
/// branches removed. `on_stmt` maps each child statement, `on_expr` each expression.
template <typename S, typename E> Stmt rebuild(const Stmt& stmt, S&& on_stmt, E&& on_expr) {
  if (const auto* seq = stmt.as<tir::SeqStmt>()) {
    std::vector<Stmt> statements;
    statements.reserve(seq->statements.size());
    bool changed = false;
    for (const Stmt& child : seq->statements) {
      Stmt mapped = on_stmt(child);
      changed |= mapped != child;
      if (!is_nothing(mapped))
        statements.push_back(std::move(mapped));
    }
    return changed ? tir::make_seq(std::move(statements)) : stmt;
  }
  const Stmt result = map_parts(stmt, on_stmt, on_expr);
  if (const auto* loop = result.as<tir::For>(); loop != nullptr && is_nothing(loop->body))
    return tir::make_seq({});
  if (const auto* branch = result.as<tir::IfThenElse>()) {
    if (is_nothing(branch->then_case)) {
      if (is_nothing(branch->else_case))
        return tir::make_seq({});
      return tir::make_if(logical_not(branch->condition), branch->else_case);
    }
    if (branch->else_case && is_nothing(branch->else_case))
      return tir::make_if(branch->condition, branch->then_case);
  }
  return result;
}

/// A loop like `loop` with some parts changed.
template <typename F> Ref<tir::For> change_loop(const tir::For& loop, F&& change) {
  return copy_node(loop, std::forward<F>(change));
}

/// The mask of a vector of `lanes` lanes, the first `used` of which are active; lane numbers are
/// compared as `type`.
inline Expr first_lanes(DataType type, int lanes, int used) {
  return make_binary<LT>(make_ramp(make_int(type, 0), make_int(type, 1), lanes),
                         make_broadcast(make_int(type, used), lanes));
}

/// The conjuncts of a condition: a and (b and c) = {a, b, c}.
inline void split_conjunction(const Expr& condition, std::vector<Expr>& parts) {
  if (const auto* both = condition.as<And>()) {
    split_conjunction(both->a, parts);
    split_conjunction(both->b, parts);
  } else if (!is_int(condition, 1)) {
    parts.push_back(condition);
  }
}
inline Expr join_conjunction(const std::vector<Expr>& parts) {
  Expr result = make_bool(true);
  for (const Expr& part : parts)
    result = logical_and(result, part);
  return result;
}

/// The opposite of a condition, comparisons turned round (of indices; NaN makes floats different).
inline Expr negate(const Expr& condition) {
  const auto is_index = [](const Expr& a) { return !a->dtype.is_floating(); };
  if (const auto* node = condition.as<LT>(); node != nullptr && is_index(node->a))
    return make_binary<GE>(node->a, node->b);
  if (const auto* node = condition.as<LE>(); node != nullptr && is_index(node->a))
    return make_binary<GT>(node->a, node->b);
  if (const auto* node = condition.as<GT>(); node != nullptr && is_index(node->a))
    return make_binary<LE>(node->a, node->b);
  if (const auto* node = condition.as<GE>(); node != nullptr && is_index(node->a))
    return make_binary<LT>(node->a, node->b);
  return logical_not(condition);
}

} // namespace temper::ir
