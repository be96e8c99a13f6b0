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

// reindex_cache_read and reindex_cache_write: the map and the scope are arguments.
Result<Applied> reindex_cache(Side side, const Context& context, const Arguments& arguments);
/// The axes that the first access mentions, turned round.
std::vector<Arguments> enumerate_reindex_cache(Side side, const Context& context,
                                               const Value& handle);

template <Side kSide>
Result<Applied> reindex_cache(const Context& context, const Arguments& arguments) {
  return reindex_cache(kSide, context, arguments);
}
template <Side kSide>
void register_reindex_cache(const char* name, const char* python_name, const char* index,
                            const char* summary) {
  register_primitive({
      .name = name,
      .python_name = python_name,
      .inputs = {{.name = "block", .kind = ValueKind::kBlock},
                 {.name = "index_map", .kind = ValueKind::kIndexMap}},
      .attrs = {{.name = index, .kind = ValueKind::kInt},
                {.name = "storage_scope", .kind = ValueKind::kString}},
      .outputs = {ValueKind::kBlock},
      .python_order = {"block", index, "storage_scope", "index_map"},
      .summary = summary,
      .check = check_by_applying<reindex_cache<kSide>>,
      .apply = reindex_cache<kSide>,
      .enumerate =
          [](const Context& context, const Value& handle) {
            return enumerate_reindex_cache(kSide, context, handle);
          },
  });
}

} // namespace temper::s_tir
