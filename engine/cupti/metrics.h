/// Counters of NVIDIA's GPUs by CUPTI's profiler: the named sets of metrics, and how often a kernel
/// must be run again to count each of them. Planning needs no GPU and no driver, only CUPTI, which
/// is loaded when it is first asked for; so a misspelt metric is found on any machine.
///
///   TEMPER_TRY(plan, plan_metrics("GH100", metric_set("lite").metrics));   // plan.passes == 1
#pragma once

#include "ir/support/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace temper::engine {

struct MetricSet {
  std::string name;
  std::string about; ///< what it tells, one line
  std::vector<std::string> metrics;
};
/// "lite" first: what is worth counting of every candidate that is counted at all.
const std::vector<MetricSet>& metric_sets();
/// kNotFound names the sets.
Result<const MetricSet*> find_metric_set(std::string_view name);

struct MetricPlan {
  /// Runs of the kernel that it takes to count all; 1 where the hardware counts them side by side.
  int64_t passes = 0;
  std::string config; ///< what the profiler on the device is given
};
/// `chip` as CUPTI calls it: "GH100", "GA100", "AD102". kEnvironment: there is no CUPTI, or none
/// that knows the chip. kNotFound: the first metric that the chip has not.
Result<MetricPlan> plan_metrics(const std::string& chip, const std::vector<std::string>& metrics);

/// "13.0" of the CUPTI that is there.
Result<std::string> cupti_version();

} // namespace temper::engine
