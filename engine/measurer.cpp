#include "engine/measurer.h"

#include "ir/support/check.h"

#include <algorithm>
#include <cmath>

namespace temper::engine {

std::vector<InputSet> default_input_sets(uint64_t seed,
                                         const std::map<std::string, std::string>& distributions) {
  InputSet random{seed, distributions, "normal"};
  InputSet exact{seed + 1, distributions, "small_int"};
  // "normal" and "uniform" are only a wish for random numbers; a range of integers is meaning
  // (an index), which the exact set must keep. An output that is named stays one that is read.
  for (auto& [argument, distribution] : exact.distributions)
    if (distribution == "normal" || distribution == "uniform")
      distribution = exact.default_distribution;
  return {std::move(random), std::move(exact)};
}

Verdict verdict_of(const ComparedContender& contender) {
  return std::isnan(contender.ratio_interval.low) ? Verdict::kUndecided
         : contender.ratio_interval.high < 1      ? Verdict::kFaster
         : contender.ratio_interval.low > 1       ? Verdict::kSlower
                                                  : Verdict::kSame;
}

const char* to_string(Verdict verdict) {
  switch (verdict) {
  case Verdict::kSame:
    return "same";
  case Verdict::kFaster:
    return "faster";
  case Verdict::kSlower:
    return "slower";
  case Verdict::kUndecided:
    return "undecided";
  }
  TEMPER_UNREACHABLE("a verdict outside its enum");
}

double DeviceState::drift(const DeviceState& before, const DeviceState& after) {
  const auto change = [](double a, double b) { return a > 0 && b > 0 ? std::abs(b / a - 1) : 0; };
  return std::max(change(before.anchor_compute_ns, after.anchor_compute_ns),
                  change(before.anchor_memory_ns, after.anchor_memory_ns));
}

bool DeviceState::drifted(const DeviceState& before, const DeviceState& after) {
  constexpr double kUnusual = 3;
  const double usual = std::max(before.usual_drift, after.usual_drift);
  return drift(before, after) > std::max(kAnchorDriftLimit, kUnusual * usual);
}

} // namespace temper::engine
