#include "tests/codegen/math_check.h"

#include <cstring>

namespace temper::codegen::testing {
namespace {

constexpr int64_t kChunk = 1 << 12;

TEST(Math, ErrorIsAsStatedOnASampleOfAllFloats) {
  for (const MathCase& test : math_cases()) {
    const Loaded kernel(must_compile(apply(test.op, DataType::float32(), kChunk, 16)));
    const MathWorst worst = measure(test, kernel, kChunk, 12345, 99991);
    EXPECT_LE(worst.ulp, test.max_ulp) << test.op << "(" << worst.at << ") = " << worst.value
                                       << ", exact " << static_cast<double>(test.exact(worst.at));
  }
}

TEST(Math, SpecialValues) {
  const float inf = INFINITY, tiny = 0x1p-149f, small = 1e-40f;
  const std::vector<float> values = {
      NAN,     -NAN,   inf,     -inf,    0.0f,   -0.0f,   tiny,     -tiny,
      small,   -small, 1.0f,    -1.0f,   88.72f, 88.73f,  -87.3f,   -103.9f,
      -104.1f, 128.0f, -149.0f, -150.5f, 38.53f, 3.4e38f, -3.4e38f, 0.5f,
      2.0f,    10.0f,  0.9f,    -0.9f,   4.0f,   9.01f,   1e-8f,    -0.999999f};
  for (const MathCase& test : math_cases()) {
    std::vector<float> in(kChunk, 1.0f), out(kChunk);
    std::copy(values.begin(), values.end(), in.begin());
    ASSERT_EQ(
        Loaded(must_compile(apply(test.op, DataType::float32(), kChunk, 8)))(in.data(), out.data()),
        0);
    for (size_t i = 0; i < values.size(); ++i) {
      const double error = ulp_error(out[i], test.exact(values[i]));
      EXPECT_LE(error, test.max_ulp) << test.op << "(" << values[i] << ") = " << out[i];
    }
    // Odd functions keep the sign of zero.
    if (std::string(test.op) == "tanh" || std::string(test.op) == "erf" ||
        std::string(test.op) == "log1p") {
      EXPECT_TRUE(std::signbit(out[5]) && !std::signbit(out[4])) << test.op;
    }
  }
}

TEST(Math, ResultsDoNotDependOnTheVectorWidth) {
  std::vector<float> in(kChunk), reference(kChunk), out(kChunk);
  for (int64_t i = 0; i < kChunk; ++i)
    in[i] = std::ldexp(static_cast<float>((i * 7919) % 4001 - 2000) / 2000, (i % 23) - 12);
  for (const MathCase& test : math_cases()) {
    ASSERT_EQ(Loaded(must_compile(apply(test.op, DataType::float32(), kChunk, 1)))(
                  in.data(), reference.data()),
              0);
    for (const int lanes : {2, 4, 8, 16, 32, 64}) {
      ASSERT_EQ(Loaded(must_compile(apply(test.op, DataType::float32(), kChunk, lanes)))(
                    in.data(), out.data()),
                0);
      EXPECT_EQ(std::memcmp(out.data(), reference.data(), kChunk * sizeof(float)), 0)
          << test.op << " in vectors of " << lanes;
    }
  }
}

TEST(Math, WorksWithoutFusedMultiplyAdd) {
  ir::Target target = native();
  target.arch = "x86-64";
  for (const MathCase& test : math_cases()) {
    const Loaded kernel(must_compile(apply(test.op, DataType::float32(), kChunk, 4), target));
    const MathWorst worst = measure(test, kernel, kChunk, 777, 1999993);
    EXPECT_LE(worst.ulp, test.max_ulp + 1) << test.op << "(" << worst.at << ") = " << worst.value;
  }
}

TEST(Math, Float64ComesFromLibm) {
  std::vector<double> in(64), out(64);
  for (int i = 0; i < 64; ++i)
    in[i] = (i - 20) * 0.37;
  for (const MathCase& test : math_cases()) {
    ASSERT_EQ(
        Loaded(must_compile(apply(test.op, DataType::float64(), 64, 8)))(in.data(), out.data()), 0);
    for (int i = 0; i < 64; ++i) {
      const auto exact = static_cast<double>(test.exact(in[i]));
      if (!std::isfinite(exact))
        EXPECT_TRUE(std::isnan(exact) ? std::isnan(out[i]) : out[i] == exact) << test.op << in[i];
      else
        EXPECT_NEAR(out[i], exact, 1e-15 + std::fabs(exact) * 1e-15) << test.op << "(" << in[i];
    }
  }
}

TEST(Math, RareFunctionsAndPowers) {
  const DataType f = DataType::float32();
  for (const char* op : {"sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh"}) {
    std::vector<float> in(16), out(16);
    for (int i = 0; i < 16; ++i)
      in[i] = static_cast<float>(i - 8) / 8.5f;
    ASSERT_EQ(Loaded(must_compile(apply(op, f, 16, 16)))(in.data(), out.data()), 0);
    for (int i = 0; i < 16; ++i) {
      const double x = in[i];
      const std::string name = op;
      const double exact = name == "sin"    ? std::sin(x)
                           : name == "cos"  ? std::cos(x)
                           : name == "tan"  ? std::tan(x)
                           : name == "asin" ? std::asin(x)
                           : name == "acos" ? std::acos(x)
                           : name == "atan" ? std::atan(x)
                           : name == "sinh" ? std::sinh(x)
                                            : std::cosh(x);
      EXPECT_NEAR(out[i], exact, 1e-7 + std::fabs(exact) * 2e-7) << op << "(" << x;
    }
  }
  const Buffer a = flat("A", f, 8), b = flat("B", f, 8), c = flat("C", f, 48);
  std::vector<Stmt> stores;
  const Expr x = make_load(a, {ramp(imm(0), 8)});
  const Expr y = make_load(b, {ramp(imm(0), 8)});
  stores.push_back(make_store(c, {ramp(imm(0), 8)}, call_op("pow", {x, y})));
  stores.push_back(make_store(c, {ramp(imm(8), 8)}, call_op("atan2", {x, y})));
  stores.push_back(make_store(c, {ramp(imm(16), 8)}, call_op("pow", {x, splat(f32(2), 8)})));
  stores.push_back(make_store(c, {ramp(imm(24), 8)}, call_op("pow", {x, splat(f32(3), 8)})));
  stores.push_back(make_store(c, {ramp(imm(32), 8)}, call_op("pow", {x, splat(f32(-1), 8)})));
  stores.push_back(make_store(c, {ramp(imm(40), 8)}, call_op("pow", {x, splat(f32(0.5), 8)})));
  std::vector<float> in{0.5f, 1, 2, 3.5f, 10, 0.1f, 7, 1e-3f},
      by{2, -1, 0.5f, 3, 0, 2.25f, -0.3f, 1};
  std::vector<float> out(48);
  ASSERT_EQ(Loaded(must_compile(function_of({{a, nullptr}, {b, nullptr}, {c, nullptr}},
                                            make_seq(stores))))(in.data(), by.data(), out.data()),
            0);
  for (int i = 0; i < 8; ++i) {
    const double v = in[i];
    EXPECT_NEAR(out[i] / std::pow(v, by[i]), 1, 2e-7);
    EXPECT_NEAR(out[8 + i], std::atan2(v, by[i]), 5e-7);
    EXPECT_NEAR(out[16 + i] / (v * v), 1, 1e-7);
    EXPECT_NEAR(out[24 + i] / (v * v * v), 1, 2e-7);
    EXPECT_NEAR(out[32 + i] * v, 1, 1e-7);
    EXPECT_NEAR(out[40 + i] / std::sqrt(v), 1, 2e-7);
  }
}

TEST(Math, SixteenBitFloatsAreRoundedOnceFromFloat) {
  for (const DataType type : {DataType::floating(16), DataType::bfloat16()}) {
    const Buffer a = flat("A", DataType::float32(), 256), b = flat("B", DataType::float32(), 256);
    const Var i = index_var("i");
    const Expr narrow = make_cast(type, make_load(a, {Expr(i)}));
    const Stmt body =
        make_store(b, {Expr(i)}, make_cast(DataType::float32(), call_op("exp", {narrow})));
    std::vector<float> in(256), out(256);
    for (int x = 0; x < 256; ++x)
      in[x] = static_cast<float>(x - 128) / 16;
    ASSERT_EQ(Loaded(must_compile(function_of({{a, nullptr}, {b, nullptr}}, serial(i, 256, body))))(
                  in.data(), out.data()),
              0);
    const double step = type.code == TypeCode::kBFloat ? 0x1p-8 : 0x1p-11;
    for (int x = 0; x < 256; ++x)
      EXPECT_NEAR(out[x] / std::exp(in[x]), 1, step * 1.01 + (out[x] < 6.2e-5 ? 1e-3 : 0)) << in[x];
  }
}

} // namespace
} // namespace temper::codegen::testing
