// cache_write(block, write_buffer_index, storage_scope, consumer_blocks): the block writes a cache
// in another memory scope, and a new block copies it to where the result was written before.
//
// The copy stands behind the block's outermost loop, or, when a consumer shares loops with the
// block, behind the loop just below the shared ones, so that the consumer finds the result. It
// covers exactly what the block writes there. Consumers named in `consumer_blocks` read the cache
// instead.

#include "ir/s_tir/detail/cache.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(scoped, require_in_scope(context, arguments.inputs[0]));
  TEMPER_TRY_VOID(require_no_tile(context, scoped));
  const Block& block = scoped.block();
  const int64_t index = *arguments.attrs[0].as_int();
  const std::string& storage = *arguments.attrs[1].as_string();
  if (index < 0 || index >= static_cast<int64_t>(block->writes.size()))
    return illegal(context, arguments.inputs[0],
                   fmt::format("{} writes {} buffers: there is none with index {}", describe(block),
                               block->writes.size(), index));
  const BufferRegion& write = block->writes[static_cast<size_t>(index)];
  const Buffer& buffer = write.buffer;
  for (const Dependency& dependency : scoped.scope.dependencies) {
    if (dependency.kind != DependencyKind::kWriteAfterWrite)
      continue;
    const int other = dependency.from == scoped.child ? dependency.to
                      : dependency.to == scoped.child ? dependency.from
                                                      : -1;
    if (other >= 0 && std::any_of(scoped.info(other).block().writes.begin(),
                                  scoped.info(other).block().writes.end(),
                                  [&](const BufferRegion& w) { return w.buffer == buffer; }))
      return illegal(context, arguments.inputs[0],
                     fmt::format("{} is not the only block that writes {}: block \"{}\" does too",
                                 describe(block), buffer->name, scoped.info(other).block().name));
  }
  if (std::any_of(block->reads.begin(), block->reads.end(),
                  [&](const BufferRegion& read) { return read.buffer == buffer; }))
    return illegal(context, arguments.inputs[0],
                   fmt::format("{} updates {}, which it also reads: a cache would start without "
                               "its values",
                               describe(block), buffer->name));
  if (!writes_every_element(*block, write) ||
      !predicate_follows_from_domains(scoped.realize(), scoped.info().loops))
    return illegal(context, arguments.inputs[0],
                   fmt::format("{} leaves gaps in the region of {} that it writes: the copy would "
                               "read elements of the cache that were never written",
                               describe(block), buffer->name));

  std::vector<BlockId> consumers;
  if (arguments.inputs.size() > 1 && arguments.inputs[1].as_list() != nullptr)
    for (const Value& consumer : *arguments.inputs[1].as_list()) {
      const BlockHandle* handle = consumer.as_block();
      const int at = handle != nullptr ? scoped.scope.index_of(handle->id) : -1;
      const std::vector<int> all = scoped.scope.consumers(scoped.child);
      if (at < 0 || std::find(all.begin(), all.end(), at) == all.end())
        return illegal(context, arguments.inputs[0],
                       fmt::format("a consumer block that is named does not read {} behind {}",
                                   buffer->name, describe(block)));
      consumers.push_back(handle->id);
    }

  // Where the copy stands: behind chain[at].
  const std::span<const Stmt> chain = scoped.place.chain;
  size_t at = scoped.scope_at + 1;
  size_t outer = 0; // loops above the copy
  for (size_t i = at; i < chain.size(); ++i) {
    const auto* seq = chain[i - 1].as<SeqStmt>();
    if (seq == nullptr)
      continue;
    bool later = false;
    bool consumed = false;
    for (const Stmt& sibling : seq->statements) {
      if (later && has_child_block(sibling, [&](const SBlock& other) {
            return std::any_of(other.reads.begin(), other.reads.end(),
                               [&](const BufferRegion& read) { return read.buffer == buffer; });
          }))
        consumed = true;
      later |= sibling == chain[i];
    }
    if (consumed || i == scoped.scope_at + 2) {
      at = i;
      outer = 0;
      for (size_t j = scoped.scope_at + 1; j < i; ++j)
        outer += chain[j].is<For>() ? 1 : 0;
    }
  }
  IndexMath math;
  for (size_t i = 0; i < outer; ++i)
    math.set_loop(*scoped.info().loops[i]);
  const auto box = access_box(math, scoped.info(), outer, write);
  if (!box)
    return illegal(context, arguments.inputs[0],
                   fmt::format("the region of {} that {} writes is not bounded by its loops",
                               buffer->name, describe(block)));

  if (outer > 0 && !touches_whole_box(math, scoped.info(), outer, write))
    return illegal(context, arguments.inputs[0],
                   fmt::format("{} leaves gaps in the region of {} that it writes in one iteration "
                               "of loop {}: the copy would read elements of the cache that were "
                               "not written yet",
                               describe(block), buffer->name,
                               scoped.info().loops[outer - 1]->loop_var->name));

  Cache cache{.buffer = buffer, .cache = cache_of(buffer, storage), .users = std::move(consumers)};
  cache.copy = make_copy(math, cache.cache->name, cache.cache, buffer, *box,
                         /*may_widen=*/outer == 0);
  cache.users.push_back(block->id);
  const size_t first = scoped.scope_at + 1;
  const std::vector<Expr> filled =
      conditions_on_outer_loops(scoped.info(), std::span(scoped.info().loops).first(outer));
  const Stmt body =
      replace_statement(chain.subspan(first, at - first + 1),
                        make_seq({chain[at], with_conditions(cache.copy.stmt, filled)}));
  return insert_cache(context, scoped, cache, chain[first], body);
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  return enumerate_caches(context, handle, &SBlock::writes, apply);
}

} // namespace

void register_cache_write() {
  register_primitive({
      .name = "CacheWrite",
      .python_name = "cache_write",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock},
                 {.name = "consumer_blocks",
                  .kind = ValueKind::kBlockList,
                  .default_value = Value::List{}}},
      .attrs = {{.name = "write_buffer_index", .kind = ValueKind::kInt},
                {.name = "storage_scope", .kind = ValueKind::kString}},
      .outputs = {ValueKind::kBlock},
      .python_order = {"block", "write_buffer_index", "storage_scope", "consumer_blocks"},
      .summary =
          R"(The block writes its result to a cache in `storage_scope`, and a new block, which
is returned, copies it to where it belongs. Consumers read the result as before, but for the
`consumer_blocks` that are named, which read the cache.

    # cache_write(C, 0, "local")
    for i, j, k in T.grid(8, 8, 8):          for i, j, k in T.grid(8, 8, 8):
        with T.sblock("C"):                      with T.sblock("C"):
            C[vi, vj] = ...             →            C_local[vi, vj] = ...
                                             for ax0, ax1 in T.grid(8, 8):
                                                 with T.sblock("C_local"):
                                                     C[v0, v1] = C_local[v0, v1])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
