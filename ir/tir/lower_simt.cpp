#include "ir/tir/lower_simt.h"

#include "ir/arith/simplify.h"
#include "ir/op.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/atomic.h"
#include "ir/tir/cluster.h"
#include "ir/tir/gpu_architecture.h"
#include "ir/tir/kernel_layouts.h"
#include "ir/tir/layout_expr.h"
#include "ir/tir/lower_tiles.h"
#include "ir/tir/ops/gemm.h"
#include "ir/tir/pipeline.h"
#include "ir/tir/pipeline_order.h"
#include "ir/tir/printing.h"
#include "ir/tir/promote_sums.h"
#include "ir/tir/role_options.h"
#include "ir/tir/roles.h"
#include "ir/tir/spans.h"
#include "ir/tir/statement_call.h"
#include "ir/tir/step_vectors.h"
#include "ir/tir/tile_ops.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <bit>
#include <functional>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace temper::tir {
namespace {

bool is_fragment(const Buffer& buffer) { return tile_scope(buffer->scope) == "fragment"; }
bool is_shared(const Buffer& buffer) { return tile_scope(buffer->scope) == "shared"; }

std::string at(const Span& span) {
  return span.line == 0 ? std::string()
                        : fmt::format("line {}, column {}: ", span.line, span.column);
}

/// Why choices are made, for people.
struct Decisions {
  std::string text;
  /// What operators say in the program as it is written, by their labels: pipelines copy them, each
  /// with a stage of its own in its operands.
  std::map<std::string, std::string> written;
  std::set<std::string> listed; ///< so a copy that is dispatched as another one is left out

  void add(const std::string& label, const std::string& call, const std::string& lines) {
    const auto known = written.find(label);
    if (known == written.end())
      text += call + lines;
    else if (listed.insert(label + lines).second)
      text += known->second + lines;
  }
};

/// What is noted of the choices that are made; either may be null.
struct Notes {
  Decisions* decisions = nullptr;
  std::vector<OpenCall>* open = nullptr; ///< of operators that carry kLabel
};
/// Annotation of an operator: its label, which copies of it share.
constexpr const char* kLabel = "temper.label";

std::string call_text(const TileCall& call) {
  std::string operands;
  for (const BufferRegion& region : call.regions)
    operands += (operands.empty() ? "" : ", ") + tile_text(region);
  return at(call.span) + "T." + call.op + "(" + operands + ")\n";
}

/// Every operator with its label; `see(label, statement)` is asked about each statement first.
PrimFunc labelled(const PrimFunc& function,
                  const std::function<void(const std::string&, const Stmt&)>& see) {
  OpenLabels labels;
  const auto label = [&](auto&& self, const Stmt& stmt) -> Stmt {
    const std::string name = labels.next(stmt);
    see(name, stmt);
    if (const auto* call = stmt.as<TileCall>())
      return copy_node(*call, [&](TileCall& copy) {
        copy.options = copy.options.with(kLabel, make_string(name));
      });
    return rebuild(
        stmt, [&](const Stmt& child) { return self(self, child); },
        [](const Expr& expr) { return expr; });
  };
  return with_body(function, label(label, function->body));
}

class Lowering {
public:
  explicit Lowering(int architecture, Notes notes) : architecture_(architecture), notes_(notes) {}

  Result<Stmt> kernel(const PrimFunc& function, const KernelLaunch& launch) {
    const DataType dtype = DataType::int32();
    thread_ = make_int(dtype, 0);
    threads_ = 1;
    for (size_t d = 0; d < launch.threads.size(); ++d) {
      thread_vars_.insert(launch.thread_vars[d].get());
      thread_ = thread_ + Expr(launch.thread_vars[d]) * threads_;
      math_.bind(launch.thread_vars[d],
                 Range{make_int(launch.thread_vars[d]->dtype, 0), launch.threads[d]});
      const auto extent = as_int(launch.threads[d]);
      if (!extent)
        return Error(ErrorCode::kUnsupported, "the number of threads of a kernel must be constant");
      threads_ *= *extent;
    }
    const std::vector<int64_t> cluster = cluster_dims(launch);
    TEMPER_TRY_VOID(check_cluster(launch, cluster, architecture_));
    block_ = role_ = {0, threads_};
    const Ref<KernelLaunch> marked = copy_node<KernelLaunch>(launch, [&](KernelLaunch& copy) {
      launch_ = &launch;
      copy.body = with_roles(launch.body);
    });
    launch_ = marked.get();
    note_allocations(marked->body);
    if (!error_.message.empty())
      return error_;
    TEMPER_TRY(dispatched, expand_tiles(with_body(function, Stmt(marked)),
                                        [&](const TileCall& call, Analyzer& math) {
                                          return expanded(call, math);
                                        }));
    const auto* kernel = dispatched->body.as<KernelLaunch>();
    if (kernel == nullptr) // nothing in it
      return dispatched->body;
    note_written_by_threads(kernel->body);
    const Stmt body = statement(kernel->body);
    if (!error_.message.empty())
      return error_;
    std::vector<Stmt> all = std::move(scratch_);
    all.push_back(body);
    return Stmt(copy_node<KernelLaunch>(*kernel, [&](KernelLaunch& copy) {
      copy.body = without_double_barriers(with_cleared(make_seq(std::move(all))));
      copy.annotations = with_cluster(copy.annotations.without(kOpenThreads), cluster); // decided
    }));
  }

private:
  struct Fragment {
    Layout layout;
    Buffer registers;
  };
  /// How a step uses a fragment.
  struct Use {
    Buffer buffer;
    std::vector<int> loops; ///< of the first access
    bool direct = true;
    bool read = false;
    bool written = false;
    bool covered = false; ///< every element is written, whatever the values are
  };
  struct Step {
    std::vector<Var> vars;
    std::vector<int64_t> extents;
    Stmt body;
    Span where;
  };

  void fail(const Span& where, const std::string& message) {
    if (error_.message.empty())
      error_ = Error(ErrorCode::kUnsupported, at(where) + message);
  }

