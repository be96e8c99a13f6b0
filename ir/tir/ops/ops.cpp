#include "ir/tir/ops/ops.h"

namespace temper::tir::ops {

std::vector<const TileOp*> all() {
  return {&copy(),          &clear(),        &fill(),          &gemm(),   &reduce_sum(),
          &reduce_max(),    &reduce_min(),   &reduce_absmax(), &cumsum(), &cummax(),
          &atomic_add(),    &atomic_max(),   &atomic_min(),    &lookup(), &reduce_abssum(),
          &reduce_bitand(), &reduce_bitor(), &reduce_bitxor()};
}

} // namespace temper::tir::ops
