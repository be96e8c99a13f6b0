#include "ir/tir/shared_memory.h"

#include "ir/op.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/layout_expr.h"
#include "ir/tir/statement_call.h"
#include "ir/tir/tile.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace temper::tir {
namespace {

constexpr int64_t kAlignment = 128;      ///< a row of banks
constexpr int64_t kTileAlignment = 1024; ///< what a swizzle of 128 bytes comes round after

bool is_shared(const Buffer& buffer) { return tile_scope(buffer->scope) == "shared"; }
bool is_kernel(const NodeRef& node) {
  const auto* loop = node.as<For>();
  return node.as<KernelLaunch>() != nullptr ||
         (loop != nullptr && loop->kind == ForKind::kThreadBinding);
}

/// Elements of memory that an allocation takes, by its layout where it has one.
int64_t bytes_of(const AllocBuffer& alloc) {
  int64_t count = alloc.buffer->element_count().value_or(0);
  if (const Expr annotation = alloc.annotations.get("layout"); annotation && is_layout(annotation))
    if (const auto layout = layout_of(annotation))
      count = layout->span(kMemoryAxis);
  if (!alloc.buffer->strides.empty() && !alloc.buffer->shape.empty())
    count = std::max(count, as_int(alloc.buffer->strides[0]).value_or(0) *
                                as_int(alloc.buffer->shape[0]).value_or(0));
  return count * alloc.buffer->dtype.element_bytes();
}

class Plan {
public:
  void kernel(const Stmt& root) {
    lives_.clear();
    order_.clear();
    time_ = 0;
    visit(root);
    // Operations that take whole tiles know the swizzle by the address.
    walk(root, [&](const NodeRef& node) {
      if (const auto* call = node.as<Call>(); call != nullptr && takes_tiles(call->op))
        for (const Expr& arg : call->args)
          if (const auto* load = arg.as<BufferLoad>())
            if (const auto life = lives_.find(load->buffer.get());
                life != lives_.end() && load->buffer->dtype != DataType::uint(64))
              life->second.alignment = kTileAlignment;
      return true;
    });
    std::vector<Life*> all;
    for (const BufferNode* buffer : order_)
      all.push_back(&lives_.at(buffer));
    // The largest first: small ones fit into what they leave.
    std::stable_sort(all.begin(), all.end(),
                     [](const Life* a, const Life* b) { return a->bytes > b->bytes; });
    std::vector<const Life*> placed;
    for (const Life* life : all)
      if (life->offset >= 0)
        placed.push_back(life);
    for (Life* life : all) {
      if (life->offset >= 0)
        continue;
      std::vector<std::pair<int64_t, int64_t>> taken;
      for (const Life* other : placed)
        if (life->first <= other->last && other->first <= life->last)
          taken.emplace_back(other->offset, other->offset + other->bytes);
      std::sort(taken.begin(), taken.end());
      int64_t offset = 0;
      for (const auto& [begin, end] : taken)
        if (offset + life->bytes > begin)
          offset =
              std::max(offset, (end + life->alignment - 1) / life->alignment * life->alignment);
        else
          break;
      life->offset = offset;
      placed.push_back(life);
      offsets_.emplace(life->buffer, offset);
    }
  }

  const std::unordered_map<const BufferNode*, int64_t>& offsets() const { return offsets_; }

private:
  struct Life {
    const BufferNode* buffer = nullptr;
    int64_t bytes = 0;
    int64_t first = -1; ///< of the uses, in order of the text
    int64_t last = -1;
    int64_t offset = -1;
    int64_t alignment = kAlignment;
    size_t depth = 0; ///< loops around the allocation
  };

  void use(const Buffer& buffer) {
    const auto found = lives_.find(buffer.get());
    if (found == lives_.end())
      return;
    Life& life = found->second;
    // A loop inside of the buffer's life comes round to it again.
    const int64_t from = loops_.size() > life.depth ? loops_[life.depth].begin : time_;
    life.first = life.first < 0 ? from : std::min(life.first, from);
    life.last = std::max(life.last, time_);
    if (loops_.size() > life.depth)
      loops_[life.depth].used.push_back(&life);
  }

