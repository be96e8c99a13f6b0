/// What code is for: `native`, `cpu:znver4`, `cpu:x86-64-v3`, later `cuda:sm_90a`. Canonical text
/// is part of the database's key; `native` is resolved to the host's CPU name before it is stored.
#pragma once

#include "ir/support/result.h"

#include <string>
#include <string_view>

namespace temper::ir {

enum class TargetKind : uint8_t { kCpu, kCuda };

struct Target {
  TargetKind kind = TargetKind::kCpu;
  /// LLVM's name of the CPU ("sapphirerapids", "znver4") or the GPU architecture ("sm_90a").
  /// "native" until a code generator has resolved it.
  std::string arch = "native";
  /// LLVM features on top of the CPU's, as "+avx512bf16,-amx-tile"; empty for none.
  std::string features;
  /// Threads of the kernel; 0 = the machine's cores.
  int threads = 0;

  /// "cpu:znver4 threads=2", without what is at its default. parse(to_string()) gives it back.
  std::string to_string() const;
  bool is_cpu() const { return kind == TargetKind::kCpu; }
  bool operator==(const Target&) const = default;
};

/// `native`, `cpu:NAME[,+feature...]`, `cuda:sm_NN`, each optionally with " threads=N". Whether the
/// CPU name is known is for the code generator to say.
Result<Target> parse_target(std::string_view text);

} // namespace temper::ir
