/// Inlines every block that computes one value per element into its consumers, and one behind a
/// tile that is written back into that (MetaSchedule's AutoInline for GPUs: registers are near,
/// memory is far, so repeating is cheap).
#include "tuner/space/gpu_rules.h"

#include <algorithm>

namespace temper::tuner {
namespace {

using namespace s_tir;

/// Copies into or out of a cache stay where a rule has put them.
bool is_cached(const SBlock& block) {
  const auto elsewhere = [](const BufferRegion& region) {
    return region.buffer->scope != "global";
  };
  return std::any_of(block.reads.begin(), block.reads.end(), elsewhere) ||
         std::any_of(block.writes.begin(), block.writes.end(), elsewhere);
}

class GpuAutoInline final : public Rule {
public:
  const char* name() const override { return "gpu_auto_inline"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    const BlockFacts facts = block_facts(schedule, block);
    if (facts.block == nullptr || facts.store == nullptr || facts.has_reduction || facts.has_init ||
        !facts.block->annotations.empty() || is_cached(*facts.block))
      return {schedule};
    Schedule inlined = schedule;
    inlined.set_render_errors(false);
    const auto consumers = inlined.get_consumers(block);
    if (consumers && !consumers->empty() && inlined.compute_inline(block))
      return {inlined};
    inlined = schedule;
    inlined.set_render_errors(false);
    const auto producers = inlined.get_producers(block);
    if (producers && producers->size() == 1 && inlined.reverse_compute_inline(block))
      return {inlined};
    return {schedule};
  }
};

} // namespace

std::unique_ptr<Rule> make_gpu_auto_inline_rule() { return std::make_unique<GpuAutoInline>(); }

} // namespace temper::tuner