  /// The meaning of the operator, or the operator itself for code of threads that is kept for it.
  Result<Stmt> expanded(const TileCall& call, Analyzer& math) {
    TEMPER_TRY_VOID(check_tile_call(call));
    if (architecture_ != 0) {
      const LowerOptions options;
      GpuKernel gpu;
      gpu.architecture = architecture_;
      const int64_t first = call.options.get_int(kFirstThread).value_or(0);
      gpu.threads = call.options.get_int(kRoleThreads).value_or(threads_);
      gpu.thread = first > 0 ? thread_ - first : thread_;
      gpu.layout = [this](const Buffer& buffer) -> std::optional<Layout> {
        if (const auto found = fragments_.find(buffer.get()); found != fragments_.end())
          return found->second.layout;
        if (const auto found = layouts_.find(buffer.get()); found != layouts_.end())
          return found->second;
        return std::nullopt;
      };
      gpu.registers = [this](const Buffer& buffer) {
        return fragments_.at(buffer.get()).registers;
      };
      TileContext context{options, math, &gpu};
      if (notes_.open != nullptr)
        note_choices(call, context);
      if (notes_.decisions != nullptr) {
        notes_.decisions->add(call.options.get_string(kLabel).value_or(""), call_text(call),
                              dispatch_lines(call, context));
      }
      auto variant = choose_tile_variant(call, context);
      if (!variant)
        return Error(variant.error().code, at(call.span) + variant.error().message);
      if ((*variant)->name != "threads") {
        TEMPER_TRY(code, (*variant)->lower(call, context));
        Stmt marker = copy_node(call, [](TileCall&) {});
        code_of_.emplace(marker.get(), std::move(code));
        return marker;
      }
    }
    Stmt meaning = call.op == "gemm" ? ops::gemm_rounds(call) : nullptr;
    if (!meaning)
      meaning = find_tile_op(call.op)->meaning(call);
    // Findings in it are findings at the operator's line.
    place_at(meaning, call.span);
    return meaning;
  }

  /// Of the copies of a call, as pipelines make them, what all can do.
  void note_choices(const TileCall& call, TileContext& context) {
    const auto label = call.options.get_string(kLabel);
    if (!label)
      return;
    OpenCall fresh{*label, open_choices(call, context)};
    const auto known = std::find_if(notes_.open->begin(), notes_.open->end(),
                                    [&](const OpenCall& other) { return other.label == *label; });
    if (known == notes_.open->end()) {
      notes_.open->push_back(std::move(fresh));
      return;
    }
    std::erase_if(known->choices, [&](OpenCall::Choice& choice) {
      const auto same = std::find_if(
          fresh.choices.begin(), fresh.choices.end(),
          [&](const OpenCall::Choice& other) { return other.variant == choice.variant; });
      if (same == fresh.choices.end())
        return true;
      std::erase_if(choice.knobs, [&](TileKnob& knob) {
        const auto other =
            std::find_if(same->knobs.begin(), same->knobs.end(),
                         [&](const TileKnob& found) { return found.name == knob.name; });
        if (other == same->knobs.end())
          return true;
        std::erase_if(knob.choices, [&](int64_t value) {
          return std::find(other->choices.begin(), other->choices.end(), value) ==
                 other->choices.end();
        });
        if (std::find(knob.choices.begin(), knob.choices.end(), knob.default_value) ==
            knob.choices.end())
          knob.default_value = other->default_value;
        return knob.choices.size() < 2;
      });
      return false;
    });
  }

  void note_allocations(const Stmt& body) {
    walk(body, [&](const NodeRef& node) {
      const auto* alloc = node.as<AllocBuffer>();
      if (alloc == nullptr)
        return true;
      auto layout = layout_of(alloc->annotations.get(kLayoutAnnotation));
      if (is_fragment(alloc->buffer)) {
        if (!layout) {
          fail(alloc->span, "the fragment " + alloc->buffer->name + " has no layout");
          return true;
        }
        Fragment& fragment = fragments_[alloc->buffer.get()];
        fragment.layout = flatten_threads(*layout);
        fragment.registers =
            make_buffer(alloc->buffer->name, alloc->buffer->dtype,
                        {make_int(DataType::int32(), fragment.layout.span(kMemoryAxis))}, "local");
      } else if (layout) {
        layouts_.emplace(alloc->buffer.get(), *std::move(layout));
      }
      return true;
    });
  }

  /// Shared memory that is not the tensor memory accelerator's alone to write.
  void note_written_by_threads(const Stmt& body) {
    walk(body, [&](const NodeRef& node) {
      // A step has the fence behind what it writes.
      if (const auto* loop = node.as<For>();
          loop != nullptr && loop->kind == ForKind::kTileParallel)
        return false;
      if (const auto* store = node.as<BufferStore>())
        written_by_threads_.insert(store->buffer.get());
      const auto* call = node.as<TileCall>();
      if (call == nullptr)
        return true;
      const auto code = code_of_.find(call);
      if (code != code_of_.end())
        walk(code->second, [&](const NodeRef& part) {
          const auto* op = part.as<Call>();
          if (op != nullptr && reads_tiles(*op))
            for (const size_t i : {size_t{1}, size_t{2}})
              if (const auto* load = op->args[i].as<BufferLoad>();
                  load != nullptr && is_shared(load->buffer))
                read_by_engines_.insert(load->buffer.get());
          return true;
        });
      // What needs no fence, or has one behind it.
      const bool by_engine = code != code_of_.end() && any(code->second, [](const NodeRef& part) {
                               const auto* op = part.as<Call>();
                               return op != nullptr && op->op.starts_with("tma_load");
                             });
      if (!by_engine && (code == code_of_.end() || !has_written(code->second)))
        for (const size_t i : written_operands(*call))
          written_by_threads_.insert(call->regions[i].buffer.get());
      return true;
    });
  }
  /// Threads wrote what the code writes when it ends: no copies of it are under way.
  static bool has_written(const Stmt& code) {
    const auto calls = [&](const char* op) {
      return any(code, [&](const NodeRef& node) {
        const auto* call = node.as<Call>();
        return call != nullptr && call->op == op;
      });
    };
    return !calls("ptx_cp_async") || calls("ptx_wait_group");
  }
  /// Products of warpgroups, and stores by the tensor memory accelerator.
  static bool reads_tiles(const Call& call) {
    return call.op.starts_with("ptx_wgmma_") || call.op == "tma_store";
  }
  bool is_written_by_threads(const Expr& address) const {
    const auto* load = address.as<BufferLoad>();
    return load != nullptr && written_by_threads_.contains(load->buffer.get());
  }

  /// Of those who run the code at hand: the block, or a role, which has a barrier of its own.
  Stmt barrier() { return barrier_of(warps_of(role_), {}); }

  /// A single warp needs none of the block's barriers: it becomes sync_warp in the end
  /// (remove_barriers).
  Stmt barrier_of(WarpSet warps, const Span& where) {
    if (warps == warps_of(block_))
      return make_evaluate(call_op("sync_threads", {}));
    const int count = std::popcount(warps);
    size_t number = 0;
    if (count > 1) {
      number =
          static_cast<size_t>(std::find(roles_.begin(), roles_.end(), warps) - roles_.begin()) + 1;
      if (number > roles_.size())
        roles_.push_back(warps);
      constexpr size_t kBarriers = 15; // besides the block's own
      if (number > kBarriers)
        fail(where, "a block has barriers for 15 roles; this is one more");
    }
    const auto dtype = DataType::int32();
    return make_evaluate(call_op("sync_threads", {make_int(dtype, static_cast<int64_t>(number)),
                                                  make_int(dtype, int64_t{count} * 32)}));
  }

