#include "engine/timing/warm_up.h"

#include <algorithm>
#include <array>
#include <span>

#include <unistd.h>

namespace temper::engine {
namespace {

// What is left of the time that fetching all data from memory adds to a call, by the calls before
// it; as measured (warm_up.h), rounded up.
constexpr std::array kLeftInOwnCache = {1.0, 0.25, 0.0};
constexpr std::array kLeftBeyond = {1.0, 0.95, 0.35, 0.08, 0.02, 0.0};

// That time: 24 us a MiB where it is read, 38 where half of it is written.
constexpr double kFetchNsPerByte = 0.03;

constexpr double kTolerated = 0.01;

constexpr double kMostNs = 20e6;
constexpr int64_t kFewestWhereItMatters = 2;

} // namespace

int64_t calls_until_settled(int64_t bytes, int64_t own_cache_bytes, double call_ns) {
  const bool fits = bytes <= own_cache_bytes;
  const std::span<const double> left =
      fits ? std::span<const double>(kLeftInOwnCache) : std::span<const double>(kLeftBeyond);
  const double fetch_ns = kFetchNsPerByte * static_cast<double>(bytes);
  const auto settled = std::find_if(left.begin() + 1, left.end(), [&](double share) {
    return share * fetch_ns <= kTolerated * call_ns;
  });
  const int64_t calls = std::min<int64_t>(settled - left.begin(), std::ssize(left) - 1);
  const double affordable = kMostNs / std::max(call_ns, 1.0);
  return affordable >= static_cast<double>(calls)
             ? calls
             : std::min(calls, std::max(static_cast<int64_t>(affordable), kFewestWhereItMatters));
}

int64_t warm_up_calls(int64_t calls, int64_t calls_until_settled) {
  return std::max(calls_until_settled, calls / 2);
}

int64_t own_cache_bytes() {
#ifdef _SC_LEVEL2_CACHE_SIZE
  return std::max<int64_t>(::sysconf(_SC_LEVEL2_CACHE_SIZE), 0);
#else
  return 0;
#endif
}

} // namespace temper::engine
