/// Private to codegen/llvm: machine code generation with a look at the result.
#pragma once

#include "codegen/artifact.h"

namespace llvm {
class Module;
class TargetMachine;
class raw_pwrite_stream;
} // namespace llvm

namespace temper::codegen {

/// Writes the module's object (or assembly) to `stream`; false when the machine cannot. Fills, when
/// `facts` is there, its stack_bytes, spills, vector_bits and instructions.
bool emit_machine_code(llvm::TargetMachine& machine, llvm::Module& module,
                       llvm::raw_pwrite_stream& stream, bool assembly, StaticFacts* facts);

} // namespace temper::codegen
