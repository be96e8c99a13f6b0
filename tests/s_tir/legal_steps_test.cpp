#include "ir/s_tir/legal_steps.h"

#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/structural.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace temper::s_tir {
namespace {

using testing::HasSubstr;

IRModule matmul() {
  const auto module = script::parse_module(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 16), "float32"), B: T.Buffer((16, 16), "float32"),
         C: T.Buffer((16, 16), "float32")):
    for i, j, k in T.grid(16, 16, 16):
        with T.sblock("C"):
            vi, vj, vk = T.axis.remap("SSR", [i, j, k])
            with T.init():
                C[vi, vj] = T.float32(0)
            C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
)",
                                           "matmul");
  EXPECT_TRUE(module) << module.error().to_string();
  return *module;
}

const Place* find(const std::vector<Place>& places, const std::string& name) {
  const auto it = std::find_if(places.begin(), places.end(),
                               [&](const Place& place) { return place.name == name; });
  return it == places.end() ? nullptr : &*it;
}

TEST(LegalSteps, TheOutlineHasEveryLoopAndBlockInTheOrderOfTheText) {
  Schedule sch(matmul());
  const auto loops = *sch.get_loops(*sch.get_sblock("C"));
  ASSERT_TRUE(sch.parallel(loops[0]));
  std::string text;
  for (const Place& place : places_of(sch.module()))
    text += std::string(static_cast<size_t>(2 * place.depth), ' ') + place.text + "\n";
  EXPECT_EQ(text, "block root\n"
                  "  for i in 16 (parallel)\n"
                  "    for j in 16\n"
                  "      for k in 16\n"
                  "        block C\n");
}

TEST(LegalSteps, EveryStepIsLegalAndItsLinesMakeTheProgramThatItShows) {
  const IRModule module = matmul();
  Schedule sch(module);
  const auto loops = *sch.get_loops(*sch.get_sblock("C"));
  ASSERT_TRUE(sch.split(loops[0], {Operand(std::nullopt), Operand(4)}));
  size_t count = 0;
  for (const Place& place : places_of(sch.module()))
    for (const LegalStep& step : legal_steps(sch, place.handle, 4).legal) {
      const std::string text = sch.trace().to_python() + step.lines;
      const auto trace = Trace::from_python(text);
      ASSERT_TRUE(trace) << text << trace.error().to_string();
      const auto again = replay(*trace, module);
      ASSERT_TRUE(again) << text << again.error().to_string();
      std::string difference;
      EXPECT_TRUE(structural_equal(again->module(), step.after.module(), &difference))
          << text << difference;
      EXPECT_NE(again->module(), sch.module());
      ++count;
    }
  EXPECT_GT(count, 30U);
}

TEST(LegalSteps, WhatIsNotLegalSaysWhichRuleItBreaks) {
  Schedule sch(matmul());
  const std::vector<Place> places = places_of(sch.module());
  const auto names = [](const auto& steps) {
    std::vector<std::string> result;
    for (const auto& step : steps)
      result.push_back(step.primitive->name);
    return result;
  };
  const Steps spatial = legal_steps(sch, find(places, "j")->handle);
  EXPECT_THAT(names(spatial.legal), testing::IsSupersetOf({"Split", "Parallel", "Vectorize"}));
  const Steps reduction = legal_steps(sch, find(places, "k")->handle);
  EXPECT_THAT(names(reduction.legal), testing::Not(testing::Contains("Vectorize")));
  ASSERT_THAT(names(reduction.illegal), testing::Contains("Vectorize"));
  for (const IllegalStep& step : reduction.illegal) {
    EXPECT_FALSE(step.reason.empty());
    EXPECT_EQ(step.reason.find('\n'), std::string::npos) << step.reason;
    if (step.primitive->name == "Vectorize") {
      EXPECT_THAT(step.reason, HasSubstr("reduc"));
    }
  }
}

TEST(LegalSteps, NoMoreOfAPrimitiveThanAskedFor) {
  Schedule sch(matmul());
  const Value loop = find(places_of(sch.module()), "i")->handle;
  const Steps one = legal_steps(sch, loop, 1);
  for (size_t i = 0; i + 1 < one.legal.size(); ++i)
    EXPECT_NE(one.legal[i].primitive, one.legal[i + 1].primitive);
  EXPECT_GT(legal_steps(sch, loop, 24).legal.size(), one.legal.size());
}

} // namespace
} // namespace temper::s_tir
