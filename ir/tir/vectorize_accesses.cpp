// Vectorized loops on a GPU: what lies side by side in memory moves 2, 4, 8 or 16 bytes at a time
// (2: of elements of one byte).
//
//   for v in T.vectorized(4):                    T.copy_vector(S[t * 4], A[b * 64 + t * 4], 4)
//     S[t * 4 + v] = A[b * 64 + t * 4 + v]  ->
//
//   for v in T.vectorized(4):                    x = T.alloc_local((4,)); y = T.alloc_local((4,))
//     B[t * 4 + v] = A[t * 4 + v] * C[0]    ->   T.copy_vector(x[0], A[t * 4], 4)
//                                                for v in T.unroll(4): y[v] = x[v] * C[0]
//                                                T.copy_vector(B[t * 4], y[0], 4)
//
// An access is a vector when its last index grows with the loop (or with v // 2: several elements
// of one byte) and all else is a multiple of the vector. Of a parameter with several elements in a
// byte (ir/narrow.h) whole bytes are read, out of which each lane takes its own:
//
//   for v in T.vectorized(8):                    W_vector = T.alloc_local((4,), "uint8")
//     B[t * 8 + v] = T.cast(W[t * 8 + v], ..) -> T.copy_vector(W_vector[0], W[t * 8], 4)
//                                                ... T.int4(W_vector[v // 2] >> v % 2 * 4) ...
//
// Conditions around it, of statements and of
// T.if_then_else, must hold for all of the loop or for nothing of it; where they do for parts of it
// alone, the loop is cut into these. Other accesses stay single, and a loop with nothing to move at
// once is unrolled.
#include "ir/tir/bound_threads.h"

#include "ir/narrow.h"
#include "ir/op.h"
#include "ir/pass/index_math.h"
#include "ir/pass/rewrite.h"
#include "ir/structural.h"
#include "ir/tir/kernel_layouts.h"
#include "ir/tir/kernel_math.h"
#include "ir/tir/step_vectors.h"

#include <numeric>
#include <unordered_map>
#include <unordered_set>

namespace temper::tir {
namespace {

Expr int32(int64_t value) { return make_int(DataType::int32(), value); }

bool is_register(const Buffer& buffer) { return buffer->scope.starts_with("local"); }

class Vectors {
public:
  /// `pragmas`: what they ask to unroll is marked so, and annotations of loops are decided.
  Vectors(const PrimFunc& function, bool pragmas) : pragmas_(pragmas) {
    for (const Param& param : function->params)
      if (param.buffer && is_packed(param.buffer->dtype))
        packed_.insert(param.buffer.get());
  }

  Stmt rewrite(const Stmt& stmt) {
    const Analyzer::Scope scope(math_);
    if (const auto* launch = stmt.as<KernelLaunch>()) {
      if (pragmas_ && tile_threads(launch->annotations) > 0)
        return stmt; // operators move vectors themselves
      bind_kernel(math_, *launch);
      unroll_ = pragmas_ ? launch->annotations.get_int(kUnrollStep).value_or(0) : 0;
      const Stmt body = rewrite(launch->body);
      return copy_node(*launch, [&](KernelLaunch& node) {
        if (pragmas_)
          node.annotations = launch->annotations.without(kUnrollStep);
        node.body = body;
      });
    }
    if (const auto* alloc = stmt.as<AllocBuffer>()) {
      if (const auto layout = layout_of(alloc->annotations.get(kLayoutAnnotation)))
        runs_[alloc->buffer.get()] = vector_width(*layout);
      return stmt;
    }
    if (const auto* loop = stmt.as<For>()) {
      bind_loop(math_, *loop);
      if (loop->kind == ForKind::kVectorized)
        return vectors(*loop);
      if (!pragmas_)
        return map_body(stmt);
      const int64_t outer =
          std::exchange(unroll_, loop->annotations.get_int(kUnrollStep).value_or(unroll_));
      Stmt body = rewrite(loop->body);
      const bool unroll =
          loop->kind == ForKind::kSerial && unroll_ > 1 && iterations(stmt) <= unroll_;
      unroll_ = outer;
      if (body == loop->body && !unroll && loop->annotations.empty())
        return stmt;
      return change_loop(*loop, [&](For& node) {
        node.body = std::move(body);
        node.annotations = {};
        if (unroll)
          node.kind = ForKind::kUnrolled;
      });
    }
    return map_body(stmt);
  }

private:
  Stmt map_body(const Stmt& stmt) {
    return rebuild(
        stmt,
        [&](const Stmt& child) {
          Stmt result = rewrite(child);
          // What is known of a name holds for the statements after it.
          if (const auto* bind = child.as<Bind>();
              bind != nullptr && is_index_type(bind->var->dtype))
            math_.bind(bind->var, math_.bounds(bind->value));
          return result;
        },
        [](const Expr& expr) { return expr; });
  }

