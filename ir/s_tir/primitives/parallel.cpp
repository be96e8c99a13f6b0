#include "ir/s_tir/primitives/loop_mark.h"

namespace temper::s_tir {

void register_parallel() {
  register_mark<LoopMark{ForKind::kParallel, true, kAnyExtent}>(
      "Parallel", "parallel",
      "Runs the iterations of a loop on several threads. They must be independent: no block "
      "below accumulates over the loop or reads what another iteration writes.\n"
      "\n"
      "    for i in range(128):  →  for i in T.parallel(128):");
}

} // namespace temper::s_tir
