/// Layout inference: where the elements of fragments and shared buffers of a kernel lie, from the
/// operators that use them.
///
///   gemm(A_shared, B_shared, scores)     scores: mma's accumulator; A_shared, B_shared: 128-byte
///   XOR scores_max[i] = max over scores      scores_max: one per row, held by the row's lanes
///   copy(scores, scores_cast)            scores_cast: as scores, and so the A of the next product
///
/// First what the program says itself (annotate_layout), then what products need, then what follows
/// from both: elements that are used together lie in the same threads, and memory that a product's
/// registers are stored to has the swizzle that keeps them out of each other's banks. What is left
/// gets rows dealt to the threads in vectors. A buffer that two operators need in different places
/// is an error that names both, or goes through shared memory for one of them (LayoutConflicts).
///
/// The problem is stated apart from the IR, so that it can be posed by any lowering:
/// layout_problem_of() (with the tile nodes) poses it for a kernel.
#pragma once

#include "ir/node.h"
#include "ir/tir/fragments.h"

namespace temper::tir {

struct LayoutBuffer {
  std::string name;
  std::vector<int64_t> shape;
  int element_bits = 32;
  bool is_fragment = false;    ///< else shared
  std::optional<Layout> fixed; ///< by the program
  Span fixed_where;
  int64_t threads = 0; ///< of a fragment: that hold it (a role's); 0: the block's
  /// Of a fragment: bits of the widest elements in memory that it is read from or written to as its
  /// rows lie; 0: of none.
  int exchanged_bits = 0;
  bool by_hand = false; ///< of a shared buffer: code outside of operators addresses it, too
};

enum class GemmPolicy : uint8_t { kSquare, kFullRow, kFullColumn };

/// An operand of an elementwise operator: its dimension d is indexed by loop dimension loops[d].
struct LayoutOperand {
  int buffer = 0;
  std::vector<int> loops;
};

struct LayoutUse {
  std::string op; ///< for messages: "T.gemm"
  Span where;
  int64_t threads = 0; ///< that run it (a role's); 0: the block's
  bool is_gemm = false;

  // A product: C += A B.
  int a = -1;
  int b = -1;
  int c = -1;
  bool transpose_a = false;
  bool transpose_b = false;
  GemmPolicy policy = GemmPolicy::kSquare;
  bool policy_open = false; ///< the program says none
  int64_t warp_rows = 0;    ///< how many warps share the rows; 0: as the policy has it
  bool wgmma = false;       ///< by warpgroups; `warp_rows` counts those then
  int64_t mfma_rows = 0;    ///< of MFMA's instruction; 0: the most that fit (ir/tir/mfma.h)
  int swizzle_a = -1;       ///< bytes of the XOR swizzle of an operand in shared memory; -1: widest
  int swizzle_b = -1;

  /// A buffer in shared memory that an engine reads in boxes: with the widest swizzle.
  int boxes = -1;

  /// A whole shared buffer that takes the whole fragment of operand 0: with a swizzle where that
  /// spares bank conflicts.
  int stored = -1;

  /// Everything else: operands of one loop nest (copies, reductions, T.Parallel).
  std::vector<LayoutOperand> operands;
  int loop_rank = 0;
};

struct LayoutProblem {
  std::vector<LayoutBuffer> buffers;
  std::vector<LayoutUse> uses;
  int64_t threads = 128; ///< of a block; a multiple of 32
  /// Products of wgmma (operands in shared memory, warpgroups) where shapes allow; else mma.sync.
  bool wgmma = false;
  /// Products of MFMA: the block's threads are waves of 64.
  bool mfma = false;
};

struct InferredLayout {
  Layout layout;
  std::string reason; ///< "C of T.gemm, line 12", "as scores, by T.copy, line 14", "default"
};

/// What becomes of elements that two operators need in different threads.
enum class LayoutConflicts : uint8_t {
  kAreErrors,      ///< that name both operators
  kGoThroughMemory ///< one of them finds its elements by way of shared memory
};
/// One layout per buffer, in order. Layouts that the program states are never set aside.
Result<std::vector<InferredLayout>>
infer_layouts(const LayoutProblem& problem,
              LayoutConflicts conflicts = LayoutConflicts::kAreErrors);
/// What lowering takes: layouts without conflicts, with the policies as they stand or, where the
/// program leaves them open, with all warps along the rows (a product whose rows are another's);
/// else those whose conflicts go through memory.
Result<std::vector<InferredLayout>> choose_layouts(const LayoutProblem& problem);

/// How the warps of a block share a product of m x n: as square as the policy allows, in steps of
/// the instruction.
Result<WarpGrid> warp_grid(int64_t m, int64_t n, int64_t warps, GemmPolicy policy,
                           int64_t step_m = 16, int64_t step_n = 8);
/// Every way in which they can, by how many share the rows.
std::vector<WarpGrid> warp_grids(int64_t m, int64_t n, int64_t warps, int64_t step_m = 16,
                                 int64_t step_n = 8);
/// Rows dealt to threads in vectors of up to 16 bytes of so many bits each (of the fragment's
/// elements, or of those in memory), the last dimension fastest; elements that are fewer than the
/// threads are held by several of them.
Result<Layout> default_fragment(const std::vector<int64_t>& shape, int64_t threads,
                                int element_bits);

/// C of a product that warpgroups share: each has wgmma's accumulators for its part, side by side,
/// of wgmma_width() columns each.
Result<Layout> wgmma_accumulators(int64_t m, int64_t n, WarpGrid warpgroups);
/// A of such a product in registers: each warpgroup has its rows, 64 at a time.
Result<Layout> wgmma_operand(int64_t m, int64_t k, int64_t warpgroups, int element_bits);
/// The most columns of one instruction that divide those of a warpgroup.
int64_t wgmma_width(int64_t columns);
/// Tiles of the last two dimensions in shared memory, one behind the other; rows with an XOR
/// swizzle of so many bytes, 0: none. The error says why the shape does not have that.
Result<Layout> shared_tiles(const std::vector<int64_t>& shape, int element_bits, int swizzle_bytes);

/// Every place that `needed` wants an element in is one where `have` has it.
bool covers(const Layout& have, const Layout& needed);
/// The layout of a loop nest seen by an operand of it: the other loops are reduced away.
Result<Layout> operand_layout(const Layout& loop, const LayoutOperand& operand);

/// A table: buffer, layout, reason; one line each.
std::string to_text(const LayoutProblem& problem, const std::vector<InferredLayout>& layouts);

} // namespace temper::tir
