/// Tile programs: the statements that stand above plain tir, before ir/tir/lower_tiles.h has made
/// loops of them.
///
///   with T.Kernel(T.ceildiv(N, 64), T.ceildiv(M, 64), threads=128) as (bx, by):
///       A_shared = T.alloc_shared((64, 32), "float32")
///       ...
///       T.copy(A[by * 64, k * 32], A_shared)
///       T.gemm(A_shared, B_shared, C_local)
///
/// **What they mean** (ir/tir/tile_meaning.h turns it into plain tir; the interpreter runs that):
///  - A kernel runs its body once for each block of the grid; blocks are independent of each other
///    and run in any order. Several kernels in one function run one after the other.
///  - A tile operator works on whole regions, as one step of the block: what stands before it is
///    done, what stands after it sees its result. What each one computes is stated where it is
///    registered (ir/tir/ops).
///  - `T.Parallel` promises that its iterations are independent; the threads of the block share
///    them. `T.Pipelined` is a serial loop, of which several iterations may be under way at once as
///    far as nobody can tell.
///  - Code that depends on the thread's number is run by every thread of the block, in any order;
///    the threads meet at `T.sync_threads` and at every tile operator. Memory of scope "local" that
///    such code uses exists once per thread.
///  - Inside a kernel, reading an element outside of a buffer of global memory gives zero, and
///    writing one does nothing: tiles may hang over the edge. In other memory it is an error.
///  - The scope "local.fragment" is memory that the block's threads share out among themselves; a
///    program sees it whole.
#pragma once

#include "ir/function.h"
#include "ir/tir/stmt.h"

namespace temper::tir {

inline constexpr Kind kTileKinds = kTirKinds + 0x40;

enum class TileKind : Kind {
  kBegin = kTileKinds - 1,
#define TEMPER_TILE_STMT(name) k##name,
#include "ir/tir/tile_kinds.def"
#undef TEMPER_TILE_STMT
  kEnd
};

class TileStmtNode : public StmtNode {
public:
  static constexpr const char* kind_name(Kind kind) {
    constexpr const char* kNames[] = {
#define TEMPER_TILE_STMT(name) #name,
#include "ir/tir/tile_kinds.def"
#undef TEMPER_TILE_STMT
    };
    return kNames[kind - kTileKinds];
  }

protected:
  using StmtNode::StmtNode;
};

template <typename T, TileKind K> using TileNodeOf = NodeOf<T, static_cast<Kind>(K), TileStmtNode>;

/// with T.Kernel(grid..., threads=...) as block_vars: the body, for each block. A variable runs
/// over [0, extent) of its axis; the first axis moves fastest.
struct KernelLaunch : TileNodeOf<KernelLaunch, TileKind::kKernelLaunch> {
  std::vector<Expr> grid;    ///< one to three extents
  std::vector<Expr> threads; ///< of a block: one to three extents
  std::vector<Var> block_vars;
  std::vector<Var> thread_vars; ///< one per extent of `threads`
  Annotations annotations;
  Stmt body;
  static constexpr auto fields() {
    return std::tuple{child("grid", &KernelLaunch::grid),
                      child("threads", &KernelLaunch::threads),
                      define("block_vars", &KernelLaunch::block_vars),
                      define("thread_vars", &KernelLaunch::thread_vars),
                      child("annotations", &KernelLaunch::annotations),
                      child("body", &KernelLaunch::body)};
  }
};

/// T.copy(A[0:64, 0:32], A_shared): an operator on regions. Which operands it has, and what it does
/// with them, ir/tir/tile_ops.h knows by its name.
struct TileCall : TileNodeOf<TileCall, TileKind::kTileCall> {
  std::string op;                    ///< as after "T."
  std::vector<BufferRegion> regions; ///< operands in memory, in the operator's order
  std::vector<Expr> values;          ///< scalar operands
  /// Options that are not at their default ("transpose_B", "dim"), and annotations that say how it
  /// is carried out ("variant"), which do not change the result.
  Annotations options;
  static constexpr auto fields() {
    return std::tuple{data("op", &TileCall::op), child("regions", &TileCall::regions),
                      child("values", &TileCall::values), child("options", &TileCall::options)};
  }
};

/// Annotation of a kernel: the program does not say how many threads a block has, nor look at them.
inline constexpr const char* kOpenThreads = "open_threads";
/// What a search sets on such a kernel ("kernel.threads").
inline constexpr const char* kThreadCount = "threads";

inline bool is_tile_statement(Kind kind) {
  return kind >= kTileKinds && kind < static_cast<Kind>(TileKind::kEnd);
}
/// True when the function has a kernel or a tile operator, or a loop that only tile programs have.
bool is_tile_program(const PrimFunc& function);

Stmt make_kernel(std::vector<Expr> grid, std::vector<Expr> threads, std::vector<Var> block_vars,
                 std::vector<Var> thread_vars, Stmt body, Annotations annotations = {});
Stmt make_tile_call(std::string op, std::vector<BufferRegion> regions, std::vector<Expr> values,
                    Annotations options = {});

/// The region's extents without those that are 1.
std::vector<Expr> tile_shape(const BufferRegion& region);
/// The scope's name as the language has it: "shared" of "shared.dyn", "fragment" of
/// "local.fragment".
std::string tile_scope(const std::string& scope);

} // namespace temper::tir
