#include "engine/subprocess.h"

#include "ir/support/sanitizers.h"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace temper::engine {
namespace {

// Between fork and exec only what is safe in a copy of a process with threads.
[[noreturn]] void run_child(const SubprocessOptions& options, char* const* argv, char* const* envp,
                            pid_t parent, int report) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) // died before the line above
    ::_exit(127);
  for (int signal = 1; signal < NSIG; ++signal)
    if (signal != SIGKILL && signal != SIGSTOP)
      ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);

  // The report pipe must not sit where the socket goes.
  if (report == kHelperSocket)
    report = ::fcntl(report, F_DUPFD_CLOEXEC, kHelperSocket + 1);
  bool ready = report >= 0;
  if (options.socket == kHelperSocket)
    ready = ready && ::fcntl(kHelperSocket, F_SETFD, 0) == 0;
  else if (options.socket >= 0)
    ready = ready && ::dup2(options.socket, kHelperSocket) >= 0;
  if (const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC); null >= 0)
    ::dup2(null, STDIN_FILENO);
  if (options.standard_error >= 0)
    ready = ready && ::dup2(options.standard_error, STDOUT_FILENO) >= 0 &&
            ::dup2(options.standard_error, STDERR_FILENO) >= 0;

  const auto limit = [&](auto resource, int64_t value) {
    rlimit both{static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
    // A shell or a batch system may allow less, and then that is the limit.
    if (rlimit now{}; ::getrlimit(resource, &now) == 0 && now.rlim_max < both.rlim_max)
      both = {now.rlim_max, now.rlim_max};
    ready = ready && ::setrlimit(resource, &both) == 0;
  };
  limit(RLIMIT_CORE, 0);
  if (options.memory_limit_bytes > 0 && !kSanitized)
    limit(RLIMIT_AS, options.memory_limit_bytes);
  if (options.file_size_limit_bytes > 0)
    limit(RLIMIT_FSIZE, options.file_size_limit_bytes);
  if (options.nice != 0)
    (void)!::nice(options.nice);
  if (ready)
    ::execve(options.program.c_str(), argv, envp);
  const int reason = errno;
  (void)!::write(report, &reason, sizeof reason);
  ::_exit(127);
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (std::string& text : strings)
    result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    if (!added.contains(text.substr(0, text.find('='))))
      result.push_back(text);
  }
  for (const auto& [name, value] : added)
    result.push_back(name + "=" + value);
  return result;
}

} // namespace

ExitStatus ExitStatus::from_wait(int wait_status) {
  if (WIFSIGNALED(wait_status))
    return {true, WTERMSIG(wait_status)};
  return {false, WEXITSTATUS(wait_status)};
}

std::string describe_signal(int signal) {
  switch (signal) {
  case SIGSEGV:
    return "SIGSEGV (invalid memory access)";
  case SIGBUS:
    return "SIGBUS (misaligned or vanished memory)";
  case SIGFPE:
    return "SIGFPE (integer division by zero or overflow)";
  case SIGILL:
    return "SIGILL (an instruction this processor does not have)";
  case SIGABRT:
    return "SIGABRT (abort, as by a failed assertion or an uncaught exception)";
  case SIGKILL:
    return "SIGKILL (killed from outside)";
  case SIGTRAP:
    return "SIGTRAP (breakpoint or trap instruction)";
  case SIGXCPU:
    return "SIGXCPU (limit of processor time)";
  case SIGXFSZ:
    return "SIGXFSZ (limit of file size)";
  case SIGSYS:
    return "SIGSYS (a forbidden system call)";
  case SIGPIPE:
    return "SIGPIPE (wrote to a closed pipe)";
  case SIGTERM:
    return "SIGTERM (asked to end)";
  case SIGINT:
    return "SIGINT (interrupted)";
  default:
    break;
  }
  if (const char* name = ::sigabbrev_np(signal))
    return fmt::format("SIG{}", name);
  return fmt::format("signal {}", signal);
}

std::string describe_exit(ExitStatus status) {
  if (status.signaled)
    return "was killed by " + describe_signal(status.code);
  return fmt::format("ended with exit status {}", status.code);
}

Result<Subprocess> Subprocess::spawn(const SubprocessOptions& options) {
  std::vector<std::string> words = {options.program};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  std::vector<std::string> variables = merged_environment(options.environment);
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> envp = pointers(variables);
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0)
    return Error(ErrorCode::kEnvironment, fmt::format("pipe failed: {}", std::strerror(errno)));
  FileDescriptor report_read(report[0]);
  FileDescriptor report_write(report[1]);

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0)
    return Error(ErrorCode::kEnvironment, fmt::format("cannot start {}: fork failed: {}",
                                                      options.program, std::strerror(errno)));
  if (pid == 0)
    run_child(options, argv.data(), envp.data(), parent, report_write.get());
  ::setpgid(pid, pid); // both sides do it, so that it holds whoever runs first
  report_write.reset();
  Subprocess process;
  process.pid_ = pid;
  process.pidfd_ = FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  int reason = 0;
  ssize_t count;
  do
    count = ::read(report_read.get(), &reason, sizeof reason);
  while (count < 0 && errno == EINTR);
  if (count == sizeof reason) {
    process.kill();
    return Error(ErrorCode::kEnvironment,
                 fmt::format("cannot execute {}: {}", options.program, std::strerror(reason)));
  }
  return process;
}

Subprocess::Subprocess(Subprocess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)),
      status_(std::exchange(other.status_, std::nullopt)) {}

Subprocess& Subprocess::operator=(Subprocess&& other) noexcept {
  if (this != &other) {
    if (running())
      kill();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
    status_ = std::exchange(other.status_, std::nullopt);
  }
  return *this;
}

Subprocess::~Subprocess() {
  if (running())
    kill();
}

std::optional<ExitStatus> Subprocess::try_wait() {
  if (!running())
    return status_;
  int wait_status = 0;
  pid_t ended;
  do
    ended = ::waitpid(pid_, &wait_status, WNOHANG);
  while (ended < 0 && errno == EINTR);
  if (ended == pid_)
    status_ = ExitStatus::from_wait(wait_status);
  else if (ended < 0) // someone else reaped it
    status_ = ExitStatus{false, -1};
  return status_;
}

std::optional<ExitStatus> Subprocess::wait(int timeout_ms) {
  if (!try_wait()) {
    pollfd ended{pidfd_.get(), POLLIN, 0};
    ::poll(&ended, 1, timeout_ms);
  }
  return try_wait();
}

void Subprocess::signal_group(int signal) const {
  if (pid_ > 0 && !status_)
    ::kill(-pid_, signal);
}

ExitStatus Subprocess::kill() {
  if (pid_ <= 0)
    return {};
  if (!status_) {
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    while (!try_wait())
      ::poll(nullptr, 0, 1);
  }
  // What it had forked may still sit in its group.
  ::kill(-pid_, SIGKILL);
  return *status_;
}

} // namespace temper::engine
