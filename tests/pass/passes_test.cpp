// One case per pass: the text before and after. Structural equality ignores names.
#include "ir/walk.h"
#include "tests/pass/equivalence.h"

namespace temper::ir::testing {
namespace {

TEST(ExpectText, ADifferentConstantOrLoopKindIsSeen) {
  const auto body = [](const char* loop, const char* value) {
    return parse(std::string("@T.prim_func\ndef main(A: T.Buffer((4,), \"float32\")):\n") +
                 "    for i in " + loop + "(4):\n        A[i] = T.float32(" + value + ")\n")
        ->body;
  };
  EXPECT_TRUE(structural_equal_free(body("range", "1"), body("range", "1")));
  EXPECT_FALSE(structural_equal_free(body("range", "1"), body("range", "2")));
  EXPECT_FALSE(structural_equal_free(body("range", "1"), body("T.parallel", "1")));
}

TEST(LowerInit, GoesBeforeTheReductionWithTheSpatialLoopsBelowIt) {
  const PrimFunc before = parse(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 6), "float32"), C: T.Buffer((8,), "float32")):
    for i_0, k, i_1 in T.grid(2, 6, 4):
        with T.sblock("C"):
            vi = T.axis.spatial(8, i_0 * 4 + i_1)
            vk = T.axis.reduce(6, k)
            with T.init():
                C[vi] = T.float32(0)
            C[vi] = C[vi] + A[vi, vk]
)");
  expect_text(s_tir::lower_blocks(before), R"(
@T.prim_func
def main(A: T.Buffer((8, 6), "float32"), C: T.Buffer((8,), "float32")):
    for i_0 in range(2):
        for i_1_init in range(4):
            C[i_0 * 4 + i_1_init] = T.float32(0)
        for k, i_1 in T.grid(6, 4):
            C[i_0 * 4 + i_1] = C[i_0 * 4 + i_1] + A[i_0 * 4 + i_1, k]
)");
}

TEST(LowerInit, DoesNotAskForLoopsBelowThatNoAxisUses) {
  const PrimFunc before = parse(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 6), "float32"), C: T.Buffer((8,), "float32")):
    for i, k, u in T.grid(8, 6, 4):
        with T.sblock("C"):
            vi, vk = T.axis.remap("SR", [i, k])
            T.where(u < 1)
            with T.init():
                C[vi] = T.float32(0)
            C[vi] = C[vi] + A[vi, vk]
)");
  expect_text(s_tir::lower_blocks(before), R"(
@T.prim_func
def main(A: T.Buffer((8, 6), "float32"), C: T.Buffer((8,), "float32")):
    for i in range(8):
        C[i] = T.float32(0)
        for k, u in T.grid(6, 4):
            if u < 1:
                C[i] = C[i] + A[i, k]
)");
}

TEST(LowerInit, IsGuardedWhereTheReductionSharesItsLoops) {
  const PrimFunc before = parse(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 6), "float32"), C: T.Buffer((8,), "float32"), D: T.Buffer((8, 6), "float32")):
    for i, k in T.grid(8, 6):
        with T.sblock("C"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                C[vi] = T.float32(0)
            C[vi] = C[vi] + A[vi, vk]
        with T.sblock("D"):
            vi, vk = T.axis.remap("SS", [i, k])
            D[vi, vk] = A[vi, vk]
)");
  expect_text(s_tir::lower_blocks(before), R"(
@T.prim_func
def main(A: T.Buffer((8, 6), "float32"), C: T.Buffer((8,), "float32"), D: T.Buffer((8, 6), "float32")):
    for i, k in T.grid(8, 6):
        if k == 0:
            C[i] = T.float32(0)
        C[i] = C[i] + A[i, k]
        D[i, k] = A[i, k]
)");
}

TEST(PlanAllocations, AnAccumulatorStaysOutsideItsReductionLoop) {
  const PrimFunc before = parse(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 6), "float32"), C: T.Buffer((8,), "float32")):
    t = T.sblock_alloc_buffer((8,))
    for i in range(8):
        for k in range(6):
            with T.sblock("t"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    t[vi] = T.float32(0)
                t[vi] = t[vi] + A[vi, vk]
        with T.sblock("C"):
            vi = T.axis.spatial(8, i)
            C[vi] = t[vi]
)");
  expect_text(compact_buffers(s_tir::lower_blocks(before)), R"(
@T.prim_func
def main(A: T.Buffer((8, 6), "float32"), C: T.Buffer((8,), "float32")):
    for i in range(8):
        t = T.alloc_buffer((1,))
        t[0] = T.float32(0)
        for k in range(6):
            t[0] = t[0] + A[i, k]
        C[i] = t[0]
)");
}

