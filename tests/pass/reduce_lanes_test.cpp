// temper.reduce_lanes: the text before and after, and the loops that must stay as they are.
#include "tests/pass/equivalence.h"

namespace temper::ir::testing {
namespace {

/// A function around a loop nest over C, which starts from ones, and its partial results P.
PrimFunc around(const std::string& body, const std::string& type = "float32") {
  return parse("@T.prim_func\ndef main(P: T.Buffer((8192,), \"" + type +
               "\"), C: T.Buffer((8,), \"" + type + "\")):\n" +
               "    for i in range(T.int64(8)):\n        C[i] = T." + type + "(1)\n" + body);
}

/// A loop over k with the annotation.
std::string loop(const std::string& extent, const std::string& statement) {
  return "    for k in T.serial(T.int64(" + extent +
         "), annotations={\"temper.reduce_lanes\": 1}):\n        " + statement + "\n";
}

/// The loop becomes `statement`, and the values stay the same.
void expect_lanes(const std::string& before, const std::string& statement,
                  const LowerOptions& options = {}) {
  const PrimFunc function = around(before);
  const PrimFunc after = reduce_lanes(function, options);
  const PrimFunc wanted = around(statement);
  ASSERT_TRUE(wanted);
  std::string difference;
  EXPECT_TRUE(structural_equal(after, wanted, &difference)) << difference << "\ngot:\n"
                                                            << script::to_text(after);
  EXPECT_TRUE(verify(after));
  EXPECT_TRUE(same(*run(function), *run(after)));
}

void expect_unchanged(const std::string& body, const LowerOptions& options = {}) {
  const PrimFunc function = around(body);
  EXPECT_EQ(reduce_lanes(function, options), function)
      << script::to_text(reduce_lanes(function, options));
}

TEST(ReduceLanes, OneRegisterIsReducedAcrossItsLanes) {
  expect_lanes(loop("16", "C[T.int64(3)] = C[T.int64(3)] + P[k]"),
               "    C[T.int64(3)] = C[T.int64(3)] + T.vector_reduce_add(\"float32\", "
               "P[T.Ramp(T.int64(0), T.int64(1), 16)])\n");
}

TEST(ReduceLanes, SeveralRegistersAreAddedFirst) {
  expect_lanes(
      loop("32", "C[T.int64(0)] = C[T.int64(0)] + P[k + T.int64(64)]"),
      "    C[T.int64(0)] = C[T.int64(0)] + T.vector_reduce_add(\"float32\", "
      "P[T.Ramp(T.int64(64), T.int64(1), 16)] + P[T.Ramp(T.int64(80), T.int64(1), 16)])\n");
}

TEST(ReduceLanes, TheRegistersOfTheMachineDecide) {
  LowerOptions avx2;
  avx2.vector_bits = 256;
  expect_lanes(loop("16", "C[T.int64(0)] = C[T.int64(0)] + P[k]"),
               "    C[T.int64(0)] = C[T.int64(0)] + T.vector_reduce_add(\"float32\", "
               "P[T.Ramp(T.int64(0), T.int64(1), 8)] + P[T.Ramp(T.int64(8), T.int64(1), 8)])\n",
               avx2);
}

TEST(ReduceLanes, FewerLanesThanARegisterHasAreEnough) {
  expect_lanes(loop("4", "C[T.int64(0)] = C[T.int64(0)] + P[k]"),
               "    C[T.int64(0)] = C[T.int64(0)] + T.vector_reduce_add(\"float32\", "
               "P[T.Ramp(T.int64(0), T.int64(1), 4)])\n");
}

TEST(ReduceLanes, MaximaAndMinimaWithTheTermOnEitherSide) {
  for (const std::string op : {"max", "min"}) {
    const std::string after = "    C[T.int64(1)] = T." + op + "(C[T.int64(1)], T.vector_reduce_" +
                              op + "(\"float32\", T." + op +
                              "(P[T.Ramp(T.int64(0), T.int64(1), 16)], "
                              "P[T.Ramp(T.int64(16), T.int64(1), 16)])))\n";
    expect_lanes(loop("32", "C[T.int64(1)] = T." + op + "(C[T.int64(1)], P[k])"), after);
    expect_lanes(loop("32", "C[T.int64(1)] = T." + op + "(P[k], C[T.int64(1)])"), after);
  }
}

TEST(ReduceLanes, OuterLoopsMoveTheLanesAndTheOutput) {
  expect_lanes(R"(    for i in range(T.int64(8)):
        for k in T.serial(T.int64(16), annotations={"temper.reduce_lanes": 1}):
            C[i] = C[i] + P[i * T.int64(16) + k]
)",
               R"(    for i in range(T.int64(8)):
        C[i] = C[i] + T.vector_reduce_add("float32", P[T.Ramp(i * T.int64(16), T.int64(1), 16)])
)");
}

TEST(ReduceLanes, TheElementTypeDecidesTheLanes) {
  const PrimFunc after = reduce_lanes(
      around(loop("16", "C[T.int64(0)] = C[T.int64(0)] + P[k]"), "float64"), LowerOptions{});
  const PrimFunc wanted =
      around("    C[T.int64(0)] = C[T.int64(0)] + T.vector_reduce_add(\"float64\", "
             "P[T.Ramp(T.int64(0), T.int64(1), 8)] + P[T.Ramp(T.int64(8), T.int64(1), 8)])\n",
             "float64");
  EXPECT_TRUE(structural_equal(after, wanted)) << script::to_text(after);
}

// --- Loops that stay ---------------------------------------------------------------------------

TEST(ReduceLanes, OnlyLoopsThatAskForIt) {
  expect_unchanged("    for k in range(T.int64(16)):\n"
                   "        C[T.int64(0)] = C[T.int64(0)] + P[k]\n");
  expect_unchanged("    for k in T.serial(T.int64(16), annotations={\"temper.reduce_lanes\": 0}):\n"
                   "        C[T.int64(0)] = C[T.int64(0)] + P[k]\n");
}

TEST(ReduceLanes, OnlyPowersOfTwo) {
  for (const char* extent : {"1", "12", "24"})
    expect_unchanged(loop(extent, "C[T.int64(0)] = C[T.int64(0)] + P[k]"));
}

TEST(ReduceLanes, OnlyLoopsFromZero) {
  expect_unchanged("    for k in T.serial(T.int64(16), T.int64(32), "
                   "annotations={\"temper.reduce_lanes\": 1}):\n"
                   "        C[T.int64(0)] = C[T.int64(0)] + P[k]\n");
}

TEST(ReduceLanes, OnlyContiguousElements) {
  expect_unchanged(loop("16", "C[T.int64(0)] = C[T.int64(0)] + P[k * T.int64(2)]"));
  expect_unchanged(loop("16", "C[T.int64(0)] = C[T.int64(0)] + P[k // T.int64(2)]"));
  expect_unchanged(loop("16", "C[T.int64(0)] = C[T.int64(0)] + P[k + k % T.int64(2)]"));
  expect_unchanged(loop("16", "C[T.int64(0)] = C[T.int64(0)] + P[T.int64(5)]"));
  expect_unchanged(loop("16", "C[T.int64(0)] = C[T.int64(0)] + P[T.int64(15) - k]"));
}

TEST(ReduceLanes, OnlyOneElementOfOutput) {
  expect_unchanged(loop("8", "C[k] = C[k] + P[k]"));
  expect_unchanged(loop("8", "C[k // T.int64(4)] = C[k // T.int64(4)] + P[k]"));
}

TEST(ReduceLanes, OnlyAccumulationsIntoWhatIsStored) {
  expect_unchanged(loop("16", "C[T.int64(0)] = C[T.int64(1)] + P[k]"));
  expect_unchanged(loop("16", "C[T.int64(0)] = P[k + T.int64(16)] + P[k]"));
  expect_unchanged(loop("8", "C[T.int64(0)] = C[T.int64(0)] + C[k]"));
}

TEST(ReduceLanes, OnlySumsMaximaAndMinimaOfElements) {
  expect_unchanged(loop("16", "C[T.int64(0)] = C[T.int64(0)] - P[k]"));
  expect_unchanged(loop("16", "C[T.int64(0)] = C[T.int64(0)] * P[k]"));
  expect_unchanged(loop("16", "C[T.int64(0)] = C[T.int64(0)] + P[k] * T.float32(2)"));
}

TEST(ReduceLanes, OnlyLoopsOfOneStatement) {
  expect_unchanged(loop("16", "C[T.int64(0)] = C[T.int64(0)] + P[k]\n"
                              "        C[T.int64(1)] = C[T.int64(1)] + P[k]"));
  expect_unchanged(loop("16", "if k < T.int64(9):\n"
                              "            C[T.int64(0)] = C[T.int64(0)] + P[k]"));
}

TEST(ReduceLanes, OnlyAsManyVectorsAsMayBeUnrolled) {
  const std::string body = loop("8192", "C[T.int64(0)] = C[T.int64(0)] + P[k]");
  LowerOptions few;
  few.max_unrolled_statements = 511;
  expect_unchanged(body, few);
  few.max_unrolled_statements = 512;
  const PrimFunc function = around(body);
  const PrimFunc after = reduce_lanes(function, few);
  EXPECT_NE(after, function);
  EXPECT_TRUE(same(*run(function), *run(after)));
}

} // namespace
} // namespace temper::ir::testing
