/// SampleComputeLocation: where a producer could be computed: inlined, where it is, or below one of
/// the loops around its consumers. The decision is the loop's index among the loops of the first
/// consumer, kInlineLocation or kRootLocation.
#include "ir/s_tir/analysis.h"
#include "ir/s_tir/primitives/common.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

bool is_legal(const Context& context, const char* name, std::vector<Value> inputs,
              std::vector<Value> attrs) {
  const Primitive* primitive = find_primitive(name);
  return primitive != nullptr &&
         primitive
             ->check({context.module, context.random, /*render_errors=*/false},
                     {.inputs = std::move(inputs), .attrs = std::move(attrs)})
             .has_value();
}

bool can_inline(const Context& context, const Value& block) {
  return is_legal(context, "ComputeInline", {block}, {});
}
bool can_compute_at(const Context& context, const Value& block, const For& loop) {
  return is_legal(context, "ComputeAt", {block, LoopHandle{loop.loop_var}}, {1, -1});
}

/// The loops that all consumers share, outermost first; `innermost_use` of each tells what it is to
/// the blocks below it.
struct Around {
  BlockPlace place; ///< keeps the nodes that the pointers below name
  Block scope;
  std::vector<const For*> loops;
};

Result<Around> shared_loops(const Context& context, const Value& block) {
  TEMPER_TRY(place, require_block(context, block));
  TEMPER_TRY(around, require_scope(context, place));
  Around result{std::move(place), std::move(around), {}};
  const Scope scope = analyze_scope(*result.scope);
  const std::vector<int> consumers = scope.consumers(scope.index_of(result.place.block()->id));
  if (consumers.empty())
    return result;
  result.loops = scope.children[static_cast<size_t>(consumers[0])].loops;
  for (const int consumer : consumers) {
    const auto& loops = scope.children[static_cast<size_t>(consumer)].loops;
    size_t same = 0;
    while (same < std::min(loops.size(), result.loops.size()) && loops[same] == result.loops[same])
      ++same;
    result.loops.resize(same);
  }
  return result;
}

/// A loop that is spatial to every block below it.
bool is_data_parallel(const For& loop) {
  bool parallel = true;
  for_each_child_block(loop.body, [&](const BlockRealize& realize) {
    const LoopUse use = loop_use(*realize, loop.loop_var);
    parallel &= !use.reduce && !use.other;
  });
  return parallel;
}

/// Legal decisions in ascending order. Left out are loops of extent 1, spatial loops inside
/// reduction loops, and reduction loops that no spatial one follows: they are legal, but never
/// good.
std::vector<int64_t> candidates(const Context& context, const Value& block, const Around& around) {
  std::vector<int64_t> result;
  if (can_inline(context, block))
    result.push_back(kInlineLocation);
  result.push_back(kRootLocation);
  std::vector<bool> parallel;
  size_t after_last_parallel = 0;
  for (const For* loop : around.loops) {
    parallel.push_back(is_data_parallel(*loop));
    if (parallel.back())
      after_last_parallel = parallel.size();
  }
  bool inside_reduction = false;
  for (size_t i = 0; i < after_last_parallel; ++i) {
    if (constant_extent(*around.loops[i]) == 1)
      continue;
    if (!parallel[i])
      inside_reduction = true;
    else if (inside_reduction)
      break;
    if (can_compute_at(context, block, *around.loops[i]))
      result.push_back(static_cast<int64_t>(i));
  }
  return result;
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& block = arguments.inputs[0];
  TEMPER_TRY(around, shared_loops(context, block));
  int64_t decision = kRootLocation;
  if (arguments.decision.is_none()) {
    TEMPER_CHECK(context.random != nullptr, "sampling needs a random stream");
    const std::vector<int64_t> all = candidates(context, block, around);
    decision = all[static_cast<size_t>(context.random->below(static_cast<int64_t>(all.size())))];
  } else if (arguments.decision.as_int() == nullptr) {
    return Error(ErrorCode::kInvalidArgument,
                 "the decision must be a loop's index, -1 (stay) or -2 (inline)");
  } else {
    decision = *arguments.decision.as_int();
    const auto count = static_cast<int64_t>(around.loops.size());
    if (decision < kInlineLocation || decision >= count)
      return illegal(
          context, block,
          fmt::format("decision {} is out of range: the consumers of the block share {} "
                      "loops, counted from 0; -1 leaves the block where it is, -2 inlines "
                      "it",
                      decision, count));
    if (decision == kInlineLocation && !can_inline(context, block))
      return illegal(context, block, "decision -2: the block cannot be inlined");
    if (decision >= 0 &&
        !can_compute_at(context, block, *around.loops[static_cast<size_t>(decision)]))
      return illegal(context, block,
                     fmt::format("decision {}: the block cannot be computed at loop {}", decision,
                                 around.loops[static_cast<size_t>(decision)]->loop_var->name));
  }
  Value location = decision;
  if (decision >= 0)
    location = LoopHandle{around.loops[static_cast<size_t>(decision)]->loop_var};
  return Applied{.module = context.module, .outputs = {std::move(location)}, .decision = decision};
}

/// The nearest location further out, else where it is.
Value adapt(const Context& context, const Arguments& arguments) {
  const int64_t* wanted = arguments.decision.as_int();
  const auto around = shared_loops(context, arguments.inputs[0]);
  if (wanted == nullptr || !around)
    return {};
  int64_t nearest = kRootLocation;
  for (const int64_t candidate : candidates(context, arguments.inputs[0], *around))
    if (candidate == *wanted || (candidate >= 0 && candidate <= *wanted))
      nearest = candidate;
  return nearest;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  if (handle.as_block() == nullptr)
    return {};
  const auto around = shared_loops(context, handle);
  if (!around)
    return {};
  std::vector<Arguments> uses;
  for (const int64_t candidate : candidates(context, handle, *around))
    uses.push_back({.inputs = {handle}, .decision = candidate});
  return uses;
}

} // namespace

void register_sample_compute_location() {
  register_primitive({
      .name = "SampleComputeLocation",
      .python_name = "sample_compute_location",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .outputs = {ValueKind::kLoop},
      .has_decision = true,
      .changes_module = false,
      .summary =
          "A place where the block could be computed, for compute_at: a loop that its consumers "
          "share, or one of two marks. The decision is the loop's index among the loops of the "
          "first consumer, -1 to leave the block where it is, -2 to inline it. All legal "
          "places that can be good are equally likely.",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
      .adapt = adapt,
  });
}

} // namespace temper::s_tir
