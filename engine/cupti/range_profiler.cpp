#include "engine/cuda/timer.h"

#include "engine/cupti/profiler_host.h"

#include <fmt/format.h>

#include <cupti_profiler_target.h>
#include <cupti_range_profiler.h>
#include <cupti_target.h>

#include <cmath>
#include <map>

namespace temper::engine {
namespace {

using cupti::Library;

// One kernel is counted at a time: one range, and nothing inside of it. There is room for more.
constexpr size_t kRanges = 1;
constexpr size_t kMostRanges = 8;

struct Functions {
  decltype(&::cuptiProfilerInitialize) initialize = nullptr;
  decltype(&::cuptiProfilerDeInitialize) deinitialize = nullptr;
  decltype(&::cuptiProfilerDeviceSupported) supported = nullptr;
  decltype(&::cuptiProfilerGetCounterAvailability) availability = nullptr;
  decltype(&::cuptiDeviceGetChipName) chip = nullptr;
  decltype(&::cuptiRangeProfilerEnable) enable = nullptr;
  decltype(&::cuptiRangeProfilerDisable) disable = nullptr;
  decltype(&::cuptiRangeProfilerGetCounterDataSize) data_size = nullptr;
  decltype(&::cuptiRangeProfilerCounterDataImageInitialize) data_begin = nullptr;
  decltype(&::cuptiRangeProfilerSetConfig) configure = nullptr;
  decltype(&::cuptiRangeProfilerStart) start = nullptr;
  decltype(&::cuptiRangeProfilerStop) stop = nullptr;
  decltype(&::cuptiRangeProfilerPushRange) push = nullptr;
  decltype(&::cuptiRangeProfilerPopRange) pop = nullptr;
  decltype(&::cuptiRangeProfilerDecodeData) decode = nullptr;
  decltype(&::cuptiRangeProfilerGetCounterDataInfo) data_info = nullptr;

  bool find_in(const codegen::CudaLibrary& from) {
    return from.find("cuptiProfilerInitialize", initialize) &&
           from.find("cuptiProfilerDeInitialize", deinitialize) &&
           from.find("cuptiProfilerDeviceSupported", supported) &&
           from.find("cuptiProfilerGetCounterAvailability", availability) &&
           from.find("cuptiDeviceGetChipName", chip) &&
           from.find("cuptiRangeProfilerEnable", enable) &&
           from.find("cuptiRangeProfilerDisable", disable) &&
           from.find("cuptiRangeProfilerGetCounterDataSize", data_size) &&
           from.find("cuptiRangeProfilerCounterDataImageInitialize", data_begin) &&
           from.find("cuptiRangeProfilerSetConfig", configure) &&
           from.find("cuptiRangeProfilerStart", start) &&
           from.find("cuptiRangeProfilerStop", stop) &&
           from.find("cuptiRangeProfilerPushRange", push) &&
           from.find("cuptiRangeProfilerPopRange", pop) &&
           from.find("cuptiRangeProfilerDecodeData", decode) &&
           from.find("cuptiRangeProfilerGetCounterDataInfo", data_info);
  }
};

Error unreadable(const std::string& why) {
  return Error(ErrorCode::kEnvironment, "GPU counters are not read: " + why);
}

/// A Params structure of CUPTI with its size filled in.
#define TEMPER_CUPTI_PARAMS(type, name)                                                            \
  CUpti_##type##_Params name{};                                                                    \
  name.structSize = CUpti_##type##_Params_STRUCT_SIZE

/// The profiler on one context, for one set of metrics; gone with its object.
class Session {
public:
  Session(const Functions& functions, const Library& library)
      : functions_(functions), library_(library) {}
  Session(const Session&) = delete;
  ~Session() {
    if (profiler_ == nullptr)
      return;
    TEMPER_CUPTI_PARAMS(RangeProfiler_Disable, params);
    params.pRangeProfilerObject = profiler_;
    functions_.disable(&params);
  }

