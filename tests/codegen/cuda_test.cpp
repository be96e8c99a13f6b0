// CUDA C++ of lowered programs: the text, and what NVRTC makes of it where it is there.
#include "codegen/cuda/nvrtc.h"
#include "codegen/cuda/print.h"

#include "codegen/lower_gpu.h"
#include "ir/module.h"
#include "tests/tir/emulated_programs.h"

#include <cstdlib>

namespace temper::codegen {
namespace {

using ir::PrimFunc;
using tir::expect_found;
using tir::parsed;
using tir::replaced;

const std::string kGemm = R"(
@T.prim_func
def gemm(A: T.Tensor((256, 128), "float16"), B: T.Tensor((128, 192), "float16"), C: T.Tensor((256, 192), "float16")):
    with T.Kernel(T.ceildiv(192, 64), T.ceildiv(256, 128), threads=128) as (bx, by):
        A_shared = T.alloc_shared((128, 32), "float16")
        B_shared = T.alloc_shared((32, 64), "float16")
        C_local = T.alloc_fragment((128, 64), "float32")
        T.clear(C_local)
        for k in T.Pipelined(T.ceildiv(128, 32), num_stages=3):
            T.copy(A[by * 128, k * 32], A_shared)
            T.copy(B[k * 32, bx * 64], B_shared)
            T.gemm(A_shared, B_shared, C_local)
        T.copy(C_local, C[by * 128, bx * 64])
)";

const std::string kSoftmax = R"(
@T.prim_func
def softmax(A: T.Tensor((100, 96), "float32"), B: T.Tensor((100, 96), "bfloat16")):
    with T.Kernel(T.ceildiv(100, 32), threads=128) as bx:
        x = T.alloc_fragment((32, 96), "float32")
        top = T.alloc_fragment((32,), "float32")
        total = T.alloc_fragment((32,), "float32")
        T.copy(A[bx * 32, 0], x)
        T.reduce_max(x, top, dim=1)
        for i, j in T.Parallel(32, 96):
            x[i, j] = T.exp(x[i, j] - top[i])
        T.reduce_sum(x, total, dim=1)
        for i, j in T.Parallel(32, 96):
            x[i, j] = x[i, j] / total[i]
        T.copy(x, B[bx * 32, 0])
)";

Result<CudaSource> source_of(const std::string& text, const char* target = "cuda:sm_80") {
  const PrimFunc function = parsed(text);
  if (!function)
    return Error(ErrorCode::kInvalidArgument, "did not parse");
  TEMPER_TRY(module, lower_for_gpu(ir::make_module(function), *ir::parse_target(target)));
  return print_cuda(module->functions[0].function.as_ref<ir::PrimFuncNode>());
}

TEST(Cuda, a_product_reads_like_its_program) {
  auto source = source_of(kGemm);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  expect_found(source->text,
               {"extern \"C\" __global__ void __launch_bounds__(128) gemm_kernel(const half_t* "
                "__restrict__ A, const half_t* __restrict__ B, half_t* __restrict__ C) {",
                "const int bx = blockIdx.x;", "extern __shared__",
                "half_t* const A_shared = reinterpret_cast<half_t*>(shared_memory + ",
                "alignas(16) float C_local[64];", "cp_async<16>(&A_shared[", "cp_async_wait<1>();",
                "__syncthreads();", "ldmatrix_x4(", "ldmatrix_x4_trans(",
                "mma_m16n8k16_f32_f16(&C_local[", "// line 12", "to_half("});
  EXPECT_EQ(source->text.find("#include"), std::string::npos);
  EXPECT_EQ(source->text.find("bfloat_t"), std::string::npos) << "only what is used is printed";
  ASSERT_EQ(source->kernels.size(), 1u);
  const CudaKernel& kernel = source->kernels[0];
  EXPECT_EQ(kernel.name, "gemm_kernel");
  EXPECT_EQ(kernel.grid, (std::vector<int64_t>{3, 2, 1}));
  EXPECT_EQ(kernel.block, (std::vector<int64_t>{128, 1, 1}));
  EXPECT_EQ(kernel.shared_bytes, 3 * (128 * 32 + 32 * 64) * 2);
}

