// Tensorized programs as machine code: the instruction is there, its sums stay in registers, and
// where this machine has it, it computes what the interpreter says. The assembly is that of a named
// CPU, so that it is looked at on any machine.

#include "ir/s_tir/tensor_intrinsic.h"
#include "ir/script/parser.h"
#include "tests/codegen/build.h"
#include "tests/codegen/lowered.h"
#include "tests/support/run_program.h"
#include "tests/support/tensorized_product.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace temper::codegen {
namespace {

using s_tir::Schedule;
using ::testing::HasSubstr;
using testing::lowered_for;
using ::testing::Not;

struct Kind {
  const char* name;
  const char* a;
  const char* b;
  const char* c;
  int64_t group;
  const char* dot;
  const char* interleave;
  const char* mnemonic;
  const char* target;
};

ir::IRModule tensorized(const Kind& kind, int64_t m, int64_t n, int64_t k, int64_t rows) {
  Schedule sch(s_tir::typed_product(m, n, k, kind.a, kind.b, kind.c), 0);
  const auto tiled = s_tir::tiled_product(sch, kind.group, rows);
  const auto loops = sch.get_loops(tiled.init);
  EXPECT_TRUE(sch.vectorize(loops->back()));
  for (const auto& [loop, name] :
       {std::pair{tiled.tile, kind.dot}, std::pair{tiled.panel, kind.interleave}}) {
    const auto done = sch.tensorize(loop, name);
    EXPECT_TRUE(done) << (done ? "" : done.error().to_string());
  }
  return sch.module();
}

/// The machine code for `native` computes what the interpreter says, exactly.
void expect_as_interpreted(const ir::IRModule& module, const ir::Target& native) {
  const auto expected = s_tir::run_on_integers(module, 2, 3);
  ASSERT_EQ(expected.error, "");
  const auto lowered = lowered_for(module, native);
  ASSERT_TRUE(lowered) << lowered.error().to_string();
  const auto artifact = compile(*lowered, native);
  ASSERT_TRUE(artifact) << artifact.error().to_string();

  Random random(3);
  std::vector<s_tir::TypedArray> arrays;
  std::vector<void*> arguments;
  const auto& params = module->find_prim_func("main")->params;
  for (const ir::Param& param : params)
    arrays.emplace_back(param.buffer->dtype, *param.buffer->element_count());
  for (size_t i = 0; i < arrays.size(); ++i) {
    for (int64_t j = 0; j < *params[i].buffer->element_count(); ++j)
      arrays[i].set(j, i < 2 ? static_cast<float>(random.between(-4, 4)) : 77.0F);
    arguments.push_back(std::get<ir::ArrayView>(ir::InterpretArgument(arrays[i].view(true))).data);
  }
  testing::Loaded kernel(*artifact);
  EXPECT_EQ(kernel(arguments[0], arguments[1], arguments[2]), 0);
  EXPECT_EQ(arrays[2].values(), expected.outputs[0]);
}

class TensorIntrinsics : public ::testing::TestWithParam<Kind> {};

TEST_P(TensorIntrinsics, AreOneInstructionWithItsSumsInRegisters) {
  const Kind& kind = GetParam();
  const ir::Target target = *ir::parse_target(kind.target);
  const auto lowered = lowered_for(tensorized(kind, 48, 256, 256, 12), target);
  ASSERT_TRUE(lowered) << lowered.error().to_string();
  const auto assembly = emit_assembly_text(*lowered, target);
  ASSERT_TRUE(assembly) << assembly.error().to_string();
  // 12 rows of 2 vectors in the innermost loop (which LLVM may unroll), and nothing of it goes
  // through the stack.
  size_t count = 0;
  for (size_t at = assembly->find(kind.mnemonic); at != std::string::npos;
       at = assembly->find(kind.mnemonic, at + 1))
    ++count;
  EXPECT_GT(count, 0U);
  EXPECT_EQ(count % 24, 0U);
  EXPECT_THAT(*assembly, HasSubstr("zmm"));
  const auto artifact = compile(*lowered, target);
  ASSERT_TRUE(artifact) << artifact.error().to_string();
  EXPECT_EQ(artifact->facts.spills, 0);
  EXPECT_EQ(artifact->facts.vector_bits, 512);
}

TEST_P(TensorIntrinsics, ComputeWhatTheyDescribe) {
  const Kind& kind = GetParam();
  const ir::Target native = *resolve_target(*ir::parse_target("native"));
  const auto features = *required_features(native);
  const s_tir::TensorIntrinsic* entry = s_tir::find_tensor_intrinsic(kind.dot);
  ASSERT_NE(entry, nullptr);
  if (!entry->fits(features))
    GTEST_SKIP() << "this machine has no " << entry->features[0];
  const ir::IRModule module = tensorized(kind, 5, 64, 32, 3); // a tile that is cut off
  expect_as_interpreted(module, native);
}

TEST_P(TensorIntrinsics, AreRefusedByATargetWithoutThem) {
  const Kind& kind = GetParam();
  const auto lowered =
      lowered_for(tensorized(kind, 4, 64, 16, 2), *ir::parse_target("cpu:skylake-avx512"));
  ASSERT_FALSE(lowered);
  EXPECT_THAT(lowered.error().to_string(), HasSubstr("needs avx512"));
}

INSTANTIATE_TEST_SUITE_P(
    All, TensorIntrinsics,
    ::testing::Values(Kind{"bf16", "bfloat16", "bfloat16", "float32", 2, "dot_16x2_bf16_avx512bf16",
                           "interleave_2x16_bfloat16", "vdpbf16ps", "cpu:sapphirerapids"},
                      Kind{"u8s8", "uint8", "int8", "int32", 4, "dot_16x4_u8s8_avx512vnni",
                           "interleave_4x16_int8", "vpdpbusd", "cpu:icelake-server"},
                      Kind{"s8u8", "int8", "uint8", "int32", 4, "dot_16x4_s8u8_avx512vnni",
                           "interleave_4x16_uint8", "vpdpbusd", "cpu:znver4"}),
    [](const auto& info) { return std::string(info.param.name); });

struct MatrixKind {
  const char* name;
  const char* a;
  const char* b;
  const char* c;
  int64_t group;
  const char* intrinsic;
  const char* mnemonic;
};

/// A product of 2 * rows x 64 x 512, in tiles of rows x 32 x 256 by the instruction.
ir::IRModule matrix_product(const MatrixKind& kind, int64_t rows = 32) {
  Schedule sch(s_tir::typed_product(2 * rows, 64, 512, kind.a, kind.b, kind.c), 0);
  const auto get = [](auto result) {
    EXPECT_TRUE(result) << (result ? "" : result.error().to_string());
    return std::move(result).value();
  };
  const auto block = get(sch.get_sblock("C"));
  const auto loops = get(sch.get_loops(block));
  const auto i = get(sch.split(loops[0], {std::nullopt, rows}));
  const auto j = get(sch.split(loops[1], {std::nullopt, 32}));
  const auto k = get(sch.split(loops[2], {std::nullopt, 256 / kind.group, kind.group}));
  EXPECT_TRUE(sch.reorder({i[0], j[0], k[0], i[1], j[1], k[1], k[2]}));
  const auto packed = get(sch.cache_read(block, 1, "global"));
  EXPECT_TRUE(sch.transform_layout(packed, 0, "write",
                                   "lambda k, n, w, g: (n // w, k // g, n % w * g + k % g)",
                                   {32, kind.group}));
  get(sch.decompose_reduction(block, k[0]));
  const auto tile = get(sch.blockize(i[1]));
  std::string intrinsic = kind.intrinsic;
  intrinsic.replace(intrinsic.find("32"), 2, std::to_string(rows));
  const auto done = sch.tensorize(tile, intrinsic);
  EXPECT_TRUE(done) << (done ? "" : done.error().to_string());
  return sch.module();
}

class MatrixIntrinsics : public ::testing::TestWithParam<MatrixKind> {};

TEST_P(MatrixIntrinsics, AreFourProductsOfTilesInALoop) {
  const ir::Target target = *ir::parse_target("cpu:sapphirerapids");
  const auto lowered = lowered_for(matrix_product(GetParam()), target);
  ASSERT_TRUE(lowered) << lowered.error().to_string();
  const auto assembly = emit_assembly_text(*lowered, target);
  ASSERT_TRUE(assembly) << assembly.error().to_string();
  const auto count = [&](const std::string& word) {
    size_t found = 0;
    for (size_t at = assembly->find(word); at != std::string::npos;
         at = assembly->find(word, at + 1))
      ++found;
    return found;
  };
  // LLVM may unroll the loop; each round loads two tiles of either operand.
  EXPECT_GT(count(GetParam().mnemonic), 0U);
  EXPECT_EQ(count(GetParam().mnemonic) % 4, 0U);
  EXPECT_EQ(count("tileloadd"), 4 + count(GetParam().mnemonic));
  EXPECT_EQ(count("tilestored"), 4U);
  EXPECT_EQ(count("tilezero"), 4U) << "the first products start from zero";
  EXPECT_EQ(count("callq\tamx_begin"), 1U) << "once a call of the kernel";
  EXPECT_EQ(count("tilerelease"), 1U);
}

TEST_P(MatrixIntrinsics, ComputeWhatTheyDescribe) {
  const MatrixKind& kind = GetParam();
  const ir::Target native = *resolve_target(*ir::parse_target("native"));
  const auto features = *required_features(native);
  if (!s_tir::find_tensor_intrinsic(kind.intrinsic)->fits(features))
    GTEST_SKIP() << "this machine has no AMX";
  expect_as_interpreted(matrix_product(kind), native);
}

TEST_P(MatrixIntrinsics, ComputeWhatTheyDescribeOfAnyNumberOfRows) {
  const MatrixKind& kind = GetParam();
  const ir::Target native = *resolve_target(*ir::parse_target("native"));
  const auto features = *required_features(native);
  if (!s_tir::find_tensor_intrinsic(kind.intrinsic)->fits(features))
    GTEST_SKIP() << "this machine has no AMX";
  for (const int64_t rows : {2, 7, 16, 17, 31})
    expect_as_interpreted(matrix_product(kind, rows), native);
}

/// 32 rows and 8 below them, which need registers of other heights.
ir::IRModule two_heights() {
  std::string text = R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((40, 64), "bfloat16"), B: T.Buffer((32, 64), "bfloat16"), C: T.Buffer((40, 32), "float32")):
)";
  for (const auto& [name, rows, first] : {std::tuple{"upper", 32, 0}, std::tuple{"lower", 8, 32}})
    text += fmt::format(R"(    for i, j, k, g in T.grid({1}, 32, 32, 2):
        with T.sblock("{0}"):
            vi, vj, vk, vg = T.axis.remap("SSRR", [i, j, k, g])
            with T.init():
                C[vi + {2}, vj] = T.float32(0)
            C[vi + {2}, vj] = C[vi + {2}, vj] + T.float32(A[vi + {2}, vk * 2 + vg]) * T.float32(B[vk, vj * 2 + vg])
)",
                        name, rows, first);
  Schedule sch(*ir::script::parse_module(text, "program"), 0);
  for (const auto& [name, rows] : {std::pair{"upper", 32}, std::pair{"lower", 8}}) {
    const auto block = *sch.get_sblock(name);
    EXPECT_TRUE(sch.decompose_reduction(block, (*sch.get_loops(block))[0]));
    const auto tile = sch.blockize((*sch.get_loops(block))[0]);
    EXPECT_TRUE(tile) << (tile ? "" : tile.error().to_string());
    const auto done = sch.tensorize(*tile, fmt::format("amx_{}x32x64_bf16", rows));
    EXPECT_TRUE(done) << (done ? "" : done.error().to_string());
  }
  return sch.module();
}

