/// A forked child with a kernel in it: the runner's side (start, give orders, wait, kill) and what
/// it executes.
#pragma once

#include "codegen/artifact.h"
#include "engine/measurement.h"
#include "engine/runner/control_block.h"
#include "engine/runner/memory.h"
#include "engine/subprocess.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace temper::engine {

/// One filling of the arguments, in the order of the signature; a scalar is a buffer of one
/// element.
struct BufferSet {
  std::vector<GuardedBuffer> buffers;
};

struct ChildPlan {
  const codegen::Artifact* artifact = nullptr;
  int code_file = -1;                           ///< memory file of the shared object
  std::vector<codegen::ArgumentSpec> signature; ///< what `sets` hold; extra scalars follow
  std::vector<const BufferSet*> sets;           ///< called once on each; the first is timed
  std::vector<int64_t> extra_scalars;
  int threads = 1;
  int64_t memory_limit_bytes = 0;
  int timeout_ms = 0;
  bool filter_system_calls = true;
  bool measured = true; ///< so it goes before other work on this machine
  bool counters = false;
  /// Time on memory of the child's own, in huge pages, where an argument has 2 MiB or more: shared
  /// memory seldom has huge pages, a user's arrays often do.
  bool private_timing = true;
  Regime regime = Regime::kHot;
  StopRule rule;
  double best_ns = 0;
};

class Child {
public:
  enum class Wait : uint8_t { kDone, kDied, kTimedOut, kCancelled };
  /// Called while waiting, whenever `descriptor` is readable; true gives the wait up.
  struct Interruption {
    int descriptor = -1;
    std::function<bool()> readable;
  };

  static Result<Child> start(const ChildPlan& plan);
  Child(Child&&) = default;
  Child& operator=(Child&&) = default;
  ~Child();

  ControlBlock& control() const { return *control_; }
  int pid() const { return process_; }
  /// Gives an order; the first one must be kLoad.
  void order(Command command);
  /// Waits until the last order is done.
  Wait await(int timeout_ms, const Interruption& interruption);
  Wait run(Command command, int timeout_ms, const Interruption& interruption) {
    order(command);
    return await(timeout_ms, interruption);
  }
  /// Stops all its threads where they are; `run` lets them go on.
  void suspend();
  /// Processor time of all its threads so far, by the system's account.
  double cpu_ns() const;
  /// Kills it with all it started, and reaps. Idempotent.
  ExitStatus end();
  /// The last of what it wrote to stdout and stderr.
  std::string log_tail() const;
  /// The first `bytes` of it, as far as they are kept.
  std::string log_head(size_t bytes) const;

private:
  struct Unmap {
    void operator()(ControlBlock* control) const;
  };
  Child() = default;

  std::unique_ptr<ControlBlock, Unmap> control_;
  FileDescriptor event_;
  FileDescriptor pidfd_;
  FileDescriptor log_;
  int process_ = -1;
  uint32_t sequence_ = 0;
  bool suspended_ = false;
  int threads_ = 1;
  bool ended_ = true;
  ExitStatus status_;
};

} // namespace temper::engine
