/// A schedule for tests of primitives: calls that must succeed, and what comes out compared with a
/// golden text and with what the program computed before.
#pragma once

#include "ir/s_tir/schedule.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "tests/support/golden.h"
#include "tests/support/run_program.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace temper::s_tir {

/// A schedule whose calls must succeed.
class Checked {
public:
  explicit Checked(const IRModule& module) : before_(module), schedule_(module) {}

  BlockRv block(const std::string& name) { return get(schedule_.get_sblock(name)); }
  std::vector<LoopRv> loops(BlockRv block) { return get(schedule_.get_loops(block)); }
  std::vector<LoopRv> loops(const std::string& name) { return loops(block(name)); }
  template <typename T> T get(Result<T> result) {
    if (!result) {
      ADD_FAILURE() << result.error().to_string();
      std::abort();
    }
    return std::move(result).value();
  }
  void done(const Result<void>& result) {
    EXPECT_TRUE(result) << (result ? "" : Result<void>(result).error().to_string());
  }
  Schedule* operator->() { return &schedule_; }
  Schedule& schedule() { return schedule_; }

  /// Same values as before.
  void expect_values(size_t inputs, double tolerance = 0) {
    const RunResult expected = run_on_integers(before_, inputs, 7);
    ASSERT_EQ(expected.error, "");
    EXPECT_EQ(difference(expected, run_on_integers(schedule_.module(), inputs, 7), tolerance), "");
  }

  /// The same, and the text of the golden file; the text parses back.
  void expect(const std::string& golden, size_t inputs, double tolerance = 0) {
    expect_values(inputs, tolerance);
    const std::string text = script::to_text(schedule_.module());
    temper::testing::expect_golden("tests/s_tir/golden/" + golden + ".py", text);
    const auto parsed = script::parse_module(text, golden);
    ASSERT_TRUE(parsed) << parsed.error().to_string();
    std::string where;
    EXPECT_TRUE(structural_equal(schedule_.module(), *parsed, &where)) << where;
  }

private:
  IRModule before_;
  Schedule schedule_;
};

} // namespace temper::s_tir
