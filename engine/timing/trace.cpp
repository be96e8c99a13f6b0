#include "engine/timing/trace.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::engine {

Result<std::vector<double>> call_times(std::span<const KernelRecord> records, uint64_t first,
                                       int64_t count, const std::vector<std::string>& names,
                                       size_t dropped) {
  const auto broken = [](std::string sentence) {
    return Error(ErrorCode::kEnvironment, "the trace of the GPU is broken: " + sentence);
  };
  if (dropped > 0)
    return broken(fmt::format("{} records were lost", dropped));
  std::vector<std::vector<const KernelRecord*>> calls(static_cast<size_t>(count));
  for (const KernelRecord& record : records)
    if (record.call >= first && record.call < first + static_cast<uint64_t>(count))
      calls[record.call - first].push_back(&record);
  const auto empty = std::count_if(calls.begin(), calls.end(),
                                   [](const auto& kernels) { return kernels.empty(); });
  if (empty > 0)
    return broken(fmt::format("{} of {} calls have no record", empty, count));
  std::vector<double> times;
  for (auto& kernels : calls) {
    for (const KernelRecord* record : kernels)
      if (record->begin_ns == 0 || record->end_ns <= record->begin_ns)
        return broken(fmt::format("the kernel {} begins at {} and ends at {}", record->name,
                                  record->begin_ns, record->end_ns));
    std::sort(kernels.begin(), kernels.end(), [](const KernelRecord* a, const KernelRecord* b) {
      return a->begin_ns < b->begin_ns;
    });
    uint64_t end = 0;
    for (const KernelRecord* record : kernels)
      end = std::max(end, record->end_ns);
    if (kernels.size() != names.size())
      return broken(
          fmt::format("a call has {} kernels where it starts {}", kernels.size(), names.size()));
    for (size_t i = 0; i < names.size(); ++i)
      if (kernels[i]->name != names[i])
        return broken(
            fmt::format("a call ran the kernel {} where it starts {}", kernels[i]->name, names[i]));
    times.push_back(static_cast<double>(end - kernels.front()->begin_ns));
  }
  return times;
}

} // namespace temper::engine
