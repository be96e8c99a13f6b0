// Pipelines whose copies a warp of its own makes, and products that are under way while they run:
// what they compute under every timing, against what the program means.
#include "ir/tir/pipeline.h"

#include "codegen/lower_gpu.h"
#include "ir/script/printer.h"
#include "ir/support/text.h"
#include "ir/tir/gpu_architecture.h"
#include "ir/tir/lower_simt.h"
#include "ir/tir/lower_tiles.h"
#include "tests/tir/emulated_programs.h"

#include <fmt/format.h>

namespace temper::tir {
namespace {

/// C of 128 x 64 by two blocks of rows, eight steps each. `before` says where `row` is; `product`
/// stands where the operands are there.
std::string product(const std::string& before, const std::string& product, int tma = 2,
                    int stages = 3) {
  return fmt::format(
      R"(
@T.prim_func
def main(A: T.Tensor((128, 256), "float16"), B: T.Tensor((64, 256), "float16"), C: T.Tensor((128, 64), "float32")):
    with T.Kernel(2, threads=128) as by:
        A_shared = T.alloc_shared((64, 32), "float16")
        B_shared = T.alloc_shared((64, 32), "float16")
        C_local = T.alloc_fragment((64, 64), "float32")
        start = T.alloc_var("int32", 0)
{}        T.clear(C_local)
        for k in T.Pipelined(8, num_stages={}, annotations={{"tma": {}}}):
            T.copy(A[row, k * 32], A_shared)
            T.copy(B[0, k * 32], B_shared)
{}        T.warpgroup_wait(0)
        T.copy(C_local, C[by * 64, 0])
)",
      before, stages, tma, product);
}
constexpr const char* kRow = "        row: T.let = by * 64\n";
std::string gemm(const std::string& more = "", int indent = 12) {
  return std::string(static_cast<size_t>(indent), ' ') +
         "T.gemm(A_shared, B_shared, C_local, transpose_B=True" + more +
         ", annotations={\"variant\": \"wgmma\"})\n";
}

Result<PrimFunc> lowered(const std::string& text, const char* target = "cuda:sm_90a") {
  const PrimFunc program = parsed(text);
  if (!program)
    return Error(ErrorCode::kInvalidArgument, "it does not parse");
  TEMPER_TRY(gpu, parse_target(target));
  TEMPER_TRY(module, codegen::lower_for_gpu(make_module(program), gpu));
  return module->functions[0].function.as_ref<PrimFuncNode>();
}

std::string refusal(const std::string& text, const char* target = "cuda:sm_90a") {
  const auto function = lowered(text, target);
  return function ? "accepted" : function.error().message;
}

/// Lowered for sm_90a it computes, under every timing, what it means; the lowered text.
std::string expect_meaning(const std::string& text) {
  SCOPED_TRACE(text);
  const PrimFunc program = parsed(text);
  const auto function = lowered(text);
  EXPECT_TRUE(function) << function.error().message;
  // What the program means it means without waiting.
  std::string unordered;
  for (const std::string& line : split_text(text, '\n'))
    if (line.find("T.warpgroup_wait(") == std::string::npos)
      unordered += line + "\n";
  const auto meaning = tile_meaning(parsed(unordered));
  EXPECT_TRUE(meaning) << meaning.error().message;
  if (!function || !meaning)
    return {};
  const auto count = [&](size_t i) {
    return static_cast<size_t>(program->params[i].buffer->element_count().value_or(0));
  };
  Halves a(count(0), 5), b(count(1), 6);
  std::vector<float> expected(count(2)), actual(count(2));
  const auto reference = interpret(*meaning, {a.view(), b.view(), output(expected)});
  EXPECT_TRUE(reference) << reference.error().message;
  const std::vector<InterpretArgument> arguments{a.view(), b.view(), output(actual)};
  const auto report = emulate_thoroughly(*function, arguments);
  const std::string code = script::to_text(*function);
  EXPECT_TRUE(report) << report.error().message << code;
  EXPECT_EQ(actual, expected) << code;
  return code;
}

/// How often a word stands in the loop that multiplies.
int in_loop(const std::string& code, const std::string& word) {
  const size_t product = code.find("T.ptx_wgmma_ss(");
  const size_t begin = code.rfind("for k in range", product);
  const size_t indent = begin - code.rfind('\n', begin) - 1;
  int found = 0;
  for (const std::string& line : split_text(code.substr(code.find('\n', begin) + 1), '\n')) {
    if (line.find_first_not_of(' ') <= indent)
      break;
    found += line.find(word) != std::string::npos ? 1 : 0;
  }
  return found;
}

// The warp that copies left out what was written inside of loops and conditions.
TEST(Pipeline, a_warp_of_its_own_follows_scalars_through_loops_and_conditions) {
  expect_meaning(product("        for b in T.serial(by):\n"
                         "            start = start + 64\n"
                         "        row: T.let = start\n",
                         gemm()));
  expect_meaning(product("        if by > 0:\n"
                         "            start = 64\n"
                         "        row: T.let = start\n",
                         gemm()));
  expect_meaning(product("        while start < by * 64:\n"
                         "            if start % 32 == 0:\n"
                         "                start = start + 32\n"
                         "        row: T.let = start\n",
                         gemm()));
}

// Two tiles by one block; the scalar that says when all is done is counted by the loop itself.
constexpr const char* kTiles = R"(
@T.prim_func
def main(A: T.Tensor((128, 256), "float16"), B: T.Tensor((64, 256), "float16"), C: T.Tensor((128, 64), "float32")):
    with T.Kernel(1, threads=128) as b:
        A_shared = T.alloc_shared((64, 32), "float16")
        B_shared = T.alloc_shared((64, 32), "float16")
        C_local = T.alloc_fragment((64, 64), "float32")
        done = T.alloc_var("int32", 0)
        while done < 16:
            row: T.let = done // 8 * 64
            T.clear(C_local)
            for k in T.Pipelined(8, num_stages=3, annotations={"tma": 2}):
                T.copy(A[row, k * 32], A_shared)
                T.copy(B[0, k * 32], B_shared)
                T.gemm(A_shared, B_shared, C_local, transpose_B=True, annotations={"variant": "wgmma"})
                done = done + 1
            T.copy(C_local, C[row, 0])
)";

