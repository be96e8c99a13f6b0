// blockize(loop): everything at and below a loop becomes the body of a new block.
//
// Each axis of the block below, bound to a sum of loops, is cut in two: what the loops outside
// contribute is an axis of the new block, what the loops inside add to it is bound within. A
// binding must fall apart cleanly for that: the inner part runs over [0, e) and the outer part goes
// in steps of e. An init moves to the new block, with the inner spatial loops around it.
//
// blockize([blocks]): the statements that hold these blocks, and no others, become the body of a
// new block whose axes are the loops around them (detail/tile_block.h).

#include "ir/s_tir/detail/blockize.h"
#include "ir/s_tir/detail/index_math.h"
#include "ir/s_tir/detail/index_type.h"
#include "ir/s_tir/detail/nest.h"
#include "ir/s_tir/detail/reduction_init.h"
#include "ir/s_tir/detail/scoped_block.h"
#include "ir/s_tir/detail/tile_block.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

/// A binding as outer + inner, the inner part in [0, extent), the outer one a multiple of it.
struct Cut {
  Linear outer;
  Linear inner;
  int64_t extent = 1;
  Expr whole; ///< the inner part's extent where that is symbolic
};

/// What keeps a binding from being cut; empty when nothing does.
std::string cut_binding(const Linear& binding, std::span<const For* const> inner, Cut& cut) {
  std::vector<std::pair<int64_t, int64_t>> steps; // factor, extent
  cut.outer.constant = binding.constant;
  for (const Linear::Term& term : binding.terms) {
    const For* loop = nullptr;
    for (const For* candidate : inner)
      if (mentions(term.atom, candidate->loop_var.get()))
        loop = candidate;
    if (loop == nullptr) {
      cut.outer.terms.push_back(term);
      continue;
    }
    if (term.atom.get() != loop->loop_var.get())
      return fmt::format("takes loop {} apart", loop->loop_var->name);
    if (!as_int(loop->extent)) { // of symbolic extent: all of the axis, or nothing is known
      if (binding.terms.size() != 1 || binding.constant != 0 || term.factor != 1)
        return fmt::format("has other parts beside loop {}, whose extent is symbolic",
                           loop->loop_var->name);
      cut.inner.terms.push_back(term);
      cut.whole = loop->extent;
      return {};
    }
    const int64_t extent = *as_int(loop->extent);
    cut.inner.terms.push_back(term);
    if (extent > 1)
      steps.emplace_back(term.factor, extent);
  }
  std::sort(steps.begin(), steps.end());
  for (const auto& [factor, extent] : steps) {
    if (factor != cut.extent)
      return fmt::format("goes in steps of {} where the loops inside give {} values", factor,
                         cut.extent);
    cut.extent *= extent;
  }
  const auto divides = [&](int64_t value) { return value % cut.extent == 0; };
  if (!divides(cut.outer.constant) ||
      !std::all_of(cut.outer.terms.begin(), cut.outer.terms.end(),
                   [&](const Linear::Term& term) { return divides(term.factor); }))
    return fmt::format("does not move by multiples of {} with the loops outside", cut.extent);
  return {};
}

