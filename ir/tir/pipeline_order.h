/// Software pipelines that the program itself lays out: T.Pipelined(n, order=[...], stage=[...]).
///
///   for k in T.Pipelined(8, order=[0, 1], stage=[0, 1]):
///     T.copy(A[k], S)
///     T.gemm(S, ...)
///
/// Statement i of iteration k runs in round k + stage[i], and within a round statements run by
/// order[i]. Both list the statements of the body as they stand, without declarations (allocations,
/// names); with group=[[0], [1, 2]] they list the groups. An entry of -1 is a copy that runs
/// num_stages - 1 rounds ahead of everything, first in its round.
///
///   S: 2 versions
///   T.copy(A[0], S[0])
///   for t in range(1, 8):
///     T.copy(A[t], S[t % 2])
///     T.gemm(S[(t - 1) % 2], ...)
///   T.gemm(S[1], ...)
///
/// What the loop computes stays what it is, so some arrangements are refused: a statement may not
/// run before one whose results it takes, of its own iteration or of an earlier one. A buffer in
/// shared memory that one operator writes whole, and the loop alone uses, gets as many versions as
/// are alive at a time; others have one, which has to suffice. On a CPU, where nothing is under
/// way, iterations run one after the other.
#pragma once

#include "ir/support/result.h"
#include "ir/tir/tile.h"

namespace temper::tir {

// Annotations of a pipelined loop, lists of integers.
inline constexpr const char* kPipelineOrder = "order";
inline constexpr const char* kPipelineStage = "stage";
inline constexpr const char* kPipelineGroup = "group";

/// T.Pipelined with order= or stage=.
bool is_ordered(const For& loop);

/// Why the loop cannot run in its order and stages, in one sentence. What is used outside of the
/// loop, too, is not known here: expand_ordered_pipelines looks again.
Result<void> check_pipeline_order(const For& loop);

/// Every such loop as rounds: a serial loop, what comes before and what is left over. With
/// `asynchronous`, copies from global to shared memory that are read in a later round may be under
/// way until then. Scalars must be bound already (ir/tir/lower_tiles.h). Errors name the line.
Result<PrimFunc> expand_ordered_pipelines(const PrimFunc& function, bool asynchronous);

} // namespace temper::tir
