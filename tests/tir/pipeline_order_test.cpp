// T.Pipelined(order=, stage=): rounds of statements, in the emulator, against what the loop means.
#include "ir/tir/pipeline_order.h"

#include "ir/script/printer.h"
#include "ir/tir/lower_simt.h"
#include "ir/tir/lower_tiles.h"
#include "ir/verify.h"
#include "ir/walk.h"
#include "tests/tir/emulated_programs.h"

namespace temper::tir {
namespace {

/// A product over EXTENT steps of 16; the statements are 0: A, 1: B, 2: the product.
constexpr const char* kProduct = R"(
@T.prim_func
def main(A: T.Tensor((32, 128), "float32"), B: T.Tensor((128, 16), "float32"), C: T.Tensor((32, 16), "float32")):
    with T.Kernel(2, threads=64) as bx:
        a = T.alloc_shared((16, 16), "float32")
        b = T.alloc_shared((16, 16), "float32")
        c = T.alloc_fragment((16, 16), "float32")
        T.clear(c)
        for k in T.Pipelined(EXTENT, ARRANGEMENT):
            row: T.let = k * 16
            T.copy(A[bx * 16, row], a)
            T.copy(B[row, 0], b)
            T.gemm(a, b, c)
        T.copy(c, C[bx * 16, 0])
)";

/// Scores, their largest and exponentials, and the second product, a round later.
constexpr const char* kAttention = R"(
@T.prim_func
def main(A: T.Tensor((32, 128), "float32"), B: T.Tensor((128, 16), "float32"), C: T.Tensor((32, 16), "float32")):
    with T.Kernel(2, threads=64) as bx:
        q = T.alloc_shared((16, 16), "float32")
        keys = T.alloc_shared((16, 16), "float32")
        values = T.alloc_shared((16, 16), "float32")
        scores = T.alloc_fragment((16, 16), "float32")
        chances = T.alloc_fragment((16, 16), "float32")
        top = T.alloc_fragment((16,), "float32")
        out = T.alloc_fragment((16, 16), "float32")
        T.copy(A[bx * 16, 0], q)
        T.clear(out)
        T.fill(top, 0)
        for k in T.Pipelined(EXTENT, ARRANGEMENT):
            T.copy(B[k * 16, 0], keys)
            T.gemm(q, keys, scores, transpose_B=True, clear_accum=True, policy="FullRow")
            T.reduce_max(scores, top, dim=1, clear=False)
            for i, j in T.Parallel(16, 16):
                chances[i, j] = scores[i, j] * 0.25 + top[i]
            T.copy(B[k * 16, 0], values)
            T.gemm(chances, values, out, policy="FullRow")
        T.copy(out, C[bx * 16, 0])
)";

std::string arranged(const char* program, const std::string& extent,
                     const std::string& arrangement) {
  return replaced(replaced(program, "EXTENT", extent), "ARRANGEMENT", arrangement);
}

bool has_operation(const PrimFunc& function, const std::string& op) {
  bool found = false;
  walk(function->body, [&](const NodeRef& node) {
    const auto* call = node.as<Call>();
    found |= call != nullptr && call->op == op;
    return true;
  });
  return found;
}

