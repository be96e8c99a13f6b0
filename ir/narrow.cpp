#include "ir/narrow.h"

#include "ir/op.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/tile_ops.h"

#include <bit>
#include <cmath>
#include <unordered_map>
#include <unordered_set>

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

/// The two formats: bits of the mantissa, bias of the exponent, largest finite value, NaN.
struct Float8 {
  int mantissa;
  int bias;
  uint32_t largest;
  uint32_t nan;
};
constexpr Float8 kE4M3{3, 7, 0x7e, 0x7f};
constexpr Float8 kE5M2{2, 15, 0x7b, 0x7e};

const Float8& format_of(DataType type) { return type.code == TypeCode::kBFloat ? kE5M2 : kE4M3; }

/// The least normal number as float32 bits, and what is added to round a smaller one.
uint32_t least_normal(const Float8& format) {
  return static_cast<uint32_t>(127 + 1 - format.bias) << 23;
}
float subnormal_shift(const Float8& format) {
  return std::ldexp(1.0F, 24 - format.bias - format.mantissa);
}

DataType ordinary(DataType type) {
  if (is_packed(type))
    return (type.is_uint() ? DataType::uint(8) : DataType::integer(8)).with_lanes(type.lanes);
  if (is_float8(type))
    return DataType::float32().with_lanes(type.lanes);
  return type;
}

constexpr DataType kByte = DataType::uint(8);
constexpr DataType kWord = DataType::uint(32);

Expr word(uint32_t value, int lanes) {
  return make_const_int(kWord.with_lanes(lanes), static_cast<int64_t>(value));
}
Expr bits_of_float(const Expr& value) {
  return make_call(kWord.with_lanes(value->dtype.lanes), "reinterpret", {value});
}
Expr float_of_bits(const Expr& value) {
  return make_call(DataType::float32().with_lanes(value->dtype.lanes), "reinterpret", {value});
}
Expr bit_op(const char* op, const Expr& a, const Expr& b) { return call_op(op, {a, b}); }

/// Bytes to float32.
Expr decode(const Expr& byte, DataType type) {
  const int lanes = byte->dtype.lanes;
  const Expr bits = make_cast(kWord.with_lanes(lanes), byte);
  if (type.code == TypeCode::kBFloat) {
    const DataType half = DataType::uint(16, lanes);
    const Expr high = bit_op("shift_left", make_cast(half, byte), make_const_int(half, 8));
    return make_cast(DataType::floating(32, lanes),
                     make_call(DataType::floating(16, lanes), "reinterpret", {high}));
  }
  // Exponent and mantissa in the places that float32 has them: too small by 2^120.
  const Expr magnitude = bit_op("bitwise_and", bits, word(0x7f, lanes));
  const Expr small = float_of_bits(bit_op("shift_left", magnitude, word(20, lanes)));
  const Expr value =
      make_binary<Mul>(small, make_const(DataType::floating(32, lanes), std::ldexp(1.0, 120)));
  const Expr number = make_select(make_binary<EQ>(magnitude, word(0x7f, lanes)),
                                  word(0x7fc00000, lanes), bits_of_float(value));
  const Expr sign =
      bit_op("shift_left", bit_op("bitwise_and", bits, word(0x80, lanes)), word(24, lanes));
  return float_of_bits(bit_op("bitwise_or", number, sign));
}

