#include "ir/tir/roles.h"

#include "ir/arith/simplify.h"
#include "ir/walk.h"

#include <fmt/format.h>

namespace temper::tir {

bool divides_roles(const IfThenElse& branch, const KernelLaunch& kernel) {
  bool on_threads = false;
  walk(branch.condition, [&](const NodeRef& node) {
    for (const Var& var : kernel.thread_vars)
      on_threads |= node.get() == var.get();
    return !on_threads;
  });
  if (!on_threads)
    return false;
  bool tiles = false;
  for (const Stmt& side : {branch.then_case, branch.else_case})
    if (side)
      walk(side, [&](const NodeRef& node) {
        const auto* loop = node.as<For>();
        tiles |= node.as<TileCall>() != nullptr ||
                 (loop != nullptr && loop->kind == ForKind::kTileParallel);
        return !tiles;
      });
  return tiles;
}

Result<ThreadRange> role_threads(const IfThenElse& branch, bool holds, const KernelLaunch& kernel,
                                 const ThreadRange& around) {
  const auto refused = [&](const std::string& why) {
    return Error(ErrorCode::kInvalidArgument,
                 (branch.span.line == 0
                      ? std::string()
                      : fmt::format("line {}, column {}: ", branch.span.line, branch.span.column)) +
                     why);
  };
  Analyzer math;
  ThreadRange range;
  for (int64_t thread = around.first; thread < around.first + around.count; ++thread) {
    VarMap numbers;
    int64_t rest = thread;
    for (size_t d = 0; d < kernel.threads.size(); ++d) {
      const int64_t extent = as_int(kernel.threads[d]).value_or(1);
      numbers.emplace(kernel.thread_vars[d], make_int(kernel.thread_vars[d]->dtype, rest % extent));
      rest /= extent;
    }
    const auto value = as_int(math.simplify(substitute(branch.condition, numbers)));
    if (!value)
      return refused(
          "a condition on threads around what several of them do together must depend on "
          "the thread alone: write if T.get_warp_group_idx() == 0:, and other conditions "
          "inside of it");
    if ((*value != 0) != holds)
      continue;
    if (range.count == 0)
      range.first = thread;
    else if (thread != range.first + range.count)
      return refused("a role is warps side by side; these threads have others between them");
    ++range.count;
  }
  if (range.count == 0 || range.first % 32 != 0 || range.count % 32 != 0)
    return refused(
        fmt::format("tile operators run by threads {} to {} of {}: a role is whole warps of 32",
                    range.first, range.first + range.count - 1, around.count));
  return range;
}

} // namespace temper::tir
