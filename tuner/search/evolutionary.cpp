#include "tuner/search/draws.h"
#include "tuner/search/draws_ahead.h"
#include "tuner/search/strategy.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace temper::tuner {
namespace {

struct Scored {
  CandidateRef candidate;
  double score;
};

/// Evolution guided by the cost model, as MetaSchedule's: a population of the best measured and of
/// fresh samples; each generation draws parents by their score and mutates them; the best
/// unmeasured ones that were ever seen make the batch, with some picked by chance.
class EvolutionaryStrategy final : public Strategy, public DrawsAhead {
public:
  explicit EvolutionaryStrategy(const EvolutionOptions& options) : options_(options) {}
  const char* name() const override { return "evolutionary"; }

  std::vector<CandidateRef> propose(size_t count, SearchState& state, Random& random) override {
    if (!state.model->is_trained())
      return fallback_->propose(count, state, random);

    std::vector<CandidateRef> population = start(state, random);
    if (population.empty())
      return {};
    left_ = population;
    std::unordered_set<uint64_t> in_pool;
    std::vector<Scored> pool; // unmeasured candidates of all generations
    for (int generation = 0;; ++generation) {
      const std::vector<double> scores = predict(population, state);
      for (size_t i = 0; i < population.size(); ++i)
        if (!state.seen.contains(population[i]->program_hash) &&
            in_pool.insert(population[i]->program_hash).second)
          pool.push_back({population[i], scores[i]});
      if (generation == options_.generations)
        break;
      population = next_generation(population, scores, state, random);
      left_.insert(left_.end(), population.begin(), population.end());
    }

    std::stable_sort(pool.begin(), pool.end(),
                     [](const Scored& a, const Scored& b) { return a.score > b.score; });
    const size_t by_chance = std::min(
        static_cast<size_t>(std::lround(static_cast<double>(count) * options_.random_share)),
        pool.size());
    std::vector<CandidateRef> batch;
    for (size_t i = 0; i < pool.size() && batch.size() + by_chance < count; ++i)
      batch.push_back(pool[i].candidate);
    // The rest by chance among those the model did not choose: it must see what it believes bad.
    const size_t chosen = batch.size();
    std::vector<size_t> rest;
    for (size_t i = chosen; i < pool.size(); ++i)
      rest.push_back(i);
    while (batch.size() < count && !rest.empty()) {
      const auto pick = static_cast<size_t>(random.below(static_cast<int64_t>(rest.size())));
      batch.push_back(pool[rest[pick]].candidate);
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(pick));
    }
    return batch;
  }

  /// The fresh samples of the next population.
  void draw_ahead(const Space& space, Random stream, bool alone) override {
    left_.clear();
    const size_t wanted = static_cast<size_t>(options_.population) - most_measured();
    if (ahead_.size() >= wanted)
      return;
    std::vector<Result<CandidateRef>> drawn = draw_many(
        space, wanted - ahead_.size(), stream,
        [&](size_t, Random& own) { return space.sample(own); }, alone);
    std::move(drawn.begin(), drawn.end(), std::back_inserter(ahead_));
  }

private:
  /// Of a population.
  size_t most_measured() const {
    return static_cast<size_t>(options_.population * options_.measured_share);
  }

  std::vector<CandidateRef> start(SearchState& state, Random& random) {
    std::vector<const Trial*> best;
    for (const Trial& trial : state.trials)
      if (std::isfinite(trial.seconds))
        best.push_back(&trial);
    std::stable_sort(best.begin(), best.end(),
                     [](const Trial* a, const Trial* b) { return a->seconds < b->seconds; });
    if (best.size() > most_measured())
      best.resize(most_measured());
    std::vector<CandidateRef> population;
    std::unordered_set<uint64_t> members;
    for (const Trial* trial : best)
      if (members.insert(trial->candidate->program_hash).second)
        population.push_back(trial->candidate);
    const auto full = static_cast<size_t>(options_.population);
    const auto take = [&](const std::vector<Result<CandidateRef>>& samples) {
      for (const Result<CandidateRef>& sampled : samples)
        if (is_legal(sampled, state) && members.insert((*sampled)->program_hash).second)
          population.push_back(*sampled);
    };
    size_t tries = ahead_.size();
    take(std::exchange(ahead_, {}));
    while (tries < 2 * full && population.size() < full) {
      const size_t count = std::min(full - population.size(), 2 * full - tries);
      tries += count;
      take(draw_many(*state.space, count, random,
                     [&](size_t, Random& stream) { return state.space->sample(stream); }));
    }
    return population;
  }

  static std::vector<double> predict(const std::vector<CandidateRef>& population,
                                     const SearchState& state) {
    std::vector<const FeatureMatrix*> features;
    for (const CandidateRef& candidate : population)
      features.push_back(&candidate->features);
    return state.model->predict(features);
  }

  std::vector<CandidateRef> next_generation(const std::vector<CandidateRef>& population,
                                            const std::vector<double>& scores, SearchState& state,
                                            Random& random) const {
    // Parents are drawn in proportion to their predicted speed (a share of the best in [0, 1]).
    std::vector<double> cumulative;
    double total = 0;
    for (double score : scores) {
      total += std::max(score, 1e-3);
      cumulative.push_back(total);
    }
    const auto draw = [&] {
      const double at = random.uniform() * total;
      return static_cast<size_t>(std::upper_bound(cumulative.begin(), cumulative.end() - 1, at) -
                                 cumulative.begin());
    };
    std::vector<CandidateRef> next;
    std::unordered_set<uint64_t> members;
    const auto full = static_cast<size_t>(options_.population);
    for (size_t tries = 0; tries < 3 * full && next.size() < full;) {
      const size_t count = std::min(full - next.size(), 3 * full - tries);
      tries += count;
      std::vector<CandidateRef> parents;
      for (size_t i = 0; i < count; ++i) {
        const CandidateRef& parent = population[draw()];
        if (random.uniform() < options_.mutate_probability)
          parents.push_back(parent);
        else if (members.insert(parent->program_hash).second)
          next.push_back(parent);
      }
      for (const Result<CandidateRef>&child :
           draw_many(*state.space, parents.size(), random, [&](size_t i, Random&stream) {
             return state.space->mutate(*parents[i], stream);
           }))
        if (is_legal(child, state) && members.insert((*child)->program_hash).second)
          next.push_back(*child);
    }
    return next;
  }

  /// Counts a proposal, and whether it is legal.
  static bool is_legal(const Result<CandidateRef>& proposed, SearchState& state) {
    ++state.funnel->proposed.count;
    if (proposed)
      ++state.funnel->legal.count;
    else
      // What a user's rule says wrongly is not lost among what happens to be illegal.
      state.funnel->refuse(state.funnel->legal,
                           proposed.error().code == ErrorCode::kInvalidArgument ? "rules"
                                                                                : "illegal",
                           proposed.error().message);
    return static_cast<bool>(proposed);
  }

  EvolutionOptions options_;
  std::vector<Result<CandidateRef>> ahead_; ///< samples drawn for the next population
  /// All that the last proposal looked at: freeing it takes a tenth as long as making it.
  std::vector<CandidateRef> left_;
  std::unique_ptr<Strategy> fallback_ = make_random_strategy();
};

} // namespace

std::unique_ptr<Strategy> make_evolutionary_strategy(const EvolutionOptions& options) {
  return std::make_unique<EvolutionaryStrategy>(options);
}

} // namespace temper::tuner
