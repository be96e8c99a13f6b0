#include "tuner/search/strategy.h"

#include "ir/support/text.h"

#include <cmath>
#include <limits>

namespace temper::tuner {

void Funnel::refuse(FunnelStage& stage, const std::string& reason, const std::string& error) {
  ++stage.refused[reason];
  if (stage.first_error.empty())
    stage.first_error = error;
}

double SearchState::best_seconds() const {
  double best = std::numeric_limits<double>::infinity();
  for (const Trial& trial : trials)
    best = std::min(best, trial.seconds);
  return best;
}

Result<std::unique_ptr<Strategy>> make_strategy(std::string_view name) {
  if (name == "auto")
    return make_auto_strategy();
  if (name == "random")
    return make_random_strategy();
  if (name == "evolutionary")
    return make_evolutionary_strategy();
  return Error(ErrorCode::kInvalidArgument, "there is no strategy '" + std::string(name) +
                                                "'; use auto, evolutionary or random");
}

} // namespace temper::tuner
