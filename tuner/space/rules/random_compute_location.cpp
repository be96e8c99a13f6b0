/// Moves a block that no other rule has placed into one of its consumers' loops, or leaves it where
/// it is: the place is a sampled decision (MetaSchedule's RandomComputeLocation).
#include "tuner/space/rule.h"

namespace temper::tuner {
namespace {

using namespace s_tir;

class RandomComputeLocation final : public Rule {
public:
  const char* name() const override { return "random_compute_location"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    const BlockFacts facts = block_facts(schedule, block);
    if (facts.block == nullptr || !facts.block->annotations.empty() || facts.loops.empty())
      return {schedule};
    Schedule moved = schedule;
    moved.set_render_errors(false);
    const auto consumers = moved.get_consumers(block);
    if (!consumers || consumers->empty())
      return {schedule};
    Schedule placed = schedule;
    placed.set_render_errors(false);
    const auto location = placed.sample_compute_location(block);
    if (!location || !placed.compute_at(block, *location, true))
      return {schedule};
    return {placed};
  }
};

} // namespace

std::unique_ptr<Rule> make_random_compute_location_rule() {
  return std::make_unique<RandomComputeLocation>();
}

} // namespace temper::tuner
