/// Random legal schedules: at each step a random block or loop, a random primitive, and one of the
/// uses that its enumerate() offers there.
#pragma once

#include "ir/interpret.h"
#include "ir/s_tir/layer.h"
#include "ir/s_tir/primitive.h"
#include "ir/support/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace temper::s_tir {

inline void collect_handles(const Stmt& stmt, std::vector<Value>& handles) {
  visit(
      stmt,
      [&](const SeqStmt& seq) {
        for (const Stmt& child : seq.statements)
          collect_handles(child, handles);
      },
      [&](const For& loop) {
        handles.push_back(LoopHandle{loop.loop_var});
        collect_handles(loop.body, handles);
      },
      [&](const SBlockRealize& realize) {
        handles.push_back(BlockHandle{realize.block->id});
        collect_handles(realize.block->body, handles);
      },
      [](const StmtNode&) {});
}

inline std::string name_of(const IRModule& module, const Value& handle) {
  if (const auto* block = handle.as_block()) {
    const auto place = find_block(module, *block);
    return place ? place->block()->name : "?";
  }
  if (const auto* loop = handle.as_loop())
    return loop->var->name;
  if (const auto* number = handle.as_int())
    return std::to_string(*number);
  if (const auto* text = handle.as_string())
    return '"' + *text + '"';
  return handle.is_none() ? "None" : "...";
}

/// "compute_at(B, i_0, 1, -1)"
inline std::string describe_use(const IRModule& module, const Primitive& primitive,
                                const Arguments& use) {
  std::string text = primitive.python_name + "(";
  for (const auto* list : {&use.inputs, &use.attrs})
    for (const Value& value : *list)
      text += (text.back() == '(' ? "" : ", ") + name_of(module, value);
  return text + ")";
}

struct RandomSchedule {
  std::vector<IRModule> modules; ///< the first is the unscheduled one
  std::vector<std::string> steps;
  std::string text() const {
    std::string all;
    for (const std::string& step : steps)
      all += "  " + step + "\n";
    return all;
  }
};

/// `weight` says how often a primitive is tried (0: never).
inline RandomSchedule random_schedule(const IRModule& module, int steps, Random& random,
                                      const std::function<int(const Primitive&)>& weight) {
  RandomSchedule schedule;
  schedule.modules.push_back(module);
  std::vector<const Primitive*> choices;
  for (const Primitive* primitive : all_primitives())
    if (primitive->enumerate != nullptr && primitive->changes_module)
      for (int i = 0; i < weight(*primitive); ++i)
        choices.push_back(primitive);
  for (int tries = 0; tries < 20 * steps && static_cast<int>(schedule.steps.size()) < steps;
       ++tries) {
    const IRModule& current = schedule.modules.back();
    std::vector<Value> handles;
    collect_handles(current->find_prim_func("main")->body, handles);
    const Value handle =
        handles[static_cast<size_t>(random.below(static_cast<int64_t>(handles.size())))];
    const Primitive& primitive =
        *choices[static_cast<size_t>(random.below(static_cast<int64_t>(choices.size())))];
    const Context context{current, &random, false};
    const std::vector<Arguments> uses = primitive.enumerate(context, handle);
    if (uses.empty())
      continue;
    const Arguments& use =
        uses[static_cast<size_t>(random.below(static_cast<int64_t>(uses.size())))];
    auto applied = primitive.apply(context, use);
    EXPECT_TRUE(applied) << "enumerate() offered an illegal use: "
                         << describe_use(current, primitive, use) << ": "
                         << applied.error().message;
    if (!applied)
      break;
    schedule.steps.push_back(describe_use(current, primitive, use));
    schedule.modules.push_back(applied->module);
  }
  return schedule;
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
