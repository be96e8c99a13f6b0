/// What every command (and later the GUI's session) starts from: the database, this machine's
/// environment and toolchain, workloads by name, and the devices. Opens each part on first use.
#pragma once

#include "database/store.h"
#include "engine/compile_pool.h"
#include "engine/cuda/device.h"
#include "engine/fma_probe.h"
#include "engine/machine_speed.h"
#include "engine/measurer.h"
#include "ir/support/json.h"
#include "tuner/cost/analytical.h"
#include "tuner/space/rule.h"
#include "tuner/task.h"
#include "tuner/tuning_run.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace temper::tuner {

struct WorkbenchOptions {
  std::string database; ///< --db; empty: TEMPER_DB, else $XDG_DATA_HOME/temper/temper.db
  std::string target = "native";
  /// Where kernels for a GPU run: its number, from 0. Nothing: the first, if there is one, when the
  /// target is a GPU's.
  std::optional<int> gpu;
  int threads = 0; ///< 0: one
  int jobs = 0;    ///< compile processes; 0: the machine's cores
  engine::Regime regime = engine::Regime::kHot;
  bool viewing = false; ///< a database that may only be read will do
  /// Workloads whose arguments and references the device keeps; 0: the device's default.
  size_t workloads_kept = 0;
  /// Estimates take the machine's figures as they are kept, however old, or do without: somebody
  /// waits for them. `refresh_speed` measures them when there is time.
  bool kept_speed = false;
  double limit_seconds = 600; ///< for one kernel as `measure` runs it, and for a reference
};

/// A workload on a command line: `matmul M=512 N=512 K=512`, `scale.py:scale M=4`.
struct WorkloadArguments {
  std::string name;
  std::map<std::string, std::string> parameters; ///< as typed
  bool unchecked = false;
};

/// A stored binding (its keys are sorted) in the order that the workload declares its parameters.
Json declared_order(const database::Workload& row);

class Workbench {
public:
  explicit Workbench(WorkbenchOptions options) : options_(std::move(options)) {}
  ~Workbench();
  Workbench(const Workbench&) = delete;
  Workbench& operator=(const Workbench&) = delete;

  const WorkbenchOptions& options() const { return options_; }
  /// What the next tasks are for, and with it where they run; devices and database stay.
  void retarget(const std::string& target, int threads);

  // The database.
  Result<database::Store*> store();

  // This machine and this build.
  Result<ir::Target> target();
  /// Environment of this machine, as the database has it.
  Result<database::Environment> environment();
  /// kUnsupported, naming what is missing, when code for the task's target cannot run here. What
  /// runs code asks this first: new_run and prepare do, and nothing runs without one of them. That
  /// such code may happen to run is no reason: the next candidate need not.
  Result<void> check_host(const Task& task);
  /// Compiler and target, whatever the number of threads.
  Result<database::Toolchain> toolchain();
  /// What counts as comparable here: environment class, today's toolchain, regime.
  Result<database::RecordFilter> comparable();
  /// Whose records are not stale: today's compiler for any target, and libraries and programs that
  /// temper did not make.
  Result<std::vector<database::Id>> fresh_toolchains();

  // Workloads.
  /// Files that hold workloads: TEMPER_WORKLOADS, then the installed or the source tree's folder.
  std::vector<std::string> workload_folders() const;
  /// Builds the task: finds the file, binds parameters, compiles nothing. Without parameters the
  /// file's first shape. Errors as workload_file.h says, plus: a shape larger than memory.
  Result<Task> task(const WorkloadArguments& arguments);
  /// The task of a stored workload: from the file of its name, else from the one it was read from,
  /// where that still gives the same program; else from its stored text, which has no other
  /// reference than the unscheduled program itself.
  Result<Task> task(const database::Workload& workload);
  /// Whether the workload's file, the one of its name or else the one it was read from, now
  /// describes another program, or none for these parameters. No where there is no such file: then
  /// the stored text is all there is.
  bool is_outdated(const database::Workload& workload);
  /// All shapes of a workload's file; one entry without parameters when it names none.
  Result<std::vector<WorkloadArguments>> shapes(const std::string& name);
  /// The symbolic dimensions of the workload's program that have no extent yet, by name: what is
  /// checked and timed has one, NAME=NUMBER among its parameters.
  Result<std::vector<std::string>> open_dimensions(const WorkloadArguments& arguments);
  /// Names of a workload's parameters, in the order in which it declares them.
  Result<std::vector<std::string>> parameters(const std::string& name);
  struct KnownWorkload {
    std::string name;
    std::string file;
    std::string layer;
    std::vector<std::string> parameters;
    std::string flops; ///< the formula in the file
    std::string bytes;
  };
  Result<std::vector<KnownWorkload>> known_workloads();

