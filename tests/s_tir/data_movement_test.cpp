// The primitives that move data, one by one: what programs look like afterwards (golden/*.py), that
// they compute the same, and what is refused with which rule.

#include "ir/s_tir/analysis.h"
#include "ir/s_tir/primitives/common.h"
#include "ir/s_tir/schedule.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/script/schedule_errors.h"
#include "ir/structural.h"
#include "tests/s_tir/checked_schedule.h"
#include "tests/s_tir/programs.h"
#include "tests/support/golden.h"

#include <gmock/gmock.h>

namespace temper::s_tir {
namespace {

using namespace programs;
using temper::testing::expect_golden;
using ::testing::HasSubstr;

// --- Before and after --------------------------------------------------------------------------

TEST(DecomposeReduction, InFrontOfTheReductionLoop) {
  Checked sch(matmul(8, 16, 8));
  const auto loops = sch.loops("C");
  sch.get(sch->decompose_reduction(sch.block("C"), loops[2]));
  sch.expect("decompose_reduction", 2);
}

TEST(DecomposeReduction, RepeatsTheLoopsOfSpatialAxesWithTheirKinds) {
  Checked sch(matmul(8, 16, 8));
  const BlockRv block = sch.block("C");
  const auto loops = sch.loops(block);
  const auto i = sch.get(sch->split(loops[0], {2, 4}));
  const auto j = sch.get(sch->split(loops[1], {2, 8}));
  const auto k = sch.get(sch->split(loops[2], {4, 2}));
  sch.done(sch->reorder({i[0], j[0], k[0], i[1], k[1], j[1]}));
  sch.done(sch->unroll(i[1]));
  sch.done(sch->vectorize(j[1]));
  const BlockRv init = sch.get(sch->decompose_reduction(block, k[0]));
  EXPECT_EQ(sch.get(sch->get_block(init))->name, "C_init");
  EXPECT_EQ(sch.get(sch->get_block(block))->name, "C_update");
  sch.expect("decompose_reduction_tiled", 2);
}

TEST(DecomposeReduction, KeepsOnlyTheConditionsOnItsOwnLoops) {
  Checked sch(matmul(6, 8, 10));
  const BlockRv block = sch.block("C");
  const auto loops = sch.loops(block);
  const auto i = sch.get(sch->split(loops[0], {std::nullopt, 4}));
  const auto k = sch.get(sch->split(loops[2], {std::nullopt, 4}));
  sch.done(sch->reorder({i[0], k[0], i[1], k[1]}));
  sch.get(sch->decompose_reduction(block, k[0]));
  sch.expect("decompose_reduction_predicates", 2);
}

TEST(CacheWrite, CopiesBehindTheBlock) {
  Checked sch(matmul(8, 16, 8));
  const BlockRv block = sch.block("C");
  const BlockRv copy = sch.get(sch->cache_write(block, 0, "local"));
  EXPECT_EQ(sch.get(sch->get_block(copy))->name, "C_local");
  EXPECT_EQ(sch.get(sch->get_block(block))->name, "C");
  sch.expect("cache_write", 2);
}

TEST(CacheWrite, NamedConsumersReadTheCache) {
  Checked sch(matmul_bias_relu(8, 8, 8));
  sch.get(sch->cache_write(sch.block("C"), 0, "local", {sch.block("T_add")}));
  sch.expect("cache_write_consumers", 3);
}

TEST(CacheWrite, StandsBelowTheLoopsSharedWithAConsumer) {
  Checked sch(chain(8, 8));
  sch.done(sch->compute_at(sch.block("B"), sch.loops("C")[0]));
  sch.get(sch->cache_write(sch.block("B"), 0, "local"));
  sch.expect("cache_write_nested", 1);
}

TEST(CacheRead, OfAnInputStandsAtTheStart) {
  Checked sch(matmul(8, 16, 8));
  sch.get(sch->cache_read(sch.block("C"), 0, "shared"));
  sch.get(sch->cache_read(sch.block("C"), 1, "shared.dyn"));
  sch.expect("cache_read", 2);
}

TEST(CacheRead, OfAnIntermediateStandsBehindItsWriter) {
  Checked sch(chain(8, 8));
  sch.get(sch->cache_read(sch.block("C"), 0, "local"));
  sch.expect("cache_read_intermediate", 1);
}

TEST(CacheRead, CopiesOnlyWhatIsReadAndInside) {
  Checked sch(conv2d(2, 3, 6, 5));
  sch.get(sch->cache_read(sch.block("pad"), 0, "local"));
  sch.expect("cache_read_guarded", 2);
}

// From 128 on the cast to int8 wraps: all of A is read.
TEST(CacheRead, OfATableByANarrowIndexCopiesAllThatItReaches) {
  const auto module = script::parse_module(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((256,), "float32"), Z: T.Buffer((300,), "float32")):
    for i in range(300):
        with T.sblock("Z"):
            vi = T.axis.spatial(300, i)
            Z[vi] = A[T.Cast("int32", T.Cast("int8", vi)) + 128]
)");
  ASSERT_TRUE(module) << module.error().to_string();
  Checked sch(*module);
  sch.get(sch->cache_read(sch.block("Z"), 0, "global"));
  sch.expect("cache_read_narrow_index", 1);
}

TEST(ComputeAt, ComputesWhatOneIterationReads) {
  Checked sch(chain(8, 8));
  sch.done(sch->compute_at(sch.block("B"), sch.loops("C")[0]));
  sch.done(sch->compute_at(sch.block("C"), sch.loops("D")[1], true));
  sch.expect("compute_at", 1);
}

TEST(ComputeAt, OverlappingWindowsAndPredicates) {
  Checked sch(conv2d(2, 3, 10, 5));
  const auto y = sch.loops("Y");
  const auto h = sch.get(sch->split(y[1], {std::nullopt, 4}));
  sch.done(sch->compute_at(sch.block("conv"), h[0]));
  const BlockRv x = sch.get(sch->cache_read(sch.block("pad"), 0, "local"));
  sch.done(sch->compute_at(sch.block("pad"), h[0]));
  sch.done(sch->compute_at(x, h[0]));
  sch.expect("compute_at_windows", 2);
}

TEST(ComputeAt, ReductionsMoveWhole) {
  Checked sch(softmax(6, 8));
  const auto y = sch.loops("Y");
  sch.done(sch->compute_at(sch.block("T_sum"), y[0]));
  sch.done(sch->compute_at(sch.block("T_exp"), y[0]));
  sch.done(sch->compute_at(sch.block("T_max"), y[0]));
  sch.expect("compute_at_softmax", 1, 1e-5);
}

TEST(ComputeAt, IndexSaysWhereBelowTheLoop) {
  // Below k stand a copy of A and the block; the copy of B may go in front of both or between them.
  for (const auto& [index, expected] :
       std::vector<std::pair<int64_t, std::string>>{{-1, "A_local, B_local, C"},
                                                    {-2, "B_local, A_local, C"},
                                                    {0, "B_local, A_local, C"},
                                                    {1, "A_local, B_local, C"}}) {
    Checked sch(matmul(8, 8, 8));
    const LoopRv k = sch.loops("C")[2];
    const BlockRv a = sch.get(sch->cache_read(sch.block("C"), 0, "local"));
    const BlockRv b = sch.get(sch->cache_read(sch.block("C"), 1, "local"));
    sch.done(sch->compute_at(a, k));
    sch.done(sch->compute_at(b, k, false, index));
    std::string order;
    for (const BlockRv child : sch.get(sch->get_child_blocks(k)))
      order += (order.empty() ? "" : ", ") + sch.get(sch->get_block(child))->name;
    EXPECT_EQ(order, expected) << index;
  }
}

TEST(ComputeAt, ASampledLocationMayInlineOrStay) {
  const IRModule module = chain(8, 8);
  const Primitive* compute_at = find_primitive("ComputeAt");
  Schedule sch(module);
  const auto block = sch.get_sblock("B");
  const auto place = sch.get(*block);
  ASSERT_TRUE(place);
  const Context context{sch.module(), nullptr, true};
  const auto stays =
      compute_at->apply(context, {.inputs = {*place, kRootLocation}, .attrs = {true, -1}});
  ASSERT_TRUE(stays);
  EXPECT_EQ(stays->module, sch.module());
  const auto inlined =
      compute_at->apply(context, {.inputs = {*place, kInlineLocation}, .attrs = {true, -1}});
  ASSERT_TRUE(inlined);
  EXPECT_FALSE(find_block(inlined->module, *place->as_block()));
}

TEST(ReverseComputeAt, ComputesWhatOneIterationMadeReady) {
  Checked sch(matmul_bias_relu(8, 16, 8));
  const BlockRv block = sch.block("C");
  const auto loops = sch.loops(block);
  const auto i = sch.get(sch->split(loops[0], {2, 4}));
  const auto j = sch.get(sch->split(loops[1], {2, 8}));
  sch.done(sch->reorder({i[0], j[0], i[1], j[1]}));
  sch.done(sch->reverse_compute_at(sch.block("T_add"), j[0]));
  sch.done(sch->reverse_compute_at(sch.block("D"), i[0], true));
  sch.expect("reverse_compute_at", 3);
}

TEST(ReverseComputeAt, AReductionFollowsItsProducer) {
  Checked sch(softmax(6, 8));
  sch.done(sch->reverse_compute_at(sch.block("T_sum"), sch.loops("T_exp")[1]));
  sch.expect("reverse_compute_at_reduction", 1, 1e-5);
}

/// D = C + S, of which S is computed by the statement SUMS, before or behind the loops of C.
IRModule two_producers(bool sums_first) {
  const std::string sums = R"(
    for j in range(8):
        with T.sblock("S"):
            vj = T.axis.spatial(8, j)
            S[vj] = B[vj] * T.float32(2)
)";
  const std::string values = R"(
    for i, j in T.grid(4, 8):
        with T.sblock("C"):
            vi, vj = T.axis.remap("SS", [i, j])
            C[vi, vj] = A[vi, vj] + T.float32(1)
)";
  const std::string text = R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((4, 8), "float32"), B: T.Buffer((8,), "float32"),
         D: T.Buffer((4, 8), "float32")):
    S = T.alloc_buffer((8,), "float32")
    C = T.alloc_buffer((4, 8), "float32")
)" + (sums_first ? sums + values : values + sums) +
                           R"(
    for i, j in T.grid(4, 8):
        with T.sblock("D"):
            vi, vj = T.axis.remap("SS", [i, j])
            D[vi, vj] = C[vi, vj] + S[vj]
)";
  return *script::parse_module(text, "two_producers");
}

