#include "codegen/llvm/math.h"

#include "llvm/Analysis/VectorUtils.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/IntrinsicsX86.h"
#include "llvm/IR/Module.h"

#include <initializer_list>
#include <numeric>
#include <string>
#include <vector>

// The polynomials are minimax fits of relative error (Remez), made for these reductions; the error
// of each, in exact arithmetic, stands beside it. What the functions achieve in float, over all
// floats, is in README.md and tested by tests/codegen/math_slow_test.cpp.
//
// No operation here may be contracted or reordered by LLVM: results must be the same for a scalar
// and for every vector width. Where the machine has fused multiply-add, it is asked for by name.

namespace temper::codegen {
namespace {

using llvm::Value;

/// ln 2 in two parts: n * kLn2High is exact for |n| < 2^15.
constexpr double kLn2High = 0.693359375;
constexpr double kLn2Low = -2.12194440054690583e-4;
constexpr double kLog2E = 1.44269504088896341;
/// 1.5 * 2^23: adding it rounds a float of magnitude below 2^22 to an integer, found in the low
/// bits.
constexpr double kRound = 12582912.0;
/// Operand of AVX-512's instructions.
constexpr int kCurrentRounding = 4;

/// Builds code for one float type shape (float or <n x float>).
class Math {
public:
  Math(llvm::IRBuilderBase& builder, const MathTarget& target, llvm::Type* type)
      : b_(builder), guard_(builder), target_(target), type_(type) {
    b_.setFastMathFlags(llvm::FastMathFlags());
    int_type_ = b_.getInt32Ty();
    if (const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type))
      int_type_ = llvm::FixedVectorType::get(int_type_, vector->getNumElements());
  }

  Value* exp(Value* x) {
    // Beyond these the result is infinity or zero anyway; NaN passes (comparisons are false).
    x = clamp(x, -104.0, 89.0);
    const auto [n_bits, n] = round_to_int(x, kLog2E);
    Value* r = fma(n, real(-kLn2Low), fma(n, real(-kLn2High), x));
    return scale(exp_polynomial(r), n_bits, n);
  }

  Value* exp2(Value* x) {
    // (2^r - 1) / r, error 2^-28.9
    const auto power = [&](Value* r) {
      Value* p = horner(r, {0.693147182, 0.240226477, 0.0555033199, 0.00961843878, 0.00133990031,
                            0.000153532601});
      return fma(p, r, real(1));
    };
    // Neither of the two instructions needs a bound: of what is too large nothing is left over.
    if (Value* r = rest_by_instruction(x))
      return scale_by_instruction(power(r), b_.CreateFSub(x, r));
    x = clamp(x, -151.0, 129.0);
    const auto [n_bits, n] = round_to_int(x, 1.0);
    return scale(power(b_.CreateFSub(x, n)), n_bits, n);
  }

  Value* exp10(Value* x) {
    x = clamp(x, -45.5, 39.0);
    const auto [n_bits, n] = round_to_int(x, 3.32192809488736235);
    // log10(2) in two parts, the first with 9 significant bits
    Value* r = fma(n, real(-0.000248745664), fma(n, real(-0.30078125), x));
    // 10^r = e^(r ln 10), and ln 10 in two parts as well
    Value* scaled = fma(r, real(2.30258509), b_.CreateFMul(r, real(3.1975436e-8)));
    return scale(exp_polynomial(scaled), n_bits, n);
  }

  Value* log(Value* x) { return log_of_any_base(x, kLn2High, kLn2Low, 1.0, 0.0); }
  Value* log2(Value* x) { return log_of_any_base(x, 1.0, 0.0, 1.44269502, 1.92596303e-8); }
  Value* log10(Value* x) {
    return log_of_any_base(x, 0.30078125, 0.000248745664, 0.434294492, -1.01030635e-8);
  }

  Value* log1p(Value* x) {
    // log(1 + x) where 1 + x is rounded, plus what the rounding lost over 1 + x.
    Value* u = b_.CreateFAdd(x, real(1));
    Value* lost =
        b_.CreateSelect(b_.CreateFCmpOGE(x, real(1)), b_.CreateFSub(real(1), b_.CreateFSub(u, x)),
                        b_.CreateFSub(x, b_.CreateFSub(u, real(1))));
    Value* base = log(u);
    Value* corrected = b_.CreateFAdd(base, b_.CreateFDiv(lost, u));
    // -1, below it, infinity and NaN: log(u) is the answer already.
    Value* ordinary = b_.CreateAnd(b_.CreateFCmpOGT(u, real(0)), b_.CreateFCmpOLT(u, infinity()));
    Value* result = b_.CreateSelect(ordinary, corrected, base);
    // Keeps the sign of zero.
    return b_.CreateSelect(b_.CreateFCmpOEQ(x, real(0)), x, result);
  }