TEST(AlignStrides, OfWhatIsLeftOfABufferAreAsTheScheduleAsked) {
  const PrimFunc before = parse(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 16, 32), "float32"), C: T.Buffer((8, 16, 32), "float32")):
    B = T.sblock_alloc_buffer((8, 16, 32))
    for i in range(8):
        for j, k in T.grid(16, 32):
            with T.sblock("B"):
                vi, vj, vk = T.axis.remap("SSS", [i, j, k])
                T.sblock_attr({"buffer_dim_align": [[0, 1, 32, 8], [0, 0, 7, 3]]})
                B[vi, vj, vk] = A[vi, vj, vk]
        for j, k in T.grid(16, 32):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSS", [i, j, k])
                C[vi, vj, vk] = B[vi, vj, vk]
)");
  const PrimFunc after = align_strides(compact_buffers(s_tir::lower_blocks(before)));
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;
  walk(after->body, [&](const NodeRef& node) {
    if (const auto* alloc = node.as<tir::AllocBuffer>()) {
      for (const Expr& extent : alloc->buffer->shape)
        shape.push_back(*as_int(extent));
      for (const Expr& stride : alloc->buffer->strides)
        strides.push_back(*as_int(stride));
    }
    return true;
  });
  EXPECT_EQ(shape, (std::vector<int64_t>{1, 16, 32}));
  // 40 is the least from 32 on that leaves 8 by 32, 640 = 16 * 40 leaves 3 by 7.
  EXPECT_EQ(strides, (std::vector<int64_t>{640, 40, 1}));
  lower_step_by_step(before);
}

TEST(LowerInit, AnOpaqueAxisIsNoReduction) {
  lower_step_by_step(parse(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 6), "float32"), C: T.Buffer((8,), "float32")):
    for i, k in T.grid(8, 6):
        with T.sblock("C"):
            vi = T.axis.opaque(8, i)
            vk = T.axis.reduce(6, k)
            with T.init():
                C[vi] = T.float32(0)
            C[vi] = C[vi] + A[vi, vk]
)"));
}

TEST(FlattenBuffers, IndicesAreLinearFormsInInt64) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((4, 8, 2), "float32"), B: T.Buffer((64,), "float32")):
    for f in range(64):
        B[f] = A[f // 16, f % 16 // 2, f % 2]
)");
  expect_text(flatten_buffers(widen_indices(before)), R"(
@T.prim_func
def main(A: T.Buffer((T.int64(64),), "float32"), B: T.Buffer((64,), "float32")):
    for f in range(T.int64(64)):
        B[f] = A[f]
)");
}

TEST(PartitionLoops, ATailOfOneTripIsCutOffWithItsBoundConstant) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((10,), "float32")):
    for i_0 in range(T.int64(3)):
        for i_1 in range(T.int64(4)):
            if i_0 * T.int64(4) + i_1 < T.int64(10):
                A[i_0 * T.int64(4) + i_1] = T.float32(1)
)");
  expect_text(partition_loops(before), R"(
@T.prim_func
def main(A: T.Buffer((10,), "float32")):
    for i_0, i_1 in T.grid(T.int64(2), T.int64(4)):
        A[i_0 * T.int64(4) + i_1] = T.float32(1)
    for i_1 in range(T.int64(2)):
        A[i_1 + T.int64(8)] = T.float32(1)
)");
}

TEST(PartitionLoops, AConditionOfAllPartsOfACutLoopGoesAroundThem) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((12,), "float32"), n: T.int64):
    for k in range(T.int64(2)):
        for i_1 in range(T.int64(2)):
            for i_0 in range(T.int64(4)):
                if i_0 * T.int64(2) + i_1 < T.int64(7):
                    if T.int64(3) <= n and n < T.int64(9):
                        A[i_0 * T.int64(2) + i_1 + k] = T.float32(1)
)");
  expect_text(partition_loops(before), R"(
@T.prim_func
def main(A: T.Buffer((12,), "float32"), n: T.int64):
    if T.int64(3) <= n and n < T.int64(9):
        for k in range(T.int64(2)):
            for i_0 in range(T.int64(4)):
                A[i_0 * T.int64(2) + k] = T.float32(1)
            for i_0 in range(T.int64(3)):
                A[i_0 * T.int64(2) + k + T.int64(1)] = T.float32(1)
)");
}

TEST(PartitionLoops, AConditionOfSomeStatementsStaysWithThem) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((4,), "float32"), B: T.Buffer((4,), "float32"), n: T.int64):
    for k in range(T.int64(4)):
        if T.int64(3) <= n:
            A[k] = T.float32(1)
        if T.int64(3) <= n and n < T.int64(9):
            B[k] = T.float32(2)
)");
  expect_text(partition_loops(before), R"(
@T.prim_func
def main(A: T.Buffer((4,), "float32"), B: T.Buffer((4,), "float32"), n: T.int64):
    if T.int64(3) <= n:
        for k in range(T.int64(4)):
            A[k] = T.float32(1)
            if n < T.int64(9):
                B[k] = T.float32(2)
)");
  const PrimFunc loads = parse(R"(
@T.prim_func
def main(A: T.Buffer((4,), "float32"), B: T.Buffer((4,), "int32")):
    for k in range(T.int64(4)):
        if B[T.int64(0)] == 0:
            A[k] = T.float32(1)
        if B[T.int64(0)] == 0:
            B[k] = 1
)");
  EXPECT_EQ(partition_loops(loads), loads) << "what is read may be written in between";
  const PrimFunc divides = parse(R"(
@T.prim_func
def main(A: T.Buffer((8, 16), "float32")):
    for k in range(T.int64(8)):
        for i in range(T.int64(16)):
            if i < k:
                if T.int64(3) <= T.int64(12) // k:
                    A[k, i] = T.float32(1)
)");
  const PrimFunc after = partition_loops(divides);
  expect_text(after, R"(
@T.prim_func
def main(A: T.Buffer((8, 16), "float32")):
    for k in range(T.int64(8)):
        for i in range(k):
            if T.int64(3) <= T.int64(12) // k:
                A[k, i] = T.float32(1)
)");
}

