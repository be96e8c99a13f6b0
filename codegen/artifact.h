/// A compiled kernel: bytes, entry, signature, launch plan and static facts. What compile
/// processes produce, runners load, the database keeps and exports link.
///
/// Calling convention of an entry (the same for candidates, references and peers):
///
///   extern "C" int32_t entry(void* const* arguments);
///
/// arguments[i] is the address of the first element of buffer i (packed, where Artifact::packs says
/// so), or the address of the value of scalar i. Returns 0, or a positive code of the kernel's own.
/// Buffers are compact row-major and aligned to kArgumentAlignment bytes; they do not overlap.
#pragma once

#include "codegen/gpu_launch.h"
#include "ir/dtype.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace temper::codegen {

inline constexpr int kArgumentAlignment = 64;

/// Raised by hand whenever generated code changes; part of the toolchain's identity, so that
/// results made under an older one are shown as stale.
inline constexpr int kCodegenVersion = 10;

struct ArgumentSpec {
  std::string name;
  DataType dtype;
  /// Elements per dimension, row-major; empty for a scalar argument. Negative: as the caller has
  /// it, who gives it as a scalar argument behind the others, too; in what is exported, as argument
  /// number -1 - extent.
  std::vector<int64_t> shape;
  bool is_buffer = true;
  bool is_output = false; ///< written by the kernel (may be read too)

  bool is_symbolic() const;      ///< a dimension is negative
  int64_t element_count() const; ///< not of symbolic ones
  int64_t byte_count() const { return element_count() * dtype.bytes(); }
  bool operator==(const ArgumentSpec&) const = default;
};

struct LaunchPlan {
  int threads = 1; ///< CPU threads the kernel forks at most
  /// Of GPU code, in the order in which they are started. Every kernel takes the function's
  /// parameters, in order, then the workspaces, then its tensor maps.
  std::vector<CudaKernel> kernels;
  std::vector<int64_t> workspaces; ///< bytes of the function's own memory between kernels
  bool operator==(const LaunchPlan&) const = default;
};

/// What the compiler knows without running. Zero or empty where it is not known.
struct StaticFacts {
  int64_t code_bytes = 0;
  int64_t stack_bytes = 0;  ///< frame of the entry and its parallel bodies, the largest
  int64_t spills = 0;       ///< stack stores and reloads inside innermost loops
  int vector_bits = 0;      ///< widest vector in the hottest loop
  int64_t instructions = 0; ///< machine instructions in all
  double lower_ms = 0;      ///< s-tir to LLVM IR
  double optimize_ms = 0;
  double emit_ms = 0; ///< machine code
  double link_ms = 0;

  // Of GPU code: of its kernels the one that asks for most. 0 registers: this is code for a CPU.
  int64_t registers = 0;       ///< of 32 bits, of a thread
  int64_t spilled_bytes = 0;   ///< stores, of all kernels
  int64_t shared_bytes = 0;    ///< of a block
  int64_t resident_blocks = 0; ///< on one multiprocessor at a time
  std::string limited_by;      ///< what allows no more: "registers", "shared memory", ...
  /// Instructions of PTX by kind: {"mma.sync": 64, "cp.async": 8, ...}.
  std::map<std::string, int64_t> operations;
  std::vector<std::string> warnings; ///< of the compiler
};

/// Where the machine code comes from.
enum class ArtifactKind : uint8_t {
  kSharedObject, ///< `code` is a complete ELF shared object, loaded from memory
  kLibrary,      ///< `library_path` names a shared library on this host (a peer)
  kCubin,        ///< `code` is GPU code, which the driver loads; `object` the PTX it was made of
};

/// An operand that the kernel takes packed, by what another function of the same code makes of the
/// plain one: entry({plain, packed}). Called once, ahead of the kernel's calls, while the operand
/// stays the same.
struct PackStep {
  int argument = 0;    ///< position in the signature
  std::string entry;   ///< of the function that packs
  ArgumentSpec packed; ///< what it writes and the kernel takes in place of the plain operand
  std::string object;  ///< the relocatable object of that function, for `export`
  bool operator==(const PackStep&) const = default;
};

struct Artifact {
  ArtifactKind kind = ArtifactKind::kSharedObject;
  std::string code;         ///< the shared object's bytes (kSharedObject)
  std::string object;       ///< what it was made of, for `export`: a relocatable object, or PTX
  std::string library_path; ///< (kLibrary)
  /// Environment that the child sets before loading (kLibrary), as OPENBLAS_CORETYPE.
  std::map<std::string, std::string> environment;
  std::string entry;
  std::vector<ArgumentSpec> signature; ///< of what is computed: plain operands
  std::vector<PackStep> packs;         ///< operands that are packed ahead
  LaunchPlan launch;
  StaticFacts facts;  ///< of the kernel, without what packs
  std::string target; ///< canonical text of the target
  /// Hash of what is executed: machine code without its symbol names (that of packing included),
  /// plus the launch plan. Equal hashes are one trial.
  uint64_t code_hash = 0;
};

} // namespace temper::codegen
