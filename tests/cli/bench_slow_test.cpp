/// temper bench: what temper did not make, measured by the same harness.
#include "tests/cli/shell.h"

#include <gmock/gmock.h>

namespace temper::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kMine = R"(
void scale(const float* a, float* b, long n, int m) {
  for (long i = 0; i < n * m; ++i) b[i] = a[i] * 2.0f + 1.0f;
}
void idle(const float* a, float* b, long n, int m) {
  const long last = n * m - 1;
  if (b[0] != a[0] * 2.0f + 1.0f || b[last] != a[last] * 2.0f + 1.0f) scale(a, b, n, m);
}
void wrong(const float* a, float* b, long n, int m) {
  for (long i = 0; i < n * m; ++i) b[i] = a[i] * 3.0f;
}
)";

/// A program with the options and the output of Google Benchmark.
constexpr const char* kBenchmark = R"(#!/bin/sh
for word; do case $word in --benchmark_out=*) out=${word#*=} ;; --fail) echo no device; exit 4 ;; esac; done
cat >"$out" <<END
{"context": {"date": "2026-11-21T23:05:06+00:00", "host_name": "x", "executable": "$0"},
 "benchmarks": [{"name": "BM_A", "real_time": 5.5, "time_unit": "us", "threads": 1}]}
END
)";

class Bench : public ::testing::Test {
protected:
  void SetUp() override {
    shell.write("scale.py", kScale);
    shell.write("mine.c", kMine);
    ASSERT_EQ(shell.run("cc -O2 -shared -fPIC mine.c -o libmine.so").code, 0);
  }
  const Shell shell;
};

TEST_F(Bench, MeasuresFunctionsAndKeepsThem) {
  shell.write("peers.toml", R"toml(
[[bench]]
workload = "scale.py"
seconds = 1
untuned = true
baseline = "./libmine.so:scale(const float* A, float* B, int64_t M, int N)"
functions = []
)toml");
  const Ran ran = shell.run("temper bench peers.toml --json --google-benchmark out.json");
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Json table = ran.json()["tables"][0];
  EXPECT_EQ(table["baseline"], "libmine.so:scale");
  ASSERT_EQ(table["rows"].size(), 2U);
  EXPECT_EQ(table["rows"][1]["name"], "untuned");
  for (const Json& row : table["rows"]) {
    EXPECT_GT(row["median_ns"].get<double>(), 0);
    EXPECT_GT(row["ratio"].get<double>(), 0);
  }
  // Kept beside the tuned kernels, and never in their place.
  const Json best = shell.run("temper best --json").json()["records"];
  ASSERT_EQ(best.size(), 2U);
  EXPECT_EQ(best[0]["workload"], "scale.py");
  EXPECT_EQ(best[0]["layer"], "s-tir");
  EXPECT_EQ(best[1]["workload"], "libmine.so:scale");
  EXPECT_EQ(best[1]["layer"], "function");
  EXPECT_EQ(best[1]["record"], table["rows"][0]["record"]);
  EXPECT_EQ(best[1]["stale"], false);
  const std::string listed = shell.run("temper best").out;
  const size_t others = listed.find("not made by temper:");
  ASSERT_NE(others, std::string::npos) << listed;
  EXPECT_LT(listed.find("scale.py"), others) << listed;
  EXPECT_GT(listed.find("libmine.so:scale"), others) << listed;
  EXPECT_EQ(shell.run("temper list runs --json").list("runs").size(), 2U);
  const Ran exported = shell.run("temper export --out out libmine.so:scale");
  EXPECT_NE(exported.code, 0);
  EXPECT_THAT(exported.err, HasSubstr("a function of a library"));
  EXPECT_TRUE(shell.run("temper remeasure --stale --json").json()["kernels"].empty());
  EXPECT_THAT(shell.run("temper bench peers.toml").out, HasSubstr("medians over pairs"));
  // What was written for Google Benchmark's tools is read by ours.
  const Ran imported = shell.run("temper import --google-benchmark out.json --json");
  EXPECT_EQ(imported.code, 0) << imported.err;
  EXPECT_EQ(imported.json()["records"].size(), 2U);
  // Tuned later, the best kernel is the one the others are held against.
  ASSERT_EQ(shell.run("temper tune scale.py --trials 3 --seed 1").code, 0);
  shell.run("sed -i '/^baseline/d' peers.toml");
  EXPECT_EQ(shell.run("temper bench peers.toml --json").json()["tables"][0]["baseline"], "tuned");
}

