/// Whether a kernel does less where its outputs hold the right results already. Timed calls follow
/// each other on the same outputs, so one that looks there first and returns early is timed at what
/// no user of it gets.
///
/// Calls on outputs that hold no result (fresh) are timed in turns with calls on outputs that do
/// (repeated). Before both, the same bytes were read and written in the same order, so that caches
/// hold the same; only the values differ. Pure functions on numbers: no clock here.
#pragma once

#include <span>

namespace temper::engine {

inline constexpr int kMostPairs = 11;

/// True when the fastest fresh call is slower than the fastest repeated one by more than the clock
/// explains: reason to look closer.
bool may_be_faster_on_results(std::span<const double> fresh_ns,
                              std::span<const double> repeated_ns);
/// True when kMostPairs pairs were timed and even the fastest fresh call is slower than all
/// repeated ones but two, which may have been disturbed. Of one kernel on whatever noisy machine
/// that happens once in ten thousand times.
bool is_faster_on_results(std::span<const double> fresh_ns, std::span<const double> repeated_ns);

/// Whether another pair is to be timed: a kernel that looks well is let go after three, or fewer
/// when they are long; one that does not is timed kMostPairs times.
bool wants_another_pair(std::span<const double> fresh_ns, std::span<const double> repeated_ns);

} // namespace temper::engine
