/// The only place that knows both the engine's measurements and the database's rows.
#pragma once

#include "codegen/artifact.h"
#include "database/records.h"
#include "engine/measurement.h"
#include "tuner/space/candidate.h"
#include "tuner/task.h"

namespace temper::tuner {

database::TimingRegime to_row(engine::Regime regime);
engine::Regime from_row(database::TimingRegime regime);

database::Workload workload_row(const Task& task);
/// A trial's row. `artifact` may be null (it did not compile).
database::Measurement measurement_row(const engine::Measurement& measurement, const Task& task,
                                      const codegen::Artifact* artifact);
/// Inputs and tolerances that a record was checked with, for a workload whose file says them no
/// more; what the record does not say stays as it is.
void restore_checking(const database::Measurement& row, script::Workload& workload);
/// The log of a trial: what its compiler wrote in front of what the measurement has.
std::string trial_log(const std::string& compiler, const std::string& measurement_log);
database::Candidate candidate_row(const Candidate& candidate, const database::Id& workload,
                                  const database::Id& parent);
database::Artifact artifact_row(const codegen::Artifact& artifact, const database::Id& candidate,
                                const database::Id& toolchain);
/// The artifact back from its row.
Result<codegen::Artifact> artifact_from_row(const database::Artifact& row);

} // namespace temper::tuner