  Result<void> open(const GpuContext& context, const cupti::ProfilerHost& host,
                    const std::vector<uint8_t>& config) {
    TEMPER_CUPTI_PARAMS(RangeProfiler_Enable, enable);
    enable.ctx = static_cast<CUcontext>(context.handle());
    TEMPER_TRY_VOID(done(functions_.enable(&enable)));
    profiler_ = enable.pRangeProfilerObject;
    std::vector<const char*> names = host.names();
    TEMPER_CUPTI_PARAMS(RangeProfiler_GetCounterDataSize, size);
    size.pRangeProfilerObject = profiler_;
    size.pMetricNames = names.data();
    size.numMetrics = names.size();
    size.maxNumOfRanges = kMostRanges;
    size.maxNumRangeTreeNodes = kMostRanges;
    TEMPER_TRY_VOID(done(functions_.data_size(&size)));
    data.resize(size.counterDataSize);
    TEMPER_CUPTI_PARAMS(RangeProfiler_CounterDataImage_Initialize, begin);
    begin.pRangeProfilerObject = profiler_;
    begin.counterDataSize = data.size();
    begin.pCounterData = data.data();
    TEMPER_TRY_VOID(done(functions_.data_begin(&begin)));
    TEMPER_CUPTI_PARAMS(RangeProfiler_SetConfig, set);
    set.pRangeProfilerObject = profiler_;
    set.configSize = config.size();
    set.pConfig = config.data();
    set.counterDataImageSize = data.size();
    set.pCounterDataImage = data.data();
    set.range = CUPTI_UserRange;
    set.replayMode = CUPTI_UserReplay;
    set.maxRangesPerPass = kMostRanges;
    set.numNestingLevels = 1;
    set.minNestingLevel = 1;
    set.passIndex = 0;
    set.targetNestingLevel = 1;
    return done(functions_.configure(&set));
  }

  /// One pass; true when it was the last.
  Result<bool> pass(const GpuContext& context, const std::function<CudaResult()>& before,
                    const std::function<CudaResult()>& run) {
    TEMPER_CUPTI_PARAMS(RangeProfiler_Start, start);
    start.pRangeProfilerObject = profiler_;
    TEMPER_TRY_VOID(done(functions_.start(&start)));
    CudaResult code = before ? before() : 0;
    TEMPER_CUPTI_PARAMS(RangeProfiler_PushRange, push);
    push.pRangeProfilerObject = profiler_;
    push.pRangeName = "kernel";
    TEMPER_TRY_VOID(done(functions_.push(&push)));
    if (code == 0)
      code = run();
    if (code == 0)
      code = context.driver().synchronize(context.stream());
    TEMPER_CUPTI_PARAMS(RangeProfiler_PopRange, pop);
    pop.pRangeProfilerObject = profiler_;
    TEMPER_TRY_VOID(done(functions_.pop(&pop)));
    TEMPER_CUPTI_PARAMS(RangeProfiler_Stop, stop);
    stop.pRangeProfilerObject = profiler_;
    TEMPER_TRY_VOID(done(functions_.stop(&stop)));
    if (code != 0)
      return unreadable("the kernel failed while it was counted: " +
                        context.driver().words_of(code));
    return stop.isAllPassSubmitted != 0;
  }

  Result<void> decode() {
    TEMPER_CUPTI_PARAMS(RangeProfiler_DecodeData, decode);
    decode.pRangeProfilerObject = profiler_;
    TEMPER_TRY_VOID(done(functions_.decode(&decode)));
    if (decode.numOfRangeDropped > 0)
      return unreadable(fmt::format("{} ranges were lost", decode.numOfRangeDropped));
    TEMPER_CUPTI_PARAMS(RangeProfiler_GetCounterDataInfo, info);
    info.pCounterDataImage = data.data();
    info.counterDataImageSize = data.size();
    TEMPER_TRY_VOID(done(functions_.data_info(&info)));
    if (info.numTotalRanges != kRanges)
      return unreadable(
          fmt::format("there are {} ranges where one was counted", info.numTotalRanges));
    return {};
  }

  std::vector<uint8_t> data;

private:
  Result<void> done(CUptiResult code) const {
    if (code == CUPTI_SUCCESS)
      return {};
    return unreadable(library_.words_of(code));
  }

  const Functions& functions_;
  const Library& library_;
  CUpti_RangeProfiler_Object* profiler_ = nullptr;
};

class RangeProfiler : public CounterReader {
public:
  RangeProfiler(const GpuContext& context, const Library& library)
      : context_(context), library_(library) {}
  ~RangeProfiler() override {
    if (!initialized_)
      return;
    TEMPER_CUPTI_PARAMS(Profiler_DeInitialize, params);
    functions_.deinitialize(&params);
  }

