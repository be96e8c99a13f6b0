/// GPU architectures as numbers: 80 for sm_80, 90 for sm_90a, kPlainSm90 for sm_90, which lacks
/// some of it. AMD's are negative, -942 for gfx942, so that whatever asks for a level of PTX
/// (architecture >= 80) is told that there is none; 0 is no GPU. Targets of AMD's GPUs are written
/// hip:gfx942 and are otherwise as CUDA's: kernels of blocks and threads.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

namespace temper::tir {

inline constexpr int kGfx942 = -942;
/// Code for it runs on what comes after sm_90, too, and so has nothing that is sm_90a's alone: no
/// wgmma, and warpgroups trade no registers.
inline constexpr int kPlainSm90 = 91;
inline bool is_amd(int architecture) { return architecture < 0; }
/// Of a target's architecture: "gfx942".
inline bool is_amd(std::string_view arch) { return arch.starts_with("gfx"); }
/// Why code for AMD's is neither timed nor checked on a card.
inline constexpr const char* kNothingRunsAmd = "nothing here runs on AMD's GPUs";
/// What runs blocks: of "gfx942" a compute unit.
inline const char* processor_name(std::string_view arch) {
  return is_amd(arch) ? "compute unit" : "multiprocessor";
}
/// "gfx942", "sm_90".
inline std::string architecture_name(int architecture) {
  return (is_amd(architecture) ? "gfx" : "sm_") +
         std::to_string(architecture == kPlainSm90 ? 90 : std::abs(architecture));
}
/// Threads that run in step.
inline int wave_of(int architecture) { return is_amd(architecture) ? 64 : 32; }

} // namespace temper::tir
