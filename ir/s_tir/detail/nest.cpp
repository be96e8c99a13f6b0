#include "ir/s_tir/detail/nest.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace temper::s_tir {

Nest build_nest(IndexMath& math, const Block& block, std::span<const Wanted> wanted,
                bool preserve_unit_loops, bool may_widen) {
  struct Loop {
    Var var;
    Expr extent;
  };
  std::vector<Loop> loops;
  std::vector<Expr> values;
  Expr predicate = make_bool(true);
  for (size_t i = 0; i < block->iter_vars.size(); ++i) {
    const IterVar& axis = block->iter_vars[i];
    const DataType dtype = axis.var->dtype;
    const Linear first = math.linear(axis.domain.min);
    const Linear count = math.linear(axis.domain.extent);
    const Linear last = math.offset(math.sum(first, count), -1);

    Linear lo = first;
    Linear extent = count;
    bool check_start = false;
    bool check_end = false;
    if (wanted[i]) {
      lo = wanted[i]->lo;
      Linear hi = wanted[i]->hi;
      if (lo.is_constant() && hi.is_constant() && first.is_constant() && last.is_constant()) {
        // Nothing of what is wanted may be in the domain (guarded reads): one point then.
        lo.constant = std::min(std::max(lo.constant, first.constant), last.constant);
        hi.constant = std::max(std::min(hi.constant, last.constant), lo.constant);
      }
      extent = math.offset(math.difference(hi, lo), 1);
      if (!extent.is_constant()) {
        const Bound range = math.bound(extent);
        if (range.hi < Bound::kPlusInfinity)
          extent = {{}, range.hi};
      }
      const bool whole = extent.is_constant() && count.is_constant() &&
                         extent.constant >= count.constant &&
                         (may_widen || math.proves_equal(lo, first));
      if (whole) {
        lo = first;
        extent = count;
      } else {
        check_start = !math.proves_less_equal(first, lo);
        check_end = !math.proves_less_equal(math.offset(math.sum(lo, extent), -1), last);
      }
    }
    Linear value = lo;
    if (preserve_unit_loops || !extent.is_constant(1)) {
      const Var var = make_var(fmt::format("ax{}", loops.size()), dtype);
      loops.push_back({var, math.expr(extent, dtype)});
      value.terms.push_back({var, 1});
    }
    const Expr binding = math.expr(value, dtype);
    if (check_start)
      predicate = logical_and(predicate, make_binary<GE>(binding, math.expr(first, dtype)));
    if (check_end)
      predicate =
          logical_and(predicate, less(binding, math.expr(math.offset(last, 1), dtype)));
    values.push_back(binding);
  }
  Nest nest;
  nest.stmt = make_realize(std::move(values), std::move(predicate), block);
  nest.realize = nest.stmt.as_ref<SBlockRealize>();
  nest.loops.resize(loops.size());
  for (size_t i = loops.size(); i-- > 0;) {
    nest.stmt = make_for(loops[i].var, make_int(loops[i].var->dtype, 0), loops[i].extent,
                         ForKind::kSerial, std::move(nest.stmt));
    nest.loops[i] = nest.stmt.as_ref<For>();
  }
  return nest;
}

std::optional<std::vector<LinearInterval>> relax_region(IndexMath& math, const ChildBlock& place,
                                                        size_t outer, const BufferRegion& region) {
  const size_t mark = math.size();
  std::vector<const VarNode*> inner;
  if (outer == 0) {
    // Over all its loops a block reaches all of its axes' domains, whatever the bindings.
    math.set_axes(place.block());
    for (const IterVar& axis : place.block().iter_vars)
      inner.push_back(axis.var.get());
  } else {
    for (size_t i = outer; i < place.loops.size(); ++i) {
      math.set_loop(*place.loops[i]);
      inner.push_back(place.loops[i]->loop_var.get());
    }
    math.define_axes(*place.realize);
  }
  std::vector<LinearInterval> box;
  box.reserve(region.region.size());
  for (const Range& range : region.region) {
    const Linear lo = math.linear(range.min);
    auto low = math.relax(lo, inner);
    if (!low)
      break;
    if (is_int(range.extent, 1)) {
      box.push_back(std::move(*low));
      continue;
    }
    auto high = math.relax(math.offset(math.sum(lo, math.linear(range.extent)), -1), inner);
    if (!high)
      break;
    box.push_back({std::move(low->lo), std::move(high->hi)});
  }
  math.truncate(mark);
  if (box.size() != region.region.size())
    return std::nullopt;
  return box;
}

