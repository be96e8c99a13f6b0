/// The clock of all timing: monotonic nanoseconds from the vDSO (about 30 ns a reading), as a
/// double, exact to a nanosecond for a hundred days of uptime.
#pragma once

#include <ctime>

namespace temper::engine {

inline double now_ns() {
  timespec time;
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

/// What lies between a begin and an end of the clock beyond its own reading. Never 0: the clock
/// shows whole nanoseconds, and what took less than one still took time, by which others are
/// divided.
inline double elapsed_ns(double begin, double end, double overhead_ns) {
  constexpr double kStep = 1;
  const double taken = end - begin - overhead_ns;
  return taken > kStep ? taken : kStep;
}

/// What two readings in a row differ by: the shortest of many. Subtracted from timed calls.
inline double clock_overhead_ns() {
  double shortest = 1e9;
  for (int i = 0; i < 64; ++i) {
    const double begin = now_ns();
    const double taken = now_ns() - begin;
    shortest = taken < shortest ? taken : shortest;
  }
  return shortest;
}

} // namespace temper::engine
