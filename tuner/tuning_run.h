/// One tuning run: propose, compile, measure, learn, record, until the budget is spent; then the
/// finalists are measured again in turns and several sittings, on fresh inputs.
///
/// `tune` does all of it. Who has several runs to share the time between (tuner/batch.h) holds
/// TuningRuns and advances them in rounds:
///
///   TuningRun run(task, space, row, claim, devices, options, hooks);
///   while (...) TEMPER_TRY(more, run.step());   // one batch of candidates
///   TEMPER_TRY(result, run.finish());           // confirms the best
#pragma once

#include "database/store.h"
#include "engine/compile_pool.h"
#include "engine/measurer.h"
#include "tuner/cost/analytical.h"
#include "tuner/search/stop_condition.h"
#include "tuner/search/strategy.h"
#include "tuner/task.h"

#include <functional>
#include <memory>

namespace temper::tuner {

/// What a run works with; all outlive it.
struct Devices {
  database::Store* store = nullptr;
  engine::Measurer* measurer = nullptr;
  engine::CompilePool* compilers = nullptr;
  std::string environment_class;
  /// Seconds from some start, never backwards; empty: the machine's. Simulations have their own.
  std::function<double()> now;
  std::function<double()> clock() const; ///< `now`, or the machine's
};

struct TuneOptions {
  StopCondition stop;
  bool fresh = false; ///< do not start from records of other runs
  size_t batch = 16;  ///< candidates between two trainings of the model
  size_t finalists = 6;
  MachineRates rates;  ///< for estimates before measuring
  double bound_ns = 0; ///< no correct kernel is faster (engine::MachineSpeed); 0: not known
  /// Candidates of a batch may be compiled while others are timed: fixed work is as fast with such
  /// company here (engine::MachineSpeed::bears_company). Taken back for a run, and after a batch in
  /// which the machine drifted, when two threads do not run side by side just then; an event
  /// "company" says what was decided.
  bool compile_beside = false;
  /// Trials without a gain that an earlier part of the run had (`TuningRun::trials_since_gain`),
  /// so that a run that was put aside converges all the same.
  int64_t trials_since_gain = 0;
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
  /// After an outcome was committed: its record and what it says.
  std::function<void(const database::Id& record, const engine::Measurement& measurement)> recorded;
};

/// Where the wall time of this continuation of a run went, in seconds.
struct PhaseSeconds {
  double prepare = 0; ///< what is known, other shapes, the reference
  double propose = 0; ///< sampling, mutating, estimating, learning, predicting
  double compile = 0; ///< while nothing is timed
  double measure = 0; ///< with looks at the device, and what is compiled meanwhile
  double confirm = 0; ///< finalists, side by side
};

struct TuneResult {
  database::Id run;
  database::Id best_record; ///< empty: no valid candidate
  double best_ns = 0;
  /// In the finals the best took so many times as long as in the search, which no noise explains:
  /// it is as the search measured it, unconfirmed. 0: they were not disturbed.
  double finals_slower = 0;
  bool best_is_untuned = false; ///< nothing right was faster than the program as it is written
  Interval best_interval;
  double untuned_ns = 0; ///< in turns with the best, unless far too slow; 0: not known
  int64_t trials = 0;
  double seconds = 0;
  PhaseSeconds phases;
  Funnel funnel;
  int64_t transferred = 0; ///< starting points from other shapes
  std::string stopped_because;
  bool interrupted = false;
  bool paused = false; ///< interrupted, because somebody asked for it through the database
};

/// Runs (or continues) `run`, a row of the store for `task`, under `claim`; gives the claim back.
/// The random stream continues from run.random_state. An error is ours (the store, the device);
/// failing candidates are rows.
Result<TuneResult> tune(const Task& task, const Space& space, const database::Run& run,
                        const database::RunClaim& claim, const Devices& devices,
                        const TuneOptions& options, const TuneHooks& hooks);

/// A run in steps. The arguments outlive it; the claim stays the caller's. Only the time inside of
/// its functions counts as the run's. An error is ours (the store, the device): the object is of no
/// more use then, but the run goes on from its row in another one.
class TuningRun {
public:
  TuningRun(const Task& task, const Space& space, const database::Run& run,
            const database::RunClaim& claim, const Devices& devices, const TuneOptions& options,
            const TuneHooks& hooks);
  ~TuningRun();
  TuningRun(const TuningRun&) = delete;
  TuningRun& operator=(const TuningRun&) = delete;

  /// What is known, other shapes, the reference. Done by the first `step` otherwise.
  Result<void> prepare();
  /// Proposes, measures and records one batch of candidates. False: nothing was done, because there
  /// is a reason to stop.
  Result<bool> step();
  /// Measures the untuned program when that has not been done, and the finalists, unless it was
  /// interrupted. `because`: why, where it is not the run's own reason to stop.
  Result<TuneResult> finish(const std::string& because = {});
  /// Writes what a new object needs to go on (its random stream); for runs that are put aside.
  Result<void> put_aside();

  /// How it stands; nothing is measured.
  TuneProgress progress() const;
  double untuned_ns() const;
  PhaseSeconds phases() const;
  int64_t trials_since_gain() const;

private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// What becomes of a run's row with this result: finished, interrupted (what the machine did to it
/// as well: it can go on) or failed.
database::RunState state_after(const Result<TuneResult>& result);

/// The funnel as `--json` and the runs table have it: {"proposed": {"count", "first_error"}, ...}.
std::string funnel_to_json(const Funnel& funnel);

/// The measurer's description of a task; `seed` fills the inputs.
engine::WorkloadSpec
workload_spec(const Task& task, std::shared_ptr<const codegen::Artifact> reference, uint64_t seed);

} // namespace temper::tuner
