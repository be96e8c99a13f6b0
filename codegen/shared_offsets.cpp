#include "codegen/shared_offsets.h"

#include "ir/tir/tile.h"
#include "ir/walk.h"

#include <algorithm>

namespace temper::codegen {

int64_t shared_offsets(const ir::NodeRef& root,
                       std::unordered_map<const ir::BufferNode*, int64_t>& offsets) {
  int64_t end = 0;
  ir::walk(root, [&](const ir::NodeRef& node) {
    const auto* alloc = node.as<tir::AllocBuffer>();
    if (alloc == nullptr || tir::tile_scope(alloc->buffer->scope) != "shared")
      return true;
    const int64_t bytes =
        alloc->buffer->element_count().value_or(0) * alloc->buffer->dtype.element_bytes();
    const int64_t offset =
        alloc->annotations.get_int("shared_offset").value_or((end + 127) / 128 * 128);
    offsets[alloc->buffer.get()] = offset;
    end = std::max(end, offset + bytes);
    return true;
  });
  return end;
}

} // namespace temper::codegen
