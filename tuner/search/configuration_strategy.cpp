#include "tuner/search/configuration_strategy.h"

#include "ir/support/text.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace temper::tuner {
namespace {

/// Rows without repetition, uniformly.
class Untried {
public:
  explicit Untried(size_t rows) : tried_(rows), left_(rows) {}

  /// Takes over what `trials` has more than the last time.
  void update(std::span<const ConfigurationTrial> trials) {
    for (; seen_ < trials.size(); ++seen_)
      if (!tried_[trials[seen_].row]) {
        tried_[trials[seen_].row] = true;
        --left_;
      }
  }
  bool empty() const { return left_ == 0; }
  bool contains(size_t row) const { return !tried_[row]; }
  size_t any(Random& random) const {
    // Draws until most of the space is used up, then counts.
    for (int tries = 0; tries < 64; ++tries) {
      const auto row = static_cast<size_t>(random.below(static_cast<int64_t>(tried_.size())));
      if (!tried_[row])
        return row;
    }
    int64_t nth = random.below(static_cast<int64_t>(left_));
    for (size_t row = 0;; ++row)
      if (!tried_[row] && nth-- == 0)
        return row;
  }

private:
  std::vector<bool> tried_;
  size_t left_;
  size_t seen_ = 0;
};

class RandomConfigurations final : public ConfigurationStrategy {
public:
  explicit RandomConfigurations(const Configurations& space) : untried_(space.size()) {}
  const char* name() const override { return "random"; }

  std::optional<size_t> propose(std::span<const ConfigurationTrial> trials,
                                Random& random) override {
    untried_.update(trials);
    return untried_.empty() ? std::nullopt : std::optional(untried_.any(random));
  }

private:
  Untried untried_;
};

class GeneticConfigurations final : public ConfigurationStrategy {
public:
  explicit GeneticConfigurations(const Configurations& space)
      : space_(space), untried_(space.size()) {}
  const char* name() const override { return "genetic"; }

  std::optional<size_t> propose(std::span<const ConfigurationTrial> trials,
                                Random& random) override {
    untried_.update(trials);
    if (untried_.empty())
      return std::nullopt;
    if (trials.size() < kPopulation)
      return untried_.any(random);
    std::vector<ConfigurationTrial> population(trials.begin(), trials.end());
    std::stable_sort(population.begin(), population.end(),
                     [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
    population.resize(kPopulation);
    for (int tries = 0; tries < kTries; ++tries) {
      const std::optional<size_t> child = space_.find(
          mutated(crossed(parent(population, random), parent(population, random), random), random));
      if (child && untried_.contains(*child))
        return child;
    }
    return untried_.any(random); // converged: new blood
  }

private:
  static constexpr size_t kPopulation = 20;
  static constexpr int kTries = 200;

  /// The population is sorted: of two drawn the smaller index is the faster.
  static size_t parent(const std::vector<ConfigurationTrial>& population, Random& random) {
    const auto size = static_cast<int64_t>(population.size());
    return population[static_cast<size_t>(std::min(random.below(size), random.below(size)))].row;
  }

  std::vector<uint16_t> crossed(size_t a, size_t b, Random& random) const {
    std::vector<uint16_t> codes;
    for (size_t d = 0; d < space_.dimensions(); ++d)
      codes.push_back(space_.code(random.below(2) == 0 ? a : b, d));
    return codes;
  }

  std::vector<uint16_t> mutated(std::vector<uint16_t> codes, Random& random) const {
    const auto dimensions = static_cast<int64_t>(codes.size());
    for (size_t d = 0; d < codes.size(); ++d)
      if (random.below(dimensions) == 0)
        codes[d] = static_cast<uint16_t>(random.below(static_cast<int64_t>(space_.cardinality(d))));
    return codes;
  }

  const Configurations& space_;
  Untried untried_;
};

} // namespace

std::unique_ptr<ConfigurationStrategy> make_random_configurations(const Configurations& space) {
  return std::make_unique<RandomConfigurations>(space);
}

std::unique_ptr<ConfigurationStrategy> make_genetic_configurations(const Configurations& space) {
  return std::make_unique<GeneticConfigurations>(space);
}

const std::vector<std::string>& configuration_strategies() {
  static const std::vector<std::string> names{"surrogate", "genetic", "random"};
  return names;
}

Result<std::unique_ptr<ConfigurationStrategy>>
make_configuration_strategy(std::string_view name, const Configurations& space) {
  if (name == "surrogate")
    return make_surrogate_configurations(space);
  if (name == "random")
    return make_random_configurations(space);
  if (name == "genetic")
    return make_genetic_configurations(space);
  return Error(ErrorCode::kInvalidArgument, "there is no strategy '" + std::string(name) +
                                                "' for parameters; use " +
                                                join(configuration_strategies(), " or "));
}

} // namespace temper::tuner
