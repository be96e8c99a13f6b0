/// Probes of what a host's stores and threads cost, for machine_speed.h.
#pragma once

#include <cstddef>
#include <span>

namespace temper::engine {

/// Bytes a second that one core writes with its widest vectors, over and over to `memory`; 0 where
/// there is no probe for them.
double measure_store_bandwidth(std::span<std::byte> memory);

/// What a parallel loop costs beyond its work, in the runtime that kernels use (OpenMP's).
struct ParallelCost {
  double fork_ns = 0;    ///< an empty parallel region, its threads awake; 0: not measured
  double barrier_ns = 0; ///< a barrier inside of one
};

/// In a child process: the runtime's threads shall not spin beside what is measured later. All 0
/// for one thread and where there is no libgomp.
ParallelCost measure_parallel_cost(int threads);

} // namespace temper::engine
