// Conditions leave inner loops.
//
// A split that does not divide leaves `if i_0 * 16 + i_1 < 100` in the innermost loop, where it
// keeps vectors and register tiles away. Three rules, per loop from the outside in:
//
//  1. Cut. A condition below loop L that mentions L's variable and variables of loops inside L
//     holds for all of the inner ones while L's variable stays under a bound. If that bound is
//     constant the loop is cut there into a main part, where the condition is gone, and the rest,
//     mostly of one trip; if it depends on outer loops too, or L is parallel, the body gets two
//     versions under an `if`.
//        for i_0 in range(7):                         for i_0 in range(6):
//          for i_1 in range(16):                        for i_1 in range(16): ...
//            if i_0 * 16 + i_1 < 100: ...       ->    for i_1 in range(4): ... (i_0 = 6)
//  2. Bound. A condition that is the whole body of L and bounds L's variable becomes L's extent.
//     (A vectorized loop takes only a constant bound; otherwise the condition becomes a mask.)
//  3. Hoist. A condition that is the whole body of L and does not mention its variable goes
//     around L. So does one that every statement of L's body has, as the parts of a loop that rule
//     1 has cut do.
//
// Rule 1 is also for the choice that a padded copy stores, in loops that hold nothing else:
//        for w in range(10):                          for w in range(1): P[w] = 0
//          P[w] = T.if_then_else(1 <= w and w < 9,    for w in range(1, 9): P[w] = A[w - 1]
//                                A[w - 1], 0)    ->   for w in range(9, 10): P[w] = 0
// A part of such a choice that does not depend on the loops around it goes around them. Rule 1 also
// holds for choices among the operands of what is stored: a window that reads zeros outside an
// image, where the border is cut off and the interior has no conditions.
//
// Cutting copies code, so the number of cuts per function and the size of what is copied are
// limited; a condition that stays is still right.
#include "ir/op.h"
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"
#include "ir/pass/simplify.h"
#include "ir/pass/unroll.h"
#include "ir/structural.h"

#include <algorithm>

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

constexpr int kMaxCuts = 16;
constexpr int64_t kMaxCopiedStatements = 64;

/// A comparison of indices as `form <= 0`.
struct Bound {
  LinearForm form;
};

class Partitioner {
public:
  Stmt rewrite(const Stmt& stmt) {
    const auto* loop = stmt.as<For>();
    if (loop == nullptr) {
      if (const auto* branch = stmt.as<IfThenElse>()) {
        Stmt then_case;
        Stmt else_case;
        {
          const Analyzer::Scope scope(math_);
          math_.assume(branch->condition);
          then_case = rewrite(branch->then_case);
        }
        if (branch->else_case) {
          const Analyzer::Scope scope(math_);
          math_.assume(negate(branch->condition));
          else_case = rewrite(branch->else_case);
        }
        return then_case == branch->then_case && else_case == branch->else_case
                   ? stmt
                   : make_if(branch->condition, then_case, else_case);
      }
      return rebuild(
          stmt, [&](const Stmt& child) { return rewrite(child); },
          [](const Expr& expr) { return expr; });
    }
    if (const Stmt versions = hoist_choice(*loop))
      return versions;
    if (const Stmt parts = cut(*loop))
      return parts;
    Stmt body;
    {
      const Analyzer::Scope scope(math_);
      bind_loop(math_, *loop);
      body = rewrite(loop->body);
    }
    return bound_and_hoist(*loop, body);
  }

private:
  /// Loops that store nothing but a choice, part of which is the same for all of them: a row of a
  /// padded copy that lies outside as a whole.
  Stmt hoist_choice(const For& loop) {
    Stmt body = Ref<For>(&loop);
    std::vector<Var> inside;
    while (const auto* inner = body.as<For>()) {
      inside.push_back(inner->loop_var);
      body = inner->body;
    }
    const auto* store = body.as<BufferStore>();
    const Call* choice = store != nullptr ? as_choice(store->value) : nullptr;
    if (choice == nullptr || is_fixed(choice->args[0]))
      return nullptr;
    std::vector<Expr> conjuncts;
    split_conjunction(choice->args[0], conjuncts);
    std::vector<Expr> around;
    std::vector<Expr> rest;
    for (const Expr& conjunct : conjuncts) {
      const bool varies = std::any_of(inside.begin(), inside.end(),
                                      [&](const Var& var) { return mentions(conjunct, var); });
      (varies || !bound_of(conjunct) ? rest : around).push_back(conjunct);
    }
    if (around.empty())
      return nullptr;
    const auto storing = [&](const Expr& value) {
      return with_store(loop, make_store(store->buffer, store->indices, value, store->predicate));
    };
    const Expr condition = math_.simplify(join_conjunction(around));
    const Stmt yes = storing(
        rest.empty() ? choice->args[1]
                     : if_then_else(join_conjunction(rest), choice->args[1], choice->args[2]));
    const Stmt no = with_fresh_definitions(storing(choice->args[2]));
    if (const auto known = as_int(condition))
      return rewrite(*known != 0 ? yes : no);
    return rewrite(make_if(condition, yes, no));
  }

