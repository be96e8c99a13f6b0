// What a workbench says of this build: under which toolchain records are made.

#include "tuner/workbench.h"

#include "ir/script/intrinsic_file.h"

#include <gtest/gtest.h>

namespace temper::tuner {
namespace {

constexpr const char* kTwice = R"(
@T.prim_func(s_tir=True)
def workbench_twice_desc(X: T.Buffer((4,), "float32"), Y: T.Buffer((4,), "float32")):
    for i in range(4):
        with T.sblock("Y"):
            vi = T.axis.spatial(4, i)
            Y[vi] = X[vi] * T.float32(2)

@T.prim_func
def workbench_twice_impl(X: T.Buffer((4,), "float32"), Y: T.Buffer((4,), "float32")):
    Y[T.Ramp(0, 1, 4)] = X[T.Ramp(0, 1, 4)] + X[T.Ramp(0, 1, 4)]
)";

database::Toolchain toolchain_for(const WorkbenchOptions& options = {}) {
  const auto made = Workbench(options).toolchain();
  EXPECT_TRUE(made) << (made ? "" : made.error().to_string());
  return made ? *made : database::Toolchain();
}

TEST(Toolchain, IsTheSameForAnyNumberOfThreads) {
  EXPECT_EQ(toolchain_for({.threads = 2}).id, toolchain_for().id);
}

TEST(Toolchain, IsAnotherOneWithTensorIntrinsicsOfAUser) {
  const database::Toolchain without = toolchain_for();
  ASSERT_TRUE(script::load_tensor_intrinsics(kTwice, "twice.py"));
  const database::Toolchain with = toolchain_for();
  EXPECT_NE(with.id, without.id);
  EXPECT_NE(with.json.find("tensor_intrinsics"), std::string::npos) << with.json;
  EXPECT_EQ(without.json.find("tensor_intrinsics"), std::string::npos) << without.json;
  EXPECT_EQ(toolchain_for().id, with.id);
}

} // namespace
} // namespace temper::tuner
