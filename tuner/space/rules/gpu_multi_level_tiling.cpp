/// Multi-level tiling SSSRRSRS for GPUs (MetaSchedule's rule for CUDA): tiles of blocks, virtual
/// threads and threads; what a block reads in one round of the outer reduction is fetched into
/// shared memory by all its threads, in vectors; what a thread sums stays in registers.
///
///   for i_0 j_0 (blockIdx.x):
///     for i_1 j_1 (vthread.x):
///       for i_2 j_2 (threadIdx.x):
///         for k_0:
///           A_shared, B_shared = what the block needs     (cooperative fetch)
///           for k_1, i_3, j_3, k_2, i_4, j_4: C_local += A_shared * B_shared
///         C = C_local
#include "tuner/space/gpu_rules.h"
#include "tuner/space/rules/tiles.h"

#include <array>

namespace temper::tuner {
namespace {

using namespace s_tir;

constexpr std::string_view kStructure = "SSSRRSRS";
constexpr std::array<const char*, 3> kThreads = {"blockIdx.x", "vthread.x", "threadIdx.x"};
constexpr size_t kWriteLevel = 2; ///< of the structure: below the threads
constexpr size_t kReadLevel = 3;  ///< the outer reduction

class GpuMultiLevelTiling final : public Rule {
public:
  explicit GpuMultiLevelTiling(const GpuHints& gpu) : gpu_(gpu) {}
  const char* name() const override { return "gpu_multi_level_tiling"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    const BlockFacts facts = block_facts(schedule, block);
    if (!is_tileable(facts))
      return {schedule};
    Schedule tiled = schedule;
    tiled.set_render_errors(false);
    if (!tile(tiled, block, facts))
      return {schedule};
    return {tiled};
  }

private:
  Result<void> tile(Schedule& schedule, BlockRv block, const BlockFacts& facts) const {
    TEMPER_TRY(levels, tile_loops(schedule, block, facts, kStructure, gpu_.max_innermost));
    for (size_t i = 0; i < kThreads.size(); ++i) {
      if (levels[i].empty())
        return Error(ErrorCode::kIllegal, "a scalar has nothing to tile");
      TEMPER_TRY(fused, schedule.fuse(levels[i]));
      levels[i] = {fused};
      TEMPER_TRY(bound, schedule.call("Bind", {fused}, {kThreads[i]}));
      (void)bound;
    }
    TEMPER_TRY_VOID(schedule.annotate(
        block, kFewestThreads, facts.spatial_extent > 2 * gpu_.warp ? gpu_.warp : int64_t{1}));
    TEMPER_TRY_VOID(schedule.annotate(block, kMostThreads, gpu_.threads));
    TEMPER_TRY(write, schedule.cache_write(block, 0, "local"));
    TEMPER_TRY_VOID(schedule.reverse_compute_at(write, levels[kWriteLevel].back(), true));
    for (size_t i = 0; i < facts.block->reads.size(); ++i) {
      const Buffer& buffer = facts.block->reads[i].buffer;
      if (buffer == facts.block->writes[0].buffer)
        continue;
      TEMPER_TRY(fetch, schedule.cache_read(block, static_cast<int64_t>(i), "shared", {block}));
      TEMPER_TRY_VOID(schedule.compute_at(fetch, levels[kReadLevel].back(), true));
      TEMPER_TRY(loops, schedule.get_loops(fetch));
      const auto dimensions = static_cast<ptrdiff_t>(buffer->shape.size());
      TEMPER_TRY(fused, schedule.fuse(std::vector<LoopRv>(loops.end() - dimensions, loops.end())));
      (void)fused;
      TEMPER_TRY_VOID(fetch_together(schedule, fetch, buffer->dtype));
    }
    return {};
  }

  /// Leaves open how many elements a thread fetches at once.
  Result<void> fetch_together(Schedule& schedule, BlockRv fetch, DataType dtype) const {
    std::vector<int64_t> lengths;
    for (const int64_t length : gpu_.vector_lengths) {
      const int64_t bytes = length * dtype.element_bytes();
      // Words at least, and 16 bytes at most.
      if (length == 1 || (bytes <= 16 && bytes % 4 == 0))
        lengths.push_back(length);
    }
    const std::vector<double> even(lengths.size(), 1.0 / static_cast<double>(lengths.size()));
    TEMPER_TRY(length, schedule.sample_categorical(lengths, even));
    return schedule.annotate(fetch, kCooperativeFetch, length);
  }

  GpuHints gpu_;
};

} // namespace

std::unique_ptr<Rule> make_gpu_multi_level_tiling_rule(const GpuHints& gpu) {
  return std::make_unique<GpuMultiLevelTiling>(gpu);
}

} // namespace temper::tuner
