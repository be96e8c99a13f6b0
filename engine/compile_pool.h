/// Compile processes that are started once and kept. The pool knows nothing of compilers: a
/// request is bytes, a response is bytes. What it adds is that no request can hurt another: a
/// deadline of processor time and a memory limit each; a worker that dies, hangs or aborts is
/// replaced, and only the request it was working on fails, with a sentence and the end of what it
/// wrote to stderr.
///
/// Worker side (a program's own hidden subcommand, say):
///   int main() { return engine::compile_worker_main(
///       [](std::string_view request) -> Result<std::string> { return compile(request); }); }
/// Pool side:
///   TEMPER_TRY(pool, CompilePool::start({.program = "/path/temper", .arguments =
///   {"compile-worker"}})); Ticket ticket = pool->submit(bytes); for (CompileFinished& done :
///   pool->poll(1000)) ...
///
/// A pool is used from one thread and starts none. Who times kernels compiles before or after, and
/// meanwhile only on a machine that bears it (MachineSpeed::bears_company): a worker that has
/// nothing to do waits in a read and disturbs nobody.
#pragma once

#include "engine/measurement.h"
#include "engine/measurer.h"
#include "ir/support/result.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace temper::engine {

/// A request whose worker is killed from outside is tried so often.
inline constexpr int kCompileAttempts = 5;
/// How much longer than its deadline a request may take where it has to wait for the processor.
inline constexpr int kCompileWallFactor = 20;

struct CompilePoolOptions {
  std::string program;                ///< path of the worker program
  std::vector<std::string> arguments; ///< after argv[0]
  std::map<std::string, std::string> environment;
  int workers = 1;
  /// Per request, of the processor time of the worker and of what it starts: a machine that is busy
  /// with other things fails no request. One that does not compute at all for so long is stopped,
  /// too, and so is one that takes kCompileWallFactor times as long by the clock.
  int deadline_ms = 30'000;
  int64_t memory_limit_bytes = int64_t{4} << 30; ///< address space of a worker; 0: none
  int nice = 5; ///< added to the workers' niceness, so that they yield to what is measured
};

struct CompileFinished {
  Ticket ticket = 0;
  Outcome outcome = Outcome::kCompileFailed; ///< kOk or kCompileFailed
  std::string response;                      ///< what the handler returned (kOk)
  std::string error;                         ///< one sentence (kCompileFailed)
  std::string stderr_tail; ///< the end of what the worker wrote during this request
  double compile_ms = 0;   ///< wall time inside the handler
};

class CompilePool {
public:
  /// Starts the workers; an error when the program cannot be run at all.
  static Result<std::unique_ptr<CompilePool>> start(CompilePoolOptions options);
  virtual ~CompilePool() = default; ///< kills the workers

  /// deadline_ms 0: the pool's.
  virtual Ticket submit(std::string request, int deadline_ms = 0) = 0;
  /// Finished requests; waits up to timeout_ms for the first one, not at all when idle.
  virtual std::vector<CompileFinished> poll(int timeout_ms) = 0;
  /// Forgets a request; one that is being worked on is finished and thrown away.
  virtual void cancel(Ticket ticket) = 0;
  /// Requests submitted and not yet returned by poll.
  virtual size_t pending() const = 0;
  /// A file descriptor that is readable when poll(0) has something to do.
  virtual int event_fd() const = 0;

  /// Process ids of the workers, for tests and `doctor`.
  virtual std::vector<int> worker_pids() const = 0;
};

/// Compiles one request; an Error becomes compile_failed with its sentence.
using CompileHandler = std::function<Result<std::string>(std::string_view request)>;

/// The worker's loop: reads requests from the socket that the pool passed, until the pool closes
/// it. Returns the exit status for main(). Exceptions of the handler become errors.
int compile_worker_main(const CompileHandler& handler);

} // namespace temper::engine
