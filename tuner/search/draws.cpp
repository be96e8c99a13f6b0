#include "tuner/search/draws.h"

#include "ir/support/parallel.h"

#include <limits>

namespace temper::tuner {

std::vector<Result<CandidateRef>>
draw_many(const Space& space, size_t count, Random& random,
          FunctionRef<Result<CandidateRef>(size_t index, Random& stream)> draw, bool alone) {
  constexpr size_t kGrain = 8; // a draw takes some 0.2 ms, starting a thread a tenth of that
  std::vector<Random> streams;
  for (size_t i = 0; i < count; ++i)
    streams.push_back(random.fork());
  std::vector<Result<CandidateRef>> drawn(count, Error(ErrorCode::kIllegal, "not drawn yet"));
  const bool together = space.is_shared() && !alone;
  parallel_for(count, together ? kGrain : std::numeric_limits<size_t>::max(),
               [&](size_t i) { drawn[i] = draw(i, streams[i]); });
  return drawn;
}

} // namespace temper::tuner
