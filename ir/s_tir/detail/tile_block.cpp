#include "ir/s_tir/detail/tile_block.h"

#include "ir/s_tir/analysis.h"
#include "ir/s_tir/detail/nest.h"
#include "ir/s_tir/detail/scoped_block.h"
#include "ir/s_tir/primitives/dependence.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

/// What a loop around the tile is to all blocks inside.
IterType axis_type(std::span<const ChildBlock> below, const Var& loop_var) {
  bool spatial = false;
  bool reduce = false;
  bool other = false;
  for (const ChildBlock& child : below) {
    const LoopUse use = loop_use(*child.realize, loop_var);
    spatial |= use.spatial;
    reduce |= use.reduce;
    // An accumulation that is done again, or into elements of another iteration, must stay in
    // order.
    other |= use.other || (accumulates(child.block()) &&
                           ((!use.spatial && !use.reduce) ||
                            (use.spatial && !is_injective(child, 0, Axes::kSpatial))));
  }
  if (spatial && !reduce && !other)
    return IterType::kSpatial;
  return reduce && !spatial && !other ? IterType::kReduce : IterType::kOpaque;
}

} // namespace

Result<TileBlock> make_tile_block(const Context& context, const Value& at,
                                  std::span<const Stmt> around, const Stmt& stmt,
                                  const std::string& name) {
  const auto refuse = [&](const std::string& why) { return illegal(context, at, why); };
  const For* threads = nullptr;
  walk(stmt, [&](const NodeRef& node) {
    const auto* loop = node.as<For>();
    if (loop != nullptr &&
        (loop->kind == ForKind::kParallel || loop->kind == ForKind::kThreadBinding))
      threads = loop;
    return threads == nullptr && !ExprNode::accepts(node->kind());
  });
  if (threads != nullptr)
    return refuse(
        fmt::format("loop {} runs on threads, which a block cannot hold", threads->loop_var->name));

  std::vector<Stmt> chain(around.begin(), around.end());
  chain.push_back(stmt);
  const auto below = blocks_below(chain);
  if (!below)
    return refuse("there are statements outside of blocks, whose dependences are not known");
  if (const auto why = carried_dependence(chain, *below))
    return refuse(fmt::format("the new block would exchange data with itself: {}", *why));
  // The init of a block inside runs at its own first step, and lowering looks for that among the
  // loops of one block.
  for (const ChildBlock& child : *below)
    for (size_t i = 0; child.block().init && i < child.block().iter_vars.size(); ++i)
      for (const Ref<For>& loop : loops_of(around))
        if (child.block().iter_vars[i].type == IterType::kReduce &&
            mentions(child.realize->iter_values[i], loop->loop_var.get()))
          return refuse(fmt::format("block \"{}\" reduces over loop {} around the new block, which "
                                    "would hold its init: decompose_reduction first",
                                    child.block().name, loop->loop_var->name));

  // What a predicate leaves out would be among what the new block says it touches; one that speaks
  // of the loops around alone is the new block's own.
  Expr predicate = make_bool(true);
  Stmt held = stmt;
  for (const ChildBlock& child : *below) {
    if (!has_predicate(*child.realize))
      continue;
    const size_t outside = loops_of(around).size();
    const bool inside = std::any_of(
        child.loops.begin() + static_cast<ptrdiff_t>(outside), child.loops.end(),
        [&](const For* loop) { return mentions(child.realize->predicate, loop->loop_var.get()); });
    if (inside || below->size() > 1)
      return refuse(fmt::format("block \"{}\" has a predicate, which the new block cannot say of "
                                "what it touches: split loops so that their factors divide",
                                child.block().name));
    predicate = child.realize->predicate;
    held = replace_realize(
        stmt, child.realize,
        make_realize(child.realize->iter_values, make_bool(true), child.realize->block));
  }

  TileBlock tile;
  VarMap values;
  std::vector<IterVar> axes;
  std::vector<Expr> bindings;
  for (const Ref<For>& loop : loops_of(around)) {
    if (!mentions(held, loop->loop_var.get()))
      continue;
    if (!is_int(loop->min, 0) || depends_on(loop->extent, loops_of(around)))
      return refuse(fmt::format("loop {} does not run from 0 to what is known outside of all loops",
                                loop->loop_var->name));
    const Var axis = make_var("v_" + loop->loop_var->name, loop->loop_var->dtype);
    axes.push_back({{loop->min, loop->extent}, axis, axis_type(*below, loop->loop_var)});
    bindings.emplace_back(loop->loop_var);
    values[loop->loop_var] = axis;
  }
  tile.block = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = name;
    node.iter_vars = std::move(axes);
    node.body = substitute(held, values);
  });
  tile.block = copy_node(*tile.block, [&](SBlock& node) {
    Accesses accesses = detect_accesses(node);
    node.reads = std::move(accesses.reads);
    node.writes = std::move(accesses.writes);
  });
  tile.realize = make_realize(std::move(bindings), predicate, tile.block);
  return tile;
}

