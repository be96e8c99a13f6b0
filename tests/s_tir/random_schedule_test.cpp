#include "tests/s_tir/random_schedule_cases.h"

namespace temper::s_tir::testing {
namespace {

TEST(ScheduledPrograms, RandomSchedulesComputeTheSame) {
  check_random_schedules(/*first_seed=*/1, /*seeds=*/12, /*steps=*/12);
}

} // namespace
} // namespace temper::s_tir::testing
