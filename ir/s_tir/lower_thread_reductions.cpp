// Reductions over threads become code of each thread and a join.
//
// From the outermost loop that a reduction axis uses, everything down to the block must be one
// chain of loops that the reduction alone uses; those bound to threads go outermost. The threads
// that join are neighbours in the block: along threadIdx.x, or x and y, or all three. A group that
// fits into a warp joins by shuffles; one of whole warps by shuffles, then through shared memory,
// one element a warp; any other through one element a thread. Every thread then reads its warp's
// parts in the same order, so that all have the very same result.
#include "ir/s_tir/lower_threads.h"

#include "ir/op.h"
#include "ir/pass/rewrite.h"
#include "ir/s_tir/block.h"
#include "ir/s_tir/detail/reducer.h"
#include "ir/s_tir/lower.h"
#include "ir/s_tir/tensor_intrinsic.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_set>

namespace temper::s_tir {
namespace {

constexpr int64_t kLanes = 32;
constexpr std::array<const char*, 3> kThreads = {"threadIdx.x", "threadIdx.y", "threadIdx.z"};

Expr int32(int64_t value) { return make_int(DataType::int32(), value); }

std::optional<size_t> thread_of(const For& loop) {
  if (loop.kind == ForKind::kThreadBinding)
    for (size_t i = 0; i < kThreads.size(); ++i)
      if (loop.thread == kThreads[i])
        return i;
  return std::nullopt;
}

using Extents = std::array<int64_t, 3>;

/// Of each thread axis in a nest: the most iterations of a loop that is bound to it; 1: none.
Extents extents_of(const Stmt& nest) {
  Extents extents{1, 1, 1};
  walk(nest, [&](const NodeRef& node) {
    if (const auto* loop = node.as<For>())
      if (const auto axis = thread_of(*loop))
        extents[*axis] = std::max(extents[*axis], as_int(loop->extent).value_or(1));
    return !ExprNode::accepts(node->kind());
  });
  return extents;
}

class ThreadReductions {
public:
  explicit ThreadReductions(const Extents& extents) : extents_(extents) {}

  Stmt lower(const Stmt& stmt) {
    if (const auto* loop = stmt.as<For>()) {
      if (auto nest = reduction_at(stmt))
        return lower_nest(*nest);
      const auto axis = thread_of(*loop);
      const Var before = axis ? std::exchange(around_[*axis], loop->loop_var) : Var();
      const Stmt body = lower(loop->body);
      if (axis)
        around_[*axis] = before;
      return body == loop->body ? stmt
                                : Stmt(change_loop(*loop, [&](For& node) { node.body = body; }));
    }
    if (const auto* realize = stmt.as<SBlockRealize>()) {
      const Stmt body = lower(realize->block->body);
      if (body == realize->block->body)
        return stmt;
      return make_realize(realize->iter_values, realize->predicate,
                          copy_node(*realize->block, [&](SBlock& node) { node.body = body; }));
    }
    return rebuild(
        stmt, [&](const Stmt& child) { return lower(child); },
        [](const Expr& expr) { return expr; });
  }

  const Error& error() const { return error_; }

private:
  struct Nest {
    std::vector<Ref<For>> loops;
    BlockRealize realize;
  };

  void fail(const SBlock& block, std::string why) {
    if (error_.message.empty())
      error_ = Error(ErrorCode::kUnsupported,
                     fmt::format("block \"{}\" is reduced over threads, but {}", block.name, why));
  }

  static bool uses(const Expr& expr, const Var& var) { return mentions(expr, var); }

  /// The chain of loops that begins here, if its first loop is one of a reduction over threads.
  static std::optional<Nest> reduction_at(const Stmt& stmt) {
    Nest nest;
    Stmt inner = stmt;
    while (const auto* loop = inner.as<For>()) {
      nest.loops.push_back(inner.as_ref<For>());
      inner = loop->body;
    }
    nest.realize = inner.as_ref<SBlockRealize>();
    if (!nest.realize)
      return std::nullopt;
    bool threads = false;
    for (const Ref<For>& loop : nest.loops)
      threads |= thread_of(*loop).has_value() && reduces(*nest.realize, loop->loop_var);
    if (!threads || !reduces(*nest.realize, nest.loops[0]->loop_var))
      return std::nullopt;
    return nest;
  }

  static bool reduces(const SBlockRealize& realize, const Var& var) {
    for (size_t i = 0; i < realize.iter_values.size(); ++i)
      if (realize.block->iter_vars[i].type == IterType::kReduce &&
          uses(realize.iter_values[i], var))
        return true;
    return false;
  }

