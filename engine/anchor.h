/// Fixed work, compiled into temper and never changed: its time says how the machine is doing, not
/// how good anything is. And the probe that tells whether two threads have two cores right now.
#pragma once

#include <vector>

namespace temper::engine {

/// Fastest of many repeats of about 0.1 ms of arithmetic in registers: follows the clock frequency,
/// which in a virtual machine jumps from one millisecond to the next; the fastest of 8 ms does not.
double time_anchor_compute();
/// Fastest of the passes over an 8 MiB buffer that fit into 5 ms.
double time_anchor_memory();
/// See Measurement::side_by_side; takes about 3 ms. Starts threads and ends them.
double probe_side_by_side(int threads);
/// The compute anchor against itself, in alternation: equal by construction, so what differs is
/// this machine's noise.
struct NoisePairs {
  std::vector<double> a_ns;
  std::vector<double> b_ns;
};
NoisePairs measure_noise(int pairs);

} // namespace temper::engine
