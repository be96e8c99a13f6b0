/// Splits a reduction that is much longer than what it writes, so that its parts run in parallel
/// (MetaSchedule's AddRFactor): one sketch per position of the factored axis.
#include "tuner/space/rule.h"

namespace temper::tuner {
namespace {

using namespace s_tir;

constexpr int64_t kMaxJobsPerCore = 16;
constexpr int64_t kMaxInnermostFactor = 64;

class AddRFactor final : public Rule {
public:
  explicit AddRFactor(const MachineHints& machine) : threads_(machine.threads) {}
  const char* name() const override { return "add_rfactor"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    const BlockFacts facts = block_facts(schedule, block);
    if (!facts.trivially_bound || !facts.has_reduction || !facts.has_init ||
        facts.store == nullptr || !facts.block->annotations.empty())
      return {schedule};
    // Enough parallel work without it: leave the order of the sum alone.
    if (facts.spatial_extent >= kMaxJobsPerCore * threads_ ||
        facts.reduce_extent <= facts.spatial_extent)
      return {schedule};

    std::vector<Schedule> results{schedule};
    for (int which : {0, 1}) {
      Schedule factored = schedule;
      factored.set_render_errors(false);
      if (factor(factored, block, facts, which))
        results.push_back(std::move(factored));
    }
    return results;
  }

private:
  static Result<void> factor(Schedule& schedule, BlockRv block, const BlockFacts& facts,
                             int which) {
    TEMPER_TRY(loops, schedule.get_loops(block));
    std::vector<LoopRv> spatial;
    std::vector<LoopRv> reduce;
    for (size_t l = 0; l < loops.size(); ++l)
      (facts.classes[l] == LoopClass::kReduce ? reduce : spatial).push_back(loops[l]);
    std::vector<LoopRv> order = spatial;
    order.insert(order.end(), reduce.begin(), reduce.end());
    if (order.size() > 1)
      TEMPER_TRY_VOID(schedule.reorder(order));
    LoopRv fused = reduce[0];
    if (reduce.size() > 1) {
      TEMPER_TRY(joined, schedule.fuse(reduce));
      fused = joined;
    }
    TEMPER_TRY(factors, schedule.sample_perfect_tile(fused, 2, kMaxInnermostFactor));
    TEMPER_TRY(parts, schedule.split(fused, {factors[0], factors[1]}));
    TEMPER_TRY(partial, schedule.rfactor(parts[static_cast<size_t>(which)],
                                         static_cast<int64_t>(spatial.size())));
    TEMPER_TRY_VOID(schedule.annotate(partial, kScheduled, 0));
    TEMPER_TRY_VOID(schedule.annotate(block, kScheduled, 0));
    return {};
  }

  int threads_;
};

} // namespace

std::unique_ptr<Rule> make_add_rfactor_rule(const MachineHints& machine) {
  return std::make_unique<AddRFactor>(machine);
}

} // namespace temper::tuner
