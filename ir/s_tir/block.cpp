#include "ir/s_tir/block.h"

#include <atomic>

namespace temper::s_tir {

namespace {
std::atomic<BlockId> next_block_id{1};
} // namespace

BlockId new_block_id() { return next_block_id.fetch_add(1, std::memory_order_relaxed); }

void reserve_block_ids(BlockId id) {
  BlockId next = next_block_id.load(std::memory_order_relaxed);
  while (next <= id && !next_block_id.compare_exchange_weak(next, id + 1)) {
  }
}

Stmt make_realize(std::vector<Expr> iter_values, Expr predicate, Block block) {
  TEMPER_CHECK(iter_values.size() == block->iter_vars.size(), "one value per axis of the block");
  return make_node<SBlockRealize>([&](SBlockRealize& node) {
    node.iter_values = std::move(iter_values);
    node.predicate = std::move(predicate);
    node.block = std::move(block);
  });
}

} // namespace temper::s_tir
