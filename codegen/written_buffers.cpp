#include "codegen/written_buffers.h"

#include "ir/op.h"
#include "ir/tir/stmt.h"
#include "ir/walk.h"

namespace temper::codegen {

std::unordered_set<const ir::BufferNode*> written_buffers(const ir::PrimFunc& function) {
  std::unordered_set<const ir::BufferNode*> written;
  ir::walk(function->body, [&](const ir::NodeRef& node) {
    if (const auto* store = node.as<tir::BufferStore>())
      written.insert(store->buffer.get());
    const auto* call = node.as<ir::Call>();
    const ir::OpInfo* op = call != nullptr ? ir::find_op(call->op) : nullptr;
    if (op != nullptr && op->addresses > 0)
      if (const auto* load = call->args[0].as<ir::BufferLoad>())
        written.insert(load->buffer.get());
    return true;
  });
  return written;
}

} // namespace temper::codegen
