/// Bind: the iterations of a loop become threads of a GPU.
///
/// They must be independent; or, for threadIdx, the loop may drive a reduction whose operation is
/// known (a sum, product, minimum or maximum), which lowering spreads over the threads of a block.
///
/// A loop below one that is bound to the same threads is those threads again: it must fill memory
/// that the block shares, and fill it alike whichever thread it is (cooperative fetching).
#include "ir/s_tir/primitives/dependence.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace temper::s_tir {
namespace {

constexpr std::array<std::string_view, 10> kThreads = {
    "blockIdx.x",  "blockIdx.y", "blockIdx.z", "threadIdx.x", "threadIdx.y",
    "threadIdx.z", "vthread.x",  "vthread.y",  "vthread.z",   "vthread"};

/// A loop around or below that is bound to the same thread: the two would be one.
const For* loop_of_thread(const LoopPlace& place, const std::string& thread) {
  const For* found = nullptr;
  const auto look_at = [&](const For& loop) {
    if (&loop != place.loop.get() && loop.kind == ForKind::kThreadBinding && loop.thread == thread)
      found = &loop;
  };
  for (const Stmt& stmt : place.chain)
    if (const auto* loop = stmt.as<For>())
      look_at(*loop);
  walk(place.loop->body, [&](const NodeRef& node) {
    if (const auto* loop = node.as<For>())
      look_at(*loop);
    return node->kind() >= kFunctionKinds; // no loops in expressions
  });
  return found;
}

/// The blocks below the loop do the same in each iteration of `around`, and write to memory that
/// the threads share.
bool fills_shared_memory(const LoopPlace& place, const For& around) {
  const auto below = blocks_below(place.chain);
  if (!below || below->empty())
    return false;
  return std::all_of(below->begin(), below->end(), [&](const ChildBlock& child) {
    const SBlock& block = child.block();
    const bool alike =
        std::none_of(child.realize->iter_values.begin(), child.realize->iter_values.end(),
                     [&](const Expr& value) { return mentions(value, around.loop_var); });
    return alike && !mentions(child.realize->predicate, around.loop_var) && !accumulates(block) &&
           std::all_of(block.writes.begin(), block.writes.end(), [](const BufferRegion& write) {
             return write.buffer->scope.starts_with("shared");
           });
  });
}

Result<LoopPlace> legal_place(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  TEMPER_TRY(place, require_loop(context, at));
  const std::string& thread = *arguments.attrs[0].as_string();
  if (std::find(kThreads.begin(), kThreads.end(), thread) == kThreads.end())
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("there is no thread \"{}\"; threads are {}", thread,
                             fmt::join(kThreads, ", ")));
  if (const For* other = loop_of_thread(place, thread);
      other != nullptr && !(thread.starts_with("threadIdx") && fills_shared_memory(place, *other)))
    return illegal(context, at,
                   fmt::format("loop {}, {} {}, is bound to {} already: two nested loops cannot be "
                               "one thread",
                               other->loop_var->name,
                               std::find(place.chain.begin(), place.chain.end(), Stmt(other)) !=
                                       place.chain.end()
                                   ? "around"
                                   : "below",
                               describe(place.loop), thread));
  TEMPER_TRY_VOID(require_independent_iterations(
      context, place, at,
      thread.starts_with("threadIdx") ? Reductions::kAcrossThreads : Reductions::kNever));
  return place;
}

Result<void> check(const Context& context, const Arguments& arguments) {
  if (auto place = legal_place(context, arguments); !place)
    return std::move(place).error();
  return {};
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(place, legal_place(context, arguments));
  return Applied{.module = replace_in_module(context.module, place.function, place.chain,
                                             copy_node(*place.loop, [&](For& node) {
                                               node.kind = ForKind::kThreadBinding;
                                               node.thread = *arguments.attrs[0].as_string();
                                             }))};
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  if (handle.as_loop() == nullptr)
    return uses;
  const auto place = find_loop(context.module, *handle.as_loop());
  if (!place || place->loop->kind != ForKind::kSerial)
    return uses;
  for (const char* thread : {"blockIdx.x", "threadIdx.x", "vthread.x"}) {
    Arguments use{.inputs = {handle}, .attrs = {thread}};
    if (check({context.module, nullptr, false}, use))
      uses.push_back(std::move(use));
  }
  return uses;
}

} // namespace

void register_bind() {
  register_primitive({
      .name = "Bind",
      .python_name = "bind",
      .inputs = {{.name = "loop", .kind = ValueKind::kLoop}},
      .attrs = {{.name = "thread_axis", .kind = ValueKind::kString}},
      .summary =
          "The iterations of a loop become threads of a GPU: blockIdx.x, .y, .z, threadIdx.x, .y, "
          ".z, or virtual ones (vthread.x, .y, .z). They must be independent; over threadIdx a "
          "sum, product, minimum or maximum may be reduced. No two nested loops can be the same "
          "thread, but where the inner one fills shared memory, alike for all iterations of the "
          "outer one. A CPU refuses such loops.\n"
          "\n"
          "    for i in range(128):  →  for i in T.thread_binding(128, thread=\"blockIdx.x\"):",
      .check = check,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
