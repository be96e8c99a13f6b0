/// Inlines a block that computes one value per element, from elements, into its consumers, when
/// that repeats nothing dear: no branch, no math function, each input element used for one output
/// element. As MetaSchedule's AutoInline for CPUs (into consumers only).
#include "ir/op.h"
#include "ir/walk.h"
#include "tuner/space/rule.h"

#include <set>

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

/// Indices that are constants or axes of the block, each at most once, in the order of the axes.
bool reads_in_order(const SBlock& block, const Expr& value) {
  bool ordered = true;
  walk(value, [&](const NodeRef& node) {
    const auto* load = node.as<BufferLoad>();
    if (load == nullptr)
      return ordered;
    size_t next = 0;
    for (const Expr& index : load->indices) {
      if (index.is<IntImm>())
        continue;
      while (next < block.iter_vars.size() &&
             block.iter_vars[next].var.get() != static_cast<const Node*>(index.get()))
        ++next;
      if (next == block.iter_vars.size())
        ordered = false;
      ++next;
    }
    return ordered;
  });
  return ordered;
}

class AutoInline final : public Rule {
public:
  const char* name() const override { return "auto_inline"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    const BlockFacts facts = block_facts(schedule, block);
    if (facts.store == nullptr || facts.has_reduction || facts.has_init ||
        !is_cheap(facts.store->value) || !reads_in_order(*facts.block, facts.store->value))
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