  /// How often the innermost statements of a nest run; very many where that is not known.
  static int64_t iterations(const Stmt& stmt) {
    int64_t result = 1;
    if (const auto* loop = stmt.as<For>()) {
      const int64_t inner = iterations(loop->body);
      const int64_t extent = as_int(loop->extent).value_or(int64_t{1} << 30);
      return inner >= int64_t{1} << 30 ? inner : inner * extent;
    }
    stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role) {
      if (StmtNode::accepts(child->kind()))
        result = std::max(result, iterations(cast_ref<StmtNode>(child)));
    });
    return result;
  }

  static Stmt one_by_one(const For& loop) {
    return change_loop(loop, [](For& node) { node.kind = ForKind::kUnrolled; });
  }

  Stmt vectors(const For& loop) {
    const auto lanes = as_int(loop.extent);
    if (!lanes || !is_int(loop.min, 0))
      return one_by_one(loop);
    const Var& var = loop.loop_var;
    for (int64_t part = *lanes; part > 1 && *lanes % part == 0; part /= 2) {
      if (part == *lanes) {
        if (Stmt moved = at_once(var, loop.body, part))
          return moved;
        continue;
      }
      const Var outer = make_var(var->name + "_part", var->dtype);
      const Var inner = make_var(var->name, var->dtype);
      math_.bind(outer, IntInterval::range(0, *lanes / part));
      const Stmt body =
          cast_ref<StmtNode>(substitute(loop.body, {{var, Expr(outer) * part + Expr(inner)}}));
      if (Stmt moved = at_once(inner, body, part))
        return make_for(outer, make_int(var->dtype, 0), make_int(var->dtype, *lanes / part),
                        ForKind::kUnrolled, std::move(moved));
    }
    return one_by_one(loop);
  }

  /// The condition for the loop's first iteration, where it holds for all of them or for none.
  std::optional<Expr> of_all(const Expr& condition, const Var& var, int64_t lanes) {
    std::vector<Expr> conjuncts;
    split_conjunction(condition, conjuncts);
    Expr all = make_bool(true);
    for (const Expr& conjunct : conjuncts) {
      const auto same = part_of_all(conjunct, var, lanes);
      if (!same)
        return std::nullopt;
      all = logical_and(all, *same);
    }
    return all;
  }
  std::optional<Expr> part_of_all(const Expr& condition, const Var& var, int64_t lanes) {
    if (!mentions(condition, var))
      return condition;
    const Expr simple = math_.simplify(condition);
    if (!mentions(simple, var))
      return simple;
    // What must not be negative: it changes by 1 with each lane, and all else in whole vectors.
    LinearForm slack;
    if (const auto* less = simple.as<LT>(); less != nullptr && is_index_type(less->a->dtype))
      slack = math_.linear(less->b - less->a - 1);
    else if (const auto* equal = simple.as<LE>();
             equal != nullptr && is_index_type(equal->a->dtype))
      slack = math_.linear(equal->b - equal->a);
    else
      return std::nullopt;
    const int64_t step = coefficient(slack, var.get());
    if (hides(slack, var.get()) || (step != 1 && step != -1))
      return std::nullopt;
    for (const LinearTerm& term : slack.terms)
      if (term.expr.get() != var.get() && term.coefficient % lanes != 0)
        return std::nullopt;
    if ((slack.constant - (step < 0 ? lanes - 1 : 0)) % lanes != 0)
      return std::nullopt;
    return math_.simplify(substitute(simple, {{var, make_int(var->dtype, 0)}}));
  }

