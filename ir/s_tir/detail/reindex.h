/// What reindex, reindex_cache_read and reindex_cache_write share: a block uses a buffer through a
/// copy that is laid out by the block's own axes.
///
///   C[vi, vj] += X[vi, vj + vk] * ..  →  C[vi, vj] += X_reindex[vi, vj, vk] * ..
///
/// The copy is made for all values of the axes: in front of the block for what it reads, behind it
/// for what it writes.
#pragma once

#include "ir/s_tir/detail/allocated.h"
#include "ir/s_tir/detail/scoped_block.h"

namespace temper::s_tir {

struct ReindexRequest {
  Side side = Side::kRead;
  int64_t index = 0;
  /// A lambda from the block's axes to the indices of the copy; empty: the axes that the access
  /// mentions, in their order.
  std::string index_map;
  /// Where the copy lives; empty: where the buffer does.
  std::string storage;
};
Result<Applied> reindex_region(const Context& context, const Value& at,
                               const ReindexRequest& request);

} // namespace temper::s_tir
