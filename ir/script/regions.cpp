#include "ir/script/regions.h"

#include "ir/structural.h"
#include "ir/walk.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace temper::script {

using namespace temper::ir; // NOLINT
using s_tir::MatchBufferRegion;
using s_tir::SBlockRealize;

namespace {

bool same(const Expr& a, const Expr& b) { return a == b || structural_equal(a, b); }

/// sum of coefficient * atom, plus a constant.
struct Linear {
  std::vector<std::pair<Expr, int64_t>> terms;
  int64_t constant = 0;

  void add(const Expr& atom, int64_t coefficient) {
    for (auto it = terms.begin(); it != terms.end(); ++it)
      if (same(it->first, atom)) {
        it->second += coefficient;
        if (it->second == 0)
          terms.erase(it);
        return;
      }
    if (coefficient != 0)
      terms.emplace_back(atom, coefficient);
  }
  void add(const Linear& other, int64_t factor) {
    for (const auto& [atom, coefficient] : other.terms)
      add(atom, coefficient * factor);
    constant += other.constant * factor;
  }
};

/// Constants beyond this are left alone, so that nothing here overflows.
constexpr int64_t kLargest = int64_t{1} << 40;

Linear linear(const Expr& expr, int depth = 0) {
  Linear result;
  if (depth < 200) {
    if (const auto value = as_int(expr); value && std::abs(*value) < kLargest) {
      result.constant = *value;
      return result;
    }
    if (const auto* add = expr.as<Add>()) {
      result = linear(add->a, depth + 1);
      result.add(linear(add->b, depth + 1), 1);
      return result;
    }
    if (const auto* sub = expr.as<Sub>()) {
      result = linear(sub->a, depth + 1);
      result.add(linear(sub->b, depth + 1), -1);
      return result;
    }
    if (const auto* mul = expr.as<Mul>()) {
      const auto left = as_int(mul->a);
      const auto right = as_int(mul->b);
      const auto factor = right ? right : left;
      if (factor && std::abs(*factor) < (1 << 20)) {
        result.add(linear(right ? mul->a : mul->b, depth + 1), *factor);
        return result;
      }
    }
  }
  result.add(expr, 1);
  return result;
}

struct Interval {
  int64_t low = 0;
  int64_t high = 0;
};

/// One dimension of a region: base + [offset, offset + extent), or everything.
struct Dimension {
  bool whole = false;
  Linear base;    ///< without constant
  Expr base_expr; ///< the index as written, when it is a single one
  int64_t low = 0;
  int64_t high = 0;     ///< both ends included
  Expr symbolic_extent; ///< when the extent is not constant: base + [low, low + extent)
};

struct Region {
  Buffer buffer;
  std::vector<Dimension> dimensions;
};

class Collector {
public:
  Collector(const std::vector<Buffer>& allocated, const std::vector<MatchBufferRegion>& views)
      : hidden_(allocated), views_(views) {}

  void statement(const Stmt& stmt) {
    switch (stmt->kind()) {
    case tir::BufferStore::kKind: {
      const auto& store = static_cast<const tir::BufferStore&>(*stmt);
      touch(writes_, store.buffer, store.indices);
      expression(store.value);
      for (const Expr& index : store.indices)
        expression(index);
      if (store.predicate)
        expression(store.predicate);
      return;
    }
    case tir::For::kKind: {
      const auto& loop = static_cast<const tir::For&>(*stmt);
      expression(loop.min);
      expression(loop.extent);
      loops_.push_back(&loop);
      statement(loop.body);
      loops_.pop_back();
      return;
    }
    case tir::AllocBuffer::kKind:
      hidden_.push_back(static_cast<const tir::AllocBuffer&>(*stmt).buffer);
      return;
    case SBlockRealize::kKind: {
      const auto& realize = static_cast<const SBlockRealize&>(*stmt);
      VarMap values;
      for (size_t i = 0; i < realize.iter_values.size(); ++i) {
        values[realize.block->iter_vars[i].var] = realize.iter_values[i];
        expression(realize.iter_values[i]);
      }
      for (const auto& region : realize.block->reads)
        touch_region(reads_, region, values);
      for (const auto& region : realize.block->writes)
        touch_region(writes_, region, values);
      return;
    }
    default:
      stmt->info().for_each_child(stmt.get(), [&](const NodeRef& child, Role) {
        if (StmtNode::accepts(child->kind()))
          statement(cast_ref<StmtNode>(child));
        else if (ExprNode::accepts(child->kind()))
          expression(cast_ref<ExprNode>(child));
      });
    }
  }

