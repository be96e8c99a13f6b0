/// Faults while a command works: signals, killed helpers, disks that fill up, files that are not
/// to be written. Each ends with the right exit code and loses nothing that was recorded.
#include "tests/cli/shell.h"

namespace temper::testing {
namespace {

/// A kernel whose reference never ends.
constexpr const char* kEndless = R"(
def endless(M):
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((M,), "float32"), C: T.Buffer((M,), "float32")):
        for i, j in T.grid(M, 1000000000000):
            with T.sblock("C"):
                vi, vj = T.axis.remap("SR", [i, j])
                with T.init():
                    C[vi] = T.float32(0)
                C[vi] = C[vi] * A[vi] + T.float32(1)
    return main
)";

size_t records_in(const Shell& shell) {
  const Ran records = shell.run("temper list records --limit 100000 --json");
  EXPECT_EQ(records.code, 0) << records.err;
  return records.json()["records"].size();
}

TEST(Interrupt, EndsACheckAtOnce) {
  const Shell shell;
  shell.write("endless.py", kEndless);
  // With helper processes at work the reference is being computed. A signal that is not obeyed
  // leaves this waiting for the test's own time limit.
  const Ran ran = shell.run_until("temper check endless.py M=64",
                                  "grep -q . /proc/$main/task/$main/children", "INT");
  EXPECT_EQ(ran.code, 130) << ran.err;
  EXPECT_NE(ran.err.find("interrupted"), std::string::npos) << ran.err;
}

TEST(Limits, EndACheckThatDoesNotEnd) {
  const Shell shell;
  shell.write("endless.py", kEndless);
  const Ran ran = shell.run("temper check endless.py M=64 --seconds 1");
  EXPECT_EQ(ran.code, 1) << ran.out << ran.err;
  EXPECT_NE(ran.err.find("still running after 1 s"), std::string::npos) << ran.err;
}

TEST(Limits, ThreadsBeyondTheProcessorsAreSaid) {
  const Shell shell;
  const Ran ran = shell.run("temper check matmul M=8 N=8 K=8 --threads 300");
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.err.find("300 threads take turns on the "), std::string::npos) << ran.err;
}

TEST(Interrupt, WhileTheReferenceIsComputedLeavesARunThatGoesOn) {
  const Shell shell;
  shell.write("endless.py", kEndless);
  const Ran ran = shell.run_until("temper tune endless.py M=64 --trials 3",
                                  "temper list runs | grep -q running", "INT");
  EXPECT_EQ(ran.code, 130) << ran.err;
  EXPECT_NE(ran.err.find("temper resume r"), std::string::npos) << ran.err;
  EXPECT_EQ(shell.run("temper list runs --json").json()["runs"][0]["state"], "interrupted");
}

TEST(Interrupt, ARunEndsWhenSomebodyElseAsksAndGoesOnAfterwards) {
  const Shell shell;
  shell.write("stop.sh", R"(
temper tune matmul M=64 N=64 K=64 --trials 100000 --strategy random --seed 3 >tuned.out 2>tuned.err &
main=$!
until temper list records | grep -q K=; do sleep 0.1; done
temper stop --pause --json || exit 1
wait $main
)");
  const Ran ran = shell.run("sh stop.sh");
  EXPECT_EQ(ran.json()["requested"], "pause") << ran.out << ran.err;
  const Json run = shell.run("temper list runs --json").json()["runs"][0];
  EXPECT_EQ(run["state"], "paused");
  EXPECT_EQ(run["run"], ran.json()["run"]);
  const Ran resumed = shell.run("temper resume --trials " +
                                std::to_string(run["trials"].get<int64_t>() + 2) + " --json");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
}

