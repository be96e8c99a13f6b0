/// Strategies: what to measure next, from what is known so far. Every choice comes from the Random
/// they are given, so a run repeats from its seed.
#pragma once

#include "tuner/cost/cost_model.h"
#include "tuner/space/space.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace temper::tuner {

/// A measured candidate. `seconds` is infinite when it failed.
struct Trial {
  CandidateRef candidate;
  double seconds = 0;
};

/// One stage of the funnel: how many got there, and how many stopped there for which reason.
struct FunnelStage {
  int64_t count = 0;
  std::map<std::string, int64_t> refused; ///< by reason
  std::string first_error;
};

/// proposed -> legal -> compiled -> ran -> correct -> timed. "No valid candidate" without a reason
/// is a bug, so every refusal is counted here with the first error of each stage.
struct Funnel {
  FunnelStage proposed, legal, compiled, ran, correct, timed;
  void refuse(FunnelStage& stage, const std::string& reason, const std::string& error);
};

/// What strategies see.
struct SearchState {
  const Space* space = nullptr;
  CostModel* model = nullptr;
  std::vector<Trial> trials;
  /// program_hash of all that was ever proposed: nothing is proposed twice.
  std::unordered_set<uint64_t> seen;
  Funnel* funnel = nullptr;
  /// Estimated times in seconds without measuring (cost/analytical.h), infinite for what cannot be
  /// lowered; may be empty.
  std::function<std::vector<double>(std::span<const CandidateRef>)> estimate;
  /// What a candidate that was estimated is lowered to, as a hash: those with the same one compile
  /// to the same code. 0: not known. Empty where there is no estimate.
  std::function<uint64_t(const Candidate&)> code;
  /// `code` of all that was ever given to the compiler (the caller adds them).
  std::unordered_set<uint64_t> codes;
  /// Starting points from elsewhere (tuner/transfer.h), the most promising first.
  std::vector<CandidateRef> transferred;
  double best_seconds() const;
};

class Strategy {
public:
  virtual ~Strategy() = default;
  virtual const char* name() const = 0;
  /// Up to `count` candidates not in state.seen (the caller adds them). Empty: the space is
  /// exhausted, or nothing new is found.
  virtual std::vector<CandidateRef> propose(size_t count, SearchState& state, Random& random) = 0;
};

struct EvolutionOptions {
  // MetaSchedule's defaults, but a smaller population: the model is retrained after every batch, so
  // that several short evolutions replace a long one.
  int population = 256;
  double measured_share = 0.2; ///< of the population: the best so far
  int generations = 3;
  double mutate_probability = 0.85;
  double random_share = 0.1; ///< of a batch: chosen by chance among the unmeasured
};

std::unique_ptr<Strategy> make_random_strategy();
std::unique_ptr<Strategy> make_evolutionary_strategy(const EvolutionOptions& options = {});
/// Analytical seeds, evolution, steps from the best; evolution alone where there is no estimate.
std::unique_ptr<Strategy> make_auto_strategy();
/// "auto", "evolutionary", "random"; the error names those there are.
Result<std::unique_ptr<Strategy>> make_strategy(std::string_view name);

} // namespace temper::tuner
