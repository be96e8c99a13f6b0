/// Generic walks over any layer: visit every node below, rebuild what changed, replace variables
/// and buffers. Nodes that do not change are kept, so "unchanged" is a pointer comparison.
#pragma once

#include "ir/buffer.h"
#include "ir/expr.h"
#include "ir/stmt.h"

#include <unordered_map>

namespace temper::ir {

/// Calls `visit` for `node` and, while it returns true, for its children, in field order.
void walk(const NodeRef& node, FunctionRef<bool(const NodeRef&)> visit);

/// Rebuilds bottom up: `rewrite` gets each node after its children were rewritten, and returns the
/// node that takes its place (the same one to keep it). Definitions are passed to it too.
NodeRef rewrite_post(const NodeRef& node, FunctionRef<NodeRef(const NodeRef&)> rewrite);

/// Rebuilds top down: `rewrite` returns a replacement (which is not entered), or null to go on into
/// the children.
NodeRef rewrite_pre(const NodeRef& node, FunctionRef<NodeRef(const NodeRef&)> rewrite);

template <typename T> Ref<T> cast_ref(const NodeRef& node) {
  return Ref<T>(static_cast<const T*>(node.get()));
}

using VarMap = std::unordered_map<Var, Expr, RefHash>;
using BufferMap = std::unordered_map<Buffer, Buffer, RefHash>;

/// Replaces uses of variables. Does not rename definitions below (each is defined once).
Expr substitute(const Expr& expr, const VarMap& values);
Stmt substitute(const Stmt& stmt, const VarMap& values);
/// Replaces variables and buffers, in uses and definitions alike.
NodeRef replace_buffers(const NodeRef& node, const BufferMap& buffers);

/// True when `expr` mentions a variable for which `which` holds.
bool uses_var(const NodeRef& node, FunctionRef<bool(const VarNode&)> which);
/// True when `node` mentions `var`.
inline bool mentions(const NodeRef& node, const VarNode* var) {
  return uses_var(node, [&](const VarNode& used) { return &used == var; });
}
inline bool mentions(const NodeRef& node, const Var& var) { return mentions(node, var.get()); }

/// A copy of other statements, with a fresh variable or buffer for each that is defined inside:
/// keeps "each statement and definition occurs once" when a fragment is duplicated.
Stmt with_fresh_definitions(const Stmt& stmt);

} // namespace temper::ir
