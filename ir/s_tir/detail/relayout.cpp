#include "ir/s_tir/detail/relayout.h"

#include "ir/s_tir/analysis.h"
#include "ir/s_tir/detail/index_map.h"

#include "ir/walk.h"

#include <algorithm>

namespace temper::s_tir {

Relayout::Relayout(Buffer buffer, Buffer mapped, IndexMap map)
    : buffer_(std::move(buffer)), mapped_(std::move(mapped)), map_(std::move(map)) {}

Block Relayout::run(const Block& scope) {
  return cast_ref<SBlock>(
      rewrite_post(scope, [&](const NodeRef& node) -> NodeRef { return rewrite(node); }));
}

// Children come first: a node that named the old buffer names the new one when it gets here.
NodeRef Relayout::rewrite(const NodeRef& node) {
  if (node.get() == buffer_.get())
    return mapped_;
  if (const auto* load = node.as<BufferLoad>(); load != nullptr && load->buffer == mapped_)
    return copy_node(*load, [&](BufferLoad& copy) { copy.indices = this->indices(load->indices); });
  if (const auto* store = node.as<BufferStore>(); store != nullptr && store->buffer == mapped_)
    return copy_node(*store,
                     [&](BufferStore& copy) { copy.indices = this->indices(store->indices); });
  if (const auto* block = node.as<SBlock>())
    return regions(*block, node);
  return node;
}

std::vector<Expr> Relayout::indices(const std::vector<Expr>& old) {
  vector |= std::any_of(old.begin(), old.end(),
                        [](const Expr& index) { return index->dtype.lanes != 1; });
  std::vector<Expr> mapped = map_indices(map_, old);
  analyzer_.simplify(mapped);
  return mapped;
}

/// Regions of the buffer are derived again from the accesses; those of others stay as written.
NodeRef Relayout::regions(const SBlock& block, const NodeRef& node) {
  for (const MatchBufferRegion& match : block.match_buffers)
    viewed |= match.source.buffer == mapped_;
  const auto touches = [&](const BufferRegion& region) { return region.buffer == mapped_; };
  if (std::none_of(block.reads.begin(), block.reads.end(), touches) &&
      std::none_of(block.writes.begin(), block.writes.end(), touches))
    return node;
  const Accesses accesses = detect_accesses(block);
  const auto derive = [&](std::vector<BufferRegion>& listed,
                          const std::vector<BufferRegion>& found) {
    for (BufferRegion& region : listed) {
      if (!touches(region))
        continue;
      const auto derived = std::find_if(found.begin(), found.end(), touches);
      if (derived != found.end()) {
        region = *derived;
        continue;
      }
      region.region.clear(); // named by hand, and not touched that we can see
      for (const Expr& extent : mapped_->shape)
        region.region.push_back({make_int(extent->dtype, 0), extent});
    }
  };
  return copy_node(block, [&](SBlock& copy) {
    derive(copy.reads, accesses.reads);
    derive(copy.writes, accesses.writes);
  });
}

} // namespace temper::s_tir
