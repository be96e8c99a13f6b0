#include "tuner/replay/replay.h"

#include "ir/support/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <unistd.h>

namespace temper::tuner {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Tables : public ::testing::Test {
protected:
  void SetUp() override {
    folder_ =
        std::filesystem::path(testing::TempDir()) / ("temper_tables_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, const std::string& content) const {
    EXPECT_TRUE(write_file(folder_ / name, content));
    return folder_ / name;
  }
  /// Zipped, and cut to a share of its bytes.
  std::filesystem::path write_zipped(const std::string& name, const std::string& content,
                                     double share = 1) const {
    const std::filesystem::path path = folder_ / name;
    gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
    gzclose(file);
    std::filesystem::resize_file(
        path,
        static_cast<uintmax_t>(share * static_cast<double>(std::filesystem::file_size(path))));
    return path;
  }
  std::string error_of(const std::filesystem::path& path) const {
    auto table = read_measured_table(path);
    return table ? "no error" : table.error().to_string();
  }

  std::filesystem::path folder_;
};

const char* const kT4 = R"({"metadata": {"timeunit": "ms"}, "results": [
  {"timestamp": "now", "configuration": {"a": 16, "b": 1, "fixed": 3}, "invalidity": "correct",
   "times": {"compilation": 9, "runtimes": [2, 2]},
   "measurements": [{"name": "energy", "value": 1}, {"name": "time", "value": 2.5, "unit": "ms"}]},
  {"configuration": {"a": 16, "b": 2.0, "fixed": 3}, "invalidity": "runtime",
   "measurements": [{"name": "time", "value": "RuntimeFailedConfig"}]},
  {"configuration": {"a": 32, "b": 1, "fixed": 3}, "invalidity": "correct",
   "measurements": [{"name": "time", "value": 4}]}
]})";

const char* const kCache = R"({"device_name": "made up", "tune_params_keys": ["a", "b", "fixed"],
"tune_params": {"a": [16, 32], "b": [1, 2], "fixed": [3]}, "cache": {
"16,1,3": {"a": 16, "b": 1, "fixed": 3, "time": 2.5, "times": [2, 3], "env": {"time": 99}},
"16,2,3": {"a": 16, "b": 2, "fixed": 3, "time": "InvalidConfig"},
"32,1,3": {"a": 32, "b": 1, "fixed": 3, "time": 4}
}})";

TEST_F(Tables, BothFormatsAndGzipGiveTheSameSpace) {
  for (const auto& path : {write("one_T4.json", kT4), write("one_cache.json", kCache),
                           write_zipped("one_cache.json.gz", kCache)}) {
    auto table = read_measured_table(path);
    ASSERT_TRUE(table) << table.error().to_string();
    EXPECT_THAT(table->parameters, ElementsAre("a", "b", "fixed"));
    EXPECT_THAT(table->keys, ElementsAre("16,1,3", "16,2,3", "32,1,3"));
    EXPECT_EQ(table->times_ms[0], 2.5);
    EXPECT_TRUE(std::isnan(table->times_ms[1]));
    EXPECT_EQ(table->times_ms[2], 4);
    EXPECT_EQ(table->valid(), 2u);
    EXPECT_EQ(table->space.dimensions(), 2u) << "a parameter that never changes is none";
  }
}

TEST_F(Tables, ABrokenTableIsNamedWithItsLine) {
  const std::string text = kCache;
  const auto broken = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return error_of(write("broken_cache.json", changed));
  };
  EXPECT_THAT(broken("\"b\": 2,", "\"b\" 2,"),
              AllOf(HasSubstr("broken_cache.json:4:"), HasSubstr("not valid JSON")));
  EXPECT_THAT(broken("\"b\": 2,", ""), HasSubstr(":4: a configuration has no value of 'b'"));
  EXPECT_THAT(broken("\"time\": 4", "\"tame\": 4"), HasSubstr(":5: a configuration has no 'time'"));
  EXPECT_THAT(broken("\"a\": 32", "\"a\": 16"),
              HasSubstr(":5: the configuration 16,1,3 appears twice"));
  EXPECT_THAT(broken("\"tune_params_keys\"", "\"keys\""), HasSubstr(":2: 'tune_params_keys'"));
  EXPECT_THAT(broken("\"time\": 4", "\"time\": 1e999"), HasSubstr("not valid JSON"));
  std::string other = kT4;
  other.replace(other.find("\"runtime\""), 9, "\"correct\"");
  other.replace(other.find("{\"name\": \"time\", \"value\": \"Run"), 15, "{\"name\": \"tome\"");
  EXPECT_THAT(error_of(write("x_T4.json", other)), HasSubstr(":6: a correct result has no"));
}

