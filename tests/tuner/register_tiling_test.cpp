// The rule for products: its sketches, and that every candidate computes what the program computes.

#include "ir/s_tir/packs.h"
#include "ir/script/printer.h"
#include "ir/walk.h"
#include "tests/s_tir/programs.h"
#include "tests/support/run_program.h"
#include "tests/support/tensorized_product.h"
#include "tests/support/workload_cases.h"
#include "tuner/space/sketch_space.h"

#include <array>
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

/// C[h, w, j] = sum_k A[h, w, k] * B[k, j]: an image with few columns, 1 x 1.
IRModule image(int64_t rows, int64_t columns, int64_t n, int64_t k) {
  const ir::Buffer a = tensor("A", {rows, columns, k}), b = tensor("B", {k, n}),
                   c = tensor("C", {rows, columns, n});
  Grid grid("C", "SSSR", {{"h", rows}, {"w", columns}, {"j", n}, {"k", k}});
  const ir::Expr h = grid.axis(0), w = grid.axis(1), j = grid.axis(2), r = grid.axis(3);
  return function(
      {a, b, c}, {},
      {grid.reads(a, {h, w, r})
           .reads(b, {r, j})
           .init(tir::make_store(c, {h, w, j}, real(0)))
           .store(c, {h, w, j},
                  make_load(c, {h, w, j}) + make_load(a, {h, w, r}) * make_load(b, {r, j}))});
}

/// C[x, j] = sum_rs A[x * stride + r * dilation, s] * B[r, s, j]: a window over several channels.
IRModule window(int64_t columns, int64_t n, int64_t taps, int64_t stride, int64_t dilation) {
  constexpr int64_t kChannels = 3;
  const ir::Buffer a = tensor("A", {(columns - 1) * stride + (taps - 1) * dilation + 1, kChannels}),
                   b = tensor("B", {taps, kChannels, n}), c = tensor("C", {columns, n});
  Grid grid("C", "SSRR", {{"x", columns}, {"j", n}, {"r", taps}, {"s", kChannels}});
  const ir::Expr x = grid.axis(0), j = grid.axis(1), r = grid.axis(2), s = grid.axis(3);
  const ir::Expr at = x * stride + r * dilation;
  return function(
      {a, b, c}, {},
      {grid.reads(a, {at, s})
           .reads(b, {r, s, j})
           .init(tir::make_store(c, {x, j}, real(0)))
           .store(c, {x, j},
                  make_load(c, {x, j}) + make_load(a, {at, s}) * make_load(b, {r, s, j}))});
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
                      Case{"short_rows", [] { return image(6, 3, 16, 8); }, 2},
                      Case{"short_rows_left_over", [] { return image(5, 4, 10, 3); }, 2},
                      Case{"window", [] { return window(12, 16, 3, 1, 1); }, 2},
                      Case{"window_left_over", [] { return window(11, 10, 5, 2, 1); }, 2},
                      Case{"transposed", [] { return matmul_transposed(12, 16, 8); }, 2},
                      Case{"transposed_left_over", [] { return matmul_transposed(9, 10, 7); }, 2}),
    [](const auto& info) { return info.param.name; });

IRModule with_constants(const IRModule& module, const std::vector<std::string>& names) {
  const auto function = s_tir::with_constant_operands(module->find_prim_func("main"), names);
  EXPECT_TRUE(function) << function.error().to_string();
  return ir::with_function(module, "main", *function);
}

