#include "ir/interpret.h"

#include "ir/s_tir/layer.h"
#include "ir/support/half.h"
#include "tests/arith/evaluate.h"
#include "tests/support/programs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace temper {
namespace {

using namespace testing; // NOLINT: IR in tests

const DataType kFloat = DataType::float32();
Expr real(double value) { return make_float(kFloat, value); }

class Interpret : public ::testing::Test {
protected:
  Interpret() { register_layer(); }

  /// Runs `body` with A (input, n floats) and B (output).
  Result<void> run(const Stmt& body, const InterpretOptions& options = {}) {
    return interpret(make_function("main", {{a, nullptr}, {b, nullptr}}, body),
                     {input(a_data), output(b_data)}, options);
  }
  void expect_error(const Stmt& body, const std::string& part) {
    const auto result = run(body);
    ASSERT_FALSE(result) << "no error; expected: " << part;
    EXPECT_NE(result.error().message.find(part), std::string::npos) << result.error().to_string();
  }

  Buffer a = make_buffer("A", kFloat, {imm(8)});
  Buffer b = make_buffer("B", kFloat, {imm(8)});
  std::vector<float> a_data = {1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<float> b_data = std::vector<float>(8, -1);
  Var i = make_var("i");
};

TEST_F(Interpret, MatmulOfBlocksMatchesPlainLoops) {
  constexpr int kM = 5;
  constexpr int kN = 7;
  constexpr int kK = 6;
  std::vector<float> x(kM * kK);
  std::vector<float> y(kK * kN);
  std::vector<float> z(kM * kN, NAN);
  std::iota(x.begin(), x.end(), -3.0F);
  std::iota(y.begin(), y.end(), 2.0F);
  const auto result = interpret(matmul(kM, kN, kK), {input(x), input(y), output(z)});
  ASSERT_TRUE(result) << result.error().to_string();
  for (int r = 0; r < kM; ++r)
    for (int c = 0; c < kN; ++c) {
      float sum = 0;
      for (int k = 0; k < kK; ++k)
        sum += x[r * kK + k] * y[k * kN + c];
      EXPECT_EQ(z[r * kN + c], sum);
    }
}

TEST_F(Interpret, PredicateLeavesIterationsOut) {
  const Var vi = make_var("vi");
  BlockParts parts;
  parts.name = "B";
  parts.iter_vars = {{extent(8), vi, IterType::kSpatial}};
  parts.body = make_store(b, {vi}, make_load(a, {vi}));
  const Block block = make_block(std::move(parts));
  ASSERT_TRUE(run(loop_over(i, 12, make_realize({i}, less(i, imm(8)), block))));
  EXPECT_EQ(b_data, a_data);
  const auto result = run(loop_over(i, 12, make_realize({i}, make_bool(true), block)));
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("axis 'vi' of block 'B' is 8, outside its domain [0, 8)"),
            std::string::npos)
      << result.error().message;
}

TEST_F(Interpret, AccessesAreBoundsChecked) {
  expect_error(make_store(b, {imm(8)}, real(1)),
               "index 8 in dimension 0 of B is outside its shape [8]");
  expect_error(make_store(b, {imm(-1)}, real(1)), "index -1 in dimension 0 of B");
  expect_error(make_store(b, {imm(0)}, make_load(a, {imm(9)})), "index 9 in dimension 0 of A");
}

TEST_F(Interpret, ErrorsNameTheLine) {
  const Expr load = make_load(a, {imm(9)});
  load->span = {0, 12, 5};
  expect_error(make_store(b, {imm(0)}, load), "line 12, column 5: index 9");
}

TEST_F(Interpret, UnwrittenElementsMayNotBeRead) {
  expect_error(make_store(b, {imm(0)}, make_load(b, {imm(1)})),
               "read of an element of B that was never written; where the caller gives B its values, "
               "the workload says so: inputs=dict(B=\"normal\")");
  // Content does not survive the end of the sequence.
  const Buffer t = make_buffer("T", kFloat, {imm(8)}, "local");
  const Stmt body =
      make_seq({make_alloc(t),
                make_if(make_binary<EQ>(i, imm(0)), make_store(t, {imm(0)}, real(3)), nullptr),
                make_store(b, {i}, make_load(t, {imm(0)}))});
  expect_error(loop_over(i, 2, body), "read of an element of T that was never written");
  EXPECT_EQ(b_data[0], 3);
}

TEST_F(Interpret, UndefinedArithmeticIsReported) {
  const Expr zero = make_load(a, {imm(0)}); // 1.0
  const Expr n = make_cast(DataType::int32(), zero) - 1;
  const auto store_int = [&](const Expr& value) {
    return make_store(b, {imm(0)}, make_cast(kFloat, value));
  };
  expect_error(store_int(make_binary<FloorDiv>(imm(1), n)), "division by zero");
  expect_error(store_int(make_binary<Mod>(imm(1), n)), "remainder of a division by zero");
  expect_error(store_int(call_op("shift_left", {imm(1), n + 32})),
               "shift of a 32-bit integer by 32");
  expect_error(store_int(call_op("shift_right", {imm(1), n - 1})), "by -1");
  expect_error(store_int(make_cast(DataType::integer(8), zero * real(200))),
               "to int8, which cannot hold it");
}

TEST_F(Interpret, EndlessLoopsEnd) {
  InterpretOptions options;
  options.max_steps = 1000;
  const auto result = run(make_while(make_bool(true), make_store(b, {imm(0)}, real(1))), options);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("did not end within 1000 steps"), std::string::npos);
}

