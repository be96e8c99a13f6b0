/// The shape of a reduction over tiles, for its variants.
#pragma once

#include "ir/tir/tile_ops.h"

namespace temper::tir::ops {

struct ReduceShape {
  size_t dim = 0;         ///< of the region that is folded
  Expr length;            ///< its extent
  std::vector<Expr> kept; ///< the other extents, those of 1 too
};

/// An error says in one sentence which operands do not fit.
Result<ReduceShape> reduce_shape(const TileCall& call);

/// Of what is folded, by the operator's name: an element as it counts, and two of them joined.
Expr reduce_element(const std::string& op, const Expr& value);
Expr reduce_joined(const std::string& op, const Expr& a, const Expr& b);

} // namespace temper::tir::ops
