#include "ir/tir/pipeline_stages.h"

#include "ir/op.h"
#include "ir/tir/dispatch.h"
#include "ir/tir/kernel_layouts.h"
#include "ir/tir/statement_call.h"
#include "ir/tir/tile_ops.h"

#include <algorithm>

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

std::unordered_set<const BufferNode*> written_below(const NodeRef& root) {
  std::unordered_set<const BufferNode*> written;
  walk(root, [&](const NodeRef& node) {
    if (const auto* store = node.as<BufferStore>())
      written.insert(store->buffer.get());
    if (const auto* call = node.as<TileCall>())
      for (const size_t i : written_operands(*call))
        written.insert(call->regions[i].buffer.get());
    if (const auto* call = node.as<Call>())
      if (const OpInfo* op = find_op(call->op); op != nullptr && op->addresses > 0)
        if (const auto* first = call->args[0].as<BufferLoad>())
          written.insert(first->buffer.get());
    return true;
  });
  return written;
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

namespace {

constexpr const char* kWait = "wg_wait"; ///< of a product: others that may be under way behind it

bool is_wgmma(const TileCall& call) {
  return call.op == "gemm" && call.options.get_string(kVariant).value_or("") == kWgmma;
}

const Call* warpgroup_wait(const NodeRef& node) {
  const Call* call = call_of(node);
  return call != nullptr && call->op == "warpgroup_wait" ? call : nullptr;
}

/// Products that were asked for and that nobody waited for yet.
struct UnderWay {
  static constexpr int64_t kMany = 64; ///< more than a pipeline has stages
  int64_t products = 0;
  bool uncertain = false; ///< not every iteration asks for the same
  bool operator==(const UnderWay&) const = default;

  void wait(int64_t left) {
    products = std::min(products, left);
    uncertain &= products > 0;
  }
  void join(const UnderWay& other) {
    products = std::max(products, other.products);
    uncertain |= other.uncertain;
  }

  /// `always`: each iteration comes by here.
  void run(const Stmt& stmt, bool always) {
    if (!stmt)
      return;
    if (const auto* call = stmt.as<TileCall>()) {
      if (!is_wgmma(*call))
        return;
      products = std::min(products + 1, kMany);
      if (const int64_t left = integer_option(*call, kWait); left >= 0)
        wait(left);
      uncertain |= products > 0 && !always;
    } else if (const Call* waits = warpgroup_wait(stmt)) {
      wait(as_int(waits->args[0]).value_or(kMany));
    } else if (const auto* seq = stmt.as<SeqStmt>()) {
      for (const Stmt& child : seq->statements)
        run(child, always);
    } else if (const auto* branch = stmt.as<IfThenElse>()) {
      UnderWay other = *this;
      run(branch->then_case, false);
      other.run(branch->else_case, false);
      join(other);
    } else {
      // Loops: until nothing new comes round.
      UnderWay before;
      do {
        before = *this;
        UnderWay round = *this;
        stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role) {
          if (child && StmtNode::accepts(child->kind()))
            round.run(cast_ref<StmtNode>(child), false);
        });
        join(round);
      } while (!(*this == before));
    }
  }
};

/// Products that say `which` number of others may be under way wait for none to be.
Stmt waited_for(const Stmt& stmt, bool (*which)(int64_t)) {
  return cast_ref<StmtNode>(rewrite_post(stmt, [&](const NodeRef& node) -> NodeRef {
    const auto* call = node.as<TileCall>();
    if (call == nullptr || call->op != "gemm" || !which(integer_option(*call, kWait)))
      return node;
    return copy_node(*call, [](TileCall& copy) { copy.options = copy.options.without(kWait); });
  }));
}

} // namespace

std::optional<int64_t> products_under_way(const Stmt& body) {
  UnderWay state, before;
  do {
    before = state;
    state.run(body, true);
  } while (!(state == before));
  if (state.uncertain || state.products >= UnderWay::kMany)
    return std::nullopt;
  return state.products;
}

Stmt finished(const Stmt& stmt) {
  const Stmt calls = waited_for(stmt, [](int64_t left) { return left > 0; });
  return cast_ref<StmtNode>(rewrite_post(calls, [](const NodeRef& node) -> NodeRef {
    const Call* call = warpgroup_wait(node);
    if (call == nullptr || is_int(call->args[0], 0))
      return node;
    return copy_node(*node.as<Evaluate>(), [](Evaluate& copy) {
      copy.value = call_op("warpgroup_wait", {make_int(DataType::int32(), 0)});
    });
  }));
}

Stmt drained(const Stmt& body) {
  const Stmt result = finished(body);
  if (products_under_way(result) == 0)
    return result;
  return waited_for(result, [](int64_t left) { return left < 0; });
}

} // namespace temper::tir