  /// Code of threads, in which `warps` are: their barriers are of those who come there, as far as
  /// conditions say so by whole warps. Others stay the block's, where emulation finds them
  /// divergent.
  Stmt with_own_barriers(const Stmt& stmt, WarpSet warps) {
    if (is_barrier(stmt) && stmt.as<Evaluate>()->value.as<Call>()->args.empty()) {
      if (warps == warps_of(block_))
        return stmt;
      Stmt own = barrier_of(warps, stmt->span);
      own->span = stmt->span;
      return own;
    }
    if (const auto* branch = stmt.as<IfThenElse>()) {
      const auto side = [&](const Stmt& body, bool holds) {
        if (!body)
          return body;
        const auto there = warps_where(branch->condition, holds, *launch_, warps);
        return there && *there != 0 ? with_own_barriers(body, *there) : body;
      };
      const Stmt yes = side(branch->then_case, true);
      const Stmt no = side(branch->else_case, false);
      if (yes == branch->then_case && no == branch->else_case)
        return stmt;
      Stmt result = make_if(branch->condition, yes, no);
      result->span = stmt->span;
      return result;
    }
    return rebuild(
        stmt, [&](const Stmt& child) { return with_own_barriers(child, warps); },
        [](const Expr& expr) { return expr; });
  }

  /// Each operator of a role with the role's threads beside it: operators are dispatched before the
  /// code around them is lowered.
  Stmt with_roles(const Stmt& stmt) {
    if (const auto* branch = stmt.as<IfThenElse>();
        branch != nullptr && divides_roles(*branch, *launch_)) {
      const auto side = [&](const Stmt& body, bool holds) {
        return body ? in_role(*branch, holds, [&] { return with_roles(body); }) : body;
      };
      const Stmt yes = side(branch->then_case, true);
      const Stmt no = side(branch->else_case, false);
      Stmt result = make_if(branch->condition, yes, no);
      result->span = stmt->span;
      return result;
    }
    if (const auto* call = stmt.as<TileCall>()) {
      if (role_ == block_)
        return stmt;
      return copy_node(*call, [&](TileCall& copy) {
        copy.options = copy.options.with(kFirstThread, make_int(DataType::int32(), role_.first))
                           .with(kRoleThreads, make_int(DataType::int32(), role_.count));
      });
    }
    return rebuild(
        stmt, [&](const Stmt& child) { return with_roles(child); },
        [](const Expr& expr) { return expr; });
  }

  template <typename F> Stmt in_role(const IfThenElse& branch, bool holds, F&& body) {
    auto threads = role_threads(branch, holds, *launch_, role_);
    if (!threads) {
      if (error_.message.empty())
        error_ = threads.error();
      return make_seq({});
    }
    const ThreadRange around = std::exchange(role_, *threads);
    const Expr thread = thread_;
    const int64_t count = threads_;
    thread_ = role_.first > around.first ? thread_ - (role_.first - around.first) : thread_;
    threads_ = role_.count;
    barrier_of(warps_of(role_), branch.span); // there are so many and no more
    Stmt result = body();
    role_ = around;
    thread_ = thread;
    threads_ = count;
    return result;
  }

  static bool is_barrier(const Stmt& stmt) { return is_call(stmt, "sync_threads"); }
  static Stmt without_double_barriers(const Stmt& stmt) {
    return cast_ref<StmtNode>(rewrite_post(stmt, [](const NodeRef& node) -> NodeRef {
      const auto* seq = node.as<SeqStmt>();
      if (seq == nullptr)
        return node;
      std::vector<Stmt> kept;
      for (const Stmt& child : seq->statements)
        if (kept.empty() || !is_barrier(child) || !is_barrier(kept.back()))
          kept.push_back(child);
        else if (kept.back()->span.line == 0)
          kept.back() = child; // the program's own stays, whatever the operators around it need
      return kept.size() == seq->statements.size() ? node : NodeRef(make_seq(std::move(kept)));
    }));
  }

  template <typename F> static bool any(const NodeRef& node, F&& f) {
    bool found = false;
    walk(node, [&](const NodeRef& child) {
      found |= f(child);
      return !found;
    });
    return found;
  }
  static bool has_parallel(const Stmt& stmt) {
    return any(stmt, [](const NodeRef& node) {
      const auto* loop = node.as<For>();
      return node.as<TileCall>() != nullptr ||
             (loop != nullptr && loop->kind == ForKind::kTileParallel);
    });
  }
  static bool touches(const NodeRef& node, bool (*which)(const Buffer&)) {
    return any(node, [&](const NodeRef& child) {
      const auto* load = child.as<BufferLoad>();
      const auto* store = child.as<BufferStore>();
      return (load != nullptr && which(load->buffer)) || (store != nullptr && which(store->buffer));
    });
  }
  static bool writes(const NodeRef& node, bool (*which)(const Buffer&)) {
    return any(node, [&](const NodeRef& child) {
      const auto* store = child.as<BufferStore>();
      return store != nullptr && which(store->buffer);
    });
  }