TEST_F(Tables, TheTimeOfACorrectResultIsANumberInAUnit) {
  const auto with = [&](const std::string& reading) {
    std::string changed = kT4;
    changed.replace(changed.find("\"value\": 4}"), 11, reading + "}");
    return write("x_T4.json", changed);
  };
  for (const char* value : {"-1", "0", "null", "\"fast\""})
    EXPECT_THAT(error_of(with(std::string("\"value\": ") + value)),
                HasSubstr("has to be a number above 0"))
        << value;
  EXPECT_THAT(error_of(with("\"value\": 4, \"unit\": \"parsec\"")), HasSubstr("not 'parsec'"));
  const auto seconds = read_measured_table(with("\"value\": 0.004, \"unit\": \"s\""));
  ASSERT_TRUE(seconds) << seconds.error().to_string();
  EXPECT_DOUBLE_EQ(seconds->times_ms[2], 4);
}

TEST_F(Tables, AFileThatIsCutOffIsNamedWithTheLastLineItHas) {
  const std::string text = kCache;
  for (size_t length : {text.size() - 2, text.find("\"32,1,3\"") + 20})
    EXPECT_THAT(error_of(write("cut_cache.json", text.substr(0, length))),
                AllOf(HasSubstr("cut_cache.json:"), HasSubstr("ends too early")));
  EXPECT_THAT(error_of(write("cut_cache.json", text.substr(0, text.find("\"32,1,3\"") + 20))),
              HasSubstr("cut_cache.json:5:"));
  EXPECT_THAT(error_of(write("empty_cache.json", "")), HasSubstr("the file is empty"));
  std::string large = "{\"results\": [\n";
  for (int i = 0; i < 20000; ++i)
    large += "{\"configuration\": {\"a\": " + std::to_string(i * 7919 % 20011) +
             "}, \"invalidity\": \"compile\"},\n";
  EXPECT_THAT(error_of(write_zipped("cut_T4.json.gz", large, 0.5)),
              ::testing::ContainsRegex("cut_T4.json.gz:[0-9]+: the compressed file is cut off"));
}

TEST_F(Tables, WhatIsNoTableIsRefused) {
  EXPECT_THAT(error_of(folder_ / "absent_T4.json"), HasSubstr("No such file"));
  EXPECT_THAT(error_of(folder_), HasSubstr("is a folder"));
  for (const char* text : {"[]", "3", "{}", "{\"results\": 4}", "{\"results\": [4]}",
                           "{\"results\": []}", "{\"results\": {}}", "{\"results\": [{}]}",
                           "{\"tune_params_keys\": [\"a\"], \"cache\": {}}"})
    EXPECT_THAT(error_of(write("no_T4.json", text)), HasSubstr("no_T4.json:1: ")) << text;
  EXPECT_FALSE(expand_table_paths({folder_ / "nowhere"})->empty());
  std::filesystem::create_directories(folder_ / "bare");
  EXPECT_FALSE(expand_table_paths({folder_ / "bare"}));
}

TEST(Score, TheBaselineIsTheMeanOverAllSubsets) {
  const std::vector<double> times{3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0};
  std::vector<double> sums(times.size()), counts(times.size());
  for (unsigned subset = 1; subset < 1u << times.size(); ++subset) {
    double least = 1e9;
    for (size_t i = 0; i < times.size(); ++i)
      if ((subset >> i & 1) != 0)
        least = std::min(least, times[i]);
    sums[static_cast<size_t>(std::popcount(subset)) - 1] += least;
    counts[static_cast<size_t>(std::popcount(subset)) - 1] += 1;
  }
  const std::vector<double> baseline = random_baseline(times);
  ASSERT_EQ(baseline.size(), times.size());
  for (size_t n = 0; n < times.size(); ++n)
    EXPECT_NEAR(baseline[n], sums[n] / counts[n], 1e-12);
}

MeasuredTable made_up_table(int size, uint64_t seed) {
  Random random(seed);
  MeasuredTable table;
  table.name = "made up";
  table.parameters = {"x"};
  std::vector<uint16_t> column;
  for (int i = 0; i < size; ++i) {
    table.keys.push_back(std::to_string(i));
    table.times_ms.push_back(random.uniform() < 0.05 ? std::nan("")
                                                     : 1 + std::exp(random.normal()));
    column.push_back(static_cast<uint16_t>(i));
  }
  table.space = Configurations({column});
  return table;
}