TEST_F(Bench, WhatIsWrongOrMissingStopsNothingElse) {
  shell.write("peers.toml", R"toml(
[[bench]]
workload = "scale.py"
seconds = 1
functions = [
  "./libmine.so:wrong(const float* A, float* B, int64_t M, int N)",
  "./libmine.so:scales(const float* A, float* B, int64_t M, int N)",
  "openblas:sgem(M, N, M)",
  "./nothere.so:scale(const float* A, float* B, int64_t M, int N)",
  "./libmine.so:scale(const float* A, float* B, int64_t M, int N)",
]
[[bench]]
workload = "nonesuch"
)toml");
  const Ran ran = shell.run("temper bench peers.toml --json");
  EXPECT_EQ(ran.code, 3) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("nonesuch"));
  const Json table = ran.json()["tables"][0];
  ASSERT_EQ(table["rows"].size(), 2U);
  EXPECT_EQ(table["rows"][0]["outcome"], "wrong_result");
  EXPECT_GT(table["rows"][1]["median_ns"].get<double>(), 0);
  ASSERT_EQ(table["missing"].size(), 3U);
  EXPECT_EQ(table["missing"][0], "libmine.so has no function 'scales'; did you mean 'scale'?");
  EXPECT_EQ(table["missing"][1].get<std::string>().find("temper's adapter for "), 0U)
      << table["missing"][1];
  EXPECT_THAT(table["missing"][1].get<std::string>(),
              HasSubstr("has no function 'sgem'; did you mean 'sgemm'?"));
  EXPECT_THAT(table["missing"][2].dump(), HasSubstr("nothere.so"));
}

// What returns at once where its output is right already takes less than its operations can.
TEST_F(Bench, ATimeThatCannotBeIsNone) {
  shell.write("peers.toml", R"toml(
[[bench]]
workload = "scale.py"
shapes = [{M = 1024, N = 1024}]
seconds = 1
functions = [
  "./libmine.so:scale(const float* A, float* B, int64_t M, int N)",
  "./libmine.so:idle(const float* A, float* B, int64_t M, int N)",
]
)toml");
  const Ran ran = shell.run("temper bench peers.toml --json");
  const Json rows = ran.json()["tables"][0]["rows"];
  ASSERT_EQ(rows.size(), 2U) << ran.out << ran.err;
  EXPECT_EQ(rows[1]["outcome"], "unbelievable") << rows[1];
  EXPECT_TRUE(rows[1]["median_ns"].is_null()) << rows[1];
  EXPECT_THAT(shell.run("temper bench peers.toml").out, HasSubstr("unbelievable"));
}

TEST_F(Bench, ReadsAnotherProgramsBenchmarks) {
  shell.write("their_bench", kBenchmark);
  shell.write("g.toml", R"toml(
[[bench]]
command = ["./their_bench"]
[[bench]]
command = ["./their_bench", "--fail"]
[[bench]]
command = ["true"]
)toml");
  ASSERT_EQ(shell.run("chmod +x their_bench").code, 0);
  const Ran ran = shell.run("temper bench g.toml --json");
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("exit status 4: no device"));
  EXPECT_THAT(ran.err, HasSubstr("it wrote no results"));
  ASSERT_EQ(ran.json()["tables"].size(), 1U);
  const Json row = ran.json()["tables"][0]["rows"][0];
  EXPECT_EQ(row["name"], "BM_A");
  EXPECT_EQ(row["median_ns"], 5500);
  EXPECT_EQ(shell.run("temper best their_bench:BM_A --json").list("records")[0]["record"],
            row["record"]);
}

} // namespace
} // namespace temper::testing
