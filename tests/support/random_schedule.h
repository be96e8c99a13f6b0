/// Random legal schedules from the registry's `enumerate`, and what they must not change: the
/// values that a program computes, by the interpreter.
#pragma once

#include "ir/interpret.h"
#include "ir/s_tir/layer.h"
#include "ir/s_tir/schedule.h"
#include "ir/walk.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace temper::s_tir::testing {

/// All blocks and loops of a module, in the order of the text.
inline std::vector<Value> places(const IRModule& module) {
  std::vector<Value> result;
  walk(module, [&](const NodeRef& node) {
    if (node->kind() == SBlock::kKind)
      result.emplace_back(BlockHandle{static_cast<const SBlock&>(*node).id});
    else if (node->kind() == For::kKind)
      result.emplace_back(LoopHandle{static_cast<const For&>(*node).loop_var});
    return node->kind() >= kFunctionKinds;
  });
  return result;
}

/// How often the innermost statements run, in all: the time the interpreter takes.
inline int64_t iterations(const Stmt& stmt) {
  constexpr int64_t kMany = int64_t{1} << 40;
  return visit(
      stmt,
      [&](const SeqStmt& seq) {
        int64_t total = 0;
        for (const Stmt& child : seq.statements)
          total += iterations(child);
        return std::min(total, kMany);
      },
      [&](const For& loop) {
        return std::min(as_int(loop.extent).value_or(1) * iterations(loop.body), kMany);
      },
      [&](const SBlockRealize& realize) { return iterations(realize.block->body); },
      [](const StmtNode&) { return int64_t{1}; });
}

/// Programs are not made larger than this: splits whose factors do not divide, one after the other,
/// multiply the iterations that a predicate then leaves out.
inline constexpr int64_t kMaxIterations = 200'000;

/// Applies one random legal primitive at a random place; false when nothing was found in a few
/// tries. An error is a primitive that enumerates what it then refuses.
inline Result<bool> random_step(Schedule& schedule, Random& random) {
  for (int tries = 0; tries < 8; ++tries) {
    const std::vector<Value> all = places(schedule.module());
    const Value& place = all[static_cast<size_t>(random.below(static_cast<int64_t>(all.size())))];
    const auto primitives = all_primitives();
    const Primitive& primitive =
        *primitives[static_cast<size_t>(random.below(static_cast<int64_t>(primitives.size())))];
    if (primitive.enumerate == nullptr || !primitive.changes_module)
      continue;
    Context context = schedule.context();
    const std::vector<Arguments> uses = primitive.enumerate(context, place);
    if (uses.empty())
      continue;
    const Arguments& use =
        uses[static_cast<size_t>(random.below(static_cast<int64_t>(uses.size())))];
    Schedule before = schedule;
    auto outputs = schedule.call(primitive, use);
    if (!outputs)
      return std::move(outputs).error();
    if (iterations(schedule.module()->find_prim_func("main")->body) <= kMaxIterations)
      return true;
    schedule = std::move(before);
  }
  return false;
}

/// A function's parameters after a run on small seeded integers (exact in any order of summation);
/// parameters that some block writes are outputs, and hold nothing before.
inline Result<std::vector<std::vector<float>>> run(const IRModule& module, uint64_t seed = 1,
                                                   ParallelOrder order = ParallelOrder::kRandom) {
  register_layer();
  const PrimFunc function = module->find_prim_func("main");
  std::vector<std::vector<float>> arrays;
  std::vector<InterpretArgument> arguments;
  Random random(seed);
  arrays.reserve(function->params.size());
  for (const Param& param : function->params) {
    bool written = false;
    walk(function->body, [&](const NodeRef& node) {
      if (node->kind() == BufferStore::kKind)
        written |= static_cast<const BufferStore&>(*node).buffer == param.buffer;
      return !written;
    });
    auto& array = arrays.emplace_back(static_cast<size_t>(*param.buffer->element_count()));
    for (float& value : array)
      value = written ? -777.0F : static_cast<float>(random.between(-3, 3));
    arguments.emplace_back(written ? output(array) : input(array));
  }
  TEMPER_TRY_VOID(interpret(function, arguments, {.parallel_order = order, .seed = seed}));
  return arrays;
}

/// Empty when equal within rounding; else the first difference.
inline std::string difference(const std::vector<std::vector<float>>& got,
                              const std::vector<std::vector<float>>& wanted) {
  for (size_t i = 0; i < wanted.size(); ++i)
    for (size_t k = 0; k < wanted[i].size(); ++k)
      if (!(std::abs(got[i][k] - wanted[i][k]) <= 1e-4F * (1 + std::abs(wanted[i][k]))))
        return "parameter " + std::to_string(i) + ", element " + std::to_string(k) + ": " +
               std::to_string(got[i][k]) + " instead of " + std::to_string(wanted[i][k]);
  return {};
}

} // namespace temper::s_tir::testing
