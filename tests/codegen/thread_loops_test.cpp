// Programs of threads as loops of a CPU, compiled: they give what the interpreter of threads gives,
// bit by bit where sums are exact.
#include "ir/tir/emulator/thread_loops.h"

#include "codegen/lower.h"
#include "ir/script/printer.h"
#include "ir/tir/layout_expr.h"
#include "tests/codegen/build.h"
#include "tests/tir/emulated_programs.h"

namespace temper::codegen::testing {
namespace {

using tir::expect_found;
using tir::Halves;
using tir::numbers;
using tir::parsed;
using tir::replaced;

/// Null with a failed expectation when a step refuses.
PrimFunc as_loops(const PrimFunc& function) {
  auto loops = tir::thread_loops(function);
  EXPECT_TRUE(loops.has_value()) << loops.error().message;
  if (!loops)
    return nullptr;
  LowerOptions options;
  options.serial = true;
  options.plain = true;
  IRModule module = make_module(*loops);
  auto lowered = lower_for_cpu(module, options);
  EXPECT_TRUE(lowered.has_value()) << lowered.error().message << "\n" << script::to_text(*loops);
  return lowered ? (*lowered)->functions[0].function.as_ref<PrimFuncNode>() : nullptr;
}

std::string refusal(const std::string& text) {
  auto loops = tir::thread_loops(parsed(text));
  return loops ? "accepted" : loops.error().message;
}

TEST(ThreadLoops, values_across_a_barrier_become_arrays) {
  const PrimFunc function = parsed(R"(
@T.prim_func
def main(A: T.Buffer((512,), "float32"), B: T.Buffer((512,), "float32")):
    for bx in T.thread_binding(4, thread="blockIdx.x"):
        S = T.alloc_shared((128,), "float32")
        for ty in T.thread_binding(4, thread="threadIdx.y"):
            for tx in T.thread_binding(32, thread="threadIdx.x"):
                total: T.float32 = A[bx * 128 + ty * 32 + tx]
                S[ty * 32 + tx] = total
                for k in range(3):
                    T.sync_threads()
                    x: T.float32 = S[127 - ty * 32 - tx]
                    total = total + x * T.Cast("float32", k + 1)
                    T.sync_threads()
                    if (tx + k) % 3 == 0:
                        S[ty * 32 + tx] = x
                B[bx * 128 + ty * 32 + tx] = total
)");
  const PrimFunc loops = as_loops(function);
  ASSERT_TRUE(loops);
  std::vector<float> a = numbers(512), expected(512), actual(512);
  ASSERT_TRUE(tir::emulate(function, {input(a), output(expected)}).has_value());
  Artifact artifact = must_compile(loops);
  ASSERT_EQ(Loaded(artifact)(a.data(), actual.data()), 0);
  EXPECT_EQ(actual, expected);
}

TEST(ThreadLoops, a_copy_from_behind_a_tensor_is_found_before_it_is_made) {
  const std::string text = R"(
@T.prim_func
def main(A: T.Buffer((128,), "float32"), B: T.Buffer((128,), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        S = T.alloc_shared((128,), "float32")
        for tx in T.thread_binding(32, thread="threadIdx.x"):
            T.ptx_cp_async(S[tx * 4], A[tx * 4 + SHIFT], 4)
            T.ptx_commit_group()
            T.ptx_wait_group(0)
            T.sync_threads()
            for k in range(4):
                B[tx * 4 + k] = S[127 - tx * 4 - k]
)";
  std::vector<float> a = numbers(128), b(128);
  const auto run = [&](const char* shift) {
    auto loops = tir::thread_loops(parsed(replaced(text, "SHIFT", shift)));
    EXPECT_TRUE(loops.has_value()) << loops.error().message;
    const auto done = interpret(*loops, {input(a), output(b)});
    return done ? std::string("right") : done.error().message;
  };
  EXPECT_EQ(run("0"), "right");
  for (size_t i = 0; i < 128; ++i)
    EXPECT_EQ(b[i], a[127 - i]);
  expect_found(run("1"), {"line 7", "T.ptx_cp_async reads outside of A", "number of elements"});
}

TEST(ThreadLoops, control_flow_of_threads_stays_theirs) {
  const PrimFunc function = parsed(R"(
@T.prim_func
def main(A: T.Buffer((64,), "int32"), B: T.Buffer((64,), "int32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        S = T.alloc_shared((64,), "int32")
        for tx in T.thread_binding(64, thread="threadIdx.x"):
            total: T.int32 = 0
            for i in range(tx):
                if i % 3 == 1:
                    continue
                if i > 40:
                    break
                total = total + i
            S[tx] = total
            round: T.int32 = 0
            while True:
                T.sync_threads()
                total = total + S[(tx + 1) % 64]
                T.sync_threads()
                S[tx] = total % 17
                round = round + 1
                if round == 3:
                    break
            if tx >= 50:
                return
            B[tx] = total
)");
  const PrimFunc loops = as_loops(function);
  ASSERT_TRUE(loops);
  std::vector<int32_t> a(64), expected(64, -1), actual(64, -1);
  auto report = tir::emulate(function, {input(a), input(expected)});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  Artifact artifact = must_compile(loops);
  ASSERT_EQ(Loaded(artifact)(a.data(), actual.data()), 0);
  EXPECT_EQ(actual, expected);
  EXPECT_EQ(actual[60], -1);
}

TEST(ThreadLoops, shuffles_take_values_from_other_lanes) {
  const PrimFunc function = parsed(R"(
@T.prim_func
def main(A: T.Buffer((64,), "float32"), B: T.Buffer((4, 64), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        for tx in T.thread_binding(64, thread="threadIdx.x"):
            x: T.float32 = A[tx]
            for i in range(5):
                x = x + T.shfl_xor_sync(x, T.shift_left(1, i))
            B[0, tx] = x
            B[1, tx] = T.shfl_up_sync(A[tx], 3) * T.float32(2)
            B[2, tx] = T.shfl_down_sync(A[tx], 5)
            B[3, tx] = T.shfl_sync(A[tx], tx % 4 + 7)
)");
  const PrimFunc loops = as_loops(function);
  ASSERT_TRUE(loops);
  std::vector<float> a = numbers(64), expected(256), actual(256);
  auto report = tir::emulate(function, {input(a), output(expected)});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  Artifact artifact = must_compile(loops);
  ASSERT_EQ(Loaded(artifact)(a.data(), actual.data()), 0);
  EXPECT_EQ(actual, expected);
}

/// Two warps, a pipeline of copies, swizzled shared memory, products on the hardware's fragments.
const std::string kProduct = R"(
@T.prim_func
def main(A: T.Buffer((32, 64), "float16"), B: T.Buffer((64, 8), "float16"), C: T.Buffer((32, 8), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        SA = T.alloc_buffer((32, 64), "float16", scope="shared", annotations={"layout": T.Layout((32, 64), [(32, 64), (64, 1)], swizzle=(3, 3, 3))})
        SB = T.alloc_buffer((64, 8), "float16", scope="shared")
        RA = T.alloc_local((8,), "float16")
        RB = T.alloc_local((4,), "float16")
        RC = T.alloc_local((4,), "float32")
        for tx in T.thread_binding(64, thread="threadIdx.x"):
            for i in range(4):
                T.ptx_cp_async(SA[i * 8 + tx // 8, tx % 8 * 8], A[i * 8 + tx // 8, tx % 8 * 8], 8)
            T.ptx_cp_async(SB[tx, 0], B[tx, 0], 8, tx < 60)
            T.ptx_commit_group()
            for i in range(4):
                RC[i] = T.float32(0)
            T.ptx_wait_group(0)
            T.sync_threads()
            for k in range(4):
                T.ptx_ldmatrix(RA[0], SA[tx // 32 * 16 + tx % 16, k * 16 + tx % 32 // 16 * 8], 4, 0)
                T.ptx_ldmatrix(RB[0], SB[k * 16 + tx % 16, 0], 2, 1)
                T.ptx_mma(RC[0], RA[0], RB[0], "m16n8k16")
            for i in range(4):
                C[tx // 32 * 16 + tx % 32 // 4 + i // 2 * 8, tx % 4 * 2 + i % 2] = RC[i]
)";

TEST(ThreadLoops, products_of_a_warp_use_the_hardwares_fragments) {
  const PrimFunc function = parsed(kProduct);
  const PrimFunc loops = as_loops(function);
  ASSERT_TRUE(loops);
  Halves a(32 * 64, 5), b(64 * 8, 6);
  std::vector<float> expected(256), actual(256);
  const InterpretArgument arguments[] = {a.view(), b.view(), output(expected)};
  auto report = tir::emulate_thoroughly(function, arguments);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_TRUE(report->conflicts().empty());
  Artifact artifact = must_compile(loops);
  ASSERT_EQ(Loaded(artifact)(a.bits.data(), b.bits.data(), actual.data()), 0);
  EXPECT_EQ(actual, expected);
  for (size_t i = 0; i < 32; ++i)
    for (size_t j = 0; j < 8; ++j) {
      float sum = 0;
      for (size_t k = 0; k < 60; ++k) // the predicate leaves the last four rows zero
        sum += a.values[i * 64 + k] * b.values[k * 8 + j];
      ASSERT_EQ(actual[i * 8 + j], sum);
    }
}

TEST(ThreadLoops, a_wrong_fragment_shows) {
  // Rows of A where the lanes of the other half of the matrices should point.
  const PrimFunc loops =
      as_loops(parsed(replaced(kProduct, "tx % 32 // 16 * 8], 4, 0)", "tx % 32 // 16], 4, 0)")));
  ASSERT_TRUE(loops);
  Halves a(32 * 64, 5), b(64 * 8, 6);
  std::vector<float> expected(256), actual(256);
  ASSERT_TRUE(tir::emulate(parsed(kProduct), {a.view(), b.view(), output(expected)}).has_value());
  Artifact artifact = must_compile(loops);
  ASSERT_EQ(Loaded(artifact)(a.bits.data(), b.bits.data(), actual.data()), 0);
  EXPECT_NE(actual, expected);
}

TEST(ThreadLoops, a_layout_moves_the_elements_of_shared_memory) {
  auto placed = tir::apply_layouts(parsed(kProduct));
  ASSERT_TRUE(placed.has_value()) << placed.error().message;
  EXPECT_NE(script::to_text(*placed).find(" ^ "), std::string::npos) << script::to_text(*placed);
  Halves a(32 * 64, 5), b(64 * 8, 6);
  std::vector<float> expected(256), actual(256);
  ASSERT_TRUE(tir::emulate(parsed(kProduct), {a.view(), b.view(), output(expected)}).has_value());
  auto report = tir::emulate(*placed, {a.view(), b.view(), output(actual)});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(actual, expected);
  EXPECT_TRUE(report->conflicts().empty());
}

TEST(ThreadLoops, what_only_the_interpreter_runs_is_refused_with_the_line) {
  expect_found(refusal(R"(
@T.prim_func
def main(B: T.Buffer((64,), "float32")):
    for tx in T.thread_binding(64, thread="threadIdx.x"):
        if tx < 32:
            T.sync_threads()
        B[tx] = T.float32(0)
)"),
               {"line 5", "differs between threads", "the interpreter"});
  expect_found(refusal(R"(
@T.prim_func
def main(B: T.Buffer((64,), "float32")):
    bar = T.alloc_shared((1,), "uint64")
    for tx in T.thread_binding(64, thread="threadIdx.x"):
        T.mbarrier_arrive(bar[0])
        B[tx] = T.float32(0)
)"),
               {"T.mbarrier_arrive has no compiled form"});
  expect_found(refusal(R"(
@T.prim_func
def main(B: T.Buffer((64,), "float32")):
    for tx in T.thread_binding(64, thread="threadIdx.x"):
        T.sync_threads(1, 64)
        B[tx] = T.float32(0)
)"),
               {"line 5", "a part of the block"});
  expect_found(refusal(R"(
@T.prim_func
def main(A: T.Buffer((64,), "int32"), B: T.Buffer((64,), "float32")):
    for tx in T.thread_binding(64, thread="threadIdx.x"):
        for i in range(A[tx]):
            T.sync_threads()
        B[tx] = T.float32(0)
)"),
               {"line 5", "the length of this loop differs between threads"});
}

} // namespace
} // namespace temper::codegen::testing
