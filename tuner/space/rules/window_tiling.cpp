/// Register tiling of windows, for depthwise convolutions and pooling: sums over a short window in
/// which every operand moves with the output along its contiguous axis, so that nothing is
/// broadcast and nothing is packed.
///
///   for p, q0, c0:                          c0 outside of q0: the filter stays in registers
///     for r:                                unrolled or not, sampled
///       for q1 in tile, s:                  unrolled; neighbours share what their windows share
///         Y[p, q, c vector] += X[p + r, q + s, c vector] * F[r, s, c vector]
///
/// A padded copy of the input is inlined, so that lowering cuts the border off and no copy is made,
/// or made for some rows at a time.
#include "tuner/space/rules/vector_reduction.h"

#include "ir/walk.h"

#include <algorithm>

namespace temper::tuner {
namespace {

using namespace s_tir;

/// A block seen as a sum over windows.
struct Window {
  size_t m = 0;               ///< the spatial axis whose neighbours share operands
  size_t n = 0;               ///< contiguous in the output and in every operand
  std::optional<size_t> rows; ///< the spatial axis before m, if any
};

/// Longest window along one axis that is unrolled in full.
constexpr int64_t kMaxTaps = 8;
constexpr int64_t kMaxRowsAtATime = 64;

std::optional<Window> as_window(const BlockFacts& facts) {
  if (!facts.trivially_bound || !facts.has_reduction || !facts.has_init || facts.store == nullptr ||
      !facts.block->annotations.empty())
    return std::nullopt;
  const SBlock& block = *facts.block;
  if (block.writes.size() != 1 || block.writes[0].region.empty())
    return std::nullopt;
  const BufferRegion& output = block.writes[0];
  Window window;
  bool has_n = false;
  for (size_t axis = 0; axis < block.iter_vars.size(); ++axis)
    if (output.region.back().min.get() == block.iter_vars[axis].var.get()) {
      window.n = axis;
      has_n = true;
    }
  if (!has_n)
    return std::nullopt;
  const IterVar& n = block.iter_vars[window.n];
  std::vector<const BufferRegion*> operands;
  for (const BufferRegion& read : block.reads) {
    if (read.buffer == output.buffer)
      continue;
    if (read.region.empty() || read.region.back().min.get() != n.var.get())
      return std::nullopt;
    for (size_t d = 0; d + 1 < read.region.size(); ++d)
      if (mentions(read.region[d].min, n.var))
        return std::nullopt;
    operands.push_back(&read);
  }

  /// Neighbours along `axis` share an operand, or parts of their windows of it.
  const auto shares = [&](const IterVar& axis) {
    for (const BufferRegion* read : operands) {
      bool moves = false;
      for (const Range& range : read->region) {
        if (!mentions(range.min, axis.var))
          continue;
        moves = true;
        for (const IterVar& other : block.iter_vars)
          if (other.type == IterType::kReduce && mentions(range.min, other.var))
            return true;
      }
      if (!moves)
        return true;
    }
    return false;
  };
  bool has_m = false;
  for (size_t axis = 0; axis < block.iter_vars.size(); ++axis) {
    if (axis == window.n || block.iter_vars[axis].type == IterType::kReduce ||
        facts.extents[axis] < 2)
      continue;
    if (!shares(block.iter_vars[axis]))
      continue;
    if (has_m)
      window.rows = window.m;
    window.m = axis;
    has_m = true;
  }
  return has_m ? std::optional(window) : std::nullopt;
}

bool has_choice(const Expr& value) {
  bool found = false;
  walk(value, [&](const NodeRef& node) {
    const auto* call = node.as<Call>();
    found |= call != nullptr && call->op == "if_then_else";
    return !found;
  });
  return found;
}

class WindowTiling final : public Rule {
public:
  explicit WindowTiling(const MachineHints& machine) : machine_(machine) {}
  const char* name() const override { return "window_tiling"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    const BlockFacts facts = block_facts(schedule, block);
    const std::optional<Window> window = as_window(facts);
    if (!window)
      return {schedule};
    const int64_t lanes = machine_.vector_bits / 8 / facts.store->buffer->dtype.element_bytes();
    const int64_t n_extent = facts.extents[window->n];
    if (lanes < 2 || n_extent < lanes)
      return {schedule};
    const std::optional<BlockRv> padding = padded_copy(schedule, block);

    std::vector<Schedule> results;
    for (const int64_t vectors : {1, 2, 3, 4}) {
      const int64_t width = vectors * lanes;
      if (n_extent % width != 0 && (n_extent % lanes == 0 || width - lanes >= n_extent))
        continue;
      for (const bool filter_stays : {false, true}) {
        if (filter_stays && width >= n_extent)
          continue; // one vector block: both orders are the same
        for (const bool inlined : {true, false}) {
          if (inlined && !padding)
            continue;
          Schedule tiled = schedule;
          tiled.set_render_errors(false);
          if (tile(tiled, block, facts, *window, vectors, lanes, filter_stays, padding, inlined))
            results.push_back(std::move(tiled));
        }
      }
    }
    if (results.empty())
      results.push_back(schedule);
    return results;
  }

private:
  /// A copy with a condition.
  static bool pads(const BlockFacts& facts) {
    return facts.store != nullptr && !facts.has_reduction && facts.trivially_bound &&
           facts.block->annotations.empty() && has_choice(facts.store->value);
  }

