/// Layouts of the hardware's matrix operations, by name: which lane holds which element of an
/// operand in which register, and how tiles lie in shared memory for TMA, ldmatrix and wgmma.
///
/// The facts are those of the PTX ISA's figures ("Matrix fragments for mma...", "Register fragments
/// and shared memory matrix layouts for wgmma", "Tensor swizzling modes"). Registers are counted in
/// elements, as the figures' a0, a1, ... do: two float16 values share a 32-bit register.
#pragma once

#include "ir/tir/layout.h"

namespace temper::tir {

/// One operand of one instruction.
struct HardwareFragment {
  std::string name;     ///< "mma.m16n8k16.A", "ldmatrix.x4.trans", "wgmma.k16.A"
  int element_bits = 0; ///< of the data types that have this layout; 0: any
  Layout layout;        ///< over (m, k), (k, n) or (m, n); ldmatrix: (matrix, row, column)
  std::string about;    ///< "float16, bfloat16"
};

/// All of them, in the order of the documentation. wgmma's accumulators are made by
/// wgmma_accumulator().
const std::vector<HardwareFragment>& hardware_fragments();
/// Also "wgmma.m64n<N>.D". The error names the nearest one.
Result<Layout> hardware_fragment(const std::string& name);

/// What ldmatrix of 1, 2 or 4 matrices with such elements is called: rows are 16 bytes, and only
/// elements of 16 bits may be transposed.
std::string ldmatrix_fragment(int64_t count, bool transposed, int element_bits);

/// A of wgmma in registers, for operands of such bits: "wgmma.k16.A".
Result<Layout> wgmma_operand_a(int element_bits);
/// D of wgmma m64nNk*: 64 x n over the four warps of a warpgroup; n a multiple of 8 up to 256.
Result<Layout> wgmma_accumulator(int64_t n);
/// Which lane gives the address of which row to ldmatrix and stmatrix: (matrix, row) -> lane.
/// `count` is 1, 2 or 4.
Layout ldmatrix_addresses(int count);

/// The instruction shape m x n x k of mma.sync for operands of `bits` bits.
struct MmaShape {
  int64_t m = 16;
  int64_t n = 8;
  int64_t k = 16;
};
/// The largest k that all three fragments have: 16 for 16 bits, 8 for 32 (tf32), 32 for 8.
Result<MmaShape> mma_shape(int element_bits);

/// How warps share a block tile of a matrix product (T.gemm's policy).
struct WarpGrid {
  int64_t rows = 1; ///< warps along m
  int64_t columns = 1;
};
/// Fragments of a whole block: m x n accumulators, m x k and k x n operands held in registers by
/// `warps.rows * warps.columns` warps of mma.sync; operands are held by all warps that need them.
/// Warp number = row * columns + column. Extents must be multiples of the instruction's.
Result<Layout> mma_accumulator(int64_t m, int64_t n, WarpGrid warps, int element_bits = 16);
Result<Layout> mma_operand_a(int64_t m, int64_t k, WarpGrid warps, int element_bits = 16);
Result<Layout> mma_operand_b(int64_t k, int64_t n, WarpGrid warps, int element_bits = 16);

/// XOR modes of TMA and wgmma: chunks of 16 bytes are permuted within rows of `bytes` = 32, 64 or
/// 128 (0: none), by the row number; for elements of `element_bits` bits.
Result<XorSwizzle> tma_swizzle(int bytes, int element_bits);
/// The shared-memory tile of `rows` x `columns` elements as TMA writes and wgmma and ldmatrix read
/// it: columns side by side in rows of `swizzle_bytes`, further columns in a next box of all rows.
/// For wgmma the rows are m or n (K-major) or k (MN-major). With swizzle_bytes = 0 a plain
/// row-major tile.
Result<Layout> swizzled_tile(int64_t rows, int64_t columns, int element_bits, int swizzle_bytes);
/// The widest mode that the row's length allows: 128, 64, 32, or 0 where a row is no multiple of 32
/// bytes.
int widest_swizzle(int64_t columns, int element_bits);

} // namespace temper::tir