  Accesses finish(bool has_init) {
    Accesses result;
    for (const Region& region : writes_)
      result.writes.push_back(to_region(region));
    for (const Region& region : reads_) {
      const bool written = std::any_of(writes_.begin(), writes_.end(), [&](const Region& other) {
        return other.buffer == region.buffer;
      });
      if (!has_init || !written)
        result.reads.push_back(to_region(region));
    }
    return result;
  }

private:
  void expression(const Expr& root) {
    walk(root, [&](const NodeRef& node) {
      if (node->kind() == BufferLoad::kKind) {
        const auto& load = static_cast<const BufferLoad&>(*node);
        touch(reads_, load.buffer, load.indices);
      }
      return node->kind() != BufferNode::kKind;
    });
  }

  const tir::For* loop_of(const NodeRef& node) const {
    for (const tir::For* loop : loops_)
      if (loop->loop_var.get() == node.get())
        return loop;
    return nullptr;
  }
  bool uses_loop(const Expr& expr) const {
    return uses_var(expr, [&](const VarNode& var) {
      return std::any_of(loops_.begin(), loops_.end(),
                         [&](const tir::For* loop) { return loop->loop_var.get() == &var; });
    });
  }

  /// Bounds of an expression of inner loop variables alone.
  std::optional<Interval> interval(const Expr& expr, int depth = 0) const {
    if (depth > 100)
      return std::nullopt;
    if (const auto value = as_int(expr); value && std::abs(*value) < kLargest)
      return Interval{*value, *value};
    if (expr.is<VarNode>()) {
      const tir::For* loop = loop_of(expr);
      if (loop == nullptr)
        return std::nullopt;
      const auto min = as_int(loop->min);
      const auto extent = as_int(loop->extent);
      if (!min || !extent || *extent < 1 || *extent > kLargest || std::abs(*min) > kLargest)
        return std::nullopt;
      return Interval{*min, *min + *extent - 1};
    }
    const auto both = [&](const Expr& a, const Expr& b, auto combine) -> std::optional<Interval> {
      const auto x = interval(a, depth + 1);
      const auto y = interval(b, depth + 1);
      if (!x || !y)
        return std::nullopt;
      const std::optional<Interval> result = combine(*x, *y);
      if (!result || std::abs(result->low) > kLargest || std::abs(result->high) > kLargest)
        return std::nullopt;
      return result;
    };
    if (const auto* node = expr.as<Add>())
      return both(node->a, node->b, [](Interval x, Interval y) -> std::optional<Interval> {
        return Interval{x.low + y.low, x.high + y.high};
      });
    if (const auto* node = expr.as<Sub>())
      return both(node->a, node->b, [](Interval x, Interval y) -> std::optional<Interval> {
        return Interval{x.low - y.high, x.high - y.low};
      });
    if (const auto* node = expr.as<Mul>())
      return both(node->a, node->b, [](Interval x, Interval y) -> std::optional<Interval> {
        if (y.low != y.high || std::abs(y.low) > (1 << 20))
          return std::nullopt;
        const int64_t u = x.low * y.low;
        const int64_t v = x.high * y.low;
        return Interval{std::min(u, v), std::max(u, v)};
      });
    if (const auto* node = expr.as<FloorDiv>())
      return both(node->a, node->b, [](Interval x, Interval y) -> std::optional<Interval> {
        if (y.low != y.high || y.low < 1)
          return std::nullopt;
        return Interval{floor_div(x.low, y.low), floor_div(x.high, y.low)};
      });
    if (const auto* node = expr.as<FloorMod>())
      return both(node->a, node->b, [](Interval x, Interval y) -> std::optional<Interval> {
        if (y.low != y.high || y.low < 1)
          return std::nullopt;
        if (floor_div(x.low, y.low) == floor_div(x.high, y.low))
          return Interval{floor_mod(x.low, y.low), floor_mod(x.high, y.low)};
        return Interval{0, y.low - 1};
      });
    if (const auto* node = expr.as<Min>())
      return both(node->a, node->b, [](Interval x, Interval y) -> std::optional<Interval> {
        return Interval{std::min(x.low, y.low), std::min(x.high, y.high)};
      });
    if (const auto* node = expr.as<Max>())
      return both(node->a, node->b, [](Interval x, Interval y) -> std::optional<Interval> {
        return Interval{std::max(x.low, y.low), std::max(x.high, y.high)};
      });
    return std::nullopt;
  }