/// Float32 to bytes.
Expr encode(const Expr& value, DataType type) {
  const Float8& format = format_of(type);
  const int lanes = value->dtype.lanes;
  const int drop = 23 - format.mantissa;
  const Expr bits = bits_of_float(value);
  const Expr magnitude = bit_op("bitwise_and", bits, word(0x7fffffff, lanes));
  // To nearest, halves to even: add just less than a half, and one when the last kept bit is odd.
  const Expr odd = bit_op(
      "bitwise_and", bit_op("shift_right", magnitude, word(static_cast<uint32_t>(drop), lanes)),
      word(1, lanes));
  const Expr rounded =
      make_binary<Add>(make_binary<Add>(magnitude, word((1U << (drop - 1)) - 1, lanes)), odd);
  const Expr normal =
      make_binary<Sub>(bit_op("shift_right", rounded, word(static_cast<uint32_t>(drop), lanes)),
                       word(static_cast<uint32_t>(127 - format.bias) << format.mantissa, lanes));
  // Below, an addition rounds at the right bit.
  const float shift = subnormal_shift(format);
  const Expr sum =
      make_binary<Add>(float_of_bits(magnitude), make_const(DataType::floating(32, lanes), shift));
  const Expr subnormal =
      make_binary<Sub>(bits_of_float(sum), word(std::bit_cast<uint32_t>(shift), lanes));
  const Expr is_small = make_binary<LT>(magnitude, word(least_normal(format), lanes));
  const Expr too_large = make_binary<GT>(normal, word(format.largest, lanes));
  Expr code =
      make_select(is_small, subnormal, make_select(too_large, word(format.largest, lanes), normal));
  code = make_select(make_binary<GT>(magnitude, word(0x7f800000, lanes)), word(format.nan, lanes),
                     code);
  const Expr sign =
      bit_op("bitwise_and", bit_op("shift_right", bits, word(24, lanes)), word(0x80, lanes));
  return make_cast(kByte.with_lanes(lanes), bit_op("bitwise_or", code, sign));
}

/// An int8 or uint8 brought to the range of a packed type, as integers wrap.
Expr wrapped(const Expr& value, DataType type) {
  const DataType own = value->dtype;
  const auto constant = [&](int64_t number) { return make_const_int(own, number); };
  const Expr low = bit_op("bitwise_and", value, constant((int64_t{1} << type.bits) - 1));
  if (type.is_uint())
    return low;
  const Expr sign = constant(int64_t{1} << (type.bits - 1));
  return make_binary<Sub>(bit_op("bitwise_xor", low, sign), sign);
}

class NarrowLowering {
public:
  explicit NarrowLowering(const PrimFunc& function) {
    for (const Param& param : function->params)
      if (param.buffer)
        parameters_.insert(param.buffer.get());
  }

  Buffer buffer(const Buffer& old) {
    if (!is_narrow(old->dtype))
      return old;
    const auto [place, is_new] = buffers_.try_emplace(old.get(), nullptr);
    if (is_new)
      place->second = parameters_.contains(old.get())
                          ? storage_buffer(old)
                          : copy_node(*old, [](BufferNode& node) {
                              node.dtype = is_float8(node.dtype) ? kByte : ordinary(node.dtype);
                            });
    return place->second;
  }

  NodeRef rewrite(const NodeRef& node) {
    if (node->kind() == BufferNode::kKind)
      return buffer(cast_ref<BufferNode>(node));
    if (ExprNode::accepts(node->kind()))
      return rewrite(cast_ref<ExprNode>(node));
    if (const auto* store = node.as<BufferStore>();
        store != nullptr && is_narrow(store->buffer->dtype)) {
      const DataType type = store->buffer->dtype;
      Expr value = is_float8(type) ? bytes_of(store->value, type) : nullptr;
      if (!value)
        value = rewrite(store->value);
      if (is_float8(type) && value->dtype != kByte.with_lanes(value->dtype.lanes))
        value = encode(value, type);
      const Stmt result = make_store(buffer(store->buffer), indices(store->indices), value,
                                     store->predicate ? rewrite(store->predicate) : nullptr);
      result->span = node->span;
      return result;
    }
    return node->info().map_children(node.get(), [&](const NodeRef& child, Role role) -> NodeRef {
      if (role == Role::kDefine && child->kind() == VarNode::kKind)
        return variable(cast_ref<VarNode>(child));
      return rewrite(child);
    });
  }

private:
  std::vector<Expr> indices(const std::vector<Expr>& list) {
    std::vector<Expr> result;
    for (const Expr& index : list)
      result.push_back(rewrite(index));
    return result;
  }

  Var variable(const Var& old) {
    if (!is_narrow(old->dtype))
      return old;
    const auto [place, is_new] = variables_.try_emplace(old.get(), nullptr);
    if (is_new)
      place->second = make_var(old->name, ordinary(old->dtype));
    return place->second;
  }

