/// Timing with warm caches: calls follow each other on the same data, in batches long enough for
/// the clock. The kernel's own code, tables and packed panels are warm too.
#pragma once

#include "engine/timing/clock.h"

#include <cstdint>

namespace temper::engine {

/// Time per call of `calls` calls in a row. `call` returns false to stop (its error is kept by the
/// caller); then the result means nothing.
template <typename Call> double time_hot(const Call& call, int64_t calls, double overhead_ns) {
  const double begin = now_ns();
  for (int64_t i = 0; i < calls; ++i)
    if (!call())
      break;
  return elapsed_ns(begin, now_ns(), overhead_ns) / static_cast<double>(calls);
}

} // namespace temper::engine
