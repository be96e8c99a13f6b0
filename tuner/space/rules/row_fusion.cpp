/// Row fusion, for programs like softmax and the norms: several passes over the same rows, where
/// each row is reduced and then used elementwise. All blocks are computed inside the row loop of
/// the last one, so that a row stays in the first-level cache; reductions get vector-wide partial
/// results (rfactor over sampled lanes), elementwise blocks are vectorised.
///
/// The idea is dlight's GeneralReduction (TVM); the vector-wide partial sums are as in any
/// hand-made softmax.
#include "tuner/space/rule.h"
#include "tuner/space/rules/vector_reduction.h"

#include <algorithm>

namespace temper::tuner {
namespace {

using namespace s_tir;

class RowFusion final : public Rule {
public:
  explicit RowFusion(const MachineHints& machine) : machine_(machine) {}
  const char* name() const override { return "row_fusion"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    Schedule fused = schedule;
    fused.set_render_errors(false);
    std::vector<BlockRv> blocks;
    size_t row_axes = 0;
    if (!matches(fused, block, blocks, row_axes) || !fuse_rows(fused, block, blocks, row_axes))
      return {schedule};
    // The unfused form stays in the space: rows that do not fit a cache may prefer it.
    return {schedule, std::move(fused)};
  }

private:
  /// `block` is the only output, elementwise; every other block has its first `row_axes` axes and
  /// every reduction exactly those as spatial ones.
  static bool matches(Schedule& schedule, BlockRv output, std::vector<BlockRv>& blocks,
                      size_t& row_axes) {
    const BlockFacts out = block_facts(schedule, output);
    if (!out.trivially_bound || out.has_reduction || out.store == nullptr ||
        !out.block->annotations.empty())
      return false;
    const auto consumers = schedule.get_consumers(output);
    if (!consumers || !consumers->empty())
      return false;
    const auto root = schedule.get_sblock("root");
    if (!root)
      return false;
    const auto children = schedule.get_child_blocks(*root);
    if (!children || children->size() < 2)
      return false;

    row_axes = out.block->iter_vars.size();
    bool reduces = false;
    std::vector<BlockFacts> all;
    for (const BlockRv& child : *children) {
      BlockFacts facts = block_facts(schedule, child);
      if (!facts.trivially_bound || facts.store == nullptr || !facts.block->annotations.empty())
        return false;
      if (facts.has_reduction) {
        reduces = true;
        size_t spatial = 0;
        while (spatial < facts.classes.size() && facts.classes[spatial] == LoopClass::kSpatial)
          ++spatial;
        for (size_t l = spatial; l < facts.classes.size(); ++l)
          if (facts.classes[l] != LoopClass::kReduce)
            return false;
        row_axes = std::min(row_axes, spatial);
      }
      all.push_back(std::move(facts));
    }
    if (!reduces || row_axes == 0 || row_axes == out.extents.size())
      return false;
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].extents.size() < row_axes ||
          !std::equal(out.extents.begin(),
                      out.extents.begin() + static_cast<std::ptrdiff_t>(row_axes),
                      all[i].extents.begin()))
        return false;
      if (all[i].block->id != out.block->id)
        blocks.push_back((*children)[i]);
    }
    return true;
  }

  Result<void> fuse_rows(Schedule& schedule, BlockRv output, const std::vector<BlockRv>& blocks,
                         size_t row_axes) const {
    TEMPER_TRY(loops, schedule.get_loops(output));
    const LoopRv row = loops[row_axes - 1];
    // Consumers first: compute_at needs them below the loop.
    for (auto block = blocks.rbegin(); block != blocks.rend(); ++block)
      TEMPER_TRY_VOID(schedule.compute_at(*block, row, true));
    for (const BlockRv& block : blocks) {
      const BlockFacts facts = block_facts(schedule, block);
      if (facts.has_reduction) {
        TEMPER_TRY_VOID(vectorize_reduction(schedule, block, machine_));
      } else {
        TEMPER_TRY_VOID(vectorize_elementwise(schedule, block, machine_));
      }
    }
    return vectorize_elementwise(schedule, output, machine_);
  }

  MachineHints machine_;
};

} // namespace

std::unique_ptr<Rule> make_row_fusion_rule(const MachineHints& machine) {
  return std::make_unique<RowFusion>(machine);
}

} // namespace temper::tuner
