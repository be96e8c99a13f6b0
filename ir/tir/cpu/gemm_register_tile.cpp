// T.gemm with a tile of C in vector registers: for each tile, the whole of K in one loop.
//
//   for j0 in range(N // (vectors * lanes)):          # panels of B stay in the first cache
//     for i0 in range(M // rows):
//       for k in range(K):              # promote_registers keeps C's tile in registers
//         for i in T.unroll(rows):
//           for v in T.unroll(vectors):
//             for l in T.vectorized(lanes):
//               C[i0 * rows + i, ...] += A[.., k] * B[k, ..]
//
// With `panels` B is first laid out anew, one panel after the other, as the loop reads it: rows of
// a wide tile lie a power of two apart, and fall on the same few lines of the first cache. A
// transposed B is always laid out anew (transpose_tiles does it in registers). With `a_panels` so
// is A, one tile's rows after the other's: they then come from one place in memory, not from as
// many as there are rows, which may fall on the same lines of the first cache. What `rows` leaves
// over is a second nest with fewer rows; N must be a multiple of a vector.
#include "ir/arith/region.h"
#include "ir/arith/simplify.h"
#include "ir/tir/cpu/variants.h"
#include "ir/tir/ops/gemm.h"

#include <algorithm>
#include <limits>

namespace temper::tir::cpu {
namespace {

// Of `a_layout`.
constexpr int64_t kAsTile = 0;
constexpr int64_t kAsPanels = 1;
constexpr int64_t kInPlace = 2;

struct Tile : ops::GemmExtents {
  int lanes;
};

Result<Tile> tile_of(const TileCall& call, const TileContext& context) {
  TEMPER_TRY(extents, ops::gemm_extents(call));
  return Tile{extents, context.options.lanes(call.regions[2].buffer->dtype)};
}

Result<void> fits(const TileCall& call, TileContext& context) {
  TEMPER_TRY(tile, tile_of(call, context));
  if (tile.n % tile.lanes != 0)
    return Error(ErrorCode::kUnsupported, "N = " + std::to_string(tile.n) +
                                              " is no multiple of a vector of " +
                                              std::to_string(tile.lanes));
  return check_inside(call, context);
}

std::vector<TileKnob> knobs(const TileCall& call, TileContext& context) {
  const Tile tile = tile_of(call, context).value();
  const int registers = context.options.tile_registers();
  TileKnob vectors{"vectors", {}, 1};
  for (const int64_t v : {1, 2, 3, 4})
    if (tile.n % (v * tile.lanes) == 0)
      vectors.choices.push_back(v);
  // Four vectors share each element of A; few registers have no room for rows then.
  vectors.default_value = vectors.choices[0];
  for (const int64_t v : vectors.choices)
    if (v <= (registers >= 24 ? 4 : 2))
      vectors.default_value = v;
  // Sums that do not wait for each other, eight at least (two a cycle, four cycles each), loads of
  // B for as many of them as registers hold, and few rows more than there are.
  const auto chosen = tile_knob(call, vectors).value_or(vectors.default_value);
  TileKnob rows{"rows", {}, 1};
  int64_t least = std::numeric_limits<int64_t>::max();
  for (const int64_t r : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16}) {
    // Beside the sums a row of B and an element of A are in registers: one too many is spilled in
    // each step of the sum, which takes twice the time (7 x 4 of 32).
    if (r > tile.m || r * chosen > registers ||
        (r > 1 && r * chosen + chosen + 1 > context.options.vector_registers))
      continue;
    rows.choices.push_back(r);
    const auto step = [&](int64_t height) {
      return height == 0 ? 0 : 2 * std::max<int64_t>(height * chosen, 8) + chosen;
    };
    const int64_t cost = tile.m / r * step(r) + step(tile.m % r);
    if (cost <= least) {
      least = cost;
      rows.default_value = r;
    }
  }
  const bool narrow = chosen * tile.lanes >= tile.n; // is one panel already
  TileKnob panels{"panels", {0, 1}, 1};
  if (narrow || ops::gemm_shape(call).value().transpose_b)
    panels = {"panels", {1}, 1};
  const TileKnob a_layout{"a_layout", {kAsTile, kAsPanels, kInPlace}, kInPlace};
  TileKnob order{"order", {0, 1}, 1};
  if (narrow)
    order = {"order", {0}, 0};
  TileKnob step{"step", {1}, 1};
  for (const int64_t s : {2, 4, 8})
    if (tile.k % s == 0) {
      step.choices.push_back(s);
      step.default_value = 2;
    }
  // The panels come from the second cache: asked for so many statements before they are needed.
  const TileKnob prefetch{"prefetch", {0, 64, 256, 512}, 0};
  return {vectors, rows, panels, a_layout, order, step, prefetch};
}

/// What a call decides, its defaults filled in.
struct Decisions {
  int64_t vectors, rows, panels, a_layout, order, step, prefetch;
  bool lays_out_b; ///< into panels, because it was asked for or B is transposed
};

Result<Decisions> decisions_of(const TileCall& call, TileContext& context, const Tile& tile) {
  const std::vector<TileKnob> open = knobs(call, context);
  TEMPER_TRY(vectors, tile_knob(call, open[0]));
  TEMPER_TRY(rows, tile_knob(call, open[1]));
  TEMPER_TRY(panels, tile_knob(call, open[2]));
  TEMPER_TRY(a_layout, tile_knob(call, open[3]));
  TEMPER_TRY(order, tile_knob(call, open[4]));
  TEMPER_TRY(step, tile_knob(call, open[5]));
  TEMPER_TRY(prefetch, tile_knob(call, open[6]));
  const bool lays_out_b =
      ops::gemm_shape(call)->transpose_b || (panels != 0 && vectors * tile.lanes < tile.n);
  return Decisions{vectors, rows, panels, a_layout, order, step, prefetch, lays_out_b};
}

/// B[k, n] as panel n // width, row k, column n % width.
BufferRegion lay_out_b(const BufferRegion& b, bool transposed, const Tile& tile, int64_t width,
                       std::vector<Stmt>& before) {
  const Buffer panels = make_buffer(b.buffer->name + "_panels", b.buffer->dtype,
                                    {int32(tile.n / width), int32(tile.k), int32(width)}, "shared");
  const Var p = make_var("p");
  const Var k = make_var("k");
  const Var n = make_var("n");
  const Expr column = Expr(p) * width + Expr(n);
  const std::vector<Expr> from =
      transposed ? std::vector{column, Expr(k)} : std::vector{Expr(k), column};
  const Stmt copy = make_store(panels, {Expr(p), Expr(k), Expr(n)}, tile_load(b, from));
  before.push_back(make_alloc(panels));
  before.push_back(loop_over(
      p, tile.n / width, ForKind::kSerial,
      loop_over(k, tile.k, ForKind::kSerial,
                loop_over(n, width, transposed ? ForKind::kSerial : ForKind::kVectorized, copy))));
  return whole_region(panels);
}

/// A[m, k] as panel m // rows, column k, row m % rows; the last one may have fewer rows.
BufferRegion lay_out_a(const BufferRegion& a, bool transposed, const Tile& tile, int64_t rows,
                       std::vector<Stmt>& before) {
  const int64_t rest = tile.m % rows;
  const Buffer panels = make_buffer(
      a.buffer->name + "_panels", a.buffer->dtype,
      {int32(tile.m / rows + (rest != 0 ? 1 : 0)), int32(tile.k), int32(rows)}, "shared");
  before.push_back(make_alloc(panels));
  const auto copy = [&](int64_t first, int64_t count, int64_t height) {
    const Var p = make_var("p");
    const Var k = make_var("k");
    const Var m = make_var("m");
    const Expr row = (Expr(p) + first) * rows + Expr(m);
    const std::vector<Expr> from =
        transposed ? std::vector{Expr(k), row} : std::vector{row, Expr(k)};
    const Stmt store = make_store(panels, {Expr(p) + first, Expr(k), Expr(m)}, tile_load(a, from));
    before.push_back(loop_over(
        p, count, ForKind::kSerial,
        loop_over(
            k, tile.k, ForKind::kSerial,
            loop_over(m, height, transposed ? ForKind::kVectorized : ForKind::kSerial, store))));
  };
  if (tile.m / rows > 0)
    copy(0, tile.m / rows, rows);
  if (rest != 0)
    copy(tile.m / rows, 1, rest);
  return whole_region(panels);
}

Result<Stmt> lower(const TileCall& call, TileContext& context) {
  TEMPER_TRY(tile, tile_of(call, context));
  TEMPER_TRY(shape, ops::gemm_shape(call));
  TEMPER_TRY(chosen, decisions_of(call, context, tile));
  const int64_t rows = chosen.rows;
  const int64_t vectors = chosen.vectors;
  if (rows * vectors > context.options.tile_registers())
    return Error(ErrorCode::kUnsupported,
                 "a tile of " + std::to_string(rows) + " rows of " + std::to_string(vectors) +
                     " vectors does not fit into " +
                     std::to_string(context.options.tile_registers()) + " registers");
  BufferRegion a = call.regions[0];
  BufferRegion b = call.regions[1];
  const BufferRegion& c = call.regions[2];
  const DataType sum = c.buffer->dtype;
  const int64_t width = vectors * tile.lanes;
  const bool clear = flag_option(call, "clear_accum");

  std::vector<Stmt> before;
  if (chosen.lays_out_b)
    b = lay_out_b(b, shape.transpose_b, tile, width, before);
  if (chosen.a_layout == kAsPanels)
    a = lay_out_a(a, shape.transpose_a, tile, rows, before);

  // What stands in the loops over tiles of `height` rows from `first` on, and the variable i0 of
  // one.
  const auto nest = [&](const Var& j0, int64_t first, int64_t height) {
    const Var i0 = make_var("i0");
    // One statement for each vector of the tile.
    const auto over_tile = [&](auto&& statement) {
      const Var i = make_var("i");
      const Var v = make_var("v");
      const Var l = make_var("l");
      Stmt stmt = loop_over(l, tile.lanes, ForKind::kVectorized,
                            statement(Expr(i), Expr(v) * tile.lanes + Expr(l)));
      stmt = loop_over(v, vectors, ForKind::kUnrolled, stmt);
      return loop_over(i, height, ForKind::kUnrolled, stmt);
    };
    const auto place = [&](const Expr& i, const Expr& l) {
      return std::vector{Expr(i0) * height + first + i, Expr(j0) * width + l};
    };
    std::vector<Stmt> body;
    if (clear)
      body.push_back(over_tile([&](const Expr& i, const Expr& l) {
        return tile_store(c, place(i, l), make_const(sum, 0));
      }));
    const Var k0 = make_var("k");
    const Var k1 = make_var("s");
    const Expr k = chosen.step == 1 ? Expr(k0) : Expr(k0) * chosen.step + Expr(k1);
    Stmt round = over_tile([&](const Expr& i, const Expr& l) {
      const std::vector<Expr> at = place(i, l);
      const Expr a_value =
          chosen.a_layout == kAsPanels
              ? make_load(a.buffer, {Expr(i0) + first / rows, k, i})
              : tile_load(a, shape.transpose_a ? std::vector{k, at[0]} : std::vector{at[0], k});
      const Expr b_value = chosen.lays_out_b ? make_load(b.buffer, {Expr(j0), k, l})
                                             : tile_load(b, std::vector{k, at[1]});
      return tile_store(
          c, at,
          make_binary<Add>(tile_load(c, at),
                           make_binary<Mul>(tile_cast(sum, a_value), tile_cast(sum, b_value))));
    });
    if (chosen.step != 1)
      round = loop_over(k1, chosen.step, ForKind::kUnrolled, round);
    const Annotations marks = chosen.prefetch == 0
                                  ? Annotations()
                                  : Annotations().with(kPrefetch, int32(chosen.prefetch));
    body.push_back(loop_over(k0, tile.k / chosen.step, ForKind::kSerial, round, marks));
    return std::pair(i0, make_seq(std::move(body)));
  };
  const auto columns = [&](const Var& j0, Stmt body) {
    return loop_over(j0, tile.n / width, ForKind::kSerial, std::move(body));
  };
  Var j0 = make_var("j0");
  std::vector<Stmt> parts;
  for (const bool rest : {false, true}) {
    const int64_t count = rest ? (tile.m % rows != 0 ? 1 : 0) : tile.m / rows;
    if (count == 0)
      continue;
    const auto [i0, body] = nest(j0, rest ? tile.m / rows * rows : 0, rest ? tile.m % rows : rows);
    if (chosen.order == 0) {
      parts.push_back(loop_over(i0, count, ForKind::kSerial, body));
    } else {
      parts.push_back(loop_over(i0, count, ForKind::kSerial, columns(j0, body)));
      j0 = make_var("j0");
    }
  }
  if (chosen.order == 0)
    before.push_back(columns(j0, make_seq(std::move(parts))));
  else
    before.insert(before.end(), parts.begin(), parts.end());
  return make_seq(std::move(before));
}

} // namespace

bool register_tile_lays_out(const TileCall& call, size_t operand, TileContext& context) {
  const auto tile = tile_of(call, context);
  if (!tile)
    return false;
  const auto chosen = decisions_of(call, context, *tile);
  return chosen && (operand == 0 ? chosen->a_layout != kAsTile : chosen->lays_out_b);
}

TileVariant gemm_register_tile() {
  return {.op = "gemm",
          .target = TargetKind::kCpu,
          .scope = "block",
          .name = kRegisterTile,
          .doc = "tiles of C in vector registers, over the whole of K",
          .fits = fits,
          .knobs = knobs,
          .lower = lower};
}

} // namespace temper::tir::cpu
