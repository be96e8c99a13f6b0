// What no output depends on goes.
//
// A buffer that the function allocates and never reads makes its stores useless, and with them the
// reads in the stored values: the rule is applied until nothing changes (a chain of dead buffers
// goes at once, since liveness is found backwards over the buffers that each store reads). Then
// loops, branches and sequences that are empty, bindings that are not used, and allocations without
// an access go.
#include "ir/op.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"

#include <unordered_set>

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

using NodeSet = std::unordered_set<const Node*>;

class DeadCode {
public:
  Stmt run(const Stmt& body) {
    scan(body);
    // Backwards: what a live buffer's stores read is live.
    std::vector<const Node*> work(live_.begin(), live_.end());
    while (!work.empty()) {
      const Node* buffer = work.back();
      work.pop_back();
      const auto found = reads_.find(buffer);
      if (found == reads_.end())
        continue;
      for (const Node* read : found->second)
        if (live_.insert(read).second)
          work.push_back(read);
    }
    bool any = false;
    for (const Node* buffer : allocated_)
      any |= !live_.contains(buffer);
    return any ? remove(body) : body;
  }

private:
  /// Buffers that stores depend on: their own buffer keeps what the stored value, the index and the
  /// conditions around it read. Everything else that is read is live at once.
  void scan(const Stmt& stmt) {
    if (const auto* alloc = stmt.as<AllocBuffer>()) {
      allocated_.insert(alloc->buffer.get());
      return;
    }
    if (const auto* store = stmt.as<BufferStore>()) {
      if (!allocated_.contains(store->buffer.get()))
        live_.insert(store->buffer.get());
      auto& reads = reads_[store->buffer.get()];
      const auto collect = [&](const Expr& expr) {
        if (!expr)
          return;
        walk(expr, [&](const NodeRef& node) {
          if (node->kind() == BufferNode::kKind)
            reads.insert(node.get());
          if (const auto* call = node.as<Call>())
            if (const OpInfo* op = find_op(call->op); op == nullptr || !op->pure)
              live_.insert(store->buffer.get()); // the call must stay
          return true;
        });
      };
      collect(store->value);
      collect(store->indices[0]);
      collect(store->predicate);
      return;
    }
    stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role) {
      if (StmtNode::accepts(child->kind()))
        scan(cast_ref<StmtNode>(child));
      else if (ExprNode::accepts(child->kind()))
        walk(child, [&](const NodeRef& node) {
          if (node->kind() == BufferNode::kKind)
            live_.insert(node.get()); // a bound, a condition, a binding, a call
          return true;
        });
    });
  }

  Stmt remove(const Stmt& stmt) {
    if (const auto* alloc = stmt.as<AllocBuffer>())
      return live_.contains(alloc->buffer.get()) ? stmt : make_seq({});
    if (const auto* store = stmt.as<BufferStore>())
      return live_.contains(store->buffer.get()) ? stmt : make_seq({});
    return rebuild(
        stmt, [&](const Stmt& child) { return remove(child); },
        [](const Expr& expr) { return expr; });
  }

  NodeSet allocated_;
  NodeSet live_;
  std::unordered_map<const Node*, NodeSet> reads_;
};

} // namespace

PrimFunc remove_dead(const PrimFunc& function) {
  return with_body(function, DeadCode().run(function->body));
}

} // namespace temper::ir
