/// temper remeasure: a change of the compiler, from outside. What changes it here are options for
/// LLVM itself, which are part of the toolchain.
#include "tests/cli/shell.h"

namespace temper::testing {
namespace {

/// Every value is spilled: right, and slower for certain.
constexpr const char* kSlowLlvm = "TEMPER_LLVM_FLAGS=-optimize-regalloc=false ";
/// Touches nothing that a kernel has.
constexpr const char* kOtherLlvm = "TEMPER_LLVM_FLAGS=-instcombine-max-num-phis=511 ";

TEST(Remeasure, WithTheSameCompilerHasNothingToDo) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune matmul M=64 N=64 K=64 --trials 8 --seed 1").code, 0);
  const Ran stale = shell.run("temper remeasure --stale --json");
  EXPECT_EQ(stale.code, 0) << stale.err;
  EXPECT_TRUE(stale.json()["kernels"].empty());
  const Ran all = shell.run("temper remeasure matmul --json");
  EXPECT_EQ(all.code, 0) << all.err;
  const Json kernel = all.list("kernels")[0];
  EXPECT_EQ(kernel["verdict"], "equal code");
  EXPECT_EQ(kernel["new_record"], kernel["record"]);
}

TEST(Remeasure, EqualCodeStaysValidWithoutRunning) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune matmul M=64 N=64 K=64 --trials 8 --seed 1").code, 0);
  const Json before = shell.run("temper best --json").list("records")[0];
  EXPECT_TRUE(shell.run(std::string(kOtherLlvm) + "temper best --json").json()["records"].empty())
      << "a result of another toolchain is not used silently";
  const Ran ran =
      shell.run(std::string(kOtherLlvm) + "TEMPER_RUNNER=/nowhere temper remeasure --stale --json");
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.list("kernels")[0]["verdict"], "equal code") << ran.out;
  const Json after = shell.run(std::string(kOtherLlvm) + "temper best --json").list("records")[0];
  EXPECT_EQ(after["median_ns"], before["median_ns"]);
  EXPECT_NE(after["record"], before["record"]);
  EXPECT_EQ(after["stale"], false);
  EXPECT_TRUE(shell.run(std::string(kOtherLlvm) + "temper remeasure --stale --json")
                  .json()["kernels"]
                  .empty())
      << "once is enough";
  // Its bytes are kept under the new toolchain too.
  EXPECT_EQ(shell.run(std::string(kOtherLlvm) + "temper export --out out matmul").code, 0);
}

TEST(Remeasure, OfAnotherTargetIsNotStale) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune gemv M=64 N=64 --target cpu:x86-64 --trials 3 --seed 1").code,
            0);
  for (const Json& record : shell.run("temper list records --json").list("records"))
    EXPECT_EQ(record["stale"], false) << record.dump(2);
  EXPECT_TRUE(shell.run("temper remeasure --stale --json").json()["kernels"].empty());
  EXPECT_NE(shell.run("temper best").out.find("--all shows other machines"), std::string::npos);
  EXPECT_NE(shell.run(std::string(kOtherLlvm) + "temper best").out.find("--stale"),
            std::string::npos)
      << "another compiler makes it so";
}

TEST(Remeasure, ASlowerKernelIsTheAnswerNo) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune matmul M=128 N=128 K=128 --trials 16 --seed 1").code, 0);
  ASSERT_EQ(shell.run("temper tune gemv M=64 N=64 --trials 4 --seed 1").code, 0);
  const Ran ran = shell.run(std::string(kSlowLlvm) + "temper remeasure --stale --json --seconds 3");
  EXPECT_EQ(ran.code, 3) << ran.err;
  const Json kernels = ran.list("kernels");
  ASSERT_EQ(kernels.size(), 2U);
  const Json& matmul = kernels[1];
  EXPECT_EQ(matmul["workload"], "matmul");
  EXPECT_EQ(matmul["verdict"], "slower") << matmul.dump(2);
  EXPECT_GT(matmul["ratio"].get<double>(), 1.1);
  EXPECT_GT(matmul["ratio_interval"][0].get<double>(), 1.02);
  // It is on record what it takes now, and what made it.
  const std::string record = matmul["new_record"];
  const Ran best = shell.run(std::string(kSlowLlvm) + "temper best matmul --json");
  EXPECT_EQ(best.list("records")[0]["record"], record);
  // Within a large tolerance it is no regression.
  const Ran tolerant =
      shell.run(std::string(kSlowLlvm) + "temper remeasure " + matmul["record"].get<std::string>() +
                " --tolerance 500 --seconds 3 --json");
  EXPECT_EQ(tolerant.code, 0) << tolerant.out << tolerant.err;
  EXPECT_EQ(tolerant.list("kernels")[0]["verdict"], "same");
}

TEST(Remeasure, WhatIsWrongNowIsBroken) {
  const Shell shell;
  shell.write("scale.py", kScale);
  ASSERT_EQ(shell.run("temper tune scale.py M=64 N=64 --trials 3 --seed 1").code, 0);
  // The same program, but its author says now that it computes something else.
  shell.write("scale.py", std::string(kScale) + kWrongScaleReference);
  const Ran ran = shell.run(std::string(kSlowLlvm) + "temper remeasure --stale --json --seconds 3");
  EXPECT_EQ(ran.code, 3) << ran.err << ran.out;
  EXPECT_EQ(ran.list("kernels")[0]["verdict"], "broken") << ran.out;
  EXPECT_TRUE(shell.run(std::string(kSlowLlvm) + "temper best --json").json()["records"].empty());
}

TEST(Remeasure, WithoutTheOldBytesSaysSo) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune gemv M=64 N=64 --trials 4 --seed 1").code, 0);
  ASSERT_EQ(shell.run("temper dump --no-artifacts | temper import - --db other.db").code, 0);
  const Ran ran = shell.run(std::string(kSlowLlvm) +
                            "temper remeasure --stale --db other.db --json --seconds 3");
  EXPECT_EQ(ran.code, 1) << ran.err;
  EXPECT_EQ(ran.list("kernels")[0]["verdict"], "undecided") << ran.out;
  EXPECT_NE(ran.list("kernels")[0]["reason"].dump().find("was not kept"), std::string::npos);
}

TEST(Remeasure, TakesASelectionOrStale) {
  const Shell shell;
  EXPECT_EQ(shell.run("temper remeasure").code, 2);
  EXPECT_EQ(shell.run("temper remeasure --stale matmul").code, 2);
  EXPECT_EQ(shell.run("temper remeasure matmul").code, 2);
  EXPECT_EQ(shell.run("temper remeasure --stale").out.find("nothing is stale"), 0U);
  const Ran ran = shell.run("TEMPER_LLVM_FLAGS=-no-such-flag temper remeasure --stale");
  EXPECT_EQ(ran.code, 2);
  EXPECT_NE(ran.err.find("TEMPER_LLVM_FLAGS"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("-no-such-flag"), std::string::npos) << ran.err;
}

} // namespace
} // namespace temper::testing
