// Vectorized loops on a GPU: what lies side by side in memory moves 4, 8 or 16 bytes at a time.
//
//   for v in T.vectorized(4):                    T.copy_vector(S[t * 4], A[b * 64 + t * 4], 4)
//     S[t * 4 + v] = A[b * 64 + t * 4 + v]  ->
//
//   for v in T.vectorized(4):                    x = T.alloc_local((4,)); y = T.alloc_local((4,))
//     B[t * 4 + v] = A[t * 4 + v] * C[0]    ->   T.copy_vector(x[0], A[t * 4], 4)
//                                                for v in T.unroll(4): y[v] = x[v] * C[0]
//                                                T.copy_vector(B[t * 4], y[0], 4)
//
// An access is a vector when its last index grows with the loop and all else is a multiple of the
// vector; conditions around the store must hold for all of the loop or for nothing of it. Other
// accesses stay single, and a loop with nothing to move at once is unrolled.
#include "ir/tir/bound_threads.h"

#include "ir/narrow.h"
#include "ir/op.h"
#include "ir/pass/index_math.h"
#include "ir/pass/rewrite.h"
#include "ir/structural.h"
#include "ir/tir/kernel_math.h"

#include <numeric>

namespace temper::tir {
namespace {

Expr int32(int64_t value) { return make_int(DataType::int32(), value); }

bool is_register(const Buffer& buffer) { return buffer->scope.starts_with("local"); }

class Vectors {
public:
  Stmt rewrite(const Stmt& stmt) {
    const Analyzer::Scope scope(math_);
    if (const auto* launch = stmt.as<KernelLaunch>()) {
      if (tile_threads(launch->annotations) > 0)
        return stmt; // operators move vectors themselves
      bind_kernel(math_, *launch);
      unroll_ = launch->annotations.get_int(kUnrollStep).value_or(0);
      const Stmt body = rewrite(launch->body);
      return copy_node(*launch, [&](KernelLaunch& node) {
        node.annotations = launch->annotations.without(kUnrollStep);
        node.body = body;
      });
    }
    if (const auto* loop = stmt.as<For>()) {
      bind_loop(math_, *loop);
      if (loop->kind == ForKind::kVectorized)
        return vectors(*loop);
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
    return rebuild(
        stmt, [&](const Stmt& child) { return rewrite(child); },
        [](const Expr& expr) { return expr; });
  }

private:
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
    Expr condition = make_bool(true);
    Stmt inner = loop.body;
    while (const auto* branch = inner.as<IfThenElse>()) {
      if (branch->else_case)
        return one_by_one(loop);
      condition = logical_and(condition, branch->condition);
      inner = branch->then_case;
    }
    const auto* store = inner.as<BufferStore>();
    if (store == nullptr || store->predicate || !lanes || !is_int(loop.min, 0))
      return one_by_one(loop);
    std::vector<Expr> conjuncts;
    split_conjunction(condition, conjuncts);
    Expr around = make_bool(true);
    for (const Expr& conjunct : conjuncts) {
      const auto same = of_all(conjunct, loop.loop_var, *lanes);
      if (!same)
        return one_by_one(loop);
      around = logical_and(around, *same);
    }
    Stmt moved = move(loop, *store, *lanes);
    if (!moved)
      return one_by_one(loop);
    return is_int(around, 1) ? moved : make_if(around, std::move(moved));
  }

  /// The condition for the loop's first iteration, where it holds for all of them or for none.
  std::optional<Expr> of_all(const Expr& condition, const Var& var, int64_t lanes) {
    if (!mentions(condition, var))
      return condition;
    const Expr first = math_.simplify(substitute(condition, {{var, make_int(var->dtype, 0)}}));
    // x * L + v < y * L is x < y.
    const auto* order = condition.as<LT>();
    if (order == nullptr || !is_index_type(order->a->dtype))
      return std::nullopt;
    LinearForm slack = math_.linear(order->b - order->a);
    if (hides(slack, var.get()) || coefficient(slack, var.get()) != -1)
      return std::nullopt;
    int64_t common = slack.constant;
    for (const LinearTerm& term : slack.terms)
      if (term.expr.get() != var.get())
        common = std::gcd(common, term.coefficient);
    return common % lanes == 0 ? std::optional(first) : std::nullopt;
  }

