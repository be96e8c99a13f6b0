// T.cumsum, T.cummax: running sums and maxima along one dimension, in order.
#include "ir/tir/ops/ops.h"

namespace temper::tir::ops {
namespace {

Result<void> check(const TileCall& call) {
  const BufferRegion& from = call.regions[0];
  const BufferRegion& to = call.regions[1];
  const auto rank = static_cast<int64_t>(from.region.size());
  const int64_t dim = integer_option(call, "dim");
  if (dim < -rank || dim >= rank)
    return Error(ErrorCode::kInvalidArgument,
                 "T." + call.op + ": " + from.buffer->name + " has " + std::to_string(rank) +
                     " dimensions, so dim is in [" + std::to_string(-rank) + ", " +
                     std::to_string(rank - 1) + "], not " + std::to_string(dim));
  bool same = from.region.size() == to.region.size();
  for (size_t d = 0; same && d < to.region.size(); ++d)
    same = same_extent(from.region[d].extent, to.region[d].extent);
  if (!same)
    return Error(ErrorCode::kInvalidArgument, "T." + call.op + " keeps the shape, but " +
                                                  tile_text(from) + " and " + tile_text(to) +
                                                  " differ");
  return {};
}

Stmt meaning(const TileCall& call) {
  const BufferRegion& from = call.regions[0];
  const BufferRegion& to = call.regions[1];
  const int64_t rank = static_cast<int64_t>(from.region.size());
  const int64_t given = integer_option(call, "dim");
  const auto dim = static_cast<size_t>(given < 0 ? given + rank : given);
  const bool reverse = flag_option(call, "reverse");
  std::vector<Expr> kept;
  for (size_t d = 0; d < from.region.size(); ++d)
    if (d != dim)
      kept.push_back(from.region[d].extent);
  const Expr length = from.region[dim].extent;
  const TileLoops outer(kept);
  const TileLoops inner({length - 1}, "r");
  const auto at = [&](const BufferRegion& region, const Expr& position) {
    std::vector<Expr> indices;
    size_t next = 0;
    for (size_t d = 0; d < region.region.size(); ++d)
      indices.push_back(region.region[d].min + (d == dim ? position : outer.indices[next++]));
    return indices;
  };
  const auto place = [&](const Expr& step) { return reverse ? length - 1 - step : step; };
  const DataType dtype = to.buffer->dtype;
  const auto element = [&](const Expr& position) {
    return tile_cast(dtype, make_load(from.buffer, at(from, position)));
  };
  const Expr first = place(make_int(length->dtype, 0));
  const Expr& step = inner.indices[0];
  const Stmt start = make_store(to.buffer, at(to, first), element(first));
  const Expr before = make_load(to.buffer, at(to, place(step)));
  const Expr here = element(place(step + 1));
  const Stmt next = make_store(to.buffer, at(to, place(step + 1)),
                               call.op == "cummax" ? make_binary<Max>(before, here)
                                                   : make_binary<Add>(before, here));
  return outer.wrap(make_seq({start, inner.wrap(next)}), ForKind::kTileParallel);
}

TileOp make(const char* name, const char* doc) {
  const std::string op = name;
  return {.name = op,
          .doc = doc,
          .example = R"(@T.prim_func
def main(A: T.Tensor((64, 48), "float32"), B: T.Tensor((64, 48), "float32")):
    with T.Kernel(2, threads=32) as bx:
        tile = T.alloc_shared((32, 48), "float32")
        T.copy(A[bx * 32, 0], tile)
        T.)" + op + R"((tile, dim=1)
        T.copy(tile, B[bx * 32, 0])
)",
          .parameters = {{.name = "src", .type = TileParameterType::kRead},
                         {.name = "dst", .type = TileParameterType::kReadWrite, .in_place = true},
                         {"dim", TileParameterType::kInteger, make_int(DataType::int32(), 0)},
                         {"reverse", TileParameterType::kFlag, make_bool(false)}},
          .check = check,
          .meaning = meaning};
}

} // namespace

const TileOp& cumsum() {
  static const TileOp op =
      make("cumsum", "Running sums along one dimension, from its start or, with reverse=True, its "
                     "end; without `dst` in place.");
  return op;
}
const TileOp& cummax() {
  static const TileOp op =
      make("cummax", "The largest element so far along one dimension, from its start or, with "
                     "reverse=True, its end; without `dst` in place.");
  return op;
}

} // namespace temper::tir::ops
