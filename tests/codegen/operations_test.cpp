// Compiled code against the interpreter: every operation on every type, scalar and in vectors, and
// random programs.
#include "ir/interpret.h"
#include "ir/support/random.h"
#include "tests/codegen/build.h"

#include <cstring>
#include <limits>

namespace temper::codegen::testing {
namespace {

constexpr int64_t kCount = 64;

const std::vector<DataType>& integer_types() {
  static const std::vector<DataType> types = {
      DataType::integer(8), DataType::integer(16), DataType::integer(32), DataType::integer(64),
      DataType::uint(8),    DataType::uint(16),    DataType::uint(32),    DataType::uint(64)};
  return types;
}
const std::vector<DataType>& float_types() {
  static const std::vector<DataType> types = {DataType::float32(), DataType::float64(),
                                              DataType::floating(16), DataType::bfloat16()};
  return types;
}

struct Array {
  DataType dtype;
  std::vector<char> bytes;
  Array(DataType type, int64_t count)
      : dtype(type), bytes(static_cast<size_t>(count * type.element_bytes())) {}
  int64_t count() const { return static_cast<int64_t>(bytes.size()) / dtype.element_bytes(); }
  ArrayView view(bool initialised) { return {dtype, bytes.data(), count(), {}, initialised}; }
};

/// Runs C[...] = make(A[...], B[...]) over kCount elements both ways and compares every bit.
/// Only `make` knows the result's type; `a` and `b` are the data.
template <typename Make> void compare(const std::string& what, Array& a, Array& b, Make&& make) {
  for (const int lanes : {1, 8}) {
    const Buffer left = flat("A", a.dtype, kCount), right = flat("B", b.dtype, kCount);
    const Var i = index_var("i");
    const Expr place = lanes == 1 ? Expr(i) : ramp(Expr(i) * lanes, lanes);
    const Expr value = make(make_load(left, {place}), make_load(right, {place}));
    const DataType type = value->dtype.element();
    const Buffer out = flat("C", type, kCount);
    const PrimFunc function =
        function_of({{left, nullptr}, {right, nullptr}, {out, nullptr}},
                    serial(i, kCount / lanes, make_store(out, {place}, value)));
    Array expected(type, kCount), got(type, kCount);
    const auto done = interpret(function, {a.view(true), b.view(true), expected.view(false)});
    ASSERT_TRUE(done) << what << ": " << done.error().to_string();
    ASSERT_EQ(Loaded(must_compile(function))(a.bytes.data(), b.bytes.data(), got.bytes.data()), 0);
    for (int64_t x = 0; x < kCount; ++x) {
      const auto size = static_cast<size_t>(type.element_bytes());
      const size_t at = static_cast<size_t>(x) * size;
      ASSERT_EQ(std::memcmp(&expected.bytes[at], &got.bytes[at], size), 0)
          << what << " in lanes of " << lanes << " differs at element " << x;
    }
  }
}

/// Random integers with the edge values of the type among them; `low`..`high` when given.
Array random_integers(DataType type, Random& random, bool no_zero = false, int64_t high = 0) {
  Array array(type, kCount);
  for (int64_t i = 0; i < kCount; ++i) {
    int64_t value = high > 0     ? random.between(0, high)
                    : i % 8 == 0 ? (type.is_int() ? int64_t{1} << (type.bits - 1) : -1)
                    : i % 8 == 1 ? -1
                    : i % 8 == 2 ? random.between(-9, 9)
                                 : static_cast<int64_t>(random());
    value = wrap_integer(type, value);
    if (no_zero && value == 0)
      value = 3;
    std::memcpy(&array.bytes[static_cast<size_t>(i * type.element_bytes())], &value,
                static_cast<size_t>(type.element_bytes()));
  }
  return array;
}

/// Multiples of 1/8 in [-32, 32], exact in every floating type.
Array random_floats(DataType type, Random& random, bool no_zero = false) {
  Array array(type, kCount);
  for (int64_t i = 0; i < kCount; ++i) {
    float value = static_cast<float>(random.between(-32, 32)) / 8;
    if (no_zero && value == 0)
      value = 1.5f;
    const double wide = value;
    uint32_t bits = 0;
    std::memcpy(&bits, &value, 4);
    char* place = &array.bytes[static_cast<size_t>(i * type.element_bytes())];
    if (type.code == TypeCode::kBFloat) {
      const auto upper = static_cast<uint16_t>(bits >> 16);
      std::memcpy(place, &upper, 2);
    } else if (type.bits == 16) {
      const auto half = static_cast<uint16_t>(
          value == 0 ? 0 : (bits >> 16 & 0x8000) | ((bits & 0x7fffffff) - 0x38000000) >> 13);
      std::memcpy(place, &half, 2);
    } else if (type.bits == 32) {
      std::memcpy(place, &value, 4);
    } else {
      std::memcpy(place, &wide, 8);
    }
  }
  return array;
}

TEST(Operations, IntegerArithmeticOfEveryTypeWrapsAndDividesAsTheInterpreterDoes) {
  Random random(1);
  for (const DataType type : integer_types()) {
    Array a = random_integers(type, random), b = random_integers(type, random);
    Array divisor = random_integers(type, random, true);
    const std::string name = to_string(type) + " ";
    compare(name + "add", a, b, [](Expr x, Expr y) { return make_binary<Add>(x, y); });
    compare(name + "sub", a, b, [](Expr x, Expr y) { return make_binary<Sub>(x, y); });
    compare(name + "mul", a, b, [](Expr x, Expr y) { return make_binary<Mul>(x, y); });
    compare(name + "min", a, b, [](Expr x, Expr y) { return make_binary<Min>(x, y); });
    compare(name + "max", a, b, [](Expr x, Expr y) { return make_binary<Max>(x, y); });
    compare(name + "div", a, divisor, [](Expr x, Expr y) { return make_binary<Div>(x, y); });
    compare(name + "mod", a, divisor, [](Expr x, Expr y) { return make_binary<Mod>(x, y); });
    compare(name + "floordiv", a, divisor,
            [](Expr x, Expr y) { return make_binary<FloorDiv>(x, y); });
    compare(name + "floormod", a, divisor,
            [](Expr x, Expr y) { return make_binary<FloorMod>(x, y); });
    for (const int64_t constant : {1, 2, 3, 8, 100})
      compare(name + "floordiv and floormod by a constant", a, b, [&](Expr x, Expr) {
        const Expr by = make_const_int(x->dtype, constant);
        return make_binary<Add>(make_binary<FloorDiv>(x, by), make_binary<FloorMod>(x, by));
      });
  }
}

TEST(Operations, BitsOfEveryIntegerType) {
  Random random(2);
  for (const DataType type : integer_types()) {
    Array a = random_integers(type, random), b = random_integers(type, random);
    Array amount = random_integers(type, random, false, type.bits - 1);
    for (const char* op : {"bitwise_and", "bitwise_or", "bitwise_xor"})
      compare(to_string(type) + " " + op, a, b, [&](Expr x, Expr y) {
        return call_op(op, {x, y});
      });
    for (const char* op : {"shift_left", "shift_right"})
      compare(to_string(type) + " " + op, a, amount, [&](Expr x, Expr y) {
        return call_op(op, {x, y});
      });
    for (const char* op : {"bitwise_not", "popcount", "clz"})
      compare(to_string(type) + " " + op, a, b, [&](Expr x, Expr) { return call_op(op, {x}); });
  }
}

template <typename T> Expr comparison(const Expr& x, const Expr& y) { return make_binary<T>(x, y); }

TEST(Operations, ComparisonsSelectionsAndLogicOfEveryType) {
  Random random(3);
  std::vector<DataType> types = integer_types();
  types.insert(types.end(), float_types().begin(), float_types().end());
  for (const DataType type : types) {
    Array a = type.is_floating() ? random_floats(type, random) : random_integers(type, random);
    Array b = type.is_floating() ? random_floats(type, random) : random_integers(type, random);
    const std::string name = to_string(type);
    using Compare = Expr (*)(const Expr&, const Expr&);
    for (const Compare test : {comparison<EQ>, comparison<NE>, comparison<LT>, comparison<LE>,
                               comparison<GT>, comparison<GE>}) {
      compare(name + " comparison", a, b, test);
      compare(name + " select", a, b,
              [&](Expr x, Expr y) { return make_select(test(x, y), x, y); });
    }
    compare(name + " logic", a, b, [&](Expr x, Expr y) {
      return make_binary<Or>(
          make_binary<And>(make_binary<LT>(x, y), make_not(comparison<EQ>(x, y))),
          comparison<GE>(y, x));
    });
  }
}

TEST(Operations, FloatingArithmeticOfEveryTypeRoundsOnce) {
  Random random(4);
  for (const DataType type : float_types()) {
    Array a = random_floats(type, random), b = random_floats(type, random, true);
    const std::string name = to_string(type) + " ";
    compare(name + "add", a, b, [](Expr x, Expr y) { return make_binary<Add>(x, y); });
    compare(name + "sub", a, b, [](Expr x, Expr y) { return make_binary<Sub>(x, y); });
    compare(name + "mul", a, b, [](Expr x, Expr y) { return make_binary<Mul>(x, y); });
    compare(name + "div", a, b, [](Expr x, Expr y) { return make_binary<Div>(x, y); });
    compare(name + "min", a, b, [](Expr x, Expr y) { return make_binary<Min>(x, y); });
    compare(name + "max", a, b, [](Expr x, Expr y) { return make_binary<Max>(x, y); });
    for (const char* op :
         {"floor", "ceil", "round", "trunc", "nearbyint", "abs", "isnan", "isinf", "isfinite"})
      compare(name + op, a, b, [&](Expr x, Expr) { return call_op(op, {x}); });
    compare(name + "copysign", a, b, [](Expr x, Expr y) { return call_op("copysign", {x, y}); });
  }
}

TEST(Operations, CastsBetweenAllTypes) {
  Random random(5);
  std::vector<DataType> types = integer_types();
  types.insert(types.end(), float_types().begin(), float_types().end());
  for (const DataType from : types)
    for (const DataType to : types) {
      // Values that every type can hold, so that no cast is undefined.
      Array a = from.is_floating() ? random_floats(from, random)
                                   : random_integers(from, random, false, 100);
      compare(to_string(from) + " to " + to_string(to), a, a, [&](Expr x, Expr) {
        const Expr value = from.is_floating() ? call_op("abs", {x}) : x;
        return make_cast(to.with_lanes(x->dtype.lanes), value);
      });
    }
}

TEST(Operations, Float64RoundsOnceToSixteenBits) {
  Random random(6);
  Array a(DataType::float64(), kCount);
  for (int64_t i = 0; i < kCount; ++i) {
    // Near the middle between two 16-bit floats, where rounding twice goes wrong.
    const double middle = 1 + (2 * static_cast<double>(i) + 1) * (i % 2 ? 0x1p-12 : 0x1p-9);
    const double value = middle + (i % 3 - 1) * 0x1p-40;
    std::memcpy(&a.bytes[static_cast<size_t>(i) * 8], &value, 8);
  }
  for (const DataType to : {DataType::floating(16), DataType::bfloat16()})
    compare("float64 to " + to_string(to), a, a,
            [&](Expr x, Expr) { return make_cast(to.with_lanes(x->dtype.lanes), x); });
}

TEST(Operations, ReinterpretAndReductionsOfVectors) {
  Random random(7);
  const DataType i32 = DataType::int32();
  const Buffer a = flat("A", i32, 16), b = flat("B", i32, 4), c = flat("C", DataType::uint(32), 16);
  const Expr all = make_load(a, {ramp(imm(0), 16)});
  std::vector<Stmt> body;
  int64_t next = 0;
  for (const char* op : {"vector_reduce_add", "vector_reduce_max", "vector_reduce_min"})
    body.push_back(make_store(b, {imm(next++)}, make_call(i32, op, {all})));
  body.push_back(make_store(
      b, {imm(3)}, make_call(i32, "vector_reduce_add", {make_load(a, {ramp(imm(0), 4)})})));
  body.push_back(
      make_store(c, {ramp(imm(0), 16)}, make_call(DataType::uint(32, 16), "reinterpret", {all})));
  const PrimFunc function = function_of({{a, nullptr}, {b, nullptr}, {c, nullptr}}, make_seq(body));
  std::vector<int32_t> in(16), out(4), expected(4);
  std::vector<uint32_t> bits(16), expected_bits(16);
  for (int32_t& value : in)
    value = static_cast<int32_t>(random());
  ASSERT_TRUE(interpret(function, {input(in), output(expected), output(expected_bits)}));
  ASSERT_EQ(Loaded(must_compile(function))(in.data(), out.data(), bits.data()), 0);
  EXPECT_EQ(out, expected);
  EXPECT_EQ(bits, expected_bits);
}

TEST(Operations, ExtremaBesideNaNAreWhatTheInterpreterFinds) {
  // The second operand wherever one is NaN; across lanes in the order in which halves are combined.
  constexpr int kLanes = 16;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const DataType f32 = DataType::float32();
  const Buffer a = flat("A", f32, kLanes), b = flat("B", f32, kLanes);
  const Buffer c = flat("C", f32, 4 * kLanes), d = flat("D", f32, 6);
  const Expr x = make_load(a, {ramp(imm(0), kLanes)});
  const Expr y = make_load(b, {ramp(imm(0), kLanes)});
  std::vector<Stmt> body{make_store(c, {ramp(imm(0), kLanes)}, make_binary<Max>(x, y)),
                         make_store(c, {ramp(imm(kLanes), kLanes)}, make_binary<Min>(x, y))};
  for (int64_t i = 0; i < kLanes; ++i) { // one by one
    const Expr p = make_load(a, {imm(i)});
    const Expr q = make_load(b, {imm(i)});
    body.push_back(make_store(c, {imm(2 * kLanes + i)}, make_binary<Max>(p, q)));
    body.push_back(make_store(c, {imm(3 * kLanes + i)}, make_binary<Min>(p, q)));
  }
  int64_t next = 0;
  for (const int lanes : {kLanes, 8, 2})
    for (const char* op : {"vector_reduce_max", "vector_reduce_min"})
      body.push_back(
          make_store(d, {imm(next++)}, make_call(f32, op, {make_load(a, {ramp(imm(0), lanes)})})));
  const PrimFunc function =
      function_of({{a, nullptr}, {b, nullptr}, {c, nullptr}, {d, nullptr}}, make_seq(body));
  const Loaded kernel(must_compile(function));
  const auto bits = [](const std::vector<float>& values) {
    std::vector<uint32_t> result(values.size());
    std::memcpy(result.data(), values.data(), values.size() * sizeof(float));
    return result;
  };
  for (int where = 0; where < kLanes; ++where) {
    std::vector<float> first(kLanes), second(kLanes);
    for (int i = 0; i < kLanes; ++i) {
      first[static_cast<size_t>(i)] = static_cast<float>(i * 7 % kLanes);
      second[static_cast<size_t>(i)] = static_cast<float>(i * 5 % kLanes);
    }
    first[static_cast<size_t>(where)] = nan;
    second[static_cast<size_t>(where * 3 % kLanes)] = nan;
    std::vector<float> found(4 * kLanes), expected(4 * kLanes), lanes(6), expected_lanes(6);
    ASSERT_TRUE(interpret(function,
                          {input(first), input(second), output(expected), output(expected_lanes)}));
    ASSERT_EQ(kernel(first.data(), second.data(), found.data(), lanes.data()), 0);
    EXPECT_EQ(bits(found), bits(expected)) << "NaN in lane " << where;
    EXPECT_EQ(bits(lanes), bits(expected_lanes)) << "NaN in lane " << where;
    EXPECT_EQ(bits({expected[static_cast<size_t>(where)]}),
              bits({second[static_cast<size_t>(where)]}));
  }
}

TEST(Operations, ALetOfAVectorKeepsAllLanes) {
  const DataType i32 = DataType::int32();
  const Buffer a = flat("A", i32, 8), b = flat("B", i32, 8);
  const Expr load = make_load(a, {ramp(imm(0), 8)});
  const Var x = make_var("x", load->dtype);
  const Stmt body =
      make_store(b, {ramp(imm(0), 8)}, make_let(x, load, make_binary<Mul>(Expr(x), Expr(x))));
  std::vector<int32_t> in{1, 2, 3, 4, 5, 6, 7, 8}, out(8);
  ASSERT_EQ(
      Loaded(must_compile(function_of({{a, nullptr}, {b, nullptr}}, body)))(in.data(), out.data()),
      0);
  for (int lane = 0; lane < 8; ++lane)
    EXPECT_EQ(out[lane], in[lane] * in[lane]);
}

/// A place in a buffer of 64 int32: constant or moved by `i`, one lane, eight, or eight with gaps.
struct RandomPlace {
  Expr index;
  Expr mask; ///< null mostly
  int lanes;
};
RandomPlace random_place(Random& random, const Expr& i) {
  // Few different places, so that many are the same or overlap.
  const Expr start = make_binary<Add>(random.below(3) == 0 ? make_binary<Mul>(i, imm(4)) : imm(0),
                                      imm(4 * random.below(4) + random.below(2)));
  const int64_t shape = random.below(8);
  if (shape < 3)
    return {start, nullptr, 1};
  const Expr index = ramp(start, 8, shape == 3 ? 2 : 1);
  if (shape > 4)
    return {index, nullptr, 8};
  return {index, make_binary<LT>(ramp(imm(0), 8), splat(imm(random.between(1, 7)), 8)), 8};
}

TEST(Operations, LoadsAndStoresThatOverlapInABlockKeepTheirOrder) {
  const DataType i32 = DataType::int32();
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Random random(seed);
    const Buffer data = flat("A", i32, kCount), out = flat("C", i32, kCount);
    const Buffer local = flat("T", i32, kCount, "local");
    const Var i = index_var("i"), j = index_var("j"), k = index_var("k");
    std::vector<Stmt> block;
    for (int n = 0; n < 24; ++n) {
      const Buffer& to = random.below(2) == 0 ? local : out;
      const Buffer& from = random.below(2) == 0 ? local : random.below(2) == 0 ? out : data;
      const RandomPlace place = random_place(random, i);
      RandomPlace source = random_place(random, i);
      while (source.lanes != place.lanes && source.lanes != 1)
        source = random_place(random, i);
      Expr value = make_load(from, {source.index}, source.mask);
      if (source.lanes != place.lanes)
        value = splat(value, place.lanes);
      value = make_binary<Add>(value, make_const_int(value->dtype, n));
      block.push_back(make_store(to, {place.index}, value, place.mask));
    }
    const PrimFunc function = function_of(
        {{data, nullptr}, {out, nullptr}},
        make_seq(
            {make_alloc(local),
             serial(j, kCount,
                    make_seq({make_store(local, {j}, make_const_int(i32, 7)),
                              make_store(out, {j}, make_const_int(i32, 9))})),
             serial(i, 3, make_seq(block)),
             serial(k, kCount,
                    make_store(out, {k},
                               make_binary<Sub>(make_load(out, {k}), make_load(local, {k}))))}));
    Array a = random_integers(i32, random), expected(i32, kCount), got(i32, kCount);
    const auto done = interpret(function, {a.view(true), expected.view(false)});
    ASSERT_TRUE(done) << done.error().to_string();
    ASSERT_EQ(Loaded(must_compile(function))(a.bytes.data(), got.bytes.data()), 0);
    ASSERT_EQ(expected.bytes, got.bytes) << "seed " << seed;
  }
}

/// Random expressions over integer loads; every operation is defined for all values.
class Generator {
public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  Expr integer(int depth, const std::vector<Expr>& leaves) {
    const DataType type = leaves[0]->dtype;
    if (depth == 0)
      return random_.below(4) == 0
                 ? make_const_int(type, random_.between(-20, 20))
                 : leaves[static_cast<size_t>(random_.below(static_cast<int64_t>(leaves.size())))];
    const auto next = [&] { return integer(depth - 1, leaves); };
    const auto positive = [&] { // in [1, 16]
      const Expr low = call_op("bitwise_and", {next(), make_const_int(type, 15)});
      return make_binary<Add>(low, make_const_int(type, 1));
    };
    switch (random_.below(13)) {
    case 0:
      return make_binary<Add>(next(), next());
    case 1:
      return make_binary<Sub>(next(), next());
    case 2:
      return make_binary<Mul>(next(), next());
    case 3:
      return make_binary<FloorDiv>(next(), positive());
    case 4:
      return make_binary<FloorMod>(next(), positive());
    case 5:
      return make_binary<Div>(next(), positive());
    case 6:
      return make_binary<Min>(next(), next());
    case 7:
      return make_binary<Max>(next(), next());
    case 8:
      return make_select(condition(depth - 1, leaves), next(), next());
    case 9:
      return call_op("bitwise_xor", {next(), next()});
    case 10:
      return call_op("shift_right", {next(), make_const_int(type, random_.between(0, 7))});
    case 11: {
      if (!type.is_scalar())
        return next();
      const Var x = make_var("x", type);
      return make_let(x, next(), make_binary<Add>(Expr(x), next()));
    }
    default: {
      if (!type.is_scalar())
        return next();
      return if_then_else(condition(depth - 1, leaves), next(), next());
    }
    }
  }
  Expr condition(int depth, const std::vector<Expr>& leaves) {
    const auto next = [&] { return integer(depth > 0 ? depth - 1 : 0, leaves); };
    const Expr first = make_binary<LT>(next(), next());
    switch (random_.below(4)) {
    case 0:
      return make_binary<And>(first, make_binary<NE>(next(), next()));
    case 1:
      return make_binary<Or>(first, make_binary<GE>(next(), next()));
    case 2:
      return make_not(first);
    default:
      return first;
    }
  }

private:
  Random random_;
};

TEST(Operations, RandomIntegerProgramsAgreeWithTheInterpreter) {
  Random random(8);
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const DataType type = seed % 2 == 0 ? DataType::int32() : DataType::int64();
    Array a = random_integers(type, random), b = random_integers(type, random);
    Generator generator(seed);
    int lanes = 1;
    Generator again = generator;
    compare("seed " + std::to_string(seed), a, b, [&](Expr x, Expr y) {
      lanes = x->dtype.lanes;
      Generator fresh = lanes == 1 ? generator : again;
      return fresh.integer(4, {x, y});
    });
    if (::testing::Test::HasFatalFailure())
      return;
  }
}

} // namespace
} // namespace temper::codegen::testing
