/// Where the buffers of a kernel lie in its shared memory.
#pragma once

#include "ir/tir/stmt.h"

#include <cstdint>
#include <unordered_map>

namespace temper::codegen {

/// Adds the offset in bytes of each buffer that is allocated in shared memory below `root`, as
/// planned (ir/tir/shared_memory.h) or one behind the other; the bytes of all of them.
int64_t shared_offsets(const ir::NodeRef& root,
                       std::unordered_map<const ir::BufferNode*, int64_t>& offsets);

} // namespace temper::codegen
