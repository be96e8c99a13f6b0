/// CacheInplace: a block that updates a buffer works on a cache, which is filled in front of its
/// loops and copied back behind them.
#include "ir/s_tir/detail/allocated.h"
#include "ir/s_tir/detail/cache.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

bool touches(const SBlock& block, const Buffer& buffer) {
  return reads(block, buffer) || writes(block, buffer);
}

/// What the buffer holds before the block is nothing to it: the first block in it that touches the
/// buffer only writes it.
bool begins_by_writing(const SBlock& block, const Buffer& buffer) {
  if (block.init && writes(block, buffer))
    return true;
  const SBlock* first = nullptr;
  walk(block.body, [&](const NodeRef& node) {
    const auto* child = node.as<SBlock>();
    if (child != nullptr && first == nullptr && touches(*child, buffer))
      first = child;
    return child == nullptr && first == nullptr;
  });
  return first != nullptr ? begins_by_writing(*first, buffer) : !reads(block, buffer);
}

Result<Applied> apply(const Context& context, const Arguments& arguments) {
  const Value& at = arguments.inputs[0];
  const auto refuse = [&](const std::string& why) { return illegal(context, at, why); };
  const std::string& storage = *arguments.attrs[1].as_string();
  TEMPER_TRY(scoped, require_in_scope(context, at));
  TEMPER_TRY_VOID(require_no_tile(context, scoped));
  const Block& block = scoped.block();
  TEMPER_TRY(region, require_region(context, at, block, Side::kRead, *arguments.attrs[0].as_int()));
  const Buffer& buffer = region.buffer;
  if (!writes(*block, buffer))
    return refuse(fmt::format("{} reads {} but does not write it: cache_read is for that",
                              describe(block), buffer->name));
  if (begins_by_writing(*block, buffer))
    return refuse(fmt::format("{} writes {} before it reads it: nothing is there to fill a cache "
                              "with; cache_write is for that",
                              describe(block), buffer->name));
  if (!scoped.scope.is_output(buffer))
    return refuse(
        fmt::format("{} is allocated by the block around, and the box that {} touches may "
                    "hold elements that nothing has written yet",
                    buffer->name, describe(block)));
  TEMPER_TRY_VOID(require_whole_input(context, scoped, buffer));
  const Block& scope_block = scoped.scope_block();
  std::vector<Stmt> statements = statements_of(scope_block->body);
  const auto here = std::find_if(statements.begin(), statements.end(), [&](const Stmt& stmt) {
    return has_child_block(stmt, [&](const SBlock& child) { return &child == block.get(); });
  });
  if (here == statements.end())
    return refuse(
        fmt::format("{} stands in the init of {}", describe(block), describe(scope_block)));
  if (has_child_block(*here, [&](const SBlock& child) {
        return &child != block.get() && touches(child, buffer);
      }))
    return refuse(fmt::format("another block below the loops of {} touches {}, too",
                              describe(block), buffer->name));

  IndexMath math;
  std::optional<AccessBox> box;
  for (const std::vector<BufferRegion>* regions : {&block->reads, &block->writes})
    for (const BufferRegion& touched : *regions) {
      if (touched.buffer != buffer)
        continue;
      auto part = access_box(math, scoped.info(), 0, touched);
      if (!part)
        part = whole_box(math, buffer);
      if (!box) {
        box = std::move(part);
        continue;
      }
      unite(math, box->box, part->box);
      unite(math, box->limits, part->limits);
    }
  Cache cache{.buffer = buffer, .cache = cache_of(buffer, storage)};
  cache.copy = make_copy(math, cache.cache->name, buffer, cache.cache, *box, /*may_widen=*/false);
  const CopyBlock back =
      make_copy(math, cache.cache->name, cache.cache, buffer, *box, /*may_widen=*/false);
  cache.users = {block->id};
  *here = make_seq({cache.copy.stmt, *here, back.stmt});
  Applied applied =
      insert_cache(context, scoped, cache, scope_block->body, make_seq(std::move(statements)));
  applied.outputs.emplace_back(BlockHandle{back.block->id});
  return applied;
}

std::vector<Arguments> enumerate(const Context& context, const Value& handle) {
  std::vector<Arguments> uses;
  if (handle.as_block() == nullptr)
    return uses;
  for (const int index : {0, 1}) {
    Arguments use{.inputs = {handle}, .attrs = {index, "global"}};
    if (apply({context.module, nullptr, false}, use))
      uses.push_back(std::move(use));
  }
  return uses;
}

} // namespace

void register_cache_inplace() {
  register_primitive({
      .name = "CacheInplace",
      .python_name = "cache_inplace",
      .inputs = {{.name = "block", .kind = ValueKind::kBlock}},
      .attrs = {{.name = "read_buffer_index", .kind = ValueKind::kInt},
                {.name = "storage_scope", .kind = ValueKind::kString}},
      .outputs = {ValueKind::kBlock, ValueKind::kBlock},
      .summary =
          R"(A block that updates a buffer works on a cache in `storage_scope`. Returns the block that fills
the cache, in front of the loops, and the one that copies it back, behind them.

    # cache_inplace(B, 0, "local")                 A_local[v0] = A[v0]
    for i in range(8):                             for i in range(8):
        A[vi] = A[vi] * 2                   →          A_local[vi] = A_local[vi] * 2
                                                   A[v0] = A_local[v0])",
      .check = check_by_applying<apply>,
      .apply = apply,
      .enumerate = enumerate,
  });
}

} // namespace temper::s_tir
