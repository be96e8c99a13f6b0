#include "tuner/google_benchmark.h"

#include "database/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace temper::tuner {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// As Google Benchmark 1.7.1 writes it, shortened.
constexpr const char* kFile = R"({
  "context": {
    "date": "2026-11-21T23:05:06+01:00", "host_name": "elsewhere", "executable": "./gemm_bench",
    "num_cpus": 4, "mhz_per_cpu": 2000, "load_avg": [0.5], "library_build_type": "release"
  },
  "benchmarks": [
    {"name": "BM_Gemm/64", "run_name": "BM_Gemm/64", "run_type": "iteration", "repetitions": 2,
     "repetition_index": 0, "threads": 1, "iterations": 100, "real_time": 2.0, "cpu_time": 1.9,
     "time_unit": "us", "FLOPS": 1e9},
    {"name": "BM_Gemm/64", "run_name": "BM_Gemm/64", "run_type": "iteration", "repetitions": 2,
     "repetition_index": 1, "threads": 1, "iterations": 100, "real_time": 4.0, "cpu_time": 3.9,
     "time_unit": "us", "FLOPS": 5e8},
    {"name": "BM_Gemm/64_mean", "run_name": "BM_Gemm/64", "run_type": "aggregate",
     "aggregate_name": "mean", "threads": 1, "real_time": 3.0, "time_unit": "us"},
    {"name": "BM_Only/threads:2_median", "run_name": "BM_Only/threads:2", "run_type": "aggregate",
     "aggregate_name": "median", "threads": 2, "real_time": 5, "time_unit": "ms"},
    {"name": "BM_Bad", "run_name": "BM_Bad", "run_type": "iteration", "threads": 1,
     "error_occurred": true, "error_message": "no device"}
  ]
})";

template <typename T> T must(Result<T> result) {
  if (!result)
    throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

std::unique_ptr<database::Store> memory() {
  return must(database::open_sqlite_store({.path = ":memory:"}));
}

TEST(GoogleBenchmark, RepetitionsAreSamples) {
  const BenchmarkFile file = must(parse_google_benchmark(kFile, "out.json"));
  ASSERT_EQ(file.results.size(), 3U);
  EXPECT_EQ(file.results[0].name, "BM_Gemm/64");
  EXPECT_THAT(file.results[0].samples_ns, ElementsAre(2000, 4000));
  EXPECT_NEAR(file.results[0].flops, 2000, 1e-6);
  EXPECT_EQ(file.results[1].name, "BM_Bad");
  EXPECT_EQ(file.results[1].error, "no device");
  EXPECT_EQ(file.results[2].name, "BM_Only/threads:2") << "a median alone is better than nothing";
  EXPECT_EQ(file.results[2].threads, 2);
  EXPECT_THAT(file.results[2].samples_ns, ElementsAre(5e6));
}

TEST(GoogleBenchmark, WhatIsNoneIsSaid) {
  const auto refusal = [](const char* text) {
    return parse_google_benchmark(text, "out.json").error().message;
  };
  EXPECT_THAT(refusal("BM_Gemm 5 ns"), HasSubstr("'out.json' is no JSON"));
  EXPECT_THAT(refusal("{}"), HasSubstr("no list \"benchmarks\""));
  EXPECT_THAT(refusal(R"({"benchmarks": [{}]})"), HasSubstr("without a name"));
  EXPECT_THAT(refusal(R"({"benchmarks": [{"name": "a", "real_time": 1, "time_unit": "h"}]})"),
              HasSubstr("no real_time of 'a'"));
}

TEST(GoogleBenchmark, BecomesRowsOnce) {
  const BenchmarkFile file = must(parse_google_benchmark(kFile, "out.json"));
  auto store = memory();
  const auto records = must(add_google_benchmark(*store, file, environment_of(file), "gemm_bench"));
  ASSERT_EQ(records.size(), 3U);
  const auto counts = must(store->row_counts());
  EXPECT_EQ(must(add_google_benchmark(*store, file, environment_of(file), "gemm_bench")), records);
  EXPECT_EQ(must(store->row_counts()), counts);
  const database::Measurement gemm = must(store->measurement(records[0]));
  EXPECT_EQ(gemm.median_ns, 3000);
  EXPECT_EQ(gemm.samples_ns.size(), 2U);
  EXPECT_TRUE(gemm.unchecked);
  EXPECT_TRUE(std::isnan(gemm.low_ns)) << "two samples have no interval";
  EXPECT_EQ(gemm.inputs, "its own");
  EXPECT_EQ(gemm.measured_at, 1'795'298'706'000'000'000) << "23:05:06 an hour east of Greenwich";
  const auto best = must(store->best({.workload_name = "gemm_bench:BM_Gemm/64"}));
  ASSERT_EQ(best.size(), 1U);
  EXPECT_EQ(best[0].environment_class, "cpu:elsewhere/4");
  EXPECT_NEAR(best[0].flops, 2000, 1e-6);
  const database::Measurement bad = must(store->measurement(records[1]));
  EXPECT_EQ(bad.outcome, database::Outcome::kCrashed);
  EXPECT_EQ(bad.error, "no device");
}

TEST(GoogleBenchmark, WithoutADateIsRefused) {
  BenchmarkFile file = must(parse_google_benchmark(kFile, "out.json"));
  file.context.erase("date");
  auto store = memory();
  const auto added = add_google_benchmark(*store, file, environment_of(file), "gemm_bench");
  ASSERT_FALSE(added);
  EXPECT_THAT(added.error().message, HasSubstr("no date"));
  EXPECT_EQ(must(store->row_counts())["workload"], 0);
}

TEST(GoogleBenchmark, WhatIsWrittenIsReadBack) {
  const BenchmarkFile file = must(parse_google_benchmark(kFile, "out.json"));
  const BenchmarkFile again =
      must(parse_google_benchmark(google_benchmark_text(file), "again.json"));
  EXPECT_EQ(again.context, file.context);
  ASSERT_EQ(again.results.size(), file.results.size());
  EXPECT_THAT(again.results[0].cpu_ns, ElementsAre(1900, 3900)) << "not the wall time";
  for (size_t i = 0; i < file.results.size(); ++i) {
    EXPECT_EQ(again.results[i].name, file.results[i].name);
    EXPECT_EQ(again.results[i].samples_ns, file.results[i].samples_ns);
    if (!file.results[i].iterations.empty()) {
      EXPECT_EQ(again.results[i].iterations, file.results[i].iterations);
    }
    EXPECT_EQ(again.results[i].threads, file.results[i].threads);
    EXPECT_EQ(again.results[i].error, file.results[i].error);
    EXPECT_NEAR(again.results[i].flops, file.results[i].flops, 1e-6);
  }
}

} // namespace
} // namespace temper::tuner