  /// An access of all lanes.
  struct Access {
    int64_t width = 1;       ///< elements that move at once; 1: none do
    int64_t count = 0;       ///< elements in all
    int64_t lanes_each = 1;  ///< neighbouring lanes that have the same one
    int64_t per_byte = 1;    ///< of a packed parameter: width and count are of its bytes then
    std::vector<Expr> first; ///< of the first lane
  };

  Access access(const Buffer& buffer, const std::vector<Expr>& indices, const Var& var,
                int64_t lanes) {
    if (indices.empty() || (is_packed(buffer->dtype) && !packed_.contains(buffer.get())) ||
        buffer->dtype.is_bool() || !buffer->dtype.is_scalar() || !buffer->strides.empty() ||
        buffer->elem_offset || buffer->layout)
      return {};
    Access result;
    const auto at_lane = [&](const Expr& index, int64_t lane) {
      return substitute(index, {{var, make_int(var->dtype, lane)}});
    };
    for (size_t d = 0; d < indices.size(); ++d) {
      if (!is_index_type(indices[d]->dtype))
        return {};
      const LinearForm form = math_.linear(indices[d]);
      const bool last = d + 1 == indices.size();
      if (last && !hides(form, var.get()) && coefficient(form, var.get()) == 1)
        result.count = lanes;
      else if (last && hides(form, var.get()))
        result.count = shared_by(indices[d], at_lane, lanes);
      else if (last || hides(form, var.get()) || coefficient(form, var.get()) != 0)
        return {};
      result.first.push_back(math_.simplify(at_lane(indices[d], 0)));
    }
    if (result.count < 2)
      return {};
    result.lanes_each = lanes / result.count;
    const auto row = as_int(buffer->shape.back());
    int64_t common = std::gcd(result.count, divisor(math_.linear(result.first.back())));
    if (indices.size() > 1)
      common = row ? std::gcd(common, *row) : 1;
    if (const auto run = runs_.find(buffer.get()); run != runs_.end())
      common = std::gcd(common, run->second);
    if (is_packed(buffer->dtype)) {
      result.per_byte = 8 / buffer->dtype.bits;
      if (result.lanes_each != 1 || common % result.per_byte != 0)
        return {};
      result.count /= result.per_byte;
      common /= result.per_byte;
    }
    const int64_t bytes = buffer->dtype.element_bytes();
    for (const int64_t size : {16, 8, 4, 2})
      if (size % bytes == 0 && size > bytes && common % (size / bytes) == 0) {
        result.width = size / bytes;
        break;
      }
    return result;
  }
  /// How many elements the lanes have, where the same number of neighbouring lanes have each; 0
  /// where it is otherwise.
  template <typename F> int64_t shared_by(const Expr& index, F&& at_lane, int64_t lanes) {
    const Expr first = at_lane(index, 0);
    const auto last = math_.constant_difference(at_lane(index, lanes - 1), first);
    if (!last || *last < 0 || lanes % (*last + 1) != 0)
      return 0;
    const int64_t each = lanes / (*last + 1);
    for (int64_t lane = 1; lane < lanes; ++lane)
      if (math_.constant_difference(at_lane(index, lane), first) != lane / each)
        return 0;
    return *last + 1;
  }

  static std::vector<Expr> behind(std::vector<Expr> indices, int64_t offset) {
    indices.back() = indices.back() + offset;
    return indices;
  }
  /// `per`: elements of `from` for each of `to`.
  static Stmt copies(const Buffer& to, const std::vector<Expr>& at, const Buffer& from,
                     const std::vector<Expr>& source, int64_t lanes, int64_t width,
                     int64_t per = 1) {
    std::vector<Stmt> list;
    for (int64_t i = 0; i < lanes; i += width)
      list.push_back(make_evaluate(
          call_op("copy_vector", {make_load(to, behind(at, i)),
                                  make_load(from, behind(source, i * per)), int32(width)})));
    return make_seq(std::move(list));
  }