TEST(MatrixIntrinsicsOfTwoHeights, ConfigureTheRegistersEachTime) {
  const ir::Target target = *ir::parse_target("cpu:sapphirerapids");
  const auto lowered = lowered_for(two_heights(), target);
  ASSERT_TRUE(lowered) << lowered.error().to_string();
  const auto assembly = emit_assembly_text(*lowered, target);
  ASSERT_TRUE(assembly) << assembly.error().to_string();
  size_t count = 0;
  for (size_t at = assembly->find("ldtilecfg"); at != std::string::npos;
       at = assembly->find("ldtilecfg", at + 1))
    ++count;
  EXPECT_EQ(count, 3U) << "on entry, and in either product";
}

TEST(MatrixIntrinsicsOfTwoHeights, ComputeWhatTheyDescribe) {
  const ir::Target native = *resolve_target(*ir::parse_target("native"));
  if (!s_tir::find_tensor_intrinsic("amx_8x32x64_bf16")->fits(*required_features(native)))
    GTEST_SKIP() << "this machine has no AMX";
  expect_as_interpreted(two_heights(), native);
}

TEST_P(MatrixIntrinsics, AreRefusedByATargetWithoutThem) {
  const auto lowered =
      lowered_for(matrix_product(GetParam()), *ir::parse_target("cpu:icelake-server"));
  ASSERT_FALSE(lowered);
  EXPECT_THAT(lowered.error().to_string(), HasSubstr("needs amx-tile"));
}

