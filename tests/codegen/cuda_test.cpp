// CUDA C++ of lowered programs: the text, and what NVRTC makes of it where it is there.
#include "codegen/cuda/compile.h"
#include "codegen/cuda/cubin.h"
#include "codegen/cuda/nvrtc.h"
#include "codegen/cuda/print.h"

#include "codegen/artifact_json.h"
#include "codegen/lower_gpu.h"
#include "ir/module.h"
#include "tests/codegen/hopper_programs.h"
#include "tests/tir/emulated_programs.h"

#include <cstdio>
#include <fstream>
#include <map>
#include <unistd.h>

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

TEST(Cuda, indices_are_cheap_to_compile) {
  auto source = source_of(R"(
@T.prim_func
def main(A: T.Tensor((64, 64), "int32"), n: T.int32, B: T.Tensor((64,), "int32")):
    with T.Kernel(1, threads=64) as bx:
        tx = T.get_thread_binding(0)
        B[tx] = A[(tx * 4 + 1) // 4, tx * 4 % 4 + 3] + (n - tx) // 8 - (n - tx) % 16 * 2
)");
  ASSERT_TRUE(source.has_value()) << source.error().message;
  // Terms that cancel are gone; by a power of two it is bits, whatever the sign.
  expect_found(source->text, {"A[tx * 64 + 3]", "((n - tx) >> 3)", "((n - tx) & 15) * 2"});
  EXPECT_EQ(source->text.find("floor_"), std::string::npos) << source->text;
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
                              "atomicMax(&B[tx >> 1], tx);"});
  if (auto nvrtc = Nvrtc::load()) {
    EXPECT_TRUE((*nvrtc)->compile(source->text, "sm_80").has_value());
  }
}

TEST(Cuda, what_ptx_writes_is_an_output) {
  auto source = source_of(R"(
@T.prim_func
def main(A: T.Tensor((64,), "float32"), B: T.Tensor((64,), "float32")):
    with T.Kernel(1, threads=64) as bx:
        tx = T.get_thread_binding(0)
        y = T.alloc_var("float32")
        n = T.alloc_local((2,), "int64")
        y = A[tx]
        T.inline_ptx("add.f32 $0, $1, $2;", y, y, T.float32(1), outputs=1)
        T.inline_ptx("{ mov.s64 $1, $2; mul.f32 $0, $0, $0; }", y, n[1], T.int64(3), outputs=2)
        B[tx] = y
)");
  ASSERT_TRUE(source.has_value()) << source.error().message;
  expect_found(source->text,
               {"asm volatile(\"add.f32 %0, %1, %2;\" : \"+f\"(y) :\"f\"(y), \"f\"(1.0f) : "
                "\"memory\");",
                ": \"+f\"(y), \"+l\"(n[1]) :\"l\"(3"});
  if (auto nvrtc = Nvrtc::load()) {
    auto code = (*nvrtc)->compile(source->text, "sm_80");
    EXPECT_TRUE(code.has_value()) << code.error().message;
  }
}

