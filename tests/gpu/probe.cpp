// gpu_probe: what a GPU and its driver measure like, as one JSON object on stdout. A part fails by
// itself and says so; nothing here changes a setting of the card.
//
//   gpu_probe [timers|flush|copy|clocks|compile ...]     all of these without a name
//   gpu_probe counters                                  by itself: nothing is timed there
#include "codegen/cuda/nvrtc.h"
#include "engine/cuda/kernel.h"
#include "engine/cuda/nvml.h"
#include "engine/cuda/timer.h"
#include "engine/gpu_conditions.h"
#include "engine/timing/clock.h"
#include "ir/support/statistics.h"
#include "tests/gpu/sources.h"

#include <fmt/format.h>

#include <cstdio>
#include <functional>
#include <set>
#include <thread>

namespace temper::engine {
namespace {

constexpr const char* kKernels = R"(
extern "C" __global__ void spin(float* x, const float* unused, long long cycles) {
  long long begin = clock64();
  while (clock64() - begin < cycles) {}
  if (cycles < 0) x[0] = unused[0];
}
extern "C" __global__ void copy(float4* y, const float4* x, long long n) {
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n;
       i += (long long)gridDim.x * blockDim.x)
    y[i] = x[i];
}
extern "C" __global__ void read(float4* y, const float4* x, long long n) {
  float sum = 0;
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < n;
       i += (long long)gridDim.x * blockDim.x) {
    float4 v = x[i];
    sum += v.x + v.y + v.z + v.w;
  }
  if (sum == 1234567.0f) y[0] = make_float4(sum, 0, 0, 0);
}
)";

Json summary(const std::vector<double>& ns) {
  return {{"samples", ns.size()},
          {"median_ns", median(ns)},
          {"p05_ns", quantile(ns, 0.05)},
          {"p95_ns", quantile(ns, 0.95)},
          {"mad", ns.empty() ? 0 : median_absolute_deviation(ns) / std::max(median(ns), 1e-9)}};
}

/// A kernel with three parameters (two addresses and a number) and its prepared call.
struct Prepared {
  std::unique_ptr<GpuKernel> kernel;
  std::unique_ptr<GpuKernel::Call> call;
};

class Probe {
public:
  Result<void> open() {
    TEMPER_TRY(driver, CudaDriver::load());
    (void)driver;
    auto trace = start_activity_trace();
    if (trace)
      trace_ = std::move(*trace);
    else
      why_no_trace_ = trace.error().message;
    TEMPER_TRY(context, GpuContext::open(0));
    context_ = std::move(context);
    return {};
  }
  const GpuInfo& info() const { return context_->info(); }

  Result<Prepared> prepare(const char* name, DevicePointer to, DevicePointer from, int64_t number,
                           int64_t blocks, int64_t threads) {
    const DataType word = DataType::float32();
    TEMPER_TRY(artifact, testing::gpu_artifact(info(), kKernels, name,
                                               {{"y", word, {1}, true, true},
                                                {"x", word, {1}, true, false},
                                                {"n", *parse_data_type("int64"), {}, false, false}},
                                               blocks, threads));
    Prepared prepared;
    CudaFault fault;
    prepared.kernel = GpuKernel::load(*context_, artifact, fault);
    if (!prepared.kernel)
      return Error(ErrorCode::kFailed, fault.sentence);
    KernelParameter count = buffer_parameter(static_cast<DevicePointer>(number));
    const std::vector<KernelParameter> parameters = {buffer_parameter(to), buffer_parameter(from),
                                                     count};
    prepared.call = prepared.kernel->prepare(parameters, fault);
    if (!prepared.call)
      return Error(ErrorCode::kFailed, fault.sentence);
    return prepared;
  }

  static TimedCalls calls_of(const Prepared& prepared, int64_t count) {
    TimedCalls calls;
    calls.rotation = {prepared.call.get()};
    calls.count = count;
    calls.kernels = prepared.kernel->names();
    return calls;
  }

  Result<std::vector<double>> time(KernelTimer& timer, const TimedCalls& calls) const {
    CallTimes times = timer.time(calls);
    if (times.code != 0)
      return Error(ErrorCode::kFailed, context_->driver().words_of(times.code));
    if (!times.broken.empty())
      return Error(ErrorCode::kFailed, times.broken);
    return std::move(times.ns);
  }

