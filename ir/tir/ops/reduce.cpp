// T.reduce_sum, T.reduce_max, T.reduce_absmax, T.reduce_bitor, ...: one dimension of a region
// folded.
#include "ir/tir/ops/reduce.h"
#include "ir/op.h"

#include "ir/tir/ops/ops.h"

namespace temper::tir::ops {

Result<ReduceShape> reduce_shape(const TileCall& call) {
  const BufferRegion& from = call.regions[0];
  const BufferRegion& to = call.regions[1];
  const auto rank = static_cast<int64_t>(from.region.size());
  int64_t dim = integer_option(call, "dim");
  if (dim < -rank || dim >= rank)
    return Error(ErrorCode::kInvalidArgument,
                 "T." + call.op + ": " + from.buffer->name + " has " + std::to_string(rank) +
                     " dimensions, so dim is in [" + std::to_string(-rank) + ", " +
                     std::to_string(rank - 1) + "], not " + std::to_string(dim));
  dim = dim < 0 ? dim + rank : dim;
  ReduceShape shape;
  shape.dim = static_cast<size_t>(dim);
  shape.length = from.region[shape.dim].extent;
  for (size_t d = 0; d < from.region.size(); ++d)
    if (d != shape.dim)
      shape.kept.push_back(from.region[d].extent);
  std::vector<Expr> expected;
  for (const Expr& extent : shape.kept)
    if (!is_int(extent, 1))
      expected.push_back(extent);
  const std::vector<Expr> given = tile_shape(to);
  bool same = expected.size() == given.size();
  for (size_t d = 0; same && d < given.size(); ++d)
    same = same_extent(expected[d], given[d]);
  if (!same)
    return Error(ErrorCode::kInvalidArgument, "T." + call.op + " of " + tile_text(from) +
                                                  " along dim " + std::to_string(dim) +
                                                  " does not fit into " + tile_text(to));
  return shape;
}

std::vector<Expr> reduce_place(const TileCall& call, const ReduceShape& shape,
                               const std::vector<Expr>& kept) {
  std::vector<Expr> target;
  for (size_t d = 0; d < shape.kept.size(); ++d)
    if (!is_int(shape.kept[d], 1))
      target.push_back(kept[d]);
  return tile_indices(call.regions[1], target);
}

Expr reduce_counted(const TileCall& call, const Expr& value) {
  return call.op == "reduce_absmax" || call.op == "reduce_abssum" ? call_op("abs", {value}) : value;
}

Expr reduce_element(const TileCall& call, const ReduceShape& shape, const std::vector<Expr>& kept,
                    const Expr& position) {
  const BufferRegion& from = call.regions[0];
  std::vector<Expr> indices;
  size_t next = 0;
  for (size_t d = 0; d < from.region.size(); ++d)
    indices.push_back(from.region[d].min + (d == shape.dim ? position : kept[next++]));
  return reduce_counted(call,
                        tile_cast(call.regions[1].buffer->dtype, make_load(from.buffer, indices)));
}

Expr reduce_join(const TileCall& call, const Expr& a, const Expr& b) {
  return call.op == "reduce_sum" || call.op == "reduce_abssum" ? make_binary<Add>(a, b)
         : call.op == "reduce_min"                             ? make_binary<Min>(a, b)
         : call.op == "reduce_bitand"                          ? call_op("bitwise_and", {a, b})
         : call.op == "reduce_bitor"                           ? call_op("bitwise_or", {a, b})
         : call.op == "reduce_bitxor"                          ? call_op("bitwise_xor", {a, b})
                                                               : make_binary<Max>(a, b);
}

bool reduce_starts_at_zero(const TileCall& call) {
  return call.op == "reduce_sum" || call.op == "reduce_abssum" || call.op == "reduce_bitor" ||
         call.op == "reduce_bitxor";
}

namespace {

Result<void> check(const TileCall& call) {
  TEMPER_TRY(shape, reduce_shape(call));
  (void)shape;
  return {};
}

Stmt meaning(const TileCall& call) {
  const ReduceShape shape = reduce_shape(call).value();
  const Buffer& to = call.regions[1].buffer;
  const TileLoops outer(shape.kept);
  const TileLoops inner({shape.length}, "r");
  const std::vector<Expr> place = reduce_place(call, shape, outer.indices);
  const auto element = [&](const Expr& position) {
    return reduce_element(call, shape, outer.indices, position);
  };
  Stmt update = inner.wrap(
      make_store(to, place, reduce_join(call, make_load(to, place), element(inner.indices[0]))));
  if (flag_option(call, "clear")) {
    const Expr first = reduce_starts_at_zero(call) ? make_const(to->dtype, 0)
                                                   : element(make_int(shape.length->dtype, 0));
    update = make_seq({make_store(to, place, first), update});
  }
  return outer.wrap(update, ForKind::kTileParallel);
}

TileOp make(const char* name, const char* doc) {
  const std::string op = name;
  return {.name = op,
          .doc = doc,
          .example = R"(@T.prim_func
def main(A: T.Tensor((64, 48), "float32"), B: T.Tensor((64,), "float32")):
    with T.Kernel(2, threads=32) as bx:
        tile = T.alloc_fragment((32, 48), "float32")
        row = T.alloc_fragment((32,), "float32")
        T.copy(A[bx * 32, 0], tile)
        T.)" + op + R"((tile, row, dim=1)
        T.copy(row, B[bx * 32])
)",
          .parameters = {{"buffer", TileParameterType::kRead},
                         {"out", TileParameterType::kReadWrite},
                         {"dim", TileParameterType::kInteger, make_int(DataType::int32(), -1)},
                         {"clear", TileParameterType::kFlag, make_bool(true)}},
          .check = check,
          .meaning = meaning};
}

} // namespace

