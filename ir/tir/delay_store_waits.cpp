// Stores by the tensor memory accelerator are waited for where their memory is written again, and
// at the kernel's end, instead of directly behind them: what comes between runs beside them.
//
//   for tile in ...:                               for tile in ...:
//     C = ...                                        C = ...
//     T.sync_threads()                               if tx == 0: T.tma_store_wait(0)
//     C_shared[..] = C                          ->   T.sync_threads()
//     T.sync_threads()                               C_shared[..] = C
//     if tx == 0:                                    T.sync_threads()
//       T.tma_store(D[..], C_shared[0, 0], ..)       if tx == 0:
//       T.tma_store_arrive()                           T.tma_store(D[..], C_shared[0, 0], ..)
//       T.tma_store_wait(0)                            T.tma_store_arrive()
//                                                  if tx == 0: T.tma_store_wait(0)
//
// It is one thread that stores and waits; the barrier behind the wait lets the others write.
// Written again is also what lies in the same place (plan_shared_memory has gone before). Waits
// stay where they are in kernels that read what they store, that hold code which nothing is known
// of, or in which threads write that memory that do not meet those that store it.
#include "ir/tir/shared_memory.h"

#include "ir/op.h"
#include "ir/pass/rewrite.h"
#include "ir/structural.h"
#include "ir/tir/statement_call.h"
#include "ir/tir/tile.h"

#include <algorithm>
#include <unordered_set>
#include <utility>
#include <vector>

namespace temper::tir {
namespace {

bool is_barrier(const Stmt& stmt) { return is_call(stmt, "sync_threads"); }
/// The block's, or a role's, which lowering made.
bool is_own_barrier(const Stmt& stmt) { return is_barrier(stmt) && stmt->span.line == 0; }

/// "if this thread: store boxes, commit, wait for all".
bool is_store(const Stmt& stmt) {
  const auto* branch = stmt.as<IfThenElse>();
  const auto* seq = branch != nullptr ? branch->then_case.as<SeqStmt>() : nullptr;
  if (seq == nullptr || branch->else_case || seq->statements.size() < 3)
    return false;
  const std::vector<Stmt>& list = seq->statements;
  return std::all_of(list.begin(), list.end() - 2,
                     [](const Stmt& part) { return is_call(part, "tma_store"); }) &&
         is_call(*(list.end() - 2), "tma_store_arrive") && is_call(list.back(), "tma_store_wait") &&
         is_int(call_of(list.back())->args[0], 0);
}

template <typename F> bool any(const NodeRef& root, F&& which) {
  bool found = false;
  walk(root, [&](const NodeRef& node) {
    found |= which(node);
    return !found;
  });
  return found;
}
bool has_stores(const NodeRef& root) {
  return any(root, [](const NodeRef& node) {
    return StmtNode::accepts(node->kind()) && is_store(cast_ref<StmtNode>(node));
  });
}
class StoreWaits {
public:
  Stmt run(const Stmt& kernel) {
    if (!collect(kernel))
      return kernel;
    find_threads(kernel);
    // The part of the kernel, of one role perhaps, in which all of it happens.
    Stmt part = kernel;
    while (const Stmt side = side_with_stores(part)) {
      if (std::exchange(part, side) == side)
        return kernel;
    }
    int64_t inside = 0, all = 0;
    count_writes(part, inside);
    count_writes(kernel, all);
    if (inside != all || stores_in(part) != stores_.size())
      return kernel;
    Stmt changed;
    if (const auto* launch = part.as<KernelLaunch>())
      changed = copy_node(*launch, [&](KernelLaunch& node) { node.body = with_end(launch->body); });
    else
      changed = with_end(part);
    if (failed_)
      return kernel;
    return cast_ref<StmtNode>(rewrite_pre(
        kernel, [&](const NodeRef& node) { return node == part ? NodeRef(changed) : nullptr; }));
  }

private:
  /// False where nothing is to be done, or nothing can be.
  bool collect(const Stmt& kernel) {
    std::unordered_set<const BufferNode*> targets, sources;
    std::unordered_set<const Node*> known; ///< operations of the stores
    bool good = true;
    walk(kernel, [&](const NodeRef& node) {
      if (!StmtNode::accepts(node->kind()) || !is_store(cast_ref<StmtNode>(node)))
        return true;
      const auto* branch = node.as<IfThenElse>();
      stores_.push_back(branch);
      good &= structural_equal(branch->condition, stores_[0]->condition);
      for (const Stmt& part : branch->then_case.as<SeqStmt>()->statements) {
        const Call* call = call_of(part);
        known.insert(call);
        if (call->op != "tma_store")
          continue;
        known.insert(call->args[0].get());
        targets.insert(call->args[0].as<BufferLoad>()->buffer.get());
        sources.insert(call->args[1].as<BufferLoad>()->buffer.get());
      }
      return true;
    });
    if (stores_.empty() || !good)
      return false;
    std::vector<std::pair<int64_t, int64_t>> places;
    walk(kernel, [&](const NodeRef& node) {
      if (const auto* alloc = node.as<AllocBuffer>();
          alloc != nullptr && sources.contains(alloc->buffer.get()))
        places.push_back(shared_place(*alloc));
      if (const auto* call = node.as<Call>(); call != nullptr && !known.contains(call))
        good &= !call->op.starts_with("tma_store") && !call->op.starts_with("inline_");
      if (const auto* load = node.as<BufferLoad>(); load != nullptr && !known.contains(load))
        good &= !targets.contains(load->buffer.get());
      good &= !node.is<Return>();
      return good;
    });
    good &= places.size() == sources.size();
    walk(kernel, [&](const NodeRef& node) {
      const auto* alloc = node.as<AllocBuffer>();
      if (alloc == nullptr || tile_scope(alloc->buffer->scope) != "shared")
        return true;
      const auto [begin, end] = shared_place(*alloc);
      good &= begin >= 0;
      if (std::any_of(places.begin(), places.end(), [&, first = begin, last = end](const auto& p) {
            return first < p.second && p.first < last;
          }))
        in_places_.insert(alloc->buffer.get());
      return true;
    });
    return good;
  }

