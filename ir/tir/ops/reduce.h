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

/// Where in `out` the result for these indices of the kept dimensions goes.
std::vector<Expr> reduce_place(const TileCall& call, const ReduceShape& shape,
                               const std::vector<Expr>& kept);
/// An element as the operator counts it.
Expr reduce_counted(const TileCall& call, const Expr& value);
/// What is folded at `position` along the dimension, in the type of `out`.
Expr reduce_element(const TileCall& call, const ReduceShape& shape, const std::vector<Expr>& kept,
                    const Expr& position);
/// Two partial results as one.
Expr reduce_join(const TileCall& call, const Expr& a, const Expr& b);
/// Whether nothing folded gives 0; the others start from an element.
bool reduce_starts_at_zero(const TileCall& call);

} // namespace temper::tir::ops
