#include "tuner/search/draws_ahead.h"
#include "tuner/search/strategy.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace temper::tuner {
namespace {

/// The default: programs of other shapes, analytical seeds, then evolution guided by the cost model
/// together with the estimate, and steps of one decision from the best.
///
///  - First batches: what was the best for other shapes, up to half of a batch; then many samples,
///    the best by estimate, not more than a few of one sketch. Slow candidates cost the most to
///    measure and teach the least.
///  - Later: the model's favourites are ordered by model and estimate together; the model's word
///    counts more as it has seen more. A part of each batch are the neighbours of the best
///    candidates (coordinate descent), which finds the last percents that the model cannot see.
class AutoStrategy final : public Strategy, public DrawsAhead {
public:
  const char* name() const override { return "auto"; }

  std::vector<CandidateRef> propose(size_t count, SearchState& state, Random& random) override {
    if (!state.estimate)
      return evolution_->propose(count, state, random);
    const auto valid = std::count_if(state.trials.begin(), state.trials.end(),
                                     [](const Trial& t) { return std::isfinite(t.seconds); });
    if (!state.model->is_trained() || static_cast<size_t>(valid) < count)
      return seeds(count, state, random);

    Distinct distinct(state);
    std::vector<CandidateRef> batch;
    for (const CandidateRef& neighbour : ranked(neighbours(state), state)) {
      if (batch.size() >= count / 4)
        break;
      if (distinct.add(*neighbour))
        batch.push_back(neighbour);
    }
    std::vector<CandidateRef> evolved = evolution_->propose(kPool * count, state, random);
    // What evolution chose by chance stands at its end: the model must see what it believes bad.
    std::vector<CandidateRef> by_chance;
    for (size_t i = 0; i < std::max<size_t>(1, count / 16) && !evolved.empty(); ++i) {
      by_chance.push_back(evolved.back());
      evolved.pop_back();
    }
    (void)state.estimate(by_chance); // for their code
    std::map<uint64_t, size_t> of_sketch;
    const size_t most = std::max<size_t>(2, count / 2); // of one sketch: the model may be wrong
    for (const CandidateRef& candidate : ranked(std::move(evolved), state)) {
      if (batch.size() + by_chance.size() >= count)
        break;
      size_t& so_far = of_sketch[sketch_of(*candidate)];
      if (so_far < most && distinct.add(*candidate)) {
        ++so_far;
        batch.push_back(candidate);
      }
    }
    // First what may take long to time: others are compiled meanwhile.
    std::erase_if(by_chance, [&](const CandidateRef& one) { return !distinct.add(*one); });
    batch.insert(batch.begin(), by_chance.begin(), by_chance.end());
    return batch.empty() ? seeds(count, state, random) : batch;
  }

  void draw_ahead(const Space& space, Random stream, bool alone) override {
    if (auto* evolution = dynamic_cast<DrawsAhead*>(evolution_.get()))
      evolution->draw_ahead(space, stream, alone);
  }

private:
  static constexpr size_t kPool = 4;     ///< candidates looked at closely for one that is measured
  static constexpr size_t kSamples = 16; ///< samples for one seed
  static constexpr size_t kNeighbours = 32; ///< of each of the best two
  static constexpr size_t kSeedsOfSketch = 2;
  static constexpr double kTrust = 64; ///< trials after which model and estimate count the same

  /// Who is in a batch: each program once, and each code, the compiled ones of the run counted.
  class Distinct {
  public:
    explicit Distinct(SearchState& state) : state_(state) {}
    /// False: there is one like it. What has the code of another one is not proposed again.
    bool add(const Candidate& candidate) {
      if (!programs_.insert(candidate.program_hash).second)
        return false;
      const uint64_t code = state_.code ? state_.code(candidate) : 0;
      if (code == 0 || (!state_.codes.contains(code) && codes_.insert(code).second))
        return true;
      state_.seen.insert(candidate.program_hash);
      return false;
    }

  private:
    SearchState& state_;
    std::unordered_set<uint64_t> programs_;
    std::unordered_set<uint64_t> codes_;
  };

  static uint64_t sketch_of(const Candidate& candidate) {
    return candidate.trace.without_postproc().without_decisions().hash();
  }

  std::vector<CandidateRef> seeds(size_t count, SearchState& state, Random& random) const {
    // What has the code of others is not drawn again; where it is all that is found, so often,
    // there is nothing else.
    constexpr int kDraws = 4;
    std::vector<CandidateRef> batch;
    for (int draw = 0; draw < kDraws && batch.empty(); ++draw) {
      std::vector<CandidateRef> samples = random_->propose(kSamples * count, state, random);
      const bool exhausted = samples.empty();
      batch = seeds_among(std::move(samples), count, state);
      if (exhausted)
        break;
    }
    return batch;
  }

