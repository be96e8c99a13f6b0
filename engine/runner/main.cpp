/// temper-runner: runs kernels, each in a child of its own, and says what came of them. Started by
/// LocalMeasurer with a socket as descriptor 3; not for use by hand.
#include "engine/anchor.h"
#include "engine/protocol.h"
#include "engine/runner/gpu_trial.h"
#include "engine/runner/sandbox.h"
#include "engine/runner/trial.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <optional>
#include <set>
#include <unordered_map>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace temper::engine {
namespace {

class Runner {
public:
  /// `gpu`: kernels run there; references run on the processor all the same.
  Runner(RunnerSettings settings, std::string lock_path, std::optional<GpuSettings> gpu)
      : settings_(settings), lock_path_(std::move(lock_path)), reader_(kHelperSocket) {
    if (gpu)
      gpu_.emplace(std::move(*gpu));
    interruption_.descriptor = kHelperSocket;
    interruption_.readable = [this] { return pump(); };
  }

  int main() {
    while (!closed_) {
      if (queue_.empty()) {
        Result<Frame> frame = reader_.read();
        if (!frame)
          return 0; // the measurer is gone
        accept(std::move(*frame));
        continue;
      }
      Frame frame = std::move(queue_.front());
      queue_.pop_front();
      handle(frame);
      if (!gpu_) // its process is ours, and no candidate starts others
        reap_strays();
    }
    return 0;
  }

private:
  /// Reads what has arrived while a trial runs; true when the trial is to be given up.
  bool pump() {
    while (true) {
      Result<std::optional<Frame>> frame = reader_.try_read();
      if (!frame) {
        closed_ = true;
        return true;
      }
      if (!*frame)
        return cancelled_.contains(running_);
      accept(std::move(**frame));
    }
  }

  void accept(Frame frame) {
    if (static_cast<Message>(frame.kind) != Message::kCancel) {
      queue_.push_back(std::move(frame));
      return;
    }
    if (const Result<Json> json = parse_json(frame.payload))
      cancelled_.insert(json->at("ticket").get<Ticket>());
  }

  void send(Message kind, const Json& json) {
    if (!send_frame(kHelperSocket, static_cast<uint32_t>(kind),
                    json.dump(-1, ' ', false, Json::error_handler_t::replace)))
      closed_ = true;
  }
  void send_error(const std::string& message) { send(Message::kError, {{"message", message}}); }

  void handle(const Frame& frame) {
    const Result<Json> json = parse_json(frame.payload);
    if (!json)
      return send_error(json.error().message);
    const Result<void> done = guard_json("a request", [&]() -> Result<void> {
      switch (static_cast<Message>(frame.kind)) {
      case Message::kAddWorkload:
        add_workload(*json, frame);
        return {};
      case Message::kDropWorkload:
        drop_workload(json->at("id").get<WorkloadId>());
        return {};
      case Message::kMeasure:
        measure(*json, frame);
        return {};
      case Message::kCompare:
        compare_in_turns(*json, frame);
        return {};
      case Message::kDeviceState:
        device_state(*json);
        return {};
      case Message::kNoise:
        noise(*json);
        return {};
      case Message::kReferenceValues:
        return reference_values(*json);
      default:
        return Error(ErrorCode::kCorrupt, "a message that the runner does not know");
      }
    });
    if (!done)
      send_error(done.error().message);
  }

  /// One measurement at a time on this host, whichever temper wants it.
  class DeviceLock {
  public:
    explicit DeviceLock(const std::string& path)
        : file_(path.empty() ? -1 : ::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
      // Creating comes second: the system forbids O_CREAT on a file of somebody else's in /tmp.
      if (!file_ && !path.empty()) {
        file_ = FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
        if (file_)
          ::fchmod(file_.get(), 0666);
      }
      if (file_ && ::flock(file_.get(), LOCK_EX | LOCK_NB) != 0)
        wait();
    }
    ~DeviceLock() {
      if (file_) // explicitly: a stray child may hold a copy of the descriptor
        ::flock(file_.get(), LOCK_UN);
    }

