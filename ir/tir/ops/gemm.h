/// The shape of a T.gemm call, for its variants.
#pragma once

#include "ir/tir/tile_ops.h"

namespace temper::tir::ops {

struct GemmShape {
  Expr m;
  Expr n;
  Expr k;
  bool transpose_a = false;
  bool transpose_b = false;
};

/// An error says in one sentence which operands do not fit.
Result<GemmShape> gemm_shape(const TileCall& call);

/// The shape where it is constant.
struct GemmExtents {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
};
Result<GemmExtents> gemm_extents(const TileCall& call);

/// Annotation of a serial loop around a T.Parallel: what its rounds share, none of them writes, so
/// that threads need not meet in it.
inline constexpr const char* kRounds = "temper.rounds";
/// The same as one T.Parallel for each column of A and row of B, so that of C, which must be a whole
/// fragment, a thread has its part in registers and uses what it reads for all of it; null where C
/// is none, or an operand is a fragment.
Stmt gemm_rounds(const TileCall& call);

/// What tensor cores multiply the call's operands as.
enum class TensorTypes : uint8_t {
  kNone,
  kHalf,   ///< float16 or bfloat16 into float32, float16 into float16
  kTf32,   ///< float32 into float32, where the call allows it (allow_tf32)
  kFloat8, ///< float8, of either kind, into float32
  kBytes   ///< int8 or uint8 into int32
};
/// The error says which there are.
Result<TensorTypes> tensor_types(const TileCall& call);

} // namespace temper::tir::ops