Result<Applied> blockize_blocks(const Context& context, const Value::List& blocks) {
  if (blocks.empty())
    return Error(ErrorCode::kInvalidArgument, "a loop or at least one block is expected");
  std::vector<ScopedBlock> all;
  for (const Value& block : blocks) {
    TEMPER_TRY(scoped, require_in_scope(context, block));
    all.push_back(std::move(scoped));
  }
  const auto refuse = [&](const std::string& why) { return illegal(context, blocks[0], why); };
  for (const ScopedBlock& scoped : all)
    if (scoped.scope_block() != all[0].scope_block())
      return refuse(fmt::format("{} and {} do not stand in the same block",
                                describe(all[0].block()), describe(scoped.block())));

  // The innermost statement around all of them: their sequence, or the only one itself.
  std::vector<Stmt> chain = all[0].place.chain;
  for (const ScopedBlock& scoped : all) {
    const std::vector<Stmt>& other = scoped.place.chain;
    const auto differ = std::mismatch(chain.begin(), chain.end(), other.begin(), other.end()).first;
    chain.erase(differ, chain.end());
  }
  const auto is_given = [&](const SBlock& block) {
    return std::any_of(blocks.begin(), blocks.end(), [&](const Value& value) {
      return value.as_block() != nullptr && value.as_block()->id == block.id;
    });
  };
  Stmt held = chain.back();
  std::vector<Stmt> before;
  std::vector<Stmt> behind;
  if (const auto* seq = held.as<SeqStmt>()) {
    const auto holds_one = [&](const Stmt& stmt) { return has_child_block(stmt, is_given); };
    const auto& statements = seq->statements;
    const auto first = std::find_if(statements.begin(), statements.end(), holds_one);
    const auto last = std::find_if(statements.rbegin(), statements.rend(), holds_one).base();
    before.assign(statements.begin(), first);
    behind.assign(last, statements.end());
    held = make_seq({first, last});
  }
  std::string stranger;
  for_each_child_block(held, [&](const BlockRealize& realize) {
    if (!is_given(*realize->block))
      stranger = realize->block->name;
  });
  if (!stranger.empty())
    return refuse(fmt::format("block \"{}\" stands among them and is not named", stranger));

  // With siblings the sequence stays around the new block; else the block takes its place.
  const bool alone = before.empty() && behind.empty();
  const std::span<const Stmt> around =
      std::span<const Stmt>(chain).first(alone ? chain.size() - 1 : chain.size());
  TEMPER_TRY(tile, make_tile_block(context, blocks[0], around, held, all[0].block()->name + "_o"));
  std::vector<Stmt> statements = before;
  statements.push_back(tile.realize);
  statements.insert(statements.end(), behind.begin(), behind.end());
  Applied applied;
  applied.module = replace_in_module(context.module, all[0].place.function, chain,
                                     make_seq(std::move(statements)));
  applied.outputs = {BlockHandle{tile.block->id}};
  return applied;
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& target = arguments.inputs[0];
  if (const Value::List* blocks = target.as_list())
    return blockize_blocks(context, *blocks);
  if (target.as_block() != nullptr)
    return blockize_blocks(context, {target});
  TEMPER_TRY(made, blockize_loop(context, arguments.inputs[0], *arguments.attrs[0].as_int() != 0));
  Applied applied;
  applied.module = std::move(made.module);
  applied.outputs = {BlockHandle{made.block->id}};
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  const auto propose = [&](Value target) {
    Arguments use{.inputs = {std::move(target)}, .attrs = {1}};
    if (apply({context.module, nullptr, false}, use))
      uses.push_back(std::move(use));
  };
  // Lists, as TVM takes blocks.
  propose(handle.as_block() != nullptr ? Value(Value::List{handle}) : handle);
  // The block together with the one behind it.
  if (handle.as_block() != nullptr)
    if (const auto scoped = require_in_scope({context.module, nullptr, false}, handle);
        scoped && scoped->child + 1 < static_cast<int>(scoped->scope.children.size()))
      propose(Value::List{handle, BlockHandle{scoped->info(scoped->child + 1).block().id}});
  return uses;
}

} // namespace

