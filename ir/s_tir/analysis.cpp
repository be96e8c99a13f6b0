#include "ir/s_tir/analysis.h"

#include "ir/s_tir/detail/nest.h"
#include "ir/walk.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace temper::s_tir {
namespace {

// --- Accesses ----------------------------------------------------------------------------------

class AccessDetector {
public:
  void run(const Stmt& stmt) { visit_stmt(stmt); }

  Accesses finish() {
    Accesses accesses;
    accesses.reads = regions(reads_);
    accesses.writes = regions(writes_);
    return accesses;
  }

private:
  struct Dimension {
    LinearInterval range;
    DataType dtype;
    bool whole = false;
  };
  struct Access {
    Buffer buffer;
    std::vector<Dimension> dims;
  };

  void visit_stmt(const Stmt& stmt) {
    visit(
        stmt,
        [&](const SeqStmt& seq) {
          for (const Stmt& child : seq.statements)
            visit_stmt(child);
        },
        [&](const For& loop) {
          visit_expr(loop.min);
          visit_expr(loop.extent);
          math_.set_loop(loop);
          inner_.push_back(loop.loop_var.get());
          visit_stmt(loop.body);
        },
        [&](const While& loop) {
          visit_expr(loop.condition);
          visit_stmt(loop.body);
        },
        [&](const IfThenElse& branch) {
          visit_expr(branch.condition);
          visit_stmt(branch.then_case);
          if (branch.else_case)
            visit_stmt(branch.else_case);
        },
        [&](const Bind& bind) {
          visit_expr(bind.value);
          if (bind.var->dtype.is_integral())
            math_.define(bind.var, bind.value);
        },
        [&](const AllocBuffer& alloc) { local_.push_back(alloc.buffer.get()); },
        [&](const BufferStore& store) {
          visit_expr(store.value);
          for (const Expr& index : store.indices)
            visit_expr(index);
          if (store.predicate)
            visit_expr(store.predicate);
          add_point(writes_, store.buffer, store.indices);
        },
        [&](const Evaluate& evaluate) { visit_expr(evaluate.value); },
        [&](const Return& node) {
          if (node.value)
            visit_expr(node.value);
        },
        [&](const Assert& node) { visit_expr(node.condition); },
        [&](const SBlockRealize& realize) { visit_realize(realize); }, [](const StmtNode&) {});
  }

  void visit_realize(const SBlockRealize& realize) {
    for (const Expr& value : realize.iter_values)
      visit_expr(value);
    visit_expr(realize.predicate);
    math_.define_axes(realize);
    const SBlock& block = *realize.block;
    // What the block declares stands for what it does.
    for (const Buffer& buffer : block.alloc_buffers)
      local_.push_back(buffer.get());
    for (const BufferRegion& region : block.reads)
      add_region(reads_, region);
    for (const BufferRegion& region : block.writes)
      add_region(writes_, region);
  }

  void visit_expr(const Expr& expr) {
    walk(expr, [&](const NodeRef& node) {
      if (node->kind() == BufferLoad::kKind) {
        const auto& load = static_cast<const BufferLoad&>(*node);
        for (const Expr& index : load.indices)
          visit_expr(index);
        if (load.predicate)
          visit_expr(load.predicate);
        add_point(reads_, load.buffer, load.indices);
        return false;
      }
      if (node->kind() == Let::kKind) {
        const auto& let = static_cast<const Let&>(*node);
        if (let.var->dtype.is_integral() && let.var->dtype.is_scalar())
          math_.define(let.var, let.value);
      }
      return node->kind() != VarNode::kKind;
    });
  }

  static void whole(Dimension& dim, DataType dtype) {
    dim.whole = true;
    dim.dtype = dtype;
  }

  Dimension relaxed(const Linear& lo, const Linear& hi, DataType dtype) {
    Dimension dim;
    dim.dtype = dtype;
    if (inner_.empty()) {
      dim.range = {lo, hi};
      return dim;
    }
    auto low = math_.relax(lo, inner_);
    auto high = math_.relax(hi, inner_);
    if (!low || !high)
      dim.whole = true;
    else
      dim.range = {std::move(low->lo), std::move(high->hi)};
    return dim;
  }

