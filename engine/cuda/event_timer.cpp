#include "engine/cuda/timer.h"

#include <algorithm>

namespace temper::engine {
namespace {

// A bare pair of events around a call of some microseconds measures the way to the GPU; many calls
// between two events hide it.
constexpr double kSampleNs = 1e6;
constexpr int64_t kFewestCalls = 20;

class EventTimer : public KernelTimer {
public:
  EventTimer(const CudaDriver& driver, void* stream) : driver_(driver), stream_(stream) {}
  ~EventTimer() override {
    for (void* event : events_)
      driver_.event_destroy(event);
  }

  GpuTimer kind() const override { return GpuTimer::kEvents; }

  int64_t calls_for(double call_ns, bool apart) const override {
    if (apart)
      return std::clamp<int64_t>(static_cast<int64_t>(2e6 / std::max(call_ns, 1.0)), 4, 50);
    if (call_ns >= kSampleNs)
      return 1;
    return std::max<int64_t>(kFewestCalls,
                             static_cast<int64_t>(kSampleNs / std::max(call_ns, 1.0)));
  }

  CallTimes time(const TimedCalls& calls) override {
    CallTimes times;
    const bool apart = static_cast<bool>(calls.before_each);
    const auto pairs = static_cast<size_t>(apart ? calls.count : 1);
    times.per_sample = apart ? 1 : calls.count;
    while (times.code == 0 && events_.size() < 2 * pairs) {
      void* event = nullptr;
      times.code = driver_.event_create(&event, 0);
      if (times.code == 0)
        events_.push_back(event);
    }
    const auto record = [&](size_t event) {
      if (times.code == 0)
        times.code = driver_.event_record(events_[event], stream_);
    };
    if (!apart)
      record(0);
    for (int64_t i = 0; i < calls.count && times.code == 0; ++i) {
      if (apart) {
        times.code = calls.before_each();
        record(static_cast<size_t>(2 * i));
      }
      if (times.code == 0)
        times.code = calls.rotation[static_cast<size_t>(i) % calls.rotation.size()]->launch();
      if (apart)
        record(static_cast<size_t>(2 * i + 1));
    }
    if (!apart)
      record(1);
    if (times.code == 0)
      times.code = driver_.synchronize(stream_);
    for (size_t pair = 0; pair < pairs && times.code == 0; ++pair) {
      float milliseconds = 0;
      times.code = driver_.event_elapsed(&milliseconds, events_[2 * pair], events_[2 * pair + 1]);
      if (times.code == 0 && !(milliseconds > 0))
        times.broken = "the GPU's events say that no time passed";
      times.ns.push_back(milliseconds * 1e6 / static_cast<double>(times.per_sample));
    }
    return times;
  }

private:
  const CudaDriver& driver_;
  void* stream_;
  std::vector<void*> events_;
};

} // namespace

std::unique_ptr<KernelTimer> make_event_timer(const GpuContext& context) {
  return std::make_unique<EventTimer>(context.driver(), context.stream());
}

} // namespace temper::engine
