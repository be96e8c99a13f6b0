// Vectorized loops become vector statements.
//
//   for j in T.vectorized(40):                     # 16 lanes of float32
//     C[i * 64 + j] = A[j] * s            ->       for c in T.unroll(2):
//                                                    C[i * 64 + c * 16 : +16] = A[c * 16 : +16] * s
//                                                  C[i * 64 + 32 : +8] = A[32 : +8] * s
//
// The number of lanes is what a register holds of the widest element type in the body. A longer
// loop is cut into chunks of that many, the rest into one shorter vector: a power of two as it is,
// another number under a mask where the machine has masks, else in powers of two.
//
// In a chunk the loop's variable is base + lane. Expressions that do not contain the lane stay
// scalar; an index that is linear in it becomes a Ramp (so stride 1 is a contiguous access), any
// other is computed lane by lane (a gather). A condition on the lane becomes a predicate of the
// stores and loads below it; T.if_then_else on the lane becomes a Select whose loads are masked.
//
// What has no vector form (control flow on the lane, an accumulation over the lane, side effects)
// makes the whole loop serial, with a note: the result is right and the reason is seen.
#include "ir/op.h"
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"

#include <algorithm>
#include <bit>

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

/// Longest chunk loop that is unrolled on the spot; longer ones stay loops.
constexpr int64_t kUnrolledChunks = 8;

/// Thrown away by the caller: why a loop has no vector form.
struct NoVector {
  std::string why;
};

/// One chunk: statements with `lane` in [0, lanes) become vector statements.
class ChunkVectorizer {
public:
  ChunkVectorizer(Analyzer& math, Var lane, int lanes) : math_(math), lane_(lane), lanes_(lanes) {
    vectors_.emplace(lane, nullptr);
  }

  /// Lanes that exist (a loop's rest), or null for all.
  void set_tail(Expr mask) { tail_ = std::move(mask); }

  Stmt vectorize(const Stmt& stmt) {
    return tir::visit(
        stmt, [&](const BufferStore& store) { return vectorize_store(store); },
        [&](const SeqStmt& seq) {
          std::vector<Stmt> statements;
          for (const Stmt& child : seq.statements)
            statements.push_back(vectorize(child));
          return make_seq(std::move(statements));
        },
        [&](const For& loop) -> Stmt {
          if (varies(loop.min) || varies(loop.extent))
            throw NoVector{"the bounds of loop " + loop.loop_var->name + " depend on the lane"};
          const Analyzer::Scope scope(math_);
          bind_loop(math_, loop);
          const Var var = make_var(loop.loop_var->name, loop.loop_var->dtype);
          const Stmt body = vectorize(loop.body);
          // Each chunk has its own copy of the loop.
          return change_loop(loop, [&](For& node) {
            node.body = substitute(body, {{loop.loop_var, var}});
            node.loop_var = var;
          });
        },
        [&](const IfThenElse& branch) { return vectorize_branch(branch); },
        [&](const Bind& bind) -> Stmt {
          const Expr value = vector(bind.value);
          const Var var = make_var(bind.var->name, value->dtype);
          vectors_[bind.var] = var;
          return make_bind(var, value);
        },
        [&](const Evaluate& node) -> Stmt {
          if (varies(node.value))
            throw NoVector{"it calls something with a side effect"};
          return make_evaluate(node.value);
        },
        [&](const AllocBuffer& alloc) -> Stmt {
          throw NoVector{"it allocates " + alloc.buffer->name};
        },
        [&](const StmtNode&) -> Stmt { throw NoVector{"its body has control flow"}; });
  }

private:
  /// What `body` makes, its accesses masked by `condition` too.
  template <typename F> auto under(const Expr& condition, F&& body) {
    const Expr outer = condition_;
    condition_ = outer ? make_binary<And>(outer, condition) : condition;
    auto result = body();
    condition_ = outer;
    return result;
  }

  bool varies(const NodeRef& node) const {
    return uses_var(node,
                    [&](const VarNode& var) { return vectors_.contains(Ref<VarNode>(&var)); });
  }

  Expr spread(const Expr& expr) const {
    if (expr->dtype.lanes == lanes_)
      return expr;
    if (!expr->dtype.is_scalar())
      throw NoVector{"its body has vectors already"};
    return make_broadcast(expr, lanes_);
  }

  /// The mask of an access: lanes that exist and for which the conditions around hold.
  Expr mask() const {
    if (tail_ && condition_)
      return make_binary<And>(tail_, condition_);
    return tail_ ? tail_ : condition_;
  }
  Expr masked_with(const Expr& predicate) const {
    const Expr all = mask();
    if (!predicate)
      return all;
    return all ? make_binary<And>(all, spread(predicate)) : spread(predicate);
  }

