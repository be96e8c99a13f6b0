/// Inlines a block that computes one value per element, from elements, into its consumers, when
/// that repeats nothing dear: no branch, no math function, each input element used for one output
/// element. As MetaSchedule's AutoInline for CPUs (into consumers only).
#include "ir/op.h"
#include "ir/walk.h"
#include "tuner/space/rule.h"

#include <algorithm>
#include <vector>

namespace temper::tuner {
namespace {

using namespace s_tir;

bool is_cheap(const Expr& value) {
  bool cheap = true;
  walk(value, [&](const NodeRef& node) {
    if (const auto* call = node.as<Call>()) {
      const OpInfo* op = find_op(call->op);
      if (call->op == "if_then_else" || (op != nullptr && op->math))
        cheap = false;
    }
    return cheap;
  });
  return cheap;
}

/// Indices that are constants or axes of the block, each at most once, in the order of the axes; in
/// another order (the heads of an attention, moved outwards) if the last axis stays last, so that
/// rows are read as rows.
bool reads_rows(const SBlock& block, const Expr& value) {
  bool rows = true;
  walk(value, [&](const NodeRef& node) {
    const auto* load = node.as<BufferLoad>();
    if (load == nullptr)
      return rows;
    std::vector<size_t> axes;
    for (const Expr& index : load->indices) {
      if (index.is<IntImm>())
        continue;
      size_t axis = 0;
      while (axis < block.iter_vars.size() &&
             block.iter_vars[axis].var.get() != static_cast<const Node*>(index.get()))
        ++axis;
      axes.push_back(axis);
    }
    std::vector<size_t> sorted = axes;
    std::sort(sorted.begin(), sorted.end());
    const bool distinct = std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
    const bool known = sorted.empty() || sorted.back() < block.iter_vars.size();
    const bool last_stays = !axes.empty() && load->indices.back().is<VarNode>() &&
                            axes.back() + 1 == block.iter_vars.size();
    rows &= distinct && known && (axes == sorted || last_stays);
    return rows;
  });
  return rows;
}

class AutoInline final : public Rule {
public:
  const char* name() const override { return "auto_inline"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    const BlockFacts facts = block_facts(schedule, block);
    if (facts.store == nullptr || facts.has_reduction || facts.has_init ||
        !is_cheap(facts.store->value) || !reads_rows(*facts.block, facts.store->value))
      return {schedule};
    Schedule inlined = schedule;
    inlined.set_render_errors(false);
    const auto consumers = inlined.get_consumers(block);
    if (!consumers || consumers->empty())
      return {schedule};
    if (!inlined.compute_inline(block))
      return {schedule};
    return {inlined};
  }
};

} // namespace

std::unique_ptr<Rule> make_auto_inline_rule() { return std::make_unique<AutoInline>(); }

} // namespace temper::tuner
