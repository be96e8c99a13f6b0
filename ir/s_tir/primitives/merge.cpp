/// Merge: nests of loops that stand one behind the other become one nest.
///
/// From the statement in which they stand side by side down to the given loops, all loops are
/// merged, pair by pair. An iteration of the later nest then runs right behind the same iteration
/// of the earlier one, so that it may need nothing that a later iteration computes, nor overwrite
/// what a later iteration still reads or writes.
#include "ir/s_tir/detail/scoped_block.h"
#include "ir/s_tir/primitives/dependence.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

struct Plan {
  LoopPlace first;
  size_t at = 0; ///< where in the chain the first nest's outermost loop stands, below a sequence
  std::vector<std::vector<const For*>> nests;
};

std::vector<const For*> loops_between(const std::vector<Stmt>& chain, size_t at) {
  std::vector<const For*> loops;
  for (size_t i = at; i < chain.size(); ++i) {
    const auto* loop = chain[i].as<For>();
    if (loop == nullptr)
      return {};
    loops.push_back(loop);
  }
  return loops;
}

Result<Plan> plan_merge(const Context& context, const Arguments& arguments) {
  const std::vector<Value>& named = arguments.inputs;
  if (named.size() < 2)
    return Error(ErrorCode::kInvalidArgument, "at least two loops are merged");
  std::vector<LoopPlace> places;
  for (const Value& value : named) {
    TEMPER_TRY(place, require_loop(context, value));
    for (const LoopPlace& other : places)
      if (other.loop == place.loop)
        return illegal(context, value, fmt::format("{} is named twice", describe(place.loop)));
    places.push_back(std::move(place));
  }
  // Where the chains part: in a sequence, of which each holds one statement.
  const std::vector<Stmt>& chain = places[0].chain;
  size_t at = 0;
  while (at < chain.size() && at < places[1].chain.size() && chain[at] == places[1].chain[at])
    ++at;
  const auto not_side_by_side = [&](size_t i) {
    return illegal(context, named[i],
                   fmt::format("{} and {} do not stand in nests of loops that are side by side, "
                               "one behind the other",
                               describe(places[0].loop), describe(places[i].loop)));
  };
  if (at == 0 || at == chain.size() || at == places[1].chain.size())
    return not_side_by_side(1);
  const auto* seq = chain[at - 1].as<SeqStmt>();
  if (seq == nullptr)
    return not_side_by_side(1);
  const auto start = std::find(seq->statements.begin(), seq->statements.end(), chain[at]);
  Plan plan{.at = at};
  for (size_t i = 0; i < places.size(); ++i) {
    const std::vector<Stmt>& other = places[i].chain;
    const auto wanted = start + static_cast<ptrdiff_t>(i);
    if (other.size() <= at || other[at - 1] != chain[at - 1] ||
        wanted - seq->statements.begin() >= static_cast<ptrdiff_t>(seq->statements.size()) ||
        other[at] != *wanted)
      return not_side_by_side(i);
    std::vector<const For*> loops = loops_between(other, at);
    if (loops.empty())
      return illegal(context, named[i],
                     fmt::format("above {} there is more than loops, each the only thing in the "
                                 "body of the next outer one",
                                 describe(places[i].loop)));
    if (!plan.nests.empty() && loops.size() != plan.nests[0].size())
      return illegal(context, named[i],
                     fmt::format("{} is below {} loops and {} below {}: the nests must be as deep",
                                 describe(places[i].loop), loops.size() - 1,
                                 describe(places[0].loop), plan.nests[0].size() - 1));
    for (size_t d = 0; d < loops.size(); ++d) {
      TEMPER_TRY_VOID(require_plain_loop(context, Ref<For>(loops[d])));
      const For& model = plan.nests.empty() ? *loops[d] : *plan.nests[0][d];
      if (loops[d]->kind != ForKind::kSerial)
        return illegal(context, LoopHandle{loops[d]->loop_var},
                       fmt::format("loop {} is not serial", loops[d]->loop_var->name));
      if (!same_expr(model.extent, loops[d]->extent))
        return illegal(context, LoopHandle{loops[d]->loop_var},
                       fmt::format("loops {} and {} have different extents", model.loop_var->name,
                                   loops[d]->loop_var->name));
    }
    plan.nests.push_back(std::move(loops));
  }
  plan.first = std::move(places[0]);
  return plan;
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(plan, plan_merge(context, arguments));
  const std::vector<const For*>& model = plan.nests[0];
  std::vector<Var> merged;
  for (const For* loop : model)
    merged.push_back(make_var(loop->loop_var->name + "_m", loop->loop_var->dtype));

  const std::span<const Stmt> chain = std::span(plan.first.chain).first(plan.at);
  std::vector<Stmt> bodies;
  Applied applied;
  for (const std::vector<const For*>& nest : plan.nests) {
    Rebind rebind(plan.first.chain, /*preserve_unit_iters=*/true);
    VarMap values;
    for (size_t d = 0; d < nest.size(); ++d) {
      rebind.bind(merged[d], model[d]->extent);
      values[nest[d]->loop_var] = merged[d];
      applied.moved.push_back({LoopHandle{nest[d]->loop_var}, Value()});
    }
    bodies.push_back(rebind.run(nest.back()->body, values));
  }
  Stmt nest = make_seq(std::move(bodies));
  for (size_t d = merged.size(); d-- > 0;)
    nest = make_for(merged[d], make_int(merged[d]->dtype, 0), model[d]->extent, ForKind::kSerial,
                    nest);

  const auto& seq = static_cast<const SeqStmt&>(*chain.back());
  std::vector<Stmt> statements;
  for (const Stmt& stmt : seq.statements) {
    bool is_nest = false;
    for (const std::vector<const For*>& old : plan.nests)
      is_nest |= stmt.get() == old.front();
    if (!is_nest)
      statements.push_back(stmt);
    else if (stmt.get() == model.front())
      statements.push_back(nest);
  }
  applied.module = replace_in_module(context.module, plan.first.function, chain,
                                     make_seq(std::move(statements)));
  applied.outputs = {LoopHandle{merged.back()}};

  // What the merged nest computes is right when no iteration needs more than the nests before it
  // have made in this and earlier iterations: looked at in the result.
  const auto place = find_loop(applied.module, LoopHandle{merged.front()});
  const auto below = blocks_below(place->chain);
  if (!below)
    return illegal(context, arguments.inputs[0],
                   fmt::format("below {} there are statements outside of blocks, whose dependences "
                               "are not known",
                               describe(plan.first.loop)));
  if (const auto reason = carried_dependence(place->chain, *below))
    return illegal(
        context, arguments.inputs[0],
        fmt::format("iterations of the merged loops would depend on each other: {}", *reason));
  const Scope scope = analyze_scope(*enclosing_block(place->chain));
  for (const ChildBlock& child : *below) {
    const int index = scope.index_of(child.block().id);
    for (const Dependency& dependency : scope.dependencies) {
      if (dependency.from != index)
        continue;
      const BlockId to = scope.children[static_cast<size_t>(dependency.to)].block().id;
      if (std::none_of(below->begin(), below->end(),
                       [&](const ChildBlock& other) { return other.block().id == to; }))
        continue;
      const SBlock& later = scope.children[static_cast<size_t>(dependency.to)].block();
      const auto outermost =
          std::find_if(child.loops.begin(), child.loops.end(),
                       [&](const For* loop) { return loop->loop_var == merged.front(); });
      // An init over a loop that fuses spatial axes with a reduction's, say.
      if (std::any_of(
              later.writes.begin(), later.writes.end(),
              [&](const BufferRegion& write) { return writes(child.block(), write.buffer); }) &&
          !is_injective(child, static_cast<size_t>(outermost - child.loops.begin()), Axes::kAll))
        return illegal(context, arguments.inputs[0],
                       fmt::format("block \"{}\" writes the same elements in several iterations of "
                                   "the merged loops, over what block \"{}\" has made of them",
                                   child.block().name, later.name));
      for (const Var& var : merged) {
        const LoopUse use = loop_use(*child.realize, var);
        if ((use.reduce || use.other) &&
            constant_extent(*find_loop(applied.module, LoopHandle{var})->loop) != 1)
          return illegal(context, arguments.inputs[0],
                         fmt::format("block \"{}\" reduces over the merged loop {}: block \"{}\" "
                                     "would read a part of its result",
                                     child.block().name, var->name, later.name));
      }
    }
  }
  return applied;
}

