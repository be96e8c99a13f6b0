/// ReindexCacheWrite: a block writes a buffer through a cache whose indices are given by a map of
/// the block's axes.
#include "ir/s_tir/detail/reindex.h"

namespace temper::s_tir {

void register_reindex_cache_write() {
  register_reindex_cache<Side::kWrite>(
      "ReindexCacheWrite", "reindex_cache_write", "write_buffer_index",
      R"(The block writes a cache in `storage_scope`, and a new block, the one returned, copies it to
where the result belongs. `index_map`, a lambda, gives the cache's indices from the block's axes.

    # reindex_cache_write(C, 0, "local", lambda i, j, k: (i // 2, j, i % 2))
                                                    C_local[vi // 2, vj, vi % 2] += ...
    C[vi, vj] += A[vi, vk] * B[vk, vj]      →       C[v0, v1] = C_local[v0 // 2, v1, v0 % 2])");
}

} // namespace temper::s_tir
