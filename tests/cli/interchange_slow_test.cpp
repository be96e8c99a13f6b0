/// Files for other people's programs, read by those programs.
#include "tests/cli/shell.h"

#include <cstdlib>

namespace temper::testing {
namespace {

/// The table in simulation mode, by a strategy of Kernel Tuner's own. Tells the best time it found
/// in a few evaluations, and the best of the file.
constexpr const char* kReplay = R"python(
import json, sys
import kernel_tuner
from constraint import FunctionConstraint

path = sys.argv[1]
with open(path) as file:
    table = json.load(file)
known = set(table["cache"])
measured = FunctionConstraint(lambda *values: ",".join(map(str, values)) in known)
results, _ = kernel_tuner.tune_kernel(
    table["kernel_name"], "void kernel() {}", table["problem_size"], [], table["tune_params"],
    restrictions=[measured], lang="C", strategy=sys.argv[2], cache=path, simulation_mode=True,
    quiet=True, block_size_names=table["tune_params_keys"][:1])
times = [r["time"] for r in results if isinstance(r["time"], (int, float))]
print(json.dumps({"evaluated": len(results), "found": min(times), "best": min(
    v["time"] for v in table["cache"].values() if not isinstance(v["time"], str))}))
)python";

TEST(Interchange, KernelTunerReplaysOurTables) {
  const char* const theirs = std::getenv("TEMPER_TEST_KERNEL_TUNER"); // a Python that has it
  const std::string python =
      theirs != nullptr ? theirs : TEMPER_SOURCE_DIR "/build/venv/bin/python";
  const Shell shell;
  if (shell.run(python + " -c 'import kernel_tuner'").code != 0)
    GTEST_SKIP() << "no Python with kernel_tuner: name one in TEMPER_TEST_KERNEL_TUNER";
  const Ran tuned = shell.run("temper tune gemv M=64 N=64 --strategy random --trials 40 --json");
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  const std::string run = tuned.json()["run"];
  const Ran dumped =
      shell.run("temper dump --partial --format kernel-tuner -o cache.json --table run:" + run);
  ASSERT_EQ(dumped.code, 0) << dumped.err;
  shell.write("replay.py", kReplay);
  for (const char* strategy : {"brute_force", "random_sample"}) {
    const Ran replayed = shell.run(python + " -W ignore replay.py cache.json " + strategy);
    ASSERT_EQ(replayed.code, 0) << replayed.err;
    EXPECT_GT(replayed.json()["evaluated"].get<int>(), 0);
    EXPECT_GE(replayed.json()["found"].get<double>(), replayed.json()["best"].get<double>());
    if (strategy == std::string("brute_force")) {
      EXPECT_EQ(replayed.json()["found"], replayed.json()["best"]);
    }
  }
}

} // namespace
} // namespace temper::testing
