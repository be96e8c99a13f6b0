/// What blockize and tensorize share.
#pragma once

#include "ir/s_tir/primitive.h"

namespace temper::s_tir {

struct Blockized {
  IRModule module;
  Block block; ///< the new one
};

/// The loop, all that is below it in a block of its own (primitives/blockize.cpp says how).
Result<Blockized> blockize_loop(const Context& context, const Value& loop,
                                bool preserve_unit_iters);

} // namespace temper::s_tir
