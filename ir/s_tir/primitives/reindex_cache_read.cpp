/// ReindexCacheRead: a block reads a buffer through a cache whose indices are given by a map of the
/// block's axes.
#include "ir/s_tir/detail/reindex.h"

namespace temper::s_tir {

void register_reindex_cache_read() {
  register_reindex_cache<Side::kRead>(
      "ReindexCacheRead", "reindex_cache_read", "read_buffer_index",
      R"(What the block reads of a buffer comes from a cache in `storage_scope`, which a new block, the
one returned, fills for all values of the block's axes. `index_map`, a lambda, gives the cache's
indices from the axes; it must tell apart what the access does.

    # reindex_cache_read(C, 0, "shared", lambda i, j, k: (k, i))
                                                    A_shared[vk, vi] = A[vi, vk]
    C[vi, vj] += A[vi, vk] * B[vk, vj]      →       C[vi, vj] += A_shared[vk, vi] * B[vk, vj])");
}

} // namespace temper::s_tir
