/// temper check and tune with --device emulated: what can be done for a GPU without one.
#pragma once

#include "tuner/cli/command.h"

namespace temper::cli {

/// --device; empty: this machine's CPU.
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
  uint64_t seed = 0;
};
inline constexpr int64_t kEmulatedTrials = 20;

int check_emulated(EmulatedWork work);
int tune_emulated(EmulatedWork work);

} // namespace temper::cli
