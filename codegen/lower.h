/// From scheduled s-tir to what a CPU code generator takes: flat tir, explicit vectors, register
/// tiles in `local` buffers. The passes are in ir/s_tir (blocks) and ir/pass (everything else),
/// their order in ir/pass/pipelines.cpp.
///
///   for k in range(64):
///     with T.sblock("C"): ...                    C_local[T.Ramp(0, 1, 16)] =
///                                         ->       C_local[T.Ramp(0, 1, 16)] + T.Broadcast(A[k],
///                                         16)
///                                                  * B[T.Ramp(k * 16, 1, 16)]
///
/// **What the emitter may rely on** (verify_lowered states it as code):
///  - Every buffer has rank 1, a constant extent, no strides, offset or layout. Parameters too, but
///    for the extent, which may be symbolic: the function's attribute `temper.param_shapes` ([[512,
///    512], ...], [] for a scalar, -1 for what is symbolic) keeps their shapes, `temper.outputs`
///    the positions of the parameters that are written. Symbolic dimensions are scalar parameters,
///    behind the others.
///  - Statements are Bind, AllocBuffer, BufferStore, Evaluate, SeqStmt, IfThenElse, For, While,
///  Break,
///    Continue, Return and Assert. A For is kSerial or kParallel. kParallel loops do not nest; what
///    is allocated in their body belongs to one iteration, so iterations share only what is defined
///    outside. Serial loops may carry the annotation `temper.unroll` = 0: do not unroll further.
///  - Indices and loop variables are int64 and cannot overflow. A vector access has a Ramp index
///    (stride 1 = contiguous, other constants = strided, else a gather or scatter) or any integer
///    vector. Indices are linear forms, so index_divisor() (ir/pass/index_math.h) gives the
///    alignment of an access: gcd(buffer alignment, index_divisor * element bytes).
///  - Vectors have a power of two of lanes and fit LowerOptions::vector_bits for the widest type of
///    the statement they are in (a bool vector has as many lanes as what it masks).
///  - A predicate (of loads and stores) is a bool vector; lanes that are off touch no memory.
///  - A buffer of scope "local" is at most a few KiB and accessed at constant indices only (or
///    Ramp(constant, 1, lanes)), slices that are equal or disjoint: an alloca that SROA takes apart
///    into registers. Other buffers are memory; their size may be anything.
///  - Distinct buffers never overlap. Loads of a parameter that is not in `temper.outputs` are
///    invariant.
#pragma once

#include "ir/module.h"
#include "ir/pass/lowering.h"
#include "ir/pass/pass.h"
#include "ir/support/result.h"
#include "ir/target.h"

namespace temper::codegen {

/// vector_bits, vector_registers, limits, `serial`, `plain`.
using LowerOptions = ir::LowerOptions;

/// Every PrimFunc of the module, s-tir or tir, lowered; copies that are packed ahead are functions
/// of their own then, behind the others (ir/s_tir/packs.h). Error: kUnsupported when a function
/// cannot be lowered for a CPU (memory of symbolic size, thread binding), with the reason. Runs
/// under ir/pass/pass.h's runner: TEMPER_DUMP=passes shows every step, TEMPER_SKIP_PASSES leaves
/// some out, debug builds verify after each.
Result<ir::IRModule> lower_for_cpu(const ir::IRModule& module, const LowerOptions& options);
Result<ir::IRModule> lower_for_cpu(const ir::IRModule& module, const LowerOptions& options,
                                   const ir::PassOptions& pass_options);

/// The steps from a tile program to plain loops (ir/tir/lower_tiles.h); `options` outlives them.
std::vector<ir::Pass> tile_passes(const LowerOptions& options);

/// The program that computes references: floating types widened to float64, integer types kept.
/// Parameters that are only read keep their type and are cast on load; those that are written are
/// widened. Works on s-tir and tir before lowering; schedules carry over.
using ir::widen_for_reference;

using ir::parameter_shapes;
using ir::verify_lowered;
using ir::written_parameters;

} // namespace temper::codegen
