/// Shared memory of a block: where its buffers lie, and which barriers their use needs.
#pragma once

#include "ir/function.h"
#include "ir/support/function_ref.h"
#include "ir/tir/stmt.h"

#include <utility>

namespace temper::tir {

/// Annotation of an allocation in shared memory: bytes from the start of the block's.
inline constexpr const char* kSharedOffset = "shared_offset";

/// Gives every buffer in shared memory of each kernel of threads its place; buffers whose lives do
/// not overlap share it. A place that is annotated is kept.
PrimFunc plan_shared_memory(const PrimFunc& function);

/// Takes out the block's barriers that order nothing. Those of the program itself, which have a
/// line, stay; of the others one stays between two accesses to the same shared or global memory, if
/// one of them writes and they belong to different steps. What an asynchronous copy writes counts
/// from the wait for it on. The barriers of single warps become sync_warp.
PrimFunc remove_barriers(const PrimFunc& function);

/// Stores by the tensor memory accelerator are waited for where their memory is written again, or
/// at the end of the kernel. Comes behind the plan and before barriers are taken out.
PrimFunc delay_store_waits(const PrimFunc& function);

/// Asynchronous copies that follow each other are waited for together.
PrimFunc join_waits(const PrimFunc& function);

// For these passes.

/// The bytes of the block's shared memory from which and up to which a planned buffer lies;
/// negative where it is not planned.
std::pair<int64_t, int64_t> shared_place(const AllocBuffer& alloc);

/// The function with `change` of each of its kernels of threads: a launch, or the outermost of the
/// loops that are bound to blocks and threads.
PrimFunc each_kernel_of_threads(const PrimFunc& function,
                                FunctionRef<Stmt(const Stmt& kernel)> change);

} // namespace temper::tir
