// Candidates of the rule for tensor cores: more of them, under every timing; and of larger shapes,
// what NVRTC makes of them where it is there.
#include "codegen/cuda/compile.h"
#include "tests/tuner/gpu_scene.h"
#include "tuner/gpu_pruning.h"

namespace temper::tuner {
namespace {

using temper::testing::expect_bound_meaning;
using temper::testing::function_of;
using testing::count_of;
using testing::gpu_of;
using testing::gpu_space;
using testing::module_of;
using testing::must;
using testing::tensor_cases;
using testing::TensorCase;

const char* target_of(int architecture) {
  return architecture == 90 ? "cuda:sm_90a" : "cuda:sm_80";
}

TEST(GpuTensorCoresSlow, CandidatesComputeTheProgramUnderEveryTiming) {
  for (const TensorCase& one : tensor_cases()) {
    const ir::IRModule module = module_of(one.workload, one.shape);
    const auto expected = must(ir::testing::run(function_of(module)));
    for (const int architecture : {80, 90}) {
      const auto space = gpu_space(module, gpu_of(architecture));
      const auto target = must(ir::parse_target(target_of(architecture)));
      Random random(11);
      int right = 0;
      for (int i = 0; i < 60 && right < 3; ++i) {
        const auto candidate = space->sample(random);
        if (!candidate || !codegen::lower_for_gpu((*candidate)->module, target))
          continue;
        const ir::PrimFunc flat =
            expect_bound_meaning((*candidate)->module, expected, target_of(architecture), 1e-2);
        ASSERT_TRUE(flat) << (*candidate)->trace.to_python();
        const std::string text = script::to_text(flat);
        EXPECT_GT(count_of(text, "T.ptx_mma(") + count_of(text, "T.ptx_wgmma_"), 0) << text;
        ++right;
      }
      EXPECT_EQ(right, 3) << one.workload << " on sm_" << architecture;
    }
  }
}

TEST(GpuTensorCoresSlow, LargerOnesCompileWithoutProductsOneAfterTheOther) {
  if (const auto nvrtc = codegen::Nvrtc::load(); !nvrtc)
    GTEST_SKIP() << nvrtc.error().message;
  const std::vector<TensorCase> cases = {
      {"matmul", {{"M", "512"}, {"N", "512"}, {"K", "512"}, {"dtype", "float16"}}},
      {"matmul", {{"M", "256"}, {"N", "512"}, {"K", "256"}, {"dtype", "bfloat16"}}},
      {"matmul", {{"M", "256"}, {"N", "256"}, {"K", "512"}, {"dtype", "int8"}}},
      {"batch_matmul",
       {{"B", "4"}, {"M", "128"}, {"N", "128"}, {"K", "64"}, {"dtype", "bfloat16"}}},
      {"conv2d",
       {{"N", "1"},
        {"H", "28"},
        {"W", "28"},
        {"CI", "32"},
        {"CO", "64"},
        {"R", "3"},
        {"S", "3"},
        {"pad", "1"},
        {"dtype", "float16"}}},
  };
  for (const TensorCase& one : cases)
    for (const int architecture : {80, 90}) {
      const auto space = gpu_space(module_of(one.workload, one.shape), gpu_of(architecture));
      const auto target = must(ir::parse_target(target_of(architecture)));
      const auto limits = must(codegen::gpu_limits(target));
      Random random(5);
      int compiled = 0;
      const int wanted = architecture == 90 ? 2 : 1; // what is asked of wgmma
      for (int i = 0; i < 100 && compiled < wanted; ++i) {
        const auto candidate = space->sample(random);
        const auto lowered = candidate ? codegen::lower_for_gpu((*candidate)->module, target)
                                       : Result<ir::IRModule>(candidate.error());
        if (!lowered || refused_needs(function_of(*lowered), limits))
          continue;
        const auto artifact = must(codegen::compile_cuda(*lowered, target));
        const auto refused = refused_code(artifact.facts);
        EXPECT_FALSE(refused && refused->reason == "serialised") << refused->message;
        ++compiled;
      }
      EXPECT_EQ(compiled, wanted) << one.workload << " on sm_" << architecture;
    }
}

} // namespace
} // namespace temper::tuner
