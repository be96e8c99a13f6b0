/// What several sittings of a comparison say together. A sitting is some rounds of the contenders
/// in turns, each in a process of its own; the next sitting starts them anew. Pure functions on
/// numbers.
///
/// Why: where a process got its pages decides its time by up to 1 % for kernels beyond the second
/// level of cache, and rounds that follow each other share whatever disturbs them. Rounds of one
/// sitting are therefore no independent samples of a ratio, however many: an interval from 400 of
/// them called 5 of 12 equal kernels different. Medians of sittings are independent.
#pragma once

#include "ir/support/statistics.h"

#include <cstddef>
#include <span>
#include <vector>

namespace temper::engine {

/// Who has the turn `turn` of round `round`, of `count` contenders. Over `count` rounds (twice that
/// when it is odd) everyone has every place as often, and follows every other one as often: what
/// one leaves behind (its heat, which slows the clock, and its share of the caches) must not always
/// fall on the same neighbour. Williams, "Experimental designs balanced for the estimation of
/// residual effects of treatments" (1949).
size_t contender_at(size_t count, size_t round, size_t turn);

/// Fewer sittings say too little of how much sittings differ.
inline constexpr int kFewestSittings = 6;

/// Student's interval from two samples is as wide as 15 of their standard deviations, so two
/// sittings say nothing of how much sittings differ.
inline constexpr int kFewestForInterval = 3;

struct PooledRatio {
  double ratio = 1;        ///< median over the sittings
  Interval interval{1, 1}; ///< NaN of fewer than kFewestForInterval sittings
};

/// The ratio and its 95 % interval, from the median ratio of each sitting, above zero: Student's of
/// the logarithms, so it is above zero, too. At 97 %, because sittings end when the interval is
/// narrow, which it sometimes is by luck. Needs one.
PooledRatio pool_sittings(std::span<const double> medians);

/// Which contenders cannot be the fastest any more. `medians[i]`: the median ratio of contender i
/// to the first in each sitting so far; one that has fewer than others was left out, or failed, and
/// is not judged. Sittings differ by kSittingSpread without any reason, so those that lie together
/// as few sittings alone do are not told apart.
std::vector<bool> cannot_win(std::span<const std::vector<double>> medians);

/// Seconds of rounds for the next sitting of a race, after `done` of its `fewest` sittings (1 or
/// more of each, `done` below `fewest`) took `spent` seconds of `most`; `starting`: what the latest
/// took besides its rounds, to start the contenders. All of it is to fit into `most`, but a third
/// of an equal share is left for rounds, and more than that share is of no use.
double race_share(double most, size_t fewest, size_t done, double spent, double starting);

/// Standard deviation of the median ratio of one short sitting (a dozen rounds) of equal kernels,
/// where samples of 2 ms spread by 5 %.
inline constexpr double kSittingSpread = 0.015;

/// The q-quantile of Student's distribution, 0.5 <= q < 1; `freedom` of at least 1. To 1 % and
/// better from 4 degrees of freedom on.
double student_quantile(double q, double freedom);

} // namespace temper::engine
