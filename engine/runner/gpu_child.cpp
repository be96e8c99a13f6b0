#include "engine/runner/gpu_child.h"

#include "codegen/artifact_json.h"
#include "engine/protocol.h"
#include "engine/timing/clock.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace temper::engine {
namespace {

constexpr uint32_t kGpuFrame = 1;
constexpr size_t kLogBytes = 4000;

Json to_json(const CudaFault& fault) {
  return {{"outcome", to_string(fault.outcome)},
          {"sentence", fault.sentence},
          {"context_is_dead", fault.context_is_dead}};
}

Json fault_json(const std::optional<CudaFault>& fault) {
  return fault ? Json{{"fault", to_json(*fault)}} : Json::object();
}

Json times_json(const SessionTimes& times) {
  if (times.fault)
    return fault_json(times.fault);
  Measurement conditions;
  keep_conditions(times.conditions, conditions);
  return {{"disturbed", times.disturbed},
          {"samples_ns", times.samples_ns},
          {"calls_per_sample", times.calls_per_sample},
          {"slow_dropped", times.slow_dropped},
          {"hopeless", times.decision == Decision::kHopeless},
          {"conditions", conditions.counters}};
}

/// Everything that happens in the child. Nothing here returns to the runner's code.
class GpuProgram {
public:
  GpuProgram(const SessionPlan& plan, int socket, int log, pid_t runner)
      : plan_(plan), socket_(socket), log_(log), runner_(runner) {}

  [[noreturn]] void main() {
    set_up();
    Result<std::unique_ptr<GpuSession>> session = GpuSession::open(plan_);
    if (!session) {
      answer({{"error", session.error().message}});
      ::_exit(0);
    }
    session_ = std::move(*session);
    answer({{"ready", true},
            {"gpu", engine::to_json(session_->info())},
            {"timer", to_string(session_->timer())},
            {"why_timer", session_->why_timer()},
            {"why_no_clocks", session_->why_no_clocks()}});
    FrameReader reader(socket_);
    while (true) {
      Result<Frame> frame = reader.read();
      if (!frame)
        ::_exit(0); // the runner is gone, or has no more use for us
      const Result<Json> request = parse_json(frame->payload);
      const Result<Json> answered = guard_json("an order to the GPU", [&]() -> Result<Json> {
        if (!request)
          return request.error();
        return execute(*request, *frame);
      });
      answer(answered ? *answered : Json{{"error", answered.error().message}});
    }
  }

private:
  void set_up() {
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != runner_)
      ::_exit(1);
    ::prctl(PR_SET_NAME, "temper-gpu");
    if (const int null = ::open("/dev/null", O_RDONLY); null >= 0)
      ::dup2(null, STDIN_FILENO);
    ::dup2(log_, STDOUT_FILENO);
    ::dup2(log_, STDERR_FILENO);
    // The runner's socket among them: who reads from it must see its end with the runner's.
    std::array kept = {2, std::min(socket_, log_), std::max(socket_, log_)};
    for (size_t i = 0; i + 1 < kept.size(); ++i)
      if (kept[i] + 1 < kept[i + 1])
        ::syscall(SYS_close_range, kept[i] + 1, kept[i + 1] - 1, 0);
    ::syscall(SYS_close_range, kept.back() + 1, UINT_MAX, 0);
  }

  void answer(const Json& json) {
    if (!send_frame(socket_, kGpuFrame, json.dump(-1, ' ', false, Json::error_handler_t::replace)))
      ::_exit(0);
  }

  Result<Json> execute(const Json& request, const Frame& frame) {
    const auto order = request.at("order").get<std::string>();
    if (order == "anchors") {
      TEMPER_TRY(anchors, session_->anchors());
      return Json{{"compute_ns", anchors.compute_ns}, {"memory_ns", anchors.memory_ns}};
    }
    if (order == "refresh")
      return fault_json(session_->refresh());
    const int number = request.at("number").get<int>();
    if (order == "load") {
      TEMPER_TRY(artifact, codegen::artifact_from_json(request.at("artifact")));
      if (frame.descriptors.empty())
        return Error(ErrorCode::kCorrupt, "there is no machine code");
      TEMPER_TRY(code, read_memory_file(frame.descriptors.front().get()));
      artifact.code = std::move(code);
      return fault_json(session_->load(number, artifact));
    }
    if (order == "unload") {
      session_->unload(number);
      return Json::object();
    }
    if (order == "check")
      return fault_json(session_->check(number, request.at("set").get<size_t>()));
    if (order == "show")
      return fault_json(session_->show(number));
    const Regime regime =
        parse_regime(request.at("regime").get<std::string>()).value_or(Regime::kHot);
    if (order == "time")
      return times_json(session_->time(number, regime, stop_rule_from_json(request.at("rule")),
                                       request.at("best_ns").get<double>()));
    if (order == "calibrate")
      return times_json(session_->calibrate(number, regime, request.at("sample_ns").get<double>()));
    if (order == "turn")
      return times_json(session_->turn(number, regime, request.at("calls").get<int64_t>()));
    if (order == "repeat") {
      const SessionPairs pairs = session_->repeat(number);
      if (pairs.fault)
        return fault_json(pairs.fault);
      return Json{{"fresh_ns", pairs.fresh_ns}, {"repeated_ns", pairs.repeated_ns}};
    }
    if (order == "count") {
      TEMPER_TRY(metrics, metrics_of_sets(request.at("sets").get<std::vector<std::string>>()));
      TEMPER_TRY(counters, session_->count(number, regime, metrics));
      return Json{{"counters", counters}};
    }
    return Error(ErrorCode::kCorrupt, "an order that the GPU's process does not know: " + order);
  }

