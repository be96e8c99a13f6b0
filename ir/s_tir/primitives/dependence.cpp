#include "ir/s_tir/primitives/dependence.h"

#include "ir/structural.h"

#include <fmt/format.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

bool collect(const Stmt& stmt, std::vector<const For*>& loops, std::vector<ChildBlock>& blocks) {
  return visit(
      stmt,
      [&](const SeqStmt& seq) {
        for (const Stmt& child : seq.statements)
          if (!collect(child, loops, blocks))
            return false;
        return true;
      },
      [&](const For& loop) {
        loops.push_back(&loop);
        const bool only_blocks = collect(loop.body, loops, blocks);
        loops.pop_back();
        return only_blocks;
      },
      [&](const SBlockRealize& realize) {
        blocks.push_back({&realize, loops});
        return true;
      },
      [](const StmtNode&) { return false; });
}

bool same_region(const BufferRegion& a, const BufferRegion& b) {
  for (size_t i = 0; i < a.region.size(); ++i)
    if (!structural_equal(a.region[i].min, b.region[i].min) ||
        !structural_equal(a.region[i].extent, b.region[i].extent))
      return false;
  return true;
}

/// A buffer of which the block reads other elements than it writes; null when there is none.
Buffer reads_other_elements(const SBlock& block) {
  for (const BufferRegion& write : block.writes)
    for (const BufferRegion& read : block.reads)
      if (read.buffer == write.buffer && !same_region(read, write))
        return read.buffer;
  return nullptr;
}

} // namespace

std::optional<std::vector<ChildBlock>> blocks_below(std::span<const Stmt> chain) {
  std::vector<const For*> loops;
  for (const Stmt& stmt : chain.first(chain.size() - 1)) {
    if (const auto* loop = stmt.as<For>())
      loops.push_back(loop);
    else if (stmt.is<SBlockRealize>())
      loops.clear();
  }
  std::vector<ChildBlock> blocks;
  if (!collect(chain.back(), loops, blocks))
    return std::nullopt;
  return blocks;
}

std::optional<std::string> carried_dependence(std::span<const Stmt> chain,
                                              std::span<const ChildBlock> below) {
  if (below.size() < 2)
    return std::nullopt;
  const Block around = enclosing_block(chain);
  if (!around)
    return "there is no block around the loop";
  const Scope scope = analyze_scope(*around);
  std::vector<bool> inside(scope.children.size());
  for (const ChildBlock& child : below)
    inside[static_cast<size_t>(scope.index_of(child.block().id))] = true;
  auto reads_from = [&](int from, int to) {
    return std::any_of(scope.dependencies.begin(), scope.dependencies.end(),
                       [&](const Dependency& dependency) {
                         return dependency.from == from && dependency.to == to &&
                                dependency.kind == DependencyKind::kReadAfterWrite;
                       });
  };
  for (const Dependency& dependency : scope.dependencies) {
    const auto from = static_cast<size_t>(dependency.from);
    const auto to = static_cast<size_t>(dependency.to);
    if (!inside[from] || !inside[to])
      continue;
    const std::string& writer = scope.children[from].block().name;
    const std::string& other = scope.children[to].block().name;
    // A reduction's update reads what its initialisation wrote, and writes it: one check for both.
    const bool reads = reads_from(dependency.from, dependency.to);
    if (reads && !covers_region(scope, dependency.from, dependency.to))
      return fmt::format("block \"{}\" reads what block \"{}\" writes in another iteration", other,
                         writer);
    if (!reads && dependency.kind == DependencyKind::kWriteAfterWrite)
      return fmt::format("blocks \"{}\" and \"{}\" write the same buffer", writer, other);
    if (!reads && dependency.kind == DependencyKind::kWriteAfterRead)
      return fmt::format("block \"{}\" writes what block \"{}\" reads before", other, writer);
  }
  return std::nullopt;
}

Result<void> require_independent_iterations(const Context& context, const LoopPlace& place,
                                            const Value& at) {
  const auto below = blocks_below(place.chain);
  if (!below)
    return illegal(context, at,
                   fmt::format("below {} there are statements outside of blocks, whose dependences "
                               "are not known",
                               describe(place.loop)));
  const bool runs_once = constant_extent(*place.loop) == 1;
  for (const ChildBlock& child : *below) {
    const SBlock& block = child.block();
    const LoopUse use = loop_use(*child.realize, place.loop->loop_var);
    if (use.reduce)
      return illegal(context, at,
                     fmt::format("{} is a reduction loop of block \"{}\": its iterations accumulate "
                                 "into the same elements (rfactor makes it independent)",
                                 describe(place.loop), block.name));
    if (use.other)
      return illegal(context, at,
                     fmt::format("{} drives an axis of block \"{}\" that is neither spatial nor "
                                 "reduction",
                                 describe(place.loop), block.name));
    const bool repeats = !use.spatial && !runs_once;
    if (repeats && (block.init || std::any_of(block.iter_vars.begin(), block.iter_vars.end(),
                                              [](const IterVar& axis) {
                                                return axis.type != IterType::kSpatial;
                                              })))
      return illegal(context, at,
                     fmt::format("each iteration of {} repeats the reduction of block \"{}\" into "
                                 "the same elements",
                                 describe(place.loop), block.name));
    if (const Buffer buffer = reads_other_elements(block))
      return illegal(context, at,
                     fmt::format("block \"{}\" reads other elements of {} than it writes",
                                 block.name, buffer->name));
    if (!is_affine_binding(*child.realize, child.loops))
      return illegal(context, at,
                     fmt::format("the bindings of block \"{}\" are not affine in its loops",
                                 block.name));
  }
  if (const auto reason = carried_dependence(place.chain, *below))
    return illegal(context, at,
                   fmt::format("the iterations of {} depend on each other: {}",
                               describe(place.loop), *reason));
  return {};
}

namespace {

bool is_load_of(const Expr& expr, const BufferStore& store) {
  const auto* load = expr.as<BufferLoad>();
  if (load == nullptr || load->buffer != store.buffer)
    return false;
  for (size_t i = 0; i < store.indices.size(); ++i)
    if (!structural_equal(load->indices[i], store.indices[i]))
      return false;
  return true;
}

bool mentions(const Expr& expr, const Buffer& buffer) {
  bool found = false;
  walk(expr, [&](const NodeRef& node) {
    if (node->kind() == BufferLoad::kKind)
      found |= static_cast<const BufferLoad&>(*node).buffer == buffer;
    return !found;
  });
  return found;
}

} // namespace

bool is_commutative_update(const SBlock& block) {
  const BufferStore* store = single_store(block.body);
  if (store == nullptr || store->predicate)
    return false;
  auto accumulates = [&](const auto& node) {
    return (is_load_of(node.a, *store) && !mentions(node.b, store->buffer)) ||
           (is_load_of(node.b, *store) && !mentions(node.a, store->buffer));
  };
  return visit(
      store->value, [&](const Add& node) { return accumulates(node); },
      [&](const Mul& node) { return accumulates(node); },
      [&](const Min& node) { return accumulates(node); },
      [&](const Max& node) { return accumulates(node); },
      [&](const And& node) { return accumulates(node); },
      [&](const Or& node) { return accumulates(node); }, [](const ExprNode&) { return false; });
}

} // namespace temper::s_tir
