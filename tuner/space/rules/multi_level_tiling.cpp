/// Multi-level tiling SSRSRS (Ansor, OSDI 2020; MetaSchedule's rule for CPUs): every spatial axis
/// is split into four, every reduce axis into two loops; what the innermost tile accumulates is
/// written through a cache (or straight into an elementwise consumer) at the first or second level.
#include "tuner/space/rules/tiles.h"

namespace temper::tuner {
namespace {

using namespace s_tir;

constexpr std::string_view kStructure = "SSRSRS";
constexpr int64_t kMaxInnermostFactor = 64;

class MultiLevelTiling final : public Rule {
public:
  explicit MultiLevelTiling(const MachineHints&) {}
  const char* name() const override { return "multi_level_tiling"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    const BlockFacts facts = block_facts(schedule, block);
    if (!is_tileable(facts))
      return {schedule};

    Schedule tiled = schedule;
    tiled.set_render_errors(false);
    const auto levels = tile_loops(tiled, block, facts, kStructure, kMaxInnermostFactor);
    if (!levels)
      return {schedule};
    std::vector<Schedule> results = write_reuse(tiled, block, *levels);
    results.push_back(std::move(tiled));
    return results;
  }

private:
  /// One schedule per level (1, 2) at which the tile is written back.
  static std::vector<Schedule> write_reuse(const Schedule& tiled, BlockRv block,
                                           const std::vector<std::vector<LoopRv>>& levels) {
    std::vector<Schedule> results;
    Schedule probe = tiled;
    const auto consumers = probe.get_consumers(block);
    if (!consumers)
      return results;
    // An only consumer of the same shape takes the tile; without consumers a cache block does.
    const bool into_consumer =
        consumers->size() == 1 && elementwise(probe, (*consumers)[0]) && !(*consumers).empty();
    if (!into_consumer && !consumers->empty())
      return results;
    for (size_t level : {size_t{0}, size_t{1}}) {
      if (levels[level].empty())
        continue;
      Schedule copy = into_consumer ? probe : tiled;
      Result<BlockRv> writer =
          into_consumer ? Result<BlockRv>((*consumers)[0]) : copy.cache_write(block, 0, "global");
      if (!writer)
        continue;
      if (copy.reverse_compute_at(*writer, levels[level].back(), true))
        results.push_back(std::move(copy));
    }
    return results;
  }

  static bool elementwise(const Schedule& schedule, BlockRv block) {
    const BlockFacts facts = block_facts(schedule, block);
    if (facts.block == nullptr || facts.has_reduction || facts.store == nullptr)
      return false;
    return facts.trivially_bound;
  }
};

} // namespace

std::unique_ptr<Rule> make_multi_level_tiling_rule(const MachineHints& machine) {
  return std::make_unique<MultiLevelTiling>(machine);
}

} // namespace temper::tuner
