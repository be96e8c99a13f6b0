// T.print: the same lines from the interpreter, from machine code, from the threads of a GPU warp
// by warp, and from those as compiled loops.
#include "codegen/cuda/print.h"
#include "codegen/lower.h"
#include "codegen/lower_gpu.h"
#include "ir/interpret.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/tir/emulator/thread_loops.h"
#include "tests/codegen/build.h"
#include "tests/tir/emulated_programs.h"

#include <algorithm>

namespace temper::codegen::testing {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr const char* kProgram = R"(
@T.prim_func
def main(A: T.Tensor((8,), "float32"), B: T.Tensor((8,), "float32")):
    with T.Kernel(2, threads=32) as bx:
        tile = T.alloc_fragment((4,), "float32")
        T.copy(A[bx * 4], tile)
        T.print("block {}: 100 % \"of\" it", bx)
        if bx == 1:
            T.print(tile, msg="tile")
            T.print(A[5])
        T.copy(tile, B[bx * 4])
)";

/// In alphabetical order: blocks and threads write in any.
const std::vector<std::string> kLines{"5.5",
                                      "block 0: 100 % \"of\" it",
                                      "block 1: 100 % \"of\" it",
                                      "tile: tile[0] = 4.5",
                                      "tile: tile[1] = 5.5",
                                      "tile: tile[2] = 6.5",
                                      "tile: tile[3] = 7.5"};

ir::IRModule program() { return ir::make_module(tir::parsed(kProgram)); }

std::vector<float> values() {
  std::vector<float> list(8);
  for (size_t i = 0; i < list.size(); ++i)
    list[i] = static_cast<float>(i) + 0.5F;
  return list;
}

template <typename F> std::vector<std::string> lines_of(F&& run) {
  ::testing::internal::CaptureStdout();
  run();
  const std::string text = ::testing::internal::GetCapturedStdout();
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

void interpret(const PrimFunc& function) {
  std::vector<float> a = values();
  std::vector<float> b(8);
  const auto done = ir::interpret(function, {ir::input(a), ir::output(b)});
  EXPECT_TRUE(done) << done.error().to_string();
}

void run_compiled(const PrimFunc& function) {
  const Loaded kernel(must_compile(function));
  const std::vector<float> a = values();
  std::vector<float> b(8);
  EXPECT_EQ(kernel(a.data(), b.data()), 0);
}

TEST(Printing, IsReadBackAsItIsPrinted) {
  const auto again = script::parse_module(script::to_text(program()), "again.py");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(ir::structural_equal(program(), *again));
}

TEST(Printing, OfAProgramAsItIsWritten) {
  EXPECT_THAT(lines_of([] { interpret(program()->find_prim_func("main")); }),
              ElementsAreArray(kLines));
}

TEST(Printing, OfMachineCode) {
  const auto lowered = lower_for_cpu(program(), {});
  ASSERT_TRUE(lowered) << lowered.error().to_string();
  const PrimFunc function = (*lowered)->find_prim_func("main");
  EXPECT_THAT(lines_of([&] { interpret(function); }), ElementsAreArray(kLines));
  EXPECT_THAT(lines_of([&] { run_compiled(function); }), ElementsAreArray(kLines));
}

TEST(Printing, OfThreadsOfAGpu) {
  const auto lowered = lower_for_gpu(program(), *ir::parse_target("cuda:sm_80"));
  ASSERT_TRUE(lowered) << lowered.error().to_string();
  const PrimFunc function = (*lowered)->find_prim_func("main");
  const auto source = print_cuda(function);
  ASSERT_TRUE(source) << source.error().to_string();
  EXPECT_THAT(source->text,
              HasSubstr("printf(\"block %lld: 100 %% \\\"of\\\" it\\n\", (long long)("));
  EXPECT_THAT(lines_of([&] {
                std::vector<float> a = values();
                std::vector<float> b(8);
                const auto done = tir::emulate(function, {ir::input(a), ir::output(b)});
                EXPECT_TRUE(done) << done.error().to_string();
              }),
              ElementsAreArray(kLines));
  const auto loops = tir::thread_loops(function);
  ASSERT_TRUE(loops) << loops.error().to_string();
  LowerOptions options;
  options.plain = true;
  const auto compiled = lower_for_cpu(ir::make_module(*loops), options);
  ASSERT_TRUE(compiled) << compiled.error().to_string();
  EXPECT_THAT(
      lines_of([&] { run_compiled((*compiled)->functions[0].function.as_ref<PrimFuncNode>()); }),
      ElementsAreArray(kLines));
}

} // namespace
} // namespace temper::codegen::testing