  void add_point(std::vector<Access>& accesses, const Buffer& buffer,
                 const std::vector<Expr>& indices) {
    if (is_local(buffer))
      return;
    std::vector<Dimension> dims;
    dims.reserve(indices.size());
    for (const Expr& index : indices) {
      if (const auto* ramp = index.as<Ramp>()) {
        const Linear base = math_.linear(ramp->base);
        const Linear last = math_.sum(base, math_.linear(ramp->stride), ramp->lanes() - 1);
        const bool rising = math_.bound(ramp->stride).lo >= 0;
        dims.push_back(relaxed(rising ? base : last, rising ? last : base, index->dtype.element()));
      } else if (!index->dtype.is_scalar() || reads_memory(index)) {
        whole(dims.emplace_back(), index->dtype.element());
      } else {
        const Linear point = math_.linear(index);
        if (inner_.empty()) {
          dims.push_back({{point, point}, index->dtype});
        } else if (auto range = math_.relax(point, inner_)) {
          dims.push_back({std::move(*range), index->dtype});
        } else {
          whole(dims.emplace_back(), index->dtype);
        }
      }
    }
    merge(accesses, buffer, std::move(dims));
  }

  void add_region(std::vector<Access>& accesses, const BufferRegion& region) {
    if (is_local(region.buffer))
      return;
    std::vector<Dimension> dims;
    dims.reserve(region.region.size());
    for (const Range& range : region.region) {
      const Linear lo = math_.linear(range.min);
      dims.push_back(relaxed(lo, math_.offset(math_.sum(lo, math_.linear(range.extent)), -1),
                             range.min->dtype));
    }
    merge(accesses, region.buffer, std::move(dims));
  }

  static bool reads_memory(const Expr& expr) {
    bool found = false;
    walk(expr, [&](const NodeRef& node) {
      found |= node->kind() == BufferLoad::kKind;
      return !found;
    });
    return found;
  }

  bool is_local(const Buffer& buffer) const {
    return std::find(local_.begin(), local_.end(), buffer.get()) != local_.end();
  }

  void merge(std::vector<Access>& accesses, const Buffer& buffer, std::vector<Dimension> dims) {
    for (Access& access : accesses) {
      if (access.buffer != buffer)
        continue;
      for (size_t i = 0; i < dims.size(); ++i) {
        Dimension& mine = access.dims[i];
        if (mine.whole || dims[i].whole) {
          mine.whole = true;
          continue;
        }
        Linear lo = math_.minimum(mine.range.lo, dims[i].range.lo);
        Linear hi = math_.maximum(mine.range.hi, dims[i].range.hi);
        // Of two reads of which neither is known to be the first one, as of X[vs * 8 + vd] and
        // X[vd + 8], the whole dimension, as script infers it. TVM writes the difference of a
        // maximum and a minimum in ways of its own.
        const auto is_either = [&](const Linear& bound, const Linear& a, const Linear& b) {
          return math_.proves_equal(bound, a) || math_.proves_equal(bound, b);
        };
        if (&accesses == &reads_ && !(is_either(lo, mine.range.lo, dims[i].range.lo) &&
                                      is_either(hi, mine.range.hi, dims[i].range.hi))) {
          mine.whole = true;
          continue;
        }
        mine.range = {std::move(lo), std::move(hi)};
      }
      return;
    }
    accesses.push_back({buffer, std::move(dims)});
  }

  std::vector<BufferRegion> regions(const std::vector<Access>& accesses) {
    std::vector<BufferRegion> result;
    result.reserve(accesses.size());
    for (const Access& access : accesses) {
      BufferRegion region{access.buffer, {}};
      region.region.reserve(access.dims.size());
      for (size_t i = 0; i < access.dims.size(); ++i) {
        const Dimension& dim = access.dims[i];
        if (dim.whole) {
          region.region.push_back(
              {make_int(access.buffer->shape[i]->dtype, 0), access.buffer->shape[i]});
          continue;
        }
        const Linear extent = math_.count(dim.range);
        region.region.push_back(
            {math_.expr(dim.range.lo, dim.dtype), math_.expr(extent, dim.dtype)});
      }
      result.push_back(std::move(region));
    }
    return result;
  }

