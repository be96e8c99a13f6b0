// Products of float32 by parts of bfloat16: every digit counts, with operands transposed or not, in
// the interpreter as in machine code where this machine has AMX.
#include "ir/interpret.h"
#include "ir/script/parser.h"
#include "ir/support/random.h"
#include "ir/tir/dispatch.h"
#include "ir/walk.h"
#include "tests/codegen/build.h"
#include "tests/codegen/lowered.h"

#include <cmath>

namespace temper::codegen {
namespace {

using ::testing::HasSubstr;
using testing::lowered_for;

constexpr int64_t kM = 48;
constexpr int64_t kN = 64;
constexpr int64_t kK = 96;

struct Form {
  bool transpose_a;
  bool transpose_b;
  bool allowed = true;
};

ir::IRModule product(const Form& form) {
  const auto word = [](bool value) { return value ? "True" : "False"; };
  const auto matrix = [](int64_t rows, int64_t columns, bool transposed) {
    return "(" + std::to_string(transposed ? columns : rows) + ", " +
           std::to_string(transposed ? rows : columns) + ")";
  };
  const auto module =
      script::parse_module("from tvm.script import tirx as T\n"
                           "@T.prim_func\n"
                           "def main(A: T.Tensor(" +
                           matrix(kM, kK, form.transpose_a) +
                           ", \"float32\"), "
                           "B: T.Tensor(" +
                           matrix(kK, kN, form.transpose_b) +
                           ", \"float32\"), "
                           "C: T.Tensor((48, 64), \"float32\")):\n"
                           "    with T.Kernel(1) as bx:\n"
                           "        sums = T.alloc_fragment((48, 64), \"float32\")\n"
                           "        T.fill(sums, 1)\n"
                           "        T.gemm(A, B, sums, transpose_A=" +
                           word(form.transpose_a) + ", transpose_B=" + word(form.transpose_b) +
                           ", allow_bf16x3=" + word(form.allowed) +
                           ")\n"
                           "        T.copy(sums, C)\n");
  EXPECT_TRUE(module) << module.error().to_string();
  return *module;
}

/// Of all magnitudes, with digits in every place.
std::vector<float> operand(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values)
    value = std::ldexp(static_cast<float>(random.between(-(1 << 24) + 1, (1 << 24) - 1)),
                       static_cast<int>(random.between(-40, -10)));
  return values;
}

/// How far C is from the product: at most a few units of the last place of the terms' sum of
/// absolute values, as in any order of float32 sums.
void expect_product(const Form& form, const std::vector<float>& a, const std::vector<float>& b,
                    const std::vector<float>& c) {
  for (int64_t i = 0; i < kM; ++i)
    for (int64_t j = 0; j < kN; ++j) {
      double sum = 1;
      double size = 1;
      for (int64_t k = 0; k < kK; ++k) {
        const double term =
            double{a[static_cast<size_t>(form.transpose_a ? k * kM + i : i * kK + k)]} *
            double{b[static_cast<size_t>(form.transpose_b ? j * kK + k : k * kN + j)]};
        sum += term;
        size += std::abs(term);
      }
      ASSERT_NEAR(c[static_cast<size_t>(i * kN + j)], sum, 0x1p-20 * size) << i << ", " << j;
    }
}

class GemmByParts : public ::testing::TestWithParam<Form> {};

TEST_P(GemmByParts, HasAllDigitsInTheInterpreter) {
  const auto lowered = lowered_for(product(GetParam()), *ir::parse_target("cpu:sapphirerapids"));
  ASSERT_TRUE(lowered) << lowered.error().to_string();
  std::vector<float> a = operand(kM * kK, 1);
  std::vector<float> b = operand(kK * kN, 2);
  std::vector<float> c(kM * kN);
  const auto done = ir::interpret(*lowered, {ir::input(a), ir::input(b), ir::output(c)});
  ASSERT_TRUE(done) << done.error().to_string();
  expect_product(GetParam(), a, b, c);
}

TEST_P(GemmByParts, IsSixProductsOfTileRegisters) {
  const ir::Target target = *ir::parse_target("cpu:sapphirerapids");
  const auto lowered = lowered_for(product(GetParam()), target);
  ASSERT_TRUE(lowered) << lowered.error().to_string();
  const auto assembly = emit_assembly_text(*lowered, target);
  ASSERT_TRUE(assembly) << assembly.error().to_string();
  EXPECT_THAT(*assembly, HasSubstr("tdpbf16ps"));
}

TEST_P(GemmByParts, HasAllDigitsInMachineCode) {
  const ir::Target native = *resolve_target(*ir::parse_target("native"));
  const auto features = *required_features(native);
  if (std::find(features.begin(), features.end(), "amx-bf16") == features.end())
    GTEST_SKIP() << "this machine has no AMX";
  const auto lowered = lowered_for(product(GetParam()), native);
  ASSERT_TRUE(lowered) << lowered.error().to_string();
  const testing::Loaded kernel(testing::must_compile(*lowered, native));
  const std::vector<float> a = operand(kM * kK, 3);
  const std::vector<float> b = operand(kK * kN, 4);
  std::vector<float> c(kM * kN);
  ASSERT_EQ(kernel(a.data(), b.data(), c.data()), 0);
  expect_product(GetParam(), a, b, c);
}

INSTANTIATE_TEST_SUITE_P(Forms, GemmByParts,
                         ::testing::Values(Form{false, false}, Form{true, false}, Form{false, true},
                                           Form{true, true}),
                         [](const auto& info) {
                           return std::string(info.param.transpose_a ? "A_transposed" : "A") +
                                  (info.param.transpose_b ? "_B_transposed" : "_B");
                         });

// Blocks beside each other multiply the same rows of A by columns of B that are their own.
struct Blocks {
  bool transpose_a = false;
  bool scaled = false; ///< each block lays out other values of A
  int share = 1;
};

ir::IRModule blocks_of_product(const Blocks& form) {
  const std::string tile = form.transpose_a ? "(32, 16)" : "(16, 32)";
  const std::string at = form.transpose_a ? "k * 32, by * 16" : "by * 16, k * 32";
  const auto module = script::parse_module(
      "from tvm.script import tirx as T\n"
      "@T.prim_func\n"
      "def main(A: T.Tensor(" +
      std::string(form.transpose_a ? "(96, 48)" : "(48, 96)") +
      ", \"float32\"), B: T.Tensor((96, 64), \"float32\"), C: T.Tensor((48, 64), \"float32\")):\n"
      "    with T.Kernel(2, 3) as (bx, by):\n"
      "        A_tile = T.alloc_shared(" +
      tile +
      ", \"float32\")\n"
      "        B_tile = T.alloc_shared((32, 32), \"float32\")\n"
      "        sums = T.alloc_fragment((16, 32), \"float32\")\n"
      "        T.fill(sums, 1)\n"
      "        for k in T.Pipelined(3):\n"
      "            T.copy(A[" +
      at + "], A_tile)\n" +
      (form.scaled ? "            for i, j in T.Parallel(16, 32):\n"
                     "                A_tile[i, j] = A_tile[i, j] * T.cast(bx + 1, \"float32\")\n"
                   : "") +
      "            T.copy(B[k * 32, bx * 32], B_tile)\n"
      "            T.gemm(A_tile, B_tile, sums, allow_bf16x3=True, transpose_A=" +
      (form.transpose_a ? "True" : "False") +
      ", annotations={\"share\": " + std::to_string(form.share) +
      "})\n"
      "        T.copy(sums, C[by * 16, bx * 32])\n");
  EXPECT_TRUE(module) << module.error().to_string();
  return *module;
}

/// How many loops lie around the first store to a buffer whose name begins so.
int loops_around_filling(const ir::PrimFunc& function, const std::string& name) {
  int found = -1;
  const auto look = [&](auto&& self, const ir::Stmt& stmt, int depth) -> void {
    ir::walk(stmt, [&](const ir::NodeRef& node) {
      if (const auto* loop = node.as<tir::For>()) {
        self(self, loop->body, depth + 1);
        return false;
      }
      if (const auto* store = node.as<tir::BufferStore>();
          store != nullptr && found < 0 && store->buffer->name.starts_with(name))
        found = depth;
      return true;
    });
  };
  look(look, function->body, 0);
  return found;
}

TEST(GemmByPartsOfBlocks, MakesPartsThatBlocksShareOnceForAll) {
  const ir::Target target = *ir::parse_target("cpu:sapphirerapids");
  for (const bool transpose : {false, true}) {
    SCOPED_TRACE(transpose);
    const auto each = lowered_for(blocks_of_product({transpose, false, 0}), target);
    const auto once = lowered_for(blocks_of_product({transpose, false, 1}), target);
    ASSERT_TRUE(each) << each.error().to_string();
    ASSERT_TRUE(once) << once.error().to_string();
    const std::string parts = transpose ? "A_transposed_parts" : "A_parts";
    // Of A without the loop over blocks beside each other, of B without that over those below.
    EXPECT_EQ(loops_around_filling(*once, parts), loops_around_filling(*each, parts) - 1);
    EXPECT_EQ(loops_around_filling(*once, "B_parts"), loops_around_filling(*each, "B_parts") - 1);
    std::vector<float> a = operand(kM * kK, 5);
    std::vector<float> b = operand(kK * kN, 6);
    std::vector<float> c(kM * kN);
    const auto done = ir::interpret(*once, {ir::input(a), ir::input(b), ir::output(c)});
    ASSERT_TRUE(done) << done.error().to_string();
    expect_product({transpose, false}, a, b, c);
  }
}

TEST(GemmByPartsOfBlocks, LeavesPartsThatABlockMakesOfItsOwnValues) {
  const ir::Target target = *ir::parse_target("cpu:sapphirerapids");
  const auto each = lowered_for(blocks_of_product({false, true, 0}), target);
  const auto once = lowered_for(blocks_of_product({false, true, 1}), target);
  ASSERT_TRUE(each) << each.error().to_string();
  ASSERT_TRUE(once) << once.error().to_string();
  EXPECT_EQ(loops_around_filling(*once, "A_tile_parts"),
            loops_around_filling(*each, "A_tile_parts"));
  EXPECT_GE(loops_around_filling(*once, "A_tile_parts"), 4);
}

TEST(GemmByPartsDispatch, NeedsLeaveAndAMX) {
  const auto table = [](const Form& form, std::vector<std::string> features) {
    LowerOptions options;
    options.features = std::move(features);
    return tir::dispatch_table(product(form)->find_prim_func("main"), options);
  };
  const std::vector<std::string> amx{"amx-tile", "amx-bf16"};
  EXPECT_THAT(table({false, false}, amx), HasSubstr("amx_bf16x3 (taken)"));
  EXPECT_THAT(table({false, false, false}, amx), HasSubstr("allow_bf16x3=True"));
  EXPECT_THAT(table({false, false}, {}), HasSubstr("the target has no AMX"));
}

} // namespace
} // namespace temper::codegen
