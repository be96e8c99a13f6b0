// Loops count from zero and loops of one iteration are replaced by their value. A condition
// "fused sum < c" becomes a mark of extent c: with f for i0 * 16 + i1, i1 is f - i0 * 16, and i0
// cancels wherever the bindings use the sum. What a simplified binding then looks like is a linear
// form over pieces (mark % upper) // lower; a piece of a compound base makes the base a mark too.
#include "ir/arith/iter_map.h"

#include "ir/walk.h"

#include <algorithm>

namespace temper::ir {
namespace {

class Detector {
public:
  Detector(std::span<const VarRange> loops, Analyzer& analyzer)
      : loops_(loops), analyzer_(analyzer), scope_(analyzer) {}

  Result<IterMap> run(std::span<const Expr> bindings, const Expr& predicate) {
    TEMPER_TRY_VOID(add_loops());
    if (predicate)
      TEMPER_TRY_VOID(add_predicate(predicate));
    for (size_t i = 0; i < bindings.size(); ++i) {
      IterSum sum;
      if (auto parsed = parse(bindings[i], sum); !parsed)
        return std::move(parsed).error().with_note("in binding " + std::to_string(i));
      map_.sums.push_back(std::move(sum));
    }
    TEMPER_TRY_VOID(check_overlap());
    return std::move(map_);
  }

private:
  static Error illegal(std::string why) { return {ErrorCode::kIllegal, std::move(why)}; }

  Result<void> add_loops() {
    for (size_t i = 0; i < loops_.size(); ++i) {
      const auto [var, range] = loops_[i];
      const auto min = as_int(range.min);
      const auto extent = as_int(range.extent);
      if (!min || !extent)
        return illegal("the range of loop '" + var->name + "' is not constant");
      if (*extent <= 1) {
        known_.emplace(var, range.min);
        continue;
      }
      Var counter = var;
      if (*min != 0) {
        counter = make_var(var->name, var->dtype);
        known_.emplace(var, counter + *min);
      }
      add_mark({counter, *extent, static_cast<int>(i), {}});
    }
    return {};
  }

  int add_mark(IterMark mark) {
    analyzer_.bind(mark.var, IntInterval::range(0, mark.extent));
    map_.marks.push_back(std::move(mark));
    uses_.emplace_back();
    return static_cast<int>(map_.marks.size()) - 1;
  }

  int find_mark(const Expr& expr) const {
    const auto* var = expr.as<VarNode>();
    for (size_t i = 0; var != nullptr && i < map_.marks.size(); ++i)
      if (map_.marks[i].var.get() == var)
        return static_cast<int>(i);
    return -1;
  }

  bool mentions_mark(const Expr& expr) const {
    return uses_var(expr, [&](const VarNode& var) {
      return std::any_of(map_.marks.begin(), map_.marks.end(),
                         [&](const IterMark& mark) { return mark.var.get() == &var; });
    });
  }

  Expr prepare(const Expr& expr) { return known_.empty() ? expr : substitute(expr, known_); }

  /// Each conjunct that bounds a fused sum from above makes it a mark; fewest terms first, so that
  /// a split of a split is taken apart inside out.
  Result<void> add_predicate(const Expr& predicate) {
    std::vector<Expr> conjuncts;
    const auto collect = [&](auto&& self, const Expr& expr) -> void {
      if (const auto* both = expr.as<And>()) {
        self(self, both->a);
        self(self, both->b);
      } else if (const auto* call = expr.as<Call>(); call != nullptr && call->op == "likely") {
        self(self, call->args[0]);
      } else {
        conjuncts.push_back(expr);
      }
    };
    collect(collect, predicate);
    while (!conjuncts.empty()) {
      size_t best = conjuncts.size();
      LinearForm best_sum;
      int64_t best_limit = 0;
      for (size_t i = 0; i < conjuncts.size();) {
        const Expr condition = analyzer_.simplify(prepare(conjuncts[i]));
        if (is_int(condition, 1) || !mentions_mark(condition)) {
          conjuncts.erase(conjuncts.begin() + static_cast<std::ptrdiff_t>(i));
          continue;
        }
        // The simplifier writes every order as < or <=; a constant limit stands on the right of <.
        const auto* less = condition.as<LT>();
        const auto limit = less != nullptr ? as_int(less->b) : std::nullopt;
        if (!limit)
          return illegal("a predicate is not of the form 'fused loops < constant'");
        LinearForm sum = analyzer_.linear(less->a);
        if (best == conjuncts.size() || sum.terms.size() < best_sum.terms.size()) {
          best = i;
          best_sum = std::move(sum);
          best_limit = *limit;
        }
        ++i;
      }
      if (conjuncts.empty())
        break;
      conjuncts.erase(conjuncts.begin() + static_cast<std::ptrdiff_t>(best));
      TEMPER_TRY_VOID(limit_sum(best_sum, best_limit));
    }
    return {};
  }

