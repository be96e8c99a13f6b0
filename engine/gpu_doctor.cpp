#include "engine/gpu_doctor.h"

#include "engine/cuda/device.h"
#include "engine/local_measurer.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <string_view>

namespace temper::engine {
namespace {

using State = Finding::State;

/// `why` begins with a small letter and names no part of its own.
Finding lacking(const char* name, const std::string& good, const std::string& why) {
  return {name, why.empty() ? State::kOk : State::kLimited, why.empty() ? good : why,
          Json::object()};
}

} // namespace

std::optional<bool> counters_for_administrators_only(const std::string& parameters) {
  constexpr std::string_view kName = "RmProfilingAdminOnly:";
  const size_t at = parameters.find(kName);
  if (at == std::string::npos)
    return std::nullopt;
  const std::string value(trim(std::string_view(parameters).substr(at + kName.size(), 4)));
  return value.starts_with("1");
}

std::vector<Finding> examine_gpu() {
  const Result<GpuInfo> info = gpu_info(0);
  if (!info)
    return {{"GPU", State::kMissing,
             info.error().message + "; kernels for GPUs are compiled, pruned and checked by "
                                    "emulation, and not timed",
             Json::object()}};
  std::vector<Finding> findings;
  LocalMeasurerOptions options;
  options.gpu = 0;
  const auto measurer = LocalMeasurer::start(options);
  const Result<Json> described = measurer ? (*measurer)->describe_gpu() : measurer.error();
  const std::string what =
      fmt::format("{} (sm_{}, {} multiprocessors, {:.0f} GiB; driver for CUDA {})", info->name,
                  info->architecture, info->multiprocessors,
                  static_cast<double>(info->memory_bytes) / 0x1p30, info->driver);
  findings.push_back(
      {"GPU", described ? State::kOk : State::kLimited,
       what + (described ? ": kernels run and are timed there"
                         : ", but no kernel runs there: " + described.error().message),
       to_json(*info)});
  if (!described)
    return findings;
  findings.push_back(lacking("GPU timer", "CUPTI's records give each kernel's own time",
                             described->value("why_timer", "")));
  findings.push_back(lacking("GPU clocks", "clocks, power and temperature are kept with each time",
                             described->value("why_no_clocks", "")));
  findings.push_back(lacking("GPU counters", "CUPTI's range profiler reads them",
                             described->value("why_no_counters", "")));
  if (const auto parameters = read_file("/proc/driver/nvidia/params"))
    if (const auto restricted = counters_for_administrators_only(*parameters))
      findings.back().details["administrators_only"] = *restricted;
  return findings;
}

} // namespace temper::engine
