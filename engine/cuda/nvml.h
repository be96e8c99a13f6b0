/// What a GPU's clocks, power and temperature are, by NVML, which is loaded when it is first asked
/// for. Reads only: nothing here changes a setting.
#pragma once

#include "ir/support/result.h"

#include <cstdint>
#include <optional>
#include <string>

namespace temper::engine {

struct GpuReading {
  double sm_clock_mhz = 0;
  double memory_clock_mhz = 0;
  double power_w = 0;
  double temperature_c = 0;
  uint64_t slowdowns = 0; ///< bits, as in engine/gpu_conditions.h
};

class Nvml {
public:
  /// Of the GPU on that bus. kEnvironment: no NVML, or it does not know the GPU.
  static Result<Nvml> open(const std::string& bus_id);
  /// Nothing where NVML gives no clock; what else it does not give is 0.
  std::optional<GpuReading> read() const;
  /// Processes that compute on it, this one included; nothing where it does not say.
  std::optional<int> processes() const;

private:
  Nvml() = default;
  void* device_ = nullptr;
};

} // namespace temper::engine