  IndexMath math_;
  std::vector<const VarNode*> inner_;
  std::vector<const BufferNode*> local_;
  std::vector<Access> reads_;
  std::vector<Access> writes_;
};

} // namespace

Accesses detect_accesses(const Stmt& body) {
  AccessDetector detector;
  detector.run(body);
  return detector.finish();
}

Accesses detect_accesses(const SBlock& block) {
  AccessDetector detector;
  if (block.init)
    detector.run(block.init);
  detector.run(block.body);
  Accesses accesses = detector.finish();
  auto allocated = [&](const BufferRegion& region) {
    return std::find(block.alloc_buffers.begin(), block.alloc_buffers.end(), region.buffer) !=
           block.alloc_buffers.end();
  };
  std::erase_if(accesses.reads, allocated);
  std::erase_if(accesses.writes, allocated);
  if (block.init)
    std::erase_if(accesses.reads, [&](const BufferRegion& read) {
      return std::any_of(accesses.writes.begin(), accesses.writes.end(),
                         [&](const BufferRegion& write) { return write.buffer == read.buffer; });
    });
  // A view's accesses are accesses of what it is a view of.
  for (const MatchBufferRegion& match : block.match_buffers) {
    for (auto* regions : {&accesses.reads, &accesses.writes})
      for (BufferRegion& region : *regions)
        if (region.buffer == match.buffer)
          region = match.source;
  }
  return accesses;
}

// --- Scopes ------------------------------------------------------------------------------------

namespace {

void collect_children(const Stmt& stmt, std::vector<const For*>& loops, Scope& scope) {
  switch (stmt->kind()) {
  case SeqStmt::kKind:
    for (const Stmt& child : stmt.as<SeqStmt>()->statements)
      collect_children(child, loops, scope);
    return;
  case For::kKind:
    loops.push_back(stmt.as<For>());
    collect_children(stmt.as<For>()->body, loops, scope);
    loops.pop_back();
    return;
  case SBlockRealize::kKind:
    scope.children.push_back({stmt.as<SBlockRealize>(), loops});
    return;
  case IfThenElse::kKind:
    scope.schedulable = false;
    collect_children(stmt.as<IfThenElse>()->then_case, loops, scope);
    if (stmt.as<IfThenElse>()->else_case)
      collect_children(stmt.as<IfThenElse>()->else_case, loops, scope);
    return;
  case While::kKind:
    scope.schedulable = false;
    collect_children(stmt.as<While>()->body, loops, scope);
    return;
  default:
    scope.schedulable = false;
    return;
  }
}

bool share_buffer(const std::vector<BufferRegion>& a, const std::vector<BufferRegion>& b) {
  for (const BufferRegion& x : a)
    for (const BufferRegion& y : b)
      if (x.buffer == y.buffer)
        return true;
  return false;
}

} // namespace

Scope analyze_scope(const SBlock& scope_block) {
  Scope scope;
  scope.block = &scope_block;
  std::vector<const For*> loops;
  if (scope_block.init)
    collect_children(scope_block.init, loops, scope);
  collect_children(scope_block.body, loops, scope);
  const int count = static_cast<int>(scope.children.size());
  for (int to = 1; to < count; ++to) {
    const SBlock& later = scope.children[static_cast<size_t>(to)].block();
    for (int from = 0; from < to; ++from) {
      const SBlock& earlier = scope.children[static_cast<size_t>(from)].block();
      if (share_buffer(earlier.writes, later.reads))
        scope.dependencies.push_back({from, to, DependencyKind::kReadAfterWrite});
      if (share_buffer(earlier.writes, later.writes))
        scope.dependencies.push_back({from, to, DependencyKind::kWriteAfterWrite});
      // Where both read and write (two updates of one output), the write after write says it all.
      else if (share_buffer(earlier.reads, later.writes))
        scope.dependencies.push_back({from, to, DependencyKind::kWriteAfterRead});
    }
  }
  return scope;
}

