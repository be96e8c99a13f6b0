// Unrolling: loops marked T.unroll, and those that a pragma asks for.
//
// `pragma_auto_unroll_max_step` = n on a loop holds for the nest below it, as in TVM: a serial loop
// that contains no loop that stays is expanded when its trips times the statements of its body are
// at most n. `pragma_unroll_explicit` = 0 leaves that decision to the code generator: nothing is
// expanded here. Both annotations end here.
//
// All that is to be expanded is decided first, bottom up on the small tree, then expanded in one
// walk that keeps the values of unrolled variables in an environment, so that an index is
// simplified once however many loops around it are expanded. A nest that would make more than
// max_unrolled_statements keeps its loops.
#include "ir/pass/unroll.h"

#include "ir/pass/fold.h"
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

class Expander {
public:
  Expander(const LoopSet& loops, Analyzer& analyzer) : loops_(loops), math_(analyzer) {}

  Stmt expand(const Stmt& stmt) {
    if (const auto* loop = stmt.as<For>()) {
      if (loops_.contains(loop))
        return expand_loop(*loop);
      const Analyzer::Scope scope(math_);
      const Expr min = index(loop->min);
      const Expr extent = index(loop->extent);
      const bool again = copies_ > 0;
      const Var var =
          again ? make_var(loop->loop_var->name, loop->loop_var->dtype) : loop->loop_var;
      math_.bind(var, Range{min, extent});
      if (again)
        values_[loop->loop_var] = var;
      // The first copy keeps the variable, the next ones do not.
      changing_.insert(loop->loop_var.get());
      const Stmt body = expand(loop->body);
      if (!again && min == loop->min && extent == loop->extent && body == loop->body)
        return stmt;
      return change_loop(*loop, [&](For& node) {
        node.loop_var = var;
        node.min = min;
        node.extent = extent;
        node.body = body;
      });
    }
    if (const auto* bind = stmt.as<Bind>())
      changing_.insert(bind->var.get());
    if (values_.empty() && copies_ == 0)
      return rebuild(
          stmt, [&](const Stmt& child) { return expand(child); },
          [](const Expr& expr) { return expr; });
    if (const auto* store = stmt.as<BufferStore>())
      return make_store(renamed(store->buffer), {index(store->indices[0])}, value(store->value),
                        store->predicate ? value(store->predicate) : nullptr);
    if (const auto* alloc = stmt.as<AllocBuffer>(); alloc != nullptr && copies_ > 0) {
      const Buffer copy = copy_node(*alloc->buffer, [](BufferNode&) {});
      buffers_[alloc->buffer] = copy;
      return make_alloc(copy, alloc->annotations);
    }
    if (const auto* bind = stmt.as<Bind>(); bind != nullptr && copies_ > 0) {
      const Expr bound = value(bind->value);
      const Var var = make_var(bind->var->name, bind->var->dtype);
      values_[bind->var] = var;
      return make_bind(var, bound);
    }
    Stmt result = rebuild(
        stmt, [&](const Stmt& child) { return expand(child); },
        [&](const Expr& expr) { return value(expr); });
    // A copy that the unrolled variables do not change is still another statement.
    return result == stmt && copies_ > 0 ? with_fresh_definitions(stmt) : result;
  }

private:
  Stmt expand_loop(const For& loop) {
    const int64_t min = as_int(index(loop.min)).value();
    const int64_t extent = as_int(loop.extent).value();
    std::vector<Stmt> copies;
    copies.reserve(static_cast<size_t>(extent));
    for (int64_t i = 0; i < extent; ++i) {
      copies_ += i == 0 ? 0 : 1;
      values_[loop.loop_var] = make_int(loop.loop_var->dtype, min + i);
      copies.push_back(expand(loop.body));
      copies_ -= i == 0 ? 0 : 1;
    }
    values_.erase(loop.loop_var);
    return make_seq(std::move(copies));
  }

  Buffer renamed(const Buffer& buffer) const {
    if (buffers_.empty())
      return buffer;
    const auto found = buffers_.find(buffer);
    return found == buffers_.end() ? buffer : found->second;
  }

