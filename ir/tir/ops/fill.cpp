// T.fill and T.clear: one value in every element of a region.
#include "ir/tir/ops/ops.h"

namespace temper::tir::ops {
namespace {

Stmt fill_with(const BufferRegion& region, const Expr& value) {
  const TileLoops loops(tile_shape(region));
  return loops.wrap(tile_store(region, loops.indices, tile_cast(region.buffer->dtype, value)),
                    ForKind::kTileParallel);
}

Result<void> check_fill(const TileCall& call) {
  if (!call.values[0]->dtype.is_scalar() || call.values[0]->dtype.is_handle())
    return Error(ErrorCode::kInvalidArgument, "T.fill takes one number for all elements");
  return {};
}

} // namespace

const TileOp& fill() {
  static const TileOp op{
      .name = "fill",
      .doc = "Writes one value to every element of a region.",
      .example = R"(@T.prim_func
def main(A: T.Tensor((64,), "float32")):
    with T.Kernel(2, threads=32) as bx:
        tile = T.alloc_fragment((32,), "float32")
        T.fill(tile, -T.infinity("float32"))
        T.copy(tile, A[bx * 32])
)",
      .parameters = {{"buffer", TileParameterType::kWrite}, {"value", TileParameterType::kValue}},
      .check = check_fill,
      .meaning = [](const TileCall& call) { return fill_with(call.regions[0], call.values[0]); }};
  return op;
}

const TileOp& clear() {
  static const TileOp op{.name = "clear",
                         .doc = "Writes zero to every element of a region.",
                         .example = R"(@T.prim_func
def main(A: T.Tensor((64,), "float32")):
    with T.Kernel(2, threads=32) as bx:
        tile = T.alloc_fragment((32,), "float32")
        T.clear(tile)
        T.copy(tile, A[bx * 32])
)",
                         .parameters = {{"buffer", TileParameterType::kWrite}},
                         .meaning = [](const TileCall& call) {
                           return fill_with(call.regions[0],
                                            make_const(call.regions[0].buffer->dtype, 0));
                         }};
  return op;
}

} // namespace temper::tir::ops
