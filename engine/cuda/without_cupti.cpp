// What engine/cupti has, in a program that was built without CUPTI's headers.
#include "engine/cuda/timer.h"

namespace temper::engine {
namespace {

Error built_without(const char* what) {
  return Error(ErrorCode::kEnvironment,
               std::string(what) +
                   ": this temper was built without CUPTI's headers; build it where "
                   "CUDA's toolkit, or the Python package nvidia-cuda-cupti, is");
}

} // namespace

Result<std::unique_ptr<ActivityTrace>> start_activity_trace() {
  return built_without("kernels are timed by events, not by CUPTI");
}
Result<std::unique_ptr<CounterReader>> open_counters(const GpuContext&) {
  return built_without("GPU counters are not read");
}
std::vector<std::string> metric_set_names() { return {}; }
Result<std::vector<std::string>> metrics_of_sets(const std::vector<std::string>&) {
  return built_without("GPU counters are not read");
}

} // namespace temper::engine
