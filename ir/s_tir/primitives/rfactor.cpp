// rfactor(loop, factor_axis): the steps of a reduction that `loop` runs through become independent
// partial results, which a second block then reduces.
//
//   C[i] = sum over k0, k1 of A[i, k0 * 8 + k1]
//   rfactor(k0, 0):    C_rf[k0, i] = sum over k1 of A[i, k0 * 8 + k1]
//                      C[i]        = sum over k0 of C_rf[k0, i]
//
// This reassociates: allowed for sums, products, minima and maxima that start from their identity.
// As in TVM the block that reduces the partial results keeps the old block's handle and its loops:
// the spatial ones and `loop`. The block of partial results gets loops of its own, one for each.

#include "ir/s_tir/detail/index_math.h"
#include "ir/s_tir/detail/reducer.h"
#include "ir/s_tir/detail/scoped_block.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

/// A copy of `list` with `item` in front of position `at`.
template <typename T> std::vector<T> inserted(std::vector<T> list, size_t at, T item) {
  list.insert(list.begin() + static_cast<ptrdiff_t>(at), std::move(item));
  return list;
}

std::vector<BufferRegion> substituted(const std::vector<BufferRegion>& regions,
                                      const VarMap& values) {
  std::vector<BufferRegion> result;
  for (const BufferRegion& region : regions) {
    BufferRegion& copy = result.emplace_back(BufferRegion{region.buffer, {}});
    for (const Range& range : region.region)
      copy.region.push_back({substitute(range.min, values), substitute(range.extent, values)});
  }
  return result;
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  TEMPER_TRY(place, require_loop(context, at));
  const std::string loop_name = describe(place.loop);

  // The only block below the loop.
  Stmt below = place.loop->body;
  while (const auto* inner = below.as<For>())
    below = inner->body;
  const auto* only = below.as<SBlockRealize>();
  if (only == nullptr)
    return illegal(context, at, fmt::format("below {} there is more than one block", loop_name));
  TEMPER_TRY(scoped, require_in_scope(context, BlockHandle{only->block->id}));
  const Block& block = scoped.block();
  const SBlockRealize& realize = scoped.realize();
  const std::string name = describe(block);
  if (const char* why = why_not_reduction(scoped.scope, scoped.child))
    return illegal(context, at, fmt::format("{} is not a reduction block: it {}", name, why));
  const char* why = nullptr;
  const auto reducer = recognise_reducer(*block, &why);
  if (!reducer)
    return illegal(context, at, fmt::format("{} cannot be reassociated: it {}", name, why));
  const LoopUse use = loop_use(realize, place.loop->loop_var);
  if (!use.reduce || use.spatial)
    return illegal(context, at,
                   fmt::format("{} is not a loop of the reduction in {}", loop_name, name));

  // The part of the nest that holds nothing but this block.
  const std::span<const Stmt> chain = scoped.place.chain;
  size_t top = chain.size() - 1;
  while (top > scoped.scope_at + 1 && chain[top - 1].is<For>())
    --top;
  std::vector<const For*> loops; // of that part
  for (size_t i = top; i + 1 < chain.size(); ++i)
    loops.push_back(chain[i].as<For>());
  for (const For* loop : scoped.info().loops) {
    const LoopUse each = loop_use(realize, loop->loop_var);
    if (each.spatial && each.reduce)
      return illegal(context, at,
                     fmt::format("loop {} binds a spatial and a reduction axis of {}",
                                 loop->loop_var->name, name));
    if (each.reduce && std::find(loops.begin(), loops.end(), loop) == loops.end())
      return illegal(context, at,
                     fmt::format("loop {} of the reduction in {} also holds other blocks",
                                 loop->loop_var->name, name));
  }
  const auto extent = as_int(place.loop->extent);
  if (!extent || !is_int(place.loop->min, 0))
    return illegal(context, at,
                   fmt::format("{} does not run from 0 over a constant extent", loop_name));

  // A step of `loop` that does nothing would leave its partial result without a value.
  {
    IndexMath math;
    for (const For* loop : scoped.info().loops) {
      const LoopUse each = loop_use(realize, loop->loop_var);
      if (each.reduce && loop != place.loop.get())
        math.define(loop->loop_var, loop->min);
      else
        math.set_loop(*loop);
    }
    for (const Expr& condition : conditions_of(realize.predicate)) {
      if (!mentions(condition, place.loop->loop_var.get()))
        continue;
      const auto* less_than = condition.as<LT>();
      if (less_than == nullptr ||
          math.bound(math.difference(math.linear(less_than->b), math.linear(less_than->a))).lo < 1)
        return illegal(context, at,
                       fmt::format("the predicate of {} may leave an iteration of {} without any "
                                   "step",
                                   name, loop_name));
    }
  }

  const BufferStore& update = *reducer->update;
  const auto rank = static_cast<int64_t>(update.indices.size());
  int64_t axis = *arguments.attrs[0].as_int();
  if (axis < -rank - 1 || axis > rank)
    return illegal(context, at,
                   fmt::format("factor_axis {} is not between {} and {}, the places in the {} "
                               "dimensions of {}",
                               axis, -rank - 1, rank, rank, update.buffer->name));
  if (axis < 0)
    axis += rank + 1;
  const auto factor_at = static_cast<size_t>(axis);
  const Buffer partial = copy_node(*update.buffer, [&](BufferNode& node) {
    node.name = update.buffer->name + "_rf";
    node.shape = inserted(
        update.buffer->shape, factor_at,
        make_int(update.buffer->shape.empty() ? DataType::int32() : update.buffer->shape[0]->dtype,
                 *extent));
    node.strides.clear();
    node.elem_offset = nullptr;
    node.layout = nullptr;
  });

  // --- The block of partial results.
  const Var& factor_loop = place.loop->loop_var;
  const Var factor_axis = make_var("v" + factor_loop->name, factor_loop->dtype);
  VarMap axis_map;  // axes of the old block -> of the new one
  VarMap loop_axes; // loops of the reduction -> new axes
  loop_axes[factor_loop] = factor_axis;
  std::vector<Expr> values{factor_loop};
  std::vector<IterVar> axes{
      {{place.loop->min, place.loop->extent}, factor_axis, IterType::kSpatial}};
  for (size_t i = 0; i < block->iter_vars.size(); ++i) {
    const IterVar& old = block->iter_vars[i];
    if (old.type != IterType::kReduce || !mentions(realize.iter_values[i], factor_loop.get())) {
      const Var var = fresh_var(old.var);
      axis_map[old.var] = var;
      axes.push_back({old.domain, var, old.type});
      values.push_back(realize.iter_values[i]);
      continue;
    }
    for (const For* loop : loops) {
      if (loop->loop_var == factor_loop ||
          !mentions(realize.iter_values[i], loop->loop_var.get()) ||
          loop_axes.contains(loop->loop_var))
        continue;
      const Var var = make_var("v" + loop->loop_var->name, loop->loop_var->dtype);
      loop_axes[loop->loop_var] = var;
      axes.push_back({{loop->min, loop->extent}, var, IterType::kReduce});
      values.push_back(loop->loop_var);
    }
  }
  for (size_t i = 0; i < block->iter_vars.size(); ++i)
    if (!axis_map.contains(block->iter_vars[i].var))
      axis_map[block->iter_vars[i].var] = substitute(realize.iter_values[i], loop_axes);

  std::vector<Expr> point;
  for (const Expr& index : update.indices)
    point.push_back(substitute(index, axis_map));
  point = inserted(point, factor_at, Expr(factor_axis));
  const Expr contribution = substitute(reducer->value, axis_map);
  const Expr current = make_load(partial, point);
  const bool reduces = std::any_of(
      axes.begin(), axes.end(), [](const IterVar& axis) { return axis.type == IterType::kReduce; });
  const Block partial_block = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = block->name + "_rf";
    node.iter_vars = std::move(axes);
    node.reads = substituted(block->reads, axis_map);
    BufferRegion write{partial, {}};
    for (const Expr& index : point)
      write.region.push_back({index, make_int(index->dtype, 1)});
    node.writes = {std::move(write)};
    node.annotations = block->annotations;
    if (!reduces) { // one step each
      node.body = make_store(partial, point, contribution);
      return;
    }
    node.init = make_store(partial, point, reducer->init->value);
    node.body = make_store(partial, point,
                           reducer->output_first ? combine(reducer->kind, current, contribution)
                                                 : combine(reducer->kind, contribution, current));
  });
  VarMap own_loops;
  for (const For* loop : loops)
    own_loops[loop->loop_var] = fresh_var(loop->loop_var);
  for (Expr& value : values)
    value = substitute(value, own_loops);
  Stmt partial_nest =
      make_realize(std::move(values), substitute(realize.predicate, own_loops), partial_block);
  for (size_t i = loops.size(); i-- > 0;) {
    const Stmt body = partial_nest;
    partial_nest = copy_node(*loops[i], [&](For& node) {
      node.loop_var = Var(static_cast<const VarNode*>(own_loops[node.loop_var].get()));
      node.body = body;
    });
  }

  // --- The block that reduces them.
  std::vector<const For*> kept;
  std::vector<const VarNode*> dropped;
  for (const For* loop : loops) {
    if (loop == place.loop.get() || loop_use(realize, loop->loop_var).spatial)
      kept.push_back(loop);
    else
      dropped.push_back(loop->loop_var.get());
  }
  dropped.push_back(factor_loop.get());
  const Var reduce_axis = make_var("v" + factor_loop->name, factor_loop->dtype);
  std::vector<Expr> final_values{factor_loop};
  const Block final_block = copy_node(*block, [&](SBlock& node) {
    node.iter_vars = {{{place.loop->min, place.loop->extent}, reduce_axis, IterType::kReduce}};
    for (size_t i = 0; i < block->iter_vars.size(); ++i) {
      if (block->iter_vars[i].type != IterType::kSpatial)
        continue;
      node.iter_vars.push_back(block->iter_vars[i]);
      final_values.push_back(realize.iter_values[i]);
    }
    const std::vector<Expr> from = inserted(update.indices, factor_at, Expr(reduce_axis));
    BufferRegion read{partial, {}};
    for (const Expr& index : from)
      read.region.push_back({index, make_int(index->dtype, 1)});
    node.reads = {std::move(read)};
    const Expr output = make_load(update.buffer, update.indices);
    const Expr part = make_load(partial, from);
    node.body = make_store(update.buffer, update.indices,
                           reducer->output_first ? combine(reducer->kind, output, part)
                                                 : combine(reducer->kind, part, output));
  });
  Expr predicate = make_bool(true);
  for (const Expr& condition : conditions_of(realize.predicate)) {
    const bool about_dropped = uses_var(condition, [&](const VarNode& var) {
      return std::find(dropped.begin(), dropped.end(), &var) != dropped.end();
    });
    if (!about_dropped)
      predicate = logical_and(predicate, condition);
  }
  Stmt final_nest = make_realize(std::move(final_values), predicate, final_block);
  for (size_t i = kept.size(); i-- > 0;) {
    const Stmt body = final_nest;
    final_nest = copy_node(*kept[i], [&](For& node) { node.body = body; });
  }

  const size_t first = scoped.scope_at + 1;
  Stmt body = replace_statement(chain.subspan(first, top - first + 1),
                                make_seq({std::move(partial_nest), std::move(final_nest)}));
  Applied applied;
  applied.module =
      replace_scope(context, scoped, copy_node(*scoped.scope_block(), [&](SBlock& node) {
                      node.alloc_buffers.push_back(partial);
                      node.body = std::move(body);
                    }));
  applied.outputs = {BlockHandle{partial_block->id}};
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  if (handle.as_loop() == nullptr)
    return uses;
  for (const int64_t axis : {0, -1}) {
    Arguments use{.inputs = {handle}, .attrs = {axis}};
    if (apply({context.module, nullptr, false}, use))
      uses.push_back(std::move(use));
  }
  return uses;
}

} // namespace

void register_rfactor() {
  register_primitive({
      .name = "RFactor",
      .python_name = "rfactor",
      .inputs = {{.name = "loop", .kind = ValueKind::kLoop}},
      .attrs = {{.name = "factor_axis", .kind = ValueKind::kInt}},
      .outputs = {ValueKind::kBlock},
      .summary =
          R"(Splits a reduction into partial results, one per iteration of `loop`, and a block
that reduces them; `factor_axis` is where the new dimension of the partial results stands. For sums,
products, minima and maxima, whose order may change. Returns the block of partial results; the old
handles, of the block and of its loops, stand for what reduces them.

    # rfactor(k0, 0)
    for i, k0, k1 in T.grid(8, 4, 4):        for i, k0, k1 in T.grid(8, 4, 4):
        with T.sblock("C"):                      with T.sblock("C_rf"):
            vk = T.axis.reduce(              →       C_rf[vk0, vi] += A[vi, vk0 * 4 + vk1]
                16, k0 * 4 + k1)             for i, k0 in T.grid(8, 4):
            C[vi] += A[vi, vk]                   with T.sblock("C"):
                                                     C[vi] += C_rf[vk0, vi])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
