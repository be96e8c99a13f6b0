/// A block alone in loops that are its axes, one by one: where axes can change as a whole.
#pragma once

#include "ir/s_tir/detail/scoped_block.h"

namespace temper::s_tir {

struct WholeNest {
  size_t outermost = 0;          ///< where in the chain the outermost loop (or the realize) stands
  std::vector<const For*> loops; ///< in order
  std::vector<Expr> extents;     ///< of the axes; symbolic ones where the loop has the same
  /// The loop of each axis; null for an axis of extent 1 that is bound to a constant.
  std::vector<const For*> loop_of_axis;
};
/// Or the error that says what is not so: other blocks in the loops, a split or fused loop, a
/// predicate, annotations, a loop that repeats the block.
Result<WholeNest> require_whole_nest(const Context& context, const Value& at,
                                     const ScopedBlock& scoped);

} // namespace temper::s_tir
