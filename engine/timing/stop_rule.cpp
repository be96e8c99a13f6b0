#include "engine/timing/stop_rule.h"

#include "ir/support/check.h"

#include <algorithm>
#include <cmath>

namespace temper::engine {
namespace {

// The longest that a virtual machine's host was seen to take a core away, with room to spare.
constexpr double kLongestGapNs = 30e6;

// A short sample has a gap inside when it exceeds the lower quartile by a quarter of it as well:
// a 4 ms sample may vary by 1 ms without any preemption.
constexpr double kGapShare = 0.25;

// So many samples without a switch are needed before those with one may go.
constexpr size_t kFewestUndisturbed = 4;

// A switch that costs less than this was to a kernel thread and back; the sample may stay.
constexpr double kSwitchCost = 0.02;

// Verdicts from few samples need so much time in calls: what disturbs a machine for less than that
// would else convict a short kernel.
constexpr double kShortestVerdictNs = 1e6;

// Long samples whose 80 % quantile lies this far above their lower quartile are not one mode.
constexpr double kLongSpread = 0.03;

} // namespace

const char* to_string(Decision decision) {
  switch (decision) {
  case Decision::kContinue:
    return "continue";
  case Decision::kHopeless:
    return "hopeless";
  case Decision::kBeaten:
    return "beaten";
  case Decision::kPrecise:
    return "precise";
  case Decision::kOutOfTime:
    return "out_of_time";
  }
  TEMPER_UNREACHABLE("a decision outside its enum");
}

int64_t calls_per_sample(const StopRule& rule, double call_ns) {
  if (!(call_ns > 0))
    return 1;
  // A million calls bound the batch should the first call have been too quick to see.
  return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(rule.sample_ns / call_ns)), 1,
                             1'000'000);
}

bool is_hopeless(const StopRule& rule, double fastest_call_ns, int calls, double best_ns) {
  if (rule.hopeless_factor <= 0 || best_ns <= 0)
    return false;
  const double limit = rule.hopeless_factor * best_ns;
  if (fastest_call_ns <= limit)
    return false;
  return calls >= 3 || fastest_call_ns - limit > kLongestGapNs;
}

bool is_beaten(const StopRule& rule, double fastest_ns, int count, double best_ns) {
  if (best_ns <= 0 || count < 2 || fastest_ns <= best_ns || rule.noise <= 0)
    return false;
  const double excess = fastest_ns / best_ns - 1;
  return count * (std::log(2.0) + excess / rule.noise) >= -std::log(rule.doubt);
}

std::optional<double> noise_scale(std::span<const double> excesses) {
  constexpr size_t kFewest = 50;
  constexpr double kLeast = 0.005; // a quiet minute is no promise
  constexpr double kMost = 0.2;    // beyond that, drift is at work, not noise
  if (excesses.size() < kFewest)
    return std::nullopt;
  // Half of them lie above 0, a tenth above log(5) times the scale; the far tail, which a lost core
  // makes, is longer than that of any scale.
  return std::clamp(quantile(excesses, 0.9) / std::log(5.0), kLeast, kMost);
}

std::vector<bool> find_gaps(std::span<const double> samples_ns, int64_t calls,
                            std::span<const uint8_t> switched) {
  std::vector<bool> gaps(samples_ns.size(), false);
  const auto batch = static_cast<double>(std::max<int64_t>(calls, 1));
  const double low = quantile(samples_ns, 0.25);
  if (low * batch < kLongSampleNs) {
    const double excess = std::max(kGapNs, kGapShare * low * batch) / batch;
    for (size_t i = 0; i < samples_ns.size(); ++i)
      gaps[i] = samples_ns[i] - low >= excess;
  }
  std::vector<double> undisturbed;
  for (size_t i = 0; i < samples_ns.size() && i < switched.size(); ++i)
    if (switched[i] == 0 && !gaps[i])
      undisturbed.push_back(samples_ns[i]);
  if (undisturbed.size() >= std::max<size_t>(kFewestUndisturbed, samples_ns.size() / 4)) {
    const double limit = median(undisturbed) * (1 + kSwitchCost);
    for (size_t i = 0; i < samples_ns.size() && i < switched.size(); ++i)
      gaps[i] = gaps[i] || (switched[i] != 0 && samples_ns[i] > limit);
  }
  return gaps;
}

Summary summarize(std::span<const double> samples_ns, int64_t calls, double level,
                  std::span<const uint8_t> switched) {
  Summary summary;
  if (samples_ns.empty())
    return summary;
  const std::vector<bool> gaps = find_gaps(samples_ns, calls, switched);
  for (size_t i = 0; i < samples_ns.size(); ++i) {
    if (gaps[i])
      ++summary.gaps_dropped;
    else
      summary.kept.push_back(samples_ns[i]);
  }
  const double low = quantile(summary.kept, 0.25);
  const bool is_long = low * static_cast<double>(std::max<int64_t>(calls, 1)) >= kLongSampleNs;
  const auto disturbed =
      std::count_if(switched.begin(), switched.end(), [](uint8_t count) { return count != 0; });
  const bool mostly_disturbed = 2 * disturbed > static_cast<int64_t>(samples_ns.size());
  summary.flagged = (is_long || mostly_disturbed) && summary.kept.size() >= 4 &&
                    quantile(summary.kept, 0.8) > (1 + kLongSpread) * low;
  summary.value_ns = summary.flagged ? low : median(summary.kept);
  summary.interval = median_interval(summary.kept, level);
  if (summary.flagged) // the value must lie in what is reported around it
    summary.interval.low = std::min(summary.interval.low, low);
  return summary;
}

Decision decide(const StopRule& rule, std::span<const double> samples_ns, int64_t calls,
                double best_ns, double elapsed_ns, std::span<const uint8_t> switched) {
  if (!samples_ns.empty()) {
    const double fastest = *std::min_element(samples_ns.begin(), samples_ns.end());
    const int seen = static_cast<int>(std::min<int64_t>(
        static_cast<int64_t>(samples_ns.size()) * std::max<int64_t>(calls, 1), 1000));
    if (is_hopeless(rule, fastest, seen, best_ns))
      return Decision::kHopeless;
    const auto count = static_cast<int>(samples_ns.size());
    if (elapsed_ns >= kShortestVerdictNs) {
      if (is_beaten(rule, fastest, count, best_ns))
        return Decision::kBeaten;
      if (rule.trailing_samples > 0 && count >= rule.trailing_samples && best_ns > 0 &&
          summarize(samples_ns, calls, rule.level, switched).value_ns > best_ns)
        return Decision::kBeaten;
    }
  }
  if (static_cast<int>(samples_ns.size()) >= rule.min_samples) {
    const Summary summary = summarize(samples_ns, calls, rule.level, switched);
    if (static_cast<int>(summary.kept.size()) >= rule.min_samples) {
      if (best_ns > 0 && summary.interval.low > best_ns)
        return Decision::kBeaten;
      const double half_width = (summary.interval.high - summary.interval.low) / 2;
      if (half_width <= rule.half_width * summary.value_ns)
        return Decision::kPrecise;
    }
  }
  const double cap_ns = rule.max_seconds * 1e9;
  if ((elapsed_ns >= cap_ns && samples_ns.size() >= 3) || elapsed_ns >= 10 * cap_ns ||
      static_cast<int>(samples_ns.size()) >= rule.max_samples)
    return Decision::kOutOfTime;
  return Decision::kContinue;
}

} // namespace temper::engine
