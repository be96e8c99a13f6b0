// Values: conversions, arithmetic of floats and integers, comparisons, conditions.
#include "codegen/llvm/emitter.h"

namespace temper::codegen::emitter {

Value* Emitter::widen_float(Value* value, DataType type) {
  const int lanes = lanes_of(value);
  if (type.code == TypeCode::kBFloat) {
    Value* bits = builder_.CreateShl(builder_.CreateZExt(value, i32(lanes)), const_i32(16, lanes));
    return builder_.CreateBitCast(bits, f32(lanes));
  }
  if (options_.has_f16c)
    return builder_.CreateFPExt(value, f32(lanes));
  // Without the instruction LLVM would call a compiler's support library, which we do not link.
  Value* half = builder_.CreateZExt(
      builder_.CreateBitCast(value, with_lanes(builder_.getInt16Ty(), lanes)), i32(lanes));
  Value* sign =
      builder_.CreateShl(builder_.CreateAnd(half, const_i32(0x8000, lanes)), const_i32(16, lanes));
  Value* shifted =
      builder_.CreateShl(builder_.CreateAnd(half, const_i32(0x7fff, lanes)), const_i32(13, lanes));
  Value* scaled = builder_.CreateFMul(builder_.CreateBitCast(shifted, f32(lanes)),
                                      llvm::ConstantFP::get(f32(lanes), 0x1p112));
  Value* bits = builder_.CreateBitCast(scaled, i32(lanes));
  Value* special = builder_.CreateICmpUGE(shifted, const_i32(0x0f800000, lanes));
  bits =
      builder_.CreateSelect(special, builder_.CreateOr(bits, const_i32(0x7f800000, lanes)), bits);
  return builder_.CreateBitCast(builder_.CreateOr(bits, sign), f32(lanes));
}

Value* Emitter::narrow_float(Value* value, DataType type) {
  const int lanes = lanes_of(value);
  if (type.code == TypeCode::kFloat && options_.has_f16c)
    return builder_.CreateFPTrunc(value, with_lanes(builder_.getHalfTy(), lanes));
  Value* bits = builder_.CreateBitCast(value, i32(lanes));
  llvm::Type* i16 = with_lanes(builder_.getInt16Ty(), lanes);
  if (type.code == TypeCode::kBFloat) {
    // Round to nearest even; a NaN keeps its upper bits and becomes quiet.
    Value* upper = builder_.CreateLShr(bits, const_i32(16, lanes));
    Value* odd = builder_.CreateAnd(upper, const_i32(1, lanes));
    Value* rounded = builder_.CreateLShr(
        builder_.CreateAdd(bits, builder_.CreateAdd(odd, const_i32(0x7fff, lanes))),
        const_i32(16, lanes));
    Value* nan = builder_.CreateFCmpUNO(value, value);
    return builder_.CreateTrunc(
        builder_.CreateSelect(nan, builder_.CreateOr(upper, const_i32(0x40, lanes)), rounded), i16);
  }
  Value* magnitude = builder_.CreateAnd(bits, const_i32(0x7fffffff, lanes));
  Value* sign =
      builder_.CreateAnd(builder_.CreateLShr(bits, const_i32(16, lanes)), const_i32(0x8000, lanes));
  Value* odd =
      builder_.CreateAnd(builder_.CreateLShr(magnitude, const_i32(13, lanes)), const_i32(1, lanes));
  Value* normal = builder_.CreateLShr(
      builder_.CreateAdd(magnitude, builder_.CreateAdd(odd, const_i32(0xc8000fff, lanes))),
      const_i32(13, lanes));
  // Adding 0.5 shifts a subnormal result's bits into place, rounded by the addition.
  Value* tiny = builder_.CreateSub(
      builder_.CreateBitCast(builder_.CreateFAdd(builder_.CreateBitCast(magnitude, f32(lanes)),
                                                 llvm::ConstantFP::get(f32(lanes), 0.5)),
                             i32(lanes)),
      const_i32(0x3f000000, lanes));
  Value* result = builder_.CreateSelect(
      builder_.CreateICmpULT(magnitude, const_i32(0x38800000, lanes)), tiny, normal);
  result = builder_.CreateSelect(builder_.CreateICmpUGE(magnitude, const_i32(0x47800000, lanes)),
                                 const_i32(0x7c00, lanes), result);
  result = builder_.CreateSelect(builder_.CreateICmpUGT(magnitude, const_i32(0x7f800000, lanes)),
                                 const_i32(0x7e00, lanes), result);
  result = builder_.CreateTrunc(builder_.CreateOr(result, sign), i16);
  return builder_.CreateBitCast(result, with_lanes(builder_.getHalfTy(), lanes));
}

Value* Emitter::round_to_odd(Value* value) {
  const int lanes = lanes_of(value);
  llvm::Type* f64 = value->getType();
  Value* narrow = builder_.CreateFPTrunc(value, f32(lanes));
  Value* back = builder_.CreateFPExt(narrow, f64);
  Value* bits = builder_.CreateBitCast(narrow, i32(lanes));
  const auto magnitude = [&](Value* v) {
    return builder_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, v);
  };
  Value* above = builder_.CreateFCmpOGT(magnitude(back), magnitude(value));
  Value* truncated =
      builder_.CreateSelect(above, builder_.CreateSub(bits, const_i32(1, lanes)), bits);
  Value* inexact = builder_.CreateFCmpONE(back, value);
  return builder_.CreateBitCast(
      builder_.CreateSelect(inexact, builder_.CreateOr(truncated, const_i32(1, lanes)), bits),
      f32(lanes));
}

