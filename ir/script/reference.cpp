#include "ir/script/reference.h"

#include "ir/op.h"
#include "ir/script/evaluator.h"
#include "ir/script/tilelang_names.h"
#include "ir/support/text.h"
#include "ir/tir/dispatch.h"
#include "ir/tir/tile_ops.h"

#include <algorithm>

namespace temper::script {

using tir::TileOp;
using tir::TileParameter;
using tir::TileParameterType;

namespace {

/// A kernel of one block around `body`, over A and B of 64 elements.
std::string on_rows(const std::string& body) {
  return "@T.prim_func\ndef main(A: T.Tensor((64,), \"float32\"), B: T.Tensor((64,), "
         "\"float32\")):\n"
         "    with T.Kernel(2, threads=32) as bx:\n" +
         body;
}

std::string signature_of(const TileOp& op) {
  std::string text = "T." + op.name + "(";
  bool first = true;
  for (const TileParameter& parameter : op.parameters) {
    text += std::string(first ? "" : ", ") + parameter.name;
    first = false;
    if (parameter.in_place)
      text += "=None";
    else if (const auto* word =
                 parameter.default_value ? parameter.default_value.as<StringImm>() : nullptr)
      text += "=\"" + word->value + "\"";
    else if (parameter.default_value)
      text += "=" + (parameter.type == TileParameterType::kFlag
                         ? std::string(is_int(parameter.default_value, 0) ? "False" : "True")
                         : std::to_string(as_int(parameter.default_value).value_or(0)));
  }
  return text + ", annotations={})";
}

std::string variants_of(const TileOp& op, TargetKind target) {
  std::vector<std::string> names;
  for (const tir::TileVariant* variant : tir::tile_variants(op.name, target))
    names.push_back("`" + variant->name + "` (" + variant->doc + ")");
  return join(names, ", ");
}

/// What each operation of the table computes, where its name does not say it.
std::string doc_of(const OpInfo& op) {
  static const std::vector<std::pair<const char*, const char*>> kDocs = {
      {"exp2", "2 to the power of x."},
      {"exp10", "10 to the power of x."},
      {"log1p", "log(1 + x), exact near 0."},
      {"rsqrt", "1 / sqrt(x)."},
      {"sigmoid", "1 / (1 + exp(-x))."},
      {"erf", "The error function."},
      {"round", "To the nearest whole number, halves away from zero."},
      {"nearbyint", "To the nearest whole number, halves to even."},
      {"trunc", "Towards zero."},
      {"abs", "Of integers and floats."},
      {"fma", "a * b + c, rounded once."},
      {"copysign", "The first argument with the sign of the second."},
      {"isnan", "bool."},
      {"isinf", "bool."},
      {"isfinite", "bool."},
      {"bitwise_and", "Also written a & b."},
      {"bitwise_or", "Also written a | b."},
      {"bitwise_xor", "Also written a ^ b."},
      {"bitwise_not", "Also written ~a."},
      {"shift_left", "Also written a << b."},
      {"shift_right", "Also written a >> b; of signed integers the sign is kept."},
      {"popcount", "How many bits are 1."},
      {"clz", "How many bits are 0 above the highest 1."},
      {"likely", "The condition itself, said to be true most of the time."},
  };
  for (const auto& [name, text] : kDocs)
    if (op.name == name)
      return text;
  return "Element by element" + std::string(op.floating_only ? ", of floats." : ".");
}

std::string example_of(const OpInfo& op) {
  const bool integer = op.integer_only;
  std::vector<std::string> arguments;
  for (int i = 0; i < op.arity; ++i)
    arguments.push_back(integer ? i == 0 ? "n" : "2" : i == 0 ? "x" : "y");
  if (op.name == "likely")
    arguments = {"x > 0.0"};
  // Where every function of the table is defined.
  std::string call = "T." + op.name + "(" + join(arguments, ", ") + ")";
  if (op.result == OpResult::kBool || op.name == "likely")
    call = "T.if_then_else(" + call + ", 1.0, 0.0)";
  if (integer)
    call = "T.cast(" + call + ", \"float32\")";
  return on_rows(std::string("        for i in T.Parallel(32):\n") +
                 (integer ? "            n = T.cast(A[bx * 32 + i], \"int32\") + 5\n"
                          : "            x = A[bx * 32 + i] * 0.1 + 0.5\n"
                            "            y = A[bx * 32 + i] * 0.05 + 0.4\n") +
                 "            B[bx * 32 + i] = " + call + (integer ? "" : " + y * 0.0") + "\n");
}

} // namespace

namespace {

constexpr const char* kRawSection = "Raw instructions of GPUs";

/// Operations of the table (ir/op.h) that threads of a GPU carry out, for what has no operator.
std::vector<LanguageEntry> raw_instructions() {
  const std::string head = "@T.prim_func\ndef main(A: T.Tensor((64,), \"float32\"), B: "
                           "T.Tensor((64,), \"float32\")):\n"
                           "    with T.Kernel(2, threads=32) as bx:\n"
                           "        tx = T.get_thread_binding(0)\n";
  const std::string product =
      "@T.prim_func\ndef main(A: T.Tensor((16, 16), \"float16\"), B: T.Tensor((16, 8), "
      "\"float16\"), C: T.Tensor((16, 8), \"float32\")):\n"
      "    with T.Kernel(1, threads=32) as bx:\n"
      "        tx = T.get_thread_binding(0)\n"
      "        a = T.alloc_shared((16, 16), \"float16\")\n"
      "        b = T.alloc_shared((16, 8), \"float16\")\n"
      "        a_own = T.alloc_local((8,), \"float16\")\n"
      "        b_own = T.alloc_local((4,), \"float16\")\n"
      "        c_own = T.alloc_local((4,), \"float32\")\n"
      "        for i in T.serial(8):\n            a[i * 2 + tx // 16, tx % 16] = A[i * 2 + tx // "
      "16, "
      "tx % 16]\n"
      "        for i in T.serial(4):\n            b[i * 4 + tx // 8, tx % 8] = B[i * 4 + tx // 8, "
      "tx "
      "% 8]\n            c_own[i] = 0.0\n"
      "        T.sync_threads()\n"
      "        T.ptx_ldmatrix(a_own[0], a[tx % 16, tx // 16 * 8], 4, 0)\n"
      "        T.ptx_ldmatrix(b_own[0], b[tx % 16, 0], 2, 1)\n"
      "        T.ptx_mma(c_own[0], a_own[0], b_own[0], \"m16n8k16\")\n"
      "        for i in T.serial(4):\n"
      "            C[tx // 4 + i // 2 * 8, tx % 4 * 2 + i % 2] = c_own[i]\n";
  const std::string boxes =
      "@T.prim_func\ndef main(A: T.Tensor((64, 32), \"float32\"), B: T.Tensor((64, 32), "
      "\"float32\")):\n"
      "    with T.Kernel(2, threads=32) as bx:\n        tx = T.get_thread_binding(0)\n"
      "        tile = T.alloc_shared((32, 32), \"float32\")\n"
      "        bar = T.alloc_barrier(1)\n"
      "        if tx == 0:\n            T.mbarrier_arrive_expect_tx(bar, 4096)\n"
      "            T.tma_load(tile[0, 0], A[bx * 32, 0], bar[0], 32, 32)\n"
      "        T.mbarrier_wait_parity(bar, 0)\n"
      "        for i in T.serial(32):\n            tile[i, tx] = tile[i, tx] * 2.0\n"
      "        T.fence_proxy_async()\n        T.sync_threads()\n"
      "        if tx == 0:\n            T.tma_store(B[bx * 32, 0], tile[0, 0], 32, 32)\n"
      "            T.tma_store_arrive()\n            T.tma_store_wait(0)\n";
  const std::string clusters =
      "@T.prim_func\ndef main(A: T.Tensor((2, 64), \"float32\"), B: T.Tensor((4, 64), "
      "\"float32\")):\n"
      "    with T.Kernel(4, threads=64, cluster_dims=2) as bx:\n"
      "        tx = T.get_thread_binding(0)\n"
      "        tile = T.alloc_shared((64,), \"float32\")\n"
      "        full = T.alloc_shared((1,), \"uint64\")\n"
      "        if tx == 0:\n            T.mbarrier_init(full[0], 1)\n"
      "            T.fence_mbarrier_init()\n        T.fence_proxy_async()\n"
      "        T.cluster_sync()\n"
      "        if tx == 0:\n            T.mbarrier_arrive_expect_tx(full[0], 256)\n"
      "            T.tma_load_multicast(tile[bx % 2 * 32], A[bx // 2, bx % 2 * 32], full[0], 3, "
      "32)\n"
      "        T.mbarrier_wait_parity(full[0], 0)\n        B[bx, tx] = tile[63 - tx]\n"
      "        T.cluster_sync()\n";
  const auto warpgroup = [](bool registers) {
    return std::string(
               "@T.prim_func\ndef main(A: T.Tensor((64, 16), \"float16\"), B: T.Tensor((16, "
               "16), \"float16\"), C: T.Tensor((64, 16), \"float32\")):\n"
               "    with T.Kernel(1, threads=128) as bx:\n"
               "        tx = T.get_thread_binding(0)\n"
               "        a = T.alloc_shared((64, 16), \"float16\")\n"
               "        b = T.alloc_shared((16, 16), \"float16\")\n") +
           (registers ? "        a_own = T.alloc_local((8,), \"float16\")\n" : "") +
           "        c_own = T.alloc_local((8,), \"float32\")\n"
           "        bar = T.alloc_barrier(1)\n"
           "        if tx == 0:\n            T.mbarrier_arrive_expect_tx(bar, 2560)\n"
           "            T.tma_load(a[0, 0], A[0, 0], bar[0], 64, 16)\n"
           "            T.tma_load(b[0, 0], B[0, 0], bar[0], 16, 16)\n"
           "        T.mbarrier_wait_parity(bar, 0)\n" +
           (registers
                ? "        T.ptx_ldmatrix(a_own[0], a[tx // 32 * 16 + tx % 16, tx % 32 // 16 * "
                  "8], 4, 0)\n"
                : "") +
           "        T.warpgroup_arrive()\n" +
           (registers
                ? "        T.ptx_wgmma_rs(c_own[0], a_own[0], b[0, 0], \"m64n16k16\", 1, 0)\n"
                : "        T.ptx_wgmma_ss(c_own[0], a[0, 0], b[0, 0], \"m64n16k16\", 1, 0)\n") +
           "        T.warpgroup_commit_batch()\n        T." +
           (registers ? "wait_wgmma" : "warpgroup_wait") +
           "(0)\n"
           "        for i in T.serial(8):\n"
           "            C[tx // 32 * 16 + tx % 32 // 4 + i // 2 % 2 * 8, i // 4 * 8 + tx % 4 * 2 + "
           "i "
           "% 2] = c_own[i]\n";
  };
  std::vector<LanguageEntry> list;
  const auto add = [&](const char* name, const char* signature, const char* doc,
                       std::string example) {
    list.push_back({kRawSection, name, signature, doc, std::move(example), false});
  };
  add("T.sync_warp", "T.sync_warp()",
      "The lanes of a warp wait for each other: what one has stored in shared memory before, the "
      "others read behind it. T.sync_threads() does so for the block.",
      head + "        tile = T.alloc_shared((32,), \"float32\")\n"
             "        tile[tx] = A[bx * 32 + tx]\n        T.sync_warp()\n"
             "        B[bx * 32 + tx] = tile[tx ^ 1]\n");
  add("T.shfl_sync, T.shfl_xor, T.shfl_up, T.shfl_down, T.shfl_xor_sync, T.shfl_up_sync, "
      "T.shfl_down_sync",
      "T.shfl_sync(x, lane)",
      "What x is in another lane of the warp: that of the number; the lane's own number XORed with "
      "the second argument; so many below (a lane without one has its own x), or above. All lanes "
      "come here. T.shfl_xor prints as T.shfl_xor_sync, the others alike.",
      head + "        x = T.alloc_var(\"float32\", 0.0)\n        x = A[bx * 32 + tx]\n"
             "        first = T.shfl_sync(x, 0)\n"
             "        B[bx * 32 + tx] = T.shfl_xor(x, 1) + T.shfl_up(x, 1) + T.shfl_down(x, 1) + "
             "first + T.shfl_xor_sync(x, 2) + T.shfl_up_sync(x, 2) + T.shfl_down_sync(x, 2)\n");
  add("T.ptx_cp_async, T.ptx_commit_group, T.ptx_wait_group",
      "T.ptx_cp_async(shared[i], A[j], elements, condition=True)",
      "The thread asks for a copy of so many elements (not bytes: 4, 8 or 16 bytes in all) from "
      "global into shared memory, both aligned to its width and inside their buffers; where the "
      "condition does not hold zeros are written and A is not read. T.ptx_commit_group() closes a "
      "group of copies, T.ptx_wait_group(n) waits until at most n groups of this thread are under "
      "way; others see them behind a T.sync_threads().",
      "@T.prim_func\ndef main(A: T.Tensor((64,), \"float32\"), B: T.Tensor((64,), \"float32\")):\n"
      "    with T.Kernel(1, threads=16) as bx:\n        tx = T.get_thread_binding(0)\n"
      "        tile = T.alloc_shared((64,), \"float32\")\n"
      "        T.ptx_cp_async(tile[tx * 4], A[tx * 4], 4)\n"
      "        T.ptx_commit_group()\n        T.ptx_wait_group(0)\n        T.sync_threads()\n"
      "        for k in T.serial(4):\n            B[tx * 4 + k] = tile[63 - tx * 4 - k]\n");
  add("T.copy_vector", "T.copy_vector(to[i], from[j], elements)",
      "So many elements, 4, 8 or 16 bytes in all, at once, between any memories, both aligned to "
      "that.",
      "@T.prim_func\ndef main(A: T.Tensor((64,), \"float32\"), B: T.Tensor((64,), \"float32\")):\n"
      "    with T.Kernel(1, threads=16) as bx:\n        tx = T.get_thread_binding(0)\n"
      "        own = T.alloc_local((4,), \"float32\")\n"
      "        T.copy_vector(own[0], A[tx * 4], 4)\n        T.copy_vector(B[tx * 4], own[0], 4)\n");
  add("T.ptx_ldmatrix, T.ptx_stmatrix, T.ptx_mma", "T.ptx_mma(C[i], A[j], B[k], \"m16n8k16\")",
      "Products of a warp, in registers (ir/tir/fragments.h says which lane holds what). "
      "T.ptx_ldmatrix(registers[i], shared[row, column], matrices, transposed) brings 1, 2 or 4 "
      "matrices of 8 x 8 elements of 16 bits, each lane naming a row; "
      "T.ptx_stmatrix(shared[row, column], registers[i], matrices) is the other way round. From "
      "sm_75 on, T.ptx_stmatrix from sm_90 on. T.gemm does all of it.",
      product);
  add("T.tma_load, T.tma_store, T.tma_store_arrive, T.tma_store_wait, T.fence_proxy_async",
      "T.tma_load(shared[i, j], A[k, l], bar[0], extents...)",
      "One thread asks the tensor memory accelerator (from sm_90 on) for a box of A, row by row "
      "without gaps, zero outside of A; the bytes are counted at the barrier "
      "(T.mbarrier_arrive_expect_tx). T.tma_store(A[k, l], shared[i, j], extents...) is the other "
      "way round, with T.tma_store_arrive() and T.tma_store_wait(n) as groups; what threads have "
      "stored reaches it behind T.fence_proxy_async(). T.copy in a T.Pipelined does all of it.",
      boxes);
  add("T.tma_load_multicast, T.mbarrier_init, T.fence_mbarrier_init",
      "T.tma_load_multicast(shared[i], A[j], bar[0], mask, extents...)",
      "T.tma_load into every block of the cluster whose rank's bit is in the mask, each at its own "
      "barrier. T.mbarrier_init(bar[i], arrivals) prepares a barrier that is no T.alloc_barrier, "
      "and "
      "T.fence_mbarrier_init() lets other blocks use it, once they have met.",
      clusters);
  add("T.warpgroup_arrive, T.ptx_wgmma_ss, T.warpgroup_commit_batch, T.warpgroup_wait, "
      "T.wait_wgmma",
      "T.ptx_wgmma_ss(D[i], A[j, k], B[l, m], \"m64n64k16\", transpose_b, accumulate)",
      "Products of a warpgroup (sm_90a), operands in shared memory, sums in registers: behind "
      "T.warpgroup_arrive(), closed by T.warpgroup_commit_batch(); T.warpgroup_wait(n) waits until "
      "at most n batches are under way. B is [k, n], or with transpose_b [n, k]. T.gemm does all "
      "of "
      "it.",
      warpgroup(false));
  add("T.ptx_wgmma_rs",
      "T.ptx_wgmma_rs(D[i], A[j], B[l, m], \"m64n64k16\", transpose_b, accumulate)",
      "The same with A in registers.", warpgroup(true));
  return list;
}

} // namespace

std::vector<LanguageEntry> language_entries() {
  std::vector<LanguageEntry> list;
  const auto add = [&](const char* section, const char* name, const char* signature,
                       const char* doc, std::string example, bool on_cpu = true) {
    list.push_back({section, name, signature, doc, std::move(example), on_cpu});
  };
  const char* kernels = "Kernels and buffers";
  add(kernels, "T.prim_func", "@T.prim_func",
      "Makes a program of a function; its parameters are tensors (T.Tensor, T.Buffer) and numbers "
      "(T.int32). What stands around it is Python that runs before.",
      "n = 64\n\n@T.prim_func\ndef main(A: T.Tensor((n,), \"float32\"), B: T.Buffer((n,), "
      "\"float32\")):\n"
      "    with T.Kernel(1, threads=32) as bx:\n        T.copy(A, B)\n");
  add(kernels, "T.Kernel, T.ClusterKernel",
      "with T.Kernel(grid..., threads=128, cluster_dims=None, prelude=None) as (bx, by)",
      "(T.ClusterKernel is T.Kernel.) Runs its body for each block of a grid of one to three axes, "
      "in any order; several kernels "
      "of a "
      "function run one after the other. On a CPU the blocks are shared out among threads. Blocks "
      "of "
      "a cluster (cluster_dims=(2, 1): neighbours along the first axis) run at the same time on a "
      "GPU; of a pipeline with \"tma\": 2 what they read alike is copied once, for all of them.",
      "@T.prim_func\ndef main(A: T.Tensor((48, 64), \"float32\"), B: T.Tensor((48, 64), "
      "\"float32\")):\n"
      "    with T.Kernel(T.ceildiv(64, 32), T.ceildiv(48, 16), threads=64) as (bx, by):\n"
      "        tile = T.alloc_shared((16, 32), \"float32\")\n"
      "        T.copy(A[by * 16, bx * 32], tile)\n        T.copy(tile, B[by * 16, bx * 32])\n"
      "    with T.ClusterKernel(2, 1, threads=64, cluster_dims=(2, 1)) as (bx, by):\n"
      "        T.copy(A[32:48, bx * 32:bx * 32 + 32], B[32:48, bx * 32:bx * 32 + 32])\n");
  add(kernels, "T.alloc_shared", "T.alloc_shared(shape, dtype, scope=\"shared.dyn\")",
      "Memory that the threads of a block share.",
      on_rows(
          "        tile = T.alloc_shared((32,), \"float32\")\n        T.copy(A[bx * 32], tile)\n"
          "        T.copy(tile, B[bx * 32])\n"));
  add(kernels, "T.alloc_fragment", "T.alloc_fragment(shape, dtype, scope=\"local.fragment\")",
      "Registers that the threads of a block share out among themselves; the program sees them "
      "whole. "
      "Which thread holds what is inferred, or given by T.annotate_layout.",
      on_rows(
          "        tile = T.alloc_fragment((32,), \"float32\")\n        T.copy(A[bx * 32], tile)\n"
          "        for i in T.Parallel(32):\n            tile[i] = tile[i] + 1.0\n"
          "        T.copy(tile, B[bx * 32])\n"));
  add(kernels, "T.alloc_reducer, T.finalize_reducer",
      "T.alloc_reducer(shape, dtype, op=\"sum\", replication=None)",
      "A fragment that iterations of T.Parallel join with values, several with the same element: "
      "sums, or T.max or T.min of it and a value with op=\"max\" or \"min\". "
      "T.finalize_reducer(reducer) may follow, and has nothing left to do.",
      on_rows("        tile = T.alloc_shared((32, 8), \"float32\")\n"
              "        sums = T.alloc_reducer((32,), \"float32\")\n"
              "        for i, j in T.Parallel(32, 8):\n"
              "            tile[i, j] = A[bx * 32 + i] * j\n        T.clear(sums)\n"
              "        for i, j in T.Parallel(32, 8):\n            sums[i] += tile[i, j]\n"
              "        T.finalize_reducer(sums)\n        T.copy(sums, B[bx * 32])\n"));
  add(kernels, "T.alloc_local", "T.alloc_local(shape, dtype)",
      "Memory of one thread, in code that depends on the thread's number.",
      on_rows(
          "        tx = T.get_thread_binding(0)\n        own = T.alloc_local((2,), \"float32\")\n"
          "        own[0] = A[bx * 32 + tx]\n        own[1] = own[0] * own[0]\n"
          "        B[bx * 32 + tx] = own[1]\n"));
  add(kernels, "T.alloc_buffer, T.alloc_global", "T.alloc_buffer(shape, dtype)",
      "Outside of kernels: memory in which one kernel leaves what the next one reads.",
      "@T.prim_func\ndef main(A: T.Tensor((64,), \"float32\"), B: T.Tensor((64,), \"float32\")):\n"
      "    between = T.alloc_global((64,), \"float32\")\n    with T.Kernel(2, threads=32) as bx:\n"
      "        for i in T.Parallel(32):\n            between[bx * 32 + i] = A[bx * 32 + i] * 2.0\n"
      "    with T.Kernel(2, threads=32) as bx:\n        for i in T.Parallel(32):\n"
      "            B[bx * 32 + i] = between[63 - bx * 32 - i]\n");
  add(kernels, "T.reshape, T.view", "x = T.view(buffer, shape=None, dtype=None)",
      "The same memory under another shape, or another type of the same width; elements are "
      "counted row by "
      "row.",
      on_rows("        tile = T.alloc_shared((4, 8), \"float32\")\n        flat = T.reshape(tile, "
              "(32,))\n"
              "        bits = T.view(tile, dtype=\"int32\")\n        T.copy(A[bx * 32], flat)\n"
              "        for i, j in T.Parallel(4, 8):\n            bits[i, j] = bits[i, j] ^ 0\n"
              "        T.copy(flat, B[bx * 32])\n"));
  add(kernels, "T.alloc_var", "T.alloc_var(dtype, init=None)",
      "A number that changes. x = 0 makes one too; x: T.let = ... makes a name that does not "
      "change.",
      on_rows("        total = T.alloc_var(\"float32\", 0.0)\n        for i in T.serial(32):\n"
              "            total = total + A[bx * 32 + i]\n        T.fill(B[bx * 32:bx * 32 + 32], "
              "total)\n"));
  add(kernels, "T.dynamic, T.symbolic", "m = T.dynamic(\"m\", dtype=\"int32\")",
      "A dimension that is known when the kernel is called. One kernel of a CPU serves every "
      "extent (temper-opt FILE.py --lower shows it): temper check tries several, temper tune takes "
      "one to be timed at, m=4096, and an exported function takes it from the tensors' shapes, in "
      "C behind the arrays. For a GPU it is a number, m=4096.",
      "m = T.dynamic(\"m\")\nrows = T.symbolic(\"rows\")\n\n@T.prim_func\n"
      "def main(A: T.Tensor((m,), \"float32\"), B: T.Tensor((m,), \"float32\"), "
      "C: T.Tensor((rows, 4), \"float32\")):\n"
      "    with T.Kernel(T.ceildiv(m, 32), threads=32) as bx:\n"
      "        tile = T.alloc_fragment((32,), \"float32\")\n        T.copy(A[bx * 32], tile)\n"
      "        T.copy(tile, B[bx * 32])\n"
      "    with T.Kernel(rows, threads=32) as by:\n        T.clear(C[by, 0:4])\n",
      false);
  const char* loops = "Loops and control flow";
  add(loops, "T.Parallel", "for i, j in T.Parallel(extents..., coalesced_width=None)",
      "Independent iterations, shared out among the threads of the block; vector code on a CPU. A "
      "name that the body assigns, x = ..., belongs to the iteration.",
      on_rows(
          "        for i in T.Parallel(32):\n            B[bx * 32 + i] = A[bx * 32 + i] * 2.0\n"));
  add(loops, "T.Pipelined",
      "for k in T.Pipelined(start, stop=None, num_stages=0, order=None, stage=None)",
      "A loop whose copies from global into shared memory may run ahead of its arithmetic by so "
      "many iterations; 0 and 1: they do not. Left out, a search chooses. With order= or stage= "
      "the program arranges its statements itself, for GPUs: statement i of iteration k runs in "
      "round k + stage[i], at place order[i] of the round; allocations and names do not count, "
      "group=[[0], [1, 2]] takes several statements for one, and -1 in both is a copy that runs "
      "num_stages - 1 rounds ahead. Shared buffers get the versions that this takes; where it "
      "would change what is computed it is an error. A CPU runs iterations one after the other. "
      "sync= of TileLang is read and has no meaning here: barriers are placed where they are "
      "needed.",
      on_rows("        tile = T.alloc_shared((8,), \"float32\")\n"
              "        for k in T.Pipelined(4, num_stages=2):\n"
              "            T.copy(A[bx * 32 + k * 8], tile)\n"
              "            T.copy(tile, B[bx * 32 + k * 8])\n"
              "        ahead = T.alloc_shared((8,), \"float32\")\n"
              "        for k in T.Pipelined(4, order=[0, 1], stage=[0, 2]):\n"
              "            T.copy(A[bx * 32 + k * 8], ahead)\n"
              "            T.copy(ahead, B[bx * 32 + k * 8])\n"));
  add(loops, "T.Persistent", "for i, j in T.Persistent(domain, wave_size, index, group_size=8)",
      "The tiles of `domain` that block `index` of `wave_size` works on, one after the other.",
      "@T.prim_func\ndef main(A: T.Tensor((40, 64), \"float32\"), B: T.Tensor((40, 64), "
      "\"float32\")):\n"
      "    with T.Kernel(3, threads=32) as block:\n        tile = T.alloc_fragment((8, 16), "
      "\"float32\")\n"
      "        for i, j in T.Persistent([5, 4], 3, block):\n            T.copy(A[i * 8, j * 16], "
      "tile)\n"
      "            T.copy(tile, B[i * 8, j * 16])\n");
  add(loops, "T.serial, T.Serial, range, T.grid", "for i in T.serial(start, stop=None, step=None)",
      "Iterations in order, by `step`, which may be negative; T.grid(n, m) is a nest of such loops "
      "from 0 by 1.",
      on_rows(
          "        for i, j in T.grid(4, 4):\n            B[bx * 32 + i * 4 + j] = A[bx * 32 + "
          "j * 4 + i]\n"
          "        for i in T.serial(16, 24, 2):\n            B[bx * 32 + i] = A[bx * 32 + i]\n"
          "            B[bx * 32 + i + 1] = 0.0\n"
          "        for i in T.Serial(24, 28):\n            B[bx * 32 + i] = A[bx * 32 + i]\n"
          "        for i in range(31, 27, -1):\n            B[bx * 32 + i] = A[bx * 32 + i]\n"));
  add(loops, "T.parallel", "for i in T.parallel(n)",
      "Outside of kernels, on a CPU: iterations in any order, shared out among its threads.",
      "@T.prim_func\ndef main(A: T.Tensor((64,), \"float32\"), B: T.Tensor((64,), \"float32\")):\n"
      "    for i in T.parallel(64):\n        B[i] = A[63 - i]\n");
  add(loops, "T.vectorized, T.Vectorized", "for v in T.vectorized(start, stop=None)",
      "One vector instruction for all iterations.",
      on_rows("        tx = T.get_thread_binding(0)\n        if tx < 4:\n            for v in "
              "T.vectorized(4):\n"
              "                B[bx * 32 + tx * 4 + v] = A[bx * 32 + tx * 4 + v]\n"
              "            for v in T.Vectorized(4):\n"
              "                B[bx * 32 + 16 + tx * 4 + v] = A[bx * 32 + tx * 4 + v]\n"));
  add(loops, "T.unroll, T.Unroll", "for i in T.unroll(start, stop=None, step=None)",
      "Iterations written out one after the other.",
      on_rows("        for i in T.unroll(2):\n            for j in T.Parallel(8):\n"
              "                B[bx * 32 + i * 8 + j] = A[bx * 32 + i * 8 + j]\n"
              "        for i in T.Unroll(16, 32, 8):\n            for j in T.Parallel(8):\n"
              "                B[bx * 32 + i + j] = A[bx * 32 + i + j]\n"));
  add(loops, "Tails", "T.Kernel(T.ceildiv(n, 64)), for k in T.serial(T.ceildiv(n, 64))",
      "Edges need no masks: inside of a kernel an element outside of a tensor reads as 0 and is "
      "not "
      "written, in T.copy as in A[i, j]; where that is proven not to happen no check is left. To "
      "sums and products 0 does no harm; a maximum, a minimum or an exponential is harmed, and its "
      "tail is set. Shared memory, fragments and local memory have no such edge: an index beyond "
      "them is a mistake, which temper check names with its line where the shape is small.",
      "n = 100\n\n@T.prim_func\ndef main(A: T.Tensor((8, n), \"float32\"), B: T.Tensor((8,), "
      "\"float32\")):\n    with T.Kernel(1, threads=32) as bx:\n"
      "        tile = T.alloc_fragment((8, 64), \"float32\")\n"
      "        top = T.alloc_fragment((8,), \"float32\")\n"
      "        T.fill(top, T.min_value(\"float32\"))\n"
      "        for k in T.serial(T.ceildiv(n, 64)):\n            T.copy(A[0, k * 64], tile)\n"
      "            for i, j in T.Parallel(8, 64):\n"
      "                tile[i, j] = T.if_then_else(k * 64 + j < n, tile[i, j], "
      "-T.infinity(\"float32\"))\n"
      "            T.reduce_max(tile, top, dim=1, clear=False)\n        T.copy(top, B)\n");
  add(loops, "if, while, break, continue, T.loop_break", "if condition:",
      "As in Python; T.loop_break() is break. A condition known before the kernel "
      "runs leaves one side only; T.if_then_else(condition, a, b) chooses a value and evaluates "
      "that one alone.",
      on_rows(
          "        i = T.alloc_var(\"int32\", 0)\n        while i < 32:\n            B[bx * 32 + "
          "i] = "
          "T.if_then_else(A[bx * 32 + i] > 0.0, A[bx * 32 + i], 0.0)\n            i = i + 1\n"
          "            if i > 40:\n                T.loop_break()\n"));
  add(loops, "T.macro", "@T.macro",
      "A function whose statements stand where it is called; what it assigns to its "
      "buffers is seen there. Its last line may return a value.",
      "@T.macro\ndef double(tile, n):\n    for i in T.Parallel(n):\n        tile[i] = tile[i] * "
      "2.0\n\n" +
          on_rows("        tile = T.alloc_fragment((32,), \"float32\")\n        T.copy(A[bx * 32], "
                  "tile)\n"
                  "        double(tile, 32)\n        T.copy(tile, B[bx * 32])\n"));
  const char* operators = "Tile operators";
  for (const TileOp* op : tir::all_tile_ops())
    list.push_back({operators, "T." + op->name, signature_of(*op), op->doc, op->example, true});
  add(operators, "T.wgmma_gemm", "T.wgmma_gemm(A, B, C, transpose_A=False, transpose_B=False, ...)",
      "T.gemm, with all its arguments: done before what follows it. Which instructions it takes "
      "the "
      "target and its variants say.",
      "@T.prim_func\ndef main(A: T.Tensor((64, 32), \"float32\"), B: T.Tensor((64, 64), "
      "\"float32\")):\n    with T.Kernel(1, threads=128) as bx:\n"
      "        a = T.alloc_shared((64, 32), \"float16\")\n"
      "        c = T.alloc_fragment((64, 64), \"float32\")\n        T.copy(A, a)\n"
      "        T.wgmma_gemm(a, a, c, transpose_B=True, clear_accum=True)\n        T.copy(c, B)\n");
  add(operators, "T.GemmWarpPolicy", "T.gemm(A, B, C, policy=T.GemmWarpPolicy.FullRow)",
      "How the warps of a block share a product: Square (as square as it goes), FullRow (each has "
      "whole rows of C) or FullCol. It never changes a result.",
      "@T.prim_func\ndef main(A: T.Tensor((64, 32), \"float32\"), B: T.Tensor((64, 64), "
      "\"float32\")):\n    with T.Kernel(1, threads=128) as bx:\n"
      "        a = T.alloc_shared((64, 32), \"float16\")\n"
      "        c = T.alloc_fragment((64, 64), \"float32\")\n        T.copy(A, a)\n"
      "        T.clear(c)\n"
      "        T.gemm(a, a, c, transpose_B=True, policy=T.GemmWarpPolicy.FullRow)\n"
      "        T.copy(c, B)\n");
  add(operators, "T.reduce", "T.reduce(buffer, out, reduce_type, dim, clear)",
      "T.reduce_sum, T.reduce_max and the others, by the name of the kind: sum, abssum, max, min, "
      "absmax, bitand, bitor, bitxor.",
      "@T.prim_func\ndef main(A: T.Tensor((64, 48), \"float32\"), B: T.Tensor((64,), "
      "\"float32\")):\n    with T.Kernel(2, threads=32) as bx:\n"
      "        tile = T.alloc_fragment((32, 48), \"float32\")\n"
      "        row = T.alloc_fragment((32,), \"float32\")\n        T.copy(A[bx * 32, 0], tile)\n"
      "        T.reduce(tile, row, \"max\", 1, True)\n        T.copy(row, B[bx * 32])\n");
  add(operators, "T.transpose", "T.transpose(src, dst)", "dst[j, i] = src[i, j].",
      "@T.prim_func\ndef main(A: T.Tensor((64, 48), \"float32\"), B: T.Tensor((48, 64), "
      "\"float32\")):\n    with T.Kernel(2, threads=32) as bx:\n"
      "        tile = T.alloc_shared((32, 48), \"float32\")\n"
      "        turned = T.alloc_shared((48, 32), \"float32\")\n"
      "        T.copy(A[bx * 32, 0], tile)\n        T.transpose(tile, turned)\n"
      "        T.copy(turned, B[0, bx * 32])\n");
  add(operators, "T.atomic_addx2, T.atomic_addx4", "T.atomic_addx2(C[i, j], x[k])",
      "T.atomic_add of two or four elements side by side, each by itself.",
      on_rows(
          "        tx = T.get_thread_binding(0)\n        own = T.alloc_local((4,), \"float32\")\n"
          "        for k in T.serial(4):\n            own[k] = A[bx * 32 + k]\n"
          "        if tx == 0:\n            for i in T.serial(32):\n"
          "                B[bx * 32 + i] = 0.0\n"
          "            T.atomic_addx4(B[bx * 32], own[0])\n"
          "            T.atomic_addx2(B[bx * 32 + 2], own[0])\n"));
  add(operators, "T.im2col, T.c2d_im2col",
      "T.im2col(img, col, nhw_step, c_step, kernel, stride, dilation, pad)",
      "A tile of the matrix whose rows are the windows of an image [N, H, W, C], in order of its "
      "outputs [N, OH, OW], and whose columns are a window's elements [R, S, C]: tile number "
      "nhw_step of its rows, c_step of its columns; zero where a window hangs over the image. "
      "kernel, stride, dilation and pad are a number, or (height, width). It is a T.Parallel that "
      "gathers; with T.gemm behind it, it is a convolution (workloads/conv2d_tile.py).",
      "@T.prim_func\ndef main(A: T.Tensor((1, 5, 6, 2), \"float32\"), B: T.Tensor((32, 18), "
      "\"float32\")):\n"
      "    with T.Kernel(2, threads=32) as bx:\n"
      "        col = T.alloc_shared((16, 18), \"float32\")\n"
      "        T.im2col(A, col, bx, 0, 3, 1, 1, 1)\n        T.copy(col, B[bx * 16, 0])\n"
      "        T.c2d_im2col(A, col, bx, 0, 3, 1, 1, 1)\n        T.copy(col, B[bx * 16, 0])\n");
  const char* hints = "Layouts and hints";
  add(hints, "T.annotate_layout", "T.annotate_layout({buffer: layout})",
      "The layout of a shared buffer or a fragment: a lambda from the coordinate to the place, "
      "T.make_swizzled_layout(buffer), T.Layout(shape, lambda i, j: [i // 8, j, i % 8]) with the "
      "index in memory of that shape, T.Fragment(shape, lambda i, j: (thread, register)), or "
      "digits "
      "(ir/tir/layout.h): T.Layout((64, 64), [(64, 64), (64, 1)], swizzle=(3, 3, 3)) is row-major, "
      "64 of stride 64 by 64 of stride 1, XORed as 128 bytes wide. A CPU does not look at them.",
      on_rows(
          "        tile = T.alloc_shared((4, 8), \"float32\")\n"
          "        T.annotate_layout({tile: lambda i, j: j * 4 + i})\n"
          "        for i, j in T.Parallel(4, 8):\n            tile[i, j] = A[bx * 32 + i * 8 + j]\n"
          "        rows = T.alloc_fragment((4, 8), \"float32\")\n"
          "        T.annotate_layout({rows: T.Fragment((4, 8), lambda i, j: (i * 8 + j, 0))})\n"
          "        turned = T.alloc_shared((4, 8), \"float32\")\n"
          "        T.annotate_layout({turned: T.Layout((4, 8), lambda i, j: [j, i])})\n"
          "        T.copy(tile, rows)\n        T.copy(rows, turned)\n"
          "        for i, j in T.Parallel(4, 8):\n            B[bx * 32 + i * 8 + j] = turned[i, "
          "j]\n"));
  add(hints, "T.use_swizzle", "T.use_swizzle(panel_size, order=\"row\", enable=True)",
      "The order in which blocks run: panels of so many rows (order=\"column\": of columns), for "
      "the cache.",
      on_rows("        T.use_swizzle(panel_size=4)\n        T.copy(A[bx * 32:bx * 32 + 32], B[bx * "
              "32])\n"));
  add(hints,
      "T.annotate_min_blocks_per_sm, T.annotate_l2_hit_ratio, T.set_max_nreg, "
      "T.annotate_restrict_buffers, "
      "T.annotate_safe_value",
      "T.annotate_min_blocks_per_sm(n)",
      "Hints for the GPU's compiler; they never change a result. So do what TileLang's programs "
      "say "
      "of roles' registers, T.inc_max_nreg(240), T.dec_max_nreg(24), "
      "T.annotate_consumer_reg_alloc(240), T.annotate_producer_reg_dealloc(24), "
      "T.no_set_max_nreg() and T.disable_warp_group_reg_alloc(), and the arguments "
      "eviction_policy=, prefer_instruction= and loop_layout= of T.copy, loop_layout= and "
      "prefer_async= of T.Parallel and batch= of T.reduce_sum: they are read, and the search "
      "decides.",
      on_rows(
          "        T.annotate_min_blocks_per_sm(2)\n        T.annotate_l2_hit_ratio({A: 0.5})\n"
          "        T.annotate_restrict_buffers(A, B)\n        T.annotate_safe_value({A: 0})\n"
          "        T.set_max_nreg(128)\n        T.inc_max_nreg(240)\n        T.dec_max_nreg(24)\n"
          "        T.annotate_consumer_reg_alloc(240)\n        "
          "T.annotate_producer_reg_dealloc(24)\n"
          "        T.no_set_max_nreg()\n        T.disable_warp_group_reg_alloc()\n"
          "        T.copy(A[bx * 32:bx * 32 + 32], B[bx * 32])\n"));
  add(hints, "T.tune, T.constraint", "def kernel(n, block=T.tune([32, 64])):",
      "In a workload's function: a knob that a search sets, and which choices make a program. "
      "Without a "
      "search the first choice is taken; NAME=VALUE on a command line pins it.",
      "@T.prim_func\ndef main(A: T.Tensor((64,), \"float32\"), B: T.Tensor((64,), \"float32\")):\n"
      "    T.constraint(64 % 32 == 0)\n    with T.Kernel(2, threads=32) as bx:\n"
      "        T.copy(A[bx * 32:bx * 32 + 32], B[bx * 32])\n");
  add(hints, "T.prefetch", "T.prefetch(A[i, j], locality=3)",
      "A hint to fetch the line of memory that holds the element, which is read later: into all "
      "caches (3), from the second level on (2), into the last (1), or for a single use (0). It is "
      "no access: the element may lie behind the buffer's end. Where memory is read in order but "
      "slower than it could be, ask for what comes a kilobyte or two later.",
      on_rows("        for i in T.serial(32):\n            T.prefetch(A[bx * 32 + i + 256])\n"
              "            B[bx * 32 + i] = A[bx * 32 + i]\n"));
  const char* threads = "Threads";
  add(threads, "T.get_thread_binding, T.thread_binding, T.thread_id",
      "tx = T.get_thread_binding(dim=0)",
      "The number of the thread. Code that depends on it is run by each thread; the threads meet "
      "at every "
      "tile operator and at T.sync_threads().",
      on_rows(
          "        tx = T.thread_binding(0, 32, thread=\"threadIdx.x\")\n"
          "        tile = T.alloc_shared((32,), \"float32\")\n        tile[tx] = A[bx * 32 + tx]\n"
          "        T.sync_threads()\n        B[bx * 32 + tx] = tile[31 - tx]\n"));
  add(threads, "T.get_lane_idx, T.get_warp_idx, T.get_warp_idx_sync, T.get_warp_group_idx",
      "T.get_warp_idx(warp_size=32)",
      "Lane, warp and warpgroup of the thread, as expressions of its number; also T.lane_id([32]), "
      "T.warp_id([n]), T.warpgroup_id([n]), T.warp_id_in_wg, T.thread_id_in_wg. A condition on "
      "them gives "
      "warps their roles.",
      on_rows("        warp = T.get_warp_idx() + T.get_warp_idx_sync() + T.get_warp_group_idx()\n"
              "        lane = T.get_lane_idx()\n"
              "        B[bx * 32 + warp * 32 + lane] = A[bx * 32 + warp * 32 + lane]\n"));
  add(threads, "T.shuffle_elect", "if T.shuffle_elect(128):",
      "True in the first of each so many threads; of 0, in the first of the block.",
      on_rows("        if T.shuffle_elect(32):\n            for i in T.serial(32):\n"
              "                B[bx * 32 + i] = A[bx * 32 + i]\n"));
  add(threads,
      "T.get_block_binding, T.get_block_bindings, T.get_thread_bindings, T.get_block_extent, "
      "T.get_block_extents, T.get_thread_extent, T.get_thread_extents, T.get_cluster_id",
      "T.get_block_binding(dim=0)",
      "The block's or the thread's number along an axis, or along all of them as a tuple, and how "
      "many there are; T.get_cluster_id (T.cluster_id), T.cta_id_in_cluster and "
      "T.block_rank_in_cluster of a kernel with cluster_dims.",
      on_rows("        block = T.get_block_binding(0) + T.get_block_bindings()[0] - bx\n"
              "        width = T.get_thread_extent(0)\n"
              "        tx = T.get_thread_bindings()[0]\n"
              "        last = T.get_block_extent(0) - 1 + T.get_block_extents()[0] - 2\n"
              "        if tx < T.get_thread_extents()[0]:\n"
              "            B[block * width + tx] = A[last * width + tx] + T.get_cluster_id(0) * "
              "0.0\n"));
  add(threads, "T.sync_threads", "T.sync_threads()",
      "All threads that come here wait for each other: the block's, or in T.ws and under "
      "conditions "
      "that hold for whole warps (if T.get_warp_idx() < 2:) those warps'. Under any other "
      "condition "
      "on the thread it is a mistake, which emulation finds as a divergent barrier. What the "
      "program writes stays, whatever barriers the operators around it bring. Where code of single "
      "threads hands shared memory on, barriers are the author's; in files that import tilelang "
      "they are put in between such statements, as there.",
      on_rows("        tx = T.get_thread_binding(0)\n        tile = T.alloc_shared((32,), "
              "\"float32\")\n"
              "        tile[tx] = A[bx * 32 + tx]\n        T.sync_threads()\n"
              "        B[bx * 32 + tx] = tile[tx ^ 1]\n"));
  add(threads, "T.sync_grid", "T.sync_grid()",
      "All blocks wait for each other: what is written to tensors before is seen by all behind it. "
      "The kernel ends there and another one begins, so a grid may have any number of blocks; "
      "shared memory, fragments and local memory are carried over. It stands directly in a kernel, "
      "in no loop or condition.",
      "@T.prim_func\ndef main(A: T.Tensor((64,), \"float32\"), B: T.Tensor((64,), \"float32\")):\n"
      "    sums = T.alloc_buffer((2,), \"float32\")\n"
      "    with T.Kernel(2, threads=32) as bx:\n"
      "        tile = T.alloc_fragment((32,), \"float32\")\n"
      "        part = T.alloc_fragment((1,), \"float32\")\n"
      "        T.copy(A[bx * 32], tile)\n        T.reduce_sum(tile, part, dim=0)\n"
      "        T.copy(part, sums[bx:bx + 1])\n        T.sync_grid()\n"
      "        for i in T.Parallel(32):\n"
      "            B[bx * 32 + i] = tile[i] - (sums[0] + sums[1])\n");
  add(threads, "T.print", "T.print(x, msg=\"\")",
      "Writes a line: a value, each element of a buffer or region with its place, or text with a "
      "value for each {}, T.print(\"i = {}\", i). Code of the block writes it once a block, "
      "T.Parallel once an iteration, code of single threads once a thread. temper check prints "
      "what "
      "one call wrote (--json has it as \"printed\"), and temper show ID --log what a trial did. "
      "AMD's GPUs have none.",
      on_rows("        tile = T.alloc_fragment((32,), \"float32\")\n"
              "        T.copy(A[bx * 32], tile)\n        if bx == 1:\n"
              "            T.print(\"block {}\", bx)\n            T.print(tile[0:2], "
              "msg=\"first\")\n"
              "        T.copy(tile, B[bx * 32])\n"));
  add(threads, "T.device_assert", "T.device_assert(condition, msg=\"...\")",
      "What must hold here; assert condition, \"...\" is the same. temper check and tune say the "
      "message and the line of one that does not; a kernel on a GPU stops.",
      on_rows("        for i in T.serial(32):\n            T.device_assert(i < 32, \"in bounds\")\n"
              "            B[bx * 32 + i] = A[bx * 32 + i]\n"));
  add(threads, "T.any_of, T.all_of",
      "if T.any_of(buffer):", "Whether some element, or each, is not 0.",
      on_rows(
          "        tile = T.alloc_shared((32,), \"float32\")\n        T.copy(A[bx * 32], tile)\n"
          "        if T.any_of(tile):\n            T.copy(tile, B[bx * 32])\n"
          "        else:\n            T.clear(B[bx * 32:bx * 32 + 32])\n"
          "        if T.all_of(tile):\n            T.clear(B[bx * 32:bx * 32 + 32])\n"));
  add(threads, "T.dp4a", "T.dp4a(A, B, C)",
      "C[0] += A[0] B[0] + ... + A[3] B[3], of int8 into int32.",
      on_rows("        tx = T.get_thread_binding(0)\n        a = T.alloc_local((4,), \"int8\")\n"
              "        c = T.alloc_local((1,), \"int32\")\n        c[0] = 0\n        for k in "
              "T.serial(4):\n"
              "            a[k] = T.cast(A[bx * 32 + tx], \"int8\")\n        T.dp4a(a, a, c)\n"
              "        B[bx * 32 + tx] = T.cast(c[0], \"float32\")\n"));
  add(threads, "T.async_copy", "T.async_copy(src, dst)",
      "T.copy: done before what follows it. A copy in a T.Pipelined loop is carried out ahead.",
      on_rows("        tile = T.alloc_shared((32,), \"float32\")\n        T.async_copy(A[bx * "
              "32:bx * 32 + 32], tile)\n"
              "        T.copy(tile, B[bx * 32])\n"));
  const char* gpu = "For GPUs only";
  const auto rows = [&](const std::string& body) {
    return on_rows("        tx = T.get_thread_binding(0)\n" + body +
                   "        B[bx * 32 + tx] = A[bx * 32 + tx]\n");
  };
  add(gpu, "T.alloc_barrier, T.alloc_cluster_barrier", "bar = T.alloc_barrier([128, 1])",
      "Barriers in shared memory, each for so many arrivals, prepared by the first thread; blocks "
      "of a cluster arrive at each other's (T.barrier_arrive(cta_id=)).",
      rows("        bar = T.alloc_barrier([32, 1])\n        T.barrier_arrive(bar[0])\n        "
           "T.barrier_wait(bar[0], 0)\n"),
      false);
  add(gpu, "T.barrier_arrive, T.mbarrier_arrive", "T.barrier_arrive(bar[0], cta_id=None)",
      "The thread has come to the barrier; with cta_id to that of the block with this rank in the "
      "cluster.",
      rows("        bar = T.alloc_barrier(32)\n        T.barrier_arrive(bar)\n        "
           "T.barrier_wait(bar, 0)\n"),
      false);
  add(gpu, "T.barrier_wait, T.mbarrier_wait_parity", "T.barrier_wait(bar[0], parity)",
      "Waits until the phase of that parity is complete; the first one is 0.",
      rows("        bar = T.alloc_barrier(32)\n        T.mbarrier_arrive(bar)\n        "
           "T.mbarrier_wait_parity(bar, 0)\n"),
      false);
  add(gpu, "T.cluster_sync, T.block_rank_in_cluster", "T.cluster_sync()",
      "The barrier of all blocks of a cluster (cluster_dims= of T.Kernel, from sm_90 on): each "
      "reaches what others did before. A kernel whose blocks reach each other's barriers ends with "
      "it.",
      "@T.prim_func\ndef main(A: T.Tensor((64,), \"float32\"), B: T.Tensor((64,), \"float32\")):\n"
      "    with T.Kernel(2, threads=32, cluster_dims=2) as bx:\n"
      "        tx = T.get_thread_binding(0)\n"
      "        bar = T.alloc_cluster_barrier(32)\n        T.cluster_sync()\n"
      "        T.barrier_arrive(bar, cta_id=1 - T.block_rank_in_cluster())\n"
      "        T.barrier_wait(bar, 0)\n"
      "        B[bx * 32 + tx] = A[bx * 32 + tx]\n        T.cluster_sync()\n",
      false);
  add(gpu, "T.mbarrier_expect_tx, T.mbarrier_arrive_expect_tx",
      "T.mbarrier_expect_tx(bar[0], bytes)",
      "The phase is complete when so many bytes have come, too.",
      rows("        bar = T.alloc_barrier(1)\n        if tx == 0:\n            "
           "T.mbarrier_expect_tx(bar, 128)\n            T.mbarrier_arrive_expect_tx(bar, 128)\n"),
      false);
  add(gpu, "T.ws", "with T.ws(0):",
      "A role: the code of warpgroup 0 alone (T.ws(1, 2): of two), as if T.get_warp_group_idx() == "
      "0 is. Tile "
      "operators in it are run by its threads, fragments belong to them; roles meet at barriers "
      "(T.sync_threads says whose). Emulated warp by warp.",
      "@T.prim_func\ndef main(A: T.Tensor((64,), \"float32\"), B: T.Tensor((64,), \"float32\")):\n"
      "    with T.Kernel(1, threads=256) as bx:\n        tile = T.alloc_shared((64,), "
      "\"float32\")\n"
      "        full = T.alloc_barrier(128)\n        with T.ws(0):\n            T.copy(A, tile)\n"
      "            T.barrier_arrive(full)\n        with T.ws(1):\n            T.barrier_wait(full, "
      "0)\n"
      "            T.copy(tile, B)\n",
      false);
  add(gpu,
      "T.warp_reduce_sum, T.warp_reduce_max, T.warp_reduce_min, T.warp_reduce_bitand, "
      "T.warp_reduce_bitor",
      "T.warp_reduce_sum(value)",
      "The sum of the values that the 32 threads of a warp have, in each of them; all of them come "
      "here. Tiles have T.reduce_sum.",
      "@T.prim_func\ndef main(A: T.Tensor((64,), \"float32\"), B: T.Tensor((64,), \"float32\")):\n"
      "    with T.Kernel(2, threads=32) as bx:\n        tx = T.get_thread_binding(0)\n"
      "        largest = T.warp_reduce_max(A[bx * 32 + tx])\n"
      "        smallest = T.warp_reduce_min(A[bx * 32 + tx])\n"
      "        total = T.warp_reduce_sum(A[bx * 32 + tx])\n"
      "        odd = T.warp_reduce_bitor(tx) - T.warp_reduce_bitand(tx)\n"
      "        B[bx * 32 + tx] = total - largest - smallest + odd\n",
      false);
  add(gpu, "T.any_sync, T.all_sync, T.ballot_sync, T.ballot", "T.any_sync(condition)",
      "Whether some thread of the warp, or each, says so, in each of them; of T.ballot_sync a bit "
      "for each lane, as uint32. All threads of the warp come here.",
      "@T.prim_func\ndef main(A: T.Tensor((64,), \"float32\"), B: T.Tensor((64,), \"float32\")):\n"
      "    with T.Kernel(2, threads=32) as bx:\n        tx = T.get_thread_binding(0)\n"
      "        some = T.any_sync(A[bx * 32 + tx] > 0.0)\n"
      "        all = T.all_sync(A[bx * 32 + tx] > 0.0)\n"
      "        above = T.popcount(T.ballot_sync(A[bx * 32 + tx] > 0.0))\n"
      "        even = T.popcount(T.ballot(tx % 2 == 0))\n"
      "        B[bx * 32 + tx] = T.if_then_else(some and not all, T.cast(above + even, "
      "\"float32\"), "
      "0.0)\n",
      false);
  add(gpu, "T.inline_cuda, T.import_source", "T.inline_cuda(\"$0 = twice($1);\", values...)",
      "CUDA C++ as it stands, $0, $1, ... being the values; T.import_source(\"...\") puts text "
      "before the "
      "kernels.",
      rows("        T.import_source(\"__device__ void wait(int n) { __nanosleep(n); }\")\n"
           "        T.inline_cuda(\"wait($0);\", 20)\n"),
      false);
  add(gpu, "T.inline_ptx", "T.inline_ptx(\"add.f32 $0, $1, $2;\", values..., outputs=0)",
      "A PTX instruction, or several, $0, $1, ... being the values. The first `outputs` of them "
      "are "
      "written: variables of the thread, as T.alloc_var makes them. Programs with T.inline_cuda or "
      "T.inline_ptx run on NVIDIA's GPUs alone.",
      on_rows("        tx = T.get_thread_binding(0)\n        y = T.alloc_var(\"float32\", 0.0)\n"
              "        T.inline_ptx(\"add.f32 $0, $1, $2;\", y, A[bx * 32 + tx], "
              "T.float32(1.0), outputs=1)\n"
              "        B[bx * 32 + tx] = y\n"),
      false);
  add(gpu, "T.source_kernel",
      "T.source_kernel(\"gemm\", writes=C, shared=0, define=dict(BM=BM), source=...)",
      "The kernel is CUDA C++ of its own: an extern \"C\" __global__ function that takes what the "
      "prim_func takes, in that order. `writes` names what it writes, `shared` its bytes of "
      "dynamic "
      "shared memory, `define` macros in front of its text, which in a .cu file is what follows "
      "the "
      "comment that this call stands in. It runs on NVIDIA's GPUs alone.",
      "@T.prim_func\ndef main(A: T.Tensor((64,), \"float32\"), B: T.Tensor((64,), \"float32\")):\n"
      "    with T.Kernel(2, threads=32):\n"
      "        T.source_kernel(\"twice\", writes=B, define=dict(FACTOR=2), source=\"extern "
      "\\\"C\\\" "
      "__global__ void twice(const float* A, float* B) { int i = blockIdx.x * 32 + threadIdx.x; "
      "B[i] = FACTOR * A[i]; }\")\n",
      false);
  for (LanguageEntry& entry : raw_instructions())
    list.push_back(std::move(entry));
  const char* expressions = "Expressions";
  add(expressions, "T.cast, T.Cast", "T.cast(value, dtype)",
      "To another type: float to integer towards zero; integers wrap; x.astype(dtype) is the same.",
      on_rows("        for i in T.Parallel(32):\n            B[bx * 32 + i] = T.cast(T.cast(A[bx * "
              "32 + i], \"int32\"), \"float32\")\n"));
  add(expressions, "T.reinterpret", "T.reinterpret(dtype, value)", "The same bits as another type.",
      on_rows("        for i in T.Parallel(32):\n            B[bx * 32 + i] = "
              "T.reinterpret(\"float32\", T.reinterpret(\"int32\", A[bx * 32 + i]) ^ 0)\n"));
  add(expressions, "T.if_then_else", "T.if_then_else(condition, a, b)",
      "The one or the other, evaluating that one alone.",
      on_rows("        for i in T.Parallel(32):\n            B[bx * 32 + i] = T.if_then_else(i > "
              "0, A[bx * 32 + i], 0.0)\n"));
  add(expressions, "T.min, T.max, T.clamp", "T.clamp(value, low, high)",
      "The smaller, the larger, the value between bounds. Where one is NaN, either may come out: "
      "on a CPU and in the interpreter the second, b of T.max(a, b).",
      on_rows(
          "        for i in T.Parallel(32):\n            B[bx * 32 + i] = T.clamp(T.max(T.min(A[bx "
          "* 32 + i], 2.0), -1.0), -1.0, 1.0)\n"));
  add(expressions, "T.ceildiv, T.cdiv, T.floordiv, T.floormod, T.truncdiv, T.truncmod",
      "T.ceildiv(a, b)",
      "Division of integers: up, down (a // b), and what is left (a % b); T.truncdiv and "
      "T.truncmod towards zero.",
      on_rows("        for i in T.Parallel(32):\n            n = bx * 32 + i\n"
              "            B[n] = A[T.ceildiv(n, 2)] + A[T.cdiv(n, 3)] + A[T.floordiv(n, 2)] + "
              "A[T.floormod(n, 5)] + A[T.truncdiv(n, 2)] + A[T.truncmod(n, 5)]\n"));
  add(expressions, "T.Select, T.Shuffle", "T.Select(condition, a, b)",
      "T.Select evaluates both and takes one, of vectors lane by lane; T.Shuffle(vectors, lanes) "
      "is "
      "a vector of the lanes named.",
      on_rows("        for i in T.Parallel(32):\n            x = T.Shuffle([A[bx * 32 + i], "
              "A[bx * 32]], [0])\n            B[bx * 32 + i] = T.Select(x > 0.0, x, 0.0)\n"));
  add(expressions, "T.infinity, T.max_value, T.min_value", "T.infinity(dtype)", "Limits of a type.",
      on_rows(
          "        largest = T.alloc_fragment((1,), \"float32\")\n        tile = "
          "T.alloc_fragment((32,), \"float32\")\n"
          "        T.copy(A[bx * 32], tile)\n        T.fill(largest, -T.infinity(\"float32\"))\n"
          "        T.reduce_max(tile, largest, dim=0, clear=False)\n        for i in "
          "T.Parallel(32):\n"
          "            B[bx * 32 + i] = T.min(largest[0], T.max_value(\"float32\"))\n"));
  for (const OpInfo& op : all_ops())
    if (op.pure && op.arity > 0 && op.arity <= 3 && op.result != OpResult::kExplicit &&
        op.result != OpResult::kSecondArgument && op.result != OpResult::kFirstArgument)
      list.push_back({expressions, "T." + op.name,
                      "T." + op.name +
                          (op.arity == 1   ? "(x)"
                           : op.arity == 2 ? "(x, y)"
                                           : "(x, y, z)"),
                      doc_of(op), example_of(op), true});
  const char* types = "Types";
  add(types, "float16, bfloat16, float32, float64", "dtype=\"float16\"",
      "Floats; arithmetic of 16 bits may be carried out in 32 and rounded later.",
      on_rows("        tile = T.alloc_fragment((32,), \"bfloat16\")\n        T.copy(A[bx * 32], "
              "tile)\n        T.copy(tile, B[bx * 32])\n"));
  add(types, "float8_e4m3, float8_e5m2", "dtype=\"float8_e4m3\"",
      "Floats of a byte: rounded to even, the largest value where more does not fit; computed with "
      "as float32.",
      on_rows("        tile = T.alloc_fragment((32,), \"float8_e4m3\")\n        T.copy(A[bx * 32], "
              "tile)\n        T.copy(tile, B[bx * 32])\n"));
  add(types, "int8 to int64, uint8 to uint64, bool", "dtype=\"int8\"",
      "Integers wrap at their width.",
      on_rows("        tile = T.alloc_fragment((32,), \"int8\")\n        T.copy(A[bx * 32], "
              "tile)\n        T.copy(tile, B[bx * 32])\n"));
  add(types, "int4, uint4, int2, uint2", "dtype=\"int4\"",
      "Parameters hold two or four in a byte, the first in the lowest bits, and are read only; "
      "other memory has a "
      "byte for each.",
      on_rows("        tile = T.alloc_fragment((32,), \"int4\")\n        T.copy(A[bx * 32], "
              "tile)\n        T.copy(tile, B[bx * 32])\n"));
  return list;
}

std::string workload_example() {
  return R"python(from tvm.script import tirx as T


def scaled(M, N, factor=2, block=T.tune([16, 32, 64]), dtype="float32"):
    T.constraint(N % block == 0)

    @T.prim_func
    def main(A: T.Tensor((M, N), dtype), B: T.Tensor((M, N), dtype)):
        with T.Kernel(T.ceildiv(N, block), T.ceildiv(M, 16)) as (bx, by):
            tile = T.alloc_fragment((16, block), dtype)
            T.copy(A[by * 16, bx * block], tile)
            for i, j in T.Parallel(16, block):
                tile[i, j] = tile[i, j] * factor
            T.copy(tile, B[by * 16, bx * block])

    return main


def scaled_reference(M, N, factor=2, dtype="float32"):  # plain loops; no knobs
    @T.prim_func
    def main(A: T.Tensor((M, N), dtype), B: T.Tensor((M, N), dtype)):
        for i, j in T.grid(M, N):
            B[i, j] = A[i, j] * factor

    return main


scaled_workload = dict(
    shapes=[dict(M=40, N=64), dict(M=4096, N=4096)],  # check takes all, tune the first
    flops="M*N",
    bytes="2*M*N*sizeof(dtype)",
    tolerance=1e-6,  # or by output: {"B": 1e-6, "Q": 1}, of integers in steps
)
)python";
}

