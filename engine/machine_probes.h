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

/// How many times as long fixed work takes (multiply-adds in registers, or reading what lies beyond
/// the second level of cache, the worse of both) while another process works as a compiler does:
/// the upper end of the 95 % interval over pairs with and without company. 0 where there is no
/// second processor or no process can be started. Some 0.2 s.
double measure_company_ratio(int processors);

} // namespace temper::engine
