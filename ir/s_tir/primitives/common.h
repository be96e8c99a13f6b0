/// What the primitives' files share: reading arguments, finding places, putting a changed statement
/// back into the module.
#pragma once

#include "ir/s_tir/error.h"
#include "ir/s_tir/primitive.h"

#include "ir/walk.h"

#include <string>

namespace temper::s_tir {

/// What sample_compute_location's loop is when it is not a loop: compute_at then inlines the block,
/// or leaves it where it is.
inline constexpr int64_t kInlineLocation = -1;
inline constexpr int64_t kRootLocation = -2;

/// The block or loop that `value` names; an error says what it is instead, or that the handle is
/// not in the module.
Result<BlockPlace> require_block(const Context& context, const Value& value);
Result<LoopPlace> require_loop(const Context& context, const Value& value);

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

/// Uses of loop variables below `stmt` replaced: loops' bounds, realizes' bindings and predicates.
/// Block bodies are not entered (they never refer to loops outside the block).
Stmt substitute_loops(const Stmt& stmt, const VarMap& values);

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
