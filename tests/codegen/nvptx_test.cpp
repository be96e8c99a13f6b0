// PTX by LLVM's own back end: the text, and beside what NVRTC makes of the same program.
#include "codegen/cuda/assemble.h"
#include "codegen/cuda/compile.h"
#include "codegen/cuda/cubin.h"
#include "codegen/gpu/backends.h"
#include "codegen/llvm/nvptx.h"
#include "codegen/lower_gpu.h"

#include "tests/tir/emulated_programs.h"

namespace temper::codegen {
namespace {

using ir::PrimFunc;
using tir::expect_found;
using tir::parsed;

const std::string kSoftmax = R"(
@T.prim_func
def softmax(A: T.Tensor((100, 96), "float16"), B: T.Tensor((100, 96), "bfloat16")):
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

const std::string kGemm = R"(
@T.prim_func
def gemm(A: T.Tensor((100, 96), "float32"), B: T.Tensor((96, 64), "float32"), C: T.Tensor((100, 64), "float32")):
    with T.Kernel(T.ceildiv(64, 32), T.ceildiv(100, 32), threads=128) as (bx, by):
        A_shared = T.alloc_shared((32, 32), "float32")
        B_shared = T.alloc_shared((32, 32), "float32")
        C_local = T.alloc_fragment((32, 32), "float32")
        T.clear(C_local)
        for k in T.Pipelined(3, num_stages=2):
            T.copy(A[by * 32, k * 32], A_shared)
            T.copy(B[k * 32, bx * 32], B_shared)
            T.gemm(A_shared, B_shared, C_local, annotations={"variant": "threads"})
        T.copy(C_local, C[by * 32, bx * 32])
)";

const std::string kControl = R"(
@T.prim_func
def control(A: T.Buffer((64,), "int32"), B: T.Buffer((64,), "float32"), n: T.int32):
    for bx in T.thread_binding(2, thread="blockIdx.x"):
        S = T.alloc_shared((32,), "int32")
        for tx in T.thread_binding(32, thread="threadIdx.x"):
            x: T.int32 = A[bx * 32 + tx] // (n - 3)
            for i in range(n):
                if i == 5:
                    continue
                if i > 40 or x < -7:
                    break
                x = T.bitwise_xor(x, i) + T.min(i, n % 5)
            while x > 100 and n > 2:
                x = x - 17
            S[tx] = x
            T.sync_threads()
            T.atomic_max(A[0], S[31 - tx])
            T.prefetch(B[bx * 32 + tx + 64])
            B[bx * 32 + tx] = T.shfl_xor_sync(T.Cast("float32", x), 16) + T.tanh(B[tx]) * T.sqrt(B[tx])
)";

Result<ir::IRModule> lowered(const std::string& text, const ir::Target& target) {
  const PrimFunc function = parsed(text);
  if (!function)
    return Error(ErrorCode::kInvalidArgument, "did not parse");
  return lower_for_gpu(ir::make_module(function), target);
}

ir::Target target_of(const char* text) { return *ir::parse_target(text); }

Result<std::string> ptx_of(const std::string& text, const char* target = "cuda:sm_80,nvptx") {
  TEMPER_TRY(module, lowered(text, target_of(target)));
  TEMPER_TRY(made, emit_nvptx(module->functions[0].function.as_ref<ir::PrimFuncNode>(),
                              target_of(target).arch));
  return made.ptx;
}

TEST(Nvptx, programs_of_threads_become_ptx) {
  const auto softmax = ptx_of(kSoftmax);
  ASSERT_TRUE(softmax) << softmax.error().message;
  expect_found(*softmax, {".visible .entry softmax_kernel(", ".target sm_80", ".maxntid 128",
                          "%ctaid.x", "%tid.x", "shfl.sync.bfly.b32", "ex2.approx.f32",
                          "ld.global.nc", "st.global", "cvt.rn.bf16.f32"});
  EXPECT_EQ(softmax->find(".local"), std::string::npos) << "registers must not be memory";
  const auto gemm = ptx_of(kGemm);
  ASSERT_TRUE(gemm) << gemm.error().message;
  expect_found(*gemm, {".extern .shared .align 1024 .b8 shared_memory[]", "cp.async.",
                       "cp.async.commit_group", "bar.sync", "fma.rn.f32", "ld.shared"});
  EXPECT_EQ(gemm->find(".local"), std::string::npos);
  const auto control = ptx_of(kControl);
  ASSERT_TRUE(control) << control.error().message;
  expect_found(*control, {"global.max.s32", "shfl.sync.bfly.b32", "sqrt.rn.f32", "prefetch.L1"});
}

