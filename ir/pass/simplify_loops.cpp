// Simplification of a whole function with the ranges of its loops.
//
// Index arithmetic goes to linear form, conditions that the ranges decide go, loops of one trip are
// replaced by their body, loops of none disappear. Conditions refine ranges: inside
// `if i * 16 + j < 100` nothing is learned about i and j together, but `if i < 6` bounds i in both
// branches.
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

class LoopSimplifier {
public:
  Stmt simplify(const Stmt& stmt) {
    if (const auto* loop = stmt.as<For>())
      return simplify_loop(stmt, *loop);
    if (const auto* branch = stmt.as<IfThenElse>())
      return simplify_branch(stmt, *branch);
    if (const auto* store = stmt.as<BufferStore>()) {
      std::vector<Expr> indices;
      bool changed = false;
      for (const Expr& index : store->indices) {
        indices.push_back(math_.simplify_index(index));
        changed |= indices.back() != index;
      }
      const Expr value = math_.simplify(store->value);
      const Expr predicate = store->predicate ? math_.simplify(store->predicate) : nullptr;
      changed |= value != store->value || predicate != store->predicate;
      return changed ? make_store(store->buffer, std::move(indices), value, predicate) : stmt;
    }
    return rebuild(
        stmt, [&](const Stmt& child) { return simplify(child); },
        [&](const Expr& expr) { return math_.simplify(expr); });
  }

private:
  Stmt simplify_loop(const Stmt& stmt, const For& loop) {
    const Expr min = math_.simplify_index(loop.min);
    const Expr extent = math_.simplify_index(loop.extent);
    if (as_int(extent) && *as_int(extent) <= 0)
      return make_seq({});
    if (is_int(extent, 1) && loop.kind != ForKind::kThreadBinding) {
      if (const auto at = as_int(min)) {
        math_.bind(loop.loop_var, *at, *at);
        const Stmt body = simplify(loop.body);
        // What is left of the variable stands in non-index places (values).
        return substitute(body, {{loop.loop_var, min}});
      }
      return simplify(substitute(loop.body, {{loop.loop_var, min}}));
    }
    Ref<For> header = stmt.as_ref<For>();
    if (min != loop.min || extent != loop.extent)
      header = change_loop(loop, [&](For& node) {
        node.min = min;
        node.extent = extent;
      });
    math_.bind_loop(*header);
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
      const auto undo = refine(condition, true);
      then_case = simplify(branch.then_case);
      restore(undo);
    }
    if (branch.else_case) {
      const auto undo = refine(condition, false);
      else_case = simplify(branch.else_case);
      restore(undo);
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

  using Undo = std::vector<std::pair<Var, IndexRange>>;

  /// Learns what a condition (or its opposite) says about single variables.
  Undo refine(const Expr& condition, bool holds) {
    Undo undo;
    std::vector<Expr> parts;
    if (holds)
      split_conjunction(condition, parts);
    else
      parts.push_back(condition);
    for (const Expr& part : parts) {
      // a < b  <=>  a - b <= -1, and the other comparisons alike, as `form <= 0`.
      const auto at_most = [&](const Expr& a, const Expr& b, int64_t add) {
        if (!a->dtype.is_integral() || !a->dtype.is_scalar())
          return;
        LinearIndex form = math_.linear(a);
        form.add(math_.linear(b), -1);
        form.constant += add;
        if (form.terms.size() != 1 || form.terms[0].atom->kind() != VarNode::kKind)
          return;
        const Var var = form.terms[0].atom.as_ref<VarNode>();
        const int64_t factor = form.terms[0].coefficient;
        IndexRange known = math_.range_of(var.get());
        undo.emplace_back(var, known);
        if (factor > 0)
          known.high = std::min(known.high, floor_div(-form.constant, factor));
        else
          known.low = std::max(known.low, -floor_div(-form.constant, -factor));
        if (known.low <= known.high)
          math_.bind(var, known);
      };
      if (const auto* node = part.as<LT>())
        holds ? at_most(node->a, node->b, 1) : at_most(node->b, node->a, 0);
      else if (const auto* node = part.as<LE>())
        holds ? at_most(node->a, node->b, 0) : at_most(node->b, node->a, 1);
      else if (const auto* node = part.as<GT>())
        holds ? at_most(node->b, node->a, 1) : at_most(node->a, node->b, 0);
      else if (const auto* node = part.as<GE>())
        holds ? at_most(node->b, node->a, 0) : at_most(node->a, node->b, 1);
      else if (const auto* node = part.as<EQ>(); node != nullptr && holds) {
        at_most(node->a, node->b, 0);
        at_most(node->b, node->a, 0);
      }
    }
    return undo;
  }

  void restore(const Undo& undo) {
    for (auto it = undo.rbegin(); it != undo.rend(); ++it)
      math_.bind(it->first, it->second);
  }

  IndexMath math_;
};

} // namespace

PrimFunc simplify_loops(const PrimFunc& function) {
  return with_body(function, LoopSimplifier().simplify(function->body));
}

} // namespace temper::ir
