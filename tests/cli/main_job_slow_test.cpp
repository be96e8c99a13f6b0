/// The main job from outside: a kernel of one's own is checked, tuned, kept, exported, dumped.
#include "tests/cli/shell.h"

namespace temper::testing {
namespace {

TEST(MainJob, AKernelOfOnesOwnGoesAllTheWay) {
  const Shell shell;
  shell.write("scale.py", kScale);
  const Ran checked = shell.run("temper check scale.py M=64 N=64");
  EXPECT_EQ(checked.code, 0) << checked.err;
  EXPECT_NE(checked.out.find("right"), std::string::npos) << checked.out;

  const Ran tuned = shell.run("temper tune scale.py M=64 N=64 --trials 12 --seed 1 --json");
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  const Json tune = tuned.json();
  EXPECT_EQ(tune["schema"], "temper.tune/1");
  const std::string record = tune["best"]["record"].get<std::string>();
  EXPECT_GT(tune["best"]["median_ns"].get<double>(), 0);
  for (const char* phase : {"prepare", "propose", "compile", "measure", "confirm"})
    EXPECT_GT(tune["phases"][phase].get<double>(), 0) << phase;

  EXPECT_EQ(shell.run("temper show " + record + " --script").code, 0);
  EXPECT_EQ(shell.run("temper show " + record + " --asm").code, 0);
  EXPECT_EQ(shell.run("temper rerun " + record + " --keep kept").code, 0);
  EXPECT_TRUE(std::filesystem::exists(shell.folder() / "kept" / "trace.json"));

  const Ran explained = shell.run("temper explain " + record + " --json");
  ASSERT_EQ(explained.code, 0) << explained.err;
  const Json why = explained.json();
  EXPECT_TRUE(why["unknown"].empty()) << why["unknown"];
  EXPECT_FALSE(why["limits"].empty());
  EXPECT_TRUE(why.contains("hot_loop")) << "null where all of it is unrolled";
  EXPECT_GT(why["bound_ns"].get<double>(), 0);
  EXPECT_GT(why["estimate"]["total_ns"].get<double>(), 0);
  EXPECT_TRUE(why["trace"].is_string()) << "empty where the best is as it was written";
  EXPECT_EQ(why["provenance"]["command"],
            "temper tune scale.py M=64 N=64 --trials 12 --seed 1 --json");
  EXPECT_FALSE(why["provenance"].value("temper", "").empty());
  const Ran reported = shell.run("temper report --out page.html --json");
  EXPECT_EQ(reported.code, 0) << reported.err;
  EXPECT_GT(reported.json()["machine"]["measured_at"].get<int64_t>(), 0)
      << "which measurement of the machine the shares are of";
  const std::string page = read_file(shell.folder() / "page.html").value_or("");
  EXPECT_NE(page.find("<dt>bounds</dt><dd>a core does"), std::string::npos);

  const Ran exported = shell.run("temper export --name mine --out out scale.py M=64 N=64 --json");
  ASSERT_EQ(exported.code, 0) << exported.err;
  EXPECT_TRUE(std::filesystem::exists(shell.folder() / "out" / "libmine.so"));
  EXPECT_TRUE(std::filesystem::exists(shell.folder() / "out" / "mine.h"));
  EXPECT_EQ(exported.json()["functions"][0]["name"], "scale_f32_64x64");

  ASSERT_EQ(shell.run("temper dump -o all.jsonl").code, 0);
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(shell.run("temper import all.jsonl --db copy.db").code, 0);
  const Ran best = shell.run("temper best --db copy.db --json");
  EXPECT_EQ(best.json()["records"][0]["record"], record) << best.out << best.err;
}

/// The text of the n-th block of the README that is marked as `language`.
std::string readme_block(const std::string& language, int n) {
  const std::string text = read_file(TEMPER_SOURCE_DIR "/README.md").value_or("");
  const std::string fence = "```" + language + "\n";
  size_t at = text.find(fence);
  for (; n > 0 && at != std::string::npos; --n)
    at = text.find(fence, at + fence.size());
  if (at == std::string::npos)
    return {};
  at += fence.size();
  return text.substr(at, text.find("```\n", at) - at);
}

TEST(MainJob, WhatTheReadmeSaysAboutAKernelOfOnesOwnWorks) {
  const Shell shell;
  shell.write("scale.py", readme_block("python", 0));
  shell.write("call.c", readme_block("c", 0));
  shell.write("call.py", readme_block("python", 1));
  EXPECT_EQ(shell.run("temper check scale.py M=512 N=512").code, 0);
  EXPECT_EQ(shell.run("temper tune scale.py M=512 N=512 --trials 2").code, 0);
  const Ran exported = shell.run("temper export --name mine --out out scale.py M=512 N=512");
  ASSERT_EQ(exported.code, 0) << exported.err;
  const Ran c = shell.run("cc call.c -Iout -Lout -lmine -Wl,-rpath,$PWD/out && ./a.out");
  EXPECT_EQ(c.out, "7\n") << c.err;
  // ./dev makes this environment; without it the C half has been checked at least.
  const std::string python = TEMPER_SOURCE_DIR "/build/venv/bin/python";
  if (shell.run(python + " -c 'import tvm_ffi, numpy'").code != 0)
    GTEST_SKIP() << "no Python with numpy and apache-tvm-ffi in build/venv";
  const Ran called = shell.run(python + " call.py");
  EXPECT_EQ(called.out, "7.0\n") << called.err;
}

TEST(MainJob, SizesStandInTheOrderOfTheirDeclaration) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune matmul M=8 N=24 K=16 --trials 2 --seed 1").code, 0);
  const Ran best = shell.run("temper best");
  EXPECT_NE(best.out.find("matmul M=8 N=24 K=16"), std::string::npos) << best.out;
  EXPECT_NE(shell.run("temper list runs").out.find("M=8 N=24 K=16"), std::string::npos);
  const std::string record = shell.run("temper best --json").json()["records"][0]["record"];
  EXPECT_NE(shell.run("temper show " + record).out.find("M=8 N=24 K=16"), std::string::npos);
  // Also where the workload's file cannot be found any more.
  const Ran exported = shell.run("TEMPER_WORKLOADS=$PWD temper export --out out --json");
  EXPECT_EQ(exported.json()["functions"][0]["name"], "matmul_f32_8x24x16") << exported.err;
}

TEST(MainJob, AKernelIsExportedFromAnotherFolderWithItsOwnReference) {
  const Shell shell;
  // Right by its own reference and tolerance; the program as written would find no fault.
  std::string text = kScale;
  text += R"(
def scale_reference(M, N, dtype="float32"):
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((M, N), dtype), B: T.Buffer((M, N), dtype)):
        for i, j in T.grid(M, N):
            with T.sblock("B"):
                vi, vj = T.axis.remap("SS", [i, j])
                B[vi, vj] = A[vi, vj] * T.float32(2.1) + T.float32(1)
    return main
)";
  text.replace(text.find("flops="), 0, "tolerance=0.5, ");
  shell.write("scale.py", text);
  const Ran tuned = shell.run("temper tune scale.py M=8 N=8 --trials 2 --seed 1");
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  const std::string record = shell.run("temper best --json").json()["records"][0]["record"];
  const std::string elsewhere = "mkdir -p elsewhere && cd elsewhere && temper export --out out ";
  const Ran exported = shell.run(elsewhere + record);
  EXPECT_EQ(exported.code, 0) << exported.err;

  text.replace(text.find("tolerance=0.5"), 13, "tolerance=1e-9");
  shell.write("scale.py", text);
  const auto library = [&] {
    return read_file(shell.folder() / "elsewhere/out/libkernels.so").value_or("");
  };
  const std::string before = library();
  const Ran refused = shell.run(elsewhere + record);
  EXPECT_EQ(refused.code, 1) << refused.out;
  EXPECT_EQ(library(), before) << "a library that is right is not replaced by one that is wrong";
  EXPECT_EQ(shell.run("temper export --out new " + record).code, 1);
  EXPECT_FALSE(std::filesystem::exists(shell.folder() / "new"));
  EXPECT_NE(refused.err.find("where the reference has"), std::string::npos) << refused.err;
}