INSTANTIATE_TEST_SUITE_P(
    All, MatrixIntrinsics,
    ::testing::Values(
        MatrixKind{"bf16", "bfloat16", "bfloat16", "float32", 2, "amx_32x32x256_bf16", "tdpbf16ps"},
        MatrixKind{"s8s8", "int8", "int8", "int32", 4, "amx_32x32x256_s8s8", "tdpbssd"},
        MatrixKind{"u8s8", "uint8", "int8", "int32", 4, "amx_32x32x256_u8s8", "tdpbusd"},
        MatrixKind{"s8u8", "int8", "uint8", "int32", 4, "amx_32x32x256_s8u8", "tdpbsud"},
        MatrixKind{"u8u8", "uint8", "uint8", "int32", 4, "amx_32x32x256_u8u8", "tdpbuud"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(LlvmIntrinsics, AreCheckedAgainstTheirTypes) {
  using namespace testing; // NOLINT
  const ir::Target target = *ir::parse_target("cpu:sapphirerapids");
  const auto refused = [&](const char* name, std::vector<Expr> args) {
    const Buffer c = flat("C", DataType::float32(), 16);
    args.insert(args.begin(), make_string(name));
    const auto compiled =
        compile(function_of({{c, nullptr}},
                            make_store(c, {ramp(imm(0), 16)},
                                       make_call(DataType::floating(32, 16),
                                                 "call_llvm_pure_intrin", std::move(args)))),
                target);
    return compiled ? std::string() : compiled.error().to_string();
  };
  const Expr sums = splat(f32(0), 16);
  EXPECT_THAT(refused("llvm.x86.no.such", {sums}), HasSubstr("knows no instruction"));
  EXPECT_THAT(refused("llvm.x86.avx512bf16.dpbf16ps.512", {sums}), HasSubstr("not of 1 arguments"));
  EXPECT_THAT(refused("llvm.x86.avx512bf16.dpbf16ps.512", {sums, sums, f32(0)}),
              HasSubstr("argument 2 is float32"));
}

} // namespace
} // namespace temper::codegen