TEST(Kills, OfHelpersCostNoRunItsEnd) {
  const Shell shell;
  // Whatever helper there is at these moments is killed: kernels under measurement at nine, compile
  // processes and the runner at two. Between those two the reference, which is needed again, may
  // take as long as it likes.
  shell.write("kill.sh", R"(
temper tune matmul M=256 N=256 K=256 --trials 100 --strategy random --seed 3 --json >tuned.json 2>tuned.err &
main=$!
until temper list records | grep -q K=; do sleep 0.1; done
for i in $(seq 30); do
  sleep 0.05
  for helper in $(cat /proc/$main/task/$main/children 2>/dev/null); do
    if [ $i -lt 10 ]; then
      for child in $(cat /proc/$helper/task/$helper/children 2>/dev/null); do
        kill -9 $child 2>/dev/null && echo child >>killed
      done
    elif [ $((i % 20)) -eq 10 ]; then
      kill -9 $helper && echo helper >>killed
    fi
  done
done
wait $main
)");
  const Ran ran = shell.run("bash kill.sh");
  EXPECT_EQ(ran.code, 0) << read_file(shell.folder() / "tuned.err").value_or("");
  const std::string killed = read_file(shell.folder() / "killed").value_or("");
  EXPECT_NE(killed.find("helper"), std::string::npos);
  const Json tuned = parse_json(read_file(shell.folder() / "tuned.json").value_or("")).value_or({});
  ASSERT_TRUE(tuned.is_object());
  EXPECT_EQ(tuned["trials"], 100);
  EXPECT_GT(tuned["best"]["median_ns"].get<double>(), 0);
}

TEST(Kills, OfACompilerDoNotBlameTheCandidate) {
  const Shell shell;
  shell.write("kill.sh", R"(
temper tune matmul M=256 N=256 K=256 --trials 30 --jobs 1 --seed 3 --json >tuned.json &
main=$!
for i in $(seq 20); do
  sleep 0.15
  for helper in $(cat /proc/$main/task/$main/children 2>/dev/null); do
    grep -q compiler /proc/$helper/comm && [ $((i % 5)) -eq 0 ] && kill -9 $helper
  done
done
wait $main
)");
  EXPECT_EQ(shell.run("bash kill.sh").code, 0);
  const Ran records = shell.run("temper list records --limit 1000 --json");
  ASSERT_EQ(records.code, 0) << records.err;
  for (const Json& record : records.list("records"))
    EXPECT_NE(record["outcome"], "compile_failed") << record.dump(2);
}

TEST(Faults, ACompilationThatNeverEndsIsARow) {
  const Shell shell;
  // A stopped compiler stands in for one that never ends: it is killed at its deadline.
  shell.write("stop.sh", R"(
temper tune matmul M=256 N=256 K=256 --trials 60 --jobs 1 --seed 3 --json >tuned.json &
main=$!
until temper list records | grep -q K=; do sleep 0.05; done
for helper in $(cat /proc/$main/task/$main/children); do
  grep -q compiler /proc/$helper/comm && kill -STOP $helper && echo $helper >>stopped
done
wait $main
)");
  EXPECT_EQ(shell.run("bash stop.sh").code, 0);
  ASSERT_TRUE(std::filesystem::exists(shell.folder() / "stopped"));
  const Ran records = shell.run("temper list records --limit 1000 --json");
  std::string failed;
  for (const Json& record : records.list("records"))
    if (record["outcome"] == "compile_failed")
      failed = record["record"];
  ASSERT_NE(failed, "") << records.out;
  EXPECT_NE(shell.run("temper show " + failed).out.find("longer than its deadline"),
            std::string::npos);
  EXPECT_EQ(
      parse_json(read_file(shell.folder() / "tuned.json").value_or("")).value_or({})["trials"], 60);
}

TEST(FullDisk, EndsARunInOneSentenceAndItGoesOnAfterwards) {
  const Shell shell;
  // A limit on the size of files is what stands in for a disk here: no mount is needed.
  const Ran cut = shell.run("bash -c 'trap \"\" XFSZ; ulimit -f 600; temper tune matmul M=64 N=64 "
                            "K=64 --trials 2000 --seed 1'");
  EXPECT_EQ(cut.code, 1) << cut.out;
  EXPECT_NE(cut.err.find("t.db"), std::string::npos) << cut.err;
  const size_t kept = records_in(shell);
  EXPECT_GT(kept, 0U);
  const Ran resumed = shell.run("temper resume --trials +4 --json");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_GT(records_in(shell), kept);
}