Value* Emitter::convert(Value* value, DataType from, DataType to) {
  if (from.element() == to.element())
    return value;
  const int lanes = lanes_of(value);
  llvm::Type* type = with_lanes(scalar_type(to), lanes);
  if (from.is_handle() || to.is_handle())
    return unsupported("a cast to or from a handle cannot be compiled", to);
  if (to.is_bool()) {
    if (!from.is_floating())
      return builder_.CreateIsNotNull(value);
    Value* real = is_small_float(from) ? widen_float(value, from) : value;
    return builder_.CreateFCmpUNE(real, llvm::Constant::getNullValue(real->getType()));
  }
  if (to.is_integral()) {
    if (from.is_floating()) {
      Value* real = is_small_float(from) ? widen_float(value, from) : value;
      return to.is_int() ? builder_.CreateFPToSI(real, type) : builder_.CreateFPToUI(real, type);
    }
    return from.is_int() ? builder_.CreateSExtOrTrunc(value, type)
                         : builder_.CreateZExtOrTrunc(value, type);
  }
  if (!is_small_float(to)) {
    if (from.is_floating()) {
      Value* real = is_small_float(from) ? widen_float(value, from) : value;
      return builder_.CreateFPCast(real, type);
    }
    return from.is_int() ? builder_.CreateSIToFP(value, type) : builder_.CreateUIToFP(value, type);
  }
  if (from.is_floating()) {
    if (is_small_float(from))
      return narrow_float(widen_float(value, from), to);
    return narrow_float(from.bits == 64 ? round_to_odd(value) : value, to);
  }
  llvm::Type* f64 = with_lanes(builder_.getDoubleTy(), lanes);
  Value* real =
      from.is_int() ? builder_.CreateSIToFP(value, f64) : builder_.CreateUIToFP(value, f64);
  return narrow_float(round_to_odd(real), to);
}

Value* Emitter::emit_real(const Expr& expr) {
  if (!is_small_float(expr->dtype))
    return emit(expr);
  if (Value* value = emit_float_arithmetic(expr))
    return value;
  return widen_float(emit(expr), expr->dtype);
}

