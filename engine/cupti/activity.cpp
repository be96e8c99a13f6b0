#include "engine/cuda/timer.h"

#include "engine/cupti/library.h"
#include "engine/timing/trace.h"

#include <fmt/format.h>

#include <cupti.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <unordered_map>

namespace temper::engine {
namespace {

// Small buffers have been seen to come back with records whose times are zero.
constexpr size_t kBufferBytes = size_t{8} << 20;
constexpr size_t kBufferAlignment = 8;
// A batch of so much is traced at a time: long enough for clocks to stand still, short enough to
// decide between two.
constexpr double kBatchNs = 3e6;
constexpr int64_t kMostCalls = 60;

struct Functions {
  decltype(&::cuptiActivityRegisterCallbacks) callbacks = nullptr;
  decltype(&::cuptiActivityEnable) enable = nullptr;
  decltype(&::cuptiActivityDisable) disable = nullptr;
  decltype(&::cuptiActivityFlushAll) flush = nullptr;
  decltype(&::cuptiActivityGetNextRecord) next = nullptr;
  decltype(&::cuptiActivityGetNumDroppedRecords) dropped = nullptr;
  decltype(&::cuptiActivityPushExternalCorrelationId) push = nullptr;
  decltype(&::cuptiActivityPopExternalCorrelationId) pop = nullptr;
};

/// What CUPTI hands back, on a thread of its own. Its callbacks carry no pointer of ours, and are
/// registered once per process for good: doing so again spoils the next records.
class Collected {
public:
  static Collected& get() {
    static Collected collected;
    return collected;
  }

  void add(CUcontext context, uint32_t stream, uint8_t* buffer, size_t valid) {
    const std::lock_guard lock(mutex_);
    CUpti_Activity* record = nullptr;
    while (functions.next(buffer, valid, &record) == CUPTI_SUCCESS) {
      if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) {
        // Records grow at their end with each version; what is read here stood in the first.
        const auto* kernel = reinterpret_cast<const CUpti_ActivityKernel10*>(record);
        kernels_.push_back({kernel->start, kernel->end, kernel->correlationId,
                            kernel->name != nullptr ? kernel->name : ""});
      } else if (record->kind == CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION) {
        const auto* mark = reinterpret_cast<const CUpti_ActivityExternalCorrelation*>(record);
        calls_[mark->correlationId] = mark->externalId;
      }
    }
    size_t lost = 0;
    if (functions.dropped(context, stream, &lost) == CUPTI_SUCCESS)
      dropped_ += lost;
  }

  struct Trace {
    std::vector<KernelRecord> kernels;
    size_t dropped = 0;
  };
  /// All since the last time.
  Trace take() {
    const std::lock_guard lock(mutex_);
    Trace trace;
    trace.dropped = std::exchange(dropped_, 0);
    trace.kernels = std::exchange(kernels_, {});
    for (KernelRecord& record : trace.kernels) {
      const auto at = calls_.find(static_cast<uint32_t>(record.call));
      record.call = at == calls_.end() ? 0 : at->second;
    }
    calls_.clear();
    return trace;
  }

  Functions functions;

private:
  std::mutex mutex_;
  std::vector<KernelRecord> kernels_; ///< `call` is CUPTI's own number until `take`
  std::unordered_map<uint32_t, uint64_t> calls_;
  size_t dropped_ = 0;
};

void CUPTIAPI request_buffer(uint8_t** buffer, size_t* size, size_t* records) {
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(kBufferAlignment, kBufferBytes));
  *size = *buffer != nullptr ? kBufferBytes : 0;
  *records = 0; // as many as there is room for
}

void CUPTIAPI complete_buffer(CUcontext context, uint32_t stream, uint8_t* buffer, size_t,
                              size_t valid) {
  Collected::get().add(context, stream, buffer, valid);
  std::free(buffer);
}

class ActivityTimer : public KernelTimer {
public:
  explicit ActivityTimer(const GpuContext& context) : context_(context) {}

  GpuTimer kind() const override { return GpuTimer::kActivity; }