  /// What is moved for a loop's body, and where its lanes find it.
  struct Moves {
    Var var;
    int64_t lanes = 0;
    bool single = false; ///< the body is one store: what it reads it reads before
    std::unordered_map<const BufferNode*, int> stores; ///< in the body
    std::unordered_set<const BufferNode*> loads;
    std::unordered_set<const BufferNode*> named; ///< by operations, which do what they do
    std::unordered_set<const VarNode*> names;    ///< that the body binds
    struct Known {
      Expr load;
      Expr condition;
      Expr of_lane; ///< what a lane has in its place
    };
    std::vector<Known> known;
    std::vector<Stmt> before;
    std::vector<Stmt> after;
  };
  static Buffer registers(const std::string& name, DataType dtype, int64_t count) {
    return make_buffer(name, dtype, {int32(count)}, "local");
  }
  static Stmt under(const Expr& condition, Stmt stmt) {
    return is_int(condition, 1) ? stmt : make_if(condition, std::move(stmt));
  }

  /// Null: nothing moves at once.
  Stmt at_once(const Var& var, Stmt body, int64_t lanes) {
    const Analyzer::Scope scope(math_);
    math_.bind(var, IntInterval::range(0, lanes));
    Expr around = make_bool(true);
    while (const auto* branch = body.as<IfThenElse>()) {
      const auto all = branch->else_case ? std::nullopt : of_all(branch->condition, var, lanes);
      if (!all)
        break;
      around = logical_and(around, *all);
      body = branch->then_case;
    }
    if (const auto* store = body.as<BufferStore>())
      if (Stmt copied = copied_at_once(var, *store, lanes))
        return under(around, copied);
    Moves moves;
    moves.var = var;
    moves.lanes = lanes;
    moves.single = body.is<BufferStore>();
    note_accesses(body, moves);
    const Stmt inner = each_lane(body, make_bool(true), moves);
    if (moves.before.empty() && moves.after.empty())
      return nullptr;
    const Var number = make_var(var->name, DataType::int32());
    const Expr in_type =
        var->dtype == DataType::int32() ? Expr(number) : make_cast(var->dtype, number);
    std::vector<Stmt> all = std::move(moves.before);
    all.push_back(make_for(number, int32(0), int32(lanes), ForKind::kUnrolled,
                           cast_ref<StmtNode>(substitute(inner, {{var, in_type}}))));
    std::move(moves.after.begin(), moves.after.end(), std::back_inserter(all));
    return under(around, make_seq(std::move(all)));
  }

  /// A store of what is loaded, where both move at once; null where they do not.
  Stmt copied_at_once(const Var& var, const BufferStore& store, int64_t lanes) {
    const auto* load = store.value.as<BufferLoad>();
    if (load == nullptr || load->predicate || store.predicate ||
        load->buffer->dtype != store.buffer->dtype ||
        (is_register(store.buffer) && is_register(load->buffer)))
      return nullptr;
    const Access to = access(store.buffer, store.indices, var, lanes);
    const Access from = access(load->buffer, load->indices, var, lanes);
    const int64_t width = std::gcd(to.width, from.width);
    if (width == 1 || to.count != lanes || from.count != lanes)
      return nullptr;
    return copies(store.buffer, to.first, load->buffer, from.first, lanes, width);
  }

  static void note_accesses(const Stmt& body, Moves& moves) {
    walk(body, [&](const NodeRef& node) {
      if (const auto* store = node.as<BufferStore>())
        ++moves.stores[store->buffer.get()];
      if (const auto* load = node.as<BufferLoad>())
        moves.loads.insert(load->buffer.get());
      if (const auto* bind = node.as<Bind>())
        moves.names.insert(bind->var.get());
      const auto* call = node.as<Call>();
      const OpInfo* op = call != nullptr ? find_op(call->op) : nullptr;
      if (op == nullptr || op->pure)
        return true;
      walk(node, [&](const NodeRef& part) {
        if (const auto* load = part.as<BufferLoad>())
          moves.named.insert(load->buffer.get());
        return true;
      });
      return false;
    });
  }

  /// It is what it is before the body runs.
  static bool is_known(const Expr& expr, const Moves& moves) {
    bool known = true;
    walk(expr, [&](const NodeRef& node) {
      const auto* load = node.as<BufferLoad>();
      known &= (load == nullptr || !moves.stores.contains(load->buffer.get())) &&
               !moves.names.contains(static_cast<const VarNode*>(node.get()));
      return known;
    });
    return known;
  }
  static bool are_known(const std::vector<Expr>& list, const Moves& moves) {
    return std::all_of(list.begin(), list.end(),
                       [&](const Expr& expr) { return is_known(expr, moves); });
  }
  std::optional<Expr> known_of_all(const Expr& condition, const Moves& moves) {
    return is_known(condition, moves) ? of_all(condition, moves.var, moves.lanes) : std::nullopt;
  }

