// The variant that every operator has: its own meaning as loops, the last one over vectors.
#include "ir/tir/cpu/variants.h"

namespace temper::tir::cpu {

TileVariant loops() {
  return {.op = "*",
          .target = TargetKind::kCpu,
          .scope = "block",
          .name = "loops",
          .doc = "the operator's meaning as loops, the last one vectorized",
          .lower = [](const TileCall& call, TileContext&) -> Result<Stmt> {
            return find_tile_op(call.op)->meaning(call);
          }};
}

} // namespace temper::tir::cpu
