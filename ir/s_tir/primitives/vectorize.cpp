#include "ir/s_tir/primitives/loop_mark.h"

namespace temper::s_tir {

void register_vectorize() {
  constexpr int64_t kMostLanes = 64; // more is a mistake rather than a choice
  register_mark<LoopMark{ForKind::kVectorized, true, kMostLanes}>(
      "Vectorize", "vectorize",
      "Runs the iterations of a loop as the lanes of vectors. They must be independent: no "
      "block below accumulates over the loop or reads what another iteration writes.\n"
      "\n"
      "    for i in range(8):  →  for i in T.vectorized(8):");
}

} // namespace temper::s_tir