  /// What differs between the threads of a block: their numbers, and names for what depends on
  /// them.
  void find_threads(const Stmt& kernel) {
    walk(kernel, [&](const NodeRef& node) {
      if (const auto* launch = node.as<KernelLaunch>())
        for (const Var& var : launch->thread_vars)
          threads_.insert(var.get());
      if (const auto* loop = node.as<For>(); loop != nullptr &&
                                             loop->kind == ForKind::kThreadBinding &&
                                             loop->thread.starts_with("threadIdx"))
        threads_.insert(loop->loop_var.get());
      if (const auto* bind = node.as<Bind>(); bind != nullptr && is_of_threads(bind->value))
        threads_.insert(bind->var.get());
      return true;
    });
  }
  bool is_of_threads(const Expr& expr) const {
    return uses_var(expr, [&](const VarNode& var) { return threads_.contains(&var); });
  }

  /// Of the first branch into roles below that has stores, the side that has them; null: there is
  /// none; `part` itself: both sides have some.
  Stmt side_with_stores(const Stmt& part) const {
    Stmt found;
    walk(part, [&](const NodeRef& node) {
      const auto* branch = node.as<IfThenElse>();
      if (found || branch == nullptr)
        return !found;
      if (is_store(cast_ref<StmtNode>(node)) || !is_of_threads(branch->condition) ||
          !has_stores(node))
        return true;
      const bool then_case = has_stores(branch->then_case);
      const bool else_case = branch->else_case && has_stores(branch->else_case);
      found = then_case && else_case ? part : then_case ? branch->then_case : branch->else_case;
      return false;
    });
    return found;
  }

  size_t stores_in(const Stmt& part) const {
    size_t count = 0;
    walk(part, [&](const NodeRef& node) {
      count += std::find(stores_.begin(), stores_.end(), node.get()) != stores_.end() ? 1 : 0;
      return true;
    });
    return count;
  }

