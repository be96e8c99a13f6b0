#include "codegen/lower.h"

#include "tests/s_tir/programs.h"

#include <gtest/gtest.h>

namespace temper::codegen {
namespace {

using namespace s_tir::programs; // NOLINT

TEST(Lower, AnUnscheduledMatmulBecomesWhatTheEmitterExpects) {
  const auto lowered = lower_for_cpu(matmul(8, 12, 20), {});
  ASSERT_TRUE(lowered) << lowered.error().to_string();
  const ir::PrimFunc function = (*lowered)->find_prim_func("main");
  EXPECT_TRUE(verify_lowered(function, {}));
  EXPECT_EQ(parameter_shapes(function),
            (std::vector<std::vector<int64_t>>{{8, 20}, {20, 12}, {8, 12}}));
  EXPECT_EQ(written_parameters(function), (std::vector<bool>{false, false, true}));
}

} // namespace
} // namespace temper::codegen