  void visit(const NodeRef& node) {
    ++time_;
    if (const auto* alloc = node.as<AllocBuffer>(); alloc != nullptr && is_shared(alloc->buffer)) {
      Life life;
      life.buffer = alloc->buffer.get();
      life.bytes = bytes_of(*alloc);
      life.depth = loops_.size();
      if (const auto given = alloc->annotations.get_int(kSharedOffset))
        life.offset = *given;
      lives_.emplace(alloc->buffer.get(), life);
      order_.push_back(alloc->buffer.get());
      return;
    }
    if (const auto* load = node.as<BufferLoad>())
      use(load->buffer);
    if (const auto* store = node.as<BufferStore>())
      use(store->buffer);
    const auto* loop = node.as<For>();
    const bool again =
        (loop != nullptr && loop->kind != ForKind::kThreadBinding) || node.as<While>() != nullptr;
    // Sides of a branch that wait for each other run at the same time.
    const bool together = node.as<IfThenElse>() != nullptr && has_own_barriers(node);
    if (again || together)
      loops_.push_back({time_, {}});
    const int64_t begin = time_;
    const size_t known = order_.size();
    node->info().for_each_child(node.get(), [&](const NodeRef& child, Role role) {
      if (child && role != Role::kDefine)
        visit(child);
    });
    if (again || together) {
      for (Life* life : loops_.back().used)
        life->last = std::max(life->last, time_);
      loops_.pop_back();
    }
    for (size_t i = known; together && i < order_.size(); ++i) {
      Life& life = lives_.at(order_[i]);
      life.first = begin;
      life.last = time_;
    }
  }

  /// Barriers of a part of the block, or in shared memory.
  static bool has_own_barriers(const NodeRef& root) {
    bool found = false;
    walk(root, [&](const NodeRef& node) {
      const auto* call = node.as<Call>();
      found |= call != nullptr && ((call->op == "sync_threads" && !call->args.empty()) ||
                                   call->op.starts_with("mbarrier_"));
      return !found;
    });
    return found;
  }

  struct Around {
    int64_t begin;
    std::vector<Life*> used;
  };
  std::map<const BufferNode*, Life> lives_;
  std::vector<const BufferNode*> order_;
  std::vector<Around> loops_;
  int64_t time_ = 0;
  std::unordered_map<const BufferNode*, int64_t> offsets_;
};

/// What may have happened before a place, by buffer.
struct Memory {
  std::set<const BufferNode*> read, written;

  void add(const Memory& other) {
    read.insert(other.read.begin(), other.read.end());
    written.insert(other.written.begin(), other.written.end());
  }
  bool operator==(const Memory&) const = default;
};

class Barriers {
public:
  explicit Barriers(const Stmt& root) {
    walk(root, [&](const NodeRef& node) {
      if (const auto* alloc = node.as<AllocBuffer>(); alloc != nullptr && is_shared(alloc->buffer))
        if (const auto place = shared_place(*alloc); place.first >= 0)
          places_[alloc->buffer.get()] = place;
      const auto* store = node.as<BufferStore>();
      if (store != nullptr && store->buffer->scope == "global")
        stored_.insert(store->buffer.get());
      if (const auto* call = node.as<Call>(); call != nullptr && takes_tiles(call->op))
        for (size_t i = 1; i < call->args.size(); ++i)
          if (const auto* load = call->args[i].as<BufferLoad>())
            read_by_engines_.insert(load->buffer.get());
      return true;
    });
  }

