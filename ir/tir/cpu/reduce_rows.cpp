// Reductions along another dimension than the last: the elements of the last one are the vectors,
// a few of which are summed side by side.
//
//   for v in range(N // (vectors * lanes)):
//     for l in T.vectorized(vectors * lanes): B[v * .. + l] = start
//     for r in range(length):               # promote_registers keeps B's part in registers
//       for l in T.vectorized(vectors * lanes):
//         B[v * .. + l] = B[v * .. + l] + A[r, v * .. + l]
//
// One vector alone would wait for itself in each step. Where all fit at once the loop over rows
// stands alone, and fuse_rows joins it with what made the rows.
#include "ir/op.h"
#include "ir/tir/cpu/variants.h"
#include "ir/tir/ops/reduce.h"

namespace temper::tir::cpu {
namespace {

Result<void> fits(const TileCall& call, TileContext& context) {
  TEMPER_TRY(shape, ops::reduce_shape(call));
  const BufferRegion& from = call.regions[0];
  if (shape.dim + 1 == from.region.size())
    return Error(ErrorCode::kUnsupported,
                 "it reduces along the last dimension, whose elements are those of a vector");
  const auto length = as_int(shape.length);
  const auto width = as_int(shape.kept.back());
  const int lanes = context.options.lanes(call.regions[1].buffer->dtype);
  if (!length || !width || *width % lanes != 0 || lanes < 2)
    return Error(ErrorCode::kUnsupported,
                 "the last dimension is no multiple of a vector of " + std::to_string(lanes));
  for (const Expr& extent : shape.kept)
    if (!as_int(extent))
      return Error(ErrorCode::kUnsupported, "the tile's shape is not constant");
  if (call.regions[1].buffer->dtype != from.buffer->dtype)
    return Error(ErrorCode::kUnsupported, "the types differ");
  return {};
}

std::vector<TileKnob> knobs(const TileCall& call, TileContext& context) {
  const int64_t width = *as_int(ops::reduce_shape(call).value().kept.back());
  const int lanes = context.options.lanes(call.regions[1].buffer->dtype);
  TileKnob vectors{"vectors", {}, 1};
  for (const int64_t n : {1, 2, 4, 8})
    if (width % (n * lanes) == 0) {
      vectors.choices.push_back(n);
      vectors.default_value = n;
    }
  return {vectors};
}

Result<Stmt> lower(const TileCall& call, TileContext& context) {
  TEMPER_TRY(shape, ops::reduce_shape(call));
  TEMPER_TRY(vectors, tile_knob(call, knobs(call, context)[0]));
  const Buffer& to = call.regions[1].buffer;
  const int64_t width = *as_int(shape.kept.back());
  const int64_t part = vectors * context.options.lanes(to->dtype);
  const bool zero = ops::reduce_starts_at_zero(call);

  const TileLoops outer(std::vector<Expr>(shape.kept.begin(), shape.kept.end() - 1));
  const Var v = make_var("v");
  const bool one_part = part == width;
  const auto over_part = [&](auto&& make) {
    const Var l = make_var("l");
    std::vector<Expr> kept = outer.indices;
    kept.push_back(one_part ? Expr(l) : Expr(v) * part + Expr(l));
    return loop_over(l, part, ForKind::kVectorized, make(kept));
  };
  const auto place = [&](const std::vector<Expr>& kept) {
    return ops::reduce_place(call, shape, kept);
  };
  const auto element = [&](const std::vector<Expr>& kept, const Expr& row) {
    return ops::reduce_element(call, shape, kept, row);
  };
  const bool clear = flag_option(call, "clear");
  std::vector<Stmt> body;
  if (clear)
    body.push_back(over_part([&](const std::vector<Expr>& kept) {
      return make_store(to, place(kept), zero ? make_const(to->dtype, 0) : element(kept, int32(0)));
    }));
  const int64_t first = clear && !zero ? 1 : 0;
  const int64_t rows = *as_int(shape.length) - first;
  const Var r = make_var("r");
  if (rows > 0)
    body.push_back(make_for(r, int32(first), int32(rows), ForKind::kSerial,
                            over_part([&](const std::vector<Expr>& kept) {
                              const std::vector<Expr> at = place(kept);
                              return make_store(to, at,
                                                ops::reduce_join(call, make_load(to, at),
                                                                 element(kept, Expr(r))));
                            })));
  Stmt parts = make_seq(std::move(body));
  if (!one_part)
    parts = loop_over(v, width / part, ForKind::kSerial, std::move(parts));
  return outer.wrap(std::move(parts), ForKind::kSerial);
}

} // namespace

TileVariant reduce_rows_variant(const std::string& op) {
  return {.op = op,
          .target = TargetKind::kCpu,
          .scope = "block",
          .name = "rows",
          .doc = "along another dimension than the last: row by row, vectors side by side",
          .fits = fits,
          .knobs = knobs,
          .lower = lower};
}

} // namespace temper::tir::cpu