TEST(RegisterTilingRule, AConstantOperandLeavesTheKernel) {
  for (const auto& [program, names] :
       {std::pair{matmul(16, 32, 8), std::vector<std::string>{"B"}},
        std::pair{matmul(7, 13, 5), std::vector<std::string>{"B"}},
        std::pair{matmul_transposed(12, 16, 8), std::vector<std::string>{"B"}},
        std::pair{matmul(16, 32, 8), std::vector<std::string>{"A"}},
        std::pair{image(6, 3, 16, 8), std::vector<std::string>{"B"}},
        std::pair{matmul(24, 16, 512), std::vector<std::string>{"A", "B"}}}) {
    const IRModule constant = with_constants(program, names);
    const auto expected = run_on_integers(program, 2, 3);
    const auto space = space_of(constant);
    Random random(1);
    int packed = 0;
    for (int i = 0; i < 20; ++i) {
      const auto candidate = space->sample(random);
      ASSERT_TRUE(candidate) << candidate.error().to_string();
      const IRModule& module = (*candidate)->module;
      EXPECT_EQ(difference(expected, run_on_integers(module, 2, 3), 0), "")
          << (*candidate)->trace.to_python();
      const auto split = s_tir::split_packs(module);
      ASSERT_TRUE(split) << split.error().to_string();
      const std::string trace = (*candidate)->trace.to_python();
      EXPECT_EQ((*split)->functions.size() > 1, trace.find("pack_ahead") != std::string::npos);
      packed += (*split)->functions.size() > 1;
    }
    EXPECT_GT(packed, 5);
  }
}

TEST(RegisterTilingRule, ThereIsNothingToDecideAboutPackingAhead) {
  const auto decisions = [](const IRModule& module) {
    int most = 0;
    for (const std::string& text : space_of(module)->sketch_texts()) {
      int count = 0;
      for (size_t at = text.find("sample_"); at != std::string::npos;
           at = text.find("sample_", at + 1))
        ++count;
      most = std::max(most, text.find("cache_read") == std::string::npos ? 0 : count);
    }
    return most;
  };
  const IRModule program = matmul(16, 32, 8);
  EXPECT_EQ(decisions(with_constants(program, {"A", "B"})) + 2, decisions(program));
  for (const std::string& text : space_of(with_constants(program, {"B"}))->sketch_texts())
    EXPECT_THAT(text, Not(HasSubstr("compute_at")))
        << "a block of B at a time would be packed anew";
}

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

TEST(RegisterTilingRule, ATileTakesRowsOfTwoAxesWhereTheLastIsShort) {
  const auto squares = [](const IRModule& module) {
    int count = 0;
    for (const std::string& text : space_of(module)->sketch_texts()) {
      // All of w, the second of the first block's loops, lies around the tile's vectors.
      const size_t order = text.find("sch.reorder(");
      if (order == std::string::npos)
        continue;
      const std::string before = text.substr(0, text.find(" = sch.get_loops("));
      const std::string w = before.substr(before.rfind('\n') + 1).substr(4, 2);
      const std::string line = text.substr(order, text.find('\n', order) - order);
      const size_t at = line.find(" " + w + ",");
      count += at != std::string::npos && std::count(line.begin() + at, line.end(), ',') == 2;
    }
    return count;
  };
  EXPECT_GT(squares(image(6, 3, 16, 8)), 0);
  EXPECT_EQ(squares(image(6, 24, 16, 8)), 0) << "enough rows without";
  EXPECT_EQ(squares(image(1, 3, 16, 8)), 0) << "there is one only";
}

TEST(RegisterTilingRule, AShortReductionIsUnrolledAltogether) {
  const auto steps = [](int64_t k) {
    const std::string text = space_of(matmul(16, 16, k))->sketch_texts()[1];
    const size_t at = text.rfind("candidates=", text.find("sch.unroll("));
    return text.substr(at, text.find(']', at) + 1 - at);
  };
  EXPECT_EQ(steps(3), "candidates=[1, 3]");
  EXPECT_EQ(steps(6), "candidates=[1, 2, 6]");
  EXPECT_EQ(steps(8), "candidates=[1, 2, 4, 8]");
  EXPECT_EQ(steps(9), "candidates=[1]");
}

