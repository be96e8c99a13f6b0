// HIP C++ for AMD's GPUs: the text, products by MFMA as a processor computes them, and what clang
// 19 makes of it where it is there.
#include "codegen/gpu/backends.h"
#include "codegen/hip/clang.h"
#include "codegen/hip/compile.h"
#include "codegen/hip/print.h"

#include "codegen/lower.h"
#include "codegen/lower_gpu.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/tir/emulator/thread_loops.h"
#include "ir/tir/mfma.h"
#include "tests/codegen/build.h"
#include "tests/tir/emulated_programs.h"

#include <fmt/format.h>

namespace temper::codegen::testing {
namespace {

using tir::expect_found;
using tir::Halves;
using tir::numbers;
using tir::parsed;
using tir::replaced;

const ir::Target& gfx942() {
  static const ir::Target target = *ir::parse_target("hip:gfx942");
  return target;
}

/// 64 x 48 of C by K = 32; `b` is B's shape.
std::string product(const std::string& type, const std::string& sums, bool transposed,
                    const std::string& options = "", int threads = 128) {
  return fmt::format(R"(
@T.prim_func
def main(A: T.Tensor((64, 64), "{0}"), B: T.Tensor({2}, "{0}"), C: T.Tensor((64, 64), "{1}")):
    with T.Kernel(1, threads={6}) as bx:
        A_shared = T.alloc_shared((64, 32), "{0}")
        B_shared = T.alloc_shared({3}, "{0}")
        C_local = T.alloc_fragment((64, 64), "{1}")
        T.clear(C_local)
        for k in T.Pipelined(2, num_stages=2):
            T.copy(A[0, k * 32], A_shared)
            T.copy(B[{4}], B_shared)
            T.gemm(A_shared, B_shared, C_local{5})
        T.copy(C_local, C)
)",
                     type, sums, transposed ? "(64, 64)" : "(64, 64)",
                     transposed ? "(64, 32)" : "(32, 64)", transposed ? "0, k * 32" : "k * 32, 0",
                     (transposed ? ", transpose_B=True" : "") + options, threads);
}

Result<ir::IRModule> lowered(const std::string& text) {
  const PrimFunc function = parsed(text);
  if (!function)
    return Error(ErrorCode::kInvalidArgument, "did not parse");
  return lower_for_gpu(make_module(function), gfx942());
}

Result<CudaSource> source_of(const std::string& text) {
  TEMPER_TRY(module, lowered(text));
  return gpu_source(module, gfx942());
}

TEST(Hip, targets_are_written_by_their_architecture) {
  EXPECT_EQ(gfx942().to_string(), "hip:gfx942");
  EXPECT_EQ(*ir::parse_target(gfx942().to_string()), gfx942());
  for (const auto& [text, words] :
       {std::pair("cuda:gfx942", "names an architecture of AMD's as NVIDIA's"),
        std::pair("hip:sm_90a", "names an architecture that is not AMD's"),
        std::pair("hip:", "names no architecture")}) {
    const auto target = ir::parse_target(text);
    ASSERT_FALSE(target) << text;
    EXPECT_NE(target.error().message.find(words), std::string::npos) << target.error().message;
  }
  const auto unknown = gpu_limits(*ir::parse_target("hip:gfx1"));
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("hip:gfx942"), std::string::npos);
  const auto backend = gpu_backend(*ir::parse_target("hip:gfx942,nvptx"));
  ASSERT_FALSE(backend);
  EXPECT_NE(backend.error().message.find("AMD's GPUs have clang's alone"), std::string::npos);
}

TEST(Hip, a_product_is_printed_with_matrix_instructions_and_no_header) {
  const auto source = source_of(product("float16", "float32", true));
  ASSERT_TRUE(source) << source.error().message;
  expect_found(source->text,
               {"#define __launch_bounds__(threads) __attribute__((amdgpu_flat_work_group_size",
                "extern \"C\" __global__ void __launch_bounds__(128) main_kernel(const half_t* "
                "__restrict__ A, ",
                "const int tx = __builtin_amdgcn_workitem_id_x();",
                "void mfma_f32_32x32x8_f16(void* c, const void* a, const void* b)",
                "__builtin_amdgcn_mfma_f32_32x32x8f16(", "mfma_f32_32x32x8_f16(&C_local[",
                "copy_vector<8>(&A_registers[", "__syncthreads();", "extern __shared__"});
  for (const char* foreign : {"#include", "asm", "cp_async", "ldmatrix", "threadIdx"})
    EXPECT_EQ(source->text.find(foreign), std::string::npos) << foreign;
  ASSERT_EQ(source->kernels.size(), 1u);
  EXPECT_EQ(source->kernels[0].block, (std::vector<int64_t>{128, 1, 1}));
  const auto narrow =
      source_of(product("bfloat16", "float32", true, ", annotations={\"mfma_rows\": 16}"));
  ASSERT_TRUE(narrow) << narrow.error().message;
  expect_found(narrow->text, {"__builtin_amdgcn_mfma_f32_16x16x16bf16_1k(", "bfloat_t"});
}