  Value* tanh(Value* x) {
    // e = exp(2|x|) - 1 without cancellation; tanh = e / (e + 2). From 10 on it rounds to 1.
    Value* a = minimum(abs(x), real(10));
    Value* t = b_.CreateFAdd(a, a);
    const auto [n_bits, n] = round_to_int(t, kLog2E);
    Value* r = fma(n, real(-kLn2Low), fma(n, real(-kLn2High), t));
    Value* p = fma(exp_tail(r), b_.CreateFMul(r, r), r);
    Value* power = power_of_two(n_bits);
    Value* e = fma(power, p, b_.CreateFSub(power, real(1)));
    return copy_sign(b_.CreateFDiv(e, b_.CreateFAdd(e, real(2))), x);
  }

  Value* sigmoid(Value* x) {
    // exp of a negative number on both sides: no overflow, and full accuracy down to the
    // subnormals.
    Value* e = exp(b_.CreateFNeg(abs(x)));
    Value* numerator = b_.CreateSelect(b_.CreateFCmpOLT(x, real(0)), e, real(1));
    return b_.CreateFDiv(numerator, b_.CreateFAdd(e, real(1)));
  }

  Value* erf(Value* x) {
    Value* a = abs(x);
    // |x| < 0.9: x + x q(x^2), error 2^-31.7
    Value* z = b_.CreateFMul(x, x);
    Value* q = horner(z, {1.12837923 - 1.0, -0.376126349, 0.112837166, -0.0268605575, 0.00520395767,
                          -0.000817660242, 8.51673685e-05});
    Value* small = fma(q, x, x);
    // else 1 - exp(-h(|x|)), where h fits -ln erfc; error 2^-33.8 of the result. At 4 it is 1.
    Value* c = minimum(a, real(4));
    Value* h = horner(c, {-0.000166378202, 1.12947464, 0.63342917, 0.108188793, -0.0250599328,
                          0.00414831191, -0.00042973776, 2.06841323e-05});
    Value* large = copy_sign(b_.CreateFSub(real(1), exp(b_.CreateFNeg(h))), x);
    return b_.CreateSelect(b_.CreateFCmpOLT(a, real(0.9)), small, large);
  }

  Value* rsqrt(Value* x) {
    return b_.CreateFDiv(real(1), b_.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x));
  }

  /// x to a constant power that needs no logarithm; null otherwise.
  Value* simple_power(Value* x, Value* y) {
    auto* constant = llvm::dyn_cast<llvm::Constant>(y);
    if (constant != nullptr && constant->getType()->isVectorTy())
      constant = constant->getSplatValue();
    const auto* number = llvm::dyn_cast_or_null<llvm::ConstantFP>(constant);
    if (number == nullptr)
      return nullptr;
    if (number->isExactlyValue(1.0))
      return x;
    if (number->isExactlyValue(2.0))
      return b_.CreateFMul(x, x);
    if (number->isExactlyValue(3.0))
      return b_.CreateFMul(b_.CreateFMul(x, x), x);
    if (number->isExactlyValue(-1.0))
      return b_.CreateFDiv(real(1), x);
    return nullptr;
  }

  /// Calls libm's function for each lane.
  Value* call_libm(std::string_view name, std::span<Value* const> args) {
    llvm::Type* scalar = type_->getScalarType();
    std::string symbol(name);
    if (scalar->isFloatTy())
      symbol += 'f';
    std::vector<llvm::Type*> parameters(args.size(), scalar);
    llvm::Module* module = b_.GetInsertBlock()->getModule();
    auto callee =
        module->getOrInsertFunction(symbol, llvm::FunctionType::get(scalar, parameters, false));
    if (auto* function = llvm::dyn_cast<llvm::Function>(callee.getCallee())) {
      function->addFnAttr(llvm::Attribute::NoUnwind);
      function->addFnAttr(llvm::Attribute::WillReturn);
      function->setDoesNotAccessMemory(); // errno is nobody's here
    }
    const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type_);
    if (vector == nullptr)
      return b_.CreateCall(callee, llvm::ArrayRef(args.data(), args.size()));
    Value* result = llvm::PoisonValue::get(type_);
    for (unsigned lane = 0; lane < vector->getNumElements(); ++lane) {
      std::vector<Value*> lanes;
      for (Value* arg : args)
        lanes.push_back(b_.CreateExtractElement(arg, lane));
      result = b_.CreateInsertElement(result, b_.CreateCall(callee, lanes), lane);
    }
    return result;
  }

