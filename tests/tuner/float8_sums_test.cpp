// What is allowed of sums of float8 products on a GPU.
#include "tuner/float8_sums.h"

#include "engine/compare.h"
#include "ir/script/parser.h"
#include "tests/tuner/scene.h"

namespace temper::tuner {
namespace {

using testing::must;

double allowed(const std::string& dtype, const std::string& more, const char* target,
               int64_t length = 4096) {
  std::string text = R"(
@T.prim_func
def main(A: T.Tensor((64, 4096), "TYPE"), B: T.Tensor((64, 4096), "TYPE"), C: T.Tensor((64, 64), "float32")):
    with T.Kernel(1, threads=128) as bx:
        A_shared = T.alloc_shared((64, 128), "TYPE")
        B_shared = T.alloc_shared((64, 128), "TYPE")
        C_local = T.alloc_fragment((64, 64), "float32")
        T.clear(C_local)
        for k in T.Pipelined(32):
            T.copy(A[0, k * 128], A_shared)
            T.copy(B[0, k * 128], B_shared)
            T.gemm(A_shared, B_shared, C_local, transpose_B=TrueMORE)
        T.copy(C_local, C)
)";
  for (const auto& [name, value] : {std::pair<std::string, std::string>("TYPE", dtype),
                                    std::pair<std::string, std::string>("MORE", more)})
    for (size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += value.size())
      text.replace(at, name.size(), value);
  auto program = script::parse_prim_func(text, "program.py");
  EXPECT_TRUE(program.has_value()) << program.error().to_string();
  return program ? float8_tolerance(*program, length, must(ir::parse_target(target))).value_or(0)
                 : 0;
}

TEST(Float8Sums, AllowWhatTensorCoresCutOff) {
  for (const char* target : {"cuda:sm_89", "cuda:sm_90a"})
    for (const char* dtype : {"float8_e4m3", "float8_e5m2"}) {
      // What was published for sums of 4096 is 2 %.
      EXPECT_GT(allowed(dtype, "", target), 0.02);
      EXPECT_LT(allowed(dtype, "", target), 0.05);
      EXPECT_LT(allowed(dtype, "", target, 512), 0.01);
      EXPECT_LT(allowed(dtype, ", max_num_imprecise_acc=128", target), 0.004);
      EXPECT_GT(allowed(dtype, ", max_num_imprecise_acc=128", target),
                20 * engine::default_tolerance(DataType::float32(), 4096));
    }
}

TEST(Float8Sums, AreExactElsewhere) {
  for (const char* target : {"cuda:sm_100a", "cpu:znver4"})
    EXPECT_EQ(allowed("float8_e4m3", "", target), 0) << target;
  EXPECT_EQ(allowed("float16", "", "cuda:sm_90a"), 0);
}

TEST(Float8Sums, OfBlocksAreFoundToo) {
  const ir::IRModule module = testing::workload("matmul", {{"M", "64"},
                                                           {"N", "64"},
                                                           {"K", "64"},
                                                           {"dtype", "float8_e4m3"},
                                                           {"out_dtype", "float32"}})
                                  .module;
  const auto function = module->functions.front().function.as_ref<ir::PrimFuncNode>();
  EXPECT_GT(float8_tolerance(function, 64, must(ir::parse_target("cuda:sm_90a"))).value_or(0),
            0.001);
}

} // namespace
} // namespace temper::tuner
