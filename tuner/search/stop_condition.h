/// When a run is done. Pure functions on numbers.
#pragma once

#include <cstdint>
#include <string>

namespace temper::tuner {

struct StopCondition {
  int64_t trials = 0; ///< 0: no limit of its own
  double seconds = 0; ///< 0: no limit
  /// Without a limit on trials: this many without a gain of `gain` mean convergence.
  int64_t patience = 200;
  double gain = 0.01;
  /// Nor anything to gain: the best is this close to what the machine can do at all.
  double bound_slack = 0.03;
  int64_t default_trials = 1000; ///< when neither trials nor seconds were given

  struct State {
    int64_t trials = 0;
    double seconds = 0;
    int64_t trials_since_gain = 0;
    double best_ns = 0;  ///< 0: nothing valid yet
    double bound_ns = 0; ///< no correct kernel is faster (engine::MachineSpeed); 0: not known
    bool space_exhausted = false;
    bool interrupted = false;
  };
  /// Empty: go on. Otherwise why to stop, as "200 trials", "converged: ...".
  std::string reached(const State& state) const;
  bool may_converge() const { return trials == 0; }
  /// A kernel that is clearly faster than its bound says that the bound is none: `flops` or the
  /// arguments' bytes count what is not done, or the machine was slow when it was measured.
  static bool refuted(double bound_ns, double best_ns);
};

} // namespace temper::tuner
