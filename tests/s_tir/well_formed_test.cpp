// The verifier on what primitives make: random schedules stay well formed after every step.
#include "ir/verify.h"
#include "tests/s_tir/random_schedule_cases.h"

namespace temper::s_tir::testing {
namespace {

TEST(RandomSchedules, StayWellFormedAfterEveryStep) {
  register_layer();
  for (const Case& example : small_programs())
    for (uint64_t seed = 100; seed < 112; ++seed) {
      Schedule schedule(example.module, seed);
      Random random(seed);
      for (int step = 0; step < 12; ++step) {
        ASSERT_TRUE(random_step(schedule, random)) << example.name << ", seed " << seed;
        const auto good = verify(schedule.module());
        ASSERT_TRUE(good) << good.error().to_string() << "\n"
                          << example.name << ", seed " << seed << "\n"
                          << schedule.trace().to_python() << script::to_text(schedule.module());
      }
    }
}

} // namespace
} // namespace temper::s_tir::testing
