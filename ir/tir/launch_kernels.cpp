// Nests of bound loops become kernels.
//
// What several threads share is found by the loops around its accesses: memory that is only
// accessed below the very same loops over the threads is, by what binding them has checked, touched
// by one thread each; all else in shared memory, and in global memory that the kernel writes, needs
// the threads to meet. A statement in which no such memory is both written and accessed elsewhere
// is one step, with a barrier before and after it; others are taken apart as far as all threads
// come by.
#include "ir/tir/bound_threads.h"

#include "ir/op.h"
#include "ir/pass/pipeline_loops.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/tile.h"
#include "ir/tir/warp_fragments.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace temper::tir {
namespace {

constexpr std::array<const char*, 6> kAxes = {"blockIdx.x",  "blockIdx.y",  "blockIdx.z",
                                              "threadIdx.x", "threadIdx.y", "threadIdx.z"};
constexpr std::array<const char*, 6> kNames = {"bx", "by", "bz", "tx", "ty", "tz"};
constexpr size_t kBlockAxes = 3; ///< the first ones

/// Nothing for virtual threads, and for loops that are not bound.
std::optional<size_t> axis_of(const For& loop) {
  if (loop.kind == ForKind::kThreadBinding)
    for (size_t i = 0; i < kAxes.size(); ++i)
      if (loop.thread == kAxes[i])
        return i;
  return std::nullopt;
}

bool is_local(const Buffer& buffer) {
  return buffer->scope.starts_with("local") || buffer->scope.starts_with("wmma") ||
         buffer->scope.starts_with("m16n8") || buffer->scope == "warp";
}

Stmt barrier() { return make_evaluate(call_op("sync_threads", {})); }

class Kernel {
public:
  Result<Stmt> run(const Stmt& nest) {
    find_axes(nest);
    if (error_.message.empty() && !bound_)
      return not_bound(nest);
    if (is_tile_program_)
      take_tile_threads();
    else
      find_accesses(nest);
    if (!error_.message.empty())
      return error_;
    Stmt body = lower(nest, true);
    if (!error_.message.empty())
      return error_;
    std::vector<Expr> grid, threads;
    std::vector<Var> block_vars, thread_vars;
    for (const bool blocks : {true, false}) {
      const size_t first = blocks ? 0 : kBlockAxes;
      size_t count = kBlockAxes;
      while (count > 1 && axes_[first + count - 1].extent == 0)
        --count;
      for (size_t i = first; i < first + count; ++i) {
        (blocks ? grid : threads)
            .push_back(make_int(DataType::int32(), std::max<int64_t>(1, axes_[i].extent)));
        (blocks ? block_vars : thread_vars).push_back(axes_[i].var);
      }
    }
    Annotations annotations = tile_;
    if (unroll_ > 0 && !is_tile_program_)
      annotations = annotations.with(kUnrollStep, make_int(DataType::int32(), unroll_));
    return make_kernel(std::move(grid), std::move(threads), std::move(block_vars),
                       std::move(thread_vars), std::move(body), std::move(annotations));
  }

private:
  struct Axis {
    int64_t extent = 0; ///< 0: no loop is bound to it
    Var var;
  };
  using Chain = std::array<const VarNode*, 3>; ///< the innermost loop of each thread axis; null
  struct Uses {
    std::vector<Chain> chains; ///< different ones
    bool written = false;
  };

  void fail(std::string message) {
    if (error_.message.empty())
      error_ = Error(ErrorCode::kUnsupported, std::move(message));
  }

  static Error not_bound(const Stmt& nest) {
    const BufferStore* store = nullptr;
    walk(nest, [&](const NodeRef& node) {
      if (store == nullptr)
        store = node.as<BufferStore>();
      return store == nullptr;
    });
    const auto* loop = nest.as<For>();
    return {ErrorCode::kUnsupported,
            fmt::format("{}{} {} bound to no thread: bind the loops around each block to blockIdx "
                        "and threadIdx",
                        loop != nullptr ? "loop " + loop->loop_var->name : "what",
                        store == nullptr  ? std::string()
                        : loop != nullptr ? ", below which " + store->buffer->name + " is written,"
                                          : " writes " + store->buffer->name,
                        "is")};
  }

