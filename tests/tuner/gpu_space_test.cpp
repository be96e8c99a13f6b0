// The design space for GPUs: what each rule makes of the blocks it is for, and that candidates of
// every workload compute what the program computes, as threads.
#include "tests/support/workload_cases.h"
#include "tests/tuner/gpu_scene.h"
#include "tuner/gpu_pruning.h"

#include <gmock/gmock.h>

namespace temper::tuner {
namespace {

using temper::testing::expect_bound_meaning;
using temper::testing::function_of;
using ::testing::AllOf;
using testing::count_of;
using testing::gpu_space;
using ::testing::HasSubstr;
using testing::module_of;
using testing::must;
using ::testing::Not;
using testing::sketches;
using testing::workload;
using workload_cases::kWorkloadCases;
using workload_cases::WorkloadCase;

/// What makes small programs interesting: few threads will do.
GpuHints small_gpu() {
  GpuHints gpu;
  gpu.reduction_threads = {4, 8, 16, 32, 64};
  gpu.thread_extents = {4, 16, 32, 64};
  gpu.blocks = 4;
  gpu.warp = 1;
  return gpu;
}

std::unique_ptr<Space> gpu_space(const ir::IRModule& module) {
  return testing::gpu_space(module, small_gpu());
}

ir::IRModule matmul() { return module_of("matmul", {{"M", "64"}, {"N", "64"}, {"K", "32"}}); }
ir::IRModule softmax() { return module_of("softmax", {{"M", "8"}, {"N", "64"}}); }

TEST(GpuMultiLevelTiling, BindsFetchesTogetherAndSumsInRegisters) {
  const auto texts = sketches(make_gpu_multi_level_tiling_rule, matmul());
  ASSERT_EQ(texts.size(), 1U);
  const std::string& text = texts[0];
  EXPECT_EQ(count_of(text, "n=5"), 2) << "spatial axes in five";
  EXPECT_EQ(count_of(text, "n=3"), 1) << "the reduction in three";
  for (const char* thread : {"blockIdx.x", "vthread.x", "threadIdx.x"})
    EXPECT_EQ(count_of(text, thread), 1) << thread;
  EXPECT_EQ(count_of(text, "storage_scope=\"shared\""), 2);
  EXPECT_EQ(count_of(text, "storage_scope=\"local\""), 1);
  EXPECT_EQ(count_of(text, "meta_schedule.cooperative_fetch"), 2);
  EXPECT_THAT(text, HasSubstr("candidates=[1, 2, 3, 4]")) << "of four bytes, sixteen at most";
  EXPECT_THAT(text, HasSubstr("ann_val=\"SSSRRSRS\""));
}

TEST(GpuMultiLevelTiling, LeavesBlocksWithoutReuseAlone) {
  EXPECT_THAT(sketches(make_gpu_multi_level_tiling_rule, softmax()).at(0), Not(HasSubstr("bind")));
}

TEST(GpuCrossThreadReduction, MakesASoftmaxOneKernel) {
  const auto texts = sketches(make_gpu_cross_thread_reduction_rule, softmax());
  int fused = 0;
  for (const std::string& text : texts)
    fused += count_of(text, "compute_at") == 2 && count_of(text, "set_scope") == 2;
  EXPECT_EQ(fused, 1);
  EXPECT_GT(texts.size(), 1U) << "sketches without it stay";
}

TEST(GpuAutoBind, GivesEachElementAThread) {
  const auto texts =
      sketches(make_gpu_auto_bind_rule, module_of("transpose", {{"M", "64"}, {"N", "64"}}));
  ASSERT_EQ(texts.size(), 1U);
  EXPECT_THAT(texts[0], HasSubstr("candidates=[32, 64, 128, 256, 512, 1024]"));
  EXPECT_THAT(texts[0], HasSubstr("thread_axis=\"blockIdx.x\""));
  EXPECT_THAT(texts[0], HasSubstr("thread_axis=\"threadIdx.x\""));
}

TEST(GpuAutoInline, RepeatsMathAndBranchesRatherThanStoringThem) {
  RuleList rules;
  rules.push_back(make_gpu_auto_inline_rule());
  const auto texts =
      gpu_space(module_of("elementwise", {{"M", "8"}, {"N", "8"}}), {}, std::move(rules))
          ->sketch_texts();
  ASSERT_EQ(texts.size(), 1U);
  EXPECT_EQ(count_of(texts[0], "compute_inline"), 3);
}

TEST(GpuSpace, RefusesWhatABlockCannotHave) {
  const auto space = gpu_space(module_of("matmul", {{"M", "512"}, {"N", "512"}, {"K", "64"}}), {});
  Random random(1);
  std::set<std::string> why;
  for (int i = 0; i < 200; ++i)
    if (const auto candidate = space->sample(random); !candidate)
      why.insert(candidate.error().message.substr(0, 13));
  EXPECT_TRUE(why.contains("the block has")) << "threads";
}

TEST(GpuSpace, StatementsWithoutAnAxisForThreadsNameAWayOut) {
  const std::string before = "from tvm import te\n\ndef sums(ins, outs):\n"
                             "    for i in range(8):\n";
  const std::string after =
      "\ndef program(scale=2):\n"
      "    A = te.placeholder((8, 6), name=\"A\")\n"
      "    B = te.compute((8, 6), lambda i, j: A[i, j] * T.float32(scale), name=\"B\")\n"
      "    C = te.extern((8, 6), [B], sums, name=\"C\")\n"
      "    return te.create_prim_func([A, C])\n\n"
      "program_workload = dict(shapes=[dict(scale=2)])\n";
  const std::string plain = "        outs[0][i, 0] = ins[0][i, 0]\n"
                            "        for j in range(1, 6):\n"
                            "            outs[0][i, j] = outs[0][i, j - 1] + ins[0][i, j]\n";
  const std::string in_block = "        with T.sblock(\"rows\"):\n"
                               "            vi = T.axis.spatial(8, i)\n"
                               "            total = T.sblock_alloc_buffer((1,), scope=\"local\")\n"
                               "            total[0] = T.float32(0)\n"
                               "            for j in range(6):\n"
                               "                total[0] = total[0] + ins[0][vi, j]\n"
                               "                outs[0][vi, j] = total[0]\n";
  const auto sampled = [&](const std::string& statements) {
    const auto file = must(script::WorkloadFile::parse(before + statements + after, "sums.py"));
    const auto space = gpu_space(must(file.instantiate("program", {})).module, {});
    Random random(1);
    return space->sample(random);
  };
  const auto refused = sampled(plain);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              AllOf(HasSubstr("sums.py:4: no axis of block \"C\" can be shared out among a GPU's "
                              "threads: give its statements blocks of their own"),
                    HasSubstr("or tune it for a CPU, without --target")));
  const auto made = sampled(in_block);
  ASSERT_TRUE(made) << made.error().to_string();
  const auto flat = codegen::lower_for_gpu((*made)->module, must(ir::parse_target("cuda:sm_80")));
  EXPECT_TRUE(flat) << flat.error().to_string();
}

TEST(GpuSpace, TooMuchSharedMemoryIsOneSentence) {
  const auto space =
      gpu_space(module_of("matmul", {{"M", "1024"}, {"N", "1024"}, {"K", "1024"}}), {});
  Random random(2);
  for (int i = 0; i < 2000; ++i) {
    const auto candidate = space->sample(random);
    if (!candidate)
      continue;
    const auto flat =
        codegen::lower_for_gpu((*candidate)->module, must(ir::parse_target("cuda:sm_80")));
    ASSERT_TRUE(flat.has_value()) << flat.error().to_string();
    const auto refused = refused_needs(
        function_of(*flat), must(codegen::gpu_limits(must(ir::parse_target("cuda:sm_80")))));
    if (refused && refused->reason == "shared memory") {
      EXPECT_THAT(refused->message, HasSubstr("bytes of shared memory, there are 166912"));
      return;
    }
  }
  FAIL() << "no candidate takes too much";
}

class GpuWorkloads : public ::testing::TestWithParam<WorkloadCase> {};

TEST_P(GpuWorkloads, CandidatesComputeWhatTheProgramComputesAsThreads) {
  const ir::IRModule module = module_of(GetParam().name, GetParam().shape);
  const auto expected = must(ir::testing::run(function_of(module)));
  const auto space = gpu_space(module);
  Random random(7);
  int right = 0;
  std::map<std::string, int> refused;
  for (int i = 0; i < 60 && right < 2; ++i) {
    const auto candidate = space->sample(random);
    if (!candidate) {
      ++refused[candidate.error().to_string()];
      continue;
    }
    const auto verified = ir::verify((*candidate)->module);
    ASSERT_TRUE(verified) << verified.error().to_string();
    ASSERT_TRUE(expect_bound_meaning((*candidate)->module, expected))
        << (*candidate)->trace.to_python();
    ++right;
  }
  EXPECT_EQ(right, 2) << "hardly any candidate is legal: " << ::testing::PrintToString(refused);
}

INSTANTIATE_TEST_SUITE_P(All, GpuWorkloads, ::testing::ValuesIn(kWorkloadCases),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           std::replace(name.begin(), name.end(), ':', '_');
                           return name + "_" + std::to_string(info.index);
                         });

} // namespace
} // namespace temper::tuner
