// Tile programs as text: what is read is printed, what is printed is read back; each lowering step;
// refusals with their sentence; and every step computes what the program means.
#include "codegen/lower.h"
#include "ir/interpret.h"
#include "ir/json_graph.h"
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/support/random.h"
#include "ir/tir/dispatch.h"
#include "ir/tir/tile_ops.h"
#include "ir/verify.h"
#include "tests/support/golden.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

namespace temper::tir {
namespace {

IRModule parse(const std::string& text) {
  const auto module = script::parse_module(text, "tile.py");
  EXPECT_TRUE(module) << module.error().to_string();
  return module ? *module : nullptr;
}

PrimFunc function_of(const IRModule& module) {
  return module->functions.front().function.as_ref<PrimFuncNode>();
}

std::string print(const IRModule& module) {
  script::PrinterOptions options;
  options.header = false;
  return script::to_text(module, options);
}

void expect_round_trip(const IRModule& module) {
  const std::string text = script::to_text(module);
  const IRModule again = parse(text);
  ASSERT_TRUE(again);
  std::string difference;
  EXPECT_TRUE(structural_equal(module, again, &difference)) << difference << "\n" << text;
  const auto loaded = module_from_json(to_json(module));
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_TRUE(structural_equal(module, *loaded, &difference)) << difference;
}

/// Runs on seeded small integers, whose sums are exact in any order; what each output holds.
Result<std::vector<std::vector<float>>> run(const PrimFunc& function,
                                            ParallelOrder order = ParallelOrder::kForward) {
  Random random(7);
  std::vector<std::vector<float>> arrays;
  const std::vector<bool> written = written_parameters(function);
  const auto shapes = parameter_shapes(function);
  std::vector<InterpretArgument> arguments;
  arrays.reserve(shapes.size());
  for (size_t i = 0; i < shapes.size(); ++i) {
    int64_t count = 1;
    for (const int64_t extent : shapes[i])
      count *= extent;
    arrays.emplace_back(static_cast<size_t>(count));
    for (float& value : arrays.back())
      value = static_cast<float>(random.below(9) - 4);
    arguments.emplace_back(written[i] ? output(arrays.back()) : input(arrays.back()));
  }
  InterpretOptions options;
  options.parallel_order = order;
  TEMPER_TRY_VOID(interpret(function, arguments, options));
  std::vector<std::vector<float>> outputs;
  for (size_t i = 0; i < written.size(); ++i)
    if (written[i])
      outputs.push_back(arrays[i]);
  return outputs;
}

/// The program, each of its lowering steps, and all of them in every order of parallel iterations
/// compute the same.
void expect_same_steps(const IRModule& module) {
  const auto expected = run(function_of(module));
  ASSERT_TRUE(expected) << expected.error().to_string();
  LowerOptions options;
  IRModule now = module;
  std::vector<Pass> passes = codegen::tile_passes(options);
  for (const Pass& pass : passes) {
    const auto next = pass.run(now);
    ASSERT_TRUE(next) << pass.name << ": " << next.error().to_string();
    now = *next;
    const auto good = verify(now);
    ASSERT_TRUE(good) << pass.name << ": " << good.error().to_string() << print(now);
    expect_round_trip(now);
    const auto result = run(function_of(now), ParallelOrder::kReverse);
    ASSERT_TRUE(result) << pass.name << ": " << result.error().to_string() << print(now);
    EXPECT_EQ(*result, *expected) << pass.name << print(now);
  }
  const auto lowered = codegen::lower_for_cpu(module, options);
  ASSERT_TRUE(lowered) << lowered.error().to_string();
  const auto result = run(function_of(*lowered));
  ASSERT_TRUE(result) << result.error().to_string() << print(*lowered);
  EXPECT_EQ(*result, *expected);
}

TEST(TilePrograms, PrintAndReadBack) {
  const size_t count = testing::check_golden_cases(
      "tests/text/tir/programs.txt", [](const testing::GoldenCase& one) {
        const auto module = script::parse_module(one.input, "tile.py");
        if (!module)
          return module.error().to_string() + "\n";
        expect_round_trip(*module);
        const auto good = verify(*module);
        EXPECT_TRUE(good) << good.error().to_string();
        return print(*module);
      });
  EXPECT_GE(count, 6U);
}

TEST(TilePrograms, BadOnesGetOneSentenceAtTheirPlace) {
  const size_t count =
      testing::check_golden_cases("tests/text/tir/errors.txt", [](const testing::GoldenCase& one) {
        const auto module = script::parse_module(one.input, "bad.py");
        if (!module)
          return module.error().to_string();
        const auto lowered = codegen::lower_for_cpu(*module, {});
        return lowered ? std::string("no error\n") : lowered.error().message + "\n";
      });
  EXPECT_GE(count, 10U);
}

TEST(TilePrograms, EachStepOfLoweringPrints) {
  const size_t count =
      testing::check_golden_cases("tests/text/tir/steps.txt", [](const testing::GoldenCase& one) {
        const auto module = script::parse_module(one.input, "tile.py");
        if (!module)
          return module.error().to_string() + "\n";
        LowerOptions options;
        std::string text;
        IRModule now = *module;
        for (const Pass& pass : codegen::tile_passes(options)) {
          const auto next = pass.run(now);
          if (!next)
            return next.error().to_string() + "\n";
          text += "# " + pass.name + (*next == now ? ": unchanged\n" : "\n");
          if (*next != now)
            text += print(*next);
          now = *next;
        }
        return text;
      });
  EXPECT_GE(count, 2U);
}

TEST(TilePrograms, OfTheGoldenFilesKeepTheirMeaningThroughAllSteps) {
  for (const char* file : {"tests/text/tir/programs.txt", "tests/text/tir/steps.txt"})
    for (const testing::GoldenCase& one :
         testing::read_golden_cases(read_file(testing::golden_path(file)).value())) {
      SCOPED_TRACE(one.name);
      expect_same_steps(parse(one.input));
    }
}

TEST(TilePrograms, OfOneThreadOrOfNarrowFloatsHaveNoAtomicOperationsOnACpu) {
  for (const std::string type : {"float32", "float16"}) {
    const std::string tensor = ", \"" + type + "\")";
    const IRModule module = parse("@T.prim_func\ndef main(A: T.Tensor((32,)" + tensor +
                                  ", C: T.Tensor((9,)" + tensor + R"():
    with T.Kernel(4, threads=8) as bx:
        for i in T.Parallel(8):
            T.atomic_add(C[bx // 4 + i], A[bx * 8 + i])
)");
    ASSERT_TRUE(module);
    const auto has_atomic = [](const PrimFunc& function) {
      return print(make_module(function)).find("atomic_add") != std::string::npos;
    };
    EXPECT_EQ(has_atomic(lower_atomics(function_of(module), false)), type == "float32");
    EXPECT_FALSE(has_atomic(lower_atomics(function_of(module), true)));
  }
}

TEST(TileOperators, HaveExamplesThatRunAsTheyAreLowered) {
  for (const TileOp* op : all_tile_ops()) {
    SCOPED_TRACE(op->name);
    EXPECT_FALSE(op->doc.empty());
    const IRModule module = parse(op->example);
    ASSERT_TRUE(module);
    EXPECT_NE(op->example.find("T." + op->name + "("), std::string::npos);
    expect_round_trip(module);
    expect_same_steps(module);
  }
}

TEST(TileReductions, AlongAnyDimensionAreTheSameInEveryStep) {
  for (const std::string op : {"sum", "max", "min", "absmax"})
    for (const auto& [shape, kept, dim] :
         {std::tuple("(5, 16)", "(16,)", 0), std::tuple("(3, 128)", "(128,)", 0),
          std::tuple("(1, 48)", "(48,)", 0), std::tuple("(4, 20)", "(20,)", 0),
          std::tuple("(3, 4, 32)", "(4, 32)", 0), std::tuple("(3, 4, 32)", "(3, 32)", 1),
          std::tuple("(3, 2, 256)", "(3, 256)", 1), std::tuple("(3, 32)", "(3,)", 1)})
      for (const bool clear : {true, false}) {
        const std::string text = "@T.prim_func\ndef main(A: T.Tensor(" + std::string(shape) +
                                 ", \"float32\"), B: T.Tensor(" + kept +
                                 ", \"float32\")):\n    with T.Kernel(1, threads=32) as bx:\n"
                                 "        T.fill(B, 2)\n        T.reduce_" +
                                 op + "(A, B, dim=" + std::to_string(dim) +
                                 ", clear=" + (clear ? "True" : "False") + ")\n";
        SCOPED_TRACE(text);
        expect_same_steps(parse(text));
      }
}

/// C = A B in tiles, shapes and blocks by chance: tails included.
std::string matmul(int64_t m, int64_t n, int64_t k, int64_t bm, int64_t bn, int64_t bk, bool ta,
                   bool tb) {
  const auto number = [](int64_t value) { return std::to_string(value); };
  const auto pair = [&](int64_t a, int64_t b, bool swapped) {
    return swapped ? "(" + number(b) + ", " + number(a) + ")"
                   : "(" + number(a) + ", " + number(b) + ")";
  };
  const std::string a_at = ta ? "A[k * " + number(bk) + ", by * " + number(bm) + "]"
                              : "A[by * " + number(bm) + ", k * " + number(bk) + "]";
  const std::string b_at = tb ? "B[bx * " + number(bn) + ", k * " + number(bk) + "]"
                              : "B[k * " + number(bk) + ", bx * " + number(bn) + "]";
  return "@T.prim_func\ndef main(A: T.Tensor(" + pair(m, k, ta) + ", \"float32\"), B: T.Tensor(" +
         pair(k, n, tb) + ", \"float32\"), C: T.Tensor(" + pair(m, n, false) +
         ", \"float32\")):\n    with T.Kernel(T.ceildiv(" + number(n) + ", " + number(bn) +
         "), T.ceildiv(" + number(m) + ", " + number(bm) +
         "), threads=128) as (bx, by):\n        A_shared = T.alloc_shared(" + pair(bm, bk, ta) +
         ")\n        B_shared = T.alloc_shared(" + pair(bk, bn, tb) +
         ")\n        C_local = T.alloc_fragment(" + pair(bm, bn, false) +
         ")\n        T.clear(C_local)\n        for k in T.Pipelined(T.ceildiv(" + number(k) + ", " +
         number(bk) + "), num_stages=3):\n            T.copy(" + a_at +
         ", A_shared)\n            T.copy(" + b_at +
         ", B_shared)\n            T.gemm(A_shared, B_shared, C_local, transpose_A=" +
         (ta ? "True" : "False") + ", transpose_B=" + (tb ? "True" : "False") +
         ")\n        T.copy(C_local, C[by * " + number(bm) + ", bx * " + number(bn) + "])\n";
}

TEST(TileMatmul, OfRandomShapesIsTheProductInEveryStep) {
  Random random(11);
  const auto pick = [&](std::initializer_list<int64_t> choices) {
    return choices.begin()[random.below(static_cast<int64_t>(choices.size()))];
  };
  for (int round = 0; round < 24; ++round) {
    const bool ta = random.below(4) == 0;
    const bool tb = random.below(4) == 0;
    const int64_t block_m = pick({4, 8, 14, 16, 20});
    const int64_t block_n = pick({8, 16, 32, 48});
    const int64_t block_k = pick({4, 8, 16, 24});
    // Tiles that fit are read and summed in place, others hang over the edge.
    const bool fits = round % 2 == 0;
    const int64_t m = fits ? block_m * pick({1, 2}) : 1 + random.below(40);
    const int64_t n = fits ? block_n * pick({1, 2}) : 1 + random.below(40);
    const int64_t k = fits ? block_k * pick({1, 3}) : 1 + random.below(40);
    const std::string text = matmul(m, n, k, block_m, block_n, block_k, ta, tb);
    IRModule module = parse(text);
    ASSERT_TRUE(module);
    PrimFunc function = function_of(module);
    for (auto open = open_calls(function, LowerOptions()); open && !open->empty();
         open = open_calls(function, LowerOptions())) {
      const OpenCall& call = open->front();
      const OpenCall::Choice& choice = call.choices.front();
      if (call.choices.size() > 1) {
        function = annotate_open(function, call.label,
                                 Annotations().with(kVariant, make_string(choice.variant)));
        continue;
      }
      const TileKnob& knob = choice.knobs.front();
      const auto value =
          static_cast<size_t>(random.below(static_cast<int64_t>(knob.choices.size())));
      function = annotate_open(
          function, call.label,
          Annotations().with(knob.name, make_int(DataType::int32(), knob.choices[value])));
    }
    module = with_function(module, module->functions.front().name, function);
    SCOPED_TRACE(print(module));
    expect_round_trip(module);
    expect_same_steps(module);
    // The plain product of the same inputs.
    Random inputs(7);
    std::vector<float> a(static_cast<size_t>(m * k));
    std::vector<float> b(static_cast<size_t>(k * n));
    for (std::vector<float>* array : {&a, &b})
      for (float& value : *array)
        value = static_cast<float>(inputs.below(9) - 4);
    const auto result = run(function_of(module));
    ASSERT_TRUE(result);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        float sum = 0;
        for (int64_t l = 0; l < k; ++l)
          sum += a[static_cast<size_t>(ta ? l * m + i : i * k + l)] *
                 b[static_cast<size_t>(tb ? j * k + l : l * n + j)];
        ASSERT_EQ((*result)[0][static_cast<size_t>(i * n + j)], sum) << i << ", " << j;
      }
  }
}

TEST(TileDispatch, TakesWhatACallAsksForAndSaysWhyOthersDoNotFit) {
  const IRModule module = parse(matmul(32, 32, 32, 16, 16, 16, false, false));
  LowerOptions options;
  const auto open = open_calls(function_of(module), options);
  ASSERT_TRUE(open);
  ASSERT_EQ(open->size(), 1U);
  EXPECT_EQ((*open)[0].label, "gemm");
  ASSERT_EQ((*open)[0].choices.size(), 2U);
  const PrimFunc plain = annotate_open(function_of(module), (*open)[0].label,
                                       Annotations().with(kVariant, make_string("loops")));
  expect_same_steps(with_function(module, "main", plain));
  const PrimFunc wrong = annotate_open(function_of(module), (*open)[0].label,
                                       Annotations().with(kVariant, make_string("register_tiles")));
  const auto refused = dispatch_tiles(wrong, options);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("did you mean 'register_tile'?"), std::string::npos)
      << refused.error().message;
  const PrimFunc rows = annotate_open(function_of(module), (*open)[0].label,
                                      Annotations().with("rows", make_int(DataType::int32(), 99)));
  const auto illegal = dispatch_tiles(rows, options);
  ASSERT_FALSE(illegal);
  EXPECT_NE(illegal.error().message.find("rows is one of 1, 2"), std::string::npos)
      << illegal.error().message;
}

} // namespace
} // namespace temper::tir
