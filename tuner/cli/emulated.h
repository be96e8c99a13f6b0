/// temper check and tune with --device emulated: what can be done for a GPU without one.
#pragma once

#include "tuner/cli/command.h"

namespace temper::cli {

/// --device; empty: what fits the target.
void add_device_option(CLI::App& command, std::string& device);

struct EmulatedWork {
  CommonOptions common;
  std::vector<std::string> words;
  bool unchecked = false;
  bool quick = false; ///< check: only the first shape
  int64_t trials = 0; ///< tune: programs to check; 0: kEmulatedTrials
  double seconds = 0; ///< tune: 0: no limit
  /// tune: how many of the programs that are right are also run warp by warp, for races and the
  /// like.
  int64_t interpret = 0;
  bool compile = true; ///< tune: for the GPU, where its compiler is there: registers and spills
  bool check = true;   ///< tune: on the CPU
  uint64_t seed = 0;
  std::string why;          ///< tune: why no GPU is used, "...: "; empty where that was asked for
  std::string command_line; ///< tune: for the run that it makes
};
inline constexpr int64_t kEmulatedTrials = 20;

/// Where a command's kernels run.
struct Place {
  bool emulated = false; ///< a GPU's programs, on the CPU
  std::string why{};     ///< not asked for: why no GPU is used, "...: so "
};
/// What --device and --target come to; the GPU, and the target where a GPU alone was named, are
/// filled in. A target that is none is for others to refuse.
Result<Place> place_of(CommonOptions& options, const std::string& device);

/// Why the reference of a task is no measure of results, with its file and line; empty where
/// nothing is found (tuner/emulation.h).
std::string reference_fault(const tuner::Task& task, bool suspect);
/// An error of lowering or running, with the file and a caret below the line that it names.
Error in_source(const Error& error, const tuner::Task& task);

int check_emulated(EmulatedWork work);
int tune_emulated(EmulatedWork work);

} // namespace temper::cli