void expect_meaning(const std::string& text, int architecture) {
  SCOPED_TRACE(text + "sm_" + std::to_string(architecture));
  const PrimFunc function = parsed(text);
  ASSERT_TRUE(function);
  const auto lowered = lower_simt(function, architecture);
  ASSERT_TRUE(lowered) << lowered.error().message;
  const auto good = verify(*lowered);
  ASSERT_TRUE(good) << good.error().message;
  const auto meaning = tile_meaning(function);
  ASSERT_TRUE(meaning) << meaning.error().message;
  std::vector<float> a = numbers(32 * 128, 1, 4, 4), b = numbers(128 * 16, 2, 4, 4);
  std::vector<float> expected(512), actual(512);
  const auto reference = interpret(*meaning, {input(a), input(b), output(expected)});
  ASSERT_TRUE(reference) << reference.error().message;
  const std::vector<InterpretArgument> arguments{input(a), input(b), output(actual)};
  const auto report = emulate_thoroughly(*lowered, arguments);
  ASSERT_TRUE(report) << report.error().message << script::to_text(*lowered);
  for (size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(actual[i], expected[i], 1e-4 * std::max(1.0F, std::abs(expected[i]))) << i;
}

TEST(PipelineOrder, ComputesWhatTheLoopMeans) {
  for (const char* arrangement :
       {"order=[0, 1, 2], stage=[0, 0, 1]", "order=[0, 1, 2], stage=[0, 0, 3]",
        "order=[1, 2, 0], stage=[0, 0, 1]", "order=[2, 0, 1], stage=[0, 1, 1]",
        "order=[0, 2, 1], stage=[0, 0, 1]", "order=[1, 0], stage=[0, 2], group=[[0, 1], [2]]",
        "order=[-1, -1, 0], stage=[-1, -1, 0], num_stages=3", "order=[1, 0, 2]", "stage=[0, 1, 2]"})
    for (const char* extent : {"1", "2", "3", "8", "T.min(bx + 2, 8)", "bx * 5"})
      for (const int architecture : {80, 70})
        expect_meaning(arranged(kProduct, extent, arrangement), architecture);
}

TEST(PipelineOrder, OfTwoProductsAndWhatIsBetween) {
  for (const char* arrangement :
       {// The next scores before this round's second product: one version of each fragment does.
        "order=[0, 1, 4, 5, 2, 3], stage=[0, 0, 0, 0, 1, 1]",
        "order=[-1, 0, 3, -1, 2], stage=[-1, 0, 0, -1, 1], group=[[0], [1], [2, 3], [4], [5]]",
        "order=[0, 1, 2, 3, 4, 5], stage=[0, 1, 1, 1, 0, 1]"})
    for (const char* extent : {"1", "4", "bx + 2"})
      expect_meaning(arranged(kAttention, extent, arrangement), 80);
}

TEST(PipelineOrder, CopiesAreUnderWayWhereTheyAreReadLater) {
  const auto of = [](const char* arrangement, int architecture) {
    const auto lowered = lower_simt(parsed(arranged(kProduct, "8", arrangement)), architecture);
    EXPECT_TRUE(lowered) << lowered.error().message;
    return lowered ? *lowered : nullptr;
  };
  const PrimFunc later = of("order=[0, 1, 2], stage=[0, 0, 2]", 80);
  EXPECT_TRUE(has_operation(later, "ptx_cp_async"));
  // Three versions of each tile, of which the third is filled while the first is read.
  EXPECT_NE(script::to_text(later).find("% 3"), std::string::npos) << script::to_text(later);
  EXPECT_FALSE(has_operation(of("order=[0, 1, 2], stage=[0, 0, 2]", 70), "ptx_cp_async"));
}

TEST(PipelineOrder, WhatWouldComputeSomethingElseIsRefused) {
  const auto refused = [](const char* arrangement) {
    const auto function =
        script::parse_prim_func(arranged(kProduct, "8", arrangement), "kernel.py");
    EXPECT_FALSE(function) << arrangement;
    return function ? std::string() : function.error().message;
  };
  expect_found(refused("order=[0, 2, 1]"),
               {"T.gemm in line 13 would run before T.copy in line 12 of the same iteration",
                "both use b", "kernel.py:9:"});
  expect_found(refused("stage=[1, 0, 0]"), {"would run before", "both use a"});
  expect_found(refused("order=[0, 1]"), {"order= has 2 entries, and the loop has 3 statements"});
  expect_found(refused("order=[0, 0, 1]"), {"order= has 0 twice"});
  expect_found(refused("order=[0, 1, 2], annotations={\"tma\": 1}"), {"so does \"tma\""});
  expect_found(refused("order=[-1, 0, 1], stage=[0, 0, 0]"), {"-1 in order= alone"});
  expect_found(refused("order=[0, 1], stage=[0, 1], group=[[0], [2, 1]]"),
               {"group= names the statements one after the other"});
}

// Two rounds of one fragment at a time: registers have no versions.
TEST(PipelineOrder, FragmentsHaveOneVersion) {
  const auto function =
      script::parse_prim_func(arranged(kAttention, "8", "stage=[0, 0, 0, 0, 2, 2]"), "kernel.py");
  ASSERT_FALSE(function);
  expect_found(function.error().message, {"both use chances, of which there is one"});
}

} // namespace
} // namespace temper::tir
