#include "ir/tir/cuda/variants.h"

#include "ir/tir/kernel_layouts.h"
#include "ir/tir/layout_inference.h"
#include "ir/walk.h"

namespace temper::tir::cuda {

std::vector<TileVariant> variants() {
  std::vector<TileVariant> list{gemm_mma(), gemm_wgmma(), gemm_mfma(),     copy_async(),
                                copy_tma(), store_tma(),  copy_stmatrix(), copy_vector()};
  for (const char* op : {"reduce_sum", "reduce_max", "reduce_min", "reduce_absmax", "reduce_abssum",
                         "reduce_bitand", "reduce_bitor", "reduce_bitxor"}) {
    list.push_back(reduce_shuffle(op));
    list.push_back(reduce_shared(op));
  }
  list.push_back(threads());
  return list;
}

std::optional<std::vector<int64_t>> constant_shape(const Buffer& buffer) {
  std::vector<int64_t> shape;
  for (const Expr& extent : buffer->shape) {
    const auto value = as_int(extent);
    if (!value)
      return std::nullopt;
    shape.push_back(*value);
  }
  return shape;
}

std::optional<int> tile_swizzle(const Buffer& buffer, const GpuKernel& gpu) {
  const auto shape = constant_shape(buffer);
  if (!shape || shape->size() < 2)
    return std::nullopt;
  const auto layout = gpu.layout(buffer);
  if (!layout)
    return 0;
  for (const int bytes : {128, 64, 32, 0})
    if (const auto tiles = shared_tiles(*shape, buffer->dtype.bits, bytes);
        tiles && equivalent(*tiles, *layout))
      return bytes;
  return std::nullopt;
}

TileKnob swizzle_knob(const char* name, const BufferRegion& region) {
  const auto columns = as_int(region.buffer->shape.back());
  TileKnob knob{name, {}, widest_swizzle(columns.value_or(1), region.buffer->dtype.bits)};
  for (int64_t bytes = knob.default_value; bytes >= 32; bytes /= 2)
    knob.choices.push_back(bytes);
  return knob;
}

bool is_fragment(const BufferRegion& region) {
  return tile_scope(region.buffer->scope) == "fragment";
}

void add_operand_swizzles(const TileCall& call, std::vector<TileKnob>& knobs) {
  for (const auto& [name, region] :
       {std::pair(kSwizzleA, &call.regions[0]), std::pair(kSwizzleB, &call.regions[1])}) {
    if (is_fragment(*region))
      continue;
    TileKnob swizzle = swizzle_knob(name, *region);
    swizzle.choices.push_back(0);
    knobs.push_back(std::move(swizzle));
  }
}

std::vector<Expr> coordinate(const Expr& number, const std::vector<int64_t>& shape) {
  std::vector<Expr> indices(shape.size());
  int64_t weight = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    const Expr index = weight > 1 ? floordiv(number, weight) : number;
    weight *= shape[d];
    indices[d] = d > 0 ? floormod(index, shape[d]) : index;
  }
  return indices;
}

Stmt unrolled(const Var& var, int64_t extent, const Stmt& body) {
  if (extent == 1)
    return substitute(body, {{var, make_int(var->dtype, 0)}});
  return make_for(var, make_int(var->dtype, 0), make_int(var->dtype, extent), ForKind::kUnrolled,
                  body);
}

TileVariant threads() {
  return {.op = "*",
          .target = TargetKind::kCuda,
          .scope = "block",
          .name = "threads",
          .doc = "the operator's meaning, element by element, shared out among the threads",
          .lower = [](const TileCall& call, TileContext&) -> Result<Stmt> {
            return find_tile_op(call.op)->meaning(call);
          }};
}

} // namespace temper::tir::cuda