TEST(TwoTunes, ShareOneFile) {
  const Shell shell;
  shell.write("two.sh", R"(
temper tune matmul M=64 N=64 K=64 --trials 12 --seed 1 --json >a.json & a=$!
temper tune matmul M=64 N=64 K=64 --trials 12 --seed 2 --json >b.json & b=$!
wait $a && wait $b
)");
  const Ran ran = shell.run("bash two.sh");
  EXPECT_EQ(ran.code, 0) << ran.err;
  const Json runs = shell.run("temper list runs --json").json()["runs"];
  ASSERT_EQ(runs.size(), 2U);
  for (const Json& run : runs) {
    EXPECT_EQ(run["state"], "finished");
    EXPECT_EQ(run["trials"], 12);
  }
}

TEST(Budget, OfTrialsIsSpentExactly) {
  const Shell shell;
  for (const char* trials : {"1", "2", "5"}) {
    const Ran tuned = shell.run(std::string("temper tune matmul M=32 N=32 K=32 --fresh --seed 1 "
                                            "--json --trials ") +
                                trials);
    ASSERT_EQ(tuned.code, 0) << tuned.err;
    EXPECT_EQ(tuned.json()["trials"].dump(), trials) << tuned.out;
  }
}

TEST(Resume, MeasuresTheUntunedProgramOnce) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune matmul M=32 N=32 K=32 --trials 3 --seed 1").code, 0);
  const std::string run =
      shell.run("temper list runs --json").json()["runs"][0]["run"].get<std::string>();
  const Ran resumed = shell.run("temper resume " + run + " --trials +2 --json");
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(resumed.json()["trials"], 5) << resumed.out;
  EXPECT_GT(resumed.json()["untuned_ns"].get<double>(), 0) << "is known from before";
}

TEST(Resume, KeepsTheTimingRegime) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune gemv M=64 N=64 --trials 3 --seed 1 --cache cold").code, 0);
  const std::string run =
      shell.run("temper list runs --json").json()["runs"][0]["run"].get<std::string>();
  ASSERT_EQ(shell.run("temper resume " + run + " --trials +3").code, 0);
  for (const Json& record : shell.run("temper list records --json").list("records"))
    EXPECT_EQ(record["regime"], "cold");
}

TEST(Compare, MeasuresInTheRegimeThatRecordsWereFoundIn) {
  const Shell shell;
  const Ran tuned =
      shell.run("temper tune softmax M=8 N=64 --trials 3 --seed 1 --cache cold --json");
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  const std::string record = tuned.json()["best"]["record"].get<std::string>();
  const auto regime = [&](const std::string& options) {
    const Json found =
        shell.run("temper compare " + record + " --peers --seconds 1 --json" + options).json();
    return found["peers"][0]["cache"].get<std::string>();
  };
  EXPECT_EQ(regime(""), "cold");
  EXPECT_EQ(regime(" --cache hot"), "hot");
  const auto rerun = [&](const std::string& options) {
    return shell.run("temper rerun " + record + options);
  };
  EXPECT_EQ(rerun(" --json").json()["cache"], "cold");
  EXPECT_EQ(rerun(" --json --cache hot").json()["cache"], "hot");
  EXPECT_NE(rerun("").out.find(", cold caches: ok"), std::string::npos);
}

TEST(Resume, RefusesABudgetThatIsSpent) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune matmul M=32 N=32 K=32 --trials 5 --seed 1").code, 0);
  const std::string run =
      shell.run("temper list runs --json").json()["runs"][0]["run"].get<std::string>();
  const Ran ran = shell.run("temper resume " + run + " --trials 4");
  EXPECT_EQ(ran.code, 2);
  EXPECT_NE(ran.err.find("has 5 trials already"), std::string::npos) << ran.err;
  EXPECT_EQ(shell.run("temper resume " + run + " --trials +9223372036854775807").code, 2);
}

