/// Many candidates of a space by chance, on all processors where the space allows it.
#pragma once

#include "ir/support/function_ref.h"
#include "ir/support/random.h"
#include "tuner/space/space.h"

#include <vector>

namespace temper::tuner {

/// `count` results of `draw(index, stream)`, in order. Each draw has a random stream of its own,
/// forked from `random`, so that they are the same on any number of processors. `alone`: on the
/// calling thread.
std::vector<Result<CandidateRef>>
draw_many(const Space& space, size_t count, Random& random,
          FunctionRef<Result<CandidateRef>(size_t index, Random& stream)> draw, bool alone = false);

} // namespace temper::tuner