  /// Places in the text where memory is written that stores read.
  void count_writes(const NodeRef& root, int64_t& count) const {
    walk(root, [&](const NodeRef& node) {
      const auto* store = node.as<BufferStore>();
      const auto* call = node.as<Call>();
      const OpInfo* op = call != nullptr ? find_op(call->op) : nullptr;
      const auto* to =
          op != nullptr && op->addresses > 0 ? call->args[0].as<BufferLoad>() : nullptr;
      const Buffer written = store != nullptr ? store->buffer
                             : to != nullptr  ? to->buffer
                                              : nullptr;
      count += written && in_places_.contains(written.get()) ? 1 : 0;
      return true;
    });
  }
  bool writes(const Stmt& stmt) const {
    int64_t count = 0;
    count_writes(stmt, count);
    return count > 0;
  }

  Stmt wait() const {
    return make_if(stores_[0]->condition,
                   make_evaluate(call_op("tma_store_wait", {make_int(DataType::int32(), 0)})));
  }

  Stmt with_end(const Stmt& body) {
    bool pending = false;
    Stmt changed = delayed(body, pending);
    return pending ? make_seq({std::move(changed), wait()}) : changed;
  }

  /// `pending`: a store may be under way.
  Stmt delayed(const Stmt& stmt, bool& pending) {
    if (!has_stores(stmt))
      return stmt;
    const auto* seq = stmt.as<SeqStmt>();
    const std::vector<Stmt> list = seq != nullptr ? seq->statements : std::vector<Stmt>{stmt};
    std::vector<Stmt> changed;
    for (size_t i = 0; i < list.size(); ++i) {
      const Stmt& child = list[i];
      if (is_store(child)) {
        const auto* branch = child.as<IfThenElse>();
        std::vector<Stmt> parts = branch->then_case.as<SeqStmt>()->statements;
        parts.pop_back();
        changed.push_back(make_if(branch->condition, make_seq(std::move(parts))));
        changed.back()->span = child->span;
        pending = true;
        // Threads that meet behind the store are those that it must not be torn from.
        if (i + 1 < list.size() && is_barrier(list[i + 1]))
          barrier_ = list[i + 1].as<Evaluate>()->value;
        failed_ |= !barrier_;
      } else if (has_stores(child)) {
        changed.push_back(around(child, pending));
      } else {
        if (pending && writes(child)) {
          if (!changed.empty() && is_own_barrier(changed.back())) {
            changed.insert(changed.end() - 1, wait());
          } else {
            failed_ |= !barrier_;
            changed.push_back(wait());
            if (barrier_)
              changed.push_back(make_evaluate(barrier_));
          }
          pending = false;
        }
        changed.push_back(child);
      }
    }
    return make_seq(std::move(changed));
  }

  Stmt around(const Stmt& stmt, bool& pending) {
    if (const auto* branch = stmt.as<IfThenElse>()) {
      bool other = pending;
      const Stmt then_case = delayed(branch->then_case, pending);
      const Stmt else_case = branch->else_case ? delayed(branch->else_case, other) : nullptr;
      pending |= other;
      return copy_node(*branch, [&](IfThenElse& node) {
        node.then_case = then_case;
        node.else_case = else_case;
      });
    }
    if (stmt.is<SeqStmt>())
      return delayed(stmt, pending);
    // A loop, which may come round from a store, and be left behind one.
    find_barrier(stmt);
    pending = true;
    const Stmt changed = rebuild(
        stmt, [&](const Stmt& body) { return delayed(body, pending); },
        [](const Expr& expr) { return expr; });
    pending = true;
    return changed;
  }

  /// What stands first in a loop may need the barrier that stands behind its store.
  void find_barrier(const Stmt& loop) {
    walk(loop, [&](const NodeRef& node) {
      const auto* seq = node.as<SeqStmt>();
      for (size_t i = 0; seq != nullptr && !barrier_ && i + 1 < seq->statements.size(); ++i)
        if (is_store(seq->statements[i]) && is_barrier(seq->statements[i + 1]))
          barrier_ = seq->statements[i + 1].as<Evaluate>()->value;
      return !barrier_;
    });
  }

  std::vector<const IfThenElse*> stores_;
  std::unordered_set<const VarNode*> threads_;
  std::unordered_set<const BufferNode*> in_places_; ///< shared buffers where stores read
  Expr barrier_;
  bool failed_ = false;
};

} // namespace

PrimFunc delay_store_waits(const PrimFunc& function) {
  return each_kernel_of_threads(function,
                                [](const Stmt& kernel) { return StoreWaits().run(kernel); });
}

} // namespace temper::tir