TEST_F(Interpret, AssertionsAndUnknownNames) {
  expect_error(make_assert(make_bool(false), "n must be even"), "assertion failed: n must be even");
  expect_error(make_store(b, {i}, real(1)), "variable 'i' has no value here");
  expect_error(make_store(make_buffer("Z", kFloat, {imm(1)}), {imm(0)}, real(1)),
               "buffer 'Z' does not exist here");
  expect_error(make_store(b, {imm(0), imm(0)}, real(1)), "B has 1 dimensions");
}

TEST_F(Interpret, BreakContinueAndWhile) {
  // for i: if i == 1: continue; if i == 4: break; B[i] = A[i]
  const Stmt body = make_seq({make_if(make_binary<EQ>(i, imm(1)), make_continue()),
                              make_if(make_binary<EQ>(i, imm(4)), make_break()),
                              make_store(b, {i}, make_load(a, {i}))});
  ASSERT_TRUE(run(loop_over(i, 8, body)));
  EXPECT_EQ(b_data, (std::vector<float>{1, -1, 3, 4, -1, -1, -1, -1}));
  // while n[0] < 5: B[n[0]] = n[0]; n[0] += 1
  const Buffer n = make_buffer("n", DataType::int32(), {imm(1)}, "local");
  const Expr count = make_load(n, {imm(0)});
  ASSERT_TRUE(run(make_seq(
      {make_alloc(n), make_store(n, {imm(0)}, imm(0)),
       make_while(less(count, imm(5)), make_seq({make_store(b, {count}, make_cast(kFloat, count)),
                                                 make_store(n, {imm(0)}, count + 1)})),
       make_return(), make_store(b, {imm(7)}, real(99))})));
  EXPECT_EQ(b_data[4], 4);
  EXPECT_EQ(b_data[7], -1);
}

TEST_F(Interpret, ConditionsEvaluateOnlyWhatTheyNeed) {
  const Expr out = make_load(a, {i + 100});
  const auto safe = if_then_else(less(i, imm(0)), out, real(2));
  ASSERT_TRUE(run(loop_over(i, 8, make_store(b, {i}, safe))));
  expect_error(loop_over(i, 8, make_store(b, {i}, make_select(less(i, imm(0)), out, real(2)))),
               "outside its shape");
  const Expr guarded = make_binary<And>(less(i, imm(0)), less(out, real(0)));
  ASSERT_TRUE(run(loop_over(i, 8, make_if(guarded, make_store(b, {i}, real(5))))));
}

