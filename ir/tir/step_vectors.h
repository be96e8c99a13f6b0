/// Vectors in the steps of tile programs: where neighbouring registers of a thread stand for
/// neighbouring elements, what the step reads and writes of memory moves 2, 4, 8 or 16 bytes at
/// a time.
///
///   for i, j in T.Parallel(4, 1024):          for q in range(4):
///     y[i, j] = W[bx * 4 + i, j] * x[j]         T.copy_vector(W_vector[0], W[bx * 4 + q, tx * 8],
///     8)
///                                        ->     T.copy_vector(x_vector[0], x[tx * 8], 8)
///                                               for j in T.unroll(8):
///                                                 y[q * 8 + j] = W_vector[j] * x_vector[j]
#pragma once

#include "ir/function.h"
#include "ir/tir/layout.h"
#include "ir/tir/stmt.h"

namespace temper::tir {

/// Of elements by (thread, register), as inverse() gives them: the largest power of two, at most
/// `most`, of registers that hold neighbours from each multiple of it, all of one row of `row`
/// elements.
int64_t neighbouring_registers(const Layout& elements, int64_t row, int64_t most);

/// Bits of the widest elements in memory that a step's body reads or writes side by side as `last`,
/// the variable of its innermost loop, counts up, at least 8; 0: there are none.
int exchanged_bits(const Stmt& body, const Var& last);

/// Vectorized loops of the kernels, which lowering makes around such neighbours, become vectors, as
/// vectorize_accesses (ir/tir/bound_threads.h) has it. Loads and stores have their bounds by then:
/// a vector lies inside of its buffer or outside of it.
PrimFunc vectorize_steps(const PrimFunc& function);

} // namespace temper::tir
