/// The page that the runner and one child share: orders one way, reports the other. A child could
/// scribble on it, so the runner believes nothing here that it can check (times against its own
/// clock, results against its own memory).
#pragma once

#include "engine/timing/repeated_calls.h"
#include "engine/timing/stop_rule.h"

#include <atomic>
#include <cstdint>

namespace temper::engine {

inline constexpr int kMaxArguments = 64;
inline constexpr int kMaxSamples = 4096;

enum class Command : uint32_t {
  kLoad,      ///< load the artifact
  kPack,      ///< pack the operands that are packed ahead, of each input set
  kCheck,     ///< call it once on each input set
  kTime,      ///< warm-up, then samples until the stop rule is content
  kCalibrate, ///< find `calls` for turns of `sample_ns`
  kTurn,      ///< one sample of `calls` calls, after a warm-up
  kRepeat,    ///< calls on poisoned outputs in turns with calls on right ones
};

enum class ChildError : uint32_t {
  kNone,
  kSetUp,    ///< ours: the child could not be set up; `text` says why
  kLoad,     ///< the code could not be loaded; `text` is the loader's
  kReturned, ///< the kernel returned `returned` instead of 0
  kEvents,   ///< the kernel closed our descriptors
};

struct ControlBlock {
  // Orders.
  std::atomic<uint32_t> sequence{0}; ///< futex; raised with each order
  Command command = Command::kLoad;
  double sample_ns = 0;
  int64_t calls = 1;

  // Where it is.
  std::atomic<uint32_t> completed{0}; ///< last order that is done
  std::atomic<int32_t> checking_set{-1};
  std::atomic<uint32_t> inside_kernel{0};
  ChildError error = ChildError::kNone;
  int32_t returned = 0;
  char text[1024] = {};

  // How it crashed; written by the signal handler.
  std::atomic<int32_t> crash_signal{0};
  int32_t crash_code = 0;
  uint64_t crash_address = 0;
  uint64_t crash_stack = 0; ///< stack pointer
  int32_t crash_was_write = 0;
  int32_t crash_syscall = 0;
  /// An allocation of this many bytes was refused (the last one); 0: none was.
  std::atomic<uint64_t> refused_bytes{0};

  // Times.
  double side_by_side = 0;
  double clock_ghz = 0;                       ///< right after the samples
  uint64_t timed_address[kMaxArguments] = {}; ///< where arguments lie while timed, if elsewhere
  double fastest_check_ns = 0; ///< of the checked calls: page faults and cold caches included
  /// So slow already in the checked calls that no other was made.
  bool convicted_by_check = false;
  int64_t written_by_first_call = 0; ///< bytes to stdout and stderr
  Decision decision = Decision::kContinue;
  double spent_ns = 0;    ///< in calls, timed or not, as the child saw it
  double flushing_ns = 0; ///< flushing caches
  double moving_ns = 0;   ///< arguments to and from memory of its own
  int64_t calls_per_sample = 1;
  int64_t timed_calls = 0;
  int64_t involuntary_switches = 0;
  int32_t sample_count = 0;
  double samples[kMaxSamples] = {};
  uint8_t switched[kMaxSamples] = {}; ///< the system took a core away during this sample

  // Calls on outputs without and with results, in turns (timing/repeated_calls.h).
  int32_t pair_count = 0;
  double fresh_ns[kMostPairs] = {};
  double repeated_ns[kMostPairs] = {};

  // Counters over the timed calls.
  int32_t counter_count = 0;
  struct Counter {
    char name[32];
    double value;
  } counters[16] = {};
};

} // namespace temper::engine
