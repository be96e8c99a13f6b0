#include "ir/s_tir/detail/whole_nest.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {

Result<WholeNest> require_whole_nest(const Context& context, const Value& at,
                                     const ScopedBlock& scoped) {
  const auto refuse = [&](const std::string& why) { return illegal(context, at, why); };
  const Block& block = scoped.block();
  const SBlockRealize& realize = scoped.realize();
  const std::span<const Stmt> chain = scoped.place.chain;
  WholeNest nest;
  nest.outermost = chain.size() - 1;
  while (nest.outermost > scoped.scope_at + 1 && chain[nest.outermost - 1].is<For>())
    --nest.outermost;
  for (size_t i = nest.outermost; i + 1 < chain.size(); ++i)
    nest.loops.push_back(chain[i].as<For>());
  if (nest.loops.size() != scoped.info().loops.size())
    return refuse(fmt::format("{} is not alone in its loops: do this before blocks are moved "
                              "together",
                              describe(block)));
  if (!is_int(realize.predicate, 1))
    return refuse(fmt::format("{} has a predicate", describe(block)));
  for (size_t i = 0; i < block->iter_vars.size(); ++i) {
    const IterVar& axis = block->iter_vars[i];
    const Expr& extent = axis.domain.extent;
    const auto loop = std::find_if(nest.loops.begin(), nest.loops.end(), [&](const For* candidate) {
      return realize.iter_values[i].get() == candidate->loop_var.get();
    });
    const bool whole = loop != nest.loops.end() && is_int(axis.domain.min, 0) &&
                       is_int((*loop)->min, 0) && same_extent((*loop)->extent, extent);
    const bool constant =
        is_int(extent, 1) && is_int(axis.domain.min, 0) && is_int(realize.iter_values[i], 0);
    if (!whole && !constant)
      return refuse(fmt::format("axis {} of {} is not bound to a loop over its whole range, from "
                                "0 on: do this before its loops are split or fused",
                                axis.var->name, describe(block)));
    if (whole && std::find(nest.loop_of_axis.begin(), nest.loop_of_axis.end(), *loop) !=
                     nest.loop_of_axis.end())
      return refuse(fmt::format("two axes of {} are bound to loop {}", describe(block),
                                (*loop)->loop_var->name));
    if (whole && ((*loop)->kind != ForKind::kSerial || !(*loop)->annotations.empty()))
      return refuse(fmt::format("loop {} has annotations or is not serial, which would be lost",
                                (*loop)->loop_var->name));
    nest.extents.push_back(extent);
    nest.loop_of_axis.push_back(whole ? *loop : nullptr);
  }
  for (const For* loop : nest.loops)
    if (!is_int(loop->extent, 1) && std::find(nest.loop_of_axis.begin(), nest.loop_of_axis.end(),
                                              loop) == nest.loop_of_axis.end())
      return refuse(fmt::format("loop {} repeats {}", loop->loop_var->name, describe(block)));
  return nest;
}

} // namespace temper::s_tir