namespace {

/// Another primitive, on the module that the one before has made.
Result<void> go_on(Context& context, Applied& applied, const char* primitive,
                   const Arguments& arguments) {
  TEMPER_TRY(next, find_primitive(primitive)->apply(context, arguments));
  applied.module = next.module;
  applied.outputs = std::move(next.outputs);
  applied.moved.insert(applied.moved.end(), next.moved.begin(), next.moved.end());
  context.module = applied.module;
  return {};
}

} // namespace

Result<Applied> copy_tile_at(const Context& given, const Arguments& arguments, TileCopy which) {
  Context context = given;
  const Value& loop_handle = arguments.inputs[0];
  const Value& block_handle = arguments.inputs[1];
  TEMPER_TRY(loop, require_loop(context, loop_handle));
  TEMPER_TRY(scoped, require_in_scope(context, block_handle));
  const auto below_loop = [&](const ChildBlock& child) {
    return std::find(child.loops.begin(), child.loops.end(), loop.loop.get()) != child.loops.end();
  };
  if (!below_loop(scoped.info()))
    return illegal(
        context, loop_handle,
        fmt::format("{} is not around {}", describe(loop.loop), describe(scoped.block())));
  const bool is_read = which == TileCopy::kRead;
  const int64_t index = *arguments.attrs[0].as_int();
  const auto& regions = is_read ? scoped.block()->reads : scoped.block()->writes;

  // All blocks below the loop that read the buffer find the tile.
  Value::List consumers;
  if (is_read && index >= 0 && index < static_cast<int64_t>(regions.size()))
    for (const ChildBlock& child : scoped.scope.children)
      if (below_loop(child) && reads(child.block(), regions[static_cast<size_t>(index)].buffer))
        consumers.emplace_back(BlockHandle{child.block().id});

  Applied applied;
  TEMPER_TRY_VOID(go_on(
      context, applied, is_read ? "CacheRead" : "CacheWrite",
      {.inputs = {block_handle, consumers}, .attrs = {arguments.attrs[0], arguments.attrs[1]}}));
  const Value copy = applied.outputs[0];
  TEMPER_TRY_VOID(go_on(context, applied, is_read ? "ComputeAt" : "ReverseComputeAt",
                        {.inputs = {copy, loop_handle}, .attrs = {true, -1}}));

  // What stands below the loop for the copy: its own loops, or its realize.
  TEMPER_TRY(place, require_block(context, copy));
  size_t top = 0;
  while (!place.chain[top].is<For>() || place.chain[top].as<For>()->loop_var != loop.loop->loop_var)
    ++top;
  for (++top; place.chain[top].is<SeqStmt>();)
    ++top;
  const std::string name = place.block()->name;
  const Stmt inner = replace_statement(
      std::span<const Stmt>(place.chain).subspan(top),
      copy_node(*place.realize, [&](SBlockRealize& node) {
        node.block = copy_node(*place.block(), [&](SBlock& block) { block.name += "_copy"; });
      }));
  TEMPER_TRY(tile, make_tile_block(context, copy, std::span<const Stmt>(place.chain).first(top),
                                   inner, name));
  // TVM's word for a copy that all threads make together.
  const Block marked = copy_node(*tile.block, [&](SBlock& node) {
    node.annotations = node.annotations.with("auto_copy", make_int(DataType::int32(), 1));
  });
  const auto& realize = static_cast<const SBlockRealize&>(*tile.realize);
  applied.module = replace_in_module(context.module, place.function,
                                     std::span<const Stmt>(place.chain).first(top + 1),
                                     make_realize(realize.iter_values, realize.predicate, marked));
  applied.outputs = {BlockHandle{marked->id}};
  return applied;
}

std::vector<Arguments> enumerate_tile_copies(const Context& context, const Value& handle,
                                             TileCopy which) {
  std::vector<Arguments> uses;
  const auto place =
      handle.as_loop() != nullptr ? find_loop(context.module, *handle.as_loop()) : std::nullopt;
  const auto below = place ? blocks_below(place->chain) : std::nullopt;
  if (!below)
    return uses;
  for (const ChildBlock& child : *below) {
    const size_t count =
        (which == TileCopy::kRead ? child.block().reads : child.block().writes).size();
    for (size_t i = 0; i < count; ++i) {
      Arguments use{.inputs = {handle, BlockHandle{child.block().id}},
                    .attrs = {static_cast<int64_t>(i), "global"}};
      if (copy_tile_at({context.module, nullptr, false}, use, which))
        uses.push_back(std::move(use));
    }
  }
  return uses;
}

} // namespace temper::s_tir