Value* Emitter::emit_float_arithmetic(const Expr& expr) {
  const auto binary = [&](const auto* node, auto&& make) -> Value* {
    Value* a = emit_real(node->a);
    return make(a, emit_real(node->b));
  };
  if (const auto* node = expr.as<Add>()) {
    // As instruction selection would make of the two, which it finds faster in one.
    if (const auto* product = node->b.as<Mul>(); product != nullptr && options_.has_fma) {
      Value* sum = emit_real(node->a);
      Value* a = emit_real(product->a);
      Value* b = emit_real(product->b);
      return builder_.CreateIntrinsic(llvm::Intrinsic::fmuladd, {sum->getType()}, {a, b, sum});
    }
    return binary(node, [&](Value* a, Value* b) { return builder_.CreateFAdd(a, b); });
  }
  if (const auto* node = expr.as<Sub>())
    return binary(node, [&](Value* a, Value* b) { return builder_.CreateFSub(a, b); });
  if (const auto* node = expr.as<Mul>())
    return binary(node, [&](Value* a, Value* b) { return builder_.CreateFMul(a, b); });
  if (const auto* node = expr.as<Div>())
    return binary(node, [&](Value* a, Value* b) { return builder_.CreateFDiv(a, b); });
  if (const auto* node = expr.as<Mod>())
    return binary(node, [&](Value* a, Value* b) { return builder_.CreateFRem(a, b); });
  if (const auto* node = expr.as<Min>())
    return binary(node, [&](Value* a, Value* b) { return float_min(a, b); });
  if (const auto* node = expr.as<Max>())
    return binary(node, [&](Value* a, Value* b) { return float_max(a, b); });
  if (const auto* node = expr.as<Call>())
    return emit_float_call(*node);
  return nullptr;
}

Value* Emitter::emit_float_call(const Call& call) {
  const std::string& op = call.op;
  using namespace llvm::Intrinsic; // NOLINT
  static constexpr std::pair<const char*, ID> kUnary[] = {
      {"floor", floor},         {"ceil", ceil}, {"round", round}, {"trunc", trunc},
      {"nearbyint", nearbyint}, {"abs", fabs},  {"sqrt", sqrt},
  };
  for (const auto& [name, id] : kUnary)
    if (op == name)
      return builder_.CreateUnaryIntrinsic(id, emit_real(call.args[0]));
  if (op == "copysign") {
    Value* a = emit_real(call.args[0]);
    return builder_.CreateBinaryIntrinsic(copysign, a, emit_real(call.args[1]));
  }
  if (op == "fma") {
    Value* a = emit_real(call.args[0]);
    Value* b = emit_real(call.args[1]);
    Value* c = emit_real(call.args[2]);
    return builder_.CreateIntrinsic(a->getType(), fma, {a, b, c});
  }
  if (op == "vector_reduce_add" || op == "vector_reduce_max" || op == "vector_reduce_min")
    return reduce(emit_real(call.args[0]), [&](Value* a, Value* b) {
      return op == "vector_reduce_add"   ? builder_.CreateFAdd(a, b)
             : op == "vector_reduce_max" ? float_max(a, b)
                                         : float_min(a, b);
    });
  const OpInfo* info = find_op(op);
  if (info != nullptr && info->math) {
    std::vector<Value*> args;
    for (const Expr& arg : call.args)
      args.push_back(emit_real(arg));
    return emit_math(builder_,
                     {.has_fma = options_.has_fma,
                      .has_avx512 = options_.has_avx512,
                      .has_avx512dq = options_.has_avx512dq},
                     op, args);
  }
  return nullptr;
}

