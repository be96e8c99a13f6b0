/// A buffer that a block allocates, found through a block that touches it: what primitives that
/// change a buffer itself (its scope, its type, its strides) start from.
#pragma once

#include "ir/s_tir/primitives/common.h"

namespace temper::s_tir {

enum class Side : uint8_t { kRead, kWrite };

/// "read" or "write", as the attribute `parameter` says; an error for any other text.
Result<Side> parse_side(std::string_view parameter, const std::string& text);

/// Region `index` of a block's reads or writes; an error when there is none.
Result<BufferRegion> require_region(const Context& context, const Value& at, const Block& block,
                                    Side side, int64_t index);

struct AllocatedBuffer {
  BlockPlace place; ///< the block that touches it
  Buffer buffer;
  size_t owner_at = 0; ///< where in place.chain the realize of the allocating block stands
  const SBlockRealize& owner_realize() const {
    return static_cast<const SBlockRealize&>(*place.chain[owner_at]);
  }
  const Block& owner() const { return owner_realize().block; }
};
/// Buffer `index` of what the block writes; an error when no block around allocates it, as for a
/// parameter (`to_do`: what the primitive would do with it, "the scope of a parameter is seen
/// outside").
Result<AllocatedBuffer> require_allocated(const Context& context, const Value& at, int64_t index,
                                          std::string_view to_do);

/// The module with the allocating block replaced.
IRModule replace_owner(const Context& context, const AllocatedBuffer& allocated, Block owner);

} // namespace temper::s_tir