int Scope::index_of(BlockId id) const {
  for (size_t i = 0; i < children.size(); ++i)
    if (children[i].block().id == id)
      return static_cast<int>(i);
  return -1;
}

std::vector<int> Scope::producers(int child) const {
  std::vector<int> result;
  for (const Dependency& dependency : dependencies)
    if (dependency.to == child && dependency.kind == DependencyKind::kReadAfterWrite)
      result.push_back(dependency.from);
  return result;
}

std::vector<int> Scope::consumers(int child) const {
  std::vector<int> result;
  for (const Dependency& dependency : dependencies)
    if (dependency.from == child && dependency.kind == DependencyKind::kReadAfterWrite)
      result.push_back(dependency.to);
  return result;
}

bool Scope::only_writer(int child) const {
  return std::none_of(dependencies.begin(), dependencies.end(), [&](const Dependency& dependency) {
    return dependency.kind == DependencyKind::kWriteAfterWrite &&
           (dependency.from == child || dependency.to == child);
  });
}

bool Scope::is_output(const Buffer& buffer) const {
  return std::find(block->alloc_buffers.begin(), block->alloc_buffers.end(), buffer) ==
         block->alloc_buffers.end();
}

// --- Kinds of blocks ---------------------------------------------------------------------------

const char* why_not_complete(const Scope& scope, int child) {
  const SBlock& block = scope.children[static_cast<size_t>(child)].block();
  for (const IterVar& axis : block.iter_vars)
    if (axis.type != IterType::kSpatial)
      return "has an axis that is not spatial";
  if (!scope.only_writer(child))
    return "is not the only writer of its output";
  if (share_buffer(block.reads, block.writes))
    return "reads a buffer that it writes";
  return nullptr;
}

const char* why_not_reduction(const Scope& scope, int child) {
  const ChildBlock& place = scope.children[static_cast<size_t>(child)];
  const SBlock& block = place.block();
  if (!block.init)
    return "has no init";
  for (const IterVar& axis : block.iter_vars)
    if (axis.type != IterType::kSpatial && axis.type != IterType::kReduce)
      return "has an axis that is neither spatial nor a reduction";
  if (!scope.only_writer(child))
    return "is not the only writer of its output";
  for (const BufferRegion& write : block.writes)
    for (const Range& range : write.region)
      for (const IterVar& axis : block.iter_vars)
        if (axis.type == IterType::kReduce &&
            (mentions(range.min, axis.var.get()) || mentions(range.extent, axis.var.get())))
          return "indexes its output by a reduction axis";
  if (!is_affine_binding(*place.realize, place.loops))
    return "has bindings that are not affine in its loops";
  return nullptr;
}

BlockKind block_kind(const Scope& scope, int child) {
  if (why_not_complete(scope, child) == nullptr)
    return BlockKind::kComplete;
  if (why_not_reduction(scope, child) == nullptr)
    return BlockKind::kReduction;
  return BlockKind::kOther;
}

namespace {

/// Elements of the buffer hold one value after the other (rolling_buffer): who reads them must
/// stand where it does.
bool is_rolling(const SBlock& block, const Buffer& buffer) {
  const auto opaque = [](const IterVar& axis) { return axis.type == IterType::kOpaque; };
  if (std::none_of(block.iter_vars.begin(), block.iter_vars.end(), opaque))
    return false;
  for (const BufferRegion& write : block.writes)
    for (const Range& range : write.region)
      if (write.buffer == buffer && range.min.is<FloorMod>())
        return true;
  return false;
}

bool is_rolling(const SBlock& from, const SBlock& to) {
  return std::any_of(to.reads.begin(), to.reads.end(),
                     [&](const BufferRegion& read) { return is_rolling(from, read.buffer); });
}

} // namespace

