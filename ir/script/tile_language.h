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
/// T.annotate_layout({A_shared: layout}): the layouts of buffers that this kernel allocates.
Value annotate_layout(Evaluator& evaluator, CallArguments& call);
/// T.annotate_min_blocks_per_sm(2), ...: hints of the kernel, which never change a result.
Value kernel_hint(Evaluator& evaluator, CallArguments& call);
/// T.Persistent([m, n], blocks, block): the tiles that this block of a persistent kernel works on.
Value tile_persistent(Evaluator& evaluator, CallArguments& call);
/// T.atomic_add(C[i, j], x), or of tiles.
Value tile_atomic(Evaluator& evaluator, CallArguments& call);

/// T.device_assert(condition, msg="...").
Value device_assert(Evaluator& evaluator, CallArguments& call);
/// T.annotate_restrict_buffers(A, B): says what holds anyway.
Value restrict_buffers(Evaluator& evaluator, CallArguments& call);
/// T.annotate_safe_value({A: 0}): says what holds anyway, or that it does not.
Value safe_value(Evaluator& evaluator, CallArguments& call);
/// T.any_of(buffer), T.all_of(buffer): whether elements are not 0.
Value any_or_all(Evaluator& evaluator, CallArguments& call);
/// T.alloc_reducer((64,), "float32", op="sum"): a fragment that iterations of T.Parallel join with
/// values, several with one element (ir/tir/reducers.h).
Value alloc_reducer(Evaluator& evaluator, CallArguments& call);
/// T.finalize_reducer(reducer): nothing is left to be done.
Value finalize_reducer(Evaluator& evaluator, CallArguments& call);
/// T.warp_reduce_sum(value), ...: of the threads of a warp, in each of them.
Value warp_reduce(Evaluator& evaluator, CallArguments& call);
/// How values of the threads of a warp are joined.
enum class WarpFold : uint8_t { kSum, kMax, kMin, kBitAnd, kBitOr };
/// The values joined, in each thread of the warp: statements of the kernel, and what they leave.
/// Null when it was reported.
Expr fold_warp(FunctionBuilder& builder, const Expr& value, WarpFold fold, Position position);
/// T.print(x, msg="..."), T.print(buffer), T.print("i = {}", i): lines of text (ir/tir/printing.h).
Value print_values(Evaluator& evaluator, CallArguments& call);
/// T.sync_grid(): all blocks wait for each other (ir/tir/grid_sync.h).
Value sync_grid(Evaluator& evaluator, CallArguments& call);
/// T.im2col(img, col, nhw_step, c_step, kernel, stride, dilation, pad): windows of an image
/// (im2col.cpp).
Value im2col(Evaluator& evaluator, CallArguments& call);
/// T.dp4a(A, B, C): C[0] += A[0] B[0] + ... + A[3] B[3].
Value dot_of_four(Evaluator& evaluator, CallArguments& call);

// tilelang_language.cpp.

/// T.transpose(src, dst): dst[j, i] = src[i, j].
Value transpose(Evaluator& evaluator, CallArguments& call);
/// T.reduce(buffer, out, "max", dim, clear): T.reduce_max and the others.
Value reduce_of_kind(Evaluator& evaluator, CallArguments& call);
/// T.shfl_xor(value, mask), T.shfl_up(value, delta), ...: the value of another lane.
Value lane_shuffle(Evaluator& evaluator, CallArguments& call);
/// T.any_sync(condition), T.all_sync, T.ballot_sync: of the threads of a warp, in each of them.
Value warp_vote(Evaluator& evaluator, CallArguments& call);
/// T.shuffle_elect(128): true in one of so many threads.
Value elected(Evaluator& evaluator, CallArguments& call);
/// T.atomic_addx2(C[i], x[j]), T.atomic_addx4: of so many elements side by side.
Value atomic_add_several(Evaluator& evaluator, CallArguments& call);
/// T.inc_max_nreg(240), T.dec_max_nreg(24), ...: read; who has which registers is the search's.
Value register_hint(Evaluator& evaluator, CallArguments& call);

// gpu_language.cpp.

/// The number of the thread in its block; the first axis moves fastest.
Expr thread_number(FunctionBuilder& builder);

/// T.get_lane_idx(), T.get_warp_idx(), T.warp_id([4]), ...: places of a thread, as expressions of
/// its number.
Value thread_place(Evaluator& evaluator, CallArguments& call);
/// with T.ws(0): the code of warpgroup 0 alone.
Value warp_role(Evaluator& evaluator, CallArguments& call);
/// T.get_block_binding(0), T.cluster_id(0), T.cta_id_in_cluster(0), ...
Value block_place(Evaluator& evaluator, CallArguments& call);
/// T.alloc_barrier([128, 1]): barriers in shared memory, prepared by the first thread.
Value alloc_barrier(Evaluator& evaluator, CallArguments& call);
/// T.barrier_arrive(bar), T.mbarrier_wait_parity(bar[0], phase), ...
Value barrier_operation(Evaluator& evaluator, CallArguments& call);
/// T.inline_cuda("x = __ldg($0);", ...), T.inline_ptx("...", ...): text for the other compiler.
Value inline_source(Evaluator& evaluator, CallArguments& call);
/// T.source_kernel("gemm", writes=C, define=dict(BM=BM)): the kernel is CUDA C++ of one's own.
Value source_kernel(Evaluator& evaluator, CallArguments& call);

/// T.alloc_var("int32", init=0): a scalar that changes.
Value alloc_var(Evaluator& evaluator, CallArguments& call);

} // namespace temper::script
