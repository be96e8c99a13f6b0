// Symbolic dimensions become parameters.
//
//   m = T.dynamic("m")
//   def main(A: T.Buffer((m, 64)), B: T.Buffer((m,)))
//
//   -> def main(A: T.Buffer((m, 64)), B: T.Buffer((m,)), m: T.int32)
#include "ir/pass/lowering.h"
#include "ir/walk.h"

namespace temper::ir {

PrimFunc size_parameters(const PrimFunc& function) {
  if (function->shape_vars.empty())
    return function;
  return copy_node(*function, [&](PrimFuncNode& node) {
    for (const Var& var : function->shape_vars)
      node.params.push_back({nullptr, var});
    node.shape_vars.clear();
  });
}

} // namespace temper::ir