private:
  llvm::Constant* real(double value) { return llvm::ConstantFP::get(type_, value); }
  llvm::Constant* integer(uint32_t value) { return llvm::ConstantInt::get(int_type_, value); }
  llvm::Constant* infinity() { return llvm::ConstantFP::getInfinity(type_); }
  Value* bits(Value* x) { return b_.CreateBitCast(x, int_type_); }
  Value* from_bits(Value* x) { return b_.CreateBitCast(x, type_); }
  Value* abs(Value* x) { return b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x); }
  Value* copy_sign(Value* magnitude, Value* sign) {
    return b_.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, magnitude, sign);
  }
  /// NaN stays NaN: a comparison with it is false, and x is kept.
  Value* minimum(Value* x, Value* limit) {
    return b_.CreateSelect(b_.CreateFCmpOGT(x, limit), limit, x);
  }
  Value* clamp(Value* x, double low, double high) {
    x = b_.CreateSelect(b_.CreateFCmpOLT(x, real(low)), real(low), x);
    return minimum(x, real(high));
  }
  Value* fma(Value* a, Value* b, Value* c) {
    if (target_.has_fma)
      return b_.CreateIntrinsic(type_, llvm::Intrinsic::fma, {a, b, c});
    return b_.CreateFAdd(b_.CreateFMul(a, b), c);
  }
  /// c0 + c1 x + c2 x^2 + ...
  Value* horner(Value* x, std::initializer_list<double> coefficients) {
    const double* c = coefficients.end() - 1;
    Value* sum = real(*c);
    while (c != coefficients.begin())
      sum = fma(sum, x, real(*--c));
    return sum;
  }

  /// x * factor rounded to an integer: as the low bits of an integer, and as a float.
  std::pair<Value*, Value*> round_to_int(Value* x, double factor) {
    Value* shifted =
        factor == 1.0 ? b_.CreateFAdd(x, real(kRound)) : fma(x, real(factor), real(kRound));
    Value* n_bits = b_.CreateSub(bits(shifted), integer(0x4b400000)); // the bits of kRound
    return {n_bits, b_.CreateFSub(shifted, real(kRound))};
  }
  /// (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2, error 2^-28.3 of e^r
  Value* exp_tail(Value* r) {
    return horner(r, {0.49999994, 0.166665196, 0.0416683927, 0.00836878084, 0.00138144649});
  }
  Value* exp_polynomial(Value* r) {
    return fma(exp_tail(r), b_.CreateFMul(r, r), b_.CreateFAdd(r, real(1)));
  }
  /// 2^n for n in [-126, 127]
  Value* power_of_two(Value* n) {
    return from_bits(b_.CreateShl(b_.CreateAdd(n, integer(127)), integer(23)));
  }
  /// x * 2^n, n as an integer and as a float. One instruction of AVX-512, else two steps, so that
  /// subnormal results are rounded once and 2^128 is no infinity: the same values.
  Value* scale(Value* x, Value* n_bits, Value* n) {
    if (Value* scaled = scale_by_instruction(x, n))
      return scaled;
    Value* half = b_.CreateAShr(n_bits, integer(1));
    Value* rest = b_.CreateSub(n_bits, half);
    return b_.CreateFMul(b_.CreateFMul(x, power_of_two(half)), power_of_two(rest));
  }
  /// Null where the machine has none for as many lanes.
  Value* scale_by_instruction(Value* x, Value* n) {
    return by_registers(x, [&](const std::vector<int>& lanes, Value* none) {
      return b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_scalef_ps_512, {},
                                {b_.CreateShuffleVector(x, lanes), b_.CreateShuffleVector(n, lanes),
                                 none, b_.getInt16(0xffff), b_.getInt32(kCurrentRounding)});
    });
  }
  /// x less the nearest integer (the even one of two); 0 for infinities. Null as above.
  Value* rest_by_instruction(Value* x) {
    if (!target_.has_avx512dq)
      return nullptr;
    return by_registers(x, [&](const std::vector<int>& lanes, Value* none) {
      constexpr int kToNearestQuietly = 8;
      return b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_reduce_ps_512, {},
                                {b_.CreateShuffleVector(x, lanes), b_.getInt32(kToNearestQuietly),
                                 none, b_.getInt16(0xffff), b_.getInt32(kCurrentRounding)});
    });
  }
  /// What `make` makes of the lanes of each register of AVX-512; null where x does not fill any.
  template <typename Make> Value* by_registers(Value* x, Make&& make) {
    constexpr unsigned kLanes = 16;
    const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(x->getType());
    if (!target_.has_avx512 || vector == nullptr || vector->getNumElements() % kLanes != 0)
      return nullptr;
    Value* none =
        llvm::Constant::getNullValue(llvm::FixedVectorType::get(type_->getScalarType(), kLanes));
    std::vector<Value*> parts;
    for (unsigned first = 0; first < vector->getNumElements(); first += kLanes) {
      std::vector<int> lanes(kLanes);
      std::iota(lanes.begin(), lanes.end(), static_cast<int>(first));
      parts.push_back(make(lanes, none));
    }
    return llvm::concatenateVectors(b_, parts);
  }

  /// e * (high + low) + ln(m) * (factor + factor_low), where x = m 2^e and m in [2/3, 4/3).
  Value* log_of_any_base(Value* x, double high, double low, double factor, double factor_low) {
    Value* subnormal = b_.CreateFCmpOLT(x, real(0x1p-126));
    Value* normal = b_.CreateSelect(subnormal, b_.CreateFMul(x, real(0x1p23)), x);
    Value* raw = bits(normal);
    Value* exponent = b_.CreateAShr(b_.CreateSub(raw, integer(0x3f2aaaab)), integer(23)); // 2/3
    Value* m = from_bits(b_.CreateSub(raw, b_.CreateShl(exponent, integer(23))));
    Value* e = b_.CreateSIToFP(exponent, type_);
    e = b_.CreateSelect(subnormal, b_.CreateFSub(e, real(23)), e);

    Value* f = b_.CreateFSub(m, real(1));
    Value* square = b_.CreateFMul(f, f);
    // (ln(1 + f) - f + f^2 / 2) / f^3, error 2^-30.1 of ln(1 + f)
    Value* p = horner(f, {0.333333343, -0.249998197, 0.19999598, -0.16679576, 0.143044412,
                          -0.121958055, 0.107544273, -0.128449365, 0.120063841});
    Value* tail = fma(b_.CreateFMul(square, f), p, b_.CreateFMul(square, real(-0.5)));
    Value* result = nullptr;
    if (factor == 1.0) {
      tail = fma(e, real(low), tail);
      result = fma(e, real(high), b_.CreateFAdd(f, tail));
    } else {
      // The leading part f * factor with its rounding error kept, then the rest.
      Value* leading = b_.CreateFMul(f, real(factor));
      Value* error = target_.has_fma ? fma(f, real(factor), b_.CreateFNeg(leading)) : real(0);
      Value* rest = fma(tail, real(factor), fma(f, real(factor_low), error));
      if (low != 0)
        rest = fma(e, real(low), rest);
      result = fma(e, real(high), b_.CreateFAdd(leading, rest));
    }
    // Zero, negative numbers, infinity and NaN.
    result = b_.CreateSelect(b_.CreateFCmpOEQ(x, real(0)), b_.CreateFNeg(infinity()), result);
    result = b_.CreateSelect(b_.CreateFCmpOLT(x, real(0)), llvm::ConstantFP::getNaN(type_), result);
    return b_.CreateSelect(b_.CreateFCmpULT(x, infinity()), result_or_nan(x, result), x);
  }
  Value* result_or_nan(Value* x, Value* result) {
    return b_.CreateSelect(b_.CreateFCmpUNO(x, x), x, result);
  }

  llvm::IRBuilderBase& b_;
  llvm::IRBuilderBase::FastMathFlagGuard guard_;
  const MathTarget& target_;
  llvm::Type* type_;
  llvm::Type* int_type_;
};

} // namespace

