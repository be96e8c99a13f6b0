/// What came of one trial: an outcome, the samples behind the number, and where it failed.
///
/// A candidate that is bad is data, never an error of ours: whatever a compiled kernel does
/// (divide by zero, loop for ever, scribble), the result is a Measurement with an Outcome and a
/// sentence. All times are nanoseconds of one call of the kernel.
#pragma once

#include "ir/support/statistics.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace temper::engine {

/// The one list of outcomes; the database stores the words.
enum class Outcome : uint8_t {
  kOk,            ///< correct, and timed until the stop rule was content
  kCensored,      ///< correct, but so much slower than the best that timing stopped at once
  kDisturbed,     ///< correct, but the machine was too unquiet for a number
  kRejected,      ///< refused before compiling (static prefilter, legality)
  kCompileFailed, ///< the compiler refused, died, hung or ran out of memory
  kCrashed,       ///< a signal, an exit, a non-zero return, an access outside its arguments
  kTimedOut,      ///< still running at its deadline
  kOutOfMemory,   ///< hit its memory limit
  kWrongResult,   ///< ran, but an output differs from the reference
  kDeviceLimit,   ///< needs more of the device than it has (threads, shared memory, registers)
  kChecked,       ///< correct where it was emulated; its device is not there, so nothing was timed
  kNotChecked,    ///< nothing here can run it, so whether it is right is not known
  kUnbelievable,  ///< correct, but its time cannot be the kernel's: faster than its operations can
                  ///< be, or than it is where it does not find its results in its outputs
};

inline constexpr int kOutcomeCount = 13;

/// "ok", "censored", "disturbed", "rejected", "compile_failed", "crashed", "timed_out",
/// "out_of_memory", "wrong_result", "device_limit", "checked", "not_checked", "unbelievable".
const char* to_string(Outcome outcome);
std::optional<Outcome> parse_outcome(std::string_view word);
/// The kernel gave right results: ok, censored, disturbed, unbelievable or checked.
constexpr bool is_correct(Outcome outcome) {
  return outcome == Outcome::kOk || outcome == Outcome::kCensored ||
         outcome == Outcome::kDisturbed || outcome == Outcome::kUnbelievable ||
         outcome == Outcome::kChecked;
}

/// Where the data is when a timed call begins. Two different quantities, never compared.
enum class Regime : uint8_t {
  kHot,  ///< calls follow each other on the same data; what fits in a cache is there
  kCold, ///< every line of every argument is flushed from the caches before each call
};
const char* to_string(Regime regime); ///< "hot", "cold"
std::optional<Regime> parse_regime(std::string_view word);

/// The element that is furthest from its reference, in units of its tolerance.
struct WorstElement {
  std::string argument;
  int64_t index = 0; ///< row-major, in elements
  double got = 0;
  double expected = 0;
  double tolerance = 0;    ///< largest |got - expected| that would have passed
  int64_t wrong_count = 0; ///< elements of this argument that are out of tolerance
  int input_set = 0;       ///< which of the workload's input sets
};

struct Measurement {
  Outcome outcome = Outcome::kRejected;
  Regime regime = Regime::kHot;
  int threads = 1;

  /// One value per sample: time of a sample divided by `calls_per_sample`. What was dropped as a
  /// gap is not in it.
  std::vector<double> samples_ns;
  /// Summary of the samples: their median, or their lower quartile where `flagged`.
  double median_ns = 0;
  /// 95 % interval of the median.
  Interval interval;
  int64_t calls_per_sample = 0;
  /// Samples thrown away because the host took the core away in the middle.
  int gaps_dropped = 0;
  /// The samples are long and uneven, so the lower quartile stands for them.
  bool flagged = false;

  /// One sentence; empty when ok.
  std::string error;
  /// Where it stopped: "compile", "load", "pack", "check", "time", "recheck", "runner"; empty when
  /// ok.
  std::string stage;
  std::optional<WorstElement> worst;
  /// "the kernel wrote:" and the end of that, printable; empty for most. Whoever compiled may put
  /// the compiler's words in front.
  std::string log;

  double compile_ms = 0; ///< filled in by whoever compiled
  double measure_ms = 0; ///< wall time on the device: load, check and time

  /// Hardware or software counters per call, by name ("cycles", "instructions", ...). Empty where
  /// they were not asked for or the machine has none.
  std::map<std::string, double> counters;

  // How quiet the machine was while this was measured.
  double steal_ms = 0; ///< time the hypervisor took from this machine's cores (from /proc/stat)
  int64_t involuntary_switches = 0; ///< times the kernel's threads lost their core
  /// Speed of `threads` busy threads side by side, over as many one after the other: 1 means as
  /// many real cores as threads, 1/threads means they shared one. 0 when not probed (one thread).
  double side_by_side = 0;
  /// Of the core that timed it, right after its samples (timing/frequency.h). 0 when not known.
  double clock_ghz = 0;
};

} // namespace temper::engine
