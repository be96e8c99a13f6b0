/// GPU programs on a machine without a GPU (`--device emulated`): lowered for the GPU, then run on
/// the CPU. What it computes is checked on the whole shape by compiled loops over the threads
/// (ir/tir/emulator/thread_loops.h); what a GPU leaves to chance is looked for warp by warp
/// (ir/tir/emulator/emulate.h) where the shape is small enough. Nothing is timed.
#pragma once

#include "codegen/cuda/nvrtc.h"
#include "codegen/cuda/print.h"
#include "codegen/lower_gpu.h"
#include "engine/measurement.h"
#include "tuner/workbench.h"

#include <optional>
#include <string>
#include <vector>

namespace temper::tuner {

/// A program as the GPU would run it, and as the CPU can.
struct EmulatedProgram {
  ir::IRModule flat;  ///< one function: kernels of threads
  ir::IRModule loops; ///< null: only the interpreter can run it
  std::string why_interpreted;
  codegen::GpuNeeds needs;
};
/// The task for the extents of its symbolic dimensions alone, whatever is chosen: a GPU's programs
/// have constant shapes. Itself when it has none.
Result<Task> bound_task(Task task);

/// Errors: kUnsupported with the reason (no kernel, layouts that conflict, a limit of the GPU).
Result<EmulatedProgram> emulated_program(const ir::IRModule& module, const ir::Target& gpu);

/// The program's machine code for the GPU, which nothing here can run, and what is known of it.
struct GpuCode {
  codegen::CudaSource source;
  codegen::CudaCode code;
  int64_t registers = 0;     ///< of the kernel that takes most
  int64_t spilled_bytes = 0; ///< stores, of all kernels
  codegen::Occupancy occupancy;
  /// "95 registers, 4 blocks on a multiprocessor (registers)".
  std::string to_string() const;
};
/// kUnsupported: no CUDA form, registers that do not suffice (spills), or not one block on a
/// multiprocessor. kFailed: the compiler refused.
Result<GpuCode> compile_for_gpu(const codegen::Nvrtc& nvrtc, const EmulatedProgram& program,
                                const ir::Target& gpu);

struct EmulatedCheck {
  engine::Outcome outcome = engine::Outcome::kRejected;
  std::string error;
  std::optional<engine::WorstElement> worst;
  bool compiled = false;              ///< else interpreted alone
  bool interpreted = false;           ///< races and the like were looked for
  std::string not_interpreted;        ///< why not
  std::vector<std::string> conflicts; ///< of shared memory's banks, worst first
  bool right() const { return engine::is_correct(outcome); }
};

/// Largest product of sizes of arguments and operations that is run warp by warp: some seconds.
inline constexpr double kInterpretedWork = 2e6;

/// Checks the program of `task`, whose target is this machine's CPU, as `program` has it.
/// `prepared` as Workbench::prepare gives it. An error is ours; what the program does wrong is in
/// the result.
Result<EmulatedCheck> check_emulated(Workbench& bench, engine::WorkloadId prepared,
                                     const Task& task, const EmulatedProgram& program,
                                     bool look_for_races);

} // namespace temper::tuner
