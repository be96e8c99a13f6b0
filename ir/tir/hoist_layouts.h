/// Steps of lower_tiles.h: buffers of a loop's body that are filled with the same in each round are
/// filled before the loop.
#pragma once

#include "ir/function.h"
#include "ir/tir/stmt.h"

namespace temper::tir {

/// Between dispatch_tiles and lower_atomics: buffers that do not depend on the loop around them.
PrimFunc hoist_layouts(const PrimFunc& function);

/// Annotation of an allocation: share_layouts may fill the buffer ahead of the blocks that use it,
/// for all rounds of the loops in between, which takes so many times the memory.
inline constexpr const char* kShareLayout = "temper.share_layout";

/// After lower_kernels: buffers that allow it and depend on a loop inside of the blocks, but not on
/// which of the blocks that run in turn it is: all of them where the kernel has one thread anyway
/// (`alone`). The annotation is gone afterwards.
PrimFunc share_layouts(const PrimFunc& function, bool alone);

} // namespace temper::tir
