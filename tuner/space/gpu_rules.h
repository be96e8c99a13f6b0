/// Rules and post-processing that make the design space of an s-tir workload for NVIDIA's GPUs:
/// MetaSchedule's for CUDA, with its parameters as defaults. A rule is one file in
/// tuner/space/rules/ (gpu_*.cpp); RULES.md lists them.
///
///   multi-level tiling:  blocks | virtual threads | threads | reduction, tile in shared memory |
///                        reduction | tile of a thread in registers
///   tensor cores:        blocks | blocks | reduction, in stages | tile of the block's warps
///   everything else:     reductions by the threads of a block, or a thread for each element
#pragma once

#include "tuner/space/rule.h"

#include <cstdint>
#include <vector>

namespace temper::tuner {

/// What rules need to know of the GPU, and MetaSchedule's choices.
struct GpuHints {
  int architecture = 80;       ///< 80 for sm_80, 90 for sm_90a
  int64_t threads = 1024;      ///< that a block may have
  int64_t warp = 32;           ///< threads
  int64_t virtual_threads = 8; ///< of a thread, at most
  int64_t blocks = 256;        ///< of what is one thread for each element; more is a loop
  int64_t max_innermost = 64;  ///< factor of a tile
  std::vector<int64_t> vector_lengths{1, 2, 3, 4, 8, 16}; ///< of a cooperative fetch, elements
  std::vector<int64_t> reduction_threads{4, 8, 16, 32, 64, 128, 256, 512};
  std::vector<int64_t> thread_extents{32, 64, 128, 256, 512, 1024};
  std::vector<int64_t> unroll_steps{0, 16, 32, 64, 128, 256, 512, 1024};
  int64_t shared_bytes = int64_t{163} * 1024; ///< that a block may have
  int64_t registers = 255;                    ///< that a thread may have
  // MultiLevelTilingTensorCore's.
  int64_t tensor_max_innermost = 4; ///< factor of a tile, in instructions
  bool use_software_pipeline = true;
  std::vector<int64_t> pipeline_stages{1, 2, 3, 4, 5}; ///< 1: none
};

/// A rule that visits consumers before their producers.
class ConsumersFirstRule : public Rule {};

std::unique_ptr<Rule> make_gpu_tensor_cores_rule(const GpuHints& gpu);
std::unique_ptr<Rule> make_gpu_multi_level_tiling_rule(const GpuHints& gpu);
std::unique_ptr<Rule> make_gpu_auto_inline_rule();
std::unique_ptr<Rule> make_gpu_cross_thread_reduction_rule(const GpuHints& gpu);
std::unique_ptr<Rule> make_gpu_auto_bind_rule(const GpuHints& gpu);

/// The rules for GPUs, in order.
RuleList default_gpu_rules(const GpuHints& gpu);

/// MetaSchedule's post-processors for CUDA: cooperative fetches are shared out among the threads,
/// what is bound to nothing gets blocks and threads, loops are marked for unrolling, sums start
/// ahead of their loops; and what a GPU could not launch is refused. An error says which step
/// refused.
Result<void> postprocess_for_gpu(s_tir::Schedule& schedule, const GpuHints& gpu);

/// Binds the outer loops of a block that is bound to nothing to blocks and threads. `threads`: of a
/// block, an integer or a sampled value.
Result<void> bind_block(s_tir::Schedule& schedule, s_tir::BlockRv block, const GpuHints& gpu,
                        const s_tir::Operand& threads);
/// What bind_block would have to share out: iterations of the outer loops of the block that do not
/// depend on each other; nothing when it is bound already.
std::optional<int64_t> unbound_iterations(const s_tir::Schedule& schedule, s_tir::BlockRv block);

/// Annotation keys of MetaSchedule.
inline constexpr const char* kCooperativeFetch = "meta_schedule.cooperative_fetch";
inline constexpr const char* kFewestThreads = "meta_schedule.thread_extent_low_inclusive";
inline constexpr const char* kMostThreads = "meta_schedule.thread_extent_high_inclusive";

} // namespace temper::tuner
