// A .cu file as a workload: what it says of its kernel, and one sentence for each mistake.
#include "ir/script/cuda_file.h"

#include "ir/pass/lowering.h"
#include "ir/script/knobs.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/script/workload_file.h"
#include "ir/structural.h"
#include "ir/tir/source_kernel.h"
#include "ir/tir/source_parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace temper::script {
namespace {

using namespace temper::ir; // NOLINT
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kSaxpy = R"cu(// y = a x + y
/* temper
from tvm import te

def saxpy(N, a=2, block=T.tune([64, 128, 256])):
    """y = a x + y"""
    T.constraint(N % block == 0)

    @T.prim_func
    def main(x: T.Tensor((N,), "float32"), y: T.Tensor((N,), "float32")):
        with T.Kernel(N // block, threads=block):
            T.source_kernel("saxpy", writes=y, shared=4 * block, define=dict(BLOCK=block, FACTOR=a))

    return main

def saxpy_reference(N, a=2):
    @T.prim_func
    def main(x: T.Buffer((N,), "float32"), y: T.Buffer((N,), "float32")):
        for i in range(N):
            y[i] = T.float32(a) * x[i] + y[i]
    return main

saxpy_workload = dict(shapes=[dict(N=1024)], flops="2*N", bytes="12*N", inputs={"y": "normal"})
*/
#define TEXT "\\ and \"quotes\""
extern "C" __global__ void saxpy(const float* x, float* y) {
  const int i = blockIdx.x * BLOCK + threadIdx.x;
  y[i] = FACTOR * x[i] + y[i];
}
)cu";

