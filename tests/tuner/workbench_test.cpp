// What a workbench says of this build: under which toolchain records are made.

#include "tuner/workbench.h"

#include "ir/script/intrinsic_file.h"
#include "ir/support/text.h"
#include "tuner/record_mapping.h"

#include <gtest/gtest.h>

#include <filesystem>

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

TEST(StoredWorkload, IsOutdatedWhenItsFileDescribesAnotherProgram) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / "stored_workload";
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "twice.py").string();
  const auto write = [&](const std::string& factor) {
    ASSERT_TRUE(write_file(path, R"(
def twice(N):
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((N,), "float32"), B: T.Buffer((N,), "float32")):
        for i in range(N):
            with T.sblock("B"):
                vi = T.axis.spatial(N, i)
                B[vi] = A[vi] * T.float32()" +
                                     factor +
                                     R"()
    return main


twice_workload = dict(shapes=[dict(N=8)])
)"));
  };
  write("2");
  Workbench bench{{}};
  const auto task = bench.task(WorkloadArguments{path, {}, false});
  ASSERT_TRUE(task) << task.error().to_string();
  database::Workload row = workload_row(*task);
  EXPECT_FALSE(bench.is_outdated(row));
  write("3");
  EXPECT_TRUE(bench.is_outdated(row));
  row.name = "twice.py"; // as it is called in its own folder
  EXPECT_TRUE(bench.is_outdated(row));
  write("2");
  EXPECT_FALSE(bench.is_outdated(row));
  std::filesystem::remove_all(folder);
  EXPECT_FALSE(bench.is_outdated(row)) << "without a file there is nothing to go by";
}

} // namespace
} // namespace temper::tuner
