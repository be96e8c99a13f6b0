// MetaSchedule's post-processors for CUDA, in its order: RewriteCooperativeFetch,
// RewriteUnboundBlock, RewriteParallelVectorizeUnroll (only its unrolling means something here),
// RewriteReductionBlock, VerifyGPUCode (threads here; memory when the program is lowered,
// codegen/lower_gpu.h).
#include "ir/script/diagnostic.h"
#include "ir/tir/bound_threads.h"
#include "ir/walk.h"
#include "tuner/space/gpu_rules.h"
#include "tuner/space/postprocess.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_set>

namespace temper::tuner {
namespace {

using namespace s_tir;

bool is_bound_to(const For& loop, std::string_view prefix) {
  return loop.kind == ForKind::kThreadBinding && loop.thread.starts_with(prefix);
}

struct Binding {
  bool blocks = false;
  bool threads = false;
  size_t outer = 0;       ///< loops that may be bound
  int64_t iterations = 1; ///< of those
};

/// What is bound around the block, and how many loops from the outermost on could be.
Binding binding_of(const BlockFacts& facts) {
  Binding binding;
  for (const Ref<For>& loop : facts.loops) {
    binding.blocks |= is_bound_to(*loop, "blockIdx");
    binding.threads |= is_bound_to(*loop, "threadIdx");
  }
  for (size_t l = 0; l < facts.loops.size(); ++l) {
    const For& loop = *facts.loops[l];
    const bool independent = facts.classes[l] == LoopClass::kSpatial ||
                             (facts.classes[l] == LoopClass::kNone && facts.extents[l] == 1);
    if (!independent || loop.kind != ForKind::kSerial || !loop.annotations.empty() ||
        facts.extents[l] <= 0)
      break;
    ++binding.outer;
    binding.iterations *= facts.extents[l];
    if (l + 1 < facts.loops.size() && loop.body != facts.loops[l + 1])
      break; // others stand in it, too
  }
  return binding;
}

/// For a block that is no function of axes, as the statements of a te.extern are without blocks of
/// their own.
Error no_axis_for_threads(const SBlock& block) {
  const Node* place = nullptr;
  ir::walk(block.body, [&](const NodeRef& node) {
    if (place == nullptr && node->span.line != 0)
      place = node.get();
    return place == nullptr;
  });
  std::string where;
  if (place != nullptr)
    where = fmt::format("{}:{}: ", script::source_files()[place->span.file], place->span.line);
  return {
      ErrorCode::kUnsupported,
      fmt::format("{}no axis of block \"{}\" can be shared out among a GPU's threads: give its "
                  "statements blocks of their own, with an axis of independent iterations, that "
                  "do not read what they write (a running sum in a buffer of scope \"local\"; "
                  "workloads/README.md has one), or tune it for a CPU, without --target",
                  where, block.name)};
}

Result<void> bind(Schedule& schedule, LoopRv loop, const char* thread) {
  TEMPER_TRY(done, schedule.call("Bind", {loop}, {thread}));
  (void)done;
  return {};
}

/// The fused loop of a fetch becomes rounds, threads and vectors.
Result<void> fetch_by_threads(Schedule& schedule, BlockRv block) {
  const BlockFacts facts = block_facts(schedule, block);
  const auto asked = facts.block->annotations.get_int(kCooperativeFetch);
  if (!asked)
    return {};
  TEMPER_TRY_VOID(schedule.unannotate(block, kCooperativeFetch));
  std::map<std::string, int64_t> threads; // by axis, z first
  for (size_t l = 0; l < facts.loops.size(); ++l)
    if (is_bound_to(*facts.loops[l], "threadIdx"))
      threads[facts.loops[l]->thread] = facts.extents[l];
  TEMPER_TRY(loops, schedule.get_loops(block));
  // Vectors do not run over the end.
  const int64_t lanes = facts.extents.back() % *asked == 0 ? *asked : 1;
  std::vector<Operand> factors{std::nullopt};
  for (auto axis = threads.rbegin(); axis != threads.rend(); ++axis)
    factors.emplace_back(axis->second);
  if (lanes > 1)
    factors.emplace_back(lanes);
  TEMPER_TRY(parts, schedule.split(loops.back(), std::move(factors)));
  size_t at = 1;
  for (auto axis = threads.rbegin(); axis != threads.rend(); ++axis)
    TEMPER_TRY_VOID(bind(schedule, parts[at++], axis->first.c_str()));
  if (lanes > 1)
    return schedule.vectorize(parts[at]);
  return {};
}

/// What the tile of a product takes of a block for tensor cores, as far as its loops say.
Result<void> verify_tile(const BlockFacts& facts, const GpuHints& gpu) {
  int64_t threads = 0, stages = 1;
  for (const Ref<For>& loop : facts.loops) {
    threads = std::max(threads, tir::tile_threads(loop->annotations));
    stages = std::max(stages, loop->annotations.get_int(tir::kTileStages).value_or(1));
  }
  const auto* sum = facts.store != nullptr ? facts.store->value.as<Add>() : nullptr;
  if (threads == 0 || sum == nullptr || !sum->a.is<BufferLoad>() || facts.loops.size() < 3 ||
      facts.block->reads.empty())
    return {};
  const auto tile = facts.extents.end() - 3; // rows, columns and depth
  const int64_t sums =
      tile[0] * tile[1] * facts.store->buffer->dtype.element_bytes() / (4 * threads);
  const int64_t shared = (tile[0] + tile[1]) * tile[2] *
                         facts.block->reads.back().buffer->dtype.element_bytes() * stages;
  if (threads > gpu.threads)
    return Error(ErrorCode::kIllegal,
                 fmt::format("the block has {} threads, there may be {}", threads, gpu.threads));
  if (sums > gpu.registers)
    return Error(
        ErrorCode::kIllegal,
        fmt::format("a thread sums in {} registers, and has {} at most", sums, gpu.registers));
  if (shared > gpu.shared_bytes)
    return Error(ErrorCode::kIllegal,
                 fmt::format("the operands take {} bytes of shared memory, there are {}", shared,
                             gpu.shared_bytes));
  return {};
}

/// Threads and virtual threads of each nest.
Result<void> verify_threads(const Schedule& schedule, const std::vector<BlockRv>& blocks,
                            const GpuHints& gpu) {
  for (const BlockRv& block : blocks) {
    const BlockFacts facts = block_facts(schedule, block);
    if (facts.block == nullptr)
      continue;
    TEMPER_TRY_VOID(verify_tile(facts, gpu));
    int64_t threads = 1, virtual_threads = 1;
    std::unordered_set<std::string> seen;
    for (size_t l = 0; l < facts.loops.size(); ++l) {
      const For& loop = *facts.loops[l];
      if (loop.kind != ForKind::kThreadBinding || !seen.insert(loop.thread).second)
        continue;
      if (is_bound_to(loop, "threadIdx"))
        threads *= facts.extents[l];
      else if (is_bound_to(loop, "vthread"))
        virtual_threads *= facts.extents[l];
    }
    const int64_t most =
        std::min(gpu.threads, facts.block->annotations.get_int(kMostThreads).value_or(gpu.threads));
    const int64_t fewest = facts.block->annotations.get_int(kFewestThreads).value_or(1);
    if (threads > most)
      return Error(ErrorCode::kIllegal,
                   fmt::format("the block has {} threads, there may be {}", threads, most));
    if (threads < fewest)
      return Error(ErrorCode::kIllegal,
                   fmt::format("the block has {} threads, less than {}: a warp is {}", threads,
                               fewest, gpu.warp));
    if (virtual_threads > gpu.virtual_threads)
      return Error(ErrorCode::kIllegal, fmt::format("{} virtual threads for each thread are more "
                                                    "than {}",
                                                    virtual_threads, gpu.virtual_threads));
  }
  return {};
}

} // namespace

std::optional<int64_t> unbound_iterations(const Schedule& schedule, BlockRv block) {
  const BlockFacts facts = block_facts(schedule, block);
  if (facts.block == nullptr)
    return std::nullopt;
  const Binding binding = binding_of(facts);
  if (binding.blocks)
    return std::nullopt;
  return binding.iterations;
}

Result<void> bind_block(Schedule& schedule, BlockRv block, const GpuHints& gpu,
                        const Operand& threads) {
  BlockFacts facts = block_facts(schedule, block);
  Binding binding = binding_of(facts);
  if (binding.blocks)
    return {};
  TEMPER_TRY(loops, schedule.get_loops(block));
  if (binding.outer == 0) {
    // Nothing to share out: one thread does it.
    TEMPER_TRY(unit, schedule.call("AddUnitLoop", {loops.empty() ? Operand(block) : loops[0]}));
    if (!bind(schedule, LoopRv(unit[0]), "blockIdx.x"))
      return no_axis_for_threads(*facts.block);
    return {};
  }
  loops.resize(binding.outer);
  LoopRv fused = loops[0];
  if (loops.size() > 1) {
    TEMPER_TRY(one, schedule.fuse(loops));
    fused = one;
  }
  if (binding.threads)
    return bind(schedule, fused, "blockIdx.x");
  if (binding.iterations <= gpu.blocks * gpu.threads) {
    TEMPER_TRY(parts, schedule.split(fused, {std::nullopt, threads}));
    TEMPER_TRY_VOID(bind(schedule, parts[0], "blockIdx.x"));
    return bind(schedule, parts[1], "threadIdx.x");
  }
  TEMPER_TRY(parts, schedule.split(fused, {std::nullopt, gpu.blocks, threads}));
  TEMPER_TRY_VOID(schedule.reorder({parts[1], parts[2], parts[0]}));
  TEMPER_TRY_VOID(bind(schedule, parts[1], "blockIdx.x"));
  return bind(schedule, parts[2], "threadIdx.x");
}

Result<void> postprocess_for_gpu(Schedule& schedule, const GpuHints& gpu) {
  TEMPER_TRY_VOID(schedule.enter_postproc());
  TEMPER_TRY(root, schedule.get_sblock("root"));
  TEMPER_TRY(blocks, schedule.get_child_blocks(root));
  for (const BlockRv& block : blocks)
    TEMPER_TRY_VOID(fetch_by_threads(schedule, block));
  for (const BlockRv& block : blocks)
    if (const auto iterations = unbound_iterations(schedule, block))
      TEMPER_TRY_VOID(bind_block(schedule, block, gpu, std::min(gpu.threads, *iterations)));
  TEMPER_TRY(root_block, schedule.get_block(root));
  if (const auto step = root_block->annotations.get_int(kUnrollExplicit)) {
    TEMPER_TRY_VOID(schedule.unannotate(root, kUnrollExplicit));
    std::unordered_set<const Node*> nests; // outermost loop variables already treated
    for (const BlockRv& block : blocks) {
      const BlockFacts facts = block_facts(schedule, block);
      if (*step == 0 || facts.loops.empty() || !nests.insert(facts.loops[0]->loop_var.get()).second)
        continue;
      if (std::any_of(facts.loops.begin(), facts.loops.end(), [](const Ref<For>& loop) {
            return tir::tile_threads(loop->annotations) > 0;
          }))
        continue; // operators unroll as they need
      TEMPER_TRY(loops, schedule.get_loops(block));
      TEMPER_TRY_VOID(schedule.annotate(loops[0], "pragma_auto_unroll_max_step", *step));
      TEMPER_TRY_VOID(schedule.annotate(loops[0], "pragma_unroll_explicit", 1));
    }
  }
  for (const BlockRv& block : blocks)
    TEMPER_TRY_VOID(decompose_reduction(schedule, block));
  return verify_threads(schedule, blocks, gpu);
}

RuleList default_gpu_rules(const GpuHints& gpu) {
  RuleList rules;
  rules.push_back(make_gpu_tensor_cores_rule(gpu));
  rules.push_back(make_gpu_multi_level_tiling_rule(gpu));
  rules.push_back(make_gpu_auto_inline_rule());
  rules.push_back(make_gpu_cross_thread_reduction_rule(gpu));
  rules.push_back(make_gpu_auto_bind_rule(gpu));
  return rules;
}

} // namespace temper::tuner
