#include "engine/timing/cold.h"

#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace temper::engine {

#if defined(__x86_64__)

namespace {

constexpr size_t kLine = 64;

// clflushopt lets flushes overlap; clflush is serialised and some five times slower.
__attribute__((target("clflushopt"))) void flush_fast(const std::byte* begin,
                                                      const std::byte* end) {
  for (const std::byte* line = begin; line < end; line += kLine)
    _mm_clflushopt(const_cast<std::byte*>(line));
}

void flush_slow(const std::byte* begin, const std::byte* end) {
  for (const std::byte* line = begin; line < end; line += kLine)
    _mm_clflush(line);
}

bool has_clflushopt() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & (1U << 23)) != 0;
}

} // namespace

void flush_from_caches(std::span<const std::byte> bytes) {
  static const bool fast = has_clflushopt();
  (fast ? flush_fast : flush_slow)(bytes.data(), bytes.data() + bytes.size());
  _mm_mfence();
}

#else

void flush_from_caches(std::span<const std::byte>) {
  // Larger than any last-level cache share of a core that we know of.
  static std::vector<std::byte> stream(size_t{64} << 20);
  for (size_t i = 0; i < stream.size(); i += 64)
    stream[i] = static_cast<std::byte>(static_cast<int>(stream[i]) + 1);
}

#endif

} // namespace temper::engine
