/// TransformBlockLayout: a block gets other axes and other loops, by a map from the old axes to the
/// new ones that takes each point to a point of its own.
#include "ir/arith/iter_map.h"
#include "ir/s_tir/detail/index_map.h"
#include "ir/s_tir/detail/index_math.h"
#include "ir/s_tir/detail/index_type.h"
#include "ir/s_tir/detail/whole_nest.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

/// Axes of one iteration that go on as an output of the map, in which no longer one takes part: of
/// several in one output the first. Others are 0 from then on, and so are those in two outputs.
std::vector<std::pair<size_t, size_t>> unit_axes_kept(const IndexMap& map,
                                                      const std::vector<Expr>& extents) {
  std::vector<std::pair<size_t, size_t>> kept; // axis, output
  std::vector<size_t> uses(extents.size());
  for (size_t o = 0; o < map->outputs.size(); ++o) {
    std::vector<size_t> axes;
    walk(map->outputs[o], [&](const NodeRef& node) {
      for (size_t a = 0; a < extents.size(); ++a)
        if (node.get() == map->inputs[a].get())
          axes.push_back(a);
      return true;
    });
    for (const size_t axis : axes)
      ++uses[axis];
    if (!axes.empty() && std::all_of(axes.begin(), axes.end(),
                                     [&](size_t axis) { return is_int(extents[axis], 1); }))
      kept.emplace_back(axes.front(), o);
  }
  std::erase_if(kept, [&](const auto& entry) { return uses[entry.first] > 1; });
  return kept;
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  const auto refuse = [&](const std::string& why) { return illegal(context, at, why); };
  TEMPER_TRY(scoped, require_in_scope(context, at));
  TEMPER_TRY_VOID(require_complete_or_reduction(context, scoped, scoped.child));
  const Block& block = scoped.block();
  TEMPER_TRY(nest_of, require_whole_nest(context, at, scoped));
  const std::vector<Expr>& extents = nest_of.extents;
  const std::vector<IterVar>& old_axes = block->iter_vars;
  const DataType dtype = old_axes.empty() ? DataType::int32() : old_axes[0].var->dtype;
  TEMPER_TRY(map, parse_index_map(*arguments.attrs[0].as_string(), old_axes.size(), {}, dtype));

  // The new axes: outputs of the map, each of loops of one kind. Those of symbolic extents stand
  // apart: nothing is known that the others could be mixed with.
  std::vector<IterVar> new_axes(map->outputs.size());
  std::vector<Expr> back(old_axes.size()); // the old axes by the new ones
  const auto add_axis = [&](size_t output, Expr extent, IterType type) {
    const DataType of = extent->dtype;
    const Var var = make_var(fmt::format("v{}", output), of);
    new_axes[output] = {{make_int(of, 0), std::move(extent)}, var, type};
    return Expr(var);
  };
  IndexMath math;
  std::vector<bool> taken(map->outputs.size());
  std::vector<VarRange> axes;
  std::vector<size_t> axis_of; // where in old_axes
  for (size_t a = 0; a < old_axes.size(); ++a) {
    if (as_int(extents[a])) {
      axes.push_back({map->inputs[a], {make_int(dtype, 0), as_type(dtype, extents[a])}});
      axis_of.push_back(a);
      continue;
    }
    const Result<OpenIndex> open = open_index(map, a);
    if (!open)
      return refuse(open.error().message);
    const Linear whole = math.linear(extents[a]);
    if (!math.floor_modulo(whole, open->tile).is_constant(0))
      return refuse(
          fmt::format("axis {} of {} is no multiple of {} for every value of its symbolic "
                      "extent: pad it first",
                      old_axes[a].var->name, describe(block), open->tile));
    const IterType type = old_axes[a].type;
    const DataType of = old_axes[a].var->dtype;
    taken[open->output] = true;
    back[a] = add_axis(open->output, math.expr(math.floor_divide(whole, open->tile), of), type);
    if (open->rest) {
      taken[*open->rest] = true;
      back[a] = back[a] * open->tile + add_axis(*open->rest, make_int(of, open->tile), type);
    }
  }
  std::vector<Expr> outputs;
  std::vector<size_t> output_of; // where in map->outputs
  for (size_t o = 0; o < map->outputs.size(); ++o)
    if (!taken[o]) {
      outputs.push_back(map->outputs[o]);
      output_of.push_back(o);
    }
  Analyzer analyzer;
  Result<IterMap> pieces = detect_iter_map(outputs, axes, make_bool(true), analyzer);
  if (!pieces || !pieces->bijective)
    return refuse(fmt::format(
        "the index map must take each point of {} to a point of its own; {}", describe(block),
        pieces ? "a part of an axis is missing from its outputs" : pieces.error().message));
  std::vector<Expr> new_values;
  int64_t points = 1;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const IterSum& sum = pieces->sums[i];
    if (as_int(sum.base).value_or(-1) != 0 ||
        (!sum.splits.empty() && sum.splits.front().scale != 1))
      return refuse(fmt::format("output {} of the index map does not run from 0 in steps of 1",
                                output_of[i]));
    std::optional<IterType> type;
    for (size_t a = 0; a < axes.size(); ++a)
      if (!is_int(axes[a].range.extent, 1) && mentions(outputs[i], axes[a].var)) {
        const IterType of_axis = old_axes[axis_of[a]].type;
        if (type && *type != of_axis)
          return refuse(fmt::format("output {} of the index map mixes spatial and reduction axes",
                                    output_of[i]));
        type = of_axis;
      }
    points *= sum.extent();
    new_values.push_back(
        add_axis(output_of[i], make_int(dtype, sum.extent()), type.value_or(IterType::kSpatial)));
  }
  int64_t old_points = 1;
  for (const VarRange& axis : axes)
    old_points *= *as_int(axis.range.extent);
  if (points != old_points)
    return refuse(fmt::format("the index map goes over {} points where {} has {}: its divisors "
                              "must divide the axes",
                              points, describe(block), old_points));

  std::vector<Var> new_loops;
  for (size_t o = 0; o < new_axes.size(); ++o) {
    if (!is_int(new_axes[o].domain.extent, 1)) // which stay what they are, as in TVM
      analyzer.bind(new_axes[o].var, new_axes[o].domain);
    new_loops.push_back(make_var(fmt::format("ax{}", o), new_axes[o].var->dtype));
  }
  const std::vector<Expr> known_back = inverse(*pieces, axes, new_values, analyzer);
  for (size_t k = 0; k < known_back.size(); ++k)
    back[axis_of[k]] = as_type(old_axes[axis_of[k]].var->dtype, known_back[k]);
  for (const auto& [axis, output] : unit_axes_kept(map, extents))
    back[axis] = as_type(old_axes[axis].var->dtype, new_axes[output].var);
  VarMap values;
  for (size_t a = 0; a < old_axes.size(); ++a)
    values[old_axes[a].var] = analyzer.simplify(back[a]);
  const auto mapped = [&](const Expr& expr) { return analyzer.simplify(substitute(expr, values)); };
  const auto mapped_stmt = [&](const Stmt& stmt) {
    // Indices only: what the block computes stays as it is written.
    return cast_ref<StmtNode>(rewrite_post(substitute(stmt, values), [&](const NodeRef& node) {
      const auto simplified = [&](std::vector<Expr> indices) {
        for (Expr& index : indices)
          if (index->dtype.lanes == 1)
            index = analyzer.simplify(index);
        return indices;
      };
      if (const auto* load = node.as<BufferLoad>())
        return NodeRef(make_load(load->buffer, simplified(load->indices), load->predicate));
      if (const auto* store = node.as<BufferStore>())
        return NodeRef(
            make_store(store->buffer, simplified(store->indices), store->value, store->predicate));
      return node;
    }));
  };
  Block changed = copy_node(*block, [&](SBlock& node) {
    node.iter_vars = new_axes;
    for (std::vector<BufferRegion>* regions : {&node.reads, &node.writes})
      for (BufferRegion& region : *regions)
        for (Range& range : region.region)
          range = {mapped(range.min), mapped(range.extent)};
    if (block->init)
      node.init = mapped_stmt(block->init);
    node.body = mapped_stmt(block->body);
  });
  Stmt nest = make_realize({new_loops.begin(), new_loops.end()}, make_bool(true), changed);
  for (size_t i = new_loops.size(); i-- > 0;)
    nest = make_for(new_loops[i], new_axes[i].domain.min, new_axes[i].domain.extent,
                    ForKind::kSerial, nest);
  Applied applied;
  applied.module =
      replace_in_module(context.module, scoped.place.function,
                        std::span(scoped.place.chain).first(nest_of.outermost + 1), nest);
  for (const For* loop : nest_of.loops)
    applied.moved.push_back({LoopHandle{loop->loop_var}, Value()});
  return applied;
}

