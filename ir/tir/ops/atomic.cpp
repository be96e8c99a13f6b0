// T.atomic_add, T.atomic_max, T.atomic_min on tiles: each element of one region into the other's,
// in one step each, whatever other blocks do meanwhile. (On single elements they are operations,
// ir/op.h.)
#include "ir/op.h"
#include "ir/tir/ops/ops.h"

namespace temper::tir::ops {
namespace {

Result<void> check(const TileCall& call) {
  const std::vector<Expr> from = tile_shape(call.regions[1]);
  const std::vector<Expr> to = tile_shape(call.regions[0]);
  bool same = from.size() == to.size();
  for (size_t d = 0; same && d < from.size(); ++d)
    same = same_extent(from[d], to[d]);
  if (!same)
    return Error(ErrorCode::kInvalidArgument,
                 "T." + call.op + " takes tiles of equal shape, but " + tile_text(call.regions[0]) +
                     " and " + tile_text(call.regions[1]) +
                     " differ; give the region, as C[i:i + 64, 0:32]");
  return {};
}

Stmt meaning(const TileCall& call) {
  const TileLoops loops(tile_shape(call.regions[0]));
  const DataType dtype = call.regions[0].buffer->dtype;
  return loops.wrap(
      make_evaluate(call_op(call.op, {tile_load(call.regions[0], loops.indices),
                                      tile_cast(dtype, tile_load(call.regions[1], loops.indices))})),
      ForKind::kTileParallel);
}

TileOp make(const std::string& name, const std::string& doc) {
  return {.name = name,
          .doc = doc,
          .example = R"(@T.prim_func
def main(A: T.Tensor((64, 32), "float32"), B: T.Tensor((32,), "float32")):
    with T.Kernel(1, threads=32) as b:
        T.clear(B)
    with T.Kernel(2, threads=32) as bx:
        tile = T.alloc_fragment((32, 32), "float32")
        row = T.alloc_fragment((32,), "float32")
        T.copy(A[bx * 32, 0], tile)
        T.reduce_sum(tile, row, dim=0)
        T.)" + name +
                     R"((B, row)
)",
          .parameters = {{"dst", TileParameterType::kReadWrite},
                         {"value", TileParameterType::kRead}},
          .extents_from_others = true,
          .check = check,
          .meaning = meaning};
}

} // namespace

const TileOp& atomic_add() {
  static const TileOp op = make("atomic_add", "Adds each element of a region to its place in "
                                              "another, which other blocks may change meanwhile; "
                                              "in any order. Also on one element: "
                                              "T.atomic_add(C[i, j], x).");
  return op;
}
const TileOp& atomic_max() {
  static const TileOp op = make("atomic_max", "Keeps the larger of each element and its place in "
                                              "another region, as atomic_add does.");
  return op;
}
const TileOp& atomic_min() {
  static const TileOp op = make("atomic_min", "Keeps the smaller of each element and its place in "
                                              "another region, as atomic_add does.");
  return op;
}

} // namespace temper::tir::ops
