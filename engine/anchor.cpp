#include "engine/anchor.h"

#include "engine/timing/clock.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

namespace temper::engine {
namespace {

// Eight independent chains, so that the time is that of the arithmetic units and not of one
// latency, but too few registers' worth for the compiler to do anything clever.
double arithmetic(int64_t steps) {
  double x[8] = {1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7};
  for (int64_t i = 0; i < steps; ++i)
    for (double& value : x)
      value = value * 0.999999 + 1e-7;
  double sum = 0;
  for (double value : x)
    sum += value;
  return sum;
}

volatile double sink_; // keeps the work from being optimised away

double timed_arithmetic(int64_t steps) {
  const double begin = now_ns();
  sink_ = arithmetic(steps);
  return now_ns() - begin;
}

constexpr int64_t kAnchorSteps = 60'000;

} // namespace

double time_anchor_compute() {
  double best = std::numeric_limits<double>::infinity();
  const double begin = now_ns();
  constexpr double kWindowNs = 8e6; // the clock jumps from one millisecond to the next
  for (int i = 0; i < 60 && (i < 20 || now_ns() - begin < kWindowNs); ++i)
    best = std::min(best, timed_arithmetic(kAnchorSteps));
  return best;
}

double time_anchor_memory() {
  constexpr size_t kWords = (size_t{8} << 20) / sizeof(uint64_t);
  const auto buffer = std::make_unique<uint64_t[]>(kWords);
  std::fill_n(buffer.get(), kWords, 1);
  double best = std::numeric_limits<double>::infinity();
  const double first = now_ns();
  constexpr double kWindowNs = 5e6;
  for (int i = 0; i < 25 && (i < 8 || now_ns() - first < kWindowNs); ++i) {
    const double begin = now_ns();
    uint64_t sum = 0;
    for (size_t word = 0; word < kWords; ++word)
      sum += buffer[word];
    sink_ = static_cast<double>(sum);
    best = std::min(best, now_ns() - begin);
  }
  return best;
}

double probe_side_by_side(int threads) {
  if (threads < 2)
    return 0;
  constexpr int64_t kSteps = 120'000;
  double alone = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 3; ++i)
    alone = std::min(alone, timed_arithmetic(kSteps));
  double together = std::numeric_limits<double>::infinity();
  for (int attempt = 0; attempt < 2; ++attempt) {
    std::atomic<int> waiting{threads};
    std::vector<double> ends(static_cast<size_t>(threads));
    std::vector<double> begins(static_cast<size_t>(threads));
    const auto body = [&](size_t index) {
      waiting.fetch_sub(1);
      while (waiting.load() > 0) {
      }
      begins[index] = now_ns();
      volatile double kept = arithmetic(kSteps);
      (void)kept;
      ends[index] = now_ns();
    };
    std::vector<std::thread> others;
    for (size_t i = 1; i < ends.size(); ++i)
      others.emplace_back(body, i);
    body(0);
    for (std::thread& other : others)
      other.join();
    together = std::min(together, *std::max_element(ends.begin(), ends.end()) -
                                      *std::min_element(begins.begin(), begins.end()));
  }
  return std::min(1.0, alone / together);
}

NoisePairs measure_noise(int pairs) {
  NoisePairs noise;
  timed_arithmetic(kAnchorSteps);
  for (int i = 0; i < pairs; ++i) {
    // Alternating who goes first, so that a drift does not favour one side.
    const double first = timed_arithmetic(kAnchorSteps);
    const double second = timed_arithmetic(kAnchorSteps);
    noise.a_ns.push_back(i % 2 == 0 ? first : second);
    noise.b_ns.push_back(i % 2 == 0 ? second : first);
  }
  return noise;
}

} // namespace temper::engine
