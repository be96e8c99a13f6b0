/// HIP C++ to AMD's assembly and machine code by clang 19, a process of its own each time. Neither
/// ROCm nor a GPU is needed. TEMPER_CLANG names the program; else it is clang-19 in PATH.
#pragma once

#include "ir/support/result.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace temper::codegen {

/// What the metadata behind the assembly says of a kernel.
struct AmdKernel {
  std::string name;
  int64_t vgprs = 0; ///< of a thread, accumulation registers among them
  int64_t sgprs = 0; ///< of a wave
  int64_t spilled_vgprs = 0;
  int64_t spilled_sgprs = 0;
  int64_t lds_bytes = 0;     ///< static
  int64_t scratch_bytes = 0; ///< of a thread
  bool operator==(const AmdKernel&) const = default;
};
/// In the order of the text; none where there is no metadata.
std::vector<AmdKernel> read_amd_metadata(std::string_view assembly);
/// How many instructions of each kind the assembly has: "mfma", "ds_read", "ds_write",
/// "global_load", "global_store", "scratch", "s_barrier", "atomic", "fma"; "all" of them.
std::map<std::string, int64_t> amd_operations(std::string_view assembly);

struct AmdCode {
  std::string assembly;
  std::string object; ///< ELF
  std::vector<AmdKernel> kernels;
  std::vector<std::string> warnings;
  double seconds = 0; ///< of wall time
};
/// `architecture`: "gfx942". kEnvironment: there is no clang 19, and what to do. kFailed: its first
/// error, or `deadline_seconds` (0: none) were over.
Result<AmdCode> compile_hip_source(const std::string& source, const std::string& architecture,
                                   double deadline_seconds = 0);
/// "clang 19.1.7".
Result<std::string> clang_version();

/// Blocks that a compute unit of CDNA 3 holds at a time.
struct AmdOccupancy {
  int64_t blocks = 0;
  std::string limit; ///< "registers", "shared memory", "threads"
};
AmdOccupancy amd_occupancy(int64_t threads, int64_t vgprs, int64_t lds_bytes);

} // namespace temper::codegen
