#include "ir/s_tir/detail/reduction_init.h"

#include <algorithm>

namespace temper::s_tir {

InitBlock init_block_of(const Block& block, std::span<const Expr> values, Annotations annotations) {
  InitBlock init;
  VarMap axis_map;
  init.block = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = block->name + "_init";
    for (size_t i = 0; i < block->iter_vars.size(); ++i) {
      const IterVar& axis = block->iter_vars[i];
      if (axis.type != IterType::kSpatial)
        continue;
      const Var var = fresh_var(axis.var);
      axis_map[axis.var] = var;
      node.iter_vars.push_back({axis.domain, var, axis.type});
      init.values.push_back(values[i]);
    }
    for (const BufferRegion& write : block->writes) {
      BufferRegion& region = node.writes.emplace_back(BufferRegion{write.buffer, {}});
      for (const Range& range : write.region)
        region.region.push_back(
            {substitute(range.min, axis_map), substitute(range.extent, axis_map)});
    }
    node.annotations = std::move(annotations);
    node.body = substitute(block->init, axis_map);
  });
  return init;
}

Block without_init(const Block& block, std::string name) {
  return copy_node(*block, [&](SBlock& node) {
    node.name = std::move(name);
    node.init = nullptr;
    node.reads = block->writes;
    for (const BufferRegion& read : block->reads)
      if (std::none_of(block->writes.begin(), block->writes.end(),
                       [&](const BufferRegion& write) { return write.buffer == read.buffer; }))
        node.reads.push_back(read);
  });
}

} // namespace temper::s_tir
