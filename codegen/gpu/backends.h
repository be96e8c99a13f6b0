/// The back ends for GPUs, by target:
///
///   cuda:sm_90a         CUDA C++ by NVRTC (codegen/cuda)
///   cuda:sm_90a,nvptx   LLVM's NVPTX back end (codegen/llvm/nvptx.h), for programs without tensor
///                       cores
///   hip:gfx942          HIP C++ by clang 19 (codegen/hip)
///
/// The choice is part of the target's text, and so of the artifact, of the record and of what is
/// compared with what.
#pragma once

#include "codegen/artifact.h"
#include "codegen/cuda/print.h"
#include "ir/module.h"
#include "ir/support/result.h"
#include "ir/target.h"

#include <string>

namespace temper::codegen {

enum class GpuBackend : uint8_t { kNvrtc, kNvptx, kClang };

/// Of a target that is a GPU's. The error names the back ends that its architecture has: LLVM's
/// knows those up to sm_90a.
Result<GpuBackend> gpu_backend(const ir::Target& target);
/// The target with another back end: "nvrtc", "nvptx". The error as above.
Result<ir::Target> with_backend(const ir::Target& target, const std::string& name);

/// Programs whose kernels are CUDA C++ of their own: whether the target's back end compiles that
/// (kUnsupported where not), and whether they take what they are passed
/// (ir/tir/source_parameters.h). Fine of all others.
Result<void> check_source_text(const ir::IRModule& module, const ir::Target& target);

/// The program that is compiled, in CUDA C++ or HIP C++; for people. Of nvptx what NVRTC would get.
Result<CudaSource> gpu_source(const ir::IRModule& lowered, const ir::Target& target);
/// As compile_cuda() of codegen/cuda/compile.h, by the target's back end.
Result<Artifact> compile_gpu(const ir::IRModule& lowered, const ir::Target& target,
                             double deadline_seconds = 0);
/// "NVRTC 13.0 codegen 9.1", for a toolchain's identity. kEnvironment: it is not there.
Result<std::string> gpu_compiler_version(const ir::Target& target);

} // namespace temper::codegen