  void find_axes(const Stmt& nest) {
    for (size_t i = 0; i < axes_.size(); ++i)
      axes_[i].var = make_var(kNames[i], DataType::int32());
    bool by_warps = false;
    walk(nest, [&](const NodeRef& node) {
      const auto* loop = node.as<For>();
      const auto axis = loop != nullptr ? axis_of(*loop) : std::nullopt;
      if (const auto* call = node.as<Call>())
        by_warps |= is_warp_operation(*call);
      if (!axis)
        return !ExprNode::accepts(node->kind());
      bound_ = true;
      unroll_ = std::max(unroll_, loop->annotations.get_int(kUnrollStep).value_or(0));
      if (tile_threads(loop->annotations) > 0) {
        is_tile_program_ = true;
        for (const char* key : {kTileWarpRows, kTileWarpColumns})
          tile_ = tile_.with(key, loop->annotations.get(key));
      }
      const auto extent = as_int(loop->extent);
      Axis& known = axes_[*axis];
      if (!extent)
        fail(fmt::format("loop {}, bound to {}, has no constant number of iterations",
                         loop->loop_var->name, loop->thread));
      else if (*axis < kBlockAxes && known.extent != 0 && known.extent != *extent)
        fail(fmt::format("loops bound to {} in one nest run {} and {} times: they are the same "
                         "blocks, so they must run equally often",
                         loop->thread, known.extent, *extent));
      else
        known.extent = std::max(known.extent, *extent);
      return true;
    });
    // Instructions of warps are carried out by all of its threads.
    constexpr int64_t kWarp = 32;
    Axis& lanes = axes_[kBlockAxes];
    if (by_warps && lanes.extent > 0 && lanes.extent != kWarp)
      fail(fmt::format(
          "a nest with instructions of warps has their 32 threads along threadIdx.x, and "
          "{} iterations are bound to it: bind warps to threadIdx.y, and 32 threads, or "
          "nothing, to threadIdx.x",
          lanes.extent));
    if (by_warps)
      lanes.extent = kWarp;
  }

  /// The threads of a tile program are shared out when its operators are lowered.
  void take_tile_threads() {
    for (size_t i = kBlockAxes; i < axes_.size(); ++i)
      if (axes_[i].extent > 0)
        fail(
            fmt::format("a nest with {} has its threads from there, and binds loops to {} as well: "
                        "leave those to the tile operators",
                        kTileWarpRows, kAxes[i]));
    axes_[kBlockAxes].extent = tile_threads(tile_);
  }

  // Which memory threads share.

  void find_accesses(const Stmt& nest) {
    Chain chain{};
    visit_accesses(nest, chain);
    for (const auto& [buffer, uses] : uses_) {
      if (!uses.written)
        continue;
      bool own = buffer->scope == "global" && uses.chains.size() == 1;
      for (size_t i = 0; own && i < kBlockAxes; ++i)
        own = axes_[kBlockAxes + i].extent <= 1 || uses.chains[0][i] != nullptr;
      if (!own)
        shared_.insert(buffer);
    }
  }
  void visit_accesses(const NodeRef& node, Chain& chain) {
    if (const auto* loop = node.as<For>()) {
      const auto axis = axis_of(*loop);
      if (axis && *axis >= kBlockAxes) {
        const VarNode* before = std::exchange(chain[*axis - kBlockAxes], loop->loop_var.get());
        visit_accesses(loop->body, chain);
        chain[*axis - kBlockAxes] = before;
        return;
      }
    }
    if (const auto* alloc = node.as<AllocBuffer>();
        alloc != nullptr && alloc->buffer->scope == "global") {
      // A thread's own where all threads' loops are around it, else the block's.
      bool own = true;
      for (size_t i = 0; i < kBlockAxes; ++i)
        own &= axes_[kBlockAxes + i].extent <= 1 || chain[i] != nullptr;
      moved_.emplace(alloc->buffer, copy_node(*alloc->buffer, [&](BufferNode& copy) {
                       copy.scope = own ? "local" : "shared";
                     }));
      return;
    }
    const auto note = [&](const Buffer& named, bool write) {
      const Buffer buffer = after_move(named);
      if (is_local(buffer))
        return;
      Uses& uses = uses_[buffer.get()];
      uses.written |= write;
      if (std::find(uses.chains.begin(), uses.chains.end(), chain) == uses.chains.end())
        uses.chains.push_back(chain);
    };
    if (const auto* load = node.as<BufferLoad>())
      note(load->buffer, false);
    else if (const auto* store = node.as<BufferStore>())
      note(store->buffer, true);
    else if (const auto* call = node.as<Call>())
      for_each_written(*call, [&](const BufferLoad& target) { note(target.buffer, true); });
    node->info().for_each_child(node.get(), [&](const NodeRef& child, Role role) {
      if (child && role == Role::kChild)
        visit_accesses(child, chain);
    });
  }
  /// What a call writes: its first operand, where that is an address.
  template <typename F> static void for_each_written(const Call& call, F&& on_target) {
    const OpInfo* op = find_op(call.op);
    if (op == nullptr || op->addresses == 0 || call.args.empty())
      return;
    if (const auto* load = call.args[0].as<BufferLoad>())
      on_target(*load);
  }
  Buffer after_move(const Buffer& buffer) const {
    const auto found = moved_.find(buffer);
    return found == moved_.end() ? buffer : found->second;
  }