  Result<void> limit_sum(const LinearForm& sum, int64_t limit) {
    IterSum pieces;
    TEMPER_TRY_VOID(parse_form(sum, pieces));
    if (!is_int(pieces.base, 0) || pieces.splits.empty() || pieces.splits[0].scale != 1)
      return illegal("a predicate bounds something else than fused loops");
    limit = std::min(limit, pieces.extent());
    if (limit <= 0)
      return illegal("a predicate never holds");
    const IterSplit& lowest = pieces.splits[0];
    const IterMark source = map_.marks[static_cast<size_t>(lowest.mark)];
    if (pieces.splits.size() == 1 && lowest.lower == 1 && lowest.extent == source.extent) {
      map_.marks[static_cast<size_t>(lowest.mark)].extent = limit;
      analyzer_.bind(source.var, IntInterval::range(0, limit));
      return {};
    }
    if (lowest.lower != 1 || lowest.extent != source.extent)
      return illegal("a predicate bounds a part of a loop");
    // lowest = fused - the others.
    Var fused = make_var("fused", source.var->dtype);
    LinearForm rest;
    rest.dtype = fused->dtype;
    rest.add_term(fused, 1);
    for (const LinearTerm& term : sum.terms)
      if (find_mark(term.expr) != lowest.mark)
        rest.add_term(term.expr, -term.coefficient);
    const Expr value = to_expr(rest);
    for (auto& [var, known] : known_)
      known = substitute(known, {{source.var, value}});
    known_.emplace(source.var, value);
    fuse(std::move(fused), limit, pieces.splits);
    return {};
  }

  int fuse(Var var, int64_t extent, const std::vector<IterSplit>& pieces) {
    for (const IterSplit& piece : pieces)
      uses_[static_cast<size_t>(piece.mark)].push_back(piece);
    return add_mark({std::move(var), extent, -1, pieces});
  }

  Result<void> parse(const Expr& binding, IterSum& sum) {
    // A loop itself: most bindings.
    if (const int mark = known_.empty() ? find_mark(binding) : -1; mark >= 0) {
      const int64_t extent = map_.marks[static_cast<size_t>(mark)].extent;
      sum.splits.push_back({mark, 1, extent, 1});
      sum.base = make_int(binding->dtype, 0);
      uses_[static_cast<size_t>(mark)].push_back(sum.splits[0]);
      return {};
    }
    if (!is_index_type(binding->dtype))
      return illegal("it is not an int32 or int64 expression");
    const LinearForm form = analyzer_.linear(prepare(binding));
    TEMPER_TRY_VOID(parse_form(form, sum));
    for (const IterSplit& split : sum.splits)
      uses_[static_cast<size_t>(split.mark)].push_back(split);
    return {};
  }

  /// Fills `sum` from a canonical form; does not record uses, but those of compound bases.
  Result<void> parse_form(const LinearForm& form, IterSum& sum) {
    if (form.overflow)
      return illegal("its numbers are too large");
    LinearForm base;
    base.dtype = form.dtype;
    base.constant = form.constant;
    for (const LinearTerm& term : form.terms) {
      if (!mentions_mark(term.expr)) {
        base.add_term(term.expr, term.coefficient);
        continue;
      }
      if (term.coefficient <= 0)
        return illegal("a loop runs backwards in it");
      IterSplit split;
      TEMPER_TRY_VOID(parse_term(term.expr, split));
      split.scale = term.coefficient;
      sum.splits.push_back(split);
    }
    std::sort(sum.splits.begin(), sum.splits.end(),
              [](const IterSplit& a, const IterSplit& b) { return a.scale < b.scale; });
    for (size_t i = 1; i < sum.splits.size(); ++i)
      if (sum.splits[i].scale != sum.splits[i - 1].scale * sum.splits[i - 1].extent)
        return illegal("its parts overlap or leave gaps: it is not a fusion of loops");
    sum.base = to_expr(base);
    return {};
  }

