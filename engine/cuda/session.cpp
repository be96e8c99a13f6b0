#include "engine/cuda/session.h"

#include "engine/poison.h"
#include "engine/timing/clock.h"
#include "engine/timing/repeated_calls.h"
#include "ir/support/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace temper::engine {
namespace {

// On both sides of an argument; a multiple of what allocations are aligned to.
constexpr int64_t kGuardBytes = 1024;
constexpr unsigned char kGuardPattern = 0xc5;

// A clock that rises from idle takes some milliseconds.
constexpr double kWarmUpNs = 5e6;
constexpr double kFirstWarmUpNs = 100e6;
constexpr int64_t kMostWarmUpCalls = 2000;

// NVML answers in a fraction of a millisecond, and its clock is a mean over some anyway.
constexpr double kReadingNs = 10e6;
// Samples taken at a clock below this share of the median one are left out.
constexpr double kSlowClock = 0.75;

// Inputs up to this size are looked at after a call: whoever writes to them is wrong.
constexpr int64_t kMostInputBytes = int64_t{64} << 20;

constexpr size_t kMostCopies = 8;
constexpr int kMostBrokenTraces = 3;

} // namespace

Result<std::unique_ptr<GpuSession>> GpuSession::open(const SessionPlan& plan) {
  std::unique_ptr<GpuSession> session(new GpuSession(plan));
  TEMPER_TRY_VOID(session->start());
  return session;
}

Result<void> GpuSession::start() {
  TEMPER_TRY(driver, CudaDriver::load());
  (void)driver; // CUPTI looks for it itself, and wants it initialised
  if (!plan_.counting) {
    // Before there is a context, or the first launches are missed.
    if (auto trace = start_activity_trace())
      trace_ = std::move(*trace);
    else
      why_timer_ = trace.error().message;
  }
  TEMPER_TRY(context, GpuContext::open(plan_.device));
  context_ = std::move(context);
  timer_ = trace_ ? trace_->attach(*context_) : make_event_timer(*context_);
  if (plan_.counting) {
    TEMPER_TRY(counters, open_counters(*context_));
    counters_ = std::move(counters);
  }
  if (auto nvml = Nvml::open(context_->info().bus_id))
    nvml_ = std::move(*nvml);
  else
    why_no_clocks_ = nvml.error().message;

  for (size_t set = 0; set < plan_.sets.size(); ++set) {
    TEMPER_TRY(pristine, make_set());
    pristine_.push_back(std::move(pristine));
    TEMPER_TRY_VOID(upload(set));
    TEMPER_TRY(working, make_set());
    working_.push_back(std::move(working));
  }
  return {};
}

Result<void> GpuSession::upload(size_t set) {
  for (size_t i = 0; i < plan_.signature.size(); ++i) {
    const codegen::ArgumentSpec& spec = plan_.signature[i];
    if (!spec.is_buffer || (spec.is_output && !plan_.starts_filled[i]))
      continue;
    const std::span<std::byte> host = plan_.sets[set].arguments[i];
    if (const CudaResult code = context_->driver().to_device(pristine_[set].arguments[i].address,
                                                             host.data(), host.size());
        code != 0)
      return Error(ErrorCode::kEnvironment,
                   "the arguments do not get onto the GPU: " + context_->driver().words_of(code));
  }
  return {};
}

Result<GpuSession::Placed> GpuSession::place(int64_t bytes) {
  Placed placed;
  TEMPER_TRY(memory, DeviceMemory::allocate(context_->driver(), bytes + 2 * kGuardBytes));
  placed.memory = std::move(memory);
  placed.address = placed.memory.address() + kGuardBytes;
  placed.bytes = bytes;
  TEMPER_TRY_VOID(fill_guards(placed));
  return placed;
}

Result<void> GpuSession::fill_guards(const Placed& placed) {
  const CudaDriver& driver = context_->driver();
  CudaResult code =
      driver.fill(placed.memory.address(), kGuardPattern, kGuardBytes, context_->stream());
  if (code == 0)
    code = driver.fill(placed.address + static_cast<uint64_t>(placed.bytes), kGuardPattern,
                       kGuardBytes, context_->stream());
  if (code != 0)
    return Error(ErrorCode::kEnvironment,
                 "the GPU's memory cannot be written: " + driver.words_of(code));
  return {};
}

