#include "codegen/process.h"

#include "ir/support/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace temper::codegen {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// What the process has computed so far.
double processor_seconds(pid_t pid) {
  clockid_t clock;
  timespec now{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &now) != 0)
    return 0;
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// By the clock a program may take so many times its deadline: it may have to wait for the
/// processor. What does not end at all is stopped then.
constexpr double kWallFactor = 20;

/// Its exit status, or -1 when it had to be stopped.
int wait_for(pid_t pid, double deadline_seconds) {
  const auto begin = Clock::now();
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  bool late = false;
  while (handle >= 0 && deadline_seconds > 0) {
    const double left = std::min(deadline_seconds - processor_seconds(pid),
                                 kWallFactor * deadline_seconds -
                                     std::chrono::duration<double>(Clock::now() - begin).count());
    if (left <= 0) {
      late = true;
      ::kill(pid, SIGKILL);
      break;
    }
    struct pollfd ended = {handle, POLLIN, 0};
    if (::poll(&ended, 1, static_cast<int>(std::min(1e3 * left + 1, 60'000.0))) > 0)
      break;
  }
  if (handle >= 0)
    ::close(handle);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return late ? -1 : status;
}

} // namespace

Result<ScratchFolder> ScratchFolder::make() {
  std::error_code failed;
  const fs::path temporary = fs::temp_directory_path(failed);
  std::string path = (temporary / "temper-XXXXXX").string();
  if (failed || ::mkdtemp(path.data()) == nullptr)
    return Error(ErrorCode::kEnvironment, "cannot make a folder in " + temporary.string() +
                                              " for a compiler's files; set TMPDIR");
  return ScratchFolder(std::move(path));
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!path_.empty())
    fs::remove_all(path_, ignored);
}

Result<std::string> run_program(const std::vector<std::string>& arguments,
                                double deadline_seconds) {
  TEMPER_TRY(folder, ScratchFolder::make());
  const std::string output = folder / "output";
  std::vector<char*> argv;
  for (const std::string& argument : arguments)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                   O_CREAT | O_WRONLY | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t pid = -1;
  const int failed = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0)
    return Error(ErrorCode::kEnvironment, "there is no program " + arguments[0]);
  const int status = wait_for(pid, deadline_seconds);
  const std::string name = arguments[0].substr(arguments[0].rfind('/') + 1);
  if (status == -1)
    return Error(ErrorCode::kFailed,
                 fmt::format("compiling took longer than its deadline of {:.3g} s and was stopped",
                             deadline_seconds));
  std::string text = read_file(output).value_or("");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return text;
  std::string first;
  for (const std::string& line : split_text(text, '\n'))
    if (first.empty() &&
        (line.find("error") != std::string::npos || line.find("fatal") != std::string::npos))
      first = trim(line);
  // Where its file lay is nobody's matter.
  if (const size_t file = first.find("/temper-"); file != std::string::npos)
    if (const size_t end = first.find('/', file + 1); end != std::string::npos)
      first = first.substr(end + 1);
  return Error(ErrorCode::kFailed, name + ": " + (first.empty() ? "it failed" : first));
}

} // namespace temper::codegen
