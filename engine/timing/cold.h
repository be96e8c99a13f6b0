/// Timing with cold data: every cache line of every argument is flushed before each call, and each
/// call is timed by itself. What the kernel allocates for itself stays as it is. A different
/// quantity from hot.h, never compared with it.
#pragma once

#include "engine/timing/clock.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace temper::engine {

/// Evicts these bytes from all cache levels. On processors without a flush instruction it streams
/// through a buffer of its own instead.
void flush_from_caches(std::span<const std::byte> bytes);

/// Time of one call, after flushing `arguments`; the flush is not in it.
template <typename Call>
double time_cold(const Call& call, std::span<const std::span<const std::byte>> arguments,
                 double overhead_ns) {
  for (std::span<const std::byte> bytes : arguments)
    flush_from_caches(bytes);
  const double begin = now_ns();
  call();
  return elapsed_ns(begin, now_ns(), overhead_ns);
}

} // namespace temper::engine