Result<GpuSession::DeviceSet> GpuSession::make_set() {
  DeviceSet set;
  for (const codegen::ArgumentSpec& spec : plan_.signature) {
    set.arguments.emplace_back();
    if (!spec.is_buffer)
      continue;
    Result<Placed> placed = place(spec.byte_count());
    if (!placed)
      return Error(ErrorCode::kEnvironment,
                   fmt::format("argument {} does not fit into the memory of {} ({} MiB, of which "
                               "other processes may hold some); take a smaller shape: {}",
                               spec.name, info().name, info().memory_bytes >> 20,
                               placed.error().message));
    set.arguments.back() = std::move(*placed);
  }
  return set;
}

GpuSession::Loaded* GpuSession::find(int number) {
  const auto at = kernels_.find(number);
  return at == kernels_.end() ? nullptr : &at->second;
}

CudaFault GpuSession::unknown(int number) const {
  return {Outcome::kRejected, fmt::format("there is no kernel {} on the GPU", number), false};
}

std::optional<CudaFault> GpuSession::load(int number, const codegen::Artifact& artifact) {
  CudaFault fault;
  if (artifact.kind != codegen::ArtifactKind::kCubin)
    return CudaFault{Outcome::kRejected, "this is code for a CPU, not for a GPU", false};
  if (!artifact.packs.empty())
    return CudaFault{Outcome::kRejected, "operands of GPU code cannot be packed ahead", false};
  Loaded loaded;
  loaded.kernel = GpuKernel::load(*context_, artifact, fault);
  if (!loaded.kernel)
    return fault;
  if (auto failed = prepare_calls(loaded))
    return failed;
  kernels_.insert_or_assign(number, std::move(loaded));
  return std::nullopt;
}

std::optional<CudaFault> GpuSession::prepare_calls(Loaded& loaded) {
  const auto prepare = [&](const DeviceSet& on, size_t set) -> std::optional<CudaFault> {
    std::vector<KernelParameter> parameters;
    for (size_t i = 0; i < plan_.signature.size(); ++i)
      parameters.push_back(
          plan_.signature[i].is_buffer
              ? buffer_parameter(on.arguments[i].address)
              : scalar_parameter(plan_.signature[i], plan_.sets[set].arguments[i]));
    CudaFault fault;
    auto call = loaded.kernel->prepare(parameters, fault);
    if (!call)
      return fault;
    loaded.calls.push_back(std::move(call));
    return std::nullopt;
  };
  loaded.calls.clear();
  for (size_t set = 0; set < working_.size(); ++set)
    if (auto failed = prepare(working_[set], set))
      return failed;
  for (const DeviceSet& copy : copies_)
    if (auto failed = prepare(copy, 0))
      return failed;
  return std::nullopt;
}

CudaResult GpuSession::restore(const DeviceSet& to, size_t set) {
  const CudaDriver& driver = context_->driver();
  CudaResult code = 0;
  for (size_t i = 0; i < plan_.signature.size() && code == 0; ++i) {
    const codegen::ArgumentSpec& spec = plan_.signature[i];
    if (!spec.is_buffer)
      continue;
    const Placed& argument = to.arguments[i];
    const auto bytes = static_cast<size_t>(argument.bytes);
    if (spec.is_output && !plan_.starts_filled[i])
      code = driver.fill(argument.address, poison_of(spec.dtype), bytes, context_->stream());
    else
      code = driver.copy(argument.address, pristine_[set].arguments[i].address, bytes,
                         context_->stream());
  }
  return code;
}