  /// Elements of a vector that an access with these indices may be part of; 1: none.
  int64_t width(const Buffer& buffer, const std::vector<Expr>& indices, const Var& var,
                int64_t lanes, std::vector<Expr>& first) {
    if (indices.empty() || is_packed(buffer->dtype) || buffer->dtype.is_bool() ||
        !buffer->strides.empty() || buffer->elem_offset || buffer->layout)
      return 1;
    for (size_t d = 0; d < indices.size(); ++d) {
      const LinearForm form = math_.linear(indices[d]);
      const bool last = d + 1 == indices.size();
      if (hides(form, var.get()) || coefficient(form, var.get()) != (last ? 1 : 0))
        return 1;
      first.push_back(math_.simplify(substitute(indices[d], {{var, make_int(var->dtype, 0)}})));
    }
    const auto row = as_int(buffer->shape.back());
    int64_t common = std::gcd(lanes, divisor(math_.linear(first.back())));
    if (indices.size() > 1)
      common = row ? std::gcd(common, *row) : 1;
    const int64_t bytes = buffer->dtype.element_bytes();
    for (const int64_t size : {16, 8, 4})
      if (size % bytes == 0 && size > bytes && common % (size / bytes) == 0)
        return size / bytes;
    return 1;
  }

  static std::vector<Expr> behind(std::vector<Expr> indices, int64_t offset) {
    indices.back() = indices.back() + offset;
    return indices;
  }
  static Stmt copies(const Buffer& to, const std::vector<Expr>& at, const Buffer& from,
                     const std::vector<Expr>& source, int64_t lanes, int64_t width) {
    std::vector<Stmt> list;
    for (int64_t i = 0; i < lanes; i += width)
      list.push_back(make_evaluate(
          call_op("copy_vector", {make_load(to, behind(at, i)), make_load(from, behind(source, i)),
                                  int32(width)})));
    return make_seq(std::move(list));
  }

  /// Null: nothing moves at once.
  Stmt move(const For& loop, const BufferStore& store, int64_t lanes) {
    const Var& var = loop.loop_var;
    std::vector<Expr> target;
    const int64_t wide = width(store.buffer, store.indices, var, lanes, target);
    if (const auto* load = store.value.as<BufferLoad>();
        load != nullptr && !load->predicate && load->buffer->dtype == store.buffer->dtype) {
      std::vector<Expr> source;
      const int64_t most = std::gcd(wide, width(load->buffer, load->indices, var, lanes, source));
      if (most * store.buffer->dtype.element_bytes() >= 4 && most > 1 &&
          !(is_register(store.buffer) && is_register(load->buffer)))
        return copies(store.buffer, target, load->buffer, source, lanes, most);
    }
    std::vector<Stmt> before;
    std::vector<std::pair<Expr, Buffer>> known;
    bool any = false;
    const auto local = [&](const char* name, DataType dtype) {
      return make_buffer(name, dtype, {int32(lanes)}, "local");
    };
    const Var number = make_var(var->name, DataType::int32());
    const Expr in_type =
        var->dtype == DataType::int32() ? Expr(number) : make_cast(var->dtype, number);
    bool conditional = false; // what is not always read must not be read ahead
    walk(store.value, [&](const NodeRef& node) {
      const auto* call = node.as<Call>();
      conditional |= call != nullptr && call->op == "if_then_else";
      return !conditional;
    });
    Expr value = cast_ref<ExprNode>(rewrite_post(store.value, [&](const NodeRef& node) -> NodeRef {
      const auto* load = node.as<BufferLoad>();
      if (load == nullptr || load->predicate || is_register(load->buffer) || conditional)
        return node;
      std::vector<Expr> source;
      const int64_t most = width(load->buffer, load->indices, var, lanes, source);
      if (most == 1)
        return node;
      for (const auto& [other, held] : known)
        if (structural_equal(other, Expr(load)))
          return make_load(held, {Expr(number)});
      const Buffer held = local((load->buffer->name + "_vector").c_str(), load->buffer->dtype);
      before.push_back(make_alloc(held));
      before.push_back(copies(held, {int32(0)}, load->buffer, source, lanes, most));
      known.emplace_back(Expr(load), held);
      any = true;
      return make_load(held, {Expr(number)});
    }));
    value = substitute(value, {{var, in_type}});
    const bool vector_store = wide > 1 && !is_register(store.buffer);
    if (!any && !vector_store)
      return nullptr;
    if (!vector_store) {
      std::vector<Expr> indices;
      for (const Expr& index : store.indices)
        indices.push_back(substitute(index, {{var, in_type}}));
      before.push_back(make_for(number, int32(0), int32(lanes), ForKind::kUnrolled,
                                make_store(store.buffer, std::move(indices), value)));
      return make_seq(std::move(before));
    }
    const Buffer result = local((store.buffer->name + "_result").c_str(), store.buffer->dtype);
    before.push_back(make_alloc(result));
    before.push_back(make_for(number, int32(0), int32(lanes), ForKind::kUnrolled,
                              make_store(result, {Expr(number)}, value)));
    before.push_back(copies(store.buffer, target, result, {int32(0)}, lanes, wide));
    return make_seq(std::move(before));
  }

  Analyzer math_;
  int64_t unroll_ = 0; ///< statements that unrolling a nest may make
};

} // namespace

PrimFunc vectorize_accesses(const PrimFunc& function) {
  return with_body(function, Vectors().rewrite(function->body));
}

} // namespace temper::tir
