#include "ir/s_tir/primitives/dependence.h"

#include "ir/s_tir/detail/index_math.h"
#include "ir/s_tir/detail/nest.h"
#include "ir/s_tir/detail/reducer.h"
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

/// In one dimension the regions lie beside each other, and stand still while the loops from
/// `moving` on run.
bool stay_apart(const ChildBlock& child, size_t moving, const BufferRegion& a,
                const BufferRegion& b) {
  const auto stands_still = [&](const Expr& expr) {
    return !uses_var(expr, [&](const VarNode& var) {
      for (size_t i = 0; i < child.realize->iter_values.size(); ++i)
        for (size_t l = moving; l < child.loops.size(); ++l)
          if (child.block().iter_vars[i].var.get() == &var &&
              mentions(child.realize->iter_values[i], child.loops[l]->loop_var.get()))
            return true;
      return false;
    });
  };
  IndexMath math;
  for (size_t d = 0; d < a.region.size(); ++d) {
    const Range& x = a.region[d];
    const Range& y = b.region[d];
    const auto x_extent = as_int(x.extent);
    const auto y_extent = as_int(y.extent);
    if (!x_extent || !y_extent || !stands_still(x.min) || !stands_still(y.min))
      continue;
    const Linear distance = math.difference(math.linear(y.min), math.linear(x.min));
    if (distance.is_constant() &&
        (distance.constant >= *x_extent || -distance.constant >= *y_extent))
      return true;
  }
  return false;
}

/// What a block reads or writes of one buffer lies in what `writer` writes of it, all of which is
/// written, within one iteration of the first `shared` loops, which both have.
bool lies_within(const ChildBlock& child, const BufferRegion& region, const ChildBlock& writer,
                 const BufferRegion& write, size_t shared) {
  IndexMath math;
  for (size_t i = 0; i < shared; ++i)
    math.set_loop(*writer.loops[i]);
  const auto touched = relax_region(math, child, shared, region);
  const auto written = relax_region(math, writer, shared, write);
  return touched && written && covers(math, *written, *touched, write.buffer) &&
         touches_whole_box(math, writer, shared, write);
}

/// Different iterations of loops[first, last) write different elements.
bool writes_apart(const ChildBlock& child, size_t first, size_t last) {
  for (size_t i = first; i < last; ++i)
    if (constant_extent(*child.loops[i]) != 1 &&
        !loop_use(*child.realize, child.loops[i]->loop_var).data_parallel())
      return false;
  return first >= last || is_injective(child, first, Axes::kSpatial);
}

/// A buffer that `from` reads or writes and `to` writes: of which some iteration of the loops from
/// `first` on, of which both have the first `shared`, may find or leave another value when
/// iterations of the two follow each other in another order. Null when there is none. What `to`
/// reads is not looked at.
Buffer overwrites(const ChildBlock& from, const ChildBlock& to, size_t first, size_t shared) {
  for (const BufferRegion& write : to.block().writes) {
    for (const BufferRegion& read : from.block().reads)
      if (read.buffer == write.buffer &&
          !(lies_within(from, read, to, write, shared) && writes_apart(to, first, shared)))
        return write.buffer;
    for (const BufferRegion& before : from.block().writes) {
      if (before.buffer != write.buffer)
        continue;
      // An update of what `from` sets in each iteration anew, as an init does.
      const bool updates = std::any_of(
          to.block().reads.begin(), to.block().reads.end(), [&](const BufferRegion& read) {
            return read.buffer == write.buffer && same_region(read, write);
          });
      if (updates ||
          (lies_within(to, write, from, before, shared) && writes_apart(from, first, shared)) ||
          (lies_within(from, before, to, write, shared) && writes_apart(to, first, shared)))
        continue;
      return write.buffer;
    }
  }
  return nullptr;
}

/// What the block writes is used below the loop only, and the whole reduction runs within one
/// iteration: lowering gives each iteration its own buffer.
bool is_private(const LoopPlace& place, std::span<const ChildBlock> below, const SBlock& block) {
  if (!block.init)
    return false;
  // A rolling buffer lives from one iteration of the loop that drives the axis to the next.
  if (std::any_of(block.iter_vars.begin(), block.iter_vars.end(), [](const IterVar& axis) {
        return axis.type != IterType::kSpatial && axis.type != IterType::kReduce;
      }))
    return false;
  const Block around = enclosing_block(place.chain);
  if (!around)
    return false;
  const Scope scope = analyze_scope(*around);
  auto is_below = [&](const ChildBlock& child) {
    return std::any_of(below.begin(), below.end(),
                       [&](const ChildBlock& inside) { return inside.realize == child.realize; });
  };
  for (const BufferRegion& write : block.writes) {
    if (scope.is_output(write.buffer))
      return false;
    for (const ChildBlock& child : scope.children) {
      auto touches = [&](const std::vector<BufferRegion>& regions) {
        return std::any_of(regions.begin(), regions.end(), [&](const BufferRegion& region) {
          return region.buffer == write.buffer;
        });
      };
      if ((touches(child.block().reads) || touches(child.block().writes)) && !is_below(child))
        return false;
    }
  }
  return true;
}

} // namespace

Buffer exchanged_buffer(const ChildBlock& child, size_t moving) {
  for (const BufferRegion& write : child.block().writes)
    for (const BufferRegion& read : child.block().reads)
      if (read.buffer == write.buffer && !same_region(read, write) &&
          !stay_apart(child, moving, read, write))
        return read.buffer;
  return nullptr;
}

bool accumulates(const SBlock& block) {
  if (block.init ||
      std::any_of(block.iter_vars.begin(), block.iter_vars.end(),
                  [](const IterVar& axis) { return axis.type != IterType::kSpatial; }))
    return true;
  bool inside = false;
  for_each_child_block(
      block.body, [&](const BlockRealize& realize) { inside |= accumulates(*realize->block); });
  return inside;
}