TEST_F(Interpret, VectorsLoadStoreAndMask) {
  const auto lanes = [](int64_t base, int64_t stride) {
    return make_ramp(imm(base), imm(stride), 4);
  };
  ASSERT_TRUE(run(
      make_store(b, {lanes(6, -2)}, make_load(a, {lanes(0, 1)}) * make_broadcast(real(10), 4))));
  EXPECT_EQ(b_data, (std::vector<float>{40, -1, 30, -1, 20, -1, 10, -1}));
  // Lanes that are off touch no memory: 6, 7 are inside, 8, 9 are not.
  const Expr mask = make_binary<LT>(lanes(6, 1), make_broadcast(imm(8), 4));
  ASSERT_TRUE(run(make_store(b, {lanes(6, 1)}, make_load(a, {lanes(6, 1)}, mask), mask)));
  EXPECT_EQ(b_data[7], 8);
  const Expr picked =
      make_shuffle({make_load(a, {lanes(0, 1)}), make_load(a, {lanes(4, 1)})}, {imm(7), imm(0)});
  ASSERT_TRUE(run(make_store(b, {make_ramp(imm(0), imm(1), 2)}, picked)));
  EXPECT_EQ(b_data[0], 8);
  EXPECT_EQ(b_data[1], 1);
  const Expr sum = make_call(kFloat, "vector_reduce_add", {make_load(a, {lanes(0, 1)})});
  ASSERT_TRUE(run(make_store(b, {imm(0)}, sum)));
  EXPECT_EQ(b_data[0], 10);
}

TEST_F(Interpret, AVectorThatIsNamedKeepsAllItsLanes) {
  const DataType four = kFloat.with_lanes(4);
  const auto lanes = [](int64_t base) { return make_ramp(imm(base), imm(1), 4); };
  const Var x = make_var("x", four);
  const Var y = make_var("y", four);
  // Named in an expression, one inside the other; x is used behind y.
  const Expr product =
      make_let(x, make_load(a, {lanes(0)}), make_let(y, make_load(a, {lanes(4)}), x * y + x));
  ASSERT_TRUE(run(make_store(b, {lanes(0)}, product)));
  EXPECT_EQ(b_data, (std::vector<float>{6, 14, 24, 36, -1, -1, -1, -1}));
  // A scalar made of a named vector.
  const Var v = make_var("v", four);
  const Expr sum =
      make_let(v, make_load(a, {lanes(4)}), make_call(kFloat, "vector_reduce_add", {v}));
  ASSERT_TRUE(run(make_store(b, {imm(7)}, sum)));
  EXPECT_EQ(b_data[7], 26);
  // Named by a statement.
  const Var w = make_var("w", four);
  ASSERT_TRUE(run(make_seq({make_bind(w, make_load(a, {lanes(0)})),
                            make_store(b, {lanes(4)}, w * make_broadcast(real(2), 4))})));
  EXPECT_EQ(b_data, (std::vector<float>{6, 14, 24, 36, 2, 4, 6, 8}));
}

TEST_F(Interpret, DependentIterationsShowInAnotherOrder) {
  const Stmt dependent = make_seq(
      {make_store(b, {imm(0)}, real(0)),
       make_for(i, imm(1), imm(7), ForKind::kParallel,
                make_store(b, {imm(0)}, make_load(b, {imm(0)}) * real(2) + make_load(a, {i})))});
  ASSERT_TRUE(run(dependent));
  const float forward = b_data[0];
  InterpretOptions options;
  options.parallel_order = ParallelOrder::kReverse;
  ASSERT_TRUE(run(dependent, options));
  EXPECT_NE(b_data[0], forward);
  for (const auto order : {ParallelOrder::kReverse, ParallelOrder::kRandom}) {
    options.parallel_order = order;
    ASSERT_TRUE(
        run(loop_over(i, 8, make_store(b, {i}, make_load(a, {i})), ForKind::kParallel), options));
    EXPECT_EQ(b_data, a_data);
  }
}

TEST_F(Interpret, StridedParametersAndSymbolicShapes) {
  const Var n = make_var("n");
  const Buffer x = make_buffer("X", kFloat, {n, imm(2)});
  const Buffer y = copy_node(*make_buffer("Y", kFloat, {imm(2), n}), [](BufferNode& node) {
    node.strides = {imm(5), imm(1)};
    node.elem_offset = imm(1);
  });
  const Var j = make_var("j");
  const PrimFunc function = copy_node(
      *make_function("main", {{x, nullptr}, {y, nullptr}},
                     make_for(i, imm(0), n, ForKind::kSerial,
                              loop_over(j, 2, make_store(y, {j, i}, make_load(x, {i, j}))))),
      [&](PrimFuncNode& node) { node.shape_vars = {n}; });
  std::vector<float> x_data = {1, 2, 3, 4, 5, 6};
  std::vector<float> y_data(10, 0);
  ArrayView view = input(x_data);
  EXPECT_FALSE(interpret(function, {view, output(y_data)})) << "n is not known";
  view.shape = {3, 2};
  const auto result = interpret(function, {view, output(y_data)});
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(y_data, (std::vector<float>{0, 1, 3, 5, 0, 0, 2, 4, 6, 0}));
  std::vector<float> small(8);
  EXPECT_FALSE(interpret(function, {view, output(small)}));
}

