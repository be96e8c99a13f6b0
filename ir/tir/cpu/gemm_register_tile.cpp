// T.gemm with a tile of C in vector registers: for each tile, the whole of K in one loop.
//
//   for j0 in range(N // (vectors * lanes)):          # panels of B stay in the first cache
//     for i0 in range(M // rows):
//       for k in range(K):                            # promote_registers keeps C's tile in
//       registers
//         for i in T.unroll(rows):
//           for v in T.unroll(vectors):
//             for l in T.vectorized(lanes):
//               C[i0 * rows + i, ...] += A[.., k] * B[k, ..]
//
// With `panels` B is first laid out anew, one panel after the other, as the loop reads it: rows of
// a wide tile lie a power of two apart, and fall on the same few lines of the first cache. A
// transposed B is always laid out anew (transpose_tiles does it in registers). What `rows` leaves
// over is a second nest with fewer rows; N must be a multiple of a vector.
#include "ir/arith/simplify.h"
#include "ir/tir/cpu/variants.h"
#include "ir/tir/ops/gemm.h"

namespace temper::tir::cpu {
namespace {

struct Tile {
  int64_t m, n, k;
  int lanes;
};

Result<Tile> tile_of(const TileCall& call, const TileContext& context) {
  TEMPER_TRY(shape, ops::gemm_shape(call));
  const auto m = as_int(shape.m);
  const auto n = as_int(shape.n);
  const auto k = as_int(shape.k);
  if (!m || !n || !k)
    return Error(ErrorCode::kUnsupported, "the tile's shape is not constant");
  return Tile{*m, *n, *k, context.options.lanes(call.regions[2].buffer->dtype)};
}

Result<void> fits(const TileCall& call, TileContext& context) {
  TEMPER_TRY(tile, tile_of(call, context));
  if (tile.n % tile.lanes != 0)
    return Error(ErrorCode::kUnsupported, "N = " + std::to_string(tile.n) +
                                              " is no multiple of a vector of " +
                                              std::to_string(tile.lanes));
  for (const BufferRegion& region : call.regions)
    if (region.buffer->scope == "global" && !is_inside(region, context.math))
      return Error(ErrorCode::kUnsupported, tile_text(region) + " may hang over the edge of " +
                                                region.buffer->name + "; copy it into a tile");
  return {};
}

std::vector<TileKnob> knobs(const TileCall& call, TileContext& context) {
  const Tile tile = tile_of(call, context).value();
  const int registers = context.options.tile_registers();
  TileKnob vectors{"vectors", {}, 1};
  for (const int64_t v : {1, 2, 3, 4})
    if (tile.n % (v * tile.lanes) == 0)
      vectors.choices.push_back(v);
  vectors.default_value = vectors.choices[0];
  for (const int64_t v : vectors.choices)
    if (v <= 2)
      vectors.default_value = v;
  // Sums that do not wait for each other: as many as registers hold.
  const auto chosen = tile_knob(call, vectors).value_or(vectors.default_value);
  TileKnob rows{"rows", {}, 1};
  for (const int64_t r : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16})
    if (r <= tile.m && r * chosen <= registers)
      rows.choices.push_back(r);
  for (const int64_t r : rows.choices)
    if (r * chosen <= registers && tile.m % r == 0)
      rows.default_value = r;
  // Few rows leave registers idle, and the sums wait: a rest costs less.
  for (const int64_t r : rows.choices)
    if (r * chosen <= registers && r > rows.default_value &&
        rows.default_value * chosen * 3 < registers * 2)
      rows.default_value = r;
  const bool narrow = chosen * tile.lanes >= tile.n; // is one panel already
  TileKnob panels{"panels", {0, 1}, 1};
  if (narrow || ops::gemm_shape(call).value().transpose_b)
    panels = {"panels", {1}, 1};
  // The panels come from the second cache: asked for so many statements before they are needed.
  const TileKnob prefetch{"prefetch", {0, 64, 256, 512}, 0};
  return {vectors, rows, panels, prefetch};
}

Result<Stmt> lower(const TileCall& call, TileContext& context) {
  TEMPER_TRY(tile, tile_of(call, context));
  TEMPER_TRY(shape, ops::gemm_shape(call));
  const std::vector<TileKnob> open = knobs(call, context);
  TEMPER_TRY(vectors, tile_knob(call, open[0]));
  TEMPER_TRY(rows, tile_knob(call, open[1]));
  TEMPER_TRY(panels, tile_knob(call, open[2]));
  TEMPER_TRY(prefetch, tile_knob(call, open[3]));
  if (rows * vectors > context.options.tile_registers())
    return Error(ErrorCode::kUnsupported,
                 "a tile of " + std::to_string(rows) + " rows of " + std::to_string(vectors) +
                     " vectors does not fit into " +
                     std::to_string(context.options.tile_registers()) + " registers");
  const BufferRegion& a = call.regions[0];
  BufferRegion b = call.regions[1];
  const BufferRegion& c = call.regions[2];
  const DataType sum = c.buffer->dtype;
  const int64_t width = vectors * tile.lanes;
  const bool clear = flag_option(call, "clear_accum");

  // B[k, n] as panel n // width, row k, column n % width.
  std::vector<Stmt> before;
  const bool laid_out = shape.transpose_b || (panels != 0 && width < tile.n);
  if (laid_out) {
    const Buffer panel =
        make_buffer(b.buffer->name + "_panels", b.buffer->dtype,
                    {int32(tile.n / width), int32(tile.k), int32(width)}, "shared");
    const Var p = make_var("p");
    const Var k = make_var("k");
    const Var n = make_var("n");
    const Expr column = Expr(p) * width + Expr(n);
    const std::vector<Expr> from =
        shape.transpose_b ? std::vector{column, Expr(k)} : std::vector{Expr(k), column};
    const Stmt copy = make_store(panel, {Expr(p), Expr(k), Expr(n)}, tile_load(b, from));
    before = {
        make_alloc(panel),
        loop_over(p, tile.n / width, ForKind::kSerial,
                  loop_over(k, tile.k, ForKind::kSerial,
                            loop_over(n, width,
                                      shape.transpose_b ? ForKind::kSerial : ForKind::kVectorized,
                                      copy)))};
    b = {panel,
         {{int32(0), int32(tile.n / width)}, {int32(0), int32(tile.k)}, {int32(0), int32(width)}}};
  }

  const Var j0 = make_var("j0");
  std::vector<Stmt> parts;
  // Rows [first, first + count * height) in tiles of `height` rows.
  const auto nest = [&](int64_t first, int64_t count, int64_t height) {
    const Var i0 = make_var("i0");
    const auto body = [&](bool zero) {
      const Var k = make_var("k");
      const Var i = make_var("i");
      const Var v = make_var("v");
      const Var l = make_var("l");
      const Expr row = Expr(i0) * height + first + Expr(i);
      const Expr column = Expr(j0) * width + Expr(v) * tile.lanes + Expr(l);
      const std::vector<Expr> at{row, column};
      const std::vector<Expr> of_a =
          shape.transpose_a ? std::vector{Expr(k), row} : std::vector{row, Expr(k)};
      const Expr b_value =
          laid_out ? make_load(b.buffer, {Expr(j0), Expr(k), Expr(v) * tile.lanes + Expr(l)})
                   : tile_load(b, std::vector<Expr>{Expr(k), column});
      Stmt stmt =
          zero ? tile_store(c, at, make_const(sum, 0))
               : tile_store(c, at,
                            make_binary<Add>(tile_load(c, at),
                                             make_binary<Mul>(tile_cast(sum, tile_load(a, of_a)),
                                                              tile_cast(sum, b_value))));
      stmt = loop_over(l, tile.lanes, ForKind::kVectorized, stmt);
      stmt = loop_over(v, vectors, ForKind::kUnrolled, stmt);
      stmt = loop_over(i, height, ForKind::kUnrolled, stmt);
      const Annotations marks =
          prefetch == 0 ? Annotations() : Annotations().with(kPrefetch, int32(prefetch));
      return zero ? stmt : loop_over(k, tile.k, ForKind::kSerial, stmt, marks);
    };
    Stmt inner = clear ? make_seq({body(true), body(false)}) : body(false);
    parts.push_back(loop_over(i0, count, ForKind::kSerial, inner));
  };
  if (tile.m / rows > 0)
    nest(0, tile.m / rows, rows);
  if (tile.m % rows != 0)
    nest(tile.m / rows * rows, 1, tile.m % rows);
  before.push_back(loop_over(j0, tile.n / width, ForKind::kSerial, make_seq(std::move(parts))));
  return make_seq(std::move(before));
}

} // namespace

bool packs_second_operand(const TileCall& call, TileContext& context) {
  const auto variant = choose_tile_variant(call, context);
  if (!variant || (*variant)->lower != lower)
    return false;
  const auto tile = tile_of(call, context);
  const std::vector<TileKnob> open = knobs(call, context);
  const auto vectors = tile_knob(call, open[0]);
  const auto panels = tile_knob(call, open[2]);
  return tile && vectors && panels &&
         (ops::gemm_shape(call)->transpose_b ||
          (*panels != 0 && *vectors * tile->lanes < tile->n));
}

TileVariant gemm_register_tile() {
  return {.op = "gemm",
          .target = TargetKind::kCpu,
          .scope = "block",
          .name = "register_tile",
          .doc = "tiles of C in vector registers, over the whole of K",
          .fits = fits,
          .knobs = knobs,
          .lower = lower};
}

} // namespace temper::tir::cpu