  /// The code of one lane, less what is moved for all of them. `condition` is around it, for all
  /// lanes alike.
  Stmt each_lane(const Stmt& stmt, const Expr& condition, Moves& moves) {
    if (stmt.is<SeqStmt>())
      return rebuild(
          stmt, [&](const Stmt& child) { return each_lane(child, condition, moves); },
          [](const Expr& expr) { return expr; });
    if (const auto* branch = stmt.as<IfThenElse>()) {
      const auto all = known_of_all(branch->condition, moves);
      if (!all || branch->else_case)
        return stmt;
      return make_if(*all, each_lane(branch->then_case, logical_and(condition, *all), moves));
    }
    if (const auto* bind = stmt.as<Bind>()) {
      Stmt changed = make_bind(bind->var, loaded(bind->value, condition, moves));
      changed->span = stmt->span;
      return changed;
    }
    const auto* store = stmt.as<BufferStore>();
    if (store == nullptr || store->predicate)
      return stmt;
    const Expr value = loaded(store->value, condition, moves);
    const Buffer& buffer = store->buffer;
    Access to;
    if (!is_register(buffer) && moves.stores[buffer.get()] == 1 &&
        !moves.named.contains(buffer.get()) && are_known(store->indices, moves) &&
        (moves.single || !moves.loads.contains(buffer.get())))
      to = access(buffer, store->indices, moves.var, moves.lanes);
    Stmt changed;
    if (to.width > 1 && to.count == moves.lanes) {
      const Buffer result = registers(buffer->name + "_result", buffer->dtype, moves.lanes);
      moves.before.push_back(make_alloc(result));
      moves.after.push_back(
          under(condition, copies(buffer, to.first, result, {int32(0)}, to.count, to.width)));
      changed = make_store(result, {Expr(moves.var)}, value);
    } else {
      changed = make_store(buffer, store->indices, value);
    }
    changed->span = stmt->span;
    return changed;
  }

  /// The value with what it reads moved for all lanes at once, where it certainly reads it.
  Expr loaded(const Expr& value, const Expr& condition, Moves& moves) {
    if (const auto* load = value.as<BufferLoad>())
      return held(value, *load, condition, moves);
    // The second operand is read for some lanes perhaps; what a name stands for is not known here.
    if (value.is<And>() || value.is<Or>() || value.is<Let>())
      return value;
    if (const auto* call = value.as<Call>()) {
      const OpInfo* op = find_op(call->op);
      if (op == nullptr || !op->pure || op->addresses > 0)
        return value;
      if (call->op == "if_then_else") {
        const auto all = known_of_all(call->args[0], moves);
        if (!all) {
          // What lanes read by a condition of their own is not moved for them, but may be there.
          const Expr own = loaded(call->args[0], condition, moves);
          return if_then_else(own, moved_before(call->args[1], condition, moves),
                              moved_before(call->args[2], condition, moves));
        }
        return if_then_else(
            *all, loaded(call->args[1], logical_and(condition, *all), moves),
            loaded(call->args[2], logical_and(condition, logical_not(*all)), moves));
      }
    }
    return cast_ref<ExprNode>(
        value->info().map_children(value.get(), [&](const NodeRef& child, Role) -> NodeRef {
          return ExprNode::accepts(child->kind())
                     ? NodeRef(loaded(cast_ref<ExprNode>(child), condition, moves))
                     : child;
        }));
  }

