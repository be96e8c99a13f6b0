#include "engine/local_measurer.h"

#include "engine/believed.h"
#include "engine/protocol.h"
#include "engine/timing/sittings.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace temper::engine {
namespace {

using Milliseconds = std::chrono::milliseconds;

// The runner works on one and has one waiting: its answer and our next request would otherwise
// leave the device idle for as long as the caller is busy.
constexpr size_t kInFlight = 2;

// Beyond a trial's own deadlines, which the runner keeps: then something is wrong with the runner.
constexpr int kRunnerGraceMs = 20'000;
// A GPU's runner may have to wait for a context, twice.
constexpr int kGpuGraceMs = 150'000;

// Another temper may hold the device for as long.
constexpr int kLongestQueueMs = 3'600'000;

int64_t default_memory_limit() {
  constexpr int64_t kUsual = int64_t{4} << 30;
  if (const Result<std::string> info = read_file("/proc/meminfo"))
    if (const size_t at = info->find("MemAvailable:"); at != std::string::npos)
      return std::min<int64_t>(kUsual, std::atoll(info->c_str() + at + 13) * 1024 / 2);
  return kUsual;
}

/// What a workload holds in the runner: arguments, and references twice as wide.
int64_t bytes_of(const WorkloadSpec& spec) {
  int64_t bytes = 0;
  for (const codegen::ArgumentSpec& argument : spec.signature)
    bytes += argument.byte_count() * (argument.is_output ? 3 : 1);
  return bytes * static_cast<int64_t>(spec.input_sets.size());
}

} // namespace

std::string LocalMeasurerOptions::default_lock_path() {
  if (const char* path = std::getenv("TEMPER_DEVICE_LOCK"))
    return path;
  return "/tmp/temper-cpu.lock";
}

Result<std::string> find_runner() {
  std::vector<std::string> places;
  if (const char* path = std::getenv("TEMPER_RUNNER"))
    places.emplace_back(path);
  std::error_code ignored;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  places.push_back((self / "temper-runner").string());
  places.push_back((self.parent_path() / "libexec" / "temper" / "temper-runner").string());
  places.push_back((self.parent_path() / "bin" / "temper-runner").string());
  places.emplace_back(TEMPER_RUNNER_BUILD_PATH);
  for (const std::string& place : places)
    if (::access(place.c_str(), X_OK) == 0)
      return place;
  return Error(ErrorCode::kNotFound,
               fmt::format("temper-runner, the program that runs kernels, is in none of {}; set "
                           "TEMPER_RUNNER to its path",
                           join(places, ", ")));
}

Result<std::unique_ptr<LocalMeasurer>> LocalMeasurer::start(LocalMeasurerOptions options) {
  std::unique_ptr<LocalMeasurer> measurer(new LocalMeasurer(std::move(options)));
  if (measurer->options_.memory_limit_bytes <= 0)
    measurer->options_.memory_limit_bytes = default_memory_limit();
  measurer->runner_path_ = measurer->options_.runner_path;
  if (measurer->runner_path_.empty()) {
    TEMPER_TRY(path, find_runner());
    measurer->runner_path_ = path;
  }
  measurer->events_ = FileDescriptor(::epoll_create1(EPOLL_CLOEXEC));
  if (!measurer->events_)
    return Error(ErrorCode::kEnvironment, fmt::format("epoll failed: {}", std::strerror(errno)));
  TEMPER_TRY_VOID(measurer->start_runner());
  return measurer;
}

int LocalMeasurer::grace_ms() const { return options_.gpu ? kGpuGraceMs : kRunnerGraceMs; }

void LocalMeasurer::watch(int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  ::epoll_ctl(events_.get(), EPOLL_CTL_ADD, descriptor, &event);
}