  const SessionPlan& plan_;
  int socket_;
  int log_;
  pid_t runner_;
  std::unique_ptr<GpuSession> session_;
};

} // namespace

Result<std::unique_ptr<GpuChild>> GpuChild::start(const SessionPlan& plan) {
  std::unique_ptr<GpuChild> child(new GpuChild());
  TEMPER_TRY(ends, make_socket_pair());
  TEMPER_TRY(log, make_memory_file("temper-gpu-log"));
  child->log_ = std::move(log);
  const pid_t runner = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0)
    return Error(ErrorCode::kEnvironment,
                 fmt::format("cannot fork a process for the GPU: {}", std::strerror(errno)));
  if (pid == 0) {
    GpuProgram program(plan, ends[1].get(), child->log_.get(), runner);
    program.main();
  }
  child->process_ = pid;
  child->pidfd_ = FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  child->socket_ = std::move(ends[0]);
  child->reader_ = std::make_unique<FrameReader>(child->socket_.get());
  return child;
}

GpuChild::~GpuChild() { end(); }

GpuChild::Answer GpuChild::ask(const Json& request, int file, int timeout_ms,
                               const Child::Interruption& interruption) {
  const std::array files = {file};
  // A process that is gone shows itself while it is waited for.
  (void)send_frame(socket_.get(), kGpuFrame, request.dump(),
                   std::span(files).first(file >= 0 ? 1 : 0));
  return await(timeout_ms, interruption);
}

GpuChild::Answer GpuChild::await(int timeout_ms, const Child::Interruption& interruption) {
  const double deadline = now_ns() + timeout_ms * 1e6;
  while (true) {
    Result<std::optional<Frame>> frame = reader_->try_read();
    if (frame && *frame) {
      Result<Json> json = parse_json((*frame)->payload);
      if (json)
        return {Child::Wait::kDone, std::move(*json), {}};
      return {Child::Wait::kDied, {}, "sent nonsense"};
    }
    if (!frame)
      return {Child::Wait::kDied, {}, describe_exit(end())};
    const double left_ms = (deadline - now_ns()) / 1e6;
    if (left_ms <= 0)
      return {Child::Wait::kTimedOut, {}, {}};
    pollfd waiting[2] = {{socket_.get(), POLLIN, 0}, {interruption.descriptor, POLLIN, 0}};
    const int ready = ::poll(waiting, interruption.descriptor >= 0 ? 2 : 1,
                             static_cast<int>(std::clamp(left_ms + 1, 0.0, 1e9)));
    if (ready > 0 && waiting[0].revents == 0 && waiting[1].revents != 0 && interruption.readable())
      return {Child::Wait::kCancelled, {}, {}};
  }
}

ExitStatus GpuChild::end() {
  if (ended_)
    return status_;
  ended_ = true;
  // One that has nothing to do leaves by itself, and one that has ended keeps its own status.
  constexpr int kLeavingMs = 100;
  ::shutdown(socket_.get(), SHUT_RDWR);
  pollfd gone{pidfd_.get(), POLLIN, 0};
  if (::poll(&gone, 1, kLeavingMs) <= 0) {
    ::kill(-process_, SIGKILL);
    ::kill(process_, SIGKILL);
  }
  int wait_status = 0;
  pid_t reaped;
  do
    reaped = ::waitpid(process_, &wait_status, 0);
  while (reaped < 0 && errno == EINTR);
  status_ = ExitStatus::from_wait(wait_status);
  return status_;
}

std::string GpuChild::log_tail() const { return read_tail(log_.get(), kLogBytes); }

} // namespace temper::engine