TEST(Records, OfSeveralThreadsAreNotStale) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune gemv M=64 N=64 --trials 3 --seed 1 --threads 5").code, 0);
  for (const Json& record : shell.run("temper list records --json").list("records"))
    EXPECT_EQ(record["stale"], false) << record.dump(2);
  const Ran best = shell.run("temper best --json");
  ASSERT_EQ(best.json()["records"].size(), 1U) << best.out;
  EXPECT_EQ(best.json()["records"][0]["threads"], 5);
}

TEST(Stale, RecordsAreNeverExportedSilently) {
  const Shell shell;
  ASSERT_EQ(shell.run("temper tune gemv M=64 N=64 --trials 3 --seed 1").code, 0);
  ASSERT_EQ(shell.run("temper dump -o all.jsonl").code, 0);
  // As another version of the code generator would have left it.
  const Ran dumped =
      shell.run(R"sed(sed -n 's/.*"row":"toolchain","id":"\([^"]*\)".*/\1/p' all.jsonl)sed");
  const std::string toolchain(trim(dumped.out));
  ASSERT_EQ(toolchain.size(), 17U) << dumped.out;
  ASSERT_EQ(shell.run("sed -i 's/" + toolchain + "/t0123456789abcdef/g' all.jsonl").code, 0);
  const Ran imported = shell.run("temper import all.jsonl --db old.db");
  ASSERT_EQ(imported.code, 0) << imported.out << imported.err;
  const Ran best = shell.run("temper best --all --db old.db --json");
  ASSERT_EQ(best.json()["records"].size(), 1U) << best.out << best.err;
  EXPECT_EQ(best.json()["records"][0]["stale"], true);
  const std::string record = best.json()["records"][0]["record"].get<std::string>();
  const Ran refused = shell.run("temper export --db old.db --out out " + record);
  EXPECT_EQ(refused.code, 3) << refused.err;
  EXPECT_FALSE(std::filesystem::exists(shell.folder() / "out"));
  EXPECT_EQ(shell.run("temper export --stale --db old.db --out out " + record).code, 0);
  const std::string run =
      shell.run("temper list runs --db old.db --json").json()["runs"][0]["run"].get<std::string>();
  const Ran resumed = shell.run("temper resume --db old.db " + run + " --trials +2");
  EXPECT_EQ(resumed.code, 3) << resumed.err;
}

TEST(Workloads, AreRightInEveryFloatingTypeAndAwkwardShapes) {
  const Shell shell;
  for (const char* dtype : {"float16", "bfloat16", "float64"})
    for (const char* workload :
         {"matmul M=17 N=31 K=129", "batch_matmul B=3 M=5 N=17 K=31",
          "conv2d N=2 H=13 W=11 CI=7 CO=19 R=3 S=5 stride=2 pad=2",
          "depthwise_conv2d N=1 H=13 W=11 C=19 R=3 S=3 pad=1", "softmax M=17 N=1003",
          "layer_norm M=17 N=1003", "rms_norm M=17 N=1003", "gemv M=17 N=1003",
          "elementwise M=17 N=1003", "reduction:row_sum M=17 N=1003", "reduction:full_sum N=10007",
          "transpose M=17 N=1003"}) {
      const Ran ran = shell.run(std::string("temper check ") + workload + " dtype=" + dtype);
      EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
    }
}

TEST(Unchecked, IsSaidByCheckAndExport) {
  const Shell shell;
  std::string text = kScale;
  text.replace(text.find("(s_tir=True)"), 12, "");
  text.replace(text.find("            with"), std::string::npos,
               R"(            B[i, j] = A[i, j] * T.float32(2)
    return main
)");
  shell.write("plain.py", text);
  const Ran checked = shell.run("temper check plain.py:scale M=8 N=8 --unchecked");
  EXPECT_EQ(checked.code, 0) << checked.err;
  EXPECT_NE(checked.out.find("unchecked"), std::string::npos) << checked.out;
  const Ran tuned = shell.run("temper tune plain.py:scale M=8 N=8 --trials 3 --unchecked");
  EXPECT_EQ(tuned.code, 2) << "a tir program has no space to search yet";
  EXPECT_TRUE(shell.run("temper list runs --json").json()["runs"].empty())
      << "what cannot start leaves no run behind";
}

} // namespace
} // namespace temper::testing