  Expr held(const Expr& value, const BufferLoad& load, const Expr& condition, Moves& moves) {
    const Buffer& buffer = load.buffer;
    if (load.predicate)
      return value;
    Access from;
    if (!is_register(buffer) && !moves.named.contains(buffer.get()) &&
        are_known(load.indices, moves) && (moves.single || !moves.stores.contains(buffer.get())))
      from = access(buffer, load.indices, moves.var, moves.lanes);
    if (from.width == 1) {
      std::vector<Expr> indices; // which may be read themselves
      for (const Expr& index : load.indices)
        indices.push_back(loaded(index, condition, moves));
      return indices == load.indices ? value : make_load(buffer, std::move(indices));
    }
    for (const Moves::Known& known : moves.known)
      if (structural_equal(known.load, value) && structural_equal(known.condition, condition))
        return known.of_lane;
    const bool packed = from.per_byte > 1;
    const Buffer vector =
        registers(buffer->name + "_vector", packed ? DataType::uint(8) : buffer->dtype, from.count);
    moves.before.push_back(make_alloc(vector));
    moves.before.push_back(under(condition, copies(vector, {int32(0)}, buffer, from.first,
                                                   from.count, from.width, from.per_byte)));
    const int64_t each = from.lanes_each * from.per_byte;
    const Expr place = each > 1 ? floordiv(Expr(moves.var), each) : Expr(moves.var);
    Expr of_lane = make_load(vector, {place});
    if (packed) {
      const Expr shift =
          make_cast(DataType::int32(), floormod(Expr(moves.var), each)) * int32(buffer->dtype.bits);
      of_lane = make_cast(buffer->dtype,
                          call_op("shift_right", {make_cast(DataType::int32(), of_lane), shift}));
    }
    moves.known.push_back({value, condition, of_lane});
    return of_lane;
  }

  /// With what has been moved already for all lanes, or for those of the same condition.
  static Expr moved_before(const Expr& value, const Expr& condition, const Moves& moves) {
    return cast_ref<ExprNode>(rewrite_post(value, [&](const NodeRef& node) -> NodeRef {
      if (node.is<BufferLoad>())
        for (const Moves::Known& known : moves.known)
          if (structural_equal(known.load, cast_ref<ExprNode>(node)) &&
              (is_int(known.condition, 1) || structural_equal(known.condition, condition)))
            return known.of_lane;
      return node;
    }));
  }

  bool pragmas_;
  std::unordered_set<const BufferNode*> packed_; ///< parameters with several elements in a byte
  Analyzer math_;
  int64_t unroll_ = 0; ///< statements that unrolling a nest may make
  /// Elements that lie side by side in buffers with a layout.
  std::unordered_map<const BufferNode*, int64_t> runs_;
};

} // namespace

PrimFunc vectorize_accesses(const PrimFunc& function) {
  return with_body(function, Vectors(function, true).rewrite(function->body));
}

int64_t neighbouring_registers(const Layout& elements, int64_t row, int64_t most) {
  const LayoutMap numbers(elements);
  const int64_t registers = elements.shape.back();
  const auto side_by_side = [&](int64_t count) {
    if (registers % count != 0 || row % count != 0)
      return false;
    for (int64_t i = 0; i < numbers.size(); i += count)
      for (int64_t e = 0; e < count; ++e)
        if (numbers.offset(i + e) != numbers.offset(i) + e || numbers.offset(i) % count != 0)
          return false;
    return true;
  };
  while (most > 1 && !side_by_side(most))
    most /= 2;
  return most;
}

int exchanged_bits(const Stmt& body, const Var& last) {
  constexpr int64_t kSpan = 16; // elements, at most, of a vector
  Analyzer math;
  int widest = 0;
  const auto access = [&](const Buffer& buffer, const std::vector<Expr>& indices) {
    const std::string scope = tile_scope(buffer->scope);
    if ((scope != "global" && scope != "shared") || indices.empty() ||
        !is_index_type(indices.back()->dtype) || !mentions(indices.back(), last))
      return;
    const auto at = [&](int64_t value) {
      return substitute(indices.back(), {{last, make_int(last->dtype, value)}});
    };
    const auto span = math.constant_difference(at(kSpan - 1), at(0));
    if (!span || *span < 1 || *span >= kSpan)
      return;
    const int64_t element = is_packed(buffer->dtype) && scope == "global"
                                ? buffer->dtype.bits
                                : buffer->dtype.element_bytes() * 8;
    const int64_t bits = element * (*span + 1) / kSpan;
    widest = std::max(widest, static_cast<int>(std::max<int64_t>(bits, 8)));
  };
  walk(body, [&](const NodeRef& node) {
    if (const auto* store = node.as<BufferStore>())
      access(store->buffer, store->indices);
    if (const auto* load = node.as<BufferLoad>())
      access(load->buffer, load->indices);
    return true;
  });
  return widest;
}

PrimFunc vectorize_steps(const PrimFunc& function) {
  return with_body(function, Vectors(function, false).rewrite(function->body));
}

} // namespace temper::tir