TEST(PartitionLoops, APaddedCopyIsCutIntoZerosAndACopyWithoutConditions) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((4, 12), "float32"), P: T.Buffer((6, 16), "float32")):
    for h, w in T.grid(T.int64(6), T.int64(16)):
        P[h, w] = T.if_then_else(T.int64(1) <= h and h < T.int64(5) and T.int64(2) <= w and w < T.int64(14), A[h - T.int64(1), w - T.int64(2)], T.float32(0))
)");
  const PrimFunc after = partition_loops(before);
  expect_text(after, R"(
@T.prim_func
def main(A: T.Buffer((4, 12), "float32"), P: T.Buffer((6, 16), "float32")):
    for w in range(T.int64(16)):
        P[T.int64(0), w] = T.float32(0)
    for h in range(T.int64(1), T.int64(5)):
        for w in range(T.int64(2)):
            P[h, w] = T.float32(0)
        for w in range(T.int64(2), T.int64(14)):
            P[h, w] = A[h - T.int64(1), w - T.int64(2)]
        for w in range(T.int64(14), T.int64(16)):
            P[h, w] = T.float32(0)
    for w in range(T.int64(16)):
        P[T.int64(5), w] = T.float32(0)
)");
  EXPECT_TRUE(same(*run(before), *run(after)));
}

TEST(PartitionLoops, AChoiceBesideOtherWorkOrOnAnOuterLoopIsLeftAlone) {
  for (const char* text : {R"(
@T.prim_func
def main(A: T.Buffer((16,), "float32"), P: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for w in range(T.int64(16)):
        P[w] = T.if_then_else(T.int64(2) <= w, A[w - T.int64(2)], T.float32(0))
        B[w] = P[w]
)",
                           R"(
@T.prim_func
def main(A: T.Buffer((16,), "float32"), P: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for q in T.parallel(T.int64(4)):
        for w in range(T.int64(4)):
            P[q * T.int64(4) + w] = T.if_then_else(T.int64(2) <= q * T.int64(4) + w, A[q * T.int64(4) + w - T.int64(2)], T.float32(0))
)"}) {
    const PrimFunc before = parse(text);
    EXPECT_EQ(partition_loops(before), before);
  }
}

TEST(PartitionLoops, RowsThatLieOutsideAreToldApartOnce) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((72,), "float32"), C: T.Buffer((4,), "float32")):
    for p in range(T.int64(4)):
        C[p] = T.float32(1)
        for h in range(T.int64(3)):
            for w in range(T.int64(6)):
                B[p * T.int64(18) + h * T.int64(6) + w] = T.if_then_else(T.int64(1) <= p + h and p + h < T.int64(5) and T.int64(1) <= w and w < T.int64(5), A[p * T.int64(4) + h * T.int64(4) + w - T.int64(5)], T.float32(0))
)");
  const PrimFunc after = partition_loops(before);
  EXPECT_TRUE(verify(after)) << verify(after).error().to_string();
  EXPECT_TRUE(same(*run(before), *run(after)));
  int branches = 0;
  walk(after->body, [&](const NodeRef& node) {
    const auto* call = node.as<Call>();
    EXPECT_FALSE(call != nullptr && call->op == "if_then_else");
    branches += node.is<tir::IfThenElse>() ? 1 : 0;
    return true;
  });
  EXPECT_EQ(branches, 1) << script::to_text(after);
}
TEST(PartitionLoops, AWindowThatReadsZerosOutsideLosesItsBorder) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((8,), "float32"), F: T.Buffer((3,), "float32"), B: T.Buffer((8,), "float32")):
    for q in range(T.int64(4)):
        for i in T.unroll(T.int64(2)):
            B[q * T.int64(2) + i] = T.float32(0)
        for s in range(T.int64(3)):
            for i in T.unroll(T.int64(2)):
                B[q * T.int64(2) + i] = B[q * T.int64(2) + i] + T.if_then_else(T.int64(1) <= q * T.int64(2) + i + s and q * T.int64(2) + i + s < T.int64(9), A[q * T.int64(2) + i + s - T.int64(1)], T.float32(0)) * F[s]
)");
  const PrimFunc after = partition_loops(before);
  EXPECT_TRUE(same(*run(before), *run(after)));
  // In the middle, two of the four blocks, nothing is asked.
  const auto* parts = after->body.as<tir::SeqStmt>();
  ASSERT_NE(parts, nullptr);
  bool middle = false;
  for (const Stmt& part : parts->statements) {
    const auto* loop = part.as<tir::For>();
    if (loop == nullptr || !is_int(loop->min, 1) || !is_int(loop->extent, 2))
      continue;
    middle = true;
    walk(loop->body, [&](const NodeRef& node) {
      const auto* call = node.as<Call>();
      EXPECT_FALSE(call != nullptr && call->op == "if_then_else");
      return true;
    });
  }
  EXPECT_TRUE(middle) << script::to_text(after);
}
TEST(PartitionLoops, AParallelLoopGetsTwoVersionsOfItsBody) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((10,), "float32")):
    for i_0 in T.parallel(T.int64(3)):
        for i_1 in range(T.int64(4)):
            if i_0 * T.int64(4) + i_1 < T.int64(10):
                A[i_0 * T.int64(4) + i_1] = T.float32(1)
)");
  const PrimFunc after = partition_loops(before);
  const auto* loop = after->body.as<tir::For>();
  ASSERT_NE(loop, nullptr);
  const auto* versions = loop->body.as<tir::IfThenElse>();
  ASSERT_NE(versions, nullptr);
  EXPECT_EQ(versions->then_case->kind(), tir::For::kKind);
  ASSERT_TRUE(same(*run(before), *run(after)));
}

