/// What the tuner asks of its compile processes (temper-compiler), and what comes back: a
/// workload's text and a trace go in, an Artifact comes out. The process that searches never
/// compiles.
#pragma once

#include "codegen/artifact.h"
#include "codegen/lower.h"
#include "ir/support/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace temper::tuner {

struct Task;

enum class CompileKind : uint8_t {
  kCandidate, ///< the workload with the trace applied (an empty trace: as it is written)
  kReference, ///< the unscheduled program with floating types widened to float64
  /// The candidate lowered for the GPU that `gpu` names, as loops over its threads for this CPU
  /// (ir/tir/emulator/thread_loops.h).
  kThreadLoops,
};

struct CompileRequest {
  CompileKind kind = CompileKind::kCandidate;
  std::string module_text; ///< script of the workload's module; workers cache it by its hash
  std::string trace_json;  ///< empty: no trace
  std::string target;      ///< canonical text of a resolved target
  int threads = 1;
  std::string gpu; ///< (kThreadLoops) canonical text of a target
  /// Line and column, in turns, of each statement of the program in the user's file, so that errors
  /// and assertions name those; empty: not known. Where the trace sets knobs, of the program that
  /// comes of them.
  std::vector<uint32_t> places;
};

/// The task with the trace applied, for its target and threads.
CompileRequest candidate_request(const Task& task, const std::string& trace_json);
CompileRequest reference_request(const Task& task);
/// The task, which is for this CPU, as threads of `gpu`.
CompileRequest thread_loops_request(const Task& task, const std::string& trace_json,
                                    const ir::Target& gpu);
/// Machine code for `gpu`.
CompileRequest gpu_request(const Task& task, const std::string& trace_json, const ir::Target& gpu);

std::string encode(const CompileRequest& request);
Result<CompileRequest> decode_compile_request(std::string_view bytes);

/// Lowering for a resolved target: its registers; `serial` for kernels of one thread.
Result<codegen::LowerOptions> lower_options_for(const ir::Target& target, bool serial);

/// Compiles one request in this process: what a worker does, and what `show` and `export` call. A
/// candidate whose target is a GPU becomes GPU code (codegen/cuda/compile.h).
Result<codegen::Artifact> compile_request(const CompileRequest& request);

/// The main of temper-compiler.
int compiler_main();

} // namespace temper::tuner
