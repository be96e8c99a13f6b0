/// Blocks that make something of an input ahead of the block that reads it: what convert_operand
/// and offset_operand share.
#pragma once

#include "ir/s_tir/detail/scoped_block.h"

#include <span>
#include <string>
#include <vector>

namespace temper::s_tir {

/// A block of its own under loops over whole axes: call axis() for each, then nest().
struct NewBlock {
  std::vector<Var> loops;
  std::vector<IterVar> axes;
  Block block; ///< null until nest() has made it

  /// One more axis, of [0, extent).
  Var axis(const std::string& name, const Expr& extent, IterType type);
  /// The block under its loops; its regions are found from what `init` (may be null) and `body`
  /// access.
  Stmt nest(const std::string& name, Stmt init, Stmt body);
};

/// Ok when the block stands directly in its function's root block and nothing in there writes the
/// buffers, so that a new block in front of the others sees them as this one does.
Result<void> require_inputs_of_root(const Context& context, const ScopedBlock& scoped,
                                    std::span<const Buffer> buffers);

} // namespace temper::s_tir