bool is_injective(const ChildBlock& child, size_t moving, Axes axes) {
  IndexMath math;
  for (const For* loop : child.loops)
    math.set_loop(*loop);
  std::vector<const VarNode*> variables;
  for (size_t i = moving; i < child.loops.size(); ++i)
    if (constant_extent(*child.loops[i]) != 1)
      variables.push_back(child.loops[i]->loop_var.get());
  auto is_moving = [&](const VarNode* var) {
    return std::find(variables.begin(), variables.end(), var) != variables.end();
  };
  std::vector<IndexPiece> all;
  std::vector<const VarNode*> driving;
  std::vector<const VarNode*> symbolic; // loops of symbolic extent that drive an axis as they are
  const SBlockRealize& realize = *child.realize;
  for (size_t i = 0; i < realize.iter_values.size(); ++i) {
    if (axes == Axes::kSpatial && realize.block->iter_vars[i].type != IterType::kSpatial)
      continue;
    Linear form = math.linear(realize.iter_values[i]);
    form.constant = 0;
    // What stands still only shifts the axis.
    std::erase_if(form.terms, [&](const Linear::Term& term) {
      return !uses_var(term.atom, [&](const VarNode& var) { return is_moving(&var); });
    });
    const OpenTerm open = take_open_term(math, form); // the others must stay below its factor
    if (open.variable != nullptr)
      symbolic.push_back(open.variable);
    const auto pieces = split_into_pieces(math, form);
    if (!pieces)
      return false;
    int64_t reach = 0; // of the pieces so far
    for (const IndexPiece& piece : *pieces) {
      if (piece.scale <= reach)
        return false;
      reach += (piece.extent - 1) * piece.scale;
      all.push_back(piece);
      if (std::find(driving.begin(), driving.end(), piece.source) == driving.end())
        driving.push_back(piece.source);
    }
    if (open.variable != nullptr && open.factor <= reach)
      return false;
  }
  for (const VarNode* variable : axes == Axes::kAll ? variables : driving) {
    if (std::find(symbolic.begin(), symbolic.end(), variable) != symbolic.end())
      continue;
    std::vector<std::pair<int64_t, int64_t>> parts;
    for (const IndexPiece& piece : all)
      if (piece.source == variable)
        parts.emplace_back(piece.divisor, piece.extent);
    std::sort(parts.begin(), parts.end());
    int64_t known = 1; // the variable modulo this follows from the pieces
    for (const auto& [divisor, extent] : parts)
      if (divisor <= known)
        known = std::max(known, divisor * extent);
    const Bound range = math.bound(Expr(variable));
    if (range.lo != 0 || !range.bounded() || known < range.hi + 1)
      return false;
  }
  return true;
}

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
  size_t first = 0; // of the loops: the chain's last statement
  for (const Stmt& stmt : chain.first(chain.size() - 1))
    first = stmt.is<For>() ? first + 1 : stmt.is<SBlockRealize>() ? 0 : first;
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
    if (!reads || dependency.kind != DependencyKind::kReadAfterWrite)
      continue;
    const ChildBlock& earlier = scope.children[from];
    const ChildBlock& later = scope.children[to];
    const size_t shared =
        static_cast<size_t>(std::mismatch(earlier.loops.begin(), earlier.loops.end(),
                                          later.loops.begin(), later.loops.end())
                                .first -
                            earlier.loops.begin());
    if (const Buffer buffer = overwrites(earlier, later, first, shared))
      return fmt::format("block \"{}\" writes elements of {} that block \"{}\" reads or writes in "
                         "another iteration",
                         other, buffer->name, writer);
  }
  return std::nullopt;
}

Result<void> require_independent_iterations(const Context& context, const LoopPlace& place,
                                            const Value& at, Reductions reductions) {
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
    if (use.reduce && reductions == Reductions::kAcrossThreads) {
      const char* why = nullptr;
      if (!recognise_reducer(block, &why))
        return illegal(context, at,
                       fmt::format("{} is a reduction loop of block \"{}\", which {}: threads do "
                                   "not know how to combine their parts",
                                   describe(place.loop), block.name, why));
    } else if (use.reduce)
      return illegal(
          context, at,
          fmt::format("{} is a reduction loop of block \"{}\": its iterations accumulate "
                      "into the same elements (rfactor makes it independent)",
                      describe(place.loop), block.name));
    if (use.other)
      return illegal(context, at,
                     fmt::format("{} drives an axis of block \"{}\" that is neither spatial nor "
                                 "reduction",
                                 describe(place.loop), block.name));
    const bool repeats = !use.spatial && !use.reduce && !runs_once;
    if (repeats && accumulates(block) && !is_private(place, *below, block))
      return illegal(context, at,
                     fmt::format("each iteration of {} repeats the reduction of block \"{}\" into "
                                 "the same elements",
                                 describe(place.loop), block.name));
    const size_t from = static_cast<size_t>(
        std::find(child.loops.begin(), child.loops.end(), place.loop.get()) - child.loops.begin());
    if (const Buffer buffer = exchanged_buffer(child, from))
      return illegal(context, at,
                     fmt::format("block \"{}\" reads other elements of {} than it writes",
                                 block.name, buffer->name));
    // Instances of other blocks write the same values when they write the same elements.
    if (!runs_once && accumulates(block) && !is_private(place, *below, block)) {
      if (!is_injective(child, from, Axes::kSpatial))
        return illegal(
            context, at,
            fmt::format("iterations of {} may accumulate into the same elements in block "
                        "\"{}\": its bindings are not affine, or overlap",
                        describe(place.loop), block.name));
    }
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
