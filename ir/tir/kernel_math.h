/// Ranges of a kernel's numbers, for index arithmetic below it.
#pragma once

#include "ir/arith/simplify.h"
#include "ir/tir/tile.h"

namespace temper::tir {

/// Blocks and threads of the kernel, for the scope at hand.
inline void bind_kernel(Analyzer& analyzer, const KernelLaunch& launch) {
  const auto bind = [&](const std::vector<Var>& vars, const std::vector<Expr>& extents) {
    for (size_t d = 0; d < vars.size(); ++d)
      analyzer.bind(vars[d], Range{make_int(vars[d]->dtype, 0), extents[d]});
  };
  bind(launch.block_vars, launch.grid);
  bind(launch.thread_vars, launch.threads);
}

} // namespace temper::tir
