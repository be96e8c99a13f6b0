/// Software pipelines: a loop whose statements work on different iterations at a time, as TVM's
/// annotations ask for. `software_pipeline_stage` says for each statement of the body by how many
/// iterations it stays behind the first ones, `software_pipeline_order` in which order they run.
///
///   # software_pipeline_stage [0, 1], software_pipeline_order [0, 1]
///   for k in range(8):                              B: (2, 16)
///       B: (16,)                                    B[0, ..] = A[0, ..]
///       B[..] = A[k, ..]                   ->       for k in range(1, 8):
///       C[k] = f(B[..])                                 B[k % 2, ..] = A[k, ..]
///                                                       C[k - 1] = f(B[(k - 1) % 2, ..])
///                                                   C[7] = f(B[7 % 2, ..])
///
/// A buffer that is allocated in the body gets as many versions as iterations of it are alive at a
/// time. The statements are those of the body but for its allocations; lower_blocks() keeps the
/// lists in step with what it makes of blocks. `software_pipeline_async_stages` (what may overlap)
/// says nothing to a processor, and ends here; on a GPU the copies of such a stage into shared
/// memory are asked for, and waited for where they are needed:
///
///   # software_pipeline_stage [0, 1], software_pipeline_async_stages [0]
///   for k in range(8):                              S: (2, 64)   # async_copies
///       S: (64,) in shared memory                   S[0, t] = A[0, t]; T.ptx_commit_group()
///       S[t] = A[k, t]                     ->       for k in range(1, 8):
///       T.sync_threads()                                S[k % 2, t] = A[k, t]
///       C[k, t] = f(S[63 - t])                          T.ptx_commit_group(); T.ptx_wait_group(1)
///                                                       T.sync_threads(); C[k - 1, t] = f(S[..])
///                                                   T.ptx_wait_group(0) ...
///
/// `double_buffer_scope` on an allocation in a loop's body (s-tir has it on the block that fills
/// the buffer): what fills it is a stage ahead of the rest, where that is legal; else nothing
/// happens.
#pragma once

#include "ir/function.h"
#include "ir/support/result.h"

namespace temper::ir {

inline constexpr const char* kPipelineStage = "software_pipeline_stage";
inline constexpr const char* kPipelineOrder = "software_pipeline_order";
inline constexpr const char* kPipelineAsyncStages = "software_pipeline_async_stages";
inline constexpr const char* kDoubleBuffer = "double_buffer_scope";

/// The integers of an annotation that is a list of them; nothing when it is not there or no such
/// list.
std::optional<std::vector<int64_t>> pipeline_list(const Annotations& annotations, const char* key);

/// The annotations of a loop whose statement i has become `counts[i]` statements, allocations
/// aside: its lists are repeated. As they are where they do not fit the loop, which
/// pipeline_loops() says.
Annotations repeat_pipeline(const Annotations& annotations, const std::vector<size_t>& counts);
/// How many statements of a pipeline `made` is: allocations do not count.
size_t pipeline_statements(const Stmt& made);

/// kIllegal, with the line, the loop and the buffer, where the annotations do not fit the loop's
/// statements or would change what is computed.
Result<PrimFunc> pipeline_loops(const PrimFunc& function);

/// On an allocation: all that fills it are copies from global memory whose end somebody waits for.
inline constexpr const char* kAsyncCopies = "async_copies";
/// The same in kernels of threads, where asynchronous stages mean something.
Result<PrimFunc> pipeline_kernel_loops(const PrimFunc& function);

} // namespace temper::ir
