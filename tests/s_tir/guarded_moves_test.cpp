// Moves below loops that a predicate cuts short, because a split's factors do not divide: what a
// copy or a moved consumer reads must be there, in whatever order the iterations run. And blocks
// below loops that repeat them.
#include "ir/s_tir/schedule.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "tests/s_tir/programs.h"
#include "tests/support/run_program.h"

#include <gmock/gmock.h>

namespace temper::s_tir {
namespace {

using namespace programs;
using ::testing::HasSubstr;

constexpr std::nullopt_t kInfer = std::nullopt;

class GuardedMoves : public ::testing::Test {
protected:
  /// A -> B -> C -> D, each rows x 8.
  void start(int64_t rows = 6) { start(chain(rows, 8)); }
  void start(const IRModule& module) {
    before_ = module;
    schedule_ = std::make_unique<Schedule>(module);
  }
  IRModule parsed(const char* text) { return get(script::parse_module(text)); }
  Schedule& sch() { return *schedule_; }
  template <typename T> T get(Result<T> result) {
    if (!result) {
      ADD_FAILURE() << result.error().to_string();
      std::abort();
    }
    return std::move(result).value();
  }
  void done(const Result<void>& result) {
    ASSERT_TRUE(result) << Result<void>(result).error().to_string();
  }
  BlockRv block(const std::string& name) { return get(sch().get_sblock(name)); }
  std::vector<LoopRv> loops(const std::string& name) { return get(sch().get_loops(block(name))); }

  void expect_same_values(double tolerance = 0) {
    const RunResult expected = run_on_integers(before_, 1, 7);
    ASSERT_EQ(expected.error, "");
    for (const ParallelOrder order : {ParallelOrder::kForward, ParallelOrder::kReverse})
      EXPECT_EQ(difference(expected, run_on_integers(sch().module(), 1, 7, order), tolerance), "")
          << script::to_text(sch().module());
  }

  template <typename T> static std::string refusal(const Result<T>& result) {
    return result ? "it was allowed" : Result<T>(result).error().message;
  }

