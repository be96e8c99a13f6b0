/// Which of a candidate's measurements under one key is its number.
#pragma once

#include "ir/support/check.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace temper::database {

/// A measurement of outcome `ok`.
struct CandidateTime {
  double median_ns = 0;
  bool confirmed = false; ///< its purpose
  int64_t samples = 0;    ///< that are kept
};

/// The index in `times` (not empty, oldest first) of the candidate's number: of its confirmations
/// the fastest that has at least half as many samples as the best sampled one, since a short one on
/// a busy day says less than the long one before it, and the fastest of short ones is luck. Without
/// confirmations the latest: the same trial is only measured again where it was disturbed.
inline size_t number_among(std::span<const CandidateTime> times) {
  TEMPER_CHECK(!times.empty(), "a candidate without measurements has no number");
  int64_t most = -1;
  for (const CandidateTime& time : times)
    if (time.confirmed && time.samples > most)
      most = time.samples;
  size_t chosen = times.size() - 1;
  if (most < 0)
    return chosen;
  for (size_t i = times.size(); i-- > 0;) {
    const CandidateTime& time = times[i];
    if (time.confirmed && 2 * time.samples >= most &&
        (!times[chosen].confirmed || 2 * times[chosen].samples < most ||
         time.median_ns < times[chosen].median_ns))
      chosen = i;
  }
  return chosen;
}

} // namespace temper::database
