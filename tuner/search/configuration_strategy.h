/// Strategies for finite spaces of parameters (measured tables; knobs of programs): which
/// configuration to measure next. Beside `Strategy`, whose candidates are traces and programs:
/// here a configuration is a row, and there is nothing to sample, mutate or lower. A strategy
/// sees no names and no values (space/configurations.h), and every choice comes from the Random it
/// is given.
#pragma once

#include "ir/support/random.h"
#include "ir/support/result.h"
#include "tuner/space/configurations.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace temper::tuner {

/// A measured configuration.
struct ConfigurationTrial {
  size_t row = 0;
  double seconds = 0; ///< infinite: it failed
};

/// One object serves one run: it may keep what it has learnt, and shares nothing with others.
class ConfigurationStrategy {
public:
  virtual ~ConfigurationStrategy() = default;
  virtual const char* name() const = 0;
  /// A row that is not among `trials` (in the order of measuring, all of this run's); nothing when
  /// the space is exhausted.
  virtual std::optional<size_t> propose(std::span<const ConfigurationTrial> trials,
                                        Random& random) = 0;
};

// `space` outlives the strategy.
std::unique_ptr<ConfigurationStrategy> make_random_configurations(const Configurations& space);
/// A steady-state genetic algorithm: tournaments of two, uniform crossover, one mutation on
/// average.
std::unique_ptr<ConfigurationStrategy> make_genetic_configurations(const Configurations& space);
/// A Gaussian process over all configurations and the expected improvement (surrogate.cpp). Keeps a
/// few hundred values per configuration: for spaces of up to some hundred thousand.
std::unique_ptr<ConfigurationStrategy> make_surrogate_configurations(const Configurations& space);

/// Names that `make_configuration_strategy` knows, the default first.
const std::vector<std::string>& configuration_strategies();
Result<std::unique_ptr<ConfigurationStrategy>>
make_configuration_strategy(std::string_view name, const Configurations& space);

} // namespace temper::tuner
