/// Sums of float8 products in float32 proper.
///
/// The tensor cores of sm_89 and sm_90 keep about 13 bits behind the leading one of a sum of float8
/// products, and cut off what is below them with each instruction. Two programs found so:
/// arXiv:2412.19437 (section 3.3.2: up to 2 % off at K = 4096) and arXiv:2411.10958 (section 3.3).
/// Later architectures keep more. A T.gemm may say how many products may be summed like that
/// (max_num_imprecise_acc); then what each call sums is added to C in float32:
///
///   T.gemm(A_shared, B_shared, C, max_num_imprecise_acc=128)
///     -> T.gemm(A_shared, B_shared, C_part, clear_accum=True)
///        for i, j in T.Parallel(64, 64):
///            C[i, j] = C[i, j] + C_part[i, j]
#pragma once

#include "ir/function.h"
#include "ir/tir/stmt.h"

namespace temper::tir {

/// Option of a T.gemm: products of a sum; 0: all of them. Not less than the call's own K.
inline constexpr const char* kImpreciseSums = "max_num_imprecise_acc";

/// Bits behind the leading one that such a sum keeps, and how many products an instruction adds.
inline constexpr int kFloat8SumBits = 13;
inline constexpr int kFloat8Step = 32;

/// Whether sums of float8 products lose bits in tensor cores of the architecture
/// (ir/tir/gpu_architecture.h).
constexpr bool has_imprecise_float8(int architecture) {
  return architecture >= 89 && architecture < 100;
}

/// As above; the function itself where it asks for none of it or the architecture needs none.
PrimFunc promote_sums(const PrimFunc& function, int architecture);

} // namespace temper::tir
