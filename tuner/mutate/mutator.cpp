#include "tuner/mutate/mutator.h"

#include <array>

namespace temper::tuner {
namespace {

using namespace s_tir;

std::vector<int64_t> tile_of(const Trace& trace, const DecisionPoint& point) {
  std::vector<int64_t> factors;
  if (const Value::List* list = trace[point.instruction].decision.as_list())
    for (const Value& value : *list)
      factors.push_back(value.as_int() != nullptr ? *value.as_int() : 1);
  return factors;
}

Value to_value(const std::vector<int64_t>& factors) {
  Value::List list;
  for (int64_t factor : factors)
    list.emplace_back(factor);
  return list;
}

std::vector<int64_t> divisors(int64_t value) {
  std::vector<int64_t> result;
  for (int64_t d = 2; d <= value; ++d)
    if (value % d == 0)
      result.push_back(d);
  return result;
}

/// Moves a random divisor of one factor to another.
Result<Trace> mutate_tile(const Trace& trace, const DecisionPoint& point, Random& random) {
  std::vector<int64_t> factors = tile_of(trace, point);
  const auto count = static_cast<int64_t>(factors.size());
  for (int tries = 0; count > 1 && tries < 16; ++tries) {
    const auto from = static_cast<size_t>(random.below(count));
    const auto to = static_cast<size_t>(random.below(count));
    if (from == to || factors[from] <= 1)
      continue;
    const std::vector<int64_t> choices = divisors(factors[from]);
    const int64_t moved =
        choices[static_cast<size_t>(random.below(static_cast<int64_t>(choices.size())))];
    if (to + 1 == factors.size() && factors[to] * moved > point.max_innermost_factor)
      continue;
    factors[from] /= moved;
    factors[to] *= moved;
    return trace.with_decision(point.instruction, to_value(factors));
  }
  return Error(ErrorCode::kIllegal, "this tile has no other factors");
}

Result<Trace> mutate_category(const Trace& trace, const DecisionPoint& point, Random& random) {
  const auto count = static_cast<int64_t>(point.candidates.size());
  if (count < 2)
    return Error(ErrorCode::kIllegal, "this decision has one choice only");
  const int64_t* now = trace[point.instruction].decision.as_int();
  int64_t next = random.below(count - (now != nullptr ? 1 : 0));
  if (now != nullptr && next >= *now)
    ++next;
  return trace.with_decision(point.instruction, next);
}

} // namespace

Result<Mutation> mutate_trace(const Trace& design, Random& random) {
  std::array<std::vector<DecisionPoint>, 3> groups;
  for (const DecisionPoint& point : decision_points(design)) {
    const bool open = point.kind != DecisionPoint::Kind::kPerfectTile || point.extent > 1;
    if (open)
      groups[static_cast<size_t>(point.kind)].push_back(point);
  }
  const std::array<double, 3> weights{
      groups[0].empty() ? 0.0 : 0.9,
      groups[1].empty()
          ? 0.0
          : (groups[0].empty() ? 0.9 : 0.05 + 0.05 * static_cast<double>(groups[1].size() > 1)),
      groups[2].empty() ? 0.0 : 0.05};
  if (groups[0].empty() && groups[1].empty() && groups[2].empty())
    return Error(ErrorCode::kIllegal, "this sketch has no decisions");
  const size_t kind = random.weighted(weights);
  const std::vector<DecisionPoint>& group = groups[kind];
  const DecisionPoint& point =
      group[static_cast<size_t>(random.below(static_cast<int64_t>(group.size())))];
  switch (point.kind) {
  case DecisionPoint::Kind::kPerfectTile: {
    TEMPER_TRY(trace, mutate_tile(design, point, random));
    return Mutation{trace, "tile_size"};
  }
  case DecisionPoint::Kind::kCategorical: {
    TEMPER_TRY(trace, mutate_category(design, point, random));
    return Mutation{trace, "category"};
  }
  case DecisionPoint::Kind::kComputeLocation:
    // Sampled anew when the trace is replayed: its alternatives depend on the module at that point.
    return Mutation{design.with_decision(point.instruction, {}), "compute_location"};
  }
  TEMPER_UNREACHABLE("all kinds of decisions are handled");
}

std::vector<Mutation> neighbour_traces(const Trace& design, size_t limit) {
  std::vector<Mutation> result;
  for (const DecisionPoint& point : decision_points(design)) {
    if (point.kind == DecisionPoint::Kind::kPerfectTile) {
      const std::vector<int64_t> factors = tile_of(design, point);
      for (size_t from = 0; from < factors.size(); ++from) {
        if (factors[from] <= 1)
          continue;
        const int64_t step = divisors(factors[from]).front();
        for (size_t to = 0; to < factors.size() && result.size() < limit; ++to) {
          if (from == to ||
              (to + 1 == factors.size() && factors[to] * step > point.max_innermost_factor))
            continue;
          std::vector<int64_t> moved = factors;
          moved[from] /= step;
          moved[to] *= step;
          result.push_back({design.with_decision(point.instruction, to_value(moved)), "tile_size"});
        }
      }
    } else if (point.kind == DecisionPoint::Kind::kCategorical) {
      const int64_t* now = design[point.instruction].decision.as_int();
      for (int64_t next : {now != nullptr ? *now - 1 : -1, now != nullptr ? *now + 1 : 0})
        if (next >= 0 && next < static_cast<int64_t>(point.candidates.size()) &&
            result.size() < limit)
          result.push_back({design.with_decision(point.instruction, next), "category"});
    }
  }
  return result;
}

} // namespace temper::tuner