  private:
    /// Says so once a process when it takes long: who measures may do so for minutes. An alarm and
    /// no thread, as the runner forks.
    void wait() {
      static bool told = false;
      struct sigaction remark {};
      remark.sa_handler = [](int) {};
      if (!told) {
        ::sigaction(SIGALRM, &remark, nullptr);
        ::alarm(kSilentWaitSeconds);
      }
      while (::flock(file_.get(), LOCK_EX) != 0 && errno == EINTR)
        if (!told) {
          told = true;
          fmt::print(stderr, "temper: another temper measures on this machine; waiting for it\n");
        }
      ::alarm(0);
    }

    static constexpr unsigned kSilentWaitSeconds = 3;
    FileDescriptor file_;
  };

  void drop_workload(WorkloadId id) {
    if (gpu_)
      gpu_->forget(id);
    workloads_.erase(id);
  }

  void add_workload(const Json& json, const Frame& frame) {
    const auto id = json.at("id").get<WorkloadId>();
    if (gpu_)
      gpu_->forget(id);
    Result<WorkloadSpec> spec = workload_from_json(json.at("spec"));
    if (!spec)
      return send_error(spec.error().message);
    std::optional<codegen::Artifact> reference;
    if (json.contains("reference")) {
      Result<codegen::Artifact> artifact = artifact_from_json(json.at("reference"));
      if (!artifact)
        return send_error(artifact.error().message);
      reference = std::move(*artifact);
    }
    const DeviceLock lock(lock_path_);
    Result<PreparedWorkload> workload =
        prepare_workload(std::move(*spec), reference ? &*reference : nullptr, file_of(frame, 0),
                         settings_, interruption_);
    if (!workload)
      return send_error(workload.error().message);
    workloads_.insert_or_assign(id, std::move(*workload));
    send(Message::kWorkloadReady, {{"id", id}, {"protocol", kProtocol}});
  }

  static int file_of(const Frame& frame, int index) {
    return index >= 0 && static_cast<size_t>(index) < frame.descriptors.size()
               ? frame.descriptors[static_cast<size_t>(index)].get()
               : -1;
  }

  /// The parts of a request that trials and contenders share.
  static TrialRequest trial_of(const Json& json, const codegen::Artifact& artifact, int code) {
    TrialRequest request;
    request.artifact = &artifact;
    request.code_file = code;
    request.extra_scalars = json.at("extra_scalars").get<std::vector<int64_t>>();
    request.regime = parse_regime(json.at("regime").get<std::string>()).value_or(Regime::kHot);
    request.threads = json.at("threads").get<int>();
    if (request.threads <= 0)
      request.threads = artifact.launch.threads;
    request.timeout_ms = json.at("timeout_ms").get<int>();
    request.memory_limit_bytes = json.at("memory_limit_bytes").get<int64_t>();
    request.check = json.at("check").get<bool>();
    return request;
  }

  void measure(const Json& json, const Frame& frame) {
    const auto ticket = json.at("ticket").get<Ticket>();
    if (cancelled_.erase(ticket) > 0)
      return;
    const auto workload = workloads_.find(json.at("workload").get<WorkloadId>());
    const Result<codegen::Artifact> artifact = artifact_from_json(json.at("artifact"));
    Measurement refused;
    refused.stage = "runner";
    if (workload == workloads_.end())
      refused.error = "its workload is not known to the runner";
    else if (!artifact)
      refused.error = artifact.error().message;
    if (!refused.error.empty())
      return send(Message::kMeasured, {{"ticket", ticket}, {"measurement", to_json(refused)}});
    TrialRequest request = trial_of(json, *artifact, file_of(frame, 0));
    request.best_ns = json.at("best_ns").get<double>();
    request.rule = stop_rule_from_json(json.at("rule"));
    request.counters = json.at("counters").get<bool>();
    request.metric_sets = json.at("metric_sets").get<std::vector<std::string>>();
    const DeviceLock lock(lock_path_);
    send(Message::kStarted, {{"ticket", ticket}});
    running_ = ticket;
    std::optional<Measurement> measurement =
        gpu_ ? gpu_->run_trial(workload->first, workload->second, request, interruption_)
             : run_trial(workload->second, request, settings_, interruption_);
    running_ = 0;
    if (cancelled_.erase(ticket) > 0 || !measurement)
      return;
    send(Message::kMeasured, {{"ticket", ticket}, {"measurement", to_json(*measurement)}});
  }