TEST(Nvptx, what_it_has_no_form_for_is_refused_by_its_line) {
  const auto refusal = [](const std::string& text, const char* target = "cuda:sm_80,nvptx") {
    const auto ptx = ptx_of(text, target);
    return ptx ? "accepted" : ptx.error().message;
  };
  const std::string product = R"(
@T.prim_func
def gemm(A: T.Tensor((64, 64), "float16"), B: T.Tensor((64, 64), "float16"), C: T.Tensor((64, 64), "float32")):
    with T.Kernel(1, threads=128) as bx:
        A_shared = T.alloc_shared((64, 64), "float16")
        B_shared = T.alloc_shared((64, 64), "float16")
        C_local = T.alloc_fragment((64, 64), "float32")
        T.copy(A, A_shared)
        T.copy(B, B_shared)
        T.gemm(A_shared, B_shared, C_local, clear_accum=True)
        T.copy(C_local, C)
)";
  expect_found(refusal(product),
               {"line 10: T.ptx_", "has no form in LLVM's back end", "NVRTC compiles it"});
  expect_found(refusal(kSoftmax, "cuda:sm_100a,nvptx"), {"does not know sm_100a"});
  expect_found(refusal(tir::replaced(kSoftmax, "T.exp(x[i, j] - top[i])", "T.erf(x[i, j])")),
               {"line 11: T.erf of float32 has no form"});
}

TEST(Nvptx, the_choice_of_back_end_is_part_of_the_target) {
  const ir::Target target = target_of("cuda:sm_90a,nvptx");
  EXPECT_EQ(target.to_string(), "cuda:sm_90a,nvptx");
  EXPECT_EQ(*gpu_backend(target), GpuBackend::kNvptx);
  EXPECT_EQ(*gpu_backend(target_of("cuda:sm_90a")), GpuBackend::kNvrtc);
  EXPECT_EQ(with_backend(target, "nvrtc")->to_string(), "cuda:sm_90a");
  const auto unknown = with_backend(target, "gcc");
  ASSERT_FALSE(unknown);
  expect_found(unknown.error().message, {"'gcc'", "NVRTC, as cuda:sm_90a"});
  EXPECT_NE(*gpu_compiler_version(target), "");
}

/// Both compilers on the same program: one launch plan, the same kinds of work.
TEST(Nvptx, agrees_with_nvrtc_on_plan_and_facts) {
  if (auto nvrtc = Nvrtc::load(); !nvrtc)
    GTEST_SKIP() << nvrtc.error().message;
  for (const std::string& text : {kSoftmax, kGemm, kControl})
    for (const char* arch : {"cuda:sm_80", "cuda:sm_90a"}) {
      SCOPED_TRACE(std::string(arch) + text);
      const ir::Target plain = target_of(arch);
      const ir::Target other = *with_backend(plain, "nvptx");
      auto module = lowered(text, plain);
      ASSERT_TRUE(module) << module.error().message;
      const auto a = compile_gpu(*module, plain);
      const auto b = compile_gpu(*module, other);
      ASSERT_TRUE(a) << a.error().message;
      ASSERT_TRUE(b) << b.error().message;
      EXPECT_EQ(a->launch, b->launch);
      EXPECT_EQ(b->target, other.to_string());
      EXPECT_NE(a->code_hash, b->code_hash);
      for (const char* kind : {"bar.sync", "shfl", "cp.async", "ld.shared", "atomic"})
        EXPECT_EQ(a->facts.operations.contains(kind), b->facts.operations.contains(kind)) << kind;
      if (b->facts.registers == 0)
        continue; // no assembler
      EXPECT_TRUE(b->code.starts_with("\x7f"
                                      "ELF"));
      EXPECT_EQ(a->facts.shared_bytes, b->facts.shared_bytes);
      EXPECT_EQ(b->facts.spilled_bytes, 0);
      // As many registers, but for what schedules differ in.
      EXPECT_LT(b->facts.registers, 2 * a->facts.registers + 16);
    }
}

TEST(Nvptx, an_assembler_refuses_what_is_no_ptx) {
  const auto made = assemble_ptx("this is no PTX\n", "sm_80");
  ASSERT_FALSE(made);
  if (made.error().code == ErrorCode::kEnvironment)
    GTEST_SKIP() << made.error().message;
  EXPECT_EQ(made.error().message.find('\n'), std::string::npos);
}

} // namespace
} // namespace temper::codegen