TEST(RegisterTiling, LoopsBehindABatchOfOneRunInParallel) {
  const auto workload = workload_cases::workload_of(
      {"batch_matmul", {{"B", "1"}, {"M", "96"}, {"N", "32"}, {"K", "8"}}});
  ASSERT_TRUE(workload) << workload.error().to_string();
  SketchOptions options;
  options.machine.threads = 2;
  options.jobs_per_core = 1; // fewer than most loops have iterations
  auto space = make_sketch_space(workload->module, std::move(options));
  ASSERT_TRUE(space) << space.error().to_string();
  Random random(1);
  int parallel = 0;
  for (int i = 0; i < 40; ++i) {
    const auto candidate = (*space)->sample(random);
    ASSERT_TRUE(candidate) << candidate.error().to_string();
    bool sums = false;
    const auto function =
        (*candidate)->module->functions.front().function.as_ref<ir::PrimFuncNode>();
    ir::walk(function->body, [&](const ir::NodeRef& node) {
      const auto* loop = node.as<tir::For>();
      if (loop != nullptr && loop->kind == tir::ForKind::kParallel)
        ir::walk(loop->body, [&](const ir::NodeRef& inner) {
          const auto* block = inner.as<s_tir::SBlock>();
          sums |= block != nullptr && std::any_of(block->iter_vars.begin(), block->iter_vars.end(),
                                                  [](const s_tir::IterVar& axis) {
                                                    return axis.type == s_tir::IterType::kReduce;
                                                  });
          return true;
        });
      return true;
    });
    parallel += sums ? 1 : 0;
  }

  EXPECT_GT(parallel, 25) << "17 where a loop of one iteration was all that was tried";
}

TEST(RegisterTilingRule, AWindowIsUnrolledWhereItsStepsReadTheSame) {
  // The axis whose inner part is unrolled comes from the third or the fourth of the block's loops.
  const auto unrolled = [](const IRModule& module, const char* factors) {
    int windows = 0;
    for (const std::string& text : space_of(module)->sketch_texts())
      windows += text.find(factors) != std::string::npos;
    return windows;
  };
  EXPECT_GT(unrolled(window(12, 16, 5, 1, 1), "factors=[None, 5]"), 0);
  EXPECT_GT(unrolled(window(12, 16, 5, 1, 2), "factors=[None, 5]"), 0);
  // Of every second step with a stride of two, first those that start at 0.
  EXPECT_GT(unrolled(window(12, 16, 5, 2, 1), "factors=[None, 3, 2]"), 0);
  EXPECT_EQ(unrolled(window(12, 16, 5, 5, 1), "factors=[None, 5]"), 0)
      << "windows that do not overlap share nothing";
  EXPECT_EQ(unrolled(window(12, 16, 5, 5, 1), "factors=[None, 1, 5]"), 0);
}

TEST(RegisterTiling, OuterAxesOfALongWindowRunAroundTheTilesAndSkipPadding) {
  const auto workload = workload_cases::workload_of({"conv3d",
                                                     {{"N", "1"},
                                                      {"D", "4"},
                                                      {"H", "4"},
                                                      {"W", "5"},
                                                      {"CI", "8"},
                                                      {"CO", "8"},
                                                      {"K", "3"},
                                                      {"stride", "2"},
                                                      {"pad", "1"}}});
  ASSERT_TRUE(workload) << workload.error().to_string();
  const auto expected = run_on_integers(workload->module, 2, 3);
  ASSERT_EQ(expected.error, "");
  const auto skipping = [](const std::unique_ptr<Space>& space) {
    int sketches = 0;
    for (const std::string& text : space->sketch_texts())
      sketches += text.find("skip_padding") != std::string::npos;
    return sketches;
  };
  const auto space_of_cache = [&](int64_t l1_bytes) {
    SketchOptions options;
    options.machine.vector_bits = 128;
    options.machine.vector_registers = 16;
    options.machine.l1_bytes = l1_bytes;
    auto space = make_sketch_space(workload->module, std::move(options));
    EXPECT_TRUE(space);
    return std::move(space).value();
  };
  EXPECT_EQ(skipping(space_of_cache(32768)), 0) << "panels stay in L1";
  const auto space = space_of_cache(2048); // of 216 x 4 floats no more than 72
  EXPECT_GT(skipping(space), 0);
  Random random(1);
  int skipped = 0;
  for (int i = 0; i < 400 && skipped < 8; ++i) {
    const auto candidate = space->sample(random);
    if (!candidate || (*candidate)->trace.to_python().find("skip_padding") == std::string::npos)
      continue;
    ++skipped;
    EXPECT_EQ(difference(expected, run_on_integers((*candidate)->module, 2, 3), 0), "")
        << (*candidate)->trace.to_python();
  }
  EXPECT_EQ(skipped, 8);
}

