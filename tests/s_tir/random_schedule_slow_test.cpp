#include "tests/s_tir/random_schedule_cases.h"

namespace temper::s_tir::testing {
namespace {

TEST(RandomSchedules, ManyComputeWhatTheUnscheduledProgramComputes) {
  check_random_schedules(/*first_seed=*/1000, /*seeds=*/400, /*steps=*/16);
}

} // namespace
} // namespace temper::s_tir::testing
