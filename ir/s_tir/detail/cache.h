/// What cache_read and cache_write share: some blocks of a scope use a cache in place of a buffer,
/// and a block copies from one to the other.
#pragma once

#include "ir/s_tir/detail/nest.h"

namespace temper::s_tir {

struct Cache {
  Buffer buffer; ///< what is cached
  Buffer cache;
  CopyBlock copy;
  std::vector<BlockId> users; ///< the blocks that use the cache
};

/// The scope with `old_part` (its body or init) replaced by `with_copy`, the same with the copy in
/// its place; there the users are switched to the cache, which the scope allocates. The copy's
/// handle is the output.
Applied insert_cache(const Context& context, const ScopedBlock& scoped, const Cache& cache,
                     const Stmt& old_part, const Stmt& with_copy);

/// An error inside a block that is a tile of many (blockize), or holds a part of the iterations (a
/// partition): it sees a part of each buffer, and
/// what of it the others make is not known there.
Result<void> require_no_tile(const Context& context, const ScopedBlock& scoped);
/// An error for a buffer that is made outside a scope within the function's own: the box around
/// what is read inside may hold elements that nothing writes, as the padding of a layout.
Result<void> require_whole_input(const Context& context, const ScopedBlock& scoped,
                                 const Buffer& buffer);

/// One use for each of the block's regions (SBlock::reads or writes) that `apply` takes.
std::vector<Arguments> enumerate_caches(const Context& context, const Value& handle,
                                        std::vector<BufferRegion> SBlock::*regions,
                                        Result<Applied> (*apply)(const Context&, const Arguments&));

} // namespace temper::s_tir