bool covers_region(const Scope& scope, int producer, int consumer) {
  const ChildBlock& from = scope.children[static_cast<size_t>(producer)];
  const ChildBlock& to = scope.children[static_cast<size_t>(consumer)];
  if (is_rolling(from.block(), to.block()))
    return false; // rows of earlier iterations
  size_t shared = 0;
  while (shared < from.loops.size() && shared < to.loops.size() &&
         from.loops[shared] == to.loops[shared])
    ++shared;
  IndexMath math;
  for (size_t i = 0; i < shared; ++i)
    math.set_loop(*from.loops[i]);
  for (const BufferRegion& write : from.block().writes) {
    for (const BufferRegion& read : to.block().reads) {
      if (read.buffer != write.buffer)
        continue;
      const auto written = relax_region(math, from, shared, write);
      const auto wanted = relax_region(math, to, shared, read);
      if (!written || !wanted)
        return false;
      if (!covers(math, *written, *wanted, read.buffer))
        return false;
    }
  }
  return true;
}

std::string why_not_stage_pipeline(const Scope& scope, int child) {
  if (!scope.schedulable)
    return fmt::format("block \"{}\" holds statements that are neither loops nor blocks",
                       scope.block->name);
  for (const Dependency& dependency : scope.dependencies) {
    if (dependency.kind == DependencyKind::kWriteAfterWrite ||
        (child >= 0 && dependency.from != child && dependency.to != child))
      continue;
    const SBlock& from = scope.children[static_cast<size_t>(dependency.from)].block();
    const SBlock& to = scope.children[static_cast<size_t>(dependency.to)].block();
    if (is_rolling(from, to))
      return fmt::format("block \"{}\" reads a rolling buffer of block \"{}\", which holds its "
                         "elements for a while",
                         to.name, from.name);
    if (dependency.kind == DependencyKind::kWriteAfterRead)
      return fmt::format("block \"{}\" writes a buffer that block \"{}\" read before", to.name,
                         from.name);
    if (!covers_region(scope, dependency.from, dependency.to) && scope.only_writer(dependency.from))
      return fmt::format("block \"{}\" reads elements that its producer \"{}\" does not write",
                         to.name, from.name);
  }
  return {};
}

// --- Bindings ----------------------------------------------------------------------------------

