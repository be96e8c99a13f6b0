/// The order of passes. `temper-opt --pipeline cpu` runs the same list.
#pragma once

#include "ir/pass/lowering.h"

#include <span>

namespace temper::ir {

struct LoweringPass {
  const char* name;
  PrimFunc (*run)(const PrimFunc& function, const LowerOptions& options);
  /// False for what a plain lowering (references) leaves out.
  bool needed = true;
  /// What takes its place where loops are not expanded (ir/pass/fold.h); null: itself.
  PrimFunc (*folded)(const PrimFunc& function, const LowerOptions& options) = nullptr;
};

/// tir to the form of codegen/lower.h; blocks are lowered before (s_tir/lower.h).
std::span<const LoweringPass> cpu_passes();

} // namespace temper::ir
