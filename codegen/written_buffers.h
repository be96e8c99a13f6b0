/// Which buffers a lowered program writes.
#pragma once

#include "ir/function.h"

#include <unordered_set>

namespace temper::codegen {

/// By stores, and by operations that take an element's address (atomics, asynchronous copies).
std::unordered_set<const ir::BufferNode*> written_buffers(const ir::PrimFunc& function);

} // namespace temper::codegen
