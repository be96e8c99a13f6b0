/// Flat tir with threads (codegen/lower_gpu.h) as readable CUDA C++ that includes no header:
///
///   extern "C" __global__ void __launch_bounds__(128) main_kernel(const float* __restrict__ A,
///   ...) {
///     const int tx = threadIdx.x;
///     float C_local[32];
///     for (int k = 0; k < 32; ++k) {
///       cp_async<16>(&A_shared[...], &A[...]);  // line 11
///
/// Names are the program's; a comment names the script's line where it changes. What the operations
/// need of PTX stands in front, as small functions; only those that are used.
#pragma once

#include "codegen/gpu_launch.h"
#include "ir/function.h"
#include "ir/support/result.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace temper::codegen {

/// As kCodegenVersion, of code for GPUs alone: raised when that changes and code for CPUs does not.
inline constexpr int kGpuCodegenVersion = 3;
/// "codegen 9.1", for toolchains.
std::string gpu_codegen_version();

struct CudaSource {
  std::string text;
  /// In the order in which they are started. Every kernel takes the function's parameters, in
  /// order, then the function's own memory between kernels (`workspaces`), then its tensor maps.
  std::vector<CudaKernel> kernels;
  std::vector<int64_t> workspaces; ///< bytes of each
};

/// kUnsupported, with the line, for what has no CUDA form yet (code between kernels, vectors,
/// stores by TMA, 4-bit and 8-bit floating types).
Result<CudaSource> print_cuda(const ir::PrimFunc& function);

/// What differs between CUDA C++ and languages like it: names of what the hardware gives, and what
/// the text needs in front. Everything else is printed alike.
struct GpuDialect {
  const char* language; ///< "CUDA", in messages
  /// Numbers of the block and the thread: x, y, z each.
  std::array<const char*, 6> axes;
  /// In front of names of C's mathematical functions.
  const char* math_prefix;
  /// Text of these functions and of what they use.
  std::string (*prelude)(const std::vector<std::string>& names);
  bool (*in_prelude)(std::string_view name);
  /// Of CUDA C++'s own functions those that the prelude has to say.
  bool own_builtins;
};
/// As print_cuda, in another dialect.
Result<CudaSource> print_gpu(const ir::PrimFunc& function, const GpuDialect& dialect);

} // namespace temper::codegen
