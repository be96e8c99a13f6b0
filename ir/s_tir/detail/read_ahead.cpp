#include "ir/s_tir/detail/read_ahead.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {

Var NewBlock::axis(const std::string& name, const Expr& extent, IterType type) {
  const DataType dtype = extent->dtype;
  loops.push_back(make_var(fmt::format("ax{}", loops.size()), dtype));
  axes.push_back({{make_int(dtype, 0), extent}, make_var(name, dtype), type});
  return axes.back().var;
}

Stmt NewBlock::nest(const std::string& name, Stmt init, Stmt body) {
  block = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = name;
    node.iter_vars = axes;
    node.init = std::move(init);
    node.body = std::move(body);
  });
  block = copy_node(*block, [&](SBlock& node) {
    Accesses accesses = detect_accesses(*block);
    node.reads = std::move(accesses.reads);
    node.writes = std::move(accesses.writes);
  });
  Stmt stmt = make_realize(std::vector<Expr>(loops.begin(), loops.end()), make_bool(true), block);
  for (size_t i = loops.size(); i-- > 0;)
    stmt = make_for(loops[i], make_int(loops[i]->dtype, 0), axes[i].domain.extent, ForKind::kSerial,
                    stmt);
  return stmt;
}

Result<void> require_inputs_of_root(const Context& context, const ScopedBlock& scoped,
                                    std::span<const Buffer> buffers) {
  const auto refuse = [&](const std::string& why) {
    return illegal(context, BlockHandle{scoped.block()->id}, why);
  };
  if (!scoped.scope_block()->iter_vars.empty() || !scoped.scope.schedulable)
    return refuse(fmt::format("{} does not stand directly in its function's root block",
                              describe(scoped.block())));
  for (const Buffer& buffer : buffers)
    for (const ChildBlock& child : scoped.scope.children) {
      const auto& writes = child.block().writes;
      if (std::any_of(writes.begin(), writes.end(),
                      [&](const BufferRegion& write) { return write.buffer == buffer; }))
        return refuse(fmt::format("{} is written by block \"{}\": only inputs can be read ahead",
                                  buffer->name, child.block().name));
    }
  return {};
}

} // namespace temper::s_tir