TEST(Pipeline, a_warp_of_its_own_counts_what_the_loop_counts) {
  expect_meaning(kTiles);
  // The other way round, behind a condition after the loop.
  expect_meaning(replaced(replaced(kTiles, "                done = done + 1\n", ""),
                          "            T.copy(C_local, C[row, 0])\n",
                          "            T.copy(C_local, C[row, 0])\n"
                          "            if row < 128:\n"
                          "                done = done + 8\n"));
}

TEST(Pipeline, what_a_warp_of_its_own_cannot_know_is_refused) {
  const std::string shared = product("        rows = T.alloc_shared((2,), \"int32\")\n"
                                     "        for i in T.Parallel(2):\n"
                                     "            rows[i] = i * 64\n"
                                     "        row: T.let = rows[by]\n",
                                     gemm());
  expect_found(refusal(shared), {"line 14, column 9: TMA: a warp of its own cannot make the copies",
                                 "takes rows, which the other threads hold"});
  expect_found(refusal(product(kRow, "            if k > by:\n                break\n" + gemm())),
               {"line 11", "its body leaves it or goes on early"});
}

// What the block itself has written is not read ahead of it.
TEST(Pipeline, what_the_kernel_writes_is_not_copied_ahead) {
  const std::string code = expect_meaning(R"(
@T.prim_func
def main(A: T.Tensor((64, 256), "float16"), B: T.Tensor((64, 256), "float16"), C: T.Tensor((64, 64), "float32")):
    twice = T.alloc_buffer((64, 256), "float16")
    with T.Kernel(1, threads=128) as b:
        A_shared = T.alloc_shared((64, 32), "float16")
        B_shared = T.alloc_shared((64, 32), "float16")
        C_local = T.alloc_fragment((64, 64), "float32")
        for i, j in T.Parallel(64, 256):
            twice[i, j] = A[i, j] * T.float16(2)
        T.clear(C_local)
        for k in T.Pipelined(8, num_stages=2, annotations={"tma": 2}):
            T.copy(twice[0, k * 32], A_shared)
            T.copy(B[0, k * 32], B_shared)
            T.gemm(A_shared, B_shared, C_local, transpose_B=True, annotations={"variant": "wgmma"})
        T.copy(C_local, C[0, 0])
)");
  EXPECT_EQ(code.find("T.tma_load("), code.rfind("T.tma_load(")) << "of B alone\n" << code;
}

