// Random choices of the knobs of the workloads that are written for GPUs: each is right in compiled
// emulation. `temper tune ... --device emulated --trials 200` is the same at length.
#include "tests/cli/shell.h"

namespace temper::testing {
namespace {

TEST(EmulatedWorkloads, RandomKnobsAgreeWithTheReference) {
  const Shell shell;
  for (const char* words :
       {"gemm_fp16 M=96 N=80 K=72", "gemm_fp16 M=96 N=80 K=72 transpose_B=True",
        "gemm_fp16 M=96 N=80 K=72 dtype=bfloat16", "flash_attention seq=100 heads=2 dim=32",
        "softmax_tile M=10 N=96", "rms_norm_tile M=9 N=64", "layer_norm_tile"}) {
    const Ran ran = shell.run(std::string("temper tune ") + words +
                              " --target cuda:sm_80 --device emulated --trials 4 --seed 7 --json");
    EXPECT_EQ(ran.code, 0) << words << ran.out << ran.err;
    const Json json = ran.json();
    EXPECT_GE(json.value("right", 0), 1) << words << ran.out;
    EXPECT_EQ(json["right"], json["checked"]) << words << ran.out;
  }
}

} // namespace
} // namespace temper::testing