TEST(MainJob, WeightsThatArePackedAheadAreCalledFromCAndSaidEverywhere) {
  const Shell shell;
  const Ran tuned = shell.run("temper tune matmul M=32 N=40 K=24 constant=B --trials 12 --seed 1");
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  ASSERT_EQ(shell.run("temper tune matmul M=32 N=40 K=24 --trials 4 --seed 1").code, 0);
  EXPECT_NE(tuned.out.find("constant=B"), std::string::npos) << tuned.out;
  const Json best = shell.run("temper best matmul constant=B --json").json()["records"];
  ASSERT_EQ(best.size(), 1U) << "and not the plain one";
  EXPECT_EQ(shell.run("temper best matmul constant=none --json").json()["records"].size(), 1U);
  EXPECT_EQ(shell.run("temper best matmul --json").json()["records"].size(), 2U);

  // The fastest that packs, whatever a busy machine thinks of it.
  std::string record;
  const Json all = shell.run("temper list records matmul constant=B --limit 100 --json").json();
  for (const Json& row : all["records"])
    if (row["outcome"] == "ok" && !row["packed_ahead"].empty())
      record = row["record"];
  ASSERT_FALSE(record.empty()) << all;
  const Ran shown = shell.run("temper show " + record);
  EXPECT_NE(shown.out.find("B packed ahead: float32[24, 40] as ["), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("sch.pack_ahead("), std::string::npos) << shown.out;
  EXPECT_NE(shell.run("temper list records --limit 100").out.find("packed"), std::string::npos);
  EXPECT_NE(shell.run("temper show " + record + " --tir").out.find("def main_pack_B(B"),
            std::string::npos);
  const Ran plain = shell.run(
      "temper compare " + record + " " +
      std::string(
          shell.run("temper best matmul constant=none --json").json()["records"][0]["record"]));
  EXPECT_EQ(plain.code, 2) << "plain and packed are not compared: " << plain.out;
  EXPECT_EQ(shell.run("temper rerun " + record).code, 0);

  const Ran exported = shell.run("temper export --name w --out out product:=" + record + " --json");
  ASSERT_EQ(exported.code, 0) << exported.err;
  EXPECT_EQ(exported.json()["functions"][1]["name"], "product_pack_B");
  EXPECT_EQ(exported.json()["functions"][1]["checked"], true);
  shell.write("call.c", R"(
#include "w.h"
#include <stdio.h>
#include <stdlib.h>
int main(void) {
  float a[32 * 24], b[24 * 40], c[32 * 40];
  for (int i = 0; i < 32 * 24; ++i) a[i] = (float)(i % 5);
  for (int i = 0; i < 24 * 40; ++i) b[i] = (float)(i % 7);
  float* packed = malloc(PRODUCT_B_PACKED_BYTES);
  if (product_pack_B(b, packed) || product(a, packed, c)) return puts(w_last_error());
  for (int i = 0; i < 32; ++i)
    for (int j = 0; j < 40; ++j) {
      float sum = 0;
      for (int k = 0; k < 24; ++k) sum += a[i * 24 + k] * b[k * 40 + j];
      if (sum != c[i * 40 + j]) return printf("C[%d, %d] is %g, not %g\n", i, j, c[i * 40 + j], sum);
    }
  puts("right");
  return 0;
}
)");
  const Ran c = shell.run("cc call.c -Iout -Lout -lw -Wl,-rpath,$PWD/out && ./a.out");
  EXPECT_EQ(c.out, "right\n") << c.err;
  shell.write("call.py", R"(
import numpy, tvm_ffi
lib = tvm_ffi.load_module("out/libw.so")
packed = lib.get_function_metadata("product")["temper"]["packed"][0]
shape = [a["shape"] for a in lib.get_function_metadata("product")["temper"]["arguments"]]
a, b = numpy.random.rand(32, 24).astype("f"), numpy.random.rand(24, 40).astype("f")
w, c = numpy.empty(shape[1], "f"), numpy.empty((32, 40), "f")
assert w.nbytes == packed["bytes"]
getattr(lib, packed["by"])(b, w)
lib.product(a, w, c)
assert abs(c - a @ b).max() < 1e-4
print("right")
)");
  const std::string python = TEMPER_SOURCE_DIR "/build/venv/bin/python";
  if (shell.run(python + " -c 'import tvm_ffi, numpy'").code != 0)
    GTEST_SKIP() << "no Python with numpy and apache-tvm-ffi in build/venv";
  const Ran called = shell.run(python + " call.py");
  EXPECT_EQ(called.out, "right\n") << called.err;
}

