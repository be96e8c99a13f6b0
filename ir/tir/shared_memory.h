/// Shared memory of a block: where its buffers lie, and which barriers their use needs.
#pragma once

#include "ir/function.h"
#include "ir/tir/stmt.h"

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

/// Asynchronous copies that follow each other are waited for together.
PrimFunc join_waits(const PrimFunc& function);

} // namespace temper::tir
