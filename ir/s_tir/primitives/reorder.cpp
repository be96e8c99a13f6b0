/// Reorder: loops of one chain change places among themselves; loops of the chain that are not
/// named stay where they are.
#include "ir/s_tir/primitives/dependence.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

namespace temper::s_tir {
namespace {

struct Plan {
  PrimFunc function;
  std::vector<Stmt> chain;       ///< to the first loop that moves
  std::vector<const For*> order; ///< the new nest from there, outermost first
  Stmt body;                     ///< of the innermost of them
};

bool is_named(std::span<const Value> loops, const For& loop) {
  return std::any_of(loops.begin(), loops.end(),
                     [&](const Value& value) { return value.as_loop()->var == loop.loop_var; });
}

/// The two orders agree on the loops that run more than once.
bool same_sequence(std::span<const For* const> before, std::span<const For* const> after) {
  const auto repeats = [](const For* loop) { return constant_extent(*loop) != 1; };
  return std::ranges::equal(before | std::views::filter(repeats),
                            after | std::views::filter(repeats));
}

/// The two orders agree on the loops that reduce into `realize`'s block.
bool keeps_reduction_order(const SBlockRealize& realize, std::span<const For* const> before,
                           std::span<const For* const> after) {
  std::vector<const VarNode*> reducing;
  for (size_t i = 0; i < realize.iter_values.size(); ++i)
    if (realize.block->iter_vars[i].type == IterType::kReduce)
      uses_var(realize.iter_values[i], [&](const VarNode& var) {
        reducing.push_back(&var);
        return false;
      });
  auto reduces = [&](const For* loop) {
    return std::find(reducing.begin(), reducing.end(), loop->loop_var.get()) != reducing.end() &&
           constant_extent(*loop) != 1;
  };
  size_t next = 0;
  for (const For* loop : before) {
    if (!reduces(loop))
      continue;
    while (!reduces(after[next]))
      ++next;
    if (after[next++] != loop)
      return false;
  }
  return true;
}

Result<Plan> plan_reorder(const Context& context, const Arguments& arguments) {
  const std::span<const Value> named = arguments.inputs;
  TEMPER_TRY(first, require_loop(context, named[0]));
  for (size_t i = 1; i < named.size(); ++i) {
    if (named[i].as_loop() == nullptr) {
      TEMPER_TRY(ignored, require_loop(context, named[i])); // says what it is instead
      (void)ignored;
    }
    for (size_t k = 0; k < i; ++k)
      if (named[k] == named[i])
        return illegal(context, named[i],
                       fmt::format("loop {} is named twice", named[i].as_loop()->var->name));
  }
  // The chain of loops around and below the first named one, each the only child of the one before.
  size_t top = first.chain.size() - 1;
  while (top > 0 && first.chain[top - 1].is<For>())
    --top;
  std::vector<const For*> nest;
  for (size_t i = top; i < first.chain.size(); ++i)
    nest.push_back(first.chain[i].as<For>());
  while (const auto* inner = nest.back()->body.as<For>())
    nest.push_back(inner);

  size_t begin = nest.size();
  size_t end = 0;
  size_t found = 0;
  for (size_t i = 0; i < nest.size(); ++i)
    if (is_named(named, *nest[i])) {
      begin = std::min(begin, i);
      end = i + 1;
      ++found;
    }
  if (found != named.size()) {
    for (const Value& value : named)
      if (std::none_of(nest.begin(), nest.end(),
                       [&](const For* loop) { return loop->loop_var == value.as_loop()->var; })) {
        TEMPER_TRY(place, require_loop(context, value));
        return illegal(
            context, value,
            fmt::format("{} and {} are not in one chain of loops, each the only thing in "
                        "the body of the next outer one",
                        describe(first.loop), describe(place.loop)));
      }
  }
  Plan plan{.function = std::move(first.function)};
  const std::span<const For* const> before = std::span(nest).subspan(begin, end - begin);
  // The chain to the loop at `begin`: shorter or longer than the one to the first named loop.
  plan.chain.assign(first.chain.begin(), first.chain.begin() + static_cast<ptrdiff_t>(top));
  for (size_t i = 0; i <= begin; ++i)
    plan.chain.push_back(Stmt(nest[i]));
  plan.order.assign(before.begin(), before.end());
  plan.body = before.back()->body;
  size_t next = 0;
  for (const For*& slot : plan.order)
    if (is_named(named, *slot)) {
      const Var& wanted = named[next++].as_loop()->var;
      slot = *std::find_if(before.begin(), before.end(),
                           [&](const For* loop) { return loop->loop_var == wanted; });
    }
  if (std::equal(before.begin(), before.end(), plan.order.begin()))
    return plan;

  for (size_t i = 0; i < plan.order.size(); ++i) {
    const For& loop = *plan.order[i];
    if (loop.min.is<IntImm>() && loop.extent.is<IntImm>())
      continue;
    for (size_t inner = i; inner < plan.order.size(); ++inner) {
      const Var& var = plan.order[inner]->loop_var;
      auto is_it = [&](const VarNode& used) { return &used == var.get(); };
      if (uses_var(loop.min, is_it) || uses_var(loop.extent, is_it))
        return illegal(context, LoopHandle{loop.loop_var},
                       fmt::format("the bounds of loop {} depend on loop {}, which would be inside "
                                   "it",
                                   loop.loop_var->name, var->name));
    }
  }
  const auto below = blocks_below(plan.chain);
  if (!below)
    return illegal(context, named[0],
                   fmt::format("below {} there are statements outside of blocks, whose dependences "
                               "are not known",
                               describe(first.loop)));
  for (const ChildBlock& child : *below) {
    const SBlock& block = child.block();
    const Value at = BlockHandle{block.id};
    for (const IterVar& axis : block.iter_vars)
      if (axis.type != IterType::kSpatial && axis.type != IterType::kReduce)
        return illegal(context, at,
                       fmt::format("axis {} of block \"{}\" is neither spatial nor reduction: the "
                                   "order of its instances matters",
                                   axis.var->name, block.name));
    const size_t outer = static_cast<size_t>(
        std::find(child.loops.begin(), child.loops.end(), before[0]) - child.loops.begin());
    if (const Buffer buffer = exchanged_buffer(child, outer);
        buffer && !same_sequence(before, plan.order))
      return illegal(context, at,
                     fmt::format("block \"{}\" reads other elements of {} than it writes, which "
                                 "other iterations write: their order matters",
                                 block.name, buffer->name));
    // Where iterations overlap, the initialisation of one would wipe out what another accumulated.
    if (block.init && !is_injective(child, outer, Axes::kAll))
      return illegal(
          context, at,
          fmt::format("iterations may reduce into the same elements of block \"{}\" more "
                      "than once: its bindings are not affine, or overlap",
                      block.name));
    // Bodies of more than one store that have an init are taken at their word, as argmax.
    const bool opaque_reduction = block.init && single_store(block.body) == nullptr;
    if (!opaque_reduction && !keeps_reduction_order(*child.realize, before, plan.order) &&
        !is_commutative_update(block))
      return illegal(context, at,
                     fmt::format("the reduction of block \"{}\" is not of the form B = B + e (or "
                                 "with *, min, max, and, or), so that its order must be kept",
                                 block.name));
  }
  if (const auto reason = carried_dependence(plan.chain, *below))
    return illegal(context, named[0], *reason);
  return plan;
}

Result<void> check(const Context& context, const Arguments& arguments) {
  if (auto plan = plan_reorder(context, arguments); !plan)
    return std::move(plan).error();
  return {};
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(plan, plan_reorder(context, arguments));
  if (plan.chain.back().get() == plan.order[0]) {
    // Nothing moves unless a loop further inside does.
    const For* loop = plan.order[0];
    size_t same = 1;
    while (same < plan.order.size() && loop->body.get() == plan.order[same])
      loop = plan.order[same++];
    if (same == plan.order.size())
      return Applied{.module = context.module};
  }
  Stmt body = plan.body;
  for (size_t i = plan.order.size(); i-- > 0;)
    body = copy_node(*plan.order[i], [&](For& node) { node.body = body; });
  return Applied{.module = replace_in_module(context.module, plan.function, plan.chain, body)};
}

/// The loop swapped with each of the next few inside it.
std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  if (handle.as_loop() == nullptr)
    return {};
  const auto place = find_loop(context.module, *handle.as_loop());
  if (!place)
    return {};
  std::vector<Arguments> uses;
  const For* loop = place->loop.get();
  for (int i = 0; i < 3 && (loop = loop->body.as<For>()) != nullptr; ++i) {
    Arguments arguments{.inputs = {LoopHandle{loop->loop_var}, handle}};
    if (check(context, arguments))
      uses.push_back(std::move(arguments));
  }
  return uses;
}

} // namespace

void register_reorder() {
  register_primitive({
      .name = "Reorder",
      .python_name = "reorder",
      .inputs = {{.name = "loops", .kind = ValueKind::kLoop, .variadic = true}},
      .summary =
          "Puts loops of one chain into the given order, outermost first; loops of the chain that "
          "are "
          "not named stay where they are. Each loop must be the only thing in the body of the next "
          "outer one; no loop's bounds may depend on a loop that would be inside it; the blocks "
          "below "
          "have spatial and reduction axes only, those with an init affine bindings, and they "
          "exchange "
          "nothing between iterations; a reduction whose own order changes must be commutative.\n"
          "\n"
          "    for i, j in T.grid(8, 16):  →  for j, i in T.grid(16, 8):",
      .check = check,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
