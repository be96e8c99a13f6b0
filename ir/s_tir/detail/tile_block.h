/// What blockize of several blocks, read_at and write_at share: a statement becomes the body of a
/// new block, in which each loop around it is an axis.
///
///   for i0, k0 in ..:                             for i0, k0 in ..:
///       for ax0, ax1 in T.grid(16, 8):                with T.sblock("A_shared"):
///           with T.sblock("A_shared_copy"):   →           v_i0, v_k0 = T.axis.remap("SS", ..)
///               v0 = ..(i0 * 16 + ax0)                    for ax0, ax1 in T.grid(16, 8):
///               ...                                           ... v0 = ..(v_i0 * 16 + ax0)
#pragma once

#include "ir/s_tir/primitives/common.h"

namespace temper::s_tir {

struct TileBlock {
  Block block;
  Stmt realize;
};

/// `around` leads to where `stmt` stands, which is not part of it. An axis is spatial or a
/// reduction when that is what the blocks below make of its loop, and opaque where they differ. An
/// error for loops on threads inside, for loops around whose range is not constant, and for blocks
/// inside that exchange something between iterations of the loops around.
Result<TileBlock> make_tile_block(const Context& context, const Value& at,
                                  std::span<const Stmt> around, const Stmt& stmt,
                                  const std::string& name);

/// Whether a tile is copied in front of what reads it (read_at) or behind what writes it
/// (write_at).
enum class TileCopy : uint8_t { kRead, kWrite };
/// Arguments: inputs loop, block; attrs buffer index, storage scope.
Result<Applied> copy_tile_at(const Context& context, const Arguments& arguments, TileCopy which);
std::vector<Arguments> enumerate_tile_copies(const Context& context, const Value& handle,
                                             TileCopy which);

} // namespace temper::s_tir
