/// Small kernels in CUDA C++ for what is tried on a real GPU, compiled for it.
#pragma once

#include "codegen/artifact.h"
#include "codegen/cuda/nvrtc.h"
#include "engine/cuda/device.h"

#include <fmt/format.h>

#include <string>

namespace temper::testing {

/// "sm_90a" of a GPU.
inline std::string architecture_of(const engine::GpuInfo& gpu) {
  return fmt::format("sm_{}{}", gpu.architecture, gpu.architecture >= 90 ? "a" : "");
}

/// `source` with an extern "C" kernel named `kernel`, as an artifact that the runner takes.
inline Result<codegen::Artifact> gpu_artifact(const engine::GpuInfo& gpu, const std::string& source,
                                              const std::string& kernel,
                                              std::vector<codegen::ArgumentSpec> signature,
                                              int64_t blocks, int64_t threads) {
  TEMPER_TRY(nvrtc, codegen::Nvrtc::load());
  TEMPER_TRY(code, nvrtc->compile(source, architecture_of(gpu)));
  codegen::Artifact artifact;
  artifact.kind = codegen::ArtifactKind::kCubin;
  artifact.code = std::move(code.cubin);
  artifact.object = std::move(code.ptx);
  artifact.entry = kernel;
  artifact.signature = std::move(signature);
  artifact.target = "cuda:" + architecture_of(gpu);
  artifact.launch.kernels = {{kernel, {blocks}, {threads}, 0, {}}};
  return artifact;
}

} // namespace temper::testing
