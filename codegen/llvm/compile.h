/// Compiles a flat tir function for a CPU: tir -> LLVM IR -> machine code -> shared object bytes.
///
///   TEMPER_TRY(target, resolve_target(parse_target("native")));
///   TEMPER_TRY(artifact, compile(function, target));      // artifact.code: dlopen it from a memfd
///
/// What goes in is described in codegen/lower.h; row-major buffers of any rank and loops that are
/// still marked vectorized or unrolled are accepted too (they become serial loops with a hint).
/// Safe to call from several threads at once; each thread keeps its own target machine.
#pragma once

#include "codegen/artifact.h"
#include "ir/module.h"
#include "ir/support/result.h"
#include "ir/target.h"

#include <string>
#include <string_view>
#include <vector>

namespace temper::codegen {

/// What a kernel's entry returns when it did not do its work; 0 is success.
inline constexpr int kKernelOutOfMemory = 1; ///< a temporary buffer could not be allocated
/// Assert number i of the function (in the order of the text) failed: kKernelAssert + i.
inline constexpr int kKernelAssert = 16;

struct CompileOptions {
  std::string entry = "temper_entry"; ///< the symbol of the entry; does not affect code_hash
  /// Bytes that the addresses of buffer arguments are known to be aligned to; 0: only to the size
  /// of an element, which costs nothing on data that is aligned (and lets an exported kernel take
  /// any array). Memory that the kernel allocates itself is always aligned to 64 bytes.
  int parameter_alignment = 0;
  bool link = true;  ///< fill Artifact::code (Artifact::object is always filled)
  bool facts = true; ///< count instructions, spills, vector width
};

/// The target with `native` replaced by the host's CPU and the features it lacks or hides. An
/// unknown CPU or feature is one sentence with the nearest name that there is.
Result<ir::Target> resolve_target(const ir::Target& target);

/// Registers of a resolved (or native) target, for lowering: 512 bits and 32 registers for AVX-512,
/// 256 and 16 for AVX, 128 and 32 for AArch64, else 128 and 16.
struct VectorRegisters {
  int bits = 128;
  int count = 16;
};
Result<VectorRegisters> vector_registers(const ir::Target& target);

/// Features that code for a resolved target may use, out of those that can be asked of a CPU at run
/// time: "avx2", "avx512f", ... sorted. Empty for plain x86-64.
Result<std::vector<std::string>> required_features(const ir::Target& target);

/// Error: kUnsupported (something the CPU back end cannot do: a thread binding, a symbolic shape),
/// kFailed (LLVM or the linker refused).
Result<Artifact> compile(const ir::PrimFunc& function, const ir::Target& target,
                         const CompileOptions& options = {});
/// The module's only function, or the one named "main"; functions that pack its operands
/// (ir/s_tir/packs.h) become the artifact's `packs`.
Result<Artifact> compile(const ir::IRModule& module, const ir::Target& target,
                         const CompileOptions& options = {});

/// LLVM IR as text, before or after optimisation, for people.
Result<std::string> emit_llvm_ir_text(const ir::PrimFunc& function, const ir::Target& target,
                                      const CompileOptions& options = {}, bool optimized = true);
/// Assembly (AT&T syntax) of the code that `compile` makes, for people.
Result<std::string> emit_assembly_text(const ir::PrimFunc& function, const ir::Target& target,
                                       const CompileOptions& options = {});

/// "LLVM 19.1.7 codegen 1": part of the toolchain's identity. Options for LLVM itself, which
/// TEMPER_LLVM_FLAGS names as opt and llc take them ("-enable-misched=false"), are part of it: code
/// made with other ones is another toolchain's.
std::string compiler_version();

} // namespace temper::codegen
