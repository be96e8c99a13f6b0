#include "ir/tir/tile.h"

#include "ir/walk.h"

namespace temper::tir {

bool is_tile_program(const PrimFunc& function) {
  bool found = false;
  walk(function->body, [&](const NodeRef& node) {
    if (const auto* loop = node.as<For>())
      found |= loop->kind == ForKind::kTileParallel || loop->kind == ForKind::kPipelined;
    found |= is_tile_statement(node->kind());
    return !found && !ExprNode::accepts(node->kind());
  });
  return found;
}

Stmt make_kernel(std::vector<Expr> grid, std::vector<Expr> threads, std::vector<Var> block_vars,
                 std::vector<Var> thread_vars, Stmt body, Annotations annotations) {
  TEMPER_CHECK(grid.size() == block_vars.size() && threads.size() == thread_vars.size(),
               "a variable per axis of a kernel");
  return make_node<KernelLaunch>([&](KernelLaunch& node) {
    node.grid = std::move(grid);
    node.threads = std::move(threads);
    node.block_vars = std::move(block_vars);
    node.thread_vars = std::move(thread_vars);
    node.annotations = std::move(annotations);
    node.body = std::move(body);
  });
}

Stmt make_tile_call(std::string op, std::vector<BufferRegion> regions, std::vector<Expr> values,
                    Annotations options) {
  return make_node<TileCall>([&](TileCall& node) {
    node.op = std::move(op);
    node.regions = std::move(regions);
    node.values = std::move(values);
    node.options = std::move(options);
  });
}

std::vector<Expr> tile_shape(const BufferRegion& region) {
  std::vector<Expr> shape;
  for (const Range& range : region.region)
    if (!is_int(range.extent, 1))
      shape.push_back(range.extent);
  return shape;
}

std::string tile_scope(const std::string& scope) {
  if (scope == "local.fragment")
    return "fragment";
  return scope.substr(0, scope.find('.'));
}

} // namespace temper::tir