  Result<void> open() {
    if (!functions_.find_in(library_.library))
      return unreadable(library_.library.path + " is older than the profiler that is used");
    TEMPER_CUPTI_PARAMS(Profiler_Initialize, initialize);
    TEMPER_TRY_VOID(done(functions_.initialize(&initialize)));
    initialized_ = true;
    TEMPER_CUPTI_PARAMS(Profiler_DeviceSupported, supported);
    supported.cuDevice = context_.device();
    supported.api = CUPTI_PROFILER_RANGE_PROFILING;
    TEMPER_TRY_VOID(done(functions_.supported(&supported)));
    if (supported.isSupported != CUPTI_PROFILER_CONFIGURATION_SUPPORTED)
      return unreadable(context_.info().name + " does not let its counters be read" +
                        why_unsupported(supported));
    TEMPER_CUPTI_PARAMS(Device_GetChipName, chip);
    chip.deviceIndex = static_cast<size_t>(context_.info().index);
    TEMPER_TRY_VOID(done(functions_.chip(&chip)));
    chip_ = chip.pChipName;
    // Twice: how long it is, then what it is; before any range is opened.
    TEMPER_CUPTI_PARAMS(Profiler_GetCounterAvailability, available);
    available.ctx = static_cast<CUcontext>(context_.handle());
    TEMPER_TRY_VOID(done(functions_.availability(&available)));
    availability_.resize(available.counterAvailabilityImageSize);
    available.pCounterAvailabilityImage = availability_.data();
    TEMPER_TRY_VOID(done(functions_.availability(&available)));
    // Whether it is allowed shows no earlier than this.
    TEMPER_CUPTI_PARAMS(RangeProfiler_Enable, enable);
    enable.ctx = static_cast<CUcontext>(context_.handle());
    TEMPER_TRY_VOID(done(functions_.enable(&enable)));
    TEMPER_CUPTI_PARAMS(RangeProfiler_Disable, disable);
    disable.pRangeProfilerObject = enable.pRangeProfilerObject;
    return done(functions_.disable(&disable));
  }

  Result<std::map<std::string, double>> count(const std::vector<std::string>& metrics,
                                              const std::function<CudaResult()>& before,
                                              const std::function<CudaResult()>& run) override {
    TEMPER_TRY(host, cupti::ProfilerHost::with_metrics(chip_, availability_.data(), metrics));
    TEMPER_TRY(config, host->config());
    TEMPER_TRY(passes, host->passes(config));
    Session session(functions_, library_);
    TEMPER_TRY_VOID(session.open(context_, *host, config));
    for (int64_t pass = 0;; ++pass) {
      TEMPER_TRY(last, session.pass(context_, before, run));
      if (last)
        break;
      if (pass >= 2 * passes + 8) // it would go on for ever
        return unreadable(
            fmt::format("{} passes were planned, and {} did not suffice", passes, pass + 1));
    }
    TEMPER_TRY_VOID(session.decode());
    TEMPER_TRY(values, host->values(session.data, 0));
    std::map<std::string, double> counters;
    for (size_t i = 0; i < metrics.size(); ++i)
      if (std::isfinite(values[i])) // what was not counted is not zero
        counters[metrics[i]] = values[i];
    if (counters.empty())
      return unreadable("none of the metrics has a value");
    return counters;
  }

private:
  static std::string why_unsupported(const CUpti_Profiler_DeviceSupported_Params& params) {
    const auto no = [](CUpti_Profiler_Support_Level level) {
      return level == CUPTI_PROFILER_CONFIGURATION_UNSUPPORTED ||
             level == CUPTI_PROFILER_CONFIGURATION_DISABLED;
    };
    if (no(params.vGpu))
      return ": it is a virtual GPU, whose host does not allow profiling";
    if (no(params.confidentialCompute))
      return " under confidential computing";
    if (no(params.architecture))
      return ": its architecture is too old for this CUPTI";
    if (no(params.wsl))
      return " under WSL";
    return "";
  }
  Result<void> done(CUptiResult code) const {
    if (code == CUPTI_SUCCESS)
      return {};
    return unreadable(library_.words_of(code));
  }

  const GpuContext& context_;
  const Library& library_;
  Functions functions_;
  bool initialized_ = false;
  std::string chip_;
  std::vector<uint8_t> availability_;
};

} // namespace

Result<std::unique_ptr<CounterReader>> open_counters(const GpuContext& context) {
  const auto library = cupti::library();
  if (!library)
    return unreadable(library.error().message);
  auto profiler = std::make_unique<RangeProfiler>(context, **library);
  TEMPER_TRY_VOID(profiler->open());
  return std::unique_ptr<CounterReader>(std::move(profiler));
}

} // namespace temper::engine
