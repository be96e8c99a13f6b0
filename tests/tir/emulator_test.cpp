// The emulator on flat programs: right programs give what the interpreter would, and each kind of
// mistake is found, under every timing, with its line.
#include "ir/tir/emulator/emulate.h"

#include "ir/script/printer.h"
#include "ir/structural.h"
#include "tests/tir/emulated_programs.h"

#include <set>

namespace temper::tir {
namespace {

constexpr const char* kReverse = R"(
@T.prim_func
def main(A: T.Buffer((512,), "float32"), B: T.Buffer((512,), "float32")):
    for bx in T.thread_binding(4, thread="blockIdx.x"):
        S = T.alloc_shared((128,), "float32")
        for tx in T.thread_binding(128, thread="threadIdx.x"):
            S[tx] = A[bx * 128 + tx]
            T.sync_threads()
            B[bx * 128 + tx] = S[127 - tx]
)";

TEST(Emulator, a_block_shares_memory_across_its_barrier) {
  const PrimFunc function = parsed(kReverse);
  std::vector<float> a = numbers(512), b(512);
  const InterpretArgument arguments[] = {input(a), output(b)};
  auto report = emulate_thoroughly(function, arguments);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  for (int i = 0; i < 512; ++i)
    ASSERT_EQ(b[static_cast<size_t>(i)], a[static_cast<size_t>(i / 128 * 128 + 127 - i % 128)]);
  EXPECT_EQ(report->blocks, 4);
  EXPECT_EQ(report->shared_bytes, 512);
  EXPECT_TRUE(report->conflicts().empty());
}

TEST(Emulator, blocks_drawn_by_chance_are_run_alone) {
  const PrimFunc function = parsed(kReverse);
  std::vector<float> a = numbers(512), b(512, -99.F);
  EmulateOptions options;
  options.sample = 2;
  const InterpretArgument arguments[] = {input(a), output(b)};
  auto report = emulate_thoroughly(function, arguments, options);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->blocks, 2);
  EXPECT_EQ(report->grid_blocks, 4);
  std::vector<bool> written(512);
  int64_t count = 0;
  for (const auto& [begin, end] : report->written.at("B"))
    for (int64_t i = begin; i < end; ++i, ++count)
      written[static_cast<size_t>(i)] = true;
  EXPECT_EQ(count, 256);
  EXPECT_TRUE(report->written.at("A").empty());
  for (size_t i = 0; i < 512; ++i)
    ASSERT_EQ(b[i], written[i] ? a[i / 128 * 128 + 127 - i % 128] : -99.F) << i;
  // By another seed others; and never more than there are.
  std::set<int64_t> first;
  for (options.sample_seed = 1; options.sample_seed < 20; ++options.sample_seed) {
    auto other = emulate(function, arguments, options);
    ASSERT_TRUE(other.has_value()) << other.error().message;
    first.insert(other->written.at("B").front().first);
  }
  EXPECT_GT(first.size(), 1U);
  options.sample = 100;
  auto all = emulate(function, arguments, options);
  ASSERT_TRUE(all.has_value()) << all.error().message;
  EXPECT_EQ(all->blocks, 4);
}

