#include "ir/s_tir/legal_steps.h"

#include "ir/walk.h"

#include <algorithm>

namespace temper::s_tir {

namespace {

const char* words_of(ForKind kind) {
  switch (kind) {
  case ForKind::kSerial:
    return "";
  case ForKind::kParallel:
    return " (parallel)";
  case ForKind::kVectorized:
    return " (vectorized)";
  case ForKind::kUnrolled:
    return " (unrolled)";
  case ForKind::kThreadBinding:
    return " (bound to a thread)";
  case ForKind::kTileParallel:
    return " (shared by threads)";
  case ForKind::kPipelined:
    return " (pipelined)";
  }
  return "";
}

/// The walk gives no level: it is entered by hand where the level grows.
void add_places(const NodeRef& node, int depth, std::vector<Place>& places) {
  walk(node, [&](const NodeRef& inner) {
    if (inner->kind() == SBlock::kKind) {
      const Block block = cast_ref<SBlock>(inner);
      places.push_back({BlockHandle{block->id}, depth, true, block->name, "block " + block->name});
      if (block->init)
        add_places(block->init, depth + 1, places);
      add_places(block->body, depth + 1, places);
      return false;
    }
    if (inner->kind() == For::kKind) {
      const Ref<For> loop = cast_ref<For>(inner);
      const std::optional<int64_t> extent = as_int(loop->extent);
      places.push_back({LoopHandle{loop->loop_var}, depth, false, loop->loop_var->name,
                        "for " + loop->loop_var->name +
                            (extent ? " in " + std::to_string(*extent) : std::string()) +
                            words_of(loop->kind)});
      add_places(loop->body, depth + 1, places);
      return false;
    }
    return inner->kind() >= kFunctionKinds;
  });
}

/// True for primitives that are called with the place alone: what stands in their way there can be
/// said.
bool takes_only(const Primitive& primitive, bool block) {
  if (primitive.inputs.size() != 1 || primitive.inputs[0].variadic || primitive.has_decision)
    return false;
  const ValueKind kind = primitive.inputs[0].kind;
  return kind == (block ? ValueKind::kBlock : ValueKind::kLoop) &&
         std::all_of(primitive.attrs.begin(), primitive.attrs.end(),
                     [](const Parameter& attr) { return attr.default_value.has_value(); });
}

} // namespace

std::vector<Place> places_of(const IRModule& module) {
  std::vector<Place> places;
  walk(module, [&](const NodeRef& node) {
    if (node->kind() < kFunctionKinds)
      return false;
    if (node->kind() == For::kKind || node->kind() == SBlock::kKind) {
      add_places(node, 0, places);
      return false;
    }
    return true;
  });
  return places;
}

Steps legal_steps(const Schedule& schedule, const Value& place, size_t limit) {
  Steps steps;
  Schedule asking = schedule;
  asking.set_render_errors(false);
  const size_t before = asking.trace().to_python().size();
  for (const Primitive* primitive : all_primitives()) {
    if (!primitive->changes_module || primitive->enumerate == nullptr)
      continue;
    const Context context = asking.context();
    std::vector<Arguments> uses = primitive->enumerate(context, place);
    if (uses.size() > limit)
      uses.resize(limit);
    for (const Arguments& use : uses) {
      Schedule after = asking;
      if (!after.call(*primitive, use))
        continue;
      after.set_render_errors(true);
      std::string lines = after.trace().to_python();
      lines.erase(0, before); // a trace only grows
      steps.legal.push_back({primitive, std::move(lines), std::move(after)});
    }
    if (!uses.empty() || !takes_only(*primitive, place.as_block() != nullptr))
      continue;
    Arguments arguments{{place}, {}, {}};
    for (const Parameter& attr : primitive->attrs)
      arguments.attrs.push_back(*attr.default_value);
    if (const Result<void> refused = primitive->check(context, arguments); !refused)
      steps.illegal.push_back({primitive, refused.error().message});
  }
  return steps;
}

} // namespace temper::s_tir
