/// Versions of shared buffers: what pipelines (pipeline.h, pipeline_order.h) do with a buffer that
/// holds several iterations at a time. Private to ir/tir.
#pragma once

#include "ir/tir/tile.h"
#include "ir/walk.h"

#include <optional>
#include <unordered_map>
#include <unordered_set>

namespace temper::tir {

inline bool is_shared(const Buffer& buffer) { return tile_scope(buffer->scope) == "shared"; }

/// How often each buffer is mentioned below a node: in operators' regions, loads and stores.
std::unordered_map<const BufferNode*, int> uses_below(const NodeRef& root);

/// What is written below a node: by stores, by operators, and through addresses.
std::unordered_set<const BufferNode*> written_below(const NodeRef& root);

/// The region is all of its buffer.
bool is_whole(const BufferRegion& region);

/// The buffer with `stages` versions of itself, one behind the other.
Buffer with_versions(const Buffer& buffer, int64_t stages);

/// `stmt` with the buffers replaced by those with versions, of which it uses number `stage`.
Stmt staged(const Stmt& stmt, const BufferMap& stages, const Expr& stage);

/// Allocations of the buffers, with their versions. A layout of the program's own is that of one.
Stmt with_stages(const Stmt& body, const BufferMap& stages);

/// How many products of wgmma may be under way when an iteration of the body ends, each iteration
/// having at least one: they are those of as many iterations. Nothing: that is not known, as they
/// stand under conditions or nothing waits for them.
std::optional<int64_t> products_under_way(const Stmt& body);

/// What waits for products waits for all of them.
Stmt finished(const Stmt& stmt);
/// The products of a loop's body are done when it ends: the next iteration's copies go where they
/// read.
Stmt drained(const Stmt& body);

} // namespace temper::tir
