/// Two stored selections side by side, from the samples in the database: nothing runs, so records
/// of other hosts, toolchains and years can be compared. What `temper compare --stored` shows.
///
/// Separate measurements were not taken in turns. An interval here holds the noise within the two
/// measurements; what the machine changed between them it cannot know. Therefore a difference
/// counts only when it is larger than a tolerance, too; and where both sides ran the same machine
/// code on the same kind of machine, their ratio says how much is chance.
#pragma once

#include "database/store.h"
#include "ir/support/json.h"
#include "ir/support/statistics.h"

#include <span>
#include <string>
#include <vector>

namespace temper::tuner {

struct StoredComparisonOptions {
  double tolerance = 0.02; ///< smaller differences count as none
  double alpha = 0.05;     ///< chance of any wrong "faster" or "slower" among all pairs
  /// Which of several records of one kernel is meant where both sides leave the choice: this
  /// machine's class and today's toolchains first, then the newest.
  std::string environment_class;
  std::vector<database::Id> current_toolchains;
};

enum class StoredVerdict : uint8_t {
  kFaster,    ///< b is: by more than the tolerance, 1 is outside the interval, and p is small
  kSlower,    ///< b is, likewise
  kSame,      ///< the whole interval is within the tolerance
  kUndecided, ///< neither
};
const char* to_string(StoredVerdict verdict); ///< "faster", "slower", "same", "undecided"

/// A record with what it was measured with.
struct StoredSide {
  database::RecordRow row;
  std::string host;
  std::string compiler; ///< "LLVM 19.1.7 codegen 4"; the toolchain's id where it says no such thing
  size_t samples = 0;
};

struct StoredPair {
  std::string title; ///< "matmul M=512 N=512"
  StoredSide a;
  StoredSide b;
  double ratio = 0;      ///< time of b over time of a: above 1 is slower
  Interval interval;     ///< 95 %, of this pair by itself; NaN where a side has too few samples
  double p = 1;          ///< of the rank sum test; 1 where there was none
  double p_adjusted = 1; ///< Holm's, for all pairs that were tested
  bool tested = false;
  bool same_record = false;
  /// Two records of one measurement: a remeasurement that found equal code keeps the old samples.
  bool same_measurement = false;
  bool same_code = false; ///< same machine code on the same kind of machine, measured twice
  StoredVerdict verdict = StoredVerdict::kUndecided;
};

/// A record whose kernel the other side lacks.
struct StoredUnpaired {
  std::string title;
  database::RecordRow row;
  std::string reason; ///< "not there", "there with 4 threads", "there with another program"
};

struct StoredComparison {
  std::vector<StoredPair> pairs; ///< in the order of a
  std::vector<StoredUnpaired> only_a;
  std::vector<StoredUnpaired> only_b;
  int64_t passed_over = 0; ///< further records of paired kernels (other hosts, other toolchains)
  int tests = 0;
  double ratio = 0;                 ///< geometric mean over the pairs; NaN without any
  Interval interval;                ///< its 95 % interval, of exactly these kernels
  Interval sampled_interval;        ///< the same, were these kernels drawn from many of their kind
  int equal_code = 0;               ///< pairs that run the same machine code, measured twice
  double equal_code_difference = 0; ///< the largest difference among those: 0.013 is 1.3 %

  int64_t count(StoredVerdict verdict) const;
};

/// Fewer samples say nothing of their spread.
inline constexpr size_t kFewestStoredSamples = 3;

/// Pairs by workload, target, threads, timing regime and inputs; what is left over by the same
/// without the target, where that leaves no choice (two machines).
Result<StoredComparison> compare_stored(database::Store& store,
                                        std::span<const database::RecordRow> a,
                                        std::span<const database::RecordRow> b,
                                        const StoredComparisonOptions& options);

/// "LLVM 19.1.7 codegen 4" of a toolchain's row, "OpenBLAS libopenblasp-r0.3.21.so" of a library's;
/// its id where it does not say.
std::string compiler_of(const database::Toolchain& row);

} // namespace temper::tuner