/// main adds to elements of the type.
std::string added_to(const std::string& type) {
  return tir::replaced(tir::replaced(R"(
@T.prim_func
def main(A: T.Tensor((64,), "TYPE"), B: T.Tensor((64,), "TYPE")):
    with T.Kernel(1, threads=64) as bx:
        tx = T.get_thread_binding(0)
        T.atomic_add(B[tx // 2], A[tx])
)",
                                     "TYPE", type),
                       "TYPE", type);
}

TEST(Cuda, atomics_are_there_for_each_type_or_refused_by_their_line) {
  const std::pair<const char*, const char*> forms[] = {
      {"float32", "atomicAdd(&B[tx >> 1], A[tx]);"},
      {"float16", "atomic_add_half(&B[tx >> 1], to_half("},
      {"bfloat16", "atomic_add_bfloat(&B[tx >> 1], to_bfloat("},
      {"int64", "atomicAdd(reinterpret_cast<unsigned long long*>(&B[tx >> 1]), "
                "static_cast<unsigned long long>(A[tx]));"},
      {"uint64", "atomicAdd(&B[tx >> 1], A[tx]);"}};
  for (const auto& [type, form] : forms) {
    SCOPED_TRACE(type);
    auto source = source_of(added_to(type));
    ASSERT_TRUE(source.has_value()) << source.error().message;
    expect_found(source->text, {form});
    if (auto nvrtc = Nvrtc::load())
      for (const char* arch : {"sm_80", "sm_90a"}) {
        auto code = (*nvrtc)->compile(source->text, arch);
        EXPECT_TRUE(code.has_value()) << code.error().message;
      }
  }
  for (const char* type : {"int8", "int16"}) {
    auto source = source_of(added_to(type));
    ASSERT_FALSE(source.has_value());
    expect_found(source.error().message,
                 {"line 6: T.atomic_add of", type, "has no CUDA form; add float32"});
  }
  auto largest = source_of(tir::replaced(added_to("float32"), "atomic_add", "atomic_max"));
  ASSERT_TRUE(largest.has_value()) << largest.error().message;
  expect_found(largest->text, {"atomic_max_float(&B[tx >> 1], A[tx]);"});
  if (auto nvrtc = Nvrtc::load()) {
    EXPECT_TRUE((*nvrtc)->compile(largest->text, "sm_80").has_value());
  }
}

TEST(Cuda, small_floats_are_made_of_their_bits) {
  auto source = source_of(R"(
@T.prim_func
def main(A: T.Tensor((64,), "uint16"), B: T.Tensor((64,), "float32"), C: T.Tensor((64,), "uint16")):
    with T.Kernel(1, threads=64) as bx:
        tx = T.get_thread_binding(0)
        B[tx] = T.Cast("float32", T.reinterpret("float16", A[tx]))
        C[tx] = T.reinterpret("uint16", T.Cast("bfloat16", B[tx]))
)");
  ASSERT_TRUE(source.has_value()) << source.error().message;
  expect_found(source->text, {"to_float(half_of_bits(A[tx]))", "bits_of_bfloat(to_bfloat("});
  if (auto nvrtc = Nvrtc::load()) {
    auto code = (*nvrtc)->compile(source->text, "sm_80");
    EXPECT_TRUE(code.has_value()) << code.error().message;
  }
}

TEST(Cuda, hints_stay_inside_of_their_buffer) {
  auto source = source_of(R"(
@T.prim_func
def main(A: T.Buffer((64,), "float32"), B: T.Buffer((64,), "float32")):
    with T.Kernel(1, threads=64) as bx:
        tx = T.get_thread_binding(0)
        T.prefetch(A[tx + 32])
        T.prefetch(A[tx], locality=1)
        B[tx] = A[tx]
)");
  ASSERT_TRUE(source.has_value()) << source.error().message;
  expect_found(source->text, {"prefetch_l1(&A[min(tx + 32, 63)]);", "prefetch_l2(&A[tx]);"});
  if (auto nvrtc = Nvrtc::load()) {
    EXPECT_TRUE((*nvrtc)->compile(source->text, "sm_80").has_value());
  }
}

/// A kernel of one's own: `parameters` of the kernel, `declared` in front of it.
std::string source_kernel(const std::string& parameters,
                          const std::string& declared = "extern \\\"C\\\" __global__ void") {
  return R"(
@T.prim_func
def main(A: T.Tensor((64,), "float32"), n: T.int32, B: T.Tensor((64,), "float32")):
    with T.Kernel(2, threads=(16, 2)):
        T.source_kernel("twice", writes=B, shared=128, define=dict(FACTOR=2), source=")" +
         declared + " twice(" + parameters +
         ") { B[threadIdx.x] = n * FACTOR * A[threadIdx.x]; }\")\n";
}

TEST(Cuda, a_kernel_of_ones_own_is_printed_as_it_stands) {
  auto source = source_of(source_kernel("const float* A, int n, float* B"));
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_EQ(source->text,
            "#define FACTOR 2\nextern \"C\" __global__ void twice(const float* A, int "
            "n, float* B) { B[threadIdx.x] = n * FACTOR * A[threadIdx.x]; }\n");
  ASSERT_EQ(source->kernels.size(), 1u);
  EXPECT_EQ(source->kernels[0], (CudaKernel{"twice", {2, 1, 1}, {16, 2, 1}, 128, {}}));
}

TEST(Cuda, a_kernel_of_ones_own_must_take_what_it_is_passed) {
  if (auto nvrtc = Nvrtc::load(); !nvrtc)
    GTEST_SKIP() << nvrtc.error().message;
  const auto compiled = [](const std::string& text) {
    auto lowered = lower_for_gpu(make_module(parsed(text)), *ir::parse_target("cuda:sm_80"));
    EXPECT_TRUE(lowered.has_value()) << lowered.error().message;
    return compile_cuda(*lowered, *ir::parse_target("cuda:sm_80"));
  };
  auto good = compiled(source_kernel("const float* A, int n, float* B"));
  ASSERT_TRUE(good.has_value()) << good.error().message;
  EXPECT_GT(good->facts.registers, 0);
  EXPECT_EQ(good->facts.shared_bytes, 128);
  for (const auto& [text, words] :
       {std::pair(source_kernel("const float* A, int n, float* B, int m"),
                  "twice has 4 parameters, and the program passes 3"),
        std::pair(source_kernel("const float* A, long long n, float* B"),
                  "parameter 2 of twice has 64 bits, and n is int32"),
        std::pair(source_kernel("const float* A, int n, float* B", "__global__ void"),
                  "the source has no kernel 'twice': declare it as extern \"C\""),
        std::pair(source_kernel("const float* A, int n, float* B, oops"), "kernel.cu(2)")}) {
    auto bad = compiled(text);
    ASSERT_FALSE(bad.has_value()) << words;
    EXPECT_NE(bad.error().message.find(words), std::string::npos) << bad.error().message;
  }
}

TEST(Cuda, parameters_of_an_entry_are_read_from_ptx) {
  const std::string ptx =
      ".visible .entry gemm_2(\n\t.param .u32 gemm_2_param_0\n)\n{\n}\n"
      ".visible .entry gemm(\n\t.param .u64 .ptr .align 1 gemm_param_0,\n"
      "\t.param .align 64 .b8 gemm_param_1[128],\n\t.param .f32 gemm_param_2\n)\n";
  EXPECT_EQ(ptx_parameters(ptx, "gemm"), (std::vector<std::string>{"64", "?", "32"}));
  EXPECT_EQ(ptx_parameters(ptx, "gem"), std::nullopt);
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
def main(A: T.Buffer((64,), "float64")):
    for tx in T.thread_binding(32, thread="threadIdx.x"):
        A[tx] = T.float64(0)
        T.atomic_max(A[tx], T.float64(1))
)"));
  ASSERT_FALSE(refused.has_value());
  expect_found(refused.error().message, {"line 6", "T.atomic_max of float64 has no CUDA form"});
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

TEST(Cuda, bfloat16_is_rounded_by_integers_where_no_instruction_does) {
  SKIP_WITHOUT_NVRTC();
  const auto source = source_of(kSoftmax, "cuda:sm_75");
  ASSERT_TRUE(source.has_value()) << source.error().message;
  const auto code = nvrtc->compile(source->text, "sm_75");
  EXPECT_TRUE(code.has_value()) << code.error().message;
}

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

TEST(Cuda, a_compile_over_its_deadline_says_so) {
  SKIP_WITHOUT_NVRTC();
  auto source = source_of(kGemm, "cuda:sm_90a");
  ASSERT_TRUE(source.has_value()) << source.error().message;
  const auto code = nvrtc->compile(source->text, "sm_90a", 1e-6);
  if (code)
    GTEST_SKIP() << "this NVRTC cannot be stopped";
  EXPECT_EQ(code.error().message,
            "compiling took longer than its deadline of 1e-06 s and was stopped");
}

Result<Artifact> compiled(const std::string& text, const char* target) {
  TEMPER_TRY(to, ir::parse_target(target));
  TEMPER_TRY(module, lower_for_gpu(ir::make_module(parsed(text)), to));
  return compile_cuda(module, to);
}

TEST(Cuda, an_artifact_has_code_ptx_plan_and_facts) {
  SKIP_WITHOUT_NVRTC();
  auto artifact = compiled(kGemm, "cuda:sm_90a");
  ASSERT_TRUE(artifact.has_value()) << artifact.error().message;
  EXPECT_EQ(artifact->kind, ArtifactKind::kCubin);
  EXPECT_EQ(artifact->entry, "gemm");
  EXPECT_EQ(artifact->code.substr(1, 3), "ELF");
  EXPECT_NE(artifact->object.find(".target sm_90a"), std::string::npos);
  ASSERT_EQ(artifact->launch.kernels.size(), 1u);
  EXPECT_EQ(artifact->launch.kernels[0].grid, (std::vector<int64_t>{3, 2, 1}));
  const StaticFacts& facts = artifact->facts;
  EXPECT_GT(facts.registers, 32);
  EXPECT_EQ(facts.spilled_bytes, 0);
  EXPECT_EQ(facts.shared_bytes, 3 * (128 * 32 + 32 * 64) * 2);
  EXPECT_GT(facts.resident_blocks, 1);
  EXPECT_GT(facts.instructions, 100);
  for (const char* operation : {"mma.sync", "ldmatrix", "cp.async", "bar.sync", "st.global"})
    EXPECT_TRUE(facts.operations.contains(operation)) << operation;
  EXPECT_TRUE(facts.warnings.empty());
  // As bytes and back.
  auto again = deserialize_artifact(serialize_artifact(*artifact));
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(again->kind, ArtifactKind::kCubin);
  EXPECT_EQ(again->launch, artifact->launch);
  EXPECT_EQ(again->code, artifact->code);
  EXPECT_EQ(again->object, artifact->object);
  EXPECT_EQ(facts_to_json(again->facts), facts_to_json(facts));
  // Names do not tell candidates apart, the plan does.
  std::string other_names = kGemm;
  for (size_t at = 0; (at = other_names.find("C_local", at)) != std::string::npos;)
    other_names.replace(at, 7, "sums");
  auto renamed = compiled(other_names, "cuda:sm_90a");
  ASSERT_TRUE(renamed.has_value()) << renamed.error().message;
  EXPECT_EQ(renamed->code_hash, artifact->code_hash);
  auto wider = compiled(replaced(kGemm, "num_stages=3", "num_stages=4"), "cuda:sm_90a");
  ASSERT_TRUE(wider.has_value());
  EXPECT_NE(wider->code_hash, artifact->code_hash);
}

TEST(Cuda, facts_are_those_of_ptxas) {
  SKIP_WITHOUT_NVRTC();
  const char* ptxas = "/usr/local/cuda/bin/ptxas";
  for (const char* arch : {"sm_80", "sm_90a"})
    for (const std::string& text : {kGemm, kSoftmax}) {
      auto artifact = compiled(text, (std::string("cuda:") + arch).c_str());
      ASSERT_TRUE(artifact.has_value()) << artifact.error().message;
      auto read = read_cubin(artifact->code);
      ASSERT_TRUE(read.has_value()) << read.error().message;
      ASSERT_EQ(read->kernels.size(), 1u);
      EXPECT_EQ(read->kernels[0].name, artifact->launch.kernels[0].name);
      EXPECT_EQ(read->kernels[0].registers, artifact->facts.registers);
      EXPECT_EQ(read->kernels[0].frame_bytes, artifact->facts.stack_bytes);
      if (access(ptxas, X_OK) != 0)
        continue;
      const std::string file = ::testing::TempDir() + "facts_are_those_of_ptxas.ptx";
      std::ofstream(file) << artifact->object;
      FILE* pipe = popen(
          (std::string(ptxas) + " -v -arch=" + arch + " " + file + " -o /dev/null 2>&1").c_str(),
          "r");
      ASSERT_NE(pipe, nullptr);
      std::string log;
      for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe))
        log += static_cast<char>(c);
      EXPECT_EQ(pclose(pipe), 0) << log;
      const auto said = parse_ptxas_report(log);
      ASSERT_EQ(said.size(), 1u) << log;
      EXPECT_EQ(said[0].registers, artifact->facts.registers);
      EXPECT_EQ(said[0].spill_store_bytes, artifact->facts.spilled_bytes);
      EXPECT_EQ(said[0].stack_bytes, artifact->facts.stack_bytes);
    }
}

