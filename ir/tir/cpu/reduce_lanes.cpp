// Reductions along the last dimension: a vector of partial results, then its lanes as a tree.
//
//   for i in range(rows):
//     for l in T.vectorized(lanes): part[l] = start
//     for r in range(length // lanes):
//       for l in T.vectorized(lanes): part[l] = part[l] + A[i, r * lanes + l]
//     B[i] = B[i] + part[0] + part[1] + ...             # reduce_lanes: one instruction tree
#include "ir/op.h"
#include "ir/tir/cpu/variants.h"
#include "ir/tir/ops/reduce.h"

#include <limits>

namespace temper::tir::cpu {
namespace {

Result<void> fits(const TileCall& call, TileContext& context) {
  TEMPER_TRY(shape, ops::reduce_shape(call));
  const BufferRegion& from = call.regions[0];
  if (shape.dim + 1 != from.region.size())
    return Error(ErrorCode::kUnsupported,
                 "it sums along dim " + std::to_string(shape.dim) +
                     ", which is not the last one: elements of another are the vectors");
  const auto length = as_int(shape.length);
  const int lanes = context.options.lanes(call.regions[1].buffer->dtype);
  if (!length || *length % lanes != 0 || lanes < 2)
    return Error(ErrorCode::kUnsupported,
                 "the length is no multiple of a vector of " + std::to_string(lanes));
  for (const Expr& extent : shape.kept)
    if (!as_int(extent))
      return Error(ErrorCode::kUnsupported, "the tile's shape is not constant");
  if (call.regions[1].buffer->dtype != from.buffer->dtype)
    return Error(ErrorCode::kUnsupported, "the types differ");
  return {};
}

std::vector<TileKnob> knobs(const TileCall& call, TileContext& context) {
  const int64_t length = *as_int(ops::reduce_shape(call).value().length);
  const int lanes = context.options.lanes(call.regions[1].buffer->dtype);
  TileKnob chains{"chains", {}, 1};
  for (const int64_t n : {1, 2, 4, 8})
    if (length % (n * lanes) == 0)
      chains.choices.push_back(n);
  for (const int64_t n : chains.choices)
    if (n <= 4)
      chains.default_value = n;
  return {chains};
}

Result<Stmt> lower(const TileCall& call, TileContext& context) {
  TEMPER_TRY(shape, ops::reduce_shape(call));
  TEMPER_TRY(chains, tile_knob(call, knobs(call, context)[0]));
  const Buffer& to = call.regions[1].buffer;
  const DataType dtype = to->dtype;
  const int64_t lanes = context.options.lanes(dtype) * chains;
  const int64_t length = *as_int(shape.length);
  const bool zero = ops::reduce_starts_at_zero(call);

  const TileLoops outer(shape.kept);
  const std::vector<Expr> out = ops::reduce_place(call, shape, outer.indices);
  const auto element = [&](const Expr& position) {
    return ops::reduce_element(call, shape, outer.indices, position);
  };
  const auto joined = [&](const Expr& a, const Expr& b) { return ops::reduce_join(call, a, b); };
  const Buffer part = make_buffer("part", dtype, {int32(lanes)}, "shared");
  const auto over_lanes = [&](auto&& make) {
    const Var l = make_var("l");
    return loop_over(l, lanes, ForKind::kVectorized, make(Expr(l)));
  };
  const Stmt start = over_lanes([&](const Expr& l) {
    return make_store(part, {l}, zero ? make_const(dtype, 0) : element(l));
  });
  const Var r = make_var("r");
  const int64_t first = zero ? 0 : 1;
  const Stmt steps = make_for(
      r, int32(first), int32(length / lanes - first), ForKind::kSerial,
      over_lanes([&](const Expr& l) {
        return make_store(part, {l}, joined(make_load(part, {l}), element(Expr(r) * lanes + l)));
      }));
  std::vector<Stmt> body{make_alloc(part), start};
  if (length / lanes > first)
    body.push_back(steps);
  // The result on its own, so that the sum of lanes has one place to go to.
  const bool clear = flag_option(call, "clear");
  const Var t = make_var("t");
  if (clear)
    body.push_back(make_store(to, out, zero ? make_const(dtype, 0) : make_load(part, {int32(0)})));
  body.push_back(
      loop_over(t, lanes, ForKind::kSerial,
                make_store(to, out, joined(make_load(to, out), make_load(part, {Expr(t)}))),
                Annotations().with(kReduceLanes, int32(1))));
  return outer.wrap(make_seq(std::move(body)), ForKind::kSerial);
}

} // namespace

TileVariant reduce_lanes_variant(const std::string& op) {
  return {.op = op,
          .target = TargetKind::kCpu,
          .scope = "block",
          .name = "lanes",
          .doc = "along the last dimension: a vector of partial results, its lanes at the end",
          .fits = fits,
          .knobs = knobs,
          .lower = lower};
}

} // namespace temper::tir::cpu
