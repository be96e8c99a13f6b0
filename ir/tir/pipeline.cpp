#include "ir/tir/pipeline.h"

#include "ir/arith/simplify.h"
#include "ir/op.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/dispatch.h"
#include "ir/tir/kernel_layouts.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace temper::tir {
namespace {

bool is_shared(const Buffer& buffer) { return tile_scope(buffer->scope) == "shared"; }

/// How often each buffer is mentioned below a node: in operators' regions, loads and stores.
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

/// `node` with the buffers replaced and `stage` as the first index.
template <typename T>
Ref<T> staged(const Ref<T>& root, const BufferMap& stages, const Expr& stage) {
  return cast_ref<T>(rewrite_post(root, [&](const NodeRef& node) -> NodeRef {
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

class Expanding {
public:
  explicit Expanding(const PrimFunc& function) : total_(uses_below(function)) {}

  Stmt rewrite(const Stmt& stmt) {
    const auto* loop = stmt.as<For>();
    if (loop != nullptr && loop->kind == ForKind::kPipelined) {
      const auto stages = loop->annotations.get_int(kStages);
      const bool tma = loop->annotations.get_int(kTma).value_or(0) != 0;
      if (stages && *stages >= 2)
        if (const Stmt expanded = pipeline(*loop, *stages, tma))
          return expanded;
      if (tma)
        fail(*loop, "nothing of it runs ahead: it has no copies from global to shared memory, or "
                    "less than two stages");
    }
    if (const auto* kernel = stmt.as<KernelLaunch>())
      kernel_ = kernel;
    loops_ += loop != nullptr || stmt.as<While>() != nullptr ? 1 : 0;
    const Stmt result = rebuild(
        stmt, [&](const Stmt& child) { return rewrite(child); },
        [](const Expr& expr) { return expr; });
    loops_ -= loop != nullptr || stmt.as<While>() != nullptr ? 1 : 0;
    return result;
  }

  const Error& error() const { return error_; }

  /// Allocations with their stages.
  Stmt allocated(const Stmt& body) const {
    if (stages_.empty())
      return body;
    return cast_ref<StmtNode>(rewrite_post(body, [&](const NodeRef& node) -> NodeRef {
      const auto* alloc = node.as<AllocBuffer>();
      const auto found = alloc != nullptr ? stages_.find(alloc->buffer) : stages_.end();
      if (found == stages_.end())
        return node;
      return copy_node(*alloc, [&](AllocBuffer& copy) {
        copy.buffer = found->second;
        // A layout of the program's own is that of a stage; stages lie one behind the other.
        const Expr annotation = copy.annotations.get(kLayoutAnnotation);
        auto layout = annotation ? layout_of(annotation) : Result<Layout>(Layout{});
        if (!annotation || !layout)
          return;
        const int64_t stages = as_int(copy.buffer->shape.front()).value_or(1);
        layout->digits.insert(layout->digits.begin(),
                              {stages, layout->span(kMemoryAxis), kMemoryAxis});
        layout->shape.insert(layout->shape.begin(), stages);
        copy.annotations = copy.annotations.with(kLayoutAnnotation, to_expr(*layout));
      });
    }));
  }

private:
  void fail(const For& loop, const std::string& why) {
    if (error_.message.empty())
      error_ = Error(ErrorCode::kUnsupported, fmt::format("line {}, column {}: TMA: {}",
                                                          loop.span.line, loop.span.column, why));
  }

  /// One thread prepares the barriers; each stage waits for its copies.
  static Stmt prepared_barriers(const KernelLaunch& kernel, const Buffer& full, int64_t stages,
                                size_t copies) {
    Expr thread = make_int(DataType::int32(), 0);
    int64_t weight = 1;
    for (size_t d = 0; d < kernel.threads.size(); ++d) {
      thread = thread + Expr(kernel.thread_vars[d]) * weight;
      weight *= as_int(kernel.threads[d]).value_or(1);
    }
    std::vector<Stmt> init;
    for (int64_t s = 0; s < stages; ++s)
      init.push_back(make_evaluate(
          call_op("mbarrier_init", {make_load(full, {make_int(DataType::int32(), s)}),
                                    make_int(DataType::int32(), static_cast<int64_t>(copies))})));
    return make_seq({make_if(equal(thread, make_int(thread->dtype, 0)), make_seq(std::move(init))),
                     make_evaluate(call_op("fence_proxy_async", {})),
                     make_evaluate(call_op("sync_threads", {}))});
  }

  Stmt pipeline(const For& loop, int64_t stages, bool tma) {
    const auto* body = loop.body.as<SeqStmt>();
    if (body == nullptr)
      return nullptr;
    const auto below = uses_below(loop.body);
    std::unordered_set<const BufferNode*> written; // in global memory, by the loop
    walk(loop.body, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        written.insert(store->buffer.get());
      if (const auto* call = node.as<TileCall>())
        for (const size_t i : written_operands(*call))
          written.insert(call->regions[i].buffer.get());
      return true;
    });
    std::vector<Stmt> copies, rest;
    std::unordered_set<const BufferNode*> seen;
    BufferMap stage_of;
    for (const Stmt& stmt : body->statements) {
      const auto* call = stmt.as<TileCall>();
      const bool takes_part =
          call != nullptr && call->op == "copy" && call->regions[0].buffer->scope == "global" &&
          !written.contains(call->regions[0].buffer.get()) && is_shared(call->regions[1].buffer) &&
          is_whole(call->regions[1]) && !seen.contains(call->regions[1].buffer.get()) &&
          written_once(loop.body, call->regions[1].buffer) &&
          total_.at(call->regions[1].buffer.get()) == below.at(call->regions[1].buffer.get()) &&
          depends_on_loop_alone(*call, *body);
      if (takes_part) {
        const Buffer& buffer = call->regions[1].buffer;
        stage_of.emplace(buffer, copy_node(*buffer, [&](BufferNode& copy) {
                           copy.shape.insert(copy.shape.begin(),
                                             make_int(copy.shape.front()->dtype, stages));
                         }));
        copies.push_back(copy_node(*call, [&](TileCall& copy) {
          copy.options = copy.options.with(kAsyncCopy, make_bool(true));
        }));
      } else {
        rest.push_back(stmt);
      }
      for (const auto& [buffer, count] : uses_below(stmt))
        seen.insert(buffer);
    }
    if (copies.empty())
      return nullptr;
    if (tma && (loops_ > 0 || kernel_ == nullptr)) {
      fail(loop, "the loop stands in another one, and its barriers count phases once");
      return nullptr;
    }
    const Buffer full = tma ? make_buffer("full", DataType::uint(64),
                                          {make_int(DataType::int32(), stages)}, "shared")
                            : nullptr;
    for (const auto& [buffer, staged_buffer] : stage_of)
      stages_.emplace(buffer, staged_buffer);

    const DataType dtype = loop.loop_var->dtype;
    const auto number = [&](int64_t value) { return make_int(dtype, value); };
    const auto ask_for = [&](const Expr& iteration) {
      std::vector<Stmt> list;
      for (const Stmt& copy : copies) {
        Stmt moved = substitute(copy, {{loop.loop_var, loop.min + iteration}});
        moved = cast_ref<StmtNode>(rewrite_post(moved, [&](const NodeRef& node) -> NodeRef {
          const auto* call = node.as<TileCall>();
          if (call == nullptr)
            return node;
          return copy_node(*call, [&](TileCall& changed) {
            for (BufferRegion& region : changed.regions)
              for (Range& range : region.region)
                range.min = math_.simplify(range.min);
          });
        }));
        const Expr stage = floormod(iteration, number(stages));
        moved = staged(with_fresh_definitions(moved), stage_of, stage);
        if (tma)
          moved = copy_node(*moved.as<TileCall>(), [&](TileCall& call) {
            call.options = call.options.with(kVariant, make_string(kTma))
                               .with(kCopyBarrier, make_load(full, {stage}));
          });
        list.push_back(std::move(moved));
      }
      Stmt all = make_seq(std::move(list));
      return all;
    };
    const auto guarded = [&](const Expr& iteration, const Stmt& stmt) {
      const auto extent = as_int(loop.extent);
      const auto known = as_int(iteration);
      if (extent && known && *known < *extent)
        return stmt;
      if (extent && known)
        return make_seq({});
      Stmt result = make_if(less(iteration, loop.extent), stmt);
      result->span = loop.span;
      return result;
    };
    const auto commit = [&] { return make_evaluate(call_op("ptx_commit_group", {})); };
    std::vector<Stmt> result;
    if (tma) {
      result.push_back(make_alloc(full));
      result.push_back(prepared_barriers(*kernel_, full, stages, copies.size()));
    }
    for (int64_t s = 0; s + 1 < stages; ++s) {
      const Stmt early = guarded(number(s), ask_for(number(s)));
      if (!is_nothing(early))
        result.push_back(early);
      if (!tma)
        result.push_back(commit());
    }
    // The loop counts from 0, so that stages are its number.
    const Var k = make_var(loop.loop_var->name, dtype);
    std::vector<Stmt> round;
    if (tma)
      round.push_back(make_evaluate(call_op(
          "mbarrier_wait_parity", {make_load(full, {floormod(Expr(k), number(stages))}),
                                   floormod(floordiv(Expr(k), number(stages)), number(2))})));
    else
      round.push_back(
          make_evaluate(call_op("ptx_wait_group", {make_int(DataType::int32(), stages - 2)})));
    const Expr ahead = Expr(k) + (stages - 1);
    // One barrier for both: what has come is seen, and the stage that is written next was read.
    round.push_back(make_evaluate(call_op("sync_threads", {})));
    round.push_back(guarded(ahead, ask_for(ahead)));
    if (!tma)
      round.push_back(commit());
    ++loops_;
    const Stmt compute =
        substitute(rewrite(make_seq(std::move(rest))), {{loop.loop_var, loop.min + Expr(k)}});
    --loops_;
    round.push_back(staged(compute, stage_of, floormod(Expr(k), number(stages))));
    Stmt main = make_for(k, number(0), loop.extent, ForKind::kSerial, make_seq(std::move(round)));
    main->span = loop.span;
    result.push_back(std::move(main));
    return make_seq(std::move(result));
  }

  static bool written_once(const Stmt& body, const Buffer& buffer) {
    int writes = 0;
    walk(body, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        writes += store->buffer == buffer ? 1 : 0;
      if (const auto* call = node.as<TileCall>())
        for (const size_t i : written_operands(*call))
          writes += call->regions[i].buffer == buffer ? 1 : 0;
      return true;
    });
    return writes == 1;
  }

  /// Where it copies from is known iterations ahead: no names or memory of the body.
  static bool depends_on_loop_alone(const TileCall& call, const SeqStmt& body) {
    std::unordered_set<const VarNode*> made;
    for (const Stmt& stmt : body.statements)
      if (const auto* bind = stmt.as<Bind>())
        made.insert(bind->var.get());
    bool alone = true;
    for (const Range& range : call.regions[0].region)
      walk(range.min, [&](const NodeRef& node) {
        alone &= node.as<BufferLoad>() == nullptr;
        if (const auto* var = node.as<VarNode>())
          alone &= !made.contains(var);
        return alone;
      });
    return alone;
  }

  std::unordered_map<const BufferNode*, int> total_;
  BufferMap stages_;
  Analyzer math_;
  const KernelLaunch* kernel_ = nullptr; ///< around the loop
  int loops_ = 0;                        ///< around it
  Error error_;
};

} // namespace

Result<PrimFunc> expand_pipelines(const PrimFunc& function) {
  Expanding expanding(function);
  const Stmt body = expanding.rewrite(function->body);
  if (!expanding.error().message.empty())
    return expanding.error();
  return with_body(function, expanding.allocated(body));
}

} // namespace temper::tir