TEST(MainJob, AChangedFileIsNotExportedAsItWasBefore) {
  const Shell shell;
  std::string text = kScale;
  shell.write("scale.py", text);
  ASSERT_EQ(shell.run("temper tune scale.py M=8 N=8 --trials 2 --seed 1").code, 0);
  const std::string record = shell.run("temper best --json").json()["records"][0]["record"];
  text.replace(text.find("* T.float32(2)"), 14, "* T.float32(3)");
  shell.write("scale.py", text);
  for (const char* selection : {"scale.py M=8", "scale:=scale.py", ""}) {
    const Ran ran = shell.run("temper export --out out " + std::string(selection));
    EXPECT_EQ(ran.code, 3) << ran.out;
    EXPECT_NE(ran.err.find(record), std::string::npos) << ran.err;
    EXPECT_NE(ran.err.find("tune it again"), std::string::npos) << ran.err;
  }
  EXPECT_FALSE(std::filesystem::exists(shell.folder() / "out" / "libkernels.so"));
  EXPECT_EQ(shell.run("temper export --out out " + record).code, 0);
  // Of both programs the one of today is meant.
  ASSERT_EQ(shell.run("temper tune scale.py M=8 N=8 --trials 2 --seed 1").code, 0);
  const Ran exported = shell.run("temper export --out out scale.py --json");
  ASSERT_EQ(exported.code, 0) << exported.err;
  ASSERT_EQ(exported.json()["functions"].size(), 1U);
  EXPECT_NE(exported.json()["functions"][0]["record"], record);
}

