#include "ir/expr.h"

#include "ir/buffer.h"
#include "ir/op.h"

#include <algorithm>
#include <cmath>

namespace temper::ir {

Expr Annotations::get(std::string_view key) const {
  for (const Annotation& entry : entries)
    if (entry.key == key)
      return entry.value;
  return nullptr;
}

std::optional<int64_t> Annotations::get_int(std::string_view key) const {
  const Expr value = get(key);
  return value ? as_int(value) : std::nullopt;
}

std::optional<std::string> Annotations::get_string(std::string_view key) const {
  const Expr value = get(key);
  if (const auto* text = value.as<StringImm>())
    return text->value;
  return std::nullopt;
}

Annotations Annotations::with(std::string key, Expr value) const {
  Annotations result = without(key);
  const auto place =
      std::lower_bound(result.entries.begin(), result.entries.end(), key,
                       [](const Annotation& entry, const std::string& k) { return entry.key < k; });
  result.entries.insert(place, {std::move(key), std::move(value)});
  return result;
}

Annotations Annotations::without(std::string_view key) const {
  Annotations result = *this;
  std::erase_if(result.entries, [&](const Annotation& entry) { return entry.key == key; });
  return result;
}

Var make_var(std::string name, DataType dtype) {
  return make_node<VarNode>([&](VarNode& node) {
    node.name = std::move(name);
    node.dtype = dtype;
  });
}

int64_t wrap_integer(DataType dtype, int64_t value) {
  if (dtype.is_bool())
    return value != 0 ? 1 : 0;
  if (dtype.bits >= 64)
    return value;
  const int shift = 64 - dtype.bits;
  const auto bits = static_cast<uint64_t>(value) << shift;
  return dtype.is_uint() ? static_cast<int64_t>(bits >> shift)
                         : static_cast<int64_t>(bits) >> shift;
}

Expr make_int(DataType dtype, int64_t value) {
  TEMPER_CHECK(dtype.is_integral() || dtype.is_bool(), "an IntImm has an integer type");
  TEMPER_CHECK(dtype.is_scalar(), "an IntImm is a scalar");
  return make_node<IntImm>([&](IntImm& node) {
    node.dtype = dtype;
    node.value = wrap_integer(dtype, value);
  });
}

Expr make_float(DataType dtype, double value) {
  TEMPER_CHECK(dtype.is_floating() && dtype.is_scalar(), "a FloatImm has a scalar floating type");
  return make_node<FloatImm>([&](FloatImm& node) {
    node.dtype = dtype;
    node.value = value;
  });
}

Expr make_bool(bool value) { return make_int(DataType::boolean(), value ? 1 : 0); }

Expr make_string(std::string value) {
  return make_node<StringImm>([&](StringImm& node) {
    node.dtype = DataType::handle();
    node.value = std::move(value);
  });
}

Expr make_list(std::vector<Expr> values) {
  return make_node<ListImm>([&](ListImm& node) {
    node.dtype = DataType::handle();
    node.values = std::move(values);
  });
}

Expr make_const(DataType dtype, double value) {
  if (!dtype.is_scalar())
    return make_broadcast(make_const(dtype.element(), value), dtype.lanes);
  return dtype.is_floating() ? make_float(dtype, value)
                             : make_int(dtype, static_cast<int64_t>(value));
}

Expr make_const_int(DataType dtype, int64_t value) {
  if (!dtype.is_scalar())
    return make_broadcast(make_const_int(dtype.element(), value), dtype.lanes);
  return dtype.is_floating() ? make_float(dtype, static_cast<double>(value))
                             : make_int(dtype, value);
}

Expr make_cast(DataType dtype, Expr value) {
  TEMPER_CHECK(dtype.lanes == value->dtype.lanes, "a cast keeps the number of lanes");
  return make_node<Cast>([&](Cast& node) {
    node.dtype = dtype;
    node.value = std::move(value);
  });
}

namespace {

template <typename T> constexpr bool kIsComparison = false;
template <> constexpr bool kIsComparison<EQ> = true;
template <> constexpr bool kIsComparison<NE> = true;
template <> constexpr bool kIsComparison<LT> = true;
template <> constexpr bool kIsComparison<LE> = true;
template <> constexpr bool kIsComparison<GT> = true;
template <> constexpr bool kIsComparison<GE> = true;

} // namespace

template <typename T> Expr make_binary(Expr a, Expr b) {
  TEMPER_CHECK(a && b, "a binary operation has two operands");
  TEMPER_CHECK(a->dtype == b->dtype, "the operands of a binary operation have one type");
  return make_node<T>([&](T& node) {
    node.dtype = kIsComparison<T> ? DataType::boolean(a->dtype.lanes) : a->dtype;
    node.a = std::move(a);
    node.b = std::move(b);
  });
}

template Expr make_binary<Add>(Expr, Expr);
template Expr make_binary<Sub>(Expr, Expr);
template Expr make_binary<Mul>(Expr, Expr);
template Expr make_binary<Div>(Expr, Expr);
template Expr make_binary<Mod>(Expr, Expr);
template Expr make_binary<FloorDiv>(Expr, Expr);
template Expr make_binary<FloorMod>(Expr, Expr);
template Expr make_binary<Min>(Expr, Expr);
template Expr make_binary<Max>(Expr, Expr);
template Expr make_binary<EQ>(Expr, Expr);
template Expr make_binary<NE>(Expr, Expr);
template Expr make_binary<LT>(Expr, Expr);
template Expr make_binary<LE>(Expr, Expr);
template Expr make_binary<GT>(Expr, Expr);
template Expr make_binary<GE>(Expr, Expr);
template Expr make_binary<And>(Expr, Expr);
template Expr make_binary<Or>(Expr, Expr);

Expr make_not(Expr a) {
  return make_node<Not>([&](Not& node) {
    node.dtype = a->dtype;
    node.a = std::move(a);
  });
}

Expr make_select(Expr condition, Expr true_value, Expr false_value) {
  TEMPER_CHECK(true_value->dtype == false_value->dtype, "both sides of a select have one type");
  return make_node<Select>([&](Select& node) {
    node.dtype = true_value->dtype;
    node.condition = std::move(condition);
    node.true_value = std::move(true_value);
    node.false_value = std::move(false_value);
  });
}

Expr make_load(Buffer buffer, std::vector<Expr> indices, Expr predicate) {
  int lanes = 1;
  for (const Expr& index : indices)
    lanes = std::max<int>(lanes, index->dtype.lanes);
  return make_node<BufferLoad>([&](BufferLoad& node) {
    node.dtype = lanes == 1 ? buffer->dtype : buffer->dtype.with_lanes(buffer->dtype.lanes * lanes);
    node.buffer = std::move(buffer);
    node.indices = std::move(indices);
    node.predicate = std::move(predicate);
  });
}

Expr make_ramp(Expr base, Expr stride, int lanes) {
  TEMPER_CHECK(lanes > 1, "a ramp has at least two lanes");
  return make_node<Ramp>([&](Ramp& node) {
    node.dtype = base->dtype.with_lanes(lanes);
    node.base = std::move(base);
    node.stride = std::move(stride);
  });
}

Expr make_broadcast(Expr value, int lanes) {
  TEMPER_CHECK(lanes > 1, "a broadcast has at least two lanes");
  return make_node<Broadcast>([&](Broadcast& node) {
    node.dtype = value->dtype.with_lanes(lanes);
    node.value = std::move(value);
  });
}

Expr make_shuffle(std::vector<Expr> vectors, std::vector<Expr> indices) {
  return make_node<Shuffle>([&](Shuffle& node) {
    node.dtype = vectors.front()->dtype.with_lanes(static_cast<int>(indices.size()));
    node.vectors = std::move(vectors);
    node.indices = std::move(indices);
  });
}

Expr make_let(Var var, Expr value, Expr body) {
  return make_node<Let>([&](Let& node) {
    node.dtype = body->dtype;
    node.var = std::move(var);
    node.value = std::move(value);
    node.body = std::move(body);
  });
}

Expr make_call(DataType dtype, std::string op, std::vector<Expr> args) {
  return make_node<Call>([&](Call& node) {
    node.dtype = dtype;
    node.op = std::move(op);
    node.args = std::move(args);
  });
}

std::optional<int64_t> as_int(const Expr& expr) {
  if (const auto* imm = expr.as<IntImm>())
    return imm->value;
  return std::nullopt;
}

std::optional<double> as_number(const Expr& expr) {
  if (const auto* imm = expr.as<IntImm>())
    return static_cast<double>(imm->value);
  if (const auto* imm = expr.as<FloatImm>())
    return imm->value;
  if (const auto* broadcast = expr.as<Broadcast>())
    return as_number(broadcast->value);
  return std::nullopt;
}

int64_t floor_div(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return (a % b != 0 && (a < 0) != (b < 0)) ? quotient - 1 : quotient;
}

int64_t floor_mod(int64_t a, int64_t b) {
  const int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

namespace {

/// Two's complement without the undefined behaviour of signed overflow.
int64_t wrapping(uint64_t value) { return static_cast<int64_t>(value); }

/// The integer value, also of a broadcast constant; nothing for floats.
std::optional<int64_t> integer_constant(const Expr& expr) {
  if (expr->dtype.is_floating())
    return std::nullopt;
  if (const auto* broadcast = expr.as<Broadcast>())
    return as_int(broadcast->value);
  return as_int(expr);
}

} // namespace

Expr operator+(const Expr& a, const Expr& b) {
  const auto x = integer_constant(a);
  const auto y = integer_constant(b);
  if (x && y)
    return make_const_int(a->dtype, wrap_integer(a->dtype, wrapping(static_cast<uint64_t>(*x) +
                                                                    static_cast<uint64_t>(*y))));
  if (x && *x == 0)
    return b;
  if (y && *y == 0)
    return a;
  return make_binary<Add>(a, b);
}

Expr operator-(const Expr& a, const Expr& b) {
  const auto x = integer_constant(a);
  const auto y = integer_constant(b);
  if (x && y)
    return make_const_int(a->dtype, wrap_integer(a->dtype, wrapping(static_cast<uint64_t>(*x) -
                                                                    static_cast<uint64_t>(*y))));
  if (y && *y == 0)
    return a;
  if (a == b && !a->dtype.is_floating())
    return make_const_int(a->dtype, 0);
  return make_binary<Sub>(a, b);
}

Expr operator*(const Expr& a, const Expr& b) {
  const auto x = integer_constant(a);
  const auto y = integer_constant(b);
  if (x && y)
    return make_const_int(a->dtype, wrap_integer(a->dtype, wrapping(static_cast<uint64_t>(*x) *
                                                                    static_cast<uint64_t>(*y))));
  if ((x && *x == 0) || (y && *y == 1))
    return a;
  if ((y && *y == 0) || (x && *x == 1))
    return b;
  return make_binary<Mul>(a, b);
}

Expr operator+(const Expr& a, int64_t b) { return a + make_const_int(a->dtype, b); }
Expr operator-(const Expr& a, int64_t b) { return a - make_const_int(a->dtype, b); }
Expr operator*(const Expr& a, int64_t b) { return a * make_const_int(a->dtype, b); }

Expr floordiv(const Expr& a, const Expr& b) {
  const auto x = integer_constant(a);
  const auto y = integer_constant(b);
  if (y && *y == 1)
    return a;
  if (x && y && *y > 0)
    return make_const_int(a->dtype, floor_div(*x, *y));
  if (x && *x == 0)
    return a;
  return make_binary<FloorDiv>(a, b);
}

Expr floormod(const Expr& a, const Expr& b) {
  const auto x = integer_constant(a);
  const auto y = integer_constant(b);
  if (y && *y == 1)
    return make_const_int(a->dtype, 0);
  if (x && y && *y > 0)
    return make_const_int(a->dtype, floor_mod(*x, *y));
  if (x && *x == 0)
    return a;
  return make_binary<FloorMod>(a, b);
}

Expr floordiv(const Expr& a, int64_t b) { return floordiv(a, make_const_int(a->dtype, b)); }
Expr floormod(const Expr& a, int64_t b) { return floormod(a, make_const_int(a->dtype, b)); }

Expr min(const Expr& a, const Expr& b) {
  const auto x = integer_constant(a);
  const auto y = integer_constant(b);
  if (a == b)
    return a;
  if (x && y && !a->dtype.is_uint())
    return *x <= *y ? a : b;
  return make_binary<Min>(a, b);
}

Expr max(const Expr& a, const Expr& b) {
  const auto x = integer_constant(a);
  const auto y = integer_constant(b);
  if (a == b)
    return a;
  if (x && y && !a->dtype.is_uint())
    return *x >= *y ? a : b;
  return make_binary<Max>(a, b);
}

Expr logical_and(const Expr& a, const Expr& b) {
  if (is_int(a, 1))
    return b;
  if (is_int(b, 1) || is_int(a, 0))
    return a;
  if (is_int(b, 0))
    return b;
  return make_binary<And>(a, b);
}

Expr logical_or(const Expr& a, const Expr& b) {
  if (is_int(a, 0))
    return b;
  if (is_int(b, 0) || is_int(a, 1))
    return a;
  if (is_int(b, 1))
    return b;
  return make_binary<Or>(a, b);
}

Expr logical_not(const Expr& a) {
  if (const auto value = as_int(a))
    return make_bool(*value == 0);
  return make_not(a);
}

Expr less(const Expr& a, const Expr& b) {
  const auto x = as_int(a);
  const auto y = as_int(b);
  if (x && y && !a->dtype.is_uint())
    return make_bool(*x < *y);
  return make_binary<LT>(a, b);
}

Expr less_equal(const Expr& a, const Expr& b) {
  const auto x = as_int(a);
  const auto y = as_int(b);
  if (x && y && !a->dtype.is_uint())
    return make_bool(*x <= *y);
  return make_binary<LE>(a, b);
}

Expr equal(const Expr& a, const Expr& b) {
  const auto x = as_int(a);
  const auto y = as_int(b);
  if (x && y)
    return make_bool(*x == *y);
  return make_binary<EQ>(a, b);
}

} // namespace temper::ir