const TileOp& reduce_sum() {
  static const TileOp op = make("reduce_sum", "Sums a region along one dimension, in any order; "
                                              "clear=False adds to what `out` holds.");
  return op;
}
const TileOp& reduce_max() {
  static const TileOp op = make("reduce_max", "The largest element along one dimension; "
                                              "clear=False also of what `out` holds.");
  return op;
}
const TileOp& reduce_min() {
  static const TileOp op = make("reduce_min", "The smallest element along one dimension; "
                                              "clear=False also of what `out` holds.");
  return op;
}
const TileOp& reduce_absmax() {
  static const TileOp op = make("reduce_absmax", "The largest absolute value along one dimension; "
                                                 "clear=False also of what `out` holds.");
  return op;
}

const TileOp& reduce_abssum() {
  static const TileOp op = make("reduce_abssum", "Sums absolute values along one dimension, in any "
                                                 "order; clear=False adds to what `out` holds.");
  return op;
}

namespace {

Result<void> check_bits(const TileCall& call) {
  for (const BufferRegion& region : call.regions)
    if (!region.buffer->dtype.is_integral())
      return Error(ErrorCode::kInvalidArgument,
                   "T." + call.op + " joins the bits of integers, but " + region.buffer->name +
                       " holds " + to_string(region.buffer->dtype));
  return check(call);
}

TileOp make_bits(const char* name, const char* doc) {
  TileOp op = make(name, doc);
  op.check = check_bits;
  op.example = R"(@T.prim_func
def main(A: T.Tensor((64, 48), "float32"), B: T.Tensor((64,), "float32")):
    with T.Kernel(2, threads=32) as bx:
        tile = T.alloc_fragment((32, 48), "int32")
        row = T.alloc_fragment((32,), "int32")
        T.copy(A[bx * 32, 0], tile)
        T.)" + op.name +
               R"((tile, row, dim=1)
        T.copy(row, B[bx * 32])
)";
  return op;
}

} // namespace

const TileOp& reduce_bitand() {
  static const TileOp op =
      make_bits("reduce_bitand", "The bits that all elements along one dimension "
                                 "have; clear=False also what `out` holds.");
  return op;
}
const TileOp& reduce_bitor() {
  static const TileOp op =
      make_bits("reduce_bitor", "The bits that some element along one dimension "
                                "has; clear=False also what `out` holds.");
  return op;
}
const TileOp& reduce_bitxor() {
  static const TileOp op =
      make_bits("reduce_bitxor", "The bits that an odd number of elements along "
                                 "one dimension has; clear=False also what "
                                 "`out` holds.");
  return op;
}

} // namespace temper::tir::ops