  Stmt statement(const Stmt& stmt) {
    if (!error_.message.empty())
      return stmt;
    if (const auto* seq = stmt.as<SeqStmt>()) {
      std::vector<Stmt> list;
      for (const Stmt& child : seq->statements)
        list.push_back(statement(child));
      return make_seq(std::move(list));
    }
    if (const auto* alloc = stmt.as<AllocBuffer>())
      return allocation(*alloc, stmt);
    if (const auto found = code_of_.find(stmt.get()); found != code_of_.end()) {
      // Engines read past what orders the threads' own writes of shared memory.
      if (any(found->second, [&](const NodeRef& node) {
            const auto* call = node.as<Call>();
            return call != nullptr && reads_tiles(*call) &&
                   (is_written_by_threads(call->args[1]) || is_written_by_threads(call->args[2]));
          }))
        return make_seq(
            {make_evaluate(call_op("fence_proxy_async", {})), barrier(), found->second, barrier()});
      // Asynchronous copies that are waited for elsewhere have the fence before what reads them.
      if (has_written(found->second) && any(found->second, [&](const NodeRef& node) {
            const auto* call = node.as<Call>();
            const auto* store = node.as<BufferStore>();
            const OpInfo* op = call != nullptr ? find_op(call->op) : nullptr;
            const bool writes =
                op != nullptr && op->addresses > 0 && !call->op.starts_with("tma_load");
            const auto* to = writes ? call->args[0].as<BufferLoad>() : nullptr;
            const BufferNode* buffer = store != nullptr ? store->buffer.get()
                                       : to != nullptr  ? to->buffer.get()
                                                        : nullptr;
            return read_by_engines_.contains(buffer);
          }))
        return make_seq(
            {barrier(), found->second, make_evaluate(call_op("fence_proxy_async", {})), barrier()});
      return make_seq({barrier(), found->second, barrier()});
    }
    if (is_barrier(stmt))
      return with_own_barriers(stmt, warps_of(role_));
    if (const auto* branch = stmt.as<IfThenElse>();
        branch != nullptr && has_parallel(stmt) && divides_roles(*branch, *launch_)) {
      const auto side = [&](const Stmt& body, bool holds) {
        return body ? in_role(*branch, holds, [&] { return statement(body); }) : body;
      };
      const Stmt yes = side(branch->then_case, true);
      const Stmt no = side(branch->else_case, false);
      Stmt result = make_if(branch->condition, yes, no);
      result->span = stmt->span;
      return result;
    }
    const auto* loop = stmt.as<For>();
    if (loop != nullptr && loop->kind == ForKind::kTileParallel)
      return step(nest(*loop));
    if (loop != nullptr && loop->annotations.get(ops::kRounds)) {
      meets_ = false;
      const Stmt body = statement(loop->body);
      meets_ = true;
      return make_seq({barrier(),
                       change_loop(*loop,
                                   [&](For& node) {
                                     node.body = body;
                                     node.annotations = {};
                                   }),
                       barrier()});
    }
    // By single threads, or by the block: one step that every thread would do alike.
    const bool by_threads = any(stmt, [&](const NodeRef& node) {
      return thread_vars_.contains(static_cast<const VarNode*>(node.get()));
    });
    const bool meets = any(stmt, [](const NodeRef& node) {
      return node.is<Evaluate>() && is_barrier(cast_ref<StmtNode>(node));
    });
    if (!has_parallel(stmt) && (by_threads || !meets)) {
      const bool shared_write = writes(stmt, is_shared) || writes(stmt, [](const Buffer& buffer) {
                                  return buffer->scope == "global";
                                });
      const bool prints = any(stmt, [](const NodeRef& node) {
        return node.is<Evaluate>() && as_print(cast_ref<StmtNode>(node)) != nullptr;
      });
      if (!by_threads && (touches(stmt, is_fragment) || shared_write || prints))
        return step({{}, {}, stmt, stmt->span});
      if (touches(stmt, is_fragment))
        fail(stmt->span, "code of single threads uses a fragment, which the block shares out; "
                         "use T.Parallel, or copy it into shared memory");
      return meets ? with_own_barriers(stmt, warps_of(role_)) : stmt;
    }
    // Control flow of the block.
    NodeRef changed = stmt->info().map_children(stmt.get(), [&](const NodeRef& child, Role) {
      return StmtNode::accepts(child->kind()) ? NodeRef(statement(cast_ref<StmtNode>(child)))
                                              : child;
    });
    if (const auto* pipelined = changed.as<For>();
        pipelined != nullptr && pipelined->kind == ForKind::kPipelined)
      changed = copy_node<For>(*pipelined, [](For& copy) {
        copy.kind = ForKind::kSerial;
        copy.annotations = {};
      });
    if (const auto* loop = changed.as<For>();
        loop != nullptr && loop->kind == ForKind::kSerial && selects_registers(*loop))
      changed = copy_node<For>(*loop, [](For& copy) { copy.kind = ForKind::kUnrolled; });
    return cast_ref<StmtNode>(changed);
  }

  /// A short loop whose variable says which of a fragment's registers: they must be constants.
  bool selects_registers(const For& loop) const {
    constexpr int64_t kMost = 16;
    if (as_int(loop.extent).value_or(kMost + 1) > kMost)
      return false;
    std::unordered_set<const BufferNode*> registers;
    for (const auto& [fragment, known] : fragments_)
      registers.insert(known.registers.get());
    const auto selects = [&](const Buffer& buffer, const std::vector<Expr>& indices) {
      return registers.contains(buffer.get()) && mentions(indices[0], loop.loop_var);
    };
    return any(loop.body, [&](const NodeRef& node) {
      const auto* load = node.as<BufferLoad>();
      const auto* store = node.as<BufferStore>();
      return (load != nullptr && selects(load->buffer, load->indices)) ||
             (store != nullptr && selects(store->buffer, store->indices));
    });
  }

  Stmt allocation(const AllocBuffer& alloc, const Stmt& stmt) {
    if (!is_fragment(alloc.buffer))
      return stmt;
    Stmt result = make_alloc(fragments_.at(alloc.buffer.get()).registers);
    result->span = alloc.span;
    return result;
  }

  Step nest(const For& outermost) {
    Step step;
    step.where = outermost.span;
    const For* loop = &outermost;
    while (true) {
      const auto extent = as_int(loop->extent);
      if (!extent || !is_int(loop->min, 0))
        fail(loop->span, "the extents of T.Parallel must be constant here");
      step.vars.push_back(loop->loop_var);
      step.extents.push_back(extent.value_or(1));
      const auto* inner = loop->body.as<For>();
      if (inner == nullptr || inner->kind != ForKind::kTileParallel)
        break;
      loop = inner;
    }
    step.body = cast_ref<StmtNode>(rewrite_post(loop->body, [](const NodeRef& node) -> NodeRef {
      const auto* inner = node.as<For>();
      if (inner == nullptr || inner->kind != ForKind::kTileParallel)
        return node;
      return copy_node<For>(*inner, [](For& copy) { copy.kind = ForKind::kSerial; });
    }));
    return step;
  }

  /// Each thread that holds anything of the fragment holds all along this dimension.
  bool is_held_whole(const Buffer& fragment, size_t dimension) const {
    const auto found = fragments_.find(fragment.get());
    return found != fragments_.end() && row_stride(found->second.layout, dimension) > 0;
  }
  /// Registers from one element to the next along a dimension of which a thread holds all; 0: it
  /// does not.
  static int64_t row_stride(const Layout& layout, size_t dimension) {
    size_t digit = 0;
    for (size_t d = 0; d < layout.shape.size(); ++d) {
      const size_t first = digit;
      for (int64_t weight = 1; digit < layout.digits.size() && weight < layout.shape[d]; ++digit)
        weight *= layout.digits[digit].extent;
      if (digit == first && digit < layout.digits.size() && layout.digits[digit].extent == 1)
        ++digit;
      if (d == dimension)
        return digit == first + 1 && layout.digits[first].axis == kMemoryAxis
                   ? layout.digits[first].stride
                   : 0;
    }
    return 0;
  }
  /// The layout of a fragment without the dimensions that go with no loop, and which loops the
  /// others go with.
  std::pair<Layout, std::vector<int>> moving(const Use& use) const {
    Layout layout = fragments_.at(use.buffer.get()).layout;
    std::vector<int> loops;
    for (size_t d = use.loops.size(); d-- > 0;)
      if (use.loops[d] >= 0 || is_int(use.buffer->shape[d], 1))
        loops.insert(loops.begin(), use.loops[d]);
      else if (auto without = reduced(layout, static_cast<int>(d)))
        layout = *std::move(without);
    return {layout, loops};
  }

