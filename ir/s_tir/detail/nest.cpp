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
    std::vector<Linear> ends;
    if (wanted[i]) {
      lo = wanted[i]->lo;
      Linear hi = wanted[i]->hi;
      if (lo.is_constant() && hi.is_constant() && first.is_constant() && last.is_constant()) {
        // Nothing of what is wanted may be in the domain (guarded reads): one point then.
        lo.constant = std::min(std::max(lo.constant, first.constant), last.constant);
        hi.constant = std::max(std::min(hi.constant, last.constant), lo.constant);
      }
      extent = math.count({lo, hi});
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
      }
      const Linear reached = math.offset(math.sum(lo, extent), -1);
      auto check_end = [&](const Linear& end) {
        const bool known = math.proves_less_equal(reached, end) ||
                           std::any_of(ends.begin(), ends.end(), [&](const Linear& earlier) {
                             return math.proves_less_equal(earlier, end);
                           });
        if (!known)
          ends.push_back(end);
      };
      if (!whole || !may_widen) {
        check_end(last);
        // The end of what is wanted, where the extent had to be rounded up.
        const auto* least =
            hi.terms.size() == 1 && hi.terms[0].factor == 1 ? hi.terms[0].atom.as<Min>() : nullptr;
        if (least != nullptr) {
          check_end(math.offset(math.linear(least->a), hi.constant));
          check_end(math.offset(math.linear(least->b), hi.constant));
        } else {
          check_end(hi);
        }
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
    for (const Linear& end : ends)
      predicate = logical_and(predicate, less(binding, math.expr(math.offset(end, 1), dtype)));
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

namespace {

bool mentions_any(const Expr& expr, std::span<const VarNode* const> variables) {
  return std::any_of(variables.begin(), variables.end(),
                     [&](const VarNode* variable) { return mentions(expr, variable); });
}

/// The condition with the loops that run once, but for those of `outer`, replaced by their only
/// value.
Expr without_unit_loops(const Expr& condition, std::span<const For* const> loops,
                        std::span<const For* const> outer) {
  VarMap values;
  for (const For* loop : loops)
    if (is_int(loop->extent, 1) && std::find(outer.begin(), outer.end(), loop) == outer.end())
      values[loop->loop_var] = loop->min;
  return substitute(condition, values);
}

/// A condition of a predicate as bounds of a sum of loops: first <= sum <= last. The bounds may
/// have symbolic extents in them.
struct SumBound {
  Linear sum; ///< without constant; factors are positive
  std::optional<Linear> first;
  std::optional<Linear> last;
};

std::vector<SumBound> bounds_of_predicate(IndexMath& math, const SBlockRealize& realize,
                                          std::span<const For* const> loops) {
  const auto is_open = [&](const Linear::Term& term) { // the same in all iterations
    return std::none_of(loops.begin(), loops.end(),
                        [&](const For* loop) { return mentions(term.atom, loop->loop_var.get()); });
  };
  std::vector<SumBound> bounds;
  for (const Expr& condition : conditions_of(realize.predicate)) {
    const auto slack = math.slack(condition);
    if (!slack)
      continue;
    Linear form;
    Linear open;
    open.constant = slack->constant;
    for (const Linear::Term& term : slack->terms)
      (is_open(term) ? open : form).terms.push_back(term);
    const bool below = std::all_of(form.terms.begin(), form.terms.end(),
                                   [](const Linear::Term& term) { return term.factor < 0; });
    const bool above = std::all_of(form.terms.begin(), form.terms.end(),
                                   [](const Linear::Term& term) { return term.factor > 0; });
    if (form.is_constant() || (!below && !above))
      continue;
    SumBound bound;
    bound.sum = math.scaled(form, below ? -1 : 1);
    (below ? bound.last : bound.first) = below ? open : math.scaled(open, -1);
    // x // c <= last is x <= last * c + c - 1, and x // c >= first is x >= first * c.
    while (bound.sum.terms.size() == 1 && bound.sum.terms[0].factor == 1) {
      const auto* quotient = bound.sum.terms[0].atom.as<FloorDiv>();
      const auto divisor = quotient != nullptr ? as_int(quotient->b) : std::nullopt;
      if (!divisor || *divisor <= 0)
        break;
      Linear operand = math.linear(quotient->a);
      if (bound.first)
        bound.first = math.offset(math.scaled(*bound.first, *divisor), -operand.constant);
      if (bound.last)
        bound.last =
            math.offset(math.scaled(*bound.last, *divisor), *divisor - 1 - operand.constant);
      operand.constant = 0;
      bound.sum = std::move(operand);
    }
    if (std::any_of(bound.sum.terms.begin(), bound.sum.terms.end(),
                    [](const Linear::Term& term) { return term.factor < 0; }))
      continue;
    bounds.push_back(std::move(bound));
  }
  std::stable_sort(bounds.begin(), bounds.end(), [](const SumBound& a, const SumBound& b) {
    return a.sum.terms.size() > b.sum.terms.size();
  });
  return bounds;
}

/// form = factor * sum + rest, for the largest part of `form` that is a positive multiple of `sum`;
/// factor 0 when there is none. `form` becomes the rest.
int64_t take_multiple(Linear& form, const Linear& sum) {
  int64_t factor = 0;
  for (const Linear::Term& part : sum.terms) {
    const auto term =
        std::find_if(form.terms.begin(), form.terms.end(), [&](const Linear::Term& candidate) {
          return same_expr(candidate.atom, part.atom);
        });
    if (term == form.terms.end() || term->factor % part.factor != 0)
      return 0;
    const int64_t ratio = term->factor / part.factor;
    if (ratio <= 0 || (factor != 0 && ratio != factor))
      return 0;
    factor = ratio;
  }
  std::erase_if(form.terms, [&](const Linear::Term& candidate) {
    return std::any_of(sum.terms.begin(), sum.terms.end(), [&](const Linear::Term& part) {
      return same_expr(candidate.atom, part.atom);
    });
  });
  return factor;
}

/// relax(), with sums kept inside what the predicate allows.
std::optional<LinearInterval> relax_within(IndexMath& math, Linear form,
                                           std::span<const VarNode* const> inner,
                                           std::span<const SumBound> bounds) {
  LinearInterval total;
  while (!bounds.empty()) {
    const SumBound& bound = bounds.front();
    bounds = bounds.subspan(1);
    const int64_t factor = take_multiple(form, bound.sum);
    if (factor == 0)
      continue;
    // Bounds of longer sums stand first: the later ones may hold for a part of this one.
    auto range = relax_within(math, bound.sum, inner, bounds);
    if (!range)
      return std::nullopt;
    if (bound.first)
      range->lo = math.maximum(range->lo, *bound.first);
    if (bound.last)
      range->hi = math.minimum(range->hi, *bound.last);
    total.lo = math.sum(total.lo, range->lo, factor);
    total.hi = math.sum(total.hi, range->hi, factor);
  }
  const auto rest = math.relax(form, inner);
  if (!rest)
    return std::nullopt;
  if (total.lo.is_constant(0) && total.hi.is_constant(0))
    return rest;
  return LinearInterval{math.sum(total.lo, rest->lo), math.sum(total.hi, rest->hi)};
}

/// The range of each dimension while `inner` run; bindings and loops are known to `math`.
std::optional<std::vector<LinearInterval>> relax_dimensions(IndexMath& math,
                                                            const BufferRegion& region,
                                                            std::span<const VarNode* const> inner,
                                                            std::span<const SumBound> bounds) {
  std::vector<LinearInterval> box;
  box.reserve(region.region.size());
  for (const Range& range : region.region) {
    const Linear lo = math.linear(range.min);
    auto low = relax_within(math, lo, inner, bounds);
    if (!low)
      return std::nullopt;
    if (is_int(range.extent, 1)) {
      box.push_back(std::move(*low));
      continue;
    }
    auto high =
        relax_within(math, math.offset(math.sum(lo, math.linear(range.extent)), -1), inner, bounds);
    if (!high)
      return std::nullopt;
    box.push_back({std::move(low->lo), std::move(high->hi)});
  }
  return box;
}

/// relax_region() by the bindings, also for outer 0.
std::optional<std::vector<LinearInterval>> relax_over_loops(IndexMath& math,
                                                            const ChildBlock& place, size_t outer,
                                                            const BufferRegion& region) {
  const size_t mark = math.size();
  std::vector<const VarNode*> inner;
  for (size_t i = outer; i < place.loops.size(); ++i) {
    math.set_loop(*place.loops[i]);
    inner.push_back(place.loops[i]->loop_var.get());
  }
  std::vector<SumBound> bounds;
  if (has_predicate(*place.realize))
    bounds = bounds_of_predicate(math, *place.realize, place.loops);
  math.define_axes(*place.realize);
  auto box = relax_dimensions(math, region, inner, bounds);
  math.truncate(mark);
  return box;
}

} // namespace

std::optional<std::vector<LinearInterval>> relax_region(IndexMath& math, const ChildBlock& place,
                                                        size_t outer, const BufferRegion& region) {
  if (outer != 0)
    return relax_over_loops(math, place, outer, region);
  // Over all its loops a block reaches all of its axes' domains, whatever the bindings.
  const size_t mark = math.size();
  std::vector<const VarNode*> inner;
  math.set_axes(place.block());
  for (const IterVar& axis : place.block().iter_vars)
    inner.push_back(axis.var.get());
  auto box = relax_dimensions(math, region, inner, {});
  math.truncate(mark);
  return box;
}

namespace {

/// The condition leaves no hole in the box of relax_region(): it says nothing about the elements,
/// or cuts off the start or end of one dimension. `forms` are the indices of the region's
/// dimensions over the loops.
bool cuts_cleanly(IndexMath& math, const ChildBlock& place, const Expr& condition,
                  std::span<const Linear> forms, std::span<const VarNode* const> inner) {
  const Stmt alone =
      make_realize(place.realize->iter_values, condition, Block(place.realize->block));
  const auto& realize = static_cast<const SBlockRealize&>(*alone);
  const bool chooses_elements = std::any_of(inner.begin(), inner.end(), [&](const VarNode* var) {
    return mentions(condition, var) &&
           std::any_of(forms.begin(), forms.end(), [&](const auto& form) {
             return std::any_of(form.terms.begin(), form.terms.end(),
                                [&](const Linear::Term& term) { return mentions(term.atom, var); });
           });
  });
  if (!chooses_elements) {
    // But steps of a reduction: some of them must be left in every iteration outside.
    const auto slack = math.slack(condition);
    const auto most = slack ? math.relax(*slack, inner) : std::nullopt;
    return most && math.bound(most->hi).lo >= 0 &&
           predicate_follows_from_domains(realize, place.loops);
  }
  const std::vector<SumBound> bounds = bounds_of_predicate(math, realize, place.loops);
  if (bounds.empty())
    return false;
  const SumBound& bound = bounds[0];
  return std::any_of(forms.begin(), forms.end(), [&](const Linear& form) {
    // index = factor * sum + rest, where the rest only fills the steps of the sum: then the
    // elements left out are those behind (or before) all others.
    Linear rest = form;
    const int64_t factor = take_multiple(rest, bound.sum);
    std::erase_if(rest.terms,
                  [&](const Linear::Term& term) { return !mentions_any(term.atom, inner); });
    rest.constant = 0;
    const Bound steps = math.bound(rest);
    if (factor != 0 && steps.lo >= 0 && steps.hi < factor)
      return true;
    // index = sum // c, and whole steps of c are left out: x < 40 is x // 8 < 5.
    return std::any_of(form.terms.begin(), form.terms.end(), [&](const Linear::Term& term) {
      const auto* quotient = term.atom.as<FloorDiv>();
      const auto divisor = quotient != nullptr ? as_int(quotient->b) : std::nullopt;
      return divisor && *divisor > 0 &&
             (!bound.last ||
              math.floor_modulo(math.offset(*bound.last, 1), *divisor).is_constant(0)) &&
             (!bound.first || math.floor_modulo(*bound.first, *divisor).is_constant(0)) &&
             math.proves_equal(form, math.floor_divide(bound.sum, *divisor));
    });
  });
}

/// No condition of the block's predicate leaves a hole in the box that relax_region() gives.
/// Conditions on outer loops alone do not count: see conditions_on_outer_loops(). `math` knows the
/// loops, and not yet the axes.
bool predicate_cuts_cleanly(IndexMath& math, const ChildBlock& place, size_t outer,
                            const BufferRegion& region, std::span<const VarNode* const> inner) {
  if (!has_predicate(*place.realize))
    return true;
  const size_t mark = math.size();
  math.define_axes(*place.realize);
  std::vector<Linear> forms;
  forms.reserve(region.region.size());
  for (const Range& range : region.region)
    forms.push_back(math.linear(range.min));
  math.truncate(mark);
  const auto outside = std::span(place.loops).first(outer);
  const std::vector<Expr> conditions = conditions_of(place.realize->predicate);
  return std::all_of(conditions.begin(), conditions.end(), [&](const Expr& condition) {
    const Expr at_start = without_unit_loops(condition, place.loops, outside);
    return !mentions_any(at_start, inner) || cuts_cleanly(math, place, at_start, forms, inner);
  });
}

/// The indices of the region take every combination of values while the loops below the first
/// `outer` ones run.
bool takes_every_value(IndexMath& math, const ChildBlock& place, size_t outer,
                       const BufferRegion& region) {
  const size_t mark = math.size();
  std::vector<const VarNode*> inner;
  for (size_t i = outer; i < place.loops.size(); ++i) {
    math.set_loop(*place.loops[i]);
    inner.push_back(place.loops[i]->loop_var.get());
  }
  if (!predicate_cuts_cleanly(math, place, outer, region, inner)) {
    math.truncate(mark);
    return false;
  }
  math.define_axes(*place.realize);
  auto is_inner = [&](const Linear::Term& term) {
    return uses_var(term.atom, [&](const VarNode& var) {
      return std::find(inner.begin(), inner.end(), &var) != inner.end();
    });
  };
  std::vector<Linear> forms;
  std::vector<int64_t> extents;
  bool known = true;
  for (const Range& range : region.region) {
    Linear form = math.linear(range.min);
    std::erase_if(form.terms, [&](const Linear::Term& term) { return !is_inner(term); });
    form.constant = 0;
    const auto step = as_int(range.extent);
    const VarNode* variable = form.variable();
    if (step == std::optional<int64_t>(1) && variable != nullptr &&
        math.bound(form).hi >= Bound::kPlusInfinity) {
      // A loop of symbolic extent is a whole dimension.
      std::erase(inner, variable);
      continue;
    }
    if (form.is_constant())
      continue;
    known &= step.has_value();
    for (Linear::Term& term : form.terms) {
      known &= step && term.factor % *step == 0;
      term.factor /= step.value_or(1);
    }
    const Bound bound = math.bound(form);
    known &= bound.lo == 0 && bound.bounded();
    forms.push_back(std::move(form));
    extents.push_back(bound.hi + 1);
  }
  const std::unique_ptr<bool[]> clipped(new bool[forms.size()]());
  const bool dense = known && covers_box(math, forms, extents, {clipped.get(), forms.size()}, inner,
                                         /*injective=*/false);
  math.truncate(mark);
  return dense;
}

bool fills_region(const SBlock& block, const BufferRegion& write);

/// One of the writes in `stmt` fills `region`, of which the axes of the block around are known to
/// `math`. `stores`: there are writes of the buffer at all.
bool fills_region(IndexMath& math, const Stmt& stmt, std::vector<const For*>& loops,
                  const BufferRegion& region, bool& stores) {
  const auto fills = [&](const ChildBlock& place, const BufferRegion& write) {
    stores = true;
    if (!takes_every_value(math, place, 0, write) || !fills_region(place.block(), write))
      return false;
    const auto written = relax_over_loops(math, place, 0, write);
    std::vector<LinearInterval> declared;
    for (const Range& range : region.region) {
      const Linear first = math.linear(range.min);
      declared.push_back({first, math.offset(math.sum(first, math.linear(range.extent)), -1)});
    }
    return written && covers(math, *written, declared, region.buffer);
  };
  if (const auto* seq = stmt.as<SeqStmt>()) {
    return std::any_of(seq->statements.begin(), seq->statements.end(), [&](const Stmt& child) {
      return fills_region(math, child, loops, region, stores);
    });
  }
  if (const auto* loop = stmt.as<For>()) {
    loops.push_back(loop);
    const bool filled = fills_region(math, loop->body, loops, region, stores);
    loops.pop_back();
    return filled;
  }
  if (const auto* realize = stmt.as<SBlockRealize>()) {
    const auto& writes = realize->block->writes;
    return std::any_of(writes.begin(), writes.end(), [&](const BufferRegion& write) {
      return write.buffer == region.buffer && fills({realize, loops}, write);
    });
  }
  if (const auto* store = stmt.as<BufferStore>();
      store != nullptr && store->buffer == region.buffer) {
    // A store is a block without axes.
    BufferRegion point{store->buffer, {}};
    for (const Expr& index : store->indices) {
      if (index->dtype.lanes != 1 || store->predicate) {
        stores = true;
        return false;
      }
      point.region.push_back({index, make_int(index->dtype, 1)});
    }
    const Stmt alone = make_realize({}, make_bool(true), make_node<SBlock>([&](SBlock& node) {
                                      node.writes = {point};
                                      node.body = stmt;
                                    }));
    return fills({alone.as<SBlockRealize>(), loops}, point);
  }
  walk(stmt, [&](const NodeRef& node) { // under a condition: it may not run
    const auto* store = node.as<BufferStore>();
    const auto* block = node.as<SBlock>();
    stores |= store != nullptr && store->buffer == region.buffer;
    stores |= block != nullptr &&
              std::any_of(block->writes.begin(), block->writes.end(),
                          [&](const BufferRegion& write) { return write.buffer == region.buffer; });
    return !stores;
  });
  return false;
}

/// The block writes all of a region that it declares to write. Where it is more than one element
/// it is the box around several writes, which may leave holes: those of a blockized tile that ends
/// in the padding of a layout. A region that the block names by hand is taken at its word.
bool fills_region(const SBlock& block, const BufferRegion& write) {
  if (std::all_of(write.region.begin(), write.region.end(),
                  [](const Range& range) { return is_int(range.extent, 1); }))
    return true;
  if (std::any_of(
          block.match_buffers.begin(), block.match_buffers.end(),
          [&](const MatchBufferRegion& match) { return match.source.buffer == write.buffer; }))
    return true;
  IndexMath math;
  math.set_axes(block);
  std::vector<const For*> loops;
  bool stores = false;
  return (block.init && fills_region(math, block.init, loops, write, stores)) ||
         fills_region(math, block.body, loops, write, stores) || !stores;
}

} // namespace

bool touches_whole_box(IndexMath& math, const ChildBlock& place, size_t outer,
                       const BufferRegion& region) {
  if (outer == 0)
    return writes_every_element(place.block(), region);
  return takes_every_value(math, place, outer, region) && fills_region(place.block(), region);
}

bool covers(IndexMath& math, const std::vector<LinearInterval>& box,
            const std::vector<LinearInterval>& other, const Buffer& buffer) {
  for (size_t d = 0; d < box.size(); ++d) {
    const Linear last = math.offset(math.linear(buffer->shape[d]), -1);
    const bool starts =
        math.proves_less_equal(box[d].lo, other[d].lo) || math.proves_less_equal(box[d].lo, {});
    const bool ends =
        math.proves_less_equal(other[d].hi, box[d].hi) || math.proves_less_equal(last, box[d].hi);
    if (!starts || !ends)
      return false;
  }
  return true;
}

namespace {

/// [0, shape) of dimension `d`.
LinearInterval dimension(IndexMath& math, const Buffer& buffer, size_t d) {
  return {{}, math.offset(math.linear(buffer->shape[d]), -1)};
}

/// Clips to `limits` where it is known which end is the tighter one.
void clip(IndexMath& math, LinearInterval& range, const LinearInterval& limits) {
  if (math.proves_less_equal(range.lo, limits.lo))
    range.lo = limits.lo;
  if (math.proves_less_equal(limits.hi, range.hi))
    range.hi = limits.hi;
}

} // namespace

std::optional<AccessBox> access_box(IndexMath& math, const ChildBlock& place, size_t outer,
                                    const BufferRegion& region) {
  auto limits = relax_region(math, place, 0, region);
  auto box = outer == 0 ? limits : relax_region(math, place, outer, region);
  if (!limits || !box)
    return std::nullopt;
  for (size_t d = 0; d < box->size(); ++d) {
    const LinearInterval whole = dimension(math, region.buffer, d);
    clip(math, (*limits)[d], whole);
    // A guarded read may name more than there is, and of symbolic extents nobody knows.
    if (!math.proves_less_equal((*limits)[d].hi, whole.hi))
      (*limits)[d].hi = math.minimum((*limits)[d].hi, whole.hi);
    clip(math, (*box)[d], (*limits)[d]);
  }
  return AccessBox{std::move(*box), std::move(*limits)};
}

AccessBox whole_box(IndexMath& math, const Buffer& buffer) {
  AccessBox access;
  for (size_t d = 0; d < buffer->shape.size(); ++d)
    access.box.push_back(dimension(math, buffer, d));
  access.limits = access.box;
  return access;
}

void unite(IndexMath& math, std::vector<LinearInterval>& box,
           const std::vector<LinearInterval>& other) {
  for (size_t i = 0; i < box.size(); ++i) {
    box[i].lo = math.minimum(box[i].lo, other[i].lo);
    box[i].hi = math.maximum(box[i].hi, other[i].hi);
  }
}

bool writes_every_element(const SBlock& block, const BufferRegion& write) {
  if (!fills_region(block, write))
    return false;
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
                    const AccessBox& access, bool may_widen) {
  CopyBlock copy;
  const std::vector<LinearInterval>& box = access.box;
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
      // The part that is copied, when it is the same part always; else all that ever is, of which
      // the loops take a part.
      const bool fixed = box[i].lo.is_constant() && box[i].hi.is_constant();
      const LinearInterval& all = fixed ? box[i] : access.limits[i];
      axis.domain = {math.expr(all.lo, dtype), math.expr(math.count(all), dtype)};
      if (!fixed)
        wanted[i] = box[i];
      point.push_back(var);
      region.region.push_back({var, make_int(dtype, 1)});
    }
    region.buffer = from;
    node.reads = {region};
    region.buffer = to;
    node.writes = {region};
    node.body = make_store(to, point, make_load(from, point));
  });
  copy.stmt = build_nest(math, copy.block, wanted, /*preserve_unit_loops=*/true, may_widen).stmt;
  return copy;
}

