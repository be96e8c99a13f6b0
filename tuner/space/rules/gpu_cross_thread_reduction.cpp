/// A reduction that no tiling treats is shared out among the threads of a block (MetaSchedule's
/// CrossThreadReduction); where its consumers allow it, it is computed in their loop over rows, so
/// that a softmax or a norm is one kernel with its sums in shared memory. A sketch without it
/// stays.
///
///   for i (blockIdx.x, by auto_bind):
///     for k_0, k_1 (threadIdx.x): total_shared += X
///     for j_0, j_1 (threadIdx.x): Y = X / total_shared
#include "ir/walk.h"
#include "tuner/space/gpu_rules.h"

#include <algorithm>

namespace temper::tuner {
namespace {

using namespace s_tir;

bool is_over_threads(const BlockFacts& facts) {
  return std::any_of(facts.loops.begin(), facts.loops.end(), [](const Ref<For>& loop) {
    return loop->kind == ForKind::kThreadBinding && loop->thread.starts_with("threadIdx");
  });
}

class GpuCrossThreadReduction final : public ConsumersFirstRule {
public:
  explicit GpuCrossThreadReduction(const GpuHints& gpu) : threads_(gpu.reduction_threads) {}
  const char* name() const override { return "gpu_cross_thread_reduction"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    const BlockFacts facts = block_facts(schedule, block);
    if (!facts.trivially_bound || !facts.has_reduction || !facts.has_init ||
        facts.store == nullptr || !facts.block->annotations.empty() || facts.reduce_extent <= 1)
      return {schedule};
    for (const bool fused : {true, false}) {
      Schedule shared = schedule;
      shared.set_render_errors(false);
      if (share_out(shared, block, fused))
        return {shared, schedule};
    }
    return {schedule};
  }

private:
  Result<void> share_out(Schedule& schedule, BlockRv block, bool fused) const {
    Operand threads;
    if (fused) {
      TEMPER_TRY(used, into_consumers(schedule, block));
      threads = used;
    } else {
      TEMPER_TRY(sampled, sampled_threads(schedule));
      threads = sampled;
    }
    // The reduction's loops, innermost and one.
    const BlockFacts facts = block_facts(schedule, block);
    TEMPER_TRY(loops, schedule.get_loops(block));
    size_t first = 0; // of the loops that are the block's alone
    for (size_t l = 0; l + 1 < facts.loops.size(); ++l)
      if (facts.loops[l]->body != facts.loops[l + 1])
        first = l + 1;
    std::vector<LoopRv> order, reduce;
    for (size_t l = first; l < loops.size(); ++l)
      (facts.classes[l] == LoopClass::kReduce ? reduce : order).push_back(loops[l]);
    if (reduce.empty())
      return Error(ErrorCode::kIllegal, "the loops of the reduction are not the block's alone");
    order.insert(order.end(), reduce.begin(), reduce.end());
    if (order.size() > 1)
      TEMPER_TRY_VOID(schedule.reorder(order));
    LoopRv whole = reduce[0];
    if (reduce.size() > 1) {
      TEMPER_TRY(one, schedule.fuse(reduce));
      whole = one;
    }
    TEMPER_TRY(parts, schedule.split(whole, {std::nullopt, threads}));
    TEMPER_TRY(bound, schedule.call("Bind", {parts[1]}, {"threadIdx.x"}));
    (void)bound;
    return {};
  }

  Result<ExprRv> sampled_threads(Schedule& schedule) const {
    const std::vector<double> even(threads_.size(), 1.0 / static_cast<double>(threads_.size()));
    return schedule.sample_categorical(threads_, even);
  }