  struct Touched {
    bool any = false;
    bool meets = false; ///< something is written and accessed elsewhere in the statement
  };
  Touched touched(const Stmt& stmt) const {
    std::map<const BufferNode*, std::pair<int, bool>> accesses; // how many, whether one writes
    const auto note = [&](const Buffer& named, bool write) {
      const Buffer buffer = after_move(named);
      if (!shared_.contains(buffer.get()))
        return;
      auto& [count, written] = accesses[buffer.get()];
      ++count;
      written |= write;
    };
    walk(stmt, [&](const NodeRef& node) {
      if (const auto* load = node.as<BufferLoad>())
        note(load->buffer, false);
      else if (const auto* store = node.as<BufferStore>())
        note(store->buffer, true);
      else if (const auto* call = node.as<Call>())
        for_each_written(*call, [&](const BufferLoad& target) { note(target.buffer, true); });
      return true;
    });
    Touched result;
    for (const auto& [buffer, use] : accesses) {
      result.any = true;
      result.meets |= use.second && use.first > 1;
    }
    return result;
  }

  // The kernel's code.

  bool differs(const Expr& expr) const {
    bool found = false;
    walk(expr, [&](const NodeRef& node) {
      if (const auto* load = node.as<BufferLoad>())
        found |= is_local(after_move(load->buffer));
      for (size_t i = kBlockAxes; i < axes_.size(); ++i)
        found |= node.get() == axes_[i].var.get();
      return !found;
    });
    return found;
  }

  Expr value(const Expr& expr) const {
    return cast_ref<ExprNode>(replace_buffers(substitute(expr, values_), moved_));
  }

  /// `steps`: all threads come by here, and meet where they need to.
  Stmt lower(const Stmt& stmt, bool steps) {
    if (!error_.message.empty())
      return stmt;
    const auto* seq = stmt.as<SeqStmt>();
    if (steps && seq == nullptr) {
      const Touched what = touched(stmt);
      const bool leaf = stmt.is<BufferStore>() || stmt.is<Evaluate>();
      if (what.any && (!what.meets || leaf))
        return make_seq({barrier(), lower(stmt, false), barrier()});
      steps = what.meets;
    }
    if (const auto* loop = stmt.as<For>())
      return lower_loop(*loop, steps);
    if (const auto* branch = stmt.as<IfThenElse>()) {
      const Expr condition = value(branch->condition);
      if (steps && differs(condition))
        fail("threads would have to meet below a condition that differs between them: " +
             condition_text(stmt));
      return make_if(condition, lower(branch->then_case, steps),
                     branch->else_case ? lower(branch->else_case, steps) : nullptr);
    }
    if (const auto* alloc = stmt.as<AllocBuffer>())
      return make_alloc(after_move(alloc->buffer), alloc->annotations);
    if (const auto* store = stmt.as<BufferStore>()) {
      const Buffer buffer = after_move(store->buffer);
      std::vector<Expr> indices;
      for (const Expr& index : store->indices)
        indices.push_back(value(index));
      return by_first(buffer, make_store(buffer, std::move(indices), value(store->value),
                                         store->predicate ? value(store->predicate) : nullptr));
    }
    if (steps && stmt.is<While>())
      fail("threads would have to meet inside a while loop");
    return rebuild(
        stmt, [&](const Stmt& child) { return lower(child, steps); },
        [&](const Expr& expr) { return value(expr); });
  }

  /// What is stored outside of the threads' loops is stored by one of them.
  Stmt by_first(const Buffer& buffer, Stmt store) const {
    if (is_local(buffer) || is_tile_program_)
      return store;
    Expr first = make_bool(true);
    for (size_t i = 0; i < kBlockAxes; ++i)
      if (axes_[kBlockAxes + i].extent > 1 && chain_[i] == nullptr)
        first =
            logical_and(first, equal(axes_[kBlockAxes + i].var, make_int(DataType::int32(), 0)));
    return is_int(first, 1) ? store : make_if(first, std::move(store));
  }

