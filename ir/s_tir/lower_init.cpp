// Initialisation of reductions that the schedule did not decompose.
//
// A block with an init runs it when all its reduction axes are at their start. The natural code is
// a loop nest before the reduction, so this pass looks at the chain of loops that leads to the
// block:
//
//   for i, k, j:  with block (v_i = i, v_j = j, v_k = k)
//
// From the outermost loop that a reduction axis uses (k), if everything down to the block is one
// chain, the spatial loops below it (j) are copied around the init and put before that loop. The
// predicate's conjuncts that mention reduction loops, or loops of no axis, only hold at some
// iteration (a block's axes cover their domain), so they are left out of the copy. Where the chain
// is broken, an axis mixes both sorts of loops, or a conjunct does, the init is guarded by its
// condition instead.
#include "ir/pass/index_math.h"
#include "ir/pass/rewrite.h"
#include "ir/s_tir/detail/pipeline_parts.h"
#include "ir/s_tir/lower.h"

#include <algorithm>
#include <unordered_set>

namespace temper::s_tir {
namespace {

using VarSet = std::unordered_set<const VarNode*>;

bool uses_any(const NodeRef& node, const VarSet& vars) {
  return uses_var(node, [&](const VarNode& var) { return vars.contains(&var); });
}

/// An init runs once for all steps of these; an opaque or scan axis is like a spatial one to it, as
/// in the interpreter.
bool is_reduction(const IterVar& axis) { return axis.type == IterType::kReduce; }

/// The body with the init guarded: if v_k == 0: init; body.
Stmt guarded_body(const SBlock& block) {
  Expr condition = make_bool(true);
  for (const IterVar& axis : block.iter_vars)
    if (is_reduction(axis))
      condition = logical_and(condition, equal(axis.var, axis.domain.min));
  if (is_int(condition, 1))
    return make_seq({block.init, block.body});
  return make_seq({make_if(condition, block.init), block.body});
}

class InitLowering {
public:
  Stmt lower(const Stmt& stmt) {
    if (const auto* realize = stmt.as<SBlockRealize>())
      return lower_realize(*realize);
    if (const auto* loop = stmt.as<For>()) {
      chain_.push_back(stmt.as_ref<For>());
      const size_t depth = chain_.size() - 1;
      const Stmt body = lower(loop->body);
      chain_.pop_back();
      Stmt result = body == loop->body ? stmt : Stmt(change_loop(*loop, [&](For& node) {
        node.body = body;
        node.annotations = parts_.annotations_of(*loop);
      }));
      // An init that belongs before this loop.
      std::vector<Stmt> parts;
      for (auto& [at, init] : pending_)
        if (at == depth)
          parts.push_back(init);
      std::erase_if(pending_, [&](const auto& entry) { return entry.first == depth; });
      if (parts.empty())
        return result;
      parts.push_back(result);
      return make_seq(std::move(parts));
    }
    // Anything but a loop breaks the chain.
    std::vector<Ref<For>> outer;
    outer.swap(chain_);
    const auto* seq = stmt.as<SeqStmt>();
    size_t next = 0;
    const Stmt result = rebuild(
        stmt,
        [&](const Stmt& child) {
          const Stmt lowered = lower(child);
          if (seq != nullptr)
            parts_.record(*seq, next++, lowered);
          return lowered;
        },
        [](const Expr& expr) { return expr; });
    outer.swap(chain_);
    return result;
  }

private:
  template <typename Which> static void read_what_is_written(SBlock& block, const Which& which) {
    for (auto region = block.writes.rbegin(); region != block.writes.rend(); ++region)
      if (which(region->buffer) &&
          std::none_of(block.reads.begin(), block.reads.end(),
                       [&](const BufferRegion& read) { return read.buffer == region->buffer; }))
        block.reads.insert(block.reads.begin(), *region);
  }

  Stmt lower_realize(const SBlockRealize& realize) {
    const SBlock& block = *realize.block;
    Block changed = realize.block;
    std::vector<Ref<For>> outer;
    outer.swap(chain_);
    const size_t before = accumulated_.size();
    const Stmt body = lower(block.body);
    outer.swap(chain_);
    if (body != block.body)
      changed = copy_node(block, [&](SBlock& node) {
        node.body = body;
        // Blocks around one that accumulates read what it reads.
        read_what_is_written(node, [&](const Buffer& buffer) {
          return std::find(accumulated_.begin() + static_cast<std::ptrdiff_t>(before),
                           accumulated_.end(), buffer) != accumulated_.end();
        });
      });
    if (changed->init) {
      const bool hoisted = hoist(realize, *changed);
      changed = copy_node(*changed, [&](SBlock& node) {
        if (!hoisted)
          node.body = guarded_body(node);
        node.init = nullptr;
        // Without an init the accumulation is a plain read.
        read_what_is_written(node, [](const Buffer&) { return true; });
        for (const BufferRegion& region : node.writes)
          accumulated_.push_back(region.buffer);
      });
    }
    return changed == realize.block ? Stmt(Ref<SBlockRealize>(&realize))
                                    : make_realize(realize.iter_values, realize.predicate, changed);
  }

