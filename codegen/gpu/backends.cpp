#include "codegen/gpu/backends.h"

#include "codegen/cuda/compile.h"
#include "codegen/hip/clang.h"
#include "codegen/hip/compile.h"
#include "codegen/hip/print.h"
#include "codegen/llvm/nvptx.h"
#include "ir/tir/gpu_architecture.h"
#include "ir/tir/source_kernel.h"
#include "ir/tir/source_parameters.h"

namespace temper::codegen {
namespace {

constexpr const char* kNvptxWord = "nvptx";

ir::PrimFunc function_of(const ir::IRModule& lowered) {
  return lowered->functions.front().function.as_ref<ir::PrimFuncNode>();
}

} // namespace

Result<void> check_source_text(const ir::IRModule& module, const ir::Target& target) {
  TEMPER_TRY(backend, gpu_backend(target));
  const ir::PrimFunc function = function_of(module);
  if (backend != GpuBackend::kNvrtc) {
    const std::string who = backend == GpuBackend::kClang ? "clang" : "LLVM's back end";
    if (const auto source = tir::source_kernel_in(function->body))
      return Error(ErrorCode::kUnsupported,
                   source->name + " is CUDA C++ of its own, which NVRTC compiles and " + who +
                       " does not: take --target cuda:sm_90a");
    if (function->attrs.get_string(tir::kSourceText))
      return Error(ErrorCode::kUnsupported,
                   function->name + " has CUDA C++ of its own (T.import_source), which " + who +
                       " does not compile");
  }
  return tir::check_source_parameters(function);
}

Result<GpuBackend> gpu_backend(const ir::Target& target) {
  const bool amd = tir::is_amd(target.arch);
  if (target.features.empty())
    return amd ? GpuBackend::kClang : GpuBackend::kNvrtc;
  if (!amd && target.features == kNvptxWord) {
    TEMPER_TRY_VOID(nvptx_knows(target.arch));
    return GpuBackend::kNvptx;
  }
  return Error(ErrorCode::kInvalidArgument,
               "target '" + target.to_string() + "' names a back end '" + target.features +
                   "' that there is not: " +
                   (amd ? "AMD's GPUs have clang's alone, as hip:gfx942"
                        : "NVIDIA's GPUs have NVRTC, as cuda:sm_90a, and LLVM's, as "
                          "cuda:sm_90a,nvptx"));
}

Result<ir::Target> with_backend(const ir::Target& target, const std::string& name) {
  ir::Target result = target;
  result.features = name == "nvrtc" && !tir::is_amd(target.arch) ? std::string() : name;
  TEMPER_TRY_VOID(gpu_backend(result));
  return result;
}

Result<CudaSource> gpu_source(const ir::IRModule& lowered, const ir::Target& target) {
  TEMPER_TRY(backend, gpu_backend(target));
  if (backend != GpuBackend::kClang)
    return print_cuda(function_of(lowered));
  TEMPER_TRY_VOID(check_source_text(lowered, target));
  return print_hip(function_of(lowered));
}

Result<Artifact> compile_gpu(const ir::IRModule& lowered, const ir::Target& target,
                             double deadline_seconds) {
  TEMPER_TRY(backend, gpu_backend(target));
  switch (backend) {
  case GpuBackend::kNvptx:
    TEMPER_TRY_VOID(check_source_text(lowered, target));
    return compile_nvptx(lowered, target, deadline_seconds);
  case GpuBackend::kClang:
    TEMPER_TRY_VOID(check_source_text(lowered, target));
    return compile_hip(lowered, target, deadline_seconds);
  case GpuBackend::kNvrtc:
    break;
  }
  return compile_cuda(lowered, target, deadline_seconds);
}

Result<std::string> gpu_compiler_version(const ir::Target& target) {
  TEMPER_TRY(backend, gpu_backend(target));
  const std::string codegen = " " + gpu_codegen_version();
  if (backend == GpuBackend::kNvptx)
    return nvptx_version() + codegen;
  if (backend == GpuBackend::kNvrtc)
    return cuda_compiler_version();
  TEMPER_TRY(version, clang_version());
  return version + codegen;
}

} // namespace temper::codegen