  /// An index with variables replaced, as simple as it was. Most are linear in the unrolled
  /// variables, so a copy differs from the original by a constant: the form of the original and the
  /// part that no copy changes are made once.
  Expr index(const Expr& expr) {
    if (expr->kind() == IntImm::kKind || values_.empty())
      return expr;
    if (const auto* ramp = expr.as<Ramp>();
        ramp != nullptr && ramp->stride->kind() == IntImm::kKind) {
      const Expr base = index(ramp->base);
      return base == ramp->base ? expr : make_ramp(base, ramp->stride, ramp->lanes());
    }
    if (is_index_type(expr->dtype)) {
      const auto [place, is_new] = indices_.try_emplace(expr);
      Split& split = place->second;
      if (is_new)
        split = split_index(expr);
      if (split.simple) {
        int64_t constant = split.constant;
        bool known = true;
        for (const auto& [var, coefficient] : split.moving) {
          const auto found = values_.find(var);
          const auto number = found == values_.end() ? std::nullopt : as_int(found->second);
          known &= number.has_value();
          constant += coefficient * number.value_or(0);
        }
        if (known)
          return split.rest ? split.rest + constant : make_int(expr->dtype, constant);
      }
    }
    const Expr replaced = value(expr);
    return replaced == expr ? expr : math_.simplify(replaced);
  }

  /// rest + constant + sum of coefficient * variable being unrolled.
  struct Split {
    bool simple = false;
    std::vector<std::pair<Var, int64_t>> moving;
    Expr rest;
    int64_t constant = 0;
  };

  Split split_index(const Expr& expr) const {
    Split split;
    LinearForm form = linear_form(expr);
    LinearForm rest;
    rest.dtype = form.dtype;
    for (const LinearTerm& term : form.terms) {
      const auto value = values_.find(term.expr.as_ref<VarNode>());
      if (value != values_.end() && as_int(value->second))
        split.moving.emplace_back(value->first, term.coefficient);
      else if (uses_var(term.expr, [&](const VarNode& var) {
                 return values_.contains(Ref<VarNode>(&var)) || changing_.contains(&var);
               }))
        return split; // a copied loop's variable, or a term that is not linear
      else
        rest.terms.push_back(term);
    }
    if (form.overflow || split.moving.empty())
      return split;
    split.simple = true;
    split.constant = form.constant;
    if (!rest.terms.empty())
      split.rest = to_expr(rest);
    return split;
  }

  /// The value with variables replaced; only what stands in indices is simplified.
  Expr value(const Expr& expr) {
    switch (static_cast<ExprKind>(expr->kind())) {
    case ExprKind::kVarNode: {
      const auto found = values_.find(expr.as_ref<VarNode>());
      return found == values_.end() ? expr : found->second;
    }
    case ExprKind::kIntImm:
    case ExprKind::kFloatImm:
      return expr;
    case ExprKind::kBufferLoad: {
      const BufferLoad& load = *expr.as<BufferLoad>();
      const Expr at = index(load.indices[0]);
      const Expr predicate = load.predicate ? value(load.predicate) : nullptr;
      const Buffer buffer = renamed(load.buffer);
      return at == load.indices[0] && predicate == load.predicate && buffer == load.buffer
                 ? expr
                 : make_load(buffer, {at}, predicate);
    }
    case ExprKind::kLet: {
      const Let& let = *expr.as<Let>();
      changing_.insert(let.var.get());
      const Expr bound = value(let.value);
      const Var var = copies_ > 0 ? make_var(let.var->name, let.var->dtype) : let.var;
      if (copies_ > 0)
        values_[let.var] = var;
      return make_let(var, bound, value(let.body));
    }
    default: {
      const Expr mapped = map_parts(
          expr, [](const Stmt& stmt) { return stmt; },
          [&](const Expr& child) { return value(child); });
      // Conditions on unrolled variables are decided here.
      if (mapped != expr && mapped->dtype.is_bool())
        return math_.simplify(mapped);
      if (const auto* call = mapped.as<Call>(); call != nullptr && call->op == "if_then_else")
        if (const auto known = as_int(call->args[0]))
          return call->args[*known != 0 ? 1 : 2];
      return mapped;
    }
    }
  }

