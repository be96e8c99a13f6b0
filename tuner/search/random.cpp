#include "tuner/search/draws.h"
#include "tuner/search/strategy.h"

namespace temper::tuner {
namespace {

class RandomStrategy final : public Strategy {
public:
  const char* name() const override { return "random"; }

  std::vector<CandidateRef> propose(size_t count, SearchState& state, Random& random) override {
    std::vector<CandidateRef> batch;
    std::unordered_set<uint64_t> chosen;
    // Small spaces run out: give up after many draws without news.
    const size_t patience = 100 + 20 * count;
    for (size_t failures = 0; batch.size() < count && failures < patience;)
      for (const Result<CandidateRef>& sampled :
           draw_many(*state.space, count - batch.size(), random,
                     [&](size_t, Random& stream) { return state.space->sample(stream); })) {
        ++state.funnel->proposed.count;
        if (!sampled) {
          state.funnel->refuse(state.funnel->legal, "illegal", sampled.error().message);
          ++failures;
          continue;
        }
        if (state.seen.contains((*sampled)->program_hash) ||
            !chosen.insert((*sampled)->program_hash).second) {
          ++failures;
          continue;
        }
        ++state.funnel->legal.count;
        batch.push_back(*sampled);
      }
    return batch;
  }
};

} // namespace

std::unique_ptr<Strategy> make_random_strategy() { return std::make_unique<RandomStrategy>(); }

} // namespace temper::tuner
