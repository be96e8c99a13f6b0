/// How fast the clock of a core runs: turbo, a thermal limit or a host that lends the core to
/// others show in it and in no name of a processor.
#pragma once

#include "engine/timing/clock.h"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace temper::engine {

/// Of the core that calls it, now, in GHz; 0 where it cannot be told. Takes some 60 us: the fastest
/// of five chains of multiplications, each of which waits for the one before. That of 32 bits takes
/// three cycles on all x86-64 processors since Nehalem and Zen, and none leaves one out.
inline double clock_ghz() {
#if defined(__x86_64__)
  constexpr int64_t kRounds = 1000;
  constexpr double kCycles = 12.0 * 3 * kRounds;
  double fastest = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 5; ++i) {
    int64_t rounds = kRounds;
    uint32_t value = 3;
    const double begin = now_ns();
    __asm__ volatile("1:\n"
                     "imul %0, %0\n imul %0, %0\n imul %0, %0\n imul %0, %0\n"
                     "imul %0, %0\n imul %0, %0\n imul %0, %0\n imul %0, %0\n"
                     "imul %0, %0\n imul %0, %0\n imul %0, %0\n imul %0, %0\n"
                     "dec %1\n jnz 1b"
                     : "+r"(value), "+r"(rounds)
                     :
                     : "cc");
    fastest = std::min(fastest, now_ns() - begin);
  }
  return kCycles / fastest;
#else
  return 0;
#endif
}

} // namespace temper::engine
