// s-tir with loops bound to threads, lowered for a GPU: the kernels it becomes, that they compute
// what the schedule says, and the sentences where there is no kernel.
#include "tests/support/bound_programs.h"

#include "codegen/cuda/print.h"
#include "ir/s_tir/schedule.h"
#include "tests/support/golden.h"

#include <gmock/gmock.h>

namespace temper::codegen::testing {
namespace {

using temper::testing::expect_bound_meaning;
using temper::testing::function_of;

TEST(BoundPrograms, BecomeKernelsOrASentence) {
  s_tir::register_layer();
  const size_t count = temper::testing::check_golden_cases(
      "tests/text/codegen/bound.txt", [](const temper::testing::GoldenCase& one) -> std::string {
        const auto module = script::parse_module(one.input, "bound.py");
        if (!module)
          return module.error().to_string();
        const auto lowered = lower_for_gpu(*module, *ir::parse_target("cuda:sm_80"));
        if (!lowered)
          return lowered.error().message + "\n";
        SCOPED_TRACE(one.name);
        const auto expected = ir::testing::run(function_of(*module));
        EXPECT_TRUE(expected) << expected.error().to_string();
        if (expected)
          expect_bound_meaning(*module, *expected);
        return script::to_text(function_of(*lowered));
      });
  EXPECT_GE(count, 13U);
}

/// A product scheduled by hand, as its steps are written.
constexpr const char* kByHand = R"(
b0 = sch.get_sblock(name="C", func_name="main")
l1, l2, l3 = sch.get_loops(block=b0)
l4, l5, l6, l7 = sch.split(loop=l1, factors=[None, 2, 8, 2], preserve_unit_iters=True)
l8, l9, l10 = sch.split(loop=l2, factors=[None, 8, 4], preserve_unit_iters=True)
l11, l12 = sch.split(loop=l3, factors=[None, 8], preserve_unit_iters=True)
sch.reorder(l4, l8, l5, l6, l9, l11, l12, l7, l10)
sch.bind(loop=l4, thread_axis="blockIdx.y")
sch.bind(loop=l8, thread_axis="blockIdx.x")
sch.bind(loop=l5, thread_axis="vthread.x")
sch.bind(loop=l6, thread_axis="threadIdx.y")
sch.bind(loop=l9, thread_axis="threadIdx.x")
b13 = sch.cache_write(block=b0, write_buffer_index=0, storage_scope="local")
sch.reverse_compute_at(block=b13, loop=l9, preserve_unit_loops=True)
l14, l15, l16, l17, l18, l19, l20 = sch.get_loops(block=b13)
sch.vectorize(loop=l20)
b21 = sch.cache_read(block=b0, read_buffer_index=0, storage_scope="global")
sch.compute_at(block=b21, loop=l11, preserve_unit_loops=True)
b22 = sch.cache_read(block=b0, read_buffer_index=1, storage_scope="shared")
sch.compute_at(block=b22, loop=l11, preserve_unit_loops=True)
l23, l24, l25, l26, l27, l28, l29, l30 = sch.get_loops(block=b22)
l31 = sch.fuse(l29, l30, preserve_unit_iters=True)
l32, l33, l34, l35 = sch.split(loop=l31, factors=[None, 8, 8, 2], preserve_unit_iters=True)
sch.bind(loop=l33, thread_axis="threadIdx.y")
sch.bind(loop=l34, thread_axis="threadIdx.x")
sch.vectorize(loop=l35)
sch.storage_align(block=b22, buffer_index=0, axis=0, factor=32, offset=4)
b36 = sch.decompose_reduction(block=b0, loop=l11)
)";

constexpr const char* kProduct = R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((64, 32), "float32"), B: T.Buffer((32, 64), "float32"), C: T.Buffer((64, 64), "float32")):
    for i, j, k in T.grid(64, 64, 32):
        with T.sblock("C"):
            vi, vj, vk = T.axis.remap("SSR", [i, j, k])
            with T.init():
                C[vi, vj] = T.float32(0)
            C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
)";

TEST(BoundPrograms, AProductScheduledByHandIsAKernel) {
  s_tir::register_layer();
  const auto module = script::parse_module(kProduct, "product.py");
  ASSERT_TRUE(module) << module.error().to_string();
  const auto trace = s_tir::Trace::from_python(kByHand);
  ASSERT_TRUE(trace) << trace.error().to_string();
  const auto schedule = s_tir::replay(*trace, *module);
  ASSERT_TRUE(schedule) << schedule.error().to_string();
  const auto expected = ir::testing::run(function_of(*module));
  ASSERT_TRUE(expected) << expected.error().to_string();
  const ir::PrimFunc flat = expect_bound_meaning(schedule->module(), *expected);
  ASSERT_TRUE(flat);
  const auto cuda = print_cuda(flat);
  ASSERT_TRUE(cuda) << cuda.error().to_string();
  using ::testing::HasSubstr;
  EXPECT_THAT(cuda->text, HasSubstr("__launch_bounds__(64)"));
  EXPECT_THAT(cuda->text, HasSubstr("__syncthreads();"));
  EXPECT_THAT(cuda->text, HasSubstr("copy_vector<8>(&B_shared["));
  EXPECT_THAT(cuda->text, HasSubstr("copy_vector<16>(&C["));
  EXPECT_THAT(script::to_text(flat), HasSubstr("B_shared = T.alloc_shared((8, 36)"))
      << "a row of 32 lies 36 apart";
}

