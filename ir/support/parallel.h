/// Loops over independent work on all processors.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace temper {

/// Calls `body(i)` once for each i below `count`, on this thread and on helpers, one for each
/// further processor (seven at most) and at least `grain` calls; returns when all are done. Calls
/// run in any order and must not throw.
template <typename Body> void parallel_for(size_t count, size_t grain, const Body& body) {
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < count; i = next++)
      body(i);
  };
  const size_t helpers = std::min<size_t>({std::max(std::thread::hardware_concurrency(), 1U) - 1, 7,
                                           count / std::max<size_t>(grain, 1)});
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < helpers; ++i)
    threads.emplace_back(work);
  work();
}

} // namespace temper