  Stmt vectorize_store(const BufferStore& store) {
    if (store.indices.size() != 1)
      throw NoVector{"a buffer is not flat"};
    const Expr index = vector(store.indices[0]);
    const Expr value = vector(store.value);
    const Expr predicate = store.predicate ? vector(store.predicate) : nullptr;
    if (index->dtype.is_scalar()) {
      if (!value->dtype.is_scalar() || condition_ || predicate)
        throw NoVector{"all lanes store to one element of " + store.buffer->name};
      if (uses_buffer(store.value, store.buffer))
        throw NoVector{"it accumulates into " + store.buffer->name + " over the lanes"};
      return make_store(store.buffer, {index}, value);
    }
    return make_store(store.buffer, {index}, spread(value), masked_with(predicate));
  }

  static bool uses_buffer(const Expr& expr, const Buffer& buffer) {
    bool found = false;
    walk(expr, [&](const NodeRef& node) {
      found |= node == NodeRef(buffer);
      return !found;
    });
    return found;
  }

  Stmt vectorize_branch(const IfThenElse& branch) {
    // What does not depend on the lane stays a branch, the rest becomes a mask.
    std::vector<Expr> parts;
    split_conjunction(branch.condition, parts);
    std::vector<Expr> scalar;
    std::vector<Expr> lanes;
    for (const Expr& part : parts)
      (varies(part) ? lanes : scalar).push_back(part);
    if (lanes.empty())
      return make_if(branch.condition, vectorize(branch.then_case),
                     branch.else_case ? vectorize(branch.else_case) : nullptr);
    if (branch.else_case && !scalar.empty())
      throw NoVector{"a condition on the lane has an else"};
    const Expr condition = vector(join_conjunction(lanes));
    Stmt then_case = under(condition, [&] { return vectorize(branch.then_case); });
    Stmt else_case;
    if (branch.else_case)
      else_case = under(make_not(condition), [&] { return vectorize(branch.else_case); });
    Stmt both = make_seq({then_case, else_case});
    return scalar.empty() ? both : make_if(join_conjunction(scalar), both);
  }

  /// The expression with the lane spread out: a scalar when it does not depend on it.
  Expr vector(const Expr& expr) {
    if (!varies(expr)) {
      if (!expr->dtype.is_scalar())
        throw NoVector{"its body has vectors already"};
      // A load that a condition guards must not be read when no lane wants it.
      if (condition_ && expr->kind() == BufferLoad::kKind)
        return masked_gather(*expr.as<BufferLoad>());
      if (!condition_ || !has_load(expr))
        return expr;
    }
    if (is_index_type(expr->dtype) && expr->dtype == DataType::int64() && !has_load(expr)) {
      LinearForm form = math_.linear(expr);
      bool linear = !form.overflow;
      for (const LinearTerm& term : form.terms)
        linear &= term.expr == Expr(lane_) || !varies(term.expr);
      if (linear) {
        const int64_t stride = coefficient(form, lane_.get());
        form.add_term(lane_, -stride);
        const Expr base = to_expr(form);
        return stride == 0 ? base : make_ramp(base, make_int(DataType::int64(), stride), lanes_);
      }
    }
    return visit(
        expr,
        [&](const VarNode&) -> Expr {
          if (expr == Expr(lane_))
            return make_ramp(make_int(lane_->dtype, 0), make_int(lane_->dtype, 1), lanes_);
          return vectors_.at(expr.as_ref<VarNode>());
        },
        [&](const BufferLoad& load) -> Expr {
          if (load.indices.size() != 1)
            throw NoVector{"a buffer is not flat"};
          const Expr index = vector(load.indices[0]);
          const Expr predicate = load.predicate ? vector(load.predicate) : nullptr;
          if (index->dtype.is_scalar())
            return condition_ || predicate ? masked_gather(load) : make_load(load.buffer, {index});
          return make_load(load.buffer, {index}, masked_with(predicate));
        },
        [&](const Cast& cast) -> Expr {
          return make_cast(cast.dtype.with_lanes(lanes_), spread(vector(cast.value)));
        },
        [&](const Add& node) { return both(node); }, [&](const Sub& node) { return both(node); },
        [&](const Mul& node) { return both(node); }, [&](const Div& node) { return divide(node); },
        [&](const Mod& node) { return divide(node); },
        [&](const FloorDiv& node) { return divide(node); },
        [&](const FloorMod& node) { return divide(node); },
        [&](const Min& node) { return both(node); }, [&](const Max& node) { return both(node); },
        [&](const EQ& node) { return both(node); }, [&](const NE& node) { return both(node); },
        [&](const LT& node) { return both(node); }, [&](const LE& node) { return both(node); },
        [&](const GT& node) { return both(node); }, [&](const GE& node) { return both(node); },
        [&](const And& node) -> Expr {
          const Expr a = spread(vector(node.a));
          const Expr b = under(a, [&] { return spread(vector(node.b)); });
          return make_binary<And>(a, b);
        },
        [&](const Or& node) -> Expr {
          const Expr a = spread(vector(node.a));
          const Expr b = under(make_not(a), [&] { return spread(vector(node.b)); });
          return make_binary<Or>(a, b);
        },
        [&](const Not& node) -> Expr { return make_not(spread(vector(node.a))); },
        [&](const Select& node) -> Expr {
          return make_select(spread(vector(node.condition)), spread(vector(node.true_value)),
                             spread(vector(node.false_value)));
        },
        [&](const Let& node) -> Expr {
          const Expr value = vector(node.value);
          const Var var = make_var(node.var->name, value->dtype);
          vectors_[node.var] = var;
          return make_let(var, value, spread(vector(node.body)));
        },
        [&](const Call& node) { return vectorize_call(node); },
        [&](const ExprNode& other) -> Expr {
          throw NoVector{std::string(other.info().name) + " has no vector form"};
        });
  }