std::optional<CudaFault> GpuSession::guards_of(const DeviceSet& set) {
  std::vector<std::byte> guard(kGuardBytes);
  const auto touched = [](std::byte byte) { return byte != std::byte{kGuardPattern}; };
  for (size_t i = 0; i < plan_.signature.size(); ++i) {
    if (!plan_.signature[i].is_buffer)
      continue;
    const Placed& argument = set.arguments[i];
    for (const bool after : {false, true}) {
      const DevicePointer at = after ? argument.address + static_cast<uint64_t>(argument.bytes)
                                     : argument.memory.address();
      if (const CudaResult code = context_->driver().to_host(guard.data(), at, guard.size());
          code != 0)
        return fault_of(context_->driver(), code, "reading what lies beside the arguments");
      if (std::none_of(guard.begin(), guard.end(), touched))
        continue;
      // The next candidate is not to be blamed for it.
      if (const Result<void> again = fill_guards(argument); !again)
        return CudaFault{Outcome::kCrashed, again.error().message, true};
      return CudaFault{Outcome::kCrashed,
                       fmt::format("wrote out of bounds: {} argument {}",
                                   after ? "past the end of" : "before the start of",
                                   plan_.signature[i].name),
                       false};
    }
  }
  return std::nullopt;
}

std::optional<CudaFault> GpuSession::download(size_t set) {
  for (size_t i = 0; i < plan_.signature.size(); ++i) {
    if (!plan_.signature[i].is_output || !plan_.signature[i].is_buffer)
      continue;
    const std::span<std::byte> host = plan_.sets[set].arguments[i];
    if (const CudaResult code = context_->driver().to_host(
            host.data(), working_[set].arguments[i].address, host.size());
        code != 0)
      return fault_of(context_->driver(), code, "reading its results");
  }
  return std::nullopt;
}

std::optional<CudaFault> GpuSession::check(int number, size_t set) {
  Loaded* loaded = find(number);
  if (loaded == nullptr)
    return unknown(number);
  CudaResult code = restore(working_[set], set);
  if (code == 0)
    code = context_->driver().synchronize(context_->stream());
  if (code != 0)
    return fault_of(context_->driver(), code, "filling its arguments");
  if (code = loaded->calls[set]->launch(); code != 0)
    return fault_of(context_->driver(), code, "starting the kernel");
  if (code = context_->driver().synchronize(context_->stream()); code != 0)
    return fault_of(context_->driver(), code, "running the kernel");
  if (auto beside = guards_of(working_[set]))
    return beside;
  if (auto changed = inputs_of(set))
    return changed;
  return download(set);
}

std::optional<CudaFault> GpuSession::inputs_of(size_t set) {
  int64_t bytes = 0;
  for (const codegen::ArgumentSpec& spec : plan_.signature)
    bytes += spec.is_buffer && !spec.is_output ? spec.byte_count() : 0;
  if (set != 0 || bytes > kMostInputBytes)
    return std::nullopt;
  std::vector<std::byte> now;
  for (size_t i = 0; i < plan_.signature.size(); ++i) {
    const codegen::ArgumentSpec& spec = plan_.signature[i];
    if (!spec.is_buffer || spec.is_output)
      continue;
    const std::span<std::byte> host = plan_.sets[set].arguments[i];
    now.resize(host.size());
    if (const CudaResult code =
            context_->driver().to_host(now.data(), working_[set].arguments[i].address, now.size());
        code != 0)
      return fault_of(context_->driver(), code, "reading its arguments");
    const auto differs = std::mismatch(now.begin(), now.end(), host.begin()).first;
    if (differs != now.end())
      return CudaFault{
          Outcome::kCrashed,
          fmt::format("wrote to its input {} (at element {})", spec.name,
                      (differs - now.begin()) / std::max(spec.dtype.element_bytes(), 1)),
          false};
  }
  return std::nullopt;
}

std::optional<CudaFault> GpuSession::refresh() {
  for (size_t set = 0; set < plan_.sets.size(); ++set)
    if (const Result<void> filled = upload(set); !filled)
      return CudaFault{Outcome::kDisturbed, filled.error().message, true};
  return std::nullopt;
}

std::optional<CudaFault> GpuSession::show(int number) {
  if (find(number) == nullptr)
    return unknown(number);
  if (auto beside = guards_of(working_.front()))
    return beside;
  return download(0);
}

