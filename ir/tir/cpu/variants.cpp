#include "ir/tir/cpu/variants.h"

#include "ir/arith/simplify.h"

namespace temper::tir::cpu {

bool is_inside(const BufferRegion& region, Analyzer& math) {
  for (size_t d = 0; d < region.region.size(); ++d) {
    const Range& range = region.region[d];
    const Expr end = range.min + tile_cast(range.min->dtype, range.extent);
    if (!math.can_prove(make_binary<LE>(make_int(range.min->dtype, 0), range.min)) ||
        !math.can_prove(make_binary<LE>(end, tile_cast(range.min->dtype, region.buffer->shape[d]))))
      return false;
  }
  return true;
}

Result<void> check_inside(const TileCall& call, TileContext& context) {
  for (const BufferRegion& region : call.regions)
    if (region.buffer->scope == "global" && !is_inside(region, context.math))
      return Error(ErrorCode::kUnsupported, tile_text(region) + " may hang over the edge of " +
                                                region.buffer->name + "; copy it into a tile");
  return {};
}

bool reads_through(const TileCall& call, size_t operand, TileContext& context) {
  const auto variant = choose_tile_variant(call, context);
  if (!variant || operand > 1)
    return false;
  return (*variant)->name == kAmxProduct ||
         ((*variant)->name == kRegisterTile && register_tile_lays_out(call, operand, context));
}

std::vector<TileVariant> variants() {
  std::vector<TileVariant> list;
  list.push_back(gemm_amx());
  list.push_back(gemm_register_tile());
  list.push_back(lookup_shuffle());
  for (const char* op : {"reduce_sum", "reduce_max", "reduce_min", "reduce_absmax"}) {
    list.push_back(reduce_lanes_variant(op));
    list.push_back(reduce_rows_variant(op));
  }
  list.push_back(loops());
  return list;
}

} // namespace temper::tir::cpu
