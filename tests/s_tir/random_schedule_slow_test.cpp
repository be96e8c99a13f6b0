#include "tests/s_tir/random_schedule_cases.h"

#include <cstdlib>

namespace temper::s_tir::testing {
namespace {

/// TEMPER_RANDOM_SCHEDULES tries another number of seeds per program, for a long fuzz.
TEST(ScheduledPrograms, ManyRandomSchedulesComputeTheSame) {
  const char* count = std::getenv("TEMPER_RANDOM_SCHEDULES");
  const uint64_t seeds = count != nullptr ? std::strtoull(count, nullptr, 10) : 400;
  check_random_schedules(/*first_seed=*/1000, seeds, /*steps=*/16);
  check_random_schedules(/*first_seed=*/1000000, seeds / 4, /*steps=*/40);
}

} // namespace
} // namespace temper::s_tir::testing
