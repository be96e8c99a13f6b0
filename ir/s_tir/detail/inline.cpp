#include "ir/s_tir/detail/inline.h"

#include "ir/op.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {

Result<const BufferStore*> require_single_store(const Context& context, const Value& at,
                                                const Block& block) {
  const BufferStore* store = single_store(block->body);
  if (store == nullptr || block->init || store->predicate || !block->alloc_buffers.empty() ||
      !block->match_buffers.empty())
    return illegal(
        context, at,
        fmt::format("the body of {} is not a single store of one element", describe(block)));
  return store;
}

bool may_be_repeated(const Expr& value) {
  bool fine = true;
  walk(value, [&](const NodeRef& node) {
    if (node->kind() == Let::kKind) {
      fine = false;
    } else if (node->kind() == Call::kKind) {
      const OpInfo* op = find_op(static_cast<const Call&>(*node).op);
      fine &= op != nullptr && op->pure;
    }
    return fine;
  });
  return fine;
}

Removed remove_from_scope(const ScopedBlock& scoped) {
  Removed removed;
  const std::span<const Stmt> chain = scoped.place.chain;
  removed.body = replace_statement(chain.subspan(scoped.scope_at + 1), nullptr);
  if (!removed.body)
    removed.body = make_seq({});
  removed.moved.push_back({BlockHandle{scoped.block()->id}, {}});
  for (size_t i = chain.size() - 1; i-- > scoped.scope_at + 1;) {
    const auto* loop = chain[i].as<For>();
    if (loop == nullptr)
      break;
    removed.moved.push_back({LoopHandle{loop->loop_var}, {}});
  }
  return removed;
}

Block replace_loads(const Block& block, const Buffer& buffer,
                    FunctionRef<Expr(const BufferLoad&)> replace) {
  bool possible = true;
  const NodeRef result = rewrite_post(block, [&](const NodeRef& node) -> NodeRef {
    if (node->kind() == BufferLoad::kKind) {
      const auto& load = static_cast<const BufferLoad&>(*node);
      if (load.buffer != buffer)
        return node;
      const bool vector = std::any_of(load.indices.begin(), load.indices.end(),
                                      [](const Expr& i) { return !i->dtype.is_scalar(); });
      if (load.predicate || vector) {
        possible = false;
        return node;
      }
      return replace(load);
    }
    if (node->kind() == SBlock::kKind) {
      const auto& inner = static_cast<const SBlock&>(*node);
      for (const MatchBufferRegion& match : inner.match_buffers)
        possible &= match.source.buffer != buffer;
      if (std::none_of(inner.reads.begin(), inner.reads.end(),
                       [&](const BufferRegion& read) { return read.buffer == buffer; }))
        return node;
      Accesses accesses = detect_accesses(inner);
      return copy_node(inner, [&](SBlock& changed) {
        changed.reads = std::move(accesses.reads);
        changed.writes = std::move(accesses.writes);
      });
    }
    return node;
  });
  return possible ? cast_ref<SBlock>(result) : nullptr;
}

Expr to_type(const Expr& index, DataType dtype) {
  if (index->dtype == dtype)
    return index;
  if (const auto value = as_int(index))
    return make_int(dtype, *value);
  return make_cast(dtype, index);
}

} // namespace temper::s_tir
