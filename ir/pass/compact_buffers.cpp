// Intermediate buffers shrunk to what is used while they live.
//
//   for i_0 in range(64):                          C_tile: (16, 64)
//     C_tile: (1024, 1024)               ->        ...
//     C_tile[i_0 * 16 + i_1, j_1] = ..             C_tile[i_1, j_1] = ..
//
// A buffer lives from its AllocBuffer to the end of that sequence, so of the variables in its
// indices those defined outside are constants of its life and those defined inside range over their
// loops. For each dimension every access is split as outer + inner, `outer` a linear form over
// outer variables, `inner` bounded by constants. Where all accesses have the same `outer`, the
// dimension becomes hull(inner) long and `outer + low` is subtracted from each index; where they do
// not, or a bound is not known, or nothing would be saved, it stays as it is. The threads of a
// kernel are outer to memory of their own, and range over all of them for memory that the block
// shares.
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/kernel_math.h"

#include <unordered_set>

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

/// What is known about one dimension of one buffer.
struct Extent {
  bool seen = false;
  bool whole = false; ///< keep the dimension as it is
  LinearForm outer;   ///< without a constant
  IntInterval inner;
};

struct Life {
  size_t vars = 0;     ///< variables in scope at the allocation: defined.at(var) < vars means outer
  bool shared = false; ///< by the threads of a kernel
  std::vector<Extent> dims;
};

class UseCollector {
public:
  std::unordered_map<Buffer, Life, RefHash> lives;

  void collect(const Stmt& stmt) {
    if (const auto* loop = stmt.as<For>()) {
      collect(loop->min);
      collect(loop->extent);
      const Analyzer::Scope scope(math_);
      bind_loop(math_, *loop);
      define(loop->loop_var);
      if (loop->kind == ForKind::kThreadBinding && loop->thread.starts_with("vthread"))
        threads_.insert(loop->loop_var.get());
      return collect(loop->body);
    }
    if (const auto* launch = stmt.as<KernelLaunch>()) {
      const Analyzer::Scope scope(math_);
      bind_kernel(math_, *launch);
      for (const Var& var : launch->block_vars)
        define(var);
      for (const Var& var : launch->thread_vars) {
        define(var);
        threads_.insert(var.get());
      }
      return collect(launch->body);
    }
    if (const auto* branch = stmt.as<IfThenElse>()) {
      collect(branch->condition);
      {
        const Analyzer::Scope scope(math_);
        math_.assume(branch->condition);
        collect(branch->then_case);
      }
      if (branch->else_case) {
        const Analyzer::Scope scope(math_);
        math_.assume(negate(branch->condition));
        collect(branch->else_case);
      }
      return;
    }
    if (const auto* alloc = stmt.as<AllocBuffer>()) {
      Life& life = lives[alloc->buffer];
      life.vars = count_;
      life.shared = tile_scope(alloc->buffer->scope) == "shared";
      life.dims.resize(alloc->buffer->shape.size());
      return;
    }
    if (const auto* store = stmt.as<BufferStore>())
      access(store->buffer, store->indices);
    if (const auto* bind = stmt.as<Bind>())
      define(bind->var);
    stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role role) {
      if (StmtNode::accepts(child->kind()))
        collect(cast_ref<StmtNode>(child));
      else if (role == Role::kChild && ExprNode::accepts(child->kind()))
        collect(cast_ref<ExprNode>(child));
    });
  }

private:
  void define(const Var& var) { defined_[var.get()] = count_++; }

  void collect(const Expr& expr) {
    if (const auto* load = expr.as<BufferLoad>())
      access(load->buffer, load->indices);
    if (const auto* let = expr.as<Let>())
      define(let->var);
    if (const auto* call = expr.as<Call>(); call != nullptr && call->op == "if_then_else") {
      collect(call->args[0]);
      for (const bool then_case : {true, false}) {
        const Analyzer::Scope scope(math_);
        math_.assume(then_case ? call->args[0] : negate(call->args[0]));
        collect(call->args[then_case ? 1 : 2]);
      }
      return;
    }
    expr->info().for_each_child(expr.get(), [&](const NodeRef& child, Role role) {
      if (role == Role::kChild && ExprNode::accepts(child->kind()))
        collect(cast_ref<ExprNode>(child));
    });
  }

  void access(const Buffer& buffer, const std::vector<Expr>& indices) {
    const auto found = lives.find(buffer);
    if (found == lives.end())
      return;
    Life& life = found->second;
    for (size_t i = 0; i < indices.size(); ++i) {
      Extent& dim = life.dims[i];
      if (dim.whole)
        continue;
      // A tensorized block's instruction, or a vector in the text: a run of elements.
      const auto* ramp = indices[i].as<Ramp>();
      const int64_t stride = ramp != nullptr ? as_int(ramp->stride).value_or(-1) : 0;
      const Expr& first = ramp != nullptr ? ramp->base : indices[i];
      if (!is_index_type(first->dtype) || stride < 0) {
        dim.whole = true;
        continue;
      }
      const LinearForm form = math_.linear(first);
      LinearForm outer;
      LinearForm inner;
      outer.dtype = inner.dtype = form.dtype;
      inner.constant = form.constant;
      for (const LinearTerm& term : form.terms)
        (is_outer(term.expr, life) ? outer : inner).terms.push_back(term);
      IntInterval bounds = math_.bounds(inner);
      if (ramp != nullptr && bounds.is_bounded())
        bounds.high += stride * (ramp->lanes() - 1);
      if (form.overflow || !bounds.is_bounded() || (dim.seen && !same_terms(outer, dim.outer))) {
        dim.whole = true;
        continue;
      }
      dim.inner = dim.seen ? hull(dim.inner, bounds) : bounds;
      dim.outer = outer;
      dim.seen = true;
    }
  }

  /// Mentions only variables that were there when the buffer was allocated.
  bool is_outer(const Expr& expr, const Life& life) const {
    bool result = true;
    walk(expr, [&](const NodeRef& node) {
      if (const auto* var = node.as<VarNode>()) {
        const auto found = defined_.find(var);
        result &= found == defined_.end() || found->second < life.vars;
        result &= !life.shared || !threads_.contains(var);
      } else if (node->kind() == BufferLoad::kKind) {
        result = false; // what it reads may change
      }
      return result;
    });
    return result;
  }

  Analyzer math_;
  std::unordered_map<const VarNode*, size_t> defined_;
  std::unordered_set<const VarNode*> threads_; ///< numbers of a kernel's threads
  size_t count_ = 0;
};

