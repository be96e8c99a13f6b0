// The rule for products: its sketches, and that every candidate computes what the program computes.

#include "ir/script/printer.h"
#include "tests/s_tir/programs.h"
#include "tests/support/run_program.h"
#include "tuner/space/sketch_space.h"

#include <gmock/gmock.h>

namespace temper::tuner {
namespace {

using namespace temper::s_tir::programs;
using ir::IRModule;
using ir::make_load;
using s_tir::difference;
using s_tir::run_on_integers;
using ::testing::HasSubstr;
using ::testing::Not;

/// C[i, j] = sum_k A[i, k] * B[j, k]
IRModule matmul_transposed(int64_t m, int64_t n, int64_t k) {
  const ir::Buffer a = tensor("A", {m, k}), b = tensor("B", {n, k}), c = tensor("C", {m, n});
  Grid grid("C", "SSR", {{"i", m}, {"j", n}, {"k", k}});
  const ir::Expr i = grid.axis(0), j = grid.axis(1), r = grid.axis(2);
  return function(
      {a, b, c}, {},
      {grid.reads(a, {i, r})
           .reads(b, {j, r})
           .init(tir::make_store(c, {i, j}, real(0)))
           .store(c, {i, j}, make_load(c, {i, j}) + make_load(a, {i, r}) * make_load(b, {j, r}))});
}

std::unique_ptr<Space> space_of(const IRModule& module) {
  SketchOptions options;
  options.machine.vector_bits = 128; // 4 floats: the programs may be small
  options.machine.vector_registers = 16;
  options.rules.push_back(make_auto_inline_rule());
  options.rules.push_back(make_register_tiling_rule(options.machine));
  auto space = make_sketch_space(module, std::move(options));
  EXPECT_TRUE(space) << space.error().to_string();
  return std::move(space).value();
}

struct Case {
  const char* name;
  IRModule (*program)();
  size_t inputs;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class RegisterTiling : public ::testing::TestWithParam<Case> {};

TEST_P(RegisterTiling, CandidatesComputeWhatTheProgramComputes) {
  const IRModule program = GetParam().program();
  const auto expected = run_on_integers(program, GetParam().inputs, 3);
  ASSERT_EQ(expected.error, "");
  const auto space = space_of(program);
  EXPECT_GE(space->sketch_texts().size(), 4U);
  Random random(1);
  int built = 0;
  int packed = 0;
  for (int i = 0; i < 40; ++i) {
    const auto candidate = space->sample(random);
    ASSERT_TRUE(candidate) << candidate.error().to_string();
    const ir::IRModule& module = (*candidate)->module;
    EXPECT_EQ(difference(expected, run_on_integers(module, GetParam().inputs, 3), 0), "")
        << (*candidate)->trace.to_python();
    ++built;
    packed += (*candidate)->trace.to_python().find("transform_layout") != std::string::npos;
  }
  EXPECT_GT(packed, built / 4);
}

INSTANTIATE_TEST_SUITE_P(
    Programs, RegisterTiling,
    ::testing::Values(Case{"even", [] { return matmul(16, 32, 8); }, 2},
                      Case{"rows_left_over", [] { return matmul(17, 16, 6); }, 2},
                      Case{"columns_left_over", [] { return matmul(7, 13, 5); }, 2},
                      Case{"epilogue", [] { return matmul_bias_relu(12, 24, 8); }, 3},
                      Case{"transposed", [] { return matmul_transposed(12, 16, 8); }, 2},
                      Case{"transposed_left_over", [] { return matmul_transposed(9, 10, 7); }, 2}),
    [](const auto& info) { return info.param.name; });

TEST(RegisterTilingRule, PacksBothOperandsAheadOrABlockOfOne) {
  const auto space = space_of(matmul(16, 32, 8));
  bool none = false;
  bool block = false;
  bool both = false;
  for (const std::string& text : space->sketch_texts()) {
    const size_t first = text.find("transform_layout");
    none |= first == std::string::npos && text.find("temper.register_tile") != std::string::npos;
    both |= first != std::string::npos && text.find("transform_layout", first + 1) != first &&
            text.find("transform_layout", first + 1) != std::string::npos;
    block |= text.find("compute_at") != std::string::npos;
  }
  EXPECT_TRUE(none);
  EXPECT_TRUE(block);
  EXPECT_TRUE(both);
}

TEST(RegisterTilingRule, ATransposedOperandIsAlwaysPacked) {
  for (const std::string& text : space_of(matmul_transposed(12, 16, 8))->sketch_texts())
    EXPECT_TRUE(text.find("temper.register_tile") == std::string::npos ||
                text.find("transform_layout") != std::string::npos)
        << text;
}

TEST(RegisterTilingRule, LeavesOtherBlocksAlone) {
  for (const std::string& text : space_of(chain(8, 16))->sketch_texts())
    EXPECT_THAT(text, Not(HasSubstr("temper.register_tile")));
}

} // namespace
} // namespace temper::tuner