TEST(PartitionLoops, StatementsThatTheCutDoesNotChangeAreCopiedToo) {
  // The store to B mentions no loop below the one that is cut.
  const PrimFunc before = parse(R"(
@T.prim_func
def main(s: T.Buffer((1,), "float32"), A: T.Buffer((10,), "float32"), B: T.Buffer((4,), "float32")):
    for j in T.parallel(T.int64(4)):
        for i_0 in T.parallel(T.int64(3)):
            for i_1 in range(T.int64(4)):
                if i_0 * T.int64(4) + i_1 < T.int64(10):
                    A[i_0 * T.int64(4) + i_1] = s[T.int64(0)]
            B[j] = s[T.int64(0)]
)");
  const PrimFunc after = partition_loops(before);
  EXPECT_NE(after, before);
  EXPECT_TRUE(verify(after)) << verify(after).error().to_string();
}

TEST(VectorizeLoops, ChunksAndAMaskedRest) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((38,), "float32"), B: T.Buffer((38,), "float32"), s: T.Buffer((1,), "float32")):
    for j in T.vectorized(T.int64(38)):
        B[j] = A[j] * s[0]
)");
  expect_text(vectorize_loops(flatten_buffers(widen_indices(before)), {}), R"(
@T.prim_func
def main(A: T.Buffer((38,), "float32"), B: T.Buffer((38,), "float32"), s: T.Buffer((1,), "float32")):
    for j_c in T.unroll(T.int64(2)):
        B[T.Ramp(j_c * T.int64(16), T.int64(1), 16)] = A[T.Ramp(j_c * T.int64(16), T.int64(1), 16)] * T.Broadcast(s[T.int64(0)], 16)
    B.vstore([T.Ramp(T.int64(32), T.int64(1), 8)], A.vload([T.Ramp(T.int64(32), T.int64(1), 8)], predicate=T.Ramp(T.int64(0), T.int64(1), 8) < T.Broadcast(T.int64(6), 8)) * T.Broadcast(s[T.int64(0)], 8), predicate=T.Ramp(T.int64(0), T.int64(1), 8) < T.Broadcast(T.int64(6), 8))
)");
}

TEST(VectorizeLoops, AnAccumulationOverTheLanesStaysSerialAndSaysWhy) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((32,), "float32"), B: T.Buffer((1,), "float32")):
    B[T.int64(0)] = T.float32(0)
    for j in T.vectorized(T.int64(32)):
        B[T.int64(0)] = B[T.int64(0)] + A[j]
)");
  LowerNotes notes;
  const PrimFunc after = vectorize_loops(before, {}, &notes);
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes[0], "loop j is not vectorized: all lanes store to one element of B");
  expect_text(after, R"(
@T.prim_func
def main(A: T.Buffer((32,), "float32"), B: T.Buffer((1,), "float32")):
    B[T.int64(0)] = T.float32(0)
    for j in range(T.int64(32)):
        B[T.int64(0)] = B[T.int64(0)] + A[j]
)");
}

TEST(JoinCopies, ContiguousRangesAreCopiedAsOne) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((36,), "float32"), B: T.Buffer((60,), "float32")):
    for h in range(T.int64(3)):
        for w in range(T.int64(1)):
            for c in range(T.int64(3)):
                B[h * T.int64(18) + w * T.int64(3) + c] = T.float32(0)
        for w in range(T.int64(1), T.int64(5)):
            for c in T.vectorized(T.int64(3)):
                B[h * T.int64(18) + w * T.int64(3) + c] = A[h * T.int64(12) + w * T.int64(3) + c - T.int64(3)]
        for w in range(T.int64(5), T.int64(6)):
            for c in range(T.int64(3)):
                B[h * T.int64(18) + w * T.int64(3) + c] = T.float32(0)
    for i in range(T.int64(6)):
        B[i + T.int64(54)] = T.float32(1)
)");
  const PrimFunc after = join_copies(before);
  expect_text(after, R"(
@T.prim_func
def main(A: T.Buffer((36,), "float32"), B: T.Buffer((60,), "float32")):
    for h in range(T.int64(3)):
        for x in T.vectorized(T.int64(3)):
            B[h * T.int64(18) + x] = T.float32(0)
        for x in T.vectorized(T.int64(3), T.int64(15)):
            B[h * T.int64(18) + x] = A[h * T.int64(12) + x - T.int64(3)]
        for x in T.vectorized(T.int64(15), T.int64(18)):
            B[h * T.int64(18) + x] = T.float32(0)
    for i in range(T.int64(6)):
        B[i + T.int64(54)] = T.float32(1)
)");
  EXPECT_TRUE(same(*run(before), *run(after)));
}

