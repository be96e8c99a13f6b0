#include "ir/tir/atomic.h"

#include "ir/support/check.h"
#include "ir/tir/statement_call.h"

namespace temper::tir {

bool is_atomic(const Call& call) {
  return call.op == "atomic_add" || call.op == "atomic_max" || call.op == "atomic_min";
}

const Call* as_atomic(const Stmt& stmt) {
  const Call* call = call_of(stmt);
  return call != nullptr && is_atomic(*call) && call->args[0].is<BufferLoad>() ? call : nullptr;
}

Stmt plain_atomic(const Call& call, const Expr& place, const Expr& value) {
  const auto* element = place.as<BufferLoad>();
  TEMPER_CHECK(element != nullptr, "the verifier checks addresses");
  return make_store(element->buffer, element->indices,
                    call.op == "atomic_add"   ? make_binary<Add>(place, value)
                    : call.op == "atomic_max" ? make_binary<Max>(place, value)
                                              : make_binary<Min>(place, value));
}

} // namespace temper::tir
