#include "tests/codegen/math_check.h"

#include <cstdio>

namespace temper::codegen::testing {
namespace {

// Every 1021st float (a prime: all exponents and signs, all low bits): 4 million of each
// function. The table of codegen/llvm/README.md is what this prints.
TEST(MathSlow, ErrorOverTheWholeRange) {
  constexpr int64_t kChunk = 1 << 14;
  for (const MathCase& test : math_cases()) {
    const Loaded kernel(must_compile(apply(test.op, DataType::float32(), kChunk, 16)));
    const MathWorst worst = measure(test, kernel, kChunk, 3, 1021);
    std::printf("%-8s %.3f ULP at %.9g\n", test.op, worst.ulp, static_cast<double>(worst.at));
    EXPECT_LE(worst.ulp, test.max_ulp) << test.op << "(" << worst.at << ") = " << worst.value;
  }
}

} // namespace
} // namespace temper::codegen::testing