  IRModule before_;
  std::unique_ptr<Schedule> schedule_;
};

// One iteration of i_0 holds all rows, the other none: the box of the second is empty, and the copy
// must not be widened to the whole buffer, whose rows the other iteration computes.
TEST_F(GuardedMoves, ACopyOfWhatIsReadIsNotWidenedBeyondItsIteration) {
  start();
  const auto i = get(sch().split(loops("B")[0], {2, 8}));
  done(sch().reverse_compute_at(block("C"), i[0]));
  done(sch().parallel(i[0]));
  get(sch().cache_read(block("C"), 0, "global"));
  expect_same_values();
}

TEST_F(GuardedMoves, ACopyOfWhatIsWrittenIsNotWidenedBeyondItsIteration) {
  start();
  const auto i = get(sch().split(loops("B")[0], {2, 8}));
  done(sch().reverse_compute_at(block("C"), i[0]));
  done(sch().parallel(i[0]));
  get(sch().cache_write(block("B"), 0, "global"));
  expect_same_values();
}

// Splits that fuse again leave `fused // 4 < 1`: four of eight iterations do nothing.
TEST_F(GuardedMoves, AConditionOnAQuotientLimitsWhatIsThere) {
  start(8);
  const auto i = get(sch().split(loops("B")[0], {2, 4}));
  const auto inner = get(sch().split(i[1], {kInfer, 8}));
  const auto innermost = get(sch().split(inner[1], {kInfer, 4}));
  get(sch().fuse({inner[0], innermost[0], innermost[1]}));
  done(sch().reverse_compute_at(block("C"), i[0]));
  expect_same_values();
}

// Rows 2 * f_0 and 2 * f_0 + 1 are made, of a loop that could reach four rows.
TEST_F(GuardedMoves, AConditionThatCutsThroughSeveralDimensionsLeavesGaps) {
  start(4);
  const auto b = loops("B");
  const LoopRv fused = get(sch().fuse({b[0], b[1]}));
  const auto f = get(sch().split(fused, {2, 16}));
  get(sch().split(f[1], {kInfer, 32}));
  EXPECT_THAT(refusal(sch().reverse_compute_at(block("C"), f[0])),
              HasSubstr("block \"B\" leaves gaps in what it writes of B in one iteration of loop"));
}

// Columns 9 to 15 of the padded layout are written by nobody. In the last iteration of j_0 the box
// holds three of them.
TEST_F(GuardedMoves, PaddingIsNotCopied) {
  start(chain(4, 9));
  const auto j = get(sch().split(loops("C")[1], {kInfer, 4}));
  done(sch().compute_at(block("B"), j[0]));
  done(sch().transform_layout(block("B"), 0, "write", "lambda i, j, n: (j // n, i, j % n)", {8}));
  EXPECT_THAT(refusal(sch().cache_read(block("C"), 0, "global")),
              HasSubstr("holds elements that block \"B\" has not written"));
  expect_same_values();
}

// The condition on the columns mentions, of the loops below the fused one, only ax1, which runs
// once: where it fails B computes nothing, and nothing may be copied.
TEST_F(GuardedMoves, AConditionOnALoopThatRunsOnceIsOneOnTheLoopsAround) {
  start(chain(4, 9));
  const auto c = loops("C");
  const auto j = get(sch().split(c[1], {kInfer, 2, 2}));
  const LoopRv fused = get(sch().fuse({j[0], j[1], j[2]}));
  done(sch().compute_at(block("B"), fused, /*preserve_unit_loops=*/true));
  const auto copy = sch().cache_read(block("C"), 0, "global");
  ASSERT_TRUE(copy) << Result<BlockRv>(copy).error().to_string();
  expect_same_values();
}

TEST_F(GuardedMoves, NamedConsumersStandBehindTheLastWriter) {
  start(parsed(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8,), "float32"), Y: T.Buffer((8,), "float32"), Z: T.Buffer((8,), "float32")):
    X = T.sblock_alloc_buffer((8,))
    for i in range(8):
        with T.sblock("first"):
            vi = T.axis.spatial(8, i)
            X[vi] = A[vi]
    for i in range(8):
        with T.sblock("Y"):
            vi = T.axis.spatial(8, i)
            Y[vi] = X[vi]
    for i in range(8):
        with T.sblock("second"):
            vi = T.axis.spatial(8, i)
            X[vi] = A[vi] * T.float32(2)
    for i in range(8):
        with T.sblock("Z"):
            vi = T.axis.spatial(8, i)
            Z[vi] = X[vi]
)"));
  EXPECT_THAT(refusal(sch().cache_read(block("Z"), 0, "global", {block("Y")})),
              HasSubstr("block \"Y\" reads X before block \"second\" writes it"));
  get(sch().cache_read(block("Z"), 0, "global"));
  expect_same_values();
}

TEST_F(GuardedMoves, AnEarlierWriterMayStandBelowFewerLoops) {
  start(parsed(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((6,), "float32"), Z: T.Buffer((6,), "float32")):
    X = T.sblock_alloc_buffer((6,))
    for i in range(8):
        with T.sblock("first"):
            vi = T.axis.spatial(6, i)
            T.where(i < 6)
            X[vi] = A[vi]
    for i, j in T.grid(2, 3):
        with T.sblock("second"):
            vi = T.axis.spatial(6, i * 3 + j)
            X[vi] = A[vi] * T.float32(2)
        with T.sblock("Z"):
            vi = T.axis.spatial(6, i * 3 + j)
            Z[vi] = X[vi]
)"));
  get(sch().cache_read(block("Z"), 0, "global"));
  expect_same_values();
}

// Only the first four elements are written twice; the others are read all the same.
TEST_F(GuardedMoves, ACopyIsMadeAlsoWhereOnlyOneOfTheWritersRuns) {
  start(parsed(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8,), "float32"), Z: T.Buffer((8,), "float32")):
    X = T.sblock_alloc_buffer((8,))
    for i in range(8):
        with T.sblock("first"):
            vi = T.axis.spatial(8, i)
            X[vi] = A[vi]
        with T.sblock("second"):
            vi = T.axis.spatial(4, i)
            T.where(i < 4)
            X[vi] = A[vi] * T.float32(2)
        with T.sblock("Z"):
            vi = T.axis.spatial(8, i)
            Z[vi] = X[vi]
)"));
  get(sch().cache_read(block("Z"), 0, "global"));
  expect_same_values();
}

