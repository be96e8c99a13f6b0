// Sets of counters, planned for a chip that is not there. Skips where CUPTI is not there.
#include "engine/cupti/metrics.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace temper::engine {
namespace {

#define SKIP_WITHOUT_CUPTI()                                                                       \
  if (const auto found = cupti_version(); !found)                                                  \
  GTEST_SKIP() << found.error().message

TEST(Metrics, EverySetIsPlannedForHopper) {
  SKIP_WITHOUT_CUPTI();
  const std::map<std::string, int64_t> expected = {{"lite", 1},       {"lite2", 3}, {"traffic", 2},
                                                   {"tensor_ops", 4}, {"smem", 3},  {"tma", 1},
                                                   {"stall", 3},      {"spill", 1}};
  std::set<std::string> planned;
  for (const MetricSet& set : metric_sets()) {
    SCOPED_TRACE(set.name);
    const auto plan = plan_metrics("GH100", set.metrics);
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_FALSE(plan->config.empty());
    EXPECT_EQ(plan->passes, expected.at(set.name));
    planned.insert(set.name);
  }
  EXPECT_EQ(planned.size(), expected.size());
  EXPECT_EQ(metric_sets().front().name, "lite") << "one pass: what is counted first";
}

TEST(Metrics, AMisspeltMetricAndAnUnknownChipAreNamed) {
  SKIP_WITHOUT_CUPTI();
  const auto misspelt = plan_metrics("GH100", {"gpu__time_duration.sum", "sm__cycles_elapse.max"});
  ASSERT_FALSE(misspelt);
  EXPECT_EQ(misspelt.error().code, ErrorCode::kNotFound);
  EXPECT_NE(misspelt.error().message.find("GH100 has no metric 'sm__cycles_elapse.max'"),
            std::string::npos)
      << misspelt.error().message;
  const auto chip = plan_metrics("XY900", {"gpu__time_duration.sum"});
  ASSERT_FALSE(chip);
  EXPECT_NE(chip.error().message.find("'XY900'"), std::string::npos) << chip.error().message;
}

TEST(Metrics, SetsAreFoundByName) {
  const auto stall = find_metric_set("stall");
  ASSERT_TRUE(stall);
  EXPECT_EQ((*stall)->metrics.size(), 7U);
  const auto none = find_metric_set("stalls");
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("lite, lite2"), std::string::npos);
}

} // namespace
} // namespace temper::engine
