// Random schedules of every workload of the source tree: interpreted, printed, replayed from every
// form of their trace.
#include "tests/s_tir/random_schedule_cases.h"
#include "tests/support/workload_cases.h"

#include <cstdlib>

namespace temper::s_tir::testing {
namespace {

using workload_cases::kWorkloadCases;
using workload_cases::workload_of;
using workload_cases::WorkloadCase;

/// TEMPER_RANDOM_SCHEDULES tries another number of each.
uint64_t seeds() {
  const char* value = std::getenv("TEMPER_RANDOM_SCHEDULES");
  return value != nullptr ? std::strtoull(value, nullptr, 10) : 20;
}

class RandomSchedules : public ::testing::TestWithParam<WorkloadCase> {};

TEST_P(RandomSchedules, ComputeTheSame) {
  const auto workload = workload_of(GetParam());
  ASSERT_TRUE(workload) << workload.error().to_string();
  for (uint64_t seed = 1; seed <= seeds(); ++seed)
    ASSERT_EQ(check_random_schedule(workload->module, seed, 1 + static_cast<int>(seed % 8)), "")
        << "seed " << seed;
}

std::string test_name(const ::testing::TestParamInfo<WorkloadCase>& info) {
  std::string name = info.param.name;
  if (info.param.shape.contains("constant"))
    name += "_constant";
  std::replace(name.begin(), name.end(), ':', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(OfWorkloads, RandomSchedules, ::testing::ValuesIn(kWorkloadCases),
                         test_name);

} // namespace
} // namespace temper::s_tir::testing
