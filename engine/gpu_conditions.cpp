#include "engine/gpu_conditions.h"

#include "ir/support/text.h"

#include <fmt/format.h>

namespace temper::engine {
namespace {

constexpr std::string_view kPrefix = "gpu.";

double value_of(const Measurement& measurement, const char* name) {
  const auto at = measurement.counters.find(std::string(kPrefix) + name);
  return at == measurement.counters.end() ? 0 : at->second;
}

} // namespace

const char* to_string(GpuTimer timer) {
  return timer == GpuTimer::kActivity ? "activity" : "events";
}

std::vector<std::string> slowdown_names(uint64_t slowdowns) {
  std::vector<std::string> names;
  for (const auto& [bit, name] :
       {std::pair{slowdown::kPowerCap, "power cap"}, std::pair{slowdown::kHardware, "hardware"},
        std::pair{slowdown::kThermal, "temperature"},
        std::pair{slowdown::kHardwareThermal, "temperature limit"},
        std::pair{slowdown::kPowerBrake, "power brake"}})
    if ((slowdowns & bit) != 0)
      names.emplace_back(name);
  return names;
}

std::string describe(const GpuConditions& conditions) {
  std::string text;
  if (conditions.readings > 0)
    text = fmt::format("{:.0f} MHz, {:.0f} W, {:.0f} C, ", conditions.sm_clock_mhz,
                       conditions.power_w, conditions.temperature_c);
  if (const auto names = slowdown_names(conditions.slowdowns); !names.empty())
    text += "slowed by " + join(names, ", ") + ", ";
  return text + "timed by " + to_string(conditions.timer);
}

Json to_json(const GpuConditions& conditions) {
  Json json{{"timer", to_string(conditions.timer)}};
  if (conditions.readings > 0) {
    json["sm_clock_mhz"] = conditions.sm_clock_mhz;
    json["memory_clock_mhz"] = conditions.memory_clock_mhz;
    json["power_w"] = conditions.power_w;
    json["temperature_c"] = conditions.temperature_c;
    json["slowdowns"] = slowdown_names(conditions.slowdowns);
  }
  if (conditions.broken_traces > 0)
    json["broken_traces"] = conditions.broken_traces;
  return json;
}

void keep_conditions(const GpuConditions& conditions, Measurement& measurement) {
  const auto keep = [&](const char* name, double value) {
    measurement.counters[std::string(kPrefix) + name] = value;
  };
  keep("timer", static_cast<double>(conditions.timer));
  keep("sm_clock_mhz", conditions.sm_clock_mhz);
  keep("memory_clock_mhz", conditions.memory_clock_mhz);
  keep("power_w", conditions.power_w);
  keep("temperature_c", conditions.temperature_c);
  keep("slowdowns", static_cast<double>(conditions.slowdowns));
  keep("readings", conditions.readings);
  keep("broken_traces", conditions.broken_traces);
}

std::optional<GpuConditions> conditions_of(const Measurement& measurement) {
  const auto timer = static_cast<int>(value_of(measurement, "timer"));
  if (timer != static_cast<int>(GpuTimer::kActivity) &&
      timer != static_cast<int>(GpuTimer::kEvents))
    return std::nullopt;
  GpuConditions conditions;
  conditions.timer = static_cast<GpuTimer>(timer);
  conditions.sm_clock_mhz = value_of(measurement, "sm_clock_mhz");
  conditions.memory_clock_mhz = value_of(measurement, "memory_clock_mhz");
  conditions.power_w = value_of(measurement, "power_w");
  conditions.temperature_c = value_of(measurement, "temperature_c");
  conditions.slowdowns = static_cast<uint64_t>(value_of(measurement, "slowdowns"));
  conditions.readings = static_cast<int>(value_of(measurement, "readings"));
  conditions.broken_traces = static_cast<int>(value_of(measurement, "broken_traces"));
  return conditions;
}

std::map<std::string, double> plain_counters(const Measurement& measurement) {
  std::map<std::string, double> plain;
  for (const auto& [name, value] : measurement.counters)
    if (!name.starts_with(kPrefix))
      plain.emplace(name, value);
  return plain;
}

} // namespace temper::engine