TEST(Cuda, names_stay_apart_and_operators_bind_as_meant) {
  auto function = parsed(R"(
@T.prim_func
def main(A: T.Buffer((64,), "int32"), B: T.Buffer((64,), "float32"), n: T.int32):
    for bx in T.thread_binding(2, thread="blockIdx.x"):
        for register in T.thread_binding(32, thread="threadIdx.x"):
            x: T.int32 = A[bx * 32 + register] - (n - (register - 1))
            for i in range(3):
                x = x * (i + 2) // n
            for i in range(n):
                x = T.bitwise_xor(x, i) + T.min(i, n % 5)
            if x > 3 and (n < 2 or n > 7):
                B[bx * 32 + register] = T.Cast("float32", x) / (T.float32(1.5) - T.sqrt(B[register]))
            else:
                B[bx * 32 + register] = T.shfl_xor_sync(T.float32(2), 16)
)");
  ASSERT_TRUE(function);
  auto source = print_cuda(function);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  expect_found(source->text,
               {"const int register_1 = threadIdx.x;",
                "A[bx * 32 + register_1] - (n - (register_1 - 1))", "floor_div(x * (i + 2), n)",
                "for (int i = 0; i < n; ++i) {", "(x ^ i) + min(i, ",
                "if (x > 3 && (n < 2 || n > 7)) {", "/ (1.5f - sqrtf(B[register_1]))",
                "__shfl_xor_sync(0xffffffffu, 2.0f, 16)", "int n) {"});
}