  Stmt lower_nest(const Nest& nest) {
    const SBlock& block = *nest.realize->block;
    const char* why = nullptr;
    const auto reducer = recognise_reducer(block, &why);
    if (!reducer) {
      fail(block, std::string("it ") + why + ": threads do not know how to join their parts");
      return nest.loops[0];
    }
    std::unordered_set<const VarNode*> reduction;
    for (const Ref<For>& loop : nest.loops) {
      reduction.insert(loop->loop_var.get());
      for (size_t i = 0; i < block.iter_vars.size(); ++i)
        if (block.iter_vars[i].type != IterType::kReduce &&
            uses(nest.realize->iter_values[i], loop->loop_var) && !is_int(loop->extent, 1)) {
          fail(block, fmt::format("loop {}, of an axis of its result, stands below a loop of the "
                                  "reduction: reorder it outward",
                                  loop->loop_var->name));
          return nest.loops[0];
        }
    }
    if (!block.match_buffers.empty() || !block.alloc_buffers.empty()) {
      fail(block, "it has buffers of its own");
      return nest.loops[0];
    }
    VarMap axes;
    for (size_t i = 0; i < block.iter_vars.size(); ++i)
      axes.emplace(block.iter_vars[i].var, nest.realize->iter_values[i]);

    // Its part, by each thread.
    const DataType dtype = reducer->update->buffer->dtype;
    const Buffer part =
        make_buffer(reducer->update->buffer->name + "_part", dtype, {int32(1)}, "local");
    const Expr now = make_load(part, {int32(0)});
    const auto set = [&](const Expr& next) { return make_store(part, {int32(0)}, next); };
    Stmt step = set(combine(reducer->kind, now, substitute(reducer->value, axes)));
    if (!is_int(nest.realize->predicate, 1))
      step = make_if(nest.realize->predicate, step);
    std::vector<Ref<For>> bound;
    for (auto loop = nest.loops.rbegin(); loop != nest.loops.rend(); ++loop) {
      if (thread_of(**loop)) {
        bound.insert(bound.begin(), *loop);
        continue;
      }
      step = change_loop(**loop, [&](For& node) { node.body = step; });
    }
    std::vector<Stmt> list{make_alloc(part), set(reducer->init->value), std::move(step)};
    join(block, bound, *reducer, part, list);
    list.push_back(result(nest, *reducer, reduction, now, bound));
    Stmt all = make_seq(std::move(list));
    for (auto loop = bound.rbegin(); loop != bound.rend(); ++loop)
      all = change_loop(**loop, [&](For& node) { node.body = all; });
    return all;
  }

  /// What writes the result: each thread where every thread has its own, else the first of those
  /// that joined.
  Stmt result(const Nest& nest, const Reducer& reducer,
              const std::unordered_set<const VarNode*>& reduction, const Expr& value,
              const std::vector<Ref<For>>& bound) const {
    const SBlock& block = *nest.realize->block;
    std::vector<Expr> conjuncts;
    split_conjunction(nest.realize->predicate, conjuncts);
    // A block's axes cover their domains: what speaks of the reduction's loops says nothing of
    // which elements there are.
    std::erase_if(conjuncts, [&](const Expr& conjunct) {
      return uses_var(conjunct, [&](const VarNode& var) { return reduction.contains(&var); });
    });
    if (!reducer.update->buffer->scope.starts_with("local"))
      for (const Ref<For>& loop : bound)
        conjuncts.push_back(equal(loop->loop_var, make_int(loop->loop_var->dtype, 0)));
    std::vector<Expr> values;
    VarMap fresh;
    const Block write = make_node<SBlock>([&](SBlock& node) {
      node.id = new_block_id();
      node.name = block.name;
      for (size_t i = 0; i < block.iter_vars.size(); ++i) {
        const IterVar& axis = block.iter_vars[i];
        if (axis.type == IterType::kReduce)
          continue;
        const Var var = make_var(axis.var->name, axis.var->dtype);
        fresh.emplace(axis.var, var);
        node.iter_vars.push_back({axis.domain, var, axis.type});
        // Loops of one iteration below the reduction's are at their start.
        values.push_back(nest.realize->iter_values[i]);
      }
      std::vector<Expr> indices;
      for (const Expr& index : reducer.update->indices)
        indices.push_back(substitute(index, fresh));
      for (BufferRegion region : block.writes) {
        for (Range& range : region.region)
          range = {substitute(range.min, fresh), substitute(range.extent, fresh)};
        node.writes.push_back(std::move(region));
      }
      node.body = make_store(reducer.update->buffer, std::move(indices), value);
    });
    VarMap starts;
    for (const Ref<For>& loop : nest.loops)
      if (!thread_of(*loop))
        starts.emplace(loop->loop_var, loop->min);
    for (Expr& bound_to : values)
      bound_to = substitute(bound_to, starts);
    return make_realize(std::move(values), join_conjunction(conjuncts), write);
  }

