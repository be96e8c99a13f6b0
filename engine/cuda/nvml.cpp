#include "engine/cuda/nvml.h"

#include "codegen/cuda/library.h"

namespace temper::engine {
namespace {

/// Of nvml.h, which CUDA's toolkit does not always bring: numbers that are fixed for ever.
constexpr unsigned kClockSm = 1;
constexpr unsigned kClockMemory = 2;
constexpr unsigned kSensorGpu = 0;
constexpr int kInsufficientSize = 7;

struct Library {
  int (*init)() = nullptr;
  const char* (*error_string)(int) = nullptr;
  int (*by_bus)(const char*, void**) = nullptr;
  int (*clock)(void*, unsigned, unsigned*) = nullptr;
  int (*power)(void*, unsigned*) = nullptr;
  int (*temperature)(void*, unsigned, unsigned*) = nullptr;
  /// Newer drivers call them event reasons; absent from very old ones.
  int (*slowdowns)(void*, unsigned long long*) = nullptr;
  int (*processes)(void*, unsigned*, void*) = nullptr;
};

Result<Library> open_library() {
  const auto found = codegen::load_cuda_library({"libnvidia-ml.so.1"});
  if (!found)
    return Error(ErrorCode::kEnvironment, "clocks, power and temperature are not read: there is no "
                                          "NVML (" +
                                              found.error().message + ")");
  Library library;
  if (!found->find("nvmlInit_v2", library.init) ||
      !found->find("nvmlErrorString", library.error_string) ||
      !found->find("nvmlDeviceGetHandleByPciBusId_v2", library.by_bus) ||
      !found->find("nvmlDeviceGetClockInfo", library.clock) ||
      !found->find("nvmlDeviceGetPowerUsage", library.power) ||
      !found->find("nvmlDeviceGetTemperature", library.temperature))
    return Error(ErrorCode::kEnvironment, found->path + " is too old: clocks are not read");
  if (!found->find("nvmlDeviceGetCurrentClocksEventReasons", library.slowdowns))
    (void)found->find("nvmlDeviceGetCurrentClocksThrottleReasons", library.slowdowns);
  (void)found->find("nvmlDeviceGetComputeRunningProcesses_v3", library.processes);
  if (const int code = library.init(); code != 0)
    return Error(ErrorCode::kEnvironment,
                 std::string("NVML does not start, so clocks are not read: ") +
                     library.error_string(code));
  return library;
}

const Result<Library>& library() {
  static const Result<Library> loaded = open_library();
  return loaded;
}

} // namespace

Result<Nvml> Nvml::open(const std::string& bus_id) {
  if (!library())
    return library().error();
  Nvml nvml;
  if (const int code = library()->by_bus(bus_id.c_str(), &nvml.device_); code != 0)
    return Error(ErrorCode::kEnvironment,
                 "NVML does not know the GPU " + bus_id + ": " + library()->error_string(code));
  return nvml;
}

std::optional<GpuReading> Nvml::read() const {
  const Library& nvml = *library();
  GpuReading reading;
  unsigned value = 0;
  if (nvml.clock(device_, kClockSm, &value) != 0)
    return std::nullopt;
  reading.sm_clock_mhz = value;
  if (nvml.clock(device_, kClockMemory, &value) == 0)
    reading.memory_clock_mhz = value;
  if (nvml.power(device_, &value) == 0)
    reading.power_w = value * 1e-3;
  if (nvml.temperature(device_, kSensorGpu, &value) == 0)
    reading.temperature_c = value;
  unsigned long long reasons = 0;
  if (nvml.slowdowns != nullptr && nvml.slowdowns(device_, &reasons) == 0)
    reading.slowdowns = reasons;
  return reading;
}

std::optional<int> Nvml::processes() const {
  const Library& nvml = *library();
  unsigned count = 0;
  if (nvml.processes == nullptr)
    return std::nullopt;
  // Asked without room for a list, it says how long that would be.
  const int code = nvml.processes(device_, &count, nullptr);
  if (code != 0 && code != kInsufficientSize)
    return std::nullopt;
  return static_cast<int>(count);
}

} // namespace temper::engine
