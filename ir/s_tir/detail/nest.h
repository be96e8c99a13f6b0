/// Builds the loops around a block that compute_at, reverse_compute_at and the cache primitives
/// make: ax0, ax1, ... over what is wanted of each axis, and a predicate where that may reach
/// beyond the axis's domain.
#pragma once

#include "ir/s_tir/detail/index_math.h"
#include "ir/s_tir/detail/scoped_block.h"

namespace temper::s_tir {

/// What is wanted of an axis; nothing means its whole domain.
using Wanted = std::optional<LinearInterval>;

struct Nest {
  Stmt stmt;
  BlockRealize realize;
  std::vector<Ref<For>> loops; ///< outermost first; part of stmt
};
/// `wanted` is in terms of the loops outside, which `math` knows. Axes of extent 1 get a loop only
/// when `preserve_unit_loops`. `may_widen`: more than what is wanted may be done, if that is
/// simpler.
Nest build_nest(IndexMath& math, const Block& block, std::span<const Wanted> wanted,
                bool preserve_unit_loops, bool may_widen = true);

/// The range of each dimension of `region`, a region of the block at `place`, while the loops below
/// the first `outer` ones run (outer 0: while the axes run over their domains). `math` must know
/// the outer loops. Nothing when it is not bounded.
std::optional<std::vector<LinearInterval>> relax_region(IndexMath& math, const ChildBlock& place,
                                                        size_t outer, const BufferRegion& region);

/// A box of elements that an access touches: `box` in terms of the loops outside, and `limits`,
/// without them, beyond which nothing is touched at all. Loops that a predicate cuts short make the
/// box reach beyond the limits.
struct AccessBox {
  std::vector<LinearInterval> box;
  std::vector<LinearInterval> limits;
};
/// Both of relax_region, within the buffer's shape. Nothing when it is not bounded.
std::optional<AccessBox> access_box(IndexMath& math, const ChildBlock& place, size_t outer,
                                    const BufferRegion& region);
/// The whole buffer.
AccessBox whole_box(IndexMath& math, const Buffer& buffer);
/// The smallest box around both.
void unite(IndexMath& math, std::vector<LinearInterval>& box,
           const std::vector<LinearInterval>& other);

/// Every element of what relax_region() says of the region is touched: its indices take every
/// combination of values while the loops below the first `outer` ones run, and the predicate leaves
/// no holes (but for what conditions_on_outer_loops() says). A region of more than one element is
/// looked into: the box around what a tile writes (blockize) may have holes of its own. `math` must
/// know the outer loops.
bool touches_whole_box(IndexMath& math, const ChildBlock& place, size_t outer,
                       const BufferRegion& region);
/// What of `other` lies in the buffer lies in `box`.
bool covers(IndexMath& math, const std::vector<LinearInterval>& box,
            const std::vector<LinearInterval>& other, const Buffer& buffer);
/// Every element of the box around everything that the block writes through `write` is written: its
/// indices take every combination of values.
bool writes_every_element(const SBlock& block, const BufferRegion& write);

/// for ax...: to[v0, v1, ...] = from[v0, v1, ...] over the box, as block `name`. `may_widen`: also
/// beyond the box, where that is simpler: all of `from` is there already.
struct CopyBlock {
  Block block;
  Stmt stmt;
};
CopyBlock make_copy(IndexMath& math, const std::string& name, const Buffer& from, const Buffer& to,
                    const AccessBox& access, bool may_widen);

/// The conditions of the block's predicate that speak of the loops `outer` alone, other loops that
/// run once being at their only value: in iterations of those that break one, the block does
/// nothing, and what stands behind it finds nothing computed.
std::vector<Expr> conditions_on_outer_loops(const ChildBlock& place,
                                            std::span<const For* const> outer);
/// `nest` (loops around one realize) with conditions added to the realize's predicate.
Stmt with_conditions(const Stmt& nest, std::span<const Expr> conditions);

/// A buffer like `buffer` in another scope: "A" in "shared.dyn" is "A_shared_dyn".
Buffer cache_of(const Buffer& buffer, const std::string& scope);

/// `stmt` with every direct child block replaced by what `change` returns (the same one to keep).
Stmt rewrite_child_blocks(const Stmt& stmt, FunctionRef<Block(const Block&)> change);
/// `stmt` with one of its direct child blocks' realizes replaced.
Stmt replace_realize(const Stmt& stmt, const SBlockRealize* from, const Stmt& to);
/// True when one of the blocks directly below `stmt` satisfies `which`.
bool has_child_block(const Stmt& stmt, FunctionRef<bool(const SBlock&)> which);

/// A copy of the scope block with another body (or init, when `old_part` is that).
Block with_scope_part(const Block& scope, const Stmt& old_part, Stmt new_part);

} // namespace temper::s_tir
