// decompose_reduction(block, loop): the init of a reduction block becomes a block of its own, in
// front of `loop`.
//
// The loops from `loop` down to the block which bind spatial axes are repeated, with their kinds,
// around the init; the block keeps all its loops and loses its init. The loop must not stand below
// a loop of the reduction: the init would be run again in the middle of it.

#include "ir/s_tir/detail/reduction_init.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

bool uses_reduction(const SBlockRealize& realize, const Var& loop_var) {
  return loop_use(realize, loop_var).reduce;
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(scoped, require_in_scope(context, arguments.inputs[0]));
  const LoopHandle* handle = arguments.inputs[1].as_loop();
  if (handle == nullptr)
    return Error(ErrorCode::kInvalidArgument, "a loop is expected here");
  const Block& block = scoped.block();
  const SBlockRealize& realize = scoped.realize();
  const std::vector<const For*>& loops = scoped.info().loops;
  const auto target = std::find_if(loops.begin(), loops.end(),
                                   [&](const For* loop) { return loop->loop_var == handle->var; });
  if (target == loops.end())
    return illegal(
        context, arguments.inputs[0],
        fmt::format("loop {} is not a loop around {}", handle->var->name, describe(block)));
  if (const char* why = why_not_reduction(scoped.scope, scoped.child))
    return illegal(context, arguments.inputs[0],
                   fmt::format("{} is not a reduction block: it {}", describe(block), why));
  for (auto loop = loops.begin(); loop != target; ++loop)
    if (uses_reduction(realize, (*loop)->loop_var))
      return illegal(context, arguments.inputs[1],
                     fmt::format("loop {} stands below {}, a loop of the reduction: the init "
                                 "would run again in the middle of it",
                                 handle->var->name, (*loop)->loop_var->name));
  if (const For* loop =
          repeating_loop(realize, loops, static_cast<size_t>(target - loops.begin()), loops.size()))
    return illegal(context, arguments.inputs[1],
                   fmt::format("loop {} repeats the reduction of {}, which must start anew each "
                               "time: loop {} stands above it",
                               loop->loop_var->name, describe(block), handle->var->name));

  // Which loops the init needs: those of spatial axes.
  std::vector<const For*> init_loops;
  std::vector<const VarNode*> dropped;
  VarMap loop_map;
  for (auto loop = target; loop != loops.end(); ++loop) {
    if (loop_use(realize, (*loop)->loop_var).spatial) {
      init_loops.push_back(*loop);
      loop_map[(*loop)->loop_var] = fresh_var((*loop)->loop_var, "_init");
    } else if (is_int((*loop)->extent, 1)) {
      loop_map[(*loop)->loop_var] = (*loop)->min; // no binding mentions it, a condition may
    } else {
      dropped.push_back((*loop)->loop_var.get());
    }
  }

  std::vector<Expr> values;
  for (const Expr& value : realize.iter_values)
    values.push_back(substitute(value, loop_map));
  InitBlock started = init_block_of(block, values, block->annotations);
  // A condition on a dropped loop says which steps of the reduction exist, not which outputs.
  Expr predicate = make_bool(true);
  for (const Expr& condition : conditions_of(realize.predicate)) {
    const bool about_dropped = uses_var(condition, [&](const VarNode& var) {
      return std::find(dropped.begin(), dropped.end(), &var) != dropped.end();
    });
    if (!about_dropped)
      predicate = logical_and(predicate, substitute(condition, loop_map));
  }
  Stmt init = make_realize(std::move(started.values), predicate, started.block);
  for (size_t i = init_loops.size(); i-- > 0;) {
    const Stmt body = init;
    init = copy_node(*init_loops[i], [&](For& node) {
      node.loop_var = Var(static_cast<const VarNode*>(loop_map[node.loop_var].get()));
      node.body = body;
    });
  }

  const Block update = without_init(block, block->name + "_update");
  const auto at =
      static_cast<size_t>(std::find_if(scoped.place.chain.begin(), scoped.place.chain.end(),
                                       [&](const Stmt& stmt) { return stmt.get() == *target; }) -
                          scoped.place.chain.begin());
  const std::span<const Stmt> chain = scoped.place.chain;
  Stmt rest = replace_statement(
      chain.subspan(at), copy_node(realize, [&](SBlockRealize& node) { node.block = update; }));
  Applied applied;
  applied.module = replace_in_module(context.module, scoped.place.function, chain.first(at + 1),
                                     make_seq({init, std::move(rest)}));
  applied.outputs = {BlockHandle{started.block->id}};
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  if (handle.as_block() == nullptr)
    return uses;
  const auto scoped = require_in_scope(context, handle);
  if (!scoped || why_not_reduction(scoped->scope, scoped->child) != nullptr)
    return uses;
  for (const For* loop : scoped->info().loops) {
    Arguments use{.inputs = {handle, LoopHandle{loop->loop_var}}};
    if (apply({context.module, nullptr, false}, use))
      uses.push_back(std::move(use));
    if (uses_reduction(scoped->realize(), loop->loop_var))
      break;
  }
  return uses;
}

} // namespace

void register_decompose_reduction() {
  register_primitive({
      .name = "DecomposeReduction",
      .python_name = "decompose_reduction",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock},
                 {.name = "loop", .kind = ValueKind::kLoop}},
      .outputs = {ValueKind::kBlock},
      .summary = R"(Splits a reduction block into two: one that initialises its output, in front of
`loop`, and one that updates it. `loop` must be around the block and not below a loop of the
reduction. Returns the init block; the old handle stands for the update.

    # decompose_reduction(C, k)
    for i, j, k in T.grid(8, 8, 8):              for i, j in T.grid(8, 8):
        with T.sblock("C"):                          with T.sblock("C_init"):
            ...                              →           C[vi, vj] = T.float32(0)
            with T.init():                           for k in range(8):
                C[vi, vj] = T.float32(0)                 with T.sblock("C_update"):
            C[vi, vj] = C[vi, vj] + ...                      C[vi, vj] = C[vi, vj] + ...)",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
