/// Flat tir with threads (codegen/lower_gpu.h) to an artifact for a GPU:
///
///   CUDA C++ -> PTX -> cubin, by NVRTC
///
/// No GPU and no driver are needed.
#pragma once

#include "codegen/artifact.h"
#include "codegen/cuda/nvrtc.h"
#include "codegen/cuda/print.h"
#include "ir/module.h"
#include "ir/support/result.h"
#include "ir/target.h"

#include <string>

namespace temper::codegen {

/// "NVRTC 13.0 codegen 6", for a toolchain's identity. kEnvironment: no NVRTC.
Result<std::string> cuda_compiler_version();

/// `lowered`: one function, for `target` ("cuda:sm_90a"). Of the artifact everything but the
/// signature is filled in; the entry is the function's name. kUnsupported: no CUDA form, with the
/// line. kFailed: the compiler refused, or took longer than `deadline_seconds` (0: none).
Result<Artifact> compile_cuda(const ir::IRModule& lowered, const ir::Target& target,
                              double deadline_seconds = 0);

/// The artifact of code that some compiler made of a program: launch plan, facts, hash. Where no
/// assembler was there (an empty cubin) its code is the PTX.
Result<Artifact> artifact_of(CudaSource source, CudaCode code, const std::string& entry,
                             const ir::Target& target);

/// What the artifact was printed as; for people.
Result<CudaSource> cuda_source(const ir::IRModule& lowered);

/// Of how the kernels are started, but for their names: equal code with an equal one is one trial.
uint64_t launch_hash(const LaunchPlan& launch);

} // namespace temper::codegen
