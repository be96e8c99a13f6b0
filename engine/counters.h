/// Performance counters of this process and the threads it starts, where the machine has them.
#pragma once

#include "engine/wire.h"
#include "ir/support/result.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace temper::engine {

/// Hardware: cycles, instructions, branch_misses, cache_misses (last level). Software, nearly
/// always there: task_clock_ns, page_faults, context_switches.
class CounterGroup {
public:
  /// Opens what can be opened. Call before starting threads that should be counted: later threads
  /// inherit the counters, earlier ones do not.
  static CounterGroup open();

  void start();
  void stop();
  /// Counts since start, scaled up where the kernel shared a counter among several events.
  std::map<std::string, double> read() const;
  bool empty() const { return counters_.empty(); }

private:
  struct Counter {
    const char* name;
    FileDescriptor file;
  };
  std::vector<Counter> counters_;
};

/// Whether hardware counters work here; the error is one sentence that says why not and what to
/// set.
Result<void> hardware_counters_available();

} // namespace temper::engine
