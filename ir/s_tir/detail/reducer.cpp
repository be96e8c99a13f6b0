#include "ir/s_tir/detail/reducer.h"

#include "ir/s_tir/detail/index_math.h"
#include "ir/walk.h"

namespace temper::s_tir {
namespace {

/// The largest finite value of a floating type.
double largest(DataType dtype) {
  if (dtype.code == TypeCode::kBFloat)
    return 3.3895313892515355e38;
  switch (dtype.bits) {
  case 16:
    return 65504;
  case 32:
    return 3.4028234663852886e38;
  default:
    return 1.7976931348623157e308;
  }
}

int64_t integer_end(DataType dtype, bool low) {
  if (dtype.is_bool())
    return low ? 0 : 1;
  if (dtype.is_uint())
    return low ? 0 : dtype.bits >= 64 ? -1 : (int64_t{1} << dtype.bits) - 1;
  const int64_t high = dtype.bits >= 64 ? INT64_MAX : (int64_t{1} << (dtype.bits - 1)) - 1;
  return low ? -high - 1 : high;
}

bool same_element(const BufferLoad& load, const BufferStore& store) {
  if (load.buffer != store.buffer || load.predicate)
    return false;
  for (size_t i = 0; i < store.indices.size(); ++i)
    if (!same_expr(load.indices[i], store.indices[i]))
      return false;
  return true;
}

template <typename T>
bool match(const Expr& value, const BufferStore& store, ReducerKind kind, Reducer& reducer) {
  const auto* node = value.as<T>();
  if (node == nullptr)
    return false;
  reducer.kind = kind;
  const auto* left = node->a.template as<BufferLoad>();
  const auto* right = node->b.template as<BufferLoad>();
  if (left != nullptr && same_element(*left, store)) {
    reducer.output_first = true;
    reducer.value = node->b;
    return true;
  }
  if (right != nullptr && same_element(*right, store)) {
    reducer.output_first = false;
    reducer.value = node->a;
    return true;
  }
  return false;
}

} // namespace

Expr combine(ReducerKind kind, const Expr& a, const Expr& b) {
  switch (kind) {
  case ReducerKind::kSum:
    return make_binary<Add>(a, b);
  case ReducerKind::kProduct:
    return make_binary<Mul>(a, b);
  case ReducerKind::kMin:
    return make_binary<Min>(a, b);
  case ReducerKind::kMax:
    return make_binary<Max>(a, b);
  }
  TEMPER_UNREACHABLE("no such reducer");
}

bool is_identity(ReducerKind kind, const Expr& value) {
  const DataType dtype = value->dtype;
  if (const auto* real = value.as<FloatImm>()) {
    switch (kind) {
    case ReducerKind::kSum:
      return real->value == 0;
    case ReducerKind::kProduct:
      return real->value == 1;
    case ReducerKind::kMin:
      return real->value >= largest(dtype);
    case ReducerKind::kMax:
      return real->value <= -largest(dtype);
    }
  }
  if (const auto* integer = value.as<IntImm>()) {
    switch (kind) {
    case ReducerKind::kSum:
      return integer->value == 0;
    case ReducerKind::kProduct:
      return integer->value == 1;
    case ReducerKind::kMin:
      return integer->value == integer_end(dtype, false);
    case ReducerKind::kMax:
      return integer->value == integer_end(dtype, true);
    }
  }
  return false;
}

std::optional<Reducer> recognise_reducer(const SBlock& block, const char** why) {
  auto fail = [&](const char* reason) -> std::optional<Reducer> {
    if (why != nullptr)
      *why = reason;
    return std::nullopt;
  };
  if (!block.init)
    return fail("has no init");
  Reducer reducer{};
  reducer.init = block.init.as<BufferStore>();
  reducer.update = block.body.as<BufferStore>();
  if (reducer.init == nullptr || reducer.update == nullptr)
    return fail("does not consist of one store as its init and one as its update");
  const BufferStore& update = *reducer.update;
  if (reducer.init->buffer != update.buffer || update.predicate || reducer.init->predicate)
    return fail("initialises another buffer than it updates");
  for (size_t i = 0; i < update.indices.size(); ++i)
    if (!same_expr(reducer.init->indices[i], update.indices[i]))
      return fail("initialises another element than it updates");
  if (!match<Add>(update.value, update, ReducerKind::kSum, reducer) &&
      !match<Mul>(update.value, update, ReducerKind::kProduct, reducer) &&
      !match<Min>(update.value, update, ReducerKind::kMin, reducer) &&
      !match<Max>(update.value, update, ReducerKind::kMax, reducer))
    return fail("does not add to, multiply, minimise or maximise its output");
  bool reads_output = false;
  walk(reducer.value, [&](const NodeRef& node) {
    reads_output |= node->kind() == BufferLoad::kKind &&
                    static_cast<const BufferLoad&>(*node).buffer == update.buffer;
    return true;
  });
  if (reads_output)
    return fail("reads its output in what it adds to it");
  if (!is_identity(reducer.kind, reducer.init->value))
    return fail("starts from another value than the identity of its reduction");
  return reducer;
}

} // namespace temper::s_tir
