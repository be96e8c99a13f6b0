// An index is a linear form. Terms free of the inner variables are kept; each other term is bounded
// by symbolic ends: a variable by its range, x // c by the ends of x (it is monotone), x % c by
// those of x when they lie in one block of c and by [0, c) otherwise, minimum and maximum by their
// operands. Anything else is bounded by numbers, if it can be.
#include "ir/arith/region.h"

namespace temper::ir {
namespace {

struct Ends {
  LinearForm low;
  LinearForm high;
};

LinearForm constant_form(DataType dtype, int64_t value) {
  LinearForm form;
  form.dtype = dtype;
  form.constant = value;
  return form;
}

class Relaxer {
public:
  Relaxer(std::span<const VarRange> inner, Analyzer& analyzer)
      : inner_(inner), analyzer_(analyzer), scope_(analyzer) {
    for (const VarRange& var : inner)
      analyzer.bind(var.var, var.range);
  }

  bool ends_of(const Expr& expr, Ends& ends) { return ends_of(analyzer_.linear(expr), ends); }

  bool ends_of(const LinearForm& form, Ends& ends) {
    if (form.overflow)
      return false;
    ends.low = constant_form(form.dtype, form.constant);
    ends.high = ends.low;
    for (const LinearTerm& term : form.terms) {
      if (!mentions_inner(term.expr)) {
        ends.low.add_term(term.expr, term.coefficient);
        ends.high.add_term(term.expr, term.coefficient);
        continue;
      }
      Ends part;
      if (!ends_of_term(term.expr, part))
        return false;
      ends.low.add(term.coefficient > 0 ? part.low : part.high, term.coefficient);
      ends.high.add(term.coefficient > 0 ? part.high : part.low, term.coefficient);
    }
    return !ends.low.overflow && !ends.high.overflow;
  }

private:
  const VarRange* find_inner(const VarNode* var) const {
    for (const VarRange& candidate : inner_)
      if (candidate.var.get() == var)
        return &candidate;
    return nullptr;
  }

  bool mentions_inner(const Expr& expr) const {
    switch (static_cast<ExprKind>(expr->kind())) {
    case ExprKind::kVarNode:
      return find_inner(static_cast<const VarNode*>(expr.get())) != nullptr;
    case ExprKind::kIntImm:
      return false;
    case ExprKind::kFloorDiv:
      return mentions_inner(static_cast<const FloorDiv&>(*expr).a) ||
             mentions_inner(static_cast<const FloorDiv&>(*expr).b);
    case ExprKind::kFloorMod:
      return mentions_inner(static_cast<const FloorMod&>(*expr).a) ||
             mentions_inner(static_cast<const FloorMod&>(*expr).b);
    case ExprKind::kAdd:
      return mentions_inner(static_cast<const Add&>(*expr).a) ||
             mentions_inner(static_cast<const Add&>(*expr).b);
    case ExprKind::kMul:
      return mentions_inner(static_cast<const Mul&>(*expr).a) ||
             mentions_inner(static_cast<const Mul&>(*expr).b);
    default: {
      bool found = false;
      expr->info().for_each_child(expr.get(), [&](const NodeRef& child, Role) {
        if (!found && ExprNode::accepts(child->kind()))
          found = mentions_inner(Expr(static_cast<const ExprNode*>(child.get())));
      });
      return found;
    }
    }
  }

