/// A process with a GPU's context in it, forked from the runner, which itself never touches CUDA:
/// a context cannot be forked, and a kernel that hangs or faults takes its context with it. Both
/// sides speak in frames (wire.h) of JSON; outputs come back in the workload's shared arguments.
#pragma once

#include "engine/cuda/session.h"
#include "engine/runner/child.h"
#include "engine/wire.h"
#include "ir/support/json.h"

#include <memory>
#include <string>

namespace temper::engine {

class GpuChild {
public:
  struct Answer {
    Child::Wait wait = Child::Wait::kDied;
    Json json;         ///< where `wait` is kDone
    std::string death; ///< where it is kDied: how
  };

  /// Forks; the first answer says whether there is a GPU: {"ready": true, ...} or {"error": text}.
  static Result<std::unique_ptr<GpuChild>> start(const SessionPlan& plan);
  ~GpuChild();
  GpuChild(const GpuChild&) = delete;
  GpuChild& operator=(const GpuChild&) = delete;

  /// Waits for the answer to `request`; `file` rides along where it is not negative.
  Answer ask(const Json& request, int file, int timeout_ms,
             const Child::Interruption& interruption);
  /// The next answer, of which nothing was asked: the first.
  Answer await(int timeout_ms, const Child::Interruption& interruption);
  /// Kills it. A GPU may take a while to let go of a kernel that hangs; waits for that.
  ExitStatus end();
  std::string log_tail() const;

private:
  GpuChild() = default;
  FileDescriptor socket_;
  FileDescriptor pidfd_;
  FileDescriptor log_;
  std::unique_ptr<FrameReader> reader_;
  int process_ = -1;
  bool ended_ = false;
  ExitStatus status_;
};

} // namespace temper::engine