  /// The only producer that pads.
  static std::optional<BlockRv> padded_copy(const Schedule& schedule, BlockRv block) {
    Schedule probe = schedule;
    probe.set_render_errors(false);
    const auto producers = probe.get_producers(block);
    std::optional<BlockRv> found;
    if (!producers)
      return found;
    for (const BlockRv producer : *producers) {
      if (!pads(block_facts(probe, producer)))
        continue;
      if (found)
        return std::nullopt;
      found = producer;
    }
    return found;
  }

  /// Columns of a tile of `vectors` vectors: sums, and beside them the filter's row and the inputs
  /// that neighbours share, must fit into the registers.
  std::vector<int64_t> column_choices(int64_t vectors, int64_t extent) const {
    const int64_t sums = machine_.vector_registers >= 32 ? 20 : 8;
    const int64_t most = std::max<int64_t>(1, std::min(sums / vectors, extent));
    std::vector<int64_t> columns;
    for (int64_t column = most; column >= 1 && columns.size() < 4; --column)
      if (column == most || extent % column == 0)
        columns.push_back(column);
    return columns;
  }

  Result<void> tile(Schedule& schedule, BlockRv block, const BlockFacts& facts,
                    const Window& window, int64_t vectors, int64_t lanes, bool filter_stays,
                    const std::optional<BlockRv>& padding, bool inlined) const {
    TEMPER_TRY_VOID(schedule.annotate(block, kRegisterTile, 1));
    Result<BlockRv> copy = Error(ErrorCode::kIllegal, "no padded copy");
    if (padding) {
      TEMPER_TRY(producers, schedule.get_producers(block));
      for (const BlockRv producer : producers)
        if (pads(block_facts(schedule, producer)))
          copy = producer;
      if (inlined)
        TEMPER_TRY_VOID(schedule.compute_inline(*copy));
    }
    TEMPER_TRY(consumer, only_elementwise_consumer(schedule, block));
    TEMPER_TRY(loops, schedule.get_loops(block));
    TEMPER_TRY(columns, sample_evenly(schedule, column_choices(vectors, facts.extents[window.m])));
    TEMPER_TRY(m_parts, schedule.split(loops[window.m], {std::nullopt, columns}));
    TEMPER_TRY(n_parts, schedule.split(loops[window.n], {std::nullopt, vectors, lanes}));
    TEMPER_TRY(n_blocks, schedule.sample_perfect_tile(n_parts[0], 2, 256));
    TEMPER_TRY(n_outer, schedule.split(n_parts[0], {n_blocks[0], n_blocks[1]}));

    std::vector<LoopRv> order;
    std::vector<LoopRv> reduce;
    std::optional<LoopRv> place; // of the padded copy
    for (size_t axis = 0; axis < loops.size(); ++axis) {
      if (axis == window.m || axis == window.n)
        continue;
      if (facts.classes[axis] == LoopClass::kReduce) {
        reduce.push_back(loops[axis]);
        continue;
      }
      if (window.rows && axis == *window.rows && padding && !inlined) {
        TEMPER_TRY(at_a_time, schedule.sample_perfect_tile(loops[axis], 2, kMaxRowsAtATime));
        TEMPER_TRY(rows, schedule.split(loops[axis], {at_a_time[0], at_a_time[1]}));
        order.insert(order.end(), {rows[0], n_outer[0], rows[1]});
        place = n_outer[0];
        continue;
      }
      order.push_back(loops[axis]);
    }
    if (!place)
      order.insert(order.begin(), n_outer[0]);
    if (filter_stays)
      order.push_back(n_outer[1]);
    order.push_back(m_parts[0]);
    if (!filter_stays)
      order.push_back(n_outer[1]);

    // The last axis of the window is unrolled inside the tile, so that a column's window is
    // complete before the next begins and what they share is still in registers.
    const size_t last = last_reduce_axis(facts);
    const int64_t taps = facts.extents[last];
    const LoopRv inner = reduce.back();
    reduce.pop_back();
    std::vector<int64_t> steps;
    for (int64_t step = std::min(taps, kMaxTaps); step >= 1 && steps.size() < 2; --step)
      if (taps % step == 0)
        steps.push_back(step);
    if (taps <= kMaxTaps)
      steps.resize(1);
    TEMPER_TRY(step, sample_evenly(schedule, steps));
    TEMPER_TRY(s_parts, schedule.split(inner, {std::nullopt, step}));
    if (!reduce.empty()) {
      const LoopRv before = reduce.back();
      const int64_t extent = facts.extents[last - 1];
      std::vector<int64_t> unrolled{1};
      if (extent > 1 && extent * std::min(taps, kMaxTaps) <= 4 * kMaxTaps)
        unrolled.push_back(extent);
      TEMPER_TRY(rows, sample_evenly(schedule, unrolled));
      TEMPER_TRY(r_parts, schedule.split(before, {std::nullopt, rows}));
      reduce.back() = r_parts[0];
      reduce.push_back(r_parts[1]);
      TEMPER_TRY_VOID(schedule.unroll(r_parts[1]));
    }
    order.insert(order.end(), reduce.begin(), reduce.end());
    order.insert(order.end(), {s_parts[0], m_parts[1], s_parts[1], n_parts[1], n_parts[2]});
    TEMPER_TRY_VOID(schedule.reorder(order));
    TEMPER_TRY_VOID(schedule.unroll(s_parts[1]));
    TEMPER_TRY_VOID(schedule.unroll(m_parts[1]));
    TEMPER_TRY_VOID(schedule.vectorize(n_parts[2]));

    if (padding && !inlined) {
      if (place)
        TEMPER_TRY_VOID(schedule.compute_at(*copy, *place, true));
      TEMPER_TRY_VOID(vectorize_elementwise(schedule, *copy, machine_));
    }
    if (consumer)
      TEMPER_TRY_VOID(move_under_tile(schedule, *consumer, filter_stays ? m_parts[0] : n_outer[1]));
    return {};
  }

  static size_t last_reduce_axis(const BlockFacts& facts) {
    size_t last = 0;
    for (size_t axis = 0; axis < facts.classes.size(); ++axis)
      if (facts.classes[axis] == LoopClass::kReduce)
        last = axis;
    return last;
  }

  MachineHints machine_;
};

} // namespace

std::unique_ptr<Rule> make_window_tiling_rule(const MachineHints& machine) {
  return std::make_unique<WindowTiling>(machine);
}

} // namespace temper::tuner
