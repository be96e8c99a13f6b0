// Rows that lie further apart than they are long, as longer rows: shapes are all that later steps
// look at.
//
//   S: (16, 32), [[0, 32, 8]]      ->      S: (16, 40)
#include "ir/tir/bound_threads.h"

#include "ir/pass/lowering.h"
#include "ir/walk.h"

namespace temper::tir {

PrimFunc pad_rows(const PrimFunc& function) {
  const PrimFunc strided = align_strides(function);
  BufferMap padded;
  bool asked = false;
  walk(strided->body, [&](const NodeRef& node) {
    const auto* alloc = node.as<AllocBuffer>();
    if (alloc == nullptr || !alloc->annotations.get(kDimAlign))
      return !ExprNode::accepts(node->kind());
    asked = true;
    if (alloc->buffer->strides.empty())
      return false;
    std::vector<Expr> shape = alloc->buffer->shape;
    bool whole = true;
    for (size_t d = 0; d + 1 < shape.size(); ++d) {
      const int64_t stride = as_int(alloc->buffer->strides[d]).value_or(0);
      const int64_t inner = as_int(alloc->buffer->strides[d + 1]).value_or(0);
      whole &= inner > 0 && stride % inner == 0;
      if (whole)
        shape[d + 1] = make_int(shape[d + 1]->dtype, stride / inner);
    }
    padded.emplace(alloc->buffer, copy_node(*alloc->buffer, [&](BufferNode& copy) {
                     copy.strides.clear();
                     if (whole)
                       copy.shape = std::move(shape);
                   }));
    return false;
  });
  if (!asked)
    return function;
  const Stmt body = cast_ref<StmtNode>(replace_buffers(strided->body, padded));
  return with_body(strided, cast_ref<StmtNode>(rewrite_post(body, [](const NodeRef& node) {
                     const auto* alloc = node.as<AllocBuffer>();
                     if (alloc == nullptr || !alloc->annotations.get(kDimAlign))
                       return node;
                     return NodeRef(
                         make_alloc(alloc->buffer, alloc->annotations.without(kDimAlign)));
                   })));
}

} // namespace temper::tir
