#include "ir/tir/pipeline_stages.h"

#include "ir/tir/kernel_layouts.h"
#include "ir/tir/tile_ops.h"

namespace temper::tir {

std::unordered_map<const BufferNode*, int> uses_below(const NodeRef& root) {
  std::unordered_map<const BufferNode*, int> uses;
  walk(root, [&](const NodeRef& node) {
    if (const auto* call = node.as<TileCall>())
      for (const BufferRegion& region : call->regions)
        ++uses[region.buffer.get()];
    if (const auto* load = node.as<BufferLoad>())
      ++uses[load->buffer.get()];
    if (const auto* store = node.as<BufferStore>())
      ++uses[store->buffer.get()];
    return true;
  });
  return uses;
}

bool is_whole(const BufferRegion& region) {
  for (size_t d = 0; d < region.region.size(); ++d)
    if (!is_int(region.region[d].min, 0) ||
        !same_extent(region.region[d].extent, region.buffer->shape[d]))
      return false;
  return true;
}

Buffer with_versions(const Buffer& buffer, int64_t stages) {
  return copy_node(*buffer, [&](BufferNode& copy) {
    copy.shape.insert(copy.shape.begin(), make_int(copy.shape.front()->dtype, stages));
  });
}

Stmt staged(const Stmt& stmt, const BufferMap& stages, const Expr& stage) {
  return cast_ref<StmtNode>(rewrite_post(stmt, [&](const NodeRef& node) -> NodeRef {
    const auto with_stage = [&](std::vector<Expr> indices) {
      indices.insert(indices.begin(), stage);
      return indices;
    };
    if (const auto* load = node.as<BufferLoad>())
      if (const auto found = stages.find(load->buffer); found != stages.end())
        return copy_node(*load, [&](BufferLoad& copy) {
          copy.buffer = found->second;
          copy.indices = with_stage(load->indices);
        });
    if (const auto* store = node.as<BufferStore>())
      if (const auto found = stages.find(store->buffer); found != stages.end())
        return copy_node(*store, [&](BufferStore& copy) {
          copy.buffer = found->second;
          copy.indices = with_stage(store->indices);
        });
    if (const auto* call = node.as<TileCall>()) {
      bool any = false;
      for (const BufferRegion& region : call->regions)
        any |= stages.contains(region.buffer);
      if (any)
        return copy_node(*call, [&](TileCall& copy) {
          for (BufferRegion& region : copy.regions)
            if (const auto found = stages.find(region.buffer); found != stages.end()) {
              region.buffer = found->second;
              region.region.insert(region.region.begin(), Range{stage, make_int(stage->dtype, 1)});
            }
        });
    }
    return node;
  }));
}

Stmt with_stages(const Stmt& body, const BufferMap& stages) {
  if (stages.empty())
    return body;
  return cast_ref<StmtNode>(rewrite_post(body, [&](const NodeRef& node) -> NodeRef {
    const auto* alloc = node.as<AllocBuffer>();
    const auto found = alloc != nullptr ? stages.find(alloc->buffer) : stages.end();
    if (found == stages.end())
      return node;
    return copy_node(*alloc, [&](AllocBuffer& copy) {
      copy.buffer = found->second;
      const Expr annotation = copy.annotations.get(kLayoutAnnotation);
      auto layout = annotation ? layout_of(annotation) : Result<Layout>(Layout{});
      if (!annotation || !layout)
        return;
      const int64_t count = as_int(copy.buffer->shape.front()).value_or(1);
      layout->digits.insert(layout->digits.begin(),
                            {count, layout->span(kMemoryAxis), kMemoryAxis});
      layout->shape.insert(layout->shape.begin(), count);
      copy.annotations = copy.annotations.with(kLayoutAnnotation, to_expr(*layout));
    });
  }));
}

Stmt finished(const Stmt& stmt) {
  return cast_ref<StmtNode>(rewrite_post(stmt, [](const NodeRef& node) -> NodeRef {
    const auto* call = node.as<TileCall>();
    if (call == nullptr || call->op != "gemm" || integer_option(*call, "wg_wait") <= 0)
      return node;
    return copy_node(*call, [](TileCall& copy) { copy.options = copy.options.without("wg_wait"); });
  }));
}

} // namespace temper::tir
