/// Vector reduction, for GEMV and row sums: a reduction along the contiguous axis, where no output
/// axis is contiguous, is summed in vectors of partial results (rfactor over sampled lanes) for
/// several rows at a time, which share the loads of the other operand.
#include "tuner/space/rules/vector_reduction.h"

#include "ir/pass/lowering.h"
#include "ir/walk.h"

namespace temper::tuner {

using namespace s_tir;

int64_t vector_lanes(const MachineHints& machine, int bytes) {
  return std::max(1, machine.vector_bits / 8 / std::max(1, bytes));
}

std::vector<int64_t> lane_choices(const MachineHints& machine, int bytes, int64_t extent) {
  const int64_t lanes = vector_lanes(machine, bytes);
  std::vector<int64_t> choices;
  for (int64_t registers : {1, 2, 4, 8})
    if (lanes * registers <= extent)
      choices.push_back(lanes * registers);
  if (choices.empty())
    choices.push_back(std::max<int64_t>(1, extent));
  return choices;
}

Result<ExprRv> sample_evenly(Schedule& schedule, const std::vector<int64_t>& choices) {
  const std::vector<double> even(choices.size(), 1.0 / static_cast<double>(choices.size()));
  return schedule.sample_categorical(choices, even);
}

Result<std::optional<BlockRv>> only_elementwise_consumer(Schedule& schedule, BlockRv block) {
  TEMPER_TRY(consumers, schedule.get_consumers(block));
  if (consumers.size() != 1)
    return std::optional<BlockRv>();
  const BlockFacts facts = block_facts(schedule, consumers[0]);
  const bool elementwise =
      facts.block && !facts.has_reduction && facts.store != nullptr && facts.trivially_bound;
  return elementwise ? std::optional(consumers[0]) : std::nullopt;
}

Result<void> move_under_tile(Schedule& schedule, BlockRv consumer, LoopRv tile) {
  TEMPER_TRY_VOID(schedule.reverse_compute_at(consumer, tile, true));
  return schedule.annotate(consumer, kScheduled, 1);
}

Result<void> init_in_vectors(Schedule& schedule, BlockRv block, LoopRv loop) {
  TEMPER_TRY(init, schedule.decompose_reduction(block, loop));
  TEMPER_TRY(init_loops, schedule.get_loops(init));
  return schedule.vectorize(init_loops.back());
}

namespace {

int element_bytes(const BlockFacts& facts) { return facts.store->buffer->dtype.element_bytes(); }

/// What the lanes are cut from: the innermost reduce loop where whole vectors fit it, as all reduce
/// loops fused need not be contiguous, and what was fused cannot be moved; else all of them.
struct LaneSource {
  int64_t extent = 1;
  bool fused = false; ///< of several loops
};
LaneSource lane_source(const BlockFacts& facts, const MachineHints& machine) {
  LaneSource source;
  int64_t innermost = 0;
  int64_t loops = 0;
  for (size_t l = 0; l < facts.extents.size(); ++l)
    if (facts.classes[l] == LoopClass::kReduce) {
      source.extent *= facts.extents[l];
      innermost = facts.extents[l];
      ++loops;
    }
  const int64_t lanes = vector_lanes(machine, element_bytes(facts));
  source.fused = loops > 1 && innermost % lanes != 0;
  if (!source.fused && loops > 0)
    source.extent = innermost;
  return source;
}

/// The block of partial results, one per lane; the lanes are its innermost loop.
Result<BlockRv> factor_lanes(Schedule& schedule, BlockRv block, const std::vector<int64_t>& choices,
                             bool fuse) {
  const BlockFacts facts = block_facts(schedule, block);
  TEMPER_TRY(loops, schedule.get_loops(block));
  std::vector<LoopRv> reduce;
  int64_t spatial = 0;
  for (size_t l = 0; l < loops.size(); ++l)
    if (facts.classes[l] == LoopClass::kReduce)
      reduce.push_back(loops[l]);
  for (const IterVar& axis : facts.block->iter_vars)
    spatial += axis.type == IterType::kSpatial ? 1 : 0;
  if (reduce.empty())
    return Error(ErrorCode::kIllegal, "this block has no loop to reduce over");
  LoopRv along = reduce.back();
  if (fuse) {
    TEMPER_TRY(joined, schedule.fuse(reduce));
    along = joined;
  }
  TEMPER_TRY(lanes, sample_evenly(schedule, choices));
  TEMPER_TRY(parts, schedule.split(along, {std::nullopt, lanes}));
  TEMPER_TRY(partial, schedule.rfactor(parts[1], spatial));
  TEMPER_TRY_VOID(schedule.annotate(partial, kScheduled, 1));
  TEMPER_TRY_VOID(schedule.annotate(block, kScheduled, 1));
  TEMPER_TRY(final_loops, schedule.get_loops(block));
  TEMPER_TRY_VOID(schedule.annotate(final_loops.back(), ir::kReduceLanes, 1));
  return partial;
}

} // namespace

Result<BlockRv> vectorize_reduction(Schedule& schedule, BlockRv block,
                                    const MachineHints& machine) {
  const BlockFacts facts = block_facts(schedule, block);
  const LaneSource source = lane_source(facts, machine);
  TEMPER_TRY(partial, factor_lanes(schedule, block,
                                   lane_choices(machine, element_bytes(facts), source.extent),
                                   source.fused));
  TEMPER_TRY(loops, schedule.get_loops(partial));
  TEMPER_TRY_VOID(schedule.vectorize(loops.back()));
  return partial;
}

Result<void> vectorize_elementwise(Schedule& schedule, BlockRv block, const MachineHints& machine) {
  const BlockFacts facts = block_facts(schedule, block);
  TEMPER_TRY(loops, schedule.get_loops(block));
  TEMPER_TRY_VOID(schedule.annotate(block, kScheduled, 1));
  if (loops.empty() || facts.classes.back() != LoopClass::kSpatial || facts.extents.back() < 2)
    return {};
  TEMPER_TRY(lanes, sample_evenly(schedule, lane_choices(machine, element_bytes(facts),
                                                         facts.extents.back())));
  TEMPER_TRY(parts, schedule.split(loops.back(), {std::nullopt, lanes}));
  return schedule.vectorize(parts[1]);
}

namespace {

class VectorReduction final : public Rule {
public:
  explicit VectorReduction(const MachineHints& machine) : machine_(machine) {}
  const char* name() const override { return "vector_reduction"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    const BlockFacts facts = block_facts(schedule, block);
    if (!facts.trivially_bound || !facts.has_reduction || !facts.has_init ||
        facts.store == nullptr || !facts.block->annotations.empty() ||
        !reduces_contiguously(*facts.block))
      return {schedule};
    Schedule factored = schedule;
    factored.set_render_errors(false);
    if (!factor(factored, block, facts))
      return {schedule};
    return {std::move(factored), schedule};
  }

private:
  /// A reduce axis moves the last index of a read, and no spatial axis moves the last index of any.
  static bool reduces_contiguously(const SBlock& block) {
    bool reduces = false;
    for (const BufferRegion& read : block.reads) {
      if (read.region.empty() || read.buffer == block.writes[0].buffer)
        continue;
      for (const IterVar& axis : block.iter_vars) {
        if (is_int(axis.domain.extent, 1))
          continue;
        const bool moves = mentions(read.region.back().min, axis.var);
        if (moves && axis.type == IterType::kSpatial)
          return false;
        reduces |= moves;
      }
    }
    return reduces;
  }