  /// The nest with another innermost statement.
  static Stmt with_store(const For& loop, const Stmt& store) {
    const auto* inner = loop.body.as<For>();
    const Stmt body = inner != nullptr ? with_store(*inner, store) : store;
    return change_loop(loop, [&](For& node) { node.body = body; });
  }

  /// The conjunct as a bound; nothing when it is no comparison of index arithmetic.
  std::optional<Bound> bound_of(const Expr& condition) {
    const auto at_most = [&](const Expr& a, const Expr& b, int64_t add) -> std::optional<Bound> {
      if (!is_index_type(a->dtype))
        return std::nullopt;
      LinearForm form = math_.linear(a);
      form.add(math_.linear(b), -1);
      form.add_constant(add);
      if (form.overflow)
        return std::nullopt;
      return Bound{form};
    };
    if (const auto* node = condition.as<LT>())
      return at_most(node->a, node->b, 1);
    if (const auto* node = condition.as<LE>())
      return at_most(node->a, node->b, 0);
    if (const auto* node = condition.as<GT>())
      return at_most(node->b, node->a, 1);
    if (const auto* node = condition.as<GE>())
      return at_most(node->b, node->a, 0);
    return std::nullopt;
  }

  /// What of a loop's body is looked through for conditions.
  enum class From : uint8_t {
    kBranches, ///< every `if`
    kChoice,   ///< the choice that is all that the loops inside store
    kOperands, ///< choices among the operands of what is stored: the image under a window, zero
               ///< outside (a padded copy that was inlined)
  };

  /// The conditions in `loop` under which its bounds hold for all iterations of the loops inside,
  /// as `form <= 0` over its variable and outer ones.
  std::vector<LinearForm> cuttable(const For& loop, From from) {
    Search search{from, loop.loop_var, {}, {}, {}};
    walk(loop.body, [&](const NodeRef& node) {
      if (const auto* bind = node.as<Bind>())
        search.defined.push_back(bind->var);
      return !ExprNode::accepts(node->kind());
    });
    const Analyzer::Scope scope(math_);
    bind_loop(math_, loop);
    collect(loop.body, search);
    return std::move(search.found);
  }

  struct Search {
    From from;
    Var var;
    std::vector<Var> inner;   ///< of the loops around what is looked at
    std::vector<Var> defined; ///< names that the loop's body makes: unknown around the loop
    std::vector<LinearForm> found;
  };

