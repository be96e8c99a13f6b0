/// T.sync_grid(): what stands behind it runs when all blocks of the kernel have come there.
///
///   with T.Kernel(8, threads=128) as bx:            with T.Kernel(8, threads=128) as bx:
///     T.reduce_sum(tile, part)                        T.reduce_sum(tile, part)
///     T.copy(part, Sums[bx, 0])                       T.copy(part, Sums[bx, 0])
///     T.sync_grid()                        ->         T.copy(tile, tile_kept[bx, 0:64])
///     T.copy(Sums, all)                             with T.Kernel(8, threads=128) as bx:
///     ...  tile ...                                   T.copy(tile_kept[bx, 0:64], tile)
///                                                     T.copy(Sums, all)
///                                                     ...  tile ...
///
/// The kernel ends and another one begins: on every target, with any number of blocks, also more
/// than a GPU holds at once. What blocks keep in shared memory, fragments and local memory is
/// carried over in global memory.
#pragma once

#include "ir/support/function_ref.h"
#include "ir/support/result.h"
#include "ir/tir/tile.h"

#include <vector>

namespace temper::tir {

inline constexpr const char* kSyncGrid = "sync_grid";

/// The statements that take the kernel's place: allocations, then its parts. `cannot_move` says
/// whether a buffer has a meaning beyond its memory (a view, a reducer). The error says what stands
/// in the way.
Result<std::vector<Stmt>> split_at_grid_sync(const KernelLaunch& kernel,
                                             FunctionRef<bool(const Buffer&)> cannot_move);

} // namespace temper::tir
