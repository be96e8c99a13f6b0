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
//
// What it lays out for each round of a loop, though all blocks that run in turn need the same, is
// laid out for all rounds once before the blocks.
//
//   for bx in range(4):                                   K_parts = ...  (alloc, 16 times as large)
//     for k in range(16):                                 for k in range(16):
//       K_parts = ...  (alloc)                              for i, j in ..: K_parts[k, ..] = K[..]
//       for i, j in ..: K_parts[..] = K[k * 64 ..]   ->   for bx in range(4):
//       ... K_parts ...                                     for k in range(16):
//                                                             ... K_parts[k, ..] ...
//
// It takes memory that a cache may not hold, so the allocation has to allow it (kShareLayout). A
// buffer that is made just for this one to be filled from (a transposed tile) moves with it.
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

/// A loop whose rounds run one after the other, at least one.
bool runs_in_turn(const For& loop, bool alone) {
  return (loop.kind == ForKind::kSerial || (alone && loop.kind == ForKind::kParallel)) &&
         as_int(loop.min) && as_int(loop.extent).value_or(0) > 0;
}

/// Moves one buffer at a time from inside of a loop to before it.
class Sharing {
public:
  Sharing(const For& loop, bool alone)
      : loop_(loop), alone_(alone), made_(made_in(loop.body)), all_(loop.body) {
    made_.insert(loop.loop_var.get());
    walk(loop.body, [&](const NodeRef& node) {
      leaves_ |= node.is<Break>() || node.is<Continue>() || node.is<Return>();
      return !leaves_ && !ExprNode::accepts(node->kind());
    });
  }

  /// What takes the loop's place; null when nothing can be moved.
  Stmt run() {
    if (leaves_ || !search(loop_.body))
      return nullptr;
    moved_.push_back(change_loop(loop_, [&](For& node) { node.body = rest_; }));
    return make_seq(std::move(moved_));
  }

private:
  static constexpr int64_t kMostBytes = int64_t{1} << 26;

  /// Finds a buffer that can be moved below `stmt`, through loops only.
  bool search(const Stmt& stmt) {
    if (const auto* loop = stmt.as<For>()) {
      if (!runs_in_turn(*loop, alone_))
        return false;
      around_.push_back(loop);
      const bool found = search(loop->body);
      around_.pop_back();
      return found;
    }
    const auto* seq = stmt.as<SeqStmt>();
    if (seq == nullptr)
      return false;
    for (const Stmt& child : seq->statements) {
      const auto* alloc = child.as<AllocBuffer>();
      if (alloc != nullptr ? alloc->annotations.get(kShareLayout) && move(*seq, alloc->buffer)
                           : search(child))
        return true;
    }
    return false;
  }

  bool move(const SeqStmt& list, const Buffer& buffer) {
    // The statements that fill it, and buffers that exist for that alone.
    std::unordered_set<const Node*> members{buffer.get()};
    std::vector<size_t> group;
    for (bool grown = true; grown;) {
      grown = false;
      group.clear();
      for (size_t i = 0; i < list.statements.size(); ++i) {
        const Stmt& stmt = list.statements[i];
        if (const auto* alloc = stmt.as<AllocBuffer>()) {
          if (alloc->buffer != buffer && members.contains(alloc->buffer.get()))
            group.push_back(i);
          continue;
        }
        const Effects effects(stmt);
        const auto is_member = [&](const Node* node) { return members.contains(node); };
        if (std::none_of(effects.written.begin(), effects.written.end(), is_member))
          continue;
        if (!effects.plain ||
            !std::all_of(effects.written.begin(), effects.written.end(), is_member))
          return false;
        group.push_back(i);
        for (const Node* read : effects.read)
          if (all_.written.contains(read) && members.insert(read).second) {
            if (!is_made_in(list, read))
              return false;
            grown = true;
          }
      }
    }
    if (!stands_alone(list, group, members, buffer))
      return false;
    std::vector<const For*> rounds;
    if (!depends_on_rounds_only(list, group, rounds) || rounds.empty())
      return false;

    std::vector<Expr> shape;
    int64_t bytes = (buffer->dtype.bits + 7) / 8;
    for (const For* loop : rounds) {
      shape.push_back(loop->extent);
      bytes *= *as_int(loop->extent);
    }
    for (const Expr& extent : buffer->shape) {
      shape.push_back(extent);
      bytes *= std::min(as_int(extent).value_or(kMostBytes), kMostBytes);
      if (bytes > kMostBytes)
        return false;
    }
    const Buffer all = copy_node(*buffer, [&](BufferNode& node) { node.shape = std::move(shape); });
    VarMap fresh;
    std::vector<Var> vars;
    for (const For* loop : rounds) {
      vars.push_back(make_var(loop->loop_var->name, loop->loop_var->dtype));
      fresh.emplace(loop->loop_var, Expr(vars.back()));
    }
    std::vector<Stmt> filling;
    for (const size_t i : group)
      filling.push_back(substitute(of_round(list.statements[i], buffer, all, rounds), fresh));
    Stmt nest = make_seq(std::move(filling));
    for (size_t d = rounds.size(); d-- > 0;)
      nest = make_for(vars[d], rounds[d]->min, rounds[d]->extent, ForKind::kSerial, nest);
    moved_ = {make_alloc(all), nest};

    std::vector<Stmt> kept;
    for (size_t i = 0; i < list.statements.size(); ++i) {
      const auto* alloc = list.statements[i].as<AllocBuffer>();
      if ((alloc == nullptr || alloc->buffer != buffer) &&
          std::find(group.begin(), group.end(), i) == group.end())
        kept.push_back(of_round(list.statements[i], buffer, all, rounds));
    }
    const Stmt replacement = make_seq(std::move(kept));
    rest_ = replace(loop_.body, list, replacement);
    return true;
  }