Result<void> GpuSession::make_copies() {
  if (flushed_.size() == 0) {
    TEMPER_TRY(memory, DeviceMemory::allocate(context_->driver(), 2 * info().l2_bytes));
    flushed_ = std::move(memory);
  }
  int64_t footprint = 1;
  for (const codegen::ArgumentSpec& spec : plan_.signature)
    footprint += spec.is_buffer ? spec.byte_count() : 0;
  const auto wanted = static_cast<size_t>((2 * info().l2_bytes + footprint - 1) / footprint);
  bool more = false;
  while (copies_.size() < std::min(wanted, kMostCopies)) {
    size_t free = 0;
    size_t total = 0;
    if (context_->driver().memory_info(&free, &total) != 0 ||
        static_cast<int64_t>(free) < 2 * footprint)
      break; // the flush alone has to do
    Result<DeviceSet> copy = make_set();
    if (!copy)
      break;
    copies_.push_back(std::move(*copy));
    more = true;
  }
  if (more)
    for (auto& [number, loaded] : kernels_)
      if (auto failed = prepare_calls(loaded))
        return Error(ErrorCode::kEnvironment, failed->sentence);
  return {};
}

CudaResult GpuSession::flush() {
  return context_->driver().fill(flushed_.address(), 0, static_cast<size_t>(flushed_.size()),
                                 context_->stream());
}

TimedCalls GpuSession::timed(Loaded& loaded, Regime regime, int64_t count) {
  TimedCalls calls;
  calls.count = count;
  calls.kernels = loaded.kernel->names();
  calls.rotation.push_back(loaded.calls.front().get());
  if (regime == Regime::kCold) {
    for (size_t copy = 0; copy < copies_.size(); ++copy)
      calls.rotation.push_back(loaded.calls[working_.size() + copy].get());
    // The last call is the first set's, whose results are looked at.
    std::rotate(
        calls.rotation.begin(),
        calls.rotation.begin() +
            static_cast<std::ptrdiff_t>(
                (calls.rotation.size() - static_cast<size_t>(count - 1) % calls.rotation.size()) %
                calls.rotation.size()),
        calls.rotation.end());
    calls.before_each = [this] { return flush(); };
  }
  return calls;
}

void GpuSession::begin_conditions() {
  readings_.clear();
  last_reading_ns_ = 0;
}

void GpuSession::read_clocks() {
  if (!nvml_ || now_ns() - last_reading_ns_ < kReadingNs)
    return;
  last_reading_ns_ = now_ns();
  if (const auto reading = nvml_->read())
    readings_.push_back(*reading);
}

GpuConditions GpuSession::end_conditions(int broken) const {
  GpuConditions conditions;
  conditions.timer = timer_->kind();
  conditions.broken_traces = broken;
  conditions.readings = static_cast<int>(readings_.size());
  if (readings_.empty())
    return conditions;
  std::vector<double> sm;
  std::vector<double> memory;
  for (const GpuReading& reading : readings_) {
    sm.push_back(reading.sm_clock_mhz);
    memory.push_back(reading.memory_clock_mhz);
    conditions.power_w = std::max(conditions.power_w, reading.power_w);
    conditions.temperature_c = std::max(conditions.temperature_c, reading.temperature_c);
    conditions.slowdowns |= reading.slowdowns;
  }
  conditions.sm_clock_mhz = median(sm);
  conditions.memory_clock_mhz = median(memory);
  return conditions;
}

SessionTimes GpuSession::sample(Loaded& loaded, Regime regime, int64_t count,
                                GpuConditions& conditions) {
  SessionTimes times;
  while (true) {
    CallTimes taken = timer_->time(timed(loaded, regime, count));
    if (taken.code != 0) {
      times.fault = fault_of(context_->driver(), taken.code, "timing the kernel");
      return times;
    }
    if (taken.broken.empty()) {
      timer_is_proved_ = true;
      times.samples_ns = std::move(taken.ns);
      times.calls_per_sample = taken.per_sample;
      return times;
    }
    ++conditions.broken_traces;
    if (!timer_is_proved_ && timer_->kind() == GpuTimer::kActivity &&
        conditions.broken_traces >= 2) {
      // CUPTI has never given a time here: the rung below.
      why_timer_ = "kernels are timed by events: " + taken.broken;
      timer_ = make_event_timer(*context_);
      continue;
    }
    if (conditions.broken_traces > kMostBrokenTraces) {
      times.disturbed = taken.broken;
      return times;
    }
  }
}

