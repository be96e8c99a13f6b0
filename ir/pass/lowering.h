/// The passes that bring tir to the form a CPU code generator takes. Each is a free function, a
/// file each with the algorithm on top; their order and why is in ir/pass/pipelines.cpp; the form
/// at the end is stated in codegen/lower.h.
#pragma once

#include "ir/function.h"
#include "ir/support/result.h"

#include <optional>
#include <string>
#include <vector>

namespace temper::ir {

/// Facts about the machine and limits. The defaults are an AVX-512 core.
struct LowerOptions {
  int vector_bits = 512;     ///< of one register: 128, 256 or 512
  int vector_registers = 32; ///< 16 for SSE and AVX2
  /// Statements that unrolling one loop nest may make (T.unroll, pragmas, register tiles).
  int max_unrolled_statements = 512;
  /// Parallel loops become serial ones: the kernel is to run on one thread.
  bool serial = false;
  /// Only what is needed to be correct: no unrolling, no register tiles. For references.
  bool plain = false;
  /// LLVM's names of what the target has, for tensorized blocks; without it (and in `plain`) they
  /// are lowered by what they describe.
  std::optional<std::vector<std::string>> features;
  /// Verify what comes out. Whoever compiles it must.
  bool verify = true;

  /// Lanes of one register for an element type.
  int lanes(DataType element) const;
  /// Registers that a register tile may take, the rest being for operands.
  int tile_registers() const { return vector_registers >= 32 ? 28 : 12; }
};

/// What lowering could not do as the schedule asked, in one sentence each, without repeats.
using LowerNotes = std::vector<std::string>;

/// Ok when the function can be lowered for a CPU: no layouts, no thread bindings; shapes are
/// constant, but for those of parameters.
Result<void> check_lowerable(const PrimFunc& function);

/// Symbolic dimensions become parameters, behind the others and in order of appearance: whoever
/// calls the function gives their values.
PrimFunc size_parameters(const PrimFunc& function);

/// Parallel loops inside parallel loops become serial; all of them with `serial`.
PrimFunc serialize_nested_parallel(const PrimFunc& function, bool serial);
/// Intermediate buffers shrunk to the box that is accessed while they live, indices rebased.
PrimFunc compact_buffers(const PrimFunc& function);
/// Annotation of an allocation, and of the s-tir block that writes the buffer (there with the
/// number of the region in front): a list of [axis, factor, offset].
inline constexpr const char* kDimAlign = "buffer_dim_align";
/// Such buffers get strides: along `axis` the least k * factor + offset that holds what lies
/// inside.
PrimFunc align_strides(const PrimFunc& function);
/// int32 loop variables and index arithmetic become int64.
PrimFunc widen_indices(const PrimFunc& function);
/// Buffers of any rank become flat ones; the parameters' shapes are kept in attributes.
PrimFunc flatten_buffers(const PrimFunc& function);
/// Index arithmetic in linear form; decided conditions, empty and one-trip loops removed.
PrimFunc simplify_loops(const PrimFunc& function);
/// Conditions on loop variables become loop bounds, or leave inner loops.
PrimFunc partition_loops(const PrimFunc& function);
/// Products of tiles whose sums were set to zero just before start from zero.
PrimFunc start_tile_sums(const PrimFunc& function);
/// Nested loops that copy or fill one contiguous range become one of vectors.
PrimFunc join_copies(const PrimFunc& function);
/// Copies that transpose go through registers, a tile at a time.
PrimFunc transpose_tiles(const PrimFunc& function, const LowerOptions& options);
/// Loop annotation: the order of this reduce loop is free (an rfactor made it), so its lanes may be
/// summed as a tree.
inline constexpr const char* kReduceLanes = "temper.reduce_lanes";
/// Loops with it become horizontal vector operations.
PrimFunc reduce_lanes(const PrimFunc& function, const LowerOptions& options);
/// kVectorized loops become vector statements.
PrimFunc vectorize_loops(const PrimFunc& function, const LowerOptions& options,
                         LowerNotes* notes = nullptr);
/// Accumulators of reduction loops live in `local` buffers, their tile loops unrolled.
PrimFunc promote_registers(const PrimFunc& function, const LowerOptions& options);
/// kUnrolled loops and those that pragmas ask for are expanded.
PrimFunc unroll_loops(const PrimFunc& function, const LowerOptions& options);
/// Loop annotation: so many statements of its body before their use, its operands are asked for.
inline constexpr const char* kPrefetch = "temper.prefetch";
/// Loops with it ask for what they read some rounds before.
PrimFunc insert_prefetches(const PrimFunc& function);
/// Stores that nothing reads, empty loops and unused allocations removed.
PrimFunc remove_dead(const PrimFunc& function);

/// Floating types widened to float64 (codegen/lower.h).
PrimFunc widen_for_reference(const PrimFunc& function);

/// Ok when the function is as codegen/lower.h says.
Result<void> verify_lowered(const PrimFunc& function, const LowerOptions& options);

/// Element types and shapes of the parameters as they were before flattening: reads
/// `temper.param_shapes`, or the buffers themselves for a function that is not lowered. A scalar
/// gives an empty list.
inline constexpr int64_t kSymbolicExtent = -1;
std::vector<std::vector<int64_t>> parameter_shapes(const PrimFunc& function);
/// For each parameter, whether the function writes it.
std::vector<bool> written_parameters(const PrimFunc& function);

} // namespace temper::ir
