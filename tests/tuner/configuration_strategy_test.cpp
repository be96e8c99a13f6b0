#include "tuner/replay/replay.h"

#include "ir/support/text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>

namespace temper::tuner {
namespace {

/// A fully measured space of our own: tiles, unrolling, blocking and packing of a matmul.
MeasuredTable matmul_table() {
  auto table = read_measured_table(std::filesystem::path(TEMPER_SOURCE_DIR) /
                                   "tests/tuner/matmul_cache.json");
  EXPECT_TRUE(table) << table.error().to_string();
  return *std::move(table);
}

/// The values of each row, as text.
std::vector<std::vector<std::string>> values_of(const MeasuredTable& table) {
  std::vector<std::vector<std::string>> rows;
  for (const std::string& key : table.keys)
    rows.push_back(split_text(key, ','));
  return rows;
}

std::vector<size_t> shuffled(size_t size, uint64_t seed) {
  std::vector<size_t> order(size);
  std::iota(order.begin(), order.end(), size_t{0});
  Random random(seed);
  for (size_t i = size; i > 1; --i)
    std::swap(order[i - 1], order[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
  return order;
}

/// The columns of `table` with other value names: the codes of each column pass through a
/// permutation.
std::vector<std::vector<uint16_t>> renamed_columns(const MeasuredTable& table, uint64_t seed) {
  const std::vector<std::vector<std::string>> rows = values_of(table);
  std::vector<std::vector<uint16_t>> columns;
  for (size_t p = 0; p < table.parameters.size(); ++p) {
    std::map<std::string, uint16_t> codes;
    for (const auto& row : rows)
      codes.try_emplace(row[p], 0);
    const std::vector<size_t> names = shuffled(codes.size(), seed + p);
    size_t next = 0;
    for (auto& [text, code] : codes)
      code = static_cast<uint16_t>(100 + names[next++]);
    std::vector<uint16_t>& column = columns.emplace_back();
    for (const auto& row : rows)
      column.push_back(codes[row[p]]);
  }
  return columns;
}

class EveryStrategy : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryStrategy, DoesTheSameWhenParametersAndValuesAreRenamedOrPermuted) {
  const MeasuredTable table = matmul_table();
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    MeasuredTable other = table;
    std::vector<std::vector<uint16_t>> columns = renamed_columns(table, seed);
    std::vector<std::vector<uint16_t>> permuted;
    for (size_t p : shuffled(columns.size(), 90 + seed))
      permuted.push_back(columns[p]);
    permuted.emplace_back(table.keys.size(), 7); // a parameter that never changes says nothing
    other.space = Configurations(permuted);
    EXPECT_EQ(*replay_run(table, GetParam(), seed, 60), *replay_run(other, GetParam(), seed, 60));
  }
}

TEST_P(EveryStrategy, DoesTheSameInAnotherUnitOfTime) {
  const MeasuredTable table = matmul_table();
  MeasuredTable other = table;
  for (double& time : other.times_ms)
    time *= 1024;
  EXPECT_EQ(*replay_run(table, GetParam(), 5, 60), *replay_run(other, GetParam(), 5, 60));
}

TEST_P(EveryStrategy, RepeatsFromItsSeedAndDiffersWithAnother) {
  const MeasuredTable table = matmul_table();
  EXPECT_EQ(*replay_run(table, GetParam(), 1, 50), *replay_run(table, GetParam(), 1, 50));
  EXPECT_NE(*replay_run(table, GetParam(), 1, 50), *replay_run(table, GetParam(), 2, 50));
}

TEST_P(EveryStrategy, ARunKnowsNothingOfEarlierRuns) {
  // The same seed after other runs on the same table: nothing was kept.
  const MeasuredTable table = matmul_table();
  const std::vector<size_t> alone = *replay_run(table, GetParam(), 11, 40);
  for (uint64_t seed = 0; seed < 3; ++seed)
    ASSERT_TRUE(replay_run(table, GetParam(), seed, 40));
  EXPECT_EQ(*replay_run(table, GetParam(), 11, 40), alone);
}

TEST_P(EveryStrategy, VisitsEachConfigurationOnceUntilTheSpaceIsExhausted) {
  MeasuredTable table;
  std::vector<std::vector<uint16_t>> columns(3);
  for (uint16_t i = 0; i < 60; ++i) {
    columns[0].push_back(i % 5);
    columns[1].push_back(i / 5 % 4);
    columns[2].push_back(i / 20);
    table.keys.push_back(std::to_string(i));
  }
  table.space = Configurations(columns);
  const double fails = std::nan("");
  for (const auto& time_of : std::vector<std::function<double(int)>>{
           [](int i) { return 1.0 + i % 7; }, [](int) { return 2.0; }, [&](int) { return fails; },
           [&](int i) { return i == 50 ? 1.0 : fails; },
           [&](int i) { return i % 3 == 0 ? fails : std::exp(i); }}) {
    table.times_ms.clear();
    for (int i = 0; i < 60; ++i)
      table.times_ms.push_back(time_of(i));
    const std::vector<size_t> rows = *replay_run(table, GetParam(), 3, 1000);
    EXPECT_EQ(rows.size(), 60u);
    EXPECT_EQ(std::set<size_t>(rows.begin(), rows.end()).size(), 60u);
  }
}

INSTANTIATE_TEST_SUITE_P(Strategies, EveryStrategy, ::testing::ValuesIn(configuration_strategies()),
                         [](const auto& info) { return info.param; });

ScoreSummary scored(const MeasuredTable& table, const std::string& strategy, uint64_t runs) {
  const ScoredSpace space = *scored_space(table);
  std::vector<RunScore> scores;
  for (uint64_t seed = 0; seed < runs; ++seed)
    scores.push_back(
        score_run(space, times_of(table, *replay_run(table, strategy, 1000 + seed, space.budget))));
  return summarise_scores(scores);
}

TEST(ConfigurationStrategies, OnOurOwnTableSurrogateBeatsGeneticBeatsRandom) {
  const MeasuredTable table = matmul_table();
  const ScoreSummary surrogate = scored(table, "surrogate", 15);
  const ScoreSummary genetic = scored(table, "genetic", 30);
  const ScoreSummary random = scored(table, "random", 30);
  EXPECT_GT(surrogate.mean, genetic.mean + genetic.half_width);
  EXPECT_GT(genetic.mean, random.mean + random.half_width);
  EXPECT_LT(surrogate.reached[1], 0.5 * random.reached[1]);
}

TEST(ConfigurationStrategies, TheOrderOfTheRowsTellsSurrogateNothing) {
  const MeasuredTable table = matmul_table();
  const std::vector<size_t> order = shuffled(table.keys.size(), 4);
  std::vector<std::vector<uint16_t>> columns = renamed_columns(table, 8);
  MeasuredTable other;
  for (size_t row : order) {
    other.keys.push_back(table.keys[row]);
    other.times_ms.push_back(table.times_ms[row]);
  }
  for (std::vector<uint16_t>& column : columns) {
    const std::vector<uint16_t> before = column;
    for (size_t i = 0; i < order.size(); ++i)
      column[i] = before[order[i]];
  }
  other.space = Configurations(columns);
  const ScoreSummary one = scored(table, "surrogate", 15);
  const ScoreSummary two = scored(other, "surrogate", 15);
  EXPECT_LT(std::abs(one.mean - two.mean), one.half_width + two.half_width);
}

TEST(ConfigurationStrategies, AnUnknownNameGetsTheListOfThem) {
  const auto unknown = make_configuration_strategy("tabu", {});
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("surrogate"), std::string::npos);
}

TEST(Configurations, FindsRowsByTheirCodes) {
  const Configurations space({{5, 5, 9, 9}, {1, 1, 1, 1}, {2, 3, 3, 2}});
  EXPECT_EQ(space.size(), 4u);
  EXPECT_EQ(space.dimensions(), 2u);
  for (size_t row = 0; row < 4; ++row)
    EXPECT_EQ(space.find(space.row(row)), row);
  EXPECT_EQ(space.find(std::vector<uint16_t>{2, 0}), std::nullopt);
}

} // namespace
} // namespace temper::tuner