SessionTimes GpuSession::time(int number, Regime regime, const StopRule& rule, double best_ns) {
  SessionTimes result;
  Loaded* loaded = find(number);
  const auto failed = [&](CudaFault fault) {
    result.fault = std::move(fault);
    return result;
  };
  if (loaded == nullptr)
    return failed(unknown(number));
  if (regime == Regime::kCold)
    if (const Result<void> made = make_copies(); !made)
      return failed({Outcome::kOutOfMemory, made.error().message, false});
  CudaResult code = restore(working_.front(), 0);
  for (size_t copy = 0; copy < copies_.size() && code == 0; ++copy)
    code = restore(copies_[copy], 0);
  if (code != 0)
    return failed(fault_of(context_->driver(), code, "filling its arguments"));

  begin_conditions();
  GpuConditions broken;
  const bool first = !timer_is_proved_;
  // Also the warm-up of instruction caches and of lazily loaded code.
  SessionTimes one = sample(*loaded, regime, 1, broken);
  if (one.fault || !one.disturbed.empty())
    return one;
  one = sample(*loaded, regime, 1, broken);
  if (one.fault || !one.disturbed.empty())
    return one;
  double call_ns = one.samples_ns.front();
  if (is_hopeless(rule, call_ns, 2, best_ns)) {
    read_clocks();
    result.samples_ns = one.samples_ns;
    result.decision = Decision::kHopeless;
    result.conditions = end_conditions(broken.broken_traces);
    return result;
  }
  const double warm_up_ns = first ? kFirstWarmUpNs : kWarmUpNs;
  const auto warm_up_calls = std::min<int64_t>(
      kMostWarmUpCalls, static_cast<int64_t>(warm_up_ns / std::max(call_ns, 1.0)));
  for (int64_t i = 0; i < warm_up_calls && code == 0; ++i)
    code = loaded->calls.front()->launch();
  if (code == 0)
    code = context_->driver().synchronize(context_->stream());
  if (code != 0)
    return failed(fault_of(context_->driver(), code, "warming up"));

  std::vector<double> clocks; // of each sample: the last reading before it
  double spent_ns = 0;
  while (true) {
    const int64_t count = timer_->calls_for(call_ns, regime == Regime::kCold);
    const double begin = now_ns();
    SessionTimes batch = sample(*loaded, regime, count, broken);
    if (batch.fault || !batch.disturbed.empty())
      return batch;
    if (result.samples_ns.empty() || batch.calls_per_sample != result.calls_per_sample) {
      result.samples_ns.clear(); // another timer took over
      clocks.clear();
    }
    result.calls_per_sample = batch.calls_per_sample;
    read_clocks();
    result.samples_ns.insert(result.samples_ns.end(), batch.samples_ns.begin(),
                             batch.samples_ns.end());
    clocks.resize(result.samples_ns.size(), readings_.empty() ? 0 : readings_.back().sm_clock_mhz);
    call_ns = median(result.samples_ns);
    spent_ns += now_ns() - begin;
    result.decision = decide(rule, result.samples_ns, result.calls_per_sample, best_ns, spent_ns);
    if (result.decision != Decision::kContinue)
      break;
  }
  result.conditions = end_conditions(broken.broken_traces);
  // Nobody's clock stands still, but at three quarters of it something else was going on.
  std::vector<double> kept;
  for (size_t i = 0; i < result.samples_ns.size(); ++i)
    if (clocks[i] >= kSlowClock * result.conditions.sm_clock_mhz)
      kept.push_back(result.samples_ns[i]);
  result.slow_dropped = static_cast<int>(result.samples_ns.size() - kept.size());
  result.samples_ns = std::move(kept);
  if (auto shown = show(number))
    return failed(std::move(*shown));
  return result;
}

