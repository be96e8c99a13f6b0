#include "tests/s_tir/random_schedule_cases.h"

#include <cstdlib>

namespace temper::s_tir::testing {
namespace {

/// TEMPER_RANDOM_SCHEDULES tries another number of seeds per program, for a long fuzz, and
/// TEMPER_RANDOM_SEED other ones.
uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::strtoull(value, nullptr, 10) : otherwise;
}
uint64_t seeds() { return from_environment("TEMPER_RANDOM_SCHEDULES", 400); }
uint64_t first_seed() { return from_environment("TEMPER_RANDOM_SEED", 1000); }

TEST(ScheduledPrograms, ManyRandomSchedulesComputeTheSame) {
  check_random_schedules(small_programs(), first_seed(), seeds(), /*steps=*/16);
}

TEST(ScheduledPrograms, LongRandomSchedulesComputeTheSame) {
  check_random_schedules(small_programs(), first_seed() + 1000000, seeds() / 4, /*steps=*/40);
}

TEST(ScheduledPrograms, ManyRandomMovesComputeTheSame) {
  check_random_schedules(programs_of_moves(), first_seed(), seeds(), /*steps=*/10, mostly_moves);
}

} // namespace
} // namespace temper::s_tir::testing
