/// Atomic operations: T.atomic_add(C[i], x) and its like, statements whose first argument names the
/// element that they change in one step, whatever others do to it meanwhile.
#pragma once

#include "ir/tir/stmt.h"

namespace temper::tir {

bool is_atomic(const Call& call);
/// The call that the statement is; null for all else.
const Call* as_atomic(const Stmt& stmt);
/// The operation on these operands as a store, C[i] = C[i] + x: what it does where nobody else
/// works on the element. The span is the caller's matter.
Stmt plain_atomic(const Call& call, const Expr& place, const Expr& value);
inline Stmt plain_atomic(const Call& call) {
  return plain_atomic(call, call.args[0], call.args[1]);
}

} // namespace temper::tir
