/// CacheIndex: what a block computes to find its operands is computed once for all values of its
/// axes, ahead, and kept in buffers of indices.
///
/// Candidates are the largest parts of a load's indices that are made of axes and constants alone.
/// Where `cse_thresh` asks for repetition, the largest parts that occur so often are taken first.
#include "ir/s_tir/detail/nest.h"

#include "ir/arith/linear.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

/// Made of axes of the block and constants, and more than one of them.
bool is_computed_from_axes(const Expr& expr, const SBlock& block) {
  if (expr.is<VarNode>() || !expr->dtype.is_scalar() || !expr->dtype.is_integral())
    return false;
  bool any = false;
  bool only = true;
  walk(expr, [&](const NodeRef& node) {
    if (const auto* var = node.as<VarNode>()) {
      const bool is_axis = std::any_of(block.iter_vars.begin(), block.iter_vars.end(),
                                       [&](const IterVar& axis) { return axis.var.get() == var; });
      any |= is_axis;
      only &= is_axis;
    }
    only &= !node.is<BufferLoad>() && !node.is<Call>() && !node.is<Let>();
    return only;
  });
  return any && only;
}

/// Calls `found` for the largest such parts of an expression, those of indices of indices excepted:
/// they are indices themselves.
void for_each_part(const Expr& expr, const SBlock& block, FunctionRef<void(const Expr&)> found) {
  walk(expr, [&](const NodeRef& node) {
    if (node.is<BufferLoad>() || !ExprNode::accepts(node->kind()))
      return false;
    const Expr part = cast_ref<ExprNode>(node);
    if (!is_computed_from_axes(part, block))
      return true;
    found(part);
    return false;
  });
}

void for_each_index(const SBlock& block, FunctionRef<void(const Expr&)> visit) {
  for (const Stmt& part : {block.init, block.body})
    if (part)
      walk(part, [&](const NodeRef& node) {
        if (const auto* load = node.as<BufferLoad>())
          for (const Expr& index : load->indices)
            visit(index);
        return true;
      });
}

size_t size_of(const Expr& expr) {
  size_t nodes = 0;
  walk(expr, [&](const NodeRef&) {
    ++nodes;
    return true;
  });
  return nodes;
}

Expr replaced(const Expr& expr, const Expr& part, const Expr& by) {
  return cast_ref<ExprNode>(rewrite_pre(expr, [&](const NodeRef& node) -> NodeRef {
    if (!ExprNode::accepts(node->kind()))
      return nullptr;
    return same_expr(cast_ref<ExprNode>(node), part) ? NodeRef(by) : NodeRef(nullptr);
  }));
}

