/// Passes and their runner. A pass is a name and a free function from a module to a module; the
/// same node back means "unchanged". The runner verifies after each pass (in debug builds and
/// tests), names the culprit and shows what it was given, skips passes by name, and writes what
/// each did:
///
///   TEMPER_DUMP=passes TEMPER_DUMP_DIR=/tmp/d temper check ...
///     /tmp/d/reference.1/00.input.txt   01.lower_blocks.txt   02.widen_indices.txt ("unchanged")
///     /tmp/d/untuned.1/00.input.txt   01.lower_blocks.txt   ...
///   TEMPER_SKIP_PASSES=unroll_loops,partition_loops temper tune ...
#pragma once

#include "ir/verify.h"

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace temper::ir {

struct Pass {
  std::string name;
  std::function<Result<IRModule>(const IRModule& module)> run;
};

/// A pass over each PrimFunc by itself; other functions stay.
Pass function_pass(std::string name, std::function<Result<PrimFunc>(const PrimFunc&)> run);

struct PassOptions {
  /// Verify after each pass (and before the first).
  bool verify =
#ifdef NDEBUG
      false;
#else
      true;
#endif
  std::vector<std::string> skip;
  /// Each run makes a folder here, `name`.1, `name`.2, ..., with one numbered file per pass; empty =
  /// none. Nothing that is there is overwritten, also when several processes write.
  std::filesystem::path dump_dir;
  /// Of the folder in dump_dir; empty = that of the module's first function.
  std::string name;
  /// Text of a module, for dumps and errors; null = as set_module_renderer says.
  std::function<std::string(const IRModule& module)> render;
};

/// How modules are shown where PassOptions has no `render`; set once at start by programs that link
/// the printer (script::render_programs). Null (the start): JSON.
void set_module_renderer(std::string (*render)(const IRModule& module));

/// `options` with what the environment says: TEMPER_DUMP=passes (into TEMPER_DUMP_DIR, or
/// ./temper-dump), TEMPER_SKIP_PASSES=a,b and TEMPER_VERIFY_PASSES=0|1.
PassOptions with_environment(PassOptions options);

/// Runs the passes in order. An error is that of a pass, or of the verifier (kFailed, naming the
/// pass that broke the program); its notes hold the program before that pass.
Result<IRModule> run_passes(IRModule module, std::span<const Pass> passes,
                            const PassOptions& options = {});

} // namespace temper::ir