  /// The bytes of what is moved and not computed with; null for anything else.
  Expr bytes_of(const Expr& value, DataType type) {
    if (value->dtype.element() != type.element())
      return nullptr;
    if (const auto* load = value.as<BufferLoad>())
      return make_load(buffer(load->buffer), indices(load->indices),
                       load->predicate ? rewrite(load->predicate) : nullptr);
    if (const auto* imm = value.as<FloatImm>())
      return make_int(
          kByte, float_to_float8(static_cast<float>(imm->value), type.code == TypeCode::kBFloat));
    const auto* call = value.as<Call>();
    if (call == nullptr || call->op != "if_then_else")
      return nullptr;
    const Expr yes = bytes_of(call->args[1], type);
    const Expr no = bytes_of(call->args[2], type);
    return yes && no ? if_then_else(rewrite(call->args[0]), yes, no) : nullptr;
  }

  /// Which byte of a row holds an element of a packed type.
  static Expr byte_of(const Expr& index, DataType type) {
    return make_binary<FloorDiv>(index, make_const_int(index->dtype, 8 / type.bits));
  }

  Expr load(const BufferLoad& node) {
    const DataType type = node.buffer->dtype;
    const Buffer memory = buffer(node.buffer);
    std::vector<Expr> at = indices(node.indices);
    const Expr predicate = node.predicate ? rewrite(node.predicate) : nullptr;
    if (is_float8(type))
      return decode(make_load(memory, std::move(at), predicate), type);
    if (!parameters_.contains(node.buffer.get()))
      return make_load(memory, std::move(at), predicate);
    const int per_byte = 8 / type.bits;
    const Expr index = at.back();
    at.back() = byte_of(index, type);
    const Expr byte = make_load(memory, std::move(at), predicate);
    const int lanes = byte->dtype.lanes;
    Expr place = make_binary<FloorMod>(index, make_const_int(index->dtype, per_byte));
    if (lanes > 1 && place->dtype.is_scalar())
      place = make_broadcast(place, lanes);
    const DataType wide = DataType::integer(32, lanes);
    const Expr shift = make_binary<Mul>(make_cast(wide, place), make_const_int(wide, type.bits));
    const Expr value = bit_op("shift_right", make_cast(wide, byte), shift);
    return wrapped(make_cast(ordinary(type).with_lanes(lanes), value), type);
  }