Value* Emitter::emit(const Expr& expr) {
  if (error_)
    return llvm::PoisonValue::get(register_type(expr->dtype));
  if (expr->dtype.is_floating())
    if (Value* value = emit_float_arithmetic(expr))
      return is_small_float(expr->dtype) ? narrow_float(value, expr->dtype) : value;
  return visit(
      expr, [&](const VarNode& node) { return emit_var(node); },
      [&](const IntImm& node) -> Value* {
        return llvm::ConstantInt::get(register_type(node.dtype), static_cast<uint64_t>(node.value),
                                      true);
      },
      [&](const FloatImm& node) -> Value* { return emit_float_imm(node); },
      [&](const StringImm& node) {
        return unsupported("a string has no place in code for a CPU", node.dtype);
      },
      [&](const ListImm& node) {
        return unsupported("a list has no place in code for a CPU", node.dtype);
      },
      [&](const Cast& node) -> Value* {
        // A value that was not yet rounded to 16 bits must be before it is seen as wider.
        return convert(emit(node.value), node.value->dtype, node.dtype);
      },
      [&](const Add& node) -> Value* {
        Value* a = emit(node.a);
        return builder_.CreateAdd(a, emit(node.b));
      },
      [&](const Sub& node) -> Value* {
        Value* a = emit(node.a);
        return builder_.CreateSub(a, emit(node.b));
      },
      [&](const Mul& node) -> Value* {
        Value* a = emit(node.a);
        return builder_.CreateMul(a, emit(node.b));
      },
      [&](const Div& node) { return emit_integer_division(node.a, node.b, false, true); },
      [&](const Mod& node) { return emit_integer_division(node.a, node.b, false, false); },
      [&](const FloorDiv& node) { return emit_integer_division(node.a, node.b, true, true); },
      [&](const FloorMod& node) { return emit_integer_division(node.a, node.b, true, false); },
      [&](const Min& node) { return emit_extremum(node.a, node.b, true); },
      [&](const Max& node) { return emit_extremum(node.a, node.b, false); },
      [&](const EQ& node) { return compare(node.a, node.b, Order::kEqual); },
      [&](const NE& node) { return compare(node.a, node.b, Order::kNotEqual); },
      [&](const LT& node) { return compare(node.a, node.b, Order::kLess); },
      [&](const LE& node) { return compare(node.a, node.b, Order::kLessEqual); },
      [&](const GT& node) { return compare(node.a, node.b, Order::kGreater); },
      [&](const GE& node) { return compare(node.a, node.b, Order::kGreaterEqual); },
      [&](const And& node) { return emit_logical(node.a, node.b, true); },
      [&](const Or& node) { return emit_logical(node.a, node.b, false); },
      [&](const Not& node) -> Value* { return builder_.CreateNot(emit(node.a)); },
      [&](const Select& node) -> Value* {
        Value* condition = emit(node.condition);
        Value* yes = emit(node.true_value);
        Value* no = emit(node.false_value);
        return builder_.CreateSelect(condition, yes, no);
      },
      [&](const BufferLoad& node) { return emit_load(node); },
      [&](const Ramp& node) { return emit_ramp(node); },
      [&](const Broadcast& node) -> Value* { return splat(emit(node.value), node.lanes()); },
      [&](const Shuffle& node) { return emit_shuffle(node); },
      [&](const Let& node) -> Value* {
        define(node.var, emit(node.value), range_of(node.value), divisor_of(node.value));
        return emit(node.body);
      },
      [&](const Call& node) { return emit_call(node); });
}

Value* Emitter::emit_var(const VarNode& node) {
  const auto place = vars_.find(&node);
  if (place != vars_.end())
    return place->second.value;
  fail(ErrorCode::kInvalidArgument, "variable '" + node.name + "' is not defined here");
  return llvm::PoisonValue::get(register_type(node.dtype));
}

Value* Emitter::emit_float_imm(const FloatImm& node) {
  if (node.dtype.code == TypeCode::kBFloat) {
    llvm::APFloat value(node.value);
    bool inexact = false;
    value.convert(llvm::APFloat::BFloat(), llvm::APFloat::rmNearestTiesToEven, &inexact);
    return llvm::ConstantInt::get(builder_.getInt16Ty(), value.bitcastToAPInt().getZExtValue());
  }
  return llvm::ConstantFP::get(scalar_type(node.dtype), node.value);
}

