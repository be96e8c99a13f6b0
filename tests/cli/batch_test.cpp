/// temper batch where nothing is tuned: its file and its plan.
#include "tests/cli/shell.h"

namespace temper::testing {
namespace {

TEST(BatchFile, AnUnknownKeyIsRefusedWithItsLineAndTheNearest) {
  const Shell shell;
  shell.write("night.toml", "[[task]]\nworkload = \"gemv\"\ntrails = 3\n");
  const Ran ran = shell.run("temper batch night.toml");
  EXPECT_EQ(ran.code, 2);
  EXPECT_EQ(ran.err, "temper: night.toml:3: there is no key 'trails' in [[task]]; did you mean "
                     "'trials'?\n");
  EXPECT_EQ(ran.out, "");
}

TEST(BatchFile, ThatIsNotThereGetsTheNearest) {
  const Shell shell;
  const Ran ran = shell.run("temper batch resnet5");
  EXPECT_EQ(ran.code, 2);
  EXPECT_NE(ran.err.find("did you mean 'resnet50'?"), std::string::npos) << ran.err;
  EXPECT_EQ(shell.run("temper batch other.toml").code, 2);
  EXPECT_EQ(shell.run("mkdir jobs && temper batch jobs").code, 2);
}

TEST(Plan, SaysWhatFailsAndWhatTheOthersTake) {
  const Shell shell;
  shell.write("night.toml", R"(
[defaults]
trials = 100

[[task]]
workload = "gemv"
shapes = [{M = 64, N = 64}, {M = 64, N = 0}]

[[task]]
workload = "softmax"
target = "cuda:sm_90a"

[[task]]
workload = "softmaxx"

[[task]]
workload = "matmul"
shapes = [{M = 8, N = 24, K = 16}]
seconds = 3
)");
  const Ran ran = shell.run("temper batch night.toml --dry-run --json");
  EXPECT_EQ(ran.code, 1) << ran.err;
  EXPECT_EQ(ran.json()["schema"], "temper.batch/1");
  const Json tasks = ran.list("tasks");
  ASSERT_EQ(tasks.size(), 6U) << ran.out; // both shapes of the softmax file
  EXPECT_EQ(tasks[0]["state"], "new");
  EXPECT_DOUBLE_EQ(tasks[0]["estimated_seconds"].get<double>(), 25) << "by the rule of thumb";
  EXPECT_NE(tasks[1]["error"].dump().find("N"), std::string::npos);
  for (const size_t gpu : {2, 3})
    EXPECT_NE(tasks[gpu]["error"].dump().find("cuda:sm_90a"), std::string::npos);
  EXPECT_NE(tasks[4]["error"].dump().find("did you mean 'softmax'"), std::string::npos);
  EXPECT_EQ(tasks[5]["state"], "new");
  EXPECT_DOUBLE_EQ(tasks[5]["estimated_seconds"].get<double>(), 3);
  EXPECT_DOUBLE_EQ(ran.json()["estimated_seconds"].get<double>(), 28);
  EXPECT_TRUE(shell.run("temper list runs --json").json()["runs"].empty());
}

TEST(Plan, NamesTheParametersOfAFailureInTheWorkloadsOrder) {
  const Shell shell;
  shell.write("night.toml", "[[task]]\nworkload = \"matmul\"\n"
                            "shapes = [{K = 0, M = 8, N = 16}]\n");
  const Ran ran = shell.run("temper batch night.toml --dry-run");
  EXPECT_EQ(ran.code, 1) << ran.err;
  EXPECT_NE(ran.out.find("matmul M=8 N=16 K=0"), std::string::npos) << ran.out;
}

TEST(Plan, AnExcerptOfAFileLeavesTheTableWhole) {
  const Shell shell;
  shell.write("bad.py", "def bad(M):\n    @T.prim_func(s_tir=True)\n"
                        "    def main(A: T.Buffer((M,), \"float31\")):\n"
                        "        A[0] = T.exp(1)\n    return main\n");
  shell.write("night.toml", "[[task]]\nworkload = \"bad.py\"\nshapes = [{M = 8}]\n"
                            "[[task]]\nworkload = \"gemv\"\nshapes = [{M = 64, N = 64}]\n");
  for (const char* option : {"--dry-run", "--trials 2"}) {
    const Ran ran = shell.run(std::string("temper batch night.toml ") + option);
    EXPECT_EQ(ran.code, 1) << ran.err;
    EXPECT_NE(ran.out.find("float31"), std::string::npos) << ran.out;
    EXPECT_EQ(ran.out.find('^'), std::string::npos) << ran.out;
    for (const std::string& line : split_text(ran.out, '\n'))
      EXPECT_LE(line.size(), 100U) << line;
  }
}

TEST(Plan, OfATargetThatTheHostLacksNamesWhatIsMissing) {
  const Shell shell;
  // No processor has all of AMD's and of Intel's extensions.
  shell.write("night.toml",
              "[[task]]\nworkload = \"gemv\"\ntarget = \"cpu:znver4,+amx-tile,+fma4,+xop\"\n");
  const Ran ran = shell.run("temper batch night.toml --dry-run --json");
  EXPECT_EQ(ran.code, 1) << ran.err;
  EXPECT_NE(ran.list("tasks")[0]["error"].dump().find("lacks"), std::string::npos) << ran.out;
}

TEST(Plan, OfTheWholeBatchIsNoLongerThanItsBudget) {
  const Shell shell;
  shell.write("night.toml", "seconds = 60\n[defaults]\nseconds = 50\n"
                            "[[task]]\nworkload = \"gemv\"\n[[task]]\nworkload = \"softmax\"\n");
  const Ran ran = shell.run("temper batch night.toml --dry-run --json");
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_DOUBLE_EQ(ran.json()["estimated_seconds"].get<double>(), 60);
  EXPECT_DOUBLE_EQ(shell.run("temper batch night.toml --dry-run --json --seconds 70")
                       .json()["estimated_seconds"],
                   70);
}

TEST(Plan, OfEveryReadyFileHasNothingThatFails) {
  const Shell shell;
  const std::pair<const char*, size_t> files[] = {{"suite", 13},        {"resnet50", 23},
                                                  {"mobilenet", 19},    {"bert", 7},
                                                  {"llama_prefill", 5}, {"llama_decode", 5}};
  for (const auto& [name, count] : files) {
    const Ran ran = shell.run(std::string("temper batch ") + name + " --dry-run --json");
    EXPECT_EQ(ran.code, 0) << name << ran.err << ran.out;
    EXPECT_EQ(ran.list("tasks").size(), count) << name;
  }
}

} // namespace
} // namespace temper::testing
