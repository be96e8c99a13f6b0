/// Trials on a GPU, on the runner's side: arguments and references are the same as for a CPU's
/// (trial.h), kernels run in a process with a context (gpu_child.h) that serves one candidate after
/// the other until one of them kills it. That costs a new process and context, not the run.
#pragma once

#include "engine/runner/gpu_child.h"
#include "engine/runner/trial.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace temper::engine {

struct GpuSettings {
  int device = 0;
};

class GpuTrials {
public:
  explicit GpuTrials(GpuSettings settings) : settings_(std::move(settings)) {}

  /// As run_trial and run_turns of trial.h. A GPU that is not there, or taken, makes every trial
  /// `disturbed`, with the reason.
  std::optional<Measurement> run_trial(WorkloadId id, PreparedWorkload& workload,
                                       const TrialRequest& request,
                                       const Child::Interruption& interruption);
  std::optional<TurnsResult> run_turns(WorkloadId id, PreparedWorkload& workload,
                                       const TurnsRequest& request,
                                       const Child::Interruption& interruption);
  /// Of a workload that is there no more, or has become another one.
  void forget(WorkloadId id);
  /// Fixed work of the GPU (GpuSession::anchors); also the way to learn whether there is one.
  Result<Json> device_state(const Child::Interruption& interruption);
  /// What a process with a context says of itself ({"gpu", "timer", "why_timer", "why_no_clocks"}),
  /// and "why_no_counters": empty where they can be read.
  Result<Json> describe(const Child::Interruption& interruption);

private:
  struct Process {
    std::unique_ptr<GpuChild> child;
    Json ready; ///< what it said first
    WorkloadId workload = 0;
    bool counting = false;
  };
  enum class Step : uint8_t { kGoOn, kFailed, kCancelled };

  /// A process for the workload; the one that is there if it can be.
  Result<GpuChild*> process_for(WorkloadId id, const PreparedWorkload* workload, bool counting,
                                const Child::Interruption& interruption);
  /// Gives an order and takes what comes of it; on a failure `m` says what, and a process that is
  /// of no more use is gone.
  Step order(GpuChild& child, const Json& request, int file, int timeout_ms, const char* stage,
             const Child::Interruption& interruption, Measurement& m, Json& answer);
  Step start_and_check(WorkloadId id, PreparedWorkload& workload, const TrialRequest& request,
                       int number, const Child::Interruption& interruption, Measurement& m);
  Step check_sets(GpuChild& child, PreparedWorkload& workload, const TrialRequest& request,
                  int number, const Child::Interruption& interruption, Measurement& m);
  /// `doubt`: why its times are not to be believed, where repeated calls show that.
  Step recheck(GpuChild& child, PreparedWorkload& workload, const TrialRequest& request, int number,
               const Child::Interruption& interruption, Measurement& m, std::string& doubt);
  void count(WorkloadId id, PreparedWorkload& workload, const TrialRequest& request,
             const Child::Interruption& interruption, Measurement& m);
  Step load(GpuChild& child, const TrialRequest& request, int number,
            const Child::Interruption& interruption, Measurement& m);

  GpuSettings settings_;
  Process timing_;
  Process counting_;
};

} // namespace temper::engine