  Dimension dimension(const Expr& index, const Expr& extent) const {
    Dimension result;
    int64_t span = 1;
    if (extent) {
      const auto constant = as_int(extent);
      if (constant && *constant >= 1 && *constant < kLargest) {
        span = *constant;
      } else if (!uses_loop(index) && !uses_loop(extent)) {
        result.base_expr = index;
        result.base = linear(index);
        result.symbolic_extent = extent;
        return result;
      } else {
        result.whole = true;
        return result;
      }
    }
    if (const auto* ramp = index.as<Ramp>()) {
      const auto stride = as_int(ramp->stride);
      if (!stride || *stride < 1 || *stride > (1 << 20)) {
        result.whole = true;
        return result;
      }
      result = dimension(ramp->base, nullptr);
      if (result.symbolic_extent)
        result.whole = true;
      result.base_expr = nullptr;
      result.high += *stride * (ramp->lanes() - 1);
      return result;
    }
    if (!index->dtype.is_scalar()) {
      result.whole = true;
      return result;
    }
    Linear form = linear(index);
    Linear outer;
    Interval inner{form.constant, form.constant};
    bool has_inner = false;
    for (const auto& [atom, coefficient] : form.terms) {
      if (!uses_loop(atom)) {
        outer.add(atom, coefficient);
        continue;
      }
      has_inner = true;
      const auto bounds = interval(atom);
      if (!bounds) {
        const tir::For* loop = loop_of(atom);
        // A loop of symbolic length that runs along the dimension.
        if (loop != nullptr && coefficient == 1 && form.terms.size() == 1 && form.constant == 0 &&
            span == 1 && !uses_loop(loop->min) && !uses_loop(loop->extent)) {
          result.base_expr = loop->min;
          result.base = linear(loop->min);
          result.symbolic_extent = loop->extent;
          return result;
        }
        result.whole = true;
        return result;
      }
      inner.low += std::min(coefficient * bounds->low, coefficient * bounds->high);
      inner.high += std::max(coefficient * bounds->low, coefficient * bounds->high);
    }
    result.base = std::move(outer);
    result.low = inner.low;
    result.high = inner.high + span - 1;
    if (!has_inner)
      result.base_expr = index;
    result.base.constant = 0;
    return result;
  }

  static void join(Dimension& a, const Dimension& b) {
    if (a.whole || b.whole) {
      a.whole = true;
      return;
    }
    if (a.symbolic_extent || b.symbolic_extent) {
      const bool equal = a.symbolic_extent && b.symbolic_extent &&
                         same(a.symbolic_extent, b.symbolic_extent) &&
                         same(a.base_expr, b.base_expr);
      a.whole = !equal;
      return;
    }
    Linear difference = a.base;
    difference.add(b.base, -1);
    if (!difference.terms.empty()) {
      a.whole = true;
      return;
    }
    if (b.low < a.low) {
      a.base_expr = b.base_expr;
      a.low = b.low;
    }
    a.high = std::max(a.high, b.high);
  }

