/// What two sets of samples that were taken apart from each other say of a ratio, and how many such
/// answers stand when many are given at once. For samples that were taken in turns there are better
/// intervals (statistics.h, engine/timing/sittings.h). Pure functions on numbers.
#pragma once

#include "ir/support/statistics.h"

#include <cstdint>
#include <span>
#include <vector>

namespace temper {

/// Draws of log(median(a) / median(b)): in each, both sides are sampled anew with replacement, each
/// by itself (Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7,
/// 1979). Empty when a side is empty or not above zero. Sides of more than kMostResampled samples
/// are thinned evenly after sorting, which leaves their distribution what it is.
std::vector<double> log_ratio_draws(std::span<const double> a, std::span<const double> b,
                                    uint64_t seed, int draws = 1000);
inline constexpr size_t kMostResampled = 100;

/// Percentile interval of exp of such draws; NaN when there are none.
Interval ratio_interval(std::span<const double> draws, double level = 0.95);

/// Two-sided p-value of the rank sum test, that neither side tends to be larger (Wilcoxon,
/// Biometrics Bulletin 1, 1945; Mann and Whitney, Annals of Mathematical Statistics 18, 1947).
/// Exact for few samples without ties, else by the normal distribution with corrections for ties
/// and continuity. 1 when a side is empty.
double rank_sum_p_value(std::span<const double> a, std::span<const double> b);

/// The p-values adjusted for being many, in their order: to call those at most `alpha` different is
/// wrong about any of them with a chance of `alpha` at the most, however they depend on each other
/// (Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
/// Statistics 6, 1979).
std::vector<double> holm_adjusted(std::span<const double> p_values);

/// NaN when empty; values above zero.
double geometric_mean(std::span<const double> values);

} // namespace temper
