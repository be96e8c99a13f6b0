// T.copy from global to shared memory by the tensor memory accelerator: one thread asks for boxes
// of the tensor, which arrive at an mbarrier that the pipeline around it waits at
// (ir/tir/pipeline.h).
//
//   if tx == 0:
//     T.mbarrier_arrive_expect_tx(full[stage], bytes)
//     T.tma_load(A_shared[stage, 0, 0], A[row, column], full[stage], 64, 64)
//
// A tile whose rows are longer than its swizzle is several boxes side by side. What hangs over the
// tensor's edge is filled with zeros.
//
// Of blocks of a cluster that want the same tile (ir/tir/pipeline.h) each asks for a slice of its
// rows, which arrives in all of them, at the barrier of each; all of the tile is expected there:
//
//   T.tma_load_multicast(A_shared[stage, slice * 32, 0], A[row + slice * 32, column], full[stage],
//                        3, 32, 64)                        # 3: ranks 0 and 1 of the cluster
//
// And back, where a call names it ("tma_store"): shared memory lies with a swizzle then. Before its
// memory is written again one thread has waited.
//
//   if tx == 0:
//     T.tma_store(C[row, column], C_shared[0, 0], 128, 64)
//     T.tma_store_arrive(); T.tma_store_wait(0)
#include "ir/tir/cuda/variants.h"

#include "ir/narrow.h"
#include "ir/op.h"
#include "ir/tir/kernel_layouts.h"
#include "ir/tir/tile_ops.h"

#include <fmt/format.h>

