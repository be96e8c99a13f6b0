// The verifier's rules for kernels and tile operators.
#include "ir/detail/verifier.h"
#include "ir/tir/tile_ops.h"

namespace temper::ir::verifier {

using namespace tir; // NOLINT

namespace {

bool kernel(Verifier& verifier, const Stmt& stmt, const KernelLaunch& launch) {
  if (launch.grid.empty() || launch.grid.size() > 3 || launch.threads.empty() ||
      launch.threads.size() > 3)
    return verifier.fail(stmt, "a kernel has one to three axes of blocks, and of threads");
  if (launch.grid.size() != launch.block_vars.size() ||
      launch.threads.size() != launch.thread_vars.size())
    return verifier.fail(stmt, "a kernel has a variable per axis");
  if (verifier.kernel_depth > 0)
    return verifier.fail(stmt, "a kernel stands in another kernel");
  Verifier::Scope scope(verifier, "kernel");
  const auto axes = [&](const std::vector<Expr>& extents, const std::vector<Var>& vars) {
    for (size_t d = 0; d < extents.size(); ++d) {
      if (!vars[d] || !vars[d]->dtype.is_integral() || !vars[d]->dtype.is_scalar())
        return verifier.fail(stmt, "an axis of a kernel has no integer variable");
      if (!verifier.typed(extents[d], vars[d]->dtype, "the extent of a kernel's axis") ||
          !verifier.define(vars[d], Definition::kLoop))
        return false;
      verifier.inner(vars[d], {make_int(vars[d]->dtype, 0), extents[d]});
    }
    return true;
  };
  if (!axes(launch.grid, launch.block_vars) || !axes(launch.threads, launch.thread_vars) ||
      !verifier.annotations(launch.annotations, "a kernel"))
    return false;
  ++verifier.kernel_depth;
  const int loops = std::exchange(verifier.breakable_loops, 0);
  const bool good = verifier.stmt(launch.body);
  verifier.breakable_loops = loops;
  --verifier.kernel_depth;
  return good;
}

bool tile_call(Verifier& verifier, const Stmt& stmt, const TileCall& call) {
  Verifier::Scope scope(verifier, "T." + call.op);
  if (verifier.kernel_depth == 0)
    return verifier.fail(stmt, "T." + call.op + " stands outside of a kernel");
  for (const BufferRegion& region : call.regions) {
    if (!region.buffer)
      return verifier.fail(stmt, "an operand has no buffer");
    if (!verifier.region(region) || !verifier.inside(region, stmt))
      return false;
  }
  for (const Expr& value : call.values)
    if (!verifier.expr(value))
      return false;
  if (!verifier.annotations(call.options, "a tile operator"))
    return false;
  if (const auto good = check_tile_call(call); !good)
    return verifier.fail(stmt, good.error().message);
  return true;
}

} // namespace

bool verify_tile_statement(Verifier& verifier, const Stmt& stmt) {
  if (const auto* launch = stmt.as<KernelLaunch>())
    return kernel(verifier, stmt, *launch);
  return tile_call(verifier, stmt, *stmt.as<TileCall>());
}

} // namespace temper::ir::verifier
