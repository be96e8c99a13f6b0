#include "ir/s_tir/tensor_expressions.h"

#include "ir/limits.h"
#include "ir/op.h"
#include "ir/s_tir/analysis.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir::te {
namespace {

Error wrong(std::string what) { return Error(ErrorCode::kInvalidArgument, std::move(what)); }

/// Calls `visit` for each buffer that the expression loads, in order of appearance.
void for_each_load(const Expr& expr, FunctionRef<void(const Buffer&)> visit) {
  if (expr)
    walk(expr, [&](const NodeRef& node) {
      if (const auto* load = node.as<BufferLoad>())
        visit(load->buffer);
      return true;
    });
}

} // namespace

Reducer sum() {
  return {[](const Expr& a, const Expr& b) { return a + b; },
          [](DataType dtype) { return make_const(dtype, 0); }};
}
Reducer max() {
  return {[](const Expr& a, const Expr& b) { return make_binary<Max>(a, b); }, lowest_value};
}
Reducer min() {
  return {[](const Expr& a, const Expr& b) { return make_binary<Min>(a, b); }, largest_value};
}

Buffer Graph::placeholder(const std::string& name, std::vector<Expr> shape, DataType dtype) {
  const Buffer buffer = make_buffer(name, dtype, std::move(shape));
  placeholders_.emplace(buffer, true);
  return buffer;
}

Var Graph::reduce_axis(const std::string& name, Range domain) {
  const Var var = make_var(name, domain.extent->dtype);
  domains_.emplace(var, std::move(domain));
  return var;
}

Result<Expr> Graph::reduce(const Reducer& reducer, const Expr& value, std::vector<Var> axes,
                           const Expr& condition) {
  for (const Var& axis : axes)
    if (!is_reduce_axis(axis))
      return wrong(
          fmt::format("{} is no axis of a reduction: te.reduce_axis makes one", axis->name));
  if (axes.empty())
    return wrong("a reduction needs an axis");
  if (value->dtype.lanes != 1 || !(value->dtype.is_integral() || value->dtype.is_floating()))
    return wrong(fmt::format("a reduction is over numbers, not over {}", to_string(value->dtype)));
  const Var stands = make_var("reduction", value->dtype);
  reductions_.emplace(stands, Reduction{reducer, value, std::move(axes), condition});
  return Expr(stands);
}

Result<Buffer> Graph::compute(const std::string& name, std::vector<Expr> shape,
                              std::vector<Var> axes, const Expr& value, Annotations annotations) {
  if (axes.size() != shape.size())
    return wrong(fmt::format("{} has {} dimensions and a formula of {} indices", name, shape.size(),
                             axes.size()));
  Stage stage{std::move(axes), value, nullptr, std::move(annotations)};
  const auto whole = reductions_.find(value.as_ref<VarNode>());
  if (value.is<VarNode>() && whole != reductions_.end()) {
    stage.reduction = &whole->second;
    stage.value = whole->second.value;
  }
  bool inside = false;
  std::string stray;
  for (const Expr& part :
       {stage.value, stage.reduction != nullptr ? stage.reduction->condition : Expr()})
    if (part)
      walk(part, [&](const NodeRef& node) {
        const auto var = node.as_ref<VarNode>();
        if (!var)
          return true;
        inside |= reductions_.contains(var);
        if (is_reduce_axis(var) &&
            (stage.reduction == nullptr ||
             std::find(stage.reduction->axes.begin(), stage.reduction->axes.end(), var) ==
                 stage.reduction->axes.end()))
          stray = var->name;
        return true;
      });
  if (stage.value->dtype.lanes != 1 || stage.value->dtype.is_handle())
    return wrong(
        fmt::format("an element of {} is a number, not {}", name, to_string(stage.value->dtype)));
  if (inside)
    return wrong(fmt::format("a reduction is a part of the formula of {}: it must be all of it; "
                             "compute what it is a part of from its result",
                             name));
  if (!stray.empty())
    return wrong(
        fmt::format("the formula of {} uses {}, over which it does not reduce", name, stray));
  const Buffer buffer = make_buffer(name, stage.value->dtype, std::move(shape));
  stages_.emplace(buffer, std::move(stage));
  return buffer;
}

