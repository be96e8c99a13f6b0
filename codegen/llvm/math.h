/// Private to codegen/llvm: math functions as LLVM IR, for scalars and vectors of any width alike.
#pragma once

#include <span>
#include <string_view>

namespace llvm {
class IRBuilderBase;
class Value;
} // namespace llvm

namespace temper::codegen {

struct MathTarget {
  bool has_fma = true;
  bool has_avx512 = false;
  bool has_avx512dq = false;
};

/// The value of op `name` (ir/op.h: exp, tanh, pow, ...) on float or double operands of one type.
/// float32: exp, exp2, exp10, log, log2, log10, log1p, tanh, sigmoid, erf, sqrt and rsqrt are
/// inline code whose result does not depend on the vector's width; the others, and float64, call
/// libm lane by lane. Null for an op that is no math function.
llvm::Value* emit_math(llvm::IRBuilderBase& builder, const MathTarget& target,
                       std::string_view name, std::span<llvm::Value* const> args);

} // namespace temper::codegen
