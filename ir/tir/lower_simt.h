/// Tile programs to flat programs of threads: the form that ir/tir/emulator runs and CUDA C++ is
/// printed from.
///
///   acc = T.alloc_fragment((64, 64), "float32")      acc = T.alloc_local((32,), "float32")
///   for i, j in T.Parallel(64, 64):            ->    for r in range(32):
///       acc[i, j] = acc[i, j] * x[i]                     i = ...(tx, r); j = ...(tx, r)
///                                                        acc[r] = acc[r] * x[...(i)]
///
/// Fragments become registers by their inferred layouts (ir/tir/kernel_layouts.h), so that a layout
/// that does not hold what a loop needs shows. Each operator becomes the code of its variant for
/// the architecture (ir/tir/cuda), or its meaning, shared out among the threads; what an operator
/// then reads of a fragment in other threads' registers goes through shared memory. Threads meet
/// around every step that touches shared memory; remove_barriers (ir/tir/shared_memory.h) leaves
/// those that order something.
#pragma once

#include "ir/function.h"
#include "ir/support/result.h"
#include "ir/tir/dispatch.h"
#include "ir/tir/stmt.h"

#include <string>
#include <vector>

namespace temper::tir {

/// Every kernel of the function. Shapes of fragments and extents of T.Parallel must be constant.
/// `architecture`: 80 for sm_80; 0: no variants, every operator by its meaning.
Result<PrimFunc> lower_simt(const PrimFunc& function, int architecture = 0);

/// For temper-opt --dispatch: which variant each call of the function takes on the architecture,
/// and why others were refused.
std::string simt_dispatch(const PrimFunc& function, int architecture);

/// What the function leaves open on the architecture: variants and knobs of its operators
/// (instructions and copies, swizzles, how warps share a product), stages of pipelines that name
/// none
/// ("pipeline.num_stages"), threads of kernels that name none ("kernel.threads"). In order of the
/// text.
Result<std::vector<OpenCall>> simt_open_calls(const PrimFunc& function, int architecture);

} // namespace temper::tir
