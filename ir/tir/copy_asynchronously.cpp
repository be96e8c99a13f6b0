// Copies that a software pipeline waits for go past the registers.
//
//   S: async_copies                                   S
//   T.copy_vector(S[k % 2, t * 4], A[k, t * 4], 4)  ->  T.ptx_cp_async(S[k % 2, t * 4], A[..], 4)
//
// cp.async moves 4, 8 or 16 bytes; what is smaller stays a copy through a register, which is there
// when it is waited for.
#include "ir/tir/bound_threads.h"

#include "ir/op.h"
#include "ir/pass/pipeline_loops.h"
#include "ir/pass/rewrite.h"
#include "ir/tir/statement_call.h"

#include <unordered_set>

namespace temper::tir {
namespace {

bool moves(const Buffer& to, const Buffer& from, int64_t elements) {
  const int64_t bytes = elements * to->dtype.element_bytes();
  return to->dtype == from->dtype && from->scope == "global" &&
         (bytes == 4 || bytes == 8 || bytes == 16);
}

} // namespace

PrimFunc copy_asynchronously(const PrimFunc& function) {
  std::unordered_set<const BufferNode*> marked;
  walk(function->body, [&](const NodeRef& node) {
    if (const auto* alloc = node.as<AllocBuffer>(); alloc && alloc->annotations.get(kAsyncCopies))
      marked.insert(alloc->buffer.get());
    return !ExprNode::accepts(node->kind());
  });
  if (marked.empty())
    return function;
  const auto asynchronous = [](const Expr& to, const Expr& from, int64_t elements, const Span& at) {
    Stmt copy =
        make_evaluate(call_op("ptx_cp_async", {to, from, make_int(DataType::int32(), elements)}));
    copy->span = at;
    return copy;
  };
  const Stmt body =
      cast_ref<StmtNode>(rewrite_post(function->body, [&](const NodeRef& node) -> NodeRef {
        if (const auto* alloc = node.as<AllocBuffer>();
            alloc && marked.contains(alloc->buffer.get()))
          return make_alloc(alloc->buffer, alloc->annotations.without(kAsyncCopies));
        if (const auto* store = node.as<BufferStore>();
            store && marked.contains(store->buffer.get())) {
          const auto* load = store->value.as<BufferLoad>();
          if (load != nullptr && !load->predicate && !store->predicate &&
              moves(store->buffer, load->buffer, 1))
            return asynchronous(make_load(store->buffer, store->indices), store->value, 1,
                                store->span);
        }
        const Call* call = call_of(node);
        if (call == nullptr || call->op != "copy_vector")
          return node;
        const auto* to = call->args[0].as<BufferLoad>();
        const auto* from = call->args[1].as<BufferLoad>();
        const int64_t elements = as_int(call->args[2]).value_or(0);
        if (to == nullptr || from == nullptr || !marked.contains(to->buffer.get()) ||
            !moves(to->buffer, from->buffer, elements))
          return node;
        return asynchronous(call->args[0], call->args[1], elements, node->span);
      }));
  return with_body(function, body);
}

} // namespace temper::tir