  Result<void> factor(Schedule& schedule, BlockRv block, const BlockFacts& facts) const {
    TEMPER_TRY(loops, schedule.get_loops(block));
    std::vector<LoopRv> spatial;
    std::vector<LoopRv> reduce;
    for (size_t l = 0; l < loops.size(); ++l)
      (facts.classes[l] == LoopClass::kReduce ? reduce : spatial).push_back(loops[l]);
    if (spatial.empty()) {
      TEMPER_TRY_VOID(vectorize_reduction(schedule, block, machine_));
      return {};
    }
    std::vector<LoopRv> order = spatial;
    order.insert(order.end(), reduce.begin(), reduce.end());
    TEMPER_TRY_VOID(schedule.reorder(order));
    // Rows at a time: the last spatial loop is tiled, the inner part goes inside the reduction.
    TEMPER_TRY(rows, schedule.sample_perfect_tile(spatial.back(), 2, 16));
    TEMPER_TRY_VOID(schedule.split(spatial.back(), {rows[0], rows[1]}));
    const auto [extent, fused] = lane_source(facts, machine_);
    const std::vector<int64_t> choices = lane_choices(machine_, element_bytes(facts), extent);
    std::vector<int64_t> whole;
    for (const int64_t lanes : choices)
      if (extent % lanes == 0)
        whole.push_back(lanes);
    TEMPER_TRY(partial, factor_lanes(schedule, block, whole.empty() ? choices : whole, fused));
    if (whole.empty()) {
      // The last vector is cut by a predicate, and a block with one cannot move: all partial
      // results are computed before the first is used.
      TEMPER_TRY(apart, schedule.get_loops(partial));
      return schedule.vectorize(apart.back());
    }
    TEMPER_TRY(final_loops, schedule.get_loops(block));
    TEMPER_TRY_VOID(schedule.compute_at(partial, final_loops[spatial.size() - 1], true));
    // Now there is a loop per axis, lanes x rows x steps, as rfactor orders them
    // -> steps x rows x lanes
    TEMPER_TRY(inner, schedule.get_loops(partial));
    const BlockFacts partial_facts = block_facts(schedule, partial);
    const LoopRv lanes = inner[spatial.size()];
    std::vector<LoopRv> inside;
    for (const LoopClass wanted : {LoopClass::kReduce, LoopClass::kSpatial})
      for (size_t l = spatial.size() + 1; l < inner.size(); ++l)
        if (partial_facts.classes[l] == wanted)
          inside.push_back(inner[l]);
    inside.push_back(lanes);
    TEMPER_TRY_VOID(schedule.reorder(inside));
    return schedule.vectorize(lanes);
  }

  MachineHints machine_;
};

} // namespace

std::unique_ptr<Rule> make_vector_reduction_rule(const MachineHints& machine) {
  return std::make_unique<VectorReduction>(machine);
}

} // namespace temper::tuner
