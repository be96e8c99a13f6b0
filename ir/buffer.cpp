#include "ir/buffer.h"

namespace temper::ir {

std::optional<int64_t> BufferNode::element_count() const {
  int64_t count = 1;
  for (const Expr& extent : shape) {
    const auto value = as_int(extent);
    if (!value || __builtin_mul_overflow(count, *value, &count))
      return std::nullopt;
  }
  return count;
}

Buffer make_buffer(std::string name, DataType dtype, std::vector<Expr> shape, std::string scope) {
  return make_node<BufferNode>([&](BufferNode& node) {
    node.name = std::move(name);
    node.dtype = dtype;
    node.shape = std::move(shape);
    node.scope = std::move(scope);
  });
}

} // namespace temper::ir
