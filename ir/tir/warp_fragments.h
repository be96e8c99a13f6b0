/// Tiles that a warp holds in its registers, for mma.sync: the operations that tensorized blocks of
/// s-tir become (ir/s_tir/TENSOR_INTRINSICS.md), and their lowering to those of ir/tir/emulator.
///
///   A: "wmma.matrix_a" (64, 32)                          A: local (4, 2, 8)
///   warp_load_matrix(A[16, 0], A[31, 15],                ptx_ldmatrix(A[1, 0, 0],
///                    S[16, 0], S[31, 15], "m16n8k16.A") ->   S[16 + tx % 16, tx // 16 * 8], 4, 0)
///
/// An operand is named by its first and its last element: the last two dimensions are the tile's.
/// The text says which operand of which instruction the registers hold, with "t" behind it where
/// the tile's rows are the fragment's columns; a tile may be of several fragments side by side.
///   warp_load_matrix(F, F.last, M, M.last, text)      F = M, from shared or global memory
///   warp_fill(F, F.last, value, text)                 every element of F
///   warp_store_matrix(M, M.last, F, F.last, text)     M = F
///   warp_mma(C, C.last, A, A.last, B, B.last, text)   C += A B; text: "m16n8k16.A.B", "..At.Bt"
/// Of a fragment in "warp" the last two dimensions are the 32 lanes and what each of them has, as
/// TVM lays them out (lane_element). All lanes of a warp take part: threadIdx.x runs over its 32
/// threads.
#pragma once

#include "ir/function.h"
#include "ir/support/result.h"
#include "ir/tir/stmt.h"

#include <array>

namespace temper::tir {

using namespace temper::ir; // NOLINT

bool is_warp_operation(const Call& call);
/// Which arguments name elements that it writes.
bool writes_argument(const Call& call, size_t index);

/// Its operands are tiles: two elements each of one buffer, of two dimensions at least.
bool names_tiles(const Call& call);

/// Where in TVM's form of a fragment an element of a tile lies: the lane, and which of its
/// `of_lane` elements it is. `down`: of a tile of 32 rows and 16 columns.
std::array<Expr, 2> lane_element(const Expr& row, const Expr& column, int64_t of_lane, bool down);

/// What it computes, as loops over the tiles' elements: fragments are memory like any other.
Stmt warp_as_loops(const Call& call);

/// Every operation as the instructions of a lane, fragments as its registers. kUnsupported names
/// the buffer whose tiles are held in two ways, or that something else than such an operation
/// touches.
Result<PrimFunc> lower_warp_fragments(const PrimFunc& function);

} // namespace temper::tir
