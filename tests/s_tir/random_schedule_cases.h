/// The programs that random schedules are tried on, small enough for the interpreter, with extents
/// that divide well, badly and not at all.
#pragma once

#include "ir/s_tir/trace_json.h"
#include "ir/structural.h"
#include "tests/s_tir/build_program.h"
#include "tests/support/random_schedule.h"

#include <gtest/gtest.h>

namespace temper::s_tir::testing {

struct Case {
  const char* name;
  IRModule module;
};

inline std::vector<Case> small_programs() {
  return {{"matmul", matmul(6, 8, 4)},          {"matmul_odd", matmul(5, 7, 3)},
          {"conv_bias_relu", conv_bias_relu(4, 2)}, {"softmax", softmax(4, 6)},
          {"row_sum", row_sum(4, 9)},           {"elementwise", elementwise(6, 8)},
          {"transpose", transpose(5, 8)}};
}

/// `steps` random primitives on each program; then the values, replay, and both forms of the trace.
inline void check_random_schedules(uint64_t first_seed, uint64_t seeds, int steps) {
  for (const Case& example : small_programs()) {
    const auto wanted = run(example.module);
    ASSERT_TRUE(wanted) << example.name << ": " << wanted.error().to_string();
    for (uint64_t seed = first_seed; seed < first_seed + seeds; ++seed) {
      SCOPED_TRACE(std::string(example.name) + ", seed " + std::to_string(seed));
      Schedule schedule(example.module, seed);
      Random random(seed);
      for (int step = 0; step < steps; ++step) {
        const auto stepped = random_step(schedule, random);
        ASSERT_TRUE(stepped) << stepped.error().to_string() << "\n" << schedule.trace().to_python();
      }
      const auto got = run(schedule.module());
      ASSERT_TRUE(got) << got.error().to_string() << "\n" << schedule.trace().to_python();
      ASSERT_EQ(difference(*got, *wanted), "") << schedule.trace().to_python();

      const auto from_json = trace_from_json_text(trace_to_json_text(schedule.trace()));
      ASSERT_TRUE(from_json) << from_json.error().to_string();
      EXPECT_TRUE(*from_json == schedule.trace());
      const auto from_python = Trace::from_python(schedule.trace().to_python());
      ASSERT_TRUE(from_python) << from_python.error().to_string();
      EXPECT_TRUE(*from_python == schedule.trace());
      for (const Trace& trace : {schedule.trace(), schedule.trace().simplified()}) {
        const auto again = replay(trace, example.module);
        ASSERT_TRUE(again) << again.error().to_string() << "\n" << trace.to_python();
        std::string where;
        EXPECT_TRUE(structural_equal(again->module(), schedule.module(), &where)) << where;
      }
    }
  }
}

} // namespace temper::s_tir::testing
