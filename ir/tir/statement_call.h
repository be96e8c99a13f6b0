/// Statements that are calls: T.sync_threads(), T.tma_store(...).
#pragma once

#include "ir/tir/stmt.h"

#include <string_view>

namespace temper::tir {

/// The call that the node, a statement perhaps, is; null for all else.
template <typename T> const Call* call_of(const Ref<T>& node) {
  const auto* evaluate = node.template as<Evaluate>();
  return evaluate != nullptr ? evaluate->value.template as<Call>() : nullptr;
}
template <typename T> bool is_call(const Ref<T>& node, std::string_view op) {
  const Call* call = call_of(node);
  return call != nullptr && call->op == op;
}

} // namespace temper::tir
