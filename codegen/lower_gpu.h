/// From a tile program, a program of threads, or s-tir whose loops are bound to threads, to flat
/// tir with threads for a GPU: what CUDA C++ is printed from, and what ir/tir/emulator runs without
/// a GPU.
///
///   with T.Kernel(...):                       with T.Kernel(...):
///     T.copy(A[...], A_shared)                  T.ptx_cp_async(A_shared[...], A[...], 8)
///     T.gemm(A_shared, B_shared, C)      ->     ...
///                                               T.ptx_mma(C[0], A_registers[0], ..., "m16n8k16")
#pragma once

#include "ir/module.h"
#include "ir/pass/pass.h"
#include "ir/support/result.h"
#include "ir/target.h"

#include <cstdint>
#include <string>
#include <vector>

namespace temper::codegen {

/// What a block may use on a GPU architecture.
struct GpuLimits {
  int architecture = 80; ///< 80 for sm_80, 90 for sm_90a
  int64_t shared_bytes = 0;
  int64_t threads = 1024;
  int64_t registers = 65536; ///< of 32 bits, of a multiprocessor
};
/// The error names the architectures that are known.
Result<GpuLimits> gpu_limits(const ir::Target& target);

/// The steps, for temper-opt and the runner of passes. `s_tir`: of functions with blocks.
std::vector<ir::Pass> gpu_passes(const GpuLimits& limits, bool s_tir = false);
/// A function of the module has blocks.
bool is_s_tir(const ir::IRModule& module);
Result<ir::IRModule> lower_for_gpu(const ir::IRModule& module, const ir::Target& target);
Result<ir::IRModule> lower_for_gpu(const ir::IRModule& module, const ir::Target& target,
                                   const ir::PassOptions& pass_options);

/// What a kernel of a lowered function asks of the device; of several kernels the most.
struct GpuNeeds {
  int64_t kernels = 0;
  int64_t blocks = 0; ///< 0: not constant
  /// Along the second or third axis of the grid, which have fewer than the first; 0: as above.
  int64_t blocks_behind = 0;
  int64_t threads = 0;
  int64_t shared_bytes = 0;
  /// Of the buffers in shared memory the one that takes most.
  std::string largest_shared;
  int64_t largest_shared_bytes = 0;
  ir::Span largest_shared_where;
  /// Of 32 bits, that a thread's fragments and other local memory take, less those that need not be
  /// there at the same time.
  int64_t local_registers = 0;
};
GpuNeeds gpu_needs(const ir::PrimFunc& function);
/// The first limit that is exceeded: "threads", "blocks", "shared memory", "registers"; empty:
/// none.
std::string exceeded_limit(const GpuNeeds& needs, const GpuLimits& limits);
/// Which limit the function exceeds, in one sentence (kUnsupported).
Result<void> check_gpu_limits(const ir::PrimFunc& function, const GpuLimits& limits);

} // namespace temper::codegen
