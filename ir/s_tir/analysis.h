/// What primitives and search rules ask about blocks: who produces what for whom inside a scope
/// block, which blocks compute their output completely, what axes and loops mean to each other, and
/// what a statement reads and writes.
///
///   with T.sblock("root"):            the scope block
///       for i, k: C[i] += ...         child 0, "C": a reduction block
///       for i: D[i] = C[i] * 2        child 1, "D": a complete block; consumer of child 0
///
/// Everything here is made to be computed anew after each primitive: microseconds for the blocks of
/// one kernel. A Scope points into the block it was made from and is valid as long as that block
/// is.
#pragma once

#include "ir/s_tir/block.h"
#include "ir/s_tir/primitive.h"

#include <string>
#include <vector>

namespace temper::s_tir {

/// Which buffers a statement touches, each with one region that contains all accesses.
struct Accesses {
  std::vector<BufferRegion> reads;
  std::vector<BufferRegion> writes;
};
/// Accesses of `body`, in order of appearance, with the loops inside it relaxed. Buffers that are
/// allocated inside do not appear. An index that nothing bounds gives the whole dimension.
Accesses detect_accesses(const Stmt& body);
/// Accesses of the block's init and body in terms of its axes. With an init, the update's reading
/// of its own output is not a read of the block (the init is part of it).
Accesses detect_accesses(const SBlock& block);

/// A block directly inside a scope block.
struct ChildBlock {
  const SBlockRealize* realize = nullptr;
  std::vector<const For*> loops; ///< between the scope block and this one, outermost first
  const SBlock& block() const { return *realize->block; }
};

enum class DependencyKind : uint8_t {
  kReadAfterWrite,
  kWriteAfterWrite,
  kWriteAfterRead,
};
/// `to` comes after `from` and both touch one buffer; indices into Scope::children.
struct Dependency {
  int from;
  int to;
  DependencyKind kind;
};

struct Scope {
  const SBlock* block = nullptr;    ///< the scope block
  std::vector<ChildBlock> children; ///< in the order of the text
  std::vector<Dependency> dependencies;
  /// Between the scope block and its children there are only loops and sequences.
  bool schedulable = true;

  /// -1 when the block is not a direct child.
  int index_of(BlockId id) const;
  /// Children whose writes `child` reads, and the other way round; ascending.
  std::vector<int> producers(int child) const;
  std::vector<int> consumers(int child) const;
  /// No other child writes any buffer that `child` writes.
  bool only_writer(int child) const;
  /// The buffer is not allocated by the scope block: what is written to it is seen outside.
  bool is_output(const Buffer& buffer) const;
};
Scope analyze_scope(const SBlock& scope_block);

enum class BlockKind : uint8_t { kComplete, kReduction, kOther };

/// Why `child` is not a complete block, as the end of "block B ..."; null when it is one. A
/// complete block is the only writer of its outputs, has only spatial axes, and does not read what
/// it writes.
const char* why_not_complete(const Scope& scope, int child);
/// Why `child` is not a reduction block; null when it is one: it has an init, is the only writer of
/// its outputs, has spatial and reduction axes only, indexes its outputs by spatial axes alone, and
/// its bindings are affine.
const char* why_not_reduction(const Scope& scope, int child);
BlockKind block_kind(const Scope& scope, int child);

/// The order of children may be changed as long as producers stay before consumers: only loops and
/// blocks in the scope, no write after read, and what a block reads from another one was written by
/// it (region cover). Empty, or the rule that fails, as a sentence without its point. `child` >= 0:
/// only dependencies of that child count, which is what moving it asks for.
std::string why_not_stage_pipeline(const Scope& scope, int child = -1);
/// Every element that `consumer` reads of the buffers that `producer` writes is written by it,
/// within one iteration of the loops that both share. Not so for a rolling buffer (rolling_buffer).
bool covers_region(const Scope& scope, int producer, int consumer);

/// The bindings take every point of the axes' domains, once, while the loops run; the predicate, if
/// any, only leaves out points beyond the domains.
bool is_affine_binding(const SBlockRealize& realize, std::span<const For* const> loops);
/// True when the predicate holds for every point inside the domains of the axes.
bool predicate_follows_from_domains(const SBlockRealize& realize,
                                    std::span<const For* const> loops);
/// True when one iteration of the body differs from another only by T.where.
inline bool has_predicate(const SBlockRealize& realize) { return !is_int(realize.predicate, 1); }

/// What a loop is to a block below it.
struct LoopUse {
  bool spatial = false; ///< the binding of a spatial axis mentions it
  bool reduce = false;  ///< ... of a reduction axis
  bool other = false;   ///< ... of a scan or opaque axis
  bool data_parallel() const { return spatial && !reduce && !other; }
};
LoopUse loop_use(const SBlockRealize& realize, const Var& loop_var);

/// The first of loops[first, last), out of all the `loops` around the block, whose iterations do
/// not all have different bindings: it does the same work again. Null when there is none.
const For* repeating_loop(const SBlockRealize& realize, std::span<const For* const> loops,
                          size_t first, size_t last);

/// Every write region of the block is one element whose indices are different axes (or constants).
bool has_trivial_writes(const SBlock& block);

/// The statement of a block whose body is one BufferStore; null otherwise.
const BufferStore* single_store(const Stmt& body);

} // namespace temper::s_tir
