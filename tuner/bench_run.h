/// `temper bench` without its file and its screen: measures what an entry names in turns, and keeps
/// every number as a record.
#pragma once

#include "ir/support/statistics.h"
#include "tuner/bench_file.h"
#include "tuner/workbench.h"

#include <map>
#include <string>
#include <vector>

namespace temper::tuner {

struct BenchOptions {
  std::string name; ///< of the file; the runs get it as a tag
  std::string command_line;
};

/// One thing that was measured.
struct BenchRow {
  std::string name;     ///< "tuned", "untuned", "openblas:sgemm", "BM_Gemm/512"
  database::Id record;  ///< empty where nothing could be kept
  std::string outcome;  ///< as in the database
  double median_ns = 0; ///< 0: it did not run
  std::vector<double> samples_ns;
  double ratio = 0; ///< its time over the first row's; 0: not known
  Interval interval;
  std::map<std::string, std::string> settings; ///< environment variables it was given
  std::string error;
};

/// What was measured in turns, the baseline first.
struct BenchTable {
  std::string title;
  double flops = 0;         ///< of a call; 0: not known
  std::string binding_json; ///< of the workload; empty: there is none
  int threads = 1;
  std::vector<BenchRow> rows;
  std::vector<std::string> missing; ///< what is not here, and why
};

/// One kernel of an entry with its tuned and untuned programs and the functions: one table. An
/// error when nothing of it can be measured.
Result<std::vector<BenchTable>> bench_kernel(Workbench& bench, const BenchEntry& entry,
                                             const WorkloadArguments& arguments,
                                             const BenchOptions& options);

/// Runs the entry's program of Google Benchmark and reads its JSON: a table for each benchmark.
Result<std::vector<BenchTable>> bench_command(Workbench& bench, const BenchEntry& entry,
                                              const BenchOptions& options);

} // namespace temper::tuner