Value* Emitter::emit_ramp(const Ramp& node) {
  const int lanes = node.lanes();
  llvm::Type* type = register_type(node.dtype);
  std::vector<llvm::Constant*> numbers;
  for (int lane = 0; lane < lanes; ++lane)
    numbers.push_back(llvm::ConstantInt::get(scalar_type(node.dtype), static_cast<uint64_t>(lane)));
  Value* base = splat(emit(node.base), lanes);
  Value* steps = llvm::ConstantVector::get(numbers);
  if (!is_int(node.stride, 1))
    steps = builder_.CreateMul(splat(emit(node.stride), lanes), steps);
  TEMPER_CHECK(base->getType() == type, "a ramp is a vector of its base");
  return builder_.CreateAdd(base, steps);
}

Value* Emitter::emit_shuffle(const Shuffle& node) {
  std::vector<Value*> vectors;
  for (const Expr& vector : node.vectors)
    vectors.push_back(emit(vector));
  std::vector<std::pair<size_t, int>> lanes; // of the concatenation: vector, lane
  for (size_t i = 0; i < vectors.size(); ++i)
    for (int lane = 0; lane < lanes_of(vectors[i]); ++lane)
      lanes.emplace_back(i, lane);
  std::vector<size_t> picks;
  for (const Expr& index : node.indices) {
    const auto value = as_int(index);
    if (!value || *value < 0 || static_cast<size_t>(*value) >= lanes.size())
      return unsupported("a shuffle needs constant indices within its vectors", node.dtype);
    picks.push_back(static_cast<size_t>(*value));
  }
  const auto pick_scalar = [&](size_t pick) -> Value* {
    Value* vector = vectors[lanes[pick].first];
    return lanes_of(vector) == 1
               ? vector
               : builder_.CreateExtractElement(vector, static_cast<uint64_t>(lanes[pick].second));
  };
  if (picks.size() == 1)
    return pick_scalar(picks[0]);
  const bool same_width = std::all_of(vectors.begin(), vectors.end(), [&](Value* vector) {
    return vector->getType() == vectors[0]->getType() && lanes_of(vector) > 1;
  });
  if (same_width && vectors.size() <= 2) {
    std::vector<int> mask(picks.begin(), picks.end());
    Value* second =
        vectors.size() == 2 ? vectors[1] : llvm::PoisonValue::get(vectors[0]->getType());
    return builder_.CreateShuffleVector(vectors[0], second, mask);
  }
  Value* result = llvm::PoisonValue::get(register_type(node.dtype));
  for (size_t i = 0; i < picks.size(); ++i)
    result = builder_.CreateInsertElement(result, pick_scalar(picks[i]), i);
  return result;
}

Value* Emitter::emit_integer_division(const Expr& a, const Expr& b, bool floor, bool quotient) {
  if (!a->dtype.is_integral())
    return unsupported("division of " + to_string(a->dtype) + " with rounding is not defined",
                       a->dtype);
  Value* x = emit(a);
  Value* y = emit(b);
  // A lane that is off may hold a zero: it must not trap.
  if (mask_ != nullptr && !constant_of(b)) {
    Value* on = lanes_of(mask_) == lanes_of(y) ? mask_ : builder_.CreateOrReduce(mask_);
    y = builder_.CreateSelect(on, y, llvm::ConstantInt::get(y->getType(), 1));
  }
  if (a->dtype.is_uint())
    return quotient ? builder_.CreateUDiv(x, y) : builder_.CreateURem(x, y);
  return emit_division(a, b, x, y, floor, quotient);
}

