/// What a trace of a GPU's kernels says of calls: pure functions on records. An empty or broken
/// trace is an error, never a time of zero: traces have come back empty, cut off, or with kernels
/// that end before they begin.
#pragma once

#include "ir/support/result.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace temper::engine {

/// One kernel that ran.
struct KernelRecord {
  uint64_t begin_ns = 0;
  uint64_t end_ns = 0;
  uint64_t call = 0; ///< the number that its launch was marked with; 0: it has none
  std::string name;
};

/// Nanoseconds of the calls `first`, first + 1, ... first + count - 1, each of which starts the
/// kernels `names` in that order: from the begin of its first kernel to the end of its last.
/// Records of other calls are left out. `dropped`: records that were lost on the way.
Result<std::vector<double>> call_times(std::span<const KernelRecord> records, uint64_t first,
                                       int64_t count, const std::vector<std::string>& names,
                                       size_t dropped);

} // namespace temper::engine
