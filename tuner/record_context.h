/// What a record stands in: its run, its machine, its compiler, and the program as it was written,
/// for the views that explain a number (`temper report`, `temper explain`). Reads the database
/// only.
#pragma once

#include "database/store.h"
#include "engine/machine_speed.h"
#include "tuner/task.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace temper::tuner {

struct RecordContext {
  database::RecordRow row;
  database::Measurement record;
  database::Workload workload;
  database::Run run;
  /// That found the candidate: `run`, unless that only measured it again (bench, remeasure).
  database::Run search;
  database::Environment environment;
  database::Toolchain toolchain;
  std::string title; ///< "matmul M=512 N=512"
  /// The program as it was written, measured under the same conditions: in the same run, else
  /// nearest in time.
  std::optional<database::Measurement> untuned;

  /// How many times as fast as `untuned`; 0: not known.
  double gain() const;
  /// Its 95 % interval from the samples of both; NaN where one has too few.
  Interval gain_interval() const;
};

Result<RecordContext> context_of(database::Store& store, const database::RecordRow& row);

/// Where the number comes from, as terms and texts: when, host, processor, compiler, target,
/// conditions, run with its command line. What is not known is empty.
std::vector<std::pair<std::string, std::string>> provenance(const RecordContext& context);
/// The same with members for programs.
Json provenance_json(const RecordContext& context);

/// The program of a candidate: its workload's with the trace applied.
Result<ir::IRModule> scheduled_module(const database::Workload& workload,
                                      const database::Candidate& candidate);
/// The same, lowered for the record's target and threads.
Result<ir::IRModule> lowered_module(const database::Measurement& record,
                                    const ir::IRModule& scheduled);
/// The module's only function, or the one named "main"; null where that is no prim_func.
ir::PrimFunc main_function(const ir::IRModule& module);

/// Operations a second of a core that the task's types allow at best; 0: not known.
double machine_peak(const Task& task, const engine::MachineSpeed& speed);
/// No correct kernel of the task takes less on a machine of this speed; 0: not known.
double machine_bound_ns(const Task& task, const engine::MachineSpeed& speed);
/// The arithmetic whose peak that bound is; nothing where it is the memory's bandwidth.
std::optional<engine::FmaKind> bounding_arithmetic(const Task& task,
                                                   const engine::MachineSpeed& speed);

} // namespace temper::tuner
