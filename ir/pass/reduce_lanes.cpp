// Lanes summed at once: a loop annotated `temper.reduce_lanes` reduces over an axis that an rfactor
// made, so the order of its terms is free. It becomes vector operations and one horizontal one:
//
//   for k in range(32, annotations={"temper.reduce_lanes": 1}):
//       C[0] = C[0] + C_rf[k]
//   ->
//   C[0] = C[0] + T.vector_reduce_add(C_rf[T.Ramp(0, 1, 16)] + C_rf[T.Ramp(16, 1, 16)])
//
// Sums, maxima and minima of contiguous elements; the number of lanes a power of two, and no more
// vectors than an unrolled loop may have statements. Anything else keeps its loop.
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

/// The reducer's two uses: elementwise on vectors, and across the lanes of one.
struct Reducer {
  Expr (*combine)(Expr a, Expr b);
  const char* across;
};

const Reducer* reducer_of(const Expr& value) {
  static constexpr Reducer kAdd{make_binary<Add>, "vector_reduce_add"};
  static constexpr Reducer kMax{make_binary<Max>, "vector_reduce_max"};
  static constexpr Reducer kMin{make_binary<Min>, "vector_reduce_min"};
  return value.is<Add>() ? &kAdd : value.is<Max>() ? &kMax : value.is<Min>() ? &kMin : nullptr;
}

std::pair<Expr, Expr> operands(const Expr& value) {
  if (const auto* sum = value.as<Add>())
    return {sum->a, sum->b};
  if (const auto* larger = value.as<Max>())
    return {larger->a, larger->b};
  const auto* smaller = value.as<Min>();
  return {smaller->a, smaller->b};
}

/// The one statement that takes the loop's place; null when the loop is not of the form above.
Stmt reduced(const For& loop, int register_lanes, int max_vectors) {
  const auto extent = as_int(loop.extent);
  const auto* store = loop.body.as<BufferStore>();
  if (!extent || *extent < 2 || (*extent & (*extent - 1)) != 0 || !is_int(loop.min, 0) ||
      store == nullptr || store->predicate || store->indices.size() != 1 ||
      !store->value->dtype.is_scalar())
    return nullptr;
  const Reducer* reducer = reducer_of(store->value);
  if (reducer == nullptr)
    return nullptr;
  auto [old_value, term] = operands(store->value);
  const auto is_old = [&](const Expr& expr) {
    const auto* load = expr.as<BufferLoad>();
    return load != nullptr && load->buffer == store->buffer && load->indices.size() == 1 &&
           same_terms(linear_form(load->indices[0]), linear_form(store->indices[0])) &&
           linear_form(load->indices[0]).constant == linear_form(store->indices[0]).constant;
  };
  if (!is_old(old_value))
    std::swap(old_value, term);
  const auto* load = term.as<BufferLoad>();
  if (!is_old(old_value) || load == nullptr || load->buffer == store->buffer || load->predicate ||
      load->indices.size() != 1)
    return nullptr;
  const VarNode* var = loop.loop_var.get();
  const LinearForm from = linear_form(load->indices[0]);
  if (depends_on(linear_form(store->indices[0]), var) || hides(from, var) ||
      coefficient(from, var) != 1)
    return nullptr;

  const int lanes = static_cast<int>(std::min<int64_t>(*extent, register_lanes));
  if (*extent / lanes > max_vectors)
    return nullptr;
  const DataType index_type = load->indices[0]->dtype;
  const Expr base = substitute(load->indices[0], VarMap{{loop.loop_var, make_int(index_type, 0)}});
  Expr vector;
  for (int64_t offset = 0; offset < *extent; offset += lanes) {
    const Expr at = to_expr(linear_form(base + offset));
    const Expr part = make_load(load->buffer, {make_ramp(at, make_int(index_type, 1), lanes)});
    vector = vector ? reducer->combine(vector, part) : part;
  }
  const Expr total = make_call(store->value->dtype, reducer->across, {vector});
  return make_store(store->buffer, store->indices, reducer->combine(old_value, total));
}

Stmt rewrite(const Stmt& stmt, const LowerOptions& options) {
  if (const auto* loop = stmt.as<For>();
      loop != nullptr && loop->annotations.get_int(kReduceLanes).value_or(0) != 0)
    if (const auto* store = loop->body.as<BufferStore>())
      if (Stmt replaced =
              reduced(*loop, options.lanes(store->value->dtype), options.max_unrolled_statements))
        return replaced;
  return rebuild(
      stmt, [&](const Stmt& child) { return rewrite(child, options); },
      [](const Expr& expr) { return expr; });
}

} // namespace

PrimFunc reduce_lanes(const PrimFunc& function, const LowerOptions& options) {
  return with_body(function, rewrite(function->body, options));
}

} // namespace temper::ir
