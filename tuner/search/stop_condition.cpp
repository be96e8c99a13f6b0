#include "tuner/search/stop_condition.h"

#include <fmt/format.h>

namespace temper::tuner {

bool StopCondition::refuted(double bound_ns, double best_ns) {
  constexpr double kNoise = 0.03;
  return best_ns > 0 && best_ns < bound_ns * (1 - kNoise);
}

std::string StopCondition::reached(const State& state) const {
  if (state.interrupted)
    return "interrupted";
  if (state.space_exhausted)
    return "the space is exhausted";
  const int64_t limit = trials != 0 ? trials : (seconds > 0 ? 0 : default_trials);
  if (limit != 0 && state.trials >= limit)
    return fmt::format("{} trial{}", state.trials, state.trials == 1 ? "" : "s");
  if (seconds > 0 && state.seconds >= seconds)
    return fmt::format("{:.0f} seconds", seconds);
  if (may_converge() && state.best_ns > 0 && state.best_ns * (1 - bound_slack) <= state.bound_ns &&
      !refuted(state.bound_ns, state.best_ns))
    return fmt::format("the best is within {:.0f} % of what this machine can do",
                       bound_slack * 100);
  if (may_converge() && state.trials_since_gain >= patience)
    return fmt::format("converged: no gain of {:.0f} % in the last {} trials", gain * 100,
                       patience);
  return {};
}

} // namespace temper::tuner