TEST(JoinCopies, OtherNestsAreLeftAlone) {
  for (const char* body : {"B[i * T.int64(4) + j] = A[i * T.int64(5) + j]",
                           "B[i * T.int64(4) + j] = A[j * T.int64(4) + i]",
                           "B[i * T.int64(4) + j] = A[i * T.int64(4) + j] + T.float32(1)",
                           "A[i * T.int64(4) + j + T.int64(1)] = A[i * T.int64(4) + j]"}) {
    const PrimFunc before = parse(std::string(R"(
@T.prim_func
def main(A: T.Buffer((40,), "float32"), B: T.Buffer((40,), "float32")):
    for i in range(T.int64(4)):
        for j in range(T.int64(4)):
            )") + body + "\n");
    EXPECT_EQ(join_copies(before)->body, before->body) << body;
  }
}

/// C = A * B (but for the last element, which a store shows to be an output) by tiles of 16 x 32
/// sums over 32 terms each time; `clear` stands before the products.
std::string tile_products(const std::string& clear, const std::string& start) {
  const std::string sums = "C[m * T.int64(1024)";
  const std::string a = "A[m * T.int64(1024) + k * T.int64(32)";
  const std::string b = "B[k * T.int64(2048)";
  return R"(
@T.prim_func
def main(A: T.Buffer((2048,), "float32"), B: T.Buffer((4096,), "float32"), C: T.Buffer((2049,), "float32")):
    C[T.int64(2048)] = T.float32(1)
    for m in range(T.int64(2)):
)" + clear +
         "        for k in range(T.int64(2)):\n            T.amx_multiply_add(\"int32\", " + sums +
         "], " + sums + " + T.int64(64)], " + sums + " + T.int64(991)], " + a + "], " + a +
         " + T.int64(64)], " + a + " + T.int64(991)], " + b + "], " + b + " + T.int64(64)], " + b +
         " + T.int64(2015)], 16, 32, 32, " + start + ")\n";
}

/// Sets sums to zero: rows from `first` on, `rows` of them, in steps of `stride`.
std::string clearing(int first, int rows, int stride, const char* value = "T.float32(0)") {
  const auto number = [](int n) { return "T.int64(" + std::to_string(n) + ")"; };
  return "        for i in range(" + number(rows) +
         "):\n            for j in T.vectorized(T.int64(32)):\n                C[m * T.int64(1024) "
         "+ "
         "i * " +
         number(stride) + " + j + " + number(first) + "] = " + value + "\n";
}

TEST(StartTileSums, ProductsOfClearedSumsStartFromZero) {
  const PrimFunc before = parse(tile_products(clearing(0, 16, 64), "0"));
  const PrimFunc after = start_tile_sums(before);
  expect_text(after, tile_products("", "T.int32(k == T.int64(0))"));
  EXPECT_TRUE(same(*run(before), *run(after)));
}

TEST(StartTileSums, WhatIsNotClearedAsAWholeCounts) {
  for (const std::string& clear :
       {clearing(0, 15, 64), clearing(64, 16, 64), clearing(0, 16, 32),
        clearing(0, 16, 64, "T.float32(1)"), clearing(0, 16, 128), std::string()}) {
    const PrimFunc before = parse(tile_products(clear, "0"));
    EXPECT_EQ(start_tile_sums(before)->body, before->body) << clear;
  }
  const PrimFunc once = parse(tile_products(clearing(0, 16, 64), "T.int32(k == T.int64(0))"));
  EXPECT_EQ(start_tile_sums(once)->body, once->body) << "decided already";
}

