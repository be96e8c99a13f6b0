// Loop variables and index arithmetic in 64 bits.
//
// Text has int32 loop variables. Addresses have 64 bits, and a sign extension inside every address
// hides from LLVM that consecutive iterations access consecutive memory, so each int32 loop
// variable is replaced by an int64 one. Where it is used as a value (not in an index, a bound or a
// comparison) a cast brings it back, so that wrapping arithmetic on data is what it was.
#include "ir/op.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

class IndexWidening {
public:
  Stmt rewrite(const Stmt& stmt) {
    if (const auto* loop = stmt.as<For>()) {
      Var var = loop->loop_var;
      if (var->dtype == DataType::int32()) {
        var = make_var(var->name, DataType::int64());
        wide_.emplace(loop->loop_var, var);
      }
      const Expr min = wide(loop->min);
      const Expr extent = wide(loop->extent);
      const Stmt body = rewrite(loop->body);
      return change_loop(*loop, [&](For& node) {
        node.loop_var = var;
        node.min = min;
        node.extent = extent;
        node.body = body;
      });
    }
    if (const auto* store = stmt.as<BufferStore>())
      return make_store(store->buffer, wide(store->indices), value(store->value),
                        store->predicate ? value(store->predicate) : nullptr);
    return rebuild(
        stmt, [&](const Stmt& child) { return rewrite(child); },
        [&](const Expr& expr) { return value(expr); });
  }

private:
  std::vector<Expr> wide(const std::vector<Expr>& indices) {
    std::vector<Expr> result;
    result.reserve(indices.size());
    for (const Expr& index : indices)
      result.push_back(wide(index));
    return result;
  }

  /// An index expression in int64.
  Expr wide(const Expr& expr) {
    const DataType type = expr->dtype;
    if (!type.is_integral() || type.bits > 32)
      return value(expr);
    const DataType to = DataType::int64().with_lanes(type.lanes);
    if (const auto* imm = expr.as<IntImm>())
      return make_int(to, imm->value);
    if (type.is_int() && type.bits == 32) {
      if (const auto* var = expr.as<VarNode>()) {
        const auto found = wide_.find(Ref<VarNode>(var));
        return found != wide_.end() ? found->second : make_cast(to, expr);
      }
      const auto both = [&](const auto& node) {
        return Expr(make_binary<std::decay_t<decltype(node)>>(wide(node.a), wide(node.b)));
      };
      if (const auto* node = expr.as<Add>())
        return both(*node);
      if (const auto* node = expr.as<Sub>())
        return both(*node);
      if (const auto* node = expr.as<Mul>())
        return both(*node);
      if (const auto* node = expr.as<Div>())
        return both(*node);
      if (const auto* node = expr.as<Mod>())
        return both(*node);
      if (const auto* node = expr.as<FloorDiv>())
        return both(*node);
      if (const auto* node = expr.as<FloorMod>())
        return both(*node);
      if (const auto* node = expr.as<Min>())
        return both(*node);
      if (const auto* node = expr.as<Max>())
        return both(*node);
      if (const auto* node = expr.as<Select>())
        return make_select(value(node->condition), wide(node->true_value), wide(node->false_value));
      if (const auto* node = expr.as<Call>(); node != nullptr && node->op == "if_then_else")
        return if_then_else(value(node->args[0]), wide(node->args[1]), wide(node->args[2]));
      if (const auto* node = expr.as<Ramp>())
        return make_ramp(wide(node->base), wide(node->stride), node->lanes());
      if (const auto* node = expr.as<Broadcast>())
        return make_broadcast(wide(node->value), node->lanes());
      if (const auto* node = expr.as<Cast>();
          node != nullptr && node->value->dtype.is_integral() && node->value->dtype.bits <= 32)
        return wide(node->value);
    }
    return make_cast(to, value(expr));
  }

  /// An expression whose type must not change.
  Expr value(const Expr& expr) {
    if (const auto* var = expr.as<VarNode>()) {
      const auto found = wide_.find(Ref<VarNode>(var));
      return found != wide_.end() ? make_cast(var->dtype, found->second) : expr;
    }
    if (const auto* load = expr.as<BufferLoad>())
      return make_load(load->buffer, wide(load->indices),
                       load->predicate ? value(load->predicate) : nullptr);
    // Comparisons of pure index arithmetic are compared as indices.
    const auto compare = [&](const auto& node) -> Expr {
      using T = std::decay_t<decltype(node)>;
      const DataType type = node.a->dtype;
      if (type.is_int() && type.bits == 32 && is_index(node.a) && is_index(node.b))
        return make_binary<T>(wide(node.a), wide(node.b));
      return make_binary<T>(value(node.a), value(node.b));
    };
    if (const auto* node = expr.as<LT>())
      return compare(*node);
    if (const auto* node = expr.as<LE>())
      return compare(*node);
    if (const auto* node = expr.as<GT>())
      return compare(*node);
    if (const auto* node = expr.as<GE>())
      return compare(*node);
    if (const auto* node = expr.as<EQ>())
      return compare(*node);
    if (const auto* node = expr.as<NE>())
      return compare(*node);
    if (const auto* cast = expr.as<Cast>(); cast != nullptr && cast->dtype == DataType::int64())
      if (is_index(cast->value))
        return wide(cast->value);
    return map_parts(
        expr, [](const Stmt& stmt) { return stmt; },
        [&](const Expr& child) { return value(child); });
  }

  /// Arithmetic on loop variables and constants only.
  bool is_index(const Expr& expr) const {
    bool result = true;
    walk(expr, [&](const NodeRef& node) {
      if (const auto* var = node.as<VarNode>())
        result &= wide_.contains(Ref<VarNode>(var)) || var->dtype == DataType::int64();
      else if (node->kind() == BufferLoad::kKind || node->kind() == Call::kKind ||
               (ExprNode::accepts(node->kind()) && !cast_ref<ExprNode>(node)->dtype.is_integral()))
        result = false;
      return result;
    });
    return result;
  }

  std::unordered_map<Var, Var, RefHash> wide_;
};

} // namespace

PrimFunc widen_indices(const PrimFunc& function) {
  return with_body(function, IndexWidening().rewrite(function->body));
}

} // namespace temper::ir
