/// Roles: warps of a block that run code of their own, with tile operators in it.
///
///   with T.Kernel(4, threads=256) as bx:
///       ...
///       if T.get_warp_group_idx() == 0:      threads 0 to 127: T.copy is theirs alone
///           T.copy(A[bx * 64, k * 32], A_shared[k % 2])
///           T.barrier_arrive(full[k % 2])
///       else:                                threads 128 to 255, whose fragments are C and no
///       others'
///           T.barrier_wait(full[k % 2], k // 2 % 2)
///           T.gemm(A_shared[k % 2], B_shared, C)
#pragma once

#include "ir/support/result.h"
#include "ir/tir/tile.h"

#include <optional>

namespace temper::tir {

/// Threads of a block, by number.
struct ThreadRange {
  int64_t first = 0;
  int64_t count = 0;
  bool operator==(const ThreadRange&) const = default;
};

/// Warps of a block, a bit each: a block has at most 32.
using WarpSet = uint32_t;

/// Those of the range, which is whole warps.
WarpSet warps_of(const ThreadRange& range);
/// Which of `around` come where the condition is `holds`, as the threads that meet at a
/// T.sync_threads there. Nothing where threads of one warp part, or the condition depends on more
/// than the thread: not all that wait for each other would come.
std::optional<WarpSet> warps_where(const Expr& condition, bool holds, const KernelLaunch& kernel,
                                   WarpSet around);

/// A condition on the kernel's thread numbers stands around tile operators or T.Parallel.
bool divides_roles(const IfThenElse& branch, const KernelLaunch& kernel);
/// Which of `around` run the side of the branch for which the condition is `holds`. An error: they
/// are no whole warps side by side, or the condition depends on more than the thread.
Result<ThreadRange> role_threads(const IfThenElse& branch, bool holds, const KernelLaunch& kernel,
                                 const ThreadRange& around);

} // namespace temper::tir