  Expr rewrite(const Expr& expr) {
    if (expr->kind() == VarNode::kKind)
      return variable(expr.as_ref<VarNode>());
    if (const auto* imm = expr.as<IntImm>(); imm != nullptr && is_packed(imm->dtype))
      return make_int(ordinary(imm->dtype), imm->value);
    if (const auto* imm = expr.as<FloatImm>(); imm != nullptr && is_float8(imm->dtype)) {
      const bool e5m2 = imm->dtype.code == TypeCode::kBFloat;
      return make_float(
          DataType::float32(),
          float8_to_float(float_to_float8(static_cast<float>(imm->value), e5m2), e5m2));
    }
    if (const auto* access = expr.as<BufferLoad>();
        access != nullptr && is_narrow(access->buffer->dtype))
      return load(*access);
    if (const auto* cast = expr.as<Cast>(); cast != nullptr && is_narrow(cast->dtype)) {
      const Expr value = rewrite(cast->value);
      const DataType to = ordinary(cast->dtype);
      if (cast->value->dtype == cast->dtype)
        return value;
      if (is_float8(cast->dtype))
        return decode(encode(value->dtype == to ? value : make_cast(to, value), cast->dtype),
                      cast->dtype);
      // By way of 32 bits, so that a number that does not fit wraps.
      const DataType wide = DataType::integer(32, to.lanes);
      return wrapped(make_cast(to, value->dtype == wide ? value : make_cast(wide, value)),
                     cast->dtype);
    }
    if (const auto* cast = expr.as<Cast>(); cast != nullptr && is_narrow(cast->value->dtype)) {
      const Expr value = rewrite(cast->value);
      return value->dtype == cast->dtype ? value : make_cast(cast->dtype, value);
    }
    if (const auto* call = expr.as<Call>(); call != nullptr && call->op == "reinterpret") {
      Expr value = rewrite(call->args[0]);
      if (is_float8(call->args[0]->dtype))
        value = encode(value, call->args[0]->dtype);
      if (is_float8(call->dtype)) {
        const DataType bytes = kByte.with_lanes(call->dtype.lanes);
        return decode(value->dtype == bytes ? value : make_call(bytes, "reinterpret", {value}),
                      call->dtype);
      }
      return value->dtype == call->dtype ? value : make_call(call->dtype, "reinterpret", {value});
    }
    // Operands in memory that an operation takes by their places stay places.
    const auto* call = expr.as<Call>();
    const OpInfo* op = call != nullptr ? find_op(call->op) : nullptr;
    int places = op != nullptr ? op->addresses : 0;
    const Expr mapped = cast_ref<ExprNode>(
        expr->info().map_children(expr.get(), [&](const NodeRef& child, Role role) -> NodeRef {
          if (role == Role::kDefine && child->kind() == VarNode::kKind)
            return variable(cast_ref<VarNode>(child));
          if (const auto* place = child.as<BufferLoad>();
              places-- > 0 && place != nullptr && is_narrow(place->buffer->dtype)) {
            std::vector<Expr> at = indices(place->indices);
            if (is_packed(place->buffer->dtype) && parameters_.contains(place->buffer.get()))
              at.back() = byte_of(at.back(), place->buffer->dtype);
            return make_load(buffer(place->buffer), std::move(at));
          }
          return rewrite(child);
        }));
    if (!is_narrow(mapped->dtype))
      return mapped;
    const Expr wide = visit(mapped, [&](const auto& node) -> Expr {
      return copy_node(node, [](auto& copy) { copy.dtype = ordinary(copy.dtype); });
    });
    const bool computes = mapped.is<Add>() || mapped.is<Sub>() || mapped.is<Mul>() ||
                          mapped.is<Div>() || mapped.is<FloorDiv>() || mapped.is<Call>();
    return computes && is_packed(mapped->dtype) ? wrapped(wide, mapped->dtype) : wide;
  }

  std::unordered_set<const Node*> parameters_;
  std::unordered_map<const Node*, Buffer> buffers_;
  std::unordered_map<const Node*, Var> variables_;
};

bool has_narrow(const PrimFunc& function) {
  bool found = false;
  for (const Param& param : function->params)
    found |= is_narrow(param.buffer ? param.buffer->dtype : param.var->dtype);
  walk(function->body, [&](const NodeRef& node) {
    if (const auto* buffer = node.as<BufferNode>())
      found |= is_narrow(buffer->dtype);
    else if (ExprNode::accepts(node->kind()))
      found |= is_narrow(static_cast<const ExprNode&>(*node).dtype);
    return !found;
  });
  return found;
}

} // namespace

Expr float8_value(const Expr& byte, DataType type) { return decode(byte, type); }

Buffer storage_buffer(const Buffer& parameter) {
  if (is_float8(parameter->dtype))
    return copy_node(*parameter, [](BufferNode& node) { node.dtype = kByte; });
  if (!is_packed(parameter->dtype))
    return parameter;
  const int per_byte = 8 / parameter->dtype.bits;
  return copy_node(*parameter, [&](BufferNode& node) {
    node.dtype = kByte;
    if (!node.shape.empty()) {
      Expr& last = node.shape.back();
      const auto extent = as_int(last);
      last = extent ? make_int(last->dtype, (*extent + per_byte - 1) / per_byte)
                    : floordiv(last + (per_byte - 1), per_byte);
    }
  });
}

