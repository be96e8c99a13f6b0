/// What hardware counters of a GPU's kernel (engine/cupti/metrics.h) say of it: the shares of what
/// the card gives, and which of them limits the kernel.
///
///   tensor cores are busy 91 % of the time: it is near what they give
///   memory moves 1.2 TB/s, 25 % of the 4.8 TB/s of such a card
#pragma once

#include "database/store.h"
#include "tuner/cost/counted.h"
#include "tuner/gpu_pruning.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace temper::tuner {

/// Shares are of what the card gives, 0 to 1; nothing: not counted.
struct GpuUse {
  std::optional<double> tensor;      ///< of cycles in which tensor cores work
  std::optional<double> bytes_per_s; ///< of memory
  std::optional<double> memory;      ///< bytes_per_s over the card's
  std::optional<double> issue;       ///< of slots in which a warp issues an instruction
  std::optional<double> occupancy;   ///< of the warps that a multiprocessor holds
  std::optional<double> conflicts;   ///< of shared memory's wavefronts, those that repeat
  std::optional<double> l2_hits;     ///< of sectors asked for
  std::optional<double> spilled;     ///< bytes to and from local memory
  /// What a warp waits for longest between two instructions, and how many cycles.
  std::string waits_for;
  double wait_cycles = 0;
};
/// `architecture`: 90 for sm_90a. What is not a number of its kind is left out.
GpuUse gpu_use(const std::map<std::string, double>& counters, int architecture);

/// Sentences on what limits the kernel, the weightiest first; empty where nothing was counted.
std::vector<std::string> counter_limits(const std::map<std::string, double>& counters,
                                        int architecture);

/// The same for the cost model; nothing where nothing was counted.
std::optional<Counted> counted_of(const std::map<std::string, double>& counters, int architecture);

/// The counters of a record: its own, or those of the newest other measurement of its candidate on
/// the same machine with the same toolchain; `record` says whose. Empty: nobody counted.
struct RecordCounters {
  database::Id record;
  std::map<std::string, double> counters;
};
Result<RecordCounters> record_counters(database::Store& store, const database::RecordRow& row,
                                       const database::Measurement& own);

/// counters_json of a record: {"dram__bytes_read.sum": 1e6, ...}; empty where there are none.
std::map<std::string, double> counters_of(const std::string& counters_json);

} // namespace temper::tuner