  std::vector<CandidateRef> seeds_among(std::vector<CandidateRef> samples, size_t count,
                                        SearchState& state) const {
    (void)state.estimate(state.transferred); // for their code
    const std::vector<double> times = state.estimate(samples);
    std::vector<std::pair<double, CandidateRef>> estimated;
    for (size_t i = 0; i < samples.size(); ++i)
      estimated.emplace_back(times[i], std::move(samples[i]));
    std::stable_sort(estimated.begin(), estimated.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    Distinct distinct(state);
    std::vector<CandidateRef> batch;
    for (const CandidateRef& candidate : state.transferred)
      if (batch.size() < (count + 1) / 2 && !state.seen.contains(candidate->program_hash) &&
          distinct.add(*candidate)) {
        batch.push_back(candidate);
        ++state.funnel->proposed.count;
        ++state.funnel->legal.count;
      }
    std::erase_if(estimated, [&](const auto& entry) { return !distinct.add(*entry.second); });
    add_each_choice(estimated, batch, batch.size() + (count - batch.size()) / 2);
    std::map<uint64_t, size_t> of_sketch;
    // Two of each sketch first; when there are too few sketches, the next by estimate.
    for (const bool limited : {true, false})
      for (auto& [time, candidate] : estimated)
        if (candidate && batch.size() < count &&
            (!limited || of_sketch[sketch_of(*candidate)]++ < kSeedsOfSketch))
          batch.push_back(std::exchange(candidate, nullptr));
    return batch;
  }

  /// "block_M", 2 of each knob that a tile program's author left open.
  static std::vector<std::pair<std::string, int64_t>> knobs_of(const Candidate& candidate) {
    std::vector<std::pair<std::string, int64_t>> knobs;
    for (size_t i = 0; i < candidate.trace.size(); ++i) {
      const s_tir::Instruction& one = candidate.trace[i];
      if (one.primitive->name != "SampleKnob")
        continue;
      const std::string& name = *one.attrs[0].as_string();
      if (name.find('.') == std::string::npos) // "gemm.variant" is an operator's
        knobs.emplace_back(name, *one.decision.as_int());
    }
    return knobs;
  }

  /// Up to `most` in `batch`: the best by estimate, and for each other choice of a program's own
  /// knobs the best that has it. What the estimate does not see would keep the better choices out
  /// of the first batches, and a model cannot tell of a choice that no candidate had. Those far
  /// slower, again by estimate, are not worth it. Takes them out of `estimated`, which has the
  /// fastest first.
  static void add_each_choice(std::vector<std::pair<double, CandidateRef>>& estimated,
                              std::vector<CandidateRef>& batch, size_t most) {
    constexpr double kFarSlower = 2;
    std::vector<std::pair<CandidateRef*, std::vector<std::pair<std::string, int64_t>>>> open;
    for (auto& [time, candidate] : estimated)
      if (time <= kFarSlower * estimated.front().first)
        open.emplace_back(&candidate, knobs_of(*candidate));
    if (batch.size() >= most || open.empty() || open.front().second.empty())
      return;
    std::set<std::pair<std::string, int64_t>> covered;
    const auto take = [&](auto& entry) {
      covered.insert(entry.second.begin(), entry.second.end());
      batch.push_back(std::exchange(*entry.first, nullptr));
    };
    take(open.front());
    const size_t knobs = open.front().second.size(); // all programs have the same
    // In turns, or a knob of many choices would take the place of the others'.
    for (size_t k = 0, without = 0; without < knobs && batch.size() < most; k = (k + 1) % knobs) {
      const auto other = std::find_if(open.begin(), open.end(), [&](const auto& entry) {
        return *entry.first && !covered.contains(entry.second[k]);
      });
      without = other == open.end() ? without + 1 : 0;
      if (other != open.end())
        take(*other);
    }
  }

  /// One decision away from the best two, not yet proposed.
  std::vector<CandidateRef> neighbours(SearchState& state) {
    std::vector<const Trial*> best;
    for (const Trial& trial : state.trials)
      if (std::isfinite(trial.seconds))
        best.push_back(&trial);
    std::stable_sort(best.begin(), best.end(),
                     [](const Trial* a, const Trial* b) { return a->seconds < b->seconds; });
    std::map<uint64_t, std::vector<CandidateRef>> known = std::exchange(neighbours_, {});
    std::vector<CandidateRef> result;
    for (size_t i = 0; i < std::min<size_t>(2, best.size()); ++i) {
      const Candidate& candidate = *best[i]->candidate;
      const auto [of_this, is_new] =
          neighbours_.try_emplace(candidate.program_hash, std::move(known[candidate.program_hash]));
      if (of_this->second.empty()) {
        of_this->second = state.space->neighbours(candidate, kNeighbours);
        state.funnel->proposed.count += static_cast<int64_t>(of_this->second.size());
        state.funnel->legal.count += static_cast<int64_t>(of_this->second.size());
      }
      for (const CandidateRef& near : of_this->second)
        if (!state.seen.contains(near->program_hash))
          result.push_back(near);
    }
    return result;
  }

  /// The most promising first: the model's score and the estimate's, each a share of the best.
  static std::vector<CandidateRef> ranked(std::vector<CandidateRef> candidates,
                                          const SearchState& state) {
    if (candidates.empty())
      return candidates;
    std::vector<const FeatureMatrix*> features;
    for (const CandidateRef& candidate : candidates)
      features.push_back(&candidate->features);
    const std::vector<double> times = state.estimate(candidates);
    const double fastest = *std::min_element(times.begin(), times.end());
    const std::vector<double> scores = state.model->predict(features);
    const auto seen = static_cast<double>(state.trials.size());
    const double trust = seen / (seen + kTrust);
    std::vector<std::pair<double, size_t>> order;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const double share = std::isfinite(times[i]) && times[i] > 0 ? fastest / times[i] : 0;
      order.emplace_back(-(trust * scores[i] + (1 - trust) * share), i);
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<CandidateRef> result;
    for (const auto& [score, index] : order)
      result.push_back(std::move(candidates[index]));
    return result;
  }

  /// Of the best two, by program_hash: most batches find no better ones.
  std::map<uint64_t, std::vector<CandidateRef>> neighbours_;
  std::unique_ptr<Strategy> random_ = make_random_strategy();
  std::unique_ptr<Strategy> evolution_ =
      make_evolutionary_strategy({.population = 128, .generations = 2});
};

} // namespace

std::unique_ptr<Strategy> make_auto_strategy() { return std::make_unique<AutoStrategy>(); }

} // namespace temper::tuner
