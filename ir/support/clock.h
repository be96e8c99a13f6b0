/// The wall clock, for what is kept: records, pages, files; and what a thread, or this process, has
/// worked. Header only.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

namespace temper {

/// Nanoseconds since 1970-01-01 00:00 UTC.
inline int64_t unix_time_ns(
    std::chrono::sys_time<std::chrono::nanoseconds> when = std::chrono::system_clock::now()) {
  return when.time_since_epoch().count();
}

/// Processor time of the calling thread, from some start.
inline double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Of all threads of this process.
inline double process_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

} // namespace temper