  void compare_in_turns(const Json& json, const Frame& frame) {
    const auto workload = workloads_.find(json.at("workload").get<WorkloadId>());
    if (workload == workloads_.end())
      return send_error("the workload of a comparison is not known to the runner");
    std::deque<codegen::Artifact> artifacts;
    TurnsRequest request;
    for (const Json& contender : json.at("contenders")) {
      Result<codegen::Artifact> artifact = artifact_from_json(contender.at("artifact"));
      if (!artifact)
        return send_error(artifact.error().message);
      artifacts.push_back(std::move(*artifact));
      request.contenders.push_back(
          trial_of(contender, artifacts.back(), file_of(frame, contender.at("file").get<int>())));
    }
    request.rounds = json.at("rounds").get<int>();
    request.first_round = json.at("first_round").get<int>();
    request.max_seconds = json.at("max_seconds").get<double>();
    request.sample_ns = json.at("sample_ns").get<double>();
    const DeviceLock lock(lock_path_);
    const std::optional<TurnsResult> result =
        gpu_ ? gpu_->run_turns(workload->first, workload->second, request, interruption_)
             : run_turns(workload->second, request, settings_, interruption_);
    if (!result)
      return send_error("the comparison was cancelled");
    Json measurements = Json::array();
    for (const Measurement& measurement : result->measurements)
      measurements.push_back(to_json(measurement));
    send(Message::kCompared, {{"rounds", result->rounds}, {"contenders", measurements}});
  }