  /// The fragments of a step, in order of appearance.
  std::vector<Use> uses_of(const Step& step) {
    std::vector<Use> uses;
    const auto note = [&](const Buffer& buffer, const std::vector<Expr>& indices, bool write) {
      if (!is_fragment(buffer))
        return;
      auto found = std::find_if(uses.begin(), uses.end(),
                                [&](const Use& use) { return use.buffer == buffer; });
      std::vector<int> loops;
      bool direct = true;
      for (size_t d = 0; d < indices.size(); ++d) {
        if (is_int(buffer->shape[d], 1)) {
          loops.push_back(-1);
          continue;
        }
        int which = -1;
        for (size_t v = 0; v < step.vars.size(); ++v)
          if (indices[d].get() == step.vars[v].get())
            which = static_cast<int>(v);
        const bool moves = uses_var(indices[d], [&](const VarNode& var) {
          return std::any_of(step.vars.begin(), step.vars.end(),
                             [&](const Var& loop) { return loop.get() == &var; });
        });
        direct &= which >= 0 ? is_int(buffer->shape[d], step.extents[static_cast<size_t>(which)])
                             : !moves && is_held_whole(buffer, d);
        loops.push_back(which);
      }
      if (found == uses.end()) {
        uses.push_back({.buffer = buffer, .loops = loops, .direct = direct});
        found = uses.end() - 1;
      }
      found->direct &= direct && loops == found->loops;
      (write ? found->written : found->read) = true;
    };
    walk(step.body, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        note(store->buffer, store->indices, true);
      if (const auto* load = node.as<BufferLoad>())
        note(load->buffer, load->indices, false);
      return true;
    });
    each_certain_store(step.body, [&](const BufferStore& store) {
      std::vector<const VarNode*> indices;
      for (size_t d = 0; d < store.indices.size(); ++d) {
        if (is_int(store.buffer->shape[d], 1))
          continue;
        const auto* var = store.indices[d].as<VarNode>();
        const auto which = std::find_if(step.vars.begin(), step.vars.end(),
                                        [&](const Var& loop) { return loop.get() == var; });
        if (which == step.vars.end() ||
            std::find(indices.begin(), indices.end(), var) != indices.end() ||
            !is_int(store.buffer->shape[d],
                    step.extents[static_cast<size_t>(which - step.vars.begin())]))
          return;
        indices.push_back(var);
      }
      for (Use& use : uses)
        use.covered |= use.buffer == store.buffer;
    });
    return uses;
  }

  /// Stores that are carried out whatever the values are.
  template <typename F> static void each_certain_store(const Stmt& stmt, F&& visit) {
    if (const auto* store = stmt.as<BufferStore>(); store != nullptr && !store->predicate)
      visit(*store);
    if (const auto* seq = stmt.as<SeqStmt>())
      for (const Stmt& child : seq->statements)
        each_certain_store(child, visit);
    if (const auto* loop = stmt.as<For>(); loop != nullptr && as_int(loop->extent).value_or(0) > 0)
      each_certain_store(loop->body, visit);
  }

  /// Whose layout the loops take: a fragment that is written with all loops, or else is read so.
  Layout loops_layout(const Step& step, const std::vector<Use>& uses) {
    for (const bool written : {true, false})
      for (const Use& use : uses) {
        if (!use.direct || use.written != written)
          continue;
        const auto [held, dimensions] = moving(use);
        std::vector<int> order;
        for (size_t v = 0; v < step.vars.size(); ++v)
          for (size_t d = 0; d < dimensions.size(); ++d)
            if (dimensions[d] == static_cast<int>(v))
              order.push_back(static_cast<int>(d));
        // A loop of one iteration goes with no dimension, or with any.
        const auto longer = std::count_if(step.extents.begin(), step.extents.end(),
                                          [](int64_t extent) { return extent != 1; });
        if (static_cast<std::ptrdiff_t>(order.size()) != longer)
          continue;
        for (size_t d = 0; d < dimensions.size(); ++d) // dimensions of one element, last
          if (dimensions[d] < 0)
            order.push_back(static_cast<int>(d));
        auto layout = permute(held, order);
        if (layout && !step.vars.empty())
          layout = reshape(*layout, step.extents);
        if (layout)
          return *std::move(layout);
      }
    const std::vector<int64_t> shape =
        step.extents.empty() ? std::vector<int64_t>{1} : step.extents;
    const int bits = step.vars.empty() ? 0 : exchanged_bits(step.body, step.vars.back());
    auto layout = default_fragment(shape, threads_, bits > 0 ? std::min(bits, 32) : 32);
    TEMPER_CHECK(layout.has_value(), "any shape can be dealt out");
    return *std::move(layout);
  }

  /// Shared memory that holds a fragment while a step reads other threads' elements.
  Buffer scratch_of(const Buffer& fragment) {
    Buffer& scratch = staging_[fragment.get()];
    if (!scratch) {
      scratch = make_buffer(fragment->name + "_staged", fragment->dtype, fragment->shape, "shared");
      scratch_.push_back(make_alloc(scratch));
    }
    return scratch;
  }

  /// Whether the thread is the first of those that hold its elements.
  Expr is_first_holder(const Layout& layout) const {
    Expr first = make_bool(true);
    for (const LayoutDigit& digit : layout.replicas) {
      const Expr part = digit.stride > 1 ? floordiv(thread_, digit.stride) : thread_;
      first =
          logical_and(first, equal(floormod(part, digit.extent), make_int(DataType::int32(), 0)));
    }
    return first;
  }

  /// For each element that a thread holds by `layout`: `body` of its coordinate, with `reg` as the
  /// number among those that it holds. `once`: only by the first of the threads that hold it.
  Stmt each_element(const Layout& layout, const std::vector<Var>& vars, const Var& reg, bool once,
                    Stmt body) {
    const DataType dtype = DataType::int32();
    auto elements = inverse(layout, {kThreadAxis, kMemoryAxis});
    if (!elements) {
      fail({}, elements.error().message);
      return body;
    }
    int64_t registers = elements->shape[1];
    const Analyzer::Scope scope(math_);
    const int64_t width = neighbours(*elements, layout, vars, body);
    registers /= width;
    math_.bind(reg, IntInterval::range(0, registers));
    const Expr number =
        layout_value(*elements, std::vector<Expr>{thread_, width > 1 ? Expr(reg) * width : reg});
    if (width > 1) {
      // One iteration for each vector, whose number takes the place of the last coordinate.
      const Var& last = vars.back();
      const Var lane = make_var(last->name, last->dtype);
      const Expr lane32 = tile_cast(dtype, lane);
      body = make_for(lane, make_int(lane->dtype, 0), make_int(lane->dtype, width),
                      ForKind::kVectorized,
                      cast_ref<StmtNode>(substitute(body, {{last, Expr(last) * width + Expr(lane)},
                                                           {reg, Expr(reg) * width + lane32}})));
    }
    std::vector<Stmt> list;
    int64_t weight = layout.size();
    for (size_t d = 0; d < vars.size(); ++d) {
      const int64_t above = weight;
      weight /= layout.shape[d];
      if (!mentions(body, vars[d]))
        continue;
      Expr index = weight > 1 ? floordiv(number, weight) : number;
      if (above < layout.size())
        index = floormod(index, layout.shape[d]);
      if (width > 1 && d + 1 == vars.size())
        index = floordiv(index, width);
      list.push_back(make_bind(vars[d], tile_cast(vars[d]->dtype, math_.simplify(index))));
    }
    const Expr first = once ? is_first_holder(layout) : make_bool(true);
    list.push_back(is_int(first, 1) ? std::move(body) : make_if(first, std::move(body)));
    return make_for(reg, make_int(dtype, 0), make_int(dtype, registers), ForKind::kSerial,
                    make_seq(std::move(list)));
  }

