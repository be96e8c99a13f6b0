/// The shape of a T.gemm call, for its variants.
#pragma once

#include "ir/tir/tile_ops.h"

namespace temper::tir::ops {

struct GemmShape {
  Expr m;
  Expr n;
  Expr k;
  bool transpose_a = false;
  bool transpose_b = false;
};

/// An error says in one sentence which operands do not fit.
Result<GemmShape> gemm_shape(const TileCall& call);

} // namespace temper::tir::ops
