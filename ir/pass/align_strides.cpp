// Strides that a schedule asks for, so that rows of a buffer start in different banks or cache
// sets.
//
//   A: (16, 32), [[0, 32, 8]]      ->      A: (16, 32), strides (40, 1)
//
// From the innermost dimension out, a stride is what lies inside, or the least number from there on
// that leaves `offset` when divided by `factor`. Runs after compact_buffers, whose buffers are
// compact ones, and before flatten_buffers, which multiplies the strides out.
#include "ir/pass/lowering.h"
#include "ir/pass/rewrite.h"
#include "ir/walk.h"

#include <algorithm>

namespace temper::ir {

using namespace tir; // NOLINT

namespace {

struct Alignment {
  int64_t factor = 1;
  int64_t offset = 0;
};

/// By dimension; nothing when the list is not of the form or names no dimension of the buffer.
std::vector<Alignment> alignments_of(const AllocBuffer& alloc) {
  std::vector<Alignment> result(static_cast<size_t>(alloc.buffer->rank()));
  const Expr asked = alloc.annotations.get(kDimAlign);
  const auto* entries = asked ? asked.as<ListImm>() : nullptr;
  for (const Expr& item : entries != nullptr ? entries->values : std::vector<Expr>()) {
    const auto* entry = item.as<ListImm>();
    if (entry == nullptr || entry->values.size() != 3)
      continue;
    const auto axis = as_int(entry->values[0]);
    const auto factor = as_int(entry->values[1]);
    const auto offset = as_int(entry->values[2]);
    if (axis && factor && offset && *axis >= 0 && *axis < alloc.buffer->rank() && *factor > 0 &&
        *offset >= 0)
      result[static_cast<size_t>(*axis)] = {*factor, *offset % *factor};
  }
  return result;
}

/// The buffer with these strides; the buffer itself when they are the compact ones.
Buffer aligned(const Buffer& buffer, const std::vector<Alignment>& alignments) {
  if (!buffer->strides.empty() || buffer->layout)
    return buffer;
  std::vector<Expr> strides(buffer->shape.size());
  bool changed = false;
  int64_t stride = 1;
  for (size_t d = strides.size(); d-- > 0;) {
    const auto extent = as_int(buffer->shape[d]);
    if (!extent)
      return buffer;
    const auto& [factor, offset] = alignments[d];
    const int64_t gap = (factor + offset - stride % factor) % factor;
    changed |= gap > 0;
    stride += gap;
    strides[d] = make_int(buffer->shape[d]->dtype, stride);
    stride *= *extent;
  }
  if (!changed)
    return buffer;
  return copy_node(*buffer, [&](BufferNode& node) { node.strides = std::move(strides); });
}

} // namespace

PrimFunc align_strides(const PrimFunc& function) {
  BufferMap replaced;
  walk(function->body, [&](const NodeRef& node) {
    if (const auto* alloc = node.as<AllocBuffer>();
        alloc != nullptr && alloc->annotations.get(kDimAlign))
      if (const Buffer buffer = aligned(alloc->buffer, alignments_of(*alloc));
          buffer != alloc->buffer)
        replaced.emplace(alloc->buffer, buffer);
    return !ExprNode::accepts(node->kind());
  });
  return replaced.empty()
             ? function
             : with_body(function, cast_ref<StmtNode>(replace_buffers(function->body, replaced)));
}

} // namespace temper::ir