/// The loop with the one as deep in the nest behind.
std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  const auto place =
      handle.as_loop() != nullptr ? find_loop(context.module, *handle.as_loop()) : std::nullopt;
  if (!place)
    return uses;
  size_t top = place->chain.size() - 1;
  while (top > 0 && place->chain[top - 1].is<For>())
    --top;
  const auto* seq = top > 0 ? place->chain[top - 1].as<SeqStmt>() : nullptr;
  if (seq == nullptr)
    return uses;
  const auto self = std::find(seq->statements.begin(), seq->statements.end(), place->chain[top]);
  if (self + 1 == seq->statements.end())
    return uses;
  const auto* other = (self + 1)->as<For>();
  for (size_t d = top; other != nullptr && d + 1 < place->chain.size(); ++d)
    other = other->body.as<For>();
  if (other == nullptr)
    return uses;
  Arguments use{.inputs = {handle, LoopHandle{other->loop_var}}};
  if (apply({context.module, nullptr, false}, use))
    uses.push_back(std::move(use));
  return uses;
}

} // namespace

void register_merge() {
  register_primitive({
      .name = "Merge",
      .python_name = "merge",
      .inputs = {{.name = "loops", .kind = ValueKind::kLoop, .variadic = true}},
      .outputs = {ValueKind::kLoop},
      .summary = "Nests of loops that stand one behind the other become one: the given loops, one "
                 "of each nest, and those above them, pair by pair, which must have the same "
                 "extents. No iteration may need what a later one computes, nor overwrite what a "
                 "later one still reads or writes. Returns the innermost merged loop.\n"
                 "\n"
                 "    for i, j in T.grid(8, 16):          for i_m, j_m in T.grid(8, 16):\n"
                 "        with T.sblock(\"B\"): ...    →        with T.sblock(\"B\"): ...\n"
                 "    for i, j in T.grid(8, 16):              with T.sblock(\"C\"): ...\n"
                 "        with T.sblock(\"C\"): ...",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
