#include "ir/tir/thread_barriers.h"

#include "ir/op.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/pipeline_stages.h"
#include "ir/tir/statement_call.h"
#include "ir/tir/tile.h"
#include "ir/walk.h"

#include <algorithm>
#include <unordered_set>

namespace temper::tir {

using namespace ir; // NOLINT

namespace {

/// What is read and written in shared memory since the threads last met.
struct Uses {
  std::unordered_set<const Node*> reads;
  std::unordered_set<const Node*> writes;

  void add(const Uses& other) {
    reads.insert(other.reads.begin(), other.reads.end());
    writes.insert(other.writes.begin(), other.writes.end());
  }
  bool hands_over_to(const Uses& next) const {
    const auto meet = [](const auto& some, const auto& others) {
      return std::any_of(some.begin(), some.end(),
                         [&](const Node* one) { return others.contains(one); });
    };
    return meet(writes, next.reads) || meet(reads, next.writes);
  }
};

Stmt barrier() { return make_evaluate(call_op("sync_threads", {})); }

bool is_barrier(const Stmt& stmt) { return is_call(stmt, "sync_threads"); }

class Meeting {
public:
  explicit Meeting(const KernelLaunch& launch) {
    for (const Var& var : launch.thread_vars)
      of_threads_.insert(var.get());
    bool by_barriers = false; // of its own, which say who waits for whom
    walk(launch.body, [&](const NodeRef& node) {
      is_open_ |= of_threads_.contains(node.get());
      const auto* call = node.as<Call>();
      by_barriers |= call != nullptr && call->op.starts_with("mbarrier_");
      return true;
    });
    is_open_ &= !by_barriers;
  }

  Stmt body(const Stmt& stmt) {
    Uses open;
    return is_open_ ? statement(stmt, open) : stmt;
  }

private:
  /// `open`: of what stands before, then with the statement's own.
  Stmt statement(const Stmt& stmt, Uses& open) {
    if (const auto* seq = stmt.as<SeqStmt>()) {
      std::vector<Stmt> all;
      for (const Stmt& child : seq->statements) {
        if (open.hands_over_to(first_uses(child))) {
          all.push_back(barrier());
          open = {};
        }
        all.push_back(statement(child, open));
      }
      return make_seq(std::move(all));
    }
    if (const auto* bind = stmt.as<Bind>(); bind != nullptr && differs(bind->value))
      of_threads_.insert(bind->var.get());
    if (is_barrier(stmt) || stmt.as<TileCall>() != nullptr) {
      open = {}; // operators meet before and behind
      return stmt;
    }
    if (const auto* loop = stmt.as<For>(); loop != nullptr &&
                                           loop->kind != ForKind::kTileParallel &&
                                           !differs(loop->min) && !differs(loop->extent)) {
      const Uses first = first_uses(loop->body);
      Stmt inner = statement(loop->body, open);
      // Around the loop: only where its statements hand over to each other, too.
      if (loop->body.as<SeqStmt>() != nullptr && open.hands_over_to(first)) {
        inner = make_seq({std::move(inner), barrier()});
        open = {};
      }
      return change_loop(*loop, [&](For& node) { node.body = inner; });
    }
    if (const auto* branch = stmt.as<IfThenElse>();
        branch != nullptr && !differs(branch->condition)) {
      Uses other = open;
      return rebuild(
          stmt,
          [&](const Stmt& child) {
            Uses& own = child == branch->then_case ? open : other;
            Stmt changed = statement(child, own);
            open.add(other);
            return changed;
          },
          [](const Expr& expr) { return expr; });
    }
    open.add(uses_of(stmt));
    return stmt;
  }

  /// Until the threads meet for the first time.
  Uses first_uses(const Stmt& stmt) const {
    Uses uses;
    bool met = false;
    collect(stmt, uses, met);
    return uses;
  }
  void collect(const Stmt& stmt, Uses& uses, bool& met) const {
    if (met)
      return;
    if (const auto* seq = stmt.as<SeqStmt>()) {
      for (const Stmt& child : seq->statements)
        collect(child, uses, met);
    } else if (is_barrier(stmt) || stmt.as<TileCall>() != nullptr) {
      met = true;
    } else if (const auto* loop = stmt.as<For>();
               loop != nullptr && loop->kind != ForKind::kTileParallel) {
      collect(loop->body, uses, met);
    } else {
      uses.add(uses_of(stmt));
    }
  }

  static Uses uses_of(const Stmt& stmt) {
    Uses uses;
    walk(stmt, [&](const NodeRef& node) {
      if (const auto* load = node.as<BufferLoad>(); load != nullptr && is_shared(load->buffer))
        uses.reads.insert(load->buffer.get());
      if (const auto* store = node.as<BufferStore>(); store != nullptr && is_shared(store->buffer))
        uses.writes.insert(store->buffer.get());
      // What stands at an address may be written.
      if (const auto* call = node.as<Call>())
        if (const OpInfo* op = find_op(call->op); op != nullptr && op->addresses > 0)
          for (const Expr& arg : call->args)
            if (const auto* load = arg.as<BufferLoad>(); load != nullptr && is_shared(load->buffer))
              uses.writes.insert(load->buffer.get());
      return true;
    });
    return uses;
  }

  /// May not be the same for all threads: it names one, or reads memory that they write.
  bool differs(const Expr& expr) const {
    bool result = false;
    walk(expr, [&](const NodeRef& node) {
      result |= of_threads_.contains(node.get()) || node->kind() == BufferLoad::kKind;
      return !result;
    });
    return result;
  }

  std::unordered_set<const Node*> of_threads_;
  bool is_open_ = false; ///< its threads are named, and their order is left to the compiler
};

Stmt rewritten(const Stmt& stmt) {
  if (const auto* launch = stmt.as<KernelLaunch>())
    return copy_node(*launch,
                     [&](KernelLaunch& node) { node.body = Meeting(*launch).body(node.body); });
  return rebuild(
      stmt, [](const Stmt& child) { return rewritten(child); },
      [](const Expr& expr) { return expr; });
}

} // namespace

ir::PrimFunc meet_between_threads(const ir::PrimFunc& function) {
  return with_body(function, rewritten(function->body));
}

} // namespace temper::tir