  Stmt lower_loop(const For& loop, bool steps) {
    const auto axis = axis_of(loop);
    const Expr min = value(loop.min);
    const Expr extent = value(loop.extent);
    if (!axis) {
      if (steps && (differs(min) || differs(extent)))
        fail("threads would have to meet inside loop " + loop.loop_var->name +
             ", whose bounds differ between them");
      Annotations annotations = loop.annotations;
      Stmt body;
      if (const auto* seq = loop.body.as<SeqStmt>();
          seq != nullptr && annotations.get(kPipelineStage)) {
        // Barriers belong to the statement that they stand around.
        std::vector<Stmt> list;
        std::vector<size_t> counts;
        for (const Stmt& child : seq->statements) {
          list.push_back(lower(child, steps));
          if (!child.is<AllocBuffer>())
            counts.push_back(pipeline_statements(list.back()));
        }
        annotations = repeat_pipeline(annotations, counts);
        body = make_seq(std::move(list));
      } else {
        body = lower(loop.body, steps);
      }
      if (is_nothing(body))
        return body;
      return change_loop(loop, [&](For& node) {
        node.min = min;
        node.extent = extent;
        node.annotations = std::move(annotations);
        node.body = std::move(body);
      });
    }
    const Axis& known = axes_[*axis];
    Expr number = known.var;
    if (loop.loop_var->dtype != number->dtype)
      number = make_cast(loop.loop_var->dtype, number);
    values_[loop.loop_var] = is_int(min, 0) ? number : min + number;
    const bool whole = as_int(extent) == known.extent;
    if (!whole && steps)
      fail(fmt::format("threads would have to meet below loop {}, which {} of the block's {} "
                       "threads along {} run: bind loops of one length to it",
                       loop.loop_var->name, *as_int(extent), known.extent, loop.thread));
    const bool thread = *axis >= kBlockAxes;
    const VarNode* before =
        thread ? std::exchange(chain_[*axis - kBlockAxes], loop.loop_var.get()) : nullptr;
    Stmt body = lower(loop.body, steps);
    if (thread)
      chain_[*axis - kBlockAxes] = before;
    if (whole || is_nothing(body))
      return body;
    return make_if(less(known.var, make_int(DataType::int32(), *as_int(extent))), std::move(body));
  }

  static std::string condition_text(const Stmt& stmt) {
    std::string buffer = "a buffer";
    walk(stmt, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        buffer = store->buffer->name;
      return true;
    });
    return "it guards what is written to " + buffer;
  }

  std::array<Axis, 6> axes_;
  bool bound_ = false;
  bool is_tile_program_ = false;
  Annotations tile_;   ///< of a tile program: its warps
  int64_t unroll_ = 0; ///< asked for at a loop that is bound
  std::map<const BufferNode*, Uses> uses_;
  std::unordered_set<const BufferNode*> shared_; ///< what threads must meet for
  BufferMap moved_;                              ///< allocated by the kernel in "global"
  VarMap values_;
  Chain chain_{}; ///< around the statement at hand
  Error error_;
};

} // namespace

namespace {

bool mentions_buffer(const Stmt& stmt, const Buffer& buffer) {
  bool found = false;
  walk(stmt, [&](const NodeRef& node) {
    const auto* load = node.as<BufferLoad>();
    const auto* store = node.as<BufferStore>();
    found |= (load != nullptr && load->buffer == buffer) ||
             (store != nullptr && store->buffer == buffer);
    return !found;
  });
  return found;
}

} // namespace

Result<PrimFunc> launch_kernels(const PrimFunc& function) {
  std::vector<Stmt> list;
  if (const auto* seq = function->body.as<SeqStmt>())
    list = seq->statements;
  else
    list.push_back(function->body);
  // A block's or a thread's memory is its kernel's.
  for (Stmt& stmt : list) {
    const auto* alloc = stmt.as<AllocBuffer>();
    if (alloc == nullptr || alloc->buffer->scope == "global")
      continue;
    Stmt* user = nullptr;
    for (Stmt& nest : list) {
      if (nest.is<AllocBuffer>() || !mentions_buffer(nest, alloc->buffer))
        continue;
      if (user != nullptr)
        return Error(ErrorCode::kUnsupported,
                     fmt::format("{} is in \"{}\", and several kernels use it: compute the blocks "
                                 "that use it in one nest of bound loops, or leave it in global "
                                 "memory",
                                 alloc->buffer->name, alloc->buffer->scope));
      user = &nest;
    }
    if (user != nullptr)
      *user = make_seq({stmt, *user});
    stmt = make_seq({});
  }
  std::erase_if(list, [](const Stmt& stmt) { return is_nothing(stmt); });
  for (Stmt& stmt : list) {
    if (stmt.is<AllocBuffer>())
      continue;
    TEMPER_TRY(kernel, Kernel().run(stmt));
    stmt = kernel;
  }
  return with_body(function, make_seq(std::move(list)));
}

} // namespace temper::tir
