/// Tile programs to plain loops, step by step; temper-opt shows each.
///
///   lower_threads     code of single threads becomes loops over the threads of the block
///   bind_scalars      scalars that are assigned once become names
///   forward_copies    tiles that an operator lays out anew are read where they come from
///   dispatch_tiles    each tile operator becomes what its variant for the target says
///   hoist_layouts     buffers that a loop fills with the same in each round are filled before it
///   lower_atomics     atomic operations become ordinary ones where no two blocks meet in them
///   guard_accesses    global memory is touched inside of its buffers only
///   lower_kernels     blocks, T.Parallel and T.Pipelined become loops of a CPU
///   share_layouts     what all blocks that run in turn lay out alike is laid out before them
///   fuse_rows         loops over the same rows, one of which reads what the other writes, become
///                     one
///
/// The interpreter runs tile_meaning: the same steps with each operator's own meaning in place of a
/// variant.
#pragma once

#include "ir/function.h"
#include "ir/support/function_ref.h"
#include "ir/support/result.h"
#include "ir/tir/tile.h"

namespace temper::ir {
class Analyzer;
}

namespace temper::tir {

/// x = e, assigned once and in the list of statements where it is made, is an immutable name from
/// here on.
PrimFunc bind_scalars(const PrimFunc& function);

/// Runs of statements that depend on the thread's number, between tile operators and
/// T.sync_threads, become loops over the threads; their "local" memory becomes an array with one
/// element per thread where it outlives the run.
Result<PrimFunc> lower_threads(const PrimFunc& function);

/// Each tile operator replaced by what `expand` makes of it. `math` knows the loops around it.
Result<PrimFunc>
expand_tiles(const PrimFunc& function,
             FunctionRef<Result<Stmt>(const TileCall& call, Analyzer& math)> expand);

/// Atomic operations in kernels. Where an axis of the grid keeps blocks apart, so that none works
/// on another one's elements, they become loads and stores, and blocks run in parallel along that
/// axis: results are the same from run to run. Where all axes let blocks meet, operations on
/// numbers of 32 and 64 bits stay atomic, and blocks run in parallel along the longest one: sums of
/// floats are then in any order. Blocks run in turn when they read or write such elements
/// otherwise, too, when the type is another one, or when the kernel has one thread anyway
/// (`alone`). The loops over threads around them are serial.
PrimFunc lower_atomics(const PrimFunc& function, bool alone);

/// Loads and stores of global memory in kernels that are not certainly inside of their buffer get
/// a condition; a load outside gives zero.
PrimFunc guard_accesses(const PrimFunc& function);

/// Kernels become loops: the slowest axis with more than one block parallel (with atomic operations
/// the one that lower_atomics says, or none), the others serial around the body; barriers
/// disappear. T.Parallel: the innermost loop vectorized, the others serial. Shared memory and
/// fragments are memory of the block.
PrimFunc lower_kernels(const PrimFunc& function);

/// Neighbouring loops over the same rows of tiles become one, where one reads what the other wrote.
PrimFunc fuse_rows(const PrimFunc& function);

/// What the program computes, as plain tir; the function itself when it is no tile program.
Result<PrimFunc> tile_meaning(const PrimFunc& function);

} // namespace temper::tir