  Stmt run(const Stmt& root) {
    State state;
    statement(root, state);
    const auto left = rewrite_post(root, [&](const NodeRef& node) -> NodeRef {
      const auto* seq = node.as<SeqStmt>();
      if (seq == nullptr)
        return node;
      std::vector<Stmt> list;
      for (const Stmt& child : seq->statements)
        if (!is_candidate(child) || kept_.contains(child.get()))
          list.push_back(child);
      return list.size() == seq->statements.size() ? node : NodeRef(make_seq(std::move(list)));
    });
    // The threads of a single warp meet without a barrier of the block.
    return cast_ref<StmtNode>(rewrite_post(left, [](const NodeRef& node) -> NodeRef {
      const Call* call = node.is<Evaluate>() ? call_of(cast_ref<StmtNode>(node)) : nullptr;
      if (call == nullptr || call->op != "sync_threads" || call->args.size() != 2 ||
          !is_int(call->args[1], 32))
        return node;
      Stmt own = make_evaluate(call_op("sync_warp", {}));
      own->span = node->span;
      return own;
    }));
  }

private:
  struct State {
    Memory before; ///< the latest barrier
    Memory since;
    Memory asked;                 ///< of asynchronous copies that nobody waited for
    Memory multiplied;            ///< operands of products that nobody waited for
    Memory stored;                ///< what stores of boxes read that nobody waited for
    std::set<const Node*> latest; ///< barriers, one of which was the last
    /// A thread waited for what others must not read before the next barrier, as the program has
    /// it.
    bool waited = false;
    bool operator==(const State&) const = default;
    void add(const State& other) {
      before.add(other.before);
      since.add(other.since);
      asked.add(other.asked);
      multiplied.add(other.multiplied);
      stored.add(other.stored);
      latest.insert(other.latest.begin(), other.latest.end());
      waited |= other.waited;
    }
  };

  /// Of the block, a role, or the cluster.
  static bool is_barrier(const Stmt& stmt) {
    return is_call(stmt, "sync_threads") || is_call(stmt, "cluster_sync");
  }
  /// What meets other blocks is there for their sake, too.
  static bool is_candidate(const Stmt& stmt) {
    return is_call(stmt, "sync_threads") && stmt->span.line == 0;
  }
  static bool has_roles(const Stmt& branch) {
    bool found = false;
    walk(branch, [&](const NodeRef& node) {
      const auto* call = node.as<Call>();
      found |= call != nullptr && call->op == "sync_threads" && !call->args.empty();
      return !found;
    });
    return found;
  }

  bool matters(const Buffer& buffer) const {
    return is_shared(buffer) || (buffer->scope == "global" && stored_.contains(buffer.get()));
  }
  bool same_memory(const BufferNode* a, const BufferNode* b) const {
    if (a == b)
      return true;
    const auto x = places_.find(a);
    const auto y = places_.find(b);
    return x != places_.end() && y != places_.end() && x->second.first < y->second.second &&
           y->second.first < x->second.second;
  }
  bool meets(const std::set<const BufferNode*>& list, const BufferNode* buffer) const {
    return std::any_of(list.begin(), list.end(),
                       [&](const BufferNode* other) { return same_memory(other, buffer); });
  }

  /// All barriers that may have been the last one stay: what is before them is done.
  void settle(State& state) const {
    if (!state.latest.empty() &&
        std::all_of(state.latest.begin(), state.latest.end(),
                    [&](const Node* barrier) { return kept_.contains(barrier); }))
      state.before = {};
  }

  void access(State& state, const Buffer& buffer, bool write, bool asynchronous = false) {
    if (!matters(buffer))
      return;
    settle(state);
    if (meets(state.before.written, buffer.get()) ||
        (write && meets(state.before.read, buffer.get()))) {
      kept_.insert(state.latest.begin(), state.latest.end());
      state.before = {};
    }
    if (asynchronous)
      state.asked.written.insert(buffer.get());
    else
      (write ? state.since.written : state.since.read).insert(buffer.get());
  }

  void reads(State& state, const NodeRef& expr) {
    walk(expr, [&](const NodeRef& node) {
      if (const auto* load = node.as<BufferLoad>())
        access(state, load->buffer, false);
      return true;
    });
  }

