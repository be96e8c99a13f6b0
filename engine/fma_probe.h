/// Multiply-adds in registers, as fast as one core does them: the peak that kernels are held
/// against, once per host (machine_speed.h) and in turns with a kernel (peers/peak.cpp).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace temper::engine {

/// What is multiplied. Floats are summed in their own type, products of bfloat16 by dot-product
/// instructions in float32, of bytes in int32; or both by instructions for whole matrices (AMX).
enum class FmaKind : uint8_t {
  kFloat32,
  kFloat64,
  kBFloat16,
  kInt8,
  kBFloat16Matrix,
  kInt8Matrix,
};
std::string_view to_string(FmaKind kind); ///< "float32", "bfloat16", "bfloat16 matrix", ...
std::optional<FmaKind> parse_fma_kind(std::string_view text);

/// One probe: so many independent multiply-adds a round that latency is hidden (4 to 5 cycles, two
/// a cycle), all in registers.
struct FmaProbe {
  void (*run)(int64_t rounds) = nullptr; ///< null: this processor has no such instruction
  double flops_per_round = 0;            ///< two operations for each product
};
FmaProbe fma_probe(FmaKind kind);

} // namespace temper::engine