Result<Buffer>
Graph::compute(const std::string& name, std::vector<Expr> shape,
               const std::function<Result<Expr>(const std::vector<Var>& axes)>& formula) {
  std::vector<Var> axes;
  for (const Expr& extent : shape)
    axes.push_back(make_var(fmt::format("i{}", axes.size()), extent->dtype));
  TEMPER_TRY(value, formula(axes));
  return compute(name, std::move(shape), std::move(axes), value);
}

Result<std::vector<Buffer>> Graph::extern_tensors(
    const std::string& name, std::vector<Output> outputs, std::vector<Buffer> inputs,
    const std::function<Result<Statements>(const std::vector<Buffer>&, const std::vector<Buffer>&)>&
        body,
    Annotations annotations) {
  if (outputs.empty())
    return wrong(fmt::format("{} computes nothing: it needs the shape of an output", name));
  auto stage = std::make_shared<Extern>();
  stage->inputs = std::move(inputs);
  for (const Buffer& input : stage->inputs)
    if (!is_tensor(input))
      return wrong(fmt::format("{} is no tensor of te: {} cannot read it", input->name, name));
  for (Output& output : outputs)
    stage->outputs.push_back(
        make_buffer(outputs.size() == 1 ? name : fmt::format("{}_{}", name, stage->outputs.size()),
                    output.dtype, std::move(output.shape)));
  TEMPER_TRY(statements, body(stage->inputs, stage->outputs));
  bool returns = false;
  walk(statements.body, [&](const NodeRef& node) {
    returns |= node->kind() == Return::kKind;
    return !returns;
  });
  if (returns)
    return wrong(
        fmt::format("the statements of {} are a part of a kernel and cannot return", name));
  Block block = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = name;
    node.annotations = std::move(annotations);
    node.alloc_buffers = std::move(statements.allocated);
    node.body = std::move(statements.body);
  });
  Accesses accesses = detect_accesses(*block);
  const auto among = [](const Buffer& buffer, const std::vector<Buffer>& buffers) {
    return std::find(buffers.begin(), buffers.end(), buffer) != buffers.end();
  };
  for (const BufferRegion& read : accesses.reads)
    if (!among(read.buffer, stage->inputs) && !among(read.buffer, stage->outputs))
      return wrong(fmt::format("the statements of {} read {}, which is not among its inputs", name,
                               read.buffer->name));
  for (const BufferRegion& write : accesses.writes)
    if (!among(write.buffer, stage->outputs))
      return wrong(fmt::format("the statements of {} write {}, which is not among its outputs",
                               name, write.buffer->name));
  for (const Buffer& output : stage->outputs)
    if (std::none_of(accesses.writes.begin(), accesses.writes.end(),
                     [&](const BufferRegion& write) { return write.buffer == output; }))
      return wrong(
          fmt::format("the statements of {} do not write its output {}", name, output->name));
  stage->block = copy_node(*block, [&](SBlock& node) {
    node.reads = std::move(accesses.reads);
    node.writes = std::move(accesses.writes);
  });
  for (const Buffer& output : stage->outputs)
    externs_.emplace(output, stage);
  return stage->outputs;
}

Stmt Graph::nest(const Buffer& tensor, const Stage& stage) const {
  VarMap values;
  std::vector<IterVar> axes;
  std::vector<Var> loops;
  std::vector<Range> ranges;
  std::vector<Expr> indices;
  const auto add = [&](const Var& var, const Range& domain, IterType type) {
    const Var axis = make_var("v_" + var->name, var->dtype);
    const Var loop = make_var(var->name, var->dtype);
    axes.push_back({domain, axis, type});
    loops.push_back(loop);
    values[var] = axis;
  };
  for (size_t d = 0; d < stage.axes.size(); ++d) {
    add(stage.axes[d], {make_int(stage.axes[d]->dtype, 0), tensor->shape[d]}, IterType::kSpatial);
    indices.emplace_back(axes.back().var);
  }
  if (stage.reduction != nullptr)
    for (const Var& axis : stage.reduction->axes)
      add(axis, domains_.at(axis), IterType::kReduce);
  Expr value = substitute(stage.value, values);
  Stmt init;
  if (stage.reduction != nullptr) {
    const Reducer& reducer = stage.reduction->reducer;
    init = make_store(tensor, indices, reducer.identity(tensor->dtype));
    if (stage.reduction->condition)
      value = call_op("if_then_else", {substitute(stage.reduction->condition, values), value,
                                       reducer.identity(tensor->dtype)});
    value = reducer.combine(make_load(tensor, indices), value);
  }
  Block block = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = tensor->name;
    node.iter_vars = axes;
    node.annotations = stage.annotations;
    node.init = init;
    node.body = make_store(tensor, indices, value);
  });
  block = copy_node(*block, [&](SBlock& node) {
    Accesses accesses = detect_accesses(*block);
    node.reads = std::move(accesses.reads);
    node.writes = std::move(accesses.writes);
  });
  Stmt stmt = make_realize({loops.begin(), loops.end()}, make_bool(true), block);
  for (size_t i = loops.size(); i-- > 0;)
    stmt = make_for(loops[i], axes[i].domain.min, axes[i].domain.extent, ForKind::kSerial, stmt);
  return stmt;
}