TEST(Cuda, broken_machine_code_is_refused) {
  EXPECT_FALSE(read_cubin("").has_value());
  EXPECT_FALSE(read_cubin(std::string(64, 'x')).has_value());
  SKIP_WITHOUT_NVRTC();
  auto artifact = compiled(kSoftmax, "cuda:sm_90a");
  ASSERT_TRUE(artifact.has_value()) << artifact.error().message;
  EXPECT_FALSE(read_cubin(std::string_view(artifact->code).substr(0, 200)).has_value());
}

TEST(Cuda, products_of_warpgroups_are_not_serialised) {
  SKIP_WITHOUT_NVRTC();
  struct Case {
    const char* dtype;
    const char* tiles;
    int threads;
    bool transposed;
    bool tma;
    const char* instruction;
  };
  for (const Case& c : {Case{"bfloat16", "128x128x64", 128, false, true, "m64n128k16.f32.bf16"},
                        Case{"float16", "128x128x64", 256, true, true, "m64n64k16.f32.f16"},
                        Case{"float16", "64x256x64", 128, false, true, "m64n256k16.f32.f16"},
                        Case{"float16", "64x64x32", 128, false, false, "m64n64k16.f32.f16"},
                        Case{"int8", "128x64x64", 256, true, true, "m64n64k32.s32.s8.s8"}}) {
    SCOPED_TRACE(std::string(c.dtype) + " " + c.tiles);
    const std::string text =
        hopper_gemm(c.dtype, 512, 512, 256, c.transposed, c.tiles, c.threads, c.tma);
    auto artifact = compiled(text, "cuda:sm_90a");
    ASSERT_TRUE(artifact.has_value()) << artifact.error().message << text;
    EXPECT_NE(artifact->object.find(std::string("wgmma.mma_async.sync.aligned.") + c.instruction),
              std::string::npos);
    EXPECT_EQ(artifact->object.find("cp.async.bulk.tensor.2d") != std::string::npos, c.tma);
    EXPECT_TRUE(artifact->facts.warnings.empty()) << artifact->facts.warnings[0];
    EXPECT_EQ(artifact->facts.spilled_bytes, 0);
    EXPECT_EQ(artifact->facts.stack_bytes, 0);
    const auto& maps = artifact->launch.kernels[0].tensor_maps;
    ASSERT_EQ(maps.size(), c.tma ? 2u : 0u);
    if (c.tma) {
      EXPECT_EQ(maps[0].argument, 0);
      EXPECT_EQ(maps[0].shape, (std::vector<int64_t>{256, 512}));
      EXPECT_EQ(maps[0].strides_bytes[0], c.dtype == std::string("int8") ? 256 : 512);
      EXPECT_EQ(maps[0].swizzle_bytes, c.dtype == std::string("int8") ? 64 : 128);
    }
  }
}

