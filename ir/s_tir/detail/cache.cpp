#include "ir/s_tir/detail/cache.h"

#include "ir/s_tir/detail/index_math.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {

Applied insert_cache(const Context& context, const ScopedBlock& scoped, const Cache& cache,
                     const Stmt& old_part, const Stmt& with_copy) {
  const BufferMap replaced{{cache.buffer, cache.cache}};
  Stmt body = rewrite_child_blocks(with_copy, [&](const Block& child) {
    const bool uses =
        std::find(cache.users.begin(), cache.users.end(), child->id) != cache.users.end();
    return uses ? cast_ref<SBlock>(replace_buffers(child, replaced)) : child;
  });
  Block scope_block = with_scope_part(scoped.scope_block(), old_part, std::move(body));
  scope_block =
      copy_node(*scope_block, [&](SBlock& node) { node.alloc_buffers.push_back(cache.cache); });
  Applied applied;
  applied.module = replace_scope(context, scoped, std::move(scope_block));
  applied.outputs = {BlockHandle{cache.copy.block->id}};
  return applied;
}

Result<void> require_no_tile(const Context& context, const ScopedBlock& scoped) {
  const auto refuse = [&](const SBlock& around) {
    return illegal(context, BlockHandle{scoped.block()->id},
                   fmt::format("{} stands inside block \"{}\", one tile of many: cache before "
                               "blockize",
                               describe(scoped.block()), around.name));
  };
  // A block of one step may stand in one of many.
  IndexMath math;
  int blocks = 0;
  for (const Stmt& stmt : scoped.scope_chain()) {
    const auto* around = stmt.as<SBlockRealize>();
    if (around == nullptr)
      continue;
    ++blocks;
    math.set_axes(*around->block);
    for (const IterVar& axis : around->block->iter_vars)
      if (!is_int(axis.domain.extent, 1))
        return refuse(*around->block);
  }
  if (blocks < 2)
    return {};
  // A single tile may still hold a part of what the block does, as one of its partitions.
  for (const For* loop : scoped.info().loops)
    math.set_loop(*loop);
  const SBlockRealize& realize = scoped.realize();
  for (size_t i = 0; i < realize.iter_values.size(); ++i) {
    const Range& domain = realize.block->iter_vars[i].domain;
    const Bound reached = math.bound(realize.iter_values[i]);
    if (reached.lo > math.bound(domain.min).hi ||
        reached.hi < math.bound(domain.min + domain.extent).lo - 1)
      return refuse(*scoped.scope_block());
  }
  return {};
}

Result<void> require_whole_input(const Context& context, const ScopedBlock& scoped,
                                 const Buffer& buffer) {
  const SBlockRealize* outermost = nullptr;
  for (const Stmt& stmt : scoped.scope_chain())
    if (outermost == nullptr)
      outermost = stmt.as<SBlockRealize>();
  if (outermost == nullptr || outermost->block == scoped.scope_block())
    return {};
  bool made = false;
  walk(outermost->block, [&](const NodeRef& node) {
    if (const auto* block = node.as<SBlock>())
      made |= std::any_of(block->writes.begin(), block->writes.end(),
                          [&](const BufferRegion& write) { return write.buffer == buffer; });
    return !made && node->kind() != BufferStore::kKind;
  });
  if (!made)
    return {};
  return illegal(context, BlockHandle{scoped.block()->id},
                 fmt::format("{} is made outside {}, where not all of the box around what {} reads "
                             "may be written: cache it there",
                             buffer->name, describe(scoped.scope_block()),
                             describe(scoped.block())));
}

std::vector<Arguments> enumerate_caches(const Context& context, const Value& handle,
                                        std::vector<BufferRegion> SBlock::*regions,
                                        Result<Applied> (*apply)(const Context&,
                                                                 const Arguments&)) {
  std::vector<Arguments> uses;
  const auto scoped = handle.as_block() != nullptr ? require_in_scope(context, handle)
                                                   : Result<ScopedBlock>(Error());
  if (!scoped)
    return uses;
  const SBlock& block = *scoped->block();
  for (size_t i = 0; i < (block.*regions).size(); ++i) {
    Arguments use{.inputs = {handle, Value::List{}}, .attrs = {static_cast<int64_t>(i), "global"}};
    if (apply({context.module, nullptr, false}, use))
      uses.push_back(std::move(use));
  }
  return uses;
}

} // namespace temper::s_tir
