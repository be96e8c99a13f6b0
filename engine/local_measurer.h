/// This host's processor, or a GPU of it, as a measuring device. Owns a temper-runner, starts it
/// again when it is killed, and gives each trial a second chance when the runner died under it;
/// after that the trial is recorded as crashed and the run goes on.
///
/// Everything happens inside submit, poll, compare and the like; there is no thread. The runner
/// has its next trial already while the caller is busy.
#pragma once

#include "engine/measurer.h"
#include "engine/subprocess.h"
#include "engine/wire.h"
#include "ir/support/json.h"

#include <chrono>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace temper::engine {

struct LocalMeasurerOptions {
  std::string runner_path; ///< empty: found by find_runner
  /// Of one kernel beyond its arguments; 0: 4 GiB, or half of what is free where that is less.
  int64_t memory_limit_bytes = 0;
  /// Kernels may not start processes, signal others, delete files or open sockets.
  bool filter_system_calls = true;
  /// Large arguments are timed in private memory with huge pages, where the system gives them.
  bool private_timing = true;
  /// Held while measuring, so that two programs never measure at once on this host; empty: none.
  std::string lock_path = default_lock_path();
  /// Kernels are a GPU's, and run there: its number, from 0. References run on the processor.
  std::optional<int> gpu;
  /// Workloads whose arguments and references the runner keeps; others are made again on demand.
  size_t workloads_kept = 4;

  /// $TEMPER_DEVICE_LOCK, or a file in /tmp that all users share.
  static std::string default_lock_path();
};

/// temper-runner: $TEMPER_RUNNER, beside this program, in ../libexec/temper, or where it was
/// built. The error names the places.
Result<std::string> find_runner();

/// Samples of the same fixed work, a and b in alternation.
struct NoiseSample {
  std::vector<double> a_ns;
  std::vector<double> b_ns;
};

class LocalMeasurer : public Measurer {
public:
  static Result<std::unique_ptr<LocalMeasurer>> start(LocalMeasurerOptions options = {});

  Result<WorkloadId> add_workload(const WorkloadSpec& spec) override;
  void remove_workload(WorkloadId workload) override;
  Ticket submit(MeasureRequest request) override;
  std::vector<FinishedMeasurement> poll(int timeout_ms) override;
  void cancel(Ticket ticket) override;
  size_t pending() const override;
  int event_fd() const override { return events_.get(); }
  Result<Comparison> compare(const CompareRequest& request) override;
  Result<DeviceState> device_state(int threads) override;
  Result<ReferenceValues>
  reference_values(WorkloadId workload, size_t set, int argument,
                   std::span<const std::pair<int64_t, int64_t>> elements) override;

  /// What the GPU is, how its kernels are timed, and what cannot be read there: {"gpu": {...},
  /// "timer", "why_timer", "why_no_clocks", "why_no_counters"}; what is empty is no lack. The error
  /// says why there is none. Blocks. Only with `gpu` in the options.
  Result<Json> describe_gpu();
  /// The sets of a GPU's counters (engine/cupti/metrics.h) for trials that ask for counters and are
  /// handed in from now on; "lite" where nothing was said.
  void set_gpu_metric_sets(std::vector<std::string> sets) { gpu_metric_sets_ = std::move(sets); }
  /// The A/A test's raw material. Blocks.
  Result<NoiseSample> noise(int pairs);
  int runner_pid() const { return runner_.pid(); }
  /// How often the runner had to be started again.
  int restarts() const { return restarts_; }

private:
  using Clock = std::chrono::steady_clock;
  struct Trial {
    Ticket ticket = 0;
    MeasureRequest request;
    int attempts = 0;
    bool started = false;
    Clock::time_point deadline;
  };

  explicit LocalMeasurer(LocalMeasurerOptions options) : options_(std::move(options)) {}
  Result<void> start_runner();
  void watch(int descriptor);
  int grace_ms() const;
  /// Gives back or fails what the dead runner held, and starts another.
  void replace_runner(const std::string& why);
  /// Makes sure the runner has, or gets before what follows, this workload.
  Result<void> load_workload(WorkloadId id);
  /// The same, and waits until the runner has it. kInterrupted when the runner died meanwhile.
  Result<void> wait_for_workload(WorkloadId id);
  /// Waits until nothing is queued or in flight.
  void finish_trials();
  /// Asks again, a new runner, when the answer is kInterrupted: it died meanwhile. kFailed when it
  /// does so each time.
  template <typename Question> auto insist(Question question) -> decltype(question());
  void feed();
  void step();
  void take(Frame frame);
  Result<DeviceState> look_at_device(int threads);
  /// A comparison without `half_width`: every contender has one process.
  Result<Comparison> one_sitting(const CompareRequest& request);
  void fail(const Trial& trial, std::string sentence);
  /// Sends a request and waits for its answer. kInterrupted when the runner dies meanwhile.
  Result<Frame> ask(uint32_t kind, const std::string& payload, std::span<const int> files,
                    int timeout_ms);

  LocalMeasurerOptions options_;
  std::vector<std::string> gpu_metric_sets_{"lite"};
  std::string runner_path_;
  FileDescriptor events_;
  Subprocess runner_;
  FileDescriptor socket_;
  FileDescriptor log_;
  std::unique_ptr<FrameReader> reader_;
  std::deque<Trial> queue_;
  std::deque<Trial> in_flight_; ///< with the runner, in the order it takes them
  std::vector<FinishedMeasurement> finished_;
  std::map<WorkloadId, WorkloadSpec> workloads_;
  std::list<WorkloadId> loaded_; ///< least recently used first
  int outstanding_loads_ = 0;
  std::string load_error_; ///< of the last workload that could not be made again
  std::optional<Frame> answer_;
  std::vector<DeviceState> states_; ///< recent ones, for what drift is usual
  WorkloadId next_workload_ = 1;
  Ticket next_ticket_ = 1;
  int restarts_ = 0;
};

} // namespace temper::engine