/// C = A B^T of any types, by `variant`; with `loaded` A goes through registers.
std::string product_of_rows(const std::string& a, const std::string& b, const std::string& out,
                            const std::string& more, const std::string& variant, bool loaded) {
  std::string text = R"(
@T.prim_func
def gemm(A: T.Tensor((256, 128), "TA"), B: T.Tensor((192, 128), "TB"), C: T.Tensor((256, 192), "TC")):
    with T.Kernel(3, 2, threads=256) as (bx, by):
        A_shared = T.alloc_shared((128, 64), "TA")
        B_shared = T.alloc_shared((64, 64), "TB")
        A_local = T.alloc_fragment((128, 64), "TA")
        C_local = T.alloc_fragment((128, 64), "TC")
        T.clear(C_local)
        for k in T.Pipelined(2, num_stages=2):
            T.copy(A[by * 128, k * 64], A_shared)
            T.copy(B[bx * 64, k * 64], B_shared)
            T.gemm(A_shared, B_shared, C_local, transpose_B=TrueMORE, annotations={"variant": "VARIANT"})
        T.copy(C_local, C[by * 128, bx * 64])
)";
  const auto set = [&](const std::string& from, const std::string& to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
      text.replace(at, from.size(), to);
  };
  set("TA", a);
  set("TB", b);
  set("TC", out);
  set("MORE", more);
  set("VARIANT", variant);
  if (loaded) {
    set("            T.gemm(A_shared",
        "            T.copy(A_shared, A_local)\n            T.gemm(A_local");
  } else {
    const size_t at = text.find("        A_local = ");
    text.erase(at, text.find('\n', at) + 1 - at);
  }
  return text;
}

