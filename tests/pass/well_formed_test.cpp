// The verifier on what lowering makes: random schedules stay well formed after every pass.
#include "ir/pass/pipelines.h"
#include "ir/s_tir/lower.h"
#include "ir/verify.h"
#include "tests/s_tir/random_schedule_cases.h"

namespace temper::ir {
namespace {

TEST(Lowering, RandomSchedulesStayWellFormedAfterEveryPass) {
  s_tir::register_layer();
  int lowered = 0;
  for (const auto& example : s_tir::testing::small_programs())
    for (uint64_t seed = 200; seed < 210; ++seed) {
      s_tir::Schedule schedule(example.module, seed);
      Random random(seed);
      for (int step = 0; step < 8; ++step)
        ASSERT_TRUE(s_tir::testing::random_step(schedule, random));
      PrimFunc function = schedule.module()->find_prim_func("main");
      if (!check_lowerable(function))
        continue;
      ++lowered;
      const auto check = [&](const char* pass) {
        const auto good = verify(function);
        ASSERT_TRUE(good) << pass << ": " << good.error().to_string() << "\n"
                          << example.name << ", seed " << seed << "\n"
                          << schedule.trace().to_python() << script::to_text(function);
      };
      function = s_tir::lower_blocks(function);
      check("lower_blocks");
      const LowerOptions options;
      for (const LoweringPass& pass : cpu_passes()) {
        function = pass.run(function, options);
        check(pass.name);
        if (::testing::Test::HasFatalFailure())
          return;
      }
    }
  EXPECT_GT(lowered, 30);
}

} // namespace
} // namespace temper::ir