// Behind "second" all of X is there while i < 4; before that, "first" has written the first half.
TEST_F(GuardedMoves, ACopyNeedsAWriterThatRunsWheneverAnyDoes) {
  start(parsed(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8,), "float32"), Z: T.Buffer((8, 8), "float32")):
    X = T.sblock_alloc_buffer((8,))
    for i in range(4):
        with T.sblock("first"):
            vi = T.axis.spatial(4, i)
            X[vi] = A[vi]
    for i in range(8):
        for j in range(8):
            with T.sblock("second"):
                vi = T.axis.reduce(4, i)
                vj = T.axis.spatial(8, j)
                T.where(i < 4)
                X[vj] = A[vi] + A[vj]
        for j in range(8):
            with T.sblock("Z"):
                vi, vj = T.axis.remap("SS", [i, j])
                Z[vi, vj] = X[vj]
)"));
  EXPECT_THAT(refusal(sch().cache_read(block("Z"), 0, "global")),
              HasSubstr("the blocks that write X do not run in the same iterations"));
}

// In the first iteration of i no step of the sum is left: what would be copied is not there yet.
TEST_F(GuardedMoves, AReductionWithoutStepsMakesNothing) {
  start(parsed(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((12,), "float32"), Z: T.Buffer((1,), "float32"), W: T.Buffer((3,), "float32")):
    for i in range(3):
        for j in range(4):
            with T.sblock("sum"):
                v = T.axis.spatial(1, 0)
                vj = T.axis.reduce((5, 12), i * 4 + j)
                T.where(5 <= i * 4 + j)
                with T.init():
                    Z[v] = T.float32(0)
                Z[v] = Z[v] + A[vj]
        with T.sblock("W"):
            vi = T.axis.spatial(3, i)
            T.where(1 <= i)
            W[vi] = Z[0]
)"));
  EXPECT_THAT(
      refusal(sch().cache_write(block("sum"), 0, "global")),
      HasSubstr("leaves gaps in the region of Z that it writes in one iteration of loop i"));
}

// A row's sum is computed anew in each iteration of j, a loop that none of its axes is bound to.
using RepeatedReductions = GuardedMoves;

TEST_F(RepeatedReductions, AreNotInitialisedOutsideTheLoopThatRepeatsThem) {
  start(softmax(6, 8));
  const BlockRv sum = block("T_sum");
  done(sch().compute_at(sum, loops("Y")[1]));
  const auto around = get(sch().get_loops(sum)); // i, j, ax0
  EXPECT_THAT(refusal(sch().decompose_reduction(sum, around[1])),
              HasSubstr("loop j repeats the reduction of block \"T_sum\", which must start anew "
                        "each time: loop j stands above it"));
  EXPECT_THAT(refusal(sch().decompose_reduction(sum, around[0])), HasSubstr("loop j repeats"));
  const auto j = get(sch().split(around[1], {2, 4}));
  for (const LoopRv loop : {around[0], j[0], j[1]})
    EXPECT_THAT(refusal(sch().decompose_reduction(sum, loop)), HasSubstr("repeats the reduction"));
  get(sch().decompose_reduction(sum, around[2]));
  expect_same_values(1e-5);
}

TEST_F(RepeatedReductions, AreSeenWhenOneAxisIsTheQuotientOfAFusedLoop) {
  start(softmax(6, 8));
  const BlockRv sum = block("T_sum");
  done(sch().compute_at(sum, loops("Y")[1]));
  const auto around = get(sch().get_loops(sum));
  const LoopRv fused = get(sch().fuse({around[0], around[1]}));
  EXPECT_THAT(refusal(sch().decompose_reduction(sum, fused)), HasSubstr("repeats the reduction"));
  get(sch().decompose_reduction(sum, around[2]));
  expect_same_values(1e-5);
}

} // namespace
} // namespace temper::s_tir