  /// CUPTI against events on kernels of about 5 us, 50 us and 5 ms; each against itself, too.
  Result<Json> timers() {
    Json result = Json::array();
    TEMPER_TRY(memory, DeviceMemory::allocate(context_->driver(), 1 << 20));
    auto events = make_event_timer(*context_);
    std::unique_ptr<KernelTimer> activity = trace_ ? trace_->attach(*context_) : nullptr;
    for (const int64_t cycles : {int64_t{8'000}, int64_t{80'000}, int64_t{8'000'000}}) {
      TEMPER_TRY(spin, prepare("spin", memory.address(), memory.address(), cycles, 1, 32));
      const int64_t count = cycles > 1'000'000 ? 10 : 50;
      TEMPER_TRY(warm, time(*events, calls_of(spin, count)));
      Json row{{"cycles", cycles}};
      (void)warm;
      TimedCalls apart = calls_of(spin, count);
      apart.before_each = [] { return CudaResult{0}; };
      const auto block_of = [&](KernelTimer& timer, const TimedCalls& calls) {
        std::vector<double> blocks;
        for (int i = 0; i < 24; ++i)
          if (auto ns = time(timer, calls))
            blocks.push_back(median(*ns));
        return blocks;
      };
      const auto ratio_of = [](const std::vector<double>& ns) { // halves in turns
        std::vector<double> a;
        std::vector<double> b;
        for (size_t i = 0; i + 1 < ns.size(); i += 2) {
          a.push_back(ns[i]);
          b.push_back(ns[i + 1]);
        }
        const Interval interval = paired_ratio_interval(a, b);
        return Json{{"low", interval.low},
                    {"high", interval.high},
                    {"called_different", interval.low > 1 || interval.high < 1}};
      };
      const auto many = block_of(*events, calls_of(spin, count));
      row["events_in_a_row"] = summary(many);
      row["events_in_a_row_against_itself"] = ratio_of(many);
      row["events_around_each"] = summary(block_of(*events, apart));
      double begin = now_ns();
      (void)block_of(*events, calls_of(spin, count));
      row["events_wall_ns_per_call"] = (now_ns() - begin) / (24.0 * static_cast<double>(count));
      if (activity) {
        const auto traced = block_of(*activity, calls_of(spin, count));
        row["activity"] = summary(traced);
        row["activity_against_itself"] = ratio_of(traced);
        begin = now_ns();
        (void)block_of(*activity, calls_of(spin, count));
        row["activity_wall_ns_per_call"] = (now_ns() - begin) / (24.0 * static_cast<double>(count));
        if (auto whole = time(*activity, calls_of(spin, count)))
          row["activity_within_a_batch"] = summary(*whole);
      } else {
        row["no_activity"] = why_no_trace_;
      }
      result.push_back(std::move(row));
    }
    return result;
  }

  /// A read of twice the cache after it was flushed by filling, by reading, and by both.
  Result<Json> flush() {
    const int64_t bytes = std::max<int64_t>(info().l2_bytes / 4, 1 << 20);
    const int64_t other = 2 * info().l2_bytes;
    TEMPER_TRY(out, DeviceMemory::allocate(context_->driver(), bytes));
    TEMPER_TRY(in, DeviceMemory::allocate(context_->driver(), bytes));
    TEMPER_TRY(spoil, DeviceMemory::allocate(context_->driver(), other));
    TEMPER_TRY(measured, prepare("copy", out.address(), in.address(), bytes / 16,
                                 8 * info().multiprocessors, 256));
    TEMPER_TRY(reads, prepare("read", out.address(), spoil.address(), other / 16,
                              8 * info().multiprocessors, 256));
    std::unique_ptr<KernelTimer> timer =
        trace_ ? trace_->attach(*context_) : make_event_timer(*context_);
    const auto fill = [&] {
      return context_->driver().fill(spoil.address(), 0, static_cast<size_t>(other),
                                     context_->stream());
    };
    const auto read = [&] { return reads.call->launch(); };
    Json result{{"bytes", 2 * bytes}, {"timer", to_string(timer->kind())}};
    const std::pair<const char*, std::function<CudaResult()>> ways[] = {
        {"hot", {}}, {"filled", fill}, {"read", read}, {"filled_then_read", [&] {
                                                          return fill() + read();
                                                        }}};
    for (const auto& [name, before] : ways) {
      TimedCalls calls = calls_of(measured, 40);
      calls.before_each = before;
      auto ns = time(*timer, calls);
      result[name] = ns ? summary(*ns) : Json(ns.error().message);
    }
    return result;
  }

  /// What memory gives at most: read and written bytes a second of a large copy.
  Result<Json> copy() {
    const int64_t bytes = std::min<int64_t>(int64_t{2} << 30, info().memory_bytes / 8);
    TEMPER_TRY(out, DeviceMemory::allocate(context_->driver(), bytes));
    TEMPER_TRY(in, DeviceMemory::allocate(context_->driver(), bytes));
    Json result{{"bytes", bytes}};
    double best = 0;
    for (const int64_t blocks_each : {2, 4, 8, 16}) {
      TEMPER_TRY(kernel, prepare("copy", out.address(), in.address(), bytes / 16,
                                 blocks_each * info().multiprocessors, 512));
      auto timer = trace_ ? trace_->attach(*context_) : make_event_timer(*context_);
      TEMPER_TRY(ns, time(*timer, calls_of(kernel, 12)));
      best = std::max(best, 2.0 * static_cast<double>(bytes) / median(ns) * 1e9);
    }
    result["bytes_per_s"] = best;
    return result;
  }

