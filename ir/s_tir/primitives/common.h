/// What the primitives' files share: reading arguments, finding places, putting a changed statement
/// back into the module.
#pragma once

#include "ir/arith/simplify.h"
#include "ir/s_tir/error.h"
#include "ir/s_tir/primitive.h"

#include "ir/walk.h"

#include <limits>
#include <string>

namespace temper::s_tir {

/// What sample_compute_location's loop is when it is not a loop: compute_at then inlines the block,
/// or leaves it where it is.
inline constexpr int64_t kInlineLocation = -2;
inline constexpr int64_t kRootLocation = -1;

/// The block or loop that `value` names; an error says what it is instead, or that the handle is
/// not in the module.
Result<BlockPlace> require_block(const Context& context, const Value& value);
Result<LoopPlace> require_loop(const Context& context, const Value& value);

/// The block around a block; an error for a function's root block.
Result<Block> require_scope(const Context& context, const BlockPlace& place);

/// The block's or loop's name for messages: block "C", loop i_0; quotes included.
std::string describe(const Block& block);
std::string describe(const Ref<For>& loop);

/// `module` with `function` (one of its own, by identity) replaced.
IRModule replace_function(const IRModule& module, const PrimFunc& function, PrimFunc replacement);
/// `module` with the last statement of `chain` replaced (null: removed), ancestors rebuilt.
IRModule replace_in_module(const IRModule& module, const PrimFunc& function,
                           std::span<const Stmt> chain, Stmt replacement);

/// Extent of a loop when it is constant.
inline std::optional<int64_t> constant_extent(const For& loop) { return as_int(loop.extent); }

/// A block or loop with its annotations changed.
Result<Applied> change_annotations(const Context& context, const Value& block_or_loop,
                                   FunctionRef<Result<Annotations>(const Annotations&)> change);

/// The largest extent that split and fuse make, so that sums of a few of them stay representable in
/// the loop variable's type.
constexpr int64_t max_extent(DataType dtype) {
  return dtype.bits >= 64 ? int64_t{1} << 56 : std::numeric_limits<int32_t>::max();
}

/// The loop with another kind, at its place in the module.
Applied with_kind(const Context& context, const LoopPlace& place, ForKind kind);

/// What split, fuse and the like need: the loop starts at 0 and has neither annotations nor a
/// thread.
Result<void> require_plain_loop(const Context& context, const Ref<For>& loop);

/// Gives loop variables below a statement new values: in loops' bounds, and in the bindings and
/// predicates of realizes, which are then simplified. Block bodies are not entered (they never
/// refer to loops outside the block).
class Rebind {
public:
  /// `chain` leads to the loop that is replaced; loops around it have known extents. Loops of
  /// extent 1 stay in simplified bindings when `preserve_unit_iters`.
  Rebind(std::span<const Stmt> chain, bool preserve_unit_iters);
  /// A new loop, in [0, extent).
  void bind(const Var& var, const Expr& extent);
  Stmt run(const Stmt& stmt, const VarMap& values);
  /// Blocks at or below `stmt` (those inside blocks excepted) run only when `condition` holds.
  Stmt guard(const Stmt& stmt, const Expr& condition);

private:
  void bind_loop(const For& loop);

  Analyzer analyzer_;
  bool preserve_unit_iters_;
};

/// Calls `visit` for every realize that is below `stmt` but not inside another block below it.
void for_each_child_block(const Stmt& stmt, FunctionRef<void(const BlockRealize&)> visit);

/// check() in terms of apply(), for primitives where the work of the two is the same.
template <Result<Applied> (*Apply)(const Context&, const Arguments&)>
Result<void> check_by_applying(const Context& context, const Arguments& arguments) {
  if (auto applied = Apply(context, arguments); !applied)
    return std::move(applied).error();
  return {};
}

} // namespace temper::s_tir