  template <typename T> Expr both(const T& node) {
    return make_binary<T>(spread(vector(node.a)), spread(vector(node.b)));
  }

  template <typename T> Expr divide(const T& node) {
    const Expr divisor = vector(node.b);
    // A lane that is off reads zeros.
    if (mask() && !node.a->dtype.is_floating() && !divisor->dtype.is_scalar())
      throw NoVector{"an integer division by a vector is masked"};
    return make_binary<T>(spread(vector(node.a)), spread(divisor));
  }

  Expr vectorize_call(const Call& call) {
    if (call.op == "if_then_else") {
      if (!varies(call.args[0]) && !(condition_ && has_load(call.args[0])))
        return call_op(call.op,
                       {call.args[0], spread(vector(call.args[1])), spread(vector(call.args[2]))});
      std::vector<Expr> parts;
      split_conjunction(call.args[0], parts);
      std::vector<Expr> scalar;
      std::vector<Expr> lanes;
      for (const Expr& part : parts)
        (varies(part) ? lanes : scalar).push_back(part);
      const Expr condition = spread(vector(join_conjunction(lanes)));
      const Expr yes = under(condition, [&] { return spread(vector(call.args[1])); });
      if (scalar.empty()) {
        const Expr no = under(make_not(condition), [&] { return spread(vector(call.args[2])); });
        return make_select(condition, yes, no);
      }
      // The scalar part goes first: it may guard what the lanes read.
      const Expr no = spread(vector(call.args[2]));
      return call_op(call.op, {join_conjunction(scalar), make_select(condition, yes, no), no});
    }
    const OpInfo* op = find_op(call.op);
    if (op == nullptr || !op->pure || !call.dtype.is_scalar() || call.op == "reinterpret" ||
        call.op.starts_with("vector_reduce"))
      throw NoVector{"T." + call.op + " has no vector form"};
    std::vector<Expr> args;
    for (const Expr& arg : call.args)
      args.push_back(spread(vector(arg)));
    return make_call(call.dtype.with_lanes(lanes_), call.op, std::move(args));
  }

  Expr masked_gather(const BufferLoad& load) {
    return make_load(load.buffer, {spread(vector(load.indices[0]))},
                     masked_with(load.predicate ? vector(load.predicate) : nullptr));
  }

  static bool has_load(const Expr& expr) {
    bool found = false;
    walk(expr, [&](const NodeRef& node) {
      found |= node->kind() == BufferLoad::kKind;
      return !found;
    });
    return found;
  }

  Analyzer& math_;
  Var lane_;
  int lanes_;
  Expr tail_;
  Expr condition_;
  VarMap vectors_; ///< variables that differ per lane, and the vectors that stand for them
};

class LoopVectorizer {
public:
  LoopVectorizer(const LowerOptions& options, LowerNotes* notes)
      : options_(options), notes_(notes) {}