TEST(Cuda, tensor_cores_take_every_type_they_have) {
  SKIP_WITHOUT_NVRTC();
  struct Case {
    const char *a, *b, *out, *more, *mma, *wgmma;
  };
  for (const Case& c :
       {Case{"int8", "int8", "int32", "", "m16n8k32.row.col.s32.s8.s8.s32", "k32.s32.s8.s8"},
        Case{"uint8", "uint8", "int32", "", "m16n8k32.row.col.s32.u8.u8.s32", "k32.s32.u8.u8"},
        Case{"float8_e4m3", "float8_e4m3", "float32", "", "m16n8k32.row.col.f32.e4m3.e4m3.f32",
             "k32.f32.e4m3.e4m3"},
        Case{"float8_e5m2", "float8_e4m3", "float32", "", "m16n8k32.row.col.f32.e5m2.e4m3.f32",
             "k32.f32.e5m2.e4m3"},
        Case{"float32", "float32", "float32", ", allow_tf32=True",
             "m16n8k8.row.col.f32.tf32.tf32.f32", "k8.f32.tf32.tf32"},
        Case{"float16", "float16", "float16", "", "m16n8k16.row.col.f16.f16.f16.f16",
             "k16.f16.f16.f16"},
        Case{"bfloat16", "bfloat16", "float32", "", "m16n8k16.row.col.f32.bf16.bf16.f32",
             "k16.f32.bf16.bf16"}})
    for (const char* variant : {"mma_sync", "wgmma", "wgmma A in registers"}) {
      SCOPED_TRACE(std::string(c.a) + " " + c.b + " " + variant);
      const bool warps = variant == std::string("mma_sync");
      const bool loaded = std::string(variant).ends_with("registers");
      auto artifact =
          compiled(product_of_rows(c.a, c.b, c.out, c.more, warps ? "mma_sync" : "wgmma", loaded),
                   warps ? "cuda:sm_89" : "cuda:sm_90a");
      ASSERT_TRUE(artifact.has_value()) << artifact.error().message;
      EXPECT_NE(artifact->object.find(warps ? std::string("mma.sync.aligned.") + c.mma
                                            : std::string("wgmma.mma_async.sync.aligned.m64n64") +
                                                  c.wgmma),
                std::string::npos);
      EXPECT_TRUE(artifact->facts.warnings.empty()) << artifact->facts.warnings[0];
      EXPECT_EQ(artifact->facts.spilled_bytes, 0);
      EXPECT_EQ(artifact->facts.stack_bytes, 0);
    }
}

