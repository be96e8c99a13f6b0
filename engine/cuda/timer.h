/// Timers of GPU kernels: the rungs of the ladder, of which a session takes the best that works.
///
///   activity  CUPTI's records of each kernel (engine/cupti/activity.cpp)
///   events    the driver's events around many calls
#pragma once

#include "engine/cuda/kernel.h"
#include "engine/gpu_conditions.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace temper::engine {

/// Calls of one kernel, in a row.
struct TimedCalls {
  /// Taken in turn: sets of arguments that differ in their addresses alone.
  std::vector<const GpuKernel::Call*> rotation;
  int64_t count = 1;
  /// Before each call, outside of what is timed; empty: calls follow each other at once.
  std::function<CudaResult()> before_each;
  std::vector<std::string> kernels; ///< that one call starts
};

struct CallTimes {
  CudaResult code = 0;    ///< not 0: a call failed, and there are no times
  std::string broken;     ///< not empty: the calls ran, but their times cannot be told
  std::vector<double> ns; ///< of a call, one for each sample
  int64_t per_sample = 1; ///< calls in a sample
};

class KernelTimer {
public:
  virtual ~KernelTimer() = default;
  virtual GpuTimer kind() const = 0;
  /// Runs the calls and waits for them.
  virtual CallTimes time(const TimedCalls& calls) = 0;
  /// Calls that one `time` should have for kernels of so many nanoseconds.
  virtual int64_t calls_for(double call_ns, bool apart) const = 0;
};

/// CUPTI's trace, started before there is a context in this process; `attach` makes a timer of it.
/// kEnvironment: there is no CUPTI, another profiler has taken it, or this program was built
/// without its headers.
class ActivityTrace {
public:
  virtual ~ActivityTrace() = default;
  virtual std::unique_ptr<KernelTimer> attach(const GpuContext& context) = 0;
};
Result<std::unique_ptr<ActivityTrace>> start_activity_trace();

std::unique_ptr<KernelTimer> make_event_timer(const GpuContext& context);

/// Hardware counters of the kernels in a context, by CUPTI's range profiler: user ranges, replayed
/// by the caller, so that what is outside of a range (flushing caches, poisoning) is not counted.
/// Never in a process that times.
class CounterReader {
public:
  virtual ~CounterReader() = default;
  /// `before`, then `run` as often as there are passes; `run` is what is counted. By metric.
  virtual Result<std::map<std::string, double>> count(const std::vector<std::string>& metrics,
                                                      const std::function<CudaResult()>& before,
                                                      const std::function<CudaResult()>& run) = 0;
};
/// kEnvironment says what forbids it: which permission and which setting, another profiler, a GPU
/// or a virtual machine that has no counters.
Result<std::unique_ptr<CounterReader>> open_counters(const GpuContext& context);
/// Their names; none where this program was built without CUPTI's headers.
std::vector<std::string> metric_set_names();
/// The named sets of engine/cupti/metrics.h, one behind the other, each metric once.
Result<std::vector<std::string>> metrics_of_sets(const std::vector<std::string>& sets);

} // namespace temper::engine
