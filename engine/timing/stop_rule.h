/// When to stop timing a kernel, and what its samples say. Pure functions on numbers: no clock
/// here, so that every rule has a test.
///
/// The rule, in the order it is asked after each sample:
///   1. hopeless: even the fastest call so far is `hopeless_factor` times the best known -> stop,
///      the candidate is censored;
///   2. beaten: so many samples as these are not all so far above the best by chance (`noise`), or
///      the interval lies wholly above it, or (a race: `trailing_samples`) the median does -> stop,
///      it is ok;
///   3. precise: the interval's half width is under `half_width` of the median -> stop;
///   4. time or number of samples used up -> stop with what there is; three samples at the least,
///      unless the kernel is so long that even those would take ten times as long.
/// A candidate that beats the best goes on to 3, because all later ones are held against it.
///
/// Of a kernel as fast as the best, a sample lies d above the best's median with a probability of
/// exp(-d / noise) / 2: what disturbs samples makes them longer, the longer the less often. So n
/// samples, even the fastest of which is d above it, convict where the n-th power of that is below
/// `doubt`. With 3 % of noise two samples do it from 6 % on, three from 3 %, five from 1 %.
#pragma once

#include "ir/support/statistics.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace temper::engine {

struct StopRule {
  double hopeless_factor = 2.0; ///< times the best known; 0 never gives up
  double noise = 0.03;          ///< of a sample above its kernel's median (noise_scale)
  double doubt = 0.005;         ///< left when a candidate is called slower than the best
  /// From so many samples on, a median above the best's ends it: for ranks that others refine, and
  /// for a search that sees hundreds as fast as the best within the noise. 0: no race.
  int trailing_samples = 0;
  double half_width = 0.01; ///< of the median
  double level = 0.95;      ///< of the interval
  int min_samples = 7;      ///< fewer order statistics give no 95 % interval
  int max_samples = 300;
  double max_seconds = 0.3; ///< of timed calls; the cap for noisy or slow kernels
  /// A sample is a batch of calls at least this long: 50 us against a clock of 30 ns, and still
  /// short against the 4 to 12 ms for which a host takes a core away, so that a gap shows.
  double sample_ns = 50'000;
};

enum class Decision : uint8_t { kContinue, kHopeless, kBeaten, kPrecise, kOutOfTime };
const char* to_string(Decision decision);

/// What the samples say once gaps are out.
struct Summary {
  std::vector<double> kept; ///< in the order they were taken
  int gaps_dropped = 0;
  bool flagged = false; ///< `value_ns` is the lower quartile
  double value_ns = 0;  ///< per call
  Interval interval;    ///< of the median of `kept`
};

/// Calls in one sample of a kernel whose single call took `call_ns`; at least 1.
int64_t calls_per_sample(const StopRule& rule, double call_ns);

/// True when `fastest_call_ns`, the fastest single call so far of `calls`, rules the candidate out
/// against `best_ns` (0: none known). A short call may have lost its core in the middle, so one
/// call alone convicts only where a gap could not explain the excess.
bool is_hopeless(const StopRule& rule, double fastest_call_ns, int calls, double best_ns);

/// True when `count` samples, the fastest of which took `fastest_ns`, are not all so far above
/// `best_ns` by chance. One alone never is enough: a core that was lost explains any excess.
bool is_beaten(const StopRule& rule, double fastest_ns, int count, double best_ns);

/// `StopRule::noise` of a machine, from what samples of many kernels lay above the median of their
/// kernel, as parts of it; those below count as well, as negative numbers. Nothing where they are
/// too few to tell.
std::optional<double> noise_scale(std::span<const double> excesses);

/// The rule above. `samples_ns` are times per call, `calls` of them in each sample; `elapsed_ns`
/// is the time spent in timed calls; `switched` as for find_gaps.
Decision decide(const StopRule& rule, std::span<const double> samples_ns, int64_t calls,
                double best_ns, double elapsed_ns, std::span<const uint8_t> switched = {});

/// Which samples have a gap inside, that is, time in which the kernel did not have its core:
///   - of short samples (below kLongSampleNs) those that exceed the lower quartile by kGapNs or
///     more, and by a quarter of it: what a virtual machine's host does, of which nothing tells;
///   - those during which the system switched the kernel's threads out (`switched`, one per sample,
///     not zero), when they are longer than the undisturbed ones and enough of those are there.
std::vector<bool> find_gaps(std::span<const double> samples_ns, int64_t calls,
                            std::span<const uint8_t> switched = {});

/// Drops the samples with gaps. Where long samples spread upwards all the same, or were switched
/// out too often to leave any out, the summary is flagged and its value is the lower quartile.
Summary summarize(std::span<const double> samples_ns, int64_t calls, double level = 0.95,
                  std::span<const uint8_t> switched = {});

inline constexpr double kLongSampleNs = 5e6;
inline constexpr double kGapNs = 1e6;

} // namespace temper::engine
