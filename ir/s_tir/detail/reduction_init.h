/// A reduction block taken apart: its init as a block of its own, and the block without it. What
/// decompose_reduction and blockize share.
#pragma once

#include "ir/s_tir/detail/scoped_block.h"

#include <span>
#include <vector>

namespace temper::s_tir {

struct InitBlock {
  Block block;              ///< "C_init", over the spatial axes of the block
  std::vector<Expr> values; ///< what these are bound to
};
/// `values`: what all axes of the block are bound to where the init is to stand.
InitBlock init_block_of(const Block& block, std::span<const Expr> values, Annotations annotations);

/// The block without its init: it reads what it accumulates into.
Block without_init(const Block& block, std::string name);

} // namespace temper::s_tir