std::string language_reference() {
  std::string text =
      "# The tile language\n\n"
      "Generated from the registries; `ir/script/reference.cpp` has what they do not know, and a "
      "test "
      "(`tir_tests`) holds this file and runs every example. Names are those that TileLang has "
      "where it has them (`COMPAT.md` says which); what programs mean is at the head of `tile.h`, "
      "how "
      "layouts are written in `layout.h`.\n\n"
      "A file begins with `from tvm.script import tirx as T` or `import tilelang.language as T`. A "
      "workload file holds a function that returns the program, `NAME_reference` beside it and "
      "`NAME_workload` (`ir/script/workload_file.h`, `workloads/`). Then:\n\n"
      "```\ntemper check FILE.py M=512      # against the reference\ntemper tune FILE.py M=512     "
      "  # "
      "search its knobs and what its operators leave open\ntemper-opt FILE.py --lower       # each "
      "step: "
      "--pass lower_threads,bind_scalars,forward_copies,...\ntemper-opt FILE.py --dispatch    # "
      "which "
      "variant each operator takes, and why others do not fit\n"
      "temper check FILE.py M=512 --device emulated --target cuda:sm_90a    # as a GPU would run "
      "it; tune, too\n"
      "temper-opt FILE.py --target cuda:sm_90a --print cuda                 # the code for "
      "it\n```\n\n"
      "A knob is a parameter of the workload's function, block=T.tune([32, 64]). What the program "
      "leaves open besides, a search decides: the variant of each operator and its knobs, and for "
      "a "
      "GPU the threads of a kernel without threads= and the stages of a T.Pipelined without "
      "num_stages=; `temper-opt FILE.py --sketches`, with --target too, prints the space.\n\n"
      "A workload file, whole:\n\n```python\n" +
      workload_example() +
      "```\n\n"
      "What stands around a program is Python that runs before: numbers, strings, tuples, lists, "
      "dicts, list comprehensions, lambda, f-strings, names of types (T.float16, \"float16\"), "
      "arithmetic, comparisons, if, for, while, def with defaults, keyword arguments and closures, "
      "return, assert, `math`, and abs, all, any, bool, dict, enumerate, float, int, len, list, "
      "max, "
      "min, range, reversed, round, str, sum, tuple, zip. `import tilelang` is read, and its "
      "decorators `@tilelang.jit` and `@tilelang.autotune` on a function that returns a program "
      "say "
      "nothing here.\n\n"
      "Statements of a block take effect one after the other; barriers between operators that "
      "share "
      "memory are put where they are needed. Only code that looks at the thread's number needs "
      "T.sync_threads.\n\n"
      "Who comes from Triton finds:\n\n"
      "| Triton | here |\n| --- | --- |\n"
      "| `tl.program_id(0)`, `tl.num_programs(0)` | `with T.Kernel(n, ...) as bx`, "
      "`T.get_block_extent(0)` |\n"
      "| `num_warps=4` | `threads=128`; left out, it is searched |\n"
      "| `tl.constexpr`, `@triton.autotune` | parameters of the workload's function; those that "
      "are "
      "`T.tune([...])` are searched |\n"
      "| pointers and strides, `tl.make_block_ptr` | tensors with shapes: `A[i, j]`, "
      "`A[i:i + 64, 0:32]` |\n"
      "| `tl.load(p, mask, other=0)`, `tl.store(p, x, mask)` | `T.copy(A[i, j], tile)`, "
      "`T.copy(tile, A[i, j])`, without a mask |\n"
      "| a tensor of a program | `T.alloc_fragment(shape, dtype)`, or `T.alloc_shared` where the "
      "program says which memory |\n"
      "| `x + y`, `tl.exp(x)`, `tl.where(c, x, y)` of tensors, `tl.arange`, broadcasts | elements "
      "in "
      "`for i, j in T.Parallel(M, N):`, with `T.exp`, `T.if_then_else` and the indices themselves "
      "|\n"
      "| `tl.dot(a, b, acc)` | `T.gemm(a, b, acc)`, which adds to `acc` and sums in its type |\n"
      "| `tl.sum(x, 1)`, `tl.max(x, 1)`, `tl.cumsum(x, 0)` | `T.reduce_sum(x, y, dim=1)`, "
      "`T.reduce_max`, `T.cumsum` |\n"
      "| `tl.range(n, num_stages=3)` | `T.Pipelined(n, num_stages=3)` |\n"
      "| `tl.trans(a)`, `tl.reshape(x, s)`, `x.to(tl.float16)` | `T.gemm(..., transpose_A=True)`, "
      "`T.reshape(x, s)`, `T.copy` between buffers of two types or `T.cast` |\n"
      "| `tl.atomic_add`, `tl.debug_barrier`, `tl.device_print`, `tl.device_assert` | "
      "`T.atomic_add`, `T.sync_threads`, `T.print`, `T.device_assert` |\n"
      "| `kernel[grid](x, y)` | `temper export --name NAME --out DIR FILE.py`: a library with a "
      "function for C and for tensors in Python |\n";
  std::string section;
  for (const LanguageEntry& entry : language_entries()) {
    if (entry.section != section) {
      section = entry.section;
      text += "\n## " + section + "\n";
    }
    text += "\n### " + entry.name + "\n\n`" + entry.signature + "`\n\n" + entry.doc + "\n";
    if (section == "Tile operators")
      if (const TileOp* op = tir::find_tile_op(entry.name.substr(2)))
        text += "\nOn a CPU: " + variants_of(*op, TargetKind::kCpu) +
                ". On a GPU: " + variants_of(*op, TargetKind::kCuda) + ".\n";
    text += "\n```python\n" + entry.example + "```\n";
  }
  return text;
}