Result<Workload> workload_of(const std::string& text) {
  TEMPER_TRY(file, WorkloadFile::parse(text, "folder/saxpy.cu"));
  return file.instantiate("", {});
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

std::string error_of(const std::string& what, const std::string& with) {
  const auto workload = workload_of(replaced(kSaxpy, what, with));
  return workload ? "" : workload.error().to_string();
}

PrimFunc function_of(const IRModule& module) {
  return module->functions.front().function.as_ref<PrimFuncNode>();
}

TEST(CudaFile, SaysWhatItsKernelTakesAndHowItIsStarted) {
  const auto file = WorkloadFile::parse(kSaxpy, "saxpy.cu");
  ASSERT_TRUE(file) << file.error().to_string();
  ASSERT_EQ(file->workloads().size(), 1U);
  EXPECT_EQ(file->workloads()[0].layer, kCudaLayer);
  EXPECT_EQ(file->workloads()[0].description, "y = a x + y");
  const auto workload = workload_of(kSaxpy);
  ASSERT_TRUE(workload) << workload.error().to_string();
  EXPECT_EQ(workload->flops, 2048);
  EXPECT_TRUE(workload->reference);
  const PrimFunc function = function_of(workload->module);
  EXPECT_EQ(written_parameters(function), (std::vector<bool>{false, true}));
  const auto kernel = tir::source_kernel_in(function->body);
  ASSERT_TRUE(kernel);
  EXPECT_EQ(kernel->name, "saxpy");
  EXPECT_EQ(kernel->shared_bytes, 256);
  const auto text = function->attrs.get_string(tir::kSourceText);
  ASSERT_TRUE(text);
  // Macros, then the file's lines under their own numbers.
  EXPECT_TRUE(text->starts_with("#define BLOCK 64\n#define FACTOR 2\n#line 1 \"saxpy.cu\"\n"
                                "// y = a x + y\n"))
      << *text;
  EXPECT_THAT(*text,
              HasSubstr("#line 24 \"saxpy.cu\"\n\n#define TEXT \"\\\\ and \\\"quotes\\\"\"\n"));
}

TEST(CudaFile, IsReadBackAsItIsPrintedAndChoosesItsKnobsWithoutTheFile) {
  const auto workload = workload_of(kSaxpy);
  ASSERT_TRUE(workload) << workload.error().to_string();
  const auto again = parse_module(to_text(workload->module), "stored");
  ASSERT_TRUE(again) << again.error().to_string();
  std::string difference;
  EXPECT_TRUE(structural_equal(workload->module, *again, &difference)) << difference;
  const auto program = KnobProgram::of(*again);
  ASSERT_TRUE(program) << program.error().to_string();
  ASSERT_EQ(program->knobs().size(), 1U);
  const std::vector<size_t> choice{2};
  const auto chosen = program->instantiate(choice);
  ASSERT_TRUE(chosen) << chosen.error().to_string();
  EXPECT_TRUE(
      function_of(*chosen)->attrs.get_string(tir::kSourceText)->starts_with("#define BLOCK 256\n"));
}

TEST(CudaFile, WhatItLacksIsSaid) {
  const auto of = [](const std::string& text) {
    const auto file = WorkloadFile::parse(text, "k.cu");
    return file ? std::string() : file.error().to_string();
  };
  EXPECT_THAT(of("__global__ void k() {}\n"), HasSubstr("does not say what is to be tuned"));
  EXPECT_THAT(of("\n/* temper\ndef f(N):\n"), AllOf(HasSubstr("line 2"), HasSubstr("no end")));
  EXPECT_THAT(of("/* temper def f(N): */ x"), HasSubstr("begins on the line after"));
  EXPECT_THAT(of("/* temper\ndef f(N):\n    return N\n*/\n\n"), HasSubstr("no CUDA C++ behind"));
}

TEST(CudaFile, MistakesInTheCallAreNamedWithTheFilesLine) {
  EXPECT_THAT(error_of("writes=y", "writes=3"),
              AllOf(HasSubstr("writes= names the arguments"), HasSubstr("saxpy.cu:12")));
  EXPECT_THAT(error_of("writes=y", "writes=[]"), HasSubstr("writes nothing has no result"));
  EXPECT_THAT(error_of("\"saxpy\", writes", "\"sax py\", writes"),
              HasSubstr("'sax py' is no name of a kernel"));
  EXPECT_THAT(error_of(", threads=block", ""), HasSubstr("says how many threads a block has"));
  EXPECT_THAT(error_of("shared=4 * block", "shared=-1"), HasSubstr("0 or more bytes"));
  EXPECT_THAT(error_of("define=dict(BLOCK=block, FACTOR=a)", "define=block"),
              HasSubstr("define= is a dict of macros"));
  EXPECT_THAT(error_of("FACTOR=a)", "FACTOR=[a])"), HasSubstr("the macro FACTOR is"));
  EXPECT_THAT(error_of("T.constraint(N % block == 0)", "T.constraint(N < block)"),
              HasSubstr("no choice of the knobs of saxpy is left"));
  const auto alone = parse_module("@T.prim_func\ndef f(y: T.Tensor((4,), \"float32\")):\n"
                                  "    with T.Kernel(1, threads=32):\n"
                                  "        T.source_kernel(\"f\", writes=y)\n",
                                  "f.py");
  ASSERT_FALSE(alone);
  EXPECT_THAT(alone.error().to_string(), HasSubstr("there is no CUDA source"));
}

TEST(SourceParameters, AreReadFromTheText) {
  const auto read = [](const std::string& text) {
    std::string words;
    const auto found = tir::source_parameters(text, "k");
    if (!found)
      return std::string("none");
    for (const tir::SourceParameter& one : found->parameters)
      words += (words.empty() ? "" : ", ") + one.type + (one.pointer ? "*" : "");
    return found->where + ": " + words;
  };
  EXPECT_EQ(read("extern \"C\" __global__ void k(const float* __restrict__ A, int n,\n"
                 "    unsigned char *B, const __half C[], std::uint8_t* D, float4* E) {}"),
            "line 1: float*, int, unsigned char*, __half*, uint8_t*, float4*");
  EXPECT_EQ(read("#define TYPE double\n#line 40 \"a.cu\"\n// k(int)\n/* k(\n) */\n"
                 "__global__ void __launch_bounds__(64, 1) k(TYPE* A /* in */) {}"),
            "a.cu(43): double*");
  EXPECT_EQ(read("__global__ void k(int* A);\n__global__ void k(int* A) {}"), "line 2: int*");
  EXPECT_EQ(read("#if X\n__global__ void k(int* A) {}\n#else\n__global__ void k(float* A) "
                 "{}\n#endif"),
            "none")
      << "which one, the preprocessor says";
  EXPECT_EQ(read("void k(int* A) {}"), "none");
  EXPECT_EQ(read("__global__ void k() {}"), "line 1: ");
  EXPECT_EQ(read("__global__ void k(void) {}"), "line 1: ");
  EXPECT_EQ(read("typedef unsigned int u32;\nusing real = float;\n"
                 "__global__ void k(u32* A, const real* B, real c) {}"),
            "line 3: unsigned int*, float*, float");
  EXPECT_EQ(read("#define BOTH int* A, int* B\n__global__ void k(BOTH) {}"), "none");
  EXPECT_EQ(read("__global__ void k(int* A\n#ifdef B\n, int* C\n#endif\n) {}"), "none");
}

TEST(SourceParameters, AreHeldAgainstWhatIsPassed) {
  const auto error_for = [](const std::string& dtype, const std::string& declared) {
    const auto module = parse_module(
        "@T.prim_func\ndef f(A: T.Tensor((4,), \"" + dtype +
            "\"), n: T.int32):\n    with T.Kernel(1, threads=32):\n        T.source_kernel(\"k\", "
            "writes=A, source=\"extern \\\"C\\\" __global__ void k(" +
            declared + ", int n) {}\")\n",
        "f.py");
    EXPECT_TRUE(module) << module.error().to_string();
    const auto fine = tir::check_source_parameters(function_of(*module));
    return fine ? std::string() : fine.error().message;
  };
  for (const auto& [dtype, declared] :
       {std::pair("float32", "float* A"), std::pair("float32", "const uint4* A"),
        std::pair("float16", "const __half* A"), std::pair("float16", "unsigned* A"),
        std::pair("float16", "unsigned short* A"), std::pair("bfloat16", "__nv_bfloat16* A"),
        std::pair("int8", "const int* A"), std::pair("int8", "int8_t* A"),
        std::pair("uint8", "unsigned char* A"), std::pair("int32", "unsigned* A"),
        std::pair("float32", "char* A"), std::pair("float64", "my_type* A"),
        std::pair("float32", "const float4* A"), std::pair("float16", "const int4* A"),
        std::pair("float16", "__half2* A"), std::pair("bfloat16", "__nv_bfloat162* A")})
    EXPECT_EQ(error_for(dtype, declared), "") << dtype << " " << declared;
  for (const auto& [dtype, declared] :
       {std::pair("float16", "const float* A"), std::pair("float32", "double* A"),
        std::pair("bfloat16", "__half* A"), std::pair("int32", "float* A"),
        std::pair("float32", "int* A"), std::pair("int32", "short* A"),
        std::pair("float32", "float A"), std::pair("int8", "const float4* A"),
        std::pair("float16", "float2* A"), std::pair("bfloat16", "half2* A")})
    EXPECT_THAT(error_for(dtype, declared), HasSubstr("parameter 1 of k is "))
        << dtype << " " << declared;
  EXPECT_EQ(error_for("float16", "const float* A"),
            "line 1: parameter 1 of k is float*, and the program passes A, an array of float16; "
            "declare it as __half* (of cuda_fp16.h), or as unsigned short* for its bits, or change "
            "the program");
  EXPECT_EQ(error_for("float16", "const float4* A"),
            "line 1: parameter 1 of k is float4*, and the program passes A, an array of float16; "
            "declare it as __half* (of cuda_fp16.h), or as unsigned short* for its bits, or as "
            "uint4* for 16 bytes of it, or change the program");
  EXPECT_EQ(error_for("float32", "float* A, float* B"),
            "line 1: k has 3 parameters, and the program passes 2 (A, n): a kernel takes the "
            "function's parameters in their order");
}

TEST(SourceParameters, AKernelThatTheTextDoesNotHaveIsNamedBesideThoseItHas) {
  const auto error_for = [](const std::string& source) {
    const auto module = parse_module(
        "@T.prim_func\ndef f(A: T.Tensor((4,), \"float32\")):\n    with T.Kernel(1, threads=32):\n"
        "        T.source_kernel(\"k\", writes=A, source=\"\"\"" +
            source + "\"\"\")\n",
        "f.py");
    EXPECT_TRUE(module) << module.error().to_string();
    const auto fine = tir::check_source_parameters(function_of(*module));
    return fine ? std::string() : fine.error().message;
  };
  EXPECT_EQ(error_for("extern \"C\" __global__ void __launch_bounds__(32) kernel(float* A) {}"),
            "the source has no kernel 'k', but kernel: T.source_kernel names the one to start, "
            "which is declared as extern \"C\" __global__ void k(...)");
  // The preprocessor may make it.
  EXPECT_EQ(error_for("#define NAME k\nextern \"C\" __global__ void NAME(float* A) {}"), "");
  EXPECT_EQ(error_for("#define MAKE(x) __global__ void x##_(float* A) {}\nMAKE(a)\n"
                      "__global__ void other(float* A) {}"),
            "");
  EXPECT_EQ(error_for("// from elsewhere"), "");
}

} // namespace
} // namespace temper::script
