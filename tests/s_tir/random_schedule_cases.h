/// The programs that random schedules are tried on, small enough for the interpreter, with extents
/// that divide well, badly and not at all.
#pragma once

#include "ir/s_tir/packs.h"
#include "ir/s_tir/trace_json.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "tests/s_tir/build_program.h"
#include "tests/s_tir/programs.h"
#include "tests/support/random_schedule.h"
#include "tests/support/run_program.h"
#include "tests/support/tensorized_product.h"

#include <gtest/gtest.h>

namespace temper::s_tir::testing {

struct Case {
  const char* name;
  IRModule module;
};

/// Its weights may be packed ahead.
inline IRModule with_constant_weights(const IRModule& module) {
  const auto function = with_constant_operands(module->find_prim_func("main"), {"B"});
  return with_function(module, "main", *function);
}

inline std::vector<Case> small_programs() {
  return {{"matmul", matmul(6, 8, 4)},
          {"matmul_constant", with_constant_weights(matmul(6, 8, 4))},
          {"matmul_odd", matmul(5, 7, 3)},
          {"matmul_int8", typed_product(3, 8, 4, "int8", "int8", "int32")},
          {"matmul_bf16", typed_product(3, 8, 4, "bfloat16", "bfloat16", "float32")},
          {"conv_bias_relu", conv_bias_relu(4, 2)},
          {"softmax", softmax(4, 6)},
          {"row_sum", row_sum(4, 9)},
          {"elementwise", elementwise(6, 8)},
          {"transpose", transpose(5, 8)}};
}

/// More blocks, and more to move.
inline std::vector<Case> programs_of_moves() {
  using namespace programs; // NOLINT
  return {{"matmul", programs::matmul(6, 8, 12)},
          {"matmul_odd", programs::matmul(5, 7, 9)},
          {"matmul_bias_relu", matmul_bias_relu(4, 6, 8)},
          {"chain", chain(6, 10)},
          {"conv2d", conv2d(2, 3, 6, 5)},
          {"softmax", programs::softmax(5, 8)},
          {"unit", matmul_bias_relu(1, 6, 1)}};
}

/// What is wrong with the values that `scheduled` computes, iterations run backwards and in random
/// order; empty when nothing is.
inline std::string wrong_values(const RunResult& expected, const IRModule& scheduled) {
  for (const ParallelOrder order : {ParallelOrder::kReverse, ParallelOrder::kRandom})
    if (std::string wrong = difference(
            expected, run_on_integers(scheduled, first_output(scheduled), 1, order), 1e-4);
        !wrong.empty())
      return wrong;
  return {};
}

/// `steps` random primitives on one program; then the values, replay, and both forms of the trace.
/// The first thing that is wrong, with the trace and the program; empty when nothing is.
inline std::string check_random_schedule(const IRModule& module, uint64_t seed, int steps,
                                         Weight weight = each_once) {
  Schedule schedule(module, seed);
  Random random(seed);
  std::vector<IRModule> modules; // after each step
  std::vector<size_t> lengths;   // of the trace
  auto fail = [&](const std::string& what) {
    return what + "\n" + schedule.trace().to_python() + script::to_text(schedule.module());
  };
  for (int step = 0; step < steps; ++step) {
    if (const auto stepped = random_step(schedule, random, weight); !stepped)
      return fail("enumerated, then refused: " + stepped.error().message);
    modules.push_back(schedule.module());
    lengths.push_back(schedule.trace().size());
  }
  const RunResult expected = run_on_integers(module, first_output(module), 1);
  if (!expected.error.empty())
    return fail("the program itself: " + expected.error);
  if (!wrong_values(expected, schedule.module()).empty()) {
    size_t step = 0;
    while (step + 1 < modules.size() && wrong_values(expected, modules[step]).empty())
      ++step;
    return wrong_values(expected, modules[step]) + ", from here on:\n" +
           schedule.trace().prefix(lengths[step]).to_python() + script::to_text(modules[step]);
  }
  const auto parsed = script::parse_module(script::to_text(schedule.module()));
  if (!parsed)
    return fail("what is printed does not parse: " + parsed.error().to_string());
  std::string where;
  if (!structural_equal(*parsed, schedule.module(), &where))
    return fail("what is printed parses to another program: " + where);
  const auto from_json = trace_from_json_text(trace_to_json_text(schedule.trace()));
  if (!from_json || !(*from_json == schedule.trace()))
    return fail("JSON does not give the trace back");
  const auto from_python = Trace::from_python(schedule.trace().to_python());
  if (!from_python || !(*from_python == schedule.trace()))
    return fail("the Python form does not give the trace back");
  for (const Trace& trace : {schedule.trace(), schedule.trace().simplified()}) {
    const auto again = replay(trace, module);
    if (!again)
      return fail("replay: " + again.error().message);
    if (!structural_equal(again->module(), schedule.module(), &where))
      return fail("replay gives another program: " + where);
  }
  return {};
}

inline void check_random_schedules(const std::vector<Case>& programs, uint64_t first_seed,
                                   uint64_t seeds, int steps, Weight weight = each_once) {
  for (const Case& example : programs)
    for (uint64_t seed = first_seed; seed < first_seed + seeds; ++seed)
      EXPECT_EQ(check_random_schedule(example.module, seed, steps, weight), "")
          << example.name << ", seed " << seed;
}

} // namespace temper::s_tir::testing