  const LoopSet& loops_;
  Analyzer& math_;
  VarMap values_; ///< what stands for a variable in the copy at hand
  BufferMap buffers_;
  std::unordered_map<Expr, Split, RefHash> indices_;
  /// Variables that are defined inside what is copied: each copy has its own.
  std::unordered_set<const VarNode*> changing_;
  int copies_ = 0; ///< inside a second or later copy: definitions must be new
};

bool can_expand(const For& loop) {
  return as_int(loop.extent) && as_int(loop.min) && *as_int(loop.extent) > 0 &&
         loop.kind != ForKind::kParallel && loop.kind != ForKind::kThreadBinding;
}

class UnrollPlanner {
public:
  explicit UnrollPlanner(const LowerOptions& options) : options_(options) {}
  LoopSet loops;

  struct Size {
    int64_t statements = 0; ///< of one run, expanded
    bool stays = false;     ///< there is a loop that stays inside
  };

  Size plan(const Stmt& stmt, int64_t max_step) {
    if (const auto* loop = stmt.as<For>()) {
      if (const auto step = loop->annotations.get_int("pragma_auto_unroll_max_step"))
        max_step = loop->annotations.get_int("pragma_unroll_explicit").value_or(1) != 0 ? *step : 0;
      Size size = plan(loop->body, max_step);
      if (!can_expand(*loop)) {
        size.stays = true;
        return size;
      }
      const int64_t trips = *as_int(loop->extent);
      const int64_t all = trips * size.statements;
      const bool marked = loop->kind == ForKind::kUnrolled;
      const bool automatic = loop->kind == ForKind::kSerial && !size.stays && all <= max_step;
      const bool folded = loop->annotations.get_int(kFolded).has_value();
      if (folded || ((marked || automatic) && all <= options_.max_unrolled_statements)) {
        loops.insert(loop);
        size.statements = all;
      } else {
        size.stays = true;
      }
      return size;
    }
    if (stmt->kind() == BufferStore::kKind || stmt->kind() == Evaluate::kKind)
      return {1, false};
    Size size;
    stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role) {
      if (!StmtNode::accepts(child->kind()))
        return;
      const Size part = plan(cast_ref<StmtNode>(child), max_step);
      size.statements += part.statements;
      size.stays |= part.stays;
    });
    if (stmt->kind() == While::kKind)
      size.stays = true;
    return size;
  }

private:
  const LowerOptions& options_;
};

/// Finds a use of a loop's variable that is no term of an index.
class ConstantCopies {
public:
  explicit ConstantCopies(const LoopSet& loops) : loops_(loops) {}

  bool holds(const Stmt& stmt) {
    if (const auto* loop = stmt.as<For>(); loop != nullptr && loops_.contains(loop))
      unrolled_.insert(loop->loop_var.get());
    if (const auto* store = stmt.as<BufferStore>())
      return at(store->indices) && holds(store->value) &&
             (!store->predicate || holds(store->predicate));
    return children(*stmt);
  }

private:
  bool holds(const Expr& expr) {
    if (const auto* var = expr.as<VarNode>())
      return !unrolled_.contains(var);
    if (const auto* load = expr.as<BufferLoad>())
      return at(load->indices) && (!load->predicate || holds(load->predicate));
    return expr->kind() != Let::kKind && children(*expr); // each copy binds a variable of its own
  }

  bool at(const std::vector<Expr>& indices) {
    if (indices.size() != 1)
      return false;
    const auto* ramp = indices[0].as<Ramp>();
    const Expr& start =
        ramp != nullptr && ramp->stride->kind() == IntImm::kKind ? ramp->base : indices[0];
    if (!is_index_type(start->dtype))
      return holds(start);
    const LinearForm form = linear_form(start);
    return !form.overflow &&
           std::all_of(form.terms.begin(), form.terms.end(), [&](const LinearTerm& term) {
             return term.expr->kind() == VarNode::kKind || holds(term.expr);
           });
  }

