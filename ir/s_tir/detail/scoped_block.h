/// A block together with the scope block it stands in: what most primitives that move data look at
/// first.
#pragma once

#include "ir/s_tir/analysis.h"
#include "ir/s_tir/error.h"
#include "ir/s_tir/primitives/common.h"

namespace temper::s_tir {

struct ScopedBlock {
  BlockPlace place;
  size_t scope_at = 0; ///< where in place.chain the realize of the scope block stands
  Scope scope;
  int child = -1; ///< this block in scope.children

  const Block& block() const { return place.block(); }
  const SBlockRealize& realize() const { return *place.realize; }
  const Block& scope_block() const {
    return static_cast<const SBlockRealize&>(*place.chain[scope_at]).block;
  }
  const ChildBlock& info() const { return scope.children[static_cast<size_t>(child)]; }
  const ChildBlock& info(int index) const { return scope.children[static_cast<size_t>(index)]; }
  /// From the function's body to the scope's realize.
  std::span<const Stmt> scope_chain() const { return std::span(place.chain).first(scope_at + 1); }
};

/// Also an error for the outermost block, which stands in no scope.
Result<ScopedBlock> require_in_scope(const Context& context, const Value& block);

/// The error for a scope in which blocks must not be moved; nothing when they may.
Result<void> require_stage_pipeline(const Context& context, const ScopedBlock& scoped);
/// Complete or reduction block, or why it is neither.
Result<void> require_complete_or_reduction(const Context& context, const ScopedBlock& scoped,
                                           int child);

/// Uses of a primitive that takes a block and a loop around it, as far as it takes them.
std::vector<Arguments> enumerate_loops_around(const Context& context, const Value& block,
                                              Result<Applied> (*apply)(const Context&,
                                                                       const Arguments&));

/// The module with the scope block replaced by `changed`.
IRModule replace_scope(const Context& context, const ScopedBlock& scoped, Block changed);
IRModule replace_scope(const Context& context, const PrimFunc& function,
                       std::span<const Stmt> scope_chain, Block changed);

/// Whether a region of the buffer is among what the block reads, or writes.
bool reads(const SBlock& block, const Buffer& buffer);
bool writes(const SBlock& block, const Buffer& buffer);

/// The statements of a body, one behind the other.
std::vector<Stmt> statements_of(const Stmt& body);

/// "A.dyn" cannot be a name: "A_dyn".
std::string identifier(std::string text);

/// Whether both are the same number, or the same expression of symbolic dimensions; types of index
/// arithmetic may differ.
bool same_extent(const Expr& a, const Expr& b);

/// Whether a loop's extent is not the same in all iterations of these loops.
bool depends_on(const Expr& extent, std::span<const Ref<For>> loops);

/// A variable of the same type; `suffix` is added to its name.
Var fresh_var(const Var& var, std::string_view suffix = {});

/// Conditions of a conjunction; none for True.
std::vector<Expr> conditions_of(const Expr& predicate);

} // namespace temper::s_tir