/// The parts to keep, the largest first.
std::vector<Expr> choose(const SBlock& block, int64_t threshold) {
  std::vector<Expr> wholes; // one for each place
  for_each_index(block, [&](const Expr& index) {
    for_each_part(index, block, [&](const Expr& part) { wholes.push_back(part); });
  });
  std::vector<Expr> candidates;
  const auto add = [&](const Expr& part) {
    if (std::none_of(candidates.begin(), candidates.end(),
                     [&](const Expr& other) { return same_expr(other, part); }))
      candidates.push_back(part);
  };
  for (const Expr& whole : wholes)
    walk(whole, [&](const NodeRef& node) {
      if (ExprNode::accepts(node->kind()))
        if (const Expr part = cast_ref<ExprNode>(node); is_computed_from_axes(part, block))
          add(part);
      return true;
    });
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Expr& a, const Expr& b) { return size_of(a) > size_of(b); });
  std::vector<Expr> chosen;
  for (const Expr& candidate : candidates) {
    int64_t places = 0;
    for (const Expr& whole : wholes)
      walk(whole, [&](const NodeRef& node) {
        const bool same =
            ExprNode::accepts(node->kind()) && same_expr(cast_ref<ExprNode>(node), candidate);
        places += same ? 1 : 0;
        return !same;
      });
    if (places < std::max<int64_t>(threshold, 1))
      continue;
    chosen.push_back(candidate);
    // Its own parts are needed there no more.
    const Expr kept = make_var("kept", candidate->dtype);
    for (Expr& whole : wholes)
      whole = replaced(whole, candidate, kept);
  }
  return chosen;
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  TEMPER_TRY(scoped, require_in_scope(context, at));
  const Block& block = scoped.block();
  const std::string& storage = *arguments.attrs[0].as_string();
  const int64_t threshold = *arguments.attrs[1].as_int();
  Applied applied{.module = context.module};
  const std::vector<Expr> chosen = choose(*block, threshold);
  if (chosen.empty())
    return applied;

  int64_t number = std::count_if(
      scoped.scope_block()->alloc_buffers.begin(), scoped.scope_block()->alloc_buffers.end(),
      [](const Buffer& buffer) { return buffer->name.starts_with("index_var_"); });
  Block changed = block;
  std::vector<Buffer> buffers;
  std::vector<Stmt> statements;
  for (const Expr& value : chosen) {
    std::vector<IterVar> axes;
    std::vector<Expr> shape;
    std::vector<Expr> here;  // the indices of the new buffer where it is used
    std::vector<Expr> there; // and in the block that fills it
    VarMap values;
    for (const IterVar& axis : block->iter_vars) {
      if (!mentions(value, axis.var.get()))
        continue;
      if (!is_int(axis.domain.min, 0) || !as_int(axis.domain.extent))
        return illegal(context, at,
                       fmt::format("axis {} of {} does not run from 0 to a constant, which the "
                                   "size of a buffer of indices is",
                                   axis.var->name, describe(block)));
      const Var var = make_var(fmt::format("v{}", axes.size()), axis.var->dtype);
      axes.push_back({axis.domain, var, IterType::kSpatial});
      shape.push_back(axis.domain.extent);
      here.emplace_back(axis.var);
      there.emplace_back(var);
      values[axis.var] = var;
    }
    const Buffer buffer =
        make_buffer(fmt::format("index_var_{}", number), value->dtype, shape, storage);
    BufferRegion filled{buffer, {}};
    BufferRegion used{buffer, {}};
    for (size_t d = 0; d < here.size(); ++d) {
      filled.region.push_back({there[d], make_int(there[d]->dtype, 1)});
      used.region.push_back({here[d], make_int(here[d]->dtype, 1)});
    }
    const Block fill = make_node<SBlock>([&](SBlock& node) {
      node.id = new_block_id();
      node.name = fmt::format("index_{}", number);
      node.iter_vars = axes;
      node.writes = {filled};
      node.body = make_store(buffer, there, substitute(value, values));
    });
    ++number;
    IndexMath math;
    const std::vector<Wanted> everything(axes.size());
    statements.push_back(build_nest(math, fill, everything, /*preserve_unit_loops=*/true).stmt);
    applied.outputs.emplace_back(BlockHandle{fill->id});
    buffers.push_back(buffer);

    const Expr load = make_load(buffer, here);
    const auto rewrite = [&](const Stmt& part) {
      return part ? cast_ref<StmtNode>(rewrite_post(
                        part,
                        [&](const NodeRef& node) -> NodeRef {
                          const auto* old = node.as<BufferLoad>();
                          if (old == nullptr || std::find(buffers.begin(), buffers.end(),
                                                          old->buffer) != buffers.end())
                            return node;
                          std::vector<Expr> indices;
                          for (const Expr& index : old->indices)
                            indices.push_back(replaced(index, value, load));
                          return make_load(old->buffer, std::move(indices), old->predicate);
                        }))
                  : part;
    };
    changed = copy_node(*changed, [&](SBlock& node) {
      node.init = rewrite(changed->init);
      node.body = rewrite(changed->body);
      // The regions of other buffers stay as they were said: in terms of axes.
      node.reads.push_back(used);
    });
  }
  statements.push_back(rewrite_child_blocks(scoped.scope_block()->body, [&](const Block& child) {
    return child == block ? changed : child;
  }));
  Block scope = with_scope_part(scoped.scope_block(), scoped.scope_block()->body,
                                make_seq(std::move(statements)));
  scope = copy_node(*scope, [&](SBlock& node) {
    node.alloc_buffers.insert(node.alloc_buffers.end(), buffers.begin(), buffers.end());
  });
  applied.module = replace_scope(context, scoped, std::move(scope));
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  if (handle.as_block() == nullptr)
    return uses;
  for (const int threshold : {0, 2}) {
    Arguments use{.inputs = {handle}, .attrs = {"global", threshold}};
    const auto applied = apply({context.module, nullptr, false}, use);
    if (applied && !applied->outputs.empty())
      uses.push_back(std::move(use));
  }
  return uses;
}

} // namespace

void register_cache_index() {
  register_primitive({
      .name = "CacheIndex",
      .python_name = "cache_index",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .attrs = {{.name = "storage_scope", .kind = ValueKind::kString},
                {.name = "cse_thresh",
                 .kind = ValueKind::kInt,
                 .default_value = 0,
                 .domain = std::pair<int64_t, int64_t>{0, 1 << 20}}},
      .outputs = {ValueKind::kBlock},
      .variadic_output = true,
      .summary =
          R"(The indices that a block computes from its axes to load elements are computed once,
ahead, and kept in buffers in `storage_scope`. Returns the blocks that fill them; none when there is
nothing to compute, and then nothing changes. With `cse_thresh` only parts that occur at least so
often are kept.

    # cache_index(B, "global")
                                                   for ax0 in range(80):
                                                       with T.sblock("index_0"):
    for i in range(80):                    →               index_var_0[v0] = v0 // 2
        with T.sblock("B"):                        for i in range(80):
            B[vi] = A[vi // 2]                         with T.sblock("B"):
                                                           B[vi] = A[index_var_0[vi]])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
