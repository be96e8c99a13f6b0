/// Layout inference on tile programs: poses ir/tir/layout_inference.h's problem for each kernel,
/// and writes what was found beside the allocations.
///
///   S = T.alloc_shared((64, 64), "float16")
///     -> S = T.alloc_shared((64, 64), "float16", annotations={"layout": T.Layout(..., swizzle=(3,
///     3, 3))})
#pragma once

#include "ir/tir/layout_inference.h"
#include "ir/tir/tile.h"

namespace temper::tir {

/// Annotation of an allocation: its layout, as an expression (to_expr). One that is there is the
/// program's own and is kept.
inline constexpr const char* kLayoutAnnotation = "layout";

/// Annotations of a T.gemm for tensor cores, which a search may set: how many warps share the rows
/// of C, and the bytes of the XOR swizzle of an operand in shared memory (0: none).
inline constexpr const char* kWarpRows = "warp_rows";
inline constexpr const char* kWgmma = "wgmma"; ///< the variant: warpgroups instead of warps
/// The variant of a T.copy out of shared memory that the tensor memory accelerator makes: its
/// source lies with a swizzle.
inline constexpr const char* kTmaStore = "tma_store";
inline constexpr const char* kSwizzleA = "swizzle_A";
inline constexpr const char* kSwizzleB = "swizzle_B";

struct KernelLayouts {
  LayoutProblem problem;
  std::vector<Buffer> buffers; ///< of problem.buffers, in order
  /// Of each buffer the dimensions that every thread holds all of, which the problem leaves out
  /// (`part[r, v]` in a T.Parallel over v, r of a loop around it); empty: there are none.
  std::vector<std::vector<bool>> rows;
};

/// The fragments and shared buffers of a kernel and the operators that use them. Shapes and the
/// number of threads must be constant.
Result<KernelLayouts> layout_problem_of(const KernelLaunch& kernel, bool wgmma = false,
                                        bool mfma = false);

/// The function with a layout on every allocation of a fragment or of shared memory in its kernels.
/// `mfma`: products are AMD's, by waves of 64 threads (ir/tir/mfma.h).
Result<PrimFunc> annotate_layouts(const PrimFunc& function, bool wgmma = false, bool mfma = false);

} // namespace temper::tir