TEST(Cuda, inline_code_and_atomics_stand_as_they_are) {
  auto source = source_of(R"(
@T.prim_func
def main(B: T.Buffer((64,), "int32")):
    with T.Kernel(1, threads=64) as bx:
        T.import_source("__device__ int twice(int x) { return 2 * x; }")
        tx = T.get_thread_binding(0)
        T.inline_cuda("__nanosleep(twice($0));", tx + 1)
        T.inline_ptx("nanosleep.u32 $0;", 20)
        T.atomic_max(B[tx // 2], tx)
)");
  ASSERT_TRUE(source.has_value()) << source.error().message;
  expect_found(source->text, {"__device__ int twice(int x)", "__nanosleep(twice((tx + 1)));",
                              "asm volatile(\"nanosleep.u32 %0;\" ::\"r\"(20) : \"memory\");",
                              "atomicMax(&B[tx / 2], tx);"});
  if (auto nvrtc = Nvrtc::load()) {
    EXPECT_TRUE((*nvrtc)->compile(source->text, "sm_80").has_value());
  }
}

TEST(Cuda, roles_meet_at_barriers_in_shared_memory) {
  auto lowered = lower_for_gpu(make_module(parsed(R"(
@T.prim_func
def main(A: T.Tensor((64,), "float32"), B: T.Tensor((64,), "float32")):
    with T.Kernel(1, threads=256) as bx:
        tile = T.alloc_shared((64,), "float32")
        full = T.alloc_barrier([128, 1])
        with T.ws(0):
            T.copy(A, tile)
            T.barrier_arrive(full[0])
        with T.ws(1):
            T.barrier_wait(full[0], 0)
            T.copy(tile, B)
)")),
                               *ir::parse_target("cuda:sm_90a"));
  ASSERT_TRUE(lowered.has_value()) << lowered.error().message;
  auto source = print_cuda((*lowered)->functions[0].function.as_ref<ir::PrimFuncNode>());
  ASSERT_TRUE(source.has_value()) << source.error().message;
  expect_found(source->text, {"mbarrier_init(&full[0], 128);", "mbarrier_arrive(&full[0]);",
                              "mbarrier_wait_parity(&full[0], 0);", "bar.sync %0, %1;"});
  if (auto nvrtc = Nvrtc::load()) {
    auto code = (*nvrtc)->compile(source->text, "sm_90a");
    EXPECT_TRUE(code.has_value()) << code.error().message;
  }
}

TEST(Cuda, what_has_no_cuda_form_is_named_with_its_line) {
  auto refused = print_cuda(parsed(R"(
@T.prim_func
def main(A: T.Buffer((64,), "float32")):
    for tx in T.thread_binding(32, thread="threadIdx.x"):
        A[tx] = T.float32(0)
        T.fence_proxy_async()
)"));
  ASSERT_FALSE(refused.has_value());
  expect_found(refused.error().message, {"line 6", "T.fence_proxy_async has no CUDA form yet"});
  auto plain = print_cuda(parsed(R"(
@T.prim_func
def main(A: T.Buffer((64,), "float32")):
    for i in range(64):
        A[i] = T.float32(0)
)"));
  ASSERT_FALSE(plain.has_value());
  expect_found(plain.error().message, {"line 4", "host"});
}

TEST(Cuda, the_report_of_ptxas_is_read) {
  const auto facts = parse_ptxas_report(
      "ptxas info    : 0 bytes gmem\n"
      "ptxas info    : Compiling entry function 'gemm_kernel' for 'sm_90a'\n"
      "ptxas info    : Function properties for gemm_kernel\n"
      "    24 bytes stack frame, 16 bytes spill stores, 20 bytes spill loads\n"
      "ptxas info    : Used 168 registers, used 2 barriers, 24 bytes cumulative stack size, 4096 "
      "bytes smem, 552 bytes cmem[0]\n");
  ASSERT_EQ(facts.size(), 1u);
  EXPECT_EQ(facts[0].kernel, "gemm_kernel");
  EXPECT_EQ(facts[0].registers, 168);
  EXPECT_EQ(facts[0].barriers, 2);
  EXPECT_EQ(facts[0].stack_bytes, 24);
  EXPECT_EQ(facts[0].spill_store_bytes, 16);
  EXPECT_EQ(facts[0].spill_load_bytes, 20);
  EXPECT_EQ(facts[0].shared_bytes, 4096);
  EXPECT_EQ(facts[0].constant_bytes, 552);
}

TEST(Cuda, occupancy_names_what_limits_it) {
  const Occupancy registers = occupancy_of(90, 256, 127, 48 * 1024);
  EXPECT_EQ(registers.blocks, 2);
  EXPECT_EQ(registers.limit, "registers");
  const Occupancy shared = occupancy_of(90, 384, 168, 192 * 1024);
  EXPECT_EQ(shared.blocks, 1);
  EXPECT_EQ(occupancy_of(80, 1024, 128, 0).blocks, 0);
  EXPECT_DOUBLE_EQ(occupancy_of(80, 256, 32, 0).warps, 1.0);
}

const Nvrtc* nvrtc_or_null() {
  auto loaded = Nvrtc::load();
  return loaded ? *loaded : nullptr;
}
#define SKIP_WITHOUT_NVRTC()                                                                       \
  const Nvrtc* nvrtc = nvrtc_or_null();                                                            \
  if (nvrtc == nullptr)                                                                            \
  GTEST_SKIP() << Nvrtc::load().error().message

TEST(Cuda, nvrtc_compiles_programs_for_every_architecture) {
  SKIP_WITHOUT_NVRTC();
  for (const char* arch : {"sm_80", "sm_90a", "sm_100a"})
    for (const std::string& text : {kGemm, kSoftmax}) {
      SCOPED_TRACE(arch);
      auto source = source_of(text, (std::string("cuda:") + arch).c_str());
      ASSERT_TRUE(source.has_value()) << source.error().message;
      auto code = nvrtc->compile(source->text, arch);
      ASSERT_TRUE(code.has_value()) << code.error().message << "\n" << source->text;
      EXPECT_EQ(code->cubin.substr(1, 3), "ELF");
      EXPECT_NE(code->ptx.find(std::string(".target ") + arch), std::string::npos);
      ASSERT_EQ(code->facts.size(), 1u);
      EXPECT_GT(code->facts[0].registers, 8);
      EXPECT_EQ(code->facts[0].spill_store_bytes, 0);
      EXPECT_EQ(code->facts[0].stack_bytes, 0) << "registers that are indexed are unrolled";
      EXPECT_TRUE(code->warnings.empty()) << code->warnings[0];
      if (text == kGemm) {
        for (const char* instruction :
             {"mma.sync.aligned.m16n8k16", "cp.async.cg.shared.global", "ldmatrix.sync.aligned"})
          EXPECT_NE(code->ptx.find(instruction), std::string::npos) << instruction;
      }
    }
}

TEST(Cuda, nvrtc_says_what_is_wrong_and_where) {
  SKIP_WITHOUT_NVRTC();
  auto code =
      nvrtc->compile("extern \"C\" __global__ void f(float* a) {\n  a[0] = b;\n}\n", "sm_80");
  ASSERT_FALSE(code.has_value());
  expect_found(code.error().message, {"sm_80", "kernel.cu(2)", "\"b\" is undefined"});
  auto unknown = nvrtc->compile("extern \"C\" __global__ void f() {}\n", "sm_12");
  EXPECT_FALSE(unknown.has_value());
}

} // namespace
} // namespace temper::codegen
