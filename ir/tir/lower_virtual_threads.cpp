// Virtual threads run in step: what is the same for all of them is done once, the rest for each in
// turn.
//
//   for v in T.thread_binding(2, "vthread.x"):      C: local (2, 4)
//     C: local (4)                                  for k in range(8):
//     for k in range(8):                              S[t] = A[k, t]
//       S[t] = A[k, t]                          ->    T.sync_threads()
//       T.sync_threads()                              for v in T.unroll(2):
//       for i in range(4):                              for i in range(4):
//         C[i] = C[i] + S[v * 4 + i]                      C[v, i] = C[v, i] + S[v * 4 + i]
//
// The loop is distributed over the statements below it, as far in as there are steps of the whole
// block: barriers, and what fills shared memory. Local memory that is written differently gets a
// dimension.
#include "ir/tir/bound_threads.h"

#include "ir/pass/rewrite.h"
#include "ir/tir/tile.h"

#include <unordered_set>

namespace temper::tir {
namespace {

bool is_virtual(const For& loop) {
  return loop.kind == ForKind::kThreadBinding && loop.thread.starts_with("vthread");
}

class Distribution {
public:
  explicit Distribution(const For& loop) : loop_(loop) {
    differing_.insert(loop.loop_var.get());
    for (size_t before = 0; before != differing_.size();) {
      before = differing_.size();
      spread(loop.body, false);
    }
  }

  Stmt run() { return distribute(loop_.body); }

private:
  bool differs(const NodeRef& node) const {
    bool found = false;
    walk(node, [&](const NodeRef& child) {
      found |= differing_.contains(child.get());
      return !found;
    });
    return found;
  }

  /// Marks local memory and names that differ. `inside`: whether the statement runs differs.
  void spread(const Stmt& stmt, bool inside) {
    if (const auto* bind = stmt.as<Bind>()) {
      if (differs(bind->value))
        differing_.insert(bind->var.get());
    } else if (const auto* store = stmt.as<BufferStore>()) {
      bool differ = inside || differs(store->value);
      for (const Expr& index : store->indices)
        differ |= differs(index);
      if (differ && store->buffer->scope != "global" &&
          tile_scope(store->buffer->scope) != "shared")
        differing_.insert(store->buffer.get());
    } else if (const auto* evaluate = stmt.as<Evaluate>()) {
      if (inside || differs(evaluate->value))
        walk(evaluate->value, [&](const NodeRef& node) {
          const auto* load = node.as<BufferLoad>();
          if (load != nullptr && load->buffer->scope != "global" &&
              tile_scope(load->buffer->scope) != "shared")
            differing_.insert(load->buffer.get());
          return true;
        });
    } else if (const auto* loop = stmt.as<For>()) {
      spread(loop->body, inside || differs(loop->min) || differs(loop->extent));
    } else if (const auto* loop = stmt.as<While>()) {
      spread(loop->body, inside || differs(loop->condition));
    } else if (const auto* branch = stmt.as<IfThenElse>()) {
      const bool differ = inside || differs(branch->condition);
      spread(branch->then_case, differ);
      if (branch->else_case)
        spread(branch->else_case, differ);
    } else if (const auto* seq = stmt.as<SeqStmt>()) {
      for (const Stmt& child : seq->statements)
        spread(child, inside);
    }
  }

  /// A barrier or something that fills shared memory for all is in it.
  static bool has_steps(const Stmt& stmt) {
    bool found = false;
    walk(stmt, [&](const NodeRef& node) {
      const auto* call = node.as<Call>();
      found |= call != nullptr && call->op == "sync_threads";
      const auto* store = node.as<BufferStore>();
      found |= store != nullptr && tile_scope(store->buffer->scope) == "shared";
      return !found;
    });
    return found;
  }

