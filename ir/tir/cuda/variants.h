/// The variants of tile operators for GPUs by CUDA, one file each: code of threads. Private to
/// ir/tir; a new one is a line here and in variants.cpp.
#pragma once

#include "ir/tir/dispatch.h"

namespace temper::tir::cuda {

TileVariant gemm_mma();
TileVariant copy_async();
TileVariant threads();

/// All, those to be preferred first.
std::vector<TileVariant> variants();

inline Expr int32(int64_t value) { return make_int(DataType::int32(), value); }
/// for var in range(extent); the one iteration alone where it is one.
Stmt unrolled(const Var& var, int64_t extent, const Stmt& body);

} // namespace temper::tir::cuda
