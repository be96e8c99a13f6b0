/// Multi-level tiling SSRSRS (Ansor, OSDI 2020; MetaSchedule's rule for CPUs): every spatial axis
/// is split into four, every reduce axis into two loops; what the innermost tile accumulates is
/// written through a cache (or straight into an elementwise consumer) at the first or second level.
#include "tuner/space/rule.h"

#include "ir/walk.h"

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
    if (!facts.trivially_bound || !facts.has_reduction || facts.store == nullptr ||
        !facts.block->annotations.empty() || !has_reuse(facts))
      return {schedule};

    Schedule tiled = schedule;
    tiled.set_render_errors(false);
    std::vector<std::vector<LoopRv>> levels;
    if (!tile(tiled, block, facts, levels))
      return {schedule};
    std::vector<Schedule> results = write_reuse(tiled, block, levels);
    results.push_back(std::move(tiled));
    return results;
  }

private:
  /// Some read does not move with some spatial axis: its elements are used again.
  static bool has_reuse(const BlockFacts& facts) {
    for (const BufferRegion& read : facts.block->reads) {
      if (!facts.block->writes.empty() && read.buffer == facts.block->writes[0].buffer)
        continue;
      for (const IterVar& axis : facts.block->iter_vars) {
        if (axis.type != IterType::kSpatial || is_int(axis.domain.extent, 1))
          continue;
        bool moves = false;
        for (const Range& range : read.region)
          moves |= uses_var(range.min, [&](const VarNode& var) { return &var == axis.var.get(); });
        if (!moves)
          return true;
      }
    }
    return false;
  }

  static Result<void> tile(Schedule& schedule, BlockRv block, const BlockFacts& facts,
                           std::vector<std::vector<LoopRv>>& levels) {
    TEMPER_TRY_VOID(schedule.annotate(block, kTilingStructure, std::string(kStructure)));
    TEMPER_TRY(loops, schedule.get_loops(block));
    levels.assign(kStructure.size(), {});
    for (size_t axis = 0; axis < loops.size(); ++axis) {
      const char kind = facts.block->iter_vars[axis].type == IterType::kReduce ? 'R' : 'S';
      std::vector<size_t> places;
      for (size_t i = 0; i < kStructure.size(); ++i)
        if (kStructure[i] == kind)
          places.push_back(i);
      TEMPER_TRY(factors, schedule.sample_perfect_tile(loops[axis], static_cast<int>(places.size()),
                                                       kMaxInnermostFactor));
      std::vector<Operand> operands(factors.begin(), factors.end());
      TEMPER_TRY(parts, schedule.split(loops[axis], std::move(operands)));
      for (size_t i = 0; i < places.size(); ++i)
        levels[places[i]].push_back(parts[i]);
    }
    std::vector<LoopRv> order;
    for (const std::vector<LoopRv>& level : levels)
      order.insert(order.end(), level.begin(), level.end());
    return schedule.reorder(order);
  }

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
