// Asynchronous copies and products, mbarriers, warp roles: right programs under every timing, and
// the mistakes that a GPU shows only now and then.
#include "ir/tir/emulator/emulate.h"
#include "ir/tir/fragments.h"
#include "ir/tir/stmt.h"
#include "ir/walk.h"
#include "tests/tir/emulated_programs.h"

namespace temper::tir {
namespace {

/// B[tx] of kCpAsync and kRoles: the rows of A reversed, summed with weights 1, 2, ...
void expect_weighted_sums(const std::vector<float>& a, const std::vector<float>& b) {
  for (size_t tx = 0; tx < 64; ++tx) {
    float total = 0;
    for (size_t k = 0; k < 8; ++k)
      total += a[k * 64 + 63 - tx] * static_cast<float>(k + 1);
    ASSERT_EQ(b[tx], total);
  }
}

// cp.async: two stages ahead.
constexpr const char* kCpAsync = R"(
@T.prim_func
def main(A: T.Buffer((512,), "float32"), B: T.Buffer((64,), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        S = T.alloc_shared((3, 64), "float32")
        for tx in T.thread_binding(64, thread="threadIdx.x"):
            total: T.float32 = T.float32(0)
            for s in range(2):
                T.ptx_cp_async(S[s, tx], A[s * 64 + tx], 1)
                T.ptx_commit_group()
            for k in range(8):
                T.ptx_wait_group(1)
                T.sync_threads()
                if k + 2 < 8:
                    T.ptx_cp_async(S[(k + 2) % 3, tx], A[(k + 2) * 64 + tx], 1)
                T.ptx_commit_group()
                total = total + S[k % 3, 63 - tx] * T.Cast("float32", k + 1)
            B[tx] = total
)";

TEST(EmulatorAsync, a_pipeline_of_cp_async_gives_the_sum) {
  std::vector<float> a = numbers(512), b(64);
  const InterpretArgument arguments[] = {input(a), output(b)};
  auto report = emulate_thoroughly(parsed(kCpAsync), arguments);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  expect_weighted_sums(a, b);
}

TEST(EmulatorAsync, a_copy_read_before_its_wait_is_found) {
  std::vector<float> a = numbers(512), b(64);
  // One group too many may be under way.
  expect_found(error_of(replaced(kCpAsync, "T.ptx_wait_group(1)", "T.ptx_wait_group(2)"),
                        {input(a), output(b)}),
               {"line 17", "race on S[0, ", "asynchronous operation (line 9)", "wait for"});
}

TEST(EmulatorAsync, a_stage_that_is_overwritten_while_it_is_read_is_found) {
  std::vector<float> a = numbers(512), b(64);
  // Two stages of memory for copies two stages ahead.
  std::string text = kCpAsync;
  for (int i = 0; i < 2; ++i)
    text = replaced(text, "% 3", "% 2");
  expect_found(error_of(text, {input(a), output(b)}), {"race on S["});
}

// TMA and mbarriers: warp 0 loads, warps 1 and 2 use; three stages, full and empty barriers.
constexpr const char* kRoles = R"(
@T.prim_func
def main(A: T.Buffer((8, 64), "float32"), B: T.Buffer((64,), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        S = T.alloc_shared((3, 64), "float32")
        full = T.alloc_shared((3,), "uint64")
        empty = T.alloc_shared((3,), "uint64")
        for tx in T.thread_binding(96, thread="threadIdx.x"):
            if tx == 0:
                for s in range(3):
                    T.mbarrier_init(full[s], 1)
                    T.mbarrier_init(empty[s], 64)
            T.sync_threads()
            if tx < 32:
                if tx == 0:
                    for k in range(8):
                        T.mbarrier_wait_parity(empty[k % 3], (k // 3 + 1) % 2)
                        T.mbarrier_arrive_expect_tx(full[k % 3], 256)
                        T.tma_load(S[k % 3, 0], A[k, 0], full[k % 3], 64)
            else:
                total: T.float32 = T.float32(0)
                for k in range(8):
                    T.mbarrier_wait_parity(full[k % 3], k // 3 % 2)
                    total = total + S[k % 3, 95 - tx] * T.Cast("float32", k + 1)
                    T.mbarrier_arrive(empty[k % 3])
                B[tx - 32] = total
)";

TEST(EmulatorAsync, warps_in_roles_pass_stages_through_mbarriers) {
  std::vector<float> a = numbers(512), b(64);
  const InterpretArgument arguments[] = {input(a), output(b)};
  auto report = emulate_thoroughly(parsed(kRoles), arguments);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  expect_weighted_sums(a, b);
}

TEST(EmulatorAsync, a_wrong_phase_bit_is_found) {
  std::vector<float> a = numbers(512), b(64);
  // The consumer's: it passes before the copy came.
  expect_found(error_of(replaced(kRoles, "T.mbarrier_wait_parity(full[k % 3], k // 3 % 2)",
                                 "T.mbarrier_wait_parity(full[k % 3], (k // 3 + 1) % 2)"),
                        {input(a), output(b)}),
               {"line 24", "S[", "the wait for parity 1 of full[0] (line 23) passed at once"});
  // The producer's: nobody can go on.
  expect_found(
      error_of(replaced(kRoles, "empty[k % 3], (k // 3 + 1) % 2", "empty[k % 3], k // 3 % 2"),
               {input(a), output(b)}),
      {"deadlock", "line 17", "parity 0 of empty[0]", "64 arrivals to come"});
}

TEST(EmulatorAsync, a_stage_given_back_to_early_or_never_waited_for_is_found) {
  std::vector<float> a = numbers(512), b(64);
  // The producer does not wait for the stage to be empty.
  expect_found(error_of(replaced(kRoles,
                                 "                        T.mbarrier_wait_parity(empty[k % 3], (k "
                                 "// 3 + 1) % 2)\n",
                                 ""),
                        {input(a), output(b)}),
               {"race on S["});
}

TEST(EmulatorAsync, wrong_byte_counts_and_arrival_counts_deadlock_with_what_is_missing) {
  std::vector<float> a = numbers(512), b(64);
  expect_found(
      error_of(replaced(kRoles, "full[k % 3], 256)", "full[k % 3], 512)"), {input(a), output(b)}),
      {"deadlock", "parity 0 of full[0]", "256 bytes outstanding"});
  expect_found(
      error_of(replaced(kRoles, "T.mbarrier_init(empty[s], 64)", "T.mbarrier_init(empty[s], 65)"),
               {input(a), output(b)}),
      {"deadlock", "empty[0]", "1 arrival to come"});
}

TEST(EmulatorAsync, barriers_must_be_initialised_before_others_use_them) {
  std::vector<float> a = numbers(512), b(64);
  const std::string error =
      error_of(replaced(kRoles, "            T.sync_threads()\n", "            pass\n"),
               {input(a), output(b)});
  EXPECT_TRUE(error.find("is no mbarrier yet") != std::string::npos ||
              error.find("race on full[0]") != std::string::npos)
      << error;
}

constexpr const char* kTmaStore = R"(
@T.prim_func
def main(A: T.Buffer((50, 40), "float32"), B: T.Buffer((50, 40), "float32")):
    for by in T.thread_binding(2, thread="blockIdx.y"):
        for bx in T.thread_binding(2, thread="blockIdx.x"):
            S = T.alloc_shared((32, 32), "float32")
            bar = T.alloc_shared((1,), "uint64")
            for tx in T.thread_binding(64, thread="threadIdx.x"):
                if tx == 0:
                    T.mbarrier_init(bar[0], 1)
                    T.mbarrier_arrive_expect_tx(bar[0], 4096)
                    T.tma_load(S[0, 0], A[by * 32, bx * 32], bar[0], 32, 32)
                T.sync_threads()
                T.mbarrier_wait_parity(bar[0], 0)
                for i in range(16):
                    S[i * 2 + tx // 32, tx % 32] = S[i * 2 + tx // 32, tx % 32] * T.float32(2)
                T.fence_proxy_async()
                T.sync_threads()
                if tx == 0:
                    T.tma_store(B[by * 32, bx * 32], S[0, 0], 32, 32)
                    T.tma_store_arrive()
                    T.tma_store_wait(0)
)";

TEST(EmulatorAsync, boxes_over_the_edge_read_zeros_and_write_nothing) {
  std::vector<float> a = numbers(2000), b(2000);
  const InterpretArgument arguments[] = {input(a), output(b)};
  auto report = emulate_thoroughly(parsed(kTmaStore), arguments);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  for (size_t i = 0; i < 2000; ++i)
    ASSERT_EQ(b[i], 2 * a[i]);
}

TEST(EmulatorAsync, a_missing_proxy_fence_or_wait_of_a_store_is_found) {
  std::vector<float> a = numbers(2000), b(2000);
  expect_found(error_of(replaced(kTmaStore, "                T.fence_proxy_async()\n", ""),
                        {input(a), output(b)}),
               {"line 19", "asynchronous proxy", "T.fence_proxy_async()"});
  expect_found(error_of(replaced(kTmaStore, "                    T.tma_store_wait(0)\n", ""),
                        {input(a), output(b)}),
               {"line 20", "may still read shared memory", "T.tma_store_wait(0)"});
}

// A product of one warp: ldmatrix and mma.sync, through a swizzled layout.
const std::string kMma = R"(
@T.prim_func
def main(A: T.Buffer((16, 64), "float16"), B: T.Buffer((64, 8), "float16"), C: T.Buffer((16, 8), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        SA = T.alloc_buffer((16, 64), "float16", scope="shared")
        SB = T.alloc_buffer((64, 8), "float16", scope="shared")
        RA = T.alloc_local((8,), "float16")
        RB = T.alloc_local((4,), "float16")
        RC = T.alloc_local((4,), "float32")
        for tx in T.thread_binding(32, thread="threadIdx.x"):
            for i in range(32):
                SA[i // 2, i % 2 * 32 + tx] = A[i // 2, i % 2 * 32 + tx]
            for i in range(16):
                SB[i * 4 + tx // 8, tx % 8] = B[i * 4 + tx // 8, tx % 8]
            for i in range(4):
                RC[i] = T.float32(0)
            T.sync_threads()
            for k in range(4):
                T.ptx_ldmatrix(RA[0], SA[tx % 16, k * 16 + tx // 16 * 8], 4, 0)
                T.ptx_ldmatrix(RB[0], SB[k * 16 + tx % 16, 0], 2, 1)
                T.ptx_mma(RC[0], RA[0], RB[0], "m16n8k16")
            for i in range(4):
                C[tx // 4 + i // 2 * 8, tx % 4 * 2 + i % 2] = RC[i]
)";

TEST(EmulatorAsync, ldmatrix_and_mma_multiply_matrices) {
  Halves a(16 * 64, 5), b(64 * 8, 6);
  std::vector<float> c(128);
  auto report = emulate(parsed(kMma), {a.view(), b.view(), output(c)});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) {
      float sum = 0;
      for (int k = 0; k < 64; ++k)
        sum += a.values[static_cast<size_t>(i * 64 + k)] * b.values[static_cast<size_t>(k * 8 + j)];
      ASSERT_EQ(c[static_cast<size_t>(i * 8 + j)], sum) << i << ", " << j;
    }
  // Rows of 128 bytes: eight rows of a matrix on the same banks.
  const auto conflicts = report->conflicts();
  ASSERT_FALSE(conflicts.empty());
  EXPECT_EQ(conflicts[0].where.line, 19u);
  EXPECT_DOUBLE_EQ(conflicts[0].ways(), 8);
}

TEST(EmulatorAsync, a_layout_of_shared_memory_moves_the_elements_and_takes_the_conflicts_away) {
  Halves a(16 * 64, 5), b(64 * 8, 6);
  std::vector<float> plain(128), swizzled(128);
  const PrimFunc function = parsed(kMma);
  ASSERT_TRUE(emulate(function, {a.view(), b.view(), output(plain)}).has_value());
  // The same program with a layout on SA's allocation.
  const PrimFunc changed = copy_node<PrimFuncNode>(*function, [&](PrimFuncNode& node) {
    node.body = cast_ref<StmtNode>(rewrite_post(node.body, [&](const NodeRef& child) -> NodeRef {
      const auto* alloc = child.as<AllocBuffer>();
      if (alloc == nullptr || alloc->buffer->name != "SA")
        return child;
      return copy_node<AllocBuffer>(*alloc, [&](AllocBuffer& copy) {
        copy.annotations =
            copy.annotations.with("layout", to_expr(*swizzled_tile(16, 64, 16, 128)));
      });
    }));
  });
  auto report = emulate(changed, {a.view(), b.view(), output(swizzled)});
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(swizzled, plain);
  for (const SharedAccess& access : report->conflicts())
    EXPECT_NE(access.where.line, 19u) << access.to_string();
}

// A warpgroup's product: operands by TMA, accumulators in registers.
const std::string kWgmma = R"(
@T.prim_func
def main(A: T.Buffer((64, 32), "float16"), B: T.Buffer((16, 32), "float16"), C: T.Buffer((64, 16), "float32")):
    for bx in T.thread_binding(1, thread="blockIdx.x"):
        SA = T.alloc_shared((64, 32), "float16")
        SB = T.alloc_shared((16, 32), "float16")
        bar = T.alloc_shared((1,), "uint64")
        D = T.alloc_local((8,), "float32")
        for tx in T.thread_binding(128, thread="threadIdx.x"):
            if tx == 0:
                T.mbarrier_init(bar[0], 1)
                T.mbarrier_arrive_expect_tx(bar[0], 5120)
                T.tma_load(SA[0, 0], A[0, 0], bar[0], 64, 32)
                T.tma_load(SB[0, 0], B[0, 0], bar[0], 16, 32)
            T.sync_threads()
            T.mbarrier_wait_parity(bar[0], 0)
            T.warpgroup_arrive()
            for k in range(2):
                T.ptx_wgmma_ss(D[0], SA[0, k * 16], SB[0, k * 16], "m64n16k16", 1, k)
            T.warpgroup_commit_batch()
            T.warpgroup_wait(0)
            for i in range(8):
                C[tx // 32 * 16 + tx % 32 // 4 + i // 2 % 2 * 8, i // 4 * 8 + tx % 4 * 2 + i % 2] = D[i]
)";

TEST(EmulatorAsync, wgmma_multiplies_into_its_accumulators) {
  Halves a(64 * 32, 7), b(16 * 32, 8);
  std::vector<float> c(64 * 16);
  const InterpretArgument arguments[] = {a.view(), b.view(), output(c)};
  auto report = emulate_thoroughly(parsed(kWgmma), arguments);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  for (int i = 0; i < 64; ++i)
    for (int j = 0; j < 16; ++j) {
      float sum = 0;
      for (int k = 0; k < 32; ++k)
        sum +=
            a.values[static_cast<size_t>(i * 32 + k)] * b.values[static_cast<size_t>(j * 32 + k)];
      ASSERT_EQ(c[static_cast<size_t>(i * 16 + j)], sum) << i << ", " << j;
    }
}

TEST(EmulatorAsync, accumulators_touched_in_flight_are_found) {
  Halves a(64 * 32, 7), b(16 * 32, 8);
  std::vector<float> c(64 * 16);
  const std::vector<InterpretArgument> arguments{a.view(), b.view(), output(c)};
  expect_found(error_of(replaced(kWgmma, "T.warpgroup_wait(0)", "T.warpgroup_wait(1)"), arguments),
               {"line 23", "D[0] is touched while an asynchronous product"});
  expect_found(error_of(replaced(kWgmma, "            T.warpgroup_arrive()\n", ""), arguments),
               {"T.warpgroup_arrive() must come before"});
  expect_found(
      error_of(replaced(kWgmma, "            T.mbarrier_wait_parity(bar[0], 0)\n", ""), arguments),
      {"line 18", "race on SA[", "asynchronous operation (line 13)"});
  expect_found(
      error_of(replaced(kWgmma, "\"m64n16k16\", 1, k)", "\"m64n16k16\", 1, 1)"), arguments),
      {"register 0 of D, which was never written"});
}

} // namespace
} // namespace temper::tir