// 64 accumulators of 64 terms: left to themselves, NVVM and ptxas make 4096 copies of a term and
// take minutes over twice as many.
TEST(Cuda, a_loop_inside_of_unrolled_ones_is_copied_a_few_times) {
  // A goes through registers, which makes it a sum for each element of C.
  std::string text = product_of_rows("float32", "float32", "float32", "", "threads", true);
  const auto few = source_of(text);
  ASSERT_TRUE(few.has_value()) << few.error().message;
  EXPECT_EQ(few->text.find("#pragma unroll 4"), std::string::npos) << "2048 copies may be";
  text = replaced(text, "threads=256", "threads=128");
  const auto source = source_of(text);
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_NE(source->text.find("#pragma unroll 4\n"), std::string::npos) << source->text;
  SKIP_WITHOUT_NVRTC();
  const auto code = nvrtc->compile(source->text, "sm_80", 30);
  EXPECT_TRUE(code.has_value()) << code.error().message;
}

TEST(Cuda, a_warp_that_copies_gives_registers_to_those_that_compute) {
  SKIP_WITHOUT_NVRTC();
  for (const char* more : {"", ", wg_wait=1"}) {
    std::string text = hopper_gemm("bfloat16", 512, 512, 512, false, "128x256x64", 256, true);
    text = replaced(text, "{\"tma\": 1}", "{\"tma\": 2}");
    text = replaced(text, ", annotations={\"variant\"",
                    std::string(more) + ", annotations={\"variant\"");
    auto artifact = compiled(text, "cuda:sm_90a");
    ASSERT_TRUE(artifact.has_value()) << artifact.error().message;
    EXPECT_EQ(artifact->launch.kernels[0].block[0], 384);
    expect_found(artifact->object, {"setmaxnreg.inc.sync.aligned.u32 240",
                                    "setmaxnreg.dec.sync.aligned.u32 24", "m64n128k16.f32.bf16"});
    EXPECT_TRUE(artifact->facts.warnings.empty()) << artifact->facts.warnings[0];
    EXPECT_EQ(artifact->facts.spilled_bytes, 0);
    EXPECT_EQ(artifact->facts.registers, 168);
    EXPECT_EQ(artifact->facts.resident_blocks, 1);
  }
}

/// 128 x 256 x 64 by a warp that copies, for clusters of two blocks that share B, or A.
std::string cluster_gemm(const char* dims) {
  const std::string text =
      replaced(hopper_gemm("bfloat16", 512, 512, 512, false, "128x256x64", 256, true),
               "{\"tma\": 1}", "{\"tma\": 2}");
  return replaced(text, "threads=256)", std::string("threads=256, cluster_dims=") + dims + ")");
}

