#include "ir/extents.h"

#include "ir/arith/simplify.h"
#include "ir/support/text.h"
#include "ir/walk.h"

#include <algorithm>

namespace temper::ir {
namespace {

constexpr const char* kExtents = "temper.extents";

Result<void> check_closed(const PrimFunc& function) {
  const std::vector<std::string> open = open_dimensions(function);
  if (open.empty())
    return {};
  std::string words;
  for (const std::string& name : open)
    words += " " + name + "=NUMBER";
  return Error(
      ErrorCode::kInvalidArgument,
      (open.size() == 1 ? "the dimension " : "the dimensions ") + join(open, ", ") +
          (open.size() == 1 ? " is" : " are") +
          " symbolic: the kernel serves every extent, but is checked and timed at one; add" +
          words);
}

VarMap values_of(const PrimFunc& function) {
  VarMap values;
  for (const auto& [name, extent] : extents_of(function))
    for (const Var& var : function->shape_vars)
      if (var->name == name)
        values.emplace(var, make_int(var->dtype, extent));
  return values;
}

/// Arithmetic of numbers alone as the number that it is: grids and extents are constant then.
Stmt with_numbers(const Stmt& stmt) {
  Analyzer math;
  return cast_ref<StmtNode>(rewrite_post(stmt, [&](const NodeRef& node) -> NodeRef {
    if (!ExprNode::accepts(node->kind()))
      return node;
    const Expr expr = cast_ref<ExprNode>(node);
    if (!expr->dtype.is_scalar() || !expr->dtype.is_integral() || expr.is<IntImm>())
      return node;
    bool numbers = true;
    node->info().for_each_child(node.get(), [&](const NodeRef& child, Role) {
      numbers = numbers && child->kind() == IntImm::kKind;
    });
    if (!numbers || expr.is<Call>() || expr.is<BufferLoad>() || expr.is<VarNode>())
      return node;
    const Expr simple = math.simplify(expr);
    return as_int(simple) ? NodeRef(simple) : node;
  }));
}

std::vector<Expr> at(const std::vector<Expr>& list, const VarMap& values) {
  std::vector<Expr> result;
  Analyzer math;
  for (const Expr& one : list)
    result.push_back(math.simplify(substitute(one, values)));
  return result;
}

} // namespace

PrimFunc with_extents(const PrimFunc& function, const Extents& extents) {
  std::vector<Expr> list;
  for (const Var& var : function->shape_vars)
    for (const auto& [name, extent] : extents)
      if (name == var->name)
        list.push_back(make_list({make_string(name), make_int(DataType::int64(), extent)}));
  if (list.empty())
    return function;
  return copy_node(*function, [&](PrimFuncNode& node) {
    node.attrs = node.attrs.with(kExtents, make_list(std::move(list)));
  });
}

Extents extents_of(const PrimFunc& function) {
  Extents extents;
  const Expr list = function->attrs.get(kExtents);
  if (list && list.is<ListImm>())
    for (const Expr& item : list.as<ListImm>()->values)
      if (const auto* one = item.as<ListImm>(); one != nullptr && one->values.size() == 2)
        if (const auto* name = one->values[0].as<StringImm>())
          if (const auto extent = as_int(one->values[1]))
            extents.emplace_back(name->value, *extent);
  return extents;
}

std::vector<std::string> open_dimensions(const PrimFunc& function) {
  const Extents extents = extents_of(function);
  std::vector<std::string> open;
  for (const Var& var : function->shape_vars)
    if (std::none_of(extents.begin(), extents.end(),
                     [&](const auto& entry) { return entry.first == var->name; }))
      open.push_back(var->name);
  return open;
}

Result<PrimFunc> bound_to_extents(const PrimFunc& function, bool keep_parameters) {
  if (function->shape_vars.empty())
    return function;
  TEMPER_TRY_VOID(check_closed(function));
  const VarMap values = values_of(function);
  BufferMap buffers;
  const auto bind = [&](const Buffer& buffer) {
    const auto symbolic = [&](const Expr& expr) {
      return expr && uses_var(expr, [&](const VarNode& var) {
               return values.contains(Ref<VarNode>(&var));
             });
    };
    if (!buffers.contains(buffer) &&
        (std::any_of(buffer->shape.begin(), buffer->shape.end(), symbolic) ||
         std::any_of(buffer->strides.begin(), buffer->strides.end(), symbolic) ||
         symbolic(buffer->elem_offset)))
      buffers.emplace(buffer, copy_node(*buffer, [&](BufferNode& node) {
                        node.shape = at(node.shape, values);
                        node.strides = at(node.strides, values);
                        if (node.elem_offset)
                          node.elem_offset = at({node.elem_offset}, values)[0];
                      }));
  };
  for (const Param& param : function->params)
    if (param.buffer)
      bind(param.buffer);
  walk(function->body, [&](const NodeRef& node) {
    if (node->kind() == BufferNode::kKind)
      bind(cast_ref<BufferNode>(node));
    return true;
  });
  return copy_node(*function, [&](PrimFuncNode& node) {
    node.body = with_numbers(
        substitute(cast_ref<StmtNode>(replace_buffers(function->body, buffers)), values));
    for (Param& param : node.params)
      if (const auto changed = param.buffer ? buffers.find(param.buffer) : buffers.end();
          changed != buffers.end())
        param.buffer = changed->second;
    if (keep_parameters)
      for (const Var& var : function->shape_vars)
        node.params.push_back({nullptr, make_var(var->name, var->dtype)});
    node.shape_vars.clear();
    node.attrs = node.attrs.without(kExtents);
  });
}

Result<std::vector<std::vector<int64_t>>> shapes_at_extents(const PrimFunc& function) {
  TEMPER_TRY_VOID(check_closed(function));
  const VarMap values = values_of(function);
  std::vector<std::vector<int64_t>> shapes;
  for (const Param& param : function->params) {
    shapes.emplace_back();
    if (!param.buffer)
      continue;
    for (const Expr& extent : at(param.buffer->shape, values)) {
      const auto number = as_int(extent);
      if (!number || *number < 0)
        return Error(ErrorCode::kInvalidArgument,
                     "dimension " + std::to_string(shapes.back().size()) + " of " + param.name() +
                         (number ? " is " + std::to_string(*number) + " at these extents"
                                 : " is known neither before the kernel runs nor from its "
                                   "symbolic dimensions"));
      shapes.back().push_back(*number);
    }
  }
  return shapes;
}

} // namespace temper::ir
