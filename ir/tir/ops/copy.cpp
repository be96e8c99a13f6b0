// T.copy: one region into another, element by element, casting where the types differ.
#include "ir/tir/ops/ops.h"

namespace temper::tir::ops {
namespace {

Result<void> check(const TileCall& call) {
  const std::vector<Expr> from = tile_shape(call.regions[0]);
  const std::vector<Expr> to = tile_shape(call.regions[1]);
  bool same = from.size() == to.size();
  for (size_t d = 0; same && d < from.size(); ++d)
    same = same_extent(from[d], to[d]);
  if (!same)
    return Error(ErrorCode::kInvalidArgument,
                 "T.copy moves tiles of equal shape, but " + tile_text(call.regions[0]) + " and " +
                     tile_text(call.regions[1]) + " differ; give the region, as A[i:i + 64, 0:32]");
  if (const int64_t width = integer_option(call, "coalesced_width"); width < 0)
    return Error(ErrorCode::kInvalidArgument,
                 "T.copy: coalesced_width is a number of elements, not " + std::to_string(width));
  return {};
}

Stmt meaning(const TileCall& call) {
  const TileLoops loops(tile_shape(call.regions[1]));
  const Expr value =
      tile_cast(call.regions[1].buffer->dtype, tile_load(call.regions[0], loops.indices));
  return loops.wrap(tile_store(call.regions[1], loops.indices, value), ForKind::kTileParallel);
}

} // namespace

const TileOp& copy() {
  static const TileOp op{
      .name = "copy",
      .doc =
          "Copies a region into another of the same shape (dimensions of extent 1 do not count), "
          "casting where the types differ. Of A[i, j] the extents are the other operand's. What "
          "hangs over the edge of a tensor is read as 0 and not written, here as in every access "
          "of a kernel to a tensor.",
      .example = R"(@T.prim_func
def main(A: T.Tensor((100, 64), "float32"), B: T.Tensor((100, 64), "float32")):
    with T.Kernel(T.ceildiv(100, 32), threads=128) as bx:
        tile = T.alloc_shared((32, 64), "float32")
        T.copy(A[bx * 32, 0], tile)
        T.copy(tile, B[bx * 32, 0])
)",
      .parameters = {{"src", TileParameterType::kRead},
                     {"dst", TileParameterType::kWrite},
                     {"coalesced_width", TileParameterType::kInteger,
                      make_int(DataType::int32(), 0)},
                     {"disable_tma", TileParameterType::kFlag, make_bool(false)}},
      .extents_from_others = true,
      .check = check,
      .meaning = meaning};
  return op;
}

} // namespace temper::tir::ops