TEST(Cuda, clusters_share_copies_and_barriers) {
  const auto source = source_of(cluster_gemm("(1, 2)"), "cuda:sm_90a");
  ASSERT_TRUE(source.has_value()) << source.error().message;
  EXPECT_EQ(source->kernels.at(0).cluster, (std::vector<int64_t>{1, 2, 1}));
  expect_found(source->text, {"tma_load_multicast_2d(", "mapa.shared::cluster.u32",
                              "cluster_sync();", "fence_mbarrier_init();",
                              "mbarrier_arrive_cluster(&empty[", "mbarrier_init(&empty[0], 16);"});
  // A slice of B's 64 rows; A is each block's own.
  const auto& maps = source->kernels.at(0).tensor_maps;
  ASSERT_EQ(maps.size(), 2U);
  EXPECT_EQ(maps[0].box, (std::vector<int64_t>{64, 128}));
  EXPECT_EQ(maps[1].box, (std::vector<int64_t>{64, 32}));
  // Alone it has none of that.
  const auto alone =
      source_of(replaced(cluster_gemm("(1, 2)"), ", cluster_dims=(1, 2)", ""), "cuda:sm_90a");
  ASSERT_TRUE(alone.has_value()) << alone.error().message;
  EXPECT_TRUE(alone->kernels.at(0).cluster.empty());
  EXPECT_EQ(alone->text.find("cluster_"), std::string::npos) << alone->text;
}

TEST(Cuda, code_of_clusters_compiles_as_well_as_that_of_single_blocks) {
  SKIP_WITHOUT_NVRTC();
  std::vector<uint64_t> hashes;
  for (const char* dims : {"(2, 1)", "(1, 2)", "(2, 2)"}) {
    auto artifact = compiled(cluster_gemm(dims), "cuda:sm_90a");
    ASSERT_TRUE(artifact.has_value()) << artifact.error().message;
    expect_found(artifact->object,
                 {"cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
                  ".multicast::cluster",
                  "barrier.cluster.arrive.release", "mapa.shared::cluster.u32"});
    EXPECT_TRUE(artifact->facts.warnings.empty()) << artifact->facts.warnings[0];
    EXPECT_EQ(artifact->facts.spilled_bytes, 0);
    EXPECT_EQ(artifact->facts.registers, 168);
    hashes.push_back(artifact->code_hash);
    // The plan comes back as it was kept.
    const auto again = artifact_from_json(artifact_to_json(*artifact));
    ASSERT_TRUE(again.has_value()) << again.error().message;
    EXPECT_EQ(again->launch, artifact->launch);
  }
  EXPECT_NE(hashes[0], hashes[1]);
}

TEST(Cuda, rows_are_loaded_and_stored_in_vectors) {
  SKIP_WITHOUT_NVRTC();
  auto artifact = compiled(kSoftmax, "cuda:sm_90a");
  ASSERT_TRUE(artifact.has_value()) << artifact.error().message;
  expect_found(artifact->object, {"ld.global.nc.v4", "st.global.v4.u16", "shfl.sync.bfly"});
  EXPECT_EQ(artifact->facts.shared_bytes, 0) << "rows are folded in registers";
}

// Of sixteen bits in memory and thirty-two in registers.
TEST(Cuda, loops_over_rows_move_16_bytes_at_a_time) {
  auto source = source_of(R"(
@T.prim_func
def main(X: T.Tensor((64, 2048), "bfloat16"), W: T.Tensor((2048,), "bfloat16"), Y: T.Tensor((64, 2048), "bfloat16")):
    with T.Kernel(64, threads=128) as bx:
        rows = T.alloc_fragment((1, 2048), "float32")
        total = T.alloc_fragment((1,), "float32")
        for i, j in T.Parallel(1, 2048):
            rows[i, j] = T.cast(X[bx + i, j], "float32")
        T.reduce_sum(rows, total, dim=1)
        for i, j in T.Parallel(1, 2048):
            Y[bx + i, j] = T.cast(rows[i, j] * total[i] * T.cast(W[j], "float32"), "bfloat16")
)",
                          "cuda:sm_90a");
  ASSERT_TRUE(source.has_value()) << source.error().message;
  expect_found(source->text,
               {"copy_vector<16>(&X_vector[0], &X[", "copy_vector<16>(&W_vector[0], &W[",
                "copy_vector<16>(&Y[", "&Y_result[0]);"});
  SKIP_WITHOUT_NVRTC();
  const auto code = nvrtc->compile(source->text, "sm_90a");
  ASSERT_TRUE(code) << code.error().message;
  const auto count = [&](const std::string& text) {
    int found = 0;
    for (size_t at = code->ptx.find(text); at != std::string::npos;
         at = code->ptx.find(text, at + 1))
      ++found;
    return found;
  };
  // 2048 elements by 128 threads: two vectors of eight of X, W and Y.
  EXPECT_EQ(count("ld.global"), 4) << code->ptx;
  EXPECT_EQ(count("st.global"), 2) << code->ptx;
  EXPECT_EQ(count("ld.global.nc.v4"), 4) << code->ptx;
  EXPECT_EQ(count("st.global.v4"), 2) << code->ptx;
}