  /// How many elements a thread should look at together: those that registers hold side by side,
  /// as far as the body has memory side by side for them; 1: it does not.
  int64_t neighbours(const Layout& elements, const Layout& layout, const std::vector<Var>& vars,
                     const Stmt& body) {
    constexpr int64_t kVectorBytes = 16;
    int64_t most = 1;
    bool alone = true;
    const auto access = [&](const Buffer& buffer, const std::vector<Expr>& indices) {
      if (buffer->scope.starts_with("local") || indices.empty() || vars.empty() ||
          !mentions(indices.back(), vars.back()))
        return;
      const int64_t bytes = buffer->dtype.element_bytes();
      int64_t run = bytes > 0 ? std::max<int64_t>(kVectorBytes / bytes, 1) : 1;
      if (indices.size() > 1)
        while (run > 1 && as_int(buffer->shape.back()).value_or(1) % run != 0)
          run /= 2;
      most = std::max(most, run);
    };
    walk(body, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        access(store->buffer, store->indices);
      if (const auto* load = node.as<BufferLoad>())
        access(load->buffer, load->indices);
      const auto* loop = node.as<For>();
      alone &= loop == nullptr;
      return true;
    });
    if (!alone || most == 1 || layout.shape.size() != vars.size())
      return 1;
    return neighbouring_registers(elements, layout.shape.back(), most);
  }

  /// Which register of `fragment` holds what iteration number `reg` of a thread needs, where that
  /// is the same for all threads: registers must be indexed by what unrolling makes constant. Null
  /// where it is not. Dimension d of the fragment goes with loop `use.loops[d]`.
  Expr register_for(const Layout& loops, const Use& use, const Var& reg) {
    const Layout& have = fragments_.at(use.buffer.get()).layout;
    auto elements = inverse(loops, {kThreadAxis, kMemoryAxis});
    if (!elements)
      return nullptr;
    const LayoutMap number(*elements);
    const LayoutMap place(have);
    const int64_t registers = elements->shape[1];
    std::vector<int64_t> table(static_cast<size_t>(registers), -1);
    std::vector<int64_t> coordinate(have.shape.size());
    for (int64_t i = 0; i < number.size(); ++i) {
      const std::vector<int64_t> iteration = coordinate_of(loops.shape, number.offset(i));
      for (size_t d = 0; d < coordinate.size(); ++d)
        coordinate[d] = use.loops[d] < 0 ? 0 : iteration[static_cast<size_t>(use.loops[d])];
      const int64_t found = place.offset(number_of(have.shape, coordinate));
      int64_t& known = table[static_cast<size_t>(i % registers)];
      if (known >= 0 && known != found)
        return nullptr;
      known = found;
    }
    auto map = layout_of_map({registers}, {kMemoryAxis},
                             [&](std::span<const int64_t> at, std::span<int64_t> values) {
                               values[0] = table[static_cast<size_t>(at[0])];
                             });
    if (!map || !map->input_swizzle.empty())
      return nullptr;
    return layout_value(*map, std::vector<Expr>{Expr(reg)});
  }

  Expr register_of(const Buffer& fragment, const std::vector<Expr>& indices) {
    return layout_value(fragments_.at(fragment.get()).layout, indices);
  }

  Stmt move_fragment(const Buffer& fragment, bool to_shared) {
    const Fragment& known = fragments_.at(fragment.get());
    const Buffer scratch = scratch_of(fragment);
    std::vector<Var> vars;
    std::vector<Expr> indices;
    for (size_t d = 0; d < fragment->shape.size(); ++d) {
      vars.push_back(make_var("e"));
      indices.push_back(vars.back());
    }
    // In the order of its own layout.
    const Var number = make_var("r", DataType::int32());
    const std::vector<Expr> reg{Expr(number)};
    return each_element(known.layout, vars, number, to_shared,
                        to_shared ? make_store(scratch, indices, make_load(known.registers, reg))
                                  : make_store(known.registers, reg, make_load(scratch, indices)));
  }

  /// Whether iterations that several threads hold must be run by one of them: what one stores for
  /// all, another one of them would read before or after it by chance; or the old value of an
  /// atomic operation is used.
  static bool only_one_may_run(const Step& step, const std::vector<Use>& uses) {
    bool one = false;
    std::unordered_set<const BufferNode*> stored, loaded;
    walk(step.body, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        stored.insert(store->buffer.get());
      else if (const auto* load = node.as<BufferLoad>())
        loaded.insert(load->buffer.get());
      else if (node.is<Evaluate>() && as_atomic(cast_ref<StmtNode>(node)) != nullptr)
        return false; // is guarded as it is
      else if (const auto* call = node.as<Call>())
        one |= is_atomic(*call);
      return true;
    });
    if (step.body.is<BufferStore>())
      return one; // guarded with what it reads
    for (const BufferNode* buffer : stored) {
      const auto use = std::find_if(uses.begin(), uses.end(),
                                    [&](const Use& known) { return known.buffer.get() == buffer; });
      const bool by_one = use != uses.end() ? !use->direct : !buffer->scope.starts_with("local");
      one |= by_one && loaded.contains(buffer);
    }
    return one;
  }

  Stmt step(const Step& step) {
    std::vector<Use> uses = uses_of(step);
    for (const Use& use : uses)
      if (!fragments_.contains(use.buffer.get())) {
        fail(step.where, "the fragment " + use.buffer->name + " is not allocated in this kernel");
        return step.body;
      }
    if (std::find(step.extents.begin(), step.extents.end(), 0) != step.extents.end())
      return make_seq({}); // it never runs
    const Layout loops = loops_layout(step, uses);
    if (!error_.message.empty())
      return step.body;
    // A direct use must find its elements in the thread that runs the iteration.
    for (Use& use : uses) {
      if (!use.direct)
        continue;
      LayoutOperand operand{0, {}};
      std::vector<int64_t> shape;
      for (const int loop : use.loops)
        if (loop >= 0) {
          operand.loops.push_back(loop);
          shape.push_back(step.extents[static_cast<size_t>(loop)]);
        }
      if (shape.empty())
        shape.push_back(1);
      auto needed = operand_layout(loops, operand);
      auto have = reshape(moving(use).first, shape);
      use.direct = needed && have && needed->shape == have->shape && covers(*have, *needed);
      // Writing needs all copies of the element.
      if (use.direct && use.written)
        use.direct = covers(*needed, *have);
    }
    // Stores to memory of the block by one of the threads that hold an iteration.
    const Expr first = is_first_holder(loops);
    // Where the others would see these stores too early, it runs the whole iteration, and what it
    // computes comes back to them through shared memory.
    const bool alone = !is_int(first, 1) && only_one_may_run(step, uses);
    if (alone)
      for (Use& use : uses)
        use.direct &= !use.written;
    bool shared = touches(step.body, is_shared);
    const bool global =
        touches(step.body, [](const Buffer& buffer) { return buffer->scope == "global"; });
    std::vector<Stmt> before, after;
    for (const Use& use : uses)
      if (!use.direct) {
        shared = true;
        if (notes_.decisions != nullptr)
          notes_.decisions->text +=
              at(step.where) + "the fragment " + use.buffer->name +
              " goes through shared memory: other threads need its elements than "
              "those that hold them\n";
        // What a step does not overwrite is to come back as it was.
        if (use.read || !use.covered)
          before.push_back(move_fragment(use.buffer, true));
        if (!use.read && !use.covered)
          cleared_.insert(fragments_.at(use.buffer.get()).registers.get());
        if (use.written)
          after.push_back(move_fragment(use.buffer, false));
      }
    const auto direct = [&](const Buffer& buffer) {
      for (const Use& use : uses)
        if (use.buffer == buffer)
          return use.direct;
      return false;
    };
    const Var number = make_var("r", DataType::int32());
    std::unordered_map<const BufferNode*, Expr> registers;
    for (const Use& use : uses)
      if (use.direct)
        if (const Expr found = register_for(loops, use, number))
          registers.emplace(use.buffer.get(), found);
    const auto register_index = [&](const Buffer& buffer, const std::vector<Expr>& indices) {
      const auto found = registers.find(buffer.get());
      if (found == registers.end())
        return register_of(buffer, indices);
      const auto use = std::find_if(uses.begin(), uses.end(),
                                    [&](const Use& known) { return known.buffer == buffer; });
      Expr reg = found->second;
      for (size_t d = 0; d < indices.size(); ++d)
        if (use->loops[d] < 0 && !is_int(buffer->shape[d], 1))
          reg = reg + tile_cast(DataType::int32(), indices[d]) *
                          row_stride(fragments_.at(buffer.get()).layout, d);
      return reg;
    };
    const Stmt body =
        cast_ref<StmtNode>(rewrite_post(step.body, [&](const NodeRef& node) -> NodeRef {
          if (const auto* load = node.as<BufferLoad>();
              load != nullptr && is_fragment(load->buffer)) {
            Expr changed = direct(load->buffer)
                               ? make_load(fragments_.at(load->buffer.get()).registers,
                                           {register_index(load->buffer, load->indices)})
                               : make_load(scratch_of(load->buffer), load->indices);
            changed->span = load->span;
            return changed;
          }
          if (const auto* store = node.as<BufferStore>()) {
            if (!is_fragment(store->buffer)) {
              if (is_int(first, 1) || alone || store->buffer->scope.starts_with("local"))
                return node;
              return make_if(first, Stmt(store));
            }
            Stmt changed = direct(store->buffer)
                               ? make_store(fragments_.at(store->buffer.get()).registers,
                                            {register_index(store->buffer, store->indices)},
                                            store->value, store->predicate)
                               : make_store(scratch_of(store->buffer), store->indices, store->value,
                                            store->predicate);
            changed->span = store->span;
            return direct(store->buffer) || is_int(first, 1) || alone ? changed
                                                                      : make_if(first, changed);
          }
          if (node.is<Evaluate>() && !is_int(first, 1) && !alone &&
              (as_print(cast_ref<StmtNode>(node)) != nullptr ||
               as_atomic(cast_ref<StmtNode>(node)) != nullptr))
            return make_if(first, cast_ref<StmtNode>(node));
          return node;
        }));
    Stmt main = each_element(loops, step.vars, number, false, alone ? make_if(first, body) : body);
    std::vector<Stmt> list;
    const bool meets = (shared || global) && (meets_ || !before.empty() || !after.empty());
    if (meets)
      list.push_back(barrier());
    for (Stmt& stmt : before)
      list.push_back(std::move(stmt));
    if (!before.empty())
      list.push_back(barrier());
    const bool fenced = any(main, [&](const NodeRef& node) {
      const auto* store = node.as<BufferStore>();
      return store != nullptr && read_by_engines_.contains(store->buffer.get());
    });
    list.push_back(std::move(main));
    if (fenced)
      list.push_back(make_evaluate(call_op("fence_proxy_async", {})));
    if (meets)
      list.push_back(barrier());
    for (Stmt& stmt : after)
      list.push_back(std::move(stmt));
    if (!after.empty())
      list.push_back(barrier());
    return make_seq(std::move(list));
  }

  /// Registers that go through shared memory before all of them may have been written start at 0.
  Stmt with_cleared(const Stmt& body) {
    if (cleared_.empty())
      return body;
    return cast_ref<StmtNode>(rewrite_post(body, [&](const NodeRef& node) -> NodeRef {
      const auto* seq = node.as<SeqStmt>();
      if (seq == nullptr)
        return node;
      std::vector<Stmt> list;
      for (const Stmt& child : seq->statements) {
        list.push_back(child);
        const auto* alloc = child.as<AllocBuffer>();
        if (alloc == nullptr || !cleared_.contains(alloc->buffer.get()))
          continue;
        const Var r = make_var("r");
        list.push_back(
            make_for(r, make_int(r->dtype, 0), alloc->buffer->shape[0], ForKind::kSerial,
                     make_store(alloc->buffer, {Expr(r)}, make_const(alloc->buffer->dtype, 0))));
      }
      return list.size() == seq->statements.size() ? node : NodeRef(make_seq(std::move(list)));
    }));
  }

  int architecture_ = 0;
  Notes notes_;
  std::unordered_map<const Node*, Stmt> code_of_; ///< of operators that variants have lowered
  std::unordered_map<const BufferNode*, Layout> layouts_;    ///< of shared memory
  std::unordered_set<const BufferNode*> written_by_threads_; ///< other than in steps
  std::unordered_set<const BufferNode*> read_by_engines_;
  Analyzer math_;       ///< knows the threads
  Expr thread_;         ///< number among those that run the code at hand
  int64_t threads_ = 1; ///< how many they are
  const KernelLaunch* launch_ = nullptr;
  ThreadRange block_;
  ThreadRange role_;           ///< who they are
  std::vector<WarpSet> roles_; ///< those with a barrier of their own, in order of appearance
  std::unordered_set<const VarNode*> thread_vars_;
  std::unordered_map<const BufferNode*, Fragment> fragments_;
  std::unordered_map<const BufferNode*, Buffer> staging_;
  std::vector<Stmt> scratch_;
  std::unordered_set<const BufferNode*> cleared_;
  bool meets_ = true; ///< threads meet before and behind a step
  Error error_;
};

} // namespace

