/// Trials on the runner's side: a workload's arguments and references, one kernel measured, several
/// kernels compared in turns.
#pragma once

#include "engine/measurer.h"
#include "engine/runner/child.h"

#include <memory>
#include <string>
#include <vector>

namespace temper::engine {

/// What one argument's reference result is, for one input set.
struct ReferenceOutput {
  UnforkedMemory bytes;
  DataType type;
  double scale = 0;
};

struct PreparedSet {
  BufferSet arguments;
  /// By argument: what an output that is read too starts with; empty for the others.
  std::vector<UnforkedMemory> initial;
  std::vector<ReferenceOutput> references; ///< by argument; empty for inputs
};

struct PreparedWorkload {
  WorkloadSpec spec;
  std::vector<PreparedSet> sets;
  bool has_reference = false;
};

struct RunnerSettings {
  int64_t default_memory_limit_bytes = int64_t{4} << 30;
  bool filter_system_calls = true;
  bool private_timing = true;
};

/// Fills the arguments and runs the reference on each set.
Result<PreparedWorkload> prepare_workload(WorkloadSpec spec, const codegen::Artifact* reference,
                                          int reference_code, const RunnerSettings& settings,
                                          const Child::Interruption& interruption);

struct TrialRequest {
  const codegen::Artifact* artifact = nullptr;
  int code_file = -1;
  std::vector<int64_t> extra_scalars;
  Regime regime = Regime::kHot;
  int threads = 1;
  double best_ns = 0;
  StopRule rule;
  int timeout_ms = 10'000;
  int64_t memory_limit_bytes = 0;
  bool check = true;
  bool counters = false;
  std::vector<std::string> metric_sets{}; ///< of a GPU's counters
};

/// Load, check, time, check again. Nothing when it was cancelled.
std::optional<Measurement> run_trial(PreparedWorkload& workload, const TrialRequest& request,
                                     const RunnerSettings& settings,
                                     const Child::Interruption& interruption);

struct TurnsRequest {
  std::vector<TrialRequest> contenders;
  int rounds = 25;
  int first_round = 0;
  double max_seconds = 20;
  double sample_ns = 1e6;
};
struct TurnsResult {
  std::vector<Measurement> measurements; ///< sample i of all of them is of one round
  int rounds = 0;
};
std::optional<TurnsResult> run_turns(PreparedWorkload& workload, const TurnsRequest& request,
                                     const RunnerSettings& settings,
                                     const Child::Interruption& interruption);

/// Time that a hypervisor has taken from this machine's processors since it started.
double steal_ms();

} // namespace temper::engine
