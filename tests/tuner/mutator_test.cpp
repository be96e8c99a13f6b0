#include "tuner/mutate/mutator.h"

#include "ir/s_tir/trace_json.h"
#include "tests/tuner/scene.h"

#include <gtest/gtest.h>

#include <numeric>

namespace temper::tuner {
namespace {

using s_tir::decision_points;
using s_tir::DecisionPoint;
using s_tir::Trace;
using s_tir::Value;
using testing::must;

/// Designs (without post-processing) of softmax and matmul: every kind of decision.
std::vector<Trace> designs() {
  std::vector<Trace> result;
  for (const auto& [name, shape] :
       std::vector<std::pair<std::string, std::map<std::string, std::string>>>{
           {"matmul", {{"M", "24"}, {"N", "32"}, {"K", "20"}}},
           {"softmax", {{"M", "8"}, {"N", "48"}}}}) {
    const auto space = testing::space_of(testing::workload(name, shape).module);
    Random random(1);
    for (int i = 0; i < 12; ++i)
      result.push_back(must(space->sample(random))->trace.without_postproc());
  }
  return result;
}

std::vector<int64_t> factors_of(const Value& decision) {
  std::vector<int64_t> factors;
  for (const Value& value : *decision.as_list())
    factors.push_back(*value.as_int());
  return factors;
}

std::vector<size_t> changed(const Trace& from, const Trace& to) {
  std::vector<size_t> places;
  EXPECT_EQ(from.size(), to.size());
  EXPECT_EQ(from.skeleton_hash(), to.skeleton_hash());
  for (size_t i = 0; i < from.size(); ++i)
    if (!(from[i].decision == to[i].decision))
      places.push_back(i);
  return places;
}

/// A tile's factors stay a factorisation of the loop with a legal innermost one; a category stays
/// in its range.
void expect_legal(const Trace& trace) {
  for (const DecisionPoint& point : decision_points(trace)) {
    const Value& decision = trace[point.instruction].decision;
    if (decision.is_none())
      continue;
    if (point.kind == DecisionPoint::Kind::kPerfectTile) {
      const std::vector<int64_t> factors = factors_of(decision);
      EXPECT_EQ(static_cast<int64_t>(factors.size()), point.parts);
      EXPECT_EQ(std::accumulate(factors.begin(), factors.end(), int64_t{1}, std::multiplies<>()),
                point.extent);
      EXPECT_LE(factors.back(), point.max_innermost_factor);
    } else if (point.kind == DecisionPoint::Kind::kCategorical) {
      EXPECT_LT(*decision.as_int(), static_cast<int64_t>(point.candidates.size()));
      EXPECT_GE(*decision.as_int(), 0);
    }
  }
}

TEST(Mutator, ChangesOneDecisionAndKeepsItLegal) {
  Random random(3);
  std::map<std::string, int> used;
  for (const Trace& design : designs())
    for (int i = 0; i < 40; ++i) {
      const auto mutation = mutate_trace(design, random);
      if (!mutation)
        continue; // a tile of one factor, say
      const std::vector<size_t> places = changed(design, mutation->trace);
      EXPECT_EQ(places.size(), 1U);
      expect_legal(mutation->trace);
      ++used[mutation->mutator];
    }
  EXPECT_GT(used["tile_size"], used["category"]) << "tile sizes are what matters most";
  EXPECT_GT(used["category"], 0);
  EXPECT_GT(used["compute_location"], 0);
}

TEST(Mutator, IsTheSameForTheSameSeed) {
  const Trace design = designs().front();
  Random one(5);
  Random other(5);
  for (int i = 0; i < 10; ++i) {
    const auto a = mutate_trace(design, one);
    const auto b = mutate_trace(design, other);
    ASSERT_EQ(a.has_value(), b.has_value());
    if (a) {
      EXPECT_EQ(a->trace, b->trace);
    }
  }
}

TEST(Mutator, ATraceWithoutDecisionsIsRefused) {
  Random random(1);
  EXPECT_FALSE(mutate_trace(Trace(), random));
  EXPECT_TRUE(neighbour_traces(Trace(), 10).empty());
}

TEST(Mutator, NeighboursAreOneSmallStepAway) {
  for (const Trace& design : designs()) {
    std::set<std::string> seen;
    const std::vector<Mutation> neighbours = neighbour_traces(design, 1000);
    EXPECT_FALSE(neighbours.empty());
    for (const Mutation& neighbour : neighbours) {
      const std::vector<size_t> places = changed(design, neighbour.trace);
      ASSERT_EQ(places.size(), 1U);
      expect_legal(neighbour.trace);
      EXPECT_TRUE(seen.insert(s_tir::trace_to_json_text(neighbour.trace)).second) << "twice";
      const Value& before = design[places[0]].decision;
      const Value& after = neighbour.trace[places[0]].decision;
      if (neighbour.mutator == "tile_size") {
        int moved = 0;
        const std::vector<int64_t> old_factors = factors_of(before);
        const std::vector<int64_t> new_factors = factors_of(after);
        for (size_t i = 0; i < old_factors.size(); ++i)
          moved += old_factors[i] != new_factors[i] ? 1 : 0;
        EXPECT_EQ(moved, 2) << "from one factor to another";
      } else {
        EXPECT_EQ(std::abs(*before.as_int() - *after.as_int()), 1);
      }
    }
  }
}

TEST(Mutator, NeighboursAreAtMostAsManyAsAskedFor) {
  for (const Trace& design : designs())
    EXPECT_LE(neighbour_traces(design, 3).size(), 3U);
}

TEST(Mutator, MutantsOfASpaceKnowTheirParent) {
  const auto space = testing::space_of(
      testing::workload("matmul", {{"M", "24"}, {"N", "32"}, {"K", "20"}}).module);
  Random random(2);
  const CandidateRef parent = must(space->sample(random));
  int made = 0;
  for (int i = 0; i < 20; ++i) {
    const auto child = space->mutate(*parent, random);
    if (!child)
      continue;
    ++made;
    EXPECT_EQ((*child)->parent, parent->program_hash);
    EXPECT_EQ((*child)->origin.find("mutate "), 0U) << (*child)->origin;
  }
  EXPECT_GT(made, 10);
}

} // namespace
} // namespace temper::tuner