TEST(Emulator, its_operations_print_and_parse) {
  const PrimFunc function = parsed(R"(
@T.prim_func
def main(A: T.Buffer((64, 64), "float16"), B: T.Buffer((64, 64), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        S = T.alloc_shared((64, 64), "float16")
        bar = T.alloc_shared((2,), "uint64")
        D = T.alloc_local((32,), "float32")
        for tx in T.thread_binding(128, thread="threadIdx.x"):
            if tx == 0:
                T.mbarrier_init(bar[0], 1)
                T.mbarrier_arrive_expect_tx(bar[0], 8192)
                T.tma_load(S[0, 0], A[0, 0], bar[0], 64, 64)
            T.sync_threads()
            T.mbarrier_wait_parity(bar[0], 0)
            T.warpgroup_arrive()
            T.ptx_wgmma_ss(D[0], S[0, 0], S[0, 0], "m64n64k16", 1, 0)
            T.warpgroup_commit_batch()
            T.warpgroup_wait(0)
            T.sync_threads(1, 128)
            x = T.shfl_xor_sync(D[0], 16)
            T.atomic_add(B[tx // 2, 0], x)
)");
  ASSERT_TRUE(function);
  const std::string text = script::to_text(function);
  auto again = script::parse_prim_func(text, "printed.py");
  ASSERT_TRUE(again.has_value()) << text << again.error().to_string();
  EXPECT_TRUE(structural_equal(*again, function)) << text;
}

TEST(Emulator, control_flow_narrows_the_lanes) {
  const PrimFunc function = parsed(R"(
@T.prim_func
def main(A: T.Buffer((64,), "int32"), B: T.Buffer((64,), "int32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        for tx in T.thread_binding(64, thread="threadIdx.x"):
            total: T.int32 = 0
            for i in range(tx):
                if i % 3 == 1:
                    continue
                if i > 40:
                    break
                total = total + i
            j: T.int32 = 0
            while True:
                if j * j >= A[tx]:
                    break
                j = j + 1
            if tx % 2 == 0:
                total = total + 1000 * j
            else:
                if tx % 3 == 0:
                    total = -total
            B[tx] = total
)");
  ASSERT_TRUE(function);
  std::vector<int32_t> a(64), b(64);
  for (int i = 0; i < 64; ++i)
    a[static_cast<size_t>(i)] = i * 7 % 50;
  auto report = emulate(function, {input(a), output(b)});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  for (int tx = 0; tx < 64; ++tx) {
    int total = 0;
    for (int i = 0; i < tx; ++i) {
      if (i % 3 == 1)
        continue;
      if (i > 40)
        break;
      total += i;
    }
    int j = 0;
    while (j * j < a[static_cast<size_t>(tx)])
      ++j;
    if (tx % 2 == 0)
      total += 1000 * j;
    else if (tx % 3 == 0)
      total = -total;
    ASSERT_EQ(b[static_cast<size_t>(tx)], total) << tx;
  }
}

TEST(Emulator, threads_that_return_take_no_further_part) {
  const PrimFunc function = parsed(R"(
@T.prim_func
def main(n: T.int32, B: T.Buffer((64,), "int32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        for tx in T.thread_binding(64, thread="threadIdx.x"):
            if tx >= n:
                return
            B[tx] = tx
)");
  std::vector<int32_t> b(64, -1);
  auto report = emulate(function, {int64_t{37}, input(b)});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  for (int i = 0; i < 64; ++i)
    ASSERT_EQ(b[static_cast<size_t>(i)], i < 37 ? i : -1);
}

TEST(Emulator, shuffles_reduce_a_warp) {
  const PrimFunc function = parsed(R"(
@T.prim_func
def main(A: T.Buffer((64,), "float32"), B: T.Buffer((2,), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        for tx in T.thread_binding(64, thread="threadIdx.x"):
            x: T.float32 = A[tx]
            for i in range(5):
                x = x + T.shfl_xor_sync(x, T.shift_left(1, i))
            if tx % 32 == 0:
                B[tx // 32] = x
)");
  ASSERT_TRUE(function);
  std::vector<float> a = numbers(64), b(2);
  auto report = emulate(function, {input(a), output(b)});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  for (int w = 0; w < 2; ++w) {
    float sum = 0;
    for (int i = 0; i < 32; ++i)
      sum += a[static_cast<size_t>(32 * w + i)];
    EXPECT_EQ(b[static_cast<size_t>(w)], sum);
  }
}

TEST(Emulator, a_shuffle_from_a_lane_that_is_not_there_is_found) {
  std::vector<float> a = numbers(32), b(32);
  expect_found(error_of(parsed(R"(
@T.prim_func
def main(A: T.Buffer((32,), "float32"), B: T.Buffer((32,), "float32")):
    for tx in T.thread_binding(16, thread="threadIdx.x"):
        B[tx] = T.shfl_down_sync(A[tx], 8)
)"),
                        {input(a), output(b)}),
               {"line 5", "thread 8 takes a value from lane 16", "no part"});
}

// Seeded mistakes.

TEST(EmulatorMistakes, a_missing_barrier_is_a_race_with_both_lines) {
  std::vector<float> a = numbers(512), b(512);
  const std::string error =
      error_of(parsed(replaced(kReverse, "            T.sync_threads()\n", "            pass\n")),
               {input(a), output(b)});
  expect_found(error, {"line 9", "race on S[", "nothing orders", "line 7", "T.sync_threads()"});
}

TEST(EmulatorMistakes, a_missing_barrier_before_the_next_write_is_a_race) {
  std::vector<float> a = numbers(512), b(128);
  const std::string error = error_of(parsed(R"(
@T.prim_func
def main(A: T.Buffer((512,), "float32"), B: T.Buffer((128,), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        S = T.alloc_shared((128,), "float32")
        for tx in T.thread_binding(128, thread="threadIdx.x"):
            total: T.float32 = T.float32(0)
            for k in range(4):
                S[tx] = A[k * 128 + tx]
                T.sync_threads()
                total = total + S[127 - tx]
            B[tx] = total
)"),
                                     {input(a), output(b)});
  expect_found(error, {"race on S[", "line 9", "line 11"});
}

TEST(EmulatorMistakes, lanes_of_a_warp_need_a_barrier_too) {
  std::vector<float> a = numbers(32), b(32);
  const std::string text = R"(
@T.prim_func
def main(A: T.Buffer((32,), "float32"), B: T.Buffer((32,), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        S = T.alloc_shared((32,), "float32")
        for tx in T.thread_binding(32, thread="threadIdx.x"):
            S[tx] = A[tx]
            B[tx] = S[31 - tx]
)";
  expect_found(error_of(parsed(text), {input(a), output(b)}),
               {"line 8", "within a warp", "line 7", "T.sync_warp()"});
  const PrimFunc good =
      parsed(replaced(text, "            B[tx]", "            T.sync_warp()\n            B[tx]"));
  auto report = emulate(good, {input(a), output(b)});
  EXPECT_TRUE(report.has_value()) << report.error().message;
}

/// Lanes give each other what they wrote, with `between` in between.
std::string handed_over(const std::string& between) {
  return R"(
@T.prim_func
def main(A: T.Buffer((32,), "float32"), B: T.Buffer((32,), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        S = T.alloc_shared((32,), "float32")
        for tx in T.thread_binding(32, thread="threadIdx.x"):
            S[tx] = A[tx]
)" + between +
         "            B[tx] = S[31 - tx]\n";
}

TEST(EmulatorMistakes, a_shuffle_orders_no_memory) {
  std::vector<float> a = numbers(32), b(32);
  expect_found(error_of(handed_over("            x = T.shfl_xor_sync(A[tx], 1)\n"
                                    "            B[tx] = x\n"),
                        {input(a), output(b)}),
               {"line 10", "within a warp", "line 7", "T.sync_warp()"});
  auto report = emulate(parsed(handed_over("            T.sync_warp()\n")), {input(a), output(b)});
  EXPECT_TRUE(report.has_value()) << report.error().message;
}

TEST(EmulatorMistakes, what_a_warp_does_together_is_not_for_some_of_its_lanes) {
  std::vector<float> a = numbers(32), b(32);
  const std::string text = R"(
@T.prim_func
def main(A: T.Buffer((32,), "float32"), B: T.Buffer((32,), "float32")):
    for tx in T.thread_binding(32, thread="threadIdx.x"):
        B[tx] = A[tx]
        if tx % 32 < 16:
            B[tx] = T.shfl_xor_sync(A[tx], 1)
)";
  expect_found(
      error_of(text, {input(a), output(b)}),
      {"line 7", "divergent T.shfl_xor_sync", "16 of the 32 threads", "thread 16 does not"});
  expect_found(error_of(replaced(text, "B[tx] = T.shfl_xor_sync(A[tx], 1)", "T.sync_warp()"),
                        {input(a), output(b)}),
               {"line 7", "divergent T.sync_warp", "16 of the 32 threads"});
  // Threads that are not there any more take no part in anything.
  auto report = emulate(parsed(replaced(text, "B[tx] = T.shfl_xor_sync(A[tx], 1)",
                                        "return\n        B[tx] = T.shfl_xor_sync(A[tx], 1)")),
                        {input(a), output(b)});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(b[16], a[17]);
}

TEST(Emulator, atomics_keep_the_largest_and_the_smallest) {
  std::vector<int32_t> a(64), most(1, -100), least(1, 100);
  std::vector<uint32_t> u(64), unsigned_most(1, 0);
  std::vector<float> f(64), float_least(1, 100);
  for (int i = 0; i < 64; ++i) {
    a[static_cast<size_t>(i)] = i * 37 % 64 - 50;
    u[static_cast<size_t>(i)] = i == 9 ? 0xfffffff0u : static_cast<uint32_t>(i);
    f[static_cast<size_t>(i)] = static_cast<float>(i) - 60.5f;
  }
  auto report = emulate_thoroughly(
      parsed(R"(
@T.prim_func
def main(A: T.Buffer((64,), "int32"), U: T.Buffer((64,), "uint32"), F: T.Buffer((64,), "float32"), B: T.Buffer((1,), "int32"), C: T.Buffer((1,), "int32"), D: T.Buffer((1,), "uint32"), E: T.Buffer((1,), "float32")):
    for bx in T.thread_binding(2, thread="blockIdx.x"):
        for tx in T.thread_binding(32, thread="threadIdx.x"):
            T.atomic_max(B[0], A[bx * 32 + tx])
            T.atomic_min(C[0], A[bx * 32 + tx])
            T.atomic_max(D[0], U[bx * 32 + tx])
            T.atomic_min(E[0], F[bx * 32 + tx])
)"),
      std::vector<InterpretArgument>{input(a), input(u), input(f), input(most), input(least),
                                     input(unsigned_most), input(float_least)});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(most[0], 13);
  EXPECT_EQ(least[0], -50);
  EXPECT_EQ(unsigned_most[0], 0xfffffff0u);
  EXPECT_EQ(float_least[0], -60.5f);
}

TEST(EmulatorMistakes, a_divergent_barrier_is_named) {
  std::vector<float> a = numbers(512), b(512);
  const InterpretArgument arguments[] = {input(a), output(b)};
  // Within a warp.
  expect_found(error_of(parsed(R"(
@T.prim_func
def main(A: T.Buffer((512,), "float32"), B: T.Buffer((512,), "float32")):
    for bx in T.thread_binding(4, thread="blockIdx.x"):
        for tx in T.thread_binding(128, thread="threadIdx.x"):
            if tx < 48:
                T.sync_threads()
            B[bx * 128 + tx] = A[bx * 128 + tx]
)"),
                        {std::begin(arguments), std::end(arguments)}),
               {"line 7", "divergent barrier", "16 of the 32 threads of warp 1"});
  // Between warps: two of four never come.
  expect_found(error_of(parsed(R"(
@T.prim_func
def main(A: T.Buffer((512,), "float32"), B: T.Buffer((512,), "float32")):
    for bx in T.thread_binding(4, thread="blockIdx.x"):
        for tx in T.thread_binding(128, thread="threadIdx.x"):
            if tx < 64:
                T.sync_threads()
            B[bx * 128 + tx] = A[bx * 128 + tx]
)"),
                        {std::begin(arguments), std::end(arguments)}),
               {"line 7", "divergent barrier", "ended without reaching it"});
  // Two barriers, one on each side.
  expect_found(error_of(parsed(R"(
@T.prim_func
def main(A: T.Buffer((512,), "float32"), B: T.Buffer((512,), "float32")):
    for bx in T.thread_binding(4, thread="blockIdx.x"):
        for tx in T.thread_binding(128, thread="threadIdx.x"):
            if tx < 64:
                T.sync_threads()
            else:
                T.sync_threads()
            B[bx * 128 + tx] = A[bx * 128 + tx]
)"),
                        {std::begin(arguments), std::end(arguments)}),
               {"divergent barrier", "line 7", "line 9"});
}

TEST(EmulatorMistakes, a_tail_without_a_predicate_leaves_the_buffer) {
  std::vector<float> a = numbers(500), b(500);
  const std::string error = error_of(parsed(R"(
@T.prim_func
def main(A: T.Buffer((500,), "float32"), B: T.Buffer((500,), "float32")):
    for bx in T.thread_binding(4, thread="blockIdx.x"):
        for tx in T.thread_binding(128, thread="threadIdx.x"):
            B[bx * 128 + tx] = A[bx * 128 + tx]
)"),
                                     {input(a), output(b)});
  expect_found(error, {"line 6", "index 5", "of A is outside its shape [500]", "thread", "block 3",
                       "a tail needs a condition"});
}

TEST(EmulatorMistakes, what_was_never_written_is_not_read) {
  std::vector<float> a = numbers(128), b(128);
  const InterpretArgument arguments[] = {input(a), output(b)};
  expect_found(error_of(parsed(R"(
@T.prim_func
def main(A: T.Buffer((128,), "float32"), B: T.Buffer((128,), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        S = T.alloc_shared((129,), "float32")
        for tx in T.thread_binding(128, thread="threadIdx.x"):
            S[tx] = A[tx]
            T.sync_threads()
            B[tx] = S[tx + 1]
)"),
                        {std::begin(arguments), std::end(arguments)}),
               {"line 9", "S[128] that was never written", "thread 127"});
  expect_found(error_of(parsed(R"(
@T.prim_func
def main(A: T.Buffer((128,), "float32"), B: T.Buffer((128,), "float32")):
    for tx in T.thread_binding(128, thread="threadIdx.x"):
        R = T.alloc_local((4,), "float32")
        R[0] = A[tx]
        B[tx] = R[1]
)"),
                        {std::begin(arguments), std::end(arguments)}),
               {"line 7", "R[1] of thread", "never written"});
}

TEST(EmulatorMistakes, overlapping_shared_buffers_are_found) {
  std::vector<float> a = numbers(128), b(128);
  const std::string error = error_of(parsed(R"(
@T.prim_func
def main(A: T.Buffer((128,), "float32"), B: T.Buffer((128,), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        S = T.alloc_buffer((128,), "float32", scope="shared", annotations={"shared_offset": 0})
        Q = T.alloc_buffer((64,), "float32", scope="shared", annotations={"shared_offset": 256})
        for tx in T.thread_binding(128, thread="threadIdx.x"):
            S[tx] = A[tx]
            T.sync_threads()
            if tx < 64:
                Q[tx] = T.float32(1)
            T.sync_threads()
            B[tx] = S[tx]
)"),
                                     {input(a), output(b)});
  expect_found(error, {"line 13", "S[64]", "another buffer (line 11)", "overlap"});
}

TEST(EmulatorMistakes, bank_conflicts_are_counted_and_named) {
  std::vector<float> a = numbers(1024), b(1024);
  const std::string text = R"(
@T.prim_func
def main(A: T.Buffer((32, 32), "float32"), B: T.Buffer((32, 32), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        S = T.alloc_shared((32, 32), "float32")
        for ty in T.thread_binding(4, thread="threadIdx.y"):
            for tx in T.thread_binding(32, thread="threadIdx.x"):
                for i in range(8):
                    S[i * 4 + ty, tx] = A[i * 4 + ty, tx]
                T.sync_threads()
                for i in range(8):
                    B[i * 4 + ty, tx] = S[tx, i * 4 + ty]
)";
  auto report = emulate(parsed(text), {input(a), output(b)});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  for (int i = 0; i < 1024; ++i)
    ASSERT_EQ(b[static_cast<size_t>(i)], a[static_cast<size_t>(i % 32 * 32 + i / 32)]);
  const auto conflicts = report->conflicts();
  ASSERT_EQ(conflicts.size(), 1u);
  EXPECT_DOUBLE_EQ(conflicts[0].ways(), 32);
  EXPECT_EQ(conflicts[0].requests, 32);
  expect_found(conflicts[0].to_string(), {"line 12", "load of S", "32.0 times", "bank"});
  // A row of padding, or a swizzled layout, takes them away.
  for (const char* better :
       {R"(S = T.alloc_buffer((32, 32), "float32", scope="shared", strides=(33, 1)))"}) {
    auto mended =
        emulate(parsed(replaced(text, R"(S = T.alloc_shared((32, 32), "float32"))", better)),
                {input(a), output(b)});
    ASSERT_TRUE(mended.has_value()) << mended.error().message;
    EXPECT_TRUE(mended->conflicts().empty());
  }
}

TEST(EmulatorMistakes, blocks_that_write_the_same_element_race) {
  std::vector<float> b(128);
  const std::string text = R"(
@T.prim_func
def main(B: T.Buffer((128,), "float32")):
    for bx in T.thread_binding(2, thread="blockIdx.x"):
        for tx in T.thread_binding(128, thread="threadIdx.x"):
            B[tx] = T.float32(1)
)";
  expect_found(error_of(parsed(text), {output(b)}), {"line 6", "race on B[", "between blocks"});
  std::fill(b.begin(), b.end(), 1.0f);
  auto report =
      emulate(parsed(replaced(text, "B[tx] = T.float32(1)", "T.atomic_add(B[tx], T.float32(2))")),
              {input(b)});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(b[77], 5.0f);
}

TEST(EmulatorMistakes, lanes_that_disagree_about_an_element_are_named) {
  std::vector<int32_t> b(1);
  const std::string text = R"(
@T.prim_func
def main(B: T.Buffer((1,), "int32")):
    for tx in T.thread_binding(32, thread="threadIdx.x"):
        B[0] = tx // 31
)";
  expect_found(error_of(parsed(text), {output(b)}), {"line 5", "different values to B[0]"});
  auto report = emulate(parsed(replaced(text, "tx // 31", "tx // 32")), {output(b)});
  EXPECT_TRUE(report.has_value());
}

TEST(EmulatorMistakes, endless_programs_end) {
  EmulateOptions options;
  options.max_steps = 1000;
  const PrimFunc endless = parsed(R"(
@T.prim_func
def main(B: T.Buffer((1,), "int32")):
    for tx in T.thread_binding(1, thread="threadIdx.x"):
        B[0] = 0
        while B[0] < 1:
            B[0] = 0
)");
  auto result = emulate(endless, std::vector<InterpretArgument>{}, options);
  ASSERT_FALSE(result.has_value()); // the argument is missing
  std::vector<int32_t> b(1);
  const InterpretArgument argument = output(b);
  result = emulate(endless, std::span(&argument, 1), options);
  ASSERT_FALSE(result.has_value());
  expect_found(result.error().message,
               {"line 6", "the program did not end within 1000 steps: this loop went on"});
  EXPECT_TRUE(did_not_end(result.error()));
  // By the clock: none is left.
  options.max_steps = int64_t{1} << 40;
  options.max_seconds = 0;
  result = emulate(endless, std::span(&argument, 1), options);
  ASSERT_FALSE(result.has_value());
  expect_found(result.error().message, {"line 6", "the program did not end within 0 seconds"});
  EXPECT_TRUE(did_not_end(result.error()));
}

TEST(EmulatorMistakes, too_much_shared_memory_is_refused) {
  std::vector<float> b(1);
  expect_found(error_of(parsed(R"(
@T.prim_func
def main(B: T.Buffer((1,), "float32")):
    for tx in T.thread_binding(1, thread="threadIdx.x"):
        S = T.alloc_shared((256, 256), "float32")
        B[0] = T.float32(0)
)"),
                        {output(b)}),
               {"262144 bytes of shared memory", "make tiles smaller"});
}

} // namespace
} // namespace temper::tir
