/// Flat tir with threads (codegen/lower_gpu.h) to PTX by LLVM's NVPTX back end, without CUDA C++ in
/// between:
///
///   flat tir -> LLVM IR -> PTX -> cubin, by ptxas or nvJitLink where one is there
///
/// For programs of plain threads (SIMT): arithmetic, shared memory, barriers, shuffles, atomics and
/// asynchronous copies. Tensor cores, TMA, text of CUDA's own and functions that only a library of
/// the device has go by way of NVRTC. It shares nothing with the printer of CUDA C++ but the launch
/// plan, so each checks the other.
#pragma once

#include "codegen/artifact.h"
#include "ir/function.h"
#include "ir/module.h"
#include "ir/support/result.h"
#include "ir/target.h"

#include <string>

namespace temper::codegen {

struct NvptxText {
  std::string ir; ///< LLVM IR, optimised
  std::string ptx;
};
/// kUnsupported: this LLVM does not know the architecture ("sm_100a"). kEnvironment: it has no such
/// back end.
Result<void> nvptx_knows(const std::string& architecture);

/// `architecture`: "sm_90a". kUnsupported, with the line, for what has no form here; else as
/// nvptx_knows().
Result<NvptxText> emit_nvptx(const ir::PrimFunc& function, const std::string& architecture);

/// As compile_cuda. Without an assembler the artifact's code is the PTX, which the driver
/// assembles, and facts of machine code are not known.
Result<Artifact> compile_nvptx(const ir::IRModule& lowered, const ir::Target& target,
                               double deadline_seconds = 0);

/// "LLVM 19.1.7 NVPTX".
std::string nvptx_version();

} // namespace temper::codegen
