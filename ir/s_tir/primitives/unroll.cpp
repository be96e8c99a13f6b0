#include "ir/s_tir/primitives/loop_mark.h"

namespace temper::s_tir {

void register_unroll() {
  constexpr int64_t kMostIterations = 64; // code grows by as much
  register_mark<LoopMark{ForKind::kUnrolled, false, kMostIterations}>(
      "Unroll", "unroll",
      "Marks a loop to be unrolled. Any loop that is not bound to a thread may be.\n"
      "\n"
      "    for i in range(4):  →  for i in T.unroll(4):");
}

} // namespace temper::s_tir
