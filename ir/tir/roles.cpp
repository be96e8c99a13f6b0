#include "ir/tir/roles.h"

#include "ir/arith/simplify.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <bit>

namespace temper::tir {
namespace {

constexpr int64_t kWarp = 32;

/// The condition in a thread, by number; nothing where it depends on more than that.
std::optional<bool> holds_in(const Expr& condition, int64_t thread, const KernelLaunch& kernel,
                             Analyzer& math) {
  VarMap numbers;
  for (size_t d = 0; d < kernel.threads.size(); ++d) {
    const int64_t extent = as_int(kernel.threads[d]).value_or(1);
    numbers.emplace(kernel.thread_vars[d], make_int(kernel.thread_vars[d]->dtype, thread % extent));
    thread /= extent;
  }
  const auto value = as_int(math.simplify(substitute(condition, numbers)));
  return value ? std::optional(*value != 0) : std::nullopt;
}

} // namespace

WarpSet warps_of(const ThreadRange& range) {
  const int64_t count = (range.count + kWarp - 1) / kWarp;
  return (count >= kWarp ? ~WarpSet{0} : (WarpSet{1} << count) - 1) << (range.first / kWarp);
}

std::optional<WarpSet> warps_where(const Expr& condition, bool holds, const KernelLaunch& kernel,
                                   WarpSet around) {
  int64_t threads = 1;
  for (const Expr& extent : kernel.threads)
    threads *= as_int(extent).value_or(1);
  Analyzer math;
  WarpSet found = 0;
  for (WarpSet rest = around; rest != 0; rest &= rest - 1) {
    const int64_t first = std::countr_zero(rest) * kWarp;
    const int64_t end = std::min(first + kWarp, threads);
    const auto all = holds_in(condition, first, kernel, math);
    if (!all)
      return std::nullopt;
    for (int64_t thread = first + 1; thread < end; ++thread)
      if (holds_in(condition, thread, kernel, math) != all)
        return std::nullopt;
    if (*all == holds && end - first < kWarp)
      return std::nullopt; // barriers count whole warps
    if (*all == holds)
      found |= rest & -rest;
  }
  return found;
}

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
    const auto value = holds_in(branch.condition, thread, kernel, math);
    if (!value)
      return refused(
          "a condition on threads around what several of them do together must depend on "
          "the thread alone: write if T.get_warp_group_idx() == 0:, and other conditions "
          "inside of it");
    if (*value != holds)
      continue;
    if (range.count == 0)
      range.first = thread;
    else if (thread != range.first + range.count)
      return refused("a role is warps side by side; these threads have others between them");
    ++range.count;
  }
  if (range.count == 0 || range.first % kWarp != 0 || range.count % kWarp != 0)
    return refused(
        fmt::format("tile operators run by threads {} to {} of {}: a role is whole warps of 32",
                    range.first, range.first + range.count - 1, around.count));
  return range;
}

} // namespace temper::tir
