/// Row streaming, for products of a vector with a matrix whose contiguous axis is the output's
/// (y[n] = sum of x[k] B[k, n]) and sums of columns: every element of B is used once, so that only
/// its way through the caches counts. Rows of B run through some at a time, which share the loads
/// and stores of the sums; these stay in the first levels of cache:
///
///   for n2:                                   cuts of y that stay in cache
///     for k0:
///       for n1:                               prefetches what is `ahead`
///         for k1 in unroll(rows):
///           y[n] += x[k0 rows + k1] * vector of B[k0 rows + k1, n]
#include "tuner/space/rules/vector_reduction.h"

#include "ir/pass/lowering.h"
#include "ir/walk.h"

#include <algorithm>

namespace temper::tuner {
namespace {

using namespace s_tir;

/// Statements, about one vector operation each, between a prefetch and the use: a kilobyte or two
/// of some rows. One core's reads from memory take 3 to 5 % less time with them.
constexpr int64_t kPrefetchAhead[] = {0, 64, 96};
class RowStreaming final : public Rule {
public:
  explicit RowStreaming(const MachineHints& machine) : machine_(machine) {}
  const char* name() const override { return "row_streaming"; }

  std::vector<Schedule> apply(const Schedule& schedule, BlockRv block) const override {
    const BlockFacts facts = block_facts(schedule, block);
    const std::optional<Streams> streams = as_streams(facts);
    if (!streams)
      return {schedule};
    Schedule streamed = schedule;
    streamed.set_render_errors(false);
    if (!stream(streamed, block, facts, *streams))
      return {schedule};
    return {std::move(streamed), schedule};
  }

private:
  /// Positions of loops.
  struct Streams {
    size_t n = 0; ///< the output's last axis, contiguous in what is streamed
    size_t k = 0; ///< the axis of rows: the last reduce axis that the streamed operand has
  };

  std::optional<Streams> as_streams(const BlockFacts& facts) const {
    if (!facts.trivially_bound || !facts.has_reduction || !facts.has_init ||
        facts.store == nullptr || !facts.block->annotations.empty() ||
        facts.block->writes.size() != 1 || facts.block->writes[0].region.empty())
      return std::nullopt;
    const SBlock& block = *facts.block;
    Streams streams;
    bool has_n = false;
    for (size_t axis = 0; axis < block.iter_vars.size(); ++axis) {
      if (block.iter_vars[axis].type != IterType::kSpatial || facts.extents[axis] == 1)
        continue;
      if (has_n || block.writes[0].region.back().min.get() != block.iter_vars[axis].var.get())
        return std::nullopt; // other axes use the operand again: a matrix product
      streams.n = axis;
      has_n = true;
    }
    if (!has_n || facts.extents[streams.n] < lanes_of(facts))
      return std::nullopt;
    for (const BufferRegion& read : block.reads)
      if (read.buffer != block.writes[0].buffer && streamed_by(facts, read, streams))
        return streams;
    return std::nullopt;
  }

  /// Whether this operand has the output's axis as its last one and all reduce axes before it; sets
  /// the axis of rows.
  static bool streamed_by(const BlockFacts& facts, const BufferRegion& read, Streams& streams) {
    const SBlock& block = *facts.block;
    if (read.region.size() < 2 ||
        read.region.back().min.get() != block.iter_vars[streams.n].var.get())
      return false;
    for (size_t axis = 0; axis < block.iter_vars.size(); ++axis) {
      if (block.iter_vars[axis].type != IterType::kReduce)
        continue;
      const auto has_it = [&](const Range& range) {
        return mentions(range.min, block.iter_vars[axis].var);
      };
      if (std::none_of(read.region.begin(), read.region.end(), has_it))
        return false;
      streams.k = axis;
    }
    return true;
  }

  int64_t lanes_of(const BlockFacts& facts) const {
    return vector_lanes(machine_, facts.store->buffer->dtype.element_bytes());
  }