TEST(MainJob, OneNameIsNotGivenToTwoFunctions) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune gemv M=8 N=8 --trials 2 --seed 1").code, 0);
  const Ran ran = shell.run("temper export --out out f:=gemv f:=gemv");
  EXPECT_EQ(ran.code, 2) << ran.out;
  EXPECT_NE(ran.err.find("'f' is given to two functions"), std::string::npos) << ran.err;
}

TEST(MainJob, ScreensOfRecordsAndRunsFitTheTerminal) {
  const Shell shell;
  if (shell.run("script --version").code != 0)
    GTEST_SKIP() << "there is no program 'script', which makes a terminal";
  const std::string in_terminal = "script -qec 'stty cols 80; temper ";
  const Ran tuned =
      shell.run(in_terminal + "tune matmul M=128 N=128 K=128 --trials 40 --seed 1' /dev/null");
  ASSERT_EQ(tuned.code, 0) << tuned.out;
  EXPECT_NE(tuned.out.find("/40 trials"), std::string::npos) << tuned.out;
  EXPECT_NE(tuned.out.find("run r"), std::string::npos) << tuned.out;
  // The live line starts anew at each carriage return.
  for (const std::string& line : split_text(tuned.out.substr(0, tuned.out.find('\n')), '\r'))
    EXPECT_LE(line.size(), 80 + std::string("\033[K").size()) << line;
  for (const char* command : {"best", "list records", "list runs"}) {
    const Ran ran = shell.run(in_terminal + command + "' /dev/null");
    EXPECT_EQ(ran.code, 0) << ran.out;
    for (std::string line : split_text(ran.out, '\n')) {
      std::erase(line, '\r');
      EXPECT_LE(line.size(), 80U) << line;
    }
  }
}

TEST(MainJob, AListThatIsCutSaysSo) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune gemv M=8 N=8 --trials 2 --seed 1").code, 0);
  for (const char* what : {"records", "runs"}) {
    const std::string list = std::string("temper list ") + what + " --json";
    const Ran all = shell.run(list);
    EXPECT_EQ(all.err, "");
    const size_t count = all.list(what).size();
    EXPECT_EQ(shell.run(list + " --limit " + std::to_string(count)).err, "");
    if (count < 2)
      continue;
    const Ran cut = shell.run(list + " --limit 1");
    EXPECT_EQ(cut.list(what), Json::array({all.list(what)[0]}));
    EXPECT_NE(cut.err.find("the newest 1, there are more"), std::string::npos) << cut.err;
  }
  EXPECT_GE(shell.run("temper list records --json").list("records").size(), 2U);
}

TEST(MainJob, WhatAllRecordsShareIsSaidOnce) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune gemv M=8 N=8 --trials 1").code, 0);
  const Ran one = shell.run("temper list records");
  EXPECT_EQ(one.out.find("threads"), std::string::npos) << one.out;
  EXPECT_NE(one.out.find(", 1 thread\n"), std::string::npos) << one.out;
  ASSERT_EQ(shell.run("temper tune gemv M=8 N=8 --trials 1 --threads 2").code, 0);
  const Ran two = shell.run("temper list records");
  EXPECT_NE(two.out.find("threads"), std::string::npos) << two.out;
  EXPECT_EQ(two.out.find("target"), std::string::npos) << two.out;
  EXPECT_NE(two.out.find("\nall on cpu:"), std::string::npos) << two.out;
}

