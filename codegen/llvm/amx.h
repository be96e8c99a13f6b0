/// x86's matrix extension: T.amx_multiply_add as a function of the module.
#pragma once

#include "ir/dtype.h"

#include <span>

namespace llvm {
class Function;
class Module;
} // namespace llvm

namespace temper::codegen {

/// What a product has in common with the one before it. If it is an operand, both take their steps,
/// of which they have as many, together, and the operand is loaded once.
enum class AmxShared { kNothing, kA, kB };

/// C[rows, 32] += A[rows, 64 * steps bytes] * B[16 * steps, 128 bytes], each row `stride` bytes
/// behind the other, for as many pairs of A and B as `products` has entries, between which C stays
/// in registers; `rows` is 1 to 32. Made once a module:
///
///   void (ptr c, i64 c_stride, i1 start, (ptr a, i64 a_stride, ptr b, i64 b_stride, i64 steps)...)
///
/// `start`: the sums start from zero, and what is in C does not count.
/// Null when no instruction multiplies these types.
llvm::Function* amx_multiply_add(llvm::Module& module, DataType a, DataType b, int rows,
                                 std::span<const AmxShared> products);

/// To be called once the module is complete: each function that calls such products (of a parallel
/// loop, the body that each thread calls) configures the tile registers on entry, which costs as
/// much as a dozen products of tiles, and releases them before it returns; where its products have
/// numbers of rows that need different ones (those of 8 rows and of 32), each of them does. The
/// first one of a process asks the kernel (Linux) for leave to use them.
void amx_configure(llvm::Module& module);

} // namespace temper::codegen
