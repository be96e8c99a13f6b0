#include "ir/s_tir/block.h"

#include <atomic>

namespace temper::s_tir {

BlockId new_block_id() {
  static std::atomic<BlockId> next{1};
  return next.fetch_add(1, std::memory_order_relaxed);
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