  void collect(const Stmt& stmt, Search& search) {
    if (const auto* loop = stmt.as<For>()) {
      const Analyzer::Scope scope(math_);
      bind_loop(math_, *loop);
      search.inner.push_back(loop->loop_var);
      collect(loop->body, search);
      search.inner.pop_back();
      return;
    }
    const auto* store = stmt.as<BufferStore>();
    switch (search.from) {
    case From::kBranches:
      if (const auto* branch = stmt.as<IfThenElse>())
        add_bounds(branch->condition, search);
      stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role) {
        if (StmtNode::accepts(child->kind()))
          collect(cast_ref<StmtNode>(child), search);
      });
      return;
    case From::kChoice:
      if (const Call* choice = store != nullptr ? as_choice(store->value) : nullptr)
        add_bounds(choice->args[0], search);
      return;
    case From::kOperands:
      if (const auto* seq = stmt.as<SeqStmt>())
        for (const Stmt& child : seq->statements)
          collect(child, search);
      if (store != nullptr)
        walk(store->value, [&](const NodeRef& node) {
          const Call* choice = as_choice(node);
          if (choice != nullptr && node.get() != store->value.get())
            add_bounds(choice->args[0], search);
          return true;
        });
      return;
    }
  }

  static const Call* as_choice(const NodeRef& node) {
    const auto* call = node.as<Call>();
    return call != nullptr && call->op == "if_then_else" ? call : nullptr;
  }

  void add_bounds(const Expr& condition, Search& search) {
    std::vector<Expr> conjuncts;
    split_conjunction(condition, conjuncts);
    for (const Expr& conjunct : conjuncts)
      if (const auto bound = bound_of(conjunct))
        add_if_cuttable(bound->form, search);
  }

  /// A bound that mentions no loop inside is cut for choices only: an `if` then leaves by rule 3.
  void add_if_cuttable(const LinearForm& form, Search& search) {
    LinearForm outer;
    LinearForm rest;
    outer.dtype = rest.dtype = form.dtype;
    outer.constant = form.constant;
    bool has_var = false;
    for (const LinearTerm& term : form.terms) {
      const bool is_inner = uses_var(term.expr, [&](const VarNode& node) {
        return std::any_of(search.inner.begin(), search.inner.end(),
                           [&](const Var& one) { return one.get() == &node; });
      });
      const bool is_defined = uses_var(term.expr, [&](const VarNode& node) {
        return std::any_of(search.defined.begin(), search.defined.end(),
                           [&](const Var& one) { return one.get() == &node; });
      });
      if (is_defined || is_fixed(term.expr))
        return; // the loop's body decides what this is
      if (is_inner && mentions(term.expr, search.var))
        return; // mixed in one term: not to be separated
      if (!is_inner)
        has_var |= mentions(term.expr, search.var);
      (is_inner ? rest : outer).terms.push_back(term);
    }
    if (!has_var || (rest.terms.empty() && search.from == From::kBranches))
      return;
    const IntInterval most = math_.bounds(rest);
    if (!most.has_high())
      return;
    outer.constant += most.high;
    search.found.push_back(outer);
  }

  Stmt cut(const For& loop) {
    if (cuts_ >= kMaxCuts || loop.kind == ForKind::kVectorized ||
        count_statements(loop.body, {}) > kMaxCopiedStatements)
      return nullptr;
    std::vector<LinearForm> bounds = cuttable(loop, From::kBranches);
    const auto min = as_int(loop.min);
    const auto extent = as_int(loop.extent);
    const bool in_ranges = min && extent && loop.kind != ForKind::kParallel;
    const auto is_constant = [&](const LinearForm& form) {
      return form.terms.size() == 1 && form.terms[0].expr == Expr(loop.loop_var);
    };
    if (bounds.empty() && in_ranges) { // two versions of a body are not worth it for a choice
      bounds = cuttable(loop, From::kChoice);
      std::erase_if(bounds, [&](const LinearForm& form) { return !is_constant(form); });
    }
    // What is unrolled decides its conditions itself.
    if (bounds.empty() && loop.kind != ForKind::kUnrolled) {
      bounds = cuttable(loop, From::kOperands);
      if (in_ranges)
        std::erase_if(bounds, [&](const LinearForm& form) { return !is_constant(form); });
      else if (loop.kind != ForKind::kParallel)
        bounds.clear();
    }
    if (bounds.empty())
      return nullptr;
    ++cuts_;
    const bool constant = in_ranges && std::all_of(bounds.begin(), bounds.end(), is_constant);
    return constant ? cut_range(loop, *min, *extent, bounds) : cut_body(loop, bounds);
  }

  /// for v in [min, end)  ->  [min, from), [from, to), [to, end): the bounds hold in the middle.
  Stmt cut_range(const For& loop, int64_t min, int64_t extent,
                 const std::vector<LinearForm>& bounds) {
    const int64_t end = min + extent;
    int64_t from = min;
    int64_t to = end;
    for (const LinearForm& form : bounds) {
      const int64_t factor = form.terms[0].coefficient;
      if (factor > 0)
        to = std::min(to, floor_div(-form.constant, factor) + 1);
      else
        from = std::max(from, -floor_div(-form.constant, -factor));
    }
    from = std::clamp(from, min, end);
    to = std::clamp(to, from, end);
    if (to == from || (from == min && to == end))
      return keep(loop);
    std::vector<Stmt> parts;
    for (const auto& [first, last] :
         {std::pair(min, from), std::pair(from, to), std::pair(to, end)}) {
      if (first == last)
        continue;
      const DataType type = loop.loop_var->dtype;
      const Stmt part = change_loop(loop, [&](For& node) {
        node.min = make_int(type, first);
        node.extent = make_int(type, last - first);
      });
      const Stmt copy = parts.empty() ? part : with_fresh_definitions(part);
      parts.push_back(rewrite(simplify_loops(copy, math_)));
    }
    return make_seq(std::move(parts));
  }

  /// for v: body  ->  for v: if the bounds hold: body else: body
  Stmt cut_body(const For& loop, const std::vector<LinearForm>& bounds) {
    Expr condition = make_bool(true);
    for (const LinearForm& form : bounds) {
      const Expr bound = less_equal(to_expr(form), make_int(form.dtype, 0));
      condition = logical_and(condition, math_.simplify(bound));
    }
    const Analyzer::Scope scope(math_);
    bind_loop(math_, loop);
    condition = math_.simplify(condition);
    if (as_int(condition))
      return keep(loop);
    Stmt main;
    Stmt rest;
    {
      const Analyzer::Scope inside(math_);
      math_.assume(condition);
      main = rewrite(simplify_loops(loop.body, math_));
    }
    {
      const Analyzer::Scope inside(math_);
      math_.assume(negate(condition));
      rest = rewrite(simplify_loops(with_fresh_definitions(loop.body), math_));
    }
    return change_loop(loop, [&](For& node) { node.body = make_if(condition, main, rest); });
  }

  /// The loop after all, its body rewritten.
  Stmt keep(const For& loop) {
    Stmt body;
    {
      const Analyzer::Scope scope(math_);
      bind_loop(math_, loop);
      body = rewrite(loop.body);
    }
    return bound_and_hoist(loop, body);
  }

  /// Rules 2 and 3.
  Stmt bound_and_hoist(const For& loop, const Stmt& statements) {
    const Stmt body = with_common_condition(loop, statements);
    const auto* branch = body.as<IfThenElse>();
    if (branch == nullptr || branch->else_case)
      return body == loop.body ? Stmt(Ref<For>(&loop))
                               : Stmt(change_loop(loop, [&](For& node) { node.body = body; }));
    std::vector<Expr> conjuncts;
    const Stmt guarded = without_conditions(body, conjuncts);
    std::vector<Expr> around;
    std::vector<Expr> inside;
    Expr first = loop.min;
    Expr end = loop.min + loop.extent;
    bool bounded = false;
    for (const Expr& conjunct : conjuncts) {
      if (!mentions(conjunct, loop.loop_var)) {
        (is_fixed(conjunct) ? inside : around).push_back(conjunct);
        continue;
      }
      const auto bound = bound_of(conjunct);
      if (!bound || hides(bound->form, loop.loop_var.get()) ||
          coefficient(bound->form, loop.loop_var.get()) == 0) {
        inside.push_back(conjunct);
        continue;
      }
      // factor * v + rest <= 0
      LinearForm rest = bound->form;
      const int64_t factor = coefficient(rest, loop.loop_var.get());
      rest.add_term(loop.loop_var, -factor);
      if (loop.kind == ForKind::kVectorized && !rest.is_constant()) {
        inside.push_back(conjunct);
        continue;
      }
      bounded = true;
      LinearForm opposite;
      opposite.dtype = rest.dtype;
      opposite.add(rest, -1);
      if (factor > 0)
        end = min(end, floordiv(to_expr(opposite), factor) + 1);
      else // v >= rest / |factor|, rounded up
        first = max(first, floordiv(to_expr(rest) + (-factor - 1), -factor));
    }
    if (around.empty() && !bounded)
      return body == loop.body ? Stmt(Ref<For>(&loop))
                               : Stmt(change_loop(loop, [&](For& node) { node.body = body; }));
    const Analyzer::Scope scope(math_);
    for (const Expr& condition : around)
      math_.assume(condition);
    first = math_.simplify(first);
    Expr extent = math_.simplify(end - first);
    if (math_.bounds(extent).low < 0)
      extent = max(extent, make_int(extent->dtype, 0));
    const Stmt inner = inside.empty() ? guarded : make_if(join_conjunction(inside), guarded);
    Stmt result = simplify_loops(change_loop(loop,
                                             [&](For& node) {
                                               node.min = first;
                                               node.extent = extent;
                                               node.body = inner;
                                             }),
                                 math_);
    if (is_nothing(result) || around.empty())
      return result;
    return make_if(join_conjunction(around), result);
  }

  /// What is under a statement's conditions, one within the other, which are appended.
  static Stmt without_conditions(Stmt stmt, std::vector<Expr>& conjuncts) {
    for (const auto* branch = stmt.as<IfThenElse>(); branch != nullptr && !branch->else_case;
         branch = stmt.as<IfThenElse>()) {
      split_conjunction(branch->condition, conjuncts);
      stmt = Stmt(branch->then_case);
    }
    return stmt;
  }

  /// A sequence of which every statement is under a condition that L does not change: under it as a
  /// whole. What is else there stays as it is.
  Stmt with_common_condition(const For& loop, const Stmt& body) {
    const auto* sequence = body.as<SeqStmt>();
    if (sequence == nullptr)
      return body;
    std::vector<std::vector<Expr>> conditions;
    std::vector<Stmt> guarded;
    for (const Stmt& statement : sequence->statements)
      guarded.push_back(without_conditions(statement, conditions.emplace_back()));
    const auto holds = [](const std::vector<Expr>& conjuncts, const Expr& one) {
      return std::any_of(conjuncts.begin(), conjuncts.end(),
                         [&](const Expr& other) { return structural_equal(one, other); });
    };
    std::vector<Expr> common;
    for (const Expr& conjunct : conditions.front())
      if (!mentions(conjunct, loop.loop_var) && !is_fixed(conjunct) &&
          std::all_of(conditions.begin(), conditions.end(),
                      [&](const auto& others) { return holds(others, conjunct); }))
        common.push_back(conjunct);
    if (common.empty())
      return body;
    std::vector<Stmt> rest;
    for (size_t i = 0; i < conditions.size(); ++i) {
      std::erase_if(conditions[i], [&](const Expr& one) { return holds(common, one); });
      rest.push_back(conditions[i].empty() ? guarded[i]
                                           : make_if(join_conjunction(conditions[i]), guarded[i]));
    }
    return make_if(join_conjunction(common), make_seq(std::move(rest)));
  }

  /// What must be computed where it stands, and only there: it reads memory, calls, or divides by
  /// what may be zero elsewhere.
  bool is_fixed(const Expr& expr) {
    bool found = false;
    walk(expr, [&](const NodeRef& node) {
      Expr divisor;
      if (const auto* div = node.as<FloorDiv>())
        divisor = div->b;
      else if (const auto* mod = node.as<FloorMod>())
        divisor = mod->b;
      else if (const auto* quotient = node.as<Div>())
        divisor = quotient->b;
      else if (const auto* rest = node.as<Mod>())
        divisor = rest->b;
      if (divisor && divisor->dtype.is_integral()) {
        const IntInterval values = math_.bounds(divisor);
        found |= values.low <= 0 && values.high >= 0;
      }
      found |= node->kind() == BufferLoad::kKind || node->kind() == Call::kKind;
      return !found;
    });
    return found;
  }

  Analyzer math_;
  int cuts_ = 0;
};

} // namespace

PrimFunc partition_loops(const PrimFunc& function) {
  return with_body(function, Partitioner().rewrite(function->body));
}

} // namespace temper::ir
