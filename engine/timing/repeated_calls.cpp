#include "engine/timing/repeated_calls.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace temper::engine {
namespace {

// Single calls of one kernel differ by less in the fastest of a few: reading the clock, and which
// of its pages were in the translation buffer.
constexpr double kShare = 1.15;
constexpr double kClockNs = 50;

constexpr size_t kFewestPairs = 3;
// A core that was lost once makes a short call look slow; against this much it does not show.
constexpr double kLongNs = 10e6;

constexpr size_t kDisturbed = 2;

bool is_more(double fresh_ns, double repeated_ns) {
  return fresh_ns > kShare * repeated_ns && fresh_ns > repeated_ns + kClockNs;
}

} // namespace

bool may_be_faster_on_results(std::span<const double> fresh_ns,
                              std::span<const double> repeated_ns) {
  return !fresh_ns.empty() && !repeated_ns.empty() &&
         is_more(*std::min_element(fresh_ns.begin(), fresh_ns.end()),
                 *std::min_element(repeated_ns.begin(), repeated_ns.end()));
}

bool is_faster_on_results(std::span<const double> fresh_ns, std::span<const double> repeated_ns) {
  if (std::min(fresh_ns.size(), repeated_ns.size()) < kMostPairs)
    return false;
  std::vector<double> repeated(repeated_ns.begin(), repeated_ns.end());
  std::sort(repeated.begin(), repeated.end());
  return is_more(*std::min_element(fresh_ns.begin(), fresh_ns.end()),
                 repeated[repeated.size() - 1 - kDisturbed]);
}

bool wants_another_pair(std::span<const double> fresh_ns, std::span<const double> repeated_ns) {
  const size_t pairs = std::min(fresh_ns.size(), repeated_ns.size());
  if (pairs >= kMostPairs)
    return false;
  if (pairs == 0 || may_be_faster_on_results(fresh_ns, repeated_ns))
    return true;
  return pairs < kFewestPairs && std::accumulate(fresh_ns.begin(), fresh_ns.end(), 0.0) < kLongNs;
}

} // namespace temper::engine
