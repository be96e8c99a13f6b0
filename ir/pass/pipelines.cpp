#include "ir/pass/pipelines.h"

#include "ir/narrow.h"
#include "ir/pass/fold.h"

namespace temper::ir {

std::span<const LoweringPass> cpu_passes() {
  using F = const PrimFunc&;
  using O = const LowerOptions&;
  static constexpr LoweringPass kPasses[] = {
      // Nothing below knows elements of less than a byte.
      {"lower_narrow_types", [](F f, O) { return lower_narrow_types(f); }},
      {"serialize_nested_parallel",
       [](F f, O o) { return serialize_nested_parallel(f, o.serial); }},
      // While indices still have a dimension each.
      {"compact_buffers", [](F f, O) { return compact_buffers(f); }},
      // Strides of what is left.
      {"align_strides", [](F f, O) { return align_strides(f); }, false},
      // 64-bit linear addresses from here on: every later pass reads coefficients.
      {"widen_indices", [](F f, O) { return widen_indices(f); }},
      {"flatten_buffers", [](F f, O) { return flatten_buffers(f); }},
      {"simplify_loops", [](F f, O) { return simplify_loops(f); }},
      // Before vectors: a constant tail is a shorter vector, not a mask.
      {"partition_loops", [](F f, O) { return partition_loops(f); }, false},
      // Before vectors: what clears the sums is one nest of loops still.
      {"start_tile_sums", [](F f, O) { return start_tile_sums(f); }, false},
      {"join_copies", [](F f, O) { return join_copies(f); }, false},
      // Before vectors: a transposing copy would gather or scatter.
      {"transpose_tiles", [](F f, O o) { return transpose_tiles(f, o); }, false},
      {"reduce_lanes", [](F f, O o) { return reduce_lanes(f, o); }, false},
      {"vectorize_loops", [](F f, O o) { return vectorize_loops(f, o); }},
      // Before unrolling: the tile's loops are still loops, and their reduction loop has a place
      // for loads before and stores after it.
      {"promote_registers", [](F f, O o) { return promote_registers(f, o); }, false,
       promote_registers_folded},
      {"unroll_loops", [](F f, O o) { return unroll_loops(f, o); }, true, unroll_loops_folded},
      // After unrolling: the body's statements are counted, and one hint is enough for a cache
      // line.
      {"insert_prefetches", [](F f, O) { return insert_prefetches(f); }, false,
       [](F f, O) { return f; }},
      {"remove_dead", [](F f, O) { return remove_dead(f); }, false},
  };
  return kPasses;
}

} // namespace temper::ir