  /// Measured on first use, for a second or so, unless that was done within the last minutes.
  const engine::MachineSpeed& machine_speed();
  /// True when estimates were made with figures that are old, or without any (`kept_speed`).
  bool is_speed_old() const;
  /// Measures them, for a second or so; from any thread. What is asked afterwards uses them.
  void refresh_speed();
  /// What no correct kernel for this task can beat on this machine, nanoseconds; 0: not known.
  double bound_ns(const Task& task);
  /// The arithmetic whose peak that bound is; nothing where it is the memory's bandwidth.
  std::optional<engine::FmaKind> bounding_arithmetic(const Task& task);

  /// What the analytical estimate needs to know of this machine, for code of the task's target.
  MachineRates rates(const Task& task);
  /// What a run knows of this machine; when to stop is left open. May measure the machine.
  TuneOptions tune_options(const Task& task);

  // Devices.
  Result<engine::CompilePool*> compilers();
  Result<engine::Measurer*> measurer();
  Result<Devices> devices();

  /// A row for a new run of the task: workload, target, environment and toolchain added and filled
  /// in, timing regime and this version of temper as its options; strategy, seed and budget are the
  /// caller's.
  Result<database::Run> new_run(const Task& task);

  /// Compiles in this process (show, export, rerun).
  Result<std::shared_ptr<const codegen::Artifact>> compile(const Task& task,
                                                           const std::string& trace_json);
  Result<std::shared_ptr<const codegen::Artifact>> compile_reference(const Task& task);
  /// The task's inputs and what is right for them on the device, until `remove_workload` there.
  Result<engine::WorkloadId> prepare(const Task& task, uint64_t seed);
  /// Checks (when the task has a reference) and times one artifact. A failing kernel is a
  /// Measurement, an error is ours.
  Result<engine::Measurement> measure_on(engine::WorkloadId prepared, const Task& task,
                                         std::shared_ptr<const codegen::Artifact> artifact,
                                         int timeout_ms, const engine::StopRule& rule = {});
  /// The same, prepared for this one.
  Result<engine::Measurement>
  measure(const Task& task, std::shared_ptr<const codegen::Artifact> artifact, uint64_t seed = 1);

  /// A record's code: the kept bytes when there are some, else compiled again.
  Result<std::shared_ptr<const codegen::Artifact>> code_of(const Task& task,
                                                           const database::RecordRow& record);
  /// The kept bytes alone; kNotFound where there are none.
  Result<std::shared_ptr<const codegen::Artifact>> kept_code(const database::Id& record);
  /// The contenders in turns, on the task's inputs, until the ratios are known well
  /// (engine::kComparedHalfWidth) or the time is over. All are checked where the task has a
  /// reference and they ask for it.
  Result<engine::Comparison> compare_on(engine::WorkloadId prepared, const Task& task,
                                        std::vector<engine::Contender> contenders,
                                        double max_seconds);
  /// The same, prepared for this one.
  Result<engine::Comparison> compare(const Task& task, std::vector<engine::Contender> contenders,
                                     double max_seconds);

private:
  /// Today's toolchain and the stored ones that are alike.
  Result<std::vector<database::Id>>
  toolchains_like_todays(const std::function<bool(const database::Toolchain&)>& alike);

  /// The GPU of the target; nothing where that is a processor. The error says why there is none.
  Result<std::optional<engine::GpuInfo>> gpu();

  WorkbenchOptions options_;
  std::unique_ptr<database::Store> store_;
  std::unique_ptr<engine::CompilePool> compilers_;
  std::map<int, std::unique_ptr<engine::Measurer>> measurers_; ///< by GPU; -1: the processor
};

/// Today's compiler of CUDA for `gpu`; without one, what prints the programs.
Result<database::Toolchain> gpu_toolchain(const ir::Target& gpu);

/// What the rules need to know of the machine that `target` names.
Result<MachineHints> machine_hints_for(const ir::Target& target, int threads);
/// The design space that those rules make of the task, for this machine.
Result<std::unique_ptr<Space>> space_of(const Task& task);

/// Where the programs temper-runner and temper-compiler are: TEMPER_LIBEXEC, beside this program,
/// or in ../libexec/temper of it. The error names what was looked for.
Result<std::string> find_helper_program(const std::string& name);

} // namespace temper::tuner
