// Rows in, rows out: identity, runs and their claims, trials, the small tables.
#include "tests/database/fixture.h"

#include <gmock/gmock.h>

namespace temper::database {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Store, KeepsEveryFieldOfAMeasurement) {
  auto store = memory_store();
  Scene scene(*store);
  Measurement row = scene.measurement(1234.5);
  row.purpose = Purpose::kConfirm;
  row.gaps_dropped = 3;
  row.regime = TimingRegime::kCold;
  row.inputs = "int(0, M)";
  row.threads = 8;
  row.compile_ms = 12.25;
  row.measure_ms = 99.5;
  row.error = "line 1\nline 2";
  row.worst_json = "{\"index\":[1,2]}";
  row.code_hash = 0xfedcba9876543210ULL;
  row.origin = "mutate:tile";
  row.predicted_score = 0.75;
  row.anchor_drift = 0.011;
  row.unchecked = true;
  row.facts_json = "{\"code_bytes\":512}";
  row.counters_json = "{\"cycles\":1000}";
  row.measured_at = 1'700'000'000'000'000'123;
  const Recorded recorded = scene.record(Scene::trace(1), row);

  const Measurement seen = must(store->measurement(recorded.measurement));
  EXPECT_EQ(seen.run, scene.run);
  EXPECT_EQ(seen.candidate, recorded.candidate);
  EXPECT_EQ(seen.sequence, 0);
  EXPECT_EQ(seen.outcome, Outcome::kOk);
  EXPECT_EQ(seen.purpose, Purpose::kConfirm);
  EXPECT_EQ(seen.stage, "time");
  EXPECT_EQ(seen.median_ns, 1234.5);
  EXPECT_EQ(seen.low_ns, row.low_ns);
  EXPECT_EQ(seen.high_ns, row.high_ns);
  EXPECT_EQ(seen.samples_ns, row.samples_ns);
  EXPECT_EQ(seen.gaps_dropped, 3);
  EXPECT_EQ(seen.regime, TimingRegime::kCold);
  EXPECT_EQ(seen.inputs, "int(0, M)");
  EXPECT_EQ(seen.threads, 8);
  EXPECT_EQ(seen.compile_ms, 12.25);
  EXPECT_EQ(seen.measure_ms, 99.5);
  EXPECT_EQ(seen.error, row.error);
  EXPECT_EQ(seen.worst_json, row.worst_json);
  EXPECT_EQ(seen.environment, scene.environment);
  EXPECT_EQ(seen.toolchain, scene.toolchain);
  EXPECT_EQ(seen.code_hash, row.code_hash);
  EXPECT_EQ(seen.origin, "mutate:tile");
  EXPECT_EQ(seen.predicted_score, 0.75);
  EXPECT_EQ(seen.anchor_drift, 0.011);
  EXPECT_TRUE(seen.unchecked);
  EXPECT_EQ(seen.facts_json, row.facts_json);
  EXPECT_EQ(seen.counters_json, row.counters_json);
  EXPECT_EQ(seen.measured_at, row.measured_at);
  EXPECT_EQ(seen.workload, scene.workload);
  EXPECT_EQ(seen.target, "cpu:test");
  EXPECT_EQ(seen.environment_class, "cpu:test/2");
}

} // namespace
} // namespace temper::database
