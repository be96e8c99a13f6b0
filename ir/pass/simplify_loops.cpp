// Simplification of a whole function with the ranges of its loops.
//
// Index arithmetic goes to linear form, conditions that the ranges decide go, loops of one trip are
// replaced by their body, loops of none disappear. A condition holds in its branch (and its
// opposite in the other one), so that what it guards is simplified under it.
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"
#include "ir/pass/simplify.h"
#include "ir/tir/kernel_math.h"

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

class LoopSimplifier {
public:
  explicit LoopSimplifier(Analyzer& analyzer) : math_(analyzer) {}

  Stmt simplify(const Stmt& stmt) {
    if (const auto* loop = stmt.as<For>())
      return simplify_loop(stmt, *loop);
    if (const auto* branch = stmt.as<IfThenElse>())
      return simplify_branch(stmt, *branch);
    if (const auto* store = stmt.as<BufferStore>()) {
      std::vector<Expr> indices;
      bool changed = false;
      for (const Expr& index : store->indices) {
        indices.push_back(math_.simplify(index));
        changed |= indices.back() != index;
      }
      const Expr value = math_.simplify(store->value);
      const Expr predicate = store->predicate ? math_.simplify(store->predicate) : nullptr;
      changed |= value != store->value || predicate != store->predicate;
      return changed ? make_store(store->buffer, std::move(indices), value, predicate) : stmt;
    }
    const Analyzer::Scope scope(math_);
    if (const auto* launch = stmt.as<KernelLaunch>())
      bind_kernel(math_, *launch);
    return rebuild(
        stmt, [&](const Stmt& child) { return simplify(child); },
        [&](const Expr& expr) { return math_.simplify(expr); });
  }

private:
  Stmt simplify_loop(const Stmt& stmt, const For& loop) {
    const Expr min = math_.simplify(loop.min);
    const Expr extent = math_.simplify(loop.extent);
    if (as_int(extent) && *as_int(extent) <= 0)
      return make_seq({});
    if (is_int(extent, 1) && loop.kind != ForKind::kThreadBinding)
      return simplify(substitute(loop.body, {{loop.loop_var, min}}));
    Ref<For> header = stmt.as_ref<For>();
    if (min != loop.min || extent != loop.extent)
      header = change_loop(loop, [&](For& node) {
        node.min = min;
        node.extent = extent;
      });
    const Analyzer::Scope scope(math_);
    bind_loop(math_, *header);
    const Stmt body = simplify(loop.body);
    if (is_nothing(body))
      return make_seq({});
    return body == header->body ? Stmt(header)
                                : Stmt(change_loop(*header, [&](For& node) { node.body = body; }));
  }

  Stmt simplify_branch(const Stmt& stmt, const IfThenElse& branch) {
    const Expr condition = math_.simplify(branch.condition);
    if (const auto value = as_int(condition)) {
      if (*value != 0)
        return simplify(branch.then_case);
      return branch.else_case ? simplify(branch.else_case) : make_seq({});
    }
    Stmt then_case;
    Stmt else_case;
    {
      const Analyzer::Scope scope(math_);
      math_.assume(condition);
      then_case = simplify(branch.then_case);
    }
    if (branch.else_case) {
      const Analyzer::Scope scope(math_);
      math_.assume(negate(condition));
      else_case = simplify(branch.else_case);
    }
    if (is_nothing(then_case))
      return is_nothing(else_case) ? make_seq({}) : make_if(logical_not(condition), else_case);
    if (is_nothing(else_case))
      else_case = nullptr;
    if (condition == branch.condition && then_case == branch.then_case &&
        else_case == branch.else_case)
      return stmt;
    return make_if(condition, then_case, else_case);
  }

  Analyzer& math_;
};

} // namespace

Stmt simplify_loops(const Stmt& stmt, Analyzer& analyzer) {
  return LoopSimplifier(analyzer).simplify(stmt);
}

PrimFunc simplify_loops(const PrimFunc& function) {
  Analyzer analyzer;
  return with_body(function, simplify_loops(function->body, analyzer));
}

} // namespace temper::ir
