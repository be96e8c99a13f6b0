/// A .cu file as a workload: CUDA C++ whose first comment says, as a workload file does, what its
/// kernel takes, its knobs, their constraints, how it is started and what is right.
///
///   /* temper
///   def saxpy(N, block=T.tune([64, 128, 256])):
///       """y = 2 x + y"""
///       T.constraint(N % block == 0)
///
///       @T.prim_func
///       def main(x: T.Tensor((N,), "float32"), y: T.Tensor((N,), "float32")):
///           with T.Kernel(N // block, threads=block):
///               T.source_kernel("saxpy", writes=y, define=dict(BLOCK=block))
///
///       return main
///   ...
///   */
///   extern "C" __global__ void saxpy(const float* x, float* y) { ... }
///
/// The kernel takes what the prim_func takes, in that order; `define` are macros (-D of compilers).
/// What comes after the comment is the kernels' text; a line directive keeps its lines those of the
/// file.
#pragma once

#include "ir/support/result.h"

#include <string>

namespace temper::script {

/// The name under which the CUDA C++ is known to the comment's text.
inline constexpr const char* kCudaSource = "cuda_source";

/// WorkloadInfo::layer of what such files hold.
inline constexpr const char* kCudaLayer = "cuda";

bool is_cuda_file(const std::string& file);

/// Whether it is what workload_of_cuda made of one.
bool is_of_cuda(const std::string& text);

/// The workload file that the .cu file is: the comment's text on the lines it has there, then
/// kCudaSource. The error says what the file lacks.
Result<std::string> workload_of_cuda(const std::string& text, const std::string& file);

} // namespace temper::script