/// The space of a product of narrow types on a machine with AVX-512 and these features.
std::unique_ptr<Space> narrow_space(const IRModule& module, std::vector<std::string> features) {
  SketchOptions options;
  options.machine.vector_bits = 512;
  options.machine.vector_registers = 32;
  options.machine.features = std::move(features);
  options.rules.push_back(make_auto_inline_rule());
  options.rules.push_back(make_register_tiling_rule(options.machine));
  auto space = make_sketch_space(module, std::move(options));
  EXPECT_TRUE(space) << space.error().to_string();
  return std::move(space).value();
}

struct NarrowCase {
  const char* name;
  const char* a;
  const char* b;
  const char* c;
  const char* feature;
  const char* dot;
};
void PrintTo(const NarrowCase& c, std::ostream* out) { *out << c.name; }

class NarrowTypes : public ::testing::TestWithParam<NarrowCase> {};

TEST_P(NarrowTypes, AreComputedByTheInstructionThatTheTargetHas) {
  const NarrowCase& c = GetParam();
  const IRModule program = s_tir::typed_product(13, 64, 16, c.a, c.b, c.c);
  const auto expected = run_on_integers(program, 2, 3);
  ASSERT_EQ(expected.error, "");
  const auto space = narrow_space(program, {"avx512f", c.feature});
  Random random(1);
  int tensorized = 0;
  for (int i = 0; i < 30; ++i) {
    const auto candidate = space->sample(random);
    ASSERT_TRUE(candidate) << candidate.error().to_string();
    const std::string trace = (*candidate)->trace.to_python();
    tensorized += trace.find(c.dot) != std::string::npos;
    EXPECT_EQ(difference(expected, run_on_integers((*candidate)->module, 2, 3), 0), "") << trace;
  }
  EXPECT_GT(tensorized, 5); // 16-bit floats are also converted while they are packed
}

TEST_P(NarrowTypes, AreTiledAsOthersAreWithoutIt) {
  const NarrowCase& c = GetParam();
  const auto space =
      narrow_space(s_tir::typed_product(13, 64, 16, c.a, c.b, c.c), {"avx512f", "avx512bw"});
  bool tiled = false;
  for (const std::string& text : space->sketch_texts()) {
    EXPECT_THAT(text, Not(HasSubstr("tensorize")));
    tiled |= text.find("temper.register_tile") != std::string::npos;
  }
  EXPECT_TRUE(tiled);
}

TEST_P(NarrowTypes, AreTiledAsOthersAreWhereGroupsDoNotDivide) {
  const NarrowCase& c = GetParam();
  for (const std::string& text :
       narrow_space(s_tir::typed_product(13, 64, 15, c.a, c.b, c.c), {c.feature})->sketch_texts())
    EXPECT_THAT(text, Not(HasSubstr("tensorize")));
}

INSTANTIATE_TEST_SUITE_P(Types, NarrowTypes,
                         ::testing::Values(NarrowCase{"bf16", "bfloat16", "bfloat16", "float32",
                                                      "avx512bf16", "dot_16x2_bf16_avx512bf16"},
                                           NarrowCase{"u8s8", "uint8", "int8", "int32",
                                                      "avx512vnni", "dot_16x4_u8s8_avx512vnni"},
                                           NarrowCase{"s8s8_by_offset", "int8", "int8", "int32",
                                                      "avx512vnni", "dot_16x4_u8s8_avx512vnni"},
                                           NarrowCase{"s8s8_direct", "int8", "int8", "int32",
                                                      "avxvnniint8", "dot_8x4_s8s8_avxvnniint8"}),
                         [](const auto& info) { return info.param.name; });

struct MatrixCase {
  const char* name;
  const char* a;
  const char* b;
  const char* c;
  const char* feature;
};
void PrintTo(const MatrixCase& c, std::ostream* out) { *out << c.name; }

