/// A run for a GPU that is not there: proposes programs, holds them against the GPU's limits,
/// compiles them in the compile processes, prunes by what the machine code says, checks the rest on
/// the CPU (tuner/emulation.h), and records every outcome. Nothing is timed, so what is right is
/// `checked` and has no time.
#pragma once

#include "codegen/artifact.h"
#include "database/records.h"
#include "engine/measurement.h"
#include "tuner/emulation.h"
#include "tuner/gpu_pruning.h"
#include "tuner/workbench.h"

#include <functional>
#include <string>
#include <vector>

namespace temper::tuner {

struct EmulatedRunOptions {
  int64_t trials = 20;   ///< programs to check, those counted that cannot be checked
  double seconds = 0;    ///< 0: no limit
  int64_t interpret = 0; ///< so many of the right ones are run warp by warp, too
  bool compile = true;   ///< for the GPU
  bool check = true;     ///< on the CPU; else they are only compiled and pruned, and `not_checked`
  uint64_t seed = 1;
  std::string command_line;
};

/// Why choices were refused, in order of first appearance.
struct EmulatedRefusals {
  struct Entry {
    /// Where: "constraint", "program", "lowering", "limits", "compiling", "pruning", "not checked",
    /// "check".
    std::string stage;
    std::string reason; ///< "shared memory", ... (tuner/gpu_pruning.h); may be empty
    std::string first;  ///< sentence
    int64_t count = 0;
    std::string kind; ///< the sentence without place and numbers
  };
  std::vector<Entry> entries;
  /// Sentences of one stage and reason, or where there is no reason of one kind, are one entry.
  void add(const std::string& stage, const std::string& reason, const std::string& message);
};

/// A program that is right, or of which nothing here can say so.
struct EmulatedSound {
  database::Id record;
  std::string choice; ///< "block_M=64 gemm.variant=mma_sync"; of a sketch its decisions
  codegen::GpuNeeds needs;
  /// So many blocks of it, drawn by chance, are right; 0: all of it is.
  int64_t sampled_blocks = 0;
  std::shared_ptr<const codegen::Artifact> code; ///< null: it was not compiled for the GPU
  GpuBound bound;                                ///< where there is code
};

struct EmulatedResult {
  database::Id run;
  std::string compiler; ///< "NVRTC 13.0 codegen 6"; empty: none
  std::string why_no_compiler;
  int64_t choices = 1; ///< combinations of the program's knobs
  std::string space;
  int64_t drawn = 0, lowered = 0, alike = 0, compiled = 0, checked = 0, right = 0, interpreted = 0;
  int64_t not_checked = 0; ///< nothing here could run them; whether they are right is not known
  std::vector<EmulatedSound> sound; ///< the least bound first
  /// What compiled and was not pruned, and only a GPU can check; the least bound first.
  std::vector<EmulatedSound> unproven;
  std::string only_on_gpu; ///< why the workload's programs are not checked here; empty: they are
  EmulatedRefusals refused;
  std::string stopped_because;
  bool interrupted = false;
};

struct EmulatedHooks {
  /// Before anything is compiled: what will be looked through.
  std::function<void(const EmulatedResult& so_far)> started;
  std::function<bool()> interrupted;
};

/// `task` is for this machine's CPU. An error is ours, or says why there is no space.
Result<EmulatedResult> run_emulated(Workbench& bench, const Task& task, const ir::Target& gpu,
                                    const EmulatedRunOptions& options, const EmulatedHooks& hooks);

/// What is wrong, in words: "wrong_result: B[3] is 2, expected 1 within 1e-05; 7 wrong".
std::string emulated_verdict(const EmulatedCheck& check, bool has_reference);

} // namespace temper::tuner
