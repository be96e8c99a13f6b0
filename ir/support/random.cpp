#include "ir/support/random.h"

#include <cmath>
#include <numbers>

namespace temper {

double Random::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

size_t Random::weighted(std::span<const double> weights) {
  TEMPER_CHECK(!weights.empty(), "Random::weighted needs at least one weight");
  double total = 0;
  for (double weight : weights)
    total += weight;
  if (!(total > 0))
    return static_cast<size_t>(below(static_cast<int64_t>(weights.size())));
  double rest = uniform() * total;
  for (size_t i = 0; i < weights.size(); ++i) {
    rest -= weights[i];
    if (rest < 0)
      return i;
  }
  return weights.size() - 1;
}

} // namespace temper
