/// Versions of shared buffers: what pipelines (pipeline.h, pipeline_order.h) do with a buffer that
/// holds several iterations at a time. Private to ir/tir.
#pragma once

#include "ir/tir/tile.h"
#include "ir/walk.h"

#include <unordered_map>

namespace temper::tir {

inline bool is_shared(const Buffer& buffer) { return tile_scope(buffer->scope) == "shared"; }

/// How often each buffer is mentioned below a node: in operators' regions, loads and stores.
std::unordered_map<const BufferNode*, int> uses_below(const NodeRef& root);

/// The region is all of its buffer.
bool is_whole(const BufferRegion& region);

/// The buffer with `stages` versions of itself, one behind the other.
Buffer with_versions(const Buffer& buffer, int64_t stages);

/// `stmt` with the buffers replaced by those with versions, of which it uses number `stage`.
Stmt staged(const Stmt& stmt, const BufferMap& stages, const Expr& stage);

/// Allocations of the buffers, with their versions. A layout of the program's own is that of one.
Stmt with_stages(const Stmt& body, const BufferMap& stages);

/// Its products are done when it ends: the next iteration's copies go where they read.
Stmt finished(const Stmt& stmt);

} // namespace temper::tir
