/// T.prefetch on GPUs.
#pragma once

#include "ir/op.h"
#include "ir/tir/stmt.h"

namespace temper::codegen {

/// The address that a kernel asks for: a hint may point past the end of its buffer, where a GPU
/// might fault.
inline ir::Expr prefetch_address(const ir::Call& call) {
  const auto* load = call.args[0].as<ir::BufferLoad>();
  if (load == nullptr)
    return call.args[0];
  std::vector<ir::Expr> inside;
  for (size_t d = 0; d < load->indices.size(); ++d) {
    const DataType dtype = load->indices[d]->dtype;
    inside.push_back(
        ir::max(ir::min(load->indices[d], ir::make_cast(dtype, load->buffer->shape[d]) - 1),
                ir::make_int(dtype, 0)));
  }
  return ir::make_load(load->buffer, std::move(inside));
}

/// 1 or 2: the first cache that gets the line.
inline int prefetch_level(const ir::Call& call) {
  return ir::as_int(call.args[2]).value_or(0) == 3 ? 1 : 2;
}

} // namespace temper::codegen