Result<PrimFunc> Graph::function(std::span<const Argument> arguments,
                                 const std::string& name) const {
  std::vector<Param> params;
  std::vector<Buffer> given;
  std::vector<Var> scalars;
  for (const Argument& argument : arguments) {
    if (const auto* var = std::get_if<Var>(&argument)) {
      scalars.push_back(*var);
      params.push_back({nullptr, *var});
      continue;
    }
    const Buffer& buffer = std::get<Buffer>(argument);
    if (std::find(given.begin(), given.end(), buffer) != given.end())
      return wrong(fmt::format("{} is a parameter twice", buffer->name));
    if (!is_tensor(buffer))
      return wrong(
          fmt::format("{} is no tensor of te.placeholder, te.compute or te.extern", buffer->name));
    given.push_back(buffer);
    params.push_back({buffer, nullptr});
  }

  // What is computed, producers first.
  std::vector<Buffer> order;
  std::unordered_map<Buffer, bool, RefHash> seen;
  std::string missing;
  std::function<void(const Buffer&)> visit = [&](const Buffer& buffer) {
    if (!seen.emplace(buffer, true).second)
      return;
    if (const auto statements = externs_.find(buffer); statements != externs_.end()) {
      for (const Buffer& input : statements->second->inputs)
        visit(input);
      for (const Buffer& output : statements->second->outputs) {
        seen.emplace(output, true);
        order.push_back(output);
      }
      return;
    }
    const auto stage = stages_.find(buffer);
    if (stage == stages_.end()) {
      if (std::find(given.begin(), given.end(), buffer) == given.end())
        missing = buffer->name;
      return;
    }
    for_each_load(stage->second.value, visit);
    if (stage->second.reduction != nullptr)
      for_each_load(stage->second.reduction->condition, visit);
    order.push_back(buffer);
  };
  for (const Buffer& buffer : given)
    visit(buffer);
  if (!missing.empty())
    return wrong(fmt::format("{} is read and is not among the parameters", missing));
  if (order.empty())
    return wrong("none of the parameters is computed: name the result too");

  std::vector<Stmt> statements;
  std::vector<Buffer> inside;
  for (const Buffer& buffer : order) {
    // Statements stand once, where their last output is.
    if (const auto found = externs_.find(buffer); found == externs_.end())
      statements.push_back(nest(buffer, stages_.at(buffer)));
    else if (found->second->outputs.back() == buffer)
      statements.push_back(make_realize({}, make_bool(true), found->second->block));
    if (std::find(given.begin(), given.end(), buffer) == given.end())
      inside.push_back(buffer);
  }
  std::vector<Var> symbols;
  for (const Buffer& buffer : given)
    for (const Expr& extent : buffer->shape)
      uses_var(extent, [&](const VarNode& used) {
        const Var var(&used);
        if (std::find(scalars.begin(), scalars.end(), var) == scalars.end() &&
            std::find(symbols.begin(), symbols.end(), var) == symbols.end())
          symbols.push_back(var);
        return false;
      });
  const Block root = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = "root";
    node.alloc_buffers = std::move(inside);
    node.body = make_seq(std::move(statements));
  });
  return make_node<PrimFuncNode>([&](PrimFuncNode& node) {
    node.name = name;
    node.shape_vars = std::move(symbols);
    node.params = std::move(params);
    node.attrs = node.attrs.with("tirx.noalias", make_bool(true));
    node.s_tir = true;
    node.body = make_realize({}, make_bool(true), root);
  });
}

} // namespace temper::s_tir::te