Value* emit_math(llvm::IRBuilderBase& builder, const MathTarget& target, std::string_view name,
                 std::span<Value* const> args) {
  Value* x = args[0];
  Math math(builder, target, x->getType());
  if (name == "rsqrt")
    return math.rsqrt(x);
  if (name == "pow")
    if (Value* power = math.simple_power(x, args[1]))
      return power;
  if (x->getType()->getScalarType()->isFloatTy()) {
    using Unary = Value* (Math::*)(Value*);
    static constexpr std::pair<std::string_view, Unary> kInline[] = {
        {"exp", &Math::exp},         {"exp2", &Math::exp2}, {"exp10", &Math::exp10},
        {"log", &Math::log},         {"log2", &Math::log2}, {"log10", &Math::log10},
        {"log1p", &Math::log1p},     {"tanh", &Math::tanh}, {"erf", &Math::erf},
        {"sigmoid", &Math::sigmoid},
    };
    for (const auto& [op, function] : kInline)
      if (op == name)
        return (math.*function)(x);
  }
  if (name == "sigmoid") {
    Value* negative = builder.CreateFNeg(x);
    Value* e = math.call_libm("exp", {&negative, 1});
    Value* one = llvm::ConstantFP::get(x->getType(), 1);
    return builder.CreateFDiv(one, builder.CreateFAdd(one, e));
  }
  return math.call_libm(name, args);
}

} // namespace temper::codegen
