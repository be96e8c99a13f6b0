#include "tuner/space/postprocess.h"

#include "ir/s_tir/tensor_intrinsic.h"
#include "ir/walk.h"

#include <algorithm>
#include <unordered_set>

namespace temper::tuner {
namespace {

using namespace s_tir;

struct RootRequests {
  int64_t parallel_jobs = 0;
  int64_t vectorize_extent = 0;
  int64_t unroll_step = 0;
};

Result<RootRequests> take_requests(Schedule& schedule, BlockRv root) {
  TEMPER_TRY(block, schedule.get_block(root));
  RootRequests requests;
  const std::pair<const char*, int64_t RootRequests::*> keys[] = {
      {kParallelJobs, &RootRequests::parallel_jobs},
      {kVectorizeExtent, &RootRequests::vectorize_extent},
      {kUnrollExplicit, &RootRequests::unroll_step}};
  for (const auto& [key, member] : keys) {
    if (const auto value = block->annotations.get_int(key)) {
      requests.*member = *value;
      TEMPER_TRY_VOID(schedule.unannotate(root, key));
    }
  }
  return requests;
}

/// Loops that hold nothing but the next loop of this block, from the outermost on.
size_t exclusive_loops(const BlockFacts& facts) {
  size_t count = 0;
  while (count + 1 < facts.loops.size() && facts.loops[count]->body == facts.loops[count + 1])
    ++count;
  return facts.loops.empty() ? 0 : count + 1;
}

Result<void> parallelize(Schedule& schedule, BlockRv block, int64_t max_jobs) {
  const BlockFacts facts = block_facts(schedule, block);
  const size_t reach = exclusive_loops(facts);
  size_t count = 0;
  int64_t jobs = 1;
  while (count < reach && facts.classes[count] == LoopClass::kSpatial &&
         facts.loops[count]->kind == ForKind::kSerial && jobs * facts.extents[count] <= max_jobs)
    jobs *= facts.extents[count++];
  if (jobs == 1 && count < reach && facts.classes[count] == LoopClass::kSpatial &&
      facts.loops[count]->kind == ForKind::kSerial) {
    // One loop with more iterations than jobs, perhaps behind some of a single one (a batch of one
    // image): the runtime cuts it into chunks anyway.
    jobs = facts.extents[count++];
  }
  if (jobs <= 1)
    return {};
  TEMPER_TRY(loops, schedule.get_loops(block));
  loops.resize(count);
  LoopRv outer = loops[0];
  if (count > 1) {
    TEMPER_TRY(fused, schedule.fuse(loops));
    outer = fused;
  }
  return schedule.parallel(outer);
}

/// What the block writes does not move along the last index with this loop: vectors would scatter.
bool scatters(const BlockFacts& facts, size_t loop) {
  const VarNode* var = facts.loops[loop]->loop_var.get();
  const auto is_loop = [&](const VarNode& other) { return &other == var; };
  for (const BufferRegion& written : facts.block->writes) {
    if (written.region.empty())
      return true;
    for (size_t axis = 0; axis < facts.bindings.size(); ++axis) {
      const VarNode* axis_var = facts.block->iter_vars[axis].var.get();
      if (uses_var(facts.bindings[axis], is_loop) &&
          uses_var(written.region.back().min,
                   [&](const VarNode& other) { return &other == axis_var; }))
        return false;
    }
  }
  return true;
}

Result<void> vectorize_innermost(Schedule& schedule, BlockRv block, int64_t max_extent) {
  const BlockFacts facts = block_facts(schedule, block);
  if (facts.loops.empty() || facts.block->annotations.get(kTensorIntrinsic))
    return {}; // an instruction is a vector already
  const size_t last = facts.loops.size() - 1;
  if (facts.classes[last] != LoopClass::kSpatial || facts.loops[last]->kind != ForKind::kSerial ||
      !facts.loops[last]->annotations.empty() || scatters(facts, last))
    return {};
  const int64_t extent = facts.extents[last];
  if (extent <= 1)
    return {};
  TEMPER_TRY(loops, schedule.get_loops(block));
  if (extent <= max_extent)
    return schedule.vectorize(loops[last]);
  // Longer than asked for: cut off the largest power of two that divides it.
  int64_t lanes = 1;
  while (lanes * 2 <= max_extent && extent % (lanes * 2) == 0)
    lanes *= 2;
  if (lanes < 4)
    return {};
  TEMPER_TRY(parts, schedule.split(loops[last], {std::nullopt, lanes}));
  return schedule.vectorize(parts[1]);
}

} // namespace

Result<void> decompose_reduction(Schedule& schedule, BlockRv block) {
  const BlockFacts facts = block_facts(schedule, block);
  if (facts.block == nullptr || !facts.has_init)
    return {};
  // What threads reduce together, they start themselves.
  for (size_t l = 0; l < facts.loops.size(); ++l)
    if (facts.classes[l] == LoopClass::kReduce && facts.loops[l]->kind == ForKind::kThreadBinding)
      return {};
  TEMPER_TRY(loops, schedule.get_loops(block));
  for (size_t l = 0; l < loops.size(); ++l) {
    if (facts.classes[l] != LoopClass::kReduce)
      continue;
    TEMPER_TRY_VOID(schedule.decompose_reduction(block, loops[l]));
    return {};
  }
  return {};
}

Result<void> postprocess(Schedule& schedule, const MachineHints& machine) {
  TEMPER_TRY_VOID(schedule.enter_postproc());
  TEMPER_TRY(root, schedule.get_sblock("root"));
  TEMPER_TRY(requests, take_requests(schedule, root));
  TEMPER_TRY(blocks, schedule.get_child_blocks(root));

  std::unordered_set<const Node*> nests; // outermost loop variables already treated
  for (const BlockRv& block : blocks) {
    const BlockFacts facts = block_facts(schedule, block);
    if (facts.block == nullptr || facts.loops.empty())
      continue;
    const bool first_of_nest = nests.insert(facts.loops[0]->loop_var.get()).second;
    if (requests.vectorize_extent > 1)
      TEMPER_TRY_VOID(vectorize_innermost(schedule, block, requests.vectorize_extent));
    if (first_of_nest && machine.threads > 1 && requests.parallel_jobs > 1) {
      TEMPER_TRY_VOID(parallelize(schedule, block, requests.parallel_jobs));
      nests.insert(block_facts(schedule, block).loops[0]->loop_var.get());
    }
    if (first_of_nest && requests.unroll_step > 0) {
      TEMPER_TRY(loops, schedule.get_loops(block));
      TEMPER_TRY_VOID(
          schedule.annotate(loops[0], "pragma_auto_unroll_max_step", requests.unroll_step));
      TEMPER_TRY_VOID(schedule.annotate(loops[0], "pragma_unroll_explicit", 1));
    }
  }
  for (const BlockRv& block : blocks)
    TEMPER_TRY_VOID(decompose_reduction(schedule, block));
  return {};
}

} // namespace temper::tuner
