/// The entries of an exported library as an object: for each function a table of its arguments, the
/// typed C entry and the tvm-ffi entries, which hand that table to codegen/library/runtime.
#pragma once

#include "codegen/artifact.h"
#include "ir/support/result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace temper::codegen {

struct StubFunction {
  std::string name;
  std::string kernel;    ///< symbol of the kernel's entry
  std::string signature; ///< for errors: "f(A: float32[4], ...)"
  std::string metadata;  ///< JSON
  std::string doc;
  std::string target;
  uint64_t features = 0; ///< bits in the order of cpu_features.def
  int alignment = 0;     ///< that the kernel assumes of its buffers; 0: the element
  std::vector<ArgumentSpec> arguments;
  int extents = 0; ///< so many arguments at the end are extents of others' dimensions
  // Of code for a GPU: there is no `kernel` then, and the typed entry takes a stream at its end.
  std::string cubin; ///< empty: this is code for a CPU
  std::string ptx;
  LaunchPlan launch;
};

/// An object for any x86-64 CPU: the check that the CPU has what the kernels need runs in it.
Result<std::string> emit_stubs(const std::string& library,
                               const std::vector<StubFunction>& functions);

/// DLPack's code of a type: 0 int, 1 uint, 2 float, 4 bfloat, 6 bool.
uint8_t dlpack_code(DataType type);

/// The mask of features that code for a target needs.
Result<uint64_t> feature_mask(const std::string& target);

} // namespace temper::codegen
