/// GPU programs without a GPU: runs flat tir (thread bindings, shared and local buffers, barriers
/// and intrinsics; no tile operators) warp by warp, and finds what a GPU leaves to chance.
///
///   for bx in T.thread_binding(4, thread="blockIdx.x"):
///       S = T.alloc_shared((128,), "float32")
///       for tx in T.thread_binding(128, thread="threadIdx.x"):
///           S[tx] = A[bx * 128 + tx]
///           T.sync_threads()
///           B[bx * 128 + tx] = S[127 - tx]
///
/// A kernel may also be written as `with T.Kernel(4, threads=128) as bx:`.
///
/// **The machine**: blocks run one after the other, those of a cluster (T.Kernel(cluster_dims=))
/// side by side. A block's warps are fibers of up to 32 lanes,
/// which run in lock step under a mask; a warp goes on until it waits. Shared memory is one arena
/// of the block; "local" memory exists once per thread.
///
/// **What is found**, each with its line: races on shared and global memory (by vector clocks over
/// warps, barriers and asynchronous engines: whatever the timing of this run was), reads of
/// elements never written or overwritten through another buffer, accesses outside of a buffer,
/// barriers that only a part of a warp or of the block reaches, accesses to a block of the cluster
/// that may have ended, and deadlocks, with what each warp waits for. Bank conflicts are counted.
///
/// **Operations** (all take their operands by position; an address is written as an element, S[i,
/// j]):
///   sync_threads()                   the block's barrier; (id, threads): one of several
///   sync_warp()                      orders the memory of a warp's lanes, all of which reach it
///   shfl_sync(x, lane), shfl_xor_sync(x, mask), shfl_up_sync(x, n), shfl_down_sync(x, n)
///                                    of all lanes, too; they order no memory
///   atomic_add(B[i], x), atomic_max(B[i], x), atomic_min(B[i], x)
///   cluster_sync()                   the barrier of all blocks of a cluster
///   mbarrier_init(bar[i], arrivals)  an element of a shared uint64 buffer becomes an mbarrier
///   mbarrier_arrive_cluster(bar[i], rank)   an arrival at the same barrier of another block of the
///                                           cluster
///   fence_mbarrier_init()            other blocks may use barriers from here on, once they met
///   mbarrier_arrive(bar[i]), mbarrier_expect_tx(bar[i], bytes),
///   mbarrier_arrive_expect_tx(bar[i], bytes), mbarrier_wait_parity(bar[i], parity)
///   copy_vector(B[i], A[j], elements)   2, 4, 8 or 16 bytes at a time, between any memories
///   ptx_cp_async(S[i], A[j], elements[, predicate]), ptx_commit_group(), ptx_wait_group(n)
///   tma_load(S[i], A[j, k], bar[i], extents...)   a box of A, zero outside of it, lands row-major
///   tma_load_multicast(S[i], A[j, k], bar[i], mask, extents...)   the same into every block of the
///                                           cluster whose rank's bit is set, at its own barrier
///   tma_store(A[j, k], S[i], extents...), tma_store_arrive(), tma_store_wait(n)
///   setmaxnreg(registers, more)      of a thread of a warpgroup from here on: a hint
///   fence_proxy_async()              before the asynchronous engines read what threads stored
///   ptx_ldmatrix(R[i], S[row, column], matrices, transposed)    the row's address from each lane
///   ptx_stmatrix(S[row, column], R[i], matrices)   the other way round
///   ptx_mma(C[i], A[j], B[k], "m16n8k16")          C += A B on registers (ir/tir/fragments.h,
///                                                  ir/tir/matrix_text.h)
///   warpgroup_arrive(), ptx_wgmma_ss(D[i], A[j, k], B[l, m], "m64n64k16", transpose_b,
///   accumulate), ptx_wgmma_rs (A[j]: registers), warpgroup_commit_batch(), warpgroup_wait(n)
///
/// An asynchronous operation takes effect at some moment between its issue and the wait that orders
/// it; AsyncTiming says at which. Until then its destination holds poison.
///
/// Limits: blocks that wait for other blocks (grid-wide barriers, spinning on a flag) do not get
/// on.
#pragma once

#include "ir/interpret.h"
#include "ir/tir/bank_conflicts.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace temper::tir {

enum class AsyncTiming : uint8_t {
  kEarly,  ///< at issue
  kLate,   ///< when somebody waits for it and nothing else can run
  kRandom, ///< any time between
};

struct EmulateOptions {
  AsyncTiming timing = AsyncTiming::kLate;
  /// Which warp goes on, and in which order blocks run.
  ParallelOrder order = ParallelOrder::kForward;
  uint64_t seed = 1; ///< of kRandom
  int64_t max_steps =
      int64_t{1} << 28;              ///< statements of warps before the program counts as endless
  double max_seconds = 1e9;          ///< the same by the clock, for each time that it is run
  int64_t shared_limit = 227 * 1024; ///< bytes of shared memory of a block
  /// So many blocks of each kernel are run (whole clusters), drawn by `sample_seed`; 0: all. What
  /// the others would have written is not there.
  int64_t sample = 0;
  uint64_t sample_seed = 1;
  /// Takes each line of T.print, with its end; null: they go to standard output.
  std::function<void(const std::string& line)> print;
};

/// What one access of the program's text to shared memory cost.
struct SharedAccess {
  Span where;
  std::string buffer;
  bool is_store = false;
  int64_t requests = 0;
  int64_t wavefronts = 0;
  int64_t ideal = 0;
  BankReport worst;
  double ways() const {
    return ideal > 0 ? static_cast<double>(wavefronts) / static_cast<double>(ideal) : 1.0;
  }
  /// "line 12, column 9: the load of A_shared takes 4.0 times the wavefronts ..."; says which lanes
  /// of the worst request collide.
  std::string to_string() const;
};

struct EmulateReport {
  int64_t blocks = 0;      ///< that were run
  int64_t grid_blocks = 0; ///< that there are
  /// Where blocks were drawn: by parameter the elements that they wrote, as [begin, end).
  std::map<std::string, std::vector<std::pair<int64_t, int64_t>>> written;
  int64_t steps = 0;
  int64_t shared_bytes = 0; ///< of a block, the largest kernel's
  /// Every access to shared memory, in order of first use.
  std::vector<SharedAccess> shared_accesses;
  /// Those with conflicts, worst first.
  std::vector<SharedAccess> conflicts() const;
};

/// Runs the function, once. One argument per parameter, in order; outputs are written. The error
/// (kFailed) is the first thing found, with its line, block and thread.
Result<EmulateReport> emulate(const PrimFunc& function,
                              std::span<const InterpretArgument> arguments,
                              const EmulateOptions& options = {});
inline Result<EmulateReport> emulate(const PrimFunc& function,
                                     std::initializer_list<InterpretArgument> arguments,
                                     const EmulateOptions& options = {}) {
  return emulate(function, std::span(arguments.begin(), arguments.size()), options);
}

/// The error of emulate(), and of ir::interpret(), that says nothing but that the program had not
/// ended when its steps or its time were over.
bool did_not_end(const Error& error);

/// Runs it with asynchronous operations early, late and at random moments, warps forward, backward
/// and at random. The outputs of all runs must be the same, bit by bit; except with atomics on
/// floats, where only the checks count. Arguments end up as the last run leaves them; lines of
/// T.print are those of the first.
Result<EmulateReport> emulate_thoroughly(const PrimFunc& function,
                                         std::span<const InterpretArgument> arguments,
                                         const EmulateOptions& options = {});

} // namespace temper::tir
