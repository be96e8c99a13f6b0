#include "ir/tir/cpu/variants.h"

namespace temper::tir::cpu {

std::vector<TileVariant> variants() {
  std::vector<TileVariant> list;
  list.push_back(gemm_register_tile());
  for (const char* op : {"reduce_sum", "reduce_max", "reduce_min", "reduce_absmax"})
    list.push_back(reduce_lanes_variant(op));
  list.push_back(loops());
  return list;
}

} // namespace temper::tir::cpu
