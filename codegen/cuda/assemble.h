/// PTX of another compiler to machine code: by the program ptxas (TEMPER_PTXAS names it; else PATH
/// and CUDA's usual folder), or by nvJitLink, which is loaded where it is.
#pragma once

#include "codegen/cuda/nvrtc.h"
#include "ir/support/result.h"

#include <string>

namespace temper::codegen {

struct AssembledPtx {
  std::string cubin;
  /// As ptxas reports them; of nvJitLink what the cubin says, which knows nothing of spills.
  std::vector<CudaFacts> facts;
  std::vector<std::string> warnings;
  std::string assembler; ///< "ptxas", "nvJitLink"
};
/// kEnvironment: neither is there. kFailed: the assembler refused.
Result<AssembledPtx> assemble_ptx(const std::string& ptx, const std::string& architecture,
                                  double deadline_seconds = 0);

} // namespace temper::codegen