  /// Runs `body` in a child and hands its JSON back: probes start threads, and the runner must
  /// stay single-threaded to fork safely.
  template <typename Body> Result<Json> in_child(const Body& body) {
    TEMPER_TRY(file, make_memory_file("temper-probe"));
    const pid_t runner = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0)
      return Error(ErrorCode::kEnvironment, "cannot fork a probe");
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != runner)
        ::_exit(1);
      ::setsid();
      raise_priority(); // as a trial has it
      const std::string text = body().dump();
      ::_exit(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())
                  ? 0
                  : 1);
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (status != 0)
      return Error(ErrorCode::kEnvironment,
                   "a probe of the machine " + describe_exit(ExitStatus::from_wait(status)));
    TEMPER_TRY(text, read_memory_file(file.get()));
    return parse_json(text);
  }

  void device_state(const Json& json) {
    const int threads = json.at("threads").get<int>();
    const DeviceLock lock(lock_path_);
    if (gpu_) {
      Result<Json> anchors = gpu_->device_state(interruption_);
      if (!anchors)
        return send_error(anchors.error().message);
      if (json.value("describe", false)) {
        Result<Json> description = gpu_->describe(interruption_);
        if (!description)
          return send_error(description.error().message);
        anchors->update(*description);
      }
      (*anchors)["side_by_side"] = 0;
      (*anchors)["steal_ms"] = steal_ms();
      return send(Message::kDeviceState, *anchors);
    }
    const Result<Json> state = in_child([&] {
      return Json{{"compute_ns", time_anchor_compute()},
                  {"memory_ns", time_anchor_memory()},
                  {"side_by_side", probe_side_by_side(threads)},
                  {"steal_ms", steal_ms()}};
    });
    state ? send(Message::kDeviceState, *state) : send_error(state.error().message);
  }

  void noise(const Json& json) {
    const int pairs = json.at("pairs").get<int>();
    if (gpu_)
      return send_error("the noise of a processor is not measured by a GPU's runner");
    const DeviceLock lock(lock_path_);
    const Result<Json> result = in_child([&] {
      const NoisePairs noise = measure_noise(pairs);
      return Json{{"a", noise.a_ns}, {"b", noise.b_ns}};
    });
    result ? send(Message::kNoise, *result) : send_error(result.error().message);
  }

  Result<void> reference_values(const Json& json) {
    const auto workload = workloads_.find(json.at("id").get<WorkloadId>());
    const auto set = json.at("set").get<size_t>();
    const auto argument = json.at("argument").get<size_t>();
    if (workload == workloads_.end() || set >= workload->second.sets.size() ||
        argument >= workload->second.sets[set].references.size() ||
        workload->second.sets[set].references[argument].bytes.empty())
      return Error(ErrorCode::kInvalidArgument, "there is no such result of a reference");
    const ReferenceOutput& output = workload->second.sets[set].references[argument];
    const auto* all = reinterpret_cast<const char*>(output.bytes.bytes().data());
    const auto size = static_cast<int64_t>(output.type.bytes());
    std::string bytes;
    for (const Json& range : json.at("elements")) {
      const auto begin = range.at(0).get<int64_t>();
      const auto end = range.at(1).get<int64_t>();
      if (begin < 0 || end < begin ||
          end * size > static_cast<int64_t>(output.bytes.bytes().size()))
        return Error(ErrorCode::kInvalidArgument, "an output has no such elements");
      bytes.append(all + begin * size, static_cast<size_t>((end - begin) * size));
    }
    TEMPER_TRY(file, make_memory_file("temper-reference-values", bytes));
    const int files[] = {file.get()};
    if (!send_frame(kHelperSocket, static_cast<uint32_t>(Message::kReferenceValues),
                    Json{{"type", to_string(output.type)}, {"scale", output.scale}}.dump(), files))
      closed_ = true;
    return {};
  }

  /// Processes that a kernel left behind become ours (PR_SET_CHILD_SUBREAPER); between trials the
  /// runner has no children of its own, so whatever there is goes.
  static void reap_strays() {
    while (true) {
      int status;
      const pid_t ended = ::waitpid(-1, &status, WNOHANG);
      if (ended > 0)
        continue;
      if (ended < 0)
        return; // none left
      bool any = false;
      if (const Result<std::string> list =
              read_file(fmt::format("/proc/self/task/{}/children", ::getpid())))
        for (const std::string& word : split_text(*list, ' '))
          if (const int pid = std::atoi(word.c_str()); pid > 0)
            any = ::kill(pid, SIGKILL) == 0 || any;
      if (!any)
        return;
      ::waitpid(-1, &status, 0);
    }
  }

  RunnerSettings settings_;
  std::string lock_path_;
  std::optional<GpuTrials> gpu_;
  FrameReader reader_;
  std::deque<Frame> queue_;
  std::set<Ticket> cancelled_;
  std::unordered_map<WorkloadId, PreparedWorkload> workloads_;
  Child::Interruption interruption_;
  Ticket running_ = 0;
  bool closed_ = false;
};

} // namespace
} // namespace temper::engine

int main(int argc, char** argv) {
  using namespace temper::engine;
  RunnerSettings settings;
  std::string lock_path;
  std::optional<GpuSettings> gpu;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--no-filter") {
      settings.filter_system_calls = false;
    } else if (word == "--shared-timing") {
      settings.private_timing = false;
    } else if (word == "--memory-limit" && i + 1 < argc) {
      settings.default_memory_limit_bytes = std::atoll(argv[++i]);
    } else if (word == "--lock" && i + 1 < argc) {
      lock_path = argv[++i];
    } else if (word == "--gpu" && i + 1 < argc) {
      gpu.emplace().device = std::atoi(argv[++i]);
    } else {
      std::fprintf(stderr,
                   "temper-runner runs kernels for temper and is not for use by hand\n"
                   "unknown argument: %s\n",
                   argv[i]);
      return 2;
    }
  }
  if (::fcntl(kHelperSocket, F_SETFD, FD_CLOEXEC) != 0) {
    std::fprintf(stderr, "temper-runner runs kernels for temper and is not for use by hand\n");
    return 2;
  }
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  return Runner(settings, lock_path, std::move(gpu)).main();
}