namespace {

/// What TileLang 0.1.15 has: names of its language, with the arguments of each.
struct Foreign {
  std::string name;
  const char* arguments;
};
const Foreign kTileLang[] = {
    {"Kernel", "blocks, threads, prelude"},
    {"ClusterKernel", "blocks, threads, cluster_dims"},
    {"Tensor", "shape, dtype"},
    {"Buffer", "shape, dtype"},
    {"dynamic", "name, dtype"},
    {"symbolic", "name, dtype"},
    {"macro", ""},
    {"prim_func", ""},
    {"alloc_shared", "shape, dtype, scope"},
    {"alloc_local", "shape, dtype, scope"},
    {"alloc_fragment", "shape, dtype, scope"},
    {"alloc_var", "dtype, init, scope"},
    {"alloc_barrier", "arrive_count"},
    {"alloc_cluster_barrier", "arrive_count"},
    {"alloc_tmem", "shape, dtype"},
    {"alloc_reducer", "shape, dtype, op, replication"},
    {"alloc_wgmma_desc", "dtype"},
    {"copy", "src, dst, coalesced_width, disable_tma, eviction_policy, prefer_instruction, "
             "loop_layout"},
    {"async_copy", "src, dst"},
    {"tma_copy", "src, dst"},
    {"tma_gather4", "src, dst"},
    {"tma_scatter4", "src, dst"},
    {"copy_cluster", "src, dst"},
    {"im2col", "img, col"},
    {"c2d_im2col", "img, col"},
    {"gemm", "A, B, C, transpose_A, transpose_B, policy, clear_accum, k_pack"},
    {"gemm_sp", "A_sparse, E, B, C"},
    {"wgmma_gemm", "A, B, C"},
    {"tcgen05_gemm", "A, B, C"},
    {"tcgen05_gemm_blockscaled", "A, B, C"},
    {"GemmWarpPolicy", ""},
    {"clear", "buffer"},
    {"fill", "buffer, value"},
    {"reduce_sum", "buffer, out, dim, clear, batch"},
    {"reduce_abssum", "buffer, out, dim, clear, batch"},
    {"reduce_max", "buffer, out, dim, clear, batch"},
    {"reduce_min", "buffer, out, dim, clear, batch"},
    {"reduce_absmax", "buffer, out, dim, clear, batch"},
    {"reduce_bitand", "buffer, out, dim, clear, batch"},
    {"reduce_bitor", "buffer, out, dim, clear, batch"},
    {"reduce_bitxor", "buffer, out, dim, clear, batch"},
    {"cumsum", "src, dst, dim, reverse"},
    {"finalize_reducer", "reducer"},
    {"warp_reduce_sum", "value"},
    {"warp_reduce_max", "value"},
    {"warp_reduce_min", "value"},
    {"Parallel", "extents, coalesced_width, loop_layout, prefer_async"},
    {"Pipelined", "start, stop, num_stages, order, stage, sync, group"},
    {"Persistent", "domain, wave_size, index, group_size"},
    {"serial", "start, stop, step"},
    {"unroll", "start, stop, step"},
    {"vectorized", "start, stop"},
    {"grid", "extents"},
    {"thread_binding", "start, stop, thread"},
    {"atomic_add", "dst, value, memory_order"},
    {"atomic_max", "dst, value, memory_order"},
    {"atomic_min", "dst, value, memory_order"},
    {"use_swizzle", "panel_size, order, enable"},
    {"annotate_layout", "layout_map"},
    {"annotate_safe_value", "safe_value_map"},
    {"annotate_l2_hit_ratio", "l2_hit_ratio_map"},
    {"annotate_min_blocks_per_sm", "n"},
    {"annotate_restrict_buffers", "buffers"},
    {"annotate_ws_schedule", "schedule"},
    {"set_max_nreg", "reg_count"},
    {"get_thread_binding", "dim"},
    {"get_thread_bindings", ""},
    {"get_block_binding", "dim"},
    {"get_block_bindings", ""},
    {"get_thread_extent", "dim"},
    {"get_block_extent", "dim"},
    {"get_lane_idx", "warp_size"},
    {"get_warp_idx", "warp_size"},
    {"get_warp_idx_sync", "warp_size"},
    {"get_warp_group_idx", "warp_size, warps_per_group"},
    {"sync_threads", ""},
    {"sync_grid", ""},
    {"ws", "warp_group_idx"},
    {"barrier_arrive", "barrier"},
    {"barrier_wait", "barrier, parity"},
    {"mbarrier_arrive", "mbarrier"},
    {"mbarrier_wait_parity", "mbarrier, parity"},
    {"mbarrier_expect_tx", "mbarrier, tx"},
    {"import_source", "source"},
    {"if_then_else", "condition, true_value, false_value"},
    {"ceildiv", "a, b"},
    {"clamp", "dst, min_val, max_val"},
    {"infinity", "dtype"},
    {"cast", "value, dtype"},
    {"reinterpret", "dtype, value"},
    {"reshape", "src, shape"},
    {"view", "src, shape, dtype"},
    {"any_of", "buffer"},
    {"all_of", "buffer"},
    {"dp4a", "A, B, C"},
    {"print", "obj"},
    {"device_assert", "condition"},
    {"exp", "x"},
    {"exp2", "x"},
    {"log", "x"},
    {"log2", "x"},
    {"sqrt", "x"},
    {"rsqrt", "x"},
    {"tanh", "x"},
    {"sigmoid", "x"},
    {"erf", "x"},
    {"sin", "x"},
    {"cos", "x"},
    {"floor", "x"},
    {"ceil", "x"},
    {"round", "x"},
    {"abs", "x"},
    {"max", "a, b"},
    {"min", "a, b"},
    {"pow", "x, y"},
    {"isnan", "x"},
    {"acos", "x"},
    {"all_sync", "predicate"},
    {"alloc_global", "shape, dtype"},
    {"annotate_consumer_reg_alloc", "reg_count"},
    {"annotate_producer_reg_dealloc", "reg_count"},
    {"any_sync", "predicate"},
    {"asin", "x"},
    {"assume", ""},
    {"atan", "x"},
    {"atan2", "x, y"},
    {"atomic_addx2", "dst, value"},
    {"atomic_addx4", "dst, value"},
    {"ballot", "predicate"},
    {"ballot_sync", "predicate"},
    {"bitwise_and", "x, y"},
    {"bitwise_not", "x"},
    {"bitwise_or", "x, y"},
    {"bitwise_xor", "x, y"},
    {"block_rank_in_cluster", ""},
    {"call_extern", ""},
    {"call_intrin", ""},
    {"call_llvm_intrin", ""},
    {"call_packed", ""},
    {"cdiv", "a, b"},
    {"cluster_sync", ""},
    {"clz", "x"},
    {"copysign", "x, y"},
    {"cosh", "x"},
    {"cummax", "src, dst, dim, reverse"},
    {"dec_max_nreg", "reg_count"},
    {"disable_warp_group_reg_alloc", ""},
    {"exp10", "x"},
    {"fence_proxy_async", ""},
    {"floordiv", "a, b"},
    {"floormod", "a, b"},
    {"fma", "x, y, z"},
    {"Fragment", "shape, map"},
    {"get_block_extents", ""},
    {"get_cluster_id", "dim"},
    {"get_thread_extents", ""},
    {"inc_max_nreg", "reg_count"},
    {"isfinite", "x"},
    {"isinf", "x"},
    {"Layout", "shape, map"},
    {"likely", "condition"},
    {"log10", "x"},
    {"log1p", "x"},
    {"loop_break", ""},
    {"max_value", "dtype"},
    {"mbarrier_arrive_expect_tx", "mbarrier, tx"},
    {"min_value", "dtype"},
    {"nearbyint", "x"},
    {"no_set_max_nreg", ""},
    {"parallel", "start, stop"},
    {"popcount", "x"},
    {"ptx_commit_group", ""},
    {"ptx_cp_async", "dst, src, num_elems, predicate"},
    {"ptx_ldmatrix", "registers, row, matrices, transposed"},
    {"ptx_mma", "C, A, B, shape"},
    {"ptx_wait_group", "num"},
    {"ptx_wgmma_rs", "D, A, B, shape, transpose_b, accumulate"},
    {"ptx_wgmma_ss", "D, A, B, shape, transpose_b, accumulate"},
    {"reduce", "buffer, out, reduce_type, dim, clear"},
    {"Select", "condition, true_value, false_value"},
    {"Serial", "start, stop, step"},
    {"shfl_down", "value, delta"},
    {"shfl_sync", "value, lane"},
    {"shfl_up", "value, delta"},
    {"shfl_xor", "value, mask"},
    {"shift_left", "x, y"},
    {"shift_right", "x, y"},
    {"Shuffle", "vectors, indices"},
    {"shuffle_elect", "thread_extent"},
    {"sinh", "x"},
    {"sync_warp", ""},
    {"tan", "x"},
    {"tma_load", "shared, src, mbarrier, extents"},
    {"tma_store_arrive", ""},
    {"tma_store_wait", "count"},
    {"transpose", "src, dst"},
    {"trunc", "x"},
    {"truncdiv", "a, b"},
    {"truncmod", "a, b"},
    {"Unroll", "start, stop, step"},
    {"Vectorized", "start, stop"},
    {"wait_wgmma", "count"},
    {"warp_reduce_bitand", "value"},
    {"warp_reduce_bitor", "value"},
    {"warpgroup_arrive", ""},
    {"warpgroup_commit_batch", ""},
    {"warpgroup_wait", "count"},
};

/// Every public name of its language that is no type, in the order of the table.
std::vector<Foreign> foreign_names() {
  std::vector<Foreign> names(std::begin(kTileLang), std::end(kTileLang));
  for (const auto& [name, why] : names_of_tilelang())
    if (std::none_of(names.begin(), names.end(),
                     [&](const Foreign& known) { return known.name == name; }) &&
        !name.starts_with("float") && !name.starts_with("tfloat32"))
      names.push_back({name, ""});
  return names;
}

} // namespace