  /// Extents of a cut of the sums: what a thread gets of them, a quarter of it, what fits in L1; of
  /// these what leaves room in L2.
  std::vector<int64_t> cuts(const BlockFacts& facts, int64_t n, int64_t lanes) const {
    const int64_t bytes = facts.store->buffer->dtype.element_bytes();
    const auto whole_vectors = [&](int64_t sums) { return (sums + lanes - 1) / lanes * lanes; };
    std::vector<int64_t> result;
    const int64_t share = whole_vectors((n + machine_.threads - 1) / machine_.threads);
    for (const int64_t sums :
         {share, whole_vectors(share / 4), machine_.l1_bytes / 2 / bytes / lanes * lanes})
      if (sums >= lanes && sums <= share && sums * bytes <= machine_.l2_bytes / 2 &&
          std::find(result.begin(), result.end(), sums) == result.end())
        result.push_back(sums);
    return result;
  }

  Result<void> stream(Schedule& schedule, BlockRv block, const BlockFacts& facts,
                      const Streams& streams) const {
    const int64_t n = facts.extents[streams.n];
    std::vector<int64_t> lanes;
    for (const int64_t choice :
         lane_choices(machine_, facts.store->buffer->dtype.element_bytes(), n))
      if (choice <= 4 * lanes_of(facts) && n % choice == 0)
        lanes.push_back(choice);
    if (lanes.empty())
      lanes.push_back(lanes_of(facts)); // the last vector is cut
    const std::vector<int64_t> extents = cuts(facts, n, lanes.back());
    if (extents.empty())
      return Error(ErrorCode::kIllegal, "no cut of the sums stays in cache");
    std::vector<int64_t> rows;
    for (const int64_t choice : {2, 4, 8, 1})
      if (facts.extents[streams.k] % choice == 0)
        rows.push_back(choice);

    TEMPER_TRY_VOID(schedule.annotate(block, kRegisterTile, 1));
    TEMPER_TRY(loops, schedule.get_loops(block));
    TEMPER_TRY(cut, sample_evenly(schedule, extents));
    TEMPER_TRY(n_cut, schedule.split(loops[streams.n], {std::nullopt, cut}));
    TEMPER_TRY(width, sample_evenly(schedule, lanes));
    TEMPER_TRY(n_parts, schedule.split(n_cut[1], {std::nullopt, width}));
    TEMPER_TRY(at_a_time, sample_evenly(schedule, rows));
    TEMPER_TRY(k_parts, schedule.split(loops[streams.k], {std::nullopt, at_a_time}));
    std::vector<LoopRv> order;
    std::vector<LoopRv> reduce;
    for (size_t l = 0; l < loops.size(); ++l)
      if (l != streams.n && l != streams.k)
        (facts.classes[l] == LoopClass::kReduce ? reduce : order).push_back(loops[l]);
    order.push_back(n_cut[0]);
    reduce.push_back(k_parts[0]);
    order.insert(order.end(), reduce.begin(), reduce.end());
    order.insert(order.end(), {n_parts[0], k_parts[1], n_parts[1]});
    TEMPER_TRY_VOID(schedule.reorder(order));
    TEMPER_TRY_VOID(schedule.unroll(k_parts[1]));
    TEMPER_TRY_VOID(schedule.vectorize(n_parts[1]));
    TEMPER_TRY(ahead,
               sample_evenly(schedule, {std::begin(kPrefetchAhead), std::end(kPrefetchAhead)}));
    TEMPER_TRY_VOID(schedule.annotate(n_parts[0], ir::kPrefetch, ahead));
    return init_in_vectors(schedule, block, reduce.front());
  }

  MachineHints machine_;
};

} // namespace

std::unique_ptr<Rule> make_row_streaming_rule(const MachineHints& machine) {
  return std::make_unique<RowStreaming>(machine);
}

} // namespace temper::tuner
