// skip_padding: sums leave out terms in which all of a factor is padding.

#include "tests/s_tir/checked_schedule.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace temper::s_tir {
namespace {

using ::testing::HasSubstr;

/// Rows of a volume, padded along both axes, times a window of three by three.
IRModule window(const char* fill = "T.float32(0)",
                const char* update = "P[vo * 2 + vt, vi + vs] * F[vt, vs]") {
  return *script::parse_module(fmt::format(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((9, 8), "float32"), F: T.Buffer((3, 3), "float32"), C: T.Buffer((5, 8), "float32")):
    P = T.sblock_alloc_buffer((11, 10), "float32")
    for d, w in T.grid(11, 10):
        with T.sblock("P"):
            vd, vw = T.axis.remap("SS", [d, w])
            P[vd, vw] = T.if_then_else(1 <= vd and vd < 10 and 1 <= vw and vw < 9, A[vd - 1, vw - 1], {0})
    for o, i, t, s in T.grid(5, 8, 3, 3):
        with T.sblock("C"):
            vo, vi, vt, vs = T.axis.remap("SSRR", [o, i, t, s])
            with T.init():
                C[vo, vi] = T.float32(0)
            C[vo, vi] = C[vo, vi] + {1}
)",
                                           fill, update),
                               "window.py");
}

std::string refusal(Schedule& schedule, BlockRv block, LoopRv loop) {
  const auto made = schedule.call("SkipPadding", {block, loop});
  return made ? "" : made.error().message;
}

TEST(SkipPadding, GuardsTheSumByWhatIsKnownAtTheLoop) {
  Checked sch(window());
  const BlockRv block = sch.block("C");
  const std::vector<LoopRv> loops = sch.loops(block);
  sch.done(sch->reorder({loops[0], loops[2], loops[1], loops[3]}));
  sch.get(sch->decompose_reduction(block, loops[2]));
  ASSERT_TRUE(sch->call("SkipPadding", {block, loops[2]}));
  sch.expect("skip_padding", 2);
}

TEST(SkipPadding, TakesBothConditionsOfTheInnermostLoop) {
  Checked sch(window());
  const BlockRv block = sch.block("C");
  const std::vector<LoopRv> loops = sch.loops(block);
  sch.get(sch->decompose_reduction(block, loops[2]));
  ASSERT_TRUE(sch->call("SkipPadding", {block, loops[3]}));
  const std::string text = script::to_text(sch.schedule().module());
  EXPECT_THAT(text, HasSubstr("if 1 <= vi + vs and vi + vs < 9:"));
  sch.expect_values(2);
}

TEST(SkipPadding, RefusesWhatItCannotLeaveOut) {
  Schedule plain(window(), 0);
  const BlockRv block = *plain.get_sblock("C");
  const std::vector<LoopRv> loops = *plain.get_loops(block);
  EXPECT_THAT(refusal(plain, block, loops[2]), HasSubstr("decompose_reduction first"));
  ASSERT_TRUE(plain.decompose_reduction(block, loops[2]));
  EXPECT_THAT(refusal(plain, block, loops[0]), HasSubstr("is not known at loop o"));
  EXPECT_THAT(refusal(plain, *plain.get_sblock("P"), loops[2]), HasSubstr("is not a loop around"));

  const auto why = [](const IRModule& module) {
    Schedule schedule(module, 0);
    const BlockRv sum = *schedule.get_sblock("C");
    const std::vector<LoopRv> around = *schedule.get_loops(sum);
    EXPECT_TRUE(schedule.decompose_reduction(sum, around[2]));
    return refusal(schedule, sum, around[2]);
  };
  EXPECT_THAT(why(window("T.float32(1)")), HasSubstr("adds is padded with zeros"));
  EXPECT_THAT(why(window("T.float32(0)", "(P[vo * 2 + vt, vi + vs] + F[vt, vs])")),
              HasSubstr("adds is padded with zeros"));
  EXPECT_THAT(why(window("T.float32(0)", "T.max(P[vo * 2 + vt, vi + vs], F[vt, vs])")),
              HasSubstr("adds is padded with zeros"));
}

} // namespace
} // namespace temper::s_tir