  Result<Json> clocks() {
    TEMPER_TRY(nvml, Nvml::open(info().bus_id));
    const auto reading = nvml.read();
    if (!reading)
      return Error(ErrorCode::kEnvironment, "NVML gives no clock");
    const double begin = now_ns();
    for (int i = 0; i < 20; ++i)
      (void)nvml.read();
    return Json{{"sm_clock_mhz", reading->sm_clock_mhz},
                {"memory_clock_mhz", reading->memory_clock_mhz},
                {"power_w", reading->power_w},
                {"temperature_c", reading->temperature_c},
                {"slowdowns", slowdown_names(reading->slowdowns)},
                {"ns_a_reading", (now_ns() - begin) / 20}};
  }

private:
  std::unique_ptr<ActivityTrace> trace_;
  std::string why_no_trace_;
  std::unique_ptr<GpuContext> context_;
};

/// Every named set of counters on a copy; in a process that traces nothing.
Result<Json> count() {
  TEMPER_TRY(context, GpuContext::open(0));
  TEMPER_TRY(counters, open_counters(*context));
  const GpuInfo& info = context->info();
  const int64_t bytes = int64_t{256} << 20;
  TEMPER_TRY(out, DeviceMemory::allocate(context->driver(), bytes));
  TEMPER_TRY(in, DeviceMemory::allocate(context->driver(), bytes));
  const DataType word = DataType::float32();
  TEMPER_TRY(artifact, testing::gpu_artifact(info, kKernels, "copy",
                                             {{"y", word, {1}, true, true},
                                              {"x", word, {1}, true, false},
                                              {"n", *parse_data_type("int64"), {}, false, false}},
                                             8 * info.multiprocessors, 256));
  CudaFault fault;
  auto kernel = GpuKernel::load(*context, artifact, fault);
  if (!kernel)
    return Error(ErrorCode::kFailed, fault.sentence);
  const std::vector<KernelParameter> parameters = {
      buffer_parameter(out.address()), buffer_parameter(in.address()),
      buffer_parameter(static_cast<DevicePointer>(bytes / 16))};
  auto call = kernel->prepare(parameters, fault);
  if (!call)
    return Error(ErrorCode::kFailed, fault.sentence);
  Json result{{"bytes_read", bytes}, {"bytes_written", bytes}};
  for (const std::string& set : metric_set_names()) {
    auto metrics = metrics_of_sets({set});
    const double begin = now_ns();
    auto counted = metrics ? counters->count(*metrics, {}, [&] { return call->launch(); })
                           : Result<std::map<std::string, double>>(metrics.error());
    result[set] = counted ? Json{{"values", *counted}, {"ms", (now_ns() - begin) * 1e-6}}
                          : Json(counted.error().message);
  }
  return result;
}

/// How compiling scales with threads in one process.
Result<Json> compile() {
  TEMPER_TRY(info, gpu_info(0));
  TEMPER_TRY(nvrtc, codegen::Nvrtc::load());
  Json result = Json::array();
  const unsigned most = std::max(1U, std::thread::hardware_concurrency());
  for (unsigned threads = 1; threads <= most; threads *= 2) {
    constexpr int kEach = 6;
    const double begin = now_ns();
    std::vector<std::thread> workers;
    for (unsigned t = 0; t < threads; ++t)
      workers.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i)
          (void)nvrtc->compile(fmt::format("{}\n// {} {}", kKernels, t, i),
                               testing::architecture_of(info));
      });
    for (std::thread& worker : workers)
      worker.join();
    result.push_back(
        {{"threads", threads}, {"compiles_per_s", threads * kEach / ((now_ns() - begin) * 1e-9)}});
  }
  return result;
}

int run(const std::set<std::string>& parts) {
  Json all = Json::object();
  const auto wanted = [&](const char* part) { return parts.empty() || parts.contains(part); };
  const auto put = [&](const char* part, const Result<Json>& made) {
    all[part] = made ? *made : Json{{"error", made.error().message}};
  };
  if (wanted("compile"))
    put("compile", compile());
  if (parts.contains("counters")) {
    put("counters", count());
  } else {
    Probe probe;
    if (const Result<void> opened = probe.open(); !opened) {
      all["error"] = opened.error().message;
    } else {
      all["gpu"] = to_json(probe.info());
      if (wanted("clocks"))
        put("clocks", probe.clocks());
      if (wanted("copy"))
        put("copy", probe.copy());
      if (wanted("timers"))
        put("timers", probe.timers());
      if (wanted("flush"))
        put("flush", probe.flush());
    }
  }
  std::printf("%s\n", all.dump(1).c_str());
  std::fflush(stdout);
  return all.contains("error") ? 1 : 0;
}

} // namespace
} // namespace temper::engine

int main(int argc, char** argv) {
  return temper::engine::run(std::set<std::string>(argv + 1, argv + argc));
}