void clip_to_shape(IndexMath& math, const Buffer& buffer, std::vector<LinearInterval>& box) {
  for (size_t i = 0; i < box.size(); ++i) {
    const Linear last = math.offset(math.linear(buffer->shape[i]), -1);
    if (math.bound(box[i].lo).hi < 0 || box[i].lo.is_constant())
      box[i].lo = math.maximum(box[i].lo, {});
    if (math.proves_less_equal(last, box[i].hi))
      box[i].hi = last;
  }
}

void unite(IndexMath& math, std::vector<LinearInterval>& box,
           const std::vector<LinearInterval>& other) {
  for (size_t i = 0; i < box.size(); ++i) {
    box[i].lo = math.minimum(box[i].lo, other[i].lo);
    box[i].hi = math.maximum(box[i].hi, other[i].hi);
  }
}

bool writes_every_element(const SBlock& block, const BufferRegion& write) {
  IndexMath math;
  math.set_axes(block);
  std::vector<const VarNode*> variables;
  for (const IterVar& axis : block.iter_vars)
    if (axis.type == IterType::kSpatial)
      variables.push_back(axis.var.get());
  std::vector<Linear> forms;
  std::vector<int64_t> extents;
  for (const Range& range : write.region) {
    Linear form = math.linear(range.min);
    const VarNode* variable = form.variable_plus_offset();
    if (variable != nullptr && is_int(range.extent, 1)) {
      // An axis of its own, whose domain may be symbolic.
      if (const auto at = std::find(variables.begin(), variables.end(), variable);
          at != variables.end()) {
        variables.erase(at);
        continue;
      }
      return false;
    }
    const auto step = as_int(range.extent);
    if (!step)
      return form.is_constant() && write.region.size() == 1;
    for (Linear::Term& term : form.terms) {
      if (term.factor % *step != 0)
        return false;
      term.factor /= *step;
    }
    form.constant = 0;
    const Bound bound = math.bound(form);
    if (bound.lo != 0 || !bound.bounded())
      return false;
    forms.push_back(std::move(form));
    extents.push_back(bound.hi + 1);
  }
  const std::unique_ptr<bool[]> clipped(new bool[forms.size()]());
  return covers_box(math, forms, extents, {clipped.get(), forms.size()}, variables,
                    /*injective=*/false);
}

CopyBlock make_copy(IndexMath& math, const std::string& name, const Buffer& from, const Buffer& to,
                    const std::vector<LinearInterval>& box) {
  CopyBlock copy;
  std::vector<Wanted> wanted(box.size());
  copy.block = make_node<SBlock>([&](SBlock& node) {
    node.id = new_block_id();
    node.name = name;
    std::vector<Expr> point;
    BufferRegion region;
    for (size_t i = 0; i < box.size(); ++i) {
      const DataType dtype = from->shape[i]->dtype;
      const Var var = make_var(fmt::format("v{}", i), dtype);
      IterVar& axis = node.iter_vars.emplace_back();
      axis.var = var;
      // The part that is copied, when it is the same part always; else the whole dimension, of
      // which the loops take a part.
      const Linear count = math.offset(math.difference(box[i].hi, box[i].lo), 1);
      if (box[i].lo.is_constant() && count.is_constant()) {
        axis.domain = {make_int(dtype, box[i].lo.constant), make_int(dtype, count.constant)};
      } else {
        axis.domain = {make_int(dtype, 0), from->shape[i]};
        wanted[i] = box[i];
      }
      point.push_back(var);
      region.region.push_back({var, make_int(dtype, 1)});
    }
    region.buffer = from;
    node.reads = {region};
    region.buffer = to;
    node.writes = {region};
    node.body = make_store(to, point, make_load(from, point));
  });
  copy.stmt = build_nest(math, copy.block, wanted, /*preserve_unit_loops=*/true).stmt;
  return copy;
}