TEST(Hip, every_fragment_of_mfma_holds_each_element_once) {
  for (const int64_t m : {16, 32})
    for (const int bits : {16, 8}) {
      const auto shape = tir::mfma_shape(m, bits);
      ASSERT_TRUE(shape);
      for (const tir::Layout& layout :
           {tir::mfma_sums(*shape), tir::mfma_a(*shape), tir::mfma_b(*shape)}) {
        EXPECT_TRUE(tir::is_bijective(layout)) << m << " " << bits;
        EXPECT_EQ(layout.span(tir::kThreadAxis), 64);
      }
    }
  EXPECT_EQ(tir::mfma_shape(32, 16)->k, 8);
  EXPECT_EQ(tir::mfma_shape(16, 8)->k, 32);
  EXPECT_FALSE(tir::mfma_shape(64, 16));
  EXPECT_FALSE(tir::mfma_shape(16, 32));
}

/// The lowered program as loops of this processor.
void expect_product(const std::string& text, bool transposed) {
  SCOPED_TRACE(text);
  auto module = lowered(text);
  ASSERT_TRUE(module) << module.error().message;
  const auto flat = (*module)->functions[0].function.as_ref<PrimFuncNode>();
  ASSERT_NE(script::to_text(flat).find("amd_mfma"), std::string::npos);
  auto loops = tir::thread_loops(flat);
  ASSERT_TRUE(loops) << loops.error().message;
  LowerOptions options;
  options.serial = options.plain = true;
  auto plain = lower_for_cpu(make_module(*loops), options);
  ASSERT_TRUE(plain) << plain.error().message;
  const Artifact artifact = must_compile((*plain)->functions[0].function.as_ref<PrimFuncNode>());
  Halves a(64 * 64, 1), b(64 * 64, 2);
  std::vector<float> c(64 * 64, -1);
  ASSERT_EQ(Loaded(artifact)(a.bits.data(), b.bits.data(), c.data()), 0);
  for (size_t i = 0; i < 64; ++i)
    for (size_t j = 0; j < 64; ++j) {
      float sum = 0;
      for (size_t k = 0; k < 64; ++k)
        sum += a.values[i * 64 + k] * b.values[transposed ? j * 64 + k : k * 64 + j];
      ASSERT_EQ(c[i * 64 + j], sum) << i << ", " << j;
    }
}

TEST(Hip, products_by_waves_of_64_are_what_they_should_be) {
  for (const bool transposed : {false, true})
    for (const char* options :
         {"", ", annotations={\"mfma_rows\": 16}",
          ", annotations={\"mfma_rows\": 16, \"warp_rows\": 1, \"swizzle_A\": 0}"})
      for (const int threads : {64, 256})
        expect_product(product("float16", "float32", transposed, options, threads), transposed);
}

TEST(Hip, other_products_go_element_by_element) {
  for (const auto& [type, sums] : {std::pair("float32", "float32"), std::pair("float16", "float16"),
                                   std::pair("uint8", "int32")}) {
    const auto source = source_of(product(type, sums, false));
    ASSERT_TRUE(source) << type << ": " << source.error().message;
    EXPECT_EQ(source->text.find("mfma"), std::string::npos) << type;
  }
}

TEST(Hip, what_is_of_cuda_is_refused_by_its_line) {
  const auto refusal = [](const std::string& statement) {
    const auto source = source_of("\n@T.prim_func\ndef main(B: T.Buffer((64,), \"float32\")):\n"
                                  "    with T.Kernel(1, threads=64) as bx:\n"
                                  "        tx = T.get_thread_binding(0)\n        " +
                                  statement + "\n");
    return source ? "accepted" : source.error().message;
  };
  expect_found(refusal("T.inline_ptx(\"nanosleep.u32 $0;\", 20)"),
               {"line 6: T.inline_ptx is of CUDA; it has no HIP form"});
  expect_found(refusal("B[tx] = T.erf(B[tx])"), {"line 6: T.erf of float32 has no HIP form"});
  expect_found(refusal("T.source_kernel(\"k\", writes=B, source=\"x\")"),
               {"k is CUDA C++ of its own, which NVRTC compiles and clang does not"});
}

