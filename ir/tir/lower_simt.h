/// Tile programs to flat programs of threads, the plain way: the form that ir/tir/emulator runs.
///
///   acc = T.alloc_fragment((64, 64), "float32")      acc = T.alloc_local((32,), "float32")
///   for i, j in T.Parallel(64, 64):            ->    for r in range(32):
///       acc[i, j] = acc[i, j] * x[i]                     i = ...(tx, r); j = ...(tx, r)
///                                                        acc[r] = acc[r] * x[...(i)]
///
/// Fragments become registers by their inferred layouts (ir/tir/kernel_layouts.h), so that a layout
/// that does not hold what a loop needs shows. Each operator is its meaning, shared out among the
/// threads; what an operator reads of a fragment in other threads' registers goes through shared
/// memory. Threads meet around every step that touches shared memory.
#pragma once

#include "ir/function.h"
#include "ir/support/result.h"
#include "ir/tir/stmt.h"

namespace temper::tir {

/// Every kernel of the function. Shapes of fragments and extents of T.Parallel must be constant.
Result<PrimFunc> lower_simt(const PrimFunc& function);

} // namespace temper::tir