  Stmt distribute(const Stmt& stmt) {
    if (!differs(stmt) && !stmt.is<AllocBuffer>())
      return stmt;
    if (!has_steps(stmt) || stmt.is<BufferStore>())
      return for_each(stmt);
    if (const auto* seq = stmt.as<SeqStmt>()) {
      // Neighbours that differ stay together.
      std::vector<Stmt> list, run;
      const auto flush = [&] {
        if (!run.empty())
          list.push_back(for_each(make_seq(std::exchange(run, {}))));
      };
      for (const Stmt& child : seq->statements) // memory first: it outlives the runs
        if (const auto* alloc = child.as<AllocBuffer>())
          list.push_back(make_alloc(once_for_each(alloc->buffer), alloc->annotations));
      for (const Stmt& child : seq->statements) {
        if (child.is<AllocBuffer>())
          continue;
        if (differs(child) && !has_steps(child)) {
          run.push_back(child);
          continue;
        }
        flush();
        list.push_back(distribute(child));
      }
      flush();
      return make_seq(std::move(list));
    }
    if (const auto* loop = stmt.as<For>();
        loop != nullptr && !differs(loop->min) && !differs(loop->extent)) {
      const Stmt body = distribute(loop->body);
      return change_loop(*loop, [&](For& node) { node.body = body; });
    }
    if (const auto* branch = stmt.as<IfThenElse>();
        branch != nullptr && !differs(branch->condition))
      return make_if(branch->condition, distribute(branch->then_case),
                     branch->else_case ? distribute(branch->else_case) : nullptr);
    return for_each(stmt);
  }

  Buffer once_for_each(const Buffer& buffer) {
    if (!differing_.contains(buffer.get()))
      return buffer;
    const auto [known, added] = expanded_.emplace(buffer, buffer);
    if (added)
      known->second = copy_node(*buffer, [&](BufferNode& node) {
        node.shape.insert(node.shape.begin(), make_int(DataType::int32(), count()));
        node.strides.clear();
      });
    return known->second;
  }

  int64_t count() const { return as_int(loop_.extent).value_or(1); }

  Stmt for_each(const Stmt& stmt) {
    const Var var = make_var(loop_.loop_var->name, loop_.loop_var->dtype);
    const Expr number =
        var->dtype == DataType::int32() ? Expr(var) : make_cast(DataType::int32(), var);
    const auto with_number = [&](const std::vector<Expr>& indices) {
      std::vector<Expr> result{number};
      result.insert(result.end(), indices.begin(), indices.end());
      return result;
    };
    // Definitions below are copied at most once: each statement goes into one such loop.
    const Stmt renamed = substitute(stmt, {{loop_.loop_var, var}});
    const Stmt body = cast_ref<StmtNode>(rewrite_post(renamed, [&](const NodeRef& node) -> NodeRef {
      if (const auto* load = node.as<BufferLoad>()) {
        const auto found = expanded_.find(load->buffer);
        if (found != expanded_.end())
          return make_load(found->second, with_number(load->indices), load->predicate);
      } else if (const auto* store = node.as<BufferStore>()) {
        const auto found = expanded_.find(store->buffer);
        if (found != expanded_.end())
          return make_store(found->second, with_number(store->indices), store->value,
                            store->predicate);
      }
      return node;
    }));
    return make_for(var, loop_.min, loop_.extent, ForKind::kUnrolled, body);
  }

  const For& loop_;
  std::unordered_set<const Node*> differing_;
  BufferMap expanded_;
};

Stmt lower(const Stmt& stmt) {
  const Stmt inner = rebuild(
      stmt, [](const Stmt& child) { return lower(child); }, [](const Expr& expr) { return expr; });
  const auto* loop = inner.as<For>();
  return loop != nullptr && is_virtual(*loop) ? Distribution(*loop).run() : inner;
}

} // namespace

PrimFunc lower_virtual_threads(const PrimFunc& function) {
  return with_body(function, lower(function->body));
}

} // namespace temper::tir
