/// The tile vocabulary of T: kernels, tile operators, their loops. What it means is in
/// ir/tir/tile.h, which operators there are in ir/tir/tile_ops.h.
#pragma once

#include "ir/script/evaluator.h"

namespace temper::script {

// As language.cpp's table has them; `call.callee->data` says which of them.

/// T.Kernel(grid..., threads=): what a with statement opens.
Value tile_kernel(Evaluator& evaluator, CallArguments& call);
/// T.copy(...), T.gemm(...): a statement of the kernel around it.
Value tile_call(Evaluator& evaluator, CallArguments& call);
/// T.Parallel(n, m), T.Pipelined(n, num_stages=3).
Value tile_parallel(Evaluator& evaluator, CallArguments& call);
Value tile_pipelined(Evaluator& evaluator, CallArguments& call);
/// T.get_thread_binding(0): the thread's number as an expression.
Value tile_thread(Evaluator& evaluator, CallArguments& call);
/// T.use_swizzle(panel_size=10): the order in which blocks run, an annotation of the kernel.
Value use_swizzle(Evaluator& evaluator, CallArguments& call);
/// T.alloc_var("int32", init=0): a scalar that changes.
Value alloc_var(Evaluator& evaluator, CallArguments& call);

} // namespace temper::script
