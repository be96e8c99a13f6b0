// T.reduce_sum and the like of what lies in shared or global memory: rows are dealt to groups of
// lanes, which fold every so many elements each and then theirs by shuffles; what several groups
// have of one row, and what its readers need, goes through shared memory.
//
//   row, part, lane: of the thread                        4 rows of 1024, 256 threads:
//   value = from[row, part * 32 + lane]; every 64th       2 parts of 32 lanes a row
//   value = value + shfl_xor(value, 1); ...
//   if lane == 0: parts[part, row] = value
//   sync_threads()
//   total[...] = parts[0, ...] + parts[1, ...]            of the elements that the thread holds
//
// Along other dimensions than the last, neighbouring threads have neighbouring columns, and there
// are no lanes to shuffle among.
#include "ir/tir/cuda/variants.h"
#include "ir/tir/spans.h"

#include "ir/arith/simplify.h"
#include "ir/op.h"
#include "ir/tir/layout_expr.h"
#include "ir/tir/ops/reduce.h"
#include "ir/tir/pipeline_stages.h"
#include "ir/tir/role_options.h"

#include <bit>

namespace temper::tir::cuda {
namespace {

Error no(std::string why) { return {ErrorCode::kUnsupported, std::move(why)}; }

constexpr int64_t kWarp = 32;
/// Parts of a row that each of its readers adds up.
constexpr int64_t kMostParts = 32;
/// Elements of 4 bytes in shared memory.
constexpr int64_t kMostResults = 4096;

struct Dealing {
  ops::ReduceShape shape;
  std::vector<int64_t> kept; ///< extents
  int64_t rows = 1;
  int64_t length = 1;
  int64_t lanes = 1;  ///< that share a part of a row
  int64_t parts = 1;  ///< of a row
  int64_t groups = 1; ///< of lanes; where there are fewer than rows, a group has several
};

Result<Dealing> dealing_of(const TileCall& call, TileContext& context) {
  if (context.gpu == nullptr)
    return no("shuffles are there on GPUs");
  const int64_t threads = context.gpu->threads;
  const BufferRegion& from = call.regions[0];
  const BufferRegion& to = call.regions[1];
  if (is_fragment(from))
    return no(from.buffer->name + " lies in registers");
  const std::string scope = tile_scope(to.buffer->scope);
  if (scope != "fragment" && scope != "shared")
    return no(to.buffer->name + " is neither a fragment nor in shared memory");
  if (to.buffer->dtype.bits != 32)
    return no("shuffles move values of 32 bits, and not " + to_string(to.buffer->dtype));
  if (call.options.get_int(kRoleThreads))
    return no("a role has no shared memory of its own for the results");
  if (threads % kWarp != 0)
    return no("the block has a part of a warp");
  Dealing deal;
  TEMPER_TRY(shape, ops::reduce_shape(call));
  deal.shape = std::move(shape);
  const auto length = as_int(deal.shape.length);
  if (!length || *length < 1)
    return no("the length of the rows is not constant");
  deal.length = *length;
  int64_t inside = 1; // of the dimension that is folded
  for (size_t d = 0, next = 0; d < from.region.size(); ++d) {
    if (d == deal.shape.dim)
      continue;
    const auto extent = as_int(deal.shape.kept[next++]);
    if (!extent || *extent < 1)
      return no("the shape of the tile is not constant");
    deal.kept.push_back(*extent);
    deal.rows *= *extent;
    if (d > deal.shape.dim)
      inside *= *extent;
  }
  if (deal.rows >= threads && inside > 1)
    return no("each thread has columns of its own");
  const auto bit = [](int64_t value) {
    return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(value)));
  };
  if (inside == 1) // as many lanes as leave no thread without a row, or a whole warp
    while (deal.lanes < std::min(kWarp, bit(deal.length)) && deal.rows * deal.lanes < threads)
      deal.lanes *= 2;
  deal.groups = threads / deal.lanes;
  if (deal.groups > deal.rows) {
    const int64_t most = std::min((deal.length + deal.lanes - 1) / deal.lanes, kMostParts);
    deal.parts = std::min(deal.groups / deal.rows, most);
    deal.groups = deal.rows * deal.parts;
  }
  if (deal.lanes * deal.parts == 1)
    return no("each thread has rows of its own");
  if (deal.parts * deal.rows > kMostResults)
    return no("there are too many rows for their results");
  if (is_fragment(to)) {
    if (!is_whole(to))
      return no(to.buffer->name + " is no whole fragment");
    const auto layout = context.gpu->layout(to.buffer);
    const auto elements =
        layout ? inverse(*layout, {kThreadAxis, kMemoryAxis}) : Result<Layout>(no("no layout"));
    if (!elements || elements->shape[0] != threads)
      return no("the threads do not share out " + to.buffer->name);
  }
  return deal;
}

