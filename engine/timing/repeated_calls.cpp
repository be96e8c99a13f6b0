#include "engine/timing/repeated_calls.h"

#include <algorithm>
#include <numeric>

namespace temper::engine {
namespace {

// Single calls of one kernel differ by less in the fastest of a few: reading the clock, and which
// of its pages were in the translation buffer.
constexpr double kShare = 1.15;
constexpr double kClockNs = 50;

constexpr size_t kFewestPairs = 3;
// A core that was lost once makes a short call look slow; against this much it does not show.
constexpr double kLongNs = 10e6;

} // namespace

bool is_faster_on_results(std::span<const double> fresh_ns, std::span<const double> repeated_ns) {
  if (fresh_ns.empty() || repeated_ns.empty())
    return false;
  const double fresh = *std::min_element(fresh_ns.begin(), fresh_ns.end());
  const double repeated = *std::min_element(repeated_ns.begin(), repeated_ns.end());
  return fresh > kShare * repeated && fresh > repeated + kClockNs;
}

bool wants_another_pair(std::span<const double> fresh_ns, std::span<const double> repeated_ns) {
  const size_t pairs = std::min(fresh_ns.size(), repeated_ns.size());
  if (pairs >= kMostPairs)
    return false;
  if (is_faster_on_results(fresh_ns, repeated_ns) || pairs == 0)
    return true;
  return pairs < kFewestPairs && std::accumulate(fresh_ns.begin(), fresh_ns.end(), 0.0) < kLongNs;
}

} // namespace temper::engine
