#include "ir/tir/cuda/variants.h"

#include "ir/walk.h"

namespace temper::tir::cuda {

std::vector<TileVariant> variants() { return {gemm_mma(), copy_async(), threads()}; }

Stmt unrolled(const Var& var, int64_t extent, const Stmt& body) {
  if (extent == 1)
    return substitute(body, {{var, make_int(var->dtype, 0)}});
  return make_for(var, make_int(var->dtype, 0), make_int(var->dtype, extent), ForKind::kUnrolled,
                  body);
}

TileVariant threads() {
  return {.op = "*",
          .target = TargetKind::kCuda,
          .scope = "block",
          .name = "threads",
          .doc = "the operator's meaning, element by element, shared out among the threads",
          .lower = [](const TileCall& call, TileContext&) -> Result<Stmt> {
            return find_tile_op(call.op)->meaning(call);
          }};
}

} // namespace temper::tir::cuda
