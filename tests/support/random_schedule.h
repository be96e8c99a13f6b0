/// Random legal schedules from the registry's `enumerate`.
#pragma once

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
        const int64_t inner = iterations(loop.body);
        const int64_t extent = std::max<int64_t>(as_int(loop.extent).value_or(1), 1);
        return inner > kMany / extent ? kMany : extent * inner;
      },
      [&](const SBlockRealize& realize) {
        const SBlock& block = *realize.block;
        return std::min(iterations(block.body) + (block.init ? iterations(block.init) : 0), kMany);
      },
      [](const StmtNode&) { return int64_t{1}; });
}

/// Programs are not made larger than this: splits whose factors do not divide, one after the other,
/// multiply the iterations that a predicate then leaves out.
inline constexpr int64_t kMaxIterations = 200'000;

/// How often a primitive is tried (0: never).
using Weight = int (*)(const Primitive& primitive);
inline int each_once(const Primitive&) { return 1; }
/// For programs that are then lowered for a CPU, which has no threads to bind loops to.
inline int without_threads(const Primitive& primitive) {
  return primitive.python_name == "bind" ? 0 : 1;
}
/// Mostly moves of blocks, and the loops that make places for them.
inline int mostly_moves(const Primitive& primitive) {
  for (const char* name :
       {"compute_at", "reverse_compute_at", "cache_read", "cache_write", "decompose_reduction",
        "rfactor", "compute_inline", "reverse_compute_inline", "split", "reorder", "fuse"})
    if (primitive.python_name == name)
      return 3;
  for (const char* name : {"annotate", "unannotate", "bind"})
    if (primitive.python_name == name)
      return 0;
  return 1;
}

/// Applies one random legal primitive at a random place; false when nothing was found in a few
/// tries. An error is a primitive that enumerates what it then refuses.
inline Result<bool> random_step(Schedule& schedule, Random& random, Weight weight = each_once) {
  std::vector<const Primitive*> choices;
  for (const Primitive* primitive : all_primitives())
    if (primitive->enumerate != nullptr && primitive->changes_module)
      choices.insert(choices.end(), static_cast<size_t>(weight(*primitive)), primitive);
  for (int tries = 0; tries < 8; ++tries) {
    const std::vector<Value> all = places(schedule.module());
    const Value& place = all[static_cast<size_t>(random.below(static_cast<int64_t>(all.size())))];
    const Primitive& primitive =
        *choices[static_cast<size_t>(random.below(static_cast<int64_t>(choices.size())))];
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

} // namespace temper::s_tir::testing
