/// One tuning run: propose, compile, measure, learn, record, until the budget is spent; then the
/// finalists are measured again in interleaved pairs, on fresh inputs.
#pragma once

#include "database/store.h"
#include "engine/compile_pool.h"
#include "engine/measurer.h"
#include "tuner/cost/analytical.h"
#include "tuner/search/stop_condition.h"
#include "tuner/search/strategy.h"
#include "tuner/task.h"

#include <functional>

namespace temper::tuner {

/// What a run works with; all outlive it.
struct Devices {
  database::Store* store = nullptr;
  engine::Measurer* measurer = nullptr;
  engine::CompilePool* compilers = nullptr;
  std::string environment_class;
};

struct TuneOptions {
  StopCondition stop;
  bool fresh = false; ///< do not start from records of other runs
  size_t batch = 16;  ///< candidates between two trainings of the model
  size_t finalists = 4;
  MachineRates rates;  ///< for estimates before measuring
  double bound_ns = 0; ///< no correct kernel is faster (engine::MachineSpeed); 0: not known
};

struct TuneProgress {
  int64_t trials = 0;
  int64_t failures = 0;
  double seconds = 0;   ///< over all continuations of the run
  double best_ns = 0;   ///< 0: nothing valid yet
  ModelQuality quality; ///< of the last batch; candidates == 0 before there was one
  std::string phase;    ///< "reference", "search", "confirm"
};

struct TuneHooks {
  std::function<void(const TuneProgress&)> progress;
  std::function<bool()> interrupted; ///< asked often; true ends the run cleanly
};

/// Where the wall time of this continuation of a run went, in seconds.
struct PhaseSeconds {
  double prepare = 0; ///< what is known, other shapes, the reference
  double propose = 0; ///< sampling, mutating, estimating, learning, predicting
  double compile = 0;
  double measure = 0; ///< with looks at the device
  double confirm = 0; ///< finalists, side by side
};

struct TuneResult {
  database::Id run;
  database::Id best_record; ///< empty: no valid candidate
  double best_ns = 0;
  Interval best_interval;
  double untuned_ns = 0; ///< 0: not measured in this run
  int64_t trials = 0;
  double seconds = 0;
  PhaseSeconds phases;
  Funnel funnel;
  int64_t transferred = 0; ///< starting points from other shapes
  std::string stopped_because;
  bool interrupted = false;
};

/// Runs (or continues) `run`, a row of the store for `task`, under `claim`; gives the claim back.
/// The random stream continues from run.random_state. An error is ours (the store, the device);
/// failing candidates are rows.
Result<TuneResult> tune(const Task& task, const Space& space, const database::Run& run,
                        const database::RunClaim& claim, const Devices& devices,
                        const TuneOptions& options, const TuneHooks& hooks);

/// The funnel as `--json` and the runs table have it: {"proposed": {"count", "first_error"}, ...}.
std::string funnel_to_json(const Funnel& funnel);

/// The measurer's description of a task; `seed` fills the inputs.
engine::WorkloadSpec
workload_spec(const Task& task, std::shared_ptr<const codegen::Artifact> reference, uint64_t seed);

} // namespace temper::tuner
