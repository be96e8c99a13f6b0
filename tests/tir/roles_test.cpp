// Roles with tile operators in them: copies by one warpgroup, products by another, stages handed
// over through mbarriers. Only the interpreter runs such programs.
#include "ir/tir/roles.h"

#include "codegen/lower_gpu.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/tir/emulator/thread_loops.h"
#include "tests/tir/emulated_programs.h"

namespace temper::tir {
namespace {

const std::string kProduct = R"(
@T.prim_func
def main(A: T.Tensor((64, 128), "float16"), B: T.Tensor((128, 32), "float16"), C: T.Tensor((64, 32), "float32")):
    with T.Kernel(1, threads=256) as bx:
        A_shared = T.alloc_shared((2, 64, 32), "float16")
        B_shared = T.alloc_shared((2, 32, 32), "float16")
        C_local = T.alloc_fragment((64, 32), "float32")
        full = T.alloc_barrier([128, 128])
        empty = T.alloc_barrier([128, 128])
        with T.ws(0):
            for k in T.serial(4):
                T.barrier_wait(empty[k % 2], (k // 2 + 1) % 2)
                T.copy(A[0:64, k * 32:k * 32 + 32], A_shared[k % 2, 0:64, 0:32])
                T.copy(B[k * 32:k * 32 + 32, 0:32], B_shared[k % 2, 0:32, 0:32])
                T.barrier_arrive(full[k % 2])
        with T.ws(1):
            T.clear(C_local)
            for k in T.serial(4):
                T.barrier_wait(full[k % 2], k // 2 % 2)
                T.gemm(A_shared[k % 2, 0:64, 0:32], B_shared[k % 2, 0:32, 0:32], C_local)
                T.barrier_arrive(empty[k % 2])
            T.copy(C_local, C)
)";

Result<PrimFunc> lowered(const std::string& text) {
  const PrimFunc program = parsed(text);
  if (!program)
    return Error(ErrorCode::kInvalidArgument, "it does not parse");
  TEMPER_TRY(target, parse_target("cuda:sm_90a"));
  TEMPER_TRY(module, codegen::lower_for_gpu(make_module(program), target));
  return module->functions[0].function.as_ref<PrimFuncNode>();
}

std::string refusal(const std::string& text) {
  const auto function = lowered(text);
  return function ? "accepted" : function.error().message;
}

struct Matrices {
  Halves a{64 * 128, 5}, b{128 * 32, 6};
  std::vector<float> c = std::vector<float>(64 * 32);
  std::vector<InterpretArgument> arguments() { return {a.view(), b.view(), output(c)}; }
  void expect_product() const {
    for (size_t i = 0; i < 64; ++i)
      for (size_t j = 0; j < 32; ++j) {
        float sum = 0;
        for (size_t k = 0; k < 128; ++k)
          sum += a.values[i * 128 + k] * b.values[k * 32 + j];
        ASSERT_EQ(c[i * 32 + j], sum) << i << ", " << j;
      }
  }
};

TEST(Roles, operators_are_run_by_the_warps_of_their_role) {
  auto function = lowered(kProduct);
  ASSERT_TRUE(function) << function.error().message;
  const std::string text = script::to_text(*function);
  EXPECT_NE(text.find("T.ptx_mma("), std::string::npos) << text;
  EXPECT_NE(text.find("T.sync_threads(2, 128)"), std::string::npos) << text;
  auto again = script::parse_prim_func(text, "lowered.py");
  ASSERT_TRUE(again) << text << again.error().to_string();
  EXPECT_TRUE(structural_equal(*again, *function)) << text;
  Matrices matrices;
  auto report = emulate_thoroughly(*function, matrices.arguments());
  ASSERT_TRUE(report) << report.error().message << "\n" << text;
  matrices.expect_product();
  EXPECT_FALSE(thread_loops(*function)) << "loops over threads know no roles";
}

TEST(Roles, conditions_on_the_warpgroup_are_the_same) {
  std::string text = replaced(kProduct, "with T.ws(0):", "if T.get_warp_group_idx() == 0:");
  text = replaced(text, "        with T.ws(1):", "        else:");
  auto function = lowered(text);
  ASSERT_TRUE(function) << function.error().message;
  Matrices matrices;
  auto report = emulate_thoroughly(*function, matrices.arguments());
  ASSERT_TRUE(report) << report.error().message;
  matrices.expect_product();
}

TEST(Roles, mistakes_between_them_are_found_with_their_lines) {
  Matrices matrices;
  const auto found = [&](const std::string& from, const std::string& to) {
    auto function = lowered(replaced(kProduct, from, to));
    EXPECT_TRUE(function) << function.error().message;
    return function ? error_of(*function, matrices.arguments()) : std::string();
  };
  // The product does not wait for the copy: line 20 is the product, 13 is the copy.
  expect_found(found("T.barrier_wait(full[k % 2], k // 2 % 2)", "pass"),
               {"line 20", "race on A_shared[", "line 13"});
  // The copy does not wait for the product that reads the stage.
  expect_found(found("T.barrier_wait(empty[k % 2], (k // 2 + 1) % 2)", "pass"),
               {"race on", "_shared[", "line 20"});
  // Wrong phase bits, of either side.
  expect_found(found("full[k % 2], k // 2 % 2", "full[k % 2], (k // 2 + 1) % 2"),
               {"line 20", "the wait for parity 1 of full[0] (line 19) passed at once"});
  expect_found(found("empty[k % 2], (k // 2 + 1) % 2", "empty[k % 2], k // 2 % 2"),
               {"deadlock", "line 12", "parity 0 of empty[0]"});
}

/// Threads 0 to 127 of 256 turn `A` round in shared memory; `barrier` stands between.
std::string turned(const std::string& condition, const std::string& barrier) {
  return R"(
@T.prim_func
def main(A: T.Tensor((128,), "float32"), B: T.Tensor((128,), "float32")):
    with T.Kernel(1, threads=256) as bx:
        tx = T.get_thread_binding(0)
        S = T.alloc_shared((128,), "float32")
        )" +
         condition +
         R"(:
            S[tx] = A[tx]
            )" +
         barrier + R"(
            B[tx] = S[tx ^ 1]
)";
}

TEST(Roles, barriers_in_them_are_theirs_without_tile_operators) {
  std::vector<float> a = numbers(128), b(128);
  const auto expect_turned = [&](const std::string& text, const char* barrier, int count) {
    auto function = lowered(text);
    ASSERT_TRUE(function) << function.error().message;
    const std::string printed = script::to_text(*function);
    EXPECT_NE(printed.find(barrier), std::string::npos) << printed;
    std::fill(b.begin(), b.end(), 0.0f);
    auto report = emulate_thoroughly(*function, std::vector<InterpretArgument>{input(a), input(b)});
    ASSERT_TRUE(report) << report.error().message << printed;
    int right = 0;
    for (size_t i = 0; i < 128; ++i)
      right += b[i] == a[i ^ 1] ? 1 : 0;
    EXPECT_GE(right, count);
  };
  const std::string barrier = "T.sync_threads()";
  expect_turned(turned("with T.ws(0)", barrier), "T.sync_threads(1, 128)", 128);
  expect_turned(turned("if T.get_warp_idx() < 2", barrier), "T.sync_threads(1, 64)", 64);
  // Warps that do not lie side by side; one inside of another; a single one.
  expect_turned(turned("if T.get_warp_idx() == 0 or T.get_warp_idx() == 3", barrier),
                "T.sync_threads(1, 64)", 64);
  expect_turned(turned("with T.ws(0)", "if T.get_warp_idx() % 2 == 1:\n                " + barrier +
                                           "\n            T.sync_threads()"),
                "T.sync_threads(1, 64)", 128);
  expect_turned(turned("if T.get_warp_idx() == 2", barrier), "T.sync_warp()", 32);
  expect_turned(turned("with T.ws(0)", "for k in T.serial(2):\n                " + barrier),
                "T.sync_threads(1, 128)", 128);
}

TEST(Roles, barriers_for_some_threads_of_a_warp_are_divergent) {
  std::vector<float> a = numbers(128), b(128);
  const auto found = [&](const std::string& condition) {
    auto function = lowered(turned(condition, "T.sync_threads()"));
    EXPECT_TRUE(function) << function.error().message;
    return function ? error_of(*function, {input(a), input(b)}) : std::string();
  };
  expect_found(found("if tx < 40"), {"line 9", "divergent barrier"});
  expect_found(found("if T.get_warp_idx() == 0 and A[tx] > T.float32(-100)"),
               {"line 9", "divergent barrier"});
}

TEST(Roles, barriers_of_the_program_stay_beside_those_of_operators) {
  const std::string text = R"(
@T.prim_func
def main(A: T.Tensor((32, 32), "float16"), B: T.Tensor((32, 32), "float32")):
    with T.Kernel(1, threads=128) as bx:
        S = T.alloc_shared((32, 32), "float16")
        D = T.alloc_shared((32, 32), "float32")
        T.copy(A, S)
        if T.get_warp_idx() == 2:
            C = T.alloc_fragment((32, 32), "float32")
            T.clear(C)
            T.gemm(S, S, C, transpose_B=True)
            T.sync_threads()
            T.copy(C, D)
        T.copy(D, B)
)";
  const auto barriers = [](const std::string& of) {
    auto function = lowered(of);
    EXPECT_TRUE(function) << function.error().message;
    const std::string printed = function ? script::to_text(*function) : "";
    int count = 0;
    for (size_t at = 0; (at = printed.find("T.sync_warp()", at)) != std::string::npos; ++at)
      ++count;
    return count;
  };
  EXPECT_EQ(barriers(text), 1);
  EXPECT_EQ(barriers(replaced(text, "            T.sync_threads()\n", "")), 0);
  EXPECT_EQ(barriers(replaced(text, "T.get_warp_idx() == 2", "T.get_warp_idx() >= 0")), 0);
}

TEST(Roles, a_fragment_belongs_to_one_of_them) {
  expect_found(
      refusal(replaced(kProduct, "            T.copy(C_local, C)", "        T.copy(C_local, C)")),
      {"line 22, column 9: the fragment C_local is used by the whole block here and by threads "
       "128 to 255 in line 17",
       "copy it through shared memory"});
}

TEST(Roles, are_whole_warps_side_by_side) {
  expect_found(refusal(replaced(kProduct, "with T.ws(0):", "if T.get_thread_binding(0) < 100:")),
               {"line 10", "threads 0 to 99 of 256", "whole warps of 32"});
  expect_found(refusal(replaced(kProduct, "with T.ws(0):", "if T.get_warp_idx() % 2 == 0:")),
               {"line 10", "warps side by side"});
  expect_found(refusal(replaced(kProduct, "with T.ws(0):",
                                "if T.get_warp_group_idx() == 0 and A[0, 0] > T.float16(0):")),
               {"line 10", "must depend on the thread alone"});
}

} // namespace
} // namespace temper::tir
