/// Google Benchmark's JSON, in and out: results of other people's programs become rows, and ours
/// are read by the tools that read theirs (compare.py and the like).
/// https://github.com/google/benchmark/blob/main/docs/user_guide.md, "Output Formats".
#pragma once

#include "database/store.h"
#include "ir/support/json.h"
#include "ir/support/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace temper::tuner {

/// The layer of workload rows that are benchmarks of another program.
inline constexpr const char* kBenchmarkLayer = "benchmark";

/// One benchmark with all its repetitions.
struct BenchmarkResult {
  std::string name;                ///< "BM_Gemm/512"
  std::vector<double> samples_ns;  ///< wall time of an iteration, per repetition
  std::vector<double> cpu_ns;      ///< CPU time likewise; empty where it was not measured
  std::vector<int64_t> iterations; ///< of each repetition; empty: not known
  int threads = 1;
  double flops = 0;  ///< of one iteration, by its counter "FLOPS" or "flops"; 0: not known
  std::string error; ///< why it has no samples
};

struct BenchmarkFile {
  Json context; ///< as the program told it: host, processor, build
  std::vector<BenchmarkResult> results;
};

/// `name` is for messages. Aggregates are left out where the repetitions are there.
Result<BenchmarkFile> parse_google_benchmark(std::string_view text, const std::string& name);

/// The machine that a file's context describes, for results from elsewhere.
database::Environment environment_of(const BenchmarkFile& file);

/// A file that Google Benchmark's own tools read: a repetition for every sample, and the median.
/// They insist on a CPU time; where there is none it is the wall time.
std::string google_benchmark_text(const BenchmarkFile& file);

/// Adds a run for every result: a workload of the benchmark layer named `program`:`benchmark`, one
/// measurement with the samples (wall time), at the time that the context says. Adding the same
/// file again changes nothing. Returns the records.
Result<std::vector<database::Id>> add_google_benchmark(database::Store& store,
                                                       const BenchmarkFile& file,
                                                       const database::Environment& environment,
                                                       const std::string& program);

} // namespace temper::tuner
