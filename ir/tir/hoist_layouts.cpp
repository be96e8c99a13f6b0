// What an operator lays out anew in each round of a loop, though it stays the same, is laid out
// once before the loop.
//
//   for k in range(16):                                     Q_panels = ...  (alloc)
//     Q_panels = ...  (alloc)                               for p, d, i in ..: Q_panels[..] = Q[..]
//     for p, d, i in ..: Q_panels[..] = Q[..]       ->      for k in range(16):
//     ... K[k * 64 ..] * Q_panels ...                         ... K[k * 64 ..] * Q_panels ...
//
// This holds when, in the loop's own list of statements,
//  - the buffer is allocated, and one statement alone writes it, whole nests of loops and nothing
//    else; that statement writes no other buffer,
//  - it does not depend on the loop, nor on names that are made in it,
//  - what it reads is written nowhere in the loop (or by statements that were moved out already),
//  - the loop is known to run at least once: nothing is read that would not have been.
#include "ir/tir/hoist_layouts.h"

#include "ir/op.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/tile.h"
#include "ir/walk.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace temper::tir {
namespace {

/// The buffers that a statement changes or may change, and those that it only reads.
struct Effects {
  std::unordered_set<const Node*> written;
  std::unordered_set<const Node*> read;
  bool plain = true; ///< loops, stores, names and allocations, and nothing else

  explicit Effects(const Stmt& stmt) {
    walk(stmt, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        written.insert(store->buffer.get());
      else if (const auto* load = node.as<BufferLoad>())
        read.insert(load->buffer.get());
      else if (const auto* call = node.as<TileCall>())
        for (const BufferRegion& region : call->regions)
          written.insert(region.buffer.get());
      else if (const auto* evaluate = node.as<Evaluate>())
        note_operation(*evaluate);
      if (StmtNode::accepts(node->kind()))
        plain = plain && (node.is<For>() || node.is<SeqStmt>() || node.is<BufferStore>() ||
                          node.is<Bind>() || node.is<AllocBuffer>());
      return true;
    });
  }

private:
  /// What stands at an address may be written to; of a product of tiles only its sums.
  void note_operation(const Evaluate& evaluate) {
    const auto* call = evaluate.value.as<Call>();
    const OpInfo* op = call != nullptr ? find_op(call->op) : nullptr;
    if (op == nullptr)
      return;
    constexpr int kAddressesOfSums = 3;
    const int addresses = call->op == "amx_multiply_add" ? kAddressesOfSums
                          : call->op == "prefetch"       ? 0
                                                         : op->addresses;
    for (int i = 0; i < addresses && i < static_cast<int>(call->args.size()); ++i)
      if (const auto* load = call->args[static_cast<size_t>(i)].as<BufferLoad>())
        written.insert(load->buffer.get());
  }
};

/// Variables that are made in a statement.
std::unordered_set<const VarNode*> made_in(const Stmt& stmt) {
  std::unordered_set<const VarNode*> made;
  walk(stmt, [&](const NodeRef& node) {
    if (const auto* bind = node.as<Bind>())
      made.insert(bind->var.get());
    else if (const auto* loop = node.as<For>())
      made.insert(loop->loop_var.get());
    return true;
  });
  return made;
}

bool occurs(const Node* what, const Stmt& where) {
  bool found = false;
  walk(where, [&](const NodeRef& node) {
    found |= node.get() == what;
    return !found;
  });
  return found;
}

class Hoisting {
public:
  explicit Hoisting(const For& loop) : loop_(loop) {
    for (const Stmt& stmt : loop.body.as<SeqStmt>()->statements)
      list_.push_back({stmt, Effects(stmt)});
  }

  /// Moves what can be moved; true when something was.
  bool run() {
    bool any = false;
    for (bool found = true; found; any |= found) {
      found = false;
      for (size_t i = 0; i < list_.size() && !found; ++i)
        if (const auto* alloc = list_[i].stmt.as<AllocBuffer>())
          found = move(i, alloc->buffer);
    }
    return any;
  }

  std::vector<Stmt> take() {
    std::vector<Stmt> rest;
    for (Part& part : list_)
      rest.push_back(std::move(part.stmt));
    before_.push_back(
        change_loop(loop_, [&](For& node) { node.body = make_seq(std::move(rest)); }));
    return std::move(before_);
  }

private:
  struct Part {
    Stmt stmt;
    Effects effects;
  };

  bool move(size_t alloc, const Buffer& buffer) {
    size_t writer = list_.size();
    for (size_t i = 0; i < list_.size(); ++i)
      if (list_[i].effects.written.contains(buffer.get())) {
        if (writer != list_.size())
          return false;
        writer = i;
      }
    if (writer == list_.size() || writer < alloc)
      return false;
    // Nobody reads it before.
    for (size_t i = alloc + 1; i < writer; ++i)
      if (occurs(buffer.get(), list_[i].stmt))
        return false;
    const Effects& effects = list_[writer].effects;
    if (!effects.plain || effects.written.size() != 1 || effects.read.contains(buffer.get()))
      return false;
    for (const Part& part : list_)
      for (const Node* read : effects.read)
        if (part.effects.written.contains(read))
          return false;
    const std::unordered_set<const VarNode*> own = made_in(list_[writer].stmt);
    const std::unordered_set<const VarNode*> made = made_in(loop_.body);
    const auto depends = [&](const NodeRef& node) {
      return uses_var(node, [&](const VarNode& var) {
        return &var == loop_.loop_var.get() || (made.contains(&var) && !own.contains(&var));
      });
    };
    if (depends(list_[writer].stmt) ||
        std::any_of(buffer->shape.begin(), buffer->shape.end(), depends))
      return false;
    before_.push_back(list_[alloc].stmt);
    before_.push_back(list_[writer].stmt);
    list_.erase(list_.begin() + static_cast<std::ptrdiff_t>(writer));
    list_.erase(list_.begin() + static_cast<std::ptrdiff_t>(alloc));
    return true;
  }

  const For& loop_;
  std::vector<Part> list_;
  std::vector<Stmt> before_;
};

Stmt rewrite(const Stmt& stmt) {
  const Stmt inner = rebuild(
      stmt, [](const Stmt& child) { return rewrite(child); },
      [](const Expr& expr) { return expr; });
  const auto* loop = inner.as<For>();
  if (loop == nullptr || (loop->kind != ForKind::kSerial && loop->kind != ForKind::kPipelined) ||
      as_int(loop->extent).value_or(0) < 1 || !loop->body.is<SeqStmt>())
    return inner;
  Hoisting hoisting(*loop);
  return hoisting.run() ? make_seq(hoisting.take()) : inner;
}

} // namespace

PrimFunc hoist_layouts(const PrimFunc& function) {
  return with_body(function, rewrite(function->body));
}

} // namespace temper::tir
