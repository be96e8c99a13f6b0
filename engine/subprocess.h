/// A helper process of ours: spawned with its limits, killed with its whole process group, gone
/// when we are gone, and its end told in a sentence.
#pragma once

#include "engine/wire.h"
#include "ir/support/result.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace temper::engine {

struct SubprocessOptions {
  std::string program; ///< a path; PATH is not searched
  std::vector<std::string> arguments;
  std::map<std::string, std::string> environment; ///< added to ours
  int socket = -1;                                ///< becomes kHelperSocket in the child
  int standard_error = -1;           ///< becomes its stdout and stderr; -1: they stay ours
  int64_t memory_limit_bytes = 0;    ///< address space; 0: none
  int64_t file_size_limit_bytes = 0; ///< of any file it writes; 0: none
  int nice = 0;                      ///< added to the niceness
};

/// How a process ended.
struct ExitStatus {
  bool signaled = false;
  int code = 0; ///< exit status, or signal

  static ExitStatus from_wait(int wait_status);
};

/// "SIGSEGV (invalid memory access)" and the like; "signal 42" for one without a name.
std::string describe_signal(int signal);
/// "ended with exit status 3", "was killed by SIGABRT (abort, as by a failed assertion)".
std::string describe_exit(ExitStatus status);

/// Owns the process: destroying it kills the process group and reaps it. The kernel kills the
/// process when the *thread* that spawned it ends, so spawn from one that lives as long.
class Subprocess {
public:
  Subprocess() = default;
  /// The error names the program when it cannot be executed.
  static Result<Subprocess> spawn(const SubprocessOptions& options);
  Subprocess(Subprocess&& other) noexcept;
  Subprocess& operator=(Subprocess&& other) noexcept;
  ~Subprocess();

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); } ///< readable once the process has ended
  bool running() const { return pid_ > 0 && !status_; }
  /// Reaps without waiting; nothing while it runs.
  std::optional<ExitStatus> try_wait();
  /// Waits up to timeout_ms; nothing when it still runs.
  std::optional<ExitStatus> wait(int timeout_ms);
  /// Sends a signal to its process group.
  void signal_group(int signal) const;
  /// SIGKILL to the group, and reaps.
  ExitStatus kill();

private:
  pid_t pid_ = -1;
  FileDescriptor pidfd_;
  std::optional<ExitStatus> status_;
};

} // namespace temper::engine
