// Layouts in scripts: as digits, as lambdas, by name; printed and parsed again.
#include "ir/script/parser.h"
#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/tir/fragments.h"
#include "ir/tir/stmt.h"
#include "ir/walk.h"

#include <gtest/gtest.h>

namespace temper::tir {
namespace {

std::string program(const std::string& layout) {
  return R"(
@T.prim_func
def main(A: T.Buffer((64, 64), "float16")):
    S = T.alloc_buffer((64, 64), "float16", scope="shared", annotations={"layout": )" +
         layout + R"(})
    for i in range(64):
        S[i, 0] = A[i, 0]
)";
}

Result<Layout> layout_in(const PrimFunc& function) {
  Result<Layout> found = Error(ErrorCode::kNotFound, "no layout");
  walk(function->body, [&](const NodeRef& node) {
    if (const auto* alloc = node.as<AllocBuffer>())
      if (const Expr value = alloc->annotations.get("layout"))
        found = layout_of(value);
    return true;
  });
  return found;
}

TEST(LayoutScript, layouts_are_read_printed_and_read_again) {
  const std::pair<const char*, Layout> cases[] = {
      {"T.Layout((64, 64), [(64, 64), (64, 1)], swizzle=(3, 3, 3))",
       *swizzled_tile(64, 64, 16, 128)},
      {"T.Layout([64, 64])", row_major({64, 64})},
      {"T.Layout((64, 64), lambda i, j: [j, i])", column_major({64, 64})},
      {"T.Layout((64, 64), lambda i, j: i * 64 + (j // 8 ^ i % 8) * 8 + j % 8)",
       *swizzled_tile(64, 64, 16, 128)},
      {"T.make_swizzled_layout(A)", *swizzled_tile(64, 64, 16, 128)},
      {"T.hardware_fragment(\"mma.m16n8k16.C\")", *hardware_fragment("mma.m16n8k16.C")},
      {"T.Fragment((16, 8), lambda i, j: (i % 8 * 4 + j // 2, i // 8 * 2 + j % 2))",
       flatten_threads(*hardware_fragment("mma.m16n8k16.C"))},
      {"T.Fragment((16,), [(8, 4, \"lane\"), (2, 1)], replicas=[(4, 1, \"lane\")], "
       "offsets=[(1, \"warp\")])",
       *parse_layout("T.Fragment((16,), [(8, 4, \"lane\"), (2, 1)], replicas=[(4, 1, \"lane\")], "
                     "offsets=[(1, \"warp\")])")}};
  for (const auto& [text, expected] : cases) {
    SCOPED_TRACE(text);
    auto function = script::parse_prim_func(program(text), "layout.py");
    ASSERT_TRUE(function.has_value()) << function.error().to_string();
    auto layout = layout_in(*function);
    ASSERT_TRUE(layout.has_value()) << layout.error().message;
    EXPECT_TRUE(equivalent(*layout, expected)) << to_text(*layout);
    const std::string printed = script::to_text(*function);
    EXPECT_NE(printed.find(to_text(*layout)), std::string::npos) << printed;
    auto again = script::parse_prim_func(printed, "printed.py");
    ASSERT_TRUE(again.has_value()) << printed << again.error().to_string();
    EXPECT_TRUE(structural_equal(*function, *again)) << printed;
  }
}

TEST(LayoutScript, bad_layouts_get_a_sentence_and_a_place) {
  const std::pair<const char*, const char*> cases[] = {
      {"T.Layout((64, 64), [(64, 64)])", "dimension 1 multiply to 1"},
      {"T.Layout((64, 64), [(64, 64, 3, 4)])", "digits are a list"},
      {"T.Layout((4, 4), lambda i, j: i * j)", "the map is not a layout"},
      {"T.Layout((4, 4), lambda i, j: \"x\")", "returns the physical index"},
      {"T.Fragment((4, 4), lambda i, j: i)", "returns (thread, register)"},
      {"T.hardware_fragment(\"mma.m16n8k16.D\")", "did you mean"},
      {"T.Layout((64, 64), swizzle=(3, 3))", "(bits, base, shift)"}};
  for (const auto& [text, part] : cases) {
    auto function = script::parse_prim_func(program(text), "layout.py");
    ASSERT_FALSE(function.has_value()) << text;
    EXPECT_NE(function.error().to_string().find(part), std::string::npos)
        << text << ": " << function.error().to_string();
    EXPECT_NE(function.error().to_string().find("layout.py:4"), std::string::npos);
  }
}

} // namespace
} // namespace temper::tir
