// Strategies on the measured GPU spaces that lie beside a checkout (TEMPER_REPLAY names another
// folder). They are not part of the tree: without them these tests are skipped, and
// configuration_strategy_test.cpp still runs on a table of our own.
#include "tuner/replay/replay.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace temper::tuner {
namespace {

class PublishedSpaces : public ::testing::Test {
protected:
  void SetUp() override {
    const char* named = std::getenv("TEMPER_REPLAY");
    const std::filesystem::path folder =
        named != nullptr ? std::filesystem::path(named)
                         : std::filesystem::path(TEMPER_SOURCE_DIR) / "../shared/replay";
    if (!std::filesystem::is_directory(folder))
      GTEST_SKIP() << "no measured spaces in '" << folder.string()
                   << "'; set TEMPER_REPLAY to a folder with *_T4.json.gz and *_cache.json.gz";
    auto files = expand_table_paths({folder});
    ASSERT_TRUE(files) << files.error().to_string();
    files_ = *files;
  }

  ScoreSummary scored(const std::filesystem::path& file, uint64_t runs) const {
    auto table = read_measured_table(file);
    EXPECT_TRUE(table) << table.error().to_string();
    const ScoredSpace space = *scored_space(*table);
    std::vector<RunScore> scores;
    for (uint64_t seed = 0; seed < runs; ++seed)
      scores.push_back(
          score_run(space, times_of(*table, *replay_run(*table, "surrogate", seed, space.budget))));
    return summarise_scores(scores);
  }

  std::vector<std::filesystem::path> files_;
};

TEST_F(PublishedSpaces, AreReadWhole) {
  for (const auto& file : files_) {
    auto table = read_measured_table(file);
    ASSERT_TRUE(table) << table.error().to_string();
    EXPECT_GE(table->keys.size(), 4000u) << table->name;
    EXPECT_GE(table->valid(), 4000u) << table->name;
    EXPECT_TRUE(scored_space(*table));
  }
}

TEST_F(PublishedSpaces, SurrogateScoresFarAboveRandom) {
  // Few runs, so with a margin below what `temper score` prints for 50.
  double mean = 0;
  for (const auto& file : files_) {
    const ScoreSummary summary = scored(file, 5);
    mean += summary.mean / static_cast<double>(files_.size());
    RecordProperty(file.stem().string(), std::to_string(summary.mean));
    if (file.filename().string().starts_with("gemm")) {
      EXPECT_LE(summary.reached[0], 90) << file;
    }
  }
  EXPECT_GE(mean, 0.5);
}

} // namespace
} // namespace temper::tuner