class MatrixInstructions : public ::testing::TestWithParam<MatrixCase> {
protected:
  static std::unique_ptr<Space> space(int64_t m, int64_t n, int64_t k) {
    const MatrixCase& c = GetParam();
    return narrow_space(s_tir::typed_product(m, n, k, c.a, c.b, c.c),
                        {"avx512f", "avx512bf16", "avx512vnni", "amx-tile", c.feature});
  }
};

TEST_P(MatrixInstructions, ComputeWhatDividesIntoTheirTiles) {
  const MatrixCase& c = GetParam();
  const IRModule program = s_tir::typed_product(32, 64, 512, c.a, c.b, c.c);
  const auto expected = run_on_integers(program, 2, 3);
  ASSERT_EQ(expected.error, "");
  const auto tiled = space(32, 64, 512);
  Random random(1);
  for (int i = 0; i < 6; ++i) {
    const auto candidate = tiled->sample(random);
    ASSERT_TRUE(candidate) << candidate.error().to_string();
    const std::string trace = (*candidate)->trace.to_python();
    EXPECT_THAT(trace, HasSubstr("amx_32x32x"));
    EXPECT_EQ(difference(expected, run_on_integers((*candidate)->module, 2, 3), 0), "") << trace;
  }
}

TEST_P(MatrixInstructions, TakeTheMostRowsThatDivide) {
  using ::testing::Contains;
  EXPECT_THAT(space(48, 64, 256)->sketch_texts(), Contains(HasSubstr("amx_16x32x256")));
  const auto texts = space(64, 64, 256)->sketch_texts();
  EXPECT_THAT(texts, Contains(HasSubstr("amx_32x32x256")));
  EXPECT_THAT(texts, Not(Contains(HasSubstr("amx_16"))));
}

TEST_P(MatrixInstructions, TakeOtherNumbersOfRowsInTheFewestTiles) {
  using ::testing::Contains;
  const MatrixCase& c = GetParam();
  // 17 and 24 are two tiles of at most 16 rows; 6 is a part of one.
  for (const auto& [m, rows] : {std::pair<int64_t, int64_t>{6, 6}, {17, 17}, {24, 24}}) {
    const IRModule program = s_tir::typed_product(m, 64, 128, c.a, c.b, c.c);
    const auto expected = run_on_integers(program, 2, 3);
    ASSERT_EQ(expected.error, "");
    const auto tiled = space(m, 64, 128);
    Random random(1);
    for (int i = 0; i < 2; ++i) {
      const auto candidate = tiled->sample(random);
      ASSERT_TRUE(candidate) << candidate.error().to_string();
      const std::string trace = (*candidate)->trace.to_python();
      EXPECT_THAT(trace, HasSubstr("amx_" + std::to_string(rows) + "x32x128"));
      EXPECT_EQ(difference(expected, run_on_integers((*candidate)->module, 2, 3), 0), "") << trace;
    }
  }
}

TEST_P(MatrixInstructions, PadRowsWhereThatTakesFewerTiles) {
  using ::testing::AllOf;
  using ::testing::Contains;
  const MatrixCase& c = GetParam();
  // 40 rows are three tiles, and four as twice 20; 100 are seven, and eight as four times 25. 37
  // and 131 have no divisor.
  for (const auto& [m, padded, divided] : {std::tuple<int64_t, int64_t, int64_t>{40, 16, 20},
                                           {100, 16, 25},
                                           {37, 16, 0},
                                           {57, 32, 19},
                                           {131, 16, 0}}) {
    const IRModule program = s_tir::typed_product(m, 64, 128, c.a, c.b, c.c);
    const auto expected = run_on_integers(program, 2, 3);
    ASSERT_EQ(expected.error, "");
    const auto tiled = space(m, 64, 128);
    const auto texts = tiled->sketch_texts();
    EXPECT_THAT(texts, Contains(AllOf(HasSubstr("pad_einsum"),
                                      HasSubstr("amx_" + std::to_string(padded) + "x32x128"))))
        << m;
    if (divided > 0) {
      EXPECT_THAT(texts, Contains(HasSubstr("amx_" + std::to_string(divided) + "x32x128"))) << m;
    }
    Random random(1);
    int padded_ones = 0;
    for (int draw = 0; draw < 40 && padded_ones < 2; ++draw) {
      const auto candidate = tiled->sample(random);
      ASSERT_TRUE(candidate) << candidate.error().to_string();
      const std::string trace = (*candidate)->trace.to_python();
      if (trace.find("pad_einsum") == std::string::npos)
        continue;
      ++padded_ones;
      EXPECT_EQ(difference(expected, run_on_integers((*candidate)->module, 2, 3), 0), "") << trace;
    }
    EXPECT_EQ(padded_ones, 2) << m;
  }
}