TEST_F(Interpret, MatchedBuffersAreViews) {
  // T views A[2:6], starting where its offset says.
  const Var offset = make_var("offset");
  const Buffer t = copy_node(*make_buffer("T", kFloat, {imm(4)}),
                             [&](BufferNode& node) { node.elem_offset = offset; });
  BlockParts parts;
  parts.name = "view";
  parts.match_buffers = {{{a, {{imm(2), imm(4)}}}, t}};
  parts.body = loop_over(
      i, 4, make_store(b, {i}, make_load(t, {i}) + make_cast(kFloat, offset) * real(100)));
  ASSERT_TRUE(run(make_realize({}, make_bool(true), make_block(std::move(parts)))));
  EXPECT_EQ(b_data[0], 203);
  EXPECT_EQ(b_data[3], 206);
}

TEST_F(Interpret, WrongArgumentsAreRefused) {
  const PrimFunc function = make_function("main", {{a, nullptr}}, make_seq({}));
  std::vector<double> doubles(8);
  std::vector<float> few(7);
  EXPECT_FALSE(interpret(function, {}));
  EXPECT_FALSE(interpret(function, {input(doubles)}));
  EXPECT_FALSE(interpret(function, {input(few)}));
  EXPECT_FALSE(interpret(function, {int64_t{3}}));
  EXPECT_TRUE(interpret(function, {input(a_data)}));
  EXPECT_FALSE(interpret(make_module(function), "other", std::vector<InterpretArgument>{}));
}

TEST_F(Interpret, HalfPrecisionRoundsEachOperation) {
  for (const DataType dtype : {DataType::floating(16), DataType::bfloat16()}) {
    const Buffer x = make_buffer("X", dtype, {imm(2)});
    std::vector<uint16_t> bits = {0, 0};
    ArrayView view{dtype, bits.data(), 2};
    // 1 + 2^-12 is 1 in both types.
    const Expr tiny = make_float(dtype, 0x1p-12);
    const Stmt body =
        make_seq({make_store(x, {imm(0)}, make_binary<Add>(make_float(dtype, 1), tiny)),
                  make_store(x, {imm(1)}, tiny)});
    ASSERT_TRUE(interpret(make_function("main", {{x, nullptr}}, body), {view}));
    const bool is_half = dtype.code == TypeCode::kFloat;
    EXPECT_EQ(is_half ? float16_to_float(bits[0]) : bfloat16_to_float(bits[0]), 1.0F);
    EXPECT_EQ(is_half ? float16_to_float(bits[1]) : bfloat16_to_float(bits[1]), 0x1p-12F);
  }
}

TEST(Half, ConversionsAgreeWithTheCompilersType) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = float16_to_float(half);
    const auto expected = static_cast<float>(std::bit_cast<_Float16>(half));
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value));
      continue;
    }
    ASSERT_EQ(value, expected) << bits;
    ASSERT_EQ(float_to_float16(value), half) << bits;
    const float wide = bfloat16_to_float(half);
    if (!std::isnan(wide)) {
      ASSERT_EQ(float_to_bfloat16(wide), half) << bits;
    }
  }
  Random random(3);
  for (int round = 0; round < 200000; ++round) {
    const auto value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    const auto near_half = static_cast<float>((random.uniform() - 0.5) * 1e5 *
                                              std::exp2(-static_cast<double>(random.below(40))));
    for (const float x : {value, near_half}) {
      if (std::isnan(x))
        continue;
      ASSERT_EQ(float_to_float16(x), std::bit_cast<uint16_t>(static_cast<_Float16>(x))) << x;
      // bfloat16: the nearer neighbour, the even one when both are as near.
      const auto below = static_cast<uint16_t>(std::bit_cast<uint32_t>(x) >> 16);
      const auto rest = std::bit_cast<uint32_t>(x) & 0xffff;
      const bool up = rest > 0x8000 || (rest == 0x8000 && (below & 1) != 0);
      ASSERT_EQ(float_to_bfloat16(x), static_cast<uint16_t>(below + (up ? 1 : 0))) << x;
    }
  }
}

