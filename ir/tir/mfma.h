/// AMD's matrix instructions (MFMA of CDNA 3): a wave of 64 threads computes C += A B, square in m
/// and n, and each thread holds parts of rows and columns in its registers:
///
///   m = n = 32, float16: A (m, k): row = thread % 32, k = 4 * (thread / 32) + register
///                        C (m, n): column = thread % 32,
///                                  row = 8 * (register / 4) + 4 * (thread / 32) + register % 4
///
/// B lies as A does with its column for the row. With m = n = 16 there are four groups of threads
/// along k. ("AMD Instinct MI300 CDNA 3 Instruction Set Architecture", matrix arithmetic.)
#pragma once

#include "ir/tir/fragments.h"

#include <string>

namespace temper::tir {

struct MfmaShape {
  int64_t m = 16; ///< and n: 16 or 32
  int64_t k = 16;
  int64_t groups() const { return 64 / m; }    ///< of threads along k
  int64_t per() const { return k / groups(); } ///< elements of A, or of B, that a thread holds
  int64_t sums() const { return m * m / 64; }  ///< elements of C that a thread holds
};

/// m = 16 or 32; elements of 16 bits (float16, bfloat16) or 8 (int8). The error names what there
/// is.
Result<MfmaShape> mfma_shape(int64_t m, int element_bits);
/// "f32_16x16x16_f16", as the instruction is called: sums, shape, operands. kUnsupported for types
/// that have none.
Result<std::string> mfma_text(const MfmaShape& shape, DataType sums, DataType a, DataType b);
/// Its shape again.
Result<MfmaShape> parse_mfma_text(const std::string& text);

/// Fragments of one instruction, over the axis "thread" of 64: (m, n), (m, k), (k, n).
Layout mfma_sums(const MfmaShape& shape);
Layout mfma_a(const MfmaShape& shape);
Layout mfma_b(const MfmaShape& shape);

/// Fragments of a block: rows * columns waves, wave = row * columns + column.
Result<Layout> mfma_accumulator(int64_t m, int64_t n, WarpGrid waves, const MfmaShape& shape);
Result<Layout> mfma_operand_a(int64_t m, int64_t k, WarpGrid waves, const MfmaShape& shape);
Result<Layout> mfma_operand_b(int64_t k, int64_t n, WarpGrid waves, const MfmaShape& shape);

/// Annotation of T.gemm: m of its instruction, 16 or 32.
inline constexpr const char* kMfmaRows = "mfma_rows";
/// What a product of m x n by so many waves takes where nothing is said: 32, else 16.
int64_t mfma_rows(int64_t m, int64_t n, int64_t waves);

} // namespace temper::tir
