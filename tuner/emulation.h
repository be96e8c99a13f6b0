/// GPU programs on a machine without a GPU (`--device emulated`): lowered for the GPU, then run on
/// the CPU. What it computes is checked on the whole shape by compiled loops over the threads
/// (ir/tir/emulator/thread_loops.h); what a GPU leaves to chance is looked for warp by warp
/// (ir/tir/emulator/emulate.h) where the shape is small enough. Nothing is timed.
#pragma once

#include "codegen/artifact.h"
#include "codegen/lower_gpu.h"
#include "engine/measurement.h"
#include "tuner/workbench.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace temper::tuner {

/// A program as the GPU would run it.
struct EmulatedProgram {
  ir::IRModule flat; ///< one function: kernels of threads
  /// Why only the interpreter can run it; empty: compiled loops over its threads can, too.
  std::string why_interpreted;
  codegen::GpuNeeds needs;
  /// Why nothing here can run it: it is CUDA C++ of its own; empty otherwise.
  std::string only_on_gpu;
  /// Why it is not run warp by warp, whatever the shape; empty otherwise.
  std::string not_by_warps;
};
/// The task for the extents of its symbolic dimensions alone, whatever is chosen: a GPU's programs
/// have constant shapes. Itself when it has none.
Result<Task> bound_task(Task task);

/// Errors: kUnsupported with the reason (no kernel, layouts that conflict). Whether it keeps to the
/// GPU's limits is not looked at: tuner/gpu_pruning.h.
Result<EmulatedProgram> emulated_program(const ir::IRModule& module, const ir::Target& gpu);

/// "95 registers, 4 blocks on a multiprocessor (by its registers)" of GPU code.
std::string gpu_code_text(const codegen::StaticFacts& facts, const ir::Target& gpu);

struct EmulatedCheck {
  engine::Outcome outcome = engine::Outcome::kNotChecked;
  std::string error;
  /// What kind of mistake the emulator found, for people: "race", "deadlock"; empty where values
  /// differ and where there is none. `outcome` is kWrongResult for all of them.
  std::string finding;
  std::optional<engine::WorstElement> worst;
  bool compiled = false;    ///< else interpreted alone
  bool interpreted = false; ///< races and the like were looked for
  /// Of the program's blocks these were run warp by warp, drawn by chance; 0: all, or none.
  int64_t sampled_blocks = 0;
  /// All of it ran as loops; in so many blocks, drawn by chance, races were looked for. 0: in all,
  /// or in none.
  int64_t raced_blocks = 0;
  std::string not_interpreted;        ///< why not
  std::vector<std::string> conflicts; ///< of shared memory's banks, worst first
  std::string printed;                ///< "the kernel wrote:" and what; empty for most
  bool right() const { return engine::is_correct(outcome); }
  /// Something ran, so `outcome` says what the program does; else `error` says why nothing could.
  bool checked() const { return compiled || interpreted; }
};

/// Largest product of sizes of arguments and operations that is run warp by warp: some seconds.
inline constexpr double kInterpretedWork = 2e6;

/// Of programs that only run warp by warp, and are too large for that, so much work of single
/// blocks is done: some tens of seconds.
inline constexpr double kSampledWork = 4e9;
/// The same where compiled loops have computed what is right: a few seconds.
inline constexpr double kSampledForRaces = 1e7;
/// So many blocks at the most.
inline constexpr int64_t kSampledBlocks = 4;

/// What generated code for a CPU does not notice: accesses outside of buffers, elements that were
/// never written, assertions that do not hold; with the line. Accesses are proven to lie inside
/// (ir::verify_accesses), or looked at by the interpreter on the task's inputs where the shape is
/// small enough, as the rest always is. `looked`: at every access.
struct MeaningCheck {
  bool looked = false;
  std::string found;
};
MeaningCheck check_meaning(const Task& task);
/// What is wrong with a reference of the task's own: an element that it reads before it is written
/// makes NaN of its results, or anything. With the line; empty where nothing is found, and where
/// the shape is too large to run the reference element by element. `suspect`: it gave no number, so
/// it may take as long as a program under test.
std::string check_reference(const Task& task, bool suspect);

/// Before anything is measured or exported: an error where check_meaning() finds something, which
/// is only asked where accesses are not proven to lie inside.
Result<void> refuse_faulty(const Task& task);

/// Checks `program`, which was made of the program of `task`, whose target is this machine's CPU.
/// `prepared` as Workbench::prepare gives it with `seed`. `loops`: what thread_loops_request
/// became; null where the program has to be interpreted. An error is ours; what the program does
/// wrong is in the result. `limit_seconds`: of each way to run it; what should take little is given
/// less.
Result<EmulatedCheck> check_emulated(Workbench& bench, engine::WorkloadId prepared,
                                     const Task& task, const EmulatedProgram& program,
                                     const Result<std::shared_ptr<const codegen::Artifact>>& loops,
                                     bool look_for_races, uint64_t seed, double limit_seconds);

} // namespace temper::tuner