TEST(ReverseComputeAt, MayReadWhatIsFinishedBeforeTheLoop) {
  Checked sch(two_producers(true));
  sch.done(sch->reverse_compute_at(sch.block("D"), sch.loops("C")[0]));
  sch.expect("reverse_compute_at_finished", 2);
}

TEST(ComputeInline, ValuesGoWhereTheyAreRead) {
  Checked sch(chain(8, 8));
  sch.done(sch->compute_inline(sch.block("B")));
  sch.done(sch->compute_inline(sch.block("C")));
  sch.expect("compute_inline", 1);
}

TEST(ComputeInline, PaddingIntoAConvolution) {
  Checked sch(conv2d(2, 3, 6, 5));
  sch.done(sch->compute_inline(sch.block("pad")));
  sch.expect("compute_inline_padding", 2);
}

TEST(ReverseComputeInline, TheProducerStoresTheResult) {
  Checked sch(chain(8, 8));
  sch.done(sch->reverse_compute_inline(sch.block("D")));
  sch.done(sch->reverse_compute_inline(sch.block("C")));
  sch.expect("reverse_compute_inline", 1);
}

/// B[i, j] = A[i, j] * 2; C stores f(B) under other indices.
IRModule reshape(const std::string& consumer) {
  const auto module = script::parse_module(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 16), "float32"), )" +
                                           consumer);
  if (!module) {
    ADD_FAILURE() << module.error().to_string();
    std::abort();
  }
  return *module;
}
const char* const kScaled = R"(
    B = T.sblock_alloc_buffer((8, 16))
    for i, j in T.grid(8, 16):
        with T.sblock("B"):
            vi, vj = T.axis.remap("SS", [i, j])
            B[vi, vj] = A[vi, vj] * T.float32(2)
)";