  int64_t calls_for(double call_ns, bool) const override {
    return std::clamp<int64_t>(static_cast<int64_t>(kBatchNs / std::max(call_ns, 1.0)), 1,
                               kMostCalls);
  }

  CallTimes time(const TimedCalls& calls) override {
    CallTimes times;
    const Functions& cupti = Collected::get().functions;
    Collected::get().take(); // what came before is of nobody's interest
    const uint64_t first = next_;
    next_ += static_cast<uint64_t>(calls.count);
    CUptiResult marked = CUPTI_SUCCESS;
    for (int64_t i = 0; i < calls.count && times.code == 0; ++i) {
      if (calls.before_each)
        times.code = calls.before_each();
      if (times.code != 0)
        break;
      const CUptiResult pushed =
          cupti.push(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0, first + static_cast<uint64_t>(i));
      times.code = calls.rotation[static_cast<size_t>(i) % calls.rotation.size()]->launch();
      uint64_t last = 0;
      const CUptiResult popped = cupti.pop(CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0, &last);
      marked = pushed != CUPTI_SUCCESS ? pushed : popped != CUPTI_SUCCESS ? popped : marked;
    }
    if (times.code == 0)
      times.code = context_.driver().synchronize(context_.stream());
    if (times.code != 0)
      return times;
    if (marked != CUPTI_SUCCESS) {
      times.broken =
          fmt::format("CUPTI does not mark launches (error {})", static_cast<int>(marked));
      return times;
    }
    if (const CUptiResult flushed = cupti.flush(0); flushed != CUPTI_SUCCESS) {
      times.broken =
          fmt::format("CUPTI does not hand its records over (error {})", static_cast<int>(flushed));
      return times;
    }
    const Collected::Trace trace = Collected::get().take();
    Result<std::vector<double>> ns =
        call_times(trace.kernels, first, calls.count, calls.kernels, trace.dropped);
    if (ns)
      times.ns = std::move(*ns);
    else
      times.broken = ns.error().message;
    return times;
  }

private:
  const GpuContext& context_;
  uint64_t next_ = 1; ///< number of the next call; 0 marks none
};

class CuptiTrace : public ActivityTrace {
public:
  std::unique_ptr<KernelTimer> attach(const GpuContext& context) override {
    return std::make_unique<ActivityTimer>(context);
  }
};

} // namespace

Result<std::unique_ptr<ActivityTrace>> start_activity_trace() {
  const auto without = [](std::string why) {
    return Error(ErrorCode::kEnvironment, "kernels are timed by events, not by CUPTI: " + why);
  };
  const auto library = cupti::library();
  if (!library)
    return without(library.error().message);
  Functions& cupti = Collected::get().functions;
  const codegen::CudaLibrary& from = (*library)->library;
  const bool all = from.find("cuptiActivityRegisterCallbacks", cupti.callbacks) &&
                   from.find("cuptiActivityEnable", cupti.enable) &&
                   from.find("cuptiActivityDisable", cupti.disable) &&
                   from.find("cuptiActivityFlushAll", cupti.flush) &&
                   from.find("cuptiActivityGetNextRecord", cupti.next) &&
                   from.find("cuptiActivityGetNumDroppedRecords", cupti.dropped) &&
                   from.find("cuptiActivityPushExternalCorrelationId", cupti.push) &&
                   from.find("cuptiActivityPopExternalCorrelationId", cupti.pop);
  if (!all)
    return without(from.path + " is older than the trace that is used");
  if (const CUptiResult code = cupti.callbacks(request_buffer, complete_buffer);
      code != CUPTI_SUCCESS)
    return without((*library)->words_of(code));
  // Numbers of ours are tied to calls of the driver, so those are recorded, too.
  for (const CUpti_ActivityKind kind :
       {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION,
        CUPTI_ACTIVITY_KIND_DRIVER})
    if (const CUptiResult code = cupti.enable(kind); code != CUPTI_SUCCESS)
      return without((*library)->words_of(code));
  return std::unique_ptr<ActivityTrace>(std::make_unique<CuptiTrace>());
}

} // namespace temper::engine