/// Copies A to B, A[j * from + d] to B[d * to + j].
std::string transposing_copy(int64_t d, int64_t j, int64_t from, int64_t to, const char* inner) {
  const auto number = [](int64_t value) { return "T.int64(" + std::to_string(value) + ")"; };
  return R"(
@T.prim_func
def main(A: T.Buffer(()" +
         std::to_string(j * from) + R"(,), "float32"), B: T.Buffer(()" + std::to_string(d * to) +
         R"(,), "float32")):
    for d in range()" +
         number(d) + R"():
        for j in )" +
         inner + "(" + number(j) + R"():
            B[d * )" +
         number(to) + " + j] = A[j * " + number(from) + " + d]\n";
}

TEST(TransposeTiles, ACopyThatTransposesHasVectorsOnBothSides) {
  struct {
    int64_t d, j, from, to;
    bool full;
  } const cases[] = {{16, 16, 16, 16, true}, {32, 48, 40, 64, true},  {8, 8, 9, 8, true},
                     {4, 4, 4, 6, true},     {64, 14, 70, 14, false}, {21, 35, 21, 35, false},
                     {5, 6, 8, 7, false}};
  for (const auto& c : cases)
    for (const char* inner : {"range", "T.unroll", "T.vectorized"}) {
      SCOPED_TRACE(transposing_copy(c.d, c.j, c.from, c.to, inner));
      const PrimFunc before = parse(transposing_copy(c.d, c.j, c.from, c.to, inner));
      for (const int bits : {512, 256}) {
        LowerOptions options;
        options.vector_bits = bits;
        const PrimFunc after = transpose_tiles(before, options);
        EXPECT_TRUE(verify(after)) << verify(after).error().to_string();
        EXPECT_TRUE(same(*run(before), *run(after)));
        int scalars = 0;
        bool masks = false;
        walk(after->body, [&](const NodeRef& node) {
          const auto* load = node.as<BufferLoad>();
          scalars += load != nullptr && load->dtype.is_scalar() ? 1 : 0;
          masks |= load != nullptr && load->predicate;
          return true;
        });
        EXPECT_EQ(scalars, 0);
        EXPECT_TRUE(!c.full || !masks);
      }
    }
}

TEST(TransposeTiles, WithoutMasksOnlyWholeTiles) {
  LowerOptions sse;
  sse.vector_bits = 128;
  const PrimFunc whole = parse(transposing_copy(8, 12, 8, 12, "range"));
  const PrimFunc after = transpose_tiles(whole, sse);
  EXPECT_NE(after, whole);
  EXPECT_TRUE(same(*run(whole), *run(after)));
  const PrimFunc rest = parse(transposing_copy(8, 13, 8, 13, "range"));
  EXPECT_EQ(transpose_tiles(rest, sse)->body, rest->body);
}

TEST(TransposeTiles, OtherCopiesAreLeftAlone) {
  for (const char* text : {R"(
@T.prim_func
def main(A: T.Buffer((256,), "float32"), B: T.Buffer((256,), "float32")):
    for i in range(T.int64(16)):
        for j in range(T.int64(16)):
            B[i * T.int64(16) + j] = A[i * T.int64(16) + j]
)",
                           // Elements are written twice: the order counts.
                           R"(
@T.prim_func
def main(A: T.Buffer((256,), "float32"), B: T.Buffer((256,), "float32")):
    for i in range(T.int64(16)):
        for j in range(T.int64(16)):
            B[i * T.int64(8) + j] = A[j * T.int64(16) + i]
)",
                           // Too narrow to pay.
                           R"(
@T.prim_func
def main(A: T.Buffer((64,), "float32"), B: T.Buffer((64,), "float32")):
    for i in range(T.int64(16)):
        for j in range(T.int64(3)):
            B[i * T.int64(3) + j] = A[j * T.int64(16) + i]
)"}) {
    const PrimFunc before = parse(text);
    EXPECT_EQ(transpose_tiles(before, {})->body, before->body) << text;
  }
}

TEST(PromoteRegisters, ATileLivesInALocalBufferAcrossTheReduction) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((64,), "float32"), C: T.Buffer((2,), "float32")):
    for k in range(T.int64(32)):
        for i in range(T.int64(2)):
            C[i] = C[i] + A[i * T.int64(32) + k]
)");
  expect_text(promote_registers(before, {}), R"(
@T.prim_func
def main(A: T.Buffer((64,), "float32"), C: T.Buffer((2,), "float32")):
    r = T.alloc_buffer((T.int64(2),), scope="local")
    r[T.int64(0)] = C[T.int64(0)]
    r[T.int64(1)] = C[T.int64(1)]
    for k in range(T.int64(32)):
        r[T.int64(0)] = r[T.int64(0)] + A[k]
        r[T.int64(1)] = r[T.int64(1)] + A[k + T.int64(32)]
    C[T.int64(0)] = r[T.int64(0)]
    C[T.int64(1)] = r[T.int64(1)]
)");
}

TEST(PromoteRegisters, WhatSetsTheTileBeforeTheLoopSetsRegisters) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((64,), "float32"), C: T.Buffer((3,), "float32")):
    C[T.int64(2)] = T.float32(7)
    for i in range(T.int64(2)):
        C[i] = T.float32(0)
    for k in range(T.int64(32)):
        for i in range(T.int64(2)):
            C[i] = C[i] + A[i * T.int64(32) + k]
)");
  const PrimFunc after = promote_registers(before, {});
  expect_text(after, R"(
@T.prim_func
def main(A: T.Buffer((64,), "float32"), C: T.Buffer((3,), "float32")):
    C[T.int64(2)] = T.float32(7)
    r = T.alloc_buffer((T.int64(2),), scope="local")
    r[T.int64(0)] = T.float32(0)
    r[T.int64(1)] = T.float32(0)
    for k in range(T.int64(32)):
        r[T.int64(0)] = r[T.int64(0)] + A[k]
        r[T.int64(1)] = r[T.int64(1)] + A[k + T.int64(32)]
    C[T.int64(0)] = r[T.int64(0)]
    C[T.int64(1)] = r[T.int64(1)]
)");
  EXPECT_TRUE(same(*run(before), *run(after)));
}

