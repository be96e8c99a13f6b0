// Clusters of blocks: what they have in common, copies into all of them, barriers of each other,
// and the mistakes that a GPU shows only now and then.
#include "ir/tir/cluster.h"

#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/walk.h"
#include "tests/tir/emulated_programs.h"

namespace temper::tir {
namespace {

// Two blocks of a cluster read a row alike: each brings half of it to both.
constexpr const char* kHalves = R"(
@T.prim_func
def main(A: T.Buffer((2, 64), "float32"), B: T.Buffer((4, 64), "float32")):
    with T.Kernel(4, threads=64, cluster_dims=2) as bx:
        S = T.alloc_shared((64,), "float32")
        full = T.alloc_shared((1,), "uint64")
        tx = T.get_thread_binding(0)
        if tx == 0:
            T.mbarrier_init(full[0], 1)
            T.fence_mbarrier_init()
        T.fence_proxy_async()
        T.cluster_sync()
        if tx == 0:
            T.mbarrier_arrive_expect_tx(full[0], 256)
            T.tma_load_multicast(S[bx % 2 * 32], A[bx // 2, bx % 2 * 32], full[0], 3, 32)
        T.mbarrier_wait_parity(full[0], 0)
        B[bx, tx] = S[63 - tx]
)";

TEST(Cluster, a_copy_arrives_in_all_blocks_of_its_mask) {
  const PrimFunc function = parsed(kHalves);
  std::vector<float> a = numbers(128), b(256);
  const InterpretArgument arguments[] = {input(a), output(b)};
  auto report = emulate_thoroughly(function, arguments);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(report->blocks, 4);
  for (size_t block = 0; block < 4; ++block)
    for (size_t tx = 0; tx < 64; ++tx)
      ASSERT_EQ(b[block * 64 + tx], a[block / 2 * 64 + 63 - tx]);
  const std::string text = script::to_text(function);
  auto again = script::parse_prim_func(text, "again.py");
  ASSERT_TRUE(again.has_value()) << text << again.error().to_string();
  EXPECT_TRUE(structural_equal(function, *again)) << text;
}

TEST(Cluster, mistakes_of_copies_into_other_blocks_are_found) {
  std::vector<float> a = numbers(128), b(256);
  const auto found = [&](const std::string& from, const std::string& to) {
    return error_of(replaced(kHalves, from, to), {input(a), output(b)});
  };
  expect_found(found("full[0], 3, 32)", "full[0], 7, 32)"),
               {"line 15", "the mask 0x7 names blocks that the cluster has not: it has 2"});
  // Nobody knows that the other block has its barrier.
  expect_found(found("T.cluster_sync()", "T.sync_threads()"), {"line 15", "full[0]"});
  // The other half never comes.
  expect_found(found("full[0], 3, 32)", "full[0], T.shift_left(1, bx % 2), 32)"),
               {"deadlock", "128 bytes outstanding"});
}

// Stages go round in two blocks at once: a stage is free when both have read it.
constexpr const char* kRoles = R"(
@T.prim_func
def main(A: T.Buffer((8, 64), "float32"), B: T.Buffer((2, 64), "float32")):
    with T.Kernel(2, threads=96, cluster_dims=2) as bx:
        S = T.alloc_shared((3, 64), "float32")
        full = T.alloc_shared((3,), "uint64")
        empty = T.alloc_shared((3,), "uint64")
        total = T.alloc_local((1,), "float32")
        tx = T.get_thread_binding(0)
        if tx == 0:
            for s in range(3):
                T.mbarrier_init(full[s], 1)
                T.mbarrier_init(empty[s], 128)
        T.cluster_sync()
        if tx < 32:
            if tx == 0:
                for k in range(8):
                    T.mbarrier_wait_parity(empty[k % 3], (k // 3 + 1) % 2)
                    T.mbarrier_arrive_expect_tx(full[k % 3], 256)
                    T.tma_load_multicast(S[k % 3, bx * 32], A[k, bx * 32], full[k % 3], 3, 32)
        else:
            total[0] = T.float32(0)
            for k in range(8):
                T.mbarrier_wait_parity(full[k % 3], k // 3 % 2)
                total[0] = total[0] + S[k % 3, 95 - tx] * T.Cast("float32", k + 1)
                T.mbarrier_arrive(empty[k % 3])
                T.mbarrier_arrive(empty[k % 3], cta_id=1 - bx)
            B[bx, tx - 32] = total[0]
        T.cluster_sync()
)";

TEST(Cluster, blocks_free_each_others_stages) {
  std::vector<float> a = numbers(512), b(128);
  const InterpretArgument arguments[] = {input(a), output(b)};
  auto report = emulate_thoroughly(parsed(kRoles), arguments);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  for (size_t block = 0; block < 2; ++block)
    for (size_t tx = 0; tx < 64; ++tx) {
      float total = 0;
      for (size_t k = 0; k < 8; ++k)
        total += a[k * 64 + 63 - tx] * static_cast<float>(k + 1);
      ASSERT_EQ(b[block * 64 + tx], total);
    }
}

TEST(Cluster, what_one_block_does_to_another_needs_an_order) {
  std::vector<float> a = numbers(512), b(128);
  const auto found = [&](std::string text) { return error_of(text, {input(a), output(b)}); };
  const std::string remote = "                T.mbarrier_arrive(empty[k % 3], cta_id=1 - bx)\n";
  // Nobody tells the other block that its stage was read here.
  expect_found(found(replaced(replaced(kRoles, remote, ""), "empty[s], 128", "empty[s], 64")),
               {"race on S["});
  expect_found(found(replaced(kRoles, remote, "")),
               {"deadlock", "empty[0]", "64 arrivals to come"});
  expect_found(found(replaced(kRoles, "cta_id=1 - bx", "cta_id=2")),
               {"there is no block of rank 2 in the cluster: it has 2"});
  // Arrivals may come when the other block is gone.
  std::string text = kRoles;
  text.erase(text.rfind("        T.cluster_sync()"));
  expect_found(found(text), {"which may have ended", "T.cluster_sync() at the end of the kernel"});
  // A part of a warp.
  expect_found(found(text + "        if tx < 16:\n            T.cluster_sync()\n"),
               {"divergent barrier: 16 of the 32 threads"});
}

TEST(Cluster, sizes_that_a_gpu_does_not_run_are_named) {
  const auto checked = [](const std::string& dims, int architecture) {
    const PrimFunc function =
        parsed("\n@T.prim_func\ndef main(B: T.Buffer((64, 64), \"float32\")):\n"
               "    with T.Kernel(12, 4, threads=32, cluster_dims=" +
               dims + ") as (bx, by):\n        B[bx, by] = T.float32(1)\n");
    const auto* kernel = function ? function->body.as<KernelLaunch>() : nullptr;
    if (kernel == nullptr)
      return std::string("no kernel");
    const auto result = check_cluster(*kernel, cluster_dims(*kernel), architecture);
    return result ? std::string() : result.error().message;
  };
  EXPECT_EQ(checked("(2, 4)", 90), "");
  EXPECT_EQ(checked("(1, 1)", 80), "");
  expect_found(checked("(2, 1)", 80), {"line 4", "from sm_90 on", "sm_80"});
  expect_found(checked("(4, 4)", 90), {"a cluster of 16 blocks: it may have 8"});
}

/// Of "for k in ...: X = VALUE" in a kernel of 8 x 4 blocks: is VALUE the same for the two blocks
/// of a cluster along x, and do they go round together?
std::pair<bool, bool> in_common(const std::string& loop, const std::string& value) {
  const PrimFunc function = parsed(R"(
@T.prim_func
def main(B: T.Buffer((4096,), "int32")):
    with T.Kernel(8, 4, threads=32, cluster_dims=(2, 1)) as (bx, by):
        tile: T.let = by * 8 + bx
        )" + loop +
                                   ":\n            B[0] = " + value + "\n");
  if (!function)
    return {};
  const auto* kernel = function->body.as<KernelLaunch>();
  EXPECT_NE(kernel, nullptr) << script::to_text(function);
  Stmt store;
  walk(function->body, [&](const NodeRef& node) {
    if (node.as<BufferStore>() != nullptr)
      store = cast_ref<StmtNode>(node);
    return true;
  });
  if (kernel == nullptr || !store)
    return {};
  ClusterUse use(*kernel, cluster_dims(*kernel));
  return {use.same(store.as<BufferStore>()->value, 0), use.same_control(store, 0)};
}

TEST(Cluster, what_its_blocks_have_in_common_is_known) {
  using Both = std::pair<bool, bool>;
  EXPECT_EQ(in_common("for k in range(4)", "by * 64 + k"), Both(true, true));
  EXPECT_EQ(in_common("for k in range(4)", "bx * 64"), Both(false, true));
  EXPECT_EQ(in_common("for k in range(4)", "bx // 2 * 64"), Both(true, true));
  // Tiles that a kernel goes through in steps of its blocks, in groups of columns.
  EXPECT_EQ(in_common("for k in range(4)", "(k * 32 + tile) // 8 % 3"), Both(true, true));
  EXPECT_EQ(in_common("for k in range(4)", "(k * 32 + tile) % 8"), Both(false, true));
  EXPECT_EQ(in_common("for k in range(4)", "(k * 31 + tile) // 8"), Both(false, true));
  EXPECT_EQ(in_common("for k in range(bx)", "by"), Both(true, false));
  EXPECT_EQ(in_common("if by * 8 + bx < 30", "by"), Both(true, true));
  EXPECT_EQ(in_common("if by * 8 + bx < 29", "by"), Both(true, false));
  EXPECT_EQ(in_common("if tile <= 29", "by"), Both(true, true));
  EXPECT_EQ(in_common("if by < 3 and bx < 5", "by"), Both(true, false));
  EXPECT_EQ(in_common("for k in range(4)", "B[0] + by"), Both(false, true)) << "memory may differ";
}

} // namespace
} // namespace temper::tir
