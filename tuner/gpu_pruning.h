/// Why a program for a GPU is not worth running there, as far as that shows without running it: in
/// the lowered program, in its machine code, and against the others that are known. Each refusal
/// has a reason, so that a run can say how many fell for which.
#pragma once

#include "codegen/artifact.h"
#include "codegen/lower_gpu.h"
#include "engine/measurement.h"
#include "tuner/task.h"

#include <optional>
#include <string>
#include <string_view>

namespace temper::tuner {

struct GpuRefusal {
  /// "threads", "blocks", "shared memory", "registers", "spills", "occupancy", "serialised",
  /// "waves", "roofline".
  std::string reason;
  std::string message; ///< one sentence
  engine::Outcome outcome = engine::Outcome::kRejected;
};

/// Before compiling: what a block may use.
std::optional<GpuRefusal> refused_needs(const ir::PrimFunc& flat, const codegen::GpuLimits& limits);

/// Once compiled: registers that are spilled, more threads than a kernel's __launch_bounds__ allow,
/// not one block on a multiprocessor, wgmma that the
/// assembler runs one after the other.
/// `architecture` as a target has it, for its words.
std::optional<GpuRefusal> refused_code(const codegen::StaticFacts& facts,
                                       std::string_view architecture = "sm_90a");

/// What no card of an architecture exceeds: of the fastest one that there is.
struct GpuRates {
  double multiprocessors = 0;
  double tensor_flops = 0; ///< of 16-bit operands; twice as much of 8 bits, half of 32
  double f32_flops = 0;    ///< without tensor cores
  double bytes_per_s = 0;  ///< of memory
};
GpuRates gpu_rates(int architecture);
/// What no kernel for the task is faster than on a GPU of its target's architecture, whatever
/// instructions it takes: its operations at the tensor cores' peak for the narrowest argument, its
/// arguments at the memory's bandwidth.
double gpu_floor_ns(const Task& task);

/// What no run of the code is faster than: its operations at the peak of the instructions that it
/// uses, shared out in whole blocks over the multiprocessors; the arguments at the memory's
/// bandwidth.
struct GpuBound {
  double arithmetic_ns = 0; ///< 0: not known
  double memory_ns = 0;
  int64_t blocks = 0;
  /// How many blocks the busiest multiprocessor has, over what each would have if they were shared
  /// out evenly: 16 blocks on 132 multiprocessors are 8.25, 133 are nearly 2.
  double imbalance = 1;
  const char* processor = "multiprocessor"; ///< what runs blocks, in words
  double ns() const { return arithmetic_ns > memory_ns ? arithmetic_ns : memory_ns; }
};
GpuBound gpu_bound(const Task& task, const codegen::Artifact& artifact, int architecture);

/// `best_ns`: of what was timed on such a card, 0: nothing. `rival`: the least bound of the programs
/// of this task that are known to be right; null: there is none. A kernel reaches about half of its
/// bound, so one whose bound is more than kHopelessBound times another's is not worth a run.
inline constexpr double kHopelessBound = 2.5;
std::optional<GpuRefusal> refused_bound(const GpuBound& bound, double best_ns,
                                        const GpuBound* rival);

} // namespace temper::tuner