Value* Emitter::emit_extremum(const Expr& a, const Expr& b, bool minimum) {
  Value* x = emit(a);
  Value* y = emit(b);
  if (a->dtype.is_bool())
    return minimum ? builder_.CreateAnd(x, y) : builder_.CreateOr(x, y);
  return builder_.CreateBinaryIntrinsic(extremum(a->dtype, minimum), x, y);
}

llvm::Intrinsic::ID Emitter::extremum(DataType type, bool minimum) {
  if (type.is_uint())
    return minimum ? llvm::Intrinsic::umin : llvm::Intrinsic::umax;
  return minimum ? llvm::Intrinsic::smin : llvm::Intrinsic::smax;
}

Value* Emitter::compare(const Expr& a, const Expr& b, Order order) {
  using P = llvm::CmpInst::Predicate;
  static constexpr P kFloat[] = {P::FCMP_OEQ, P::FCMP_UNE, P::FCMP_OLT,
                                 P::FCMP_OLE, P::FCMP_OGT, P::FCMP_OGE};
  static constexpr P kSigned[] = {P::ICMP_EQ,  P::ICMP_NE,  P::ICMP_SLT,
                                  P::ICMP_SLE, P::ICMP_SGT, P::ICMP_SGE};
  static constexpr P kUnsigned[] = {P::ICMP_EQ,  P::ICMP_NE,  P::ICMP_ULT,
                                    P::ICMP_ULE, P::ICMP_UGT, P::ICMP_UGE};
  const auto which = static_cast<size_t>(order);
  if (a->dtype.is_floating()) {
    // Compared values are rounded ones.
    Value* x = emit(a);
    Value* y = emit(b);
    if (is_small_float(a->dtype)) {
      x = widen_float(x, a->dtype);
      y = widen_float(y, b->dtype);
    }
    return builder_.CreateFCmp(kFloat[which], x, y);
  }
  Value* x = emit(a);
  Value* y = emit(b);
  return builder_.CreateICmp(a->dtype.is_int() ? kSigned[which] : kUnsigned[which], x, y);
}

Value* Emitter::emit_logical(const Expr& a, const Expr& b, bool is_and) {
  const auto combine = [&](Value* x, Value* y) {
    return is_and ? builder_.CreateAnd(x, y) : builder_.CreateOr(x, y);
  };
  if (a->dtype.lanes > 1) {
    Value* x = emit(a);
    if (is_speculatable(b, 64))
      return combine(x, emit(b));
    Value* outer = mask_;
    Value* on = is_and ? x : builder_.CreateNot(x);
    mask_ = outer == nullptr ? on : builder_.CreateAnd(outer, on);
    Value* y = emit(b);
    mask_ = outer;
    return combine(x, y);
  }
  if (is_speculatable(b)) {
    Value* x = emit(a);
    return combine(x, emit(b));
  }
  return branch(
      a, [&]() -> Value* { return is_and ? emit(b) : builder_.getTrue(); },
      [&]() -> Value* { return is_and ? builder_.getFalse() : emit(b); });
}

Value* Emitter::emit_if_then_else(const Expr& condition, const Expr& yes, const Expr& no) {
  if (condition->dtype.lanes > 1) {
    Value* test = emit(condition);
    Value* outer = mask_;
    mask_ = outer == nullptr ? test : builder_.CreateAnd(outer, test);
    Value* a = emit(yes);
    Value* inverse = builder_.CreateNot(test);
    mask_ = outer == nullptr ? inverse : builder_.CreateAnd(outer, inverse);
    Value* b = emit(no);
    mask_ = outer;
    return builder_.CreateSelect(test, a, b);
  }
  if (is_speculatable(yes) && is_speculatable(no)) {
    Value* test = emit(condition);
    Value* a = emit(yes);
    return builder_.CreateSelect(test, a, emit(no));
  }
  return branch(
      condition, [&] { return emit(yes); }, [&] { return emit(no); });
}

} // namespace temper::codegen::emitter