  Stmt rewrite(const Stmt& stmt) {
    const Analyzer::Scope scope(math_);
    if (const auto* loop = stmt.as<For>()) {
      bind_loop(math_, *loop);
      const Stmt body = rewrite(loop->body);
      const Ref<For> changed = body == loop->body
                                   ? stmt.as_ref<For>()
                                   : change_loop(*loop, [&](For& node) { node.body = body; });
      return loop->kind == ForKind::kVectorized ? vectorize(*changed) : Stmt(changed);
    }
    return rebuild(
        stmt, [&](const Stmt& child) { return rewrite(child); },
        [](const Expr& expr) { return expr; });
  }

private:
  Stmt vectorize(const For& loop) {
    const auto extent = as_int(loop.extent);
    const int lanes = options_.lanes(widest(loop.body));
    if (extent && *extent > 1 && lanes > 1) {
      try {
        return cut(loop, *extent, lanes);
      } catch (const NoVector& reason) {
        note(loop, reason.why);
      }
    } else if (!extent) {
      note(loop, "its length is not constant");
    }
    return change_loop(loop, [](For& node) { node.kind = ForKind::kSerial; });
  }

  void note(const For& loop, const std::string& why) {
    std::string text = "loop " + loop.loop_var->name + " is not vectorized: " + why;
    if (notes_ != nullptr && std::find(notes_->begin(), notes_->end(), text) == notes_->end())
      notes_->push_back(std::move(text));
  }

  Stmt cut(const For& loop, int64_t extent, int lanes) {
    std::vector<Stmt> result;
    const DataType type = loop.loop_var->dtype;
    const int64_t chunks = extent / lanes;
    int64_t done = chunks * lanes;
    int64_t rest = extent - done;
    if (chunks == 1) {
      result.push_back(chunk(loop, loop.min, lanes, lanes));
    } else if (chunks > 1) {
      const Analyzer::Scope scope(math_);
      const Var var = make_var(loop.loop_var->name + "_c", type);
      math_.bind(var, IntInterval::range(0, chunks));
      const Stmt body = chunk(loop, loop.min + Expr(var) * lanes, lanes, lanes);
      result.push_back(make_for(var, make_int(type, 0), make_int(type, chunks),
                                chunks <= kUnrolledChunks ? ForKind::kUnrolled : ForKind::kSerial,
                                body));
    }
    const int bits = widest(loop.body).bits;
    const bool has_masks =
        options_.vector_bits >= 512 || (options_.vector_bits == 256 && bits >= 32);
    while (rest > 0) {
      const bool masked = has_masks && std::popcount(static_cast<uint64_t>(rest)) > 1;
      const auto count = static_cast<int>(masked ? std::bit_ceil(static_cast<uint64_t>(rest))
                                                 : std::bit_floor(static_cast<uint64_t>(rest)));
      const int used = masked ? static_cast<int>(rest) : count;
      result.push_back(chunk(loop, loop.min + done, count, used));
      done += used;
      rest -= used;
    }
    return make_seq(std::move(result));
  }

  /// `used` of `lanes` lanes, from base on.
  Stmt chunk(const For& loop, const Expr& base, int lanes, int used) {
    if (lanes == 1) {
      const Stmt body = substitute(loop.body, {{loop.loop_var, base}});
      return with_fresh_definitions(body);
    }
    const Analyzer::Scope scope(math_);
    const DataType type = loop.loop_var->dtype;
    const Var lane = make_var(loop.loop_var->name, type);
    math_.bind(lane, IntInterval::range(0, used));
    ChunkVectorizer vectorizer(math_, lane, lanes);
    if (used < lanes)
      vectorizer.set_tail(first_lanes(type, lanes, used));
    return vectorizer.vectorize(substitute(loop.body, {{loop.loop_var, base + Expr(lane)}}));
  }

  /// The widest element type that the body's data has.
  DataType widest(const Stmt& body) const {
    DataType result = DataType::integer(8);
    walk(body, [&](const NodeRef& node) {
      DataType type;
      if (const auto* store = node.as<BufferStore>())
        type = store->buffer->dtype;
      else if (const auto* load = node.as<BufferLoad>())
        type = load->buffer->dtype;
      else if (const auto* cast = node.as<Cast>(); cast != nullptr && cast->dtype.is_floating())
        type = cast->dtype;
      else
        return true;
      if (options_.lanes(type.element()) < options_.lanes(result))
        result = type.element();
      return true;
    });
    return result;
  }

  const LowerOptions& options_;
  LowerNotes* notes_;
  Analyzer math_;
};

} // namespace

PrimFunc vectorize_loops(const PrimFunc& function, const LowerOptions& options, LowerNotes* notes) {
  return with_body(function, LoopVectorizer(options, notes).rewrite(function->body));
}

} // namespace temper::ir
