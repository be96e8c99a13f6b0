/// Elementwise blocks and copies that no other rule has scheduled: the innermost loop is cut into
/// sampled vector lanes; where an input moves fastest along another axis than the output (a
/// transpose), the last two loops are tiled so that both sides use whole cache lines.
#include "tuner/space/rules/vector_reduction.h"

#include "ir/walk.h"

namespace temper::tuner {
namespace {

using namespace s_tir;

class SpatialTiling final : public Rule {
public:
  explicit SpatialTiling(const MachineHints& machine) : machine_(machine) {}
  const char* name() const override { return "spatial_tiling"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    const BlockFacts facts = block_facts(schedule, block);
    if (!facts.trivially_bound || facts.has_reduction || facts.store == nullptr ||
        facts.loops.empty() || !facts.block->annotations.empty())
      return {schedule};
    Schedule probe = schedule;
    probe.set_render_errors(false);
    const auto consumers = probe.get_consumers(block);
    if (!consumers || !consumers->empty())
      return {schedule}; // its consumers' rules and random_compute_location place it
    Schedule tiled = schedule;
    tiled.set_render_errors(false);
    const bool transposed = reads_across(*facts.block) && facts.loops.size() >= 2;
    if (!(transposed ? tile_two(tiled, block) : vectorize_elementwise(tiled, block, machine_)))
      return {schedule};
    return {std::move(tiled)};
  }

private:
  /// A read's last index moves with an axis that is not the output's last one.
  static bool reads_across(const SBlock& block) {
    const VarNode* last = block.iter_vars.back().var.get();
    for (const BufferRegion& read : block.reads)
      if (!read.region.empty() &&
          uses_var(read.region.back().min, [&](const VarNode& var) { return &var != last; }))
        return true;
    return false;
  }

  static Result<void> tile_two(Schedule& schedule, BlockRv block) {
    TEMPER_TRY_VOID(schedule.annotate(block, kScheduled, 1));
    TEMPER_TRY(loops, schedule.get_loops(block));
    const size_t count = loops.size();
    TEMPER_TRY(rows, schedule.sample_perfect_tile(loops[count - 2], 2, 64));
    TEMPER_TRY(columns, schedule.sample_perfect_tile(loops[count - 1], 2, 64));
    TEMPER_TRY(row_loops, schedule.split(loops[count - 2], {rows[0], rows[1]}));
    TEMPER_TRY(column_loops, schedule.split(loops[count - 1], {columns[0], columns[1]}));
    return schedule.reorder({row_loops[0], column_loops[0], row_loops[1], column_loops[1]});
  }

  MachineHints machine_;
};

} // namespace

std::unique_ptr<Rule> make_spatial_tiling_rule(const MachineHints& machine) {
  return std::make_unique<SpatialTiling>(machine);
}

} // namespace temper::tuner
