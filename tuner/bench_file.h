/// The file of `temper bench`: what to measure, without tuning.
///
///   [defaults]                 # for every entry that does not say otherwise
///   target = "native"
///   threads = 1
///   seconds = 5                # of measuring, for each shape
///
///   [[bench]]
///   workload = "matmul"        # as on a command line: a name, file.py, file.py:function
///   shapes = [{M = 512, N = 512, K = 512}]  # without them those that its file names
///   functions = [              # tuner/external_function.h; without them those of the workload's
///     "openblas:sgemm(M, N, K)",            # file
///     "./libmine.so:gemm(const float* A, const float* B, float* C, int M, int N, int K)",
///   ]
///   baseline = "openblas:sgemm(M, N, K)"    # what ratios are against; else the tuned kernel, else
///                                           # the first function
///   tuned = true               # also the best kernel of the database, where it has one (default)
///   untuned = false            # also the workload's program as it is written
///
///   [[bench]]
///   command = ["./my_bench", "--benchmark_filter=Gemm"]  # a program of Google Benchmark
///   timeout = 600              # seconds
#pragma once

#include "ir/support/result.h"
#include "tuner/external_function.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace temper::tuner {

/// One [[bench]] with the defaults filled in: a workload, or a command.
struct BenchEntry {
  std::string workload;
  std::vector<std::map<std::string, std::string>> shapes; ///< as on a command line; may be empty
  std::string target = "native";
  int threads = 1;
  double seconds = 5;
  std::optional<std::vector<ExternalFunction>> functions; ///< none: those of the workload's file
  std::optional<ExternalFunction> baseline;
  bool tuned = true;
  bool untuned = false;
  std::vector<std::string> command; ///< relative programs with a folder are beside the file
  double timeout = 600;             ///< seconds
  int line = 0;
};

struct BenchFile {
  std::string name; ///< the file's, without folder and ".toml"
  std::vector<BenchEntry> entries;
};

/// As parse_batch_file: all errors at once, each "FILE:LINE: sentence".
Result<BenchFile> parse_bench_file(std::string_view text, const std::filesystem::path& file);

} // namespace temper::tuner
