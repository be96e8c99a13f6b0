#include "engine/compile_pool.h"

#include "engine/subprocess.h"
#include "engine/wire.h"
#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <ctime>
#include <deque>
#include <fstream>
#include <unordered_set>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace temper::engine {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

enum FrameKind : uint32_t { kRequest = 1, kCompiled = 2, kRefused = 3 };

// A second request waits in the worker's socket, so that it need not idle until the caller polls.
constexpr size_t kInFlight = 2;
constexpr size_t kTailBytes = 2000;
/// Between two looks at what a worker has computed.
constexpr int kLookEveryMs = 1000;

/// Opens a response; then come the tail of stderr and the handler's bytes.
struct ResponseHead {
  double compile_ms;
  uint64_t tail_bytes;
};

struct Request {
  Ticket ticket = 0;
  std::string payload;
  int deadline_ms = 0;
  int attempts = 0;
};

/// Of what this process and those it has started have computed so far; nothing of those that ended.
double processor_ms(pid_t pid) {
  const auto of = [](pid_t one) {
    clockid_t clock;
    timespec now{};
    if (::clock_getcpuclockid(one, &clock) != 0 || ::clock_gettime(clock, &now) != 0)
      return 0.0;
    return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
  };
  double total = of(pid);
  std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", pid)); // clang, ptxas
  for (pid_t child; children >> child;)
    total += of(child);
  return total;
}

struct Worker {
  Subprocess process;
  FileDescriptor socket;
  FileDescriptor log; ///< its stdout and stderr; the worker empties it after each request
  std::unique_ptr<FrameReader> reader;
  std::deque<Request> in_flight; ///< the front one is being worked on
  Clock::time_point front_since;
  double front_began_ms = 0; ///< processor_ms() then
  double computed_ms = 0;    ///< processor_ms() when it was last looked at
  Clock::time_point looked_at;
  double idle_ms = 0; ///< for so long it has computed nothing
};

class Pool : public CompilePool {
public:
  explicit Pool(CompilePoolOptions options) : options_(std::move(options)) {}

  Result<void> open() {
    events_ = FileDescriptor(::epoll_create1(EPOLL_CLOEXEC));
    timer_ = FileDescriptor(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    if (!events_ || !timer_)
      return Error(ErrorCode::kEnvironment,
                   fmt::format("epoll or timerfd failed: {}", std::strerror(errno)));
    watch(timer_.get());
    workers_.resize(static_cast<size_t>(std::max(options_.workers, 1)));
    for (Worker& worker : workers_)
      TEMPER_TRY_VOID(start_worker(worker));
    return {};
  }

  Ticket submit(std::string request, int deadline_ms) override {
    const Ticket ticket = next_ticket_++;
    queue_.push_back(
        {ticket, std::move(request), deadline_ms > 0 ? deadline_ms : options_.deadline_ms, 0});
    ++pending_;
    feed();
    return ticket;
  }

  std::vector<CompileFinished> poll(int timeout_ms) override {
    const Clock::time_point until = Clock::now() + Milliseconds(std::max(timeout_ms, 0));
    while (true) {
      step();
      if (!finished_.empty() || pending_ == 0)
        break;
      const auto left = std::chrono::duration_cast<Milliseconds>(until - Clock::now()).count();
      if (timeout_ms >= 0 && left <= 0)
        break;
      arm_timer();
      epoll_event event;
      ::epoll_wait(events_.get(), &event, 1, timeout_ms < 0 ? -1 : static_cast<int>(left));
    }
    arm_timer();
    std::vector<CompileFinished> done(std::make_move_iterator(finished_.begin()),
                                      std::make_move_iterator(finished_.end()));
    finished_.clear();
    return done;
  }

  void cancel(Ticket ticket) override {
    const auto is_it = [&](const Request& request) { return request.ticket == ticket; };
    if (const auto it = std::find_if(queue_.begin(), queue_.end(), is_it); it != queue_.end()) {
      queue_.erase(it);
      --pending_;
      return;
    }
    for (const Worker& worker : workers_)
      if (std::any_of(worker.in_flight.begin(), worker.in_flight.end(), is_it) &&
          cancelled_.insert(ticket).second)
        --pending_;
    std::erase_if(finished_, [&](const CompileFinished& done) { return done.ticket == ticket; });
  }

  size_t pending() const override { return pending_ + finished_.size(); }
  int event_fd() const override { return events_.get(); }

  std::vector<int> worker_pids() const override {
    std::vector<int> pids;
    for (const Worker& worker : workers_)
      pids.push_back(worker.process.pid());
    return pids;
  }

private:
  void watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(events_.get(), EPOLL_CTL_ADD, fd, &event);
  }

