/// The CPU's variants of tile operators, one file each. Private to ir/tir; a new one is a line here
/// and in variants.cpp.
#pragma once

#include "ir/tir/dispatch.h"

namespace temper::tir::cpu {

inline constexpr const char* kRegisterTile = "register_tile";
TileVariant gemm_register_tile();
/// Whether it lays this operand (0 or 1) of the product out anew, or takes it as it is in memory.
bool register_tile_lays_out(const TileCall& call, size_t operand, TileContext& context);
inline constexpr const char* kAmxProduct = "amx_bf16x3";
TileVariant gemm_amx();
/// True when the product's variant takes this operand (0 or 1) from where its tile comes from: to
/// lay it out anew, or as it is.
bool reads_through(const TileCall& call, size_t operand, TileContext& context);
TileVariant reduce_lanes_variant(const std::string& op);
TileVariant reduce_rows_variant(const std::string& op);
TileVariant lookup_shuffle();
TileVariant loops();

/// All, those to be preferred first.
std::vector<TileVariant> variants();

/// True when the region certainly lies in its buffer.
bool is_inside(const BufferRegion& region, Analyzer& math);
/// All operands in global memory do; the error says which one does not.
Result<void> check_inside(const TileCall& call, TileContext& context);

/// Integer loop bounds and indices are int32, as in the language.
inline Expr int32(int64_t value) { return make_int(DataType::int32(), value); }
inline Stmt loop_over(const Var& var, int64_t extent, ForKind kind, Stmt body,
                      Annotations annotations = {}) {
  return make_for(var, int32(0), int32(extent), kind, std::move(body), std::move(annotations));
}

} // namespace temper::tir::cpu