std::vector<Expr> conditions_on_outer_loops(const ChildBlock& place,
                                            std::span<const For* const> outer) {
  IndexMath math;
  std::vector<Expr> result;
  for (const Expr& given : conditions_of(place.realize->predicate)) {
    const Expr condition = without_unit_loops(given, place.loops, outer);
    const bool about_others = uses_var(condition, [&](const VarNode& var) {
      return std::none_of(outer.begin(), outer.end(),
                          [&](const For* loop) { return loop->loop_var.get() == &var; });
    });
    const auto slack = math.slack(condition); // what is left of one on unit loops is a constant
    const bool always = slack && slack->is_constant() && slack->constant >= 0;
    if (!about_others && !always)
      result.push_back(condition);
  }
  return result;
}

Stmt with_conditions(const Stmt& nest, std::span<const Expr> conditions) {
  if (conditions.empty())
    return nest;
  if (const auto* loop = nest.as<For>())
    return copy_node(*loop,
                     [&](For& node) { node.body = with_conditions(loop->body, conditions); });
  const auto* realize = nest.as<SBlockRealize>();
  TEMPER_CHECK(realize != nullptr, "a nest is loops around one block");
  const std::vector<Expr> known = conditions_of(realize->predicate);
  Expr predicate = realize->predicate;
  for (const Expr& condition : conditions)
    if (std::none_of(known.begin(), known.end(),
                     [&](const Expr& other) { return same_expr(other, condition); }))
      predicate = logical_and(predicate, condition);
  return copy_node(*realize, [&](SBlockRealize& node) { node.predicate = predicate; });
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
        const Stmt else_case = branch.else_case ? map_realizes(branch.else_case, change) : Stmt();
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
  return map_realizes(stmt, [&](const Stmt& child) { return child.get() == from ? to : child; });
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
