/// An estimate of a kernel's time without running it, from its lowered form: what its loops ask of
/// the ports of a core, and what they move between the levels of the cache. It ranks candidates
/// before anything was measured; how fast a kernel really is, only measuring tells.
///
/// Ports: an innermost loop takes as many cycles as its multiply-adds, loads, stores or
/// instructions need at the core's rates, or as its longest chain of dependent sums. Caches:
/// footprints of loop nests (as in Yotov et al., "Is search really necessary to generate
/// high-performance BLAS?", Proc. IEEE 2005, and Low et al., "Analytical modeling is enough for
/// high-performance BLIS", ACM TOMS 2016): data is moved anew in each iteration of a loop unless
/// what one iteration touches stays in the level.
#pragma once

#include "ir/function.h"

#include <vector>

namespace temper::tuner {

/// What the estimate knows of a machine, per core.
struct MachineRates {
  double cycle_ns = 0.35;
  double multiply_adds_per_cycle = 2; ///< vectors
  /// Instructions that sum products of pairs (bf16) and of fours (int8), of the widest vectors.
  double bf16_dots_per_cycle = 1;
  double int8_dots_per_cycle = 2;
  double loads_per_cycle = 2;
  double stores_per_cycle = 1;
  double instructions_per_cycle = 5;
  double add_latency = 4;     ///< cycles of a sum that stays in a register
  double memory_latency = 10; ///< ... that goes through memory
  int vector_registers = 32;
  struct Level {
    int64_t bytes = 0;
    double ns_per_line = 0; ///< of 64 bytes that this level does not hold, from the next one
  };
  std::vector<Level> levels{{32 << 10, 0.5}, {1 << 20, 2}, {32 << 20, 4}};
};

struct KernelEstimate {
  double port_ns = 0;
  std::vector<double> traffic_ns; ///< by level
  double total_ns = 0;            ///< the largest, and a share of the others, which overlap with it
};

/// `lowered` is what codegen::lower_for_cpu makes, or lower_for_estimate, of which it says the
/// same. `compiled_vector_bits`: of the vectors that the compiler was seen to make of it; innermost
/// loops of scalars along contiguous elements are then taken to run in such vectors. 0: as it
/// stands.
KernelEstimate estimate_time(const ir::PrimFunc& lowered, const MachineRates& rates, int threads,
                             int compiled_vector_bits = 0);

} // namespace temper::tuner