  void call(State& state, const Call& node, bool written_by_hand) {
    // What a program says itself of barriers in memory may be said by one thread for all: those of
    // the operators around it stay.
    if (written_by_hand && in_role_ &&
        (node.op == "mbarrier_arrive" || node.op == "mbarrier_wait_parity")) {
      kept_.insert(state.latest.begin(), state.latest.end());
      state.waited |= node.op == "mbarrier_wait_parity";
    }
    if (node.op == "ptx_wait_group") {
      state.since.add(state.asked);
      // Groups that may still be under way are there once somebody waits for them, too.
      if (is_int(node.args[0], 0))
        state.asked = {};
      return;
    }
    if (node.op == "warpgroup_wait") {
      // What it reads is read until here.
      for (const BufferNode* buffer : state.multiplied.read)
        state.since.read.insert(buffer);
      if (is_int(node.args[0], 0))
        state.multiplied = {};
      return;
    }
    if (node.op == "tma_store_wait") {
      for (const BufferNode* buffer : state.stored.read)
        state.since.read.insert(buffer);
      if (is_int(node.args[0], 0))
        state.stored = {};
      return;
    }
    if (node.op == "mbarrier_wait_parity" && branches_ == 0) {
      // All threads wait themselves for what they asked for: it needs no other barrier.
      state.asked = {};
    }
    if (node.op == "fence_proxy_async") {
      // What was written is seen by asynchronous engines once all threads have come by here.
      for (const auto& [buffer, place] : places_)
        if (read_by_engines_.contains(buffer))
          state.since.written.insert(buffer);
      return;
    }
    const OpInfo* op = find_op(node.op);
    for (size_t i = 0; i < node.args.size(); ++i) {
      const auto* load = node.args[i].as<BufferLoad>();
      const bool address = op != nullptr && static_cast<int>(i) < op->addresses;
      if (!address || load == nullptr) {
        reads(state, node.args[i]);
        continue;
      }
      for (const Expr& index : load->indices)
        reads(state, index);
      const bool copies = (node.op == "ptx_cp_async" || node.op.starts_with("tma_load")) && i == 0;
      // Barriers in memory order themselves, once they are prepared.
      const bool barrier = node.op.starts_with("mbarrier_") && node.op != "mbarrier_init";
      access(state, load->buffer, i == 0 && !barrier && !node.op.starts_with("atomic_"), copies);
      if (i > 0 && takes_tiles(node.op) && is_shared(load->buffer))
        (node.op == "tma_store" ? state.stored : state.multiplied).read.insert(load->buffer.get());
    }
  }

