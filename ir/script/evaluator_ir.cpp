// Values that become expressions of the program: literals, conversions, types that meet, operators
// and accesses.
#include "ir/script/evaluator.h"
#include "ir/script/function_builder.h"

#include <algorithm>

namespace temper::script {
namespace {

bool is_bitwise(Operator op) {
  return op == Operator::kShiftLeft || op == Operator::kShiftRight || op == Operator::kBitAnd ||
         op == Operator::kBitOr || op == Operator::kBitXor;
}

} // namespace

Expr Evaluator::literal(const Value& number, DataType dtype, Position position) {
  const DataType element = dtype.element();
  Expr scalar;
  if (element.is_floating()) {
    scalar = make_float(element, *as_double(number));
  } else if (const auto integer = as_integer(number)) {
    if (element.is_bool()) {
      if (*integer != 0 && *integer != 1) {
        report(position, "a bool is True or False, not " + decimal(*integer));
        return nullptr;
      }
    } else if (element.is_handle()) {
      report(position, "a handle is no number");
      return nullptr;
    } else {
      const int bits = element.bits;
      const Int low = element.is_uint() ? 0 : -(static_cast<Int>(1) << (bits - 1));
      const Int high = (static_cast<Int>(1) << (element.is_uint() ? bits : bits - 1)) - 1;
      if (*integer < low || *integer > high) {
        report(position, decimal(*integer) + " does not fit into " + temper::to_string(element) +
                             " (" + decimal(low) + " to " + decimal(high) + ")");
        return nullptr;
      }
    }
    scalar = make_int(element, static_cast<int64_t>(*integer));
  } else {
    report(position, describe(number) + " is not an integer; write T.Cast(\"" +
                         temper::to_string(element) + "\", ...) to round");
    return nullptr;
  }
  return dtype.is_scalar() ? scalar : make_broadcast(scalar, dtype.lanes);
}

Expr Evaluator::to_expr(const Value& value, Position position, std::optional<DataType> wanted) {
  if (value.is_poison())
    return nullptr;
  if (const auto* expr = value.as<Expr>())
    return *expr;
  if (const auto* scalar = value.as<ScalarVar>()) {
    const Expr load = make_load(scalar->buffer, {make_int(DataType::int32(), 0)});
    set_span(load, position);
    return load;
  }
  if (value.is<bool>() && !wanted)
    return make_bool(*value.as<bool>());
  if (value.is_number()) {
    if (wanted)
      return literal(value, *wanted, position);
    if (value.is<double>())
      return make_float(DataType::float32(), *value.as<double>());
    const Int integer = *value.as<Int>();
    const bool small = integer >= std::numeric_limits<int32_t>::min() &&
                       integer <= std::numeric_limits<int32_t>::max();
    return literal(value, small ? DataType::int32() : DataType::int64(), position);
  }
  if (const auto* text = value.text())
    return make_string(*text);
  if (const auto* items = value.sequence())
    return to_list(*items, position, [&](const Value& item) { return to_expr(item, position); });
  if (const auto* buffer = value.as<Buffer>())
    report(position, "the buffer " + (*buffer)->name + " needs an index here, as " +
                         (*buffer)->name + ((*buffer)->rank() == 0 ? "[()]" : "[i]"));
  else if (value.is<Region>())
    report(position, "a range of elements has no value; write single indices in a loop");
  else if (value.is<Symbol>())
    report(position, "the dimension " + value.as<Symbol>()->name +
                         " is in no parameter's shape of this function");
  else
    report(position, "expected an expression, found " + describe(value));
  return nullptr;
}

Expr Evaluator::to_list(const std::vector<Value>& items, Position position,
                        FunctionRef<Expr(const Value&)> make) {
  std::vector<Expr> values;
  ++depth_;
  for (const Value& item : items) {
    Expr expr = step(position) ? make(item) : nullptr;
    if (!expr) {
      --depth_;
      return nullptr;
    }
    values.push_back(std::move(expr));
  }
  --depth_;
  return make_list(std::move(values));
}

Expr Evaluator::to_index(const Value& value, Position position, bool allow_vector) {
  if (value.is<double>() || value.is<bool>()) {
    report(position, "an index or extent is an integer, not " + describe(value));
    return nullptr;
  }
  if (value.text() != nullptr || value.sequence() != nullptr) {
    report(position, "expected an integer expression, found " + describe(value));
    return nullptr;
  }
  Expr expr = to_expr(value, position);
  if (!expr)
    return nullptr;
  if (!expr->dtype.is_integral()) {
    report(position, "an index or extent is an integer, not " + describe(Value(expr)) +
                         "; write T.Cast(\"int32\", ...)");
    return nullptr;
  }
  if (!allow_vector && !expr->dtype.is_scalar()) {
    report(position, "a vector of " + std::to_string(expr->dtype.lanes) +
                         " lanes has no place here; this is one number");
    return nullptr;
  }
  return expr;
}

Expr Evaluator::to_condition(const Value& value, Position position) {
  if (value.is_poison())
    return nullptr;
  if (const auto which = truth(value); which && !value.is_ir() && value.is_number())
    return make_bool(*which);
  if (value.is<Buffer>() || value.is<Region>()) {
    report(position, describe(value) + " is no condition; compare an element of it, or write "
                                       "T.any_of(...) or T.all_of(...) of it");
    return nullptr;
  }
  const Expr expr = to_expr(value, position);
  if (!expr)
    return nullptr;
  if (!expr->dtype.is_bool()) {
    report(position,
           "a condition is a bool, not " + describe(Value(expr)) + "; compare it, as x != 0");
    return nullptr;
  }
  return expr;
}

std::optional<DataType> Evaluator::to_dtype(const Value& value, Position position) {
  if (const auto* type = value.as<TypeName>())
    return type->dtype;
  if (const auto* text = value.text()) {
    if (const auto dtype = parse_data_type(*text))
      return dtype;
    static const std::vector<std::string> kNames = {
        "float16", "bfloat16", "float32", "float64", "int8",        "int16",      "int32",
        "int64",   "uint8",    "uint16",  "uint32",  "uint64",      "bool",       "handle",
        "int2",    "int4",     "uint2",   "uint4",   "float8_e4m3", "float8_e5m2"};
    report(position, "'" + *text + "' is not a data type" + did_you_mean(*text, kNames));
    return std::nullopt;
  }
  if (!value.is_poison())
    report(position, "expected a data type as \"float32\", found " + describe(value));
  return std::nullopt;
}

std::optional<int64_t> Evaluator::to_int64(const Value& value, Position position,
                                           const char* what) {
  if (value.is_poison())
    return std::nullopt;
  const auto* integer = value.as<Int>();
  if (integer == nullptr) {
    if (const auto* expr = value.as<Expr>())
      if (const auto constant = as_int(*expr))
        return constant;
    report(position, std::string(what) + " is an integer known here, not " + describe(value));
    return std::nullopt;
  }
  if (*integer > std::numeric_limits<int64_t>::max() ||
      *integer < std::numeric_limits<int64_t>::min()) {
    report(position, decimal(*integer) + " does not fit into 64 bits");
    return std::nullopt;
  }
  return static_cast<int64_t>(*integer);
}

std::optional<std::string> Evaluator::to_string(const Value& value, Position position,
                                                const char* what) {
  if (const auto* text = value.text())
    return *text;
  if (!value.is_poison())
    report(position, std::string(what) + " is a string, not " + describe(value));
  return std::nullopt;
}

Expr Evaluator::to_annotation(const Value& value, Position position) {
  if (value.is<None>()) {
    report(position, "an annotation cannot be None; leave it out");
    return nullptr;
  }
  if (const auto* number = value.as<double>())
    return make_float(DataType::float64(), *number);
  if (const auto* items = value.sequence())
    return to_list(*items, position,
                   [&](const Value& item) { return to_annotation(item, position); });
  if (const auto* type = value.as<TypeName>())
    return make_string(temper::to_string(type->dtype));
  return to_expr(value, position);
}

bool Evaluator::to_annotations(const Value& value, Position position, Annotations& result) {
  const auto* dict = value.as<Dict>();
  if (dict == nullptr) {
    if (!value.is_poison())
      report(position, "expected a dict as {\"key\": value}, found " + describe(value));
    return false;
  }
  bool ok = true;
  for (const auto& [key, item] : *dict->items) {
    if (key.text() == nullptr) {
      report(position, "the keys of annotations are strings, not " + describe(key));
      return false;
    }
    Expr expr = to_annotation(item, position);
    if (expr)
      result = result.with(*key.text(), std::move(expr));
    else
      ok = false;
  }
  return ok;
}

namespace {

/// A cast as literals take it: constants are converted, everything else gets a Cast.
Expr cast_to(DataType dtype, const Expr& expr) {
  if (expr->dtype == dtype)
    return expr;
  if (const auto* imm = expr.as<IntImm>()) {
    if (dtype.is_scalar() && dtype.is_integral())
      return make_int(dtype, imm->value);
    if (dtype.is_scalar() && dtype.is_floating() && !expr->dtype.is_uint())
      return make_float(dtype, static_cast<double>(imm->value));
  }
  if (const auto* imm = expr.as<FloatImm>();
      imm != nullptr && dtype.is_scalar() && dtype.is_floating())
    return make_float(dtype, imm->value);
  return make_cast(dtype, expr);
}

} // namespace

bool Evaluator::match_types(Expr& a, Expr& b, Position position, const char* what) {
  if (a->dtype == b->dtype)
    return true;
  DataType x = a->dtype;
  DataType y = b->dtype;
  if (x.lanes != y.lanes) {
    if (x.is_scalar())
      a = make_broadcast(a, y.lanes);
    else if (y.is_scalar())
      b = make_broadcast(b, x.lanes);
    else {
      report(position, std::string(what) + " joins " + temper::to_string(x) + " and " +
                           temper::to_string(y) + "; the numbers of lanes differ");
      return false;
    }
    x = a->dtype;
    y = b->dtype;
  }
  if (x == y)
    return true;
  const auto fail = [&](const char* advice) {
    report(position, std::string(what) + " joins " + temper::to_string(x) + " and " +
                         temper::to_string(y) + "; " + advice);
    return false;
  };
  if (x.is_handle() || y.is_handle())
    return fail("a handle is no number");
  if (x.is_bool() || y.is_bool())
    return fail("cast the bool first, as T.Cast(\"int32\", x)");
  if (x.is_floating() != y.is_floating()) {
    (x.is_floating() ? b : a) = cast_to(x.is_floating() ? x : y, x.is_floating() ? b : a);
    return true;
  }
  if (x.is_floating()) {
    if (x.bits == y.bits)
      return fail("cast one of them to say which is meant");
    if (x.bits < y.bits)
      a = cast_to(y, a);
    else
      b = cast_to(x, b);
    return true;
  }
  const DataType common = x.is_uint() && y.is_uint()
                              ? DataType::uint(std::max(x.bits, y.bits), x.lanes)
                              : DataType::integer(std::max(x.bits, y.bits), x.lanes);
  a = cast_to(common, a);
  b = cast_to(common, b);
  return true;
}

bool Evaluator::operands(const Value& a, const Value& b, Position position, const char* what,
                         Expr& x, Expr& y) {
  const auto literal_type = [](const Value& number, const Expr& other) -> std::optional<DataType> {
    const DataType type = other->dtype;
    // A fraction does not become an integer; the other side is cast instead.
    if (number.is<double>() && !type.is_floating())
      return std::nullopt;
    if (type.is_handle() || number.is<bool>() != type.is_bool())
      return number.is<bool>() ? std::nullopt
             : type.is_bool()  ? std::nullopt
                               : std::optional<DataType>();
    return type;
  };
  if (a.is_number() && !b.is_number()) {
    y = to_expr(b, position);
    x = y ? to_expr(a, position, literal_type(a, y)) : nullptr;
  } else if (b.is_number() && !a.is_number()) {
    x = to_expr(a, position);
    y = x ? to_expr(b, position, literal_type(b, x)) : nullptr;
  } else {
    x = to_expr(a, position);
    y = to_expr(b, position);
  }
  return x && y && match_types(x, y, position, what);
}

Value Evaluator::ir_binary(Operator op, const Value& a, const Value& b, Position position) {
  Expr x;
  Expr y;
  const std::string what = std::string("'") + spelling(op) + "'";
  if (!operands(a, b, position, what.c_str(), x, y))
    return Poison{};
  const DataType type = x->dtype;
  if (is_comparison(op)) {
    if (type.is_handle())
      return report(position, "handles cannot be compared");
    switch (op) {
    case Operator::kEqual:
      return make_binary<EQ>(x, y);
    case Operator::kNotEqual:
      return make_binary<NE>(x, y);
    case Operator::kLess:
      return make_binary<LT>(x, y);
    case Operator::kLessEqual:
      return make_binary<LE>(x, y);
    case Operator::kGreater:
      return make_binary<GT>(x, y);
    default:
      return make_binary<GE>(x, y);
    }
  }
  if (is_bitwise(op)) {
    if (!type.is_integral())
      return report(position, what + " needs integers, not " + temper::to_string(type) +
                                  (type.is_bool() ? "; use and, or, not" : ""));
    const char* name = op == Operator::kShiftLeft    ? "shift_left"
                       : op == Operator::kShiftRight ? "shift_right"
                       : op == Operator::kBitAnd     ? "bitwise_and"
                       : op == Operator::kBitOr      ? "bitwise_or"
                                                     : "bitwise_xor";
    return call_op(name, {x, y});
  }
  if (!type.is_integral() && !type.is_floating())
    return report(position, what + " needs numbers, not " + temper::to_string(type) +
                                (type.is_bool() ? "; cast first, as T.Cast(\"int32\", x)" : ""));
  switch (op) {
  case Operator::kAdd:
    return make_binary<Add>(x, y);
  case Operator::kSub:
    return make_binary<Sub>(x, y);
  case Operator::kMul:
    return make_binary<Mul>(x, y);
  case Operator::kDiv:
    if (type.is_integral())
      return report(position, "'/' of integers: write // (towards minus infinity) or T.truncdiv "
                              "(towards zero)");
    return make_binary<Div>(x, y);
  case Operator::kFloorDiv:
  case Operator::kMod:
    if (type.is_floating())
      return report(position, what + " needs integers; for floats write " +
                                  (op == Operator::kMod ? "T.truncmod(a, b)" : "T.floor(a / b)"));
    return op == Operator::kMod ? Value(make_binary<FloorMod>(x, y))
                                : Value(make_binary<FloorDiv>(x, y));
  case Operator::kPow:
    if (!type.is_floating())
      return report(position, "'**' of integers in a kernel: write the product, as x * x");
    return call_op("pow", {x, y});
  default:
    return report(position, "this operation is not known");
  }
}

Value Evaluator::access(const Buffer& buffer, const Value& index, Position position) {
  std::vector<Value> one;
  const std::vector<Value>* values = nullptr;
  if (const auto* tuple = index.as<Sequence>(); tuple != nullptr && tuple->is_tuple) {
    values = tuple->items.get();
  } else {
    one.push_back(index);
    values = &one;
  }
  if (static_cast<int>(values->size()) != buffer->rank()) {
    std::string example = buffer->name + "[";
    for (int i = 0; i < buffer->rank(); ++i)
      example += (i > 0 ? ", " : "") + std::string(1, static_cast<char>('i' + i % 8));
    example += buffer->rank() == 0 ? "()]" : "]";
    return report(position, buffer->name + " has " + std::to_string(buffer->rank()) +
                                (buffer->rank() == 1 ? " dimension" : " dimensions") + ", but " +
                                std::to_string(values->size()) +
                                (values->size() == 1 ? " index is given" : " indices are given") +
                                "; write " + example);
  }
  std::vector<IndexOrRange> indices;
  bool has_range = false;
  for (size_t i = 0; i < values->size(); ++i) {
    const Value& value = (*values)[i];
    if (const auto* slice = value.as<SliceValue>()) {
      const Value& begin = (*slice->bounds)[0];
      const Value& end = (*slice->bounds)[1];
      if (!(*slice->bounds)[2].is<None>())
        return report(position, "a range of a buffer has no step; write A[begin:end]");
      Expr stop = end.is<None>() ? buffer->shape[i] : to_index(end, position, false);
      Expr start = begin.is<None>() ? (stop ? make_int(stop->dtype, 0) : nullptr)
                                    : to_index(begin, position, false);
      if (!start || !stop || !match_types(start, stop, position, "a range"))
        return Poison{};
      indices.push_back({std::move(start), std::move(stop)});
      has_range = true;
    } else {
      Expr expr = to_index(value, position);
      if (!expr)
        return Poison{};
      indices.push_back({std::move(expr), nullptr});
    }
  }
  if (has_range)
    return Region{buffer, std::make_shared<const std::vector<IndexOrRange>>(std::move(indices))};
  std::vector<Expr> plain;
  int lanes = 1;
  for (IndexOrRange& item : indices) {
    const int own = item.index->dtype.lanes;
    if (own > 1 && lanes > 1 && own != lanes)
      return report(position, "the indices have different numbers of lanes");
    lanes = std::max(lanes, own);
    plain.push_back(std::move(item.index));
  }
  if (static_cast<int64_t>(lanes) * buffer->dtype.lanes > 65535)
    return report(position, "a vector has at most 65535 lanes");
  return make_load(buffer, std::move(plain));
}

} // namespace temper::script
