/// s-tir: blocks. A block is a unit of computation with its own axes; a realize binds the axes to
/// loops:
///
///   for i, j, k in T.grid(128, 128, 128):
///       with T.sblock("C"):
///           vi, vj, vk = T.axis.remap("SSR", [i, j, k])
///           T.reads(A[vi, vk], B[vk, vj])
///           T.writes(C[vi, vj])
///           with T.init():
///               C[vi, vj] = T.float32(0)
///           C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
///
/// The body of a block refers to the block's own axes, to buffers, and, when blocks nest, to the
/// axes of outer blocks; never to loops outside the block, with which it communicates only through
/// the realize's iter_values. So replacing a loop variable never enters a block's body.
#pragma once

#include "ir/tir/stmt.h"

namespace temper::s_tir {

using namespace temper::tir; // NOLINT: s-tir is tir plus blocks

enum class SStmtKind : Kind {
  kBegin = kSTirKinds - 1,
#define TEMPER_S_TIR_STMT(name) k##name,
#include "ir/s_tir/node_kinds.def"
#undef TEMPER_S_TIR_STMT
  kEnd
};

class STirStmtNode : public StmtNode {
public:
  static constexpr const char* kind_name(Kind kind) {
    constexpr const char* kNames[] = {
#define TEMPER_S_TIR_STMT(name) #name,
#include "ir/s_tir/node_kinds.def"
#undef TEMPER_S_TIR_STMT
    };
    return kNames[kind - kSTirKinds];
  }

protected:
  using StmtNode::StmtNode;
};

enum class IterType : uint8_t { kSpatial, kReduce, kScan, kOpaque };

/// An axis of a block: its variable ranges over the domain.
struct IterVar {
  Range domain;
  Var var;
  IterType type = IterType::kSpatial;
  static constexpr auto fields() {
    return std::tuple{child("domain", &IterVar::domain), define("var", &IterVar::var),
                      data("type", &IterVar::type)};
  }
};

/// T.match_buffer inside a block: `buffer` is a view of `source`.
struct MatchBufferRegion {
  BufferRegion source;
  Buffer buffer;
  static constexpr auto fields() {
    return std::tuple{child("source", &MatchBufferRegion::source),
                      define("buffer", &MatchBufferRegion::buffer)};
  }
};

/// Names a block for the length of a schedule: copies keep it, a new block gets a new one. Not part
/// of the program's value.
using BlockId = uint64_t;
BlockId new_block_id();
/// Makes later ids larger than `id`, which came from elsewhere (a file).
void reserve_block_ids(BlockId id);

struct SBlock : NodeOf<SBlock, static_cast<Kind>(SStmtKind::kSBlock), STirStmtNode> {
  BlockId id = 0;
  std::string name;
  std::vector<IterVar> iter_vars;
  std::vector<BufferRegion> reads;
  std::vector<BufferRegion> writes;
  std::vector<Buffer> alloc_buffers;
  std::vector<MatchBufferRegion> match_buffers;
  Annotations annotations;
  Stmt init; ///< null when the block has no reduction to initialise
  Stmt body;
  static constexpr auto fields() {
    // alloc_buffers stand before reads and writes, which never name them from outside: a definition
    // precedes its uses.
    return std::tuple{ignored("id", &SBlock::id),
                      data("name", &SBlock::name),
                      define("iter_vars", &SBlock::iter_vars),
                      define("alloc_buffers", &SBlock::alloc_buffers),
                      child("reads", &SBlock::reads),
                      child("writes", &SBlock::writes),
                      define("match_buffers", &SBlock::match_buffers),
                      child("annotations", &SBlock::annotations),
                      child("init", &SBlock::init),
                      child("body", &SBlock::body)};
  }
};
using Block = Ref<SBlock>;

/// Runs `block` with its axes set to iter_values when `predicate` holds.
struct SBlockRealize
    : NodeOf<SBlockRealize, static_cast<Kind>(SStmtKind::kSBlockRealize), STirStmtNode> {
  std::vector<Expr> iter_values; ///< one per axis of the block
  Expr predicate;                ///< bool; `True` when there is none
  Block block;
  static constexpr auto fields() {
    return std::tuple{child("iter_values", &SBlockRealize::iter_values),
                      child("predicate", &SBlockRealize::predicate),
                      child("block", &SBlockRealize::block)};
  }
};
using BlockRealize = Ref<SBlockRealize>;

/// Dispatch over the statements of both layers.
template <typename... Fs> decltype(auto) visit(const Stmt& stmt, Fs&&... functions) {
  Overloaded overloaded{std::forward<Fs>(functions)...};
  switch (stmt->kind()) {
#define TEMPER_TIR_STMT(name)                                                                      \
  case static_cast<Kind>(StmtKind::k##name):                                                       \
    return overloaded(static_cast<const tir::name&>(*stmt));
#include "ir/tir/node_kinds.def"
#undef TEMPER_TIR_STMT
#define TEMPER_S_TIR_STMT(name)                                                                    \
  case static_cast<Kind>(SStmtKind::k##name):                                                      \
    return overloaded(static_cast<const name&>(*stmt));
#include "ir/s_tir/node_kinds.def"
#undef TEMPER_S_TIR_STMT
  default:
    TEMPER_UNREACHABLE("this node is not an s-tir statement");
  }
}
using ir::visit;

Stmt make_realize(std::vector<Expr> iter_values, Expr predicate, Block block);

} // namespace temper::s_tir
