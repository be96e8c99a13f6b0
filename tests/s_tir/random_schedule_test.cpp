#include "tests/s_tir/random_schedule_cases.h"

namespace temper::s_tir::testing {
namespace {

TEST(ScheduledPrograms, RandomSchedulesComputeTheSame) {
  check_random_schedules(small_programs(), /*first_seed=*/1, /*seeds=*/12, /*steps=*/12);
}

TEST(ScheduledPrograms, RandomMovesComputeTheSame) {
  check_random_schedules(programs_of_moves(), /*first_seed=*/1, /*seeds=*/60, /*steps=*/7,
                         mostly_moves);
}

} // namespace
} // namespace temper::s_tir::testing