Result<Blockized> blockize_loop(const Context& context, const Value& at, bool preserve_unit_iters) {
  TEMPER_TRY(place, require_loop(context, at));
  const auto refuse = [&](const std::string& why) { return illegal(context, at, why); };

  // One chain of loops, down to one block.
  std::vector<const For*> inner;
  Stmt stmt = place.loop;
  while (const auto* loop = stmt.as<For>()) {
    if (loop->kind == ForKind::kParallel || loop->kind == ForKind::kThreadBinding)
      return refuse(
          fmt::format("loop {} runs on threads, which a block cannot hold", loop->loop_var->name));
    if (!is_int(loop->min, 0))
      return refuse(fmt::format("loop {} does not start at 0", loop->loop_var->name));
    if (depends_on(loop->extent, loops_of(place.chain)))
      return refuse(
          fmt::format("the extent of loop {} depends on another loop", loop->loop_var->name));
    inner.push_back(loop);
    stmt = loop->body;
  }
  const auto* realize = stmt.as<SBlockRealize>();
  if (realize == nullptr)
    return refuse(fmt::format("below {} there is more than one block", describe(place.loop)));
  const Block& block = realize->block;

  IndexMath math;
  for (const Ref<For>& loop : loops_of(place.chain))
    math.set_loop(*loop);
  for (const For* loop : inner)
    math.set_loop(*loop);
  const auto inside = [&](const Expr& expr) {
    return uses_var(expr, [&](const VarNode& var) {
      return std::any_of(inner.begin(), inner.end(),
                         [&](const For* loop) { return loop->loop_var.get() == &var; });
    });
  };
  if (inside(realize->predicate))
    return refuse(fmt::format("{} has a predicate on the loops that the new block would hold: "
                              "split them so that their factors divide",
                              describe(block)));

  // Axes of the new block, and what those of the old one are bound to now.
  std::vector<IterVar> axes;
  std::vector<Expr> outer_values;
  std::vector<Expr> inner_values; // of the old block's axes
  for (size_t i = 0; i < block->iter_vars.size(); ++i) {
    const IterVar& axis = block->iter_vars[i];
    const DataType dtype = axis.var->dtype;
    const Expr& extent = axis.domain.extent;
    if (!is_int(axis.domain.min, 0))
      return refuse(
          fmt::format("axis {} of {} does not start at 0", axis.var->name, describe(block)));
    Cut cut;
    if (const std::string why = cut_binding(math.linear(realize->iter_values[i]), inner, cut);
        !why.empty())
      return refuse(
          fmt::format("the binding of axis {} of {} {}", axis.var->name, describe(block), why));
    if (cut.whole && !same_extent(cut.whole, extent))
      return refuse(fmt::format("the loop that axis {} of {} is bound to may not go over all of it",
                                axis.var->name, describe(block)));
    const Linear values = math.linear(extent);
    if (!cut.whole && !math.floor_modulo(values, cut.extent).is_constant(0))
      return refuse(
          as_int(extent)
              ? fmt::format("axis {} of {} has {} values, which is no multiple of {}",
                            axis.var->name, describe(block), *as_int(extent), cut.extent)
              : fmt::format("axis {} of {} is no multiple of {} for every value of its symbolic "
                            "extent: pad it first",
                            axis.var->name, describe(block), cut.extent));
    const Linear tiles =
        cut.whole ? math.linear(make_int(dtype, 1)) : math.floor_divide(values, cut.extent);
    Expr base = make_int(dtype, 0);
    if (!tiles.is_constant(1) || preserve_unit_iters) {
      const Var var = fresh_var(axis.var, "_o");
      axes.push_back({{axis.domain.min, math.expr(tiles, dtype)}, var, axis.type});
      Linear steps = cut.outer;
      steps.constant /= cut.extent;
      for (Linear::Term& term : steps.terms)
        term.factor /= cut.extent;
      outer_values.push_back(math.expr(steps, dtype));
      base = cut.whole ? Expr(var) : Expr(var) * cut.extent; // the one tile's number is 0
    }
    inner_values.push_back(cut.inner.terms.empty() ? base : base + math.expr(cut.inner, dtype));
  }

  if (block->init)
    for (const For* loop : inner) {
      const LoopUse use = loop_use(*realize, loop->loop_var);
      if (!is_int(loop->extent, 1) && !use.spatial && !use.reduce && !use.other)
        return refuse(fmt::format("loop {} repeats the reduction of {}, which must start anew each "
                                  "time: the init of the new block would run once",
                                  loop->loop_var->name, describe(block)));
    }

  // The init, and the loops it needs: those of spatial axes.
  Stmt init;
  if (block->init) {
    std::vector<const For*> init_loops;
    VarMap loop_map;
    for (const For* loop : inner)
      if (loop_use(*realize, loop->loop_var).spatial) {
        init_loops.push_back(loop);
        loop_map[loop->loop_var] = fresh_var(loop->loop_var, "_init");
      }
    std::vector<Expr> values;
    for (const Expr& value : inner_values)
      values.push_back(substitute(value, loop_map));
    InitBlock started = init_block_of(block, values, {});
    init = make_realize(std::move(started.values), make_bool(true), started.block);
    for (size_t i = init_loops.size(); i-- > 0;) {
      const Stmt body = init;
      init = copy_node(*init_loops[i], [&](For& node) {
        node.loop_var = Var(static_cast<const VarNode*>(loop_map[node.loop_var].get()));
        node.annotations = {};
        node.body = body;
      });
    }
  }

  const Block update = block->init ? without_init(block, block->name) : block;
  Stmt body = make_realize(inner_values, make_bool(true), update);
  for (size_t i = inner.size(); i-- > 0;) {
    const Stmt below = body;
    body = copy_node(*inner[i], [&](For& node) { node.body = below; });
  }
  Block outer = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = block->name + "_o";
    node.iter_vars = axes;
    node.init = init;
    node.body = body;
  });
  outer = copy_node(*outer, [&](SBlock& node) {
    Accesses accesses = detect_accesses(*outer);
    node.reads = std::move(accesses.reads);
    node.writes = std::move(accesses.writes);
  });
  Blockized made;
  made.block = outer;
  made.module = replace_in_module(context.module, place.function, place.chain,
                                  make_realize(std::move(outer_values), realize->predicate, outer));
  return made;
}

void register_blockize() {
  register_primitive({
      .name = "Blockize",
      .python_name = "blockize",
      .inputs = {{.name = "target", .kind = ValueKind::kBlockOrLoop}},
      .attrs = {{.name = "preserve_unit_iters", .kind = ValueKind::kBool, .default_value = true}},
      .outputs = {ValueKind::kBlock},
      .summary =
          R"(Everything at and below a loop becomes the body of a new block, whose axes move by the
tiles that the loop covers. There must be one block below, each of its bindings a sum of loops of
which the inner ones count the places of a tile. An init becomes the new block's. Returns the new
block; the old handle stands for the block inside. `preserve_unit_iters` keeps axes of extent 1.
Given a block or a list of blocks, which must be all of those in the statements between the first and
the last, the new block holds these statements, and its axes are the loops around them.

    # blockize(j_1)
    for i, j_0, j_1 in T.grid(8, 2, 4):          for i, j_0 in T.grid(8, 2):
        with T.sblock("B"):                          with T.sblock("B_o"):
            vi, vj = ..(i, j_0 * 4 + j_1)   →            vi_o, vj_o = T.axis.remap("SS", [i, j_0])
            B[vi, vj] = A[vi, vj]                        for j_1 in range(4):
                                                             with T.sblock("B"):
                                                                 vi, vj = ..(vi_o, vj_o * 4 + j_1)
                                                                 B[vi, vj] = A[vi, vj])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
