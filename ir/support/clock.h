/// The wall clock, for what is kept: records, pages, files. Header only.
#pragma once

#include <chrono>
#include <cstdint>

namespace temper {

/// Nanoseconds since 1970-01-01 00:00 UTC.
inline int64_t unix_time_ns(
    std::chrono::sys_time<std::chrono::nanoseconds> when = std::chrono::system_clock::now()) {
  return when.time_since_epoch().count();
}

} // namespace temper