std::string compatibility_reference() {
  const auto is_hint = [](const std::string& name) {
    for (const char* hint : {"eviction_policy", "prefer_instruction", "loop_layout", "batch"})
      if (name == hint)
        return true;
    return false;
  };
  std::string text = "# What is there of TileLang\n\n"
                     "Generated (`ir/script/reference.cpp`); a test holds it. A kernel written for "
                     "TileLang 0.1.15 runs "
                     "with its import lines changed at most (`import tilelang.language as T` "
                     "stands as it is), as long as "
                     "the Python around it stays in the subset that `LANGUAGE.md` states. Every "
                     "name that is there has an "
                     "example in `LANGUAGE.md`, which a test runs.\n\n| name | there | arguments "
                     "|\n| --- | --- | --- |\n";
  int there = 0;
  int all = 0;
  for (const Foreign& foreign : foreign_names()) {
    auto refusal = refusal_in_t(foreign.name);
    for (const auto& [name, why] : names_of_tilelang())
      if (name == foreign.name)
        refusal = why;
    const bool known = !refusal && find_in_t(foreign.name).has_value();
    std::string arguments = foreign.arguments;
    if (const TileOp* op = tir::find_tile_op(foreign.name); op != nullptr && known) {
      std::vector<std::string> missing;
      for (const std::string& part : split_text(arguments, ',')) {
        const std::string name(trim(part));
        const bool has = std::any_of(op->parameters.begin(), op->parameters.end(),
                                     [&](const TileParameter& p) { return p.name == name; });
        // Read by the parser and of no effect.
        if (!has && name != "memory_order" && !is_hint(name))
          missing.push_back(name);
      }
      if (!missing.empty())
        arguments += "; not there: " + join(missing, ", ");
    }
    ++all;
    there += known ? 1 : 0;
    text += "| `T." + std::string(foreign.name) + "` | " + (known ? "yes" : "no") + " | " +
            (known     ? arguments
             : refusal ? *refusal
                       : std::string("is not known")) +
            " |\n";
  }
  text +=
      "\n" + std::to_string(there) + " of the " + std::to_string(all) +
      " names are there; of the others the table says what works instead. They are the public "
      "names of its language but types, of which float16, bfloat16, float32, float64, "
      "float8_e4m3fn, float8_e5m2, bool, int4, and int8 to uint64 are there, with lanes "
      "(float16x8), and float, double, half, int, long, short and uint as names of them; "
      "tfloat32, float4, float6 and the other float8 are not, and a sentence says so. The "
      "decorators that compile and tune (`tilelang.jit`, `autotune`) are read and say nothing: "
      "knobs "
      "are parameters with `T.tune([...])`, and `temper tune` searches them; what stands under "
      "`if __name__ == \"__main__\":` is not read. A kernel that is traced when it is called "
      "(the eager style, with `T.const` and `T.empty`) is written as a function of its extents "
      "that returns the program. A tensor that is changed in place, or added to by `T.atomic_add` "
      "without being cleared, is named in the workload's `inputs`, as "
      "`inputs=dict(C=\"normal\")`: then it comes with values.\n";
  return text;
}

} // namespace temper::script
