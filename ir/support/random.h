/// The random stream of a run. One 64-bit word of state (splitmix64), so that a run stores it in
/// the database and `resume` continues with the same stream; `fork` gives an independent child.
#pragma once

#include "ir/support/check.h"
#include "ir/support/hash.h"

#include <cstdint>
#include <limits>
#include <span>

namespace temper {

class Random {
public:
  using result_type = uint64_t; ///< satisfies std::uniform_random_bit_generator

  explicit Random(uint64_t seed) : state_(seed) {}

  static constexpr uint64_t min() { return 0; }
  static constexpr uint64_t max() { return std::numeric_limits<uint64_t>::max(); }
  uint64_t operator()() {
    state_ += 0x9e3779b97f4a7c15ULL;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  /// Uniform in [0, bound); bound > 0. Same result on every platform (unlike std::uniform_*).
  int64_t below(int64_t bound) {
    TEMPER_CHECK(bound > 0, "Random::below needs a positive bound");
    return static_cast<int64_t>(
        (static_cast<unsigned __int128>((*this)()) * static_cast<unsigned __int128>(bound)) >> 64);
  }
  /// Uniform in [low, high], both included.
  int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }
  /// Uniform in [0, 1).
  double uniform() { return static_cast<double>((*this)() >> 11) * 0x1.0p-53; }
  /// Standard normal (Box-Muller, one value per call).
  double normal();
  /// Index drawn with the given non-negative weights; uniform when all are zero.
  size_t weighted(std::span<const double> weights);
  /// An independent stream; advances this one by a step.
  Random fork() { return Random(hash_combine((*this)(), 0x666f726bULL)); }

  uint64_t state() const { return state_; }
  static Random from_state(uint64_t state) { return Random(state); }

private:
  uint64_t state_;
};

} // namespace temper
