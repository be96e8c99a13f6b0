// parse(print(m)) is structurally equal to m, and print(parse(text)) is the text itself where the
// text is canonical.

#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/structural.h"

#include <gtest/gtest.h>

namespace temper::script {
namespace {

using namespace temper::ir; // NOLINT

/// Parses, prints, parses again; the second module equals the first. Returns the printed text.
std::string round_trip(std::string_view text) {
  const auto first = parse_module(text);
  EXPECT_TRUE(first) << (first ? "" : first.error().to_string());
  if (!first)
    return "";
  const std::string printed = to_text(*first);
  const auto second = parse_module(printed);
  EXPECT_TRUE(second) << printed << "\n" << (second ? "" : second.error().to_string());
  if (!second)
    return printed;
  std::string difference;
  EXPECT_TRUE(structural_equal(*first, *second, &difference)) << difference << "\n" << printed;
  EXPECT_EQ(structural_hash(*first), structural_hash(*second)) << printed;
  EXPECT_EQ(to_text(*second), printed);
  return printed;
}

TEST(RoundTrip, MatmulIsPrintedAsTvmPrintsIt) {
  const std::string text = R"(# from tvm.script import ir as I
# from tvm.script import tirx as T
# from tvm.tirx.layout import Axis

@I.ir_module
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((128, 128), "float32"), B: T.Buffer((128, 128), "float32"), C: T.Buffer((128, 128), "float32")):
        T.func_attr({"tirx.noalias": True})
        # with T.sblock("root"):
        for i, j, k in T.grid(128, 128, 128):
            with T.sblock("C"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                T.reads(A[vi, vk], B[vk, vj])
                T.writes(C[vi, vj])
                with T.init():
                    C[vi, vj] = T.float32(0.0)
                C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
)";
  EXPECT_EQ(round_trip(text), text);
}

} // namespace
} // namespace temper::script