Result<void> LocalMeasurer::start_runner() {
  reader_.reset();
  loaded_.clear();
  outstanding_loads_ = 0;
  TEMPER_TRY(ends, make_socket_pair());
  TEMPER_TRY(log, make_memory_file("temper-runner-log"));
  SubprocessOptions spawn;
  spawn.program = runner_path_;
  spawn.arguments = {"--memory-limit", std::to_string(options_.memory_limit_bytes)};
  if (!options_.lock_path.empty())
    spawn.arguments.insert(spawn.arguments.end(), {"--lock", options_.lock_path});
  if (!options_.filter_system_calls)
    spawn.arguments.emplace_back("--no-filter");
  if (!options_.private_timing)
    spawn.arguments.emplace_back("--shared-timing");
  if (options_.gpu)
    spawn.arguments.insert(spawn.arguments.end(), {"--gpu", std::to_string(*options_.gpu)});
  spawn.socket = ends[1].get();
  spawn.standard_error = log.get();
  TEMPER_TRY(process, Subprocess::spawn(spawn));
  runner_ = std::move(process);
  socket_ = std::move(ends[0]);
  log_ = std::move(log);
  reader_ = std::make_unique<FrameReader>(socket_.get());
  watch(socket_.get());
  watch(runner_.pidfd());
  return {};
}

void LocalMeasurer::fail(const Trial& trial, std::string sentence) {
  FinishedMeasurement done;
  done.ticket = trial.ticket;
  done.measurement.outcome = Outcome::kCrashed;
  done.measurement.stage = "runner";
  done.measurement.regime = trial.request.regime;
  done.measurement.error = std::move(sentence);
  finished_.push_back(std::move(done));
}

void LocalMeasurer::replace_runner(const std::string& why) {
  runner_.kill();
  ++restarts_;
  std::deque<Trial> held = std::exchange(in_flight_, {});
  // Whoever was at work when it died is the suspect; when nobody was, the first in line.
  if (!held.empty() && ++held.front().attempts >= 2) {
    fail(held.front(), fmt::format("the measuring program {} while this kernel ran, twice", why));
    held.pop_front();
  }
  for (; !held.empty(); held.pop_back()) {
    held.back().started = false;
    queue_.push_front(std::move(held.back()));
  }
  if (Result<void> started = start_runner(); !started) {
    for (const Trial& trial : std::exchange(queue_, {}))
      fail(trial, "the measuring program cannot be started again: " + started.error().message);
  }
}

Result<void> LocalMeasurer::load_workload(WorkloadId id) {
  const auto spec = workloads_.find(id);
  if (spec == workloads_.end())
    return Error(ErrorCode::kInvalidArgument, fmt::format("there is no workload {}", id));
  if (const auto at = std::find(loaded_.begin(), loaded_.end(), id); at != loaded_.end()) {
    loaded_.splice(loaded_.end(), loaded_, at);
    return {};
  }
  const auto kept_bytes = [&] {
    int64_t bytes = bytes_of(spec->second);
    for (WorkloadId other : loaded_)
      if (const auto at = workloads_.find(other); at != workloads_.end())
        bytes += bytes_of(at->second);
    return bytes;
  };
  while (!loaded_.empty() && (loaded_.size() >= std::max<size_t>(options_.workloads_kept, 1) ||
                              kept_bytes() > options_.memory_limit_bytes)) {
    TEMPER_TRY_VOID(send_frame(socket_.get(), static_cast<uint32_t>(Message::kDropWorkload),
                               Json{{"id", loaded_.front()}}.dump()));
    loaded_.pop_front();
  }
  Json json = {{"id", id}, {"spec", to_json(spec->second)}};
  std::vector<int> files;
  FileDescriptor code;
  if (const auto& reference = spec->second.reference) {
    json["reference"] = to_json(*reference);
    if (reference->kind != codegen::ArtifactKind::kLibrary) {
      TEMPER_TRY(file, make_memory_file("temper-reference", reference->code));
      code = std::move(file);
      files.push_back(code.get());
    }
  }
  TEMPER_TRY_VOID(
      send_frame(socket_.get(), static_cast<uint32_t>(Message::kAddWorkload), json.dump(), files));
  loaded_.push_back(id);
  ++outstanding_loads_;
  return {};
}

void LocalMeasurer::finish_trials() {
  step();
  while (!queue_.empty() || !in_flight_.empty()) {
    epoll_event event;
    ::epoll_wait(events_.get(), &event, 1, 1000);
    step();
  }
}

template <typename Question> auto LocalMeasurer::insist(Question question) -> decltype(question()) {
  constexpr int kAttempts = 3;
  for (int attempt = 1;; ++attempt) {
    step(); // replaces a runner that died while nobody looked
    auto answer = question();
    if (answer || answer.error().code != ErrorCode::kInterrupted)
      return answer;
    if (attempt == kAttempts)
      return Error(ErrorCode::kFailed,
                   fmt::format("the measuring program was started again {} times and died each "
                               "time: {}",
                               kAttempts - 1, answer.error().message));
  }
}