TEST(Cuda, tiles_are_stored_by_the_copy_engine) {
  SKIP_WITHOUT_NVRTC();
  std::string text = hopper_gemm("bfloat16", 512, 512, 512, false, "128x128x64", 256, true);
  text = replaced(text, "C: T.Tensor((512, 512), \"float32\")",
                  "C: T.Tensor((512, 512), \"bfloat16\")");
  text =
      replaced(text, "        C_local = ",
               "        C_shared = T.alloc_shared((128, 128), \"bfloat16\")\n        C_local = ");
  text = replaced(text, "T.copy(C_local, C[by * 128, bx * 128])",
                  "T.copy(C_local, C_shared)\n        T.copy(C_shared, C[by * 128, bx * 128], "
                  "annotations={\"variant\": \"tma_store\"})");
  auto artifact = compiled(text, "cuda:sm_90a");
  ASSERT_TRUE(artifact.has_value()) << artifact.error().message;
  expect_found(artifact->object, {"stmatrix.sync.aligned.m8n8.x4.shared.b16", "fence.proxy.async",
                                  "cp.async.bulk.tensor.2d.global.shared::cta.bulk_group",
                                  "cp.async.bulk.commit_group", "cp.async.bulk.wait_group.read 0"});
  EXPECT_TRUE(artifact->facts.warnings.empty()) << artifact->facts.warnings[0];
  EXPECT_EQ(artifact->facts.spilled_bytes, 0);
  const auto& maps = artifact->launch.kernels[0].tensor_maps;
  ASSERT_EQ(maps.size(), 3u);
  EXPECT_EQ(maps[2].argument, 2);
  EXPECT_EQ(maps[2].box, (std::vector<int64_t>{64, 128}));
  EXPECT_EQ(maps[2].swizzle_bytes, 128);
}

TEST(Cuda, bounds_of_an_entry_are_read_from_ptx) {
  const std::string ptx = ".visible .entry k(\n\t.param .u32 k_param_0\n)\n.maxntid 256\n"
                          ".minnctapersm 1\n{\n}\n.visible .entry l()\n.maxntid 16, 8, 1\n{\n}\n"
                          ".visible .entry m()\n{\n.maxntid 2\n}\n";
  EXPECT_EQ(ptx_max_threads(ptx, "k"), 256);
  EXPECT_EQ(ptx_max_threads(ptx, "l"), 128);
  EXPECT_EQ(ptx_max_threads(ptx, "m"), std::nullopt);
  EXPECT_EQ(ptx_max_threads(ptx, "n"), std::nullopt);
}

TEST(Cuda, instructions_of_ptx_are_counted_by_kind) {
  const auto counts = ptx_operations("{\n\tcp.async.cg.shared.global [%r1], [%rd1], 16, %r2;\n"
                                     "@%p1 bra L;\n@%p2 ld.global.f32 %f1, [%rd2];\n"
                                     "{ .reg .b64 state; mbarrier.arrive.shared::cta.b64 state, "
                                     "[%r3]; }\n\tcp.async.bulk.tensor.2d.shared [%r1];\n"
                                     "\tfma.rn.f32 %f1, %f2, %f3, %f4;\n}");
  const std::map<std::string, int64_t> by_kind(counts.begin(), counts.end());
  EXPECT_EQ(by_kind, (std::map<std::string, int64_t>{{"cp.async", 1},
                                                     {"cp.async.bulk.tensor", 1},
                                                     {"ld.global", 1},
                                                     {"mbarrier", 1},
                                                     {"fma", 1}}));
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
