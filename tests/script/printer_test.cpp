// Marks, line numbers and fragments.

#include "ir/script/printer.h"

#include "ir/s_tir/block.h"
#include "ir/script/parser.h"
#include "ir/structural.h"
#include "tests/support/golden.h"

#include <gtest/gtest.h>

namespace temper::script {
namespace {

using namespace temper::ir; // NOLINT

const char* const kProgram = R"(
@T.prim_func(s_tir=True)
def main(A: T.Buffer((4, 4), "float32"), B: T.Buffer((4, 4), "float32")):
    for i, j in T.grid(4, 4):
        with T.sblock("B"):
            vi, vj = T.axis.remap("SS", [i, j])
            B[vi, vj] = A[vi, vj] * T.float32(2)
)";

struct Parts {
  PrimFunc function;
  Ref<tir::For> outer;
  Ref<tir::For> inner;
  s_tir::BlockRealize realize;
};
Parts parts() {
  const auto function = parse_prim_func(kProgram);
  EXPECT_TRUE(function) << (function ? "" : function.error().to_string());
  Parts result;
  result.function = *function;
  const auto* root = result.function->body.as<s_tir::SBlockRealize>();
  result.outer = root->block->body.as_ref<tir::For>();
  result.inner = result.outer->body.as_ref<tir::For>();
  result.realize = result.inner->body.as_ref<s_tir::SBlockRealize>();
  return result;
}

TEST(Programs, ArePrintedCanonicallyAndParseBack) {
  const size_t count = testing::check_golden_cases(
      "tests/text/script/programs.txt", [](const testing::GoldenCase& one) -> std::string {
        const auto module = parse_module(one.input, "program.py");
        if (!module) {
          ADD_FAILURE() << one.name << "\n" << module.error().to_string();
          return "";
        }
        const std::string text = to_text(*module, {.header = false});
        const auto again = parse_module(text);
        EXPECT_TRUE(again) << text << (again ? "" : again.error().to_string());
        std::string difference;
        if (again) {
          EXPECT_TRUE(structural_equal(*module, *again, &difference))
              << one.name << ": " << difference;
        }
        return text;
      });
  EXPECT_GE(count, 20u);
}

TEST(Printer, AMarkedBlockSaysWhyOnItsLine) {
  const Parts p = parts();
  PrinterOptions options;
  options.header = false;
  options.marks.push_back({p.realize->block, "here: not a reduction block"});
  const std::string text = to_text(p.function, options);
  EXPECT_NE(text.find("with T.sblock(\"B\"):  # <-- here: not a reduction block\n"),
            std::string::npos)
      << text;
  // A mark is a comment: the text still parses.
  EXPECT_TRUE(parse_module(text));
}

TEST(Printer, LoopsInAGridAreMarkedOnTheLineOfTheGrid) {
  const Parts p = parts();
  PrinterOptions options;
  options.marks.push_back({p.inner->loop_var, "this loop"});
  const std::string text = to_text(p.function, options);
  EXPECT_NE(text.find("for i, j in T.grid(4, 4):  # <-- this loop\n"), std::string::npos) << text;
}

TEST(Printer, MarkedExpressionsAreShownAtTheirStatement) {
  const Parts p = parts();
  const auto* store = p.realize->block->body.as<tir::BufferStore>();
  ASSERT_NE(store, nullptr);
  PrinterOptions options;
  options.marks.push_back({store->value, "overflows"});
  const std::string text = to_text(p.function, options);
  EXPECT_NE(text.find("T.float32(2.0)  # <-- overflows\n"), std::string::npos) << text;
}

TEST(Printer, LinesOfNodesAreTheLinesOfTheText) {
  const Parts p = parts();
  NodeLines lines;
  PrinterOptions options;
  options.lines = &lines;
  const std::string text = to_text(p.function, options);
  const std::vector<std::string> all = split_text(text, '\n');
  const auto line_of = [&](const NodeRef& node) -> std::string {
    const auto found = lines.find(node.get());
    return found == lines.end() ? "none"
                                : std::string(trim(all.at(static_cast<size_t>(found->second - 1))));
  };
  EXPECT_EQ(line_of(p.outer), "for i, j in T.grid(4, 4):");
  EXPECT_EQ(line_of(p.inner->loop_var), "for i, j in T.grid(4, 4):");
  EXPECT_EQ(line_of(p.realize->block), "with T.sblock(\"B\"):");
  EXPECT_EQ(line_of(p.realize->block->body), "B[vi, vj] = A[vi, vj] * T.float32(2.0)");
  EXPECT_EQ(line_of(p.function).substr(0, 8), "def main");
}

TEST(Printer, FragmentsUseTheNamesOfWhatIsOutside) {
  const Parts p = parts();
  EXPECT_EQ(to_text(p.realize->block->body), "B[vi, vj] = A[vi, vj] * T.float32(2.0)\n");
  EXPECT_EQ(to_text(p.realize->block->reads[0]), "A[vi, vj]");
  EXPECT_EQ(to_text(make_binary<Add>(p.outer->loop_var, p.inner->loop_var)), "i + j");
  const NodeRef node = p.realize->block->body;
  EXPECT_EQ(to_text(node), to_text(p.realize->block->body));
}

TEST(Printer, SpansPointAtTheText) {
  const Parts p = parts();
  EXPECT_EQ(p.outer->span.line, 4u);
  EXPECT_EQ(p.realize->block->span.line, 5u);
  EXPECT_EQ(p.realize->block->body->span.line, 7u);
  EXPECT_EQ(p.realize->block->body->span.column, 13u);
  EXPECT_EQ(source_files().at(p.outer->span.file), "<text>");
}

TEST(Printer, EqualNamesAreMadeUnique) {
  const Var a = make_var("x");
  const Var b = make_var("x");
  const Var keyword = make_var("for");
  EXPECT_EQ(to_text(make_binary<Add>(make_binary<Add>(a, b), keyword)), "x + x_1 + for_");
}

/// As TVM prints them: its operators would make one number, or one operand, of these.
TEST(Printer, WhatTvmWouldFoldIsWrittenOut) {
  const Expr zero = make_int(DataType::int32(), 0);
  const Expr one = make_int(DataType::int32(), 1);
  const Expr two = make_int(DataType::int32(), 2);
  const Expr half = make_float(DataType::float32(), 0.5);
  const Var i = make_var("i");
  EXPECT_EQ(to_text(make_binary<Add>(one, two)), "T.Add(1, 2)");
  EXPECT_EQ(to_text(make_binary<Mul>(zero, make_int(DataType::int32(), 5))), "T.Mul(0, 5)");
  EXPECT_EQ(to_text(make_binary<Sub>(i, zero)), "T.Sub(i, 0)");
  EXPECT_EQ(to_text(make_binary<FloorDiv>(i, one)), "T.FloorDiv(i, 1)");
  EXPECT_EQ(to_text(make_binary<FloorMod>(zero, i)), "T.FloorMod(0, i)");
  EXPECT_EQ(to_text(make_binary<LT>(one, two)), "T.LT(1, 2)");
  EXPECT_EQ(to_text(make_binary<Max>(one, two)), "T.Max(1, 2)");
  EXPECT_EQ(to_text(make_binary<Min>(i, i)), "T.Min(i, i)");
  EXPECT_EQ(to_text(make_binary<Mul>(half, half)), "T.Mul(T.float32(0.5), T.float32(0.5))");
  // And what it keeps.
  EXPECT_EQ(to_text(make_binary<Sub>(zero, i)), "0 - i");
  EXPECT_EQ(to_text(make_binary<FloorDiv>(one, i)), "1 // i");
  EXPECT_EQ(to_text(make_binary<Mul>(make_binary<Mul>(zero, two), i)), "T.Mul(0, 2) * i");
  EXPECT_EQ(to_text(make_binary<LE>(i, one)), "i <= 1");
}

TEST(Printer, NumbersThatTvmDoesNotFoldAreReadAsTheyAre) {
  const auto function = [](const std::string& index) {
    const auto module = parse_module("@T.prim_func\ndef main(B: T.Buffer((16,), \"float32\")):\n"
                                     "    for i in range(8):\n        B[" +
                                     index + "] = T.float32(1)\n");
    EXPECT_TRUE(module) << (module ? "" : module.error().to_string());
    return module ? to_text(*module) : "";
  };
  EXPECT_EQ(function("T.Mul(0, 5) + i"), function("T.int32(0) * 5 + i"));
  EXPECT_EQ(function("T.Add(1, 2) + i"), function("T.int32(1) + 2 + i"));
  EXPECT_EQ(function("T.Sub(2, 1) + i"), function("T.int32(2) - 1 + i"));
}

} // namespace
} // namespace temper::script