TEST(Pipeline, products_under_a_condition_are_done_before_their_stage_is_free) {
  expect_meaning(product(kRow, "            if k >= 0 - by:\n" + gemm(", wg_wait=1", 16)));
  expect_meaning(
      product(kRow, "            for i in T.serial(k % 2 + 1):\n" + gemm(", wg_wait=1", 16)));
}

TEST(Pipeline, stages_are_free_as_the_program_waits_for_its_products) {
  const std::string asked = gemm(", wg_wait=-1");
  for (const int tma : {0, 1, 2}) {
    const std::string one =
        expect_meaning(product(kRow, asked + "            T.warpgroup_wait(1)\n", tma));
    // A warp of its own frees the stage of the iteration before.
    EXPECT_EQ(in_loop(one, "T.warpgroup_wait(1)"), tma == 2 ? 1 : 0) << one;
    expect_meaning(product(kRow, asked + "            T.warpgroup_wait(0)\n", tma));
    // Nothing in the loop waits.
    expect_meaning(product(kRow, asked, tma));
  }
  expect_found(refusal(product(kRow, asked + "            T.warpgroup_wait(3)\n")),
               {"3 products may be under way, which takes 4 stages"});
}

// The barrier behind the wait was dropped for the one before it.
TEST(Pipeline, operands_are_read_until_their_products_are_waited_for) {
  expect_meaning(product(kRow, gemm(", wg_wait=-1") + "            T.warpgroup_wait(0)\n", 0, 1));
}

// It lies there before the loop begins, and is fenced off from the threads' writes there.
TEST(Pipeline, an_operand_that_the_loop_does_not_write_needs_no_barrier_in_it) {
  const std::string code = expect_meaning(R"(
@T.prim_func
def main(A: T.Tensor((64, 32), "float16"), B: T.Tensor((256, 32), "float16"), C: T.Tensor((64, 64), "float32")):
    with T.Kernel(1, threads=128) as b:
        A_shared = T.alloc_shared((64, 32), "float16")
        B_shared = T.alloc_shared((64, 32), "float16")
        C_local = T.alloc_fragment((64, 64), "float32")
        T.copy(A[0, 0], A_shared)
        T.clear(C_local)
        for k in T.Pipelined(4, num_stages=2, annotations={"tma": 2}):
            T.copy(B[k * 64, 0], B_shared)
            T.gemm(A_shared, B_shared, C_local, transpose_B=True, annotations={"variant": "wgmma"})
        T.copy(C_local, C[0, 0])
)");
  EXPECT_NE(code.find("T.fence_proxy_async("), std::string::npos) << code;
  EXPECT_EQ(in_loop(code, "T.fence_proxy_async("), 0) << code;
  EXPECT_EQ(in_loop(code, "T.sync_threads("), 0) << code;
}

