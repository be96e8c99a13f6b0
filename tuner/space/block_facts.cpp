#include "tuner/space/rule.h"

#include "ir/walk.h"

namespace temper::tuner {

using namespace s_tir;

BlockFacts block_facts(const Schedule& schedule, BlockRv rv) {
  BlockFacts facts;
  const Result<Value> value = schedule.get(rv);
  if (!value || value->as_block() == nullptr)
    return facts;
  const auto place = find_block(schedule.module(), *value->as_block());
  TEMPER_CHECK(place.has_value(), "a live handle has a place");
  facts.block = place->block();
  facts.loops = loops_of(std::span(place->chain).first(place->chain.size() - 1));
  const SBlock& block = *facts.block;
  facts.has_init = block.init != nullptr;
  facts.store = block.body.as<BufferStore>();
  facts.bindings = place->realize->iter_values;

  const size_t count = facts.loops.size();
  facts.classes.assign(count, LoopClass::kNone);
  facts.trivially_bound = count == block.iter_vars.size();
  for (size_t l = 0; l < count; ++l)
    facts.extents.push_back(as_int(facts.loops[l]->extent).value_or(0));
  for (size_t axis = 0; axis < block.iter_vars.size(); ++axis) {
    const bool reduce = block.iter_vars[axis].type == IterType::kReduce;
    facts.has_reduction |= reduce;
    const int64_t extent = as_int(block.iter_vars[axis].domain.extent).value_or(1);
    (reduce ? facts.reduce_extent : facts.spatial_extent) *= extent;
    const Expr& binding = place->realize->iter_values[axis];
    if (axis >= count || binding.get() != facts.loops[axis]->loop_var.get())
      facts.trivially_bound = false;
    for (size_t l = 0; l < count; ++l) {
      const bool uses = uses_var(
          binding, [&](const VarNode& var) { return &var == facts.loops[l]->loop_var.get(); });
      if (!uses)
        continue;
      const LoopClass mine = reduce ? LoopClass::kReduce : LoopClass::kSpatial;
      LoopClass& known = facts.classes[l];
      known = known == LoopClass::kNone || known == mine ? mine : LoopClass::kMixed;
    }
  }
  return facts;
}

RuleList default_cpu_rules(const MachineHints& machine) {
  RuleList rules;
  rules.push_back(make_auto_inline_rule());
  rules.push_back(make_row_fusion_rule(machine));
  rules.push_back(make_vector_reduction_rule(machine));
  rules.push_back(make_row_streaming_rule(machine));
  rules.push_back(make_register_tiling_rule(machine));
  rules.push_back(make_window_tiling_rule(machine));
  rules.push_back(make_add_rfactor_rule(machine));
  rules.push_back(make_multi_level_tiling_rule(machine));
  rules.push_back(make_spatial_tiling_rule(machine));
  rules.push_back(make_random_compute_location_rule());
  return rules;
}

} // namespace temper::tuner