namespace temper::tir::cuda {
namespace {

// "Tensor maps" in the PTX ISA and cuTensorMapEncodeTiled in the driver's interface.
constexpr int64_t kMostInBox = 256; ///< elements of a dimension
constexpr int64_t kMostDimensions = 5;
constexpr int64_t kUnit = 16;      ///< bytes: of rows and strides
constexpr int64_t kPlace = 128;    ///< bytes: of places in shared memory
constexpr int64_t kRowsOfAtom = 8; ///< rows after which a swizzle repeats

Error no(std::string why) { return {ErrorCode::kUnsupported, "TMA: " + std::move(why)}; }

struct Boxes {
  int64_t rows = 1;  ///< of a box
  int64_t inner = 1; ///< its columns
  int64_t count = 1; ///< side by side
  bool is_matrix = true;
};

/// The tile in shared memory (`to`) as boxes of the tensor (`from`), in either direction.
Result<Boxes> boxes_between(const BufferRegion& from, const BufferRegion& to,
                            TileContext& context) {
  if (context.gpu == nullptr || context.gpu->architecture < 90)
    return no("it is there from sm_90 on");
  if (from.buffer->scope != "global" || tile_scope(to.buffer->scope) != "shared")
    return no("it copies between global and shared memory");
  if (from.buffer->dtype != to.buffer->dtype || is_packed(from.buffer->dtype))
    return no("it copies bytes, and the types differ");
  if (!from.buffer->strides.empty() || from.buffer->elem_offset)
    return no(from.buffer->name + " has strides of its own");
  const int64_t bytes = to.buffer->dtype.element_bytes();
  const auto tensor = constant_shape(from.buffer);
  if (!tensor)
    return no("the shape of " + from.buffer->name + " is not constant");
  if (static_cast<int64_t>(tensor->size()) > kMostDimensions)
    return no(fmt::format("{} has more than {} dimensions", from.buffer->name, kMostDimensions));
  if (tensor->back() * bytes % kUnit != 0)
    return no(fmt::format("rows of {} have {} bytes, which is no multiple of {}", from.buffer->name,
                          tensor->back() * bytes, kUnit));
  // The tile is the last one or two dimensions of both.
  const auto extents_of = [](const BufferRegion& region) {
    std::vector<int64_t> extents;
    for (const Range& range : region.region)
      extents.push_back(as_int(range.extent).value_or(0));
    return extents;
  };
  const std::vector<int64_t> source = extents_of(from), tile = extents_of(to);
  size_t rank = std::min<size_t>(2, std::min(source.size(), tile.size()));
  if (tile[tile.size() - rank] == 1) // a row
    rank = 1;
  for (const auto* extents : {&source, &tile})
    for (size_t d = 0; d + rank < extents->size(); ++d)
      if ((*extents)[d] != 1)
        return no("the tile is not the last two dimensions of both sides");
  Boxes boxes;
  boxes.is_matrix = rank == 2;
  for (size_t d = 1; d <= rank; ++d)
    if (source[source.size() - d] != tile[tile.size() - d])
      return no("the tile is not the last two dimensions of both sides");
  boxes.inner = tile.back();
  boxes.rows = rank == 2 ? tile[tile.size() - 2] : 1;
  if (rank == 2)
    for (size_t d = tile.size() - 2; d < tile.size(); ++d)
      if (!is_int(to.region[d].min, 0) || !same_extent(to.region[d].extent, to.buffer->shape[d]))
        return no("the tile is a part of " + to.buffer->name);
  const auto swizzle = tile_swizzle(to.buffer, *context.gpu);
  if (!swizzle || (rank == 1 && *swizzle != 0))
    return no(to.buffer->name + " lies in another way than boxes do");
  if (*swizzle != 0 && boxes.inner * bytes > *swizzle) {
    boxes.count = boxes.inner * bytes / *swizzle;
    boxes.inner = *swizzle / bytes;
  }
  if (boxes.inner > kMostInBox || boxes.rows > kMostInBox)
    return no(fmt::format("a box of {} x {} is larger than {} in a dimension", boxes.rows,
                          boxes.inner, kMostInBox));
  if (boxes.inner * bytes % kUnit != 0)
    return no(fmt::format("rows of the tile have {} bytes, which is no multiple of {}",
                          boxes.inner * bytes, kUnit));
  if (boxes.rows * boxes.inner * bytes % kPlace != 0)
    return no(fmt::format("a box has {} bytes, so that the next one would not begin at a multiple "
                          "of {}",
                          boxes.rows * boxes.inner * bytes, kPlace));
  return boxes;
}

Result<Boxes> boxes_of(const TileCall& call, TileContext& context) {
  if (context.gpu == nullptr || context.gpu->architecture < 90)
    return no("it is there from sm_90 on");
  if (!call.options.get(kCopyBarrier))
    return no("no pipeline around it waits at a barrier: T.Pipelined(num_stages=2 or more) with "
              "tma=1 does");
  TEMPER_TRY(boxes, boxes_between(call.regions[0], call.regions[1], context));
  // Of several blocks each brings some of the rows.
  const int64_t slices = call.options.get_int(kMulticastBlocks).value_or(1);
  if (slices > 1 && (!boxes.is_matrix || boxes.rows % (kRowsOfAtom * slices) != 0))
    return no(fmt::format("{} rows cannot be shared among {} blocks, each a multiple of {}",
                          boxes.rows, slices, kRowsOfAtom));
  boxes.rows /= slices;
  return boxes;
}

/// `row`: may be null.
Expr corner(const BufferRegion& region, int64_t column, const Expr& row = nullptr) {
  std::vector<Expr> indices;
  for (const Range& range : region.region)
    indices.push_back(range.min);
  if (row) {
    Expr& first = indices[indices.size() - 2];
    first = first + tile_cast(first->dtype, row);
  }
  if (column > 0)
    indices.back() = indices.back() + make_int(indices.back()->dtype, column);
  return make_load(region.buffer, indices);
}

Stmt by_one_thread(const TileCall& call, TileContext& context, std::vector<Stmt> list) {
  for (const Stmt& stmt : list)
    stmt->span = call.span;
  return make_if(equal(context.gpu->thread, int32(0)), make_seq(std::move(list)));
}

Result<Boxes> stored_boxes(const TileCall& call, TileContext& context) {
  if (call.options.get_string(kVariant).value_or("") != kTmaStore)
    return no("stores are taken where a call names them: the tile lies otherwise then");
  return boxes_between(call.regions[1], call.regions[0], context);
}

/// What does not depend on how the tile lies.
Result<void> may_be_stored(const TileCall& call, TileContext& context) {
  if (context.gpu == nullptr || context.gpu->architecture < 90)
    return no("it is there from sm_90 on");
  const BufferRegion& tile = call.regions[0];
  if (call.regions[1].buffer->scope != "global" || tile_scope(tile.buffer->scope) != "shared")
    return no("it stores from shared to global memory");
  return {};
}

Result<Stmt> lower_store(const TileCall& call, TileContext& context) {
  TEMPER_TRY(boxes, stored_boxes(call, context));
  std::vector<Stmt> list;
  for (int64_t box = 0; box < boxes.count; ++box) {
    std::vector<Expr> operands{corner(call.regions[1], box * boxes.inner),
                               corner(call.regions[0], box * boxes.inner)};
    if (boxes.is_matrix)
      operands.push_back(int32(boxes.rows));
    operands.push_back(int32(boxes.inner));
    list.push_back(make_evaluate(call_op("tma_store", std::move(operands))));
  }
  list.push_back(make_evaluate(call_op("tma_store_arrive", {})));
  list.push_back(make_evaluate(call_op("tma_store_wait", {int32(0)})));
  return by_one_thread(call, context, std::move(list));
}

Result<Stmt> lower(const TileCall& call, TileContext& context) {
  TEMPER_TRY(boxes, boxes_of(call, context));
  const BufferRegion& from = call.regions[0];
  const BufferRegion& to = call.regions[1];
  const Expr barrier = call.options.get(kCopyBarrier);
  // Whatever its size, all of the tile arrives here, from whichever block.
  const int64_t slices = call.options.get_int(kMulticastBlocks).value_or(1);
  const int64_t bytes =
      slices * boxes.rows * boxes.inner * boxes.count * to.buffer->dtype.element_bytes();
  const Expr row =
      slices > 1 ? call.options.get(kMulticastSlice) * int32(boxes.rows) : Expr(nullptr);
  std::vector<Stmt> list{
      make_evaluate(call_op("mbarrier_arrive_expect_tx", {barrier, int32(bytes)}))};
  for (int64_t box = 0; box < boxes.count; ++box) {
    std::vector<Expr> operands{corner(to, box * boxes.inner, row),
                               corner(from, box * boxes.inner, row), barrier};
    if (slices > 1)
      operands.push_back(call.options.get(kMulticastMask));
    if (boxes.is_matrix)
      operands.push_back(int32(boxes.rows));
    operands.push_back(int32(boxes.inner));
    list.push_back(make_evaluate(
        call_op(slices > 1 ? "tma_load_multicast" : "tma_load", std::move(operands))));
  }
  return by_one_thread(call, context, std::move(list));
}

} // namespace

TileVariant store_tma() {
  return {.op = "copy",
          .target = TargetKind::kCuda,
          .scope = "block",
          .name = kTmaStore,
          .doc = "a tile stored in boxes by the tensor memory accelerator (sm_90 on)",
          .fits = succeeds<stored_boxes>,
          .fits_by_name = may_be_stored,
          .lower = lower_store};
}

TileVariant copy_tma() {
  return {.op = "copy",
          .target = TargetKind::kCuda,
          .scope = "block",
          .name = kTma,
          .doc = "boxes by the tensor memory accelerator, for pipelines (sm_90 on)",
          .fits = succeeds<boxes_of>,
          .lower = lower};
}

} // namespace temper::tir::cuda