Result<void> LocalMeasurer::wait_for_workload(WorkloadId id) {
  const int restarts = restarts_;
  load_error_.clear();
  TEMPER_TRY_VOID(load_workload(id));
  while (outstanding_loads_ > 0) {
    epoll_event event;
    ::epoll_wait(events_.get(), &event, 1, 1000);
    step();
    if (restarts_ != restarts)
      return Error(ErrorCode::kInterrupted, "the measuring program died while the reference of " +
                                                workloads_[id].name + " ran");
  }
  if (!load_error_.empty())
    return Error(ErrorCode::kFailed, load_error_);
  return {};
}

Result<WorkloadId> LocalMeasurer::add_workload(const WorkloadSpec& spec) {
  const WorkloadId id = next_workload_++;
  workloads_[id] = spec;
  finish_trials(); // else they would be mistaken for the cause when the runner dies
  if (Result<void> loaded = insist([&] { return wait_for_workload(id); }); !loaded) {
    workloads_.erase(id);
    loaded_.remove(id);
    return loaded.error();
  }
  return id;
}

void LocalMeasurer::remove_workload(WorkloadId workload) {
  workloads_.erase(workload);
  if (const auto at = std::find(loaded_.begin(), loaded_.end(), workload); at != loaded_.end()) {
    loaded_.erase(at);
    (void)send_frame(socket_.get(), static_cast<uint32_t>(Message::kDropWorkload),
                     Json{{"id", workload}}.dump());
  }
}

Ticket LocalMeasurer::submit(MeasureRequest request) {
  Trial trial;
  trial.ticket = next_ticket_++;
  trial.request = std::move(request);
  const Ticket ticket = trial.ticket;
  if (!trial.request.artifact || !workloads_.contains(trial.request.workload)) {
    FinishedMeasurement done;
    done.ticket = ticket;
    done.measurement.stage = "runner";
    done.measurement.error = trial.request.artifact
                                 ? "its workload was not added, or has been removed"
                                 : "there is no machine code to measure";
    finished_.push_back(std::move(done));
    return ticket;
  }
  queue_.push_back(std::move(trial));
  feed();
  return ticket;
}

void LocalMeasurer::feed() {
  while (!queue_.empty() && in_flight_.size() < kInFlight && runner_.running()) {
    Trial trial = std::move(queue_.front());
    queue_.pop_front();
    const MeasureRequest& request = trial.request;
    const auto hand_over = [&]() -> Result<void> {
      TEMPER_TRY_VOID(load_workload(request.workload));
      Json json = {{"ticket", trial.ticket},
                   {"workload", request.workload},
                   {"artifact", to_json(*request.artifact)},
                   {"extra_scalars", request.extra_scalars},
                   {"regime", to_string(request.regime)},
                   {"threads", request.threads},
                   {"best_ns", request.best_ns},
                   {"rule", to_json(request.rule)},
                   {"timeout_ms", request.timeout_ms},
                   {"memory_limit_bytes", request.memory_limit_bytes},
                   {"check", request.check},
                   {"counters", request.counters},
                   {"metric_sets", gpu_metric_sets_}};
      FileDescriptor code;
      std::vector<int> files;
      if (request.artifact->kind != codegen::ArtifactKind::kLibrary) {
        TEMPER_TRY(file, make_memory_file("temper-kernel", request.artifact->code));
        code = std::move(file);
        files.push_back(code.get());
      }
      return send_frame(socket_.get(), static_cast<uint32_t>(Message::kMeasure), json.dump(),
                        files);
    };
    Result<void> handed = hand_over();
    if (handed || handed.error().code == ErrorCode::kInterrupted)
      in_flight_.push_back(std::move(trial)); // a dead runner is noticed, and replaced, by `step`
    else
      fail(trial, handed.error().message);
    if (!handed)
      return;
  }
}

