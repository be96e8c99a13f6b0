/// temper batch at work: several kernels from one file, ended and run again.
#include "tests/cli/shell.h"

#include <map>
#include <set>
#include <sqlite3.h>

namespace temper::testing {
namespace {

constexpr const char* kTwo = R"(
[defaults]
trials = 12

[[task]]
workload = "matmul"
shapes = [{M = 32, N = 32, K = 32}]
tags = ["tiny"]

[[task]]
workload = "gemv"
shapes = [{M = 64, N = 64}]
trials = 6
)";

/// Which of the two it is depends on how quiet the machine was.
bool has_a_result(const Json& task) { return task["result"] == "won" || task["result"] == "same"; }

TEST(Batch, TunesEveryKernelAndTellsThemInOneTable) {
  const Shell shell;
  shell.write("two.toml", kTwo);
  const Ran ran = shell.run("temper batch two.toml --json --html two.html --log two.jsonl");
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Json tasks = ran.list("tasks");
  ASSERT_EQ(tasks.size(), 2U);
  EXPECT_EQ(tasks[0]["task"], "matmul M=32 N=32 K=32 dtype=float32");
  EXPECT_EQ(tasks[0]["trials"], 12);
  EXPECT_EQ(tasks[1]["trials"], 6);
  for (const Json& task : tasks) {
    EXPECT_TRUE(has_a_result(task)) << task.dump(2);
    EXPECT_GT(task["untuned_ns"].get<double>(), 0);
    EXPECT_GT(task["median_ns"].get<double>(), 0);
  }
  // The best of all by the batch's name, of some by their tags.
  EXPECT_EQ(shell.run("temper best tag:two --json").list("records").size(), 2U);
  EXPECT_EQ(shell.run("temper best tag:tiny --json").list("records")[0]["record"],
            tasks[0]["record"]);
  const std::string page = read_file(shell.folder() / "two.html").value_or("");
  EXPECT_NE(page.find("matmul M=32 N=32 K=32"), std::string::npos);
  EXPECT_NE(page.find("<svg"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos) << "nothing is loaded from elsewhere";
  const std::string log = read_file(shell.folder() / "two.jsonl").value_or("");
  EXPECT_GE(std::count(log.begin(), log.end(), '\n'), 18);
}

TEST(Batch, RunAgainDoesNothingUntilItIsAskedForMore) {
  const Shell shell;
  shell.write("two.toml", kTwo);
  const Ran first = shell.run("temper batch two.toml --json");
  ASSERT_EQ(first.code, 0) << first.err;
  const Ran second = shell.run("temper batch two.toml --json");
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(second.json()["scheduler"]["rounds"], 0);
  for (size_t i = 0; i < 2; ++i)
    for (const char* key : {"result", "record", "median_ns", "untuned_ns", "trials", "reason"})
      EXPECT_EQ(first.json()["tasks"][i][key], second.json()["tasks"][i][key]) << key;
  EXPECT_NE(shell.run("temper batch two.toml --dry-run").out.find("nothing to do"),
            std::string::npos);

  shell.write("two.toml", std::string(kTwo) + "[[task]]\nworkload = \"rms_norm\"\n"
                                              "shapes = [{M = 8, N = 64}]\ntrials = 3\n");
  shell.run("sed -i 's/trials = 6/trials = 9/' two.toml");
  const Ran third = shell.run("temper batch two.toml --json");
  ASSERT_EQ(third.code, 0) << third.err;
  EXPECT_EQ(third.json()["tasks"][0]["earlier"], true);
  EXPECT_EQ(third.json()["tasks"][1]["trials"], 9);
  EXPECT_EQ(third.json()["tasks"][1]["run"], first.json()["tasks"][1]["run"]);
  EXPECT_EQ(third.json()["tasks"][2]["trials"], 3);

  const Ran anew = shell.run("temper batch two.toml --json --again");
  ASSERT_EQ(anew.code, 0) << anew.err;
  EXPECT_NE(anew.json()["tasks"][0]["run"], first.json()["tasks"][0]["run"]);
  EXPECT_GT(anew.json()["tasks"][0]["before_ns"].get<double>(), 0) << "what the first had won";
  EXPECT_EQ(shell.run("temper batch two.toml --json").json()["tasks"][0]["run"],
            anew.json()["tasks"][0]["run"]);
}

TEST(Batch, OneFailureStopsNoOther) {
  const Shell shell;
  shell.write("scale.py", kScale);
  shell.write("wrong.py", std::string(kScale) + kWrongScaleReference);
  shell.write("night.toml", R"(
[defaults]
trials = 4
[[task]]
workload = "scale.py"
shapes = [{M = 8, N = 8}, {M = 8, N = -1}, {M = 8}]
[[task]]
workload = "wrong.py:scale"
[[task]]
workload = "scale.py"
target = "cuda:sm_90a"
[[task]]
workload = "gemv"
shapes = [{M = 16, N = 16}]
)");
  const Ran ran = shell.run("temper batch night.toml --json");
  EXPECT_EQ(ran.code, 1) << ran.err;
  const Json tasks = ran.list("tasks");
  ASSERT_EQ(tasks.size(), 6U) << ran.out;
  for (size_t i = 0; i < 6; ++i) {
    const bool fails = i >= 1 && i <= 4;
    EXPECT_EQ(tasks[i]["result"] == "failed", fails) << tasks[i].dump(2);
    EXPECT_TRUE(fails || has_a_result(tasks[i])) << tasks[i].dump(2);
    EXPECT_NE(tasks[i]["reason"], "");
  }
  EXPECT_NE(tasks[3]["reason"].dump().find("wrong result"), std::string::npos) << tasks[3].dump(2);
  EXPECT_NE(tasks[4]["reason"].dump().find("cuda:sm_90a"), std::string::npos);
}

TEST(Batch, EndsByControlCAndGoesOn) {
  const Shell shell;
  shell.write("night.toml", R"(
[defaults]
trials = 60
[[task]]
workload = "matmul"
shapes = [{M = 64, N = 64, K = 64}, {M = 64, N = 64, K = 128}]
)");
  const Ran cut =
      shell.run_until("temper batch night.toml --log night.jsonl", "[ -s night.jsonl ]", "INT");
  EXPECT_EQ(cut.code, 130) << cut.err;
  EXPECT_NE(cut.err.find("go on with: temper batch night.toml"), std::string::npos) << cut.err;
  for (const Json& run : shell.run("temper list runs --json").list("runs"))
    EXPECT_EQ(run["state"], "interrupted") << run.dump(2);
  const Ran on = shell.run("temper batch night.toml --json");
  ASSERT_EQ(on.code, 0) << on.err;
  const Json runs = shell.run("temper list runs --json").list("runs");
  EXPECT_EQ(runs.size(), 2U) << "the interrupted ones went on";
  for (const Json& run : runs)
    EXPECT_EQ(run["trials"], 60) << run.dump(2);
}

TEST(Batch, SharesOneBudgetOfTrials) {
  const Shell shell;
  shell.write("night.toml", R"(
trials = 40
[[task]]
workload = "matmul"
shapes = [{M = 32, N = 32, K = 32}, {M = 64, N = 64, K = 64}]
[[task]]
workload = "gemv"
shapes = [{M = 64, N = 64}]
)");
  const Ran ran = shell.run("temper batch night.toml --json");
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_GE(ran.json()["trials"].get<int>(), 36) << ran.out;
  EXPECT_LE(ran.json()["trials"].get<int>(), 40) << ran.out;
  for (const Json& task : ran.list("tasks"))
    EXPECT_GT(task["trials"].get<int>(), 1) << "each has its turn";
  const Ran more = shell.run("temper batch night.toml --trials 60 --json");
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_GE(more.json()["trials"].get<int>(), 55) << more.out;
  EXPECT_LE(more.json()["trials"].get<int>(), 60) << more.out;
}

TEST(Batch, TwoOfThemShareOneDatabase) {
  const Shell shell;
  shell.write("night.toml", R"(
[defaults]
trials = 20
[[task]]
workload = "matmul"
shapes = [{M = 32, N = 32, K = 32}, {M = 64, N = 64, K = 64}, {M = 16, N = 16, K = 16}]
)");
  const Ran ran =
      shell.run("temper batch night.toml --json >a.json & a=$!; "
                "temper batch night.toml --json >b.json; b=$?; wait $a; exit $((b+$?))");
  EXPECT_EQ(ran.code, 0) << ran.err;
  const Json runs = shell.run("temper list runs --json").list("runs");
  EXPECT_EQ(runs.size(), 3U) << "no kernel is tuned by both";
  for (const Json& run : runs) {
    EXPECT_EQ(run["state"], "finished");
    EXPECT_EQ(run["trials"], 20);
  }
}

/// The first column of what a query gives.
std::vector<std::string> ask(const Shell& shell, const std::string& query) {
  std::vector<std::string> rows;
  sqlite3* database = nullptr;
  EXPECT_EQ(sqlite3_open((shell.folder() / "t.db").c_str(), &database), SQLITE_OK);
  const auto add = [](void* list, int, char** values, char**) {
    static_cast<std::vector<std::string>*>(list)->emplace_back(values[0] ? values[0] : "");
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(database, query.c_str(), add, &rows, nullptr), SQLITE_OK)
      << sqlite3_errmsg(database);
  sqlite3_close(database);
  return rows;
}

TEST(Batch, AfterKillsOfAnyProcessEveryReportedOutcomeIsThereOnce) {
  const Shell shell;
  // 200 for the project's figure, which takes a few minutes.
  const char* wanted = std::getenv("TEMPER_KILLS");
  const std::string kills = wanted != nullptr ? wanted : "25";
  shell.write("night.toml", R"(
[defaults]
trials = 60
[[task]]
workload = "matmul"
shapes = [{M = 64, N = 64, K = 64}, {M = 96, N = 96, K = 96}, {M = 128, N = 128, K = 64}]
[[task]]
workload = "softmax"
shapes = [{M = 64, N = 128}]
)");
  const Ran ran =
      shell.run("bash " TEMPER_SOURCE_DIR "/tests/cli/kills.sh " + kills + " 7 night.toml");
  EXPECT_EQ(ran.code, 0) << ran.err << read_file(shell.folder() / "last.err").value_or("")
                         << read_file(shell.folder() / "last.json").value_or("");
  const std::string killed = read_file(shell.folder() / "killed").value_or("");
  EXPECT_EQ(std::count(killed.begin(), killed.end(), '\n'), std::stoi(kills)) << killed;
  EXPECT_NE(killed.find("main"), std::string::npos) << killed;
  EXPECT_NE(killed.find("temper-compiler"), std::string::npos) << killed;
  EXPECT_NE(killed.find("temper-runner"), std::string::npos) << killed;

  std::map<std::string, int> stored;
  for (const std::string& id : ask(shell, "SELECT id FROM measurement"))
    ++stored[id];
  std::set<std::string> reported;
  const std::string log = read_file(shell.folder() / "reported.jsonl").value_or("");
  for (const std::string& line : split_text(log, '\n')) {
    if (line.empty())
      continue;
    const Result<Json> json = parse_json(line);
    ASSERT_TRUE(json) << line;
    EXPECT_TRUE(reported.insert((*json)["record"]).second) << "reported twice: " << line;
    EXPECT_EQ(stored[(*json)["record"]], 1) << line;
  }
  EXPECT_GT(reported.size(), 100U);
  EXPECT_EQ(ask(shell, "PRAGMA integrity_check"), std::vector<std::string>{"ok"});
  for (const Json& run : shell.run("temper list runs --limit 1000 --json").list("runs"))
    EXPECT_TRUE(run["state"] == "finished" || run["state"] == "interrupted") << run.dump(2);
  for (const Json& task :
       parse_json(read_file(shell.folder() / "last.json").value_or("")).value_or({})["tasks"])
    EXPECT_EQ(task["trials"], 60) << task.dump(2);
}

} // namespace
} // namespace temper::testing