TEST(Hip, metadata_of_the_assembly_is_read) {
  const auto kernels = read_amd_metadata(
      "\tv_add\n\t.amdgpu_metadata\n---\namdhsa.kernels:\n  - .agpr_count:     16\n    .args:\n"
      "      - .name:           k\n        .offset:         0\n"
      "    .group_segment_fixed_size: 512\n    .name:           first\n"
      "    .private_segment_fixed_size: 24\n    .sgpr_count:     14\n    .sgpr_spill_count: 1\n"
      "    .vgpr_count:     32\n    .vgpr_spill_count: 6\n  - .agpr_count: 0\n    .name: second\n"
      "    .vgpr_count: 8\namdhsa.target:   amdgcn-amd-amdhsa--gfx942\n  - .name: none\n");
  ASSERT_EQ(kernels.size(), 2u);
  EXPECT_EQ(kernels[0], (AmdKernel{"first", 32, 14, 6, 1, 512, 24}));
  EXPECT_EQ(kernels[1].name, "second");
  EXPECT_TRUE(read_amd_metadata("nothing").empty());
  const auto counts =
      amd_operations("main:\n\tv_mfma_f32_32x32x8_f16 a[0:15], v[0:1], v[2:3], 0\n"
                     "\tds_read_b64 v[0:1], v2\n\t.p2align 8\n\ts_barrier\n; v_fma\n");
  EXPECT_EQ(counts, (std::map<std::string, int64_t>{
                        {"all", 3}, {"ds_read", 1}, {"mfma", 1}, {"s_barrier", 1}}));
}

TEST(Hip, occupancy_is_of_a_compute_unit) {
  EXPECT_EQ(amd_occupancy(256, 64, 0).blocks, 8);
  EXPECT_EQ(amd_occupancy(256, 65, 0).blocks, 7); // 72 registers: 7 waves on a SIMD
  EXPECT_EQ(amd_occupancy(256, 65, 0).limit, "registers");
  EXPECT_EQ(amd_occupancy(256, 32, 40 * 1024).blocks, 1);
  EXPECT_EQ(amd_occupancy(256, 32, 40 * 1024).limit, "shared memory");
  EXPECT_EQ(amd_occupancy(1024, 512, 0).blocks, 0);
}

#define SKIP_WITHOUT_CLANG()                                                                       \
  if (const auto version = clang_version(); !version)                                              \
  GTEST_SKIP() << version.error().message

TEST(Hip, clang_compiles_products_and_says_what_they_take) {
  SKIP_WITHOUT_CLANG();
  for (const auto& [type, sums] : {std::pair("float16", "float32"),
                                   std::pair("bfloat16", "float32"), std::pair("int8", "int32")})
    for (const int rows : {16, 32}) {
      SCOPED_TRACE(fmt::format("{} {}", type, rows));
      auto module = lowered(
          product(type, sums, true, fmt::format(", annotations={{\"mfma_rows\": {}}}", rows)));
      ASSERT_TRUE(module) << module.error().message;
      const auto artifact = compile_gpu(*module, gfx942());
      ASSERT_TRUE(artifact) << artifact.error().message;
      EXPECT_TRUE(artifact->code.starts_with("\x7f"
                                             "ELF"));
      EXPECT_EQ(artifact->target, "hip:gfx942");
      EXPECT_GT(artifact->facts.registers, 16);
      EXPECT_EQ(artifact->facts.spilled_bytes, 0);
      EXPECT_EQ(artifact->facts.shared_bytes, artifact->launch.kernels[0].shared_bytes);
      EXPECT_GT(artifact->facts.operations.at("mfma"), 0);
      EXPECT_GT(artifact->facts.resident_blocks, 0);
      const auto again = compile_gpu(*module, gfx942());
      ASSERT_TRUE(again);
      EXPECT_EQ(again->code_hash, artifact->code_hash);
    }
}

TEST(Hip, clang_compiles_shuffles_atomics_and_functions) {
  SKIP_WITHOUT_CLANG();
  auto module = lowered(R"(
@T.prim_func
def main(A: T.Tensor((64, 64), "float16"), B: T.Tensor((64,), "float32"), N: T.Tensor((1,), "int32")):
    with T.Kernel(2, threads=128) as bx:
        x = T.alloc_fragment((32, 64), "float32")
        total = T.alloc_fragment((32,), "float32")
        T.copy(A[bx * 32, 0], x)
        for i, j in T.Parallel(32, 64):
            x[i, j] = T.exp(x[i, j]) + T.tanh(x[i, j]) + T.rsqrt(x[i, j]) + T.exp2(x[i, j])
        T.reduce_sum(x, total, dim=1)
        T.copy(total, B[bx * 32])
        if T.get_thread_binding(0) == 0:
            T.atomic_add(N[0], T.min(bx, 3))
)");
  ASSERT_TRUE(module) << module.error().message;
  const auto artifact = compile_gpu(*module, gfx942());
  ASSERT_TRUE(artifact) << artifact.error().message;
  EXPECT_GT(artifact->facts.operations.at("shuffle"), 0);
  EXPECT_GT(artifact->facts.operations.at("atomic"), 0);
}

TEST(Hip, errors_of_clang_are_one_line_without_its_folder) {
  SKIP_WITHOUT_CLANG();
  const auto code = compile_hip_source("this is no C++\n", "gfx942");
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().code, ErrorCode::kFailed);
  expect_found(code.error().message, {"clang", "kernel.hip:1:1: error:"});
  EXPECT_EQ(code.error().message.find("/tmp"), std::string::npos) << code.error().message;
  EXPECT_EQ(code.error().message.find('\n'), std::string::npos);
}

} // namespace
} // namespace temper::codegen::testing
