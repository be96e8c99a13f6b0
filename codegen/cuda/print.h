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

#include <cstdint>
#include <string>
#include <vector>

namespace temper::codegen {

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

} // namespace temper::codegen
