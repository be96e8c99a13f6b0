// T.gemm of float32 by the tile registers of x86 (AMX), which multiply bfloat16: each operand is
// the sum of three of them, which have its 24 bits of mantissa between them.
//
//   a = a0 + a1 + a2    a0: the upper 16 bits of a; a1: those of a - a0; a2: what is left
//   a b = (a2 b0 + a1 b1 + a0 b2) + (a1 b0 + a0 b1) + a0 b0    and less than 2^-22 of it left out
//
// Six products of bfloat16 take less than a third of the time that one of float32 in vectors takes.
// The parts of A lie side by side, those of B one below the other. Small products come first;
// those that have an operand in common with the one before find it in its registers.
//
//   A_parts[m, :] = a0 | a1 | a2                  B_parts[p, :, :] = b0
//                                                                    b1      of 32 columns, pairs
//                                                                    of b2      rows side by side
//   for p in range(N // 32):
//     for i in range(M // 32):
//       T.amx_multiply_add(C.., a2[i * 32..], b0[p])
//       T.amx_multiply_add(C.., a1[i * 32..], b0[p])
//       T.amx_multiply_add(C.., a0[i * 32..], b2[p])
//       T.amx_multiply_add(C.., a0[i * 32..], b1[p])
//       T.amx_multiply_add(C.., a1[i * 32..], b1[p])
//       T.amx_multiply_add(C.., a0[i * 32..], b0[p])
//
// An infinity has no rest, so its product is NaN; of operands below 2^-110 and of terms below
// 2^-104 digits are lost: what is smaller than 2^-126 counts as zero.
#include "ir/arith/region.h"
#include "ir/op.h"
#include "ir/tir/cpu/variants.h"
#include "ir/tir/hoist_layouts.h"
#include "ir/tir/ops/gemm.h"

#include <algorithm>
#include <array>