  Result<void> parse_term(const Expr& term, IterSplit& split) {
    const Expr* base = &term;
    int64_t upper = 0;
    if (const auto* div = base->as<FloorDiv>()) {
      const auto c = as_int(div->b);
      if (!c || *c <= 0)
        return illegal("it divides by something that is not a positive constant");
      split.lower = *c;
      base = &div->a;
    }
    if (const auto* mod = base->as<FloorMod>()) {
      const auto c = as_int(mod->b);
      if (!c || *c <= 0)
        return illegal("it takes a remainder by something that is not a positive constant");
      upper = *c;
      base = &mod->a;
    }
    split.mark = find_mark(*base);
    if (split.mark < 0) {
      if (split.lower == 1 && upper == 0)
        return illegal("it is not affine in the loops");
      TEMPER_TRY_VOID(mark_of_base(*base, split.mark));
    }
    const int64_t extent = map_.marks[static_cast<size_t>(split.mark)].extent;
    if (upper == 0)
      upper = extent;
    if (extent % upper != 0 || upper % split.lower != 0)
      return illegal("it splits a loop of extent " + std::to_string(extent) +
                     " into parts that do not divide it");
    split.extent = upper / split.lower;
    return {};
  }

  Result<void> mark_of_base(const Expr& base, int& mark) {
    for (const auto& [known, index] : compound_)
      if (same_expr(known, base)) {
        mark = index;
        return {};
      }
    IterSum sum;
    TEMPER_TRY_VOID(parse_form(linear_form(base), sum));
    if (!is_int(sum.base, 0) || sum.splits.empty() || sum.splits[0].scale != 1)
      return illegal("it divides something that is not a fusion of loops from zero");
    mark = fuse(make_var("fused", base->dtype), sum.extent(), sum.splits);
    compound_.emplace_back(base, mark);
    return {};
  }

  /// Pieces of one mark must be disjoint and lie on its digits; together they are all of it when
  /// the map is bijective.
  Result<void> check_overlap() {
    map_.bijective = true;
    for (size_t i = 0; i < map_.marks.size(); ++i) {
      const IterMark& mark = map_.marks[i];
      auto& uses = uses_[i];
      std::sort(uses.begin(), uses.end(),
                [](const IterSplit& a, const IterSplit& b) { return a.lower < b.lower; });
      int64_t covered = 1;
      for (const IterSplit& use : uses) {
        if (use.lower % covered != 0)
          return illegal("loop '" + mark.var->name + "' is used twice by the bindings");
        map_.bijective &= use.lower == covered;
        covered = use.lower * use.extent;
      }
      map_.bijective &= covered == mark.extent;
    }
    return {};
  }

  std::span<const VarRange> loops_;
  Analyzer& analyzer_;
  Analyzer::Scope scope_;
  VarMap known_;
  IterMap map_;
  std::vector<std::vector<IterSplit>> uses_; ///< per mark
  std::vector<std::pair<Expr, int>> compound_;
};

} // namespace

Result<IterMap> detect_iter_map(std::span<const Expr> bindings, std::span<const VarRange> loops,
                                const Expr& predicate, Analyzer& analyzer) {
  return Detector(loops, analyzer).run(bindings, predicate);
}

std::vector<Expr> inverse(const IterMap& map, std::span<const VarRange> loops,
                          std::span<const Expr> values, Analyzer& analyzer) {
  TEMPER_CHECK(map.bijective, "only a bijective map has an inverse");
  TEMPER_CHECK(values.size() == map.sums.size(), "one value per binding");
  std::vector<Expr> marks(map.marks.size());
  const auto add_digits = [&](const std::vector<IterSplit>& splits, const Expr& sum) {
    for (size_t i = 0; i < splits.size(); ++i) {
      const IterSplit& split = splits[i];
      Expr digit = floordiv(sum, split.scale);
      if (i + 1 < splits.size())
        digit = floormod(digit, split.extent);
      Expr& mark = marks[static_cast<size_t>(split.mark)];
      Expr part = digit * split.lower;
      mark = mark ? mark + part : part;
    }
  };
  for (size_t i = 0; i < values.size(); ++i)
    add_digits(map.sums[i].splits, values[i] - map.sums[i].base);
  // A fused mark was made after those of its pieces.
  for (size_t i = map.marks.size(); i-- > 0;)
    if (map.marks[i].loop < 0)
      add_digits(map.marks[i].pieces, marks[i]);
  std::vector<Expr> result;
  for (const VarRange& loop : loops)
    result.push_back(loop.range.min);
  for (size_t i = 0; i < map.marks.size(); ++i)
    if (const int loop = map.marks[i].loop; loop >= 0)
      result[static_cast<size_t>(loop)] = result[static_cast<size_t>(loop)] + marks[i];
  analyzer.simplify(result);
  return result;
}

} // namespace temper::ir
