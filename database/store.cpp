#include "database/store.h"

namespace temper::database {

Result<Recorded>
record_alone(Store& store, Run run, Trial trial, const std::string& stopped_because,
             const std::function<Result<void>(const Id& run, const Recorded& recorded)>& also) {
  run.id.clear();
  run.budget_trials = 1;
  Measurement& row = trial.measurement;
  row.id.clear();
  row.sequence = -1;
  row.environment = run.environment;
  row.toolchain = run.toolchain;
  row.origin = run.strategy;
  row.purpose = Purpose::kConfirm;
  RunProgress progress;
  progress.trials = 1;
  Recorded recorded;
  TEMPER_TRY_VOID(store.transaction([&]() -> Result<void> {
    TEMPER_TRY(id, store.create_run(run));
    TEMPER_TRY(claim, store.claim_run(id));
    TEMPER_TRY(done, store.record(claim, trial, progress));
    recorded = std::move(done);
    TEMPER_TRY_VOID(also(id, recorded));
    return store.release_run(claim, RunState::kFinished, stopped_because);
  }));
  return recorded;
}

} // namespace temper::database