  Result<void> start_worker(Worker& worker) {
    TEMPER_TRY(ends, make_socket_pair());
    TEMPER_TRY(file, make_memory_file("temper-compile-log"));
    // Opened again for appending: after ftruncate the worker goes on at the new end.
    worker.log = FileDescriptor(
        ::open(fmt::format("/proc/self/fd/{}", file.get()).c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
    if (!worker.log)
      worker.log = std::move(file);
    SubprocessOptions spawn;
    spawn.program = options_.program;
    spawn.arguments = options_.arguments;
    spawn.environment = options_.environment;
    spawn.socket = ends[1].get();
    spawn.standard_error = worker.log.get();
    spawn.memory_limit_bytes = options_.memory_limit_bytes;
    spawn.file_size_limit_bytes = int64_t{256} << 20; // bounds its log too
    spawn.nice = options_.nice;
    TEMPER_TRY(process, Subprocess::spawn(spawn));
    worker.process = std::move(process);
    worker.socket = std::move(ends[0]);
    worker.reader = std::make_unique<FrameReader>(worker.socket.get());
    // Closing an end takes it out of the epoll set by itself. The pid is watched too: something
    // the worker forked could keep the socket open.
    watch(worker.socket.get());
    watch(worker.process.pidfd());
    return {};
  }

  void finish(const Request& request, CompileFinished done) {
    done.ticket = request.ticket;
    if (cancelled_.erase(request.ticket) > 0)
      return; // no longer counted as pending
    --pending_;
    finished_.push_back(std::move(done));
  }

  /// Hands queued requests to workers: one each before anybody gets a second.
  void feed() {
    for (size_t depth = 1; depth <= kInFlight; ++depth)
      for (Worker& worker : workers_)
        while (worker.process.running() && worker.in_flight.size() < depth && !queue_.empty()) {
          Request request = std::move(queue_.front());
          queue_.pop_front();
          const bool sent = send_frame(worker.socket.get(), kRequest, request.payload).has_value();
          worker.in_flight.push_back(std::move(request));
          if (worker.in_flight.size() == 1)
            begin_front(worker);
          if (!sent)
            break; // it died; `drain` sees the closed socket and replaces it
        }
  }

  void step() {
    uint64_t expirations;
    (void)!::read(timer_.get(), &expirations, sizeof expirations);
    for (Worker& worker : workers_) {
      drain(worker);
      check_deadline(worker);
      if (!worker.process.running() && !queue_.empty())
        restart(worker);
    }
    feed();
  }

  void restart(Worker& worker) {
    if (Result<void> started = start_worker(worker); !started)
      give_up(started.error().message);
  }

  void drain(Worker& worker) {
    while (worker.reader) {
      Result<std::optional<Frame>> frame = worker.reader->try_read();
      if (!frame) {
        // The socket closes first; under load the end takes its time.
        const bool ended = worker.process.wait(2000).has_value();
        lose_worker(worker,
                    "the compiler process " + (ended
                                                   ? describe_exit(*worker.process.try_wait())
                                                   : "closed its socket: " + frame.error().message),
                    ended);
        return;
      }
      if (!*frame) {
        if (worker.process.try_wait())
          lose_worker(worker, "the compiler process " + describe_exit(*worker.process.try_wait()),
                      true);
        return;
      }
      if (worker.in_flight.empty() || (*frame)->payload.size() < sizeof(ResponseHead)) {
        lose_worker(worker, "the compiler process sent a response nobody asked for");
        return;
      }
      const Request request = std::move(worker.in_flight.front());
      worker.in_flight.pop_front();
      CompileFinished done;
      ResponseHead head;
      std::memcpy(&head, (*frame)->payload.data(), sizeof head);
      done.compile_ms = head.compile_ms;
      done.stderr_tail = (*frame)->payload.substr(sizeof head, head.tail_bytes);
      std::string text = (*frame)->payload.substr(sizeof head + done.stderr_tail.size());
      if ((*frame)->kind == kCompiled) {
        done.outcome = Outcome::kOk;
        done.response = std::move(text);
      } else {
        done.error = std::move(text);
      }
      finish(request, std::move(done));
      begin_front(worker);
    }
  }

  static void begin_front(Worker& worker) {
    worker.front_since = worker.looked_at = Clock::now();
    worker.front_began_ms = worker.computed_ms = processor_ms(worker.process.pid());
    worker.idle_ms = 0;
  }

  void check_deadline(Worker& worker) {
    if (worker.in_flight.empty())
      return;
    const Clock::time_point now = Clock::now();
    const int deadline_ms = worker.in_flight.front().deadline_ms;
    // More often there is nothing to see; and what is not looked at for long, because nobody polls
    // or all of us were suspended, has not idled that long.
    const double since_ms =
        std::chrono::duration<double, std::milli>(now - worker.looked_at).count();
    if (since_ms < std::min<double>(kLookEveryMs, deadline_ms))
      return;
    const double computed_ms = processor_ms(worker.process.pid());
    const bool worked = std::abs(computed_ms - worker.computed_ms) >= 1;
    worker.idle_ms = worked ? 0 : worker.idle_ms + std::min<double>(since_ms, 2 * kLookEveryMs);
    worker.computed_ms = computed_ms;
    worker.looked_at = now;
    const std::string late =
        fmt::format("compiling took longer than its deadline of {:.3g} s", deadline_ms / 1000.0);
    if (computed_ms - worker.front_began_ms >= deadline_ms)
      lose_worker(worker, late + " and was stopped");
    else if (worker.idle_ms >= deadline_ms)
      lose_worker(worker, late + " without computing anything, and was stopped");
    else if (now - worker.front_since >= Milliseconds(int64_t{kCompileWallFactor} * deadline_ms))
      lose_worker(worker,
                  fmt::format("{} by the clock, {} times, of which the processor gave it {:.3g} s, "
                              "and was stopped",
                              late, kCompileWallFactor,
                              (computed_ms - worker.front_began_ms) / 1000));
  }

  /// Fails the request the worker was on, gives back those behind it, and starts a new worker.
  /// `died`: it ended by itself, before it was told to.
  void lose_worker(Worker& worker, std::string why, bool died = false) {
    const double ms =
        std::chrono::duration<double, std::milli>(Clock::now() - worker.front_since).count();
    worker.process.kill();
    const std::string tail(trim(read_tail(worker.log.get(), kTailBytes)));
    worker.reader.reset();
    worker.socket.reset();
    std::deque<Request> in_flight = std::exchange(worker.in_flight, {});
    // Killed from outside (a person, the system short of memory): no fault of the request's, so it
    // is tried again, but not for ever.
    const std::optional<ExitStatus> status = worker.process.try_wait();
    const bool killed = died && status && status->signaled && status->code == SIGKILL;
    if (killed && !in_flight.empty() && ++in_flight.front().attempts < kCompileAttempts) {
      // stays in line
    } else if (!in_flight.empty()) {
      CompileFinished done;
      done.error = std::move(why);
      if (!tail.empty()) {
        const std::vector<std::string> lines = split_text(tail, '\n');
        done.error += fmt::format("; its last words: {}", lines.back());
      }
      done.stderr_tail = tail;
      done.compile_ms = ms;
      finish(in_flight.front(), std::move(done));
      in_flight.pop_front();
    }
    for (; !in_flight.empty(); in_flight.pop_back())
      queue_.push_front(std::move(in_flight.back()));
    restart(worker);
  }

  /// A worker could not be replaced. Others may go on; without any, everything queued fails.
  void give_up(const std::string& why) {
    if (std::any_of(workers_.begin(), workers_.end(),
                    [](const Worker& worker) { return worker.process.running(); }))
      return;
    for (const Request& request : std::exchange(queue_, {})) {
      CompileFinished done;
      done.error = "no compiler process is left: " + why;
      finish(request, std::move(done));
    }
  }

  void arm_timer() {
    Clock::time_point next = Clock::time_point::max();
    for (const Worker& worker : workers_)
      if (!worker.in_flight.empty())
        next = std::min(
            next, worker.looked_at +
                      Milliseconds(std::min(kLookEveryMs, worker.in_flight.front().deadline_ms)));
    itimerspec when{};
    if (next != Clock::time_point::max()) {
      const auto ns = std::max<int64_t>(
          1, std::chrono::duration_cast<std::chrono::nanoseconds>(next - Clock::now()).count());
      when.it_value = {ns / 1'000'000'000, ns % 1'000'000'000};
    }
    ::timerfd_settime(timer_.get(), 0, &when, nullptr);
  }

  CompilePoolOptions options_;
  FileDescriptor events_;
  FileDescriptor timer_;
  std::vector<Worker> workers_;
  std::deque<Request> queue_;
  std::deque<CompileFinished> finished_;
  std::unordered_set<Ticket> cancelled_; ///< in flight, and nobody wants them
  Ticket next_ticket_ = 1;
  size_t pending_ = 0;
};

} // namespace

Result<std::unique_ptr<CompilePool>> CompilePool::start(CompilePoolOptions options) {
  auto pool = std::make_unique<Pool>(std::move(options));
  TEMPER_TRY_VOID(pool->open());
  return std::unique_ptr<CompilePool>(std::move(pool));
}

int compile_worker_main(const CompileHandler& handler) {
  FrameReader reader(kHelperSocket);
  // What the handler starts must not hold our socket.
  ::fcntl(kHelperSocket, F_SETFD, FD_CLOEXEC);
  while (true) {
    Result<Frame> frame = reader.read();
    if (!frame)
      return frame.error().code == ErrorCode::kInterrupted ? 0 : 1;
    const Clock::time_point begin = Clock::now();
    Result<std::string> response = Error(ErrorCode::kFailed, "");
    try {
      response = handler(frame->payload);
    } catch (const std::bad_alloc&) {
      response = Error(ErrorCode::kEnvironment, "compiling ran out of memory");
    } catch (const std::exception& exception) {
      response = Error(ErrorCode::kFailed, fmt::format("compiling failed: {}", exception.what()));
    }
    const double ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    // The log holds one request's words: the worker empties it, because only the worker knows
    // where one request ends and the next, already waiting, begins.
    std::fflush(stdout);
    const std::string tail = read_tail(STDERR_FILENO, kTailBytes);
    if (!tail.empty())
      (void)!::ftruncate(STDERR_FILENO, 0);
    const ResponseHead head{ms, tail.size()};
    std::string payload(sizeof head, '\0');
    std::memcpy(payload.data(), &head, sizeof head);
    payload += tail;
    payload += response ? *response : response.error().to_string();
    if (!send_frame(kHelperSocket, response ? kCompiled : kRefused, payload))
      return 0; // the pool is gone
  }
}

} // namespace temper::engine
