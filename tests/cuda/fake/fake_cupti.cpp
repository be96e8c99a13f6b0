// The part of the fake GPU that stands for libcupti.so.13: see fake_gpu.cpp.
#include "tests/cuda/fake/fake_gpu.h"

#include <cupti.h>
#include <cupti_profiler_host.h>
#include <cupti_profiler_target.h>
#include <cupti_range_profiler.h>
#include <cupti_target.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <utility>

using fake::gpu;
using fake::number;
using fake::Ran;
using fake::setting;

namespace {
CUpti_BuffersCallbackRequestFunc request_buffer = nullptr;
CUpti_BuffersCallbackCompleteFunc complete_buffer = nullptr;
} // namespace

extern "C" {

CUptiResult cuptiGetVersion(uint32_t* version) {
  *version = CUPTI_API_VERSION;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiGetResultString(CUptiResult, const char** words) {
  *words = "what CUPTI says";
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc request,
                                           CUpti_BuffersCallbackCompleteFunc complete) {
  request_buffer = request;
  complete_buffer = complete;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityEnable(CUpti_ActivityKind) {
  const int code = number("activity", 0);
  gpu.traced = code == 0;
  return static_cast<CUptiResult>(code);
}
CUptiResult cuptiActivityDisable(CUpti_ActivityKind) { return CUPTI_SUCCESS; }
CUptiResult cuptiActivityPushExternalCorrelationId(CUpti_ExternalCorrelationKind, uint64_t id) {
  gpu.marks.push_back(id);
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityPopExternalCorrelationId(CUpti_ExternalCorrelationKind, uint64_t* last) {
  *last = gpu.marks.back();
  gpu.marks.pop_back();
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityFlushAll(uint32_t) {
  std::vector<Ran> ran = std::exchange(gpu.trace, {});
  const std::string fault = setting("trace");
  const bool first = gpu.flushes++ == 0;
  const int whole = number("whole_traces", -1); ///< after so many they are empty
  if (fault == "empty" || (fault == "first_empty" && first) || (whole >= 0 && gpu.flushes > whole))
    ran.clear();
  static std::deque<std::string> names; // records point to them for ever
  for (size_t next = 0; next < ran.size();) {
    uint8_t* buffer = nullptr;
    size_t size = 0;
    size_t most = 0;
    request_buffer(&buffer, &size, &most);
    size_t used = 0;
    const size_t each = sizeof(CUpti_ActivityExternalCorrelation) + sizeof(CUpti_ActivityKernel10);
    for (; next < ran.size() && used + each <= size; ++next) {
      const Ran& one = ran[next];
      CUpti_ActivityExternalCorrelation mark{};
      mark.kind = CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION;
      mark.externalKind = CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0;
      mark.externalId = one.mark;
      mark.correlationId = one.correlation;
      if (one.mark != 0) {
        std::memcpy(buffer + used, &mark, sizeof mark);
        used += sizeof mark;
      }
      names.push_back(one.name);
      CUpti_ActivityKernel10 kernel{};
      kernel.kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
      kernel.start = fault == "zero" ? 0 : one.begin;
      kernel.end = fault == "zero" ? 0 : one.end;
      kernel.correlationId = one.correlation;
      kernel.name = names.back().c_str();
      std::memcpy(buffer + used, &kernel, sizeof kernel);
      used += sizeof kernel;
    }
    complete_buffer(nullptr, 0, buffer, size, used);
  }
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityGetNextRecord(uint8_t* buffer, size_t valid, CUpti_Activity** record) {
  uint8_t* next = buffer;
  if (*record != nullptr)
    next = reinterpret_cast<uint8_t*>(*record) +
           ((*record)->kind == CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION
                ? sizeof(CUpti_ActivityExternalCorrelation)
                : sizeof(CUpti_ActivityKernel10));
  if (next >= buffer + valid)
    return CUPTI_ERROR_MAX_LIMIT_REACHED;
  *record = reinterpret_cast<CUpti_Activity*>(next);
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityGetNumDroppedRecords(CUcontext, uint32_t, size_t* dropped) {
  *dropped = setting("trace") == "dropped" ? 3 : 0;
  return CUPTI_SUCCESS;
}

// The profiler: `passes` passes, whose values tell what was counted.
CUptiResult cuptiProfilerInitialize(CUpti_Profiler_Initialize_Params*) { return CUPTI_SUCCESS; }
CUptiResult cuptiProfilerDeInitialize(CUpti_Profiler_DeInitialize_Params*) { return CUPTI_SUCCESS; }
CUptiResult cuptiProfilerDeviceSupported(CUpti_Profiler_DeviceSupported_Params* params) {
  const bool virtual_gpu = setting("counters") == "vgpu";
  params->isSupported = virtual_gpu ? CUPTI_PROFILER_CONFIGURATION_UNSUPPORTED
                                    : CUPTI_PROFILER_CONFIGURATION_SUPPORTED;
  params->architecture = CUPTI_PROFILER_CONFIGURATION_SUPPORTED;
  params->vGpu =
      virtual_gpu ? CUPTI_PROFILER_CONFIGURATION_DISABLED : CUPTI_PROFILER_CONFIGURATION_SUPPORTED;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiDeviceGetChipName(CUpti_Device_GetChipName_Params* params) {
  params->pChipName = "GH100";
  return CUPTI_SUCCESS;
}
CUptiResult
cuptiProfilerGetCounterAvailability(CUpti_Profiler_GetCounterAvailability_Params* params) {
  if (params->pCounterAvailabilityImage == nullptr)
    params->counterAvailabilityImageSize = 16;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiProfilerHostInitialize(CUpti_Profiler_Host_Initialize_Params* params) {
  params->pHostObject = reinterpret_cast<CUpti_Profiler_Host_Object*>(&gpu);
  return std::string(params->pChipName) == "GH100" ? CUPTI_SUCCESS : CUPTI_ERROR_INVALID_CHIP_NAME;
}
CUptiResult cuptiProfilerHostDeinitialize(CUpti_Profiler_Host_Deinitialize_Params*) {
  return CUPTI_SUCCESS;
}
CUptiResult cuptiProfilerHostConfigAddMetrics(CUpti_Profiler_Host_ConfigAddMetrics_Params*) {
  return CUPTI_SUCCESS;
}
CUptiResult
cuptiProfilerHostGetConfigImageSize(CUpti_Profiler_Host_GetConfigImageSize_Params* params) {
  params->configImageSize = 8;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiProfilerHostGetConfigImage(CUpti_Profiler_Host_GetConfigImage_Params*) {
  return CUPTI_SUCCESS;
}
CUptiResult cuptiProfilerHostGetNumOfPasses(CUpti_Profiler_Host_GetNumOfPasses_Params* params) {
  params->numOfPasses = static_cast<size_t>(number("passes", 2));
  return CUPTI_SUCCESS;
}
CUptiResult
cuptiProfilerHostEvaluateToGpuValues(CUpti_Profiler_Host_EvaluateToGpuValues_Params* params) {
  for (size_t i = 0; i < params->numMetrics; ++i) {
    const std::string name = params->ppMetricNames[i];
    params->pMetricValues[i] = name == "gpu__time_duration.sum"   ? gpu.range_ns
                               : name == "sm__cycles_elapsed.max" ? gpu.range_launches
                               : name == "dram__bytes_read.sum"   ? gpu.ranges
                               : name == "dram__bytes_write.sum"  ? std::nan("")
                                                                  : static_cast<double>(i);
  }
  return CUPTI_SUCCESS;
}
CUptiResult cuptiRangeProfilerEnable(CUpti_RangeProfiler_Enable_Params* params) {
  params->pRangeProfilerObject = reinterpret_cast<CUpti_RangeProfiler_Object*>(&gpu);
  gpu.passes_done = 0;
  gpu.ranges = 0;
  const std::string code = setting("counters");
  return code.empty() ? CUPTI_SUCCESS : static_cast<CUptiResult>(std::atoi(code.c_str()));
}
CUptiResult cuptiRangeProfilerDisable(CUpti_RangeProfiler_Disable_Params*) { return CUPTI_SUCCESS; }
CUptiResult
cuptiRangeProfilerGetCounterDataSize(CUpti_RangeProfiler_GetCounterDataSize_Params* params) {
  params->counterDataSize = 64;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiRangeProfilerCounterDataImageInitialize(
    CUpti_RangeProfiler_CounterDataImage_Initialize_Params*) {
  return CUPTI_SUCCESS;
}
CUptiResult cuptiRangeProfilerSetConfig(CUpti_RangeProfiler_SetConfig_Params*) {
  return CUPTI_SUCCESS;
}
CUptiResult cuptiRangeProfilerStart(CUpti_RangeProfiler_Start_Params*) { return CUPTI_SUCCESS; }
CUptiResult cuptiRangeProfilerStop(CUpti_RangeProfiler_Stop_Params* params) {
  params->isAllPassSubmitted = ++gpu.passes_done >= number("passes", 2) ? 1 : 0;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiRangeProfilerPushRange(CUpti_RangeProfiler_PushRange_Params*) {
  gpu.in_range = true;
  gpu.range_ns = 0;
  gpu.range_launches = 0;
  ++gpu.ranges;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiRangeProfilerPopRange(CUpti_RangeProfiler_PopRange_Params*) {
  gpu.in_range = false;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiRangeProfilerDecodeData(CUpti_RangeProfiler_DecodeData_Params* params) {
  params->numOfRangeDropped = static_cast<size_t>(number("lost_ranges", 0));
  return CUPTI_SUCCESS;
}
CUptiResult
cuptiRangeProfilerGetCounterDataInfo(CUpti_RangeProfiler_GetCounterDataInfo_Params* params) {
  params->numTotalRanges = 1;
  return CUPTI_SUCCESS;
}

} // extern "C"
