/// s-tir scheduled for a GPU, through every step: lowered, its text parsed back, run warp by warp
/// under every timing and as loops, against what the schedule computes as it stands.
#pragma once

#include "codegen/lower_gpu.h"
#include "ir/tir/emulator/emulate.h"
#include "ir/tir/emulator/thread_loops.h"
#include "tests/pass/equivalence.h"

#include <gtest/gtest.h>

#include <string>

namespace temper::testing {

inline ir::PrimFunc function_of(const ir::IRModule& module) {
  return module->functions.front().function.as_ref<ir::PrimFuncNode>();
}

/// The lowered function; null when something was wrong, which the test then says. `expected`: of
/// ir::testing::run() with seed 1.
inline ir::PrimFunc expect_bound_meaning(const ir::IRModule& module,
                                         const ir::testing::Memory& expected,
                                         const std::string& target = "cuda:sm_80",
                                         double tolerance = 1e-4) {
  const auto lowered = codegen::lower_for_gpu(module, *ir::parse_target(target));
  EXPECT_TRUE(lowered.has_value()) << lowered.error().to_string();
  if (!lowered)
    return nullptr;
  const ir::PrimFunc flat = function_of(*lowered);
  const std::string text = script::to_text(flat);
  const auto again = script::parse_prim_func(text, "lowered.py");
  EXPECT_TRUE(again.has_value()) << text << again.error().to_string();
  std::string difference;
  if (again) {
    EXPECT_TRUE(ir::structural_equal(*again, flat, &difference)) << difference << "\n" << text;
  }
  // Vectors write outputs, too: which ones there are is asked of the program.
  const auto emulated =
      ir::testing::run_by(function_of(module), 1, ir::ParallelOrder::kForward, {},
                          [&](const std::vector<ir::InterpretArgument>& arguments,
                              const ir::InterpretOptions&) -> Result<void> {
                            TEMPER_TRY(report, tir::emulate_thoroughly(flat, arguments));
                            (void)report;
                            return {};
                          });
  EXPECT_TRUE(emulated.has_value()) << emulated.error().message << "\n" << text;
  if (!emulated)
    return nullptr;
  EXPECT_TRUE(ir::testing::same(expected, *emulated, tolerance)) << text;
  const auto loops = tir::thread_loops(flat);
  EXPECT_TRUE(loops.has_value()) << loops.error().message << "\n" << text;
  if (!loops)
    return nullptr;
  const auto looped = ir::testing::run(*loops);
  EXPECT_TRUE(looped.has_value()) << looped.error().to_string() << "\n" << text;
  if (!looped)
    return nullptr;
  const auto right = ir::testing::same(expected, *looped, tolerance);
  EXPECT_TRUE(right) << text;
  return right ? flat : nullptr;
}

} // namespace temper::testing