TEST(Pipeline, threads_meet_once_a_tile_rather_than_in_each_step) {
  const std::string code = expect_meaning(
      replaced(replaced(kTiles, "                done = done + 1\n", ""),
               "            T.copy(C_local, C[row, 0])\n",
               "            T.copy(C_local, C_shared)\n"
               "            T.copy(C_shared, C[row, 0], annotations={\"variant\": \"tma_store\"})\n"
               "            done = done + 8\n")
          .insert(std::string(kTiles).find("        C_local ="),
                  "        C_shared = T.alloc_shared((64, 64), \"float32\")\n"));
  EXPECT_NE(code.find("T.tma_store("), std::string::npos) << code;
  EXPECT_EQ(in_loop(code, "T.sync_threads("), 0) << code;
}

TEST(Pipeline, wgmma_of_bytes_has_the_columns_that_there_are) {
  const auto bytes = [](int columns) {
    std::string text = R"(
@T.prim_func
def main(A: T.Tensor((64, 64), "int8"), B: T.Tensor((N, 64), "int8"), C: T.Tensor((64, N), "int32")):
    with T.Kernel(1, threads=128) as b:
        A_shared = T.alloc_shared((64, 64), "int8")
        B_shared = T.alloc_shared((N, 64), "int8")
        C_local = T.alloc_fragment((64, N), "int32")
        T.copy(A, A_shared)
        T.copy(B, B_shared)
        T.gemm(A_shared, B_shared, C_local, transpose_B=True, clear_accum=True, annotations={"variant": "wgmma"})
        T.copy(C_local, C)
)";
    for (int i = 0; i < 4; ++i)
      text = replaced(text, "N", std::to_string(columns));
    return text;
  };
  for (const int columns : {40, 72, 120})
    expect_found(refusal(bytes(columns)),
                 {"line 10", "8 or 24 columns, or a multiple of 16, and not"});
  for (const int columns : {8, 24, 48, 144, 256}) {
    const auto function = lowered(bytes(columns));
    ASSERT_TRUE(function) << function.error().message;
    const std::string code = script::to_text(*function);
    EXPECT_NE(code.find(fmt::format("\"m64n{}k32\"", columns)), std::string::npos) << code;
  }
  // Written by hand, too.
  const auto function = lowered(bytes(24));
  ASSERT_TRUE(function) << function.error().message;
  std::vector<int8_t> a(64 * 64, 1), b(24 * 64, 1);
  std::vector<int32_t> c(64 * 24);
  const std::vector<InterpretArgument> arguments{
      ArrayView{DataType::integer(8), a.data(), static_cast<int64_t>(a.size())},
      ArrayView{DataType::integer(8), b.data(), static_cast<int64_t>(b.size())},
      ArrayView{DataType::int32(), c.data(), static_cast<int64_t>(c.size()), {}, false}};
  expect_found(error_of(replaced(script::to_text(*function), "m64n24k32", "m64n40k32"), arguments),
               {"8 or 24 columns, or a multiple of 16 up to 256, not 40"});
}

TEST(Pipeline, sm_90_has_nothing_that_is_sm_90as_alone) {
  const std::string text = product(kRow, gemm());
  expect_found(refusal(text, "cuda:sm_90"), {"wgmma is there on sm_90a alone"});
  const std::string warps = replaced(replaced(text, ", annotations={\"variant\": \"wgmma\"}", ""),
                                     "        T.warpgroup_wait(0)\n", "");
  const std::string wide = replaced(warps, "threads=128", "threads=256");
  for (const char* target : {"cuda:sm_90a", "cuda:sm_90"}) {
    const auto function = lowered(wide, target);
    ASSERT_TRUE(function) << function.error().message;
    const std::string code = script::to_text(*function);
    EXPECT_NE(code.find("T.tma_load("), std::string::npos) << code;
    EXPECT_EQ(code.find("T.setmaxnreg(") != std::string::npos, std::string(target).ends_with("a"))
        << code;
  }
  EXPECT_EQ(architecture_name(kPlainSm90), "sm_90");
}

} // namespace
} // namespace temper::tir