TEST(PromoteRegisters, AVectorsTailIsATileUnderItsMask) {
  // Rows of 3, in vectors of 4: the last lane of one is the first of the next row.
  const PrimFunc before = vectorize_loops(parse(R"(
@T.prim_func
def main(A: T.Buffer((64,), "float32"), B: T.Buffer((96,), "float32"), C: T.Buffer((6,), "float32")):
    for i in range(T.int64(2)):
        for j in T.vectorized(T.int64(3)):
            C[i * T.int64(3) + j] = T.float32(0)
    for k in range(T.int64(32)):
        for i in range(T.int64(2)):
            for j in T.vectorized(T.int64(3)):
                C[i * T.int64(3) + j] = C[i * T.int64(3) + j] + A[i * T.int64(32) + k] * B[k * T.int64(3) + j]
)"),
                                          {}, nullptr);
  const PrimFunc after = promote_registers(before, {});
  const auto* seq = after->body.as<tir::SeqStmt>();
  ASSERT_NE(seq, nullptr) << script::to_text(after);
  const auto* last = seq->statements.back().as<tir::BufferStore>();
  ASSERT_NE(last, nullptr);
  EXPECT_TRUE(static_cast<bool>(last->predicate));
  EXPECT_TRUE(same(*run(before), *run(after)));
}

TEST(PromoteRegisters, LeavesMemoryAloneThatIsOnlySometimesTouched) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((32,), "float32"), C: T.Buffer((1,), "float32")):
    for k in range(T.int64(32)):
        if A[k] < T.float32(0):
            C[T.int64(0)] = C[T.int64(0)] + A[k]
)");
  EXPECT_EQ(promote_registers(before, {})->body, before->body);
}

TEST(PromoteRegisters, ATileThatDoesNotFitTheRegisterFileStaysInMemory) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((32,), "float32"), C: T.Buffer((16,), "float32")):
    for k in range(T.int64(32)):
        for i in range(T.int64(16)):
            C[i] = C[i] + A[k]
)");
  LowerOptions sse;
  sse.vector_bits = 128;
  sse.vector_registers = 16; // 12 for tiles
  EXPECT_EQ(promote_registers(before, sse)->body, before->body);
  EXPECT_NE(promote_registers(before, {})->body, before->body);
}

TEST(UnrollLoops, PragmasUnrollAsFarAsTheyAllow) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((24,), "float32")):
    for i in T.serial(T.int64(4), annotations={"pragma_auto_unroll_max_step": 8, "pragma_unroll_explicit": 1}):
        for j in range(T.int64(3)):
            A[i * T.int64(3) + j] = T.float32(1)
            A[i * T.int64(3) + j + T.int64(12)] = T.float32(2)
)");
  expect_text(unroll_loops(before, {}), R"(
@T.prim_func
def main(A: T.Buffer((24,), "float32")):
    for i in range(T.int64(4)):
        A[i * T.int64(3)] = T.float32(1)
        A[i * T.int64(3) + T.int64(12)] = T.float32(2)
        A[i * T.int64(3) + T.int64(1)] = T.float32(1)
        A[i * T.int64(3) + T.int64(13)] = T.float32(2)
        A[i * T.int64(3) + T.int64(2)] = T.float32(1)
        A[i * T.int64(3) + T.int64(14)] = T.float32(2)
)");
}

TEST(UnrollLoops, StatementsThatDoNotMentionTheVariableAreCopiedToo) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((4,), "float32"), n: T.int32):
    for i in T.unroll(T.int64(2)):
        A[i] = T.float32(0)
        assert n > 0, "n is not positive"
)");
  const PrimFunc after = unroll_loops(before, {});
  EXPECT_NE(after, before);
  EXPECT_TRUE(verify(after)) << verify(after).error().to_string();
}

TEST(InsertPrefetches, EachLineIsAskedForOnceSoManyStatementsBefore) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((64,), "float32"), B: T.Buffer((1024,), "float32"), C: T.Buffer((16,), "float32")):
    for k in T.serial(T.int64(32), annotations={"temper.prefetch": 12}):
        C[T.Ramp(T.int64(0), T.int64(1), 8)] = C[T.Ramp(T.int64(0), T.int64(1), 8)] + T.Broadcast(A[k], 8) * B[T.Ramp(k * T.int64(32), T.int64(1), 8)]
        C[T.Ramp(T.int64(8), T.int64(1), 8)] = C[T.Ramp(T.int64(8), T.int64(1), 8)] + T.Broadcast(A[k], 8) * B[T.Ramp(k * T.int64(32) + T.int64(8), T.int64(1), 8)]
        C[T.Ramp(T.int64(0), T.int64(1), 8)] = C[T.Ramp(T.int64(0), T.int64(1), 8)] + T.Broadcast(A[k], 8) * B[T.Ramp(k * T.int64(32) + T.int64(16), T.int64(1), 8)]
)");
  // Eight floats are half a line; 12 statements are four rounds of three.
  expect_text(insert_prefetches(before), R"(
@T.prim_func
def main(A: T.Buffer((64,), "float32"), B: T.Buffer((1024,), "float32"), C: T.Buffer((16,), "float32")):
    for k in range(T.int64(32)):
        T.prefetch("int32", B[k * T.int64(32) + T.int64(128)], 0, 3)
        C[T.Ramp(T.int64(0), T.int64(1), 8)] = C[T.Ramp(T.int64(0), T.int64(1), 8)] + T.Broadcast(A[k], 8) * B[T.Ramp(k * T.int64(32), T.int64(1), 8)]
        C[T.Ramp(T.int64(8), T.int64(1), 8)] = C[T.Ramp(T.int64(8), T.int64(1), 8)] + T.Broadcast(A[k], 8) * B[T.Ramp(k * T.int64(32) + T.int64(8), T.int64(1), 8)]
        T.prefetch("int32", B[k * T.int64(32) + T.int64(144)], 0, 3)
        C[T.Ramp(T.int64(0), T.int64(1), 8)] = C[T.Ramp(T.int64(0), T.int64(1), 8)] + T.Broadcast(A[k], 8) * B[T.Ramp(k * T.int64(32) + T.int64(16), T.int64(1), 8)]
)");
}