Result<void> check_narrow_types(const PrimFunc& function) {
  std::unordered_set<const Node*> packed;
  for (const Param& param : function->params) {
    if (!param.buffer) {
      if (is_narrow(param.var->dtype))
        return Error(ErrorCode::kUnsupported,
                     "the parameter " + param.name() + " is one number of " +
                         to_string(param.var->dtype) + "; pass an int32 or float32");
      continue;
    }
    if (!is_packed(param.buffer->dtype))
      continue;
    packed.insert(param.buffer.get());
    const int per_byte = 8 / param.buffer->dtype.bits;
    const auto last =
        param.buffer->shape.empty() ? std::nullopt : as_int(param.buffer->shape.back());
    if (!last || *last % per_byte != 0 || !param.buffer->strides.empty() ||
        param.buffer->elem_offset)
      return Error(ErrorCode::kUnsupported,
                   param.name() + " holds " + to_string(param.buffer->dtype) + ", " +
                       std::to_string(per_byte) +
                       " in a byte: its last extent is a multiple of that, and it has no strides");
  }
  std::string problem;
  const auto written = [&](const Buffer& buffer, const NodeRef& node) {
    if (packed.contains(buffer.get()) && problem.empty())
      problem = (node->span.line == 0 ? "" : "line " + std::to_string(node->span.line) + ": ") +
                buffer->name + " holds packed " + to_string(buffer->dtype) +
                ", which programs read only; to write it take a buffer of uint8 and put the bytes "
                "together";
  };
  walk(function->body, [&](const NodeRef& node) {
    if (const auto* store = node.as<BufferStore>())
      written(store->buffer, node);
    else if (const auto* call = node.as<TileCall>())
      for (const size_t operand : written_operands(*call))
        written(call->regions[operand].buffer, node);
    return problem.empty() && !ExprNode::accepts(node->kind());
  });
  return problem.empty() ? Result<void>() : Error(ErrorCode::kUnsupported, problem);
}

PrimFunc lower_narrow_types(const PrimFunc& function) {
  if (!has_narrow(function))
    return function;
  NarrowLowering lowering(function);
  const Stmt body = cast_ref<StmtNode>(lowering.rewrite(NodeRef(function->body)));
  return copy_node(*function, [&](PrimFuncNode& node) {
    for (Param& param : node.params)
      if (param.buffer)
        param.buffer = lowering.buffer(param.buffer);
    node.body = body;
  });
}

uint8_t float_to_float8(float value, bool e5m2) {
  const Float8& format = e5m2 ? kE5M2 : kE4M3;
  const int drop = 23 - format.mantissa;
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t magnitude = bits & 0x7fffffff;
  const auto sign = static_cast<uint8_t>((bits >> 24) & 0x80);
  if (magnitude > 0x7f800000)
    return static_cast<uint8_t>(sign | format.nan);
  if (magnitude < least_normal(format)) {
    const float shift = subnormal_shift(format);
    const float sum = std::bit_cast<float>(magnitude) + shift;
    return static_cast<uint8_t>(sign |
                                (std::bit_cast<uint32_t>(sum) - std::bit_cast<uint32_t>(shift)));
  }
  const uint32_t rounded = magnitude + ((1U << (drop - 1)) - 1) + ((magnitude >> drop) & 1);
  const uint32_t code =
      (rounded >> drop) - (static_cast<uint32_t>(127 - format.bias) << format.mantissa);
  return static_cast<uint8_t>(sign | std::min(code, format.largest));
}

float float8_to_float(uint8_t bits, bool e5m2) {
  const Float8& format = e5m2 ? kE5M2 : kE4M3;
  const uint32_t magnitude = bits & 0x7fU;
  const float sign = (bits & 0x80) != 0 ? -1.0F : 1.0F;
  if (magnitude > format.largest)
    return e5m2 && magnitude == 0x7c ? sign * INFINITY : std::copysign(NAN, sign);
  const int exponent = static_cast<int>(magnitude >> format.mantissa);
  const int mantissa = static_cast<int>(magnitude & ((1U << format.mantissa) - 1));
  return sign * (exponent == 0
                     ? std::ldexp(static_cast<float>(mantissa), 1 - format.bias - format.mantissa)
                     : std::ldexp(static_cast<float>(mantissa + (1 << format.mantissa)),
                                  exponent - format.bias - format.mantissa));
}

} // namespace temper::ir