TEST(MainJob, ARunWithoutOperationsHasNoRate) {
  const Shell shell;
  const Ran checked = shell.run("temper check transpose M=16 N=16");
  EXPECT_EQ(checked.code, 0) << checked.err;
  EXPECT_EQ(checked.out.find("(-)"), std::string::npos) << checked.out;
  const Ran tuned = shell.run("temper tune transpose M=16 N=16 --trials 1");
  EXPECT_EQ(tuned.code, 0) << tuned.err;
  EXPECT_NE(tuned.out.find(": 1 trial in"), std::string::npos) << tuned.out;
  EXPECT_NE(tuned.out.find("stopped: 1 trial\n"), std::string::npos) << tuned.out;
  EXPECT_EQ(tuned.out.find(" - "), std::string::npos) << tuned.out;
}

TEST(MainJob, AWorkloadWithoutPeersSaysSo) {
  const Shell shell;
  shell.write("scale.py", kScale);
  ASSERT_EQ(shell.run("temper tune scale.py M=8 N=8 --trials 2 --seed 1").code, 0);
  const Ran ran = shell.run("temper compare scale.py --peers");
  EXPECT_EQ(ran.code, 2) << ran.out;
  EXPECT_NE(ran.err.find("names no library routine"), std::string::npos) << ran.err;
}

TEST(MainJob, ARateThatNoProcessorHasIsNotBelievedAndSaysWhy) {
  const Shell shell;
  std::string text = kScale;
  const size_t flops = text.find("flops=\"") + 7;
  ASSERT_LT(flops, text.size());
  text.insert(flops, "100000*"); // a workload that counts what nobody computes
  shell.write("scale.py", text);
  const Ran checked = shell.run("temper check scale.py M=64 N=64");
  EXPECT_EQ(checked.code, 0) << checked.err;
  EXPECT_NE(checked.out.find("not to be believed"), std::string::npos) << checked.out;
  EXPECT_NE(checked.out.find("`flops` counts too many"), std::string::npos) << checked.out;
  EXPECT_EQ(checked.out.find("GFLOP/s"), std::string::npos) << checked.out;
  const Ran tuned = shell.run("temper tune scale.py M=64 N=64 --trials 2 --seed 1");
  EXPECT_EQ(tuned.code, 1) << tuned.out;
  EXPECT_NE(tuned.out.find("first failure (time): "), std::string::npos) << tuned.out;
  EXPECT_NE(tuned.out.find("`flops` counts too many"), std::string::npos) << tuned.out;
}

TEST(MainJob, AWrongProgramIsFound) {
  const Shell shell;
  shell.write("scale.py", std::string(kScale) + kWrongScaleReference);
  const Ran ran = shell.run("temper check scale.py M=64 N=64");
  EXPECT_EQ(ran.code, 3) << ran.out << ran.err;
  EXPECT_NE(ran.out.find("wrong_result"), std::string::npos) << ran.out;
}

TEST(MainJob, AnInterruptedRunIsResumedToItsBudget) {
  const Shell shell;
  const Ran cut = shell.run_until("temper tune matmul M=256 N=256 K=256 --trials 400 --seed 3",
                                  "temper list records | grep -q K=", "INT");
  EXPECT_EQ(cut.code, 130) << cut.out << cut.err;
  const Ran runs = shell.run("temper list runs --json");
  EXPECT_EQ(runs.json()["runs"][0]["state"], "interrupted") << runs.out;
  const int64_t before = runs.json()["runs"][0]["trials"].get<int64_t>();
  const Ran resumed = shell.run("temper resume --trials " + std::to_string(before + 8) + " --json");
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_GE(resumed.json()["trials"].get<int64_t>(), before + 8);
}

TEST(MainJob, AKilledRunLosesNothingThatWasMeasured) {
  const Shell shell;
  const Ran cut = shell.run_until("temper tune matmul M=128 N=128 K=128 --trials 4000 --seed 3",
                                  "temper list records | grep -q K=", "KILL");
  EXPECT_EQ(cut.code, 128 + 9);
  const Ran records = shell.run("temper list records --limit 10000 --json");
  ASSERT_EQ(records.code, 0) << records.err;
  const size_t kept = records.json()["records"].size();
  EXPECT_GT(kept, 0U);
  const Ran resumed = shell.run("temper resume --trials " + std::to_string(kept + 4) + " --json");
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  const Ran after = shell.run("temper list records --limit 10000 --json");
  EXPECT_GE(after.json()["records"].size(), kept);
}

} // namespace
} // namespace temper::testing
