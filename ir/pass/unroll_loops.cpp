#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"
namespace temper::ir {
using namespace tir; // NOLINT
namespace {
Stmt serial(const Stmt& stmt) {
  const Stmt inner = rebuild(stmt, [&](const Stmt& c) { return serial(c); }, [](const Expr& e) { return e; });
  if (const auto* loop = inner.as<For>(); loop && loop->kind == ForKind::kUnrolled)
    return change_loop(*loop, [](For& n) { n.kind = ForKind::kSerial; });
  return inner;
}
}
PrimFunc unroll_loops(const PrimFunc& f, const LowerOptions&) {
  return with_body(f, serial(f->body));
}
}