TEST(InsertPrefetches, WhatTheLoopWritesOrDoesNotMoveOverIsLeftAlone) {
  const char* after = R"(
@T.prim_func
def main(A: T.Buffer((1024,), "float32"), C: T.Buffer((1024,), "float32")):
    for k in range(T.int64(32)):
        C[T.Ramp(k * T.int64(32), T.int64(1), 8)] = C[T.Ramp(k * T.int64(32) + T.int64(8), T.int64(1), 8)] + A[T.Ramp(T.int64(16), T.int64(1), 8)] + A[T.Ramp(k * k, T.int64(1), 8)]
    for k in range(T.int64(4)):
        for i in range(T.int64(4)):
            C[T.Ramp(k * T.int64(32), T.int64(1), 8)] = A[T.Ramp(k * T.int64(32) + i, T.int64(1), 8)]
)";
  std::string before = after;
  for (const char* extent : {"32", "4"}) {
    const std::string loop = std::string("k in range(T.int64(") + extent + "))";
    before.replace(before.find(loop), loop.size(),
                   std::string("k in T.serial(T.int64(") + extent +
                       "), annotations={\"temper.prefetch\": 12})");
  }
  expect_text(insert_prefetches(parse(before)), after);
}

TEST(RemoveDead, AChainOfBuffersThatNoOutputNeedsGoes) {
  const PrimFunc before = parse(R"(
@T.prim_func
def main(A: T.Buffer((4,), "float32"), B: T.Buffer((4,), "float32")):
    t = T.alloc_buffer((4,))
    u = T.alloc_buffer((4,))
    for i in range(T.int64(4)):
        t[i] = A[i]
    for i in range(T.int64(4)):
        u[i] = u[i] + t[i]
    for i in range(T.int64(4)):
        B[i] = A[i]
)");
  expect_text(remove_dead(before), R"(
@T.prim_func
def main(A: T.Buffer((4,), "float32"), B: T.Buffer((4,), "float32")):
    for i in range(T.int64(4)):
        B[i] = A[i]
)");
}

TEST(WidenForReference, InputsKeepTheirTypeAndEverythingElseIsFloat64) {
  const PrimFunc before = parse(R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 6), "float32"), I: T.Buffer((8,), "int32"), C: T.Buffer((8,), "float32")):
    t = T.sblock_alloc_buffer((8,))
    for i, k in T.grid(8, 6):
        with T.sblock("t"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                t[vi] = T.float32(0)
            t[vi] = t[vi] + T.exp(A[vi, vk]) * T.float32(0.1)
    for i in range(8):
        with T.sblock("C"):
            vi = T.axis.spatial(8, i)
            C[vi] = t[vi] * T.Cast("float32", I[vi])
)");
  const PrimFunc after = widen_for_reference(before);
  EXPECT_EQ(after->params[0].buffer->dtype, DataType::float32());
  EXPECT_EQ(after->params[1].buffer->dtype, DataType::int32());
  EXPECT_EQ(after->params[2].buffer->dtype, DataType::float64());
  EXPECT_TRUE(verify(after)) << script::to_text(after);
  EXPECT_TRUE(same(*run(before), *run(after), 1e-5));
  ASSERT_TRUE(lower_step_by_step(after));
}

TEST(WidenForReference, ACastToFewerBitsInsideOfOneToMoreRounds) {
  const PrimFunc after = widen_for_reference(parse(R"(
@T.prim_func
def main(A: T.Buffer((8,), "float32"), B: T.Buffer((8,), "float32"), H: T.Buffer((8,), "float16")):
    for i in range(8):
        B[i] = T.Cast("float32", T.Cast("float16", A[i]))
        H[i] = T.Cast("float16", A[i])
)"));
  expect_text(after, R"(
@T.prim_func
def main(A: T.Buffer((8,), "float32"), B: T.Buffer((8,), "float64"), H: T.Buffer((8,), "float64")):
    for i in range(8):
        B[i] = T.Cast("float64", T.Cast("float16", T.Cast("float64", A[i])))
        H[i] = T.Cast("float64", A[i])
)");
}

TEST(CheckLowerable, ThreadBindingsAndSymbolicShapesAreRefusedInOneSentence) {
  const PrimFunc bound = parse(R"(
@T.prim_func
def main(A: T.Buffer((4,), "float32")):
    for i in T.thread_binding(4, thread="threadIdx.x"):
        A[i] = T.float32(1)
)");
  const auto refused = check_lowerable(bound);
  ASSERT_FALSE(refused);
  Result<void> copy = refused;
  EXPECT_NE(copy.error().message.find("threadIdx.x"), std::string::npos);
}

} // namespace
} // namespace temper::ir::testing