  bool ends_of_term(const Expr& term, Ends& ends) {
    switch (static_cast<ExprKind>(term->kind())) {
    case ExprKind::kVarNode: {
      const VarRange& var = *find_inner(static_cast<const VarNode*>(term.get()));
      const auto min = as_int(var.range.min);
      const auto extent = as_int(var.range.extent);
      if (min && extent) {
        ends.low = constant_form(term->dtype, *min);
        ends.high = constant_form(term->dtype, *min + std::max<int64_t>(*extent, 1) - 1);
        return true;
      }
      // The range may mention inner variables that stand before this one.
      Ends last;
      LinearForm form = analyzer_.linear(var.range.min);
      if (!ends_of(form, ends))
        return false;
      form.add(analyzer_.linear(var.range.extent));
      form.add_constant(-1);
      if (!ends_of(form, last))
        return false;
      ends.high = std::move(last.high);
      return true;
    }
    case ExprKind::kFloorDiv: {
      const auto& e = static_cast<const FloorDiv&>(*term);
      const auto c = as_int(e.b);
      Ends part;
      if (!c || *c <= 0 || !ends_of(linear_form(e.a), part))
        break;
      ends.low = analyzer_.linear(floordiv(to_expr(part.low), *c));
      ends.high = analyzer_.linear(floordiv(to_expr(part.high), *c));
      return true;
    }
    case ExprKind::kFloorMod: {
      const auto& e = static_cast<const FloorMod&>(*term);
      const auto c = as_int(e.b);
      if (!c || *c <= 0)
        break;
      Ends part;
      if (ends_of(linear_form(e.a), part)) {
        const Expr low = to_expr(part.low);
        const Expr high = to_expr(part.high);
        if (analyzer_.can_prove_equal(floordiv(low, *c), floordiv(high, *c))) {
          ends.low = analyzer_.linear(floormod(low, *c));
          ends.high = analyzer_.linear(floormod(high, *c));
          return true;
        }
        // A whole turn or more, or a wrap in its middle.
        ends.low = constant_form(term->dtype, 0);
        ends.high = constant_form(term->dtype, *c - 1);
        const IntInterval numbers = bounds_of(term, analyzer_.vars());
        ends.low.constant = std::max(ends.low.constant, numbers.low);
        ends.high.constant = std::min(ends.high.constant, numbers.high);
        return true;
      }
      break;
    }
    case ExprKind::kMul: {
      // A symbolic stride: i * n with n fixed and not negative.
      const auto& e = static_cast<const Mul&>(*term);
      const bool left = mentions_inner(e.a);
      if (left && mentions_inner(e.b))
        break;
      const Expr& stride = left ? e.b : e.a;
      Ends part;
      if (analyzer_.bounds(stride).low < 0 || !ends_of(left ? e.a : e.b, part))
        break;
      ends.low = analyzer_.linear(make_binary<Mul>(to_expr(part.low), stride));
      ends.high = analyzer_.linear(make_binary<Mul>(to_expr(part.high), stride));
      return true;
    }
    case ExprKind::kMin:
    case ExprKind::kMax: {
      const bool is_min = term.is<Min>();
      const Expr& a = is_min ? static_cast<const Min&>(*term).a : static_cast<const Max&>(*term).a;
      const Expr& b = is_min ? static_cast<const Min&>(*term).b : static_cast<const Max&>(*term).b;
      Ends x;
      Ends y;
      if (!ends_of(a, x) || !ends_of(b, y))
        break;
      ends.low = combine(is_min, x.low, y.low);
      ends.high = combine(is_min, x.high, y.high);
      return true;
    }
    case ExprKind::kSelect: {
      const auto& e = static_cast<const Select&>(*term);
      return hull_of(e.true_value, e.false_value, ends) || by_numbers(term, ends);
    }
    case ExprKind::kCall: {
      const auto& e = static_cast<const Call&>(*term);
      if (e.op == "if_then_else" && hull_of(e.args[1], e.args[2], ends))
        return true;
      if (e.op == "likely")
        return ends_of(e.args[0], ends);
      break;
    }
    case ExprKind::kCast: {
      const auto& e = static_cast<const Cast&>(*term);
      Ends part;
      if (!is_index_type(e.value->dtype) || !ends_of(e.value, part))
        break;
      ends.low = analyzer_.linear(make_cast(term->dtype, to_expr(part.low)));
      ends.high = analyzer_.linear(make_cast(term->dtype, to_expr(part.high)));
      return true;
    }
    default:
      break;
    }
    return by_numbers(term, ends);
  }

  bool hull_of(const Expr& a, const Expr& b, Ends& ends) {
    Ends x;
    Ends y;
    if (!ends_of(a, x) || !ends_of(b, y))
      return false;
    ends.low = combine(true, x.low, y.low);
    ends.high = combine(false, x.high, y.high);
    return true;
  }