  /// Computes the block in the loops that its consumers share, as far as they are those of its
  /// result, in shared memory. Returns how many threads there are: those of the consumers, which
  /// get them here if they have none.
  Result<Operand> into_consumers(Schedule& schedule, BlockRv block) const {
    TEMPER_TRY(consumers, schedule.get_consumers(block));
    if (consumers.empty())
      return Error(ErrorCode::kIllegal, "nobody reads the result");
    const Buffer result = block_facts(schedule, block).block->writes[0].buffer;
    size_t depth = SIZE_MAX; // loops to stand in
    std::vector<BlockFacts> known;
    for (const BlockRv& consumer : consumers) {
      known.push_back(block_facts(schedule, consumer));
      depth = std::min(depth, rows_of(known.back(), result));
    }
    for (size_t l = 0; l < depth; ++l)
      for (const BlockFacts& facts : known)
        if (facts.loops[l] != known[0].loops[l])
          depth = l;
    if (depth == 0)
      return Error(ErrorCode::kIllegal, "the consumers have no loop over its rows");
    const BlockRv last = consumers.back();
    const BlockFacts& facts = known.back();
    Operand threads;
    if (is_over_threads(facts)) {
      TEMPER_TRY(used, threads_before(schedule));
      threads = used;
    } else {
      TEMPER_TRY(sampled, sampled_threads(schedule));
      threads = sampled;
      TEMPER_TRY(loops, schedule.get_loops(last));
      if (loops.size() <= depth)
        return Error(ErrorCode::kIllegal, "the consumer has no loop for the threads");
      TEMPER_TRY(parts, schedule.split(loops.back(), {std::nullopt, sampled}));
      TEMPER_TRY(bound, schedule.call("Bind", {parts[1]}, {"threadIdx.x"}));
      (void)bound;
    }
    TEMPER_TRY(loops, schedule.get_loops(last));
    TEMPER_TRY_VOID(schedule.compute_at(block, loops[depth - 1], true));
    TEMPER_TRY(moved, schedule.call("SetScope", {block}, {0, "shared"}));
    (void)moved;
    return threads;
  }

  /// How many outer loops of the reader choose the rows that it reads of the buffer.
  static size_t rows_of(const BlockFacts& reader, const Buffer& buffer) {
    if (reader.block == nullptr)
      return 0;
    size_t count = 0;
    for (const BufferRegion& read : reader.block->reads) {
      if (read.buffer != buffer)
        continue;
      std::vector<const VarNode*> loops; // that the region's indices are made of
      for (const Range& range : read.region)
        for (size_t a = 0; a < reader.bindings.size(); ++a)
          if (mentions(range.min, reader.block->iter_vars[a].var))
            for (const Ref<For>& loop : reader.loops)
              if (mentions(reader.bindings[a], loop->loop_var))
                loops.push_back(loop->loop_var.get());
      while (count < reader.loops.size() &&
             std::find(loops.begin(), loops.end(), reader.loops[count]->loop_var.get()) !=
                 loops.end())
        ++count;
    }
    return count;
  }

  /// The last number of threads that this rule has left open.
  Result<ExprRv> threads_before(const Schedule& schedule) const {
    const Trace& trace = schedule.trace();
    for (size_t i = trace.size(); i-- > 0;) {
      const Instruction& instruction = trace[i];
      if (instruction.primitive->name != "SampleCategorical" || instruction.outputs.empty())
        continue;
      const Value::List* choices = instruction.attrs[0].as_list();
      const bool same = choices != nullptr && choices->size() == threads_.size() &&
                        std::equal(threads_.begin(), threads_.end(), choices->begin(),
                                   [](int64_t a, const Value& b) {
                                     return b.as_int() != nullptr && *b.as_int() == a;
                                   });
      if (same)
        return ExprRv(instruction.outputs[0]);
    }
    return Error(ErrorCode::kIllegal, "the consumers have threads from elsewhere");
  }

  std::vector<int64_t> threads_;
};

} // namespace

std::unique_ptr<Rule> make_gpu_cross_thread_reduction_rule(const GpuHints& gpu) {
  return std::make_unique<GpuCrossThreadReduction>(gpu);
}

} // namespace temper::tuner