namespace temper::tir::cpu {
namespace {

constexpr int64_t kParts = 3;
/// The parts of A and B that are multiplied, in order.
struct PartProduct {
  int64_t a;
  int64_t b;
};
constexpr std::array<PartProduct, 6> kProducts{{{2, 0}, {1, 0}, {0, 2}, {0, 1}, {1, 1}, {0, 0}}};
constexpr int64_t kColumns = 32; ///< of C that one product sums
constexpr int64_t kDepth = 32;   ///< terms of a sum that one step of the instruction takes
constexpr int kLanes = 16;

bool has(const LowerOptions& options, std::string_view feature) {
  return options.features && !options.plain && options.vector_bits >= 512 &&
         std::find(options.features->begin(), options.features->end(), feature) !=
             options.features->end();
}

Result<void> fits(const TileCall& call, TileContext& context) {
  for (const BufferRegion& region : call.regions)
    if (region.buffer->dtype != DataType::float32())
      return Error(ErrorCode::kUnsupported, region.buffer->name + " holds " +
                                                to_string(region.buffer->dtype) + ", not float32");
  if (!flag_option(call, "allow_bf16x3"))
    return Error(ErrorCode::kUnsupported,
                 "the call does not say allow_bf16x3=True: float32 as the sum of three bfloat16");
  if (!has(context.options, "amx-tile") || !has(context.options, "amx-bf16"))
    return Error(ErrorCode::kUnsupported, "the target has no AMX");
  TEMPER_TRY(extents, ops::gemm_extents(call));
  if (extents.m % 16 != 0 || extents.n % kColumns != 0 || extents.k % kDepth != 0)
    return Error(ErrorCode::kUnsupported,
                 "M, N and K are multiples of 16, 32 and 32, not " + std::to_string(extents.m) +
                     ", " + std::to_string(extents.n) + " and " + std::to_string(extents.k));
  for (const BufferRegion& region : call.regions)
    if (!region.buffer->strides.empty() || is_int(region.region.back().extent, 1))
      return Error(ErrorCode::kUnsupported,
                   region.buffer->name + " does not lie along its last dimension");
  return check_inside(call, context);
}

std::vector<TileKnob> knobs(const TileCall& call, TileContext&) {
  // What stays in the first cache meanwhile: columns of B, or rows of A.
  std::vector<TileKnob> list{{"order", {0, 1}, 0}};
  // Parts of matrices in global memory may be made once for all blocks that need the same.
  if (call.regions[0].buffer->scope == "global" || call.regions[1].buffer->scope == "global")
    list.push_back({"share", {1, 0}, 1});
  return list;
}

Expr words(const Expr& value) {
  return make_call(DataType::uint(32, value->dtype.lanes), "reinterpret", {value});
}
Expr upper_half(const Expr& word) {
  return call_op("bitwise_and", {word, make_const_int(word->dtype, 0xffff0000)});
}
Expr lower_half(const Expr& word) {
  return call_op("shift_right", {word, make_const_int(word->dtype, 16)});
}

/// The three parts of a vector, each a bfloat16 in the upper half of a word.
std::array<Expr, kParts> split(const Expr& value, std::vector<Stmt>& statements) {
  const auto named = [&](const char* name, const Expr& made) {
    const Var var = make_var(name, made->dtype);
    statements.push_back(make_bind(var, made));
    return Expr(var);
  };
  const auto as_float = [&](const Expr& word) {
    return make_call(value->dtype, "reinterpret", {word});
  };
  std::array<Expr, kParts> parts;
  Expr rest = named("x", value);
  for (size_t p = 0; p < kParts; ++p) {
    parts[p] = named("part", upper_half(words(rest)));
    if (p + 1 < kParts) // both are exact
      rest = named("rest", make_binary<Sub>(rest, as_float(parts[p])));
  }
  return parts;
}

Expr vector_of(const BufferRegion& region, const Expr& row, const Expr& column) {
  const std::vector<Expr> at{row, column};
  std::vector<Expr> place = tile_indices(region, at);
  place.back() = make_ramp(place.back(), make_int(place.back()->dtype, 1), kLanes);
  return make_load(region.buffer, std::move(place));
}

/// The matrix with rows and columns exchanged, in memory of its own.
BufferRegion transposed(const BufferRegion& matrix, int64_t rows, int64_t columns,
                        std::vector<Stmt>& before) {
  const Buffer copy = make_buffer(matrix.buffer->name + "_transposed", matrix.buffer->dtype,
                                  {int32(rows), int32(columns)}, "shared");
  const Var i = make_var("i");
  const Var j = make_var("j");
  const std::vector<Expr> from{Expr(j), Expr(i)};
  before.push_back(make_alloc(copy));
  before.push_back(
      loop_over(i, rows, ForKind::kSerial,
                loop_over(j, columns, ForKind::kSerial,
                          make_store(copy, {Expr(i), Expr(j)}, tile_load(matrix, from)))));
  return whole_region(copy);
}

Buffer split_a(const BufferRegion& a, const ops::GemmExtents& extents,
               const Annotations& annotations, std::vector<Stmt>& before) {
  const Buffer parts = make_buffer(a.buffer->name + "_parts", DataType::bfloat16(),
                                   {int32(extents.m), int32(kParts * extents.k)}, "shared");
  const Var i = make_var("i");
  const Var k = make_var("k");
  const Expr column = Expr(k) * kLanes;
  std::vector<Stmt> body;
  const std::array<Expr, kParts> split_up = split(vector_of(a, Expr(i), column), body);
  for (int64_t p = 0; p < kParts; ++p) {
    const Expr half =
        make_cast(DataType::uint(16, kLanes), lower_half(split_up[static_cast<size_t>(p)]));
    const Expr place = make_ramp(column + p * extents.k, make_int(column->dtype, 1), kLanes);
    body.push_back(
        make_store(parts, {Expr(i), place},
                   make_call(DataType::bfloat16().with_lanes(kLanes), "reinterpret", {half})));
  }
  before.push_back(make_alloc(parts, annotations));
  before.push_back(
      loop_over(i, extents.m, ForKind::kSerial,
                loop_over(k, extents.k / kLanes, ForKind::kSerial, make_seq(std::move(body)))));
  return parts;
}

Buffer split_b(const BufferRegion& b, const ops::GemmExtents& extents,
               const Annotations& annotations, std::vector<Stmt>& before) {
  const int64_t pairs = extents.k / 2;
  const Buffer parts = make_buffer(
      b.buffer->name + "_parts", DataType::bfloat16(),
      {int32(extents.n / kColumns), int32(kParts * pairs), int32(2 * kColumns)}, "shared");
  const Var panel = make_var("p");
  const Var pair = make_var("k");
  const Var half = make_var("h");
  const Expr column = Expr(panel) * kColumns + Expr(half) * kLanes;
  std::vector<Stmt> body;
  const std::array<Expr, kParts> even = split(vector_of(b, Expr(pair) * 2, column), body);
  const std::array<Expr, kParts> odd = split(vector_of(b, Expr(pair) * 2 + 1, column), body);
  for (int64_t p = 0; p < kParts; ++p) {
    const auto part = static_cast<size_t>(p);
    const Expr place =
        make_ramp(Expr(half) * (2 * kLanes), make_int(DataType::int32(), 1), 2 * kLanes);
    body.push_back(
        make_store(parts, {Expr(panel), Expr(pair) + p * pairs, place},
                   make_call(DataType::bfloat16().with_lanes(2 * kLanes), "reinterpret",
                             {call_op("bitwise_or", {lower_half(even[part]), odd[part]})})));
  }
  before.push_back(make_alloc(parts, annotations));
  before.push_back(loop_over(
      panel, extents.n / kColumns, ForKind::kSerial,
      loop_over(pair, pairs, ForKind::kSerial,
                loop_over(half, kColumns / kLanes, ForKind::kSerial, make_seq(std::move(body))))));
  return parts;
}

Result<Stmt> lower(const TileCall& call, TileContext& context) {
  TEMPER_TRY(extents, ops::gemm_extents(call));
  TEMPER_TRY(shape, ops::gemm_shape(call));
  const std::vector<TileKnob> open = knobs(call, context);
  TEMPER_TRY(order, tile_knob(call, open[0]));
  Annotations annotations;
  if (open.size() > 1) {
    TEMPER_TRY(share, tile_knob(call, open[1]));
    if (share != 0)
      annotations = annotations.with(kShareLayout, make_bool(true));
  }
  std::vector<Stmt> list;
  BufferRegion a = call.regions[0];
  BufferRegion b = call.regions[1];
  if (shape.transpose_a)
    a = transposed(a, extents.m, extents.k, list);
  const Buffer a_parts = split_a(a, extents, annotations, list);
  if (shape.transpose_b)
    b = transposed(b, extents.k, extents.n, list);
  const Buffer b_parts = split_b(b, extents, annotations, list);

  const BufferRegion& c = call.regions[2];
  const int64_t rows = extents.m % 32 == 0 ? 32 : 16;
  const Var i = make_var("i");
  const Var p = make_var("p");
  std::vector<Stmt> products;
  for (const PartProduct& product : kProducts) {
    std::vector<Expr> args;
    // The first elements of the first two rows, and the last element.
    const auto corners = [&](int64_t height, int64_t width, auto&& element) {
      for (const auto& [row, column] :
           {std::pair{int64_t{0}, int64_t{0}}, {int64_t{1}, int64_t{0}}, {height - 1, width - 1}})
        args.push_back(element(row, column));
    };
    corners(rows, kColumns, [&](int64_t row, int64_t column) {
      const std::vector<Expr> at{Expr(i) * rows + row, Expr(p) * kColumns + column};
      return tile_load(c, at);
    });
    corners(rows, extents.k, [&](int64_t row, int64_t column) {
      return make_load(a_parts, {Expr(i) * rows + row, int32(product.a * extents.k + column)});
    });
    const int64_t pairs = extents.k / 2;
    corners(pairs, 2 * kColumns, [&](int64_t row, int64_t column) {
      return make_load(b_parts, {Expr(p), int32(product.b * pairs + row), int32(column)});
    });
    for (const int64_t extent : {rows, kColumns, extents.k})
      args.push_back(int32(extent));
    args.push_back(int32(products.empty() && flag_option(call, "clear_accum") ? 1 : 0));
    products.push_back(
        make_evaluate(make_call(DataType::int32(), "amx_multiply_add", std::move(args))));
  }
  Stmt body = make_seq(std::move(products));
  const auto over_rows = [&](Stmt inner) {
    return loop_over(i, extents.m / rows, ForKind::kSerial, std::move(inner));
  };
  const auto over_panels = [&](Stmt inner) {
    return loop_over(p, extents.n / kColumns, ForKind::kSerial, std::move(inner));
  };
  list.push_back(order == 0 ? over_panels(over_rows(std::move(body)))
                            : over_rows(over_panels(std::move(body))));
  return make_seq(std::move(list));
}

} // namespace

TileVariant gemm_amx() {
  return {.op = "gemm",
          .target = TargetKind::kCpu,
          .scope = "block",
          .name = kAmxProduct,
          .doc = "float32 as three bfloat16 each, by the tile registers of AMX",
          .fits = fits,
          .knobs = knobs,
          .lower = lower};
}

} // namespace temper::tir::cpu
