// A slice backwards from the copies, until nothing new is needed: what a kept statement uses is
// needed, and what defines or writes something needed is kept, with the conditions and loops
// around.
#include "ir/tir/pipeline_slice.h"

#include "ir/op.h"
#include "ir/tir/pipeline_stages.h"
#include "ir/tir/tile_ops.h"
#include "ir/walk.h"

#include <algorithm>

namespace temper::tir {
namespace {

class Slice {
public:
  Slice(const KernelLaunch& kernel, const For& loop)
      : kernel_(kernel), loop_(loop), written_(written_below(kernel.body)) {}

  Result<std::unordered_set<const Node*>> run(const std::vector<Stmt>& copies) {
    if (leaves(loop_.body))
      return no("its body leaves it or goes on early");
    for (const Stmt& copy : copies)
      need(copy);
    size_t known = 0;
    do {
      known = size();
      visit(kernel_.body, false);
    } while (size() > known && why_.empty());
    for (const Var& thread : kernel_.thread_vars)
      if (vars_.contains(thread.get()))
        because("the number of the thread, of which it has another one");
    if (!why_.empty())
      return no("where it copies from, or how often, takes " + why_);
    return std::move(kept_);
  }

private:
  static Error no(const std::string& why) {
    return {ErrorCode::kUnsupported, "a warp of its own cannot make the copies: " + why};
  }
  void because(std::string why) {
    if (why_.empty())
      why_ = std::move(why);
  }
  size_t size() const { return kept_.size() + vars_.size() + buffers_.size(); }

  /// A break, continue or return that is the loop's own.
  static bool leaves(const Stmt& body) {
    bool found = false;
    walk(body, [&](const NodeRef& node) {
      found |= node.is<Break>() || node.is<Continue>() || node.is<Return>();
      return !found && !node.is<For>() && !node.is<While>();
    });
    return found;
  }
  static bool is_of_thread(const Buffer& buffer) {
    return buffer->scope.starts_with("local") && tile_scope(buffer->scope) != "fragment";
  }

  void need(const NodeRef& used) {
    walk(used, [&](const NodeRef& node) {
      if (const auto* var = node.as<VarNode>())
        vars_.insert(var);
      if (const auto* call = node.as<Call>())
        if (const OpInfo* op = find_op(call->op); op == nullptr || !op->pure)
          because("T." + call->op + ", which is done once");
      if (const auto* load = node.as<BufferLoad>()) {
        buffers_.insert(load->buffer.get());
        if (is_shared(load->buffer) || tile_scope(load->buffer->scope) == "fragment")
          because(load->buffer->name + ", which the other threads hold");
        else if (!is_of_thread(load->buffer) && written_.contains(load->buffer.get()))
          because(load->buffer->name + ", which the kernel writes");
      }
      return true;
    });
  }

  bool keep(const Stmt& stmt, bool kept) {
    if (kept)
      kept_.insert(stmt.get());
    return kept;
  }

  /// Keeps what is needed of it, and says whether that is anything. `runs`: the loop around it is
  /// kept.
  bool visit(const Stmt& stmt, bool runs) {
    if (!stmt)
      return false;
    if (const auto* bind = stmt.as<Bind>()) {
      if (!vars_.contains(bind->var.get()))
        return false;
      need(bind->value);
      return keep(stmt, true);
    }
    if (const auto* alloc = stmt.as<AllocBuffer>())
      return keep(stmt, is_of_thread(alloc->buffer) && buffers_.contains(alloc->buffer.get()));
    if (const auto* store = stmt.as<BufferStore>()) {
      if (!buffers_.contains(store->buffer.get()))
        return false;
      need(store->value);
      for (const Expr& index : store->indices)
        need(index);
      return keep(stmt, true);
    }
    if (const auto* seq = stmt.as<SeqStmt>()) {
      bool any = false;
      for (const Stmt& child : seq->statements)
        any |= visit(child, runs);
      return keep(stmt, any);
    }
    if (const auto* branch = stmt.as<IfThenElse>()) {
      const bool yes = visit(branch->then_case, runs);
      const bool no = visit(branch->else_case, runs);
      if (yes || no)
        need(branch->condition);
      return keep(stmt, yes || no);
    }
    if (const auto* repeated = stmt.as<While>()) {
      const bool any = visit(repeated->body, kept_.contains(stmt.get()));
      if (any)
        need(repeated->condition);
      return keep(stmt, any);
    }
    if (const auto* counted = stmt.as<For>()) {
      const bool any = visit(counted->body, kept_.contains(stmt.get()) && stmt.get() != &loop_) ||
                       stmt.get() == &loop_;
      if (any) {
        need(counted->min);
        need(counted->extent);
        if (counted->kind == ForKind::kTileParallel)
          because("what a T.Parallel computes, whose iterations are the other threads'");
      }
      return keep(stmt, any);
    }
    if (stmt.is<Break>() || stmt.is<Continue>())
      return keep(stmt, runs);
    if (stmt.is<Return>())
      return keep(stmt, true);
    if (const auto* call = stmt.as<TileCall>()) {
      for (const size_t i : written_operands(*call))
        if (buffers_.contains(call->regions[i].buffer.get()))
          because(call->regions[i].buffer->name + ", which T." + call->op + " writes");
      return false;
    }
    for (const BufferNode* buffer : written_below(stmt))
      if (buffers_.contains(buffer))
        because(buffer->name + ", which is written through its address");
    return false;
  }

  const KernelLaunch& kernel_;
  const For& loop_;
  std::unordered_set<const BufferNode*> written_; ///< by the kernel
  std::unordered_set<const VarNode*> vars_;       ///< needed
  std::unordered_set<const BufferNode*> buffers_;
  std::unordered_set<const Node*> kept_;
  std::string why_;
};

} // namespace

Result<std::unordered_set<const Node*>>
slice_for_copies(const KernelLaunch& kernel, const For& loop, const std::vector<Stmt>& copies) {
  return Slice(kernel, loop).run(copies);
}

} // namespace temper::tir
