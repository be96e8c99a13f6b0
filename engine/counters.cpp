#include "engine/counters.h"

#include "ir/support/text.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <iterator>

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace temper::engine {
namespace {

struct Event {
  const char* name;
  uint32_t type;
  uint64_t config;
};

constexpr Event kEvents[] = {
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    {"branch_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
    {"cache_misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    {"task_clock_ns", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
    {"page_faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {"context_switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
};

int open_event(const Event& event) {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = event.type;
  attributes.config = event.config;
  attributes.disabled = 1;
  attributes.inherit = 1; // OpenMP's threads
  attributes.exclude_hv = 1;
  // Counting the kernel's part needs more rights, and is not the candidate's doing.
  attributes.exclude_kernel = event.type == PERF_TYPE_HARDWARE ? 1 : 0;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  const auto open = [&] {
    return static_cast<int>(
        ::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
  };
  int fd = open();
  if (fd < 0 && (errno == EACCES || errno == EPERM)) {
    attributes.exclude_kernel = 1;
    fd = open();
  }
  return fd;
}

} // namespace

CounterGroup CounterGroup::open() {
  CounterGroup group;
  for (const Event& event : kEvents)
    if (const int fd = open_event(event); fd >= 0)
      group.counters_.push_back({event.name, FileDescriptor(fd)});
  return group;
}

void CounterGroup::start() {
  for (const Counter& counter : counters_) {
    ::ioctl(counter.file.get(), PERF_EVENT_IOC_RESET, 0);
    ::ioctl(counter.file.get(), PERF_EVENT_IOC_ENABLE, 0);
  }
}

void CounterGroup::stop() {
  for (const Counter& counter : counters_)
    ::ioctl(counter.file.get(), PERF_EVENT_IOC_DISABLE, 0);
}

std::map<std::string, double> CounterGroup::read() const {
  std::map<std::string, double> counts;
  for (const Counter& counter : counters_) {
    struct {
      uint64_t value;
      uint64_t enabled;
      uint64_t running;
    } reading{};
    if (::read(counter.file.get(), &reading, sizeof reading) != ssize_t{sizeof reading})
      continue;
    if (reading.enabled > 0 && reading.running == 0)
      continue; // never got a hardware counter
    const double share = reading.running > 0 ? static_cast<double>(reading.enabled) /
                                                   static_cast<double>(reading.running)
                                             : 1;
    counts[counter.name] = static_cast<double>(reading.value) * share;
  }
  return counts;
}

Result<void> hardware_counters_available() {
  const FileDescriptor cycles(open_event(kEvents[0]));
  if (cycles)
    return {};
  const int reason = errno;
  if (reason == ENOENT || reason == ENODEV || reason == EOPNOTSUPP)
    return Error(ErrorCode::kUnsupported,
                 "hardware counters are not supported by this machine (a virtual machine without "
                 "a virtual PMU, most likely)");
  if (reason == EACCES || reason == EPERM) {
    const Result<std::string> level = read_file("/proc/sys/kernel/perf_event_paranoid");
    return Error(ErrorCode::kUnsupported,
                 fmt::format("hardware counters are forbidden: kernel.perf_event_paranoid is {}; "
                             "set it to 2 or less (sysctl kernel.perf_event_paranoid=2), or grant "
                             "CAP_PERFMON; a container may forbid the system call as well",
                             level ? std::string(trim(*level)) : "unknown"));
  }
  return Error(ErrorCode::kUnsupported,
               fmt::format("hardware counters cannot be opened: {}", std::strerror(reason)));
}

} // namespace temper::engine
