/// A step of lower_tiles.h, between dispatch_tiles and lower_atomics: buffers of a loop's body that
/// are filled with the same in each round are filled before the loop.
#pragma once

#include "ir/function.h"
#include "ir/tir/stmt.h"

namespace temper::tir {

PrimFunc hoist_layouts(const PrimFunc& function);

} // namespace temper::tir