  void statement(const Stmt& stmt, State& state) {
    if (!stmt)
      return;
    if (is_barrier(stmt)) {
      depth_[stmt.get()] = loops_;
      // Nothing happened since the last one: that one will do, or this one where that is met in
      // more rounds of a loop.
      if (is_candidate(stmt) && !state.latest.empty() && state.since == Memory() && !state.waited) {
        const auto kept = [&](const Node* other) { return kept_.contains(other); };
        const auto deeper = [&](const Node* other) { return depth_.at(other) > loops_; };
        if (std::any_of(state.latest.begin(), state.latest.end(), deeper) &&
            !std::all_of(state.latest.begin(), state.latest.end(), kept))
          state.latest = {stmt.get()};
        return;
      }
      if (std::exchange(state.waited, false))
        kept_.insert(stmt.get());
      state.before.add(state.since);
      state.since = {};
      state.latest = {stmt.get()};
      if (!is_candidate(stmt))
        state.before = {}; // it stays
      return;
    }
    if (const auto* store = stmt.as<BufferStore>()) {
      reads(state, store->value);
      for (const Expr& index : store->indices)
        reads(state, index);
      access(state, store->buffer, true);
    } else if (const Call* node = call_of(stmt)) {
      call(state, *node, stmt->span.line > 0);
    } else if (const auto* branch = stmt.as<IfThenElse>(); branch != nullptr && has_roles(stmt)) {
      roles(*branch, state);
    } else if (const auto* branch = stmt.as<IfThenElse>()) {
      reads(state, branch->condition);
      State other = state;
      ++branches_;
      statement(branch->then_case, state);
      statement(branch->else_case, other);
      --branches_;
      // What one side settled is settled for the other, too.
      settle(state);
      settle(other);
      state.add(other);
    } else if (const auto* loop = stmt.as<For>();
               loop != nullptr && loop->kind == ForKind::kThreadBinding) {
      statement(loop->body, state);
    } else if (stmt.as<For>() != nullptr || stmt.as<While>() != nullptr) {
      const Stmt body = stmt.as<For>() != nullptr ? stmt.as<For>()->body : stmt.as<While>()->body;
      // Until nothing new comes round: what one round leaves, the next one finds.
      while (true) {
        State round = state;
        if (const auto* loop = stmt.as<While>())
          reads(round, loop->condition);
        ++loops_;
        statement(body, round);
        --loops_;
        // The round may have settled what it began with, which the loop is not to bring up again.
        settle(state);
        settle(round);
        State joined = state;
        joined.add(round);
        if (joined == state) {
          // What a round does is done for certain where there is one.
          if (const auto* loop = stmt.as<For>();
              loop != nullptr && as_int(loop->extent).value_or(0) > 0)
            state = std::move(round);
          break;
        }
        state = std::move(joined);
      }
    } else if (const auto* seq = stmt.as<SeqStmt>()) {
      for (const Stmt& child : seq->statements)
        statement(child, state);
    } else if (const auto* kernel = stmt.as<KernelLaunch>()) {
      statement(kernel->body, state);
    } else {
      stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role) {
        if (child && ExprNode::accepts(child->kind()))
          reads(state, child);
      });
    }
  }

  /// Sides whose threads meet at barriers of their own: these order what their threads do, and
  /// nothing for the others.
  void roles(const IfThenElse& branch, State& state) {
    reads(state, branch.condition);
    kept_.insert(state.latest.begin(), state.latest.end());
    const bool around = std::exchange(in_role_, true);
    ++branches_;
    State after;
    after.since = state.since;
    for (const Stmt& side : {branch.then_case, branch.else_case}) {
      State inside;
      inside.since = state.since;
      inside.asked = state.asked;
      inside.multiplied = state.multiplied;
      inside.stored = state.stored;
      statement(side, inside);
      after.since.add(inside.before);
      after.since.add(inside.since);
      after.asked.add(inside.asked);
      after.multiplied.add(inside.multiplied);
      after.stored.add(inside.stored);
    }
    --branches_;
    in_role_ = around;
    state = std::move(after);
  }

  std::unordered_map<const BufferNode*, std::pair<int64_t, int64_t>> places_;
  std::unordered_set<const BufferNode*> stored_;
  std::unordered_set<const BufferNode*> read_by_engines_; ///< wgmma's operands
  std::unordered_set<const Node*> kept_;
  std::unordered_map<const Node*, int> depth_; ///< loops around a barrier
  int loops_ = 0;                              ///< around the statement at hand
  int branches_ = 0;
  bool in_role_ = false; ///< it is run by a role
};

} // namespace

std::pair<int64_t, int64_t> shared_place(const AllocBuffer& alloc) {
  const auto offset = alloc.annotations.get_int(kSharedOffset);
  return offset ? std::pair(*offset, *offset + bytes_of(alloc))
                : std::pair<int64_t, int64_t>(-1, -1);
}

PrimFunc each_kernel_of_threads(const PrimFunc& function,
                                FunctionRef<Stmt(const Stmt& kernel)> change) {
  return with_body(
      function, cast_ref<StmtNode>(rewrite_pre(function->body, [&](const NodeRef& node) -> NodeRef {
        return is_kernel(node) ? NodeRef(change(cast_ref<StmtNode>(node))) : nullptr;
      })));
}

PrimFunc plan_shared_memory(const PrimFunc& function) {
  Plan plan;
  return each_kernel_of_threads(function, [&](const Stmt& kernel) {
    plan.kernel(kernel);
    return cast_ref<StmtNode>(rewrite_post(kernel, [&](const NodeRef& node) -> NodeRef {
      const auto* alloc = node.as<AllocBuffer>();
      const auto found =
          alloc != nullptr ? plan.offsets().find(alloc->buffer.get()) : plan.offsets().end();
      if (found == plan.offsets().end())
        return node;
      return copy_node(*alloc, [&](AllocBuffer& copy) {
        copy.annotations =
            copy.annotations.with(kSharedOffset, make_int(DataType::int32(), found->second));
      });
    }));
  });
}

PrimFunc remove_barriers(const PrimFunc& function) {
  return each_kernel_of_threads(function,
                                [](const Stmt& kernel) { return Barriers(kernel).run(kernel); });
}

} // namespace temper::tir
