/// Private to codegen/llvm: tir to LLVM IR.
#pragma once

#include "codegen/artifact.h"
#include "ir/module.h"
#include "ir/support/result.h"

#include <string>

namespace llvm {
class Module;
}

namespace temper::codegen {

struct EmitOptions {
  std::string entry;
  int parameter_alignment = 0; ///< 0: element size
  int threads = 0;             ///< of parallel loops; 0: OpenMP's default, 1: run them serially
  bool has_fma = true;         ///< fused multiply-add is one instruction
  bool has_avx512 = false;     ///< AVX-512F
  bool has_avx512dq = false;
  bool has_f16c = true;      ///< float16 conversions are instructions
  int byte_shuffle_bits = 0; ///< of the widest byte shuffle: 128, 256, 512; 0: there is none
};

struct Emitted {
  std::vector<ArgumentSpec> signature;
  bool parallel = false; ///< the code calls OpenMP's runtime
};

/// Fills `module` (whose data layout and triple are set) with the kernel and its entry.
Result<Emitted> emit_function(const ir::PrimFunc& function, const EmitOptions& options,
                              llvm::Module& module);

/// Names, shapes and directions of the arguments.
Result<std::vector<ArgumentSpec>> signature_of(const ir::PrimFunc& function);

} // namespace temper::codegen
