// Layout inference on tile programs as they are written.
#include "ir/tir/kernel_layouts.h"

#include "ir/script/printer.h"
#include "ir/structural.h"
#include "ir/walk.h"
#include "tests/tir/emulated_programs.h"

#include <map>

namespace temper::tir {
namespace {

std::map<std::string, Layout> layouts_of(const PrimFunc& function) {
  std::map<std::string, Layout> found;
  walk(function->body, [&](const NodeRef& node) {
    if (const auto* alloc = node.as<AllocBuffer>())
      if (auto layout = layout_of(alloc->annotations.get(kLayoutAnnotation)))
        found.emplace(alloc->buffer->name, *layout);
    return true;
  });
  return found;
}

const std::string kAttention = R"(
@T.prim_func
def main(Q: T.Tensor((64, 64), "float16"), K: T.Tensor((64, 64), "float16"), V: T.Tensor((64, 64), "float16"), O: T.Tensor((64, 64), "float16")):
    with T.Kernel(1, threads=128) as bx:
        Q_shared = T.alloc_shared((64, 64), "float16")
        K_shared = T.alloc_shared((64, 64), "float16")
        V_shared = T.alloc_shared((64, 64), "float16")
        scores = T.alloc_fragment((64, 64), "float32")
        scores_cast = T.alloc_fragment((64, 64), "float16")
        row_max = T.alloc_fragment((64,), "float32")
        output = T.alloc_fragment((64, 64), "float32")
        T.copy(Q, Q_shared)
        T.copy(K, K_shared)
        T.copy(V, V_shared)
        T.clear(scores)
        T.gemm(Q_shared, K_shared, scores, transpose_B=True, policy="FullRow")
        T.reduce_max(scores, row_max, dim=1, clear=True)
        for i, j in T.Parallel(64, 64):
            scores[i, j] = T.exp2(scores[i, j] - row_max[i])
        T.copy(scores, scores_cast)
        T.clear(output)
        T.gemm(scores_cast, V_shared, output, policy="FullRow")
        for i, j in T.Parallel(64, 64):
            output[i, j] = output[i, j] / row_max[i]
        T.copy(output, O)
)";

TEST(KernelLayouts, attention_gets_its_layouts_and_prints_them) {
  const PrimFunc function = parsed(kAttention);
  ASSERT_TRUE(function);
  auto annotated = annotate_layouts(function);
  ASSERT_TRUE(annotated.has_value()) << annotated.error().message;
  const auto layouts = layouts_of(*annotated);
  ASSERT_EQ(layouts.size(), 7u);
  EXPECT_EQ(layouts.at("scores"), flatten_threads(*mma_accumulator(64, 64, {4, 1})));
  EXPECT_TRUE(equivalent(layouts.at("scores_cast"), layouts.at("scores")));
  EXPECT_TRUE(equivalent(layouts.at("output"), layouts.at("scores")));
  EXPECT_EQ(layouts.at("row_max"), *reduced(layouts.at("scores"), 1));
  for (const char* name : {"Q_shared", "K_shared", "V_shared"})
    EXPECT_EQ(layouts.at(name), *swizzled_tile(64, 64, 16, 128));
  const std::string text = script::to_text(*annotated);
  auto again = script::parse_prim_func(text, "printed.py");
  ASSERT_TRUE(again.has_value()) << text << again.error().to_string();
  EXPECT_TRUE(structural_equal(*again, *annotated)) << text;
  // What is annotated already stays.
  auto twice = annotate_layouts(*annotated);
  ASSERT_TRUE(twice.has_value()) << twice.error().message;
  EXPECT_TRUE(structural_equal(*twice, *annotated));
}

TEST(KernelLayouts, memory_that_a_products_registers_go_to_is_swizzled) {
  const std::string text = R"(
@T.prim_func
def main(A: T.Tensor((64, 32), "float16"), B: T.Tensor((64, 32), "float16"), C: T.Tensor((64, 64), "float16")):
    with T.Kernel(1, threads=128) as bx:
        A_shared = T.alloc_shared((64, 32), "float16")
        B_shared = T.alloc_shared((64, 32), "float16")
        C_shared = T.alloc_shared((64, 64), "float16")
        C_local = T.alloc_fragment((64, 64), "float32")
        T.copy(A, A_shared)
        T.copy(B, B_shared)
        T.gemm(A_shared, B_shared, C_local, transpose_B=True, clear_accum=True)
        T.copy(C_local, C_shared)
        T.copy(C_shared, C)
)";
  const auto layout = [](const std::string& program) {
    auto annotated = annotate_layouts(parsed(program));
    EXPECT_TRUE(annotated.has_value()) << annotated.error().message;
    return annotated ? layouts_of(*annotated).at("C_shared") : Layout{};
  };
  EXPECT_EQ(layout(text), *shared_tiles({64, 64}, 16, 128));
  // Code of the program's own may count on rows, and what is stored in vectors needs no swizzle.
  EXPECT_EQ(
      layout(replaced(text, "        T.copy(C_shared, C)\n",
                      "        C_shared[0, 0] = T.float16(1)\n        T.copy(C_shared, C)\n")),
      row_major({64, 64}));
  EXPECT_EQ(layout(replaced(replaced(text, "T.copy(A, A_shared)", "T.copy(C, C_local)"),
                            "        T.gemm(A_shared, B_shared, C_local, transpose_B=True, "
                            "clear_accum=True)\n",
                            "")),
            row_major({64, 64}));
}