  /// Queues a copy of the init before the outermost reduction loop; false when that is not
  /// possible.
  bool hoist(const SBlockRealize& realize, const SBlock& block) {
    VarSet reduce;
    VarSet spatial;
    VarSet loops;
    for (const Ref<For>& loop : chain_)
      loops.insert(loop->loop_var.get());
    bool outside = false; // a reduction goes on beyond the chain (a nested block, a sequence)
    for (size_t i = 0; i < block.iter_vars.size(); ++i) {
      const bool is_spatial = !is_reduction(block.iter_vars[i]);
      uses_var(realize.iter_values[i], [&](const VarNode& var) {
        if (loops.contains(&var))
          (is_spatial ? spatial : reduce).insert(&var);
        else
          outside |= !is_spatial;
        return false;
      });
    }
    if (outside)
      return false;
    for (const VarNode* var : reduce)
      if (spatial.contains(var))
        return false;
    const auto first = std::find_if(chain_.begin(), chain_.end(), [&](const Ref<For>& loop) {
      return reduce.contains(loop->loop_var.get());
    });
    if (first == chain_.end())
      return false;
    // A loop that iterates nowhere, or a number of times that depends on a reduction, decides
    // whether the init runs at all.
    VarMap fresh;
    std::vector<Ref<For>> copies;
    for (auto it = first; it != chain_.end(); ++it) {
      const For& loop = **it;
      if (uses_any(loop.min, reduce) || uses_any(loop.extent, reduce) ||
          as_int(loop.extent).value_or(0) <= 0)
        return false;
      if (reduce.contains(loop.loop_var.get()))
        continue;
      if (!spatial.contains(loop.loop_var.get()))
        continue; // an axis that is not bound: the init need not repeat with it
      const Var var = make_var(loop.loop_var->name + "_init", loop.loop_var->dtype);
      fresh.emplace(loop.loop_var, var);
      copies.push_back(change_loop(loop, [&](For& node) {
        node.loop_var = var;
        node.annotations = {};
      }));
    }
    VarSet left_out = reduce; // and loops below that no axis uses
    for (auto it = first; it != chain_.end(); ++it)
      if (!spatial.contains((*it)->loop_var.get()))
        left_out.insert((*it)->loop_var.get());
    std::vector<Expr> conjuncts;
    split_conjunction(realize.predicate, conjuncts);
    std::vector<Expr> kept;
    for (const Expr& conjunct : conjuncts) {
      const bool on_left_out = uses_any(conjunct, left_out);
      if (on_left_out && uses_any(conjunct, spatial))
        return false;
      if (!on_left_out)
        kept.push_back(substitute(conjunct, fresh));
    }
    std::vector<Expr> values;
    std::vector<IterVar> axes;
    VarMap axis_vars;
    for (size_t i = 0; i < block.iter_vars.size(); ++i) {
      const IterVar& axis = block.iter_vars[i];
      if (is_reduction(axis))
        continue;
      const Var var = make_var(axis.var->name, axis.var->dtype);
      axis_vars.emplace(axis.var, var);
      axes.push_back({axis.domain, var, axis.type});
      values.push_back(substitute(realize.iter_values[i], fresh));
    }
    const Block copy = make_node<SBlock>([&](SBlock& node) {
      node.id = new_block_id();
      node.name = block.name + "_init";
      node.iter_vars = std::move(axes);
      for (const BufferRegion& region : block.writes)
        node.writes.push_back(substituted(region, axis_vars));
      node.body = substitute(block.init, axis_vars);
    });
    Stmt init = make_realize(std::move(values), join_conjunction(kept), copy);
    for (auto it = copies.rbegin(); it != copies.rend(); ++it)
      init = change_loop(**it, [&](For& node) { node.body = init; });
    pending_.emplace_back(static_cast<size_t>(first - chain_.begin()), std::move(init));
    return true;
  }

  static BufferRegion substituted(BufferRegion region, const VarMap& vars) {
    for (Range& range : region.region)
      range = {substitute(range.min, vars), substitute(range.extent, vars)};
    return region;
  }

  std::vector<Ref<For>> chain_;                  ///< perfectly nested loops that lead here
  std::vector<std::pair<size_t, Stmt>> pending_; ///< chain position, what goes before that loop
  PipelineParts parts_;
  std::vector<Buffer> accumulated_; ///< what blocks add to that had an init
};

} // namespace

PrimFunc lower_init(const PrimFunc& function) {
  return with_body(function, InitLowering().lower(function->body));
}

} // namespace temper::s_tir
