// The rule for sums over windows: its sketches, and that every candidate computes what the program
// computes, before and after lowering.

#include "codegen/lower.h"
#include "ir/script/parser.h"
#include "tests/support/run_program.h"
#include "tests/tuner/scene.h"

#include <gmock/gmock.h>

namespace temper::tuner {
namespace {

using ir::IRModule;
using s_tir::difference;
using s_tir::run_on_integers;
using ::testing::HasSubstr;
using ::testing::Not;

using Parameters = std::map<std::string, std::string>;

MachineHints four_lanes() {
  MachineHints machine;
  machine.vector_bits = 128; // 4 floats: the images may be small
  machine.vector_registers = 16;
  return machine;
}

std::unique_ptr<Space> windows_of(const IRModule& module) {
  SketchOptions options;
  options.machine = four_lanes();
  options.rules.push_back(make_auto_inline_rule());
  options.rules.push_back(make_window_tiling_rule(options.machine));
  return testing::must(make_sketch_space(module, std::move(options)));
}

class WindowTiling : public ::testing::TestWithParam<Parameters> {};

TEST_P(WindowTiling, CandidatesComputeWhatTheProgramComputes) {
  const IRModule program = testing::workload("depthwise_conv2d", GetParam()).module;
  const auto expected = run_on_integers(program, 2, 3);
  ASSERT_EQ(expected.error, "");
  const auto space = windows_of(program);
  Random random(1);
  ir::LowerOptions narrow;
  narrow.vector_bits = 128;
  narrow.vector_registers = 16;
  int borders = 0;
  for (int i = 0; i < 24; ++i) {
    const auto candidate = testing::must(space->sample(random));
    const std::string text = candidate->trace.to_python();
    ASSERT_EQ(difference(expected, run_on_integers(candidate->module, 2, 3), 0), "") << text;
    for (const ir::LowerOptions& options : {narrow, ir::LowerOptions{}}) {
      const IRModule lowered = testing::must(codegen::lower_for_cpu(candidate->module, options));
      ASSERT_EQ(difference(expected, run_on_integers(lowered, 2, 3), 0), "") << text;
    }
    borders += text.find("compute_inline") != std::string::npos;
  }
  EXPECT_GT(borders, 4) << "padding is inlined in some";
  EXPECT_LT(borders, 24) << "and copied in others";
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, WindowTiling,
    ::testing::Values(
        Parameters{
            {"N", "2"}, {"H", "5"}, {"W", "9"}, {"C", "8"}, {"R", "3"}, {"S", "3"}, {"pad", "1"}},
        Parameters{{"N", "1"},
                   {"H", "6"},
                   {"W", "7"},
                   {"C", "4"},
                   {"R", "3"},
                   {"S", "3"},
                   {"pad", "2"},
                   {"stride", "2"}},
        Parameters{
            {"N", "1"}, {"H", "4"}, {"W", "11"}, {"C", "7"}, {"R", "2"}, {"S", "5"}, {"pad", "1"}},
        Parameters{{"N", "1"},
                   {"H", "3"},
                   {"W", "13"},
                   {"C", "21"},
                   {"R", "1"},
                   {"S", "9"},
                   {"pad", "4"}}));

TEST(WindowTilingRule, TheFilterStaysInRegistersWhereChannelsAreMoreThanATile) {
  const auto sketches = [](const char* channels) {
    const auto workload = testing::workload("depthwise_conv2d", {{"N", "1"},
                                                                 {"H", "6"},
                                                                 {"W", "8"},
                                                                 {"C", channels},
                                                                 {"R", "3"},
                                                                 {"S", "3"},
                                                                 {"pad", "1"}});
    return windows_of(workload.module)->sketch_texts().size();
  };
  EXPECT_EQ(sketches("4"), 2U) << "one vector: padding inlined or copied";
  EXPECT_EQ(sketches("8"), 6U) << "one vector or both; of one, the filter stays or not";
}

TEST(WindowTilingRule, AnotherProducerMayBeAnything) {
  // The filter's block has a loop inside: no single store to look at.
  const auto module = script::parse_module(R"(
@T.prim_func(s_tir=True)
def main(X: T.Buffer((6, 8, 8), "float32"), F: T.Buffer((3, 3, 8), "float32"), Y: T.Buffer((6, 8, 8), "float32")):
    padded = T.sblock_alloc_buffer((8, 10, 8), "float32")
    F2 = T.sblock_alloc_buffer((3, 3, 8), "float32")
    for h, w, c in T.grid(8, 10, 8):
        with T.sblock("padded"):
            vh, vw, vc = T.axis.remap("SSS", [h, w, c])
            padded[vh, vw, vc] = T.if_then_else(1 <= vh and vh < 7 and 1 <= vw and vw < 9, X[vh - 1, vw - 1, vc], T.float32(0))
    for r, s in T.grid(3, 3):
        with T.sblock("F2"):
            vr, vs = T.axis.remap("SS", [r, s])
            for c in range(8):
                F2[vr, vs, c] = F[vr, vs, c] * T.float32(2)
    for p, q, c, r, s in T.grid(6, 8, 8, 3, 3):
        with T.sblock("Y"):
            vp, vq, vc, vr, vs = T.axis.remap("SSSRR", [p, q, c, r, s])
            with T.init():
                Y[vp, vq, vc] = T.float32(0)
            Y[vp, vq, vc] = Y[vp, vq, vc] + padded[vp + vr, vq + vs, vc] * F2[vr, vs, vc]
)",
                                           "windows.py");
  ASSERT_TRUE(module) << module.error().to_string();
  EXPECT_GT(windows_of(*module)->sketch_texts().size(), 1U);
}

TEST(WindowTilingRule, LeavesProductsAlone) {
  for (const std::string& text :
       windows_of(testing::workload("matmul", {{"M", "8"}, {"N", "8"}, {"K", "8"}}).module)
           ->sketch_texts())
    EXPECT_THAT(text, Not(HasSubstr("temper.register_tile")));
}

} // namespace
} // namespace temper::tuner