namespace {

/// A warp of its own makes the copies of a loop in the kernel, or may.
bool may_have_producer(const KernelLaunch& kernel) {
  bool found = false;
  walk(kernel.body, [&](const NodeRef& node) {
    const auto* loop = node.as<For>();
    found |= loop != nullptr && loop->kind == ForKind::kPipelined && !is_ordered(*loop) &&
             loop->annotations.get_int(kStages).value_or(1) >= 2 &&
             loop->annotations.get_int(kTma).value_or(kOwnWarp) == kOwnWarp;
    return !found;
  });
  return found;
}

/// A pipeline has copies that may be under way while it computes, and leaves open how far ahead.
bool can_run_ahead(const For& loop) {
  if (is_ordered(loop))
    return false;
  bool any = false;
  walk(loop.body, [&](const NodeRef& node) {
    const auto* call = node.as<TileCall>();
    any |= call != nullptr && call->op == "copy" && call->regions[0].buffer->scope == "global" &&
           is_shared(call->regions[1].buffer);
    return !any;
  });
  return any;
}

/// It says itself that a warp of its own makes copies.
bool any_producer(const PrimFunc& function) {
  bool found = false;
  walk(function->body, [&](const NodeRef& node) {
    const auto* loop = node.as<For>();
    found |= loop != nullptr && loop->annotations.get_int(kTma).value_or(0) == kOwnWarp;
    return !found;
  });
  return found;
}

Result<PrimFunc> lowered(const PrimFunc& function, int architecture, Notes notes) {
  const bool asynchronous = architecture >= 80;
  // Names: what copies ahead is known by them, and by no memory.
  TEMPER_TRY(expanded, expand_ordered_pipelines(bind_scalars(promote_sums(function, architecture)),
                                                asynchronous));
  if (asynchronous) {
    TEMPER_TRY(pipelined, expand_pipelines(expanded, architecture != kPlainSm90));
    expanded = pipelined;
  }
  TEMPER_TRY(annotated, annotate_layouts(expanded, false, is_amd(architecture)));
  TEMPER_TRY(body,
             replace_where(
                 annotated->body, [](const Stmt& stmt) { return stmt.is<KernelLaunch>(); },
                 [&](const Stmt& stmt) {
                   return Lowering(architecture, notes).kernel(annotated, *stmt.as<KernelLaunch>());
                 }));
  return vectorize_steps(guard_accesses(with_body(annotated, body)));
}

} // namespace

