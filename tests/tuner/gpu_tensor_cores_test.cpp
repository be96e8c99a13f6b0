// The rule for tensor cores: what it makes of products, and that candidates compute what the
// program computes, on tensor cores.
#include "tests/tuner/gpu_scene.h"

#include <gmock/gmock.h>

namespace temper::tuner {
namespace {

using temper::testing::function_of;
using testing::count_of;
using testing::gpu_of;
using testing::gpu_space;
using ::testing::HasSubstr;
using testing::module_of;
using testing::must;
using ::testing::Not;
using testing::sketches;
using testing::tensor_cases;
using testing::TensorCase;

ir::IRModule half_matmul(const char* rows = "64") {
  return module_of("matmul", {{"M", rows}, {"N", "64"}, {"K", "64"}, {"dtype", "float16"}});
}

TEST(GpuTensorCores, TilesAsMetaScheduleDoes) {
  const auto texts = sketches(make_gpu_tensor_cores_rule, half_matmul());
  ASSERT_EQ(texts.size(), 1U);
  const std::string& text = texts[0];
  EXPECT_THAT(text, HasSubstr("ann_val=\"SSSRRSRS\""));
  EXPECT_EQ(count_of(text, "n=5, max_innermost_factor=4"), 2) << text;
  EXPECT_EQ(count_of(text, "n=3, max_innermost_factor=4"), 1) << text;
  for (const char* thread : {"blockIdx.y", "blockIdx.x"})
    EXPECT_EQ(count_of(text, thread), 1) << text;
  EXPECT_EQ(count_of(text, "\"shared\""), 2) << text;
  EXPECT_EQ(count_of(text, "\"local.fragment\""), 1) << text;
  EXPECT_EQ(count_of(text, "temper.tile_stages"), 1) << text;
  EXPECT_EQ(count_of(text, "transform_block_layout"), 0) << text;
  EXPECT_EQ(count_of(text, "wgmma"), 0) << text;
  const auto hopper = sketches(make_gpu_tensor_cores_rule, half_matmul(), gpu_of(90));
  EXPECT_EQ(count_of(hopper.at(0), "temper.tile_wgmma"), 1) << hopper[0];
  EXPECT_EQ(count_of(hopper.at(0), "temper.tile_tma"), 1) << hopper[0];
}

// Along y and z a grid has 65,535 blocks at most.
TEST(GpuTensorCores, LargeGridsLieAlongTheirFirstAxis) {
  const ir::IRModule large =
      module_of("matmul", {{"M", "16384"}, {"N", "16384"}, {"K", "64"}, {"dtype", "float16"}});
  const auto texts = sketches(make_gpu_tensor_cores_rule, large);
  ASSERT_EQ(texts.size(), 1U);
  EXPECT_EQ(count_of(texts[0], "blockIdx.y"), 0) << texts[0];
  EXPECT_EQ(count_of(texts[0], "blockIdx.x"), 1) << texts[0];
  const auto batches = sketches(
      make_gpu_tensor_cores_rule,
      module_of("batch_matmul",
                {{"B", "70000"}, {"M", "16"}, {"N", "16"}, {"K", "32"}, {"dtype", "float16"}}));
  EXPECT_EQ(count_of(batches.at(0), "blockIdx.z"), 0) << batches[0];
  EXPECT_EQ(count_of(batches.at(0), "blockIdx.x"), 1) << batches[0];
  // None is refused for its grid.
  const auto space = gpu_space(large, gpu_of(80));
  Random random(1);
  for (int i = 0; i < 40; ++i) {
    const auto candidate = space->sample(random);
    if (!candidate) {
      EXPECT_THAT(candidate.error().message, Not(HasSubstr("blocks"))) << i;
    }
  }
}

TEST(GpuTensorCores, LeavesWhatTheyDoNotMultiply) {
  const ir::IRModule single = module_of("matmul", {{"M", "64"}, {"N", "64"}, {"K", "64"}});
  for (const ir::IRModule& module : {single, half_matmul("60")})
    EXPECT_THAT(sketches(make_gpu_tensor_cores_rule, module).at(0), Not(HasSubstr("tile_warp")));
  EXPECT_THAT(sketches(make_gpu_tensor_cores_rule, half_matmul(), gpu_of(75)).at(0),
              Not(HasSubstr("tile_warp")));
}

TEST(GpuTensorCores, TakesFloat8WhereThereAreInstructionsForIt) {
  for (const char* dtype : {"float8_e4m3", "float8_e5m2"}) {
    const ir::IRModule module = module_of(
        "matmul",
        {{"M", "64"}, {"N", "64"}, {"K", "64"}, {"dtype", dtype}, {"out_dtype", "float32"}});
    EXPECT_THAT(sketches(make_gpu_tensor_cores_rule, module).at(0), Not(HasSubstr("tile_warp")));
    for (const int architecture : {89, 90})
      EXPECT_THAT(sketches(make_gpu_tensor_cores_rule, module, gpu_of(architecture)).at(0),
                  HasSubstr("tile_warp"));
  }
}

TEST(GpuTensorCores, FusesAConvolutionsAxesToThoseOfAProduct) {
  const TensorCase& conv = tensor_cases().back();
  const auto texts = sketches(make_gpu_tensor_cores_rule, module_of(conv.workload, conv.shape));
  ASSERT_EQ(texts.size(), 1U);
  EXPECT_EQ(count_of(texts[0], "sch.reindex_cache_read"), 2) << texts[0];
  EXPECT_EQ(count_of(texts[0], "sch.transform_block_layout"), 4) << texts[0];
}

TEST(GpuTensorCores, TooMuchOfABlockIsRefusedBeforeItIsLowered) {
  GpuHints gpu = gpu_of(80);
  gpu.shared_bytes = 4096;
  const auto space = gpu_space(half_matmul(), gpu);
  Random random(1);
  std::set<std::string> why;
  for (int i = 0; i < 60; ++i)
    if (const auto candidate = space->sample(random); !candidate)
      why.insert(candidate.error().message.substr(0, 17));
  EXPECT_TRUE(why.contains("the operands take")) << ::testing::PrintToString(why);
}

class GpuTensorPrograms : public ::testing::TestWithParam<std::tuple<size_t, int>> {};

TEST_P(GpuTensorPrograms, CandidatesComputeTheProgramOnTensorCores) {
  const auto& [number, architecture] = GetParam();
  const TensorCase& one = tensor_cases()[number];
  const ir::IRModule module = module_of(one.workload, one.shape);
  const auto expected = must(ir::testing::run(function_of(module)));
  const auto space = gpu_space(module, gpu_of(architecture));
  const auto target = must(ir::parse_target(architecture == 90 ? "cuda:sm_90a" : "cuda:sm_80"));
  Random random(3);
  std::map<std::string, int> refused;
  int right = 0;
  for (int i = 0; i < 60 && right < 3; ++i) {
    const auto candidate = space->sample(random);
    if (!candidate) {
      ++refused[candidate.error().to_string()];
      continue;
    }
    const auto lowered = codegen::lower_for_gpu((*candidate)->module, target);
    if (!lowered) {
      ++refused[lowered.error().to_string()];
      continue;
    }
    const ir::PrimFunc flat = function_of(*lowered);
    const std::string text = script::to_text(flat);
    EXPECT_GT(count_of(text, "T.ptx_mma(") + count_of(text, "T.ptx_wgmma_"), 0) << text;
    const auto emulated =
        ir::testing::run_by(function_of(module), 1, ir::ParallelOrder::kForward, {},
                            [&](const std::vector<ir::InterpretArgument>& arguments,
                                const ir::InterpretOptions&) -> Result<void> {
                              TEMPER_TRY_VOID(tir::emulate(flat, arguments));
                              return {};
                            });
    ASSERT_TRUE(emulated.has_value()) << emulated.error().message << "\n" << text;
    ASSERT_TRUE(ir::testing::same(expected, *emulated, 1e-2)) << text;
    ++right;
  }
  EXPECT_EQ(right, 3) << "hardly any candidate is legal: " << ::testing::PrintToString(refused);
}

INSTANTIATE_TEST_SUITE_P(All, GpuTensorPrograms,
                         ::testing::Combine(::testing::Range(size_t{0}, tensor_cases().size()),
                                            ::testing::Values(80, 90)),
                         [](const auto& info) {
                           const size_t number = std::get<0>(info.param);
                           return std::string(tensor_cases()[number].workload) + "_" +
                                  std::to_string(number) + "_sm_" +
                                  std::to_string(std::get<1>(info.param));
                         });

} // namespace
} // namespace temper::tuner
