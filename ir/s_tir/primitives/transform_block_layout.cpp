/// TransformBlockLayout: a block gets other axes and other loops, by a map from the old axes to the
/// new ones that takes each point to a point of its own.
#include "ir/arith/iter_map.h"
#include "ir/s_tir/detail/index_map.h"
#include "ir/s_tir/detail/whole_nest.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  const auto refuse = [&](const std::string& why) { return illegal(context, at, why); };
  TEMPER_TRY(scoped, require_in_scope(context, at));
  TEMPER_TRY_VOID(require_complete_or_reduction(context, scoped, scoped.child));
  const Block& block = scoped.block();
  TEMPER_TRY(nest_of, require_whole_nest(context, at, scoped));
  const std::vector<int64_t>& extents = nest_of.extents;
  std::vector<VarRange> axes;
  for (const IterVar& axis : block->iter_vars)
    axes.push_back({axis.var, axis.domain});

  // The new axes: outputs of the map, each of loops of one kind.
  const DataType dtype = axes.empty() ? DataType::int32() : axes[0].var->dtype;
  TEMPER_TRY(map, parse_index_map(*arguments.attrs[0].as_string(), axes.size(), {}, dtype));
  std::vector<Expr> old_values;
  for (const VarRange& axis : axes)
    old_values.emplace_back(axis.var);
  const std::vector<Expr> outputs = map_indices(map, old_values);
  Analyzer analyzer;
  Result<IterMap> pieces = detect_iter_map(outputs, axes, make_bool(true), analyzer);
  if (!pieces || !pieces->bijective)
    return refuse(fmt::format("the index map must take each point of {} to a point of its own; {}",
                              describe(block),
                              pieces ? "a part of an axis is missing from its outputs"
                                     : pieces.error().message));
  std::vector<IterVar> new_axes;
  std::vector<Expr> new_values;
  std::vector<Var> new_loops;
  int64_t points = 1;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const IterSum& sum = pieces->sums[i];
    if (as_int(sum.base).value_or(-1) != 0 ||
        (!sum.splits.empty() && sum.splits.front().scale != 1))
      return refuse(fmt::format("output {} of the index map does not run from 0 in steps of 1", i));
    std::optional<IterType> type;
    for (size_t a = 0; a < axes.size(); ++a)
      if (extents[a] > 1 && mentions(outputs[i], axes[a].var)) {
        if (type && *type != block->iter_vars[a].type)
          return refuse(fmt::format("output {} of the index map mixes spatial and reduction axes",
                                    i));
        type = block->iter_vars[a].type;
      }
    const Expr extent = make_int(dtype, sum.extent());
    points *= sum.extent();
    new_axes.push_back({{make_int(dtype, 0), extent}, make_var(fmt::format("v{}", i), dtype),
                        type.value_or(IterType::kSpatial)});
    new_values.emplace_back(new_axes.back().var);
    new_loops.push_back(make_var(fmt::format("ax{}", i), dtype));
    analyzer.bind(new_axes.back().var, new_axes.back().domain);
  }
  int64_t old_points = 1;
  for (const int64_t extent : extents)
    old_points *= extent;
  if (points != old_points)
    return refuse(fmt::format("the index map goes over {} points where {} has {}: its divisors "
                              "must divide the axes",
                              points, describe(block), old_points));

  const std::vector<Expr> back = inverse(*pieces, axes, new_values, analyzer);
  VarMap values;
  for (size_t a = 0; a < axes.size(); ++a)
    values[axes[a].var] = analyzer.simplify(back[a]);
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
    nest = make_for(new_loops[i], make_int(dtype, 0), new_axes[i].domain.extent, ForKind::kSerial,
                    nest);
  Applied applied;
  applied.module = replace_in_module(context.module, scoped.place.function,
                                     std::span(scoped.place.chain).first(nest_of.outermost + 1), nest);
  for (const For* loop : nest_of.loops)
    applied.moved.push_back({LoopHandle{loop->loop_var}, Value()});
  return applied;
}

/// All axes turned round; the first one cut in two; the first two made one.
std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  const auto place = handle.as_block() != nullptr ? find_block(context.module, *handle.as_block())
                                                  : std::nullopt;
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
      .summary = R"(A block, alone in loops that are its axes, gets other axes and other loops: `index_map`, a
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
