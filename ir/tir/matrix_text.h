/// The text that names a matrix instruction: its shape, and behind it what its operands are taken
/// for where the buffers' types do not say it.
///
///   "m16n8k16"              float16, bfloat16, as the buffers have them
///   "m16n8k32.i8"           int8, uint8
///   "m16n8k8.tf32"          float32, of which the lowest 13 bits do not count
///   "m16n8k32.e4m3.e5m2"    bytes that hold narrow floats: A's, then B's
///   "m64n128k32.e4m3.e4m3"  of wgmma
#pragma once

#include "ir/expr.h"
#include "ir/support/result.h"

#include <bit>
#include <string>

namespace temper::tir {

using namespace temper::ir; // NOLINT

enum class MatrixOperand : uint8_t { kAsStored, kTf32, kE4M3, kE5M2 };

struct MatrixText {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  MatrixOperand a = MatrixOperand::kAsStored;
  MatrixOperand b = MatrixOperand::kAsStored;
  std::string shape; ///< "m16n8k32"
  /// Between "mma." and ".A" in the names of mma.sync's fragments (ir/tir/fragments.h).
  std::string fragment;
};

/// kInvalidArgument for what is no such text.
Result<MatrixText> parse_matrix_text(const std::string& text);
/// What stands behind the shape for operands of these types; float32 is there for tf32.
std::string matrix_types(DataType a, DataType b);
/// "tf32", "e4m3", "e5m2"; of the others the type that is stored: "f16", "bf16", "s8", "u8".
std::string ptx_operand_type(MatrixOperand operand, DataType stored);

/// Of float32: what tf32 has of it.
inline float as_tf32(float value) {
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) & ~uint32_t{0x1fff});
}
/// The number that the operation reads, as float32 or as the stored type.
Expr matrix_operand_value(MatrixOperand operand, const Expr& stored);

} // namespace temper::tir
