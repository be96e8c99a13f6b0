#include "ir/s_tir/tiling.h"

#include <algorithm>
#include <cmath>

namespace temper::s_tir {
namespace {

struct PrimePower {
  int64_t prime;
  int exponent;
};

std::vector<PrimePower> factorise(int64_t value) {
  TEMPER_CHECK(value > 0, "only positive extents have tilings");
  std::vector<PrimePower> powers;
  for (int64_t prime = 2; prime * prime <= value; prime += prime == 2 ? 1 : 2) {
    int exponent = 0;
    while (value % prime == 0) {
      value /= prime;
      ++exponent;
    }
    if (exponent > 0)
      powers.push_back({prime, exponent});
  }
  if (value > 1)
    powers.push_back({value, 1});
  return powers;
}

/// Ways to spread `exponent` over `parts` slots: binomial(exponent + parts - 1, parts - 1). As
/// double: only ratios of them matter, and they stay far below 2^53 for extents of programs.
double spreads(int exponent, int64_t parts) {
  double count = 1;
  for (int i = 1; i <= exponent; ++i)
    count = count * static_cast<double>(parts - 1 + i) / i;
  return count;
}

/// Tilings of `extent` into `parts` unbounded factors.
double count_unbounded(const std::vector<PrimePower>& powers, int64_t parts) {
  double count = 1;
  for (const PrimePower& power : powers)
    count *= spreads(power.exponent, parts);
  return count;
}

std::vector<int64_t> divisors_of(const std::vector<PrimePower>& powers) {
  std::vector<int64_t> result = {1};
  for (const PrimePower& power : powers) {
    const size_t count = result.size();
    int64_t factor = 1;
    for (int i = 0; i < power.exponent; ++i) {
      factor *= power.prime;
      for (size_t k = 0; k < count; ++k)
        result.push_back(result[k] * factor);
    }
  }
  std::sort(result.begin(), result.end());
  return result;
}

/// The powers of extent / divisor.
std::vector<PrimePower> without(std::vector<PrimePower> powers, int64_t divisor) {
  for (PrimePower& power : powers)
    while (divisor % power.prime == 0) {
      divisor /= power.prime;
      --power.exponent;
    }
  return powers;
}

/// Uniform among tilings into factors[0 .. parts): each prime's exponent is spread independently, a
/// uniform composition being a uniform choice of bars among exponent + parts - 1 positions.
void sample_unbounded(const std::vector<PrimePower>& powers, std::span<int64_t> factors,
                      Random& random) {
  std::fill(factors.begin(), factors.end(), 1);
  for (const PrimePower& power : powers) {
    auto left = static_cast<int64_t>(power.exponent);
    auto slots = static_cast<int64_t>(factors.size());
    size_t slot = 0;
    // Walk the positions; at each one, a star with probability left / (left + slots - 1).
    while (left > 0) {
      if (random.below(left + slots - 1) < left) {
        factors[slot] *= power.prime;
        --left;
      } else {
        ++slot;
        --slots;
      }
    }
  }
}

} // namespace

std::vector<int64_t> divisors(int64_t value) { return divisors_of(factorise(value)); }

int64_t count_tilings(int64_t extent, int64_t parts, int64_t max_innermost_factor) {
  if (parts == 1)
    return 1;
  const auto powers = factorise(extent);
  double count = 0;
  for (const int64_t innermost : divisors_of(powers))
    if (innermost <= max_innermost_factor)
      count += count_unbounded(without(powers, innermost), parts - 1);
  constexpr double kSaturated = 9e18;
  return static_cast<int64_t>(std::min(count, kSaturated));
}

std::vector<int64_t> sample_tiling(int64_t extent, int64_t parts, int64_t max_innermost_factor,
                                   Random& random) {
  TEMPER_CHECK(parts >= 1 && max_innermost_factor >= 1, "a tiling has at least one factor");
  if (parts == 1)
    return {extent};
  const auto powers = factorise(extent);
  std::vector<int64_t> candidates;
  std::vector<double> weights;
  for (const int64_t innermost : divisors_of(powers)) {
    if (innermost > max_innermost_factor)
      break;
    candidates.push_back(innermost);
    weights.push_back(count_unbounded(without(powers, innermost), parts - 1));
  }
  const int64_t innermost = candidates[random.weighted(weights)];
  std::vector<int64_t> factors(static_cast<size_t>(parts), innermost);
  sample_unbounded(without(powers, innermost), std::span(factors).first(factors.size() - 1),
                   random);
  return factors;
}

std::vector<std::vector<int64_t>> all_tilings(int64_t extent, int64_t parts,
                                              int64_t max_innermost_factor, size_t limit) {
  if (parts == 1)
    return {{extent}};
  std::vector<std::vector<int64_t>> result;
  std::vector<int64_t> prefix;
  auto extend = [&](auto&& self, int64_t rest) -> void {
    if (result.size() >= limit)
      return;
    if (static_cast<int64_t>(prefix.size()) == parts - 1) {
      if (rest <= max_innermost_factor) {
        result.push_back(prefix);
        result.back().push_back(rest);
      }
      return;
    }
    for (const int64_t factor : divisors(rest)) {
      prefix.push_back(factor);
      self(self, rest / factor);
      prefix.pop_back();
    }
  };
  extend(extend, extent);
  return result;
}

std::vector<int64_t> nearest_tiling(int64_t extent, std::span<const int64_t> wanted,
                                    int64_t max_innermost_factor) {
  std::vector<int64_t> factors(wanted.begin(), wanted.end());
  int64_t rest = extent;
  for (size_t i = factors.size(); i-- > 1;) {
    const double target = std::log2(static_cast<double>(std::max<int64_t>(wanted[i], 1)));
    int64_t best = 1;
    double best_distance = std::abs(target);
    for (const int64_t factor : divisors(rest)) {
      if (i + 1 == factors.size() && factor > max_innermost_factor)
        break;
      const double distance = std::abs(std::log2(static_cast<double>(factor)) - target);
      if (distance < best_distance) {
        best = factor;
        best_distance = distance;
      }
    }
    factors[i] = best;
    rest /= best;
  }
  if (!factors.empty())
    factors[0] = rest;
  return factors;
}

} // namespace temper::s_tir