Result<Stmt> lower(const TileCall& call, TileContext& context) {
  TEMPER_TRY(deal, dealing_of(call, context));
  const GpuKernel& gpu = *context.gpu;
  const BufferRegion& to = call.regions[1];
  const DataType dtype = to.buffer->dtype;
  const Buffer results =
      make_buffer("parts", dtype, {int32(deal.parts), int32(deal.rows)}, "shared");
  const Buffer value = make_buffer("value", dtype, {int32(1)}, "local");
  const Expr now = make_load(value, {int32(0)});
  const auto set = [&](const Expr& next) { return make_store(value, {int32(0)}, next); };

  const Var round = make_var("round"), step = make_var("step");
  const Expr lane = deal.lanes > 1 ? floormod(gpu.thread, deal.lanes) : int32(0);
  const Expr group = deal.lanes > 1 ? floordiv(gpu.thread, deal.lanes) : gpu.thread;
  const int64_t rounds = (deal.rows * deal.parts + deal.groups - 1) / deal.groups;
  const Expr row = rounds > 1       ? Expr(round) * deal.groups + group
                   : deal.parts > 1 ? floormod(group, deal.rows)
                                    : group;
  const Expr part = deal.parts > 1 ? floordiv(group, deal.rows) : int32(0);
  const int64_t stride = deal.lanes * deal.parts;
  const int64_t steps = (deal.length + stride - 1) / stride;
  const Expr first = part * deal.lanes + lane;
  const Expr position = first + Expr(step) * stride;
  const auto element = [&](const Expr& at) {
    return ops::reduce_element(call, deal.shape, coordinate(row, deal.kept), at);
  };
  // Lanes without an element start from 0 or, where one may be folded twice, from the last one.
  const bool whole = deal.length % stride == 0;
  const bool zero = ops::reduce_starts_at_zero(call);
  std::vector<Stmt> fold{set(zero    ? make_const(dtype, 0)
                             : whole ? element(first)
                                     : element(make_binary<Min>(first, int32(deal.length - 1))))};
  Stmt add = set(ops::reduce_join(call, now, element(position)));
  if (!whole)
    add = make_if(make_binary<LT>(position, int32(deal.length)), add);
  const int64_t begin = zero ? 0 : 1;
  if (steps > begin)
    fold.push_back(
        make_for(step, int32(begin), int32(steps - begin), ForKind::kSerial, std::move(add)));
  // Groups are whole: of a warp all shuffle, those that have no row, too.
  const int64_t busy = deal.groups * deal.lanes;
  Expr has_row = make_bool(true);
  if (busy < gpu.threads)
    has_row = make_binary<LT>(gpu.thread, int32(busy));
  if (rounds * deal.groups > deal.rows * deal.parts)
    has_row = logical_and(has_row, make_binary<LT>(row, int32(deal.rows)));
  std::vector<Stmt> body{make_alloc(value), set(make_const(dtype, 0))};
  Stmt folded = make_seq(std::move(fold));
  body.push_back(is_int(has_row, 1) ? folded : make_if(has_row, folded));
  for (int64_t mask = 1; mask < deal.lanes; mask *= 2) {
    const Var other = make_var("other", dtype);
    body.push_back(make_bind(other, call_op("shfl_xor_sync", {now, int32(mask)})));
    body.push_back(set(ops::reduce_join(call, now, Expr(other))));
  }
  const Expr writes = deal.lanes > 1 ? logical_and(has_row, equal(lane, int32(0))) : has_row;
  const Stmt leave = make_store(results, {part, row}, now);
  body.push_back(is_int(writes, 1) ? leave : make_if(writes, leave));

  const auto total = [&](const Expr& number) {
    Expr all;
    for (int64_t i = 0; i < deal.parts; ++i) {
      const Expr one = make_load(results, {int32(i), number});
      all = all ? ops::reduce_join(call, all, one) : one;
    }
    return all;
  };
  const auto finish = [&](const Buffer& buffer, const std::vector<Expr>& at, const Expr& number) {
    const Expr all = total(number);
    return make_store(
        buffer, at,
        flag_option(call, "clear") ? all : ops::reduce_join(call, make_load(buffer, at), all));
  };
  Stmt read;
  if (is_fragment(to)) {
    const auto elements = inverse(*gpu.layout(to.buffer), {kThreadAxis, kMemoryAxis}).value();
    const Var reg = make_var("r");
    read = unrolled(reg, elements.shape[1],
                    finish(gpu.registers(to.buffer), {Expr(reg)},
                           layout_value(elements, std::vector<Expr>{gpu.thread, Expr(reg)})));
  } else {
    const Var turn = make_var("turn");
    const int64_t turns = (deal.rows + gpu.threads - 1) / gpu.threads;
    const Expr number = turns > 1 ? Expr(turn) * gpu.threads + gpu.thread : gpu.thread;
    Stmt store = finish(to.buffer,
                        ops::reduce_place(call, deal.shape, coordinate(number, deal.kept)), number);
    if (deal.rows % gpu.threads != 0)
      store = make_if(make_binary<LT>(number, int32(deal.rows)), store);
    read = unrolled(turn, turns, store);
  }
  Stmt result = make_seq(
      {make_alloc(results),
       make_for(round, int32(0), int32(rounds), ForKind::kSerial, make_seq(std::move(body))),
       make_evaluate(call_op("sync_threads", {})), read});
  place_at(result, call.span);
  return result;
}

} // namespace

TileVariant reduce_shared(const char* op) {
  return {.op = op,
          .target = TargetKind::kCuda,
          .scope = "block",
          .name = "lanes",
          .doc = "rows in memory dealt to groups of lanes, which fold theirs by shuffles",
          .fits = succeeds<dealing_of>,
          .lower = lower,
          .best = true};
}

} // namespace temper::tir::cuda
