/// A GPU at work on one workload, in a process of its own: its arguments on the device, kernels
/// that are checked, timed, compared and counted there. Everything that a candidate does wrong is a
/// CudaFault; once its context is dead the process has to go (engine/runner/gpu_child.h).
#pragma once

#include "engine/cuda/kernel.h"
#include "engine/cuda/nvml.h"
#include "engine/cuda/timer.h"
#include "engine/timing/stop_rule.h"

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace temper::engine {

/// Arguments as the host has them. Outputs are written back there.
struct HostSet {
  std::vector<std::span<std::byte>> arguments; ///< in the order of the signature
};

struct SessionPlan {
  int device = 0;
  std::vector<codegen::ArgumentSpec> signature;
  std::vector<HostSet> sets; ///< the first is timed
  /// By argument: an output that starts with the host's values; others start poisoned.
  std::vector<bool> starts_filled;
  /// Counters are read in this process, and nothing is timed.
  bool counting = false;
};

struct SessionTimes {
  std::optional<CudaFault> fault;
  std::string disturbed; ///< not empty: correct as far as is known, but there is no number
  std::vector<double> samples_ns;
  int64_t calls_per_sample = 1;
  int slow_dropped = 0; ///< samples left out because the clock was far below its median
  Decision decision = Decision::kContinue;
  GpuConditions conditions;
};

/// Calls on outputs without and with results, in turns (engine/timing/repeated_calls.h).
struct SessionPairs {
  std::optional<CudaFault> fault;
  std::vector<double> fresh_ns;
  std::vector<double> repeated_ns;
};

class GpuSession {
public:
  /// kEnvironment in one sentence: no driver, no GPU, taken, no memory for the arguments.
  static Result<std::unique_ptr<GpuSession>> open(const SessionPlan& plan);

  const GpuInfo& info() const { return context_->info(); }
  GpuTimer timer() const { return timer_->kind(); }
  /// Why it is no better one; empty where it is the best.
  const std::string& why_timer() const { return why_timer_; }
  /// Why clocks are not read; empty where they are.
  const std::string& why_no_clocks() const { return why_no_clocks_; }

  /// Loads an artifact under a number. Of kind kCubin only.
  std::optional<CudaFault> load(int number, const codegen::Artifact& artifact);
  void unload(int number) { kernels_.erase(number); }

  /// One call on a set from its start, outputs poisoned; then they are in the host's arguments. A
  /// write beside an argument is a fault.
  std::optional<CudaFault> check(int number, size_t set);
  /// Takes the inputs from the host again: an earlier kernel may have written over what they are
  /// taken from.
  std::optional<CudaFault> refresh();
  /// Samples until the rule is content; the first set's outputs are in the host's arguments then.
  SessionTimes time(int number, Regime regime, const StopRule& rule, double best_ns);
  /// For turns: calls that a sample of about `sample_ns` has.
  SessionTimes calibrate(int number, Regime regime, double sample_ns);
  /// One sample of `calls` calls, for turns: nanoseconds of a call.
  SessionTimes turn(int number, Regime regime, int64_t calls);
  /// After calls on the first set: times calls that find what those left in its outputs in turns
  /// with calls that find poison. The last is of the latter; its outputs are in the host's
  /// arguments then. No times where a trace is broken, there is no memory for the outputs twice
  /// more, or they start with values.
  SessionPairs repeat(int number);
  /// Hands the outputs of the last call on the first set to the host.
  std::optional<CudaFault> show(int number);
  /// Counters of one call on the first set, caches flushed before it where `regime` is cold.
  Result<std::map<std::string, double>> count(int number, Regime regime,
                                              const std::vector<std::string>& metrics);

  /// Fixed work of the device's own, for drift: nanoseconds of it.
  struct Anchors {
    double compute_ns = 0; ///< fills what lies in the second level of cache: follows the clock
    double memory_ns = 0;  ///< fills what does not
  };
  Result<Anchors> anchors();

private:
  /// An argument on the device, between bytes that nobody may write to.
  struct Placed {
    DeviceMemory memory;
    DevicePointer address = 0;
    int64_t bytes = 0;
  };
  struct DeviceSet {
    std::vector<Placed> arguments; ///< empty memory for scalars
  };
  struct Loaded {
    std::unique_ptr<GpuKernel> kernel;
    std::vector<std::unique_ptr<GpuKernel::Call>> calls; ///< by set, then by copy of the first
  };

  explicit GpuSession(const SessionPlan& plan) : plan_(plan) {}
  Result<void> start();
  Result<void> upload(size_t set);
  Result<Placed> place(int64_t bytes);
  Result<DeviceSet> make_set();
  Result<void> fill_guards(const Placed& placed);
  /// Working arguments of a set as they are before the first call.
  CudaResult restore(const DeviceSet& to, size_t set);
  std::optional<CudaFault> prepare_calls(Loaded& loaded);
  std::optional<CudaFault> download(size_t set);
  std::optional<CudaFault> guards_of(const DeviceSet& set);
  /// Whether the kernel wrote to an input.
  std::optional<CudaFault> inputs_of(size_t set);
  /// Copies of the first set, so many that a cold call finds nothing of its own in a cache.
  Result<void> make_copies();
  CudaResult flush();
  TimedCalls timed(Loaded& loaded, Regime regime, int64_t count);
  /// Measures; takes a broken trace for none, and goes down the ladder where none was ever whole.
  SessionTimes sample(Loaded& loaded, Regime regime, int64_t count, GpuConditions& conditions);
  /// One pair of them. `kept`: all outputs one behind the other as they are to be, poison behind.
  std::optional<CudaFault> time_pair(Loaded& loaded, const DeviceMemory& kept, SessionPairs& pairs);
  /// For each output `act` gets its argument's number and where it lies among all of them one
  /// behind the other. A code other than 0 ends it and comes back.
  template <typename Act> CudaResult each_output(const Act& act) const;
  int64_t output_bytes() const;
  void read_clocks();
  void begin_conditions();
  GpuConditions end_conditions(int broken) const;
  Loaded* find(int number);
  CudaFault unknown(int number) const;

  SessionPlan plan_;
  std::unique_ptr<ActivityTrace> trace_;
  std::unique_ptr<GpuContext> context_;
  std::optional<Nvml> nvml_;
  std::unique_ptr<KernelTimer> timer_;
  std::unique_ptr<CounterReader> counters_;
  std::string why_timer_;
  std::string why_no_clocks_;
  bool timer_is_proved_ = false;    ///< it has given times
  std::vector<DeviceSet> pristine_; ///< by set: inputs, and outputs that start filled
  std::vector<DeviceSet> working_;  ///< by set
  std::vector<DeviceSet> copies_;   ///< further ones of the first
  DeviceMemory flushed_;
  std::map<int, Loaded> kernels_;
  std::vector<GpuReading> readings_;
  double last_reading_ns_ = 0;
};

} // namespace temper::engine
