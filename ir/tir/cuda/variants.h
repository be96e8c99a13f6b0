/// The variants of tile operators for GPUs by CUDA, one file each: code of threads. Private to
/// ir/tir; a new one is a line here and in variants.cpp.
#pragma once

#include "ir/tir/dispatch.h"

namespace temper::tir::cuda {

TileVariant gemm_mma();
TileVariant gemm_wgmma();
TileVariant gemm_mfma();
TileVariant copy_async();
TileVariant copy_tma();
TileVariant store_tma();
TileVariant copy_stmatrix();
TileVariant copy_vector();
/// Of one of the operators T.reduce_*.
TileVariant reduce_shuffle(const char* op);
TileVariant reduce_shared(const char* op);
TileVariant threads();

/// The swizzle of 128, 64 or 32 bytes, or 0, with which the tiles of a buffer in shared memory lie
/// as TMA writes them and wgmma reads them; nothing where they lie in another way.
std::optional<int> tile_swizzle(const Buffer& buffer, const GpuKernel& gpu);
/// The extents of a buffer, where all are constant.
std::optional<std::vector<int64_t>> constant_shape(const Buffer& buffer);

/// The knob of an operand's XOR swizzle in shared memory, the widest first.
TileKnob swizzle_knob(const char* name, const BufferRegion& region);
/// Those of a product's operands in shared memory, where 0, none at all, is a choice, too.
void add_operand_swizzles(const TileCall& call, std::vector<TileKnob>& knobs);

/// It lies in the registers of threads.
bool is_fragment(const BufferRegion& region);

/// The predicate of a variant whose analysis of a call says whether it fits, and if not, why.
template <auto analysis> Result<void> succeeds(const TileCall& call, TileContext& context) {
  TEMPER_TRY_VOID(analysis(call, context));
  return {};
}

/// All, those to be preferred first.
std::vector<TileVariant> variants();

inline Expr int32(int64_t value) { return make_int(DataType::int32(), value); }
/// Coordinates of a row-major number.
std::vector<Expr> coordinate(const Expr& number, const std::vector<int64_t>& shape);
/// for var in range(extent); the one iteration alone where it is one.
Stmt unrolled(const Var& var, int64_t extent, const Stmt& body);

} // namespace temper::tir::cuda
