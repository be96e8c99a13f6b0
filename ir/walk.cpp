#include "ir/walk.h"

#include "ir/tir/tile.h"

namespace temper::ir {

void walk(const NodeRef& node, FunctionRef<bool(const NodeRef&)> visit) {
  if (!node || !visit(node))
    return;
  node->info().for_each_child(node.get(), [&](const NodeRef& child, Role) { walk(child, visit); });
}

NodeRef rewrite_post(const NodeRef& node, FunctionRef<NodeRef(const NodeRef&)> rewrite) {
  return rewrite(node->info().map_children(
      node.get(), [&](const NodeRef& child, Role) { return rewrite_post(child, rewrite); }));
}

NodeRef rewrite_pre(const NodeRef& node, FunctionRef<NodeRef(const NodeRef&)> rewrite) {
  if (NodeRef replacement = rewrite(node))
    return replacement;
  return node->info().map_children(
      node.get(), [&](const NodeRef& child, Role) { return rewrite_pre(child, rewrite); });
}

namespace {

NodeRef substitute_node(const NodeRef& node, const VarMap& values) {
  return rewrite_pre(node, [&](const NodeRef& child) -> NodeRef {
    if (child->kind() == VarNode::kKind) {
      const auto found = values.find(cast_ref<VarNode>(child));
      return found == values.end() ? child : NodeRef(found->second);
    }
    if (child->kind() == IntImm::kKind || child->kind() == FloatImm::kKind)
      return child;
    return nullptr;
  });
}

/// Index expressions are variables, constants and binary nodes nearly throughout, and schedules
/// substitute in them all the time: those are rebuilt without the detour through their fields.
Expr substitute_expr(const Expr& expr, const VarMap& values) {
  auto binary = [&](const auto& node) -> Expr {
    const Expr a = substitute_expr(node.a, values);
    const Expr b = substitute_expr(node.b, values);
    if (a == node.a && b == node.b)
      return expr;
    return copy_node(node, [&](auto& copy) {
      copy.a = a;
      copy.b = b;
    });
  };
  switch (static_cast<ExprKind>(expr->kind())) {
  case ExprKind::kIntImm:
    return expr;
  case ExprKind::kVarNode: {
    const auto found = values.find(expr.as_ref<VarNode>());
    return found == values.end() ? expr : found->second;
  }
  case ExprKind::kAdd:
    return binary(*expr.as<Add>());
  case ExprKind::kSub:
    return binary(*expr.as<Sub>());
  case ExprKind::kMul:
    return binary(*expr.as<Mul>());
  case ExprKind::kFloorDiv:
    return binary(*expr.as<FloorDiv>());
  case ExprKind::kFloorMod:
    return binary(*expr.as<FloorMod>());
  case ExprKind::kLT:
    return binary(*expr.as<LT>());
  case ExprKind::kAnd:
    return binary(*expr.as<And>());
  default:
    return cast_ref<ExprNode>(substitute_node(expr, values));
  }
}

} // namespace

Expr substitute(const Expr& expr, const VarMap& values) {
  return values.empty() ? expr : substitute_expr(expr, values);
}

Stmt substitute(const Stmt& stmt, const VarMap& values) {
  return values.empty() ? stmt : cast_ref<StmtNode>(substitute_node(stmt, values));
}

NodeRef replace_buffers(const NodeRef& node, const BufferMap& buffers) {
  if (buffers.empty())
    return node;
  return rewrite_pre(node, [&](const NodeRef& child) -> NodeRef {
    if (child->kind() == BufferNode::kKind) {
      const auto found = buffers.find(cast_ref<BufferNode>(child));
      return found == buffers.end() ? child : NodeRef(found->second);
    }
    if (child->kind() == VarNode::kKind)
      return child;
    return nullptr;
  });
}

bool uses_var(const NodeRef& node, FunctionRef<bool(const VarNode&)> which) {
  if (!node)
    return false;
  auto binary = [&](const auto& both) {
    return uses_var(both.a, which) || uses_var(both.b, which);
  };
  // As substitute_expr: index expressions without the detour through their fields.
  switch (node->kind()) {
  case IntImm::kKind:
    return false;
  case VarNode::kKind:
    return which(static_cast<const VarNode&>(*node));
  case Add::kKind:
    return binary(static_cast<const Add&>(*node));
  case Sub::kKind:
    return binary(static_cast<const Sub&>(*node));
  case Mul::kKind:
    return binary(static_cast<const Mul&>(*node));
  case FloorDiv::kKind:
    return binary(static_cast<const FloorDiv&>(*node));
  case FloorMod::kKind:
    return binary(static_cast<const FloorMod&>(*node));
  default:
    break;
  }
  bool found = false;
  node->info().for_each_child(
      node.get(), [&](const NodeRef& child, Role) { found = found || uses_var(child, which); });
  return found;
}

namespace {

/// The same statement as another node. (Blocks change by their axes, which are fresh.)
NodeRef another(const NodeRef& node) {
  if (!StmtNode::accepts(node->kind()) || node->kind() >= kSTirKinds)
    return node;
  if (const auto* launch = node.as<tir::KernelLaunch>())
    return copy_node(*launch, [](auto&) {});
  if (const auto* call = node.as<tir::TileCall>())
    return copy_node(*call, [](auto&) {});
  return tir::visit(cast_ref<StmtNode>(node), [](const auto& statement) -> NodeRef {
    return copy_node(statement, [](auto&) {});
  });
}

} // namespace

Stmt with_fresh_definitions(const Stmt& stmt) {
  std::unordered_map<NodeRef, NodeRef, RefHash> fresh;
  auto map = [&](auto&& self, const NodeRef& node, Role role) -> NodeRef {
    if (node->kind() == VarNode::kKind || node->kind() == BufferNode::kKind) {
      if (const auto found = fresh.find(node); found != fresh.end())
        return found->second;
      if (role != Role::kDefine)
        return node;
      NodeRef copy;
      if (node->kind() == VarNode::kKind) {
        copy = copy_node(*cast_ref<VarNode>(node), [](VarNode&) {});
      } else {
        // A buffer's shape may mention variables that were just renewed.
        const NodeRef mapped = node->info().map_children(
            node.get(), [&](const NodeRef& child, Role r) { return self(self, child, r); });
        copy = copy_node(*cast_ref<BufferNode>(mapped), [](BufferNode&) {});
      }
      fresh.emplace(node, copy);
      return copy;
    }
    NodeRef mapped = node->info().map_children(
        node.get(), [&](const NodeRef& child, Role r) { return self(self, child, r); });
    return mapped == node ? another(node) : mapped;
  };
  return cast_ref<StmtNode>(map(map, stmt, Role::kChild));
}

} // namespace temper::ir