/// Random integer expressions of each width against direct evaluation, with wrapping.
TEST_F(Interpret, RandomIntegersMatchDirectEvaluation) {
  Random random(17);
  for (const DataType dtype : {DataType::integer(8), DataType::integer(16), DataType::int32(),
                               DataType::int64(), DataType::uint(8), DataType::uint(16)}) {
    for (int round = 0; round < 400; ++round) {
      const Var x = make_var("x", dtype);
      const Var y = make_var("y", dtype);
      ir::testing::Generator generator(random, {x, y});
      const Expr expr = round % 3 == 0 ? generator.boolean(3) : generator.integer(4);
      const Buffer out = make_buffer("out", DataType::int64(), {imm(1)});
      const PrimFunc function =
          make_function("main", {{nullptr, x}, {nullptr, y}, {out, nullptr}},
                        make_store(out, {imm(0)}, make_cast(DataType::int64(), expr)));
      for (int sample = 0; sample < 5; ++sample) {
        const int64_t u = wrap_integer(dtype, random.between(-200, 200));
        const int64_t v = wrap_integer(dtype, random.between(-200, 200));
        std::vector<int64_t> value(1);
        const auto expected = ir::testing::evaluate(expr, {{x.get(), u}, {y.get(), v}});
        const auto result = interpret(function, {u, v, output(value)});
        ASSERT_EQ(result.has_value(), expected.has_value()) << ir::testing::text_of(expr);
        if (expected) {
          ASSERT_EQ(value[0], *expected) << ir::testing::text_of(expr) << " " << u << " " << v;
        }
      }
    }
  }
}

/// Random float32 arithmetic against the same in C++: bit for bit.
TEST_F(Interpret, RandomFloatsMatchTheHost) {
  Random random(23);
  const Var x = make_var("x", kFloat);
  const Var y = make_var("y", kFloat);
  const Buffer out = make_buffer("out", kFloat, {imm(1)});
  for (int round = 0; round < 1000; ++round) {
    const auto u = static_cast<float>(random.normal());
    const auto v = static_cast<float>(random.normal());
    // An expression and its value, grown together.
    Expr expr = x;
    float expected = u;
    for (int64_t step = random.between(1, 8); step > 0; --step) {
      const bool use_y = random.below(2) == 0;
      const auto constant = static_cast<float>(random.normal());
      const Expr other = use_y ? Expr(y) : real(constant);
      const float w = use_y ? v : constant;
      switch (random.below(8)) {
      case 0:
        expr = make_binary<Add>(expr, other);
        expected = expected + w;
        break;
      case 1:
        expr = make_binary<Sub>(expr, other);
        expected = expected - w;
        break;
      case 2:
        expr = make_binary<Mul>(expr, other);
        expected = expected * w;
        break;
      case 3:
        expr = make_binary<Div>(expr, other);
        expected = expected / w;
        break;
      case 4:
        expr = make_binary<Min>(expr, other);
        expected = expected < w ? expected : w;
        break;
      case 5:
        expr = make_binary<Max>(expr, other);
        expected = expected > w ? expected : w;
        break;
      case 6:
        expr = call_op("fma", {expr, other, x});
        expected = std::fma(expected, w, u);
        break;
      default:
        expr = call_op("abs", {expr});
        expected = std::fabs(expected);
        break;
      }
    }
    std::vector<float> value(1);
    ASSERT_TRUE(interpret(make_function("main", {{nullptr, x}, {nullptr, y}, {out, nullptr}},
                                        make_store(out, {imm(0)}, expr)),
                          {static_cast<double>(u), static_cast<double>(v), output(value)}));
    if (std::isnan(expected))
      ASSERT_TRUE(std::isnan(value[0]));
    else
      ASSERT_EQ(std::bit_cast<uint32_t>(value[0]), std::bit_cast<uint32_t>(expected))
          << ir::testing::text_of(expr);
  }
}

} // namespace
} // namespace temper