  LinearForm combine(bool is_min, const LinearForm& a, const LinearForm& b) {
    const Expr x = to_expr(a);
    const Expr y = to_expr(b);
    return analyzer_.linear(is_min ? make_binary<Min>(x, y) : make_binary<Max>(x, y));
  }

  bool by_numbers(const Expr& term, Ends& ends) {
    const IntInterval numbers = bounds_of(term, analyzer_.vars());
    if (!numbers.is_bounded() || !is_index_type(term->dtype))
      return false;
    ends.low = constant_form(term->dtype, numbers.low);
    ends.high = constant_form(term->dtype, numbers.high);
    return true;
  }

  std::span<const VarRange> inner_;
  Analyzer& analyzer_;
  Analyzer::Scope scope_;
};

/// Only variables: nothing that the simplifier could still merge.
bool is_plain(const LinearForm& form) {
  for (const LinearTerm& term : form.terms)
    if (!term.expr.is<VarNode>())
      return false;
  return true;
}

/// low..high as a range; the extent is a constant where it can be bounded by one.
Range range_between(const LinearForm& low, const LinearForm& high, Analyzer& analyzer) {
  LinearForm extent = high;
  extent.add(low, -1);
  extent.add_constant(1);
  Expr first = to_expr(low);
  if (extent.is_constant() && is_plain(low))
    return {std::move(first), make_int(low.dtype, extent.constant)};
  // Merging x // c of both ends may need the simplifier once more.
  Expr text = analyzer.simplify(to_expr(extent));
  if (!text.is<IntImm>())
    if (const IntInterval interval = analyzer.bounds(text); interval.has_high())
      text = make_int(low.dtype, interval.high);
  return {analyzer.simplify(first), text};
}

LinearForm last_of(const Range& range, Analyzer& analyzer) {
  LinearForm last = analyzer.linear(range.min);
  last.add(analyzer.linear(range.extent));
  last.add_constant(-1);
  return last;
}

} // namespace

std::optional<Range> relax(const Range& index, std::span<const VarRange> inner,
                           Analyzer& analyzer) {
  Ends first;
  Ends last;
  {
    Relaxer relaxer(inner, analyzer);
    if (!relaxer.ends_of(index.min, first))
      return std::nullopt;
    if (is_int(index.extent, 1)) {
      last = first;
    } else {
      // The extent is at least 0, but nothing ties it to the range's start: its end is bounded
      // on its own.
      LinearForm end = analyzer.linear(index.min);
      end.add(analyzer.linear(index.extent));
      end.add_constant(-1);
      if (!relaxer.ends_of(end, last))
        return std::nullopt;
    }
  }
  return range_between(first.low, last.high, analyzer);
}

std::optional<Range> relax(const Expr& index, std::span<const VarRange> inner, Analyzer& analyzer) {
  return relax(Range{index, make_int(index->dtype, 1)}, inner, analyzer);
}

BufferRegion relax(const BufferRegion& region, std::span<const VarRange> inner,
                   Analyzer& analyzer) {
  BufferRegion result{region.buffer, {}};
  for (size_t i = 0; i < region.region.size(); ++i) {
    const Expr& extent = region.buffer->shape[i];
    result.region.push_back(relax(region.region[i], inner, analyzer)
                                .value_or(Range{make_int(extent->dtype, 0), extent}));
  }
  return result;
}

Range unite(const Range& a, const Range& b, Analyzer& analyzer) {
  if (same_expr(a.min, b.min) && same_expr(a.extent, b.extent))
    return a;
  const Expr low = make_binary<Min>(a.min, b.min);
  const Expr high = make_binary<Max>(to_expr(last_of(a, analyzer)), to_expr(last_of(b, analyzer)));
  return range_between(analyzer.linear(low), analyzer.linear(high), analyzer);
}

std::vector<Range> unite(std::span<const Range> a, std::span<const Range> b, Analyzer& analyzer) {
  TEMPER_CHECK(a.size() == b.size(), "regions of one buffer have one rank");
  std::vector<Range> result;
  for (size_t i = 0; i < a.size(); ++i)
    result.push_back(unite(a[i], b[i], analyzer));
  return result;
}

Range intersect(const Range& range, const Expr& extent, Analyzer& analyzer) {
  const LinearForm low = analyzer.linear(range.min);
  const LinearForm high = last_of(range, analyzer);
  LinearForm room = analyzer.linear(extent);
  room.add(high, -1);
  room.add_constant(-1);
  const bool low_fits = analyzer.is_non_negative(low);
  const bool high_fits = analyzer.is_non_negative(room);
  if (low_fits && high_fits)
    return range;
  const Expr zero = make_int(extent->dtype, 0);
  const Expr first = low_fits ? to_expr(low) : make_binary<Max>(to_expr(low), zero);
  const Expr last = high_fits ? to_expr(high) : make_binary<Min>(to_expr(high), extent - 1);
  return {analyzer.simplify(first),
          analyzer.simplify(
              make_binary<Add>(make_binary<Sub>(last, first), make_int(extent->dtype, 1)))};
}

BufferRegion clip_to_shape(const BufferRegion& region, Analyzer& analyzer) {
  BufferRegion result{region.buffer, {}};
  for (size_t i = 0; i < region.region.size(); ++i)
    result.region.push_back(intersect(region.region[i], region.buffer->shape[i], analyzer));
  return result;
}

bool covers(const Range& outer, const Range& inner, Analyzer& analyzer) {
  if (same_expr(outer.min, inner.min) && same_expr(outer.extent, inner.extent))
    return true;
  LinearForm below = analyzer.linear(inner.min);
  below.add(analyzer.linear(outer.min), -1);
  if (!analyzer.is_non_negative(below))
    return false;
  LinearForm above = last_of(outer, analyzer);
  above.add(last_of(inner, analyzer), -1);
  return analyzer.is_non_negative(above);
}

bool covers(std::span<const Range> outer, std::span<const Range> inner, Analyzer& analyzer) {
  if (outer.size() != inner.size())
    return false;
  for (size_t i = 0; i < outer.size(); ++i)
    if (!covers(outer[i], inner[i], analyzer))
      return false;
  return true;
}

std::optional<int64_t> constant_extent(const Range& range, Analyzer& analyzer) {
  if (const auto extent = as_int(range.extent))
    return extent;
  const IntInterval interval = analyzer.bounds(range.extent);
  return interval.has_high() ? std::optional(interval.high) : std::nullopt;
}

BufferRegion whole_region(const Buffer& buffer) {
  BufferRegion region{buffer, {}};
  for (const Expr& extent : buffer->shape)
    region.region.push_back({make_int(extent->dtype, 0), extent});
  return region;
}

std::vector<Range> region_of_indices(std::span<const Expr> indices, Analyzer& analyzer) {
  std::vector<Range> region;
  for (const Expr& index : indices) {
    if (index->dtype.is_scalar()) {
      region.push_back({index, make_int(index->dtype, 1)});
      continue;
    }
    const Expr simple = analyzer.simplify(index);
    const DataType dtype = index->dtype.element();
    if (const auto* ramp = simple.as<Ramp>()) {
      const int64_t last = ramp->lanes() - 1;
      const auto stride = as_int(ramp->stride);
      if (stride && *stride >= 0) {
        region.push_back({ramp->base, make_int(dtype, last * *stride + 1)});
        continue;
      }
      if (stride) {
        region.push_back(
            {analyzer.simplify(ramp->base + last * *stride), make_int(dtype, last * -*stride + 1)});
        continue;
      }
    } else if (const auto* broadcast = simple.as<Broadcast>()) {
      region.push_back({broadcast->value, make_int(dtype, 1)});
      continue;
    }
    // Some vector: by its bounds, or everything a 32-bit index can say.
    IntInterval interval = bounds_of(simple, analyzer.vars());
    interval = meet(IntInterval{-(int64_t{1} << 30), int64_t{1} << 30}, interval);
    region.push_back(
        {make_int(dtype, interval.low), make_int(dtype, interval.high - interval.low + 1)});
  }
  return region;
}

} // namespace temper::ir
