// T.reduce_sum and the like of a fragment into a fragment: each thread folds what it holds of a
// row, then the lanes that share the row fold theirs by shuffles, and all of them have the result.
//
//   for row in the rows of a thread:
//     value = x[..]; for its other registers of the row: value = value + x[..]
//     value = value + shfl_xor(value, 1); value = value + shfl_xor(value, 2)
//     total[row] = value
//
// Which registers and lanes these are, the layouts say. Where several warps share a row, each
// leaves what it has in shared memory, and all of them add the same numbers in the same order:
//
//     among_warps[row, tx] = value
//   sync_threads()
//   for row in the rows of a thread:
//     total[row] = among_warps[row, tx of the first warp] + among_warps[row, ... of the next]
#include "ir/tir/cuda/variants.h"
#include "ir/tir/spans.h"

#include "ir/arith/simplify.h"
#include "ir/op.h"
#include "ir/tir/layout_expr.h"
#include "ir/tir/ops/reduce.h"
#include "ir/tir/pipeline_stages.h"
#include "ir/tir/role_options.h"

#include <fmt/format.h>

#include <bit>
#include <map>
#include <set>

namespace temper::tir::cuda {
namespace {

Error no(std::string why) { return {ErrorCode::kUnsupported, std::move(why)}; }

/// Elements of 4 bytes that warps leave for each other.
constexpr int64_t kMostAmongWarps = 4096;

struct Folding {
  int64_t rows = 0;    ///< registers of the result
  int64_t parts = 0;   ///< registers that go into each
  Layout sources;      ///< (row, part) -> register
  int64_t sharers = 0; ///< bits in which the numbers of the threads that share a row differ
  int64_t lanes() const { return sharers % 32; }
  int64_t warps() const { return sharers - lanes(); }
};

Result<Folding> folding_of(const TileCall& call, TileContext& context) {
  if (context.gpu == nullptr)
    return no("shuffles are there on GPUs");
  const GpuKernel& gpu = *context.gpu;
  const BufferRegion& from = call.regions[0];
  const BufferRegion& to = call.regions[1];
  for (const BufferRegion* region : {&from, &to})
    if (tile_scope(region->buffer->scope) != "fragment" || !is_whole(*region))
      return no(region->buffer->name + " is no whole fragment");
  const DataType dtype = to.buffer->dtype;
  if (dtype.bits != 32)
    return no("shuffles move values of 32 bits, and not " + to_string(dtype));
  TEMPER_TRY(shape, ops::reduce_shape(call));
  const auto source = gpu.layout(from.buffer), target = gpu.layout(to.buffer);
  if (!source || !target)
    return no("a fragment has no layout");
  const LayoutMap reads(*source), writes(*target);
  const int thread_in = reads.find(kThreadAxis), thread_out = writes.find(kThreadAxis);
  if (thread_in < 0 || thread_out < 0)
    return no("a fragment is not shared out among threads");
  // Of each element of the result: the register of each thread that holds it.
  std::vector<std::map<int64_t, int64_t>> holders(static_cast<size_t>(writes.size()));
  std::vector<int64_t> place(std::max(reads.axes().size(), writes.axes().size()));
  for (int64_t e = 0; e < writes.size(); ++e)
    for (int64_t r = 0; r < writes.replication(); ++r) {
      writes.place(e, std::span(place).first(writes.axes().size()), r);
      holders[static_cast<size_t>(e)][place[static_cast<size_t>(thread_out)]] =
          place[writes.axes().size() - 1];
    }
  // By source register: the register of the result that it goes into, the same in all threads. By
  // element and replica: who holds a part.
  std::vector<int64_t> row_of(static_cast<size_t>(source->span(kMemoryAxis)), -1);
  std::map<std::pair<int64_t, int64_t>, std::set<int64_t>> sharers;
  std::set<int64_t> threads;
  for (int64_t i = 0; i < reads.size(); ++i) {
    const std::vector<int64_t> at = coordinate_of(source->shape, i);
    int64_t element = 0;
    for (size_t d = 0; d < at.size(); ++d)
      if (d != shape.dim)
        element = element * source->shape[d] + at[d];
    for (int64_t r = 0; r < reads.replication(); ++r) {
      reads.place(i, std::span(place).first(reads.axes().size()), r);
      const int64_t thread = place[static_cast<size_t>(thread_in)];
      const auto& known = holders[static_cast<size_t>(element)];
      const auto found = known.find(thread);
      if (found == known.end())
        return no("a thread has a part of a row and not the row's result");
      int64_t& row = row_of[static_cast<size_t>(place[reads.axes().size() - 1])];
      if (row >= 0 && row != found->second)
        return no("threads hold rows in different registers");
      row = found->second;
      threads.insert(thread);
      sharers[{element, r}].insert(thread);
    }
  }
  if (static_cast<int64_t>(threads.size()) != gpu.threads)
    return no("some threads hold nothing of it");
  Folding folding;
  bool first = true;
  for (const auto& [key, group] : sharers) {
    int64_t bits = 0;
    for (const int64_t thread : group)
      bits |= thread ^ *group.begin();
    if (int64_t{1} << std::popcount(static_cast<uint64_t>(bits)) !=
            static_cast<int64_t>(group.size()) ||
        (!first && bits != folding.sharers))
      return no("threads share rows otherwise than in pairs of pairs");
    folding.sharers = bits;
    first = false;
  }
  folding.rows = target->span(kMemoryAxis);
  if (folding.warps() != 0 && call.options.get_int(kRoleThreads))
    return no("several warps share a row, and a role has no shared memory of its own for them");
  if (folding.warps() != 0 && folding.rows * gpu.threads > kMostAmongWarps)
    return no("several warps share a row, and there are too many rows for their sums");
  std::vector<std::vector<int64_t>> parts(static_cast<size_t>(folding.rows));
  for (size_t reg = 0; reg < row_of.size(); ++reg)
    if (row_of[reg] >= 0)
      parts[static_cast<size_t>(row_of[reg])].push_back(static_cast<int64_t>(reg));
  folding.parts = static_cast<int64_t>(parts.front().size());
  for (const auto& list : parts)
    if (static_cast<int64_t>(list.size()) != folding.parts || list.empty())
      return no("a thread holds more of one row than of another");
  auto sources = layout_of_map({folding.rows, folding.parts}, {kMemoryAxis},
                               [&](std::span<const int64_t> at, std::span<int64_t> values) {
                                 values[0] =
                                     parts[static_cast<size_t>(at[0])][static_cast<size_t>(at[1])];
                               });
  if (!sources || !sources->input_swizzle.empty())
    return no("the registers of a row follow no rule");
  folding.sources = *std::move(sources);
  return folding;
}

Result<Stmt> lower(const TileCall& call, TileContext& context) {
  TEMPER_TRY(folding, folding_of(call, context));
  const Buffer from = context.gpu->registers(call.regions[0].buffer);
  const Buffer to = context.gpu->registers(call.regions[1].buffer);
  const DataType dtype = to->dtype;
  const Var row = make_var("row"), part = make_var("part");
  const Buffer value = make_buffer("value", dtype, {int32(1)}, "local");
  const Expr now = make_load(value, {int32(0)});
  const auto set = [&](const Expr& next) { return make_store(value, {int32(0)}, next); };
  const auto element = [&](const Expr& number) {
    const Expr reg = layout_value(folding.sources, std::vector<Expr>{Expr(row), number});
    return ops::reduce_counted(call, tile_cast(dtype, make_load(from, {reg})));
  };
  std::vector<Stmt> body{make_alloc(value), set(element(int32(0)))};
  if (folding.parts > 1)
    body.push_back(make_for(part, int32(0), int32(folding.parts - 1), ForKind::kUnrolled,
                            set(ops::reduce_join(call, now, element(Expr(part) + 1)))));
  for (int mask = 1; mask < 32; mask *= 2) {
    if ((folding.lanes() & mask) == 0)
      continue;
    const Var other = make_var("other", dtype);
    body.push_back(make_bind(other, call_op("shfl_xor_sync", {now, int32(mask)})));
    body.push_back(set(ops::reduce_join(call, now, Expr(other))));
  }
  const auto finish = [&](const Var& number, const Expr& all) {
    const std::vector<Expr> at{Expr(number)};
    return make_store(
        to, at, flag_option(call, "clear") ? all : ops::reduce_join(call, make_load(to, at), all));
  };
  Stmt result;
  if (folding.warps() == 0) {
    body.push_back(finish(row, now));
    result = unrolled(row, folding.rows, make_seq(std::move(body)));
  } else {
    const Expr thread = context.gpu->thread;
    const Buffer shared = make_buffer("among_warps", dtype,
                                      {int32(folding.rows), int32(context.gpu->threads)}, "shared");
    body.push_back(make_store(shared, {Expr(row), thread}, now));
    std::vector<int64_t> offsets{0}; // of the threads whose values are this one's, by rank
    Expr first = thread;
    for (int64_t bit = 32; bit <= folding.warps(); bit *= 2) {
      if ((folding.warps() & bit) == 0)
        continue;
      first = first - floormod(floordiv(thread, bit), 2) * int32(bit);
      for (size_t i = 0, count = offsets.size(); i < count; ++i)
        offsets.push_back(offsets[i] + bit);
    }
    Stmt leave = unrolled(row, folding.rows, make_seq(std::move(body)));
    const Var again = make_var("row");
    Expr all;
    for (const int64_t offset : offsets) {
      const Expr part = make_load(shared, {Expr(again), context.math.simplify(first + offset)});
      all = all ? ops::reduce_join(call, all, part) : part;
    }
    result =
        make_seq({make_alloc(shared), std::move(leave), make_evaluate(call_op("sync_threads", {})),
                  unrolled(again, folding.rows, finish(again, all))});
  }
  place_at(result, call.span);
  return result;
}

} // namespace

TileVariant reduce_shuffle(const char* op) {
  return {.op = op,
          .target = TargetKind::kCuda,
          .scope = "block",
          .name = "shuffle",
          .doc = "rows folded in registers, then by shuffles among the lanes that share them",
          .fits = succeeds<folding_of>,
          .lower = lower,
          .best = true};
}

} // namespace temper::tir::cuda
