/// Under which conditions a GPU was measured: which timer, and what NVML said meanwhile. Kept in a
/// measurement's counters under names that begin with "gpu."; the database has them beside the
/// other facts of timing (tuner/record_mapping.h).
#pragma once

#include "engine/measurement.h"
#include "ir/support/json.h"

#include <cstdint>
#include <optional>
#include <string>

namespace temper::engine {

/// What a sample's time was read from, best first: all samples of a measurement come from one.
enum class GpuTimer : uint8_t {
  kActivity = 1, ///< CUPTI's activity records: each kernel's own start and end
  kEvents = 2,   ///< events of the driver around many calls: launches and gaps are in it
};
const char* to_string(GpuTimer timer); ///< "activity", "events"

/// Reasons for a slower clock, as NVML's bits.
namespace slowdown {
inline constexpr uint64_t kPowerCap = 0x4;
inline constexpr uint64_t kHardware = 0x8;
inline constexpr uint64_t kThermal = 0x20;
inline constexpr uint64_t kHardwareThermal = 0x40;
inline constexpr uint64_t kPowerBrake = 0x80;
} // namespace slowdown

struct GpuConditions {
  GpuTimer timer = GpuTimer::kEvents;
  // 0: NVML does not say.
  double sm_clock_mhz = 0;     ///< median of the readings while samples were taken
  double memory_clock_mhz = 0; ///< likewise
  double power_w = 0;          ///< largest
  double temperature_c = 0;    ///< largest
  uint64_t slowdowns = 0;      ///< all that were seen
  int readings = 0;
  /// Traces that were broken and measured again.
  int broken_traces = 0;
};

/// "1755 MHz, 690 W, 61 C, power cap; timed by activity": for people.
std::string describe(const GpuConditions& conditions);
/// {"timer": "activity", "sm_clock_mhz": ..., "slowdowns": ["power cap"]}: for the database.
Json to_json(const GpuConditions& conditions);
std::vector<std::string> slowdown_names(uint64_t slowdowns);

void keep_conditions(const GpuConditions& conditions, Measurement& measurement);
/// Nothing of a measurement that no GPU made.
std::optional<GpuConditions> conditions_of(const Measurement& measurement);
/// The counters without them.
std::map<std::string, double> plain_counters(const Measurement& measurement);

} // namespace temper::engine
