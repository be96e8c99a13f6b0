// Parallel loops inside parallel loops run serially: the threads are taken already, and the emitter
// outlines the body of a parallel loop once.
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

Stmt serialize(const Stmt& stmt, bool inside) {
  if (const auto* loop = stmt.as<For>(); loop != nullptr && loop->kind == ForKind::kParallel) {
    const Stmt body = serialize(loop->body, true);
    if (!inside && body == loop->body)
      return stmt;
    return change_loop(*loop, [&](For& node) {
      node.body = body;
      if (inside)
        node.kind = ForKind::kSerial;
    });
  }
  return rebuild(
      stmt, [&](const Stmt& child) { return serialize(child, inside); },
      [](const Expr& expr) { return expr; });
}

} // namespace

PrimFunc serialize_nested_parallel(const PrimFunc& function, bool serial) {
  return with_body(function, serialize(function->body, serial));
}

} // namespace temper::ir