Result<PrimFunc> lower_simt(const PrimFunc& function, int architecture) {
  return lowered(function, architecture, {});
}

std::string simt_dispatch(const PrimFunc& function, int architecture) {
  Decisions decisions;
  const PrimFunc named = labelled(function, [&](const std::string& label, const Stmt& stmt) {
    if (const auto* call = stmt.as<TileCall>())
      decisions.written.emplace(label, call_text(*call));
  });
  if (auto result = lowered(named, architecture, {.decisions = &decisions}); !result)
    decisions.text += result.error().message + "\n";
  return decisions.text;
}

Result<std::vector<OpenCall>> simt_open_calls(const PrimFunc& function, int architecture) {
  // Loops and kernels as they stand; operators under their labels, since pipelines copy them.
  std::vector<OpenCall> all;
  const PrimFunc named = labelled(function, [&](const std::string& name, const Stmt& stmt) {
    if (stmt.is<TileCall>()) {
      all.push_back({name, {}});
      return;
    }
    const auto knob = [&](const char* what, std::vector<int64_t> choices, int64_t otherwise) {
      if (all.empty() || all.back().label != name)
        all.push_back({name, {{"", {}}}});
      all.back().choices[0].knobs.push_back({what, std::move(choices), otherwise});
    };
    if (const auto* kernel = stmt.as<KernelLaunch>();
        kernel != nullptr && kernel->annotations.get(kOpenThreads))
      knob(kThreadCount, {32, 64, 128, 256, 512}, 128);
    if (const auto* kernel = stmt.as<KernelLaunch>(); kernel != nullptr && architecture >= 90 &&
                                                      !kernel->annotations.get(kCluster) &&
                                                      may_have_producer(*kernel)) {
      constexpr const char* kAxes[] = {kClusterX, kClusterY};
      for (size_t axis = 0; axis < std::min(kernel->grid.size(), std::size(kAxes)); ++axis)
        if (const auto blocks = as_int(kernel->grid[axis]);
            blocks && *blocks % 2 == 0 && !kernel->annotations.get(kAxes[axis]))
          knob(kAxes[axis], {1, 2}, 1);
    }
    if (const auto* loop = stmt.as<For>();
        loop != nullptr && !name.empty() && architecture >= 80 && can_run_ahead(*loop)) {
      if (!loop->annotations.get(kStages))
        knob(kStages, {1, 2, 3, 4}, 2);
      else if (architecture >= 90 && !loop->annotations.get(kTma) &&
               loop->annotations.get_int(kStages).value_or(1) >= 2)
        knob(kTma, {0, 1, kOwnWarp}, 0);
    }
  });
  std::vector<OpenCall> calls;
  TEMPER_TRY(rest, lowered(named, architecture, {.open = &calls}));
  (void)rest;
  std::vector<OpenCall> result;
  bool producer = any_producer(function);
  for (OpenCall& open : all) {
    for (OpenCall& call : calls)
      if (call.label == open.label)
        open.choices = std::move(call.choices);
    // Whether the engine can make all copies of a loop shows in trying.
    for (OpenCall::Choice& choice : open.choices)
      for (TileKnob& knob : choice.knobs)
        if (knob.name == kTma)
          std::erase_if(knob.choices, [&](int64_t value) {
            const PrimFunc changed = annotate_open(
                function, open.label, Annotations().with(kTma, make_int(DataType::int32(), value)));
            return value != 0 && (!changed || !lowered(changed, architecture, {}));
          });
    for (OpenCall::Choice& choice : open.choices) {
      for (const TileKnob& knob : choice.knobs)
        producer |= knob.name == kTma && knob.choices.back() == kOwnWarp;
      std::erase_if(choice.knobs, [](const TileKnob& knob) {
        return knob.name == kTma && knob.choices.size() < 2;
      });
    }
  }
  for (OpenCall& open : all) {
    // Without a warp that copies, blocks of a cluster have nothing to share.
    for (OpenCall::Choice& choice : open.choices)
      if (!producer)
        std::erase_if(choice.knobs, [](const TileKnob& knob) {
          return knob.name == kClusterX || knob.name == kClusterY;
        });
    if (open.is_open())
      result.push_back(std::move(open));
  }
  return result;
}

} // namespace temper::tir