/// All axes turned round; the first one cut in two; the first two made one.
std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  const auto place =
      handle.as_block() != nullptr ? find_block(context.module, *handle.as_block()) : std::nullopt;
  if (!place || place->block()->iter_vars.empty())
    return uses;
  std::string inputs;
  std::string turned;
  std::string cut = "i0 // 2, i0 % 2";
  const std::vector<IterVar>& axes = place->block()->iter_vars;
  std::string fused =
      axes.size() > 1 ? fmt::format("i0 * {} + i1", as_int(axes[1].domain.extent).value_or(1)) : "";
  for (size_t i = 0; i < axes.size(); ++i) {
    inputs += fmt::format("{}i{}", i > 0 ? ", " : "", i);
    turned = fmt::format("i{}{}{}", i, turned.empty() ? "" : ", ", turned);
    if (i > 0)
      cut += fmt::format(", i{}", i);
    if (i > 1)
      fused += fmt::format(", i{}", i);
  }
  for (const std::string& outputs : {turned, cut, fused}) {
    Arguments use{.inputs = {handle}, .attrs = {fmt::format("lambda {}: ({},)", inputs, outputs)}};
    if (!outputs.empty() && apply({context.module, nullptr, false}, use))
      uses.push_back(std::move(use));
  }
  return uses;
}

} // namespace

void register_transform_block_layout() {
  register_primitive({
      .name = "TransformBlockLayout",
      .python_name = "transform_block_layout",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .attrs = {{.name = "index_map", .kind = ValueKind::kIndexMap}},
      .summary =
          R"(A block, alone in loops that are its axes, gets other axes and other loops: `index_map`, a
lambda, gives the new axes from the old ones. It must take each point to a point of its own, and must
not mix spatial and reduction axes.

    # transform_block_layout(B, lambda i, j: (i * 16 + j,))
    for i, j in T.grid(8, 16):                       for ax0 in range(128):
        with T.sblock("B"):                   →          with T.sblock("B"):
            vi, vj = T.axis.remap("SS", [i, j])              v0 = T.axis.spatial(128, ax0)
            B[vi, vj] = A[vi, vj]                            B[v0 // 16, v0 % 16] = ...)",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
