/// What stands in GPU machine code (an ELF file), read without a driver or CUDA's tools.
#pragma once

#include "ir/support/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace temper::codegen {

struct CubinKernel {
  std::string name;
  int64_t registers = 0;    ///< of a thread
  int64_t frame_bytes = 0;  ///< of a thread's stack
  int64_t shared_bytes = 0; ///< static
  int64_t instructions = 0; ///< of 16 bytes each, padding included
};

struct CubinFacts {
  std::vector<CubinKernel> kernels; ///< by name
  int64_t code_bytes = 0;           ///< of all of them
  uint64_t code_hash = 0;           ///< of instructions and constants, without names
};
/// kCorrupt: it is no such file, or is cut off.
Result<CubinFacts> read_cubin(std::string_view cubin);

/// How many instructions of each kind the PTX has, where a kind tells how a kernel works: "wgmma",
/// "mma.sync", "ldmatrix", "cp.async", "cp.async.bulk.tensor", "mbarrier", "bar.sync", "shfl",
/// "ld.global", "st.global", "ld.shared", "st.shared", "ld.local", "fma", "atomic".
std::vector<std::pair<std::string, int64_t>> ptx_operations(std::string_view ptx);

/// How StaticFacts::limited_by begins of a kernel whose own bounds forbid its blocks.
inline constexpr const char* kLaunchBounds = "__launch_bounds__";

/// The most threads that a block of an entry of the PTX may have, as __launch_bounds__ says;
/// nothing where it does not.
std::optional<int64_t> ptx_max_threads(std::string_view ptx, std::string_view entry);

/// Bits of each parameter of an entry of the PTX, "64" of a pointer, as text ("?" of a structure);
/// nothing where there is no such entry.
std::optional<std::vector<std::string>> ptx_parameters(std::string_view ptx,
                                                       std::string_view entry);

} // namespace temper::codegen