void LocalMeasurer::take(Frame frame) {
  const Result<Json> json = parse_json(frame.payload);
  const Result<void> taken = guard_json("an answer of the runner", [&]() -> Result<void> {
    if (!json)
      return Error(ErrorCode::kCorrupt, json.error().message);
    switch (static_cast<Message>(frame.kind)) {
    case Message::kStarted:
      for (Trial& trial : in_flight_)
        if (trial.ticket == json->at("ticket").get<Ticket>()) {
          trial.started = true;
          trial.deadline = Clock::now() +
                           Milliseconds(3 * trial.request.timeout_ms + grace_ms() +
                                        static_cast<int>(trial.request.rule.max_seconds * 12'000));
        }
      return {};
    case Message::kMeasured: {
      const auto ticket = json->at("ticket").get<Ticket>();
      const auto at = std::find_if(in_flight_.begin(), in_flight_.end(),
                                   [&](const Trial& trial) { return trial.ticket == ticket; });
      if (at == in_flight_.end())
        return {}; // cancelled meanwhile
      TEMPER_TRY(measurement, measurement_from_json(json->at("measurement")));
      finished_.push_back({ticket, std::move(measurement)});
      in_flight_.erase(at);
      return {};
    }
    case Message::kWorkloadReady:
      --outstanding_loads_;
      if (const Result<void> same = require_same_protocol(*json, runner_path_); !same)
        load_error_ = same.error().message;
      return {};
    case Message::kError:
      if (outstanding_loads_ > 0) { // answers come in the order of the requests
        --outstanding_loads_;
        load_error_ = json->at("message").get<std::string>();
        return {};
      }
      answer_ = std::move(frame);
      return {};
    default:
      answer_ = std::move(frame);
      return {};
    }
  });
  if (!taken)
    replace_runner("sent nonsense (" + taken.error().message + ")");
}

void LocalMeasurer::step() {
  while (reader_) {
    Result<std::optional<Frame>> frame = reader_->try_read();
    if (frame && *frame) {
      take(std::move(**frame));
      continue;
    }
    if (frame && runner_.running() && !runner_.try_wait())
      break;
    if (frame) { // it has ended, but something may have arrived before that
      Result<std::optional<Frame>> last = reader_->try_read();
      if (last && *last) {
        take(std::move(**last));
        continue;
      }
    }
    const std::optional<ExitStatus> status = runner_.wait(200);
    std::string why = status ? describe_exit(*status) : "closed its socket";
    if (const std::string log(trim(read_tail(log_.get(), 400))); !log.empty())
      why += " (" + log + ")";
    replace_runner(why);
    break;
  }
  if (!in_flight_.empty() && in_flight_.front().started &&
      Clock::now() > in_flight_.front().deadline)
    replace_runner("did not answer");
  feed();
}

std::vector<FinishedMeasurement> LocalMeasurer::poll(int timeout_ms) {
  const Clock::time_point until = Clock::now() + Milliseconds(std::max(timeout_ms, 0));
  while (true) {
    step();
    if (!finished_.empty() || (queue_.empty() && in_flight_.empty()))
      break;
    const auto left = std::chrono::duration_cast<Milliseconds>(until - Clock::now()).count();
    if (timeout_ms >= 0 && left <= 0)
      break;
    epoll_event event;
    // At least once a second, for the runner's own deadline.
    const int64_t wait = timeout_ms < 0 ? 1000 : std::min<int64_t>(left, 1000);
    ::epoll_wait(events_.get(), &event, 1, static_cast<int>(wait));
  }
  return std::exchange(finished_, {});
}

void LocalMeasurer::cancel(Ticket ticket) {
  const auto is_it = [&](const auto& entry) { return entry.ticket == ticket; };
  std::erase_if(finished_, is_it);
  std::erase_if(queue_, is_it);
  if (std::erase_if(in_flight_, is_it) > 0)
    (void)send_frame(socket_.get(), static_cast<uint32_t>(Message::kCancel),
                     Json{{"ticket", ticket}}.dump());
  feed();
}

size_t LocalMeasurer::pending() const {
  return queue_.size() + in_flight_.size() + finished_.size();
}

Result<Frame> LocalMeasurer::ask(uint32_t kind, const std::string& payload,
                                 std::span<const int> files, int timeout_ms) {
  // `load_workload` before this call may have an answer outstanding; it comes first.
  const int restarts = restarts_;
  answer_.reset();
  load_error_.clear();
  TEMPER_TRY_VOID(send_frame(socket_.get(), kind, payload, files));
  const Clock::time_point until = Clock::now() + Milliseconds(timeout_ms);
  while (true) {
    step();
    if (restarts_ != restarts)
      return Error(ErrorCode::kInterrupted, "the measuring program died while it was asked");
    if (answer_)
      break;
    if (Clock::now() > until) {
      replace_runner("did not answer");
      return Error(ErrorCode::kFailed, fmt::format("the measuring program did not answer in {:.3g} "
                                                   "s and was started again",
                                                   timeout_ms / 1000.0));
    }
    epoll_event event;
    ::epoll_wait(events_.get(), &event, 1, 500);
  }
  Frame frame = std::move(*answer_);
  answer_.reset();
  if (static_cast<Message>(frame.kind) == Message::kError) {
    TEMPER_TRY(json, parse_json(frame.payload));
    std::string message = json.value("message", std::string("the runner refused"));
    if (!load_error_.empty())
      message = load_error_;
    return Error(ErrorCode::kFailed, message);
  }
  return frame;
}

/// Median and interval from the rounds of one sitting.
static void rate_rounds(Comparison& comparison) {
  const std::vector<double>& first = comparison.contenders.front().measurement.samples_ns;
  for (ComparedContender& compared : comparison.contenders) {
    const std::vector<double>& own = compared.measurement.samples_ns;
    if (own.empty() || own.size() != first.size())
      continue;
    std::vector<double> ratios;
    for (size_t i = 0; i < own.size(); ++i)
      ratios.push_back(own[i] / first[i]);
    compared.ratio = median(ratios);
    // All of fewer pairs lie on one side of the median by chance more often than once in twenty.
    constexpr size_t kFewestPairs = 6;
    constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
    compared.ratio_interval = own.size() < kFewestPairs ? Interval{kUnknown, kUnknown}
                                                        : paired_ratio_interval(own, first);
  }
}

/// Adds the samples of another sitting, in which the contenders `seated` took part. One that did
/// not finish it is out.
static void add_sitting(Comparison& all, const Comparison& next,
                        const std::vector<size_t>& seated) {
  all.rounds += next.rounds;
  for (size_t seat = 0; seat < seated.size(); ++seat) {
    Measurement& sum = all.contenders[seated[seat]].measurement;
    const Measurement& one = next.contenders[seat].measurement;
    if (!is_correct(sum.outcome))
      continue;
    if (!is_correct(one.outcome)) {
      sum = one;
      continue;
    }
    if (one.outcome == Outcome::kUnbelievable) {
      sum.outcome = one.outcome;
      sum.stage = one.stage;
      sum.error = one.error;
    }
    sum.samples_ns.insert(sum.samples_ns.end(), one.samples_ns.begin(), one.samples_ns.end());
    sum.gaps_dropped += one.gaps_dropped;
    sum.measure_ms += one.measure_ms;
    const Summary summary = summarize(sum.samples_ns, sum.calls_per_sample);
    sum.median_ns = summary.value_ns;
    sum.interval = summary.interval;
    sum.flagged = summary.flagged;
  }
}

Result<Comparison> LocalMeasurer::one_sitting(const CompareRequest& request) {
  if (request.contenders.empty())
    return Error(ErrorCode::kInvalidArgument, "a comparison needs at least one kernel");
  constexpr size_t kMost = 24;
  if (request.contenders.size() > kMost)
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("{} kernels are too many for one comparison; {} are possible",
                             request.contenders.size(), kMost));
  finish_trials();
  Json contenders = Json::array();
  std::vector<FileDescriptor> codes;
  std::vector<int> files;
  for (const Contender& contender : request.contenders) {
    if (!contender.artifact)
      return Error(ErrorCode::kInvalidArgument,
                   fmt::format("{} has no machine code", contender.name));
    int file = -1;
    if (contender.artifact->kind != codegen::ArtifactKind::kLibrary) {
      TEMPER_TRY(code, make_memory_file("temper-kernel", contender.artifact->code));
      file = static_cast<int>(files.size());
      files.push_back(code.get());
      codes.push_back(std::move(code));
    }
    contenders.push_back({{"artifact", to_json(*contender.artifact)},
                          {"file", file},
                          {"extra_scalars", contender.extra_scalars},
                          {"regime", to_string(request.regime)},
                          {"threads", contender.threads},
                          {"timeout_ms", request.timeout_ms},
                          {"memory_limit_bytes", request.memory_limit_bytes},
                          {"check", contender.check}});
  }
  const Json json = {{"workload", request.workload},       {"contenders", contenders},
                     {"rounds", request.rounds},           {"first_round", request.first_round},
                     {"max_seconds", request.max_seconds}, {"sample_ns", request.sample_ns}};
  const int patience = static_cast<int>(request.max_seconds * 2000) + grace_ms() +
                       3 * request.timeout_ms * static_cast<int>(request.contenders.size());
  TEMPER_TRY(frame, insist([&]() -> Result<Frame> {
               TEMPER_TRY_VOID(load_workload(request.workload));
               return ask(static_cast<uint32_t>(Message::kCompare), json.dump(), files,
                          patience + kLongestQueueMs);
             }));
  TEMPER_TRY(answer, parse_json(frame.payload));
  return guard_json("a comparison", [&]() -> Result<Comparison> {
    Comparison comparison;
    comparison.rounds = answer.at("rounds").get<int>();
    for (size_t i = 0; i < request.contenders.size(); ++i) {
      ComparedContender& compared = comparison.contenders.emplace_back();
      compared.name = request.contenders[i].name;
      TEMPER_TRY(measurement, measurement_from_json(answer.at("contenders").at(i)));
      compared.measurement = std::move(measurement);
    }
    rate_rounds(comparison);
    return comparison;
  });
}

/// Whether the ratios of those that can still win are known well enough.
static bool is_race_over(std::span<const std::vector<double>> medians,
                         const std::vector<bool>& racing, const CompareRequest& request) {
  std::vector<size_t> left;
  for (size_t i = 0; i < racing.size(); ++i)
    if (racing[i])
      left.push_back(i);
  if (left.size() < 2)
    return true;
  if (medians[left[0]].size() < static_cast<size_t>(std::max(request.sittings, 2)))
    return false;
  return std::all_of(left.begin() + 1, left.end(), [&](size_t i) {
    std::vector<double> ratios;
    for (size_t s = 0; s < std::min(medians[i].size(), medians[left[0]].size()); ++s)
      ratios.push_back(medians[i][s] / medians[left[0]][s]);
    const Interval interval = pool_sittings(ratios).interval;
    return interval.high - interval.low <= 2 * request.half_width;
  });
}

Result<Comparison> LocalMeasurer::compare(const CompareRequest& request) {
  if (request.half_width <= 0)
    return one_sitting(request);
  const auto begin = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  const auto fewest = static_cast<size_t>(std::max(request.sittings, 2));
  CompareRequest sitting = request;
  sitting.max_seconds = request.max_seconds / static_cast<double>(fewest);
  Comparison all;
  std::vector<std::vector<double>> medians(request.contenders.size()); ///< by contender
  std::vector<bool> racing(request.contenders.size(), true);
  std::vector<size_t> seated; ///< who takes part in the next sitting
  for (size_t i = 0; i < racing.size(); ++i)
    seated.push_back(i);
  while (true) {
    const double spent_before = seconds();
    TEMPER_TRY(next, one_sitting(sitting));
    sitting.first_round += next.rounds;
    for (size_t seat = 0; seat < seated.size(); ++seat)
      if (is_correct(next.contenders[seat].measurement.outcome))
        medians[seated[seat]].push_back(next.contenders[seat].ratio);
    if (all.contenders.empty()) {
      all = std::move(next);
      // What it computes was looked at, and is not going to change.
      for (Contender& contender : sitting.contenders)
        contender.check = false;
    } else {
      add_sitting(all, next, seated);
    }
    if (!is_correct(all.contenders.front().measurement.outcome))
      return all; // there is nothing to compare with
    const size_t sittings = medians.front().size();
    bool precise = sittings >= fewest;
    for (size_t i = 1; i < medians.size(); ++i) {
      ComparedContender& compared = all.contenders[i];
      if (!is_correct(compared.measurement.outcome) || medians[i].empty())
        continue;
      const PooledRatio pooled = pool_sittings(medians[i]);
      compared.ratio = pooled.ratio;
      compared.ratio_interval = pooled.interval;
      precise = precise && pooled.interval.high - pooled.interval.low <= 2 * request.half_width;
    }
    if (request.race) {
      const std::vector<bool> out = cannot_win(medians);
      seated.clear();
      sitting.contenders.clear();
      for (size_t i = 0; i < racing.size(); ++i) {
        const Outcome outcome = all.contenders[i].measurement.outcome;
        racing[i] = racing[i] && !out[i] && is_believed(outcome);
        if (!racing[i] && i != 0) // the first is what the others are compared with
          continue;
        seated.push_back(i);
        sitting.contenders.push_back(request.contenders[i]);
        sitting.contenders.back().check = false;
      }
      precise = is_race_over(medians, racing, request);
    }
    // Loading a library counts against no limit, but it may not go on for ever either.
    const double spent = seconds();
    if (request.race && sittings < fewest) {
      const double starting = std::max(0.0, spent - spent_before - sitting.max_seconds);
      sitting.max_seconds = race_share(request.max_seconds, fewest, sittings, spent, starting);
    }
    if (precise || spent + spent / static_cast<double>(sittings) >
                       (sittings < fewest ? 4 : 1) * request.max_seconds)
      return all;
  }
}

Result<DeviceState> LocalMeasurer::device_state(int threads) {
  // The first looks teach what drift is usual here.
  constexpr size_t kFirstLooks = 4;
  constexpr size_t kRemembered = 16;
  while (states_.size() < kFirstLooks) {
    TEMPER_TRY(look, look_at_device(1));
    states_.push_back(look);
  }
  TEMPER_TRY(state, look_at_device(threads));
  states_.push_back(state);
  if (states_.size() > kRemembered)
    states_.erase(states_.begin());
  std::vector<double> changes;
  for (size_t i = 1; i < states_.size(); ++i)
    changes.push_back(DeviceState::drift(states_[i - 1], states_[i]));
  state.usual_drift = median(changes);
  return std::move(state);
}

Result<DeviceState> LocalMeasurer::look_at_device(int threads) {
  TEMPER_TRY(frame, insist([&] {
               return ask(static_cast<uint32_t>(Message::kDeviceState),
                          Json{{"threads", threads}}.dump(), {}, kLongestQueueMs);
             }));
  TEMPER_TRY(json, parse_json(frame.payload));
  return guard_json("the device's state", [&]() -> Result<DeviceState> {
    return DeviceState{json.at("compute_ns").get<double>(), json.at("memory_ns").get<double>(),
                       json.at("side_by_side").get<double>(), json.at("steal_ms").get<double>()};
  });
}

Result<ReferenceValues>
LocalMeasurer::reference_values(WorkloadId workload, size_t set, int argument,
                                std::span<const std::pair<int64_t, int64_t>> elements) {
  finish_trials();
  TEMPER_TRY(frame, insist([&]() -> Result<Frame> {
               TEMPER_TRY_VOID(wait_for_workload(workload));
               return ask(static_cast<uint32_t>(Message::kReferenceValues),
                          Json{{"id", workload},
                               {"set", set},
                               {"argument", argument},
                               {"elements", std::vector<std::pair<int64_t, int64_t>>(
                                                elements.begin(), elements.end())}}
                              .dump(),
                          {}, kLongestQueueMs);
             }));
  TEMPER_TRY(json, parse_json(frame.payload));
  return guard_json("results of a reference", [&]() -> Result<ReferenceValues> {
    ReferenceValues values;
    const auto type = parse_data_type(json.at("type").get<std::string>());
    if (!type || frame.descriptors.empty())
      return Error(ErrorCode::kCorrupt, "the measuring program sent no results of the reference");
    values.type = *type;
    values.scale = json.at("scale").get<double>();
    TEMPER_TRY(bytes, read_memory_file(frame.descriptors.front().get()));
    const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
    values.bytes.assign(data, data + bytes.size());
    return values;
  });
}

Result<Json> LocalMeasurer::describe_gpu() {
  TEMPER_TRY(frame, insist([&] {
               return ask(static_cast<uint32_t>(Message::kDeviceState),
                          Json{{"threads", 1}, {"describe", true}}.dump(), {}, kLongestQueueMs);
             }));
  return parse_json(frame.payload);
}

Result<NoiseSample> LocalMeasurer::noise(int pairs) {
  TEMPER_TRY(frame, insist([&] {
               return ask(static_cast<uint32_t>(Message::kNoise), Json{{"pairs", pairs}}.dump(), {},
                          kLongestQueueMs);
             }));
  TEMPER_TRY(json, parse_json(frame.payload));
  return guard_json("the noise test", [&]() -> Result<NoiseSample> {
    return NoiseSample{json.at("a").get<std::vector<double>>(),
                       json.at("b").get<std::vector<double>>()};
  });
}

} // namespace temper::engine