  void add(std::vector<Region>& list, const Buffer& buffer, std::vector<Dimension> dimensions) {
    for (Region& region : list)
      if (region.buffer == buffer) {
        for (size_t i = 0; i < dimensions.size(); ++i)
          join(region.dimensions[i], dimensions[i]);
        return;
      }
    list.push_back({buffer, std::move(dimensions)});
  }

  void touch(std::vector<Region>& list, const Buffer& buffer, const std::vector<Expr>& indices) {
    if (std::find(hidden_.begin(), hidden_.end(), buffer) != hidden_.end())
      return;
    for (const MatchBufferRegion& view : views_)
      if (view.buffer == buffer) {
        touch_region(list, view.source, {});
        return;
      }
    std::vector<Dimension> dimensions;
    for (const Expr& index : indices)
      dimensions.push_back(dimension(index, nullptr));
    add(list, buffer, std::move(dimensions));
  }

  void touch_region(std::vector<Region>& list, const BufferRegion& region, const VarMap& values) {
    if (std::find(hidden_.begin(), hidden_.end(), region.buffer) != hidden_.end())
      return;
    for (const MatchBufferRegion& view : views_)
      if (view.buffer == region.buffer) {
        touch_region(list, view.source, {});
        return;
      }
    std::vector<Dimension> dimensions;
    for (const Range& range : region.region)
      dimensions.push_back(
          dimension(substitute(range.min, values), substitute(range.extent, values)));
    add(list, region.buffer, std::move(dimensions));
  }

  static BufferRegion to_region(const Region& region) {
    BufferRegion result{region.buffer, {}};
    for (size_t i = 0; i < region.dimensions.size(); ++i) {
      const Dimension& dimension = region.dimensions[i];
      const Expr& full = region.buffer->shape[i];
      if (dimension.whole) {
        result.region.push_back({make_int(full->dtype, 0), full});
        continue;
      }
      if (dimension.symbolic_extent) {
        result.region.push_back({dimension.base_expr, dimension.symbolic_extent});
        continue;
      }
      Expr min = dimension.base_expr;
      if (!min) {
        for (const auto& [atom, coefficient] : dimension.base.terms) {
          const Expr term = atom * coefficient;
          min = min ? min + term : term;
        }
        min = min ? min + dimension.low : make_int(full->dtype, dimension.low);
      }
      result.region.push_back({min, make_int(min->dtype, dimension.high - dimension.low + 1)});
    }
    return result;
  }

  std::vector<Buffer> hidden_;
  const std::vector<MatchBufferRegion>& views_;
  std::vector<const tir::For*> loops_;
  std::vector<Region> reads_;
  std::vector<Region> writes_;
};

} // namespace

Expr extent_between(const Expr& begin, const Expr& end) {
  if (is_int(begin, 0))
    return end;
  const auto first = as_int(begin);
  const auto last = as_int(end);
  int64_t difference = 0;
  if (first && last && !__builtin_sub_overflow(*last, *first, &difference))
    return make_int(end->dtype, difference);
  if (const auto* add = end.as<Add>(); add != nullptr && same(add->a, begin))
    return add->b;
  Linear form = linear(end);
  form.add(linear(begin), -1);
  if (form.terms.empty())
    return make_int(end->dtype, form.constant);
  return make_binary<Sub>(end, begin);
}

Expr end_of(const Range& range) {
  if (is_int(range.min, 0))
    return range.extent;
  const auto first = as_int(range.min);
  const auto extent = as_int(range.extent);
  if (first && extent && range.min->dtype == range.extent->dtype) {
    int64_t end = 0;
    if (!__builtin_add_overflow(*first, *extent, &end) &&
        wrap_integer(range.min->dtype, end) == end)
      return make_int(range.min->dtype, end);
  }
  if (range.min->dtype != range.extent->dtype)
    return range.extent;
  return make_binary<Add>(range.min, range.extent);
}

Accesses infer_accesses(const Stmt& body, const Stmt& init, const std::vector<Buffer>& allocated,
                        const std::vector<MatchBufferRegion>& views) {
  Collector collector(allocated, views);
  if (init)
    collector.statement(init);
  collector.statement(body);
  return collector.finish(init != nullptr);
}

} // namespace temper::script