TEST_P(MatrixInstructions, TakeShortReductionsInTheLongestCuts) {
  using ::testing::Contains;
  const MatrixCase& c = GetParam();
  for (const auto& [k, depth] : {std::pair<int64_t, int64_t>{64, 64}, {128, 128}, {384, 192}}) {
    const auto texts = space(32, 64, k)->sketch_texts();
    EXPECT_THAT(texts, Contains(HasSubstr("amx_32x32x" + std::to_string(depth) + "_"))) << k;
    EXPECT_EQ(std::ranges::count_if(texts,
                                    [&](const std::string& text) {
                                      return text.find("amx_") != std::string::npos &&
                                             text.find("x" + std::to_string(depth) + "_") ==
                                                 std::string::npos;
                                    }),
              0)
        << k;
  }
  const IRModule program = s_tir::typed_product(32, 64, 192, c.a, c.b, c.c);
  const auto expected = run_on_integers(program, 2, 3);
  ASSERT_EQ(expected.error, "");
  const auto tiled = space(32, 64, 192);
  Random random(1);
  for (int i = 0; i < 3; ++i) {
    const auto candidate = tiled->sample(random);
    ASSERT_TRUE(candidate) << candidate.error().to_string();
    EXPECT_EQ(difference(expected, run_on_integers((*candidate)->module, 2, 3), 0), "")
        << (*candidate)->trace.to_python();
  }
}

TEST_P(MatrixInstructions, FindAConstantOperandPackedAhead) {
  const MatrixCase& c = GetParam();
  const IRModule program = s_tir::typed_product(32, 64, 512, c.a, c.b, c.c);
  const auto expected = run_on_integers(program, 2, 3);
  ASSERT_EQ(expected.error, "");
  const auto tiled = narrow_space(with_constants(program, {"B"}),
                                  {"avx512f", "avx512bf16", "avx512vnni", "amx-tile", c.feature});
  Random random(1);
  for (int i = 0; i < 6; ++i) {
    const auto candidate = tiled->sample(random);
    ASSERT_TRUE(candidate) << candidate.error().to_string();
    const std::string trace = (*candidate)->trace.to_python();
    EXPECT_THAT(trace, HasSubstr("amx_32x32x"));
    EXPECT_THAT(trace, HasSubstr("pack_ahead"));
    EXPECT_EQ(difference(expected, run_on_integers((*candidate)->module, 2, 3), 0), "") << trace;
    const auto split = s_tir::split_packs((*candidate)->module);
    ASSERT_TRUE(split) << split.error().to_string();
    EXPECT_EQ((*split)->functions.size(), 2U);
  }
}

TEST_P(MatrixInstructions, LeaveOtherShapesToVectors) {
  for (const auto& [m, n, k] :
       {std::array<int64_t, 3>{3, 64, 256}, {32, 48, 256}, {37, 48, 256}, {32, 64, 96}})
    for (const std::string& text : space(m, n, k)->sketch_texts())
      EXPECT_THAT(text, Not(HasSubstr("amx_")));
}

INSTANTIATE_TEST_SUITE_P(
    Types, MatrixInstructions,
    ::testing::Values(MatrixCase{"bf16", "bfloat16", "bfloat16", "float32", "amx-bf16"},
                      MatrixCase{"s8s8", "int8", "int8", "int32", "amx-int8"},
                      MatrixCase{"u8s8", "uint8", "int8", "int32", "amx-int8"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(RegisterTilingRule, LeavesOtherBlocksAlone) {
  for (const std::string& text : space_of(chain(8, 16))->sketch_texts())
    EXPECT_THAT(text, Not(HasSubstr("temper.register_tile")));
}

} // namespace
} // namespace temper::tuner