  template <typename T> bool children(const T& node) {
    bool all = true;
    node.info().for_each_child(&node, [&](const NodeRef& child, Role role) {
      if (role == Role::kDefine || !all)
        return;
      if (StmtNode::accepts(child->kind()))
        all = holds(cast_ref<StmtNode>(child));
      else if (ExprNode::accepts(child->kind()))
        all = holds(cast_ref<ExprNode>(child));
    });
    return all;
  }

  const LoopSet& loops_;
  std::unordered_set<const VarNode*> unrolled_;
};

/// By their variables: expanding what is beside a loop may rebuild it.
using LoopVars = std::unordered_set<const VarNode*>;

/// Of `loops`, those that stay: each with all of `loops` in it.
void find_folded(const Stmt& stmt, const LoopSet& loops, LoopVars& folded) {
  if (const auto* loop = stmt.as<For>(); loop != nullptr && loops.contains(loop)) {
    if (!expands_by_constants(stmt, loops))
      return;
    walk(stmt, [&](const NodeRef& node) {
      if (const auto* inner = node.as<For>(); inner != nullptr && loops.contains(inner))
        folded.insert(inner->loop_var.get());
      return StmtNode::accepts(node->kind());
    });
    return;
  }
  stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role) {
    if (StmtNode::accepts(child->kind()))
      find_folded(cast_ref<StmtNode>(child), loops, folded);
  });
}

/// Unroll marks and pragmas that have been dealt with are taken off, and loops of `folded` marked.
Stmt clean(const Stmt& stmt, const LoopVars& folded) {
  const Stmt inner = rebuild(
      stmt, [&](const Stmt& child) { return clean(child, folded); },
      [](const Expr& expr) { return expr; });
  const auto* loop = inner.as<For>();
  const bool stays = loop != nullptr && folded.contains(loop->loop_var.get());
  if (loop == nullptr || (loop->kind != ForKind::kUnrolled && loop->annotations.empty() && !stays))
    return inner;
  return change_loop(*loop, [&](For& node) {
    if (stays)
      node.kind = ForKind::kUnrolled;
    else if (node.kind == ForKind::kUnrolled)
      node.kind = ForKind::kSerial;
    node.annotations = node.annotations.without("pragma_auto_unroll_max_step")
                           .without("pragma_unroll_explicit")
                           .without(kFolded);
  });
}

} // namespace

Stmt expand_loops(const Stmt& stmt, const LoopSet& loops, Analyzer& analyzer) {
  return loops.empty() ? stmt : Expander(loops, analyzer).expand(stmt);
}

bool expands_by_constants(const Stmt& stmt, const LoopSet& loops) {
  return ConstantCopies(loops).holds(stmt);
}

int64_t count_statements(const Stmt& stmt, const LoopSet& loops) {
  if (const auto* loop = stmt.as<For>())
    return count_statements(loop->body, loops) *
           (loops.contains(loop) ? as_int(loop->extent).value_or(1) : 1);
  if (stmt->kind() == BufferStore::kKind || stmt->kind() == Evaluate::kKind)
    return 1;
  int64_t result = 0;
  stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role) {
    if (StmtNode::accepts(child->kind()))
      result += count_statements(cast_ref<StmtNode>(child), loops);
  });
  return result;
}

PrimFunc unroll_loops(const PrimFunc& function, const LowerOptions& options) {
  UnrollPlanner planner(options);
  if (!options.plain)
    planner.plan(function->body, 0);
  Analyzer analyzer;
  return with_body(function, clean(expand_loops(function->body, planner.loops, analyzer), {}));
}

PrimFunc unroll_loops_folded(const PrimFunc& function, const LowerOptions& options) {
  UnrollPlanner planner(options);
  planner.plan(function->body, 0);
  LoopVars folded;
  find_folded(function->body, planner.loops, folded);
  LoopSet expanded = planner.loops;
  std::erase_if(expanded, [&](const For* loop) { return folded.contains(loop->loop_var.get()); });
  Analyzer analyzer;
  return with_body(function, clean(expand_loops(function->body, expanded, analyzer), folded));
}

} // namespace temper::ir
