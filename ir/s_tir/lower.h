/// From s-tir to tir: blocks become plain loops, conditions and stores.
///
///   for i, k in T.grid(64, 32):              for i in range(64):
///     with T.sblock("C"):                      C[i] = T.float32(0.0)
///       v_i, v_k = T.axis.remap("SR", ..)      for k in range(32):
///       with T.init():                           C[i] = C[i] + A[i, k]
///         C[v_i] = T.float32(0.0)
///       C[v_i] = C[v_i] + A[v_i, v_k]
///
/// What follows (compaction, vectors, registers) is tir's: ir/pass/lowering.h.
#pragma once

#include "ir/function.h"
#include "ir/s_tir/block.h"

#include <unordered_map>

namespace temper::s_tir {

/// Blocks without `init`: the initialisation becomes a loop nest of its own before the reduction
/// where the loops allow it, a condition "all reduction axes are at their start" elsewhere.
PrimFunc lower_init(const PrimFunc& function);

/// Where each buffer that blocks allocate is to live: the loop in whose body all accesses are (the
/// allocation then belongs to one iteration), or null for the block that allocates it.
using AllocationPlan = std::unordered_map<Buffer, Ref<For>, RefHash>;
AllocationPlan plan_allocations(const PrimFunc& function);

/// Blocks replaced by their bodies: axes by their values, predicates by conditions, matched buffers
/// by what they view, allocations by AllocBuffer statements where `plan_allocations` puts them. No
/// block may have an init any more. Annotations of loops stay, those of blocks end here.
/// `tensor_intrinsics`: tensorized blocks become the implementations of their entries, which
/// check_tensor_intrinsics() has found to fit; else what they describe is lowered like any code.
PrimFunc convert_blocks(const PrimFunc& function, bool tensor_intrinsics = false);

/// All of it; a function that is tir already comes back as it is.
PrimFunc lower_blocks(const PrimFunc& function, bool tensor_intrinsics = false);

} // namespace temper::s_tir