  static bool is_made_in(const SeqStmt& list, const Node* buffer) {
    return std::any_of(list.statements.begin(), list.statements.end(), [&](const Stmt& stmt) {
      const auto* alloc = stmt.as<AllocBuffer>();
      return alloc != nullptr && alloc->buffer.get() == buffer;
    });
  }

  /// Nobody else uses the buffers of the group, but for `buffer` once it is filled.
  static bool stands_alone(const SeqStmt& list, const std::vector<size_t>& group,
                           const std::unordered_set<const Node*>& members, const Buffer& buffer) {
    for (size_t i = 0; i < list.statements.size(); ++i) {
      if (list.statements[i].is<AllocBuffer>() ||
          std::find(group.begin(), group.end(), i) != group.end())
        continue;
      for (const Node* member : members)
        if ((member != buffer.get() || i < group.back()) && occurs(member, list.statements[i]))
          return false;
    }
    return !group.empty();
  }

  /// Of all that is made in the loop, the group uses only its own and the loops in between, of
  /// which `rounds` are those that it does use.
  bool depends_on_rounds_only(const SeqStmt& list, const std::vector<size_t>& group,
                              std::vector<const For*>& rounds) const {
    std::unordered_set<const VarNode*> own;
    for (const size_t i : group)
      own.merge(made_in(list.statements[i]));
    const auto in_group = [&](auto&& which) {
      return std::any_of(group.begin(), group.end(),
                         [&](size_t i) { return uses_var(list.statements[i], which); });
    };
    for (const For* loop : around_) {
      own.insert(loop->loop_var.get());
      if (in_group([&](const VarNode& var) { return &var == loop->loop_var.get(); }))
        rounds.push_back(loop);
    }
    return !in_group(
        [&](const VarNode& var) { return made_.contains(&var) && !own.contains(&var); });
  }

  /// `stmt` with the part of `all` that belongs to a round in place of `buffer`.
  static Stmt of_round(const Stmt& stmt, const Buffer& buffer, const Buffer& all,
                       const std::vector<const For*>& rounds) {
    return cast_ref<StmtNode>(rewrite_post(stmt, [&](const NodeRef& node) -> NodeRef {
      const auto place = [&](const std::vector<Expr>& indices) {
        std::vector<Expr> result;
        for (const For* loop : rounds)
          result.push_back(is_int(loop->min, 0) ? Expr(loop->loop_var)
                                                : Expr(loop->loop_var) - loop->min);
        result.insert(result.end(), indices.begin(), indices.end());
        return result;
      };
      if (const auto* load = node.as<BufferLoad>(); load != nullptr && load->buffer == buffer)
        return copy_node(*load, [&](BufferLoad& made) {
          made.buffer = all;
          made.indices = place(load->indices);
        });
      if (const auto* store = node.as<BufferStore>(); store != nullptr && store->buffer == buffer)
        return copy_node(*store, [&](BufferStore& made) {
          made.buffer = all;
          made.indices = place(store->indices);
        });
      return node;
    }));
  }

  static Stmt replace(const Stmt& stmt, const SeqStmt& list, const Stmt& replacement) {
    return cast_ref<StmtNode>(rewrite_pre(stmt, [&](const NodeRef& node) -> NodeRef {
      return node.get() == &list ? NodeRef(replacement) : NodeRef();
    }));
  }

  const For& loop_;
  bool alone_;
  std::unordered_set<const VarNode*> made_; ///< in the loop, its own variable among them
  Effects all_;
  bool leaves_ = false;
  std::vector<const For*> around_; ///< between the loop and the list looked at
  std::vector<Stmt> moved_;
  Stmt rest_; ///< of the loop's body
};

Stmt share(const Stmt& stmt, bool alone) {
  if (const auto* loop = stmt.as<For>(); loop != nullptr && runs_in_turn(*loop, alone))
    if (const Stmt moved = Sharing(*loop, alone).run())
      return share(moved, alone);
  if (const auto* alloc = stmt.as<AllocBuffer>();
      alloc != nullptr && alloc->annotations.get(kShareLayout))
    return make_alloc(alloc->buffer, alloc->annotations.without(kShareLayout));
  return rebuild(
      stmt, [&](const Stmt& child) { return share(child, alone); },
      [](const Expr& expr) { return expr; });
}

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

PrimFunc share_layouts(const PrimFunc& function, bool alone) {
  return with_body(function, share(function->body, alone));
}

} // namespace temper::tir
