/// Exports compiled kernels as one shared library that C, C++ and Python call.
///
///   export_library("kernels", {{.name = "matmul_f32_1024x1024x1024", .artifact = a, ...}},
///                  {.directory = "out"})
///   ->  out/libkernels.so   out/kernels.h   out/kernels.json   (libkernels.a, a CMake package)
///
/// Every function is there twice: `int name(const float* A, const float* B, float* C)`, returning 0
/// or a code with a sentence in `kernels_last_error()`, and `__tvm_ffi_name` in tvm-ffi's C ABI, so
/// that `tvm_ffi.load_module("libkernels.so").name(a, b, c)` works on NumPy and PyTorch tensors.
/// Both check their arguments first. Making a library needs no compiler.
///
/// A kernel whose artifact packs an operand ahead (Artifact::packs) becomes two functions: `name`,
/// which takes the packed operand, and `name_pack_B(B, B_packed)`, which makes it. Header, manifest
/// and metadata say what belongs together, and how large it is.
///
/// A kernel of symbolic dimensions (negative extents, ArgumentSpec::shape) takes their extents
/// behind its arrays in C, `int f(const float* A, float* B, int32_t m)`, and from the tensors'
/// shapes through tvm-ffi, where tensors that disagree are refused.
///
/// GPU code stands in the library as cubin and PTX. Its functions take a stream as their last
/// parameter in C, and the one that tvm-ffi was told of in Python; the driver is loaded at the
/// first call, so that the library loads where there is none, and a call says so.
///
/// Pointers need only be aligned to their element type (64 bytes is fastest): that is what
/// CompileOptions::parameter_alignment = 0, the default, gives. A kernel that was compiled with
/// more says so in ExportFunction::alignment, and its callers' arrays are checked for it.
#pragma once

#include "codegen/artifact.h"
#include "ir/support/json.h"
#include "ir/support/result.h"
#include "ir/target.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace temper::codegen {

/// An operand of an exported function that another one of the library packs ahead.
struct PackedOperand {
  int argument = 0;     ///< position in the function's signature
  std::string function; ///< that packs: f(plain, packed)
  ArgumentSpec plain;   ///< what it packs
};

struct ExportFunction {
  std::string name; ///< a C identifier, unique in the library
  /// `object`, `entry`, `signature`, `target` and `launch` are used; of GPU code `code`, too.
  Artifact artifact;
  std::string summary; ///< one line for the header and Python's doc; empty: made from the signature
  /// What it was made from (record, workload, trace, measurements); copied into the manifest and,
  /// in Python, get_function_metadata(name)["temper"]["provenance"].
  Json provenance = Json::object();
  int alignment = 0; ///< bytes that the kernel assumes of its arrays; 0: their element
  /// Filled in by export_library, for functions whose artifact has `packs`.
  std::vector<PackedOperand> packed = {};
};

struct ExportOptions {
  std::filesystem::path directory = ".";
  bool static_archive = false;   ///< also lib<name>.a
  bool cmake_package = false;    ///< also lib/cmake-style <name>Config.cmake and its version file
  std::string version = "1.0.0"; ///< of the exported package
  /// Added to the manifest as they are (toolchain, machine, command line).
  Json manifest = Json::object();
};

struct ExportedFunction {
  std::string name;
  std::string signature; ///< of the C entry: "int f(const float* A, float* B)"
};

struct ExportResult {
  std::vector<std::filesystem::path> files; ///< in the order they were written; the library first
  std::vector<ExportedFunction> functions;
  std::filesystem::path library;
};

/// Writes the files (each whole or not at all), then loads the library's symbols back and compares.
/// Errors: kInvalidArgument (a name that is no identifier or occurs twice, an artifact without an
/// object), kEnvironment (cannot write), kFailed (the linker).
Result<ExportResult> export_library(std::string_view name,
                                    const std::vector<ExportFunction>& functions,
                                    const ExportOptions& options = {});

/// The default name: workload, element types, then the numbers of the shapes. The element types are
/// that of the first output, and before it those of the input arrays where not all are the same,
/// each once: "matmul_f32_1024x1024x1024", "matmul_bf16_f32_64x64x64", "matmul_u8i8_i32_64x64x64".
std::string default_function_name(std::string_view workload,
                                  const std::vector<ArgumentSpec>& signature,
                                  const std::vector<int64_t>& sizes);

/// Calls a function of an exported library through its tvm-ffi entry, so with all checks.
/// arguments[i] is the address of the first element of array i or of scalar i's value, as for a
/// kernel's entry; the arrays have the shapes of `signature`. The error is the library's sentence.
Result<void> call_exported(const std::filesystem::path& library, const std::string& function,
                           const std::vector<ArgumentSpec>& signature,
                           const std::vector<void*>& arguments);

} // namespace temper::codegen