Buffer cache_of(const Buffer& buffer, const std::string& scope) {
  return copy_node(*buffer, [&](BufferNode& node) {
    node.name = buffer->name + "_" + identifier(scope);
    node.scope = scope;
    node.strides.clear();
    node.elem_offset = nullptr;
    node.layout = nullptr;
  });
}

namespace {

/// Rebuilds loops, sequences and branches down to the realizes, which `change` maps.
Stmt map_realizes(const Stmt& stmt, FunctionRef<Stmt(const Stmt&)> change) {
  return visit(
      stmt,
      [&](const SeqStmt& seq) -> Stmt {
        std::vector<Stmt> statements;
        statements.reserve(seq.statements.size());
        bool changed = false;
        for (const Stmt& child : seq.statements) {
          statements.push_back(map_realizes(child, change));
          changed |= statements.back() != child;
        }
        return changed ? make_seq(std::move(statements)) : stmt;
      },
      [&](const For& loop) -> Stmt {
        Stmt body = map_realizes(loop.body, change);
        return body == loop.body ? stmt
                                 : Stmt(copy_node(loop, [&](For& node) { node.body = body; }));
      },
      [&](const While& loop) -> Stmt {
        Stmt body = map_realizes(loop.body, change);
        return body == loop.body ? stmt
                                 : Stmt(copy_node(loop, [&](While& node) { node.body = body; }));
      },
      [&](const IfThenElse& branch) -> Stmt {
        const Stmt then_case = map_realizes(branch.then_case, change);
        const Stmt else_case =
            branch.else_case ? map_realizes(branch.else_case, change) : Stmt();
        if (then_case == branch.then_case && else_case == branch.else_case)
          return stmt;
        return copy_node(branch, [&](IfThenElse& node) {
          node.then_case = then_case;
          node.else_case = else_case;
        });
      },
      [&](const SBlockRealize&) -> Stmt { return change(stmt); },
      [&](const StmtNode&) -> Stmt { return stmt; });
}

} // namespace

Stmt rewrite_child_blocks(const Stmt& stmt, FunctionRef<Block(const Block&)> change) {
  return map_realizes(stmt, [&](const Stmt& child) -> Stmt {
    const auto& realize = static_cast<const SBlockRealize&>(*child);
    const Block block = change(realize.block);
    if (block == realize.block)
      return child;
    return copy_node(realize, [&](SBlockRealize& node) { node.block = block; });
  });
}

Stmt replace_realize(const Stmt& stmt, const SBlockRealize* from, const Stmt& to) {
  return map_realizes(stmt,
                      [&](const Stmt& child) { return child.get() == from ? to : child; });
}

bool has_child_block(const Stmt& stmt, FunctionRef<bool(const SBlock&)> which) {
  switch (stmt->kind()) {
  case SeqStmt::kKind:
    for (const Stmt& child : stmt.as<SeqStmt>()->statements)
      if (has_child_block(child, which))
        return true;
    return false;
  case For::kKind:
    return has_child_block(stmt.as<For>()->body, which);
  case While::kKind:
    return has_child_block(stmt.as<While>()->body, which);
  case IfThenElse::kKind:
    return has_child_block(stmt.as<IfThenElse>()->then_case, which) ||
           (stmt.as<IfThenElse>()->else_case &&
            has_child_block(stmt.as<IfThenElse>()->else_case, which));
  case SBlockRealize::kKind:
    return which(*stmt.as<SBlockRealize>()->block);
  default:
    return false;
  }
}

Block with_scope_part(const Block& scope, const Stmt& old_part, Stmt new_part) {
  return copy_node(*scope, [&](SBlock& node) {
    if (node.init && node.init == old_part)
      node.init = std::move(new_part);
    else
      node.body = new_part ? std::move(new_part) : make_seq({});
  });
}

} // namespace temper::s_tir