  /// All threads of a group get what all of them have together.
  void join(const SBlock& block, const std::vector<Ref<For>>& bound, const Reducer& reducer,
            const Buffer& part, std::vector<Stmt>& list) {
    std::array<Var, 3> group{};
    bool whole = true;
    for (const Ref<For>& loop : bound) {
      const size_t axis = *thread_of(*loop);
      group[axis] = loop->loop_var;
      whole &= as_int(loop->extent) == extents_[axis];
    }
    // Threads are neighbours along x, then y, then z.
    int64_t size = 1;    // of a group
    int64_t threads = 1; // of the block
    Expr number = int32(0);
    Expr others = int32(0); // number of the group
    int64_t groups = 1;
    bool gap = false;
    for (size_t axis = 0; axis < kThreads.size(); ++axis) {
      threads *= extents_[axis];
      if (group[axis]) {
        if (gap)
          return fail(block, "not over threadIdx.x, or x and y: bind the reduction to the first "
                             "axes of the block");
        number = number + to_int32(group[axis]) * size;
        size *= extents_[axis];
        continue;
      }
      if (extents_[axis] > 1) {
        gap = true;
        if (around_[axis])
          others = others + to_int32(around_[axis]) * groups;
        groups *= extents_[axis];
      }
    }
    if (!whole)
      return fail(block, "other loops of the nest have more iterations on these threads: bind "
                         "loops of one length to them");
    const Expr now = make_load(part, {int32(0)});
    const auto set = [&](const Expr& next) { return make_store(part, {int32(0)}, next); };
    const bool shuffles = part->dtype.bits == 32 && threads % kLanes == 0;
    const bool warps = size > kLanes && size % kLanes == 0;
    int64_t left = size; // parts that are still to be joined
    if (shuffles &&
        (warps || (size <= kLanes && std::has_single_bit(static_cast<uint64_t>(size))))) {
      for (int64_t mask = 1; mask < std::min(size, kLanes); mask *= 2) {
        const Var other = make_var("other", part->dtype);
        list.push_back(make_bind(other, call_op("shfl_xor_sync", {now, int32(mask)})));
        list.push_back(set(combine(reducer.kind, now, Expr(other))));
      }
      left = warps ? size / kLanes : 1;
    }
    if (left == 1)
      return;
    const int64_t each = size / left; // threads that have the same
    const Buffer parts =
        make_buffer(part->name + "s", part->dtype, {int32(groups), int32(left)}, "shared");
    list.push_back(make_alloc(parts));
    Stmt store = make_store(parts, {others, floordiv(number, each)}, now);
    if (each > 1)
      store = make_if(equal(floormod(number, each), int32(0)), store);
    list.push_back(std::move(store));
    // In one statement: it reads only, and stands between two barriers.
    const Var next = make_var("p", DataType::int32());
    list.push_back(set(reducer.init->value));
    list.push_back(make_for(next, int32(0), int32(left), ForKind::kSerial,
                            set(combine(reducer.kind, now, make_load(parts, {others, next})))));
  }
  static Expr to_int32(const Var& var) {
    return var->dtype == DataType::int32() ? Expr(var) : make_cast(DataType::int32(), var);
  }

  Extents extents_;
  std::array<Var, 3> around_{}; ///< loops bound to threads around the statement at hand
  Error error_;
};

} // namespace

Result<PrimFunc> lower_thread_reductions(const PrimFunc& function) {
  const auto* root = function->body.as<SBlockRealize>();
  if (root == nullptr)
    return function;
  // Each nest below the root is a kernel of its own.
  Error error;
  const auto lower = [&](const Stmt& nest) {
    ThreadReductions reductions(extents_of(nest));
    Stmt lowered = reductions.lower(nest);
    if (error.message.empty())
      error = reductions.error();
    return lowered;
  };
  const Stmt& body = root->block->body;
  const Stmt changed = body.is<SeqStmt>() ? rebuild(
                                                body, [&](const Stmt& nest) { return lower(nest); },
                                                [](const Expr& expr) { return expr; })
                                          : lower(body);
  if (!error.message.empty())
    return error;
  if (changed == body)
    return function;
  return with_body(
      function, make_realize(root->iter_values, root->predicate,
                             copy_node(*root->block, [&](SBlock& node) { node.body = changed; })));
}

Result<PrimFunc> lower_blocks_for_gpu(const PrimFunc& function, int architecture) {
  TEMPER_TRY(joined, lower_thread_reductions(function));
  std::vector<std::string> features;
  for (int known = 50; known <= architecture; ++known)
    features.push_back(fmt::format("sm_{}", known));
  TEMPER_TRY_VOID(check_tensor_intrinsics(joined, features));
  return lower_blocks(joined, true);
}

} // namespace temper::s_tir
