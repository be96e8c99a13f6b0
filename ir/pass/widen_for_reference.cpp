// The program that references are computed with: every floating value is a float64.
//
// Intermediate buffers, outputs and floating variables are widened; parameters that are only read
// (and scalar parameters) keep their type and are cast where they are read, so a reference takes
// the very inputs a candidate takes. Constants of float32 are rounded first: a candidate sees the
// rounded ones, and a cast to fewer bits inside of one to more stays: it rounds on purpose.
// Integers, comparisons and structure stay, so that blocks and schedules carry over.
#include "ir/narrow.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"

#include <unordered_set>

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

class Widening {
public:
  explicit Widening(const PrimFunc& function) {
    const std::vector<bool> written = written_parameters(function);
    for (size_t i = 0; i < function->params.size(); ++i) {
      const Param& param = function->params[i];
      if (param.buffer && !written[i])
        kept_.insert(param.buffer.get());
      if (param.var)
        kept_.insert(param.var.get());
    }
  }

  Buffer buffer(const Buffer& old) {
    if (!widens(old->dtype) || kept_.contains(old.get()))
      return old;
    auto [place, is_new] = buffers_.try_emplace(old, nullptr);
    if (is_new)
      place->second = copy_node(*old, [](BufferNode& node) { node.dtype = wide(node.dtype); });
    return place->second;
  }

  NodeRef rewrite(const NodeRef& node) {
    if (node->kind() == BufferNode::kKind)
      return buffer(cast_ref<BufferNode>(node));
    if (ExprNode::accepts(node->kind()))
      return rewrite(cast_ref<ExprNode>(node));
    return node->info().map_children(node.get(), [&](const NodeRef& child, Role role) -> NodeRef {
      // A definition of a variable: the variable itself, not a use of it.
      if (role == Role::kDefine && child->kind() == VarNode::kKind)
        return variable(cast_ref<VarNode>(child));
      return rewrite(child);
    });
  }

private:
  static DataType wide(DataType type) {
    return widens(type) ? DataType::float64().with_lanes(type.lanes) : type;
  }
  /// A cast to a narrower type on the way to a wider one, `then`: it is there to round.
  static bool rounds(const Expr& value, DataType then) {
    const auto* cast = value.as<Cast>();
    return cast != nullptr && widens(cast->dtype) && then.is_floating() &&
           cast->value->dtype.is_floating() && cast->dtype.bits < cast->value->dtype.bits &&
           cast->dtype.bits < then.bits;
  }
  /// What is rounded to eight bits is meant to be.
  static bool widens(DataType type) { return type.is_floating() && !is_float8(type); }

  Var variable(const Var& old) {
    if (!widens(old->dtype) || kept_.contains(old.get()))
      return old;
    auto [place, is_new] = variables_.try_emplace(old, nullptr);
    if (is_new)
      place->second = make_var(old->name, wide(old->dtype));
    return place->second;
  }

  static Expr widened(const Expr& expr) {
    return expr->dtype == wide(expr->dtype) ? expr : make_cast(wide(expr->dtype), expr);
  }

  Expr rewrite(const Expr& expr) {
    if (const auto* imm = expr.as<FloatImm>()) {
      if (is_float8(imm->dtype))
        return expr;
      const double value =
          imm->dtype.bits == 32 ? static_cast<double>(static_cast<float>(imm->value)) : imm->value;
      return make_float(DataType::float64(), value);
    }
    if (expr->kind() == VarNode::kKind)
      return widened(variable(expr.as_ref<VarNode>()));
    if (const auto* load = expr.as<BufferLoad>()) {
      std::vector<Expr> indices;
      for (const Expr& index : load->indices)
        indices.push_back(rewrite(index));
      return widened(make_load(buffer(load->buffer), std::move(indices),
                               load->predicate ? rewrite(load->predicate) : nullptr));
    }
    if (const auto* cast = expr.as<Cast>()) {
      const DataType to = wide(cast->dtype);
      if (rounds(cast->value, cast->dtype)) {
        const auto* narrow = cast->value.as<Cast>();
        return make_cast(to, make_cast(narrow->dtype, rewrite(narrow->value)));
      }
      const Expr value = rewrite(cast->value);
      return value->dtype == to ? value : make_cast(to, value);
    }
    if (const auto* call = expr.as<Call>(); call != nullptr && call->op == "prefetch") {
      // Its first argument is an address: the load itself, not its value.
      std::vector<Expr> args;
      for (const Expr& arg : call->args) {
        const Expr value = rewrite(arg);
        args.push_back(arg->kind() == BufferLoad::kKind && value->kind() == Cast::kKind
                           ? value.as<Cast>()->value
                           : value);
      }
      return make_call(call->dtype, call->op, std::move(args));
    }
    if (const auto* call = expr.as<Call>();
        call != nullptr && (call->op == "reinterpret" || call->op == "call_extern")) {
      // Bits and foreign functions mean the type they were written for.
      std::vector<Expr> args;
      for (const Expr& arg : call->args) {
        const Expr value = rewrite(arg);
        args.push_back(value->dtype == arg->dtype ? value : make_cast(arg->dtype, value));
      }
      return widened(make_call(call->dtype, call->op, std::move(args)));
    }
    const Expr mapped = cast_ref<ExprNode>(
        expr->info().map_children(expr.get(), [&](const NodeRef& child, Role role) -> NodeRef {
          if (role == Role::kDefine && child->kind() == VarNode::kKind)
            return variable(cast_ref<VarNode>(child));
          return rewrite(child);
        }));
    if (mapped->dtype == wide(mapped->dtype))
      return mapped;
    return visit(mapped, [&](const auto& node) -> Expr {
      return copy_node(node, [](auto& copy) { copy.dtype = wide(copy.dtype); });
    });
  }

  std::unordered_set<const Node*> kept_;
  std::unordered_map<Buffer, Buffer, RefHash> buffers_;
  std::unordered_map<Var, Var, RefHash> variables_;
};

} // namespace

PrimFunc widen_for_reference(const PrimFunc& function) {
  Widening widening(function);
  const Stmt body = cast_ref<StmtNode>(widening.rewrite(function->body));
  return copy_node(*function, [&](PrimFuncNode& node) {
    for (Param& param : node.params)
      if (param.buffer)
        param.buffer = widening.buffer(param.buffer);
    node.body = body;
  });
}

} // namespace temper::ir