/// Tiles of both operands in shared memory, for each step of the outer reduction l11; with what
/// `annotations` ask of that loop.
std::string fetched(const std::string& annotations) {
  std::string trace = kByHand;
  const size_t a = trace.find("b21 = "), b = trace.find("b22 = ");
  trace.replace(a, b - a,
                R"(b21 = sch.cache_read(block=b0, read_buffer_index=0, storage_scope="shared")
sch.compute_at(block=b21, loop=l11, preserve_unit_loops=True)
l40, l41, l42, l43, l44, l45, l46, l47 = sch.get_loops(block=b21)
l48 = sch.fuse(l46, l47, preserve_unit_iters=True)
l49, l50, l51 = sch.split(loop=l48, factors=[None, 8, 8], preserve_unit_iters=True)
sch.bind(loop=l50, thread_axis="threadIdx.y")
sch.bind(loop=l51, thread_axis="threadIdx.x")
)");
  return trace + annotations;
}

/// The flat function; null when it is wrong.
ir::PrimFunc pipelined(const std::string& annotations) {
  s_tir::register_layer();
  const auto module = script::parse_module(kProduct, "product.py");
  const auto trace = s_tir::Trace::from_python(fetched(annotations));
  EXPECT_TRUE(trace) << trace.error().to_string();
  const auto schedule = trace ? s_tir::replay(*trace, *module) : Result<s_tir::Schedule>(Error());
  EXPECT_TRUE(schedule) << schedule.error().to_string();
  const auto expected = ir::testing::run(function_of(*module));
  EXPECT_TRUE(expected) << expected.error().to_string();
  return schedule && expected ? expect_bound_meaning(schedule->module(), *expected) : nullptr;
}

int count_of(const std::string& text, const std::string& word) {
  int count = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
    ++count;
  return count;
}

TEST(BoundPrograms, ASoftwarePipelineFetchesAheadIntoVersionsOfItsMemory) {
  const ir::PrimFunc flat = pipelined(R"(
sch.annotate(block_or_loop=l11, ann_key="software_pipeline_stage", ann_val=[0, 0, 1])
sch.annotate(block_or_loop=l11, ann_key="software_pipeline_order", ann_val=[0, 1, 2])
)");
  ASSERT_TRUE(flat);
  const std::string text = script::to_text(flat);
  EXPECT_EQ(count_of(text, "A_shared = T.alloc_shared((2, "), 1) << text;
  EXPECT_EQ(count_of(text, "B_shared = T.alloc_shared((2, "), 1) << text;
  EXPECT_EQ(count_of(text, "T.ptx_cp_async("), 0) << text;
}

TEST(BoundPrograms, AnAsynchronousStageGoesPastTheRegisters) {
  const ir::PrimFunc flat = pipelined(R"(
sch.annotate(block_or_loop=l11, ann_key="software_pipeline_stage", ann_val=[0, 0, 2])
sch.annotate(block_or_loop=l11, ann_key="software_pipeline_order", ann_val=[0, 1, 2])
sch.annotate(block_or_loop=l11, ann_key="software_pipeline_async_stages", ann_val=[0])
)");
  ASSERT_TRUE(flat);
  const std::string text = script::to_text(flat);
  EXPECT_EQ(count_of(text, "A_shared = T.alloc_shared((3, "), 1) << text;
  // Two rounds ahead, two fetches each: in front of the loop and in it.
  EXPECT_EQ(count_of(text, "T.ptx_commit_group("), 3) << text;
  EXPECT_EQ(count_of(text, "T.ptx_cp_async("), 6) << text;
  EXPECT_EQ(count_of(text, "T.ptx_wait_group(2)"), 1) << text;
  EXPECT_EQ(count_of(text, "T.ptx_wait_group(1)"), 1) << text;
  EXPECT_EQ(count_of(text, "T.ptx_wait_group(0)"), 1) << text;
}

TEST(BoundPrograms, WhatComesFirstInARoundMayBeAskedForLast) {
  const ir::PrimFunc flat = pipelined(R"(
sch.annotate(block_or_loop=l11, ann_key="software_pipeline_stage", ann_val=[0, 0, 1])
sch.annotate(block_or_loop=l11, ann_key="software_pipeline_order", ann_val=[1, 2, 0])
sch.annotate(block_or_loop=l11, ann_key="software_pipeline_async_stages", ann_val=[0])
)");
  ASSERT_TRUE(flat);
  EXPECT_GT(count_of(script::to_text(flat), "T.ptx_cp_async("), 0);
}

TEST(BoundPrograms, ADoubleBufferIsFilledARoundAhead) {
  const ir::PrimFunc flat = pipelined(R"(
sch.annotate(block_or_loop=b22, ann_key="double_buffer_scope", ann_val=0)
)");
  ASSERT_TRUE(flat);
  EXPECT_EQ(count_of(script::to_text(flat), "B_shared = T.alloc_shared((2, "), 1);
}

} // namespace
} // namespace temper::codegen::testing