SessionTimes GpuSession::calibrate(int number, Regime regime, double sample_ns) {
  StopRule rule;
  rule.hopeless_factor = 0;
  rule.max_seconds = 0.02;
  rule.min_samples = 1;
  SessionTimes times = time(number, regime, rule, 0);
  if (times.fault || !times.disturbed.empty() || times.samples_ns.empty())
    return times;
  const double call_ns = median(times.samples_ns);
  constexpr int64_t kMostCallsOfATurn = 400;
  times.calls_per_sample = std::clamp<int64_t>(
      static_cast<int64_t>(sample_ns / std::max(call_ns, 1.0)), 1, kMostCallsOfATurn);
  return times;
}

SessionTimes GpuSession::turn(int number, Regime regime, int64_t calls) {
  SessionTimes result;
  Loaded* loaded = find(number);
  if (loaded == nullptr) {
    result.fault = unknown(number);
    return result;
  }
  begin_conditions();
  GpuConditions broken;
  // What the one before left in the caches is not this one's.
  CudaResult code = restore(working_.front(), 0);
  for (int64_t i = 0; i < std::max<int64_t>(1, calls / 4) && code == 0; ++i)
    code = loaded->calls.front()->launch();
  if (code != 0) {
    result.fault = fault_of(context_->driver(), code, "warming up");
    return result;
  }
  result = sample(*loaded, regime, calls, broken);
  read_clocks();
  result.conditions = end_conditions(broken.broken_traces);
  if (!result.samples_ns.empty()) {
    // One number for a turn, as on CPUs: the mean of its calls.
    double sum = 0;
    for (const double ns : result.samples_ns)
      sum += ns;
    result.samples_ns = {sum / static_cast<double>(result.samples_ns.size())};
    result.calls_per_sample = calls;
  }
  return result;
}

template <typename Act> CudaResult GpuSession::each_output(const Act& act) const {
  uint64_t at = 0;
  for (size_t i = 0; i < plan_.signature.size(); ++i) {
    if (!plan_.signature[i].is_output)
      continue;
    if (const CudaResult code = act(i, at); code != 0)
      return code;
    at += static_cast<uint64_t>(plan_.signature[i].byte_count());
  }
  return 0;
}

int64_t GpuSession::output_bytes() const {
  int64_t bytes = 0;
  (void)each_output([&](size_t i, uint64_t) {
    bytes += plan_.signature[i].byte_count();
    return CudaResult{0};
  });
  return bytes;
}

SessionPairs GpuSession::repeat(int number) {
  SessionPairs pairs;
  Loaded* loaded = find(number);
  if (loaded == nullptr) {
    pairs.fault = unknown(number);
    return pairs;
  }
  const CudaDriver& driver = context_->driver();
  const int64_t bytes = output_bytes();
  const bool starts_filled = std::find(plan_.starts_filled.begin(), plan_.starts_filled.end(),
                                       true) != plan_.starts_filled.end();
  size_t free = 0;
  size_t total = 0;
  const bool room = bytes > 0 && driver.memory_info(&free, &total) == 0 &&
                    4 * bytes <= static_cast<int64_t>(free);
  Result<DeviceMemory> kept = Error(ErrorCode::kUnsupported, "");
  if (room && !starts_filled)
    kept = DeviceMemory::allocate(driver, 2 * bytes);
  if (kept) {
    const DevicePointer poison = kept->address() + static_cast<uint64_t>(bytes);
    const CudaResult code = each_output([&](size_t i, uint64_t at) {
      const Placed& output = working_.front().arguments[i];
      const auto size = static_cast<size_t>(output.bytes);
      const CudaResult copied =
          driver.copy(kept->address() + at, output.address, size, context_->stream());
      return copied != 0 ? copied
                         : driver.fill(poison + at, poison_of(plan_.signature[i].dtype), size,
                                       context_->stream());
    });
    if (code != 0)
      pairs.fault = fault_of(driver, code, "keeping its outputs");
    while (!pairs.fault && wants_another_pair(pairs.fresh_ns, pairs.repeated_ns)) {
      const size_t before = pairs.fresh_ns.size();
      pairs.fault = time_pair(*loaded, *kept, pairs);
      if (pairs.fresh_ns.size() == before)
        break;
    }
  }
  if (!pairs.fault)
    pairs.fault = show(number);
  return pairs;
}