class Compaction {
public:
  explicit Compaction(const std::unordered_map<Buffer, Life, RefHash>& lives) {
    for (const auto& [buffer, life] : lives) {
      Shift shift;
      bool changed = false;
      std::vector<Expr> shape = buffer->shape;
      for (size_t i = 0; i < life.dims.size(); ++i) {
        const Extent& dim = life.dims[i];
        const auto extent = as_int(shape[i]);
        const int64_t length = dim.seen ? dim.inner.high - dim.inner.low + 1 : 0;
        LinearForm start;
        if (dim.seen && !dim.whole && extent && length > 0 && length < *extent) {
          start = dim.outer;
          start.constant = dim.inner.low;
          shape[i] = make_int(shape[i]->dtype, length);
          changed = true;
        }
        shift.start.push_back(std::move(start));
      }
      if (!changed)
        continue;
      shift.buffer = copy_node(*buffer, [&](BufferNode& node) {
        node.shape = std::move(shape);
        node.strides.clear();
        node.elem_offset = nullptr;
      });
      shifts_.emplace(buffer, std::move(shift));
    }
  }

  bool empty() const { return shifts_.empty(); }

  Stmt rewrite(const Stmt& stmt) {
    const Analyzer::Scope scope(math_);
    if (const auto* loop = stmt.as<For>())
      bind_loop(math_, *loop);
    if (const auto* launch = stmt.as<KernelLaunch>())
      bind_kernel(math_, *launch);
    if (const auto* alloc = stmt.as<AllocBuffer>()) {
      const auto found = shifts_.find(alloc->buffer);
      return found == shifts_.end() ? stmt : make_alloc(found->second.buffer, alloc->annotations);
    }
    if (const auto* store = stmt.as<BufferStore>()) {
      Buffer buffer = store->buffer;
      std::vector<Expr> indices;
      for (const Expr& index : store->indices)
        indices.push_back(rewrite(index));
      move(buffer, indices);
      return make_store(buffer, std::move(indices), rewrite(store->value),
                        store->predicate ? rewrite(store->predicate) : nullptr);
    }
    return rebuild(
        stmt, [&](const Stmt& child) { return rewrite(child); },
        [&](const Expr& expr) { return rewrite(expr); });
  }

private:
  struct Shift {
    Buffer buffer;
    std::vector<LinearForm> start;
  };

  Expr rewrite(const Expr& expr) {
    const Expr mapped = map_parts(
        expr, [](const Stmt& stmt) { return stmt; },
        [&](const Expr& child) { return rewrite(child); });
    const auto* load = mapped.as<BufferLoad>();
    if (load == nullptr || !shifts_.contains(load->buffer))
      return mapped;
    Buffer buffer = load->buffer;
    std::vector<Expr> indices = load->indices;
    move(buffer, indices);
    return make_load(buffer, std::move(indices), load->predicate);
  }

  void move(Buffer& buffer, std::vector<Expr>& indices) {
    const auto found = shifts_.find(buffer);
    if (found == shifts_.end())
      return;
    const Shift& shift = found->second;
    for (size_t i = 0; i < indices.size(); ++i) {
      if (shift.start[i].terms.empty() && shift.start[i].constant == 0)
        continue;
      const auto* ramp = indices[i].as<Ramp>();
      LinearForm form = math_.linear(ramp != nullptr ? ramp->base : indices[i]);
      form.add(shift.start[i], -1);
      const Expr first = to_expr(form);
      indices[i] = ramp != nullptr ? make_ramp(first, ramp->stride, ramp->lanes()) : first;
    }
    buffer = shift.buffer;
  }

  std::unordered_map<Buffer, Shift, RefHash> shifts_;
  Analyzer math_;
};

} // namespace

PrimFunc compact_buffers(const PrimFunc& function) {
  UseCollector uses;
  uses.collect(function->body);
  Compaction compaction(uses.lives);
  return compaction.empty() ? function : with_body(function, compaction.rewrite(function->body));
}

} // namespace temper::ir