TEST(Score, RandomSearchScoresZeroTheOptimumOneAndTheWorstBelow) {
  const MeasuredTable table = made_up_table(1500, 3);
  const ScoredSpace space = *scored_space(table);
  EXPECT_LE(space.baseline[space.cutoff - 1],
            space.median_ms - 0.95 * (space.median_ms - space.best_ms));
  std::vector<RunScore> chance;
  for (uint64_t seed = 0; seed < 600; ++seed)
    chance.push_back(
        score_run(space, times_of(table, *replay_run(table, "random", seed, space.budget))));
  const ScoreSummary random = summarise_scores(chance);
  EXPECT_LT(std::abs(random.mean), 2 * random.half_width);
  EXPECT_LT(random.half_width, 0.1);

  const RunScore best = score_run(space, std::vector{space.best_ms});
  EXPECT_NEAR(best.score, 1, 1e-12);
  EXPECT_THAT(best.reached, ElementsAre(1, 1, 1));
  const RunScore worst = score_run(space, std::vector{space.worst_ms});
  EXPECT_LT(worst.score, -1);
  EXPECT_TRUE(std::isinf(worst.reached[0]));
  EXPECT_EQ(score_run(space, std::vector{std::nan("")}).score, worst.score);
}

/// What the published program for these spaces (score.py, by the same definition) says of a table
/// and of three trajectories.
TEST(Score, AgreesWithTheReferenceProgram) {
  const MeasuredTable table = *read_measured_table(std::filesystem::path(TEMPER_SOURCE_DIR) /
                                                   "tests/tuner/matmul_cache.json");
  EXPECT_EQ(table.keys.size(), 504u);
  EXPECT_EQ(table.valid(), 468u);
  const ScoredSpace space = *scored_space(table);
  EXPECT_EQ(space.best_ms, 0.190139);
  EXPECT_NEAR(space.median_ms, 0.329893, 1e-9);
  EXPECT_EQ(space.worst_ms, 0.634814);
  EXPECT_EQ(space.cutoff, 163u);
  EXPECT_EQ(space.budget, 163u);
  EXPECT_NEAR(space.baseline[0], 0.3607491785714286, 1e-12);
  EXPECT_NEAR(space.baseline[19], 0.21558741525024594, 1e-12);
  EXPECT_NEAR(space.baseline[162], 0.1971163168042506, 1e-12);

  std::vector<std::vector<size_t>> runs(3);
  for (size_t i = 0; i < 60; ++i) {
    runs[0].push_back(503 - 5 * i);
    runs[1].push_back(i);
  }
  for (size_t i = 7; i < 504; i += 8)
    runs[2].push_back(i);
  const RunScore backwards = score_run(space, times_of(table, runs[0]));
  EXPECT_NEAR(backwards.score, -0.5383220680472665, 1e-9);
  EXPECT_THAT(backwards.reached, ElementsAre(23, INFINITY, INFINITY));
  const RunScore forwards = score_run(space, times_of(table, runs[1]));
  EXPECT_NEAR(forwards.score, -2.5798985386209528, 1e-9);
  EXPECT_THAT(forwards.reached, ElementsAre(INFINITY, INFINITY, INFINITY));
  const RunScore every_eighth = score_run(space, times_of(table, runs[2]));
  EXPECT_NEAR(every_eighth.score, -0.3356753788971585, 1e-9);
  EXPECT_THAT(every_eighth.reached, ElementsAre(39, INFINITY, INFINITY));
}

TEST(Score, ASummaryHasTheStudentIntervalAndLowerMedians) {
  std::vector<RunScore> runs(6);
  for (size_t i = 0; i < runs.size(); ++i)
    runs[i] = {static_cast<double>(i), {static_cast<double>(i), INFINITY, 1}};
  const ScoreSummary summary = summarise_scores(runs);
  EXPECT_EQ(summary.mean, 2.5);
  // t(5 degrees of freedom) = 2.5706, standard deviation 1.8708.
  EXPECT_NEAR(summary.half_width, 2.5706 * 1.8708 / std::sqrt(6), 0.02);
  EXPECT_EQ(summary.reached[0], 2);
  EXPECT_TRUE(std::isinf(summary.reached[1]));
  EXPECT_TRUE(std::isnan(summarise_scores(std::span(runs).first(4)).half_width));
}

TEST(Score, WhatHasNoSpreadIsNotScored) {
  MeasuredTable table = made_up_table(30, 1);
  std::fill(table.times_ms.begin(), table.times_ms.end(), 2.0);
  EXPECT_FALSE(scored_space(table));
  std::fill(table.times_ms.begin(), table.times_ms.end(), std::nan(""));
  EXPECT_FALSE(scored_space(table));
}

} // namespace
} // namespace temper::tuner
