/// Random legal schedules of a program: primitives, places and arguments drawn from the registry.
#pragma once

#include "ir/s_tir/schedule.h"
#include "ir/walk.h"

#include <string>
#include <vector>

namespace temper::ir::testing {

/// `steps` random primitives that changed the module; `log` gets their names.
inline IRModule randomly_scheduled(IRModule module, int steps, Random& random, std::string& log) {
  using namespace s_tir; // NOLINT
  static const char* const kNames[] = {"Split",
                                       "Split",
                                       "Fuse",
                                       "Reorder",
                                       "Reorder",
                                       "Parallel",
                                       "Vectorize",
                                       "Vectorize",
                                       "Unroll",
                                       "CacheWrite",
                                       "CacheRead",
                                       "ComputeAt",
                                       "ReverseComputeAt",
                                       "ComputeInline",
                                       "ReverseComputeInline",
                                       "RFactor",
                                       "DecomposeReduction"};
  for (int tries = 0, done = 0; done < steps && tries < steps * 12; ++tries) {
    std::vector<s_tir::Value> places;
    for (const ModuleEntry& entry : module->functions)
      walk(entry.function, [&](const NodeRef& node) {
        if (const auto* realize = node.as<SBlockRealize>())
          places.push_back(BlockHandle{realize->block->id});
        else if (const auto* loop = node.as<For>())
          places.push_back(LoopHandle{loop->loop_var});
        return !ExprNode::accepts(node->kind());
      });
    const Primitive* primitive = find_primitive(kNames[random() % std::size(kNames)]);
    if (primitive == nullptr || primitive->enumerate == nullptr)
      continue;
    const Context context{module, &random, false};
    const auto uses = primitive->enumerate(context, places[random() % places.size()]);
    if (uses.empty())
      continue;
    auto applied = primitive->apply(context, uses[random() % uses.size()]);
    if (!applied || applied->module == module)
      continue;
    module = applied->module;
    log += primitive->name + " ";
    ++done;
  }
  return module;
}

} // namespace temper::ir::testing
