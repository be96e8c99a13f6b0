// Starting points from other shapes of the same workload.
#include "tuner/transfer.h"

#include "tests/tuner/scene.h"

#include <gmock/gmock.h>

namespace temper::tuner {
namespace {

using testing::must;
using testing::Scene;

TEST(ShapeDistance, IsInOctavesOverAllSizes) {
  EXPECT_EQ(shape_distance(R"({"M":512,"N":64})", R"({"M":512,"N":64})"), 0);
  EXPECT_EQ(shape_distance(R"({"M":512,"N":64})", R"({"M":1024,"N":16})"), 3);
  EXPECT_EQ(shape_distance(R"({"M":1024,"N":16})", R"({"M":512,"N":64})"), 3);
}

TEST(ShapeDistance, OtherTypesAndOtherParametersHaveNone) {
  EXPECT_FALSE(shape_distance(R"({"M":8,"dtype":"float32"})", R"({"M":8,"dtype":"float16"})"));
  EXPECT_FALSE(shape_distance(R"({"M":8})", R"({"N":8})"));
  EXPECT_FALSE(shape_distance(R"({"M":8})", R"({"M":8,"N":8})"));
  EXPECT_FALSE(shape_distance(R"({"pad":0})", R"({"pad":1})")) << "no padding is not a size";
  EXPECT_FALSE(shape_distance("nonsense", "{}"));
}

/// A matmul of one size, its binding as the command line gives it.
Task matmul(int64_t size) {
  const std::string text = std::to_string(size);
  Task task =
      testing::task_of(testing::workload("matmul", {{"M", text}, {"N", text}, {"K", text}}));
  task.binding_json = Json{{"M", size}, {"N", size}, {"K", size}}.dump();
  return task;
}

/// A store in which matmuls of some sizes have been tuned.
class Tuned : public Scene {
public:
  explicit Tuned(std::initializer_list<int64_t> sizes) {
    for (const int64_t size : sizes) {
      task = matmul(size);
      space = testing::space_of(task.module);
      row.workload = must(store->add(workload_row(task)));
      must(run());
    }
  }
};

/// The same with constant weights.
Task matmul_with_weights(int64_t size) {
  const std::string text = std::to_string(size);
  Task task = testing::task_of(
      testing::workload("matmul", {{"M", text}, {"N", text}, {"K", text}, {"constant", "B"}}));
  task.binding_json = Json{{"M", size}, {"N", size}, {"K", size}, {"constant", "B"}}.dump();
  return task;
}

TEST(Transfer, KernelsWithPackedWeightsAndOthersAreKeptApart) {
  Tuned tuned({16});
  const Task weights = matmul_with_weights(32);
  EXPECT_EQ(weights.constants(), std::vector<std::string>{"B"});
  EXPECT_NE(workload_row(weights).structural_hash, workload_row(matmul(32)).structural_hash);
  const auto space = testing::space_of(weights.module);
  EXPECT_TRUE(must(transfer(*tuned.store, weights, *space)).candidates.empty());
  EXPECT_NE(must(tuned.store->add(workload_row(matmul_with_weights(16)))), tuned.row.workload)
      << "the same shape is another workload";
}

TEST(Transfer, TheBestOfAnotherShapeFitThisOne) {
  Tuned tuned({16});
  const Task task = matmul(24); // tiles of 16 do not divide
  const auto space = testing::space_of(task.module);
  const Transferred known = must(transfer(*tuned.store, task, *space));
  ASSERT_FALSE(known.candidates.empty());
  EXPECT_LE(known.candidates.size(), 4U);
  std::set<uint64_t> programs;
  for (const CandidateRef& candidate : known.candidates) {
    EXPECT_EQ(candidate->origin, "transfer");
    EXPECT_TRUE(programs.insert(candidate->program_hash).second);
  }
}

TEST(Transfer, NearShapesComeFirstAndTheOwnOneNever) {
  Tuned tuned({8, 64, 16});
  const Task task = matmul(16);
  const auto space = testing::space_of(task.module);
  const Transferred known = must(transfer(*tuned.store, task, *space));
  // 8 is one octave a size away, 64 two: the first come from the traces of 8.
  Tuned near_only({8});
  const Transferred near = must(transfer(*near_only.store, task, *space));
  ASSERT_GT(known.candidates.size(), near.candidates.size());
  for (size_t i = 0; i < near.candidates.size(); ++i)
    EXPECT_EQ(known.candidates[i]->program_hash, near.candidates[i]->program_hash);
}

TEST(Transfer, OtherTargetsAndThreadsSayNothing) {
  Tuned tuned({16});
  Task task = matmul(32);
  const auto space = testing::space_of(task.module);
  task.threads = 2;
  EXPECT_TRUE(must(transfer(*tuned.store, task, *space)).candidates.empty());
  task.threads = 1;
  task.target = must(ir::parse_target("cpu:x86-64-v4"));
  EXPECT_TRUE(must(transfer(*tuned.store, task, *space)).candidates.empty());
}

TEST(Transfer, WhatDoesNotFitIsDroppedAndCounted) {
  Tuned tuned({16});
  // The same parameters, another program: schedules of a product say nothing of it.
  Task task = matmul(32);
  const auto other = testing::workload("elementwise", {{"M", "32"}, {"N", "32"}});
  const auto space = testing::space_of(other.module);
  const Transferred known = must(transfer(*tuned.store, task, *space));
  EXPECT_EQ(known.candidates.size(), 0U);
  EXPECT_GT(known.dropped, 0);
}

TEST(Transfer, ARunStartsFromThemUnlessItIsFresh) {
  for (const bool fresh : {false, true}) {
    Tuned tuned({16});
    tuned.task = matmul(32);
    tuned.space = testing::space_of(tuned.task.module);
    tuned.row.workload = must(tuned.store->add(workload_row(tuned.task)));
    tuned.row.strategy = "auto";
    tuned.options.stop.trials = 8;
    tuned.options.fresh = fresh;
    const TuneResult result = must(tuned.run());
    int transferred = 0;
    for (const database::Measurement& measurement : tuned.rows())
      transferred += measurement.origin == "transfer" ? 1 : 0;
    EXPECT_EQ(transferred > 0, !fresh);
    EXPECT_EQ(result.transferred > 0, !fresh);
    EXPECT_EQ(must(tuned.store->events(tuned.run_id)).empty(), fresh);
  }
}

} // namespace
} // namespace temper::tuner