std::optional<CudaFault> GpuSession::time_pair(Loaded& loaded, const DeviceMemory& kept,
                                               SessionPairs& pairs) {
  const CudaDriver& driver = context_->driver();
  const auto bytes = static_cast<uint64_t>(output_bytes());
  const auto put = [&](DevicePointer from) {
    return each_output([&](size_t i, uint64_t at) {
      const Placed& output = working_.front().arguments[i];
      return driver.copy(output.address, from + at, static_cast<size_t>(output.bytes),
                         context_->stream());
    });
  };
  bool fresh = true;
  TimedCalls calls;
  calls.count = 2;
  calls.kernels = loaded.kernel->names();
  calls.rotation.push_back(loaded.calls.front().get());
  // Written twice, from both, before either: only what was written last tells the two apart.
  calls.before_each = [&] {
    fresh = !fresh;
    const DevicePointer right = kept.address();
    const DevicePointer poison = kept.address() + bytes;
    CudaResult code = put(fresh ? right : poison);
    if (code == 0)
      code = put(fresh ? poison : right);
    return code;
  };
  const CallTimes taken = timer_->time(calls);
  if (taken.code != 0)
    return fault_of(driver, taken.code, "timing the kernel");
  if (taken.broken.empty() && taken.ns.size() == 2) {
    pairs.repeated_ns.push_back(taken.ns[0]);
    pairs.fresh_ns.push_back(taken.ns[1]);
  }
  return std::nullopt;
}

Result<std::map<std::string, double>> GpuSession::count(int number, Regime regime,
                                                        const std::vector<std::string>& metrics) {
  Loaded* loaded = find(number);
  if (loaded == nullptr || !counters_)
    return Error(ErrorCode::kInvalidArgument, unknown(number).sentence);
  if (regime == Regime::kCold)
    TEMPER_TRY_VOID(make_copies());
  const auto before = [&]() -> CudaResult {
    CudaResult code = restore(working_.front(), 0);
    // Hot: once outside of the range, so that its data is where a row of calls would leave it.
    if (code == 0)
      code = regime == Regime::kCold ? flush() : loaded->calls.front()->launch();
    return code == 0 ? context_->driver().synchronize(context_->stream()) : code;
  };
  return counters_->count(metrics, before, [&] { return loaded->calls.front()->launch(); });
}

Result<GpuSession::Anchors> GpuSession::anchors() {
  constexpr int kFills = 50;
  constexpr int64_t kCached = int64_t{4} << 20;
  constexpr int64_t kStreamed = int64_t{512} << 20;
  const CudaDriver& driver = context_->driver();
  const auto time_fill = [&](int64_t bytes, int fills) -> Result<double> {
    TEMPER_TRY(memory, DeviceMemory::allocate(driver, bytes));
    void* events[2] = {};
    CudaResult code = driver.event_create(&events[0], 0);
    if (code == 0)
      code = driver.event_create(&events[1], 0);
    std::vector<double> taken;
    for (int round = 0; round < 6 && code == 0; ++round) {
      code = driver.event_record(events[0], context_->stream());
      for (int i = 0; i < fills && code == 0; ++i)
        code = driver.fill(memory.address(), static_cast<unsigned char>(i),
                           static_cast<size_t>(bytes), context_->stream());
      if (code == 0)
        code = driver.event_record(events[1], context_->stream());
      if (code == 0)
        code = driver.synchronize(context_->stream());
      float milliseconds = 0;
      if (code == 0)
        code = driver.event_elapsed(&milliseconds, events[0], events[1]);
      taken.push_back(milliseconds * 1e6);
    }
    for (void* event : events)
      if (event != nullptr)
        driver.event_destroy(event);
    if (code != 0)
      return Error(ErrorCode::kEnvironment, "the GPU does no fixed work: " + driver.words_of(code));
    return *std::min_element(taken.begin() + 1, taken.end()); // the first warms up
  };
  Anchors anchors;
  TEMPER_TRY(compute, time_fill(kCached, kFills));
  anchors.compute_ns = compute;
  TEMPER_TRY(memory, time_fill(std::min(kStreamed, info().memory_bytes / 8), 2));
  anchors.memory_ns = memory;
  return anchors;
}

} // namespace temper::engine
