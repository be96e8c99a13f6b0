/// Lowering without expanding: what unrolls loops leaves them in place instead, marked T.unroll,
/// for whoever wants to know what is in a kernel and not to compile it (tuner/cost/analytical.h). A
/// kernel in this form is a tenth of the size.
///
///   for k in range(512):                               for k in range(512):
///     for i in T.unroll(8):                    for       r[0:16] = r[0:16] + A[k] * B[..]
///       r[i * 16 : +16] = r[i * 16 : +16]                r[16:32] = r[16:32] + A[512 + k] * B[..]
///                         + A[i * 512 + k] * B[..]       ...
///
/// Loops stay where their variables are terms of indices only, so that a copy differs from the
/// others by constants; others are expanded as ever. Slots of register tiles lie at the offsets
/// that they have in memory. Hints that T.prefetch asks for are not inserted.
#pragma once

#include "ir/pass/lowering.h"

namespace temper::ir {

/// Loop annotation between the two passes: it is a tile's, and counts as expanded.
inline constexpr const char* kFolded = "temper.folded";

/// promote_registers, the loops of its tiles kept.
PrimFunc promote_registers_folded(const PrimFunc& function, const LowerOptions& options);
/// unroll_loops, those that would be expanded kept and marked.
PrimFunc unroll_loops_folded(const PrimFunc& function, const LowerOptions& options);

} // namespace temper::ir