TEST(ReverseComputeInline, ThroughATransposeAndAReshape) {
  Checked transpose(reshape(std::string(R"(C: T.Buffer((16, 8), "float32")):)") + kScaled + R"(
    for i, j in T.grid(16, 8):
        with T.sblock("C"):
            vi, vj = T.axis.remap("SS", [i, j])
            C[vi, vj] = B[vj, vi] + T.float32(1)
)"));
  transpose.done(transpose->reverse_compute_inline(transpose.block("C")));
  transpose.expect("reverse_compute_inline_transpose", 1);

  Checked flatten(reshape(std::string(R"(C: T.Buffer((128,), "float32")):)") + kScaled + R"(
    for f in range(128):
        with T.sblock("C"):
            vf = T.axis.spatial(128, f)
            C[vf] = B[vf // 16, vf % 16] + T.float32(1)
)"));
  flatten.done(flatten->reverse_compute_inline(flatten.block("C")));
  flatten.expect("reverse_compute_inline_flatten", 1);

  Checked tile(reshape(std::string(R"(C: T.Buffer((8, 4, 4), "float32")):)") + kScaled + R"(
    for i, j, k in T.grid(8, 4, 4):
        with T.sblock("C"):
            vi, vj, vk = T.axis.remap("SSS", [i, j, k])
            C[vi, vj, vk] = B[vi, vj * 4 + vk] + T.float32(1)
)"));
  tile.done(tile->reverse_compute_inline(tile.block("C")));
  tile.expect("reverse_compute_inline_tile", 1);
}

TEST(ReverseComputeInline, APartGetsAPredicate) {
  Checked sch(reshape(std::string(R"(C: T.Buffer((8, 10), "float32")):)") + kScaled + R"(
    for i, j in T.grid(8, 10):
        with T.sblock("C"):
            vi, vj = T.axis.remap("SS", [i, j])
            C[vi, vj] = B[vi, vj + 3] + T.float32(1)
)"));
  sch.done(sch->reverse_compute_inline(sch.block("C")));
  sch.expect("reverse_compute_inline_part", 1);
}

TEST(RFactor, PartialResultsPerIteration) {
  Checked sch(matmul(4, 8, 16));
  const BlockRv block = sch.block("C");
  const auto k = sch.get(sch->split(sch.loops(block)[2], {4, 4}));
  const BlockRv partial = sch.get(sch->rfactor(k[0], 2));
  EXPECT_EQ(sch.get(sch->get_block(partial))->name, "C_rf");
  EXPECT_EQ(sch.get(sch->get_block(block))->name, "C");
  sch.expect("rfactor", 2);
}

TEST(RFactor, OfAMaximumBelowOtherLoops) {
  Checked sch(softmax(6, 8));
  const BlockRv max = sch.block("T_max");
  const auto k = sch.get(sch->split(sch.loops(max)[1], {2, 4}));
  sch.done(sch->reorder({k[1], k[0]}));
  sch.get(sch->rfactor(k[1], 0));
  sch.expect("rfactor_max", 1, 1e-5);
}

/// What MetaSchedule records for a matmul on a CPU, with its post-processing.
TEST(Trace, MetaScheduleMatmulOnACpu) {
  Checked sch(matmul(16, 16, 16));
  const BlockRv c = sch.block("C");
  sch.done(sch->annotate(c, "meta_schedule.tiling_structure", "SSRSRS"));
  const auto loops = sch.loops(c);
  auto tile = [&](LoopRv loop, int n, std::vector<int64_t> decision) {
    const auto factors = sch.get(sch->sample_perfect_tile(loop, n, 64, std::move(decision)));
    return sch.get(sch->split(loop, {factors.begin(), factors.end()}));
  };
  const auto i = tile(loops[0], 4, {2, 2, 2, 2});
  const auto j = tile(loops[1], 4, {1, 2, 1, 8});
  const auto k = tile(loops[2], 2, {8, 2});
  sch.done(sch->reorder({i[0], j[0], i[1], j[1], k[0], i[2], j[2], k[1], i[3], j[3]}));
  const BlockRv write = sch.get(sch->cache_write(c, 0, "global"));
  sch.done(sch->reverse_compute_at(write, j[1], true));
  const LoopRv outer = sch.get(sch->fuse({i[0], j[0], i[1]}));
  sch.done(sch->parallel(outer));
  sch.done(sch->vectorize(j[3]));
  const auto copy = sch.loops(write);
  sch.done(sch->vectorize(copy.back()));
  sch.get(sch->decompose_reduction(c, k[0]));
  sch.expect("trace_metaschedule_cpu", 2);
}

// --- Handles -----------------------------------------------------------------------------------

TEST(Handles, LoopsThatAreGoneSayWhoRemovedThem) {
  Checked sch(chain(8, 8));
  const BlockRv b = sch.block("B");
  const auto loops = sch.loops(b);
  sch.done(sch->compute_at(b, sch.loops("C")[0]));
  EXPECT_EQ(sch.get(sch->get_block(b))->name, "B");
  const auto gone = sch->get_loop(loops[0]);
  ASSERT_FALSE(gone);
  EXPECT_THAT(gone.error().message, HasSubstr("compute_at"));
  const BlockRv c = sch.block("C");
  sch.done(sch->compute_inline(c));
  const auto no_block = sch->get_block(c);
  ASSERT_FALSE(no_block);
  EXPECT_THAT(no_block.error().message, HasSubstr("compute_inline"));
}

// --- Refusals ----------------------------------------------------------------------------------

template <typename T> std::string refusal(const Result<T>& result) {
  return result ? "it was allowed" : Result<T>(result).error().message;
}

TEST(Refusals, DecomposeReduction) {
  Checked sch(matmul(8, 8, 8));
  const BlockRv c = sch.block("C");
  const auto loops = sch.loops(c);
  sch.done(sch->reorder({loops[2], loops[1]}));
  EXPECT_THAT(refusal(sch->decompose_reduction(c, loops[1])),
              HasSubstr("loop j stands below k, a loop of the reduction"));
  sch.get(sch->decompose_reduction(c, loops[0]));
  EXPECT_THAT(refusal(sch->decompose_reduction(c, loops[0])), HasSubstr("it has no init"));
  Checked other(chain(8, 8));
  EXPECT_THAT(refusal(other->decompose_reduction(other.block("B"), other.loops("C")[0])),
              HasSubstr("loop i is not a loop around block \"B\""));
}

TEST(Refusals, CacheRead) {
  Checked sch(matmul(8, 8, 8));
  EXPECT_THAT(refusal(sch->cache_read(sch.block("C"), 2, "shared")),
              HasSubstr("reads 2 buffers: there is none with index 2"));
  EXPECT_THAT(refusal(sch->cache_read(sch.block("root"), 0, "shared")),
              HasSubstr("outermost block"));
  Checked other(chain(8, 8));
  EXPECT_THAT(refusal(other->cache_read(other.block("B"), 0, "local", {other.block("D")})),
              HasSubstr("a consumer block that is named does not read A"));
}

TEST(Refusals, CacheWrite) {
  Checked sch(matmul(8, 8, 8));
  const BlockRv c = sch.block("C");
  EXPECT_THAT(refusal(sch->cache_write(c, 1, "local")), HasSubstr("there is none with index 1"));
  sch.get(sch->decompose_reduction(c, sch.loops(c)[2]));
  EXPECT_THAT(refusal(sch->cache_write(c, 0, "local")),
              HasSubstr("is not the only block that writes C: block \"C_init\" does too"));
  Checked gaps(reshape(R"(C: T.Buffer((8, 32), "float32")):
    for i, j in T.grid(8, 16):
        with T.sblock("C"):
            vi, vj = T.axis.remap("SS", [i, j])
            C[vi, vj * 2] = A[vi, vj]
)"));
  EXPECT_THAT(refusal(gaps->cache_write(gaps.block("C"), 0, "local")), HasSubstr("leaves gaps"));
}

TEST(Refusals, ComputeAt) {
  Checked sch(chain(8, 8));
  EXPECT_THAT(refusal(sch->compute_at(sch.block("D"), sch.loops("C")[0])),
              HasSubstr("writes D, an output of its scope"));
  EXPECT_THAT(refusal(sch->compute_at(sch.block("B"), sch.loops("D")[0])),
              HasSubstr("block \"C\", a consumer of block \"B\", is not below loop i"));
  EXPECT_THAT(refusal(sch->compute_at(sch.block("B"), sch.loops("B")[0])),
              HasSubstr("is already below loop i"));
  EXPECT_THAT(refusal(sch->compute_at(sch.block("B"), sch.loops("C")[0], false, 5)),
              HasSubstr("position 5 below loop i is not between"));
}

TEST(ReverseComputeAt, MayNotReadWhatComesBehindTheLoop) {
  Checked sch(two_producers(false));
  EXPECT_THAT(refusal(sch->reverse_compute_at(sch.block("D"), sch.loops("C")[0])),
              HasSubstr("block \"S\", a producer of block \"D\", is not below loop i"));
  // Below the loop of S it may: C is finished there.
  sch.done(sch->reverse_compute_at(sch.block("D"), sch.loops("S")[0]));
  sch.expect("reverse_compute_at_finished_other", 2);
}

TEST(Refusals, ReverseComputeAt) {
  Checked sch(matmul_bias_relu(8, 8, 8));
  const auto c = sch.loops("C");
  EXPECT_THAT(refusal(sch->reverse_compute_at(sch.block("T_add"), c[2])),
              HasSubstr("loop k is a loop of the reduction in block \"C\""));
  EXPECT_THAT(refusal(sch->reverse_compute_at(sch.block("C"), sch.loops("D")[0])),
              HasSubstr("has no producers"));
  EXPECT_THAT(refusal(sch->reverse_compute_at(sch.block("D"), c[0])),
              HasSubstr("a producer of block \"D\", is not below loop i"));
  Checked conv(conv2d(2, 3, 6, 5));
  EXPECT_THAT(refusal(conv->reverse_compute_at(conv.block("conv"), conv.loops("pad")[1])),
              HasSubstr("has not computed"));
  // A padding's border reads nothing of X: no iteration of X's copy would reach it.
  conv.get(conv->cache_read(conv.block("pad"), 0, "local"));
  EXPECT_THAT(refusal(conv->reverse_compute_at(conv.block("pad"), conv.loops("X_local")[1])),
              HasSubstr("would not run through its whole domain"));
}

TEST(Refusals, ReverseComputeAtBelowStridedLoops) {
  Checked sch(chain(8, 8));
  const auto loops = sch.loops("B");
  const auto j = sch.get(sch->split(loops[1], {4, 2}));
  sch.done(sch->reorder({j[1], loops[0], j[0]}));
  EXPECT_THAT(refusal(sch->reverse_compute_at(sch.block("C"), j[1])), HasSubstr("leaves gaps"));
}

TEST(Refusals, Inlining) {
  Checked sch(matmul_bias_relu(8, 8, 8));
  EXPECT_THAT(refusal(sch->compute_inline(sch.block("C"))), HasSubstr("not a complete block"));
  EXPECT_THAT(refusal(sch->compute_inline(sch.block("D"))), HasSubstr("an output of its scope"));
  EXPECT_THAT(refusal(sch->reverse_compute_inline(sch.block("T_add"))),
              HasSubstr("is a reduction: its value is not complete"));
  Checked soft(softmax(4, 8));
  EXPECT_THAT(refusal(soft->reverse_compute_inline(soft.block("Y"))), HasSubstr("is a reduction"));
  Checked conv(conv2d(2, 3, 6, 5));
  conv.get(conv->cache_read(conv.block("pad"), 0, "local"));
  EXPECT_THAT(refusal(conv->reverse_compute_inline(conv.block("pad"))), HasSubstr("would be lost"));
  Checked shared(reshape(std::string(R"(C: T.Buffer((8, 8), "float32")):)") + kScaled + R"(
    for i, j in T.grid(8, 8):
        with T.sblock("C"):
            vi, vj = T.axis.remap("SS", [i, j])
            C[vi, vj] = B[vi, vj] + B[vi, vj + 8]
)"));
  EXPECT_THAT(refusal(shared->reverse_compute_inline(shared.block("C"))),
              HasSubstr("reads more than one element of B"));
  Checked diagonal(reshape(std::string(R"(C: T.Buffer((8,), "float32")):)") + kScaled + R"(
    for i in range(8):
        with T.sblock("C"):
            vi = T.axis.spatial(8, i)
            C[vi] = B[vi, vi + vi]
)"));
  EXPECT_THAT(refusal(diagonal->reverse_compute_inline(diagonal.block("C"))),
              HasSubstr("do not follow from the element"));
}

TEST(Refusals, RFactor) {
  Checked sch(matmul(8, 8, 8));
  const auto loops = sch.loops("C");
  EXPECT_THAT(refusal(sch->rfactor(loops[0], 0)),
              HasSubstr("loop i is not a loop of the reduction"));
  EXPECT_THAT(refusal(sch->rfactor(loops[2], 4)),
              HasSubstr("factor_axis 4 is not between -3 and 2"));
  Checked start(reshape(R"(C: T.Buffer((8,), "float32")):
    for i, k in T.grid(8, 16):
        with T.sblock("C"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                C[vi] = T.float32(1)
            C[vi] = C[vi] + A[vi, vk]
)"));
  EXPECT_THAT(refusal(start->rfactor(start.loops("C")[1], 0)),
              HasSubstr("starts from another value than the identity"));
  Checked subtract(reshape(R"(C: T.Buffer((8,), "float32")):
    for i, k in T.grid(8, 16):
        with T.sblock("C"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                C[vi] = T.float32(0)
            C[vi] = C[vi] - A[vi, vk]
)"));
  EXPECT_THAT(refusal(subtract->rfactor(subtract.loops("C")[1], 0)),
              HasSubstr("cannot be reassociated"));
}

TEST(Refusals, ShowTheProgramWithThePlaceMarked) {
  script::render_schedule_errors();
  Checked sch(matmul(8, 8, 8));
  const auto refused = sch->compute_inline(sch.block("C"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("with T.sblock(\"C\"):"));
}

} // namespace
} // namespace temper::s_tir