namespace {

/// Which axes have their end, and which their start, cut by the predicate; nothing when a condition
/// is of another form.
struct Cuts {
  std::vector<bool> end;
  std::vector<bool> start;
};
/// Conditions that hold when the loops `fixed_at_start` are at their start are passed over: they
/// leave out later steps of a reduction, not the first one.
std::optional<Cuts> cuts_of(IndexMath& math, const SBlockRealize& realize,
                            const std::vector<Linear>& values,
                            std::span<const For* const> fixed_at_start) {
  Cuts cuts{std::vector<bool>(values.size()), std::vector<bool>(values.size())};
  for (const Expr& condition : conditions_of(realize.predicate)) {
    const auto slack = math.slack(condition);
    if (!slack)
      return std::nullopt;
    const Linear& form = *slack;
    if (math.bound(form).lo >= 0)
      continue;
    bool found = false;
    for (size_t i = 0; i < values.size() && !found; ++i) {
      const Range& domain = realize.block->iter_vars[i].domain;
      const Linear first = math.linear(domain.min);
      const Linear last = math.offset(math.sum(first, math.linear(domain.extent)), -1);
      // Holds inside the domain: the slack at the domain's end is not negative.
      const Linear above = math.difference(form, math.difference(last, values[i]));
      const Linear below = math.difference(form, math.difference(values[i], first));
      if (above.is_constant() && above.constant >= 0)
        cuts.end[i] = found = true;
      else if (below.is_constant() && below.constant >= 0)
        cuts.start[i] = found = true;
    }
    if (!found && !fixed_at_start.empty()) {
      const size_t mark = math.size();
      for (const For* loop : fixed_at_start)
        math.define(loop->loop_var, loop->min);
      found = math.bound(math.expr(form, DataType::int32())).lo >= 0;
      math.truncate(mark);
    }
    if (!found)
      return std::nullopt;
  }
  return cuts;
}

/// (base + added) // divisor, quotients of quotients made one.
struct Quotient {
  Linear base;
  int64_t added;
  int64_t divisor;
};
std::optional<Quotient> quotient_of(IndexMath& math, const Expr& expr) {
  const auto* node = expr.as<FloorDiv>();
  const auto divisor = node != nullptr ? as_int(node->b) : std::nullopt;
  if (!divisor || *divisor < 1)
    return std::nullopt;
  Linear top = math.linear(node->a);
  if (top.terms.size() == 1 && top.terms[0].factor == 1)
    if (auto inner = quotient_of(math, top.terms[0].atom))
      return Quotient{std::move(inner->base), inner->added + top.constant * inner->divisor,
                      inner->divisor * *divisor};
  const int64_t added = std::exchange(top.constant, 0);
  return Quotient{std::move(top), added, *divisor};
}

/// value = loop * size + inside, as split leaves a loop of symbolic extent: so many whole tiles,
/// the last of which may reach beyond the domain.
struct Tiles {
  const VarNode* loop = nullptr;
  int64_t size = 1;
  Linear inside;
  bool exact = false; ///< they do not reach beyond
};
std::optional<Tiles> tiles_of(IndexMath& math, std::span<const For* const> loops,
                              const Linear& value, const Expr& extent) {
  Tiles tiles{.inside = value};
  const For* outer = nullptr;
  for (const Linear::Term& term : value.terms) {
    const auto loop = std::find_if(loops.begin(), loops.end(), [&](const For* candidate) {
      return term.atom.get() == candidate->loop_var.get() && !as_int(candidate->extent);
    });
    if (loop == loops.end())
      continue;
    if (outer != nullptr || term.factor < 1)
      return std::nullopt;
    outer = *loop;
    tiles.loop = outer->loop_var.get();
    tiles.size = term.factor;
  }
  if (outer == nullptr || !is_int(outer->min, 0))
    return std::nullopt;
  std::erase_if(tiles.inside.terms,
                [&](const Linear::Term& term) { return term.atom.get() == tiles.loop; });
  const Linear wanted = math.linear(extent);
  tiles.exact = math.proves_equal(wanted, math.scaled(math.linear(outer->extent), tiles.size));
  if (tiles.exact)
    return tiles;
  const auto rounded = quotient_of(math, outer->extent);
  const bool covers = rounded && rounded->divisor == tiles.size &&
                      rounded->added >= tiles.size - 1 && math.proves_equal(rounded->base, wanted);
  return covers ? std::optional(tiles) : std::nullopt;
}

} // namespace

bool predicate_follows_from_domains(const SBlockRealize& realize,
                                    std::span<const For* const> loops) {
  if (!has_predicate(realize))
    return true;
  IndexMath math;
  for (const For* loop : loops)
    math.set_loop(*loop);
  std::vector<Linear> values;
  for (const Expr& value : realize.iter_values)
    values.push_back(math.linear(value));
  return cuts_of(math, realize, values, {}).has_value();
}

