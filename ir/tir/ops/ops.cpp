#include "ir/tir/ops/ops.h"

namespace temper::tir::ops {

std::vector<const TileOp*> all() {
  return {&copy(),       &clear(),      &fill(),          &gemm(),  &reduce_sum(),
          &reduce_max(), &reduce_min(), &reduce_absmax(), &cumsum()};
}

} // namespace temper::tir::ops