TEST(KernelLayouts, products_that_leave_their_policy_open_share_rows_where_fragments_connect_them) {
  std::string text = kAttention;
  for (int i = 0; i < 2; ++i)
    text = replaced(text, ", policy=\"FullRow\"", "");
  auto annotated = annotate_layouts(parsed(text));
  ASSERT_TRUE(annotated.has_value()) << annotated.error().message;
  const auto layouts = layouts_of(*annotated);
  EXPECT_EQ(layouts.at("scores"), flatten_threads(*mma_accumulator(64, 64, {4, 1})));
  EXPECT_TRUE(equivalent(layouts.at("scores_cast"), layouts.at("scores")));
}

TEST(KernelLayouts, conflicts_and_misuse_are_told_with_the_line) {
  const auto why = [](std::string text, const std::string& from, const std::string& to) {
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
      text.replace(at, from.size(), to);
    const PrimFunc function = parsed(text);
    if (!function)
      return std::string("did not parse");
    auto result = annotate_layouts(function);
    return result ? std::string("accepted") : result.error().message;
  };
  // A layout of the program's own that the product does not leave its result in.
  const std::string own = "        T.annotate_layout({scores: " +
                          to_text(flatten_threads(*mma_accumulator(64, 64, {2, 2}))) +
                          "})\n        T.clear(scores)";
  const std::string fixed = why(kAttention, "        T.clear(scores)", own);
  EXPECT_NE(fixed.find("line 17"), std::string::npos) << fixed;
  EXPECT_NE(fixed.find("T.gemm needs scores"), std::string::npos) << fixed;
  const std::string threads = why(kAttention, "threads=128", "threads=100");
  EXPECT_NE(threads.find("100 threads"), std::string::npos) << threads;
  const std::string empty = why(kAttention, "        T.clear(scores)",
                                "        nothing = T.alloc_shared((4, 0), \"float32\")\n"
                                "        T.clear(scores)");
  EXPECT_NE(empty.find("nothing has no elements: dimension 1 of it is 0"), std::string::npos)
      << empty;
}

TEST(KernelLayouts, kernels_without_operators_run_in_the_emulator) {
  const std::string text = R"(
@T.prim_func
def main(A: T.Tensor((512,), "float32"), B: T.Tensor((512,), "float32")):
    with T.Kernel(4, threads=128) as bx:
        S = T.alloc_shared((128,), "float32")
        tx = T.get_thread_binding(0)
        S[tx] = A[bx * 128 + tx]
        T.sync_threads()
        B[bx * 128 + tx] = S[127 - tx]
)";
  std::vector<float> a(512), b(512);
  for (size_t i = 0; i < 512; ++i)
    a[i] = static_cast<float>(i);
  const InterpretArgument arguments[] = {input(a), output(b)};
  auto report = emulate_thoroughly(parsed(text), arguments);
  ASSERT_TRUE(report.has_value()) << report.error().message;
  for (size_t i = 0; i < 512; ++i)
    ASSERT_EQ(b[i], a[i / 128 * 128 + 127 - i % 128]);
  std::string without = text;
  without.replace(without.find("T.sync_threads()"), 16, "pass");
  auto found = emulate(parsed(without), arguments);
  ASSERT_FALSE(found.has_value());
  EXPECT_NE(found.error().message.find("race on S["), std::string::npos) << found.error().message;
  // Operators are for lowering first.
  auto refused = emulate(parsed(kAttention), arguments);
  ASSERT_FALSE(refused.has_value());
}

} // namespace
} // namespace temper::tir