bool is_affine_binding(const SBlockRealize& realize, std::span<const For* const> loops) {
  IndexMath math;
  std::vector<const VarNode*> variables;
  for (const For* loop : loops) {
    math.set_loop(*loop);
    variables.push_back(loop->loop_var.get());
  }
  std::vector<Linear> values;
  std::vector<int64_t> extents;
  values.reserve(realize.iter_values.size());
  for (const Expr& value : realize.iter_values)
    values.push_back(math.linear(value));
  std::vector<const For*> of_reduction;
  if (realize.block->init && has_predicate(realize))
    for (const For* loop : loops)
      if (const LoopUse use = loop_use(realize, loop->loop_var); use.reduce && !use.spatial)
        of_reduction.push_back(loop);
  const auto cuts = cuts_of(math, realize, values, of_reduction);
  if (!cuts)
    return false;
  std::unique_ptr<bool[]> clipped(new bool[values.size()]);
  for (size_t i = 0; i < values.size(); ++i) {
    const Range& domain = realize.block->iter_vars[i].domain;
    clipped[i] = cuts->end[i];
    if (cuts->start[i])
      return false;
    const auto extent = as_int(domain.extent);
    if (!extent) {
      const auto tiles =
          tiles_of(math, loops, math.difference(values[i], math.linear(domain.min)), domain.extent);
      if (!tiles || !(tiles->exact || clipped[i]))
        return false;
      std::erase(variables, tiles->loop);
      values[i] = tiles->inside;
      extents.push_back(tiles->size);
      clipped[i] = false;
      continue;
    }
    extents.push_back(*extent);
    values[i] = math.difference(values[i], math.linear(domain.min));
  }
  return covers_box(math, values, extents, {clipped.get(), values.size()}, variables,
                    /*injective=*/false);
}

LoopUse loop_use(const SBlockRealize& realize, const Var& loop_var) {
  LoopUse use;
  for (size_t i = 0; i < realize.iter_values.size(); ++i) {
    if (!mentions(realize.iter_values[i], loop_var.get()))
      continue;
    switch (realize.block->iter_vars[i].type) {
    case IterType::kSpatial:
      use.spatial = true;
      break;
    case IterType::kReduce:
      use.reduce = true;
      break;
    default:
      use.other = true;
    }
  }
  return use;
}

const For* repeating_loop(const SBlockRealize& realize, std::span<const For* const> loops,
                          size_t first, size_t last) {
  IndexMath math;
  for (const For* loop : loops)
    math.set_loop(*loop);
  std::vector<IndexPiece> all;
  std::vector<const VarNode*> whole; // bound as they are
  std::vector<const Expr*> unknown;  // of a form that says nothing
  for (const Expr& value : realize.iter_values) {
    Linear form = math.linear(value);
    if (const VarNode* variable = form.variable_plus_offset()) {
      whole.push_back(variable);
      continue;
    }
    const OpenTerm open = take_open_term(math, form);
    const auto pieces = split_into_pieces(math, form);
    if (!pieces || (open.variable != nullptr && open.factor <= reach_of(*pieces))) {
      unknown.push_back(&value);
      continue;
    }
    all.insert(all.end(), pieces->begin(), pieces->end());
    if (open.variable != nullptr)
      whole.push_back(open.variable);
  }
  for (size_t i = first; i < last; ++i) {
    const VarNode* variable = loops[i]->loop_var.get();
    if (is_int(loops[i]->extent, 1) ||
        std::find(whole.begin(), whole.end(), variable) != whole.end())
      continue;
    for (const Expr* value : unknown)
      if (mentions(*value, variable))
        return loops[i];
    // Its parts must make up all of it.
    const auto extent = as_int(loops[i]->extent);
    int64_t next = 1;
    for (bool found = true; found && extent && next < *extent;) {
      found = false;
      for (const IndexPiece& piece : all)
        if (piece.source == variable && piece.divisor <= next &&
            piece.divisor * piece.extent > next) {
          next = piece.divisor * piece.extent;
          found = true;
        }
    }
    if (!extent || next < *extent)
      return loops[i];
  }
  return nullptr;
}

bool has_trivial_writes(const SBlock& block) {
  for (const BufferRegion& write : block.writes) {
    std::vector<const VarNode*> seen;
    for (const Range& range : write.region) {
      if (!is_int(range.extent, 1))
        return false;
      if (as_int(range.min))
        continue;
      const auto* var = range.min.as<VarNode>();
      if (var == nullptr || std::find(seen.begin(), seen.end(), var) != seen.end())
        return false;
      seen.push_back(var);
    }
  }
  return true;
}

const BufferStore* single_store(const Stmt& body) { return body.as<BufferStore>(); }

} // namespace temper::s_tir
