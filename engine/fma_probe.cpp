#include "engine/fma_probe.h"

#include <array>
#include <cstdint>

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace temper::engine {
namespace {

#if defined(__x86_64__)

#define TEMPER_FMA(op, wide, n) op " %%" wide "14,%%" wide "15,%%" wide #n "\n"
#define TEMPER_FMA_ROUND(op, wide)                                                                 \
  TEMPER_FMA(op, wide, 0)                                                                          \
  TEMPER_FMA(op, wide, 1)                                                                          \
  TEMPER_FMA(op, wide, 2)                                                                          \
  TEMPER_FMA(op, wide, 3)                                                                          \
  TEMPER_FMA(op, wide, 4)                                                                          \
  TEMPER_FMA(op, wide, 5)                                                                          \
  TEMPER_FMA(op, wide, 6)                                                                          \
  TEMPER_FMA(op, wide, 7)                                                                          \
  TEMPER_FMA(op, wide, 8)                                                                          \
  TEMPER_FMA(op, wide, 9)                                                                          \
  TEMPER_FMA(op, wide, 10)                                                                         \
  TEMPER_FMA(op, wide, 11)
// Registers are zeroed first: a denormal left in one would slow the probe.
#define TEMPER_FMA_PROBE(name, op, wide)                                                           \
  void name(int64_t rounds) {                                                                      \
    __asm__ volatile("vzeroall\n"                                                                  \
                     "1:\n" TEMPER_FMA_ROUND(op, wide) TEMPER_FMA_ROUND(op, wide) "dec %0\n"       \
                                                                                  "jnz 1b\n"       \
                                                                                  "vzeroupper\n"   \
                     : "+r"(rounds)                                                                \
                     :                                                                             \
                     : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",       \
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");      \
  }
TEMPER_FMA_PROBE(fma_f32_512, "vfmadd231ps", "zmm")
TEMPER_FMA_PROBE(fma_f64_512, "vfmadd231pd", "zmm")
TEMPER_FMA_PROBE(fma_f32_256, "vfmadd231ps", "ymm")
TEMPER_FMA_PROBE(fma_f64_256, "vfmadd231pd", "ymm")
TEMPER_FMA_PROBE(dot_bf16_512, "vdpbf16ps", "zmm")
TEMPER_FMA_PROBE(dot_int8_512, "vpdpbusd", "zmm")
TEMPER_FMA_PROBE(dot_int8_256, "%{vex%} vpdpbusd", "ymm")
#undef TEMPER_FMA_PROBE
#undef TEMPER_FMA_ROUND
#undef TEMPER_FMA

constexpr double kFmasPerRound = 24;

/// Asks the system for leave to use AMX's tile registers, for the whole process.
bool amx_is_usable() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023; // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  static const bool usable = __builtin_cpu_supports("amx-tile") != 0 &&
                             ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return usable;
#else
  return false;
#endif
}

/// The configuration of eight tile registers of 16 rows of 64 bytes.
struct alignas(64) AmxConfiguration {
  uint8_t bytes[64] = {};
  constexpr AmxConfiguration() {
    bytes[0] = 1; // palette
    for (int tile = 0; tile < 8; ++tile) {
      bytes[16 + 2 * tile] = 64;
      bytes[48 + tile] = 16;
    }
  }
};
constexpr AmxConfiguration kAmxConfiguration;

// Four tiles of sums, as a product that reads two tiles of each operand has them.
#define TEMPER_AMX_PROBE(name, op)                                                                 \
  void name(int64_t rounds) {                                                                      \
    __asm__ volatile("ldtilecfg %1\n"                                                              \
                     "tilezero %%tmm0\ntilezero %%tmm1\ntilezero %%tmm2\ntilezero %%tmm3\n"        \
                     "tilezero %%tmm4\ntilezero %%tmm5\ntilezero %%tmm6\ntilezero %%tmm7\n"        \
                     "1:\n" op " %%tmm6,%%tmm4,%%tmm0\n" op " %%tmm7,%%tmm4,%%tmm1\n" op           \
                     " %%tmm6,%%tmm5,%%tmm2\n" op " %%tmm7,%%tmm5,%%tmm3\n"                        \
                     "dec %0\n"                                                                    \
                     "jnz 1b\n"                                                                    \
                     "tilerelease\n"                                                               \
                     : "+r"(rounds)                                                                \
                     : "m"(kAmxConfiguration)                                                      \
                     : "cc");                                                                      \
  }
TEMPER_AMX_PROBE(amx_bf16, "tdpbf16ps")
TEMPER_AMX_PROBE(amx_int8, "tdpbusd")
#undef TEMPER_AMX_PROBE

/// Four products of 16 x `depth` by `depth` x 16 a round.
FmaProbe per_tile(void (*run)(int64_t), int depth) { return {run, 4.0 * 2 * 16 * 16 * depth}; }

FmaProbe per_vector(void (*run)(int64_t), int products) {
  return {run, kFmasPerRound * 2 * products};
}

#endif

constexpr std::array<std::string_view, 6> kNames{"float32", "float64",         "bfloat16",
                                                 "int8",    "bfloat16 matrix", "int8 matrix"};

} // namespace

std::string_view to_string(FmaKind kind) { return kNames[static_cast<size_t>(kind)]; }

std::optional<FmaKind> parse_fma_kind(std::string_view text) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == text)
      return static_cast<FmaKind>(i);
  return std::nullopt;
}

#if defined(__x86_64__)

FmaProbe fma_probe(FmaKind kind) {
  const bool avx512 = __builtin_cpu_supports("avx512f") != 0;
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  switch (kind) {
  case FmaKind::kFloat32:
    return avx512 ? per_vector(fma_f32_512, 16) : avx2 ? per_vector(fma_f32_256, 8) : FmaProbe{};
  case FmaKind::kFloat64:
    return avx512 ? per_vector(fma_f64_512, 8) : avx2 ? per_vector(fma_f64_256, 4) : FmaProbe{};
  case FmaKind::kBFloat16: // pairs of products
    return avx512 && __builtin_cpu_supports("avx512bf16") ? per_vector(dot_bf16_512, 32)
                                                          : FmaProbe{};
  case FmaKind::kBFloat16Matrix:
    return __builtin_cpu_supports("amx-bf16") && amx_is_usable() ? per_tile(amx_bf16, 32)
                                                                 : FmaProbe{};
  case FmaKind::kInt8Matrix:
    return __builtin_cpu_supports("amx-int8") && amx_is_usable() ? per_tile(amx_int8, 64)
                                                                 : FmaProbe{};
  case FmaKind::kInt8: // fours
    if (avx512 && __builtin_cpu_supports("avx512vnni"))
      return per_vector(dot_int8_512, 64);
    return __builtin_cpu_supports("avxvnni") ? per_vector(dot_int8_256, 32) : FmaProbe{};
  }
  return {};
}

#else

FmaProbe fma_probe(FmaKind) { return {}; }

#endif

} // namespace temper::engine
