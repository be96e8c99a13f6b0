#include "engine/cupti/profiler_host.h"

#include <fmt/format.h>

namespace temper::engine::cupti {
namespace {

struct Functions {
  decltype(&::cuptiProfilerHostInitialize) initialize = nullptr;
  decltype(&::cuptiProfilerHostDeinitialize) deinitialize = nullptr;
  decltype(&::cuptiProfilerHostConfigAddMetrics) add_metrics = nullptr;
  decltype(&::cuptiProfilerHostGetConfigImageSize) config_size = nullptr;
  decltype(&::cuptiProfilerHostGetConfigImage) config = nullptr;
  decltype(&::cuptiProfilerHostGetNumOfPasses) passes = nullptr;
  decltype(&::cuptiProfilerHostEvaluateToGpuValues) evaluate = nullptr;
};

Result<Functions> find_functions() {
  TEMPER_TRY(cupti, library());
  Functions found;
  const codegen::CudaLibrary& from = cupti->library;
  const bool all = from.find("cuptiProfilerHostInitialize", found.initialize) &&
                   from.find("cuptiProfilerHostDeinitialize", found.deinitialize) &&
                   from.find("cuptiProfilerHostConfigAddMetrics", found.add_metrics) &&
                   from.find("cuptiProfilerHostGetConfigImageSize", found.config_size) &&
                   from.find("cuptiProfilerHostGetConfigImage", found.config) &&
                   from.find("cuptiProfilerHostGetNumOfPasses", found.passes) &&
                   from.find("cuptiProfilerHostEvaluateToGpuValues", found.evaluate);
  if (!all)
    return Error(ErrorCode::kEnvironment,
                 "GPU counters cannot be planned or read here: " + from.path +
                     " is older than the profiler that is used");
  return found;
}

const Result<Functions>& functions() {
  static const Result<Functions> found = find_functions();
  return found;
}

} // namespace

ProfilerHost::ProfilerHost(const Library& library, std::vector<std::string> metrics)
    : library_(library), metrics_(std::move(metrics)) {
  for (const std::string& metric : metrics_)
    names_.push_back(metric.c_str());
}

ProfilerHost::~ProfilerHost() {
  if (object_ == nullptr)
    return;
  CUpti_Profiler_Host_Deinitialize_Params params{};
  params.structSize = CUpti_Profiler_Host_Deinitialize_Params_STRUCT_SIZE;
  params.pHostObject = object_;
  functions()->deinitialize(&params);
}

Result<void> ProfilerHost::open(const std::string& chip, const uint8_t* availability) {
  CUpti_Profiler_Host_Initialize_Params params{};
  params.structSize = CUpti_Profiler_Host_Initialize_Params_STRUCT_SIZE;
  params.profilerType = CUPTI_PROFILER_TYPE_RANGE_PROFILER;
  params.pChipName = chip.c_str();
  params.pCounterAvailabilityImage = availability;
  if (const CUptiResult code = functions()->initialize(&params); code != CUPTI_SUCCESS)
    return Error(ErrorCode::kEnvironment, fmt::format("CUPTI has no counters of the chip '{}': {}",
                                                      chip, library_.words_of(code)));
  object_ = params.pHostObject;
  return {};
}

CUptiResult ProfilerHost::add(std::vector<const char*> names) const {
  CUpti_Profiler_Host_ConfigAddMetrics_Params params{};
  params.structSize = CUpti_Profiler_Host_ConfigAddMetrics_Params_STRUCT_SIZE;
  params.pHostObject = object_;
  params.ppMetricNames = names.data();
  params.numMetrics = names.size();
  return functions()->add_metrics(&params);
}

Result<std::unique_ptr<ProfilerHost>>
ProfilerHost::with_metrics(const std::string& chip, const uint8_t* availability,
                           const std::vector<std::string>& metrics) {
  const auto cupti = library();
  if (!cupti)
    return Error(ErrorCode::kEnvironment,
                 "GPU counters cannot be planned or read here: " + cupti.error().message);
  if (!functions())
    return functions().error();
  std::unique_ptr<ProfilerHost> host(new ProfilerHost(**cupti, metrics));
  TEMPER_TRY_VOID(host->open(chip, availability));
  if (host->add(host->names_) == CUPTI_SUCCESS)
    return host;
  // All or none are taken: which one it was shows one by one.
  for (const std::string& metric : metrics) {
    ProfilerHost one(**cupti, {metric});
    TEMPER_TRY_VOID(one.open(chip, availability));
    if (const CUptiResult code = one.add(one.names_); code != CUPTI_SUCCESS)
      return Error(ErrorCode::kNotFound, fmt::format("{} has no metric '{}' ({})", chip, metric,
                                                     (*cupti)->words_of(code)));
  }
  return Error(ErrorCode::kFailed, chip + " does not count these metrics together");
}

Result<std::vector<uint8_t>> ProfilerHost::config() const {
  const auto failed = [&](CUptiResult code) {
    return Error(ErrorCode::kFailed, "CUPTI cannot plan these metrics: " + library_.words_of(code));
  };
  CUpti_Profiler_Host_GetConfigImageSize_Params size{};
  size.structSize = CUpti_Profiler_Host_GetConfigImageSize_Params_STRUCT_SIZE;
  size.pHostObject = object_;
  if (const CUptiResult code = functions()->config_size(&size); code != CUPTI_SUCCESS)
    return failed(code);
  std::vector<uint8_t> image(size.configImageSize);
  CUpti_Profiler_Host_GetConfigImage_Params get{};
  get.structSize = CUpti_Profiler_Host_GetConfigImage_Params_STRUCT_SIZE;
  get.pHostObject = object_;
  get.configImageSize = image.size();
  get.pConfigImage = image.data();
  if (const CUptiResult code = functions()->config(&get); code != CUPTI_SUCCESS)
    return failed(code);
  return image;
}

Result<int64_t> ProfilerHost::passes(std::vector<uint8_t>& config) const {
  CUpti_Profiler_Host_GetNumOfPasses_Params passes{};
  passes.structSize = CUpti_Profiler_Host_GetNumOfPasses_Params_STRUCT_SIZE;
  passes.configImageSize = config.size();
  passes.pConfigImage = config.data();
  if (const CUptiResult code = functions()->passes(&passes); code != CUPTI_SUCCESS)
    return Error(ErrorCode::kFailed, "CUPTI cannot plan these metrics: " + library_.words_of(code));
  return static_cast<int64_t>(passes.numOfPasses);
}

Result<std::vector<double>> ProfilerHost::values(const std::vector<uint8_t>& data,
                                                 size_t range) const {
  std::vector<double> values(metrics_.size());
  std::vector<const char*> names = names_;
  CUpti_Profiler_Host_EvaluateToGpuValues_Params params{};
  params.structSize = CUpti_Profiler_Host_EvaluateToGpuValues_Params_STRUCT_SIZE;
  params.pHostObject = object_;
  params.pCounterDataImage = data.data();
  params.counterDataImageSize = data.size();
  params.rangeIndex = range;
  params.ppMetricNames = names.data();
  params.numMetrics = names.size();
  params.pMetricValues = values.data();
  if (const CUptiResult code = functions()->evaluate(&params); code != CUPTI_SUCCESS)
    return Error(ErrorCode::kEnvironment,
                 "the GPU's counters cannot be read: " + library_.words_of(code));
  return values;
}

} // namespace temper::engine::cupti
