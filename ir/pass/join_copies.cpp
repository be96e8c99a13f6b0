// Nested loops that copy, or fill, one contiguous range become one loop.
//
//   for w in range(3, 227):                          for x in T.vectorized(9, 681):
//     for c in range(3):                       ->      P[x] = X[x - 9]
//       P[w * 3 + c] = X[w * 3 + c - 9]
//
// An image with three channels is copied three elements at a time otherwise. Every index must move
// by the same number of elements along the outer loop as the inner one runs through; the order of a
// copy from one buffer to another is free, so the joined loop may be vectors.
#include "ir/pass/index_math.h"
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

/// The index of everything that the store touches; empty when it is neither a copy nor a fill.
std::vector<Expr> indices_of(const BufferStore& store) {
  if (store.predicate || store.indices.size() != 1 || !store.value->dtype.is_scalar())
    return {};
  if (const auto* load = store.value.as<BufferLoad>()) {
    if (load->predicate || load->indices.size() != 1 || load->buffer == store.buffer)
      return {};
    return {store.indices[0], load->indices[0]};
  }
  const bool constant = store.value.is<FloatImm>() || store.value.is<IntImm>();
  return constant ? std::vector<Expr>{store.indices[0]} : std::vector<Expr>{};
}

bool is_plain(const For& loop) {
  return (loop.kind == ForKind::kSerial || loop.kind == ForKind::kVectorized) && as_int(loop.min) &&
         as_int(loop.extent) && *as_int(loop.extent) > 0;
}

Stmt join(const For& outer) {
  const auto* inner = outer.body.as<For>();
  if (inner == nullptr || !is_plain(outer) || !is_plain(*inner) ||
      outer.kind == ForKind::kVectorized || !is_int(inner->min, 0))
    return nullptr;
  const auto* store = inner->body.as<BufferStore>();
  if (store == nullptr)
    return nullptr;
  const std::vector<Expr> indices = indices_of(*store);
  if (indices.empty())
    return nullptr;
  const int64_t length = *as_int(inner->extent);
  for (const Expr& index : indices) {
    const LinearForm form = linear_form(index);
    if (form.overflow || hides(form, outer.loop_var.get()) || hides(form, inner->loop_var.get()) ||
        coefficient(form, inner->loop_var.get()) != 1 ||
        coefficient(form, outer.loop_var.get()) != length)
      return nullptr;
  }
  const DataType type = inner->loop_var->dtype;
  const Expr first = make_int(type, *as_int(outer.min) * length);
  // outer * length + inner = joined: the outer term goes, the inner one stays.
  const auto joined = [&](const Expr& index) {
    LinearForm form = linear_form(index);
    form.add_term(outer.loop_var, -length);
    return to_expr(form);
  };
  Expr value = store->value;
  if (const auto* load = value.as<BufferLoad>())
    value = make_load(load->buffer, {joined(load->indices[0])});
  const Stmt body = make_store(store->buffer, {joined(store->indices[0])}, value);
  return change_loop(*inner, [&](For& loop) {
    loop.min = first;
    loop.extent = make_int(type, *as_int(outer.extent) * length);
    loop.kind = ForKind::kVectorized;
    loop.body = body;
  });
}

Stmt rewrite(const Stmt& stmt) {
  const Stmt mapped = rebuild(
      stmt, [](const Stmt& child) { return rewrite(child); },
      [](const Expr& expr) { return expr; });
  const auto* loop = mapped.as<For>();
  if (loop == nullptr)
    return mapped;
  const Stmt joined = join(*loop);
  return joined ? joined : mapped;
}

} // namespace

PrimFunc join_copies(const PrimFunc& function) {
  return with_body(function, rewrite(function->body));
}

} // namespace temper::ir
