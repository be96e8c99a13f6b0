/// What an s-tir program computes on small integers, by the interpreter: what schedules must not
/// change.
#pragma once

#include "ir/interpret.h"
#include "ir/s_tir/block.h"
#include "ir/s_tir/layer.h"
#include "ir/support/random.h"
#include "ir/tir/stmt.h"
#include "ir/walk.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace temper::s_tir {

/// The index of the first parameter of "main" that a statement stores to.
inline size_t first_output(const IRModule& module) {
  const PrimFunc function = module->find_prim_func("main");
  size_t first = function->params.size();
  walk(function->body, [&](const NodeRef& node) {
    if (node->kind() == BufferStore::kKind)
      for (size_t i = 0; i < first; ++i)
        if (function->params[i].buffer == static_cast<const BufferStore&>(*node).buffer)
          first = i;
    return true;
  });
  return first;
}

/// Runs "main" on seeded small integers, whose sums are exact. Parameters from `first_output` on
/// are outputs. The error's text, or the outputs' values.
struct RunResult {
  std::string error;
  std::vector<std::vector<float>> outputs;
};
inline RunResult run_on_integers(const IRModule& module, size_t first_output, uint64_t seed,
                                 ParallelOrder order = ParallelOrder::kForward) {
  register_layer();
  const PrimFunc function = module->find_prim_func("main");
  Random random(seed);
  std::vector<std::vector<float>> arrays;
  std::vector<InterpretArgument> arguments;
  for (const Param& param : function->params)
    arrays.emplace_back(static_cast<size_t>(*param.buffer->element_count()));
  for (size_t i = 0; i < arrays.size(); ++i) {
    for (float& value : arrays[i])
      value = i < first_output ? static_cast<float>(random.between(-4, 4)) : 77.0F;
    arguments.emplace_back(i < first_output ? input(arrays[i]) : output(arrays[i]));
  }
  const auto done = interpret(function, arguments, {.parallel_order = order, .seed = seed});
  RunResult result;
  if (!done)
    result.error = done.error().to_string();
  else
    result.outputs.assign(arrays.begin() + static_cast<ptrdiff_t>(first_output), arrays.end());
  return result;
}

/// Empty when the results agree; else what differs.
inline std::string difference(const RunResult& expected, const RunResult& actual,
                              double tolerance) {
  if (!actual.error.empty())
    return actual.error;
  for (size_t i = 0; i < expected.outputs.size(); ++i)
    for (size_t j = 0; j < expected.outputs[i].size(); ++j) {
      const double a = expected.outputs[i][j];
      const double b = actual.outputs[i][j];
      if (!(std::abs(a - b) <= tolerance * std::max(1.0, std::abs(a))))
        return "output " + std::to_string(i) + ", element " + std::to_string(j) + ": " +
               std::to_string(b) + " instead of " + std::to_string(a);
    }
  return {};
}

} // namespace temper::s_tir
