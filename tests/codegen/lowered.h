/// Lowering as compile() wants it, for tests of what a named CPU gets.
#pragma once

#include "codegen/llvm/compile.h"
#include "codegen/lower.h"

namespace temper::codegen::testing {

/// The function "main" lowered for a CPU and one thread, with the CPU's registers and instructions.
inline Result<ir::PrimFunc> lowered_for(const ir::IRModule& module, const ir::Target& target) {
  TEMPER_TRY(registers, vector_registers(target));
  TEMPER_TRY(features, required_features(target));
  LowerOptions options;
  options.vector_bits = registers.bits;
  options.vector_registers = registers.count;
  options.serial = true;
  options.features = std::move(features);
  TEMPER_TRY(lowered, lower_for_cpu(module, options));
  return lowered->find_prim_func("main");
}

} // namespace temper::codegen::testing
