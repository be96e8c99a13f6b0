// T.sync_grid: the kernel ends there and goes on as another one, with what blocks keep carried
// over; and what cannot be carried is refused at its place.
#include "ir/tir/grid_sync.h"

#include "codegen/lower.h"
#include "codegen/lower_gpu.h"
#include "ir/interpret.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/verify.h"
#include "tests/tir/emulated_programs.h"

namespace temper::tir {
namespace {

/// B[i] = A[i] + the sum of what the blocks before have; two phases, all kinds of memory.
constexpr const char* kPrefix = R"(
@T.prim_func
def main(A: T.Tensor((96,), "float32"), B: T.Tensor((96,), "float32")):
    sums = T.alloc_buffer((3,), "float32")
    before = T.alloc_buffer((3,), "float32")
    with T.Kernel(3, threads=32) as bx:
        tx = T.get_thread_binding(0)
        first: T.let = bx * 32
        tile = T.alloc_shared((32,), "float32")
        twice = T.alloc_fragment((32,), "float32")
        own = T.alloc_local((1,), "float32")
        part = T.alloc_fragment((1,), "float32")
        T.copy(A[first], tile)
        T.copy(A[first], twice)
        own[0] = A[first + tx] * T.float32(3)
        T.reduce_sum(twice, part, dim=0)
        T.copy(part, sums[bx:bx + 1])
        T.sync_grid()
        total = T.alloc_var("float32", 0.0)
        for b in T.serial(bx):
            total = total + sums[b]
        before[bx] = total
        T.sync_grid()
        B[first + tx] = tile[tx] + own[0] + before[bx]
        T.sync_threads()
        for i in T.Parallel(32):
            B[first + i] = B[first + i] + twice[i]
)";

std::vector<float> expected() {
  std::vector<float> result;
  float before = 0;
  for (int b = 0; b < 3; ++b) {
    float sum = 0;
    for (int i = 0; i < 32; ++i) {
      const auto a = static_cast<float>((b * 32 + i) % 7);
      result.push_back(5 * a + before);
      sum += a;
    }
    before += sum;
  }
  return result;
}

template <typename F> std::vector<float> run(F&& call) {
  std::vector<float> a;
  for (int i = 0; i < 96; ++i)
    a.push_back(static_cast<float>(i % 7));
  std::vector<float> b(96);
  const auto done = call(input(a), output(b));
  EXPECT_TRUE(done) << done.error().to_string();
  return b;
}

TEST(GridSync, EndsTheKernelAndCarriesOverWhatBlocksKeep) {
  const PrimFunc program = parsed(kPrefix);
  ASSERT_TRUE(program);
  ASSERT_TRUE(verify(make_module(program)));
  const std::string text = script::to_text(make_module(program));
  size_t kernels = 0;
  for (size_t at = text.find("T.Kernel("); at != std::string::npos;
       at = text.find("T.Kernel(", at + 1))
    ++kernels;
  EXPECT_EQ(kernels, 3U) << text;
  const auto again = script::parse_module(text, "again.py");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_TRUE(structural_equal(make_module(program), *again)) << text;
  EXPECT_EQ(run([&](auto a, auto b) { return interpret(program, {a, b}); }), expected()) << text;
}

TEST(GridSync, IsTheSameOnACpuAndOnAGpu) {
  const IRModule module = make_module(parsed(kPrefix));
  const auto cpu = codegen::lower_for_cpu(module, {});
  ASSERT_TRUE(cpu) << cpu.error().to_string();
  EXPECT_EQ(run([&](auto a, auto b) {
              return interpret((*cpu)->find_prim_func("main"), {a, b});
            }),
            expected());
  const auto gpu = codegen::lower_for_gpu(module, *parse_target("cuda:sm_80"));
  ASSERT_TRUE(gpu) << gpu.error().to_string();
  EXPECT_EQ(run([&](auto a, auto b) {
              return emulate((*gpu)->find_prim_func("main"), {a, b});
            }),
            expected());
}

std::string refusal(const std::string& body) {
  const auto module = script::parse_module(
      "from tvm.script import tirx as T\n"
      "@T.prim_func\ndef main(A: T.Tensor((64,), \"float32\"), B: T.Tensor((64,), \"float32\")):\n"
      "    with T.Kernel(2, threads=32) as bx:\n" +
          body,
      "bad.py");
  return module ? "accepted" : module.error().to_string();
}

TEST(GridSync, IsRefusedWhereAKernelCannotEnd) {
  expect_found(refusal("        for i in T.serial(4):\n            T.sync_grid()\n"),
               {"bad.py:6:13", "stands directly in a kernel", "the loop around the kernels"});
  expect_found(refusal("        x: T.let = A[bx]\n        T.sync_grid()\n        B[bx] = x\n"),
               {"bad.py:6:9", "the name x is read from memory before T.sync_grid()"});
  expect_found(refusal("        bar = T.alloc_barrier(32)\n        T.barrier_arrive(bar)\n"
                       "        T.sync_grid()\n        T.barrier_wait(bar, 0)\n"),
               {"bad.py:7:9", "bar does not last over T.sync_grid()"});
}

} // namespace
} // namespace temper::tir
