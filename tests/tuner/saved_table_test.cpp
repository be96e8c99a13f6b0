// Runs saved as measured tables.
#include "tuner/saved_table.h"

#include "ir/support/text.h"
#include "tests/tuner/scene.h"
#include "tuner/replay/replay.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>

namespace temper::tuner::testing {
namespace {

using ::testing::HasSubstr;

/// What `temper score` makes of the text.
Result<MeasuredTable> read_back(const std::string& text) {
  const auto path = std::filesystem::path(::testing::TempDir()) /
                    ("saved_table_" + std::to_string(::getpid()) + "_T4.json");
  EXPECT_TRUE(write_file(path, text));
  auto table = read_measured_table(path);
  std::filesystem::remove(path);
  return table;
}

TEST(SavedTable, AnExhaustiveRunIsReadBackAsATable) {
  Scene scene("elementwise", {{"M", "2"}, {"N", "2"}});
  scene.options.stop.trials = 5000;
  ASSERT_EQ(must(scene.run()).stopped_because, "the space is exhausted");
  const SavedTable saved = must(table_of_run(*scene.store, scene.run_id));
  const MeasuredTable table = must(read_back(saved.text));
  EXPECT_EQ(table.keys.size(), saved.configurations);
  EXPECT_EQ(table.valid(), saved.configurations - saved.failed);
  EXPECT_EQ(table.parameters.front(), "sketch");

  double best_ns = std::numeric_limits<double>::infinity();
  size_t measured = 0;
  for (const database::Measurement& row : scene.rows()) {
    ++measured;
    if (row.outcome == database::Outcome::kOk)
      best_ns = std::min(best_ns, row.median_ns);
  }
  EXPECT_EQ(saved.configurations, measured);
  double best_ms = std::numeric_limits<double>::infinity();
  for (const double time : table.times_ms)
    if (std::isfinite(time))
      best_ms = std::min(best_ms, time);
  EXPECT_NEAR(best_ms, best_ns * 1e-6, 1e-12);

  // And a search that may visit all of it finds that.
  const auto rows = must(replay_run(table, "random", 3, table.keys.size()));
  EXPECT_EQ(rows.size(), table.keys.size());
}

TEST(SavedTable, AsACacheOfKernelTunerItIsTheSameTable) {
  Scene scene("elementwise", {{"M", "2"}, {"N", "2"}});
  scene.options.stop.trials = 5000;
  int trial = 0;
  scene.use(engine::FakeMeasurer([&](const auto& request) {
    engine::Measurement m = engine::FakeMeasurer::took(time_of(request));
    if (++trial % 3 == 2)
      m.outcome = engine::Outcome::kCrashed;
    return m;
  }));
  must(scene.run());
  const MeasuredTable t4 = must(read_back(must(table_of_run(*scene.store, scene.run_id)).text));
  const SavedTable saved =
      must(table_of_run(*scene.store, scene.run_id, false, TableFormat::kKernelTuner));
  const MeasuredTable cache = must(read_back(saved.text));
  EXPECT_EQ(cache.parameters, t4.parameters);
  EXPECT_EQ(cache.keys, t4.keys);
  ASSERT_EQ(cache.times_ms.size(), t4.times_ms.size());
  for (size_t i = 0; i < t4.times_ms.size(); ++i) {
    EXPECT_EQ(std::isfinite(cache.times_ms[i]), std::isfinite(t4.times_ms[i])) << i;
    if (std::isfinite(t4.times_ms[i])) {
      EXPECT_EQ(cache.times_ms[i], t4.times_ms[i]) << i;
    }
  }
  EXPECT_THAT(saved.text, HasSubstr("\"time\":\"RuntimeFailedConfig\""));
}

TEST(SavedTable, FailuresAreConfigurationsWithoutATime) {
  Scene scene("elementwise", {{"M", "2"}, {"N", "2"}});
  scene.options.stop.trials = 5000;
  int trial = 0;
  scene.use(engine::FakeMeasurer([&](const auto& request) {
    engine::Measurement m = engine::FakeMeasurer::took(time_of(request));
    if (++trial % 3 == 2) {
      m.outcome = engine::Outcome::kCrashed;
      m.error = "crashed";
    }
    return m;
  }));
  must(scene.run());
  const SavedTable saved = must(table_of_run(*scene.store, scene.run_id, /*partial=*/true));
  EXPECT_GT(saved.failed, 0U);
  EXPECT_LT(saved.failed, saved.configurations);
  const MeasuredTable table = must(read_back(saved.text));
  EXPECT_EQ(table.valid(), saved.configurations - saved.failed);
  EXPECT_THAT(saved.text, HasSubstr("\"invalidity\": \"runtime\""));
}

TEST(SavedTable, ARunThatStoppedBeforeIsRefusedUnlessItIsAskedFor) {
  Scene scene;
  scene.options.stop.trials = 10;
  must(scene.run());
  const auto refused = table_of_run(*scene.store, scene.run_id);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("did not measure its whole space"));
  EXPECT_THAT(refused.error().message, HasSubstr("--partial"));
  const SavedTable saved = must(table_of_run(*scene.store, scene.run_id, /*partial=*/true));
  EXPECT_GE(saved.configurations, 8U);
  EXPECT_THAT(saved.text, HasSubstr("\"complete\":false"));
  EXPECT_TRUE(read_back(saved.text));
}

TEST(SavedTable, ARunThatDoesNotExistIsNamed) {
  Scene scene;
  EXPECT_FALSE(table_of_run(*scene.store, "rdeadbeef"));
}

} // namespace
} // namespace temper::tuner::testing
