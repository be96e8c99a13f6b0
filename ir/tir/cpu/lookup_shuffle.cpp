// T.lookup by byte shuffles: a table of 16 bytes lies in a register, and one instruction looks up
// as many elements as a vector has bytes.
//
//   for i in range(N // lanes):
//     picked = T.table_lookup("int8x64", table[0:16], index[i * 64 : +64] >> shift)
//     out[i * 64 : +32] += T.Cast("int16x32", lanes 0..31 of picked)       # as wide as out needs
//     out[i * 64 + 32 : +32] += T.Cast("int16x32", lanes 32..63 of picked)
#include "ir/op.h"
#include "ir/tir/cpu/variants.h"
#include "ir/tir/ops/lookup.h"

namespace temper::tir::cpu {
namespace {

/// Elements that one instruction looks up: what fills a vector and divides the tile's rows.
int64_t lanes_of(const TileCall& call, const TileContext& context) {
  const auto length = as_int(tile_shape(call.regions[2]).back());
  for (int64_t lanes = context.options.vector_bits / 8; lanes >= 16 && length; lanes /= 2)
    if (*length % lanes == 0)
      return lanes;
  return 0;
}

Result<void> fits(const TileCall& call, TileContext& context) {
  TEMPER_TRY(entries, ops::lookup_entries(call));
  const BufferRegion& table = call.regions[0];
  const DataType index = call.regions[1].buffer->dtype;
  if (entries != 16 || table.buffer->dtype.bits != 8 || !table.buffer->dtype.is_integral())
    return Error(ErrorCode::kUnsupported, "a byte shuffle has a table of 16 bytes");
  if (index != DataType::uint(8))
    return Error(ErrorCode::kUnsupported, "the indices are " + to_string(index) + ", not uint8");
  const DataType out = call.regions[2].buffer->dtype;
  if (!out.is_integral() || out.bits > 32)
    return Error(ErrorCode::kUnsupported,
                 "the sums are " + to_string(out) + ", not integers of up to 32 bits");
  for (const BufferRegion& region : call.regions)
    if (region.region.empty() ||
        (!is_int(region.region.back().extent, 1) && !region.buffer->strides.empty()))
      return Error(ErrorCode::kUnsupported, region.buffer->name + " has strides");
  if (is_int(table.region.back().extent, 1))
    return Error(ErrorCode::kUnsupported, "the table does not lie along its last dimension");
  for (const size_t operand : {size_t{1}, size_t{2}})
    if (is_int(call.regions[operand].region.back().extent, 1))
      return Error(ErrorCode::kUnsupported,
                   call.regions[operand].buffer->name + " is not read along its last dimension");
  TEMPER_TRY_VOID(check_inside(call, context));
  if (lanes_of(call, context) == 0)
    return Error(ErrorCode::kUnsupported, "the tile's rows are no multiple of 16");
  return {};
}

Result<Stmt> lower(const TileCall& call, TileContext& context) {
  const int64_t lanes = lanes_of(call, context);
  const BufferRegion& out = call.regions[2];
  const DataType sum = out.buffer->dtype;
  const DataType entry = call.regions[0].buffer->dtype;
  const int shift = static_cast<int>(integer_option(call, "shift"));
  std::vector<Expr> shape = tile_shape(out);
  shape.back() = int32(*as_int(shape.back()) / lanes);
  const TileLoops loops(shape);
  const auto at = [&](const BufferRegion& region, int64_t first, int64_t count) {
    std::vector<Expr> indices = loops.indices;
    indices.back() = indices.back() * lanes + first;
    std::vector<Expr> place = tile_indices(region, indices);
    place.back() =
        make_ramp(place.back(), make_int(place.back()->dtype, 1), static_cast<int>(count));
    return place;
  };
  const std::vector<Expr> start{int32(0)};
  std::vector<Expr> table_place = tile_indices(call.regions[0], start);
  table_place.back() = make_ramp(table_place.back(), make_int(table_place.back()->dtype, 1), 16);
  const DataType bytes = DataType::uint(8, static_cast<int>(lanes));
  Expr index = make_load(call.regions[1].buffer, at(call.regions[1], 0, lanes));
  if (shift != 0)
    index = call_op("shift_right", {index, make_const_int(bytes, shift)});
  const Var picked = make_var("picked", entry.with_lanes(static_cast<int>(lanes)));
  std::vector<Stmt> body{
      make_bind(picked, make_call(picked->dtype, "table_lookup",
                                  {make_load(call.regions[0].buffer, table_place), index}))};
  // As many lanes at a time as the sums fill a vector with.
  const int64_t step = std::min<int64_t>(lanes, context.options.vector_bits / sum.bits);
  for (int64_t first = 0; first < lanes; first += step) {
    Expr part = picked;
    if (step != lanes) {
      std::vector<Expr> pick;
      for (int64_t lane = first; lane < first + step; ++lane)
        pick.push_back(int32(lane));
      part = make_shuffle({picked}, std::move(pick));
    }
    const std::vector<Expr> place = at(out, first, step);
    const DataType type = sum.with_lanes(static_cast<int>(step));
    part = part->dtype == type ? part : make_cast(type, part);
    body.push_back(make_store(out.buffer, place,
                              flag_option(call, "accumulate")
                                  ? make_binary<Add>(make_load(out.buffer, place), part)
                                  : part));
  }
  return loops.wrap(make_seq(std::move(body)));
}

} // namespace

TileVariant lookup_shuffle() {
  return {.op = "lookup",
          .target = TargetKind::kCpu,
          .scope = "block",
          .name = "byte_shuffle",
          .doc = "16 bytes of table in a register, a vector of bytes looked up at once",
          .fits = fits,
          .lower = lower};
}

} // namespace temper::tir::cpu
