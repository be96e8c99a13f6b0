// cache_read(block, read_buffer_index, storage_scope, consumer_blocks): a new block copies what is
// read of a buffer to a cache in another memory scope, and the consumers read the cache.
//
// The copy stands at the start of the scope for a buffer that no block there writes; else behind
// the writer's outermost loop, or, when writer and consumers share loops, behind the loop just
// below the shared ones. It covers the box around everything that the consumers behind it read.

#include "ir/s_tir/detail/cache.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

bool reads_buffer(const SBlock& block, const Buffer& buffer) {
  return std::any_of(block.reads.begin(), block.reads.end(),
                     [&](const BufferRegion& read) { return read.buffer == buffer; });
}
bool writes_buffer(const SBlock& block, const Buffer& buffer) {
  return std::any_of(block.writes.begin(), block.writes.end(),
                     [&](const BufferRegion& write) { return write.buffer == buffer; });
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  TEMPER_TRY(scoped, require_in_scope(context, arguments.inputs[0]));
  TEMPER_TRY_VOID(require_no_tile(context, scoped));
  const Block& block = scoped.block();
  const int64_t index = *arguments.attrs[0].as_int();
  const std::string& storage = *arguments.attrs[1].as_string();
  if (index < 0 || index >= static_cast<int64_t>(block->reads.size()))
    return illegal(context, arguments.inputs[0],
                   fmt::format("{} reads {} buffers: there is none with index {}", describe(block),
                               block->reads.size(), index));
  const Buffer buffer = block->reads[static_cast<size_t>(index)].buffer;
  const Scope& scope = scoped.scope;

  std::vector<int> writers;
  for (int i = 0; i < static_cast<int>(scope.children.size()); ++i)
    if (writes_buffer(scoped.info(i).block(), buffer))
      writers.push_back(i);
  if (std::any_of(writers.begin(), writers.end(), [&](int w) { return w >= scoped.child; }))
    return illegal(context, arguments.inputs[0],
                   fmt::format("{} is written by block \"{}\", which does not stand before {}: a "
                               "cache would keep old values",
                               buffer->name, scoped.info(writers.back()).block().name,
                               describe(block)));

  if (writers.empty())
    TEMPER_TRY_VOID(require_whole_input(context, scoped, buffer));

  // Who reads the cache.
  std::vector<int> consumers;
  const Value::List* named = arguments.inputs.size() > 1 ? arguments.inputs[1].as_list() : nullptr;
  if (named != nullptr && !named->empty()) {
    for (const Value& consumer : *named) {
      const BlockHandle* handle = consumer.as_block();
      const int at = handle != nullptr ? scope.index_of(handle->id) : -1;
      if (at < 0 || !reads_buffer(scoped.info(at).block(), buffer))
        return illegal(
            context, arguments.inputs[0],
            fmt::format("a consumer block that is named does not read {}", buffer->name));
      if (!writers.empty() && at < writers.back())
        return illegal(context, arguments.inputs[0],
                       fmt::format("block \"{}\" reads {} before block \"{}\" writes it: the cache "
                                   "is filled behind that",
                                   scoped.info(at).block().name, buffer->name,
                                   scoped.info(writers.back()).block().name));
      consumers.push_back(at);
    }
  } else {
    for (int i = 0; i < static_cast<int>(scope.children.size()); ++i)
      if (reads_buffer(scoped.info(i).block(), buffer) && (writers.empty() || i > writers.back()))
        consumers.push_back(i);
  }

  // Where the copy stands: in front of the scope's body, or behind chain[at] of the last writer.
  size_t outer = 0;
  size_t at = 0;
  std::vector<Stmt> chain;
  const size_t first = scoped.scope_at + 1;
  if (!writers.empty()) {
    const int writer = writers.back();
    const auto place = find_block(context.module, {scoped.info(writer).block().id});
    chain = place->chain;
    at = first;
    for (size_t i = first; i < chain.size(); ++i) {
      const auto* seq = chain[i - 1].as<SeqStmt>();
      if (seq == nullptr)
        continue;
      const auto self = std::find(seq->statements.begin(), seq->statements.end(), chain[i]);
      const bool consumed = std::any_of(self + 1, seq->statements.end(), [&](const Stmt& sibling) {
        return has_child_block(sibling, [&](const SBlock& other) {
          return std::any_of(consumers.begin(), consumers.end(),
                             [&](int c) { return &scoped.info(c).block() == &other; });
        });
      });
      if (consumed || i == first + 1) {
        at = i;
        outer = 0;
        for (size_t j = first; j < i; ++j)
          outer += chain[j].is<For>() ? 1 : 0;
      }
    }
    // All other consumers must find the cache filled: they must stand below the same loops.
    for (const int c : consumers)
      for (size_t i = 0; i < outer; ++i)
        if (scoped.info(c).loops.size() <= i ||
            scoped.info(c).loops[i] != scoped.info(writer).loops[i])
          return illegal(context, arguments.inputs[0],
                         fmt::format("block \"{}\" reads {} outside loop {}, inside which the "
                                     "cache is filled; name the consumers that use the cache",
                                     scoped.info(c).block().name, buffer->name,
                                     scoped.info(writer).loops[i]->loop_var->name));
  }

  // The loops around the copy, and around all consumers.
  const std::span<const For* const> around =
      std::span(scoped.info(consumers.front()).loops).first(outer);
  IndexMath math;
  std::optional<AccessBox> box;
  for (const For* loop : around)
    math.set_loop(*loop);
  for (const int c : consumers) {
    const ChildBlock& consumer = scoped.info(c);
    if (writes_buffer(consumer.block(), buffer))
      return illegal(context, arguments.inputs[0],
                     fmt::format("block \"{}\" reads and writes {}: its writes would miss the "
                                 "cache",
                                 consumer.block().name, buffer->name));
    for (const BufferRegion& read : consumer.block().reads) {
      if (read.buffer != buffer)
        continue;
      auto part = access_box(math, consumer, outer, read);
      if (!part) // not bounded by the loops (an index read from memory)
        part = whole_box(math, buffer);
      if (box) {
        unite(math, box->box, part->box);
        unite(math, box->limits, part->limits);
      } else {
        box = std::move(part);
      }
    }
  }
  TEMPER_CHECK(box.has_value(), "a buffer that is cached is read");

  // Where no writer runs there is nothing to copy; where any does, consumers may read its values.
  auto holds = [](std::span<const Expr> conditions, const Expr& condition) {
    return std::any_of(conditions.begin(), conditions.end(),
                       [&](const Expr& other) { return same_expr(other, condition); });
  };
  std::optional<std::vector<Expr>> filled; // what all writers ask of the loops around
  for (const int w : writers) {
    std::vector<Expr> conditions = conditions_on_outer_loops(scoped.info(w), around);
    if (filled)
      std::erase_if(*filled, [&](const Expr& condition) { return !holds(conditions, condition); });
    else
      filled = std::move(conditions);
  }

  // What is copied must be there.
  bool runs_everywhere = true;
  const bool written = std::any_of(writers.begin(), writers.end(), [&](int w) {
    const ChildBlock& writer = scoped.info(w);
    const auto ours =
        std::mismatch(around.begin(), around.end(), writer.loops.begin(), writer.loops.end()).first;
    const auto shared = static_cast<size_t>(ours - around.begin());
    const auto& writes = writer.block().writes;
    const bool all = std::any_of(writes.begin(), writes.end(), [&](const BufferRegion& write) {
      if (write.buffer != buffer || !touches_whole_box(math, writer, shared, write))
        return false;
      const auto made = access_box(math, writer, shared, write);
      return made && covers(math, made->box, box->box, buffer) &&
             covers(math, made->limits, box->limits, buffer);
    });
    if (!all)
      return false;
    const std::vector<Expr> conditions = conditions_on_outer_loops(writer, around);
    runs_everywhere = std::all_of(conditions.begin(), conditions.end(),
                                  [&](const Expr& condition) { return holds(*filled, condition); });
    return runs_everywhere;
  });
  if (!written && !runs_everywhere)
    return illegal(context, arguments.inputs[0],
                   fmt::format("the blocks that write {} do not run in the same iterations of the "
                               "loops around the copy",
                               buffer->name));
  if (!written && !writers.empty())
    return illegal(context, arguments.inputs[0],
                   fmt::format("the box around what the consumers read of {} holds elements that "
                               "block \"{}\" has not written where the copy would stand",
                               buffer->name, scoped.info(writers.back()).block().name));

  Cache cache{.buffer = buffer, .cache = cache_of(buffer, storage)};
  cache.copy = make_copy(math, cache.cache->name, buffer, cache.cache, *box,
                         /*may_widen=*/outer == 0);
  for (const int c : consumers)
    cache.users.push_back(scoped.info(c).block().id);
  if (writers.empty()) {
    const Stmt& body = scoped.scope_block()->body;
    return insert_cache(context, scoped, cache, body, make_seq({cache.copy.stmt, body}));
  }
  const Stmt body =
      replace_statement(std::span(chain).subspan(first, at - first + 1),
                        make_seq({chain[at], with_conditions(cache.copy.stmt, *filled)}));
  return insert_cache(context, scoped, cache, chain[first], body);
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  return enumerate_caches(context, handle, &SBlock::reads, apply);
}

} // namespace

void register_cache_read() {
  register_primitive({
      .name = "CacheRead",
      .python_name = "cache_read",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock},
                 {.name = "consumer_blocks",
                  .kind = ValueKind::kBlockList,
                  .default_value = Value::List{}}},
      .attrs = {{.name = "read_buffer_index", .kind = ValueKind::kInt},
                {.name = "storage_scope", .kind = ValueKind::kString}},
      .outputs = {ValueKind::kBlock},
      .python_order = {"block", "read_buffer_index", "storage_scope", "consumer_blocks"},
      .summary = R"(A new block, which is returned, copies what is read of a buffer to a cache in
`storage_scope`; the block, and all other readers unless `consumer_blocks` names some, read the cache.

    # cache_read(C, 0, "shared")
                                             for ax0, ax1 in T.grid(8, 8):
                                                 with T.sblock("A_shared"):
    for i, j, k in T.grid(8, 8, 8):     →            A_shared[v0, v1] = A[v0, v1]
        with T.sblock("C"):                  for i, j, k in T.grid(8, 8, 8):
            C[vi, vj] += A[vi, vk] * ...         with T.sblock("C"):
                                                     C[vi, vj] += A_shared[vi, vk] * ...)",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
